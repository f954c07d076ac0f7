/* See http1.h. */
#include "sim/proxy/http1.h"

#include <string.h>
#include <strings.h>

size_t http1_head_end(const char *p, size_t n)
{
    const char *at = p, *end = p + n, *lf;
    while ((lf = memchr(at, '\n', (size_t)(end - at)))) {
        const char *next = lf + 1;
        if (next < end && *next == '\n')
            return (size_t)(next + 1 - p);
        if (next + 1 < end && next[0] == '\r' && next[1] == '\n')
            return (size_t)(next + 2 - p);
        at = next;
    }
    return 0;
}

static bool may_begin_with(const char *p, size_t n, const char *word)
{
    size_t len = strlen(word);
    return memcmp(p, word, n < len ? n : len) == 0;
}

#define METHOD_MAX 32

bool http1_may_be_request(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && p[i] > ' ' && p[i] < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", p[i]))
        i++;
    if (i == n || p[i] != ' ')
        return i == n && n <= METHOD_MAX;
    if (i == 0 || i > METHOD_MAX)
        return false;
    size_t target = ++i;
    while (i < n && p[i] != ' ' && p[i] != '\r' && p[i] != '\n')
        i++;
    if (i == n)
        return true;
    return i > target && p[i] == ' ' && may_begin_with(p + i + 1, n - i - 1, "HTTP/1.");
}

bool http1_may_be_response(const char *p, size_t n)
{
    return may_begin_with(p, n, "HTTP/1.");
}

/* --- Fields ----------------------------------------------------------------------------------- */

struct text {
    const char *p;
    size_t n;
};

static struct text trimmed(const char *p, size_t n)
{
    while (n && (*p == ' ' || *p == '\t'))
        p++, n--;
    while (n && (p[n - 1] == ' ' || p[n - 1] == '\t' || p[n - 1] == '\r'))
        n--;
    return (struct text){p, n};
}

static bool is_word(struct text t, const char *word)
{
    return t.n == strlen(word) && strncasecmp(t.p, word, t.n) == 0;
}

/* The next line of the head, without its end; false after the last. */
static bool next_line(const char **p, const char *end, struct text *ret)
{
    const char *lf = *p < end ? memchr(*p, '\n', (size_t)(end - *p)) : NULL;
    if (!lf)
        return false;
    *ret = (struct text){*p, (size_t)(lf - *p)};
    if (ret->n && ret->p[ret->n - 1] == '\r')
        ret->n--;
    *p = lf + 1;
    return true;
}

/* An element of a list separated by commas; from the back: the last coding is what frames. */
static struct text last_element(struct text t)
{
    const char *comma = memrchr(t.p, ',', t.n);
    return comma ? trimmed(comma + 1, (size_t)(t.p + t.n - comma - 1)) : t;
}

static bool has_element(struct text t, const char *word)
{
    while (t.n) {
        const char *comma = memchr(t.p, ',', t.n);
        size_t n = comma ? (size_t)(comma - t.p) : t.n;
        if (is_word(trimmed(t.p, n), word))
            return true;
        t = comma ? (struct text){comma + 1, t.n - n - 1} : (struct text){t.p, 0};
    }
    return false;
}

static bool read_length(struct text t, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] < '0' || t.p[i] > '9' || v > (UINT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(t.p[i] - '0');
    }
    *ret = v;
    return t.n > 0;
}

struct fields {
    bool has_length, chunked, coded, close, keep_alive, expects;
    uint64_t length;
};

/* `p` stands after the first line. False: doubtful. */
static bool read_fields(const char *p, const char *end, struct fields *ret)
{
    struct text line;
    *ret = (struct fields){0};
    while (next_line(&p, end, &line) && line.n) {
        const char *colon = memchr(line.p, ':', line.n);
        if (!colon || colon == line.p || line.p[0] == ' ' || line.p[0] == '\t')
            return false;
        struct text name = {line.p, (size_t)(colon - line.p)};
        struct text value = trimmed(colon + 1, (size_t)(line.p + line.n - colon - 1));
        if (is_word(name, "content-length")) {
            uint64_t length;
            if (!read_length(value, &length) || (ret->has_length && length != ret->length))
                return false;
            ret->has_length = true;
            ret->length = length;
        } else if (is_word(name, "transfer-encoding")) {
            ret->coded = true;
            ret->chunked = is_word(last_element(value), "chunked");
        } else if (is_word(name, "connection")) {
            ret->close |= has_element(value, "close");
            ret->keep_alive |= has_element(value, "keep-alive");
        } else if (is_word(name, "expect")) {
            ret->expects |= is_word(value, "100-continue");
        }
    }
    return !(ret->coded && ret->has_length);
}

/* --- First lines ------------------------------------------------------------------------------ */

static bool is_version(struct text t, bool *ret_11)
{
    if (t.n != 8 || memcmp(t.p, "HTTP/1.", 7) != 0 || (t.p[7] != '0' && t.p[7] != '1'))
        return false;
    *ret_11 = t.p[7] == '1';
    return true;
}

static struct text path_of(struct text target)
{
    const char *scheme = memmem(target.p, target.n, "://", 3);
    if (target.n && target.p[0] != '/' && scheme) {
        const char *host = scheme + 3, *end = target.p + target.n;
        const char *slash = memchr(host, '/', (size_t)(end - host));
        target = slash ? (struct text){slash, (size_t)(end - slash)} : (struct text){"/", 1};
    }
    const char *query = memchr(target.p, '?', target.n);
    if (query)
        target.n = (size_t)(query - target.p);
    return target;
}

bool http1_request(const char *head, size_t n, struct http1_request *ret)
{
    const char *p = head, *end = head + n;
    struct text line;
    struct fields f;
    bool is_11;
    if (!next_line(&p, end, &line))
        return false;
    const char *one = memchr(line.p, ' ', line.n);
    const char *two = memrchr(line.p, ' ', line.n);
    if (!one || one == line.p || two <= one + 1 ||
        !is_version((struct text){two + 1, (size_t)(line.p + line.n - two - 1)}, &is_11) ||
        !read_fields(p, end, &f) || (f.coded && !f.chunked))
        return false;
    struct text path = path_of((struct text){one + 1, (size_t)(two - one - 1)});
    *ret = (struct http1_request){.method = line.p,
                                  .method_n = (size_t)(one - line.p),
                                  .path = path.p,
                                  .path_n = path.n,
                                  .framing = f.chunked                  ? HTTP1_CHUNKED
                                             : f.has_length && f.length ? HTTP1_LENGTH
                                                                        : HTTP1_NONE,
                                  .length = f.length,
                                  .keeps = is_11 ? !f.close : f.keep_alive,
                                  .expects = f.expects};
    return true;
}

bool http1_response(const char *head, size_t n, struct http1_response *ret)
{
    const char *p = head, *end = head + n;
    struct text line;
    struct fields f;
    bool is_11;
    if (!next_line(&p, end, &line) || line.n < 12 || line.p[8] != ' ' ||
        !is_version((struct text){line.p, 8}, &is_11))
        return false;
    int status = 0;
    for (int i = 9; i < 12; i++) {
        if (line.p[i] < '0' || line.p[i] > '9')
            return false;
        status = status * 10 + (line.p[i] - '0');
    }
    if (status < 100 || !read_fields(p, end, &f))
        return false;
    bool none = status < 200 || status == 204 || status == 304;
    *ret = (struct http1_response){.status = status,
                                   .framing = none            ? HTTP1_NONE
                                              : f.chunked     ? HTTP1_CHUNKED
                                              : f.coded       ? HTTP1_TO_END
                                              : !f.has_length ? HTTP1_TO_END
                                              : f.length      ? HTTP1_LENGTH
                                                              : HTTP1_NONE,
                                   .length = f.length};
    return true;
}

/* --- Bodies ----------------------------------------------------------------------------------- */

/* Of chunks: the size, the rest of its line, data, the end of the data's line, trailers. */
enum { SIZE, EXTENSION, DATA, DATA_END, TRAILER, TRAILER_LINE };

struct http1_body http1_body_of(enum http1_framing framing, uint64_t length)
{
    return (struct http1_body){
        .framing = framing, .left = length, .done = framing == HTTP1_NONE, .state = SIZE};
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The byte that ends a line of size: data follow, or the trailers. */
static void size_ends(struct http1_body *b)
{
    if (b->digits == 0) {
        b->broken = true;
        return;
    }
    b->digits = 0;
    b->state = b->left ? DATA : TRAILER;
}

static void chunk_byte(struct http1_body *b, char c)
{
    int digit;
    switch (b->state) {
    case SIZE:
        digit = hex_digit(c);
        if (digit >= 0 && b->digits < 15) {
            b->left = b->left * 16 + (uint64_t)digit;
            b->digits++;
        } else if (c == '\n') {
            size_ends(b);
        } else if (c == '\r' || c == ';' || c == ' ' || c == '\t') {
            b->state = EXTENSION;
        } else {
            b->broken = true;
        }
        break;
    case EXTENSION:
        if (c == '\n')
            size_ends(b);
        break;
    case DATA_END:
        if (c == '\n')
            b->state = SIZE;
        else if (c != '\r')
            b->broken = true;
        break;
    case TRAILER: /* at the beginning of a line */
        if (c == '\n')
            b->done = true;
        else if (c != '\r')
            b->state = TRAILER_LINE;
        break;
    default:
        if (c == '\n')
            b->state = TRAILER;
        break;
    }
}

size_t http1_body_take(struct http1_body *b, const char *p, size_t n)
{
    size_t i = 0;
    if (b->framing == HTTP1_TO_END)
        return n;
    while (i < n && !b->done && !b->broken) {
        if (b->framing == HTTP1_LENGTH || b->state == DATA) {
            size_t some = b->left < n - i ? (size_t)b->left : n - i;
            b->left -= some;
            i += some;
            if (b->left == 0 && b->framing == HTTP1_LENGTH)
                b->done = true;
            else if (b->left == 0)
                b->state = DATA_END;
        } else {
            chunk_byte(b, p[i++]);
        }
    }
    return i;
}

/* See dns.h. */
#include "sim/proxy/dns.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define HEADER 12
#define FLAG_QR 0x80
#define FLAG_RD 0x01
#define FLAG_RA 0x80
#define TYPE_OPT 41
#define CLASS_IN 1
#define LABEL_MAX 63
#define UDP_SIZE 1232 /* what we say that we take, as name servers do since 2020 */

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint8_t *put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
    return put16(put16(p, v >> 16), v & 0xffff);
}

/* Where a name ends that begins at `at`; 0: it does not. A pointer ends it. */
static size_t skip_name(const uint8_t *m, size_t n, size_t at)
{
    while (at < n && m[at]) {
        if ((m[at] & 0xc0) == 0xc0)
            return at + 2 <= n ? at + 2 : 0;
        if (m[at] > LABEL_MAX)
            return 0;
        at += 1u + m[at];
    }
    return at < n ? at + 1 : 0;
}

/* Where a record ends; 0: it does not. */
static size_t skip_record(const uint8_t *m, size_t n, size_t at, uint16_t *ret_type,
                          size_t *ret_data)
{
    size_t body = skip_name(m, n, at);
    if (!body || body + 10 > n)
        return 0;
    *ret_type = get16(m + body);
    *ret_data = body + 10;
    size_t end = body + 10 + get16(m + body + 8);
    return end <= n ? end : 0;
}

static bool has_opt(const uint8_t *m, size_t n, size_t at)
{
    size_t records = (size_t)get16(m + 6) + get16(m + 8) + get16(m + 10);
    for (size_t i = 0; i < records; i++) {
        uint16_t type;
        size_t data;
        if (!(at = skip_record(m, n, at, &type, &data)))
            return false;
        if (type == TYPE_OPT)
            return true;
    }
    return false;
}

bool dns_question(const uint8_t *m, size_t n, struct dns_question *ret)
{
    size_t at = HEADER, len = 0;
    if (n < HEADER || (m[2] & (FLAG_QR | 0x78)) || get16(m + 4) != 1)
        return false;
    while (at < n && m[at]) {
        if (m[at] > LABEL_MAX || at + 1 + m[at] >= n || len + 1 + m[at] >= DNS_NAME_MAX)
            return false;
        if (len)
            ret->name[len++] = '.';
        for (size_t i = 1; i <= m[at]; i++) /* a dot inside of a label is not one between labels */
            ret->name[len++] = m[at + i] == '.' ? '?' : (char)tolower(m[at + i]);
        at += 1u + m[at];
    }
    if (at + 5 > n)
        return false;
    ret->name[len] = '\0';
    ret->type = get16(m + at + 1);
    ret->end = at + 5;
    ret->edns = has_opt(m, n, ret->end);
    return true;
}

bool dns_matches(const char *pattern, const char *name)
{
    size_t n = strlen(pattern);
    if (n > 1 && pattern[n - 1] == '.')
        n--;
    if (n == 1 && pattern[0] == '*')
        return true;
    if (n > 2 && pattern[0] == '*' && pattern[1] == '.') {
        size_t len = strlen(name);
        return len > n - 1 && strncasecmp(name + len - (n - 1), pattern + 1, n - 1) == 0;
    }
    return strlen(name) == n && strncasecmp(name, pattern, n) == 0;
}

bool dns_is_pattern(const char *text)
{
    uint8_t room[DNS_NAME_MAX + HEADER + 4];
    if (!strcmp(text, "*"))
        return true;
    return dns_query(0, !strncmp(text, "*.", 2) ? text + 2 : text, DNS_A, room, sizeof room) > 0 &&
           !strchr(text + 1, '*');
}

size_t dns_reply(const uint8_t *query, const struct dns_question *q, const struct dns_answer *a,
                 uint8_t *ret, size_t room)
{
    uint8_t *p = ret + q->end;
    unsigned answers = 0;
    if (q->end + DNS_ANSWERS_MAX * 28 + 11 > room)
        return 0;
    memcpy(ret, query, q->end);
    ret[2] = (uint8_t)(FLAG_QR | (query[2] & FLAG_RD));
    ret[3] = (uint8_t)(FLAG_RA | a->rcode);
    for (size_t i = 0; a->rcode == DNS_NOERROR && i < a->n && answers < DNS_ANSWERS_MAX; i++) {
        bool v4 = a->addresses[i].family == AF_INET;
        if (q->type != DNS_ANY && q->type != (v4 ? DNS_A : DNS_AAAA))
            continue;
        size_t bytes = inet_bytes(&a->addresses[i]);
        p = put16(p, 0xc000 | HEADER); /* the name of the question */
        p = put16(p, v4 ? DNS_A : DNS_AAAA);
        p = put16(p, CLASS_IN);
        p = put32(p, a->ttl);
        p = put16(p, (unsigned)bytes);
        memcpy(p, a->addresses[i].addr, bytes);
        p += bytes;
        answers++;
    }
    put16(ret + 6, answers);
    put16(ret + 8, 0);
    put16(ret + 10, q->edns);
    if (q->edns) {
        *p++ = 0; /* the root */
        p = put16(p, TYPE_OPT);
        p = put16(p, UDP_SIZE);
        p = put32(p, 0);
        p = put16(p, 0);
    }
    return (size_t)(p - ret);
}

size_t dns_query(uint16_t id, const char *name, uint16_t type, uint8_t *ret, size_t room)
{
    size_t len = strlen(name);
    uint8_t *p = ret + HEADER;
    if (len && name[len - 1] == '.')
        len--;
    if (len == 0 || len > 253 || HEADER + len + 6 > room)
        return 0;
    memset(ret, 0, HEADER);
    put16(ret, id);
    ret[2] = FLAG_RD;
    put16(ret + 4, 1);
    for (const char *at = name, *end = name + len; at < end;) {
        const char *dot = memchr(at, '.', (size_t)(end - at));
        size_t n = (size_t)((dot ? dot : end) - at);
        if (n == 0 || n > LABEL_MAX || (dot && dot + 1 == end))
            return 0;
        for (size_t i = 0; i < n; i++)
            if (!isalnum((unsigned char)at[i]) && at[i] != '-' && at[i] != '_' && at[i] != '*')
                return 0;
        *p++ = (uint8_t)n;
        memcpy(p, at, n);
        p += n;
        at += n + 1;
    }
    *p++ = 0;
    p = put16(p, type);
    p = put16(p, CLASS_IN);
    return (size_t)(p - ret);
}

bool dns_read_reply(const uint8_t *m, size_t n, uint16_t id, struct dns_seen *ret)
{
    if (n < HEADER || get16(m) != id || !(m[2] & FLAG_QR))
        return false;
    *ret = (struct dns_seen){.rcode = m[3] & 0x0f};
    size_t at = HEADER;
    for (unsigned i = get16(m + 4); i > 0; i--) {
        if (!(at = skip_name(m, n, at)) || at + 4 > n)
            return true;
        at += 4;
    }
    for (unsigned i = get16(m + 6); i > 0 && !ret->first.family; i--) {
        uint16_t type;
        size_t data, end = skip_record(m, n, at, &type, &data);
        if (!end)
            return true;
        if (type == DNS_A && end - data == 4)
            ret->first = inet_address(AF_INET, m + data);
        else if (type == DNS_AAAA && end - data == 16)
            ret->first = inet_address(AF_INET6, m + data);
        at = end;
    }
    return true;
}

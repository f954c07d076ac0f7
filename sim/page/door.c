/* Codes and cookies from one key. */
#include "sim/page/door.h"

#include "sim/base/digest.h"
#include "sim/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 10
#define TRY_EVERY (6 * NSEC_SEC)
#define ADDRESSES 256
#define ADDRESS_MAX 64

struct tries { /* of an address: a bucket of wrong codes that drains */
    char address[ADDRESS_MAX];
    nsec empty_at; /* when none would count any more */
};

struct door {
    unsigned char key[DOOR_KEY];
    struct tries tries[ADDRESSES];
};

struct door *door_new(const unsigned char key[DOOR_KEY])
{
    struct door *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    memcpy(d->key, key, DOOR_KEY);
    return d;
}

struct door *door_free(struct door *d)
{
    if (!d)
        return NULL;
    explicit_bzero(d->key, sizeof d->key);
    free(d);
    return NULL;
}

/* The purpose stands in front, so that no MAC for one can be shown for another. */
static void door_mac(const struct door *d, const char *purpose, const char *text,
                     unsigned char mac[DIGEST_MAC])
{
    char said[DOOR_COOKIE_MAX + 32];
    int n = snprintf(said, sizeof said, "%s:%s", purpose, text);
    digest_hmac(d->key, sizeof d->key, said, (size_t)n, mac);
}

/* Crockford's alphabet: nothing that is read wrongly aloud (no i, l, o, u). */
void door_code(const struct door *d, const char *role, char code[DOOR_CODE])
{
    static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned char mac[DIGEST_MAC];
    char *c = code;
    door_mac(d, "code", role, mac);
    for (int i = 0; i < 12; i++) {
        if (i == 4 || i == 8)
            *c++ = '-';
        *c++ = letters[mac[i] & 31];
    }
    *c = '\0';
}

/* As long for a wrong one as for the right one, of the same length. */
static bool same(const char *a, const char *b, size_t n)
{
    unsigned char differs = 0;
    for (size_t i = 0; i < n; i++)
        differs |= (unsigned char)(a[i] ^ b[i]);
    return !differs;
}

/* What is meant by a code that was read aloud: lower case, without hyphens and blanks; o is 0, i and
 * l are 1. More than fits is no code at all. */
static size_t code_plain(const char *given, char plain[DOOR_CODE])
{
    size_t n = 0;
    for (const char *c = given; *c; c++) {
        char l = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
        if (l == '-' || l == ' ')
            continue;
        if (n == DOOR_CODE - 1)
            return 0;
        plain[n++] = l == 'o' ? '0' : l == 'i' || l == 'l' ? '1' : l;
    }
    plain[n] = '\0';
    return n;
}

bool door_opens(const struct door *d, const char *role, const char *given)
{
    char code[DOOR_CODE], wanted[DOOR_CODE], said[DOOR_CODE];
    door_code(d, role, code);
    size_t n = code_plain(code, wanted);
    return code_plain(given, said) == n && same(said, wanted, n);
}

void door_cookie_name(const struct door *d, char name[32])
{
    unsigned char mac[DIGEST_MAC];
    door_mac(d, "name", "", mac);
    snprintf(name, 32, "blackstart_%02x%02x%02x%02x", mac[0], mac[1], mac[2], mac[3]);
}

static char *hex_add(char *to, const void *data, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) {
        *to++ = digits[p[i] >> 4];
        *to++ = digits[p[i] & 15];
    }
    *to = '\0';
    return to;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False unless exactly n digits, of text without a NUL, are there. */
static bool hex_take(const char *from, size_t n, char *to, size_t size)
{
    if (n % 2 || n / 2 >= size)
        return false;
    for (size_t i = 0; i < n; i += 2) {
        int high = hex_digit(from[i]), low = high < 0 ? -1 : hex_digit(from[i + 1]);
        if (high < 0 || low < 0 || high + low == 0)
            return false;
        to[i / 2] = (char)(high << 4 | low);
    }
    to[n / 2] = '\0';
    return true;
}

/* HEX(name).HEX(role).HEX(mac): none of it may be empty, no part contains a point. */
void door_cookie(const struct door *d, const struct door_person *p, char cookie[DOOR_COOKIE_MAX])
{
    unsigned char mac[DIGEST_MAC];
    char *end = hex_add(cookie, p->name, strlen(p->name));
    *end++ = '.';
    end = hex_add(end, p->role, strlen(p->role));
    door_mac(d, "cookie", cookie, mac);
    *end++ = '.';
    hex_add(end, mac, sizeof mac);
}

bool door_knows(const struct door *d, const char *cookie, struct door_person *ret)
{
    char said[DOOR_COOKIE_MAX], wanted[2 * DIGEST_MAC + 1];
    unsigned char mac[DIGEST_MAC];
    struct door_person p;
    size_t n = strlen(cookie);
    if (n >= sizeof said)
        return false;
    memcpy(said, cookie, n + 1);
    char *role = strchr(said, '.'), *shown = role ? strchr(role + 1, '.') : NULL;
    if (!shown)
        return false;
    *shown++ = '\0';
    door_mac(d, "cookie", said, mac);
    hex_add(wanted, mac, sizeof mac);
    if (strlen(shown) != strlen(wanted) || !same(shown, wanted, strlen(wanted)))
        return false;
    *role++ = '\0';
    if (!hex_take(said, strlen(said), p.name, sizeof p.name) ||
        !hex_take(role, strlen(role), p.role, sizeof p.role))
        return false;
    *ret = p;
    return true;
}

int door_name(const char *given, char name[DOOR_NAME_MAX], struct err *err)
{
    size_t n = 0;
    bool blank = false;
    char fit[DOOR_NAME_MAX];
    for (const char *c = given; *c; c++) {
        if (*c == ' ' || *c == '\t' || *c == '\n' || *c == '\r') {
            blank = n > 0;
            continue;
        }
        if (n + blank + 1 >= sizeof fit)
            return err_set(err, EINVAL, "the name is too long: at most %zu bytes", sizeof fit - 1);
        if (blank)
            fit[n++] = ' ';
        blank = false;
        fit[n++] = *c;
    }
    fit[n] = '\0';
    if (n == 0)
        return err_set(err, EINVAL, "a name is missing: others must know who speaks");
    char printable[DOOR_NAME_MAX];
    memcpy(printable, fit, n + 1);
    text_make_printable(printable, n);
    if (strcmp(printable, fit) != 0)
        return err_set(err, EINVAL, "the name is not text: it has control characters in it");
    memcpy(name, fit, n + 1);
    return 0;
}

/* The bucket of an address; the one that drains first is given to a new address. */
static struct tries *tries_of(struct door *d, const char *address)
{
    struct tries *oldest = &d->tries[0];
    for (size_t i = 0; i < ADDRESSES; i++) {
        if (strcmp(d->tries[i].address, address) == 0)
            return &d->tries[i];
        if (d->tries[i].empty_at < oldest->empty_at)
            oldest = &d->tries[i];
    }
    snprintf(oldest->address, sizeof oldest->address, "%s", address);
    oldest->empty_at = 0;
    return oldest;
}

bool door_may_try(struct door *d, const char *address, nsec now)
{
    return tries_of(d, address)->empty_at <= now + (TRIES - 1) * TRY_EVERY;
}

void door_wrong(struct door *d, const char *address, nsec now)
{
    struct tries *t = tries_of(d, address);
    t->empty_at = (t->empty_at > now ? t->empty_at : now) + TRY_EVERY;
}

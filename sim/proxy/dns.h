/* DNS messages as far as a resolver that lies needs them: what is asked, and a whole answer to it.
 * Pure. Source: RFC 1035, 6891 (EDNS).
 *
 * Own code rather than c-ares: that library (as Debian 12 has it) reads answers and builds queries, but
 * reads no queries and builds no answers, which is what is needed here.
 */
#pragma once

#include "sim/kernel/inet.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX 256
#define DNS_MESSAGE_MAX 65535
#define DNS_ANSWERS_MAX 16
enum { DNS_A = 1, DNS_AAAA = 28, DNS_ANY = 255 };
enum { DNS_NOERROR = 0, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3 };

struct dns_question {
    char name[DNS_NAME_MAX]; /* lower case, labels with dots between; "" is the root */
    uint16_t type;
    size_t end; /* of the question in the message */
    bool edns;
};
/* False: not a query with one question. */
bool dns_question(const uint8_t *message, size_t n, struct dns_question *ret);

/* "example.com", "*.example.com" (everything below it), "*" (everything); case does not matter. */
bool dns_matches(const char *pattern, const char *name);
/* Whether a text can be such a pattern. */
bool dns_is_pattern(const char *text);

struct dns_answer { /* the address records of one name */
    int rcode;
    uint32_t ttl; /* seconds */
    const struct inet_prefix *addresses;
    size_t n;
};
/* The answer to a query that dns_question() has read. 0: it does not fit. */
size_t dns_reply(const uint8_t *query, const struct dns_question *q, const struct dns_answer *a,
                 uint8_t *ret, size_t room);
/* A query for the addresses of a name. 0: the name cannot be asked for. */
size_t dns_query(uint16_t id, const char *name, uint16_t type, uint8_t *ret, size_t room);

struct dns_seen {
    int rcode;
    struct inet_prefix first; /* the first address; family 0: none */
};
/* An answer to the query with this id. */
bool dns_read_reply(const uint8_t *message, size_t n, uint16_t id, struct dns_seen *ret);

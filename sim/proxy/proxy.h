/* A process of ours in somebody's way: it stands in the network namespace of a host, is given the
 * connections or queries of one port there by rules of nf_tables, does to some of them what it was asked
 * to, and hands all others on as they came.
 *
 * Which packets it is given:
 *   PROXY_DNS        what the host itself sends to port 53 (hook output: redirected, UDP and TCP)
 *   PROXY_HTTP, _TLS what is sent to one TCP port of this host, by others or by itself (hook prerouting:
 *                    given to a transparent socket, so addresses stay as they were)
 * Its own packets carry PROXY_MARK, and pass.
 *
 * The way heals by itself: the table of rules belongs to a socket that this process alone holds. Whoever
 * kills it, the kernel takes the rules away with it; it dies with the runner (PR_SET_PDEATHSIG, and end
 * of file on its socket). UDP flows that were redirected are tracked in a zone of their own, so none of
 * them is remembered where the rules are gone. Connections through it end with it.
 *
 * Ownership: proxy_start() … proxy_free(); what a spec points to must live as long (the process is a
 * copy of the caller's, who must have one thread).
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include "sim/base/text.h"
#include "sim/kernel/inet.h"
#include "sim/kernel/nft.h"
#include <sys/socket.h>

#define PROXY_MARK 0xb5a70001u
#define PROXY_ZONE 46165
#define PROXY_DNS_PORT 53

enum proxy_kind { PROXY_DNS, PROXY_HTTP, PROXY_TLS };

struct proxy_dns { /* exactly one of drop, delay, rcode, addresses */
    bool drop;
    nsec delay;
    int rcode; /* DNS_SERVFAIL, DNS_NXDOMAIN */
    const struct inet_prefix *addresses;
    size_t addresses_n;
    uint32_t ttl;
    const struct strv *names; /* patterns (dns.h); none: all */
};

struct proxy_http { /* exactly one of delay, abort, status */
    nsec delay;
    bool abort;
    int status;
    const struct strv *methods, *paths; /* none: all; a path may end with '*' */
};

enum proxy_flaw { FLAW_EXPIRED, FLAW_WRONG_NAME, FLAW_SELF_SIGNED, FLAW_NOT_YET_VALID };
struct proxy_tls {
    enum proxy_flaw flaw;
    const char *ca_certificate, *ca_key; /* PEM texts; NULL: signed by itself */
};

struct proxy_spec {
    enum proxy_kind kind;
    const char *host;               /* for texts */
    int netns_fd;                   /* borrowed until proxy_start() returns */
    uint16_t port;                  /* HTTP and TLS */
    const struct inet_prefix *pass; /* who is never looked at: clients; of DNS name servers */
    size_t pass_n;
    double share; /* of what matches */
    uint64_t seed;
    struct proxy_dns dns;
    struct proxy_http http;
    struct proxy_tls tls;
};

/* "blackstart-dns", "blackstart-port-80": one of ours in one way. Returns buf. */
#define PROXY_TABLE_MAX 32
const char *proxy_table(enum proxy_kind kind, uint16_t port, char buf[PROXY_TABLE_MAX]);
/* The rules, for the process (with the port it listens on) and for plan. They are one transaction; the
 * table exists. */
struct proxy_listens {
    uint16_t port;
    bool v4, v6;
};
void proxy_encode(struct nl *nl, const struct proxy_spec *spec,
                  const struct proxy_listens *listens);

struct proxy;
/* The process runs and listens; nothing is led to it yet. -EOPNOTSUPP: this kernel cannot, in words. */
int proxy_start(const struct proxy_spec *spec, struct proxy **ret, struct err *err);
/* The rules are in force; `changed` (NULL: nobody) is told of each change that was made for that. -EBUSY:
 * one of ours stands in this way already. */
int proxy_engage(struct proxy *p, nl_observer *changed, void *data, struct span *ret_at,
                 struct err *err);
/* SIGKILL; when it returns the rules have gone. */
struct proxy *proxy_free(struct proxy *p);
DEFINE_CLEANUP(struct proxy, proxy_free);

struct proxy_counts {
    uint64_t seen;    /* queries, requests, TLS connections that were looked at */
    uint64_t hit;     /* of these, what was asked for was done to; our own not counted */
    uint64_t own;     /* our own */
    uint64_t foreign; /* what is not of this protocol: passed on unread */
    uint64_t failed;  /* could not be handed on: nobody answers there */
};
/* -ESRCH: it has ended. */
int proxy_read(struct proxy *p, struct proxy_counts *ret, struct err *err);
/* What comes from this port next is a request of our own: it is always hit, not counted, and never
 * reaches the server (but for TLS, whose certificate is needed). 0: no more. */
int proxy_expect(struct proxy *p, uint16_t own_port, struct err *err);

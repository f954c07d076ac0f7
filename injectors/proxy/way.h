/* A proxy of ours in the way of a host: what dns, http and tls faults share.
 *
 * The state of such a fault is a `struct way`; each family fills in the spec of its proxy and the words,
 * and has the rest done here.
 */
#pragma once

#include "injectors/injector.h"
#include "injectors/params.h"
#include "injectors/process/targets.h"
#include "sim/proxy/dns.h"
#include "sim/proxy/own.h"

struct way_host;

struct way {
    struct proxy_spec spec; /* host, netns_fd and seed are set for each host */
    char text[160];         /* what is done to whom: "NXDOMAIN for *.example.com" */
    char ask[DNS_NAME_MAX]; /* dns: the name that a query of our own is for */
    nsec within;            /* how long that may take */
    struct targets targets;
    struct way_host *hosts;
    nsec asked_at; /* NSEC_UNSET: no request of our own is under way */
    bool proved;   /* it was seen to bite; from then on it must only stand */
    /* What the spec points to, where it is not the scenario's. */
    struct inet_prefix addresses[DNS_ANSWERS_MAX];
    char *ca_certificate, *ca_key;
};

/* Reads the parameters into a way, without touching anything: for plan and prepare. */
typedef int way_fill_fn(const struct step *step, struct way *w, struct err *err);

/* May the way of this host be stood in at all? */
int way_check(const struct scenario *s, const struct target *host, struct err *err);
int way_supported(const struct inject_env *env, enum proxy_kind kind, struct err *err);
int way_plan(const struct inject_env *env, const struct step *step, const struct target *host,
             way_fill_fn *fill, json_t *texts, struct err *err);
/* *ret: the state. */
int way_prepare(struct inject_env *env, const struct step *step, const struct target *host,
                way_fill_fn *fill, struct way **ret, json_t **ret_undo, struct err *err);
/* As struct injector's functions of these names. */
int way_apply(struct inject_env *env, void *state, struct inject_result *ret, struct err *err);
int way_verify(struct inject_env *env, void *state, struct inject_proof *ret, struct err *err);
int way_revert(struct inject_env *env, const json_t *undo, struct inject_result *ret,
               struct err *err);
void way_touches(const json_t *undo, json_t *ret);
void way_done(void *state);

/* "20% of " before what is hit, or nothing. */
void way_share_text(double share, struct buf *out);
int way_share_check(double share, struct err *err);
/* "a, b, c" */
void way_list_text(const struct strv *list, struct buf *out);

extern const struct inject_means way_dns_means[], way_port_means[];

/* Rows of the parameter tables. */
#define WAY_HOST_FIELD(type_, sample, words)                                                       \
    {                                                                                              \
        .key = "host", .type = FIELD_OBJECT, .flags = FIELD_REQUIRED,                              \
        .offset = offsetof(struct type_, host), .record = &target_record, .help = words,           \
        .example = sample                                                                          \
    }
#define WAY_PORT_FIELD(type_, sample, words)                                                       \
    {                                                                                              \
        .key = "port", .type = FIELD_INTEGER, .flags = FIELD_REQUIRED,                             \
        .offset = offsetof(struct type_, port), .min = 1, .max = 65535, .help = words,             \
        .example = sample                                                                          \
    }
#define WAY_SHARE_FIELD(type_, words)                                                              \
    {                                                                                              \
        .key = "share", .type = FIELD_PERCENT, .offset = offsetof(struct type_, share),            \
        .dflt = "100%", .help = words, .example = "20%"                                            \
    }
#define WAY_RECORD(type_, name_, summary_, fields_)                                                \
    {                                                                                              \
        .name = name_, .summary = summary_, .size = sizeof(struct type_), .fields = fields_,       \
        .name_offset = SIZE_MAX, .place_offset = SIZE_MAX, .variant_place_offset = SIZE_MAX        \
    }

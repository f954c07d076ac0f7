/* For tests of restoring: a service with its stages and people, put together by hand. */
#pragma once

#include "sim/forecast/response.h"

#include <string.h>

#define SECONDS(x) ((nsec)((x)*1e9))
#define UNCUT .least = NSEC_UNSET, .most = NSEC_UNSET
#define DISTRIBUTION(...) (&(const struct distribution){__VA_ARGS__, UNCUT})
#define CONSTANT(s) DISTRIBUTION(.kind = DISTRIBUTION_CONSTANT, .a = SECONDS(s))
#define UNIFORM(lo, hi)                                                                            \
    DISTRIBUTION(.kind = DISTRIBUTION_UNIFORM, .a = SECONDS(lo), .b = SECONDS(hi))
#define EXPONENTIAL(s) DISTRIBUTION(.kind = DISTRIBUTION_EXPONENTIAL, .a = SECONDS(s))
#define TEXT(s) ((char *)(uintptr_t)(s))

struct people_world {
    struct service_model model;
    struct stage stages[8];
    struct responder responders[4];
    struct freeze freeze_list[2];
    struct distribution distributions[12];
    size_t distributions_n;
    char *names[16];
    size_t names_n;
    void *stage_items[8], *responder_items[4], *freeze_items[2];
    struct objects responders_all, freezes;
    struct response *response;
    struct response_stage ran[8];
    struct response_call calls[8];
    struct response_input in;
    struct response_output out;
    uint64_t seed, trial;
    int no_time, sure; /* a quantity; -1: none */
};

static inline struct people_world people_world(void)
{
    struct people_world w = {.model = {.service = TEXT("web"), .hold_down = NSEC_UNSET},
                             .seed = 1,
                             .no_time = -1,
                             .sure = -1};
    return w;
}

/* Kept: a literal does not outlive the function it stands in. */
static inline const struct distribution *people_keep(struct people_world *w,
                                                     const struct distribution *d)
{
    if (!d)
        return NULL;
    w->distributions[w->distributions_n] = *d;
    return &w->distributions[w->distributions_n++];
}

/* What is changed in the returned is what is to be otherwise. */
static inline struct stage *people_stage(struct people_world *w, const char *name,
                                         const struct distribution *takes)
{
    struct stage *s = &w->stages[w->model.restore.n];
    *s = (struct stage){.name = TEXT(name),
                        .takes = people_keep(w, takes),
                        .ttl = NSEC_UNSET,
                        .clients = 1,
                        .works = 1};
    w->stage_items[w->model.restore.n++] = s;
    w->model.restore.items = w->stage_items;
    return s;
}

static inline struct strv people_names(struct people_world *w, size_t n, const char *const *names)
{
    struct strv v = {w->names + w->names_n, n};
    for (size_t i = 0; i < n; i++)
        w->names[w->names_n++] = TEXT(names[i]);
    return v;
}
#define NAMES(w, ...)                                                                              \
    people_names((w), sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                      \
                 (const char *[]){__VA_ARGS__})

static inline struct responder *people_responder(struct people_world *w, const char *name,
                                                 const struct distribution *acknowledges)
{
    struct responder *r = &w->responders[w->responders_all.n];
    *r = (struct responder){.name = TEXT(name),
                            .acknowledges = people_keep(w, acknowledges),
                            .responds = 1,
                            .escalate_after = NSEC_UNSET,
                            .from = NSEC_UNSET,
                            .to = NSEC_UNSET};
    w->responder_items[w->responders_all.n++] = r;
    w->responders_all.items = w->responder_items;
    return r;
}

static inline void people_freeze(struct people_world *w, nsec from, nsec lasting)
{
    struct freeze *f = &w->freeze_list[w->freezes.n];
    *f = (struct freeze){.from = from, .lasting = lasting};
    w->freeze_items[w->freezes.n++] = f;
    w->freezes.items = w->freeze_items;
}

static inline int people_ready(struct people_world *w, struct err *err)
{
    return response_new(&w->model, &w->responders_all, &w->freezes, &w->response, err);
}

static inline struct rng people_stream(size_t quantity, bool *ret_no_time, bool *ret_sure,
                                       void *data)
{
    const struct people_world *w = data;
    *ret_no_time = w->no_time == (int)quantity;
    *ret_sure = w->sure == (int)quantity;
    return rng_stream_at(w->seed, w->trial, quantity);
}

static inline void people_run(struct people_world *w)
{
    struct response_draws draws = {people_stream, w};
    response_run(w->response, &w->in, &draws, w->ran, w->calls, &w->out);
}

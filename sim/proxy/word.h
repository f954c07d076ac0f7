/* What the runner and a proxy's process say to each other: one message each way, in order, over a
 * SEQPACKET socket pair. Both are one program image. Private to this room. */
#pragma once

#include "sim/proxy/proxy.h"

/* WORD_CHANGE: a change it has made while it engages, before its answer. */
enum word_kind { WORD_READY, WORD_ENGAGE, WORD_READ, WORD_EXPECT, WORD_CHANGE };

struct word {
    enum word_kind kind;
    uint16_t port;              /* EXPECT */
    int error;                  /* of an answer: 0, or an errno with its sentence */
    struct span at;             /* ENGAGE */
    struct proxy_counts counts; /* READ */
    char text[ERR_TEXT_MAX];
};

/* In the new process; never returns. */
__attribute__((noreturn)) void inside_run(const struct proxy_spec *spec, int sock);

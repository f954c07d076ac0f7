/* Words and exit codes of a result. */
#include "reports/result.h"

#include <assert.h>
#include <string.h>

const char *const status_words[] = {"completed", "aborted", "failed"};
const char *const verdict_words[] = {"not_applicable", "met", "not_demonstrated", "inconclusive",
                                     "not_met"};
const char *const share_words[] = {"not_applicable", "within", "missed", "open", "void"};
const char *const trial_outcome_words[] = {"void", "unaffected", "restored", "censored"};
const char *const detection_words[] = {"not_applicable", "detected", "not_detected",
                                       "restored_first", "masked"};
const char *const restored_by_words[] = {NULL, "recovery", "heal"};
const char *const objective_words[] = {"rto",         "detect",      "max_downtime", "expect",
                                       "no_outage",   "no_alarm",    "rpo",          "success",
                                       "latency_p50", "latency_p95", "latency_p99"};
const char *const weight_words[] = {"note", "warning", "failure"};
static_assert(sizeof objective_words / sizeof *objective_words == OBJECTIVE_KINDS, "a word each");

struct result *result_free(struct result *r)
{
    if (r)
        arena_free(r->arena);
    return NULL;
}

int result_exit_code(const struct result *r)
{
    if (r->clean == 0)
        return 6;
    if (r->status != STATUS_COMPLETED)
        return 5;
    switch (r->verdict) {
    case VERDICT_NOT_MET:
        return 1;
    case VERDICT_MET:
        return 0;
    case VERDICT_NOT_APPLICABLE:
    case VERDICT_NOT_DEMONSTRATED:
    case VERDICT_INCONCLUSIVE:
        break;
    }
    return 4;
}

int result_worse_exit_code(int a, int b)
{
    static const int order[] = {6, 5, 1, 4, 0};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return a > b ? a : b;
}

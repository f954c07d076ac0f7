/* The sentences that people read, made in one place: terminal, Markdown, JUnit and HTML say the
 * same.
 *
 * All functions append to the caller's buffer: plain text, UTF-8, no markup, no newline; names from
 * scenarios and records stand in it as they are, so a renderer must escape the whole.
 */
#pragma once

#include "reports/result.h"
#include "sim/base/buf.h"

/* "3.2 s (3.1–3.3)", "475 ms (399–551)", "more than 58 s", "at most 230 ms" (for [0, x]). The
 * bounds are rounded outwards. */
void sentence_span(struct span s, struct buf *out);
/* "3.2 s", "475 ms", "1 h 20 min": rounded to the nearest; not for what has no end. */
void sentence_time(nsec t, struct buf *out);
/* "10 s", "1.2345 s", "1 h 30 min 5 s": a promise exactly as it was given. */
const char *sentence_target(nsec t, char text[static NSEC_TEXT_MAX]);
/* "met", "not met", "not demonstrated", … */
const char *sentence_verdict(enum verdict v);
/* "LIVE DRILL", … from the record's mode. */
const char *sentence_mode(const struct result *r);
/* What a command of a step came to: "exit code 3", "it could not be run, host 'db2' is down". */
void sentence_action(const struct action *a, struct buf *out);
/* What an objective promises: "restored within 10 s", "noticed within 3 s by page". */
void sentence_promise(const struct objective *o, struct buf *out);
/* What its worst trial came to, with the promise and the verdict: one sentence, or two. */
void sentence_objective(const struct result *r, const struct objective *o, struct buf *out);
/* A share as a percentage to one place, rounded down: for lower bounds. */
double sentence_percent_down(double share);
/* "97.5 %", "between 97.5 and 98.2 %", "nothing is known"; rounded down, so that less than all is never
 * "100 %". Appends. */
void sentence_success(const struct kept *k, struct buf *out);
/* What the number of trials shows. */
void sentence_reliability(const struct result *r, const struct objective *o, struct buf *out);
/* Whether everything was undone. */
void sentence_clean(const struct result *r, struct buf *out);
/* The objective that headlines are about: the worst verdict, of these the first. NULL: none. */
const struct objective *sentence_headline(const struct result *r);
/* All of it: status, the headline's objective and what it shows, the others, clean. */
void sentence_run(const struct result *r, struct buf *out);

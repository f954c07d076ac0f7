/* What a run would do, step by step, without doing anything.
 *
 * A new reference to {scenario, seed, trials, lab: [text…], steps: [{step, when, action, texts:
 * [text…]}…], blast_radius: {hosts: […], services: […]}}. caps: by which means this machine would do
 * it; NULL: not known.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/err.h"
#include "sim/kernel/hostcaps.h"
#include "sim/model/model.h"
#include <jansson.h>

int plan_make(const struct scenario *s, const struct hostcaps *caps, uint64_t seed, int64_t trials,
              json_t **ret, struct err *err);
/* The same for people. */
void plan_text(const json_t *plan, struct buf *out);
/* "from 5 s after settling, for 10 s": malloc'd. */
char *plan_when(const struct step *step);

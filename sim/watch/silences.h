/* Alertmanager's silences, looked at beside an alarm: whether one is active that concerns it.
 *
 * Ownership: silences_new() … silences_free(); the sentry is borrowed.
 */
#pragma once

#include "sim/watch/vantage.h"

struct silences;

/* `url`: where Alertmanager stands. What changes is told by sentry_silenced(). */
int silences_new(struct sentry *s, const char *url, struct silences **ret, struct err *err);
struct silences *silences_free(struct silences *q); /* takes NULL, returns NULL */

/* What the terminal shows while a drill runs: one status line on a terminal, plain lines elsewhere,
 * on stderr. NO_COLOR is respected; a pipe never gets a control character.
 *
 * Ownership: struct progress is embedded; progress_end() leaves the terminal as it was.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct progress {
    bool terminal, color, verbose, quiet;
    bool shown;   /* a status line stands on the terminal */
    json_t *rang; /* alarms whose first onset in this trial was shown */
    int64_t trial;
    size_t unheard; /* lines left out since whoever reads stopped reading */
};

void progress_begin(struct progress *p, bool verbose, bool quiet);
void progress_event(struct progress *p, const char *kind, const json_t *event);
void progress_tick(struct progress *p, const json_t *status);
void progress_end(struct progress *p);

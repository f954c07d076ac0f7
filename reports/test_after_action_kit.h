/* Exercises whose record a test writes by hand, line by line, and their after-action report. */
#pragma once

#include "tests/support/test.h"

#include "reports/after_action.h"
#include "sim/record/record.h"

struct played {
    char folder[64];
    int dirfd;
    int speed; /* of the exercise clock */
    nsec lag;  /* how long it has stood while the real one went on; for tests that hold it */
    struct record *record;
    struct report_outcome out;
    char *md, *html, *junit, *metrics; /* after played_report(); metrics: of machines alone */
    json_t *result;
};

struct played *played_new(const char *yaml, int speed);
void played_free(struct played *p);
/* One line at an instant of the exercise clock (with a lag: of one that never stood); its seq. `members`:
 * JSON. */
int64_t played_line(struct played *p, const char *kind, nsec clock, const char *members);
/* All files of the report, read back; fails the test when it cannot be made. */
void played_report(struct played *p);

/* Fails the test where the text does not stand in it. */
void played_has(const char *text, const char *what);
/* A name and its value, in both forms. */
void played_has_field(const struct played *p, const char *name, const char *value);

/* What `run` and a functional exercise have in common: everything around a drill. */
#pragma once

#include "sim/cli/command.h"
#include "sim/drill/drill.h"
#include "sim/drill/folder.h"

struct run_play { /* a functional exercise */
    struct drill_people people;
    /* The run's folder is there. Not 0: the exit code. */
    int (*prepared)(const struct folder *f, void *data);
    /* True when those who play have the terminal: no progress of the drill is shown any more. */
    bool (*has_terminal)(void *data);
    void *data;
};

/* The drill of a scenario (borrowed) that was loaded and may run, to its report: the exit code. `path`: the
 * scenario's file; play NULL: nobody plays. */
int run_scenario(const struct command *self, const struct args *a, struct scenario *s,
                 const char *path, int64_t trials, uint64_t seed, const struct run_play *play);

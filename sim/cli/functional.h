/* A functional exercise: sim/exercise conducts, sim/drill is the machine, `run` is around it. */
#pragma once

#include "sim/cli/command.h"
#include "sim/exercise/answers.h"

/* 0, or the exit code after saying why this scenario, or these options, cannot be played so. */
int functional_fits(const struct command *self, const struct args *a, const struct scenario *s);
/* To the report; `answers` (borrowed) NULL: people. */
int functional_play(const struct command *self, const struct args *a, struct scenario *s,
                    const char *path, struct answers *answers);

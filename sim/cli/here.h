/* What this machine must offer for a scenario, and where the scenario stands. */
#pragma once

#include "sim/kernel/hostcaps.h"
#include "sim/model/model.h"
#include <jansson.h>
#include <stdbool.h>

/* 0, or EXIT_CANNOT_RUN after saying every reason on stderr: privileges, programs that hosts start
 * and that are not installed, servers that need more than one uid where only one exists. ret_caps
 * (may be NULL): what this machine can do, for the caller to free. */
int here_check(const struct scenario *s, struct hostcaps **ret_caps);
/* Whether a host of a lab finds this program; one with a '/' may be the scenario's own. */
bool here_find(const char *program);
/* The folder of the scenario file, where files: are taken from; -1 when it cannot be opened. */
int here_open_source(const char *path);
/* Appends argv of this process. */
void here_command_line(json_t *list);

/* A look into what hosts start by a script or a configuration, for `check --here`: warnings on stderr
 * about what a list of programs does not show. Nothing here decides an exit code: a script may do
 * what it likes, so only what is plain is said.
 */
#pragma once

#include "sim/kernel/hostcaps.h"
#include "sim/model/model.h"
#include <stdbool.h>

/* `source_fd`: the scenario's folder. `installed`: whether a host of a lab would find a program.
 *
 * - a script among a host's files: that what it starts is not looked for; unless all it does is to
 *   `exec` one program, which is: whether that is installed;
 * - nginx where only one user exists: a configuration that does not say `user root;`. */
void look_into_files(const struct scenario *s, int source_fd, const struct hostcaps *caps,
                     bool (*installed)(const char *program));

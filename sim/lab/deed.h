/* What is done in a lab that is no message to the kernel's network: one text for each change, made here
 * alone. When it was done it is told to the lab's observer (lab_tell()), and `plan` writes the same into
 * its recording, so that both can be held against each other.
 *
 * Numbers that only the kernel can give (of processes) stand as "process 7 (nginx)"; with the number
 * left out it reads as in a plan.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/model/model.h"
#include <jansson.h>

/* "files a.conf, www copied to its working directory"; nothing where the host has none. */
void deed_files(const struct host *h, struct buf *out);
/* "start web: nginx -p ."; name NULL: "start: nginx -p ." */
void deed_start(const char *name, const char *command, struct buf *out);
/* "run: /bin/sh -c 'reload'" */
void deed_run(const char *command, struct buf *out);
/* "SIGKILL to " and whom, as one of the following says it */
void deed_signal(int signo, const char *whom, struct buf *out);
/* "process 7 (nginx, unit web)", of {pid, name, unit} as lab_node_processes() tells */
void deed_process(const json_t *proc, struct buf *out);
/* "the wall clock of its programs set off by -5 min", "… set right" */
void deed_clock(nsec offset, struct buf *out);
/* Of a command that deed_run() has told: "the command 'reload'" */
void deed_command(const char *command, struct buf *out);
#define DEED_INIT "its init"
#define DEED_MACHINE "this machine" /* where what belongs to no host is done */
#define DEED_RUN "RUN" /* in a plan: the name of the run, which is part of what we name */
#define DEED_LAB "lab" /* where the next is done */
#define DEED_FOLDERS "the working directories of its hosts removed"
#define DEED_GONE "its namespace let go, and with it every bridge, cable and rule"

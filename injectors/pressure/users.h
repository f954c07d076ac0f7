/* Who else uses a file system, for people who are about to fill it or to keep it busy.
 *
 * Nothing is owned or kept.
 */
#pragma once

#include "sim/attach/attach.h"

/* Of the file system of this folder of a host that others made: every process that has a file or a folder of it
 * open, or stands in one, those with most first, at most a few by name; and in how many mount namespaces besides
 * ours it is mounted. Appends a text. Of a container's layer: the disk below it. */
int users_describe(const struct attached_host *h, const char *path, json_t *texts, struct err *err);

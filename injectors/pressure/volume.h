/* A folder by its file system and its path inside of that: what still names it when whoever saw it
 * mounted has ended, or the machine was started again.
 *
 * Of the file system are kept: its type, the UUID by which /dev/disk/by-uuid names its device, the id
 * that statfs(2) tells, its source; of an overlay also where its upper layer lies, for there it is written.
 * Numbers of devices are told for the moment, and not looked for: they are others after a reboot. What we left in the folder is known by its
 * name, which holds the run's id: so it is found in whatever mount shows that path.
 *
 * Ownership: descriptors and JSON are the caller's.
 */
#pragma once

#include "sim/base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/* folder: an open one, of the mount namespace of this process (0: of ours). A new reference; NULL: it
 * cannot be told. */
json_t *volume_note(int folder, pid_t pid);
/* The device on which what is written there ends: of an overlay its upper layer's, where we see that. false:
 * it cannot be told. */
bool volume_device(int folder, pid_t pid, dev_t *ret);
/* It keeps what is written over a reboot. */
bool volume_lasts(const json_t *volume);
/* An open folder: it may be on this file system. */
bool volume_may_be(const json_t *volume, int folder);
/* The folder with something of this name in it: looked for in every mount of every process, then by mounting
 * the device for as long as *ret is open. 0; 1: the file system is there, or has gone for good (memory), and
 * that is not on it; -ENODEV: it cannot be reached, and the sentence says what cannot. */
int volume_find(const json_t *volume, const char *name, int *ret, struct err *err);

/* Files and folders, relative to a directory descriptor (AT_FDCWD for the working directory).
 * Errors name the path and the kernel's reason.
 */
#pragma once

#include "sim/base/err.h"
#include <stddef.h>
#include <sys/types.h>

/* The whole file, NUL-terminated; the caller frees *ret. More than `limit` bytes: EFBIG. */
int file_read(int dirfd, const char *path, size_t limit, char **ret, size_t *ret_n,
              struct err *err);
/* All bytes to fd, retrying short writes. */
int file_write_all(int fd, const void *data, size_t n, struct err *err);
/* Replaces the file at once (temporary name, fsync, rename): readers see old or new, never half. */
int file_replace(int dirfd, const char *path, const void *data, size_t n, struct err *err);
/* mkdir -p */
int file_make_dirs(int dirfd, const char *path, mode_t mode, struct err *err);
/* rm -rf, without following links or leaving the file system of the folder. A missing path is fine.
 */
int file_remove_tree(int dirfd, const char *path, struct err *err);
/* Copies a file or a folder with its mode; links are copied as links. Folders above `to` are made.
 * Nothing is written outside of to_dirfd, nor read outside of from_dirfd unless `from` is absolute,
 * whatever ".." and links say: -EXDEV, -ELOOP. */
int file_copy_tree(int from_dirfd, const char *from, int to_dirfd, const char *to, struct err *err);
/* In a process that was forked: closes all descriptors above the standard ones but these (-1 is none),
 * which it sorts. nftables of an owner, journals and namespaces live as long as any copy of theirs. */
void file_close_others(int *keep, size_t n);

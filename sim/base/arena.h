/* An arena: memory that is freed all at once. The model of a scenario lives in one.
 *
 * Ownership: everything handed out belongs to the arena and lives until arena_free(). Running out
 * of memory ends the program (there is nothing useful to do in a half-built model).
 */
#pragma once

#include "sim/base/cleanup.h"
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
struct arena *arena_free(struct arena *a); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct arena, arena_free);

void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for any type */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

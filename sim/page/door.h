/* Who may come in: a code for each role, and the cookie of somebody who came in with one.
 *
 * Everything is derived from one key of 32 random bytes by HMAC-SHA-256, so that whoever keeps the
 * key keeps codes and cookies valid: a page that was killed and resumed knows its people again. A
 * code has 60 bits; wrong ones are counted for each address. A cookie is its content (who, in which
 * role) and its MAC: nothing is stored, nothing can be guessed, and what one was given for one role
 * opens no other.
 *
 * No I/O; times are passed in.
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/base/nsec.h"
#include <stdbool.h>
#include <stddef.h>

#define DOOR_KEY 32
#define DOOR_CODE 16     /* "k7qd-93mx-ab2t" and the NUL */
#define DOOR_NAME_MAX 80 /* bytes of a person's name, with the NUL */
#define DOOR_ROLE_MAX 64 /* of a role, as the language limits it */
#define DOOR_COOKIE_MAX 512

struct door;
struct door_person {
    char name[DOOR_NAME_MAX];
    char role[DOOR_ROLE_MAX];
};

/* `key` is copied. */
struct door *door_new(const unsigned char key[DOOR_KEY]);
struct door *door_free(struct door *d); /* takes NULL, returns NULL; the key is wiped */
DEFINE_CLEANUP(struct door, door_free);

void door_code(const struct door *d, const char *role, char code[DOOR_CODE]);
/* Whether `given` is the code of this role; case, blanks and hyphens do not count. */
bool door_opens(const struct door *d, const char *role, const char *given);

/* The cookie's name: of this key, since cookies do not tell the ports of one machine apart. */
void door_cookie_name(const struct door *d, char name[32]);
void door_cookie(const struct door *d, const struct door_person *p, char cookie[DOOR_COOKIE_MAX]);
bool door_knows(const struct door *d, const char *cookie, struct door_person *ret);

/* Takes a name as somebody typed it: 1 to DOOR_NAME_MAX-1 bytes of UTF-8 without control
 * characters, blanks at the ends dropped and runs of them made one. -EINVAL with a sentence. */
int door_name(const char *given, char name[DOOR_NAME_MAX], struct err *err);

/* Whether this address may try a code now: 10 wrong ones, then one every 6 s. */
bool door_may_try(struct door *d, const char *address, nsec now);
void door_wrong(struct door *d, const char *address, nsec now);

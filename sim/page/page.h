/* The page that people join in the browser: who is there, what each is shown, what each may ask for.
 *
 * It knows nothing of exercises or drills. The owner says what a person may see (one JSON document)
 * and takes what they ask for; nothing else ever leaves, so what the owner does not write into a
 * person's view cannot be found out. When something has changed the owner calls page_changed(): each
 * client gets its own view anew, whole, in one server-sent event; a client that reconnects gets it at
 * once. Views are small; a client that is slow skips those that were replaced meanwhile, so what
 * waits for it is bounded by one view.
 *
 * Coming in: a code for each role (see door.h) opens that role. The room's code opens a waiting room:
 * who has chosen a role there comes in when somebody who may admit says so.
 *
 * Requests (all JSON; a refusal has {"error": SENTENCE}):
 *   GET  /, /screen, /page.js, /page.css, /icon.svg     what everybody may read
 *   POST /seats   {"code"}                              200 {"seats": [{"role","title","direct"}]}
 *   POST /join    {"code", "name", "role"}              200 and a cookie; 202 {"waiting": ID}
 *   POST /waiting {"waiting": ID}                       202, 200 and a cookie, 403
 *   POST /leave   {}                                    200, the cookie is gone
 *   GET  /events                                        server-sent events: `view`
 *   GET  /view                                          the same document, once
 *   POST /do      {"do", "key", …}                      200 {}; `key`: new with each, a repeated one is refused
 *   GET  /attachment/NAME                               an attachment that the view names
 * The view's envelope: {"title", "me": {"person","role","kind"}, "view": …} and, for those who may
 * admit, "waiting": [{"id","person","role"}] and "codes": [{"role","title","code"}].
 *
 * Hostile clients: no secret in a URL; cookies HttpOnly and SameSite=Strict; a request that changes
 * something must be JSON and come from this origin; sizes, rates, connections and persons are
 * limited; codes cannot be guessed (60 bits, wrong ones counted); everything shown is text.
 */
#pragma once

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/loop/loop.h"
#include "sim/page/door.h"
#include <jansson.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct page;

struct page_seat { /* a role that can be taken */
    const char *role, *title, *kind;
    bool admits;  /* sees codes, lets people in */
    bool by_room; /* may be asked for with the room's code */
};

struct page_person {
    const char *name;
    const struct page_seat *seat;
};

enum page_coming { PAGE_JOINED, PAGE_AWAY, PAGE_BACK, PAGE_LEFT };

struct page_handlers {
    /* Appends the JSON of what this person may see now. */
    void (*view)(const struct page_person *p, struct buf *json, void *data);
    /* What the person asks for. Negative: refused, the person reads the sentence
     * (EPERM, EACCES: not theirs; EINVAL: not understood; EALREADY, EAGAIN: not now; ENOENT). */
    int (*act)(const struct page_person *p, const json_t *command, struct err *err, void *data);
    /* May be NULL. Joined: negative refuses them, with a sentence. Away: no client of theirs has been
     * connected for some seconds. Back: from there, or with a cookie from before we were started anew. */
    int (*came)(const struct page_person *p, enum page_coming what, struct err *err, void *data);
    /* An attachment by the name the view gave it: 0, *ret_type constant; -ENOENT also for what this
     * person may not see. May be NULL. */
    int (*file)(const struct page_person *p, const char *name, struct buf *content,
                const char **ret_type, void *data);
    void *data;
};

struct page_spec {
    const char *title;
    const struct page_seat *seats; /* borrowed until page_close() */
    size_t n_seats;
    const unsigned char *key; /* DOOR_KEY random bytes */
    struct sockaddr_storage address;
    socklen_t address_n;
    const char *certificate, *key_of_certificate; /* PEM; NULL: no TLS */
    struct page_handlers handlers;                /* copied */
};

int page_open(struct loop *loop, const struct page_spec *spec, struct page **ret, struct err *err);
struct page *page_close(struct page *p); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct page, page_close);

/* Views are made and sent in the loop's next turn, once however often this was called before it. */
void page_changed(struct page *p);
/* "http://127.0.0.1:8080/" */
#define PAGE_URL_MAX 96
void page_url(const struct page *p, char url[PAGE_URL_MAX]);
void page_code(const struct page *p, const char *role, char code[DOOR_CODE]);
void page_room_code(const struct page *p, char code[DOOR_CODE]);
/* [{role, title, code}], the room's own (role null) first; a new reference. */
json_t *page_new_codes(const struct page *p);
size_t page_connected(const struct page *p); /* clients with an open stream */

/* "8080", "127.0.0.1:8080", "[::1]:0": a port alone is on loopback. -EINVAL with a sentence. */
int page_address(const char *text, struct sockaddr_storage *ret, socklen_t *ret_n, struct err *err);
/* Whether what is sent to this address can be read by other machines on the way without TLS. */
bool page_is_public(const struct sockaddr_storage *address);

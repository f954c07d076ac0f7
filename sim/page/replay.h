/* The page on which something that was recorded is played: the views that there were, on a clock of its own.
 *
 * What is played is a reel: lines with their moments, and the view of each seat after so many of them. Who joins
 * takes one of its seats and sees what that seat saw. Beside them there is the presenter, who plays, pauses, sets
 * the speed, jumps, and looks through the eyes of any seat; who has a seat's code is a spectator. Nothing can be
 * changed: of what people may ask for only this is taken, from the presenter ({"do": …}):
 *   play | pause | speed {speed} | jump {to_s} | look {role} | close
 * Each view gets a member "replay": {at_s, length_s, playing, ended, speed, may: bool} and, for the presenter,
 * {as: role, seats: [{role, title}], chapters: [{at_s, text}]}.
 *
 * It is over (over() is called, once) when the presenter closes it, or it was played to its end and no presenter
 * is there (any more).
 *
 * Ownership: replay_open() … replay_close(); the reel and what it points to are borrowed until then.
 */
#pragma once

#include "sim/page/page.h"
#include "sim/page/playhead.h"

struct replay_chapter { /* a moment to which people want to jump */
    nsec at;
    char *text;
};
struct replay_reel {
    const char *title;
    const struct page_seat *seats;
    size_t n_seats;
    const nsec *moments; /* of the lines; ascending, from 0 */
    size_t n;
    const struct replay_chapter *chapters;
    size_t n_chapters;
    void (*turn)(size_t n, void *data); /* to be as it was after the first n lines */
    /* Appends the JSON object that this seat saw then. */
    void (*view)(const struct page_seat *seat, nsec at, struct buf *json, void *data);
    /* As page_handlers.file; NULL: there are none. */
    int (*file)(const struct page_seat *seat, const char *name, struct buf *content,
                const char **ret_type, void *data);
    void *data;
};

struct replay;
struct replay_spec {
    struct loop *loop;
    const struct replay_reel *reel;
    double speed;
    struct sockaddr_storage address; /* page_address() */
    socklen_t address_n;
    const char *certificate, *key_of_certificate; /* PEM; NULL: no TLS */
    void (*over)(void *data);
    void *data;
};
int replay_open(const struct replay_spec *spec, struct replay **ret, struct err *err);
struct replay *replay_close(struct replay *r); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct replay, replay_close);

void replay_url(const struct replay *r, char url[PAGE_URL_MAX]);
/* [{role, title, code}], a new reference. */
json_t *replay_new_codes(const struct replay *r);
bool replay_was_played(const struct replay *r); /* to its end */
nsec replay_at(const struct replay *r);

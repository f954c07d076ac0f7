/* The war room of a live drill: a page (sim/page) on which everybody sees the clock, services going red
 * and green, alarms as they fire and the faults in force; who has the code may stamp marks; who has the
 * operator's code may abort.
 *
 * It is a process of its own, made before the lab: it shares nothing with the drill but a socket, on
 * which the runner puts lines and never waits. A page that hangs, dies or is attacked costs the drill
 * nothing, and none of the lab's descriptors is in it. What people ask for goes the way of `blackstart
 * mark`: through the control socket. It dies with the runner (PDEATHSIG, end of file).
 *
 * Ownership: room_open() … room_close().
 */
#pragma once

#include "sim/base/cleanup.h"
#include "sim/base/err.h"
#include "sim/model/model.h"
#include "sim/page/page.h"

struct room;
struct room_spec {
    const char *listen;            /* page_address() */
    const char *certificate, *key; /* PEM files; NULL: no TLS */
    const struct scenario *scenario;
    const char *id; /* of the run */
};

/* Listens, and is ready. In the operator's own network namespace: before lab_prepare_process(). */
int room_open(const struct room_spec *spec, struct room **ret, struct err *err);
/* Says how it ended, if that is known ({sentence, verdict}; borrowed; NULL: not), and lets it go: those
 * who are connected get the last view. Waits 2 s at most. */
void room_close(struct room *r, const json_t *end);

const char *room_url(const struct room *r);
const char *room_address(const struct room *r); /* "127.0.0.1:8080" */
/* Its codes: [{role, title, code}], the room's own without a role first. Borrowed. */
const json_t *room_codes(const struct room *r);

void room_event(struct room *r, const char *kind, const json_t *event); /* takes NULL */
void room_tick(struct room *r, const json_t *status);                   /* takes NULL */
/* For replays: who may have joined, and whether lines of this kind are told (room_event()). */
const struct page_seat *room_seats(size_t *ret_n);
bool room_tells(const char *kind);
/* True when it has died or does not read: what was shown may be old. */
bool room_is_lost(const struct room *r);

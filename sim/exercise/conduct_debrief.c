/* Anonymous answers to the debrief on their way: into the box, that somebody answered into the record, and the
 * texts when it is closed. */
#include "sim/exercise/ballot.h"
#include "sim/exercise/conduct_part.h"

#include "sim/base/jsonx.h"

static int put_answered(struct conduct *c, const char *person, const char *role, const char *key,
                        struct err *err)
{
    return conduct_put(c, "debrief",
                       json_pack("{s:s, s:o, s:s*, s:s*}", "event", "answered", "by",
                                 jsonx_new_text(person), "role", role, "key", key),
                       err);
}

int conduct_answer_anonymously(struct conduct *c, const char *person, const char *role,
                               const char *key, const json_t *answer, struct err *err)
{
    int r = conduct_failure(c, err);
    if (r == 0)
        r = ballot_put(c->dirfd, person, key, answer, err);
    return r < 0 ? r : put_answered(c, person, role, key, err);
}

int conduct_open_ballot(struct conduct *c, struct err *err)
{
    AUTO_JSON *box = NULL;
    const struct debrief *d = c->scenario->exercise.debrief;
    if (!d || !d->anonymous || c->state->ballot_open || c->failure.code)
        return 0;
    int r = ballot_read(c->dirfd, &box, err);
    json_t *answers = json_object_get(box, "answers");
    if (r < 0 || !json_array_size(answers))
        return r;
    r = conduct_put(c, "debrief", json_pack("{s:s, s:O}", "event", "opened", "anonymous", answers),
                    err);
    if (r == 0)
        r = record_sync(c->record, err);
    return r < 0 ? r : ballot_remove(c->dirfd, err);
}

int conduct_resume_ballot(struct conduct *c, struct err *err)
{
    AUTO_JSON *box = NULL;
    const char *name;
    json_t *key;
    if (c->state->ballot_open)
        return ballot_remove(c->dirfd, err);
    int r = ballot_read(c->dirfd, &box, err);
    json_object_foreach (json_object_get(box, "people"), name, key) {
        const struct state_person *p = state_person(c->state, name);
        if (r == 0 && !state_has_answered(c->state, name))
            r = put_answered(c, name, p ? p->role : NULL, json_string_value(key), err);
    }
    return r;
}

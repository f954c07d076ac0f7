/* Taking away lines whose maker is dead. See sweep.h. */
#include "sim/impair/sweep.h"

#include <errno.h>
#include <string.h>

#include "sim/base/jsonx.h"
#include "sim/base/text.h"
#include "sim/impair/engine/gate.h"
#include "sim/kernel/rtnl.h"
#include "sim/kernel/tc.h"

static const char *const hook_words[] = {[TC_EGRESS] = "egress", [TC_INGRESS] = "ingress"};
/* Of a tag: an ifb of either direction, both ends of a veth (kernel_line.c, engine/cable.c). */
static const char ends[] = "eiab";

struct range { /* of numbers of lines */
    unsigned first, n;
    const struct impair *m; /* those that live in it are not meant; NULL: all are */
};

static struct range range_of(const struct impair *m, const json_t *note)
{
    return (struct range){(unsigned)jsonx_int(note, "first", 0),
                          (unsigned)jsonx_int(note, "lines", 0), m};
}

/* Is it a device of one of these lines, by its name? */
static bool is_named(struct range r, const char *device)
{
    size_t n = strlen(device);
    char tag[IMPAIR_TAG_MAX];
    uint16_t pref;
    for (unsigned k = 0; k < r.n; k++) {
        impair_name(r.first + k, tag, &pref);
        if (strlen(tag) + 1 == n && strncmp(tag, device, n - 1) == 0 && strchr(ends, device[n - 1]))
            return !impair_lives(r.m, pref);
    }
    return false;
}

static bool is_preferred(struct range r, uint16_t seen)
{
    char tag[IMPAIR_TAG_MAX];
    uint16_t pref;
    for (unsigned k = 0; k < r.n; k++) {
        impair_name(r.first + k, tag, &pref);
        if (pref == seen)
            return !impair_lives(r.m, pref);
    }
    return false;
}

/* Filters that stand at one hook: [[pref, handle]…] */
static int note_filters(struct nl *nl, const char *device, enum tc_hook hook, json_t *note,
                        struct err *err)
{
    AUTO_FREE struct tc_filter_seen *seen = NULL;
    size_t n = 0;
    json_t *list = json_array();
    int r = tc_filters(nl, device, hook, &seen, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        json_array_append_new(
            list, json_pack("[I,I]", (json_int_t)seen[i].pref, (json_int_t)seen[i].handle));
    json_object_set_new(note, hook_words[hook], list);
    return r;
}

/* Devices that have such names already: somebody else's. */
static int note_devices(struct nl *nl, json_t *note, struct err *err)
{
    AUTO_FREE struct rtnl_link *links = NULL;
    size_t n = 0;
    json_t *theirs = json_array();
    json_object_set_new(note, "theirs", theirs);
    int r = rtnl_links(nl, &links, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (is_named(range_of(NULL, note), links[i].name))
            json_array_append_new(theirs, json_integer(links[i].ifindex));
    return r;
}

int impair_note(const struct impair *m, size_t lines, struct nl *nl, const char *device,
                json_t **ret, struct err *err)
{
    char kind[TC_KIND_MAX];
    AUTO_JSON *note =
        json_pack("{s:I,s:I}", "first", (json_int_t)impair_next(m), "lines", (json_int_t)lines);
    int r = tc_clsact_find(nl, device, kind, err);
    if (r < 0)
        return r;
    json_object_set_new(note, "clsact", json_boolean(kind[0]));
    for (int hook = TC_EGRESS; hook <= TC_INGRESS && r == 0; hook++)
        r = note_filters(nl, device, (enum tc_hook)hook, note, err);
    if (r == 0)
        r = note_devices(nl, note, err);
    if (r < 0)
        return r;
    *ret = json_incref(note);
    return 0;
}

/* --- Taking away ------------------------------------------------------------------------------ */

static bool was_there(const json_t *before, const struct tc_filter_seen *f)
{
    size_t i;
    const json_t *one;
    json_array_foreach (before, i, one)
        if (json_integer_value(json_array_get(one, 0)) == f->pref &&
            json_integer_value(json_array_get(one, 1)) == (json_int_t)f->handle)
            return true;
    return false;
}

static bool is_ours(const struct impair *m, const json_t *note, enum tc_hook hook,
                    const struct tc_filter_seen *f)
{
    return strcmp(f->kind, "bpf") == 0 && is_preferred(range_of(m, note), f->pref) &&
           !was_there(json_object_get(note, hook_words[hook]), f);
}

/* *ret_left: filters of anybody that stay. */
static int sweep_filters(const struct impair *m, struct nl *nl, const char *device,
                         const json_t *note, enum tc_hook hook, size_t *n_swept, size_t *ret_left,
                         struct err *err)
{
    AUTO_FREE struct tc_filter_seen *seen = NULL;
    size_t n = 0;
    int r = tc_filters(nl, device, hook, &seen, &n, err);
    for (size_t i = 0; i < n; i++) {
        if (!is_ours(m, note, hook, &seen[i])) {
            ++*ret_left;
            continue;
        }
        tc_filter_delete(
            nl, &(struct tc_filter){
                    .dev = device, .hook = hook, .pref = seen[i].pref, .handle = seen[i].handle});
        nl_forgive(nl, ENOENT);
        ++*n_swept;
    }
    return r < 0 ? r : nl_flush(nl, err);
}

static bool is_theirs(const json_t *note, int ifindex)
{
    size_t i;
    const json_t *one;
    json_array_foreach (json_object_get(note, "theirs"), i, one)
        if (json_integer_value(one) == ifindex)
            return true;
    return false;
}

static int sweep_devices(const struct impair *m, struct nl *nl, const json_t *note, size_t *n_swept,
                         struct err *err)
{
    AUTO_FREE struct rtnl_link *links = NULL;
    size_t n = 0;
    int r = rtnl_links(nl, &links, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (!is_named(range_of(m, note), links[i].name) || is_theirs(note, links[i].ifindex))
            continue;
        rtnl_link_delete(nl, links[i].name);
        nl_forgive(nl, ENODEV); /* with its other end */
        r = nl_flush(nl, err);
        ++*n_swept;
    }
    return r;
}

static int sweep_gates(const struct impair *m, struct nl *nl, const json_t *note, size_t *n_swept,
                       struct err *err)
{
    struct range r = range_of(m, note);
    char tag[IMPAIR_TAG_MAX];
    uint16_t pref;
    int code = 0;
    for (unsigned k = 0; k < r.n && code == 0; k++) {
        impair_name(r.first + k, tag, &pref);
        if (!impair_lives(r.m, pref))
            code = gate_sweep(nl, tag, n_swept, err);
    }
    return code;
}

int impair_sweep(const struct impair *m, struct nl *nl, const char *device, const json_t *note,
                 size_t *ret_n, struct err *err)
{
    size_t n = 0, left = 0;
    char kind[TC_KIND_MAX];
    int r = 0;
    /* Filters first: what they redirect to would be lost without its device. */
    for (int hook = TC_EGRESS; device && hook <= TC_INGRESS && r == 0; hook++)
        r = sweep_filters(m, nl, device, note, (enum tc_hook)hook, &n, &left, err);
    if (r == 0)
        r = sweep_devices(m, nl, note, &n, err);
    if (r == 0)
        r = sweep_gates(m, nl, note, &n, err);
    if (r == 0 && device)
        r = tc_clsact_find(nl, device, kind, err);
    if (r == 0 && device && strcmp(kind, "clsact") == 0 && !left &&
        !jsonx_bool(note, "clsact", true) && !impair_stands(m, nl, device)) {
        tc_clsact_delete(nl, device);
        r = nl_flush(nl, err);
        n++;
    }
    if (r == 0)
        *ret_n = n;
    return r;
}

/* --- Ours by name ----------------------------------------------------------------------------- */

/* As impair_name() and engine/tap.c call them. */
static bool is_our_device(const char *word, size_t n)
{
    static const char tap[] = "bstap", tried[] = "bstry";
    size_t prefix =
        n > sizeof tap - 1 && strncmp(word, tap, sizeof tap - 1) == 0 ? sizeof tap - 1 : 2;
    if (n == sizeof tried - 1 && strncmp(word, tried, n) == 0)
        return true;
    if (n <= prefix || strncmp(word, "bs", 2) != 0)
        return false;
    size_t digits = strspn(word + prefix, "0123456789");
    if (digits == 0)
        return false;
    return prefix > 2 ? prefix + digits == n
                      : prefix + digits + 1 == n && strchr(ends, word[n - 1]);
}

static bool names_our_device(const char *line)
{
    static const char between[] = " =,;:()[]\"";
    for (const char *w = line; *w;) {
        size_t n = strcspn(w, between);
        if (is_our_device(w, n))
            return true;
        w += n;
        w += strspn(w, between);
    }
    return false;
}

/* "filter dev=eth0 parent=egress pref=100" of a filter; "" of another line. */
static size_t place_of(const char *line)
{
    const char *pref = text_starts(line, "filter ") ? strstr(line, " pref=") : NULL;
    return pref ? (size_t)(pref - line) + 1 + strcspn(pref + 1, " ") : 0;
}

/* Is it what holds that filter: the head of its preference, clsact on its device? */
static bool holds(const char *line, const char *filter)
{
    size_t n = place_of(filter), at = sizeof "filter" - 1;
    size_t device = at + 1 + strcspn(filter + at + 1, " "); /* up to " dev=eth0" */
    if (n == 0)
        return false;
    if (place_of(line) == n && strncmp(line, filter, n) == 0)
        return !strstr(line, " handle=");
    return text_starts(line, "qdisc ") && strstr(line, " kind=clsact") &&
           strncmp(line + sizeof "qdisc" - 1, filter + at, device - at) == 0 &&
           line[sizeof "qdisc" - 1 + device - at] == ' ';
}

void impair_mark(const char *const *lines, size_t n, bool *ret)
{
    for (size_t i = 0; i < n; i++) /* a program is called as we are: engine/tap.c */
        ret[i] = !text_starts(lines[i], "nft ") &&
                 (names_our_device(lines[i]) ||
                  (place_of(lines[i]) && strstr(lines[i], "name=blackstart")));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; !ret[i] && k < n; k++)
            ret[i] = ret[k] && place_of(lines[k]) && holds(lines[i], lines[k]);
}

/* partition: packets between groups of hosts are lost (drop) or refused (reject).
 *
 * Ownership of the rules: a table of its own for each fault, named after run and step, made with
 * `flags owner`: the kernel removes it with the lab's socket, whoever dies how, and several cuts in
 * force at once never touch each other's rules.
 */
#include <errno.h>
#include <string.h>

#include "injectors/actions.h"
#include "injectors/injector.h"
#include "injectors/params.h"

static const char *const direction_words[] = {"both", "forward", "backward", NULL};
static const char *const kind_words[] = {"drop", "reject", NULL};

/* A host stands in one group only; one that is chosen when the step happens leaves the others. */
static int check_twice(const struct objects *groups, const char *host, struct err *err)
{
    size_t seen = 0;
    for (size_t g = 0; g < groups->n; g++) {
        const struct objects *group = groups->items[g];
        for (size_t i = 0; i < group->n; i++) {
            const struct target *t = group->items[i];
            seen += t->host && strcmp(t->host, host) == 0;
        }
    }
    if (seen > 1)
        return err_set(err, EINVAL, "host '%s' stands in 'cut' more than once", host);
    return 0;
}

static int check_cut(const struct partition_params *p, struct err *err)
{
    if (p->cut.n < 2)
        return err_set(err, EINVAL, "'cut' needs at least two groups: cut: [[a], [b, c]]");
    if (p->cut.n > 2 && p->direction != CUT_BOTH)
        return err_set(err, EINVAL,
                       "'direction: %s' goes from the first group to the second; there are %zu",
                       direction_words[p->direction], p->cut.n);
    for (size_t g = 0; g < p->cut.n; g++) {
        const struct objects *group = p->cut.items[g];
        if (group->n == 0)
            return err_set(err, EINVAL, "group %zu of 'cut' is empty", g + 1);
        for (size_t i = 0; i < group->n; i++) {
            const struct target *t = group->items[i];
            int r = inject_target_check(t, "cut", err);
            if (r == 0 && t->host)
                r = check_twice(&p->cut, t->host, err);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int partition_check(const struct scenario *s, const struct step *step, struct err *err)
{
    const struct partition_params *p = step->params;
    if ((p->cut.n > 0) == (p->isolate.n > 0))
        return err_set(
            err, EINVAL,
            "give one of 'cut: [[a], [b]]' (groups) and 'isolate: [a]' (from all others)");
    if (p->cut.n > 0)
        return check_cut(p, err);
    for (size_t i = 0; i < p->isolate.n; i++) {
        int r = inject_target_check(p->isolate.items[i], "isolate", err);
        if (r < 0)
            return r;
    }
    return 0;
}

static const struct field partition_fields[] = {
    {.key = "cut",
     .type = FIELD_GROUPS,
     .offset = offsetof(struct partition_params, cut),
     .record = &target_record,
     .help =
         "Two or more groups of hosts; each is cut from every other. A host that is chosen when "
         "the step happens leaves the groups that name it plainly.",
     .example = "[[lb1], [client, db]]"},
    {.key = "isolate",
     .type = FIELD_OBJECTS,
     .offset = offsetof(struct partition_params, isolate),
     .record = &target_record,
     .help = "Hosts that are cut from all hosts that are not in this list; among each other they "
             "still talk.",
     .example = "[etcd1]"},
    {.key = "direction",
     .type = FIELD_WORD,
     .offset = offsetof(struct partition_params, direction),
     .dflt = "both",
     .words = direction_words,
     .help = "forward: only what the first group sends to the second is lost (with isolate: what "
             "they send); backward: the other way round.",
     .example = "forward"},
    {.key = "kind",
     .type = FIELD_WORD,
     .offset = offsetof(struct partition_params, kind),
     .dflt = "drop",
     .words = kind_words,
     .help = "drop: every frame vanishes at the switch, whatever its addresses. reject: the "
             "receiving host refuses (TCP reset, ICMP port unreachable).",
     .example = "reject"},
    {.key = NULL},
};

static const struct record partition_record = {
    .name = "partition",
    .summary = "Hosts that cannot reach each other.",
    .size = sizeof(struct partition_params),
    .fields = partition_fields,
    .name_offset = SIZE_MAX,
    .place_offset = SIZE_MAX,
    .variant_place_offset = SIZE_MAX,
};

static const struct injector partition_injector = {
    .name = "partition",
    .is_fault = true,
    .lasts = true,
    .check = partition_check,
};

const struct variant inject_partition = {
    .name = "partition",
    .summary = "Cuts groups of hosts from each other, in both directions or in one.",
    .detail = "drop works on the switch's ports, so virtual addresses, ARP and multicast are cut "
              "too; hosts that share no network are cut by their declared addresses. Several "
              "partitions may be in force at once.",
    .params = &partition_record,
    .impl = &partition_injector,
};

/* The tables of impairments, what makes sense of them, and what they become. See impaired.h.
 *
 * Sources: tc-netem(8); net/sched/sch_netem.c (which parameter needs which).
 */
#include "sim/model/impaired.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sim/base/buf.h"
#include "sim/base/cleanup.h"
#include "sim/base/file.h"

#define NOWHERE SIZE_MAX
#define IMPAIRED_TABLE_MAX 16384 /* NETEM_DIST_MAX */
#define IMPAIRED_TABLE_BYTES (1u << 20)

const char *const impaired_engine_words[] = {"auto", "netem", "user", NULL};
static const char *const shape_words[] = {"uniform", "normal", "pareto", "paretonormal", NULL};

/* --- Tables ----------------------------------------------------------------------------------- */

static const struct field shape_fields[] = {
    {.key = "shape",
     .type = FIELD_WORD,
     .words = shape_words,
     .dflt = "",
     .offset = offsetof(struct impaired_shape, shape),
     .help = "pareto has a long tail, paretonormal is a quarter normal, three quarters pareto.",
     .example = "normal"},
    {.key = "table",
     .type = FIELD_TEXT,
     .flags = FIELD_FILE,
     .offset = offsetof(struct impaired_shape, table),
     .help = "A file with a distribution of your own, as tc has them in /usr/lib/tc: samples at "
             "equal steps of probability, in units of jitter / 8192.",
     .example = "satellite.dist"},
    {0},
};
const struct record impaired_shape_record = {
    .name = "distribution",
    .summary = "How jitter is distributed.",
    .size = sizeof(struct impaired_shape),
    .fields = shape_fields,
    .shorthand = "shape",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

#define SHARE_FIELDS                                                                               \
    {.key = "share",                                                                               \
     .type = FIELD_PERCENT,                                                                        \
     .flags = FIELD_REQUIRED,                                                                      \
     .offset = offsetof(struct impaired_share, share),                                             \
     .help = "Of all packets.",                                                                    \
     .example = "1%"},                                                                             \
    {                                                                                              \
        .key = "correlation", .type = FIELD_PERCENT, .dflt = "0%",                                 \
        .offset = offsetof(struct impaired_share, correlation),                                    \
        .help = "How much each packet's fate resembles that of the one before it.",                \
        .example = "25%"                                                                           \
    }

static const struct field share_fields[] = {SHARE_FIELDS, {0}};
const struct record impaired_share_record = {
    .name = "share of packets",
    .summary = "How many packets it happens to.",
    .size = sizeof(struct impaired_share),
    .fields = share_fields,
    .shorthand = "share",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field reorder_fields[] = {
    SHARE_FIELDS,
    {.key = "gap",
     .type = FIELD_INTEGER,
     .min = 1,
     .max = 1000000,
     .offset = offsetof(struct impaired_share, gap),
     .help = "Only every so many-th packet may overtake.",
     .example = "5"},
    {0},
};
const struct record impaired_reorder_record = {
    .name = "reordering",
    .summary = "How many packets overtake others.",
    .size = sizeof(struct impaired_share),
    .fields = reorder_fields,
    .shorthand = "share",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field bursts_fields[] = {
    {.key = "to_bad",
     .type = FIELD_PERCENT,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct impaired_bursts, to_bad),
     .help = "Per packet, from the good to the bad state (p).",
     .example = "1%"},
    {.key = "to_good",
     .type = FIELD_PERCENT,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct impaired_bursts, to_good),
     .help = "Per packet, from the bad to the good state (r): bursts last 1/r packets on average.",
     .example = "20%"},
    {.key = "loss_in_bad",
     .type = FIELD_PERCENT,
     .dflt = "100%",
     .offset = offsetof(struct impaired_bursts, loss_in_bad),
     .help = "Lost while the state is bad (1-h).",
     .example = "80%"},
    {.key = "loss_in_good",
     .type = FIELD_PERCENT,
     .dflt = "0%",
     .offset = offsetof(struct impaired_bursts, loss_in_good),
     .help = "Lost while the state is good (1-k).",
     .example = "0.1%"},
    {0},
};
static const struct record bursts_record = {
    .name = "'gilbert_elliott'",
    .summary = "Loss in bursts: two states with a loss of their own.",
    .size = sizeof(struct impaired_bursts),
    .fields = bursts_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field states_fields[] = {
    {.key = "p13",
     .type = FIELD_PERCENT,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct impaired_states, p13),
     .help = "From good (1) to lost in a burst (3).",
     .example = "1%"},
    {.key = "p31",
     .type = FIELD_PERCENT,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct impaired_states, p31),
     .help = "From lost in a burst back to good.",
     .example = "20%"},
    {.key = "p32",
     .type = FIELD_PERCENT,
     .dflt = "0%",
     .offset = offsetof(struct impaired_states, p32),
     .help = "From lost in a burst to arrived in a burst (2).",
     .example = "10%"},
    {.key = "p23",
     .type = FIELD_PERCENT,
     .dflt = "100%",
     .offset = offsetof(struct impaired_states, p23),
     .help = "From arrived in a burst back to lost in it.",
     .example = "50%"},
    {.key = "p14",
     .type = FIELD_PERCENT,
     .dflt = "0%",
     .offset = offsetof(struct impaired_states, p14),
     .help = "From good to a single loss (4), after which it is good again.",
     .example = "0.5%"},
    {0},
};
static const struct record states_record = {
    .name = "'state'",
    .summary = "Loss by a Markov chain of four states, per packet: good (1), arrived in a burst "
               "(2), lost in a burst (3), a single loss (4).",
    .size = sizeof(struct impaired_states),
    .fields = states_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field loss_fields[] = {
    {.key = "random",
     .type = FIELD_PERCENT,
     .dflt = "0%",
     .offset = offsetof(struct impaired_loss, random),
     .help = "Each packet by itself.",
     .example = "1%"},
    {.key = "correlation",
     .type = FIELD_PERCENT,
     .dflt = "0%",
     .offset = offsetof(struct impaired_loss, correlation),
     .help = "With `random`: how much each packet's fate resembles that of the one before it.",
     .example = "25%"},
    {.key = "gilbert_elliott",
     .type = FIELD_OBJECT,
     .record = &bursts_record,
     .offset = offsetof(struct impaired_loss, bursts),
     .help = "In bursts.",
     .example = "{to_bad: 1%, to_good: 20%}"},
    {.key = "state",
     .type = FIELD_OBJECT,
     .record = &states_record,
     .offset = offsetof(struct impaired_loss, states),
     .help = "By a chain of four states.",
     .example = "{p13: 1%, p31: 20%}"},
    {0},
};
const struct record impaired_loss_record = {
    .name = "loss",
    .summary = "Which packets never arrive: one of random, gilbert_elliott, state.",
    .size = sizeof(struct impaired_loss),
    .fields = loss_fields,
    .shorthand = "random",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field rate_fields[] = {
    {.key = "bandwidth",
     .type = FIELD_RATE,
     .flags = FIELD_REQUIRED,
     .min = IMPAIRED_SLOWEST,
     .max = IMPAIRED_FASTEST,
     .offset = offsetof(struct impaired_rate, bandwidth),
     .help = "Bits per second, Ethernet headers counted.",
     .example = "10mbit"},
    {.key = "packet_overhead",
     .type = FIELD_SIZE,
     .min = -1000,
     .max = 1000,
     .offset = offsetof(struct impaired_rate, packet_overhead),
     .help = "Counted in addition for each packet; may be negative.",
     .example = "24B"},
    {.key = "cell_size",
     .type = FIELD_SIZE,
     .min = 1,
     .max = 65535,
     .offset = offsetof(struct impaired_rate, cell_size),
     .help = "Packets travel in whole cells of that size.",
     .example = "48B"},
    {.key = "cell_overhead",
     .type = FIELD_SIZE,
     .min = -1000,
     .max = 1000,
     .offset = offsetof(struct impaired_rate, cell_overhead),
     .help = "Counted in addition for each cell.",
     .example = "5B"},
    {0},
};
const struct record impaired_rate_record = {
    .name = "rate",
    .summary = "How much a path carries.",
    .size = sizeof(struct impaired_rate),
    .fields = rate_fields,
    .shorthand = "bandwidth",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field slot_fields[] = {
    {.key = "min",
     .type = FIELD_DURATION,
     .max = IMPAIRED_LONGEST,
     .offset = offsetof(struct impaired_slot, min),
     .help = "The shortest time from one slot to the next.",
     .example = "10ms"},
    {.key = "max",
     .type = FIELD_DURATION,
     .max = IMPAIRED_LONGEST,
     .offset = offsetof(struct impaired_slot, max),
     .help = "The longest; the same as `min` when not given.",
     .example = "20ms"},
    {.key = "delay",
     .type = FIELD_DURATION,
     .max = IMPAIRED_LONGEST,
     .offset = offsetof(struct impaired_slot, delay),
     .help = "Instead of min and max: the mean time between slots.",
     .example = "15ms"},
    {.key = "jitter",
     .type = FIELD_DURATION,
     .max = IMPAIRED_LONGEST,
     .offset = offsetof(struct impaired_slot, jitter),
     .help = "With `delay`: how much it varies.",
     .example = "5ms"},
    {.key = "distribution",
     .type = FIELD_OBJECT,
     .record = &impaired_shape_record,
     .offset = offsetof(struct impaired_slot, distribution),
     .help = "With `delay`: how it varies; uniform when not given.",
     .example = "normal"},
    {.key = "packets",
     .type = FIELD_INTEGER,
     .min = 1,
     .max = INT32_MAX,
     .offset = offsetof(struct impaired_slot, packets),
     .help = "At most so many leave in one slot.",
     .example = "16"},
    {.key = "bytes",
     .type = FIELD_SIZE,
     .min = 1,
     .max = INT32_MAX,
     .offset = offsetof(struct impaired_slot, bytes),
     .help = "At most so much leaves in one slot.",
     .example = "64kB"},
    {0},
};
const struct record impaired_slot_record = {
    .name = "'slot'",
    .summary = "When packets may leave: in bunches, with pauses between them.",
    .size = sizeof(struct impaired_slot),
    .fields = slot_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

/* --- What makes sense ------------------------------------------------------------------------- */

static bool given(nsec t)
{
    return nsec_is_set(t);
}

static bool loses(const struct impaired *m)
{
    return m->loss && (m->loss->random > 0 || m->loss->bursts || m->loss->states);
}

static bool happens(const struct impaired_share *s)
{
    return s && s->share > 0;
}

bool impaired_is_nothing(const struct impaired *m)
{
    return !(given(m->delay) && m->delay > 0) && !loses(m) && !happens(m->duplicate) &&
           !happens(m->corrupt) && !m->rate && !m->slot;
}

static int check_shape(const struct impaired_shape *d, const char *key, bool jitter,
                       struct err *err)
{
    if (!d)
        return 0;
    if ((d->shape >= 0) == (d->table != NULL))
        return err_set(err, EINVAL, "'%s' is one of a shape (normal) and {table: FILE}", key);
    if (!jitter)
        return err_set(err, EINVAL, "'%s' says how the jitter varies: give 'jitter' too", key);
    return 0;
}

static int check_delay(const struct impaired *m, struct err *err)
{
    bool delay = given(m->delay) && m->delay > 0, jitter = given(m->jitter) && m->jitter > 0;
    if (jitter && !delay)
        return err_set(err, EINVAL, "'jitter' varies a delay: give 'delay' too");
    if (m->correlation > 0 && !jitter)
        return err_set(
            err, EINVAL,
            "'correlation' is that of the jitter: give 'jitter' too (that of loss stands "
            "in loss: {random: 1%%, correlation: 25%%})");
    if (happens(m->reorder) && !delay)
        return err_set(err, EINVAL,
                       "'reorder' lets packets overtake delayed ones: give 'delay' too");
    if (m->reorder && m->reorder->gap > 0 && !happens(m->reorder))
        return err_set(err, EINVAL, "'reorder' has a gap but a share of 0%%");
    if (m->keep_order && happens(m->reorder))
        return err_set(err, EINVAL, "'keep_order' and 'reorder' contradict each other");
    if (m->keep_order && !jitter)
        return err_set(err, EINVAL,
                       "'keep_order' is for jitter: without it packets keep their order");
    return check_shape(m->distribution, "distribution", jitter, err);
}

static int check_loss(const struct impaired *m, struct err *err)
{
    const struct impaired_loss *l = m->loss;
    if (m->ecn && !loses(m))
        return err_set(err, EINVAL, "'ecn' marks what would be lost: give 'loss' too");
    if (!l)
        return 0;
    if ((l->random > 0) + (l->bursts != NULL) + (l->states != NULL) > 1)
        return err_set(err, EINVAL, "'loss' takes one of random, gilbert_elliott and state");
    if (l->correlation > 0 && (l->bursts || l->states))
        return err_set(err, EINVAL, "'loss': 'correlation' belongs to 'random'");
    if (l->bursts && l->bursts->to_good <= 0 && l->bursts->to_bad > 0)
        return err_set(err, EINVAL,
                       "'loss': with a 'to_good' of 0%% the path would never be good again");
    if (l->states && l->states->p13 + l->states->p14 > 1)
        return err_set(err, EINVAL,
                       "'loss': p13 and p14 lead away from one state: together at "
                       "most 100%%");
    if (l->states && l->states->p31 + l->states->p32 > 1)
        return err_set(err, EINVAL,
                       "'loss': p31 and p32 lead away from one state: together at "
                       "most 100%%");
    return 0;
}

static int check_rate(const struct impaired *m, struct err *err)
{
    const struct impaired_rate *r = m->rate;
    if (r && r->cell_overhead && !r->cell_size)
        return err_set(err, EINVAL, "'rate': a 'cell_overhead' needs a 'cell_size'");
    if (r && r->cell_size && r->cell_overhead + r->cell_size <= 0)
        return err_set(err, EINVAL, "'rate': its cells would have no size at all");
    return 0;
}

static int check_slot(const struct impaired_slot *s, struct err *err)
{
    if (!s)
        return 0;
    bool range = given(s->min) || given(s->max);
    if (range == given(s->delay))
        return err_set(err, EINVAL,
                       "'slot' takes one of {min: D, max: D} and {delay: D, jitter: D}");
    if (given(s->max) && !given(s->min))
        return err_set(err, EINVAL, "'slot' needs 'min' too");
    if (given(s->max) && s->max < s->min)
        return err_set(err, EINVAL, "'slot' has a 'max' that is smaller than its 'min'");
    if (given(s->jitter) && !given(s->delay))
        return err_set(err, EINVAL, "'slot': its 'jitter' varies its 'delay': give that too");
    if (s->distribution && !given(s->jitter))
        return err_set(err, EINVAL,
                       "'slot': its 'distribution' says how its jitter varies: give that too");
    return check_shape(s->distribution, "slot", true, err);
}

int impaired_check(const struct impaired *m, struct err *err)
{
    int r = check_delay(m, err);
    if (r == 0)
        r = check_loss(m, err);
    if (r == 0)
        r = check_rate(m, err);
    if (r == 0)
        r = check_slot(m->slot, err);
    if (r < 0)
        return r;
    if (given(m->jitter) && m->jitter > m->delay) {
        char delay[NSEC_TEXT_MAX], jitter[NSEC_TEXT_MAX];
        err_set(err, EINVAL,
                "'jitter' (%s) is larger than 'delay' (%s): what would arrive before it was sent "
                "is not delayed at all, so the mean is larger than asked for",
                nsec_text(m->jitter, jitter), nsec_text(m->delay, delay));
        return 1;
    }
    return 0;
}

/* --- Distributions of the user's own ---------------------------------------------------------- */

void impaired_tables_done(struct impaired_tables *t)
{
    free(t->delay);
    free(t->slot);
    *t = (struct impaired_tables){0};
}

static const char *skip_blank(const char *p)
{
    for (; *p; p++) {
        if (*p == '#')
            p += strcspn(p, "\n");
        else if (!isspace((unsigned char)*p))
            break;
        if (!*p)
            break;
    }
    return p;
}

static int parse_table(const char *path, const char *text, int16_t **ret, size_t *ret_n,
                       struct err *err)
{
    AUTO_FREE int16_t *values = malloc(IMPAIRED_TABLE_MAX * sizeof *values);
    size_t n = 0;
    if (!values)
        return err_errno(err, ENOMEM, "reading '%s'", path);
    for (const char *p = skip_blank(text); *p; p = skip_blank(p)) {
        char *end;
        long v = strtol(p, &end, 10);
        if (end == p || (*end && !isspace((unsigned char)*end) && *end != '#'))
            return err_set(err, EINVAL, "'distribution': the table '%s' holds '%.*s', not a number",
                           path, (int)strcspn(p, " \t\r\n"), p);
        if (n == IMPAIRED_TABLE_MAX)
            return err_set(err, EINVAL, "'distribution': the table '%s' holds more than %d numbers",
                           path, IMPAIRED_TABLE_MAX);
        if (v < INT16_MIN || v > INT16_MAX)
            return err_set(err, EINVAL,
                           "'distribution': the table '%s' holds %ld: its numbers go from %d to %d",
                           path, v, INT16_MIN, INT16_MAX);
        values[n++] = (int16_t)v;
        p = end;
    }
    if (n < 2)
        return err_set(err, EINVAL, "'distribution': the table '%s' holds %s", path,
                       n ? "a single number" : "no numbers");
    *ret = steal_ptr(values);
    *ret_n = n;
    return 0;
}

static int read_table(const struct impaired_shape *d, const char *scenario_file, int16_t **ret,
                      size_t *ret_n, struct err *err)
{
    if (!d || !d->table)
        return 0;
    const char *slash = strrchr(scenario_file, '/');
    AUTO_FREE char *text = NULL;
    AUTO_BUF path = BUF_INIT;
    size_t n;
    if (slash)
        buf_printf(&path, "%.*s/", (int)(slash - scenario_file), scenario_file);
    buf_adds(&path, d->table);
    int r = file_read(AT_FDCWD, buf_text(&path), IMPAIRED_TABLE_BYTES, &text, &n, err);
    return r < 0 ? r : parse_table(d->table, text, ret, ret_n, err);
}

int impaired_tables_read(const struct impaired *m, const char *scenario_file,
                         struct impaired_tables *ret, struct err *err)
{
    struct impaired_tables t = {0};
    int r = read_table(m->distribution, scenario_file, &t.delay, &t.delay_n, err);
    if (r == 0 && m->slot)
        r = read_table(m->slot->distribution, scenario_file, &t.slot, &t.slot_n, err);
    if (r < 0)
        impaired_tables_done(&t);
    else
        *ret = t;
    return r;
}

size_t impaired_files(const struct impaired *m, const char *ret[2])
{
    const struct impaired_shape *shapes[] = {m->distribution,
                                             m->slot ? m->slot->distribution : NULL};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
        if (shapes[i] && shapes[i]->table)
            ret[n++] = shapes[i]->table;
    return n;
}

/* --- For the kernel and the engine ------------------------------------------------------------ */

static nsec or_zero(nsec t)
{
    return given(t) ? t : 0;
}

static enum impair_distribution shape_of(const struct impaired_shape *d)
{
    static const enum impair_distribution shapes[] = {IMPAIR_UNIFORM, IMPAIR_NORMAL, IMPAIR_PARETO,
                                                      IMPAIR_PARETONORMAL};
    if (!d)
        return IMPAIR_UNIFORM;
    return d->table ? IMPAIR_TABLE : shapes[d->shape];
}

static struct impair_loss make_loss(const struct impaired_loss *l)
{
    if (l && l->bursts)
        return (struct impair_loss){.kind = IMPAIR_LOSS_GILBERT_ELLIOTT,
                                    .p = l->bursts->to_bad,
                                    .r = l->bursts->to_good,
                                    .one_minus_h = l->bursts->loss_in_bad,
                                    .one_minus_k = l->bursts->loss_in_good};
    if (l && l->states)
        return (struct impair_loss){.kind = IMPAIR_LOSS_STATE,
                                    .p13 = l->states->p13,
                                    .p31 = l->states->p31,
                                    .p32 = l->states->p32,
                                    .p23 = l->states->p23,
                                    .p14 = l->states->p14};
    if (l && l->random > 0)
        return (struct impair_loss){
            .kind = IMPAIR_LOSS_RANDOM, .ratio = l->random, .correlation = l->correlation};
    return (struct impair_loss){.kind = IMPAIR_LOSS_NONE};
}

static struct impair_slot make_slot(const struct impaired_slot *s,
                                    const struct impaired_tables *tables)
{
    return (struct impair_slot){.min = or_zero(s->min),
                                .max = given(s->max) ? s->max : or_zero(s->min),
                                .distributed = given(s->delay),
                                .delay = or_zero(s->delay),
                                .jitter = or_zero(s->jitter),
                                .distribution = shape_of(s->distribution),
                                .table = {tables->slot, tables->slot_n},
                                .packets = (int32_t)s->packets,
                                .bytes = (int32_t)s->bytes};
}

void impaired_make(const struct impaired *m, const struct impaired_tables *tables,
                   struct impairment *ret)
{
    struct impairment i = {.delay = or_zero(m->delay),
                           .jitter = or_zero(m->jitter),
                           .delay_correlation = m->correlation,
                           .distribution = shape_of(m->distribution),
                           .table = {tables->delay, tables->delay_n},
                           .loss = make_loss(m->loss),
                           .ecn = m->ecn,
                           .limit = (uint32_t)m->limit,
                           .has_seed = m->seed >= 0,
                           .seed = m->seed >= 0 ? (uint64_t)m->seed : 0,
                           .keep_order = m->keep_order};
    if (m->duplicate)
        i.duplicate = m->duplicate->share, i.duplicate_correlation = m->duplicate->correlation;
    if (m->corrupt)
        i.corrupt = m->corrupt->share, i.corrupt_correlation = m->corrupt->correlation;
    if (m->reorder) {
        i.reorder = m->reorder->share;
        i.reorder_correlation = m->reorder->correlation;
        i.gap = (uint32_t)m->reorder->gap;
    }
    if (m->rate) {
        i.rate = (uint64_t)(m->rate->bandwidth + 7) / 8;
        i.packet_overhead = (int32_t)m->rate->packet_overhead;
        i.cell_size = (uint32_t)m->rate->cell_size;
        i.cell_overhead = (int32_t)m->rate->cell_overhead;
    }
    if (m->slot) {
        i.has_slot = true;
        i.slot = make_slot(m->slot, tables);
    }
    *ret = i;
}

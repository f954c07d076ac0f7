/* Text of qdiscs, classes and filters.
 *
 * Objects of others are written for comparison: their parameters as bytes where those hold no
 * counters. Of filters and actions whose parameters hold some that no table here knows, the kind
 * alone is written.
 */
#include "sim/base/digest.h"
#include "sim/kernel/netem.h"
#include "sim/kernel/nl_table.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_mirred.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of an attribute as a structure; a short one is filled up with zeros. */
static void get(const struct nlattr *a, void *to, size_t n)
{
    size_t have = (size_t)nla_len(a);
    memset(to, 0, n);
    memcpy(to, nla_data(a), have < n ? have : n);
}

static void member(struct nl_writer *w, const char *name, int64_t v)
{
    if (v)
        buf_printf(w->out, " %s=%lld", name, (long long)v);
}

static const char *const verdict_names[] = {"ok",     "reclassify", "shot",     "pipe", "stolen",
                                            "queued", "repeat",     "redirect", "trap"};
static const struct nl_words verdict_words = NL_WORDS(verdict_names);

/* --- netem ------------------------------------------------------------------- */

/* The shortest percentage from which tc(8) and netem.c make this number. */
static void share(struct nl_writer *w, const char *name, uint32_t v)
{
    char text[32];
    if (!v)
        return;
    for (int decimals = 0; decimals < 12; decimals++) {
        snprintf(text, sizeof text, "%.*f", decimals, 100.0 * v / UINT32_MAX);
        if ((uint32_t)rint(strtod(text, NULL) / 100 * UINT32_MAX) == v)
            break;
    }
    buf_printf(w->out, " %s=%s%%", name, text);
}

static void duration(struct nl_writer *w, const char *name, int64_t ns)
{
    char text[NSEC_TEXT_MAX];
    if (ns < 0)
        member(w, name, ns);
    else if (ns)
        buf_printf(w->out, " %s=%s", name, nsec_yaml(ns, text));
}

static void write_time(struct nl_writer *w, const struct nlattr *a)
{
    int64_t ns;
    char text[NSEC_TEXT_MAX];
    get(a, &ns, sizeof ns);
    if (ns < 0)
        buf_printf(w->out, "%lld", (long long)ns);
    else
        buf_adds(w->out, nsec_yaml(ns, text));
}

/* A bracket around members, each of which brings a blank. */
static size_t open_bracket(struct nl_writer *w)
{
    buf_adds(w->out, "(");
    return w->out->len;
}

static void close_bracket(struct nl_writer *w, size_t at)
{
    nl_write_drop_blank(w->out, at);
    buf_adds(w->out, ")");
}

static void write_correlation(struct nl_writer *w, const struct nlattr *a)
{
    struct tc_netem_corr c;
    get(a, &c, sizeof c);
    size_t at = open_bracket(w);
    share(w, "delay", c.delay_corr);
    share(w, "loss", c.loss_corr);
    share(w, "duplicate", c.dup_corr);
    close_bracket(w, at);
}

/* tc_netem_reorder and tc_netem_corrupt are alike. */
static void write_probability(struct nl_writer *w, const struct nlattr *a)
{
    struct tc_netem_corrupt c;
    get(a, &c, sizeof c);
    size_t at = open_bracket(w);
    share(w, "share", c.probability);
    share(w, "correlation", c.correlation);
    close_bracket(w, at);
}

static void write_rate(struct nl_writer *w, const struct nlattr *a)
{
    struct tc_netem_rate r;
    get(a, &r, sizeof r);
    buf_printf(w->out, "(bytes-per-second=%u", r.rate);
    member(w, "packet-overhead", r.packet_overhead);
    member(w, "cell-size", r.cell_size);
    member(w, "cell-overhead", r.cell_overhead);
    buf_adds(w->out, ")");
}

static void write_rate64(struct nl_writer *w, const struct nlattr *a)
{
    uint64_t v;
    get(a, &v, sizeof v);
    buf_printf(w->out, "%llu", (unsigned long long)v);
}

static void write_slot(struct nl_writer *w, const struct nlattr *a)
{
    struct tc_netem_slot s;
    get(a, &s, sizeof s);
    size_t at = open_bracket(w);
    duration(w, "min", s.min_delay);
    duration(w, "max", s.max_delay);
    member(w, "packets", s.max_packets);
    member(w, "bytes", s.max_bytes);
    duration(w, "delay", s.dist_delay);
    duration(w, "jitter", s.dist_jitter);
    close_bracket(w, at);
}

static void write_state(struct nl_writer *w, const struct nlattr *a)
{
    struct tc_netem_gimodel m;
    get(a, &m, sizeof m);
    size_t at = open_bracket(w);
    share(w, "p13", m.p13);
    share(w, "p31", m.p31);
    share(w, "p32", m.p32);
    share(w, "p14", m.p14);
    share(w, "p23", m.p23);
    close_bracket(w, at);
}

static void write_gilbert(struct nl_writer *w, const struct nlattr *a)
{
    struct tc_netem_gemodel m;
    get(a, &m, sizeof m);
    size_t at = open_bracket(w);
    share(w, "p", m.p);
    share(w, "r", m.r);
    share(w, "h", m.h);
    share(w, "1-k", m.k1);
    close_bracket(w, at);
}

/* Thousands of numbers: how many, and a digest by which equal ones are seen. */
static void write_distribution(struct nl_writer *w, const struct nlattr *a)
{
    char hex[DIGEST_HEX];
    digest_sha256(nla_data(a), (size_t)nla_len(a), hex);
    buf_printf(w->out, "(values=%d sha256=%.16s)", nla_len(a) / (int)sizeof(int16_t), hex);
}

static const struct nl_field loss_fields[] = {
    {NETEM_LOSS_GI, "state", NL_CUSTOM, .write = write_state},
    {NETEM_LOSS_GE, "gilbert-elliott", NL_CUSTOM, .write = write_gilbert},
};
static const struct nl_table loss_table = NL_TABLE(loss_fields);

static const struct nl_field netem_fields[] = {
    {TCA_NETEM_CORR, "correlations", NL_CUSTOM, .write = write_correlation},
    {TCA_NETEM_DELAY_DIST, "delay-table", NL_CUSTOM, .write = write_distribution},
    {TCA_NETEM_REORDER, "reorder", NL_CUSTOM, .write = write_probability},
    {TCA_NETEM_CORRUPT, "corrupt", NL_CUSTOM, .write = write_probability},
    {TCA_NETEM_LOSS, "loss-model", NL_NEST, .sub = &loss_table},
    {TCA_NETEM_RATE, "rate", NL_CUSTOM, .write = write_rate},
    {TCA_NETEM_ECN, "ecn", NL_U32},
    {TCA_NETEM_RATE64, "rate64", NL_CUSTOM, .write = write_rate64},
    {TCA_NETEM_LATENCY64, "delay64", NL_CUSTOM, .write = write_time},
    {TCA_NETEM_JITTER64, "jitter64", NL_CUSTOM, .write = write_time},
    {TCA_NETEM_SLOT, "slot", NL_CUSTOM, .write = write_slot},
    {TCA_NETEM_SLOT_DIST, "slot-table", NL_CUSTOM, .write = write_distribution},
    {TCA_NETEM_PRNG_SEED, "seed", NL_CUSTOM, .write = write_rate64},
};
static const struct nl_table netem_table = NL_TABLE(netem_fields);

static void write_netem(struct nl_writer *w, const struct nlattr *a)
{
    struct tc_netem_qopt o;
    get(a, &o, sizeof o);
    buf_printf(w->out, "(limit=%u", o.limit);
    duration(w, "delay", (int64_t)o.latency * 64);
    duration(w, "jitter", (int64_t)o.jitter * 64);
    share(w, "loss", o.loss);
    share(w, "duplicate", o.duplicate);
    member(w, "gap", o.gap);
    const struct nlattr *first = (const void *)((const char *)nla_data(a) + sizeof o);
    nl_write_attrs(w, first, nla_len(a) - (int)sizeof o, &netem_table);
    buf_adds(w->out, ")");
}

/* --- Options of other qdiscs, as far as they hold counters -------------------- */

static void write_htb_glob(struct nl_writer *w, const struct nlattr *a)
{
    struct tc_htb_glob g;
    get(a, &g, sizeof g);
    g.direct_pkts = 0;
    nl_write_hex(w, &g, sizeof g);
}

static const struct nl_field htb_fields[] = {
    {TCA_HTB_INIT, "init", NL_CUSTOM, .write = write_htb_glob},
};
static const struct nl_table htb_table = {htb_fields, ARRAY_SIZE(htb_fields), .whole = true};

static void write_sfq(struct nl_writer *w, const struct nlattr *a)
{
    struct tc_sfq_qopt_v1 q;
    get(a, &q, sizeof q);
    memset(&q.stats, 0, sizeof q.stats);
    nl_write_hex(w, &q, sizeof q);
}

/* --- Actions ----------------------------------------------------------------- */

/* What every action's parameters begin with (tc_gen). */
static void write_action_head(struct nl_writer *w, unsigned index, unsigned capab, int action,
                              int refcnt, int bindcnt)
{
    buf_adds(w->out, " action=");
    nl_write_number(w, action, &verdict_words);
    if (w->mode == NL_TEXT_OBJECT)
        return;
    member(w, "index", index);
    member(w, "capab", capab);
    member(w, "refcnt", refcnt);
    member(w, "bindcnt", bindcnt);
}

static void write_mirred(struct nl_writer *w, const struct nlattr *a)
{
    static const char *const ways[] = {[TCA_EGRESS_REDIR] = "redirect-to",
                                       [TCA_EGRESS_MIRROR] = "mirror-to",
                                       [TCA_INGRESS_REDIR] = "redirect-to-ingress",
                                       [TCA_INGRESS_MIRROR] = "mirror-to-ingress"};
    static const struct nl_words way_words = NL_WORDS(ways);
    const struct tc_mirred *at = nla_data(a);
    struct tc_mirred m;
    get(a, &m, sizeof m);
    buf_adds(w->out, "(");
    nl_write_number(w, m.eaction, &way_words);
    buf_adds(w->out, "=");
    if (nla_len(a) >= (int)sizeof m)
        nl_write_ifindex(w, &at->ifindex);
    write_action_head(w, m.index, m.capab, m.action, m.refcnt, m.bindcnt);
    buf_adds(w->out, ")");
}

static void write_gact(struct nl_writer *w, const struct nlattr *a)
{
    struct tc_gact g;
    get(a, &g, sizeof g);
    size_t at = open_bracket(w);
    write_action_head(w, g.index, g.capab, g.action, g.refcnt, g.bindcnt);
    close_bracket(w, at);
}

static const struct nl_field mirred_fields[] = {
    {TCA_MIRRED_TM, "times", NL_BYTES, .masked = true},
    {TCA_MIRRED_PARMS, "parms", NL_CUSTOM, .write = write_mirred},
};
static const struct nl_table mirred_table = NL_TABLE(mirred_fields);

static const struct nl_field gact_fields[] = {
    {TCA_GACT_TM, "times", NL_BYTES, .masked = true},
    {TCA_GACT_PARMS, "parms", NL_CUSTOM, .write = write_gact},
    {TCA_GACT_PROB, "probability", NL_BYTES},
};
static const struct nl_table gact_table = NL_TABLE(gact_fields);

static void write_action(struct nl_writer *w, const struct nlattr *a)
{
    static const struct nl_field rest[] = {
        {TCA_ACT_INDEX, "index", NL_U32, .masked = true},
        {TCA_ACT_STATS, "stats", NL_BYTES, .masked = true},
        {TCA_ACT_COOKIE, "cookie", NL_BYTES},
    };
    static const struct nl_table rest_table = NL_TABLE(rest);
    const struct nlattr *one;
    int left;
    char kind[32] = "";
    for (one = nla_data(a), left = nla_len(a); nla_ok(one, left); one = nla_next(one, &left)) {
        if (nla_type(one) == TCA_ACT_KIND) {
            nla_strlcpy(kind, one, sizeof kind);
            buf_adds(w->out, "kind=");
            nl_text_word(kind, strlen(kind), w->out);
        } else if (nla_type(one) == TCA_ACT_OPTIONS) {
            const struct nl_table *t = strcmp(kind, "mirred") == 0 ? &mirred_table
                                       : strcmp(kind, "gact") == 0 ? &gact_table
                                                                   : NULL;
            if (w->mode == NL_TEXT_OBJECT && !t)
                continue;
            buf_adds(w->out, " options=");
            nl_write_nest(w, one, t);
        } else {
            nl_write_attrs(w, one, nla_total_size(nla_len(one)), &rest_table);
        }
    }
}

static void write_actions(struct nl_writer *w, const struct nlattr *list)
{
    const struct nlattr *a;
    int left;
    for (a = nla_data(list), left = nla_len(list); nla_ok(a, left); a = nla_next(a, &left)) {
        buf_adds(w->out, "[");
        write_action(w, a);
        buf_adds(w->out, "]");
    }
}

/* --- Filters ----------------------------------------------------------------- */

/* More than that say nothing to a reader: a digest tells two programs apart as well. */
#define OPS_READABLE 16

/* code,jt,jf,k of each instruction, in hexadecimal as in tcpdump -dd */
static void write_ops(struct nl_writer *w, const struct nlattr *a)
{
    size_t n = (size_t)nla_len(a) / sizeof(struct sock_filter);
    if (n > OPS_READABLE) {
        char hex[DIGEST_HEX];
        digest_sha256(nla_data(a), (size_t)nla_len(a), hex);
        buf_printf(w->out, "(sha256=%.16s)", hex);
        return;
    }
    buf_adds(w->out, "[");
    for (size_t i = 0; i < n; i++) {
        struct sock_filter f;
        memcpy(&f, (const char *)nla_data(a) + i * sizeof f, sizeof f);
        buf_printf(w->out, "%s%x,%x,%x,%x", i ? " " : "", f.code, f.jt, f.jf, f.k);
    }
    buf_adds(w->out, "]");
}

static void write_bpf_flags(struct nl_writer *w, const struct nlattr *a)
{
    uint32_t v;
    get(a, &v, sizeof v);
    if (v == TCA_BPF_FLAG_ACT_DIRECT)
        buf_adds(w->out, "direct-action");
    else
        buf_printf(w->out, "0x%x", v);
}

static const struct nl_field bpf_fields[] = {
    {TCA_BPF_ACT, "actions", NL_CUSTOM, .write = write_actions},
    {TCA_BPF_POLICE, "police", NL_BYTES},
    {TCA_BPF_CLASSID, "class", NL_HEX32},
    {TCA_BPF_OPS_LEN, "n", NL_U16},
    {TCA_BPF_OPS, "ops", NL_CUSTOM, .write = write_ops},
    {TCA_BPF_FD, "program", NL_FD},
    {TCA_BPF_NAME, "name", NL_STR},
    {TCA_BPF_FLAGS, "flags", NL_CUSTOM, .write = write_bpf_flags},
    {TCA_BPF_FLAGS_GEN, "hardware", NL_HEX32, .masked = true},
    {TCA_BPF_TAG, "tag", NL_BYTES},
    {TCA_BPF_ID, "id", NL_U32, .masked = true}, /* of the program: another for each load */
};
static const struct nl_table bpf_table = NL_TABLE(bpf_fields);

static const struct nl_field u32_fields[] = {
    {TCA_U32_ACT, "actions", NL_CUSTOM, .write = write_actions},
    {TCA_U32_CLASSID, "class", NL_HEX32},
    {TCA_U32_INDEV, "indev", NL_STR},
    {TCA_U32_PCNT, "counters", NL_BYTES, .masked = true},
    {TCA_U32_FLAGS, "hardware", NL_HEX32, .masked = true},
    {TCA_U32_PAD, "pad", NL_BYTES, .masked = true},
};
static const struct nl_table u32_table = {u32_fields, ARRAY_SIZE(u32_fields), .whole = true};

static const struct nl_field flower_fields[] = {
    {TCA_FLOWER_ACT, "actions", NL_CUSTOM, .write = write_actions},
    {TCA_FLOWER_CLASSID, "class", NL_HEX32},
    {TCA_FLOWER_FLAGS, "hardware", NL_HEX32, .masked = true},
    {TCA_FLOWER_IN_HW_COUNT, "in-hardware", NL_U32, .masked = true},
};
static const struct nl_table flower_table = {flower_fields, ARRAY_SIZE(flower_fields),
                                             .whole = true};

static const struct nl_field matchall_fields[] = {
    {TCA_MATCHALL_ACT, "actions", NL_CUSTOM, .write = write_actions},
    {TCA_MATCHALL_CLASSID, "class", NL_HEX32},
};
static const struct nl_table matchall_table = NL_TABLE(matchall_fields);

static const struct nl_field fw_fields[] = {
    {TCA_FW_ACT, "actions", NL_CUSTOM, .write = write_actions},
    {TCA_FW_CLASSID, "class", NL_HEX32},
    {TCA_FW_INDEV, "indev", NL_STR},
    {TCA_FW_MASK, "mask", NL_HEX32},
};
static const struct nl_table fw_table = NL_TABLE(fw_fields);

static const struct nl_field basic_fields[] = {
    {TCA_BASIC_ACT, "actions", NL_CUSTOM, .write = write_actions},
    {TCA_BASIC_CLASSID, "class", NL_HEX32},
    {TCA_BASIC_EMATCHES, "matches", NL_BYTES},
};
static const struct nl_table basic_table = NL_TABLE(basic_fields);

/* --- Messages ---------------------------------------------------------------- */

struct kind {
    const char *name;
    const struct nl_table *table;
    void (*write)(struct nl_writer *w, const struct nlattr *a);
};
static const struct kind qdisc_kinds[] = {
    {"netem", .write = write_netem},
    {"htb", .table = &htb_table},
    {"sfq", .write = write_sfq},
};
static const struct kind filter_kinds[] = {
    {"bpf", .table = &bpf_table},           {"u32", .table = &u32_table},
    {"flower", .table = &flower_table},     {"fw", .table = &fw_table},
    {"matchall", .table = &matchall_table}, {"basic", .table = &basic_table},
};

static bool is_filter(const struct nl_writer *w)
{
    return w->h->nlmsg_type >= RTM_NEWTFILTER && w->h->nlmsg_type <= RTM_GETTFILTER;
}

static const struct kind *find_kind(const struct nl_writer *w)
{
    const struct nlattr *kind =
        nlmsg_find_attr((struct nlmsghdr *)(uintptr_t)w->h, sizeof(struct tcmsg), TCA_KIND);
    const struct kind *list = is_filter(w) ? filter_kinds : qdisc_kinds;
    size_t n = is_filter(w) ? ARRAY_SIZE(filter_kinds) : ARRAY_SIZE(qdisc_kinds);
    for (size_t i = 0; i < n && kind; i++)
        if (nla_strcmp(kind, list[i].name) == 0)
            return &list[i];
    return NULL;
}

static void write_options(struct nl_writer *w, const struct nlattr *a)
{
    bool is_class = w->h->nlmsg_type >= RTM_NEWTCLASS && w->h->nlmsg_type <= RTM_GETTCLASS;
    const struct kind *k = is_class ? NULL : find_kind(w);
    if (k && k->write)
        k->write(w, a);
    else if (k)
        nl_write_nest(w, a, k->table);
    else if (is_filter(w) && w->mode == NL_TEXT_OBJECT)
        buf_adds(w->out, "?");
    else
        nl_write_hex(w, nla_data(a), (size_t)nla_len(a));
}

static const struct nl_field tc_fields[] = {
    {TCA_KIND, "kind", NL_STR},
    {TCA_OPTIONS, "options", NL_CUSTOM, .write = write_options},
    {TCA_CHAIN, "chain", NL_U32},
    {TCA_STAB, "size-table", NL_BYTES},
    {TCA_INGRESS_BLOCK, "ingress-block", NL_U32},
    {TCA_EGRESS_BLOCK, "egress-block", NL_U32},
};
static const struct nl_table tc_table = NL_TABLE(tc_fields);

static void write_parent(struct nl_writer *w, uint32_t parent)
{
    switch (parent) {
    case TC_H_ROOT:
        buf_adds(w->out, " parent=root");
        break;
    case TC_H_CLSACT:
        buf_adds(w->out, " parent=hooks");
        break;
    case TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS):
        buf_adds(w->out, " parent=egress");
        break;
    case TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS):
        buf_adds(w->out, " parent=ingress");
        break;
    default:
        buf_printf(w->out, " parent=%x:%x", parent >> 16, parent & 0xffff);
    }
}

void nl_text_tc(struct nl_writer *w)
{
    const struct tcmsg *m = nlmsg_data(w->h);
    buf_adds(w->out, " dev=");
    nl_write_ifindex(w, &m->tcm_ifindex);
    write_parent(w, m->tcm_parent);
    if (is_filter(w)) {
        unsigned protocol = ntohs((uint16_t)(m->tcm_info & 0xffff));
        member(w, "pref", m->tcm_info >> 16);
        if (protocol == ETH_P_ALL)
            buf_adds(w->out, " protocol=all");
        else if (protocol)
            buf_printf(w->out, " protocol=0x%04x", protocol);
        if (m->tcm_handle)
            buf_printf(w->out, " handle=0x%x", m->tcm_handle);
    } else {
        buf_printf(w->out, " handle=%x:", m->tcm_handle >> 16);
        if (m->tcm_handle & 0xffff)
            buf_printf(w->out, "%x", m->tcm_handle & 0xffff);
        if (m->tcm_info && w->mode == NL_TEXT_REQUEST)
            buf_printf(w->out, " info=0x%x", m->tcm_info);
    }
    nl_write_attrs(w, nlmsg_attrdata(w->h, sizeof *m), nlmsg_attrlen(w->h, sizeof *m), &tc_table);
}

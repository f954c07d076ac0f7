/* Asking nf_tables what is there; see nft.h. */
#include "sim/kernel/nft.h"

#include "sim/base/buf.h"
#include "sim/kernel/nl_table.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

static struct nl_req *question_of(unsigned family, uint16_t type, uint16_t flags)
{
    struct nfgenmsg head = {.nfgen_family = (uint8_t)family, .version = NFNETLINK_V0};
    return nl_req_new(NETLINK_NETFILTER, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &head,
                      sizeof head, 512);
}

static struct nl_req *question(unsigned family, uint16_t type)
{
    return question_of(family, type, NLM_F_DUMP);
}

static const struct nlattr *find(const struct nlmsghdr *h, int attr)
{
    return nlmsg_find_attr((struct nlmsghdr *)(uintptr_t)h, sizeof(struct nfgenmsg), attr);
}

static const struct nlattr *inside(const struct nlattr *nest, int attr)
{
    return nest ? nla_find(nla_data(nest), nla_len(nest), attr) : NULL;
}

static uint64_t get_be64(const struct nlattr *a)
{
    uint64_t v = 0;
    if (a && nla_len(a) >= (int)sizeof v)
        memcpy(&v, nla_data(a), sizeof v);
    return be64toh(v);
}

static uint32_t get_be32(const struct nlattr *a)
{
    uint32_t v = 0;
    if (a && nla_len(a) >= (int)sizeof v)
        memcpy(&v, nla_data(a), sizeof v);
    return ntohl(v);
}

/* Room for one more, zeroed; the array doubles whenever n is a power of two. */
static void *grow(void *items, size_t n, size_t size)
{
    if ((n & (n - 1)) == 0 && !(items = realloc(items, (n ? 2 * n : 1) * size)))
        abort();
    memset((char *)items + n * size, 0, size);
    return items;
}

static bool read_counter(const struct nlattr *expr, uint64_t *packets, uint64_t *bytes)
{
    const struct nlattr *name = inside(expr, NFTA_EXPR_NAME);
    if (!name || nla_strcmp(name, "counter") != 0)
        return false;
    const struct nlattr *data = inside(expr, NFTA_EXPR_DATA);
    *packets = get_be64(inside(data, NFTA_COUNTER_PACKETS));
    *bytes = get_be64(inside(data, NFTA_COUNTER_BYTES));
    return true;
}

static int on_table(const struct nlmsghdr *h, void *data, struct err *err)
{
    *(bool *)data = NFNL_MSG_TYPE(h->nlmsg_type) == NFT_MSG_NEWTABLE;
    return 0;
}

int nft_table_find(struct nl *nl, const struct nft_table *t, struct err *err)
{
    struct err why = ERR_INIT;
    bool found = false;
    struct nl_req *q = question_of(t->family, NFT_MSG_GETTABLE, 0);
    nl_req_put_str(q, NFTA_TABLE_NAME, t->name);
    int r = nl_ask(nl, q, on_table, &found, &why);
    if (r == -ENOENT || r == -EOPNOTSUPP || r == -EAFNOSUPPORT || r == -EINVAL ||
        r == -EPROTONOSUPPORT)
        return 0;
    return r < 0 ? err_set(err, why.code, "%s", why.text) : found;
}

/* --- Rules ------------------------------------------------------------------- */

struct rules {
    struct nft_rule_seen *items;
    size_t n;
};

static int on_rule(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct rules *l = data;
    if (NFNL_MSG_TYPE(h->nlmsg_type) != NFT_MSG_NEWRULE)
        return 0;
    l->items = grow(l->items, l->n, sizeof *l->items);
    struct nft_rule_seen *r = &l->items[l->n++];
    r->handle = get_be64(find(h, NFTA_RULE_HANDLE));
    const struct nlattr *a = find(h, NFTA_RULE_CHAIN);
    if (a)
        nla_strlcpy(r->chain, a, sizeof r->chain);
    a = find(h, NFTA_RULE_USERDATA);
    const unsigned char *u = a ? nla_data(a) : NULL;
    if (u && nla_len(a) >= 3 && u[0] == 0 && u[1] <= nla_len(a) - 2 && u[1] < sizeof r->comment)
        memcpy(r->comment, u + 2, u[1]);
    const struct nlattr *list = find(h, NFTA_RULE_EXPRESSIONS), *e;
    int left = list ? nla_len(list) : 0;
    for (e = list ? nla_data(list) : NULL; e && nla_ok(e, left); e = nla_next(e, &left))
        if (read_counter(e, &r->packets, &r->bytes))
            break;
    return 0;
}

int nft_rules(struct nl *nl, const struct nft_table *t, struct nft_rule_seen **ret, size_t *ret_n,
              struct err *err)
{
    struct rules l = {0};
    struct nl_req *q = question(t->family, NFT_MSG_GETRULE);
    nl_req_put_str(q, NFTA_RULE_TABLE, t->name);
    int r = nl_ask(nl, q, on_rule, &l, err);
    if (r < 0) {
        free(l.items);
        return r;
    }
    *ret = l.items;
    *ret_n = l.n;
    return 0;
}

/* --- Sets -------------------------------------------------------------------- */

struct listed {
    struct nft_element_seen *items;
    size_t n;
};

static int on_elements(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct listed *l = data;
    const struct nlattr *list = find(h, NFTA_SET_ELEM_LIST_ELEMENTS), *e;
    int left = list ? nla_len(list) : 0;
    for (e = list ? nla_data(list) : NULL; e && nla_ok(e, left); e = nla_next(e, &left)) {
        const struct nlattr *key = inside(inside(e, NFTA_SET_ELEM_KEY), NFTA_DATA_VALUE);
        if (!key || nla_len(key) > NFT_KEY_MAX)
            continue;
        l->items = grow(l->items, l->n, sizeof *l->items);
        struct nft_element_seen *s = &l->items[l->n++];
        memcpy(s->element.key, nla_data(key), (size_t)nla_len(key));
        read_counter(inside(e, NFTA_SET_ELEM_EXPR), &s->packets, &s->bytes);
    }
    return 0;
}

static struct nl_req *elements_question(unsigned family, const char *table, const char *set)
{
    struct nl_req *q = question(family, NFT_MSG_GETSETELEM);
    nl_req_put_str(q, NFTA_SET_ELEM_LIST_TABLE, table);
    nl_req_put_str(q, NFTA_SET_ELEM_LIST_SET, set);
    return q;
}

int nft_set_read(struct nl *nl, const struct nft_set *set, struct nft_element_seen **ret,
                 size_t *ret_n, struct err *err)
{
    struct listed l = {0};
    struct nl_req *q = elements_question(set->table.family, set->table.name, set->name);
    int r = nl_ask(nl, q, on_elements, &l, err);
    if (r < 0) {
        free(l.items);
        return r;
    }
    *ret = l.items;
    *ret_n = l.n;
    return 0;
}

/* --- Descriptions ------------------------------------------------------------ */

struct set_name {
    uint8_t family;
    char table[256], name[256];
};

struct description {
    nft_line *fn;
    void *data;
    struct set_name *sets; /* whose elements are state of their own */
    size_t n_sets;
};

static const struct nl_names no_names;

static void remember_set(struct description *d, const struct nlmsghdr *h)
{
    const struct nlattr *table = find(h, NFTA_SET_TABLE), *name = find(h, NFTA_SET_NAME);
    /* Elements of others come and go by themselves: with a time-out, or added by packets. */
    if (!table || !name ||
        (get_be32(find(h, NFTA_SET_FLAGS)) & (NFT_SET_TIMEOUT | NFT_SET_EVAL)) != 0)
        return;
    d->sets = grow(d->sets, d->n_sets, sizeof *d->sets);
    struct set_name *s = &d->sets[d->n_sets++];
    s->family = ((const struct nfgenmsg *)nlmsg_data(h))->nfgen_family;
    nla_strlcpy(s->table, table, sizeof s->table);
    nla_strlcpy(s->name, name, sizeof s->name);
}

static int on_object(const struct nlmsghdr *h, void *data, struct err *err)
{
    struct description *d = data;
    AUTO_BUF line = BUF_INIT;
    nl_text(h, NETLINK_NETFILTER, &no_names, NL_TEXT_OBJECT, &line);
    d->fn(buf_text(&line), d->data);
    if (NFNL_MSG_TYPE(h->nlmsg_type) == NFT_MSG_NEWSET)
        remember_set(d, h);
    return 0;
}

/* One line for each element: how a dump is cut into messages says nothing. */
static int on_listed(const struct nlmsghdr *h, void *data, struct err *err)
{
    const struct description *d = data;
    const struct set_name *s = &d->sets[0];
    const struct nlattr *list = find(h, NFTA_SET_ELEM_LIST_ELEMENTS), *e;
    int left = list ? nla_len(list) : 0;
    for (e = list ? nla_data(list) : NULL; e && nla_ok(e, left); e = nla_next(e, &left)) {
        AUTO_BUF line = BUF_INIT;
        nl_text_nft_element(h, e, s->table, s->name, &line);
        d->fn(buf_text(&line), d->data);
    }
    return 0;
}

int nft_describe(struct nl *nl, nft_line *fn, void *data, struct err *err)
{
    static const struct {
        uint16_t type;
        bool optional; /* younger than nf_tables itself */
    } questions[] = {
        {NFT_MSG_GETTABLE}, {NFT_MSG_GETCHAIN},     {NFT_MSG_GETRULE},
        {NFT_MSG_GETSET},   {NFT_MSG_GETOBJ, true}, {NFT_MSG_GETFLOWTABLE, true},
    };
    struct description d = {.fn = fn, .data = data};
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(questions) && r == 0; i++) {
        r = nl_ask(nl, question(AF_UNSPEC, questions[i].type), on_object, &d, err);
        if (questions[i].optional && (r == -EINVAL || r == -EOPNOTSUPP))
            r = 0;
    }
    for (size_t i = 0; i < d.n_sets && r == 0; i++) {
        struct description one = {.fn = fn, .data = data, .sets = &d.sets[i], .n_sets = 1};
        r = nl_ask(nl, elements_question(d.sets[i].family, d.sets[i].table, d.sets[i].name),
                   on_listed, &one, err);
        if (r == -ENOENT)
            r = 0; /* deleted since */
    }
    free(d.sets);
    return r;
}

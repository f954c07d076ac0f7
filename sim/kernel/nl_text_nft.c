/* Text of nf_tables messages. Expressions are written as `nft --debug=netlink` names them. */
#include "sim/kernel/nl_table.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

static const char *const hook_names[] = {"prerouting", "input", "forward", "output", "postrouting"};
static const char *const verdicts[] = {"drop", "accept", "stolen", "queue", "repeat", "stop"};
static const struct nl_words verdict_words = NL_WORDS(verdicts);
static const char *const flag_names[] = {"none", "dormant", "owner"};
static const struct nl_words flag_words = NL_WORDS(flag_names);
static const char *const meta_names[] = {
    "len",     "protocol", "priority", "mark",    "iif",     "oif",       "iifname", "oifname",
    "iiftype", "oiftype",  "skuid",    "skgid",   "nftrace", "rtclassid", "secmark", "nfproto",
    "l4proto", "ibrname",  "obrname",  "pkttype", "cpu",     "iifgroup",  "oifgroup"};
static const struct nl_words meta_words = NL_WORDS(meta_names);
static const char *const op_names[] = {"eq", "neq", "lt", "lte", "gt", "gte"};
static const struct nl_words op_words = NL_WORDS(op_names);
static const char *const base_names[] = {"link", "network", "transport", "inner"};
static const struct nl_words base_words = NL_WORDS(base_names);
static const char *const ct_names[] = {"state",      "direction", "status",    "mark",   "secmark",
                                       "expiration", "helper",    "l3proto",   "src",    "dst",
                                       "protocol",   "proto-src", "proto-dst", "labels", "pkts",
                                       "bytes",      "avgpkt",    "zone"};
static const struct nl_words ct_words = NL_WORDS(ct_names);
static const char *const reject_names[] = {"icmp", "tcp-reset", "icmpx"};
static const struct nl_words reject_words = NL_WORDS(reject_names);

static const struct nl_field table_fields[] = {
    {NFTA_TABLE_NAME, "name", NL_STR},
    {NFTA_TABLE_FLAGS, "flags", NL_BE32, .words = &flag_words},
};
static const struct nl_table table_table = NL_TABLE(table_fields);

/* The netdev family counts from 0, too. */
static void write_hook(struct nl_writer *w, const struct nlattr *a)
{
    static const char *const netdev[] = {"ingress", "egress"};
    const struct nfgenmsg *head = nlmsg_data(w->h);
    uint32_t n = nla_len(a) >= (int)sizeof n ? ntohl(nla_get_u32(a)) : UINT32_MAX;
    bool device = head->nfgen_family == NFPROTO_NETDEV;
    if (n < (device ? ARRAY_SIZE(netdev) : ARRAY_SIZE(hook_names)))
        buf_adds(w->out, (device ? netdev : hook_names)[n]);
    else
        buf_printf(w->out, "%u", n);
}

static const struct nl_field hook_fields[] = {
    {NFTA_HOOK_HOOKNUM, "num", NL_CUSTOM, .write = write_hook},
    {NFTA_HOOK_PRIORITY, "priority", NL_BE32},
    {NFTA_HOOK_DEV, "dev", NL_STR},
    {NFTA_HOOK_DEVS, "devs", NL_BYTES},
};
static const struct nl_table hook_table = NL_TABLE(hook_fields);

static const struct nl_field chain_fields[] = {
    {NFTA_CHAIN_TABLE, "table", NL_STR},
    {NFTA_CHAIN_NAME, "name", NL_STR},
    {NFTA_CHAIN_HOOK, "hook", NL_NEST, &hook_table},
    {NFTA_CHAIN_POLICY, "policy", NL_BE32, .words = &verdict_words},
    {NFTA_CHAIN_TYPE, "type", NL_STR},
    {NFTA_CHAIN_FLAGS, "flags", NL_BE32},
};
static const struct nl_table chain_table = NL_TABLE(chain_fields);

static const struct nl_field verdict_fields[] = {
    {NFTA_VERDICT_CODE, "code", NL_BE32, .words = &verdict_words}, /* negative: jump, goto … */
    {NFTA_VERDICT_CHAIN, "chain", NL_STR},
    {NFTA_VERDICT_CHAIN_ID, "chain-id", NL_BE32},
};
static const struct nl_table verdict_table = NL_TABLE(verdict_fields);

#define NAME_BYTES 16

static bool is_padded_name(const char *s)
{
    size_t len = strnlen(s, NAME_BYTES);
    bool name = len > 0 && len < NAME_BYTES;
    for (size_t j = 0; name && j < NAME_BYTES; j++)
        name = j < len ? s[j] > ' ' && s[j] < 0x7f : s[j] == '\0';
    return name;
}

/* NUL-padded names of 16 bytes at the beginning as words; anything else in hexadecimal. */
static void write_data_value(struct nl_writer *w, const struct nlattr *a)
{
    const char *s = nla_data(a);
    size_t n = (size_t)nla_len(a), i = 0;
    if (n == sizeof(uint32_t) && nl_write_hole(w, s)) {
        nl_write_ifindex(w, s);
        return;
    }
    for (; n - i >= NAME_BYTES && is_padded_name(s + i); i += NAME_BYTES) {
        if (i > 0)
            buf_adds(w->out, ".");
        nl_text_word(s + i, strlen(s + i), w->out);
    }
    if (i > 0 && i < n)
        buf_adds(w->out, ".");
    if (i < n || n == 0)
        nl_write_hex(w, s + i, n - i);
}

static const struct nl_field data_fields[] = {
    {NFTA_DATA_VALUE, "value", NL_CUSTOM, .write = write_data_value},
    {NFTA_DATA_VERDICT, "verdict", NL_NEST, &verdict_table},
};
static const struct nl_table data_table = NL_TABLE(data_fields);

static void write_expression(struct nl_writer *w, const struct nlattr *expr);

static const struct nl_field meta_fields[] = {
    {NFTA_META_DREG, "dreg", NL_BE32},
    {NFTA_META_KEY, "key", NL_BE32, .words = &meta_words},
    {NFTA_META_SREG, "sreg", NL_BE32},
};
static const struct nl_field cmp_fields[] = {
    {NFTA_CMP_SREG, "sreg", NL_BE32},
    {NFTA_CMP_OP, "op", NL_BE32, .words = &op_words},
    {NFTA_CMP_DATA, "data", NL_NEST, &data_table},
};
static const struct nl_field payload_fields[] = {
    {NFTA_PAYLOAD_DREG, "dreg", NL_BE32},
    {NFTA_PAYLOAD_BASE, "base", NL_BE32, .words = &base_words},
    {NFTA_PAYLOAD_OFFSET, "offset", NL_BE32},
    {NFTA_PAYLOAD_LEN, "len", NL_BE32},
    {NFTA_PAYLOAD_SREG, "sreg", NL_BE32},
};
static const struct nl_field bitwise_fields[] = {
    {NFTA_BITWISE_SREG, "sreg", NL_BE32},
    {NFTA_BITWISE_DREG, "dreg", NL_BE32},
    {NFTA_BITWISE_LEN, "len", NL_BE32},
    {NFTA_BITWISE_MASK, "mask", NL_NEST, &data_table},
    {NFTA_BITWISE_XOR, "xor", NL_NEST, &data_table},
};
static const struct nl_field lookup_fields[] = {
    {NFTA_LOOKUP_SET, "set", NL_STR},
    {NFTA_LOOKUP_SREG, "sreg", NL_BE32},
    {NFTA_LOOKUP_DREG, "dreg", NL_BE32},
    {NFTA_LOOKUP_FLAGS, "flags", NL_BE32},
};
static const struct nl_field immediate_fields[] = {
    {NFTA_IMMEDIATE_DREG, "dreg", NL_BE32},
    {NFTA_IMMEDIATE_DATA, "data", NL_NEST, &data_table},
};
static const struct nl_field ct_fields[] = {
    {NFTA_CT_DREG, "dreg", NL_BE32},
    {NFTA_CT_KEY, "key", NL_BE32, .words = &ct_words},
    {NFTA_CT_DIRECTION, "direction", NL_U8},
    {NFTA_CT_SREG, "sreg", NL_BE32},
};
static const struct nl_field reject_fields[] = {
    {NFTA_REJECT_TYPE, "type", NL_BE32, .words = &reject_words},
    {NFTA_REJECT_ICMP_CODE, "code", NL_U8},
};
static const char *const fib_names[] = {"none", "oif", "oifname", "type"};
static const struct nl_words fib_words = NL_WORDS(fib_names);
static const struct nl_field fib_fields[] = {
    {NFTA_FIB_DREG, "dreg", NL_BE32},
    {NFTA_FIB_RESULT, "result", NL_BE32, .words = &fib_words},
    {NFTA_FIB_FLAGS, "flags", NL_BE32},
};
static const struct nl_field redir_fields[] = {
    {NFTA_REDIR_REG_PROTO_MIN, "proto-min", NL_BE32},
    {NFTA_REDIR_REG_PROTO_MAX, "proto-max", NL_BE32},
    {NFTA_REDIR_FLAGS, "flags", NL_BE32},
};
static const struct nl_field tproxy_fields[] = {
    {NFTA_TPROXY_FAMILY, "family", NL_BE32},
    {NFTA_TPROXY_REG_ADDR, "address", NL_BE32},
    {NFTA_TPROXY_REG_PORT, "port", NL_BE32},
};
static const struct nl_field fwd_fields[] = {
    {NFTA_FWD_SREG_DEV, "dev", NL_BE32},
};
static const struct nl_field counter_fields[] = {
    {NFTA_COUNTER_BYTES, "bytes", NL_BE64, .masked = true},
    {NFTA_COUNTER_PACKETS, "packets", NL_BE64, .masked = true},
};

static const struct {
    const char *name;
    struct nl_table table;
} expressions[] = {
    {"meta", NL_TABLE(meta_fields)},       {"cmp", NL_TABLE(cmp_fields)},
    {"payload", NL_TABLE(payload_fields)}, {"bitwise", NL_TABLE(bitwise_fields)},
    {"lookup", NL_TABLE(lookup_fields)},   {"immediate", NL_TABLE(immediate_fields)},
    {"ct", NL_TABLE(ct_fields)},           {"reject", NL_TABLE(reject_fields)},
    {"counter", NL_TABLE(counter_fields)}, {"fib", NL_TABLE(fib_fields)},
    {"redir", NL_TABLE(redir_fields)},     {"tproxy", NL_TABLE(tproxy_fields)},
    {"fwd", NL_TABLE(fwd_fields)},
};
/* Expressions whose data hold a state that changes with each packet. */
static const char *const counting[] = {"quota", "last", "connlimit", "limit"};

static void write_expression(struct nl_writer *w, const struct nlattr *expr)
{
    const struct nlattr *name = nla_find(nla_data(expr), nla_len(expr), NFTA_EXPR_NAME);
    const struct nlattr *data = nla_find(nla_data(expr), nla_len(expr), NFTA_EXPR_DATA);
    if (!name) {
        nl_write_hex(w, nla_data(expr), (size_t)nla_len(expr));
        return;
    }
    const char *word = nla_data(name);
    buf_addc(w->out, '[');
    nl_text_word(word, strnlen(word, (size_t)nla_len(name)), w->out);
    const struct nl_table *t = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(expressions); i++)
        if (nla_strcmp(name, expressions[i].name) == 0)
            t = &expressions[i].table;
    bool skip = !data;
    for (size_t i = 0; i < ARRAY_SIZE(counting); i++)
        skip |= w->mode == NL_TEXT_OBJECT && nla_strcmp(name, counting[i]) == 0;
    if (t && !skip) {
        nl_write_attrs(w, nla_data(data), nla_len(data), t);
    } else if (!skip) {
        buf_addc(w->out, ' ');
        nl_write_hex(w, nla_data(data), (size_t)nla_len(data));
    }
    buf_addc(w->out, ']');
}

static void write_expressions(struct nl_writer *w, const struct nlattr *list)
{
    const struct nlattr *a;
    int left;
    for (a = nla_data(list), left = nla_len(list); nla_ok(a, left); a = nla_next(a, &left))
        write_expression(w, a);
}

/* The comment inside: TLVs of one byte type, one byte length; type 0 is a text (libnftnl). */
static void write_userdata(struct nl_writer *w, const struct nlattr *a)
{
    const unsigned char *d = nla_data(a);
    size_t n = (size_t)nla_len(a);
    if (n >= 3 && d[0] == 0 && d[1] == n - 2 && d[n - 1] == '\0')
        nl_text_word((const char *)d + 2, n - 3, w->out);
    else
        nl_write_hex(w, d, n);
}

static const struct nl_field rule_fields[] = {
    {NFTA_RULE_TABLE, "table", NL_STR},
    {NFTA_RULE_CHAIN, "chain", NL_STR},
    {NFTA_RULE_HANDLE, "handle", NL_BE64, .masked = true},
    {NFTA_RULE_EXPRESSIONS, "expr", NL_CUSTOM, .write = write_expressions},
    {NFTA_RULE_USERDATA, "comment", NL_CUSTOM, .write = write_userdata},
};
static const struct nl_table rule_table = NL_TABLE(rule_fields);

static const struct nl_field desc_fields[] = {
    {NFTA_SET_DESC_SIZE, "size", NL_BE32},
    {NFTA_SET_DESC_CONCAT, "concat", NL_BYTES},
};
static const struct nl_table desc_table = NL_TABLE(desc_fields);

static const struct nl_field set_fields[] = {
    {NFTA_SET_TABLE, "table", NL_STR},
    {NFTA_SET_NAME, "name", NL_STR},
    {NFTA_SET_FLAGS, "flags", NL_BE32},
    {NFTA_SET_KEY_TYPE, "key-type", NL_BE32},
    {NFTA_SET_KEY_LEN, "key-len", NL_BE32},
    {NFTA_SET_DATA_TYPE, "data-type", NL_BE32},
    {NFTA_SET_DATA_LEN, "data-len", NL_BE32},
    {NFTA_SET_DESC, "desc", NL_NEST, &desc_table},
    {NFTA_SET_ID, "id", NL_BE32},
    {NFTA_SET_TIMEOUT, "timeout", NL_BE64},
    {NFTA_SET_EXPR, "expr", NL_CUSTOM, .write = write_expression},
};
static const struct nl_table set_table = NL_TABLE(set_fields);

static const struct nl_field element_fields[] = {
    {NFTA_SET_ELEM_KEY, "key", NL_NEST, &data_table},
    {NFTA_SET_ELEM_KEY_END, "key-end", NL_NEST, &data_table},
    {NFTA_SET_ELEM_DATA, "data", NL_NEST, &data_table},
    {NFTA_SET_ELEM_FLAGS, "flags", NL_BE32},
    {NFTA_SET_ELEM_EXPR, "expr", NL_CUSTOM, .write = write_expression},
};
static const struct nl_table element_table = NL_TABLE(element_fields);

static const struct nl_field elements_fields[] = {
    {NFTA_SET_ELEM_LIST_TABLE, "table", NL_STR},
    {NFTA_SET_ELEM_LIST_SET, "set", NL_STR},
    {NFTA_SET_ELEM_LIST_SET_ID, "id", NL_BE32},
    {NFTA_SET_ELEM_LIST_ELEMENTS, "elements", NL_LIST, &element_table},
};
static const struct nl_table elements_table = NL_TABLE(elements_fields);

static const struct nl_field object_fields[] = {
    {NFTA_OBJ_TABLE, "table", NL_STR},
    {NFTA_OBJ_NAME, "name", NL_STR},
    {NFTA_OBJ_TYPE, "type", NL_BE32},
};
static const struct nl_table object_table = NL_TABLE(object_fields);

static const struct nl_field flowtable_fields[] = {
    {NFTA_FLOWTABLE_TABLE, "table", NL_STR},
    {NFTA_FLOWTABLE_NAME, "name", NL_STR},
    {NFTA_FLOWTABLE_HOOK, "hook", NL_BYTES},
};
static const struct nl_table flowtable_table = NL_TABLE(flowtable_fields);

struct noun {
    uint16_t new, get, del; /* del 0xffff: none */
    const char *name;
    const struct nl_table *table;
};
static const struct noun nouns[] = {
    {NFT_MSG_NEWTABLE, NFT_MSG_GETTABLE, NFT_MSG_DELTABLE, "table", &table_table},
    {NFT_MSG_NEWCHAIN, NFT_MSG_GETCHAIN, NFT_MSG_DELCHAIN, "chain", &chain_table},
    {NFT_MSG_NEWRULE, NFT_MSG_GETRULE, NFT_MSG_DELRULE, "rule", &rule_table},
    {NFT_MSG_NEWSET, NFT_MSG_GETSET, NFT_MSG_DELSET, "set", &set_table},
    {NFT_MSG_NEWSETELEM, NFT_MSG_GETSETELEM, NFT_MSG_DELSETELEM, "element", &elements_table},
    {NFT_MSG_NEWOBJ, NFT_MSG_GETOBJ, NFT_MSG_DELOBJ, "object", &object_table},
    {NFT_MSG_NEWFLOWTABLE, NFT_MSG_GETFLOWTABLE, NFT_MSG_DELFLOWTABLE, "flowtable",
     &flowtable_table},
};

static const char *family_word(unsigned family)
{
    static const char *const words[] = {
        [1] = "inet", [2] = "ip", [3] = "arp", [5] = "netdev", [7] = "bridge", [10] = "ip6"};
    return family < ARRAY_SIZE(words) && words[family] ? words[family] : "any";
}

void nl_text_nft_element(const struct nlmsghdr *h, const struct nlattr *element, const char *table,
                         const char *set, struct buf *out)
{
    static const struct nl_names none;
    struct nl_writer w = {.h = h, .names = &none, .mode = NL_TEXT_OBJECT, .out = out};
    const struct nfgenmsg *head = nlmsg_data(h);
    buf_printf(out, "nft element %s table=", family_word(head->nfgen_family));
    nl_text_word(table, strlen(table), out);
    buf_adds(out, " set=");
    nl_text_word(set, strlen(set), out);
    nl_write_attrs(&w, nla_data(element), nla_len(element), &element_table);
}

void nl_text_nft(struct nl_writer *w)
{
    const struct nfgenmsg *head = nlmsg_data(w->h);
    unsigned subsystem = NFNL_SUBSYS_ID(w->h->nlmsg_type), type = NFNL_MSG_TYPE(w->h->nlmsg_type);
    for (size_t i = 0; i < ARRAY_SIZE(nouns) && subsystem == NFNL_SUBSYS_NFTABLES; i++) {
        const struct noun *n = &nouns[i];
        if (type != n->new &&type != n->get && type != n->del)
            continue;
        buf_printf(w->out, "nft %s ", n->name);
        if (w->mode == NL_TEXT_REQUEST)
            buf_printf(w->out, "%s ", nl_write_verb(w->h, type == n->new, type == n->get));
        buf_adds(w->out, family_word(head->nfgen_family));
        nl_write_attrs(w, nlmsg_attrdata(w->h, sizeof *head), nlmsg_attrlen(w->h, sizeof *head),
                       n->table);
        return;
    }
    buf_printf(w->out, "netfilter %u:%u ", subsystem, type);
    nl_write_hex(w, nlmsg_data(w->h), (size_t)nlmsg_datalen(w->h));
}

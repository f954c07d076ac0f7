/* Gates of cables. See gate.h. */
#include "sim/impair/engine/gate.h"

#include "sim/impair/engine/engine.h"
#include "sim/kernel/nft.h"

#include <errno.h>
#include <stdio.h>

#define GATE_NAME_MAX 40

enum { GATE_CLOSED, GATE_ON };

static struct nft_table gate_table(const char *tag, int which, char ret_name[GATE_NAME_MAX])
{
    snprintf(ret_name, GATE_NAME_MAX, "blackstart-%s-%s", tag,
             which == GATE_CLOSED ? "closed" : "on");
    return (struct nft_table){.family = NFT_FAMILY_NETDEV, .name = ret_name};
}

static void gate_chain(struct nl *nl, const struct nft_table *t, const char *inner, int which,
                       const char *out)
{
    struct nft_chain chain = {.table = *t,
                              .name = "gate",
                              .hook = NFT_INGRESS,
                              .device = inner,
                              .priority = which == GATE_CLOSED ? 0 : 10};
    struct nft_rule rule = {.table = *t, .chain = chain.name, .verdict = NFT_DROP_IT};
    if (which == GATE_ON) {
        rule.verdict = NFT_SEND;
        rule.as = ENGINE_MARK;
        rule.out = out;
    }
    nft_chain_add(nl, &chain);
    nft_rule_add(nl, &rule);
}

/* Kernels without what it needs answer with one of these. */
static bool gate_is_unknown(int r)
{
    return r == -ENOENT || r == -EOPNOTSUPP || r == -EAFNOSUPPORT || r == -EINVAL ||
           r == -EPROTONOSUPPORT;
}

int gate_make(struct nl *nl, const char *tag, const char *inner, const char *out, struct err *err)
{
    char names[2][GATE_NAME_MAX];
    struct nft_table closed = gate_table(tag, GATE_CLOSED, names[0]),
                     on = gate_table(tag, GATE_ON, names[1]);
    struct err why = ERR_INIT;
    int owner = nft_table_create(nl, &closed, &why), r = owner;
    if (owner == 0) {
        gate_chain(nl, &closed, inner, GATE_CLOSED, NULL);
        r = nl_flush(nl, &why);
    }
    if (r == 0) {
        nft_table_add(nl, &on);
        gate_chain(nl, &on, inner, GATE_ON, out);
        r = nl_flush(nl, &why);
    }
    if (r == 0)
        return 0;
    if (owner >= 0)
        (void)gate_remove(nl, tag, NULL);
    if (r == 1 || gate_is_unknown(r))
        return 1;
    return err_set(err, why.code, "%s", why.text);
}

static int gate_delete(struct nl *nl, const struct nft_table *t, struct err *err)
{
    nft_table_delete(nl, t);
    nl_forgive(nl, ENOENT);
    return nl_flush(nl, err); /* alone: one that is not there would undo a transaction of both */
}

int gate_remove(struct nl *nl, const char *tag, struct err *err)
{
    int first = 0;
    for (int which = GATE_CLOSED; which <= GATE_ON; which++) {
        char name[GATE_NAME_MAX];
        struct nft_table t = gate_table(tag, which, name);
        int r = gate_delete(nl, &t, first ? NULL : err);
        first = first ? first : r;
    }
    return first;
}

int gate_sweep(struct nl *nl, const char *tag, size_t *ret_n, struct err *err)
{
    for (int which = GATE_CLOSED; which <= GATE_ON; which++) {
        char name[GATE_NAME_MAX];
        struct nft_table t = gate_table(tag, which, name);
        int r = nft_table_find(nl, &t, err);
        if (r > 0 && (r = gate_delete(nl, &t, err)) == 0)
            ++*ret_n;
        if (r < 0)
            return r;
    }
    return 0;
}

/* Which packets a partition concerns. See scope.h. */
#include "injectors/net/partition/scope.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>

const char *const scope_kind_words[] = {"drop", "reject", NULL};
const char *const scope_packets_words[] = {"all", "new-connections", NULL};
const char *const scope_protocol_words[] = {"any", "tcp", "udp", "sctp", "icmp", NULL};
const char *const scope_connections_words[] = {"keep", "cut", NULL};
static const int protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP};
static_assert(ARRAY_SIZE(scope_protocol_words) == ARRAY_SIZE(protocols) + 1, "one for each word");

struct cut_scope scope_of(const struct partition_params *p)
{
    return (struct cut_scope){.refuse = p->kind == CUT_REJECT,
                              .new_only = p->packets == CUT_NEW_CONNECTIONS,
                              .protocol = protocols[p->protocol],
                              .ports = p->ports};
}

int scope_check(const struct partition_params *p, struct err *err)
{
    if (p->ports.n > 0 && protocols[p->protocol] == IPPROTO_ICMP)
        return err_set(err, EINVAL, "'port' is for tcp, udp and sctp: icmp has none");
    if (p->connections == CUT_SEVER && p->protocol && protocols[p->protocol] != IPPROTO_TCP)
        return err_set(err, EINVAL, "'connections' can be cut for tcp alone: %s has none",
                       scope_protocol_words[p->protocol]);
    return 0;
}

void scope_text(const struct partition_params *p, struct buf *out)
{
    bool new_only = p->packets == CUT_NEW_CONNECTIONS;
    buf_adds(out, new_only ? "new connections" : "every packet");
    if (p->protocol)
        buf_printf(out, " of %s", scope_protocol_words[p->protocol]);
    for (size_t i = 0; i < p->ports.n; i++) {
        struct port_range r = p->ports.items[i];
        buf_printf(out, "%s%u", i ? ", " : new_only ? " to port " : " from or to port ", r.lo);
        if (r.hi != r.lo)
            buf_printf(out, "-%u", r.hi);
    }
}

int scope_supported(const struct inject_env *env, const struct partition_params *p, struct err *err)
{
    struct cut_scope s = scope_of(p);
    const struct {
        const char *cap;
        bool needed;
    } needs[] = {
        {"nft-bridge", cut_is_at_switch(&s)},
        {"nft-inet", !cut_is_at_switch(&s)},
        {"nft-reject", s.refuse},
        {"nft-ct", s.new_only},
        {"sock-destroy", p->connections == CUT_SEVER},
    };
    for (size_t i = 0; env->caps && i < ARRAY_SIZE(needs); i++) {
        const struct hostcap *cap = hostcaps_find(env->caps, needs[i].cap);
        if (needs[i].needed && cap && !cap->ok)
            return err_set(err, EOPNOTSUPP, "partition (%s%s) needs %s, which this host lacks: %s",
                           scope_kind_words[p->kind], s.new_only ? ", new-connections" : "",
                           needs[i].cap, cap->detail ? cap->detail : "");
    }
    return 0;
}

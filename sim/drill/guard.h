/* Guard rails about hosts that others made: what no step may do, however it is written. Facts in, verdict
 * with its sentence out; what is forbidden is forbidden before anything is touched.
 *
 *   - a host that is marked as production is not touched at all;
 *   - the interface by which a host reaches everybody (its default route) is never taken down, and
 *     impaired or cut for named peers alone;
 *   - the interface, the address and the route by which the operator is connected stay;
 *   - the device and the route by which a resolver is reached stay, too (but for a default route, of
 *     which that is the use), and so do the device and the address at which we listen ourselves;
 *   - the operator's other end, the resolvers, the loopback and our own ports are no peers of a cut, a reset
 *     or an impairment: of prefixes and ranges that hold them they are left out (exempt.h); no proxy
 *     stands in the way of our own ports.
 *
 * Shares of groups: sim/model/share.h. Ownership: guard_facts_done() frees what guard_facts_find() made;
 * everything else is borrowed.
 */
#pragma once

#include "sim/attach/attach.h"
#include "sim/model/model.h"

#define GUARD_MARK "/etc/blackstart/production"

enum guard_deed {
    GUARD_ANYTHING, /* of which nothing more is known here than that it touches the host */
    GUARD_DOWN,     /* a device is taken down */
    GUARD_IMPAIRED, /* packets over a device, with `peers` or all */
    GUARD_CUT,      /* packets with `peers` */
    GUARD_RESET,    /* connections with `peers`, or all */
    GUARD_ADDRESS,  /* `peers[0]` is withdrawn from the host */
    GUARD_ROUTE,    /* the route to `peers[0]` */
    GUARD_ANSWERED, /* who connects to `ports` is answered by a proxy */
};

/* What a step would do to a host. */
struct guard_touch {
    enum guard_deed deed;
    const char *step;
    const char *device; /* NULL: not one */
    const struct inet_prefix *peers;
    size_t n_peers;
    bool default_goes;              /* the default route goes along with the address */
    const struct port_range *ports; /* the packets or connections of these ports alone */
    size_t n_ports;
};

struct guard_facts {
    const char *host;
    const char *mark;           /* why it counts as production; NULL: it does not */
    bool machine;               /* its network is this machine's own */
    char default_device[2][16]; /* IPv4, IPv6; "": no default route */
    const struct exempts *exempt;
    char (*ways)[16];           /* the device by which each of those is reached; "": by none */
    struct inet_prefix *routes; /* of each the route; family 0: not known. NULL: of none */
    char listener_devices[EXEMPT_PORTS][16]; /* that has the address of our listener; "": none */
};
void guard_facts_done(struct guard_facts *f);

/* 0, or -EPERM with what to do instead. Pure. */
int guard_judge(const struct guard_touch *t, const struct guard_facts *f, struct err *err);

/* mark: GUARD_MARK, or another path in tests. */
int guard_facts_find(const struct attached_host *h, const char *mark, struct guard_facts *ret,
                     struct err *err);
/* All steps and all attached hosts; exempt_find() came before. *ret_refused: a new reference to
 * [sentence…], each with its step. */
int guard_scenario(const struct scenario *s, const struct attached *a, const char *mark,
                   json_t **ret_refused, struct err *err);
/* Our own listeners (webhooks) are exempt in the hosts in which they stand; after exempt_find(). (Who
 * stamps marks from another terminal comes by an AF_UNIX socket, which no fault touches.) */
int guard_listeners(const struct scenario *s, struct attached *a, struct err *err);
/* The same for a page of ours on this machine, "ADDRESS:PORT". */
int guard_page(struct attached *a, const char *listens, struct err *err);
/* Who is exempt, for people: [text…]; a new reference. */
json_t *guard_exempt_texts(const struct attached_host *h);

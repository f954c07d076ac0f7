/* A lab host as the place of a vantage process. */
#include "sim/watch/place.h"

#include "sim/lab/topo.h"
#include "sim/watch/kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define ENV_FILE "/run/.blackstart/env" /* sim/lab writes it */

/* They derive from names, so they are known of hosts that are down too. */
static size_t place_macs(const void *data, const char *host, const char *network, uint8_t (*ret)[6],
                         size_t max)
{
    const struct topo *t = data;
    size_t n = 0;
    for (size_t i = 0; i < t->cables_n && n < max; i++) {
        const struct topo_cable *c = &t->cables[i];
        if (strcmp(t->hosts[c->host].host->name, host) == 0 &&
            (!network || strcmp(t->nets[c->net].name, network) == 0))
            memcpy(ret[n++], c->mac.b, sizeof c->mac.b);
    }
    return n;
}

/* In a host that others made: its namespaces, nothing of ours beside it. The scenario's folder is where
 * both see the machine's files. */
static int start_attached(const struct scenario *s, struct lab_node *node, struct loop *loop,
                          const nsec *first, int pcap_fd, const struct watch_handlers *handlers,
                          const struct topo *topo, struct watch **ret, struct err *err)
{
    const struct attached_target *t = &lab_node_attached(node)->at;
    struct watch_place place = {.host = lab_node_name(node),
                                .pidfd = -1,
                                .netns_fd = t->netns,
                                .mounts_fd = t->mounts,
                                .dir_fd = t->shares_mounts ? lab_node_source(node) : -1,
                                .source_fd = lab_node_source(node),
                                .own_pids = true,
                                .macs = place_macs,
                                .macs_data = topo};
    return watch_start_at(s, &place, loop, first, pcap_fd, handlers, ret, err);
}

int watch_start(const struct scenario *s, struct lab_node *node, struct loop *loop,
                const nsec *first, int pcap_fd, const struct watch_handlers *handlers,
                struct watch **ret, struct err *err)
{
    if (!lab_node_is_up(node))
        return err_set(err, EHOSTDOWN, "host %s is down: nothing can be probed from it",
                       lab_node_name(node));
    CLEANUP(topo_free_p) struct topo *topo = NULL;
    int r = topo_new(s, &topo, err);
    if (r < 0)
        return r;
    if (lab_node_attached(node))
        return start_attached(s, node, loop, first, pcap_fd, handlers, topo, ret, err);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cwd", lab_node_pid(node));
    AUTO_CLOSE int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_errno(err, errno, "cannot find the working directory of host %s",
                         lab_node_name(node));
    struct watch_place place = {.host = lab_node_name(node),
                                .pidfd = lab_node_pidfd(node),
                                .dir_fd = dir,
                                .source_fd = lab_node_source(node),
                                .env_file = ENV_FILE,
                                .own_pids = true,
                                .macs = place_macs,
                                .macs_data = topo};
    return watch_start_at(s, &place, loop, first, pcap_fd, handlers, ret, err);
}

int watch_start_here(const struct scenario *s, int source_fd, struct loop *loop,
                     const struct watch_handlers *handlers, struct watch **ret, struct err *err)
{
    struct watch_place place = {.host = WATCH_HERE,
                                .pidfd = -1,
                                .dir_fd = source_fd,
                                .source_fd = source_fd,
                                .own_pids = true};
    return watch_start_at(s, &place, loop, NULL, -1, handlers, ret, err);
}

/* The features of a device, by their names (ethtool(8) -k). */
#include "sim/impair/engine/offload.h"

#include "sim/base/cleanup.h"
#include "sim/kernel/netns.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static bool ask(int fd, const char *device, void *data)
{
    struct ifreq r = {.ifr_data = data};
    strncpy(r.ifr_name, device, sizeof r.ifr_name - 1);
    return ioctl(fd, SIOCETHTOOL, &r) == 0;
}

/* How many features this kernel knows; 0: not told. */
static uint32_t count(int fd, const char *device)
{
    struct ethtool_sset_info head = {ETHTOOL_GSSET_INFO, 0, 1ull << ETH_SS_FEATURES};
    _Alignas(struct ethtool_sset_info) char buf[sizeof head + sizeof(uint32_t)] = {0};
    uint32_t n;
    memcpy(buf, &head, sizeof head);
    if (!ask(fd, device, buf))
        return 0;
    memcpy(&head, buf, sizeof head);
    memcpy(&n, buf + sizeof head, sizeof n);
    return head.sset_mask ? n : 0;
}

static bool is_on(const struct ethtool_gfeatures *f, const struct ethtool_gstrings *names,
                  const char *name)
{
    for (uint32_t i = 0; i < names->len; i++)
        if (strncmp((const char *)names->data + (size_t)i * ETH_GSTRING_LEN, name,
                    ETH_GSTRING_LEN) == 0)
            return f->features[i / 32].active >> (i % 32) & 1;
    return false;
}

bool offload_takes_all(int netns_fd, const char *device)
{
    static const char *const needed[] = {
        "tx-scatter-gather",    "tx-checksum-ip-generic",  "tx-tcp-segmentation",
        "tx-tcp6-segmentation", "tx-tcp-ecn-segmentation", "tx-udp-segmentation",
    };
    AUTO_CLOSE int fd = -1;
    if (netns_socket(netns_fd, AF_INET, SOCK_DGRAM, 0, &fd, NULL) < 0)
        return false;
    uint32_t n = count(fd, device), blocks = (n + 31) / 32;
    AUTO_FREE struct ethtool_gstrings *names =
        calloc(1, sizeof *names + (size_t)n * ETH_GSTRING_LEN);
    AUTO_FREE struct ethtool_gfeatures *f =
        calloc(1, sizeof *f + blocks * sizeof(struct ethtool_get_features_block));
    if (!n || !names || !f)
        return false;
    *names = (struct ethtool_gstrings){ETHTOOL_GSTRINGS, ETH_SS_FEATURES, n};
    *f = (struct ethtool_gfeatures){ETHTOOL_GFEATURES, blocks};
    if (!ask(fd, device, names) || !ask(fd, device, f))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
        if (!is_on(f, names, needed[i]))
            return false;
    return true;
}

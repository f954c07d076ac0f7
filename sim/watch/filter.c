/* A look at the words of a filter. The grammar is libpcap's; this knows only which words belong to it
 * and of what kind an unknown one must be: that of the last `host`, `net`, `port`, … before it, or of
 * a host where none is said. Source: pcap-filter(7) of libpcap 1.10.
 */
#include "sim/watch/filter.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sim/base/cleanup.h"

/* Words after which a name is looked up in files. */
static const char *const filter_local[] = {"port", "portrange", "proto", "protochain", NULL};
/* Words that begin a new primitive, or say of what a name is: what follows is a host or a network. */
static const char *const filter_hosts[] = {
    "dst",   "src",  "host",  "net",   "gateway", "ether", "fddi", "tr",      "wlan",
    "link",  "ip",   "ip6",   "arp",   "rarp",    "tcp",   "udp",  "sctp",    "icmp",
    "icmp6", "igmp", "igrp",  "pim",   "vrrp",    "carp",  "ah",   "esp",     "decnet",
    "ppp",   "slip", "radio", "atalk", "aarp",    "lat",   "sca",  "moprc",   "mopdl",
    "mopd",  "iso",  "clnp",  "esis",  "isis",    "stp",   "ipx",  "netbeui", NULL};
static const char *const filter_others[] = {
    "and",       "or",       "not",        "mask",      "less",      "greater",    "broadcast",
    "multicast", "len",      "inbound",    "outbound",  "ifindex",   "ifname",     "on",
    "vlan",      "mpls",     "pppoed",     "pppoes",    "geneve",    "byte",       "es-is",
    "is-is",     "l1",       "l2",         "iih",       "lsp",       "snp",        "csnp",
    "psnp",      "icmptype", "icmpcode",   "icmp6type", "icmp6code", "tcpflags",   "llc",
    "i",         "s",        "u",          "rr",        "rnr",       "rej",        "ui",
    "ua",        "disc",     "sabme",      "test",      "xid",       "frmr",       "rnum",
    "rulenum",   "reason",   "rset",       "ruleset",   "srnr",      "subrulenum", "action",
    "type",      "subtype",  "dir",        "direction", "ra",        "ta",         "addr1",
    "addr2",     "addr3",    "addr4",      "address1",  "address2",  "address3",   "address4",
    "lane",      "metac",    "bcc",        "sc",        "ilmic",     "oam",        "oamf4",
    "oamf4ec",   "oamf4sc",  "connectmsg", "vpi",       "vci",       NULL};

static bool is_one_of(const char *const *words, const char *s, size_t n)
{
    for (size_t i = 0; words[i]; i++)
        if (strlen(words[i]) == n && strncasecmp(words[i], s, n) == 0)
            return true;
    return false;
}

/* tcp-syn, icmp-echoreply, icmp6-…: constants. */
static bool is_constant(const char *s, size_t n)
{
    static const char *const prefixes[] = {"tcp-", "icmp-", "icmp6-"};
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (n > strlen(prefixes[i]) && strncasecmp(s, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* Numbers and addresses of every family: hexadecimal digits and their separators, and either a digit
 * in front or a colon inside. */
static bool is_address(const char *s, size_t n)
{
    bool number = isdigit((unsigned char)*s);
    size_t from = n > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 2 : 0;
    for (size_t i = from; i < n; i++) {
        number |= s[i] == ':';
        if (!isxdigit((unsigned char)s[i]) && !strchr(".:-", s[i]))
            return false;
    }
    return number;
}

bool filter_names_host(const char *filter, char *ret, size_t size)
{
    bool local = false;
    for (const char *p = filter; *p;) {
        bool escaped = *p == '\\'; /* `ip proto \tcp`: a name although it is a keyword */
        p += escaped;
        if (!isalnum((unsigned char)*p) && !(*p == ':' && p[1] == ':')) {
            p += *p != '\0';
            continue;
        }
        size_t n = 1;
        while (isalnum((unsigned char)p[n]) || (p[n] && strchr("._:-", p[n])))
            n++;
        if (is_one_of(filter_local, p, n) && !escaped)
            local = true;
        else if (is_one_of(filter_hosts, p, n) && !escaped)
            local = false;
        else if (!local && !is_address(p, n) && !is_constant(p, n) &&
                 (escaped || !is_one_of(filter_others, p, n))) {
            snprintf(ret, size, "%.*s", (int)n, p);
            return true;
        }
        p += n;
    }
    return false;
}

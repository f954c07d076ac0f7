/* The tables of `probes:` and `alarms:`: what may be written below each kind. */
#include "sim/watch/kinds.h"

#include "sim/watch/watch.h"

#define NOWHERE SIZE_MAX

/* --- Probes ---------------------------------------------------------------------------------- */

static const struct field expect_fields[] = {
    {.key = "status",
     .type = FIELD_INTEGER,
     .offset = offsetof(struct expect_params, status),
     .min = 100,
     .max = 599,
     .help = "The status the answer must have; without it any from 200 to 299 is good.",
     .example = "200"},
    {.key = "body",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct expect_params, body),
     .help = "A text that the body must contain, as it stands (within its first 64 KiB).",
     .example = "ok"},
    {.key = "match",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY | FIELD_REGEX,
     .offset = offsetof(struct expect_params, match),
     .help = "A POSIX extended regular expression that the body must match; ^ and $ hold at each "
             "line.",
     .example = "^status: (green|yellow)$"},
    {.key = "header",
     .type = FIELD_PAIRS,
     .offset = offsetof(struct expect_params, header),
     .help = "Headers that the answer must have, each with a text that its value must contain; "
             "\"\" asks only that it is there.",
     .example = "{X-Served-By: lb2}"},
    {0},
};
static const struct record expect_record = {
    .name = "expect",
    .summary = "What a good answer looks like; all that is given must hold.",
    .size = sizeof(struct expect_params),
    .fields = expect_fields,
    .shorthand = "status",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field tls_fields[] = {
    {.key = "verify",
     .type = FIELD_BOOL,
     .dflt = "true",
     .offset = offsetof(struct tls_params, verify),
     .help =
         "Whether the certificate must be valid for the name and signed by an authority that is "
         "trusted.",
     .example = "false"},
    {.key = "ca",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct tls_params, ca),
     .help = "A PEM file with the authorities to trust, on the probe's host (below its working "
             "directory: list it in the host's `files`); without it the system's.",
     .example = "ca.pem"},
    {.key = "server_name",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct tls_params, server_name),
     .help = "The name to ask for and that the certificate must bear, instead of the URL's; the "
             "connection still goes where the URL says.",
     .example = "shop.example.com"},
    {0},
};
const struct record kinds_tls = {
    .name = "tls",
    .summary = "How far a certificate is trusted.",
    .size = sizeof(struct tls_params),
    .fields = tls_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field http_fields[] = {
    {.key = "url",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct http_params, url),
     .help = "What to ask for, http:// or https://. Names are resolved as the host does it.",
     .example = "http://10.20.0.100/"},
    {.key = "method",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct http_params, method),
     .help = "The method; without it GET, or POST with a body.",
     .example = "HEAD"},
    {.key = "headers",
     .type = FIELD_PAIRS,
     .flags = FIELD_SECRETS,
     .offset = offsetof(struct http_params, headers),
     .help =
         "Headers to send; a secret is written `{env: NAME}` or `{file: PATH}` and is kept out of "
         "every file of the run.",
     .example = "{Host: shop.example.com, Authorization: {env: API_TOKEN}}"},
    {.key = "body",
     .type = FIELD_TEXT,
     .offset = offsetof(struct http_params, body),
     .help = "A body to send, as it stands.",
     .example = "'{\"sku\": 1}'"},
    {.key = "expect",
     .type = FIELD_OBJECT,
     .offset = offsetof(struct http_params, expect),
     .record = &expect_record,
     .help = "What a good answer looks like; without it any status from 200 to 299.",
     .example = "{status: 200, body: ok}"},
    {.key = "tls",
     .type = FIELD_OBJECT,
     .offset = offsetof(struct http_params, tls),
     .record = &kinds_tls,
     .help = "How far a certificate is trusted; without it, fully verified.",
     .example = "{ca: ca.pem}"},
    {.key = "reuse",
     .type = FIELD_BOOL,
     .offset = offsetof(struct http_params, reuse),
     .help = "Whether requests may share a connection; without it each opens one of its own, as a "
             "new client does.",
     .example = "true"},
    {0},
};
static const struct record http_record = {
    .name = "http",
    .summary = "One HTTP/1.1 request with an answer as expected.",
    .size = sizeof(struct http_params),
    .fields = http_fields,
    .shorthand = "url",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field tcp_fields[] = {
    {.key = "address",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct tcp_params, address),
     .help = "ADDRESS:PORT, [IPV6]:PORT, or HOST:PORT with a host of this scenario (its first "
             "address). No other names: a probe of a connection must not wait for a name server.",
     .example = "10.20.0.50:80"},
    {.key = "send",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct tcp_params, send),
     .help = "What to send once connected, as it stands (\"PING\\r\\n\" in double quotes).",
     .example = "\"PING\\r\\n\""},
    {.key = "expect",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct tcp_params, expect),
     .help = "A text that what comes back must contain (within its first 64 KiB); without it being "
             "connected is enough.",
     .example = "+PONG"},
    {0},
};
static const struct record tcp_record = {
    .name = "tcp",
    .summary = "One TCP connection, perhaps with a word and an answer.",
    .size = sizeof(struct tcp_params),
    .fields = tcp_fields,
    .shorthand = "address",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field icmp_fields[] = {
    {.key = "address",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct icmp_params, address),
     .help = "An address of either family, or a host of this scenario (its first address).",
     .example = "10.20.0.11"},
    {0},
};
static const struct record icmp_record = {
    .name = "icmp",
    .summary = "One echo request and its reply.",
    .size = sizeof(struct icmp_params),
    .fields = icmp_fields,
    .shorthand = "address",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field exec_fields[] = {
    {.key = "command",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct exec_params, command),
     .help = "A command for /bin/sh -c; exit code 0 is good.",
     .example = "redis-cli -h 10.20.0.11 ping | grep -q PONG"},
    {0},
};
static const struct record exec_record = {
    .name = "exec",
    .summary = "One run of a command in the host's network, file system and working directory.",
    .size = sizeof(struct exec_params),
    .fields = exec_fields,
    .shorthand = "command",
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct variant exec_probe = {
    .name = "exec",
    .summary = "a command that exits with 0 when all is well",
    .detail =
        "Runs the command by /bin/sh -c in the host's network and file system, in its working "
        "directory and with its environment, in a process space of the prober's own. Its "
        "whole process group is killed at the probe's timeout. Each run costs a few "
        "milliseconds of CPU: prefer http and tcp for short intervals.",
    .params = &exec_record,
    .impl = &probe_exec,
};
static const struct variant http_probe = {
    .name = "http",
    .summary = "an HTTP request whose answer is as expected",
    .detail = "HTTP/1.1 over a fresh connection for each request, without proxies, caches or "
              "redirects followed. Good when the whole answer came within the probe's timeout and "
              "everything in `expect` holds.",
    .params = &http_record,
    .impl = &probe_http,
};
static const struct variant icmp_probe = {
    .name = "icmp",
    .summary = "an echo request that is answered",
    .detail = "Needs a raw socket in the host (a lab host has it), else the kernel's ping socket.",
    .params = &icmp_record,
    .impl = &probe_icmp,
};
static const struct variant tcp_probe = {
    .name = "tcp",
    .summary = "a TCP connection that is accepted, perhaps with a word and its answer",
    .detail = "A new connection each time. Without `expect` good as soon as it stands: a listening "
              "socket of a stopped process still accepts, so ask for an answer where it matters.",
    .params = &tcp_record,
    .impl = &probe_tcp,
};
const struct variant *const watch_probe_kinds[] = {&exec_probe, &http_probe, &icmp_probe,
                                                   &tcp_probe, NULL};

/* --- Alarms ---------------------------------------------------------------------------------- */

#define HOST_FIELD(type_of_params, words, like)                                                    \
    {                                                                                              \
        .key = "host", .type = FIELD_REF, .flags = FIELD_REQUIRED, .ref = REF_HOST,                \
        .offset = offsetof(type_of_params, host), .help = words, .example = like                   \
    }

static const char *const fires_on_words[] = {
    [FIRES_ON_FAILURE] = "failure", [FIRES_ON_SUCCESS] = "success", NULL};

static const struct field check_fields[] = {
    HOST_FIELD(struct check_params, "Where the command runs.", "client"),
    {.key = "command",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct check_params, command),
     .help = "A command for /bin/sh -c, in the host's network, file system and working directory.",
     .example = "./is-it-healthy.sh"},
    {.key = "every",
     .type = FIELD_DURATION,
     .flags = FIELD_REQUIRED,
     .offset = offsetof(struct check_params, every),
     .min = 10 * NSEC_MSEC,
     .max = 3600 * NSEC_SEC,
     .help = "How often; a run that lasts longer delays the next.",
     .example = "1s"},
    {.key = "timeout",
     .type = FIELD_DURATION,
     .dflt = "10s",
     .offset = offsetof(struct check_params, timeout),
     .min = NSEC_MSEC,
     .max = 3600 * NSEC_SEC,
     .help = "After this a run is killed; it then says nothing, neither firing nor quiet.",
     .example = "2s"},
    {.key = "fires_on",
     .type = FIELD_WORD,
     .dflt = "failure",
     .words = fires_on_words,
     .offset = offsetof(struct check_params, fires_on),
     .help =
         "`failure`: the alarm is active while the command exits with anything but 0, as checks "
         "of monitoring systems do; `success`: while it exits with 0, as grep does when it finds "
         "an alert in a list. A command that cannot be run (126, 127) says nothing.",
     .example = "success"},
    {0},
};
static const struct record check_record = {
    .name = "exec",
    .summary = "A command that is run again and again and whose exit code says whether it fires.",
    .size = sizeof(struct check_params),
    .fields = check_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const char *const priority_words[] = {
    [JOURNAL_DEBUG] = "debug",     [JOURNAL_INFO] = "info",   [JOURNAL_NOTICE] = "notice",
    [JOURNAL_WARNING] = "warning", [JOURNAL_ERR] = "err",     [JOURNAL_CRIT] = "crit",
    [JOURNAL_ALERT] = "alert",     [JOURNAL_EMERG] = "emerg", NULL};

static const struct field journal_fields[] = {
    {.key = "host",
     .type = FIELD_REF,
     .ref = REF_HOST,
     .offset = offsetof(struct journal_params, host),
     .help = "Whose journal it is: of the machine that an attached host stands on, or of a host "
             "with files of its own; without it this machine's.",
     .example = "worker"},
    {.key = "unit",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct journal_params, unit),
     .help = "Only what this unit says and what systemd says of it, as `journalctl -u`.",
     .example = "worker.service"},
    {.key = "match",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY | FIELD_REGEX,
     .offset = offsetof(struct journal_params, match),
     .help = "A POSIX extended regular expression; each entry whose message matches is an onset.",
     .example = "Failed with result"},
    {.key = "priority",
     .type = FIELD_WORD,
     .dflt = "debug",
     .words = priority_words,
     .offset = offsetof(struct journal_params, priority),
     .help = "Only entries as urgent as this, or more; `debug`: all, those without one too.",
     .example = "err"},
    {.key = "directory",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct journal_params, directory),
     .help =
         "The folder of another journal, as systemd-journal-remote makes it from those of other "
         "machines; without it the host's own, /run/log/journal and /var/log/journal.",
     .example = "/var/log/journal/remote"},
    {0},
};
static const struct record journal_record = {
    .name = "journal",
    .summary = "An entry in systemd's journal.",
    .size = sizeof(struct journal_params),
    .fields = journal_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field log_fields[] = {
    HOST_FIELD(struct log_params, "Whose log it is.", "lb2"),
    {.key = "output",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct log_params, output),
     .help = "The name of a command of that host whose output is watched; this or `file`.",
     .example = "keepalived"},
    {.key = "file",
     .type = FIELD_TEXT,
     .flags = FIELD_NON_EMPTY,
     .offset = offsetof(struct log_params, file),
     .help =
         "A file of that host (below its working directory unless it starts with /), followed "
         "through rotation, truncation and creation; lines that stand in it at the start do not "
         "count.",
     .example = "error.log"},
    {.key = "match",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY | FIELD_REGEX,
     .offset = offsetof(struct log_params, match),
     .help = "A POSIX extended regular expression; each line that matches is an onset.",
     .example = "Entering MASTER STATE"},
    {0},
};
static const struct record log_record = {
    .name = "log",
    .summary = "A line in a log.",
    .size = sizeof(struct log_params),
    .fields = log_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

static const struct field packets_fields[] = {
    HOST_FIELD(struct packets_params, "Whose interfaces are watched.", "client"),
    {.key = "filter",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NON_EMPTY,
     .offset = offsetof(struct packets_params, filter),
     .help = "What to look for, as tcpdump writes it (pcap-filter(7)), with addresses instead of "
             "names; each frame is an onset and "
             "is kept in wire-HOST.pcap.",
     .example = "arp and arp[14:4] = arp[24:4] and arp src host 10.20.0.100"},
    {.key = "sender",
     .type = FIELD_REF,
     .ref = REF_HOST,
     .offset = offsetof(struct packets_params, sender),
     .help = "Only frames that this host sent itself, known by its hardware address.",
     .example = "lb2"},
    {.key = "network",
     .type = FIELD_REF,
     .ref = REF_NETWORK,
     .offset = offsetof(struct packets_params, network),
     .help = "Only on the interface to this network; without it on all but loopback.",
     .example = "front"},
    {0},
};
static const struct record packets_record = {
    .name = "packets",
    .summary = "A frame on the wire.",
    .size = sizeof(struct packets_params),
    .fields = packets_fields,
    .name_offset = NOWHERE,
    .place_offset = NOWHERE,
    .variant_place_offset = NOWHERE,
};

const struct alarm *kinds_alarm_with(const struct scenario *s, const void *params)
{
    for (size_t i = 0; i < s->alarms.n; i++)
        if (((const struct alarm *)s->alarms.items[i])->params == params)
            return s->alarms.items[i];
    return NULL;
}

static const struct variant exec_alarm = {
    .name = "exec",
    .summary = "a command that is run again and again and says whether it fires",
    .detail = "The way to ask any monitoring system that has a command or an API. The onset lies "
              "between the start of the last quiet run and the end of the first firing one.",
    .params = &check_record,
    .impl = &alarm_exec,
};
static const struct variant journal_alarm = {
    .name = "journal",
    .summary = "an entry in systemd's journal",
    .detail =
        "The time is when journald took the entry, by its own stamp. Entries that stand in it at "
        "the start do not count; rotation is followed.",
    .params = &journal_record,
    .impl = &alarm_journal,
};
static const struct variant log_alarm = {
    .name = "log",
    .summary = "a line in a command's output or in a file",
    .detail = "The time is when the line could be read: a program that buffers its output is seen "
              "late, and that is its alarm's delay.",
    .params = &log_record,
    .impl = &alarm_log,
};
static const struct variant packets_alarm = {
    .name = "packets",
    .summary = "a frame on the wire that matches a filter",
    .detail = "Captured in the host's network with the kernel's time stamps. A takeover by VRRP "
              "shows as ARP requests whose sender and target address are the same.",
    .params = &packets_record,
    .impl = &alarm_packets,
};
const struct variant *const watch_alarm_kinds[] = {&kinds_assumed,
                                                   &kinds_burn_rate,
                                                   &exec_alarm,
                                                   &journal_alarm,
                                                   &log_alarm,
                                                   &packets_alarm,
                                                   &kinds_prometheus,
                                                   &kinds_ratio,
                                                   &kinds_threshold,
                                                   &kinds_webhook,
                                                   NULL};

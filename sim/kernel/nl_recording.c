/* The recording transport: what would be sent, as texts and bytes, and invented answers. */
#include "sim/kernel/nl_impl.h"

#include "sim/base/buf.h"
#include <errno.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *where, *text, *bytes;
    size_t n;
};

struct nl_log {
    struct entry *entries;
    size_t n, size;
    int next_ifindex;
};

static void add(struct nl *nl, char *text, char *bytes, size_t n)
{
    struct nl_log *log = nl->log;
    if (log->n == log->size) {
        log->size = log->size ? log->size * 2 : 64;
        log->entries = realloc(log->entries, log->size * sizeof *log->entries);
        if (!log->entries)
            abort();
    }
    char *where = strdup(nl->where);
    if (!where)
        abort();
    log->entries[log->n++] = (struct entry){.where = where, .text = text, .bytes = bytes, .n = n};
}

static int recording_send(struct nl *nl, struct nl_req **queue, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        AUTO_BUF text = BUF_INIT;
        AUTO_BUF bytes = BUF_INIT;
        nl_req_text(queue[i], &text);
        nl_req_template(queue[i], &bytes);
        size_t len = bytes.len;
        add(nl, buf_steal(&text), buf_steal(&bytes), len);
        queue[i]->answered = true;
    }
    return 0;
}

/* Every interface exists here as soon as it is asked for: it is up, and has a number. */
static int recording_ask(struct nl *nl, struct nl_req *q, nl_answer_fn *fn, void *data,
                         struct err *err)
{
    if (nl_req_is_dump(q) || nl_req_header(q)->nlmsg_type != RTM_GETLINK ||
        q->protocol != NETLINK_ROUTE)
        return 0;
    const struct nlattr *name =
        nlmsg_find_attr(nl_req_header(q), sizeof(struct ifinfomsg), IFLA_IFNAME);
    struct ifinfomsg head = {.ifi_index = nl->log->next_ifindex++,
                             .ifi_flags = IFF_UP | IFF_RUNNING | IFF_LOWER_UP};
    CLEANUP(nl_req_free_p)
    struct nl_req *a = nl_req_new(NETLINK_ROUTE, RTM_NEWLINK, 0, &head, sizeof head, 64);
    nl_req_put_str(a, IFLA_IFNAME, name ? nla_get_string(name) : "");
    return fn(nl_req_header(a), data, err);
}

static int recording_ifindex(struct nl *nl, const char *name, int *ret, struct err *err)
{
    *ret = nl->log->next_ifindex++;
    return 0;
}

static int recording_note(struct nl *nl, const char *text, struct err *err)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    add(nl, copy, NULL, 0);
    return 0;
}

static int recording_sysctl(struct nl *nl, const char *key, const char *value, struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "sysctl %s = %s", key, value);
    return recording_note(nl, buf_text(&text), err);
}

static int recording_derive(struct nl *from, int netns_fd, const char *where, struct nl **ret,
                            struct err *err)
{
    struct nl *nl = nl_new(&nl_recording_ops, where);
    nl->log = from->log;
    *ret = nl;
    return 0;
}

static void recording_done(struct nl *nl)
{
    if (!nl->owns_log)
        return;
    for (size_t i = 0; i < nl->log->n; i++) {
        free(nl->log->entries[i].where);
        free(nl->log->entries[i].text);
        free(nl->log->entries[i].bytes);
    }
    free(nl->log->entries);
    free(nl->log);
}

const struct nl_ops nl_recording_ops = {
    .send = recording_send,
    .ask = recording_ask,
    .ifindex = recording_ifindex,
    .sysctl = recording_sysctl,
    .note = recording_note,
    .derive = recording_derive,
    .done = recording_done,
};

int nl_open_recording(const char *where, struct nl **ret, struct err *err)
{
    struct nl *nl = nl_new(&nl_recording_ops, where);
    nl->log = calloc(1, sizeof *nl->log);
    if (!nl->log)
        abort();
    nl->log->next_ifindex = 2; /* 1 is lo */
    nl->owns_log = true;
    *ret = nl;
    return 0;
}

size_t nl_recorded(const struct nl *nl)
{
    return nl->log ? nl->log->n : 0;
}

struct nl_seen nl_recorded_at(const struct nl *nl, size_t i)
{
    const struct entry *e = &nl->log->entries[i];
    return (struct nl_seen){.where = e->where, .text = e->text, .bytes = e->bytes, .n = e->n};
}

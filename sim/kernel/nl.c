/* The queue and what is common to all transports; see nl.h. */
#include "sim/kernel/nl_impl.h"

#include "sim/base/buf.h"
#include "sim/kernel/nl_text.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct nl *nl_new(const struct nl_ops *ops, const char *where)
{
    struct nl *nl = calloc(1, sizeof *nl);
    if (!nl || !(nl->where = strdup(where)))
        abort();
    nl->ops = ops;
    return nl;
}

static void drop_queue(struct nl *nl)
{
    for (size_t i = 0; i < nl->n; i++)
        nl_req_free(nl->queue[i]);
    nl->n = 0;
}

struct nl *nl_free(struct nl *nl)
{
    if (!nl)
        return NULL;
    drop_queue(nl);
    free(nl->queue);
    if (nl->ops->done)
        nl->ops->done(nl);
    free(nl->where);
    free(nl);
    return NULL;
}

const char *nl_where(const struct nl *nl)
{
    return nl->where;
}

bool nl_is_recording(const struct nl *nl)
{
    return nl->ops == &nl_recording_ops;
}

size_t nl_queued(const struct nl *nl)
{
    return nl->n;
}

void nl_queue(struct nl *nl, struct nl_req *q)
{
    if (nl->n == nl->size) {
        nl->size = nl->size ? nl->size * 2 : 16;
        nl->queue = realloc(nl->queue, nl->size * sizeof(struct nl_req *));
        if (!nl->queue)
            abort();
    }
    nl->queue[nl->n++] = q;
}

void nl_forgive(struct nl *nl, int code)
{
    if (nl->n == 0)
        return;
    struct nl_req *q = nl->queue[nl->n - 1];
    q->forgiven[q->forgiven[0] ? 1 : 0] = code;
}

void nl_req_text(const struct nl_req *q, struct buf *out)
{
    struct nl_names names = {.holes = q->holes, .n_holes = q->n_holes};
    nl_text(nl_req_header(q), q->protocol, &names, NL_TEXT_REQUEST, out);
}

void nl_req_template(const struct nl_req *q, struct buf *out)
{
    size_t at = out->len;
    const struct nlmsghdr *h = nl_req_header(q);
    buf_add(out, h, h->nlmsg_len);
    struct nlmsghdr plain = *h;
    plain.nlmsg_seq = 0;
    plain.nlmsg_flags &= (uint16_t)~NLM_F_ACK; /* the kernel transport's, as it batches */
    memcpy(out->text + at, &plain, sizeof plain);
    for (size_t i = 0; i < q->n_holes; i++)
        memset(out->text + at + q->holes[i].offset, 0, sizeof(uint32_t));
}

int nl_req_error(const struct nl *nl, const struct nl_req *q, struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    nl_req_text(q, &text);
    /* A set of a thousand elements is not a sentence. */
    int shown = text.len > 600 ? 600 : (int)text.len;
    err_errno(err, q->result, "%s: %.*s%s", nl->where, shown, buf_text(&text),
              (size_t)shown < text.len ? " …" : "");
    if (err && q->ext_ack) {
        struct err whole = *err;
        err_set(err, q->result, "%s (the kernel says: %s)", whole.text, q->ext_ack);
    }
    return -q->result;
}

static bool is_forgiven(const struct nl_req *q)
{
    return q->result == q->forgiven[0] || q->result == q->forgiven[1];
}

static void observe(const struct nl *nl, const struct nl_req *q)
{
    AUTO_BUF text = BUF_INIT;
    AUTO_BUF bytes = BUF_INIT;
    nl_req_text(q, &text);
    nl_req_template(q, &bytes);
    struct nl_seen seen = {.where = nl->where,
                           .text = buf_text(&text),
                           .bytes = bytes.text,
                           .n = bytes.len,
                           .result = q->result};
    nl->observer(&seen, nl->observer_data);
}

static int send_queue(struct nl *nl, struct err *err)
{
    for (size_t i = 0; i < nl->n; i++) {
        const struct nl_req *q = nl->queue[i];
        if (q->broken)
            return err_set(err, EINVAL, "%s: %s", nl->where, q->broken);
    }
    int r = nl->ops->send(nl, nl->queue, nl->n, err);
    const struct nl_req *failed = NULL;
    for (size_t i = 0; i < nl->n; i++) {
        const struct nl_req *q = nl->queue[i];
        if (!q->answered)
            continue;
        if (nl->observer)
            observe(nl, q);
        if (q->result == 0 && q->gone && nl->ops->learn)
            nl->ops->learn(nl, q->gone, 0);
        /* Others of a transaction say only that they were cancelled: the cause is better. */
        if (q->result != 0 && !is_forgiven(q) &&
            (!failed || (failed->result == ECANCELED && q->result != ECANCELED)))
            failed = q;
    }
    /* A refused message explains a later failure of the transport (a link that was not made). */
    return failed ? nl_req_error(nl, failed, err) : r;
}

int nl_flush(struct nl *nl, struct err *err)
{
    if (nl->n == 0)
        return 0;
    int r = send_queue(nl, err);
    drop_queue(nl);
    return r;
}

int nl_ask(struct nl *nl, struct nl_req *q, nl_answer_fn *fn, void *data, struct err *err)
{
    int r = nl_flush(nl, err);
    if (r == 0 && q->broken)
        r = err_set(err, EINVAL, "%s: %s", nl->where, q->broken);
    if (r == 0)
        r = nl->ops->ask(nl, q, fn, data, err);
    nl_req_free(q);
    return r;
}

int nl_ifindex(struct nl *nl, const char *name, int *ret, struct err *err)
{
    int r = nl_flush(nl, err);
    return r < 0 ? r : nl->ops->ifindex(nl, name, ret, err);
}

void nl_learn(struct nl *nl, const char *name, int ifindex)
{
    if (nl->ops->learn && ifindex > 0)
        nl->ops->learn(nl, name, ifindex);
}

static int pass_text(struct nl *nl, const char *text, int result)
{
    if (nl->observer) {
        struct nl_seen seen = {.where = nl->where, .text = text, .result = result};
        nl->observer(&seen, nl->observer_data);
    }
    return -result;
}

int nl_sysctl(struct nl *nl, const char *key, const char *value, struct err *err)
{
    int r = nl_flush(nl, err);
    if (r < 0)
        return r;
    r = nl->ops->sysctl(nl, key, value, err);
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "sysctl %s = %s", key, value);
    return pass_text(nl, buf_text(&text), -r);
}

int nl_note(struct nl *nl, struct err *err, const char *fmt, ...)
{
    int r = nl_flush(nl, err);
    if (r < 0)
        return r;
    AUTO_BUF text = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    r = nl->ops->note ? nl->ops->note(nl, buf_text(&text), err) : 0;
    return pass_text(nl, buf_text(&text), -r);
}

void nl_observe(struct nl *nl, nl_observer *fn, void *data)
{
    nl->observer = fn;
    nl->observer_data = data;
}

int nl_derive(struct nl *from, int netns_fd, const char *where, struct nl **ret, struct err *err)
{
    struct nl *nl;
    int r = from->ops->derive(from, netns_fd, where, &nl, err);
    if (r < 0)
        return r;
    nl_observe(nl, from->observer, from->observer_data);
    *ret = nl;
    return 0;
}

int nl_fd(struct nl *nl, int protocol, int *ret, struct err *err)
{
    if (!nl->ops->fd)
        return err_set(err, EOPNOTSUPP, "%s: this transport has no socket", nl->where);
    return nl->ops->fd(nl, protocol, ret, err);
}

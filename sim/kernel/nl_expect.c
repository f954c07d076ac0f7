/* The expecting transport; see nl_expect.h. */
#include "sim/kernel/nl_expect.h"

#include "sim/base/buf.h"
#include "sim/kernel/nl_impl.h"
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

struct expected {
    char *where, *text, *ext_ack;
    int result;
    struct buf answers; /* whole messages, each aligned */
    bool interrupted;
};

struct named {
    char *where, *name;
    int ifindex;
};

struct script { /* shared by transports derived from one another */
    struct expected *items;
    size_t n, next;
    struct named *links;
    size_t n_links;
    struct err broken;
    unsigned users;
};

static char *copy(const char *s)
{
    char *c = s ? strdup(s) : NULL;
    if (s && !c)
        abort();
    return c;
}

static struct expected *append(struct nl *nl, const char *where, const char *text)
{
    struct script *s = nl->impl;
    s->items = realloc(s->items, (s->n + 1) * sizeof *s->items);
    if (!s->items)
        abort();
    s->items[s->n] =
        (struct expected){.where = copy(where ? where : nl->where), .text = copy(text)};
    return &s->items[s->n++];
}

void nl_expect(struct nl *nl, const char *where, const char *text, int result, const char *ext_ack)
{
    struct expected *e = append(nl, where, text);
    e->result = result;
    e->ext_ack = copy(ext_ack);
}

void nl_expect_dump(struct nl *nl, const char *where, const char *text,
                    const struct nl_answer *answers, size_t n, bool interrupted)
{
    struct expected *e = append(nl, where, text);
    e->interrupted = interrupted;
    for (size_t i = 0; i < n; i++) {
        struct nlmsghdr h = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(answers[i].n),
                             .nlmsg_type = answers[i].type,
                             .nlmsg_flags = NLM_F_MULTI};
        buf_add(&e->answers, &h, sizeof h);
        buf_add(&e->answers, answers[i].body, answers[i].n);
        while (e->answers.len % NLMSG_ALIGNTO)
            buf_addc(&e->answers, '\0');
    }
}

void nl_expect_link(struct nl *nl, const char *where, const char *name, int ifindex)
{
    struct script *s = nl->impl;
    s->links = realloc(s->links, (s->n_links + 1) * sizeof *s->links);
    if (!s->links)
        abort();
    s->links[s->n_links++] = (struct named){
        .where = copy(where ? where : nl->where), .name = copy(name), .ifindex = ifindex};
}

/* The next expectation if it is this one; after a mismatch, never again. */
static int take(struct nl *nl, const char *text, const struct expected **ret, struct err *err)
{
    struct script *s = nl->impl;
    if (!s->broken.code) {
        const struct expected *e = s->next < s->n ? &s->items[s->next] : NULL;
        if (e && strcmp(e->where, nl->where) == 0 && strcmp(e->text, text) == 0) {
            s->next++;
            *ret = e;
            return 0;
        }
        err_set(&s->broken, EBADMSG, "request %zu: expected \"%s: %s\", got \"%s: %s\"",
                s->next + 1, e ? e->where : "", e ? e->text : "nothing", nl->where, text);
    }
    return err_set(err, EBADMSG, "%s", s->broken.text);
}

static int take_request(struct nl *nl, struct nl_req *q, const struct expected **ret,
                        struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    nl_req_text(q, &text);
    int r = take(nl, buf_text(&text), ret, err);
    if (r < 0)
        return r;
    q->answered = true;
    q->result = (*ret)->result;
    q->ext_ack = copy((*ret)->ext_ack);
    return 0;
}

static int expecting_send(struct nl *nl, struct nl_req **queue, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < queue[i]->n_holes; j++) {
            int ifindex;
            int r = queue[i]->holes[j].kind == NL_HOLE_IFINDEX
                        ? nl->ops->ifindex(nl, queue[i]->holes[j].name, &ifindex, err)
                        : 0;
            if (r < 0)
                return r;
        }
        const struct expected *e;
        int r = take_request(nl, queue[i], &e, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int expecting_ask(struct nl *nl, struct nl_req *q, nl_answer_fn *fn, void *data,
                         struct err *err)
{
    const struct expected *e;
    do {
        int r = take_request(nl, q, &e, err);
        if (r < 0)
            return r;
        if (q->result && q->result != EINTR)
            return nl_req_error(nl, q, err);
    } while (e->interrupted || q->result == EINTR);
    int left = (int)e->answers.len;
    for (struct nlmsghdr *h = (void *)e->answers.text; left > 0 && nlmsg_ok(h, left);
         h = nlmsg_next(h, &left)) {
        int r = fn(h, data, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int expecting_ifindex(struct nl *nl, const char *name, int *ret, struct err *err)
{
    const struct script *s = nl->impl;
    for (size_t i = 0; i < s->n_links; i++)
        if (strcmp(s->links[i].name, name) == 0 && strcmp(s->links[i].where, nl->where) == 0) {
            *ret = s->links[i].ifindex;
            return 0;
        }
    return err_set(err, ENODEV, "%s: there is no interface \"%s\"", nl->where, name);
}

static int expecting_note(struct nl *nl, const char *text, struct err *err)
{
    const struct expected *e;
    int r = take(nl, text, &e, err);
    if (r < 0)
        return r;
    return e->result ? err_errno(err, e->result, "%s: %s", nl->where, text) : 0;
}

static int expecting_sysctl(struct nl *nl, const char *key, const char *value, struct err *err)
{
    AUTO_BUF text = BUF_INIT;
    buf_printf(&text, "sysctl %s = %s", key, value);
    return expecting_note(nl, buf_text(&text), err);
}

static int expecting_derive(struct nl *from, int netns_fd, const char *where, struct nl **ret,
                            struct err *err)
{
    struct nl *nl = nl_new(&nl_expecting_ops, where);
    nl->impl = from->impl;
    ((struct script *)nl->impl)->users++;
    *ret = nl;
    return 0;
}

static void expecting_done(struct nl *nl)
{
    struct script *s = nl->impl;
    if (--s->users > 0)
        return;
    for (size_t i = 0; i < s->n; i++) {
        free(s->items[i].where);
        free(s->items[i].text);
        free(s->items[i].ext_ack);
        buf_done(&s->items[i].answers);
    }
    for (size_t i = 0; i < s->n_links; i++) {
        free(s->links[i].where);
        free(s->links[i].name);
    }
    free(s->items);
    free(s->links);
    free(s);
}

const struct nl_ops nl_expecting_ops = {
    .send = expecting_send,
    .ask = expecting_ask,
    .ifindex = expecting_ifindex,
    .sysctl = expecting_sysctl,
    .note = expecting_note,
    .derive = expecting_derive,
    .done = expecting_done,
};

int nl_open_expecting(const char *where, struct nl **ret, struct err *err)
{
    struct nl *nl = nl_new(&nl_expecting_ops, where);
    struct script *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->users = 1;
    nl->impl = s;
    *ret = nl;
    return 0;
}

int nl_expect_end(struct nl *nl, struct err *err)
{
    const struct script *s = nl->impl;
    if (s->broken.code)
        return err_set(err, s->broken.code, "%s", s->broken.text);
    if (s->next < s->n)
        return err_set(err, EBADMSG, "request %zu of %zu never came: \"%s: %s\"", s->next + 1, s->n,
                       s->items[s->next].where, s->items[s->next].text);
    if (nl->n > 0)
        return err_set(err, EBADMSG, "%zu queued requests were never sent", nl->n);
    return 0;
}

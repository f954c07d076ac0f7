/* Who watches a service: its probes, from where and for how long they ask; its alarms, and which of them
 * people begin to restore by.
 */
#include "sim/forecast/system.h"

#include "sim/judge/threshold.h"
#include "sim/watch/kinds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How often a packet is sent again within a time-out: after `first`, then after twice as long, … (TCP: 1 s
 * for what opens a connection, RFC 6298; 200 ms for data in Linux, net/tcp.h). */
static int tries_within(nsec timeout, nsec first)
{
    int n = 1;
    for (nsec wait = first, at = first; at < timeout && n < 15; n++) {
        wait *= 2;
        at += wait;
    }
    return n;
}

static struct system_vantage vantage_of(const struct system *sys, const struct probe *p)
{
    struct system_vantage v = {.host = system_component(sys, p->host),
                               .trips = 2,
                               .first_tries = tries_within(p->timeout, NSEC_SEC),
                               .tries = tries_within(p->timeout, 200 * NSEC_MSEC),
                               .timeout = p->timeout,
                               .slow_after = p->slow_after};
    if (strcmp(p->kind->name, "http") == 0) {
        const struct http_params *h = p->params;
        v.trips = strncmp(h->url, "https:", 6) == 0 ? 3 : 2; /* TCP, TLS 1.3, request */
    } else if (strcmp(p->kind->name, "tcp") == 0) {
        const struct tcp_params *t = p->params;
        v.trips = t->send || t->expect ? 2 : 1;
    } else if (strcmp(p->kind->name, "icmp") == 0) {
        v.trips = v.first_tries = 1;
    }
    return v;
}

/* The address that a probe asks, without a port; false: a name, or nothing that can be told. */
static bool asked_address(const struct probe *p, char ret[64])
{
    const char *at = NULL;
    if (strcmp(p->kind->name, "http") == 0) {
        at = strstr(((const struct http_params *)p->params)->url, "://");
        at = at ? at + 3 : NULL;
    } else if (strcmp(p->kind->name, "tcp") == 0) {
        at = ((const struct tcp_params *)p->params)->address;
    } else if (strcmp(p->kind->name, "icmp") == 0) {
        at = ((const struct icmp_params *)p->params)->address;
    }
    if (!at)
        return false;
    size_t n;
    if (*at == '[')
        n = strcspn(++at, "]");
    else if (strcmp(p->kind->name, "icmp") == 0)
        n = strlen(at);
    else
        n = strcspn(at, ":/");
    if (n == 0 || n >= 64)
        return false;
    memcpy(ret, at, n);
    ret[n] = '\0';
    return true;
}

/* The host that has it; SYSTEM_NONE: a virtual one, or a name. */
static size_t host_with(const struct system *sys, const struct probe *p, const char *address)
{
    if (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
        strcmp(address, "localhost") == 0)
        return system_component(sys, p->host);
    for (size_t i = 0; i < sys->scenario->hosts.n; i++) {
        const struct host *h = sys->scenario->hosts.items[i];
        for (size_t k = 0; h->lab && k < h->lab->addresses.n; k++) {
            const char *has = h->lab->addresses.items[k];
            size_t n = strcspn(has, "/");
            if (strlen(address) == n && strncmp(has, address, n) == 0)
                return system_component(sys, h->name);
        }
    }
    return SYSTEM_NONE;
}

static void watch_probe(struct system *sys, struct system_service *sv, const struct probe *p)
{
    char address[64];
    struct system_probe *sp = &sv->probes[sv->probes_n++];
    *sp = (struct system_probe){
        .probe = p,
        .from = vantage_of(sys, p),
        .phase = system_quantity(sys, sv->service, false, "phase", p->name),
        .answers = system_quantity(sys, sv->service, false, "answers", p->name),
    };
    size_t host = asked_address(p, address) ? host_with(sys, p, address) : SYSTEM_NONE;
    if (host != SYSTEM_NONE)
        system_list_add(&sv->found, host);
}

/* How many answers the longest window of an alarm holds, and one more at each end; 0: it has none. */
static uint64_t window_of(const struct threshold *t, nsec every)
{
    uint64_t most = 0;
    for (size_t i = 0; i < THRESHOLD_WINDOWS && t->windows[i]; i++) {
        uint64_t n = (uint64_t)(window_length(t->windows[i]) / every) + 2;
        most = n > most ? n : most;
    }
    return most;
}

/* An alarm on our own probes. */
static void hear_probes(struct system_service *sv, struct system_alarm *sa)
{
    const struct own_params *own = sa->alarm->params;
    sa->parts = own->probes.n;
    sv->in_order |= own->probes.n > 1;
    for (size_t k = 0; k < own->probes.n; k++)
        for (size_t i = 0; i < sv->probes_n; i++) {
            struct system_probe *sp = &sv->probes[i];
            if (strcmp(sp->probe->name, own->probes.items[k]) != 0)
                continue;
            system_list_add(&sp->thresholds, sv->alarms_n - 1);
            system_list_add(&sp->parts, k);
            struct threshold one = threshold_of_alarm(sa->alarm, sp->probe->every);
            uint64_t window = window_of(&one, sp->probe->every);
            uint64_t counted = (uint64_t)one.consecutive;
            sp->counted = counted > sp->counted ? counted : sp->counted;
            sp->window = window > sp->window ? window : sp->window;
            threshold_done(&one);
        }
}

static void watch_alarm(struct system *sys, struct system_service *sv, size_t index)
{
    const struct alarm *a = sys->scenario->alarms.items[index];
    struct system_alarm *sa = &sv->alarms[sv->alarms_n++];
    *sa = (struct system_alarm){
        .alarm = a, .index = index, .momentary = alarm_is_momentary(a), .quantity = SYSTEM_NONE};
    sys->tellers[index] = (struct system_teller){(size_t)(sv - sys->services), sv->alarms_n - 1};
    if (alarm_is_own(a)) {
        hear_probes(sv, sa);
        return;
    }
    sa->model = assumed_alarm(sys->scenario->assumptions, a->name);
    if (sa->model && sa->model->false_per_day > 0)
        sv->has_false_alarms = true;
    if (sa->model)
        sa->quantity = system_quantity(sys, sv->service, false, "alarm", a->name);
}

/* Those that count for detect_within; where none of them does, any of the service. */
static void choose_pagers(struct system_service *sv)
{
    bool any = false;
    for (size_t i = 0; i < sv->alarms_n; i++) {
        struct system_alarm *a = &sv->alarms[i];
        a->pages = service_is_told_by(sv->service, a->alarm) && (a->model || a->parts);
        any |= a->pages;
    }
    for (size_t i = 0; !any && i < sv->alarms_n; i++)
        sv->alarms[i].pages = sv->alarms[i].model || sv->alarms[i].parts;
}

static bool somebody_pages(const struct system_service *sv)
{
    for (size_t i = 0; i < sv->alarms_n; i++)
        if (sv->alarms[i].pages)
            return true;
    return false;
}

static bool is_own(const struct system_service *sv, const struct alarm *a)
{
    return strcmp(a->service, sv->service->name) == 0;
}

/* Its own alarms that count, and others that its promise names. */
static void find_tellers(const struct system *sys, struct system_service *sv)
{
    const struct detect *d = sv->service->detect;
    for (size_t i = 0; i < sv->alarms_n; i++)
        if (service_is_told_by(sv->service, sv->alarms[i].alarm))
            system_list_add(&sv->told_by, sv->alarms[i].index);
    for (size_t i = 0; d && i < sv->service->detect->by.n; i++)
        for (size_t k = 0; k < sys->scenario->alarms.n; k++) {
            const struct alarm *a = sys->scenario->alarms.items[k];
            if (strcmp(a->name, d->by.items[i]) == 0 && !is_own(sv, a))
                system_list_add(&sv->told_by, k);
        }
}

static void *room(size_t n, size_t size)
{
    void *p = calloc(n + 1, size);
    if (!p)
        abort();
    return p;
}

int system_watch(struct system *sys, struct system_service *sv, const struct system_list *probes,
                 const struct system_list *alarms, struct err *err)
{
    sv->probes = room(probes->n, sizeof *sv->probes);
    sv->alarms = room(alarms->n, sizeof *sv->alarms);
    for (size_t i = 0; i < probes->n; i++)
        watch_probe(sys, sv, sys->scenario->probes.items[probes->items[i]]);
    for (size_t i = 0; i < alarms->n; i++)
        watch_alarm(sys, sv, alarms->items[i]);
    sv->errors = sv->model ? sv->model->errors : 0;
    sv->has_false_alarms |= sv->errors > 0;
    find_tellers(sys, sv);
    choose_pagers(sv);
    if (sv->needs_detection && !somebody_pages(sv))
        return err_set(
            err, EINVAL,
            "restoring %s begins with an alarm, but none is known to come: give it an alarm "
            "of kind `threshold`, or say in its model's `alarms` how long one takes",
            sv->service->name);
    return 0;
}

/* Where we listen ourselves. See guard.h. */
#include "sim/drill/guard.h"

#include "sim/watch/kinds.h"

#include <string.h>

int guard_listeners(const struct scenario *s, struct attached *a, struct err *err)
{
    int r = 0;
    for (size_t i = 0; i < s->alarms.n; i++) {
        const struct alarm *alarm = s->alarms.items[i];
        const struct webhook_params *w = alarm->params;
        if (strcmp(alarm->kind->name, "webhook") != 0)
            continue;
        for (size_t k = 0; r == 0 && k < a->n; k++) {
            struct attached_host *h = &a->items[k];
            bool in_it = w->host ? strcmp(w->host, h->host->name) == 0 : h->at.shares_network;
            if (in_it && (r = exempt_listener(&h->exempt, w->listen, err)) < 0)
                err_prefix(err, "host %s", h->host->name);
        }
    }
    return r;
}

int guard_page(struct attached *a, const char *listens, struct err *err)
{
    int r = 0;
    for (size_t k = 0; r == 0 && k < a->n; k++)
        if (a->items[k].at.shares_network)
            r = exempt_listener(&a->items[k].exempt, listens, err);
    return r;
}

/* Where we listen ourselves. See guard.h. */
#include "sim/drill/guard.h"

#include "sim/watch/kinds.h"

#include <stdlib.h>
#include <string.h>

void guard_listeners(const struct scenario *s, struct attached *a)
{
    for (size_t i = 0; i < s->alarms.n; i++) {
        const struct alarm *alarm = s->alarms.items[i];
        const struct webhook_params *w = alarm->params;
        if (strcmp(alarm->kind->name, "webhook") != 0)
            continue;
        const char *colon = strrchr(w->listen, ':');
        long port = strtol(colon ? colon + 1 : w->listen, NULL, 10);
        for (size_t k = 0; k < a->n && port > 0 && port <= UINT16_MAX; k++) {
            struct attached_host *h = &a->items[k];
            bool in_it = w->host ? strcmp(w->host, h->host->name) == 0 : h->at.shares_network;
            if (in_it && h->exempt.n_ports < EXEMPT_PORTS)
                h->exempt.ports[h->exempt.n_ports++] = (uint16_t)port;
        }
    }
}

/* What the tests of years share: catalogues built by hand, and a mission's events as text.
 *
 * Nothing is owned but the catalogue that kit_ready() makes, which the caller frees.
 */
#pragma once

#include "sim/forecast/years.h"
#include "tests/support/test.h"

#define HOUR (3600 * NSEC_SEC)

#define CONSTANT(h)                                                                                \
    {                                                                                              \
        .kind = DISTRIBUTION_CONSTANT, .a = (nsec)((h) * (double)HOUR), .least = NSEC_UNSET,       \
        .most = NSEC_UNSET                                                                         \
    }
#define EXPONENTIAL(h)                                                                             \
    {                                                                                              \
        .kind = DISTRIBUTION_EXPONENTIAL, .a = (nsec)((h) * (double)HOUR), .least = NSEC_UNSET,    \
        .most = NSEC_UNSET                                                                         \
    }

static const size_t kit_first[] = {0, 1, 2, 3, 4, 5, 6, 7};
#define FIRST(n_) ((struct catalogue_list){kit_first, (n_)})

static const char *const kit_names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};

/* Up to eight components and services. */
struct kit {
    struct catalogue_component components[8];
    struct catalogue_service services[8];
    struct catalogue_crew crews[2];
    struct catalogue c;
};

static inline void kit_init(struct kit *k, size_t components, size_t services)
{
    *k = (struct kit){0};
    for (size_t i = 0; i < 8; i++) {
        k->components[i].name = kit_names[i];
        k->components[i].crew = CATALOGUE_NONE;
        k->components[i].maintained_first = k->components[i].maintained_every = NSEC_UNSET;
        k->components[i].ages_while_down = true;
        k->services[i].name = kit_names[i];
        k->services[i].hold_down = NSEC_UNSET;
    }
    k->c = (struct catalogue){.components = k->components,
                              .components_n = components,
                              .crews = k->crews,
                              .services = k->services,
                              .services_n = services};
}

static inline struct catalogue *kit_ready(const struct kit *k)
{
    struct catalogue *c = NULL;
    struct err err = ERR_INIT;
    if (catalogue_new(&k->c, &c, &err) < 0)
        fail_msg("%s", err.text);
    return c;
}

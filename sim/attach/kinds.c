/* The kinds of attached hosts. */
#include "sim/attach/kind.h"

#include "sim/base/jsonx.h"

#include <string.h>

#define ATTACH_LIST(name) &attach_##name,
const struct attached_kind *const attached_kinds[] = {ATTACH_KINDS(ATTACH_LIST) NULL};

const struct attached_kind *attached_kind_of(const struct host *h)
{
    for (const struct attached_kind *const *k = attached_kinds; *k; k++)
        if ((*k)->is(h))
            return *k;
    return NULL;
}

const struct attached_kind *attached_kind_named(const json_t *identity)
{
    const char *name = jsonx_str(identity, "kind", "");
    const struct attached_kind *const *k = attached_kinds;
    while (*k && strcmp((*k)->name, name) != 0)
        k++;
    return *k;
}

/* In place of tap.c where the eBPF program could not be built. */
#include "sim/impair/engine/tap.h"

#include <errno.h>

int tap_new(struct tap **ret, struct err *err)
{
    return err_set(err, EOPNOTSUPP,
                   "blackstart was built without eBPF (clang and libbpf were missing)");
}

bool tap_is_built(void)
{
    return false;
}

uint64_t *tap_lease(struct tap *t)
{
    return NULL;
}

struct tap *tap_free(struct tap *t)
{
    return NULL;
}

int tap_arm(struct engine_line *line, const struct engine_spec *spec, const struct impairment *what,
            struct err *err)
{
    return err_set(err, EOPNOTSUPP, "blackstart was built without eBPF");
}

void tap_set(struct engine_line *line, bool on)
{
}

int tap_change(struct engine_line *line, const struct impairment *what, struct err *err)
{
    return err_set(err, EOPNOTSUPP, "blackstart was built without eBPF");
}

int tap_remove(struct engine_line *line, struct err *err)
{
    return 0;
}

void tap_forget(struct engine_line *line)
{
}

int tap_count(struct engine_line *line, struct impair_counts *ret, struct err *err)
{
    return err_set(err, EOPNOTSUPP, "blackstart was built without eBPF");
}

/* What tables say about values, in words. See field.h. */
#include "sim/model/field.h"

#include "sim/base/units.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

_Static_assert(FIELD_NUMBER_MAX >= NSEC_TEXT_MAX && FIELD_NUMBER_MAX >= UNITS_TEXT_MAX,
               "every number fits");

bool field_peer_is_address(const char *text)
{
    return isdigit((unsigned char)*text) || strpbrk(text, ":/") != NULL;
}

const char *field_number_text(const struct field *f, int64_t v, char buf[FIELD_NUMBER_MAX])
{
    if (f->type == FIELD_DURATION)
        return nsec_yaml(v, buf);
    if (f->type == FIELD_RATE)
        return units_rate_text(v, buf);
    if (f->type == FIELD_SIZE)
        return units_size_text(v, buf);
    snprintf(buf, FIELD_NUMBER_MAX, "%" PRId64, v);
    return buf;
}

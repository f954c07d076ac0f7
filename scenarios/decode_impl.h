/* What the files of the decoder share; not for others. */
#pragma once

#include "scenarios/decode.h"

void decode_say_type(struct decode *d, const struct field *f, const struct node *node);
/* A scalar that is not null. */
bool decode_is_value(const struct node *node);
/* A file whose values belong into *ret once it is known that it may be read. */
void decode_add_values(struct decode *d, const struct node *node, struct durations *ret);

/* One for each type of number; each says what is wrong and then leaves *ret as it was. */
void decode_bool(struct decode *d, const struct field *f, const struct node *node, bool *ret);
void decode_integer(struct decode *d, const struct field *f, const struct node *node, int64_t *ret);
void decode_amount(struct decode *d, const struct field *f, const struct node *node, int64_t *ret);
void decode_fraction(struct decode *d, const struct field *f, const struct node *node, double *ret);
void decode_durations(struct decode *d, const struct field *f, const struct node *node,
                      struct durations *ret);
void decode_ports(struct decode *d, const struct field *f, const struct node *node,
                  struct port_ranges *ret);

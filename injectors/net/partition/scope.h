/* Which packets a partition concerns, and what becomes of them: from what stands in the scenario.
 *
 * Values; the ports are the scenario's.
 */
#pragma once

#include "injectors/injector.h"
#include "injectors/net/partition/cut.h"
#include "injectors/params.h"

struct cut_scope scope_of(const struct partition_params *p);
int scope_check(const struct partition_params *p, struct err *err);
/* "every packet", "new connections of tcp to port 80, 8000-8010". */
void scope_text(const struct partition_params *p, struct buf *out);
/* -EOPNOTSUPP with the reason where this host is known to lack what it needs. */
int scope_supported(const struct inject_env *env, const struct partition_params *p,
                    struct err *err);

/* NULL-terminated, for the table of parameters. */
extern const char *const scope_kind_words[3];
extern const char *const scope_packets_words[3];
extern const char *const scope_protocol_words[6];
extern const char *const scope_connections_words[3];

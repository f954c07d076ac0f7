#!/bin/sh
# psql.sh STATEMENT: says it to the database.
for bin in /usr/lib/postgresql/*/bin; do PATH=$bin:$PATH; done
PGCONNECT_TIMEOUT=1 exec psql -h 10.20.0.21 -U shop -d postgres -XAtq -v ON_ERROR_STOP=1 -c "$1"

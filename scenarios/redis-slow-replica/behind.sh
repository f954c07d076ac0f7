#!/bin/sh
# Succeeds when a replica is more than 250 kB behind the primary. (Not `lag`: that is the age of the last
# acknowledgement, and a replica that hears slowly acknowledges every second what it has heard.)
redis-cli -h r1 info replication | tr -d '\r' | awk -F '[:,=]' '
    /^master_repl_offset/ { head = $2 }
    /^slave[0-9]/ { at[$3] = $9; lag[$3] = $11 }
    END {
        for (r in at)
            if (head - at[r] > 250000) {
                print r ": " head - at[r] " bytes behind, lag=" lag[r]
                found = 1
            }
        exit !found
    }'

#!/bin/sh
# ledger.sh: is there nothing in the books that was done under an old lease?
stale=$(redis-cli -h 10.20.0.5 get stale) || exit 1
echo "${stale:-0} jobs under an old lease"
[ -z "$stale" ]

#!/bin/sh
# One order, which counts when ACKS replicas have it too: a key is set, their acknowledgements waited for.
answer=$(printf 'set last order\nwait %s 300\n' "$ACKS" | timeout 0.5 redis-cli -h r1 | tr '\n' ' ')
[ "${answer% * }" = OK ] || { echo "r1: ${answer:-no answer}"; exit 1; }
have=${answer#OK }
[ "$have" -ge "$ACKS" ] || { echo "only $have of $ACKS replicas have it after 300 ms"; exit 1; }

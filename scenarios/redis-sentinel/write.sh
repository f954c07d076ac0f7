#!/bin/sh
# One write, to the primary that Sentinel names now. Any Sentinel that answers will do.
for sentinel in r1 r2 r3; do
    primary=$(timeout 0.2 redis-cli -h $sentinel -p 26379 \
        sentinel get-master-addr-by-name orders | head -n 1)
    [ -n "$primary" ] && break
done
[ -n "$primary" ] || { echo "no Sentinel answers"; exit 1; }
answer=$(timeout 0.5 redis-cli -h "$primary" set last "$(date +%s.%N)")
[ "$answer" = OK ] || { echo "$primary: ${answer:-no answer}"; exit 1; }

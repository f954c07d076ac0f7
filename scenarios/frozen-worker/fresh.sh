#!/bin/sh
# fresh.sh: was a job done within the last 500 ms? By the store's clock.
age=$(redis-cli -h 10.20.0.5 eval "local now = redis.call('TIME')
    return now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(redis.call('GET', 'last') or '0')" 0)
echo "$age ms ago"
[ "$age" -lt 500 ]

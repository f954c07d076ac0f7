#!/bin/sh
# Ready: this Sentinel knows both replicas and both of its peers.
redis-cli -p 26379 sentinel master orders | tr '\n' ' ' |
    grep -q 'num-slaves 2 num-other-sentinels 2 '

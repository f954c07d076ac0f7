#!/bin/sh
# Sentinel looks for replicas when it starts, and then every ten seconds: let them be there first.
until [ "$(redis-cli -h r1 info replication | grep -c '^slave.*state=online')" = 2 ]; do
    sleep 0.1
done
exec redis-sentinel sentinel.conf

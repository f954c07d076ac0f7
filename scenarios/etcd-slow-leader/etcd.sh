#!/bin/sh
# etcd.sh NAME ADDRESS HEARTBEAT ELECTION: one member, in the foreground; times in ms. (etcd takes
# either a file or flags, not both.)
exec etcd --name "$1" --data-dir data --logger zap --log-outputs stderr \
    --heartbeat-interval "$3" --election-timeout "$4" --pre-vote \
    --listen-peer-urls "http://$2:2380" --initial-advertise-peer-urls "http://$2:2380" \
    --listen-client-urls "http://$2:2379,http://127.0.0.1:2379" \
    --advertise-client-urls "http://$2:2379" \
    --initial-cluster-token drill --initial-cluster-state new --initial-cluster \
    e1=http://10.20.0.31:2380,e2=http://10.20.0.32:2380,e3=http://10.20.0.33:2380

#!/bin/sh
# Succeeds on the member that leads.
curl --noproxy '*' -sf -m 1 http://127.0.0.1:2379/metrics | grep -qx 'etcd_server_is_leader 1'

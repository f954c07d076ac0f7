#!/bin/sh
# One write ("last" := "seen", in the base64 of etcd's gateway), through the member that took the
# last one. After a failure the next write asks the next member, as a client library does.
member=$(cat member 2>/dev/null || echo e1)
curl --noproxy '*' -sf -m 0.25 -o /dev/null -d '{"key": "bGFzdA==", "value": "c2Vlbg=="}' \
    "http://$member:2379/v3/kv/put" && exit 0
case $member in
e1) next=e2 ;;
e2) next=e3 ;;
*) next=e1 ;;
esac
echo $next >member.$$ && mv member.$$ member
echo "$member did not take the write"
exit 1

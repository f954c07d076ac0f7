#!/bin/sh
# write.sh SECONDS TRIES: one write ("last" := "seen", in the base64 of etcd's gateway) that must be done
# within SECONDS, through the member that took the last one of this kind. After a failure the next
# try, or the next write, asks the next member, as a client library does.
tries=$2
while [ "$tries" -gt 0 ]; do
    member=$(cat "member-$1" 2>/dev/null || echo e1)
    curl --noproxy '*' -sf -m "$1" -o /dev/null -d '{"key": "bGFzdA==", "value": "c2Vlbg=="}' \
        "http://$member:2379/v3/kv/put" && exit 0
    case $member in
    e1) next=e2 ;;
    e2) next=e3 ;;
    *) next=e1 ;;
    esac
    echo $next >member.$$ && mv member.$$ "member-$1"
    tries=$((tries - 1))
done
echo "$member did not take the write within $1 s"
exit 1

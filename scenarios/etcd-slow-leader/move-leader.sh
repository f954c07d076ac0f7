#!/bin/sh
# The runbook, on the member that leads: hands the lead to another (what `etcdctl move-leader` does). A
# hand-over that takes longer than the election timeout is called off by etcd, so it is tried again.
ask() # PATH BODY
{
    curl --noproxy '*' -sf -m 2 -d "$2" "http://127.0.0.1:2379/v3/$1"
}
own=$(ask maintenance/status '{}' | sed -n 's/.*"member_id":"\([0-9]*\)".*/\1/p')
other=$(ask cluster/member/list '{}' | grep -o '"ID":"[0-9]*"' | tr -dc '0-9\n' | grep -vx "$own" | head -n 1)
[ -n "$own" ] && [ -n "$other" ] || { echo "this member: $own, another: $other"; exit 1; }
for try in 1 2 3; do
    if ask maintenance/transfer-leadership "{\"targetID\": \"$other\"}" >answer; then
        echo "$own handed the lead to $other (try $try)"
        exit 0
    fi
    sh is-leader.sh || { echo "$own leads no more (try $try)"; exit 0; }
done
echo "$own could not hand over"
exit 1

#!/bin/sh
# The runbook: asks the leader to hand the lead to another member (what `etcdctl move-leader` does).
ask() # MEMBER PATH BODY
{
    curl --noproxy '*' -sf -m 2 -d "$3" "http://$1:2379/v3/maintenance/$2"
}
number() # NAME < JSON
{
    sed -n "s/.*\"$1\":\"\([0-9]*\)\".*/\1/p"
}
for member in e1 e2 e3; do
    status=$(ask $member status '{}') || continue
    id=$(echo "$status" | number member_id)
    if [ "$id" = "$(echo "$status" | number leader)" ]; then
        leader=$member
    else
        other=$id
    fi
done
[ -n "$leader" ] && [ -n "$other" ] || { echo "leader: $leader, another: $other"; exit 1; }
ask $leader transfer-leadership "{\"targetID\": \"$other\"}" >answer ||
    { echo "$leader did not hand over"; exit 1; }
echo "$leader handed the lead to $other"

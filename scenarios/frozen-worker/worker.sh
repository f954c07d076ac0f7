#!/bin/sh
# worker.sh NAME: takes the lease when it is free, and does jobs as long as it believes to hold it. The
# lease is renewed after every tenth job; in between nobody is asked.
store=10.20.0.5
token=0
while :; do
    now=$(redis-cli -h "$store" --eval lease.lua , "$1" "$LEASE")
    case $now in *[!0-9]* | '') now=0 ;; esac
    [ "$now" = "$token" ] || echo "lease: token $now"
    token=$now
    jobs=0
    while [ "$token" -gt 0 ] && [ "$jobs" -lt 10 ]; do
        answer=$(redis-cli -h "$store" --eval job.lua , "$token" "$FENCING")
        [ "$answer" = DONE ] || echo "job under token $token: $answer"
        [ "$answer" != REFUSED ] || token=0
        jobs=$((jobs + 1))
        sleep 0.05
    done
    [ "$token" -gt 0 ] || sleep 0.2
done

#!/bin/sh
# One look at the stock, at the replica that the shop reads from; more than a second old is wrong.
replica=$(cat replica)
age=$(timeout 0.5 redis-cli -h "$replica" --eval age.lua)
case $age in
'' | *[!0-9]*) echo "$replica: ${age:-no answer}"; exit 1 ;;
esac
[ "$age" -lt 1000 ] || { echo "$replica: $age ms old"; exit 1; }

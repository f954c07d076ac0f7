#!/bin/sh
# Monitoring: asks the server itself, half a second after each answer; says when there was none.
while :; do
    dig @10.20.0.53 +tries=1 +time=1 shop.example || echo "no answer"
    sleep 0.5
done

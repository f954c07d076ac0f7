#!/bin/sh
# Monitoring: writes of its own, each a fifth of a second after the one before; write.sh says which took
# too long.
while :; do
    sh write.sh 0.3 1
    sleep 0.2
done

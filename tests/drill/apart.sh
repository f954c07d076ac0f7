#!/bin/sh
# apart.sh COMMAND...: as root, in a world of its own: network, processes, /run with the names of
# network namespaces, /dev/shm, and /var/lib, where journals stand. Tests that run beside this one are not taken
# for something that it has left, and what they change is not seen by its comparisons.
[ "$(id -u)" = 0 ] || exec "$@"
exec unshare -n -m -i -p -f --kill-child --mount-proc sh -c '
    mount -t tmpfs tmpfs /var/lib && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /dev/shm &&
        ip link set lo up || exit
    "$@"' sh "$@"

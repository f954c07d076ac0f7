#!/bin/sh
# apart.sh COMMAND...: as root, with a /var/lib of its own, where journals stand: drills that run beside
# this one are not taken for something that this one has left.
[ "$(id -u)" = 0 ] || exec "$@"
exec unshare -m sh -c 'mount -t tmpfs tmpfs /var/lib || exit; exec "$@"' sh "$@"

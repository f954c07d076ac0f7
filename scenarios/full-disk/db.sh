#!/bin/sh
# db.sh: a file system of 256 MB, in it a database, its log of changes (WAL) and a file that was set aside.
#
# PostgreSQL refuses to run as root, and without root there may be no other user here: so it gets a user
# namespace of its own, in which it is somebody else.
set -e
if [ -z "${INSIDE:-}" ]; then
    mkdir disk
    mount -t tmpfs -o size=256m,mode=0777 tmpfs disk
    [ "$BALLAST" = 0 ] || fallocate -l "${BALLAST}M" disk/ballast
    INSIDE=1 exec unshare --user --map-user="$(id -u postgres)" \
        --map-group="$(id -g postgres)" sh "$0"
fi
for bin in /usr/lib/postgresql/*/bin; do PATH=$bin:$PATH; done
export PATH
initdb -D disk/data -U shop -A trust --no-sync --no-instructions --locale=C.UTF-8 >/dev/null
echo 'host all all 10.20.0.0/24 trust' >>disk/data/pg_hba.conf
cat >>disk/data/postgresql.conf <<CONF
listen_addresses = '*'
unix_socket_directories = ''
shared_buffers = 16MB
max_connections = 40
min_wal_size = 32MB
max_wal_size = 64MB
CONF
echo 'create table orders (id bigserial primary key, at timestamptz default now(), body text)' |
    postgres --single -D disk/data postgres >/dev/null
exec postgres -D disk/data

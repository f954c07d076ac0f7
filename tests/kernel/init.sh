#!/bin/sh
# The first process of the emulated machine, or a service of systemd's: brings it up, runs the tests of
# /tests.sh one after the other, and switches the machine off.
#
# boot.py reads the second serial line: a line that begins with the word of /word is ours ("begin N",
# "end N STATUS"), all others are the running test's output. The first serial line is the console.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8

if [ $$ = 1 ]; then # else systemd has done all this
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t devtmpfs dev /dev
    mkdir -p /dev/pts /dev/shm
    mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
    mount -t tmpfs -o mode=1777 shm /dev/shm
    mount -t tmpfs -o mode=755 run /run
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    ip link set lo up
fi
mount -t tmpfs -o mode=1777 tmp /tmp
# udev would make it; opening it loads the module.
mkdir -p /dev/net
mknod -m 600 /dev/net/tun c 10 200

word=$(cat /word)
report=/dev/ttyS1
stty -F $report raw -echo 115200

tell()
{
    # What a test told last may lack the end of its line.
    printf '\n%s\n' "$word $*" >$report
}

run() # N SECONDS COMMAND...
{
    number=$1
    seconds=$2
    shift 2
    tell begin "$number"
    # Through a pipe: a program whose output is a terminal may behave otherwise.
    { timeout -k 5 "$seconds" "$@" </dev/null 2>&1; echo $? >/status; } | cat >$report
    tell end "$number" "$(cat /status)"
}

cd /
tell up "$(uname -r)" "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
# shellcheck disable=SC1091
. /tests.sh
tell finished
stty -F $report cooked # waits until everything is sent
echo o >/proc/sysrq-trigger
sleep 60

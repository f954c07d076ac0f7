#!/bin/sh
# Sets everything up on Debian 12 and does one thing with it:
#
#   sh tests/debian.sh drill     the drill vip-failover, with real servers, to its verdict and report
#   sh tests/debian.sh test      all tests; the last line is "N passed, N failed, N skipped"
#   sh tests/debian.sh bench     all benchmarks, with what they compare with; a quiet machine
#   sh tests/debian.sh packages  only the packages for all of these
#   sh tests/debian.sh build     packages, and the program in build/
#
# Run it as root or as an ordinary user who may use sudo (for the packages alone). Packages that are
# there already are left alone; with all of them there no network and no root is needed.
#
# Servers come from Debian's packages, but their services are never started: while packages are
# installed, policy-rc.d (invoke-rc.d(8)) forbids it, and what was there before is put back
# afterwards, also when the installation fails. Services that ran before go on running; those that
# came with a package installed here are not started at the next boot either.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
build=${BLACKSTART_BUILD:-$here/build}

# --- Packages: what for ----------------------------------------------------------------------
building='gcc libc6-dev meson ninja-build pkg-config libjansson-dev libssl-dev libyaml-dev
    libnl-3-dev libpcap0.8-dev libcurl4-openssl-dev libmicrohttpd-dev libcmocka-dev libbpf-dev
    libsystemd-dev clang'
running='gnuplot-nox fonts-dejavu-core uidmap iproute2 libfaketime'
first_drill='keepalived nginx-light'
drills='haproxy redis-server redis-sentinel etcd-server dnsmasq-base bind9-dnsutils curl prometheus
    prometheus-alertmanager postgresql stress-ng wrk'
testing='python3 python3-jsonschema python3-ruamel.yaml nftables iptables jq universal-ctags
    binutils clang-format e2fsprogs openssl groff-base shellcheck procps systemd-journal-remote'
containers='docker.io docker-compose podman runc conmon containernetworking-plugins busybox-static'
batch='slurmctld slurmd slurm-client munge'
browsing='chromium'
# Whoever has npm from elsewhere keeps theirs: packages of the same name would fight with Debian's.
command -v npm >/dev/null || browsing="$browsing nodejs npm"
emulating='qemu-system-x86 kmod dbus-daemon' # 83 MB on disk, the emulator's own packages among them
benchmarking='vde2 python3-simpy3' # wirefilter and SimPy, beside which we are measured
# The services that come with these packages, by the package that brings them.
services='keepalived:keepalived nginx-light:nginx haproxy:haproxy redis-server:redis-server
    redis-sentinel:redis-sentinel etcd-server:etcd prometheus:prometheus
    prometheus-alertmanager:prometheus-alertmanager docker.io:docker docker.io:docker.socket
    docker.io:containerd podman:podman podman:podman.socket podman:podman-restart
    podman:podman-auto-update podman:podman-auto-update.timer
    postgresql:postgresql slurmctld:slurmctld slurmd:slurmd munge:munge'

say()
{
    printf '%s\n' "$*" >&2
}

die()
{
    say "tests/debian.sh: $*"
    exit 3
}

as_root()
{
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

missing() # PACKAGE...: those that are not installed
{
    for package; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            printf '%s ' "$package"
    done
}

packages() # PACKAGE...
{
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
        die "this machine has no apt-get; packages are named as in Debian 12, install: $*"
    wanted=$(missing "$@")
    [ -n "$wanted" ] || return 0
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        die "packages are missing and this is neither root nor is there sudo; as root: $0 packages"
    fi
    say "installing: $wanted"
    # One root shell for all of it, so that policy-rc.d is put back whatever happens in between.
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" \
        sh "$here/tests/install-quietly.sh" "$services" $wanted ||
        die "the packages could not be installed (the reason stands above)"
    wanted=$(missing "$@")
    [ -z "$wanted" ] || die "still missing after the installation: $wanted"
}

build() # [TARGET...]: all of it without one
{
    # shellcheck disable=SC2086
    [ -f "$build/build.ninja" ] || meson setup "$build" "$here" ${BLACKSTART_MESON_ARGS:-} >&2
    ninja -C "$build" "$@" >&2
}

drill()
{
    scenario=$here/scenarios/vip-failover/vip-failover.yaml
    program=$build/sim/cli/blackstart
    cd "$here"
    # Without root it runs in a user namespace; where the host forbids that, with sudo.
    if [ "$(id -u)" = 0 ] || "$program" check --here "$scenario" >/dev/null 2>&1; then
        exec "$program" run "$scenario" --yes
    fi
    exec sudo "$program" run "$scenario" --yes
}

# The kernel of the emulated machine goes into the build, downloaded (27 MB) and unpacked (40 MB), not
# installed. Where it cannot be had, the tests that need it say so themselves.
fetch()
{
    PYTHONDONTWRITEBYTECODE=1 python3 "$here/tests/kernel/fetch.py" "$build/kernel" >&2
}

fetch_kernel()
{
    fetch || {
        say "once more, with new package lists"
        as_root apt-get -q update >&2 && fetch
    } || :
}

run_tests()
{
    status=0
    # One more than processors: drills mostly wait (tests that measure run alone in any case).
    meson test -C "$build" --print-errorlogs --num-processes $(($(nproc) + 1)) || status=$?
    python3 "$here/tests/count.py" "$build" || status=1
    exit "$status"
}

run_benchmarks()
{
    status=0
    # What it lacks is a failure: everything they compare with was installed.
    BLACKSTART_TESTS_MUST_RUN=1 meson test -C "$build" --benchmark --verbose || status=$?
    exit "$status"
}

# shellcheck disable=SC2086
case ${1:-} in
drill)
    packages $building $running $first_drill
    build sim/cli/blackstart
    drill
    ;;
test)
    packages $building $running $first_drill $drills $testing $containers $batch $browsing $emulating
    build
    fetch_kernel
    run_tests
    ;;
bench)
    packages $building $running $first_drill $drills $testing $containers $emulating $benchmarking
    build
    fetch_kernel
    run_benchmarks
    ;;
packages)
    packages $building $running $first_drill $drills $testing $containers $batch $browsing \
        $emulating $benchmarking
    ;;
build)
    packages $building $running
    build
    ;;
*)
    say "usage: sh tests/debian.sh drill | test | bench | packages | build"
    exit 2
    ;;
esac

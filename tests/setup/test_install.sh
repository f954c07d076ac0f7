#!/bin/sh
# test_install.sh: install-quietly.sh forbids services for the time of an installation, and no longer.
#
# In a mount namespace with an empty /usr/sbin, and /etc/rc2.d for the services of the next boot, and
# an apt-get of our own that does what $APT says.
set -eu

if [ -z "${INSIDE:-}" ]; then
    here=$(cd "$(dirname "$0")/.." && pwd)
    if ! unshare -rm true 2>/dev/null; then
        echo "skipped: no user and mount namespace to be had here"
        [ -z "${BLACKSTART_TESTS_MUST_RUN:-}" ] || exit 1
        exit 77
    fi
    INSIDE=$here exec unshare -rm sh "$0"
fi

install=$INSIDE/install-quietly.sh
policy=/usr/sbin/policy-rc.d
work=$(mktemp -d)
: "${work:?}" # everything below is written in there
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
for folder in /usr/sbin /etc/rc[2-5].d /etc/systemd/system; do
    [ ! -d "$folder" ] || mount -t tmpfs tmpfs "$folder"
done
cat >"$work/bin/apt-get" <<'EOF'
#!/bin/sh
[ "$2" = install ] || exit 0
code=0
/usr/sbin/policy-rc.d nginx start || code=$?
echo "$code" >"$WORK/answer"
[ ! -d /etc/rc2.d ] || ln -sf ../init.d/nginx /etc/rc2.d/S01nginx # as its package does
case ${APT:-} in
fails) exit 100 ;;
waits) sleep 60 & echo $! >"$WORK/sleeper"; touch "$WORK/waiting"; wait ;;
esac
EOF
cat >"$work/bin/update-rc.d" <<'EOF'
#!/bin/sh
[ "$2" != disable ] || rm "/etc/rc2.d/S01$1"
EOF
cat >"$work/bin/dpkg" <<'EOF'
#!/bin/sh
case "$*" in
--audit) [ -z "${AUDIT:-}" ] || echo "half of it is there" ;;
*) echo "$*" >>"$WORK/dpkg" ;;
esac
EOF
printf '#!/bin/sh\n' >"$work/bin/deb-systemd-helper"
chmod +x "$work/bin"/*
export PATH="$work/bin:/usr/bin:/bin" WORK="$work"

fail()
{
    echo "FAILED: $*"
    exit 1
}

expect() # WHAT CODE COMMAND...
{
    what=$1 want=$2 got=0
    shift 2
    "$@" >"$work/log" 2>&1 || got=$?
    [ "$got" = "$want" ] || { cat "$work/log"; fail "$what: exit code $got, not $want"; }
    [ "$(cat "$work/answer")" = 101 ] || fail "$what: policy-rc.d answered $(cat "$work/answer")"
    rm "$work/answer"
}

foreign() # Somebody's own policy, to be found again as it was.
{
    printf '#!/bin/sh\n# mine\nexit 104\n' >$policy
    chmod 750 $policy
    touch -d '2020-01-02 03:04:05' $policy
    seen=$(stat -c '%a %y %i' $policy; cat $policy)
}

same()
{
    [ "$(stat -c '%a %y %i' $policy; cat $policy)" = "$seen" ] || fail "$1: policy-rc.d is another"
    [ "$(ls /usr/sbin)" = policy-rc.d ] || fail "$1: left in /usr/sbin: $(ls /usr/sbin)"
    [ ! -L /etc/rc2.d/S01nginx ] || fail "$1: nginx is started at the next boot"
}

begin() # Starts an installation that waits; $! is its shell.
{
    rm -f "$work/waiting"
    APT=waits sh "$install" nginx:nginx nginx >/dev/null 2>&1 &
    for _ in $(seq 500); do
        [ ! -e "$work/waiting" ] || return 0
        sleep 0.01
    done
    fail "the installation never began"
}

expect "nothing there before" 0 sh "$install" nginx:nginx nginx
[ -z "$(ls /usr/sbin)" ] || fail "left in /usr/sbin: $(ls /usr/sbin)"

foreign
expect "a policy of somebody's" 0 sh "$install" nginx:nginx nginx
same "a policy of somebody's"
expect "an installation that fails" 100 env APT=fails sh "$install" nginx:nginx nginx
same "an installation that fails"

begin
kill -TERM $!
kill "$(cat "$work/sleeper")"
wait $! && fail "ended by a signal with exit code 0"
same "a signal"

begin
kill -KILL $!
wait $! || :
kill "$(cat "$work/sleeper")"
grep -q blackstart $policy || fail "kill -9: our policy is not there"
expect "after a kill -9" 0 sh "$install" nginx:nginx nginx
same "after a kill -9"

[ ! -e "$work/dpkg" ] || fail "dpkg was called where nothing was interrupted: $(cat "$work/dpkg")"
expect "after an interruption" 0 env AUDIT=1 sh "$install" nginx:nginx nginx
grep -q -- '--configure -a' "$work/dpkg" || fail "after an interruption: nothing was configured"
same "after an interruption"

if [ -d /etc/rc2.d ]; then
    ln -s ../init.d/nginx /etc/rc2.d/S01nginx
    expect "a service of somebody's" 0 sh "$install" nginx:nginx nginx
    [ -L /etc/rc2.d/S01nginx ] || fail "a service of somebody's is not started any more"
fi

echo "policy-rc.d was put back in every case, and no service is started that was not"

#!/bin/sh
# install-quietly.sh "PACKAGE:SERVICE ..." PACKAGE...: installs packages without starting their services.
#
# As root; called by debian.sh. /usr/sbin/policy-rc.d answers 101 ("action forbidden by policy")
# to every invoke-rc.d and deb-systemd-invoke meanwhile. One that was there before is kept beside it
# and put back: also after a failure or a signal, and by the next call after a kill -9. Likewise a
# service that is not enabled for the next boot now is not enabled afterwards.
set -eu

services=$1
shift
policy=/usr/sbin/policy-rc.d
kept=$policy.kept-by-blackstart
mark='# made by blackstart tests/install-quietly.sh for the time of one installation'

unit() # SERVICE, or a unit of another kind by its whole name (docker.socket)
{
    case $1 in
    *.socket | *.timer | *.service) echo "$1" ;;
    *) echo "$1.service" ;;
    esac
}

enabled() # SERVICE
{
    for link in /etc/rc[2-5].d/S[0-9][0-9]"$1" /etc/systemd/system/*.wants/"$(unit "$1")"; do
        [ ! -L "$link" ] || return 0
    done
    return 1
}

put_back()
{
    # Ours is known by its mark; anything else was put there by others since and stays.
    if [ -f "$policy" ] && grep -qxF "$mark" "$policy"; then
        sed -n 's/^# not enabled: //p' "$policy" | tr ' ' '\n' | while read -r service; do
            if enabled "$service"; then
                update-rc.d "$service" disable >/dev/null 2>&1 || :
                # It serves nobody but a package's own scripts, by this variable.
                ! command -v deb-systemd-helper >/dev/null ||
                    DPKG_MAINTSCRIPT_PACKAGE=none deb-systemd-helper disable \
                        "$(unit "$service")" >/dev/null 2>&1 || :
            fi
        done
        rm -f "$policy"
    fi
    if [ -e "$kept" ] || [ -L "$kept" ]; then
        if [ -e "$policy" ] || [ -L "$policy" ]; then
            echo "install-quietly: $policy is new; the former one is $kept" >&2
        else
            mv "$kept" "$policy"
        fi
    fi
}

# One at a time: a second call would take the first one's policy away.
exec 9<"${policy%/*}"
flock -n 9 || {
    echo "install-quietly: waiting for another installation to end" >&2
    flock 9
}
put_back # what an earlier call may have left

# Services that are enabled now stay as their owner wants them.
new=
for pair in $services; do
    for package; do
        if [ "$package" = "${pair%%:*}" ] && ! enabled "${pair#*:}"; then
            new="$new ${pair#*:}"
        fi
    done
done

trap 'trap "" HUP INT TERM; put_back' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -e "$policy" ] || [ -L "$policy" ]; then
    mv "$policy" "$kept"
fi
printf '#!/bin/sh\n%s\n# not enabled: %s\nexit 101\n' "$mark" "${new# }" >"$policy"
chmod 755 "$policy"

# What an interrupted installation left half done, apt refuses to go on from.
[ -z "$(dpkg --audit)" ] || dpkg --force-confold --configure -a </dev/null >&2

# Old lists may still do, so a failure here is told only if the installation fails too.
fresh=true
apt-get -q -o APT::Update::Error-Mode=any -o Acquire::Retries=2 update >&2 || fresh=false
apt-get -q install -y --no-install-recommends -o Dpkg::Options::=--force-confold \
    -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2 "$@" </dev/null >&2 || {
    code=$?
    $fresh ||
        echo "install-quietly: the package lists could not be fetched: is there a network? Where a" \
            "proxy is needed, set http_proxy (or Acquire::http::Proxy in apt.conf)" >&2
    exit "$code"
}

#!/bin/sh
# install-quietly.sh "PACKAGE:SERVICE ..." PACKAGE...: installs packages without starting their services.
#
# As root; called by debian.sh. /usr/sbin/policy-rc.d answers 101 ("action forbidden by policy")
# to every invoke-rc.d and deb-systemd-invoke meanwhile. One that was there before is kept beside it
# and put back: also after a failure or a signal, and by the next call after a kill -9.
set -eu

services=$1
shift
policy=/usr/sbin/policy-rc.d
kept=$policy.kept-by-blackstart
mark='# made by blackstart tests/install-quietly.sh for the time of one installation'

put_back()
{
    # Ours is known by its mark; anything else was put there by others since and stays.
    if [ -f "$policy" ] && grep -qxF "$mark" "$policy"; then
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

# Services that are new: those that were here before stay as their owner wants them.
new=
for pair in $services; do
    service=${pair#*:}
    for package; do
        if [ "$package" = "${pair%%:*}" ] && [ ! -e "/etc/init.d/$service" ] &&
            [ ! -e "/lib/systemd/system/$service.service" ]; then
            new="$new $service"
        fi
    done
done

put_back # what an earlier call may have left
trap put_back EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -e "$policy" ] || [ -L "$policy" ]; then
    mv "$policy" "$kept"
fi
printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
chmod 755 "$policy"

# Old lists may still do, so a failure here is told only if the installation fails too.
apt-get -q update >&2 ||
    echo "install-quietly: the package lists could not be refreshed (no network?)" >&2
apt-get -q install -y --no-install-recommends -o Dpkg::Options::=--force-confold \
    -o DPkg::Lock::Timeout=300 "$@" </dev/null >&2

# They must not start at the next boot either.
for service in $new; do
    update-rc.d "$service" disable >/dev/null 2>&1 || :
    if command -v deb-systemd-helper >/dev/null; then
        deb-systemd-helper disable "$service.service" >/dev/null 2>&1 || :
    fi
done

#!/bin/sh
# browser.sh PLAY BLACKSTART SCENARIO WORK SOURCE: a play (PLAY.js) of the page in Debian's Chromium. What
# drives it (playwright-core and axe, at the versions of package-lock.json) is fetched into WORK once.
set -eu
play=$1 blackstart=$(realpath "$2") scenario=$3 work=$4 source=$5

lacks() # WHY
{
    [ -z "${BLACKSTART_TESTS_MUST_RUN:-}" ] || {
        echo "cannot be skipped here: $1" >&2
        exit 1
    }
    echo "1..0 # SKIP $1"
    exit 0
}

for program in node npm; do
    command -v $program >/dev/null || lacks "$program is not installed"
done
[ -x "${CHROMIUM:=/usr/bin/chromium}" ] || lacks "chromium is not installed"
export CHROMIUM
mkdir -p "$work"
if ! cmp -s "$source/package-lock.json" "$work/fetched"; then
    cp "$source/package.json" "$source/package-lock.json" "$work"
    (cd "$work" && npm ci --ignore-scripts --no-audit --no-fund) >"$work/npm.log" 2>&1 || {
        cat "$work/npm.log" >&2
        lacks "npm could not fetch the browser's driver"
    }
    cp "$source/package-lock.json" "$work/fetched"
fi
cp "$source/people.js" "$source/$play.js" "$work"
rm -rf "$work/played"
mkdir "$work/played"
cd "$work"
exec node "$play.js" "$blackstart" "$scenario" "$work/played"

"""The README's two commands, in its very words.

    test_readme.py words   with tools that only tell how they were called: each command leads to what the README
                           says, and .ci/run executes the second
    test_readme.py fresh   the first, in a Debian 12 that debootstrap has just made, with nothing else typed
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.environ["BLACKSTART_SOURCE"]
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
TOOLS = {  # what is called, and what it answers; `sh`, `cat`, `grep` and their like are the real ones
    "dpkg-query": "printf installed", "apt-get": "exit 1", "meson": "", "ninja": "", "python3": "",
    "sudo": "exit 1", "install-quietly": "exit 1"}
TELL = '#!/bin/sh\nprintf "%%s\\n" "%s $*" >>"$TOLD"\n%s\n'
# In a root of its own, as on a machine of its own; process 1 is this shell.
INSIDE = r"""
mount --bind "$ROOT" "$ROOT"; cd "$ROOT"; mkdir -p oldroot
mount --rbind /sys sys; mount --rbind /dev dev; mount -t tmpfs tmpfs run
pivot_root . oldroot; cd /; mount -t proc proc /proc; umount -l /oldroot
cd /srv/blackstart; status=0
%s || status=$?
for stat in /proc/[0-9]*/stat; do
    pid=${stat#/proc/}; pid=${pid%%/stat}
    [ "$pid" = 1 ] || [ -z "$(tr '\0' ' ' <"/proc/$pid/cmdline")" ] || echo "left running: $pid"
done
exit $status
"""


def skip(reason):
    print("skipped: " + reason)
    sys.exit(1 if os.environ.get("BLACKSTART_TESTS_MUST_RUN") else 77)


def check(holds, what):
    if not holds:
        sys.exit("FAILED: %s" % (what,))


def commands():
    """The two lines, without what is said of them."""
    with open(os.path.join(SOURCE, "README.md")) as f:
        block = f.read().split("## Two commands\n", 1)[1].split("\n## ", 1)[0]
    found = [l.strip().split("#")[0].strip() for l in block.split("\n") if l.startswith("    ")]
    check(len(found) == 2, found)
    return found


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o755)


def told(base, command, code=0):
    """Runs it with those tools; which of them were called how."""
    build, log = os.path.join(base, "build"), os.path.join(base, "told")
    for name, answer in TOOLS.items():
        write(os.path.join(base, "bin", name), TELL % (name, answer))
    write(os.path.join(build, "sim/cli/blackstart"), TELL % ("blackstart", "exit %d" % code))
    write(log, "")
    done = subprocess.run(["/bin/sh", "-c", command], cwd=SOURCE, capture_output=True, text=True,
                          env={"PATH": os.path.join(base, "bin") + ":/usr/bin:/bin", "TOLD": log,
                               "BLACKSTART_BUILD": build})
    with open(log) as f:
        lines = f.read().replace(build, "BUILD").replace(SOURCE, "SOURCE").splitlines()
    packages = [l.split()[-1] for l in lines if l.startswith("dpkg-query")]
    return done, set(packages), [l for l in lines if not l.startswith("dpkg-query")]


def words():
    drill, test = commands()
    base = tempfile.mkdtemp(prefix="blackstart-readme-")
    try:
        done, packages, calls = told(base, drill)
        check(done.returncode == 0, done.stderr)
        check({"gcc", "meson", "keepalived", "nginx-light"} <= packages, packages)
        asked = [] if os.geteuid() == 0 else [
            "blackstart check --here SOURCE/scenarios/vip-failover/vip-failover.yaml"]
        check([c.rstrip() for c in calls] == [
            "meson setup BUILD SOURCE", "ninja -C BUILD sim/cli/blackstart"] + asked + [
            "blackstart run SOURCE/scenarios/vip-failover/vip-failover.yaml --yes"], calls)
        if os.geteuid() == 0:
            check(told(base, drill, code=4)[0].returncode == 4, "the verdict's exit code is lost")
        done, more, calls = told(base, test)
        check(done.returncode == 0, done.stderr)
        check(packages < more, packages - more)
        check(calls[:2] == ["meson setup BUILD SOURCE", "ninja -C BUILD"], calls)
        check(re.match(r"meson test -C BUILD --print-errorlogs", calls[-2]), calls)
        check(calls[-1] == "python3 SOURCE/tests/count.py BUILD", calls)
    finally:
        shutil.rmtree(base)
    with open(os.path.join(SOURCE, ".ci", "run")) as f:
        lines = [l.split("||")[0].strip() for l in f]
    check(test in lines, ".ci/run does not run: " + test)


def fresh():
    if os.geteuid() != 0:
        skip("needs root")
    for tool in ("debootstrap", "unshare", "git"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            skip(tool + " is not installed")
    if subprocess.run(["git", "-C", SOURCE, "rev-parse", "HEAD"], capture_output=True).returncode:
        skip("this is no clone")
    base = tempfile.mkdtemp(prefix="blackstart-readme-", dir="/var/tmp")
    root = os.path.join(base, "root")
    try:
        made = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root, MIRROR],
                              capture_output=True, text=True)
        if made.returncode:
            skip("debootstrap could not make a Debian 12:\n" + made.stdout[-600:] + made.stderr[-600:])
        shutil.copy("/etc/resolv.conf", os.path.join(root, "etc/resolv.conf"))
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", SOURCE,
                        os.path.join(root, "srv/blackstart")], check=True)
        proxies = {k: v for k, v in os.environ.items() if k.lower() in ("http_proxy", "https_proxy")}
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
             "/bin/bash", "-ec", INSIDE % commands()[0]], capture_output=True, text=True,
            env={"ROOT": root, "HOME": "/root", "TERM": "dumb", "LC_ALL": "C.UTF-8",
                 "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"} | proxies)
        print(done.stdout[-3000:], done.stderr[-3000:])
        check(done.returncode == 0, "exit code %d" % done.returncode)
        check("left running" not in done.stdout, "processes are left")
        check("LIVE DRILL, 5 trials" in done.stdout and " met" in done.stdout, "there is no verdict")
        page = re.search(r"^report: (.*)$", done.stdout, re.M)
        check(page, "no report is named")
        path = os.path.join("/srv/blackstart", page.group(1)).lstrip("/")
        check(os.path.getsize(os.path.join(root, path)) > 0, path)
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    {"words": words, "fresh": fresh}[sys.argv[1]]()

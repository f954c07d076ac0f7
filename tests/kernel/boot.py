#!/usr/bin/env python3
"""boot.py [OPTIONS] --test NAME SECONDS COMMAND... [--test ...]: runs tests in an emulated machine.

Boots Debian's cloud kernel, which has netem and all its modules, under qemu's software emulation,
with this machine's packages, the programs that were just built and nothing else; runs the tests one
after the other there, as root, and tells their results in TAP: one line for a program, or one for
each of the cases that it tells as cmocka does or in TAP. README.md tells more, and why the clock is as it is.

  --kernel FOLDER  where fetch.py puts the kernel
  --source FOLDER  the sources: tests/, scenarios/ and the record's schema are there in the guest
  --program FILE   a program that the tests need (again for each), or the name of one that is installed:
                   without it they are skipped; files that the COMMANDs name with their whole path come
                   by themselves
  --env NAME=VALUE for all tests (again for each)
  --package NAME   this Debian package, too (again for each)
  --repository NAME  this one is not there and can be installed by apt (again for each; one of fetch.py's)
  --init systemd   systemd is its process 1, with its journal and nothing else; without, init.sh is
  --deadline S     seconds of this machine's clock after which a guest is given up; 400 without

With KERNEL_TESTS=NAME,NAME in the environment only these run.

A test's SECONDS are of the guest's clock. Beside the kernel's folder stay console.log and
report.log, what the guest said last.
"""
import os
import pathlib
import re
import secrets
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import fetch
import image
import repository

PACKAGES = ("bash", "coreutils", "dash", "diffutils", "findutils", "grep", "iproute2", "jq", "kmod",
            "mount", "nftables", "procps", "python3", "python3-jsonschema", "sed",
            "sysvinit-utils", "uidmap", "util-linux")
SYSTEMD = ("systemd",)  # besides, where it is the guest's init
QEMU = "qemu-system-x86_64"
# A virtual clock: a nanosecond for each instruction, and no waiting while the guest sleeps. Where the
# processor boasts of fast string instructions (erms, rep_good), the kernel copies and clears memory
# by them; the emulator does them byte by byte.
MACHINE = ("-M", "q35", "-accel", "tcg,thread=single,tb-size=256", "-icount", "shift=0,sleep=off",
           "-rtc", "clock=vm", "-cpu", "max,-erms", "-smp", "1", "-m", "768", "-nodefaults",
           "-display", "none", "-no-reboot")
KERNEL = "console=ttyS0 panic=-1 quiet nokaslr mitigations=off cryptomgr.notests clearcpuid=rep_good"
TOLD = re.compile(r"\[[ =]+(RUN|OK|PASSED)?[ =]+\]")  # of no use once it has passed
TAP = re.compile(r"(not )?ok (\d+) - (.*?)( # SKIP\b.*)?$")
PLAN = re.compile(r"1\.\.(\d+)")
CASE = re.compile(r"\[ +(OK|FAILED|SKIPPED) +\] (?!\d)(.+?)(?: \(.*)?$")
FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
                   "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "/etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "/etc/subuid": "",
    "/etc/subgid": "",
}
# Where systemd is process 1: it starts the journal, and the tests, which end with the machine. What
# else it might start (udev, mounts, time) is not asked for.
UNITS = {
    "default.target": "[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service tests.service\n",
    "tests.service": "[Unit]\nDefaultDependencies=no\nAfter=systemd-journald.service\n"
                     "[Service]\nType=oneshot\nExecStart=/init.sh\nTasksMax=infinity\n",
}
SYSTEMD_FILES = {
    **{"/etc/systemd/system/" + name: text for name, text in UNITS.items()},
    "/etc/machine-id": "b1ac0000000000000000000000000001\n",
    "/etc/os-release": "ID=emulated\nNAME=emulated\n",
}
FOLDERS = ("/proc", "/sys", "/dev", "/run", "/tmp", "/root", "/mnt", "/var/lib", "/var/log",
           "/var/cache", "/var/spool", "/var/tmp")


class Test:
    def __init__(self, name, seconds, command):
        self.name = name
        self.seconds = seconds
        self.command = command
        self.lines = []
        self.begun = False
        self.status = None  # of the command, once it has ended

    def cases(self):
        """[(name, passed, directive of TAP)]: the cases that it told as cmocka does or in TAP, and
        itself where it told none, fewer than promised, or failed outside of them."""
        told, promised = {}, 0
        for line in self.lines:
            case, tap, plan = CASE.match(line), TAP.match(line), PLAN.match(line)
            if case and told.get(case[2], (True,))[0]:  # cmocka lists the failed ones twice
                told[case[2]] = (case[1] == "OK", "")
            elif tap:
                told["%s %s" % (tap[2], tap[3])] = (not tap[1], tap[4] or "")
            elif plan:
                promised = int(plan[1])
        all_well = all(passed for passed, _ in told.values())
        if not told or len(told) < promised or (self.status != 0 and all_well):
            told[""] = (self.status == 0 and len(told) >= promised, "")
        return [(self.name + (": " + case if case else ""),) + result
                for case, result in told.items()]

    def reason(self):
        if self.status is None:
            return "did not end" if self.begun else "never began"
        if self.status in (124, 137):  # of timeout(1)
            return "took longer than %g s" % self.seconds
        return "exit code %d" % self.status


def whole(word):
    """A file of this machine by its whole path; other words as they are."""
    return os.path.abspath(word) if "/" in word and os.path.isfile(word) else word


def arguments(argv):
    options = {"--kernel": [], "--source": [], "--program": [], "--env": [], "--deadline": ["400"],
               "--init": [], "--package": [], "--repository": []}
    tests = []
    while argv:
        word = argv.pop(0)
        if word == "--test":
            end = argv.index("--test") if "--test" in argv else len(argv)
            tests.append(Test(argv[0], float(argv[1]), [whole(w) for w in argv[2:end]]))
            del argv[:end]
        elif word in options:
            options[word].append(whole(argv.pop(0)))
        else:
            sys.exit("boot.py: what is %s?\n%s" % (word, __doc__))
    return options, tests


def build(path, word, modules, options, tests):
    """Writes the guest's root to path."""
    root = image.Image()
    systemd = "systemd" in options.get("--init", ())
    packages = PACKAGES + SYSTEMD * systemd + tuple(options.get("--package", ()))
    installable = None
    if options.get("--repository"):
        debs = fetch.servers(options["--kernel"][-1], options["--repository"])
        installable = repository.Repository(debs)
    for file in image.files_of((installable or image).closure(packages)):
        root.add(file)
    root.alternatives()
    words = options["--program"] + [word for test in tests for word in test.command]
    files = sorted({word for word in words if os.path.isabs(word) and os.path.isfile(word)})
    for file in files:
        root.add(file)
    for library in image.libraries([f for f in files if image.is_program(f)]):
        root.library(library)
    root.tree(modules, "/usr/lib/modules/" + modules.name)
    source = options["--source"][-1]
    root.tree(source + "/tests", without=("__pycache__",))
    root.tree(source + "/scenarios")
    root.add(source + "/sim/record/record.schema.json")
    for folder in FOLDERS:
        root.folder(folder)
    for file, text in (FILES | SYSTEMD_FILES if systemd else FILES).items():
        root.put(file, text.encode())
    if installable:
        installable.add_to(root, packages)
    if systemd:  # where package systemd-sysv puts it, by which others know whether there is an init
        root.link("/usr/sbin/init", "/lib/systemd/systemd")
    root.put("/word", word.encode() + b"\n")
    lines = ["export " + shlex.quote(e) for e in options["--env"]]
    lines += ["run %d %g %s" % (n, t.seconds, shlex.join(t.command)) for n, t in enumerate(tests)]
    root.put("/tests.sh", "\n".join(lines).encode() + b"\n")
    here = os.path.dirname(os.path.abspath(__file__))
    root.put("/init.sh", pathlib.Path(here, "init.sh").read_bytes(), 0o755)
    root.link("/init", "/lib/systemd/systemd" if systemd else "/init.sh")
    with open(path, "wb") as file:
        root.write(file)


class Guest:
    """The emulated machine; what it tells on its second serial line is read here."""

    def __init__(self, vmlinuz, initrd, word, console, report):
        self.word = word
        self.report = report
        self.started = time.monotonic()
        self.up = None  # when the first test could begin
        self.process = subprocess.Popen(
            ("setpriv", "--pdeathsig", "KILL", QEMU) + MACHINE + ("-kernel", str(vmlinuz), "-initrd", initrd, "-append", KERNEL,
                                 "-serial", "file:" + console, "-serial", "stdio"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def lines(self, deadline):
        """Every line that the guest tells, until it ends or the deadline has come."""
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while selector.select(max(0, self.started + deadline - time.monotonic())):
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    return
                self.report.write(data)
                *whole, rest = (rest + data).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace").rstrip("\r")

    def run(self, tests, deadline, ended):
        """Fills the tests; ended(test) after each. What went wrong, or None."""
        current = None
        for line in self.lines(deadline):
            if not line.startswith(self.word):
                if current:
                    current.lines.append(line)
                continue
            what, *rest = line.split()[1:]
            if what == "up":
                self.up = time.monotonic() - self.started
                print("# Linux %s, clock %s, up after %.1f s" % (rest[0], rest[1], self.up))
            elif what == "begin":
                current = tests[int(rest[0])]
                current.begun = True
                begun = time.monotonic()
            elif what == "end":
                current.status = int(rest[1])
                if current.lines and not current.lines[-1]:
                    current.lines.pop()
                current.lines.append("%s: %.1f s of this machine"
                                     % (current.name, time.monotonic() - begun))
                ended(current)
                current = None
            elif what == "finished":
                return None
        if self.process.poll() is None and time.monotonic() - self.started >= deadline:
            return "the guest was given up after %g s%s" % (
                deadline, ", in " + current.name if current else "")
        return "the guest died" + (" in " + current.name if current else "")

    def end(self, by_itself):
        try:
            self.process.wait(10 if by_itself else 0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def comment(lines):
    for line in lines:
        print("# " + line)
    sys.stdout.flush()


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = []

    def tell(self, test):
        cases = test.cases()
        failed = not all(passed for _, passed, _ in cases)
        comment(line for line in test.lines
                if failed or not (TOLD.match(line) or TAP.match(line)))
        for name, passed, directive in cases:
            self.count += 1
            print("%sok %d - %s%s" % ("" if passed else "not ", self.count, name.replace("#", ""),
                                      directive))
        if failed:
            comment(["%s: %s" % (test.name, test.reason())])
            self.failed.append(test)
        sys.stdout.flush()


def skip(reason):
    """Neither here nor elsewhere on this machine."""
    if os.environ.get("BLACKSTART_TESTS_MUST_RUN"):
        print("not ok 1 - the emulated kernel\n# cannot be skipped here: %s\n1..1" % reason)
    else:
        print("1..0 # SKIP " + reason)


def main():
    options, tests = arguments(sys.argv[1:])
    only = [n for n in os.environ.get("KERNEL_TESTS", "").split(",") if n]
    tests = [t for t in tests if not only or t.name in only]
    if only and not tests:
        sys.exit("boot.py: no test is called " + " or ".join(only))
    folder = options["--kernel"][-1]
    for n, program in enumerate(options["--program"]):
        if "/" not in program:
            options["--program"][n] = shutil.which(program)
            if not options["--program"][n]:
                return skip("%s is not installed" % program)
    if not shutil.which(QEMU):
        return skip("%s is not installed (package qemu-system-x86)" % QEMU)
    try:
        vmlinuz, modules = fetch.fetch(folder)
        with tempfile.TemporaryDirectory(prefix="boot-", dir=folder) as work:
            run(options, tests, vmlinuz, modules, work)
    except (fetch.Unavailable, LookupError) as reason:
        skip(str(reason))


def run(options, tests, vmlinuz, modules, work):
    word = "=%s=" % secrets.token_hex(4)
    initrd, console = os.path.join(work, "initrd"), os.path.join(work, "console")
    build(initrd, word, modules, options, tests)
    folder = options["--kernel"][-1]
    tap = Tap()
    with open(os.path.join(folder, "report.log"), "wb", 0) as report:
        guest = Guest(vmlinuz, initrd, word, console, report)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # meson's time-out
        wrong = "the tests were ended from outside"
        try:
            wrong = guest.run(tests, float(options["--deadline"][-1]), tap.tell)
        finally:
            guest.end(by_itself=not wrong)
            shutil.copy(console, os.path.join(folder, "console.log"))
    for test in tests:
        if test.status is None:
            tap.tell(test)
    if wrong:
        comment([wrong + "; the last lines of its console:"])
        comment(pathlib.Path(console).read_text(errors="replace").splitlines()[-60:])
    for test in tap.failed:  # again, last: where meson shows only the end
        comment(["", test.name + ":"] + test.lines[-60:])
    comment(["%.1f s in all" % (time.monotonic() - guest.started)])
    print("1..%d" % tap.count)


if __name__ == "__main__":
    main()

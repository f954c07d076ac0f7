"""Runs the real program in labs and looks at what it left: the record, the result, the machine.

Every test file ends with harness.main(), which tells of each test in TAP 13 (standard output carries
nothing else). Where BLACKSTART_TESTS_MUST_RUN is set a skip is a failure, but for MAY_LACK.
"""
import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BLACKSTART = os.environ["BLACKSTART"]
SUPPORT = os.environ.get("BLACKSTART_SUPPORT", "")  # folder of the test servers
SOURCE = os.environ.get("BLACKSTART_SOURCE", "")


# Why a test is skipped.
NEEDS_ROOT = "needs root"
NEEDS_CGROUP2 = "no cgroup v2 hierarchy is mounted on this machine"
ANOTHER_DRILL = "another drill is running on this machine"
HAS_NETEM = "this kernel has netem"
NO_MEMORY_CONTROLLER = "no controller of memory is mounted on this machine"
NO_OLD_FREEZER = "this kernel has no freezer of cgroup v1"
NO_LOOP = "this machine lends no loop device"
NO_DISK = "the folder for temporary files is not on a disk"
# Of these, what may hold even on a machine on which all tests must run.
MAY_LACK = [NEEDS_CGROUP2, HAS_NETEM, NO_MEMORY_CONTROLLER, NO_OLD_FREEZER, NO_DISK, NO_LOOP]


def must_run(reason):
    return bool(os.environ.get("BLACKSTART_TESTS_MUST_RUN")) and reason not in MAY_LACK


def skip(reason):
    if must_run(reason):
        sys.exit("cannot be skipped here: " + reason)
    print("1..0 # SKIP " + reason)
    sys.exit(0)


def need_lab():
    doctor = subprocess.run([BLACKSTART, "doctor", "--json"], capture_output=True, text=True)
    if doctor.returncode != 0 or not json.loads(doctor.stdout)["lab_possible"]:
        skip("this machine can build no lab; blackstart doctor says why")


def has(program):
    return bool(shutil.which(program,
                             path=os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin"))


def need_programs(*names):
    for n in names:
        if not has(n):
            skip(n + " is not installed")


def folder():
    d = tempfile.mkdtemp(prefix="blackstart-drill-")
    os.chmod(d, 0o755)
    return d


def write(path, text):
    """Writes a file; a scenario gets the test server beside it, for its files:."""
    with open(path, "w") as f:
        f.write(text)
    server = os.path.join(SUPPORT, "stampd")
    if path.endswith(".yaml") and os.path.exists(server):
        shutil.copy(server, os.path.dirname(path))
    return path


class Drill:
    """One run of the program, in a folder of its own."""

    def __init__(self, scenario, *options, out=None, command="run", user=None,
                 cwd=None):
        self.base = folder()
        self.out = out or os.path.join(self.base, "out")
        if "\n" in scenario:
            self.scenario = write(os.path.join(self.base, "scenario.yaml"), scenario)
        else:
            self.scenario = scenario
        self.options = list(options)
        self.command = command
        self.user = user
        self.cwd = cwd
        if user:
            os.chown(self.base, user, user)
        self.token = secrets.token_hex(8)
        self.process = None
        self.stdout = self.stderr = None
        self.code = None

    def argv(self):
        argv = [BLACKSTART, self.command, self.scenario]
        if self.command in ("run", "exercise"):
            argv += ["--out", self.out]
        return argv + self.options

    def start(self, stdin=subprocess.DEVNULL):
        kwargs = {"env": environment(self.token), "cwd": self.cwd}
        if self.user:
            kwargs |= {"user": self.user, "group": self.user, "extra_groups": []}
        self.log = open(os.path.join(self.base, "stderr"), "w+")
        self.process = subprocess.Popen(self.argv(), stdout=subprocess.PIPE, stderr=self.log,
                                        stdin=stdin, text=True, **kwargs)
        return self

    def finish(self, timeout=300):
        try:
            self.stdout, _ = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGINT)
            self.stdout, _ = self.process.communicate(timeout=60)
            raise
        self.code = self.process.returncode
        self.log.seek(0)
        self.stderr = self.log.read()
        self.log.close()
        return self

    def run(self, timeout=300):
        return self.start().finish(timeout)

    @property
    def record(self):
        with open(os.path.join(self.out, "record.ndjson")) as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    @property
    def result(self):
        with open(os.path.join(self.out, "result.json")) as f:
            return json.load(f)

    def events(self, kind, **members):
        return [e for e in self.record
                if e["kind"] == kind and all(e.get(k) == v for k, v in members.items())]

    def tail(self, wanted, timeout=120):
        """Follows the record while it grows until wanted(event) holds; returns that event."""
        path = os.path.join(self.out, "record.ndjson")
        end = time.monotonic() + timeout
        f, rest = None, ""
        while time.monotonic() < end:
            if f is None and os.path.exists(path):
                f = open(path)
            if f:
                rest += f.read()
                while "\n" in rest:
                    line, rest = rest.split("\n", 1)
                    e = json.loads(line)
                    if wanted(e):
                        f.close()
                        return e
            if self.process.poll() is not None and not rest:
                break
            select.select([], [], [], 0.002)
        raise AssertionError("the record never showed what was waited for\n" + self.explain())

    def explain(self):
        try:
            self.log.flush()
            with open(os.path.join(self.base, "stderr")) as f:
                err = f.read()
        except (OSError, ValueError):
            err = self.stderr or ""
        return "exit code %s\nstdout:\n%s\nstderr:\n%s" % (self.code, self.stdout, err[-4000:])

    def end(self):
        """Stops it if it still runs, and removes its folder."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.finish()
        self.remove()

    def remove(self):
        shutil.rmtree(self.base, ignore_errors=True)


def without_fused():
    """As on a processor without fused multiplication, where glibc's log, exp and pow differ."""
    return dict(os.environ, GLIBC_TUNABLES="glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX")


def same_files(test, base, first, *others):
    """The report and what it was computed from are the same bytes in each folder of base."""
    for name in ("record.ndjson", "result.json", "report.md", "report.html", "junit.xml",
                 "metrics.prom"):
        read = []
        for folder in (first,) + others:
            with open(os.path.join(base, folder, name), "rb") as f:
                read.append(f.read())
            test.assertTrue(read[0] == read[-1], os.path.join(folder, name))


def plot(test, page, title):
    """The one plot of a page with that title."""
    if not has("gnuplot"):
        test.skipTest("gnuplot is not installed")
    found = [p for p in page.split("<figure>")[1:] if ">" + title + "</title>" in p]
    test.assertEqual(len(found), 1, title)
    return found[0].split("</figure>")[0]


def undone_alone(d, service, rto):
    """The exit code of one trial in which the service came back by our undo alone, or not at all: missed
    where it was down for longer than promised, else it is not known whether it would have been."""
    trial, = d.result["trials"]
    return 1 if trial["services"][service]["ttr_s"][0] > rto else 4


def check_record(record):
    """Every line fits sim/record/record.schema.json, and is of a kind that it knows."""
    import jsonschema
    with open(os.path.join(SOURCE, "sim", "record", "record.schema.json")) as f:
        schema = json.load(f)
    known = {rule["if"]["properties"]["kind"]["const"] for rule in schema["allOf"]}
    validator = jsonschema.Draft202012Validator(schema)
    for e in record:
        if e["kind"] not in known:
            raise AssertionError("the schema does not know the kind %s" % e["kind"])
        for problem in validator.iter_errors(e):
            raise AssertionError("%s\n%s" % (problem.message, json.dumps(e)))


# ---- the machine, before and after ----

def masked(value):
    if isinstance(value, dict):
        return {k: masked(v) for k, v in value.items()
                if k not in ("stats", "stats64", "bytes", "packets", "drops", "backlog", "qlen",
                             "valid_life_time", "preferred_life_time", "handle", "expires",
                             "overlimits", "requeues", "metainfo")}
    if isinstance(value, list):
        return [masked(v) for v in value]
    return value


def _tool(*argv):
    tool = shutil.which(argv[0], path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not tool:
        return None
    out = subprocess.run((tool,) + argv[1:], capture_output=True, text=True)
    try:
        return masked(json.loads(out.stdout or "null"))
    except json.JSONDecodeError:
        return out.stdout


def _filters(qdiscs):
    """What hangs on each device that has more than a plain queue."""
    found = {}
    for dev in sorted({q["dev"] for q in qdiscs or [] if q["kind"] in (
            "clsact", "ingress", "htb", "hfsc", "prio", "cbq", "drr", "qfq", "ets")}):
        for where in ([], ["ingress"], ["egress"]):
            found[" ".join([dev] + where)] = _tool("tc", "-j", "filter", "show", "dev", dev, *where)
    return found


def _program():
    """Names of the processes that run the product, whoever started them."""
    program, found = os.path.realpath(BLACKSTART), []
    for pid in pids():
        with contextlib.suppress(OSError):
            if os.readlink("/proc/%d/exe" % pid) == program:
                found.append((stat_of(pid) or ("?",))[0])
    return sorted(found)


def groups(run):
    """Control groups that bear the name of a run. (Not a part of machine(): of all that is read there they
    alone are the same in every world of apart.sh.)"""
    return sorted(os.path.join(at, d) for at, dirs, _ in os.walk("/sys/fs/cgroup") for d in dirs
                  if run in d)


def machine():
    """What a drill must leave as it was: links, addresses, routes, rules, queues, filters, nftables, mounts
    that could be ours, named namespaces, processes of the product, files of ours."""
    qdiscs = _tool("tc", "-j", "qdisc")
    state = {
        "link": _tool("ip", "-j", "link"),
        "address": _tool("ip", "-j", "address"),
        "route": _tool("ip", "-j", "route", "show", "table", "all"),
        "rule": _tool("ip", "-j", "rule"),
        "qdisc": qdiscs,
        "filter": _filters(qdiscs),
        "nft": _tool("nft", "-j", "list", "ruleset"),
        "process": _program(),
        "files": sorted(f for d in ("/run", "/var/lib", "/dev/shm")
                        for f in os.listdir(d) if "blackstart" in f and "-fuzz-" not in f),
        "netns": sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else [],
    }
    with open("/proc/self/mountinfo") as f:
        # Of all mounts those that could be ours: other people mount things, too.
        state["mounts"] = sorted(l.split()[4] for l in f if "blackstart" in l.split()[4])
    return state


def environment(token):
    """For a process whose offspring is to be found again by processes_of(token)."""
    return dict(os.environ, BLACKSTART_TEST_TOKEN=token)


def stat_of(pid):
    """(its name, state, parent) as the kernel tells it; None when it has gone. A name may be any
    bytes: other people's processes are looked at, too."""
    try:
        with open("/proc/%s/stat" % pid, errors="replace") as f:
            name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
    except OSError:
        return None
    state, parent = rest.split()[:2]
    return name, state, int(parent)


def pids():
    return map(int, filter(str.isdigit, os.listdir("/proc")))


def processes_of(token):
    """Processes that were forked off one with this token in its environment: runner, warden, the
    inits of hosts, vantage points. (What a host runs has another environment, and dies with its
    init.) Other drills on the same machine do not disturb."""
    found = []
    word = b"BLACKSTART_TEST_TOKEN=" + token.encode()
    for pid in pids():
        try:
            with open("/proc/%d/environ" % pid, "rb") as f:
                if word not in f.read().split(b"\0"):
                    continue
        except OSError:
            continue
        stat = stat_of(pid)
        if stat and stat[1] not in ("Z", "X"):
            found.append((pid, stat[0]))
    return found


def wardens(d):
    """Its number, in a list; none when it has gone, or has not begun."""
    return [p for p, name in processes_of(d.token) if name == "blackstart-ward"]


def warden(d):
    return wait_until(lambda: wardens(d))[0]


def kill_both(d, halt=None):
    """The runner stands still meanwhile: it would undo when its warden dies. Of one that is halted
    everything that goes with them is waited for, too."""
    if not halt:
        d.process.send_signal(signal.SIGSTOP)
    os.kill(warden(d), signal.SIGKILL)
    if not halt:
        d.process.kill()
        d.finish()
        return
    halt.kill()
    d.finish()
    wait_until(lambda: not processes_of(d.token))


def offspring(pid):
    """Every process below this one, with its network namespace."""
    found = {}
    stats = {p: stat_of(p) for p in pids()}
    parent = {p: stat[2] for p, stat in stats.items() if stat}
    for p in parent:
        q = p
        while q > 1 and q != pid:
            q = parent.get(q, 0)
        if q == pid and p != pid:
            try:
                found[p] = os.readlink("/proc/%d/ns/net" % p)
            except OSError:
                continue
    return found


def pid_inside(pid):
    """Its pid in the innermost pid namespace."""
    with open("/proc/%d/status" % pid) as f:
        return int([l for l in f if l.startswith("NSpid:")][0].split()[-1])


def wait_until(fn, timeout=20):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        v = fn()
        if v:
            return v
        select.select([], [], [], 0.02)
    return fn()


def on_a_disk(folder):
    return subprocess.run(["stat", "-f", "-c", "%T", folder], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip() not in ("tmpfs", "ramfs", "overlayfs")


class TapResult(unittest.TestResult):
    """One line for each test on standard output; what went wrong goes to standard error."""

    def __init__(self, out):
        super().__init__()
        self.out = out
        self.shown, self.trouble, self.skip = 0, False, None

    def startTest(self, test):
        super().startTest(test)
        self.trouble, self.skip = False, None

    def _failed(self, test, err):
        self.trouble = True
        print("%s:\n%s" % (test, self._exc_info_to_string(err, test)), file=sys.stderr, flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        self._failed(test, err)
        if not isinstance(test, unittest.TestCase):  # setUpClass and the like
            self._show(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failed(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self._failed(subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.skip = reason
        if must_run(reason):
            self.trouble = True
            self.failures.append((test, reason))
            print("%s: cannot be skipped here: %s" % (test, reason), file=sys.stderr, flush=True)

    def stopTest(self, test):
        super().stopTest(test)
        self._show(test)

    def _show(self, test):
        self.shown += 1
        print("%sok %d - %s%s" % ("not " if self.trouble else "", self.shown, test.id(),
                                  " # SKIP " + self.skip if self.skip and not self.trouble else ""),
              file=self.out, flush=True)


class TapRunner:
    def run(self, tests):
        print("TAP version 13\n1..%d" % tests.countTestCases(), flush=True)
        result = TapResult(sys.stdout)
        with contextlib.redirect_stdout(sys.stderr):  # what tests print
            tests(result)
        return result


def main():
    need_programs("ip", "tc", "nft")  # without them machine() would compare nothing
    need_lab()
    unittest.main(testRunner=TapRunner)

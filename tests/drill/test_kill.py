"""kill -9 of the runner, of its warden, and of both at once, in each state of a trial: nothing of ours
remains, and what was there before reads the same. A runner that was stopped past its deadline does
nothing more when it is continued.
"""
import os
import signal
import subprocess
import time
import unittest

import harness
from harness import Drill, machine, offspring, processes_of, wait_until
from scenes import KILL, CUT, scene, REVIVING

STATES = ["build", "settle", "arm", "inject", "observe", "restore", "undo", "compare"]
SCRIPT = CUT.replace("    for: 300ms\n", "") + KILL.replace("300ms", "400ms")


def warden_of(pid):
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % p) as f:
                stat = f.read()
            with open("/proc/%s/comm" % p) as f:
                comm = f.read().strip()
        except OSError:
            continue
        if int(stat.rsplit(")", 1)[1].split()[1]) == pid and comm == "blackstart-ward":
            return int(p)
    return None


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


class KillMatrix(unittest.TestCase):
    def begin(self, state):
        self.before = machine()
        self.drill = Drill(scene(SCRIPT, start=REVIVING)).start()
        self.addCleanup(self.drill.remove)
        self.runner = self.drill.process.pid
        self.drill.tail(lambda e: e["kind"] == "state")
        self.warden = wait_until(lambda: warden_of(self.runner))  # "compare" is too short for it
        self.assertTrue(self.warden)
        self.drill.tail(lambda e: e["kind"] == "state" and e["state"] == state)
        self.spaces = set(offspring(self.runner).values()) - {os.readlink("/proc/self/ns/net")}

    def nothing_remains(self):
        def ours():
            inside = []
            for p in filter(str.isdigit, os.listdir("/proc")):
                try:
                    if os.readlink("/proc/%s/ns/net" % p) in self.spaces:
                        inside.append(int(p))
                except OSError:
                    continue
            return inside + processes_of(self.drill.token)
        wait_until(lambda: not ours())
        self.assertEqual(ours(), [])
        self.assertFalse(alive(self.warden), "the warden lives on")
        self.assertEqual(machine(), self.before)
        leftovers = [f for f in os.listdir(self.drill.out)
                     if f == "lab" and os.path.ismount(os.path.join(self.drill.out, f))]
        self.assertEqual(leftovers, [])

    def ended_by(self, who):
        ends = self.drill.events("run-end")
        self.assertEqual(len(ends), 1, self.drill.explain())
        self.assertEqual(ends[0]["by"], who)
        self.assertEqual(ends[0]["status"], "aborted")
        clean = self.drill.events("clean")[-1]
        self.assertTrue(clean["clean"], clean)


def runner_dies(state):
    def test(self):
        self.begin(state)
        os.kill(self.runner, signal.SIGKILL)
        self.drill.finish()
        if state == "compare" and self.drill.code in (0, 1):
            return self.nothing_remains()  # it is short: the drill was over already
        self.assertEqual(self.drill.code, -signal.SIGKILL)
        wait_until(lambda: not alive(self.warden))
        self.nothing_remains()
        if state == "compare" and self.drill.events("run-end")[0]["by"] == "runner":
            # It had ended and perhaps let the warden go; then the report is made by hand.
            self.assertEqual(len(self.drill.events("run-end")), 1)
            subprocess.run([harness.BLACKSTART, "report", self.drill.out], capture_output=True)
        else:
            self.ended_by("warden")
        for kind in ("result.json", "report.md", "junit.xml"):
            self.assertTrue(os.path.exists(os.path.join(self.drill.out, kind)), kind)
    return test


def warden_dies(state):
    def test(self):
        self.begin(state)
        try:
            os.kill(self.warden, signal.SIGKILL)
        except ProcessLookupError:  # "compare" is short: it was over already
            self.assertEqual(state, "compare")
        self.drill.finish()
        # In the last state the runner may already have said its farewell.
        allowed = (5,) if state not in ("undo", "compare") else (0, 1, 4, 5)
        self.assertIn(self.drill.code, allowed, self.drill.explain())
        self.nothing_remains()
        if self.drill.code == 5:
            self.ended_by("runner")
            self.assertEqual(self.drill.events("stop")[0]["reason"], "lost-warden")
    return test


def both_die(state):
    def test(self):
        self.begin(state)
        try:
            os.kill(self.warden, signal.SIGSTOP)
            os.kill(self.runner, signal.SIGSTOP)
            os.kill(self.warden, signal.SIGKILL)
            os.kill(self.runner, signal.SIGKILL)
        except ProcessLookupError:  # "compare" is short: it was over already
            self.assertEqual(state, "compare")
        self.drill.finish()
        wait_until(lambda: not alive(self.warden))
        self.nothing_remains()
        if state != "compare":
            self.assertEqual(self.drill.events("run-end"), [])
    return test


def cgroup2():
    """Where the cgroup v2 hierarchy is mounted, if cgroup.kill can be used there."""
    with open("/proc/self/mountinfo") as f:
        for line in f:
            left, right = line.split(" - ")
            if right.split()[0] == "cgroup2" and os.geteuid() == 0:
                return left.split()[4]
    return None


def cgroup_dies(state):
    """What a CI runner or `systemctl stop` does: everything at once, warden included."""
    @unittest.skipUnless(cgroup2(), "needs root and a cgroup v2 hierarchy")
    def test(self):
        group = os.path.join(cgroup2(), "blackstart-test-%d" % os.getpid())
        os.mkdir(group)
        self.addCleanup(os.rmdir, group)
        with open("/proc/self/cgroup") as f:
            own = [l.split(":", 2)[2].strip() for l in f if l.startswith("0:")][0]
        procs = os.path.join(cgroup2(), own.lstrip("/"), "cgroup.procs")
        with open(os.path.join(group, "cgroup.procs"), "w") as f:
            f.write(str(os.getpid()))
        try:
            self.begin(state)
        finally:
            with open(procs, "w") as f:
                f.write(str(os.getpid()))
        with open(os.path.join(group, "cgroup.kill"), "w") as f:
            f.write("1")
        self.drill.finish()
        wait_until(lambda: not alive(self.warden))
        self.nothing_remains()
        with open(os.path.join(group, "cgroup.procs")) as f:
            self.assertEqual(f.read(), "")
    return test


for s in STATES:
    setattr(KillMatrix, "test_cgroup_dies_in_" + s, cgroup_dies(s))
    setattr(KillMatrix, "test_runner_dies_in_" + s, runner_dies(s))
    setattr(KillMatrix, "test_warden_dies_in_" + s, warden_dies(s))
    setattr(KillMatrix, "test_both_die_in_" + s, both_die(s))


class Fencing(KillMatrix):
    def test_a_runner_stopped_past_its_deadline_does_nothing_more(self):
        self.begin("inject")
        os.kill(self.runner, signal.SIGSTOP)
        self.drill.process.wait(timeout=90)  # the warden ends it: nothing is left to be continued
        self.drill.finish()
        self.assertEqual(self.drill.code, -signal.SIGKILL)
        wait_until(lambda: not alive(self.warden))
        self.nothing_remains()
        self.ended_by("warden")
        self.assertIn("deadline", self.drill.events("stop")[0]["detail"])
        injected = [e["seq"] for e in self.drill.events("inject")]
        stop = self.drill.events("stop")[0]["seq"]
        self.assertTrue(all(n < stop for n in injected))


for name in list(vars(KillMatrix)):
    if name.startswith("test_"):
        setattr(Fencing, name, None)  # not again

if __name__ == "__main__":
    harness.main()

"""kill -9 of the runner, of its warden, of both at once and of the whole cgroup, in each state of a
trial: nothing of ours remains, and what was there before reads the same. A runner that was stopped
past its deadline does nothing more when it is continued.

The runner is halted at a line of its record (halt.py), so that each death hits exactly the state that
the test is named for, and has exactly one right outcome.
"""
import fnmatch
import os
import signal
import subprocess
import unittest

import foreign
import harness
from halt import Halt
from harness import Drill, machine, offspring, pids, processes_of, stat_of, wait_until
from scenes import KILL, CUT, scene, REVIVING

# Where in each state death comes: after the first such line of it.
INSTANTS = {
    "build": {"kind": "lab", "event": "change", "where": "host srv"},  # half of it stands
    "settle": {"kind": "probe"},
    "arm": {"kind": "state"},
    "inject": {"kind": "inject", "ok": True},  # the cut is in force, the kill is still to come
    "observe": {"kind": "probe"},
    "restore": {"kind": "state"},
    "undo": {"kind": "undo"},  # undone, and the warden was not told so
    "compare": {"kind": "state"},  # the lab still stands
}
MISSED = 1  # what the drill ends with when nobody disturbs it: the cut outlasts the promise
# What a run may leave in its folder: docs/reports.md.
PROMISED = ["scenario.yaml", "files", "logs", "record.ndjson", "result.json", "report.html",
            "report.md", "junit.xml", "metrics.prom", "plots", "wire-*.pcap"]
SCRIPT = CUT.replace("    for: 300ms\n", "") + KILL.replace("300ms", "400ms")


def furnish():
    """A network namespace of our own with something of everything in it that a drill could touch."""
    foreign.own_network()
    for line in ("link add theirs type veth peer name far", "link set theirs addrgenmode none",
                 "link set far addrgenmode none", "link set far up",
                 "address add 10.66.0.1/24 dev theirs", "address add fd66::1/64 dev theirs nodad",
                 "link set theirs up", "route add 10.67.0.0/16 via 10.66.0.2",
                 "route add 10.68.0.0/16 via 10.66.0.2 table 77",
                 "rule add from 10.66.0.1 lookup 77 priority 500"):
        foreign.run("ip", *line.split())
    for line in ("qdisc add dev theirs root handle 5: htb default 20",
                 "class add dev theirs parent 5: classid 5:20 htb rate 10mbit"):
        foreign.run("tc", *line.split())
    subprocess.run(["nft", "-f", "-"], input=foreign.NFT.replace('"e0"', '"theirs"'), text=True,
                   check=True)
    for kind, name in (("link", "theirs"), ("route", "10.67.0.0/16"), ("qdisc", "htb"), ("nft", "known")):
        if name not in str(machine()[kind]):
            raise AssertionError("the comparison does not see " + name)


def setUpModule():
    """Else there is what the machine has, and a /tmp in which others come and go."""
    global own_tmp
    if os.geteuid() == 0:
        furnish()
        own_tmp = not any(os.path.realpath(p).startswith("/tmp/")
                          for p in (harness.BLACKSTART, harness.SUPPORT, harness.SOURCE, __file__))
        if own_tmp:
            foreign.own_mounts()
            foreign.mount("test", "/tmp", "tmpfs", data="mode=1777")


own_tmp = False


def temporary():
    """What stands in /tmp, where nobody else makes anything."""
    return sorted(os.listdir("/tmp")) if own_tmp else []


def warden_of(pid):
    for p in pids():
        stat = stat_of(p)
        if stat and stat[2] == pid and stat[0] == "blackstart-ward":
            return p
    return None


def alive(pid):
    stat = stat_of(pid)
    return bool(stat) and stat[1] not in ("Z", "X")


class Killing(unittest.TestCase):
    script = SCRIPT

    def scene(self):
        return scene(self.script, start=REVIVING)

    def begin(self, state, line=None):
        """Halts the runner in that state, at its instant or at the line given."""
        line = line or INSTANTS[state]
        self.drill = Drill(self.scene())
        self.before = machine(), temporary()
        self.drill.start()
        self.addCleanup(self.drill.remove)
        self.runner = self.drill.process.pid
        self.halt = Halt(self.drill.process, os.path.join(self.drill.out, "record.ndjson"))
        self.halt.at(lambda e, now: now == state and line.items() <= e.items())
        self.warden = wait_until(lambda: warden_of(self.runner))  # it may not have its name yet
        self.assertTrue(self.warden)
        self.assertEqual(self.drill.events("state")[-1]["state"], state)
        self.spaces = set(offspring(self.runner).values()) - {os.readlink("/proc/self/ns/net")}

    def kill_warden(self):
        os.kill(self.warden, signal.SIGKILL)
        wait_until(lambda: not alive(self.warden))

    def nothing_remains(self):
        def ours():
            inside = []
            for p in pids():
                try:
                    if os.readlink("/proc/%d/ns/net" % p) in self.spaces:
                        inside.append(p)
                except OSError:
                    continue
            return inside + processes_of(self.drill.token)
        wait_until(lambda: not ours())
        self.assertEqual(ours(), [])
        self.assertFalse(alive(self.warden), "the warden lives on")
        self.assertEqual((machine(), temporary()), self.before)
        self.assertEqual([f for f in os.listdir(self.drill.out)
                          if not any(fnmatch.fnmatch(f, p) for p in PROMISED)], [])

    def ended_by(self, who, status="aborted"):
        ends = self.drill.events("run-end")
        self.assertEqual([(e["by"], e["status"]) for e in ends], [(who, status)],
                         self.drill.explain())
        clean = self.drill.events("clean")[-1]
        self.assertTrue(clean["clean"], clean)

    def reported(self):
        for name in ("result.json", "report.html", "report.md", "junit.xml", "metrics.prom"):
            self.assertTrue(os.path.exists(os.path.join(self.drill.out, name)), name)


class KillMatrix(Killing):
    pass


def runner_dies(state):
    def test(self):
        self.begin(state)
        self.halt.kill()
        self.drill.finish()
        self.assertEqual(self.drill.code, -signal.SIGKILL)
        wait_until(lambda: not alive(self.warden))
        self.nothing_remains()
        self.ended_by("warden")
        self.reported()
    return test


def warden_dies(state):
    def test(self):
        self.begin(state)
        self.kill_warden()
        self.halt.go()
        self.drill.finish()
        self.nothing_remains()
        if state == "compare":  # all was measured, and nothing is left that needs it
            self.assertEqual(self.drill.code, MISSED, self.drill.explain())
            self.assertEqual(self.drill.events("stop"), [])
            self.ended_by("runner", "completed")
        else:
            self.assertEqual(self.drill.code, 5, self.drill.explain())
            self.assertEqual([e["reason"] for e in self.drill.events("stop")], ["lost-warden"])
            self.ended_by("runner")
        self.reported()
    return test


def both_die(state):
    """SHOWS partition: lab: undone-after-kill
    SHOWS kill: lab: undone-after-kill"""
    def test(self):
        self.begin(state)
        self.kill_warden()
        self.halt.kill()
        self.drill.finish()
        self.assertEqual(self.drill.code, -signal.SIGKILL)
        self.nothing_remains()
        self.assertEqual(self.drill.events("run-end"), [])
        self.assertEqual(self.drill.events("state")[-1]["state"], state)
    return test


def cgroup2():
    """Where the cgroup v2 hierarchy is mounted."""
    with open("/proc/self/mountinfo") as f:
        for line in f:
            left, right = line.split(" - ")
            if right.split()[0] == "cgroup2":
                return left.split()[4]
    return None


def members(group):
    with open(os.path.join(group, "cgroup.procs")) as f:
        return f.read().split()


def cgroup_dies(state):
    """What a CI runner or `systemctl stop` does: everything at once, warden included."""
    @unittest.skipUnless(os.geteuid() == 0, harness.NEEDS_ROOT)
    @unittest.skipUnless(cgroup2(), harness.NEEDS_CGROUP2)
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
        self.assertEqual(self.drill.code, -signal.SIGKILL)
        wait_until(lambda: not alive(self.warden))
        self.nothing_remains()
        self.assertEqual(self.drill.events("run-end"), [])
        self.assertEqual(self.drill.events("state")[-1]["state"], state)
        # packet sockets take their time to close: who was killed may still be on the way out
        self.assertTrue(wait_until(lambda: not members(group)), members(group))
    return test


for s in INSTANTS:
    setattr(KillMatrix, "test_cgroup_dies_in_" + s, cgroup_dies(s))
    setattr(KillMatrix, "test_runner_dies_in_" + s, runner_dies(s))
    setattr(KillMatrix, "test_warden_dies_in_" + s, warden_dies(s))
    setattr(KillMatrix, "test_both_die_in_" + s, both_die(s))


class AtTheEdges(Killing):
    def test_runner_dies_after_its_last_line(self):
        self.begin("compare", {"kind": "run-end"})
        self.halt.kill()
        self.drill.finish()
        self.assertEqual(self.drill.code, -signal.SIGKILL)
        wait_until(lambda: not alive(self.warden))
        self.nothing_remains()
        self.ended_by("runner", "completed")  # nothing is added to what is complete
        self.reported()  # by the warden: nobody had said farewell

    def test_a_runner_stopped_past_its_deadline_does_nothing_more(self):
        self.begin("inject")
        os.kill(self.runner, signal.SIGSTOP)  # waits for it: the kill is still to come
        self.halt.go()
        self.assertTrue(wait_until(lambda: self.drill.events("stop"), timeout=90))
        os.kill(self.runner, signal.SIGCONT)  # had the warden not ended it, it would go on now
        self.drill.process.wait(timeout=90)
        self.drill.finish()
        self.assertEqual(self.drill.code, -signal.SIGKILL)
        wait_until(lambda: not alive(self.warden))
        self.nothing_remains()
        self.ended_by("warden")
        self.assertIn("deadline", self.drill.events("stop")[0]["detail"])
        stop = self.drill.events("stop")[0]["seq"]
        self.assertEqual([(e["step"], e["seq"] < stop) for e in self.drill.events("inject")],
                         [("cut", True)])

    def test_a_stopped_warden_lets_nothing_be_injected(self):
        self.begin("arm")
        os.kill(self.warden, signal.SIGSTOP)
        self.halt.go()
        self.drill.finish()
        self.assertEqual(self.drill.code, 5, self.drill.explain())
        self.nothing_remains()
        self.ended_by("runner")
        self.assertEqual([(e["step"], e["ok"]) for e in self.drill.events("inject")],
                         [("cut", False)])
        stop = self.drill.events("stop")[0]
        self.assertEqual(stop["reason"], "lost-warden")
        self.assertIn("does not answer", stop["detail"])


if __name__ == "__main__":
    harness.main()

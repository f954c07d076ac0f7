"""Memory runs out for real, of a control group and of the whole machine, and a disk that holds record and
journal is filled as far as may be: what was asked for goes, blackstart and the machine do not.
"""
import os
import re
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.environ["BLACKSTART_SOURCE"], "tests", "drill"))
import foreign
import harness
from foreign import journals, run, undo
from halt import halted
from harness import Drill, kill_both, wait_until

GROUPS = "/sys/fs/cgroup"
# Takes so much more with each line, says so, and keeps it.
GREEDY = """
import sys
held = []
print("here", flush=True)
for line in sys.stdin:
    held.append(bytearray(b"x") * (int(sys.argv[1]) << 20))
    print(len(held), flush=True)
"""
SCENE = """
blackstart: 1
name: short
services:
  work: {rto: 1s}
hosts:
  worker: {process: {pid: %d}, allow: true}
probes:
  lives: {service: work, host: worker, exec: "true", every: 100ms, timeout: 200ms, stable: 300ms}
script:
  - {id: short, at: 100ms, %spressure: {host: worker, %s}}
settle: 100ms
horizon: %s
trials: 1
"""


def killed():
    """By the kernel, because memory ran out: [(name, its score)] since the machine was started."""
    return re.findall(r"Out of memory: Killed process \d+ \((.+?)\).*oom_score_adj:(-?\d+)|"
                      r"Memory cgroup out of memory: Killed process \d+ \((.+?)\).*oom_score_adj:(-?\d+)",
                      run("dmesg"))


def names(kills):
    return [(a or c, int(b or d)) for a, b, c, d in kills]


class Short(unittest.TestCase):
    LIMIT = None  # of the group in which the worker lives

    def setUp(self):
        self.killed = len(killed())
        self.group = os.path.join(GROUPS, "short")
        os.mkdir(self.group)
        self.addCleanup(lambda: wait_until(self.removed))
        if self.LIMIT:
            with open(os.path.join(GROUPS, "cgroup.subtree_control"), "w") as f:
                f.write("+memory")
            with open(os.path.join(self.group, "memory.max"), "w") as f:
                f.write(str(self.LIMIT))
        self.worker = self.greedy(24)
        with open(os.path.join(self.group, "cgroup.procs"), "w") as f:
            f.write(str(self.worker.pid))

    def removed(self):
        try:
            os.rmdir(self.group)
        except OSError:
            return not os.path.exists(self.group)
        return True

    def greedy(self, megabytes):
        p = subprocess.Popen(["/usr/bin/python3", "-c", GREEDY, str(megabytes)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.stdin.close)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.assertEqual(p.stdout.readline(), "here\n")
        return p

    def drill(self, what, how="", horizon="12s"):
        d = Drill(SCENE % (self.worker.pid, how, what, horizon), "--yes")
        self.addCleanup(d.remove)
        return d

    def since(self):
        return names(killed()[self.killed:])

    def takes_until_somebody_goes(self, who):
        """It takes more until the kernel has ended somebody; who that was."""
        for _ in range(40):
            if self.since() or who.poll() is not None:
                break
            takes(who)
        wait_until(self.since, timeout=5)
        return self.since()

    def ended_well(self, d):
        """The drill has told that its fault went by itself, undid what was left, and its record is whole."""
        d.finish()
        self.assertTrue(d.events("fault-gone") or not d.events("verify")[-1]["ok"], d.explain())
        self.assertEqual(d.code, 4, d.explain())
        self.assertTrue(d.events("clean")[-1]["clean"], d.events("clean"))
        self.assertEqual(d.record[-1]["kind"], "run-end")
        harness.check_record(d.record)
        self.assertEqual(journals(), [])
        self.assertEqual(harness.processes_of(d.token), [])


def takes(process):
    """Until it holds more, or has ended."""
    try:
        os.write(process.stdin.fileno(), b"more\n")
    except BrokenPipeError:
        return
    process.stdout.readline()


class InAGroup(Short):
    LIMIT = 120 << 20

    def test_the_group_runs_out(self):
        d = self.drill("memory: {size: 60MB}").start()
        wait_until(lambda: os.path.exists(os.path.join(d.out, "record.ndjson")) and d.events("verify"),
                   timeout=60)
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.assertEqual(ours(d), {-901})
        went = self.takes_until_somebody_goes(self.worker)
        self.assertEqual({(name, score) for name, score in went}, {("stress-ng", 1000)}, run("dmesg")[-3000:])
        self.assertIsNone(self.worker.poll())
        self.ended_well(d)
        self.assertIsNone(self.worker.poll())


class TheMachine(Short):
    def test_the_machine_runs_out(self):
        """What may be held leaves a reserve; somebody else takes that, too, and all the rest."""
        other = self.greedy(48)
        d = self.drill("memory: {percent: 100%}", horizon="20s").start()
        wait_until(lambda: os.path.exists(os.path.join(d.out, "record.ndjson")) and d.events("verify"),
                   timeout=60)
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        went = self.takes_until_somebody_goes(other)
        self.assertEqual(set(went), {("stress-ng", 1000)}, run("dmesg")[-3000:])
        # Now it is the greedy one's turn: the largest of those that are like everybody.
        for _ in range(40):
            if other.poll() is not None:
                break
            takes(other)
        self.assertEqual(other.wait(timeout=10), -signal.SIGKILL)
        self.assertEqual({score for _, score in self.since()}, {1000, 0})
        self.assertNotIn("blackstart", {name for name, _ in self.since()})
        self.assertIsNone(self.worker.poll())
        self.ended_well(d)


class FullDisk(Short):
    """Record, journal and the file that fills stand on one small file system."""
    SIZE, LEAVE = 300 << 20, 270 * 10 ** 6  # 256 MiB must stay

    def setUp(self):
        super().setUp()
        self.place = harness.folder()
        foreign.mount("small", self.place, "tmpfs", data="size=%d" % self.SIZE)
        self.addCleanup(os.rmdir, self.place)
        self.addCleanup(foreign.unmount, self.place)
        os.mkdir(os.path.join(self.place, "journal"))
        foreign.mount(os.path.join(self.place, "journal"), foreign.JOURNALS, flags=foreign.MS_BIND)
        self.addCleanup(foreign.unmount, foreign.JOURNALS)

    def drill(self, leave, how="", horizon="3s"):
        d = Drill(SCENE % (self.worker.pid, how, "disk: {path: %s, leave: %s}" % (self.place, leave), horizon),
                  "--yes", out=os.path.join(self.place, "out"))
        self.addCleanup(d.remove)
        return d

    def free(self):
        s = os.statvfs(self.place)
        return s.f_bavail * s.f_frsize

    def test_record_and_journal_are_still_written(self):
        before = self.free()
        d = self.drill("270MB", "for: 800ms, ").run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.assertTrue(d.events("undo")[0]["ok"], d.explain())
        self.assertEqual(d.record[-1]["kind"], "run-end")
        harness.check_record(d.record)
        self.assertEqual(journals(), [])
        self.assertGreater(self.free(), before - (8 << 20))

    def test_after_runner_and_warden_died(self):
        before = self.free()
        d = self.drill("270MB", horizon="30s").start()
        kill_both(d, halted(d))
        self.assertEqual(len(journals()), 1)
        self.assertLess(abs(self.free() - self.LEAVE), 8 << 20)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertGreater(self.free(), before - (8 << 20))
        self.assertEqual(journals(), [])

    def test_the_reserve_is_not_to_be_had(self):
        d = self.drill("100MB").run()
        self.assertIn("must stay free, not 100MB", " ".join((d.stdout + d.stderr).split()))
        self.assertEqual([f for f in os.listdir(self.place) if f not in ("journal", "out")], [])


def ours(d):
    """The scores of the runner and its warden."""
    pids = [d.process.pid] + [pid for pid, name in harness.processes_of(d.token) if name == "blackstart-ward"]
    assert len(pids) == 2, pids
    found = set()
    for pid in pids:
        with open("/proc/%d/oom_score_adj" % pid) as f:
            found.add(int(f.read()))
    return found


if __name__ == "__main__":
    foreign.own_mounts()
    harness.main()

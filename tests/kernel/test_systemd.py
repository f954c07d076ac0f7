"""Where systemd is process 1: its services are hosts that are ended and started by it, whatever dies
meanwhile; its journal tells of alarms, live and through rotation.
"""
import json
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.environ["BLACKSTART_SOURCE"], "tests", "drill"))
import foreign
import harness
from foreign import journals, run, undo
from halt import halted
from harness import Drill, kill_both, processes_of, wait_until

UNITS = "/run/systemd/system"
# Without sysinit.target, which would bring up all of a machine.
UNIT = """
[Unit]
DefaultDependencies=no
[Service]
ExecStart=%s
%s
"""
SLEEPER = "/bin/sh -c 'echo it burns elsewhere; sleep 1000 & exec sleep 2000'"


class Systemd(unittest.TestCase):
    def unit(self, name, command=SLEEPER, more="", start=True):
        os.makedirs(UNITS, exist_ok=True)
        with open(os.path.join(UNITS, name), "w") as f:
            f.write(UNIT % (command, more))
        run("systemctl", "daemon-reload")
        if start:
            run("systemctl", "start", name)
        self.addCleanup(run, "systemctl", "stop", name, ok=False)  # it may have gone

    def shown(self, name, *properties):
        text = run("systemctl", "show", name, "-p", ",".join(properties))
        return dict(line.split("=", 1) for line in text.splitlines())

    def scene(self, script, unit="worker.service"):
        return SCENE % (unit, script)

    def drill(self, scene, *options, **kwargs):
        d = Drill(scene, *options, **kwargs)
        self.addCleanup(d.remove)
        return d


OVEN = """
blackstart: 1
name: oven
services:
  oven: {rto: 3s, detect_within: 2s}
hosts:
  box: {netns: oven, allow: true}
probes:
  cold: {service: oven, host: box, exec: "test ! -e /tmp/burning", every: 300ms, timeout: 300ms, stable: 300ms}
alarms:
  smoke: {service: oven, role: monitor, journal: {host: box, unit: tests.service, match: "^it burns", priority: err}}
  manager: {service: oven, role: page, journal: {unit: worker.service, match: "Failed with result"}}
script:
  - {id: fire, at: 300ms, run: {host: box, command: "%s"}}
settle: 200ms
horizon: 4s
trials: 1
"""


def say(text, priority="err"):
    return "echo %s | systemd-cat -t oven -p %s" % (text, priority)


class Journal(Systemd):
    def stamps(self, *words):
        """When journald took the entries with this message, in nanoseconds."""
        text = run("journalctl", "-o", "json", "-q", *words)
        return {e["MESSAGE"]: int(e["__MONOTONIC_TIMESTAMP"]) * 1000
                for e in map(json.loads, text.splitlines())}

    def test_entries_are_alarms_of_the_time_when_journald_took_them(self):
        run("ip", "netns", "add", "oven")
        self.addCleanup(run, "ip", "netns", "del", "oven")
        self.unit("worker.service")
        subprocess.run(say("it burns before"), shell=True, check=True)
        wait_until(lambda: "it burns before" in self.stamps("-t", "oven"))
        script = "; ".join([
            say("it burns"), say("it burns a little", "info"), say("all is well"), "sleep 0.3",
            "journalctl --rotate", say("it burns again"), "sleep 0.3",
            "systemctl kill -s KILL worker.service", "sleep 0.3"])
        before = time.monotonic_ns()
        d = self.drill(OVEN % script, "--yes").run()
        self.assertTrue(os.path.exists(d.out), d.stderr)
        harness.check_record(d.record)
        taken = self.stamps("-u", "tests.service") | self.stamps("-u", "worker.service")
        self.assertIn("it burns a little", taken)
        self.assertIn("it burns elsewhere", taken)
        seen = [(e["alarm"], e["detail"], e["at"]) for e in d.events("alarm")]
        wanted = [("smoke", "it burns"), ("smoke", "it burns again"),
                  ("manager", "worker.service: Failed with result 'signal'.")]
        self.assertEqual([s[:2] for s in seen], wanted, d.explain())
        # a record counts from its run's start, so all its instants are off by the same
        start = taken["it burns"] - seen[0][2][0]
        self.assertTrue(before < start < time.monotonic_ns())
        for _, text, at in seen:
            self.assertEqual(at, [taken[text] - start, taken[text] - start + 999])
        self.assertEqual(d.events("trouble"), [])


SCENE = """
blackstart: 1
name: worker
services:
  work: {rto: 2s}
hosts:
  worker: {unit: %s, allow: true}
probes:
  runs: {service: work, host: worker, exec: "test -d /sys/fs/cgroup/system.slice/worker.service", every: 300ms, timeout: 300ms, stable: 300ms}
script:%s
settle: 0s
horizon: 6s
trials: 1
"""
LOOK = """
  - {id: look, at: 100ms, run: {host: worker, command: "readlink /proc/self/ns/net; cat /proc/self/cgroup"}}"""
DOWN = """
  - {id: down, at: 200ms, %sshutdown: {host: worker}}"""
FROZEN = """
  - {id: frozen, at: 200ms, for: 800ms, freeze: {host: worker}}"""
KILLED = """
  - {id: killed, at: 200ms, kill: {host: worker, expect: 2}}"""
AGAIN = """
  - {id: again, at: 200ms, restart: {host: worker}}"""


class Host(Systemd):
    def test_it_is_entered_and_described(self):
        self.unit("worker.service")
        plan = self.drill(self.scene(LOOK), command="plan").run()
        for words in ("the unit worker.service, process %s (sleep)" % self.shown(
                "worker.service", "MainPID")["MainPID"],
                "2 processes of it in the control group /system.slice/worker.service"):
            self.assertIn(words, plan.stdout)
        d = self.drill(self.scene(LOOK), "--yes").run()
        self.assertTrue(os.path.exists(d.out), d.explain())
        end, = d.events("action", event="end") or self.fail(d.explain())
        self.assertEqual((end["host"], end["code"]), ("worker", 0), d.explain())
        self.assertIn(os.readlink("/proc/1/ns/net"), end["output"])
        self.assertTrue(d.events("clean")[-1]["clean"])

    def test_what_is_no_target_is_refused(self):
        self.unit("worker.service", start=False)
        slow = "\n  - {at: 100ms, network: {host: worker, device: e0, delay: 5ms}}"
        for unit, script, words in (
                ("nobody.service", LOOK, "systemd knows no unit nobody.service"),
                ("worker.service", LOOK, "worker.service does not run (inactive, dead)"),
                ("tests.service", LOOK, "tests.service cannot be a target"),
                ("systemd-journald.service", slow, "network")):
            with self.subTest(unit=unit):
                d = self.drill(self.scene(script, unit), "--yes").run()
                self.assertEqual(d.code, 3, d.explain())
                self.assertIn(words, d.stderr)
                self.assertFalse(os.path.exists(d.out))


class Marked(Systemd):
    def test_what_serves_for_real_is_refused(self):
        self.unit("worker.service", more="[X-Shop]\nX-Environment = production")
        d = self.drill(self.scene(DOWN % ""), "--yes").run()
        self.assertNotEqual(d.code, 0, d.explain())
        self.assertIn("X-Environment=production in /run/systemd/system/worker.service", d.stderr)
        self.assertFalse(os.path.exists(d.out))
        self.assertEqual(self.shown("worker.service", "ActiveState"), {"ActiveState": "active"})


class Processes(Systemd):
    """Its processes, beside systemd: it takes what it sees as the unit's own doing."""

    def test_all_of_it_stands_still_and_goes_on(self):
        """SHOWS freeze: unit: applied verified undone"""
        self.unit("worker.service")
        before = self.shown("worker.service", "MainPID", "InvocationID")
        d = self.drill(self.scene(FROZEN), "--yes").run()
        verify, = d.events("verify") or self.fail(d.explain())
        self.assertTrue(verify["ok"], d.explain())
        self.assertTrue(d.events("undo")[0]["ok"], d.explain())
        self.assertEqual(self.shown("worker.service", "MainPID", "InvocationID"), before)
        with open("/sys/fs/cgroup/system.slice/worker.service/cgroup.events") as f:
            self.assertIn("frozen 0", f.read())
        self.assertEqual(journals(), [])

    def test_systemd_starts_again_what_was_killed(self):
        """SHOWS kill: unit: applied verified"""
        self.unit("worker.service", more="Restart=always\nRestartSec=300ms")
        before = self.shown("worker.service", "InvocationID")
        d = self.drill(self.scene(KILLED), "--yes").run()
        verify, = d.events("verify") or self.fail(d.explain())
        self.assertTrue(verify["ok"], d.explain())
        self.assertNotEqual(self.shown("worker.service", "InvocationID"), before)
        self.assertEqual(self.shown("worker.service", "ActiveState"), {"ActiveState": "active"})
        self.assertEqual(journals(), [])


class Power(Systemd):
    """Ended and started by systemd."""

    def setUp(self):
        self.unit("worker.service")
        self.before = self.invocation()

    def invocation(self):
        return self.shown("worker.service", "InvocationID")["InvocationID"]

    def state(self):
        return self.shown("worker.service", "ActiveState")["ActiveState"]

    def test_it_is_stopped_and_started_again(self):
        """SHOWS shutdown: unit: applied verified undone"""
        d = self.drill(self.scene(DOWN % "for: 800ms, "), "--yes").run()
        verify, = d.events("verify")
        self.assertTrue(verify["ok"], d.explain())
        self.assertIn("inactive (dead), its main process 0", verify["seen"])
        self.assertEqual(d.events("inject")[0]["changes"],
                         ["host worker: unit worker.service stopped by systemd"])
        self.assertEqual(d.events("undo")[0]["changes"],
                         ["host worker: unit worker.service started again"])
        self.assertTrue([e for e in d.events("probe") if not e["ok"]])
        self.assertEqual(self.state(), "active")
        self.assertNotEqual(self.invocation(), self.before)
        self.assertTrue(d.events("clean")[-1]["clean"], d.events("clean"))
        self.assertEqual(journals(), [])

    def test_what_is_not_back_is_named(self):
        """The revert lies: what it started is stopped again before the comparison."""
        d = self.drill(self.scene(DOWN % "for: 800ms, "), "--yes").start()
        halt = halted(d, wanted=lambda e, state: e["kind"] == "trial-end")
        self.assertEqual([e["ok"] for e in d.events("undo")], [True], d.explain())
        run("systemctl", "stop", "worker.service")
        halt.go()
        d.finish()
        run("systemctl", "start", "worker.service")
        clean = d.events("clean")[-1]
        self.assertIn("host worker: the unit worker.service, which a fault ended, is inactive",
                      clean["left"], d.explain())
        self.assertEqual((d.code, clean["clean"]), (6, False))

    def test_it_is_restarted(self):
        """SHOWS restart: unit: applied verified"""
        d = self.drill(self.scene(AGAIN), "--yes").run()
        verify, = d.events("verify")
        self.assertTrue(verify["ok"], d.explain())
        self.assertIn("another start than before", verify["seen"])
        self.assertEqual(self.state(), "active")
        self.assertNotEqual(self.invocation(), self.before)
        self.assertEqual(journals(), [])

    def stopped(self):
        """A drill whose fault is in force; its runner stands still."""
        d = self.drill(self.scene(DOWN % ""), "--yes").start()
        self.halt = halted(d)
        self.assertEqual(self.state(), "inactive")
        return d

    def kill_all(self, d):
        kill_both(d, self.halt)
        self.assertEqual(self.state(), "inactive")

    def test_the_runner_dies(self):
        d = self.stopped()
        self.halt.kill()
        d.finish()
        wait_until(lambda: not processes_of(d.token))
        self.assertEqual(self.state(), "active")
        self.assertTrue(d.events("clean")[-1]["clean"])
        self.assertEqual(journals(), [])

    def test_both_die_and_it_is_started_again_after_another_start_of_the_machine(self):
        """SHOWS shutdown: unit: undone-after-kill"""
        self.kill_all(self.stopped())
        with foreign.OtherBoot():
            code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("host worker: unit worker.service started again", text)
        self.assertEqual(self.state(), "active")
        self.assertEqual(undo(), (0, "nothing to undo\n"))

    def test_what_others_started_or_took_away_is_left_alone(self):
        self.kill_all(self.stopped())
        run("systemctl", "start", "worker.service")
        theirs = self.invocation()
        self.assertEqual(undo()[0], 0)
        self.assertEqual(self.invocation(), theirs)
        self.kill_all(self.stopped())
        os.unlink(os.path.join(UNITS, "worker.service"))
        run("systemctl", "daemon-reload")
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("systemd has no unit worker.service any more", text)
        self.assertEqual(journals(), [])


if __name__ == "__main__":
    foreign.own_mounts()
    harness.main()

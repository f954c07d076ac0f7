"""Where systemd is process 1: its journal tells of alarms, live and through rotation."""
import json
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.environ["BLACKSTART_SOURCE"], "tests", "drill"))
import harness
from foreign import run
from harness import Drill, wait_until

UNITS = "/run/systemd/system"
# Without sysinit.target, which would bring up all of a machine.
WORKER = """
[Unit]
DefaultDependencies=no
[Service]
ExecStart=%s
"""
SCENE = """
blackstart: 1
name: oven
services:
  oven: {rto: 3s, detect_within: 2s}
hosts:
  box: {netns: oven, allow: true}
probes:
  cold: {service: oven, host: box, exec: "test ! -e /tmp/burning", every: 200ms, timeout: 200ms, stable: 400ms}
alarms:
  smoke: {service: oven, role: monitor, journal: {host: box, unit: tests.service, match: "^it burns", priority: err}}
  manager: {service: oven, role: page, journal: {host: box, unit: worker.service, match: "Failed with result"}}
script:
  - {id: fire, at: 300ms, run: {host: box, command: "%s"}}
settle: 200ms
horizon: 4s
trials: 1
"""


def say(text, priority="err"):
    return "echo %s | systemd-cat -t oven -p %s" % (text, priority)


class Journal(unittest.TestCase):
    def setUp(self):
        run("ip", "netns", "add", "oven")
        self.addCleanup(run, "ip", "netns", "del", "oven")
        os.makedirs(UNITS, exist_ok=True)
        with open(os.path.join(UNITS, "worker.service"), "w") as f:
            f.write(WORKER % "/bin/sh -c 'echo it burns elsewhere; exec sleep 1000'")
        run("systemctl", "daemon-reload")
        run("systemctl", "start", "worker.service")
        self.addCleanup(run, "systemctl", "stop", "worker.service")

    def stamps(self, *words):
        """When journald took the entries with this message, in nanoseconds."""
        text = run("journalctl", "-o", "json", "-q", *words)
        return {e["MESSAGE"]: int(e["__MONOTONIC_TIMESTAMP"]) * 1000
                for e in map(json.loads, text.splitlines())}

    def test_entries_are_alarms_of_the_time_when_journald_took_them(self):
        subprocess.run(say("it burns before"), shell=True, check=True)
        wait_until(lambda: "it burns before" in self.stamps("-t", "oven"))
        script = "; ".join([
            say("it burns"), say("it burns a little", "info"), say("all is well"), "sleep 0.3",
            "journalctl --rotate", say("it burns again"), "sleep 0.3",
            "systemctl kill -s KILL worker.service", "sleep 0.3"])
        d = Drill(SCENE % script, "--yes")
        self.addCleanup(d.remove)
        before = time.monotonic_ns()
        d.run()
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


if __name__ == "__main__":
    harness.main()

"""Background load: it starts with the trial, gets its signal at the end, its numbers stand in the report,
and nothing of it outlives a runner that was killed."""
import os
import shutil
import signal
import unittest

import harness
from foreign import Pair
from harness import Drill, processes_of, wait_until
from scenes import KILL, REVIVING, scene

# Counts its rounds, and says in wrk's words how many there were when it is interrupted. Both the shell
# and what it waits for are of the group.
LOOP = """
load:
  traffic:
    host: client
    command: |
      trap 'echo; echo "$n requests in 1.00s, 1KB read"; echo "Requests/sec: $n.50"; exit 0' INT
      n=0; while :; do n=$((n+1)); sleep 0.05; done
    stop: INT
"""
ATTACHED = """
blackstart: 1
name: edge
services:
  web: {rto: 5s}
hosts:
  edge: {netns: %s, allow: true}
  far: {netns: %s}
probes:
  web: {service: web, host: far, tcp: "10.99.0.1:8080", every: 25ms, timeout: 60ms, stable: 200ms}
load:
  traffic: {host: edge, command: "%s", stop: TERM, within: 300ms}
script: []
settle: 100ms
horizon: %s
"""


def sleeps(token):
    """How many of its processes are `sleep`: both that the shell of ATTACHED's load began."""
    return sum(name == "sleep" for _, name in processes_of(token))


class InTheLab(unittest.TestCase):
    def setUp(self):
        harness.need_lab()

    def drill(self, load, script=KILL):
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base, True)
        text = scene(script, extra=load, start=REVIVING, rto="1500ms")
        d = Drill(harness.write(os.path.join(base, "scenario.yaml"), text))
        self.addCleanup(d.remove)
        return d

    def test_it_runs_with_the_trial_and_tells_its_numbers(self):
        d = self.drill(LOOP).run()
        self.assertEqual(d.code, 0, d.explain())
        harness.check_record(d.record)
        self.assertEqual(processes_of(d.token), [])
        start, end = d.events("load")
        settle, arm, undo = (d.events("state", state=s)[0] for s in ("settle", "arm", "undo"))
        self.assertTrue(settle["t"] <= start["at"][0] and start["at"][1] < arm["t"])
        self.assertTrue(undo["t"] <= end["at"][1] < undo["t"] + 10e9, (undo, end))
        self.assertEqual((start["event"], end["event"], end["code"]), ("start", "end", 0))
        self.assertIn("Requests/sec", end["output"])
        load, = d.result["trials"][0]["loads"]
        self.assertEqual((load["name"], load["code"], load["errors"]), ("traffic", 0, 0))
        self.assertGreater(load["requests"], 15)
        self.assertEqual(load["requests_per_s"], load["requests"] + 0.5)
        self.assertFalse(load["ended_early"])
        for name in ("report.md", "report.html"):
            with open(os.path.join(d.out, name)) as f:
                self.assertIn("requests per second", f.read())

    def test_who_ends_early_is_found_and_who_does_not_end_is_killed(self):
        d = self.drill("""
load:
  brief: {host: client, command: "echo tired; exit 4"}
  stubborn: {host: client, command: "trap : INT TERM; while :; do sleep 0.05; done", within: 200ms}
""").run()
        self.assertEqual(d.code, 0, d.explain())
        harness.check_record(d.record)
        found = [f["text"] for f in d.result["findings"] if f["code"] == "load_ended"]
        self.assertEqual(len(found), 1, found)
        self.assertIn("brief on client ended by itself before the fault was over (exit code 4)", found[0])
        loads = {x["name"]: x for x in d.result["trials"][0]["loads"]}
        self.assertEqual(loads["brief"]["output_tail"], "tired")
        self.assertEqual((loads["stubborn"]["signal"], loads["stubborn"]["code"]), (9, None))

    def test_one_that_cannot_start_makes_the_trial_void(self):
        d = self.drill("load: {traffic: {host: client, command: no-such-program}}\n").run()
        harness.check_record(d.record)
        trial = d.result["trials"][0]
        self.assertEqual(trial["outcome"], "void")
        self.assertRegex(trial["reason"], "load traffic could not be started on host client: .*not found")
        self.assertEqual(d.events("inject"), [])

    def test_nothing_of_it_outlives_a_killed_runner(self):
        d = self.drill(LOOP).start()
        d.tail(lambda e: e["kind"] == "state" and e["state"] == "inject")
        os.kill(d.process.pid, signal.SIGKILL)
        d.finish()
        self.assertTrue(wait_until(lambda: processes_of(d.token) == []))


class Attached(unittest.TestCase):
    def setUp(self):
        self.pair = Pair("l%d" % os.getpid())
        self.addCleanup(self.pair.end)

    def drill(self, command, horizon):
        d = Drill(ATTACHED % (self.pair.edge, self.pair.far, command, horizon), "--yes")
        self.addCleanup(d.remove)
        return d

    def test_its_group_gets_the_signal(self):
        d = self.drill("trap 'echo bye; exit 7' TERM; sleep 1000 & wait; :", "500ms").run()
        harness.check_record(d.record)
        load, = d.result["trials"][0]["loads"]
        self.assertEqual((load["code"], load["output_tail"]), (7, "bye"), d.explain())
        self.assertEqual(processes_of(d.token), [])

    def test_nothing_of_it_outlives_a_killed_runner(self):
        d = self.drill("sleep 1000 & sleep 1000; :", "30s").start()
        d.tail(lambda e: e["kind"] == "state" and e["state"] == "inject")
        self.assertTrue(wait_until(lambda: sleeps(d.token) == 2))
        os.kill(d.process.pid, signal.SIGKILL)
        d.finish()
        self.assertTrue(wait_until(lambda: processes_of(d.token) == []))


harness.main()

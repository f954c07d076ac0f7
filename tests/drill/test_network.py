"""Network faults through the whole program: what was asked and what was seen stand in the record and
in the result, a fault that ceased to bite voids its trial, and kill -9 leaves nothing, whichever engine
it was.
"""
import json
import os
import signal
import subprocess
import unittest

import harness
import test_kill
from harness import Drill, pids, stat_of, wait_until
from scenes import scene

SLOW = """
  - id: slow
    at: 300ms
    for: 1s
    network: {host: srv, to: client, protocol: tcp, own_port: 80, delay: 30ms, jitter: 3ms%s}
"""


def can(what):
    """As `blackstart doctor` tried it."""
    out = subprocess.run([os.environ["BLACKSTART"], "list", "injectors", "network", "--json"],
                         check=True, capture_output=True, text=True).stdout
    return {way["by"]: way["works"] for way in json.loads(out)[0]["here"]}[what]


def engine_of(drill):
    """The process of blackstart's own engine, a child of the runner."""
    for p in pids():
        stat = stat_of(p)
        if stat and stat[2] == drill.process.pid and stat[0] == "blackstart-imp":
            return p
    return None


def kill_engine(drill):
    """Its end takes a while: the kernel closes packet sockets slowly."""
    engine = wait_until(lambda: engine_of(drill))
    os.kill(engine, signal.SIGKILL)
    wait_until(lambda: not test_kill.alive(engine))


class Network(unittest.TestCase):
    def drill(self, script, **more):
        drill = Drill(scene(script, **more))
        self.addCleanup(drill.remove)
        return drill

    def test_asked_and_seen_stand_side_by_side(self):
        drill = self.drill(SLOW % "", timeout="200ms", expect="expect: {web: unaffected}\n",
                           horizon="6s")
        drill.run()
        self.assertEqual(drill.code, 0, drill.explain())
        verify = drill.events("verify")
        self.assertEqual([(e["step"], e["ok"]) for e in verify], [("slow", True)])
        self.assertEqual(verify[0]["asked"], "delay 30 ms ± 3 ms (uniform)")
        self.assertRegex(verify[0]["seen"], r"^delay (29|3[0-9])[0-9.]* ms ± [0-9.]+ ms; "
                         r"[0-9]+ packets of our own along 1 way; [0-9]+ packets met it so far$")
        inject = drill.events("inject")[0]
        by = "netem" if can("netem") else "blackstart's own engine"
        self.assertIn("by " + by, inject["changes"][0])
        fault = drill.result["trials"][0]["faults"][0]
        self.assertTrue(fault["verified"])
        self.assertEqual((fault["asked"], fault["seen"]), (verify[0]["asked"], verify[0]["seen"]))
        # the service's own answers: late while it was in force, as before afterwards
        begin, end = inject["at"][1], drill.events("undo")[0]["at"][0]
        late = [e["end"] - e["start"] for e in drill.events("probe")
                if e["start"] > begin and e["end"] < end]
        after = [e["end"] - e["start"] for e in drill.events("probe") if e["start"] > end]
        self.assertGreater(len(late), 3)
        self.assertGreater(min(late), 27e6)  # it answers in one segment at least
        self.assertLess(sorted(after)[len(after) // 2], 20e6)

    def test_what_this_kernel_lacks_is_refused_with_the_cure(self):
        if can("netem"):
            self.skipTest(harness.HAS_NETEM)
        drill = self.drill(SLOW % ", engine: netem")
        drill.run()
        self.assertEqual(drill.code, 3, drill.explain())
        self.assertIn("engine: netem is not possible here", drill.stderr)
        self.assertIn("sch_netem", drill.stderr)

    def test_a_trial_whose_engine_died_is_void(self):
        drill = self.drill(SLOW % ", engine: user", horizon="6s")
        drill.start()
        drill.tail(lambda e: e["kind"] == "verify")
        kill_engine(drill)
        drill.finish()
        self.assertEqual(drill.code, 4, drill.explain())
        ends = drill.events("trial-end")
        self.assertEqual([e["outcome"] for e in ends], ["void"])
        self.assertIn("engine", ends[0]["reason"])
        self.assertTrue(drill.events("clean")[-1]["clean"])

    def test_standing_impairments_are_no_fault(self):
        text = scene(expect="expect: {web: unaffected}\n", timeout="200ms", horizon="5s")
        drill = Drill(text.replace("10.77.0.0/24}", "10.77.0.0/24, delay: 10ms}"))
        self.addCleanup(drill.remove)
        drill.run()
        self.assertEqual(drill.code, 0, drill.explain())
        took = [e["end"] - e["start"] for e in drill.events("probe")]
        self.assertGreater(min(took), 40e6)  # a handshake and an answer: two round trips


    def test_a_distribution_of_ones_own_is_kept_with_the_run(self):
        drill = self.drill(SLOW.replace("jitter: 3ms", "jitter: 3ms, distribution: {table: own.dist}") % "",
                           timeout="200ms", expect="expect: {web: unaffected}\n", horizon="6s")
        # half of the packets a jitter earlier, half a jitter later
        with open(os.path.join(drill.base, "own.dist"), "w", encoding="utf-8") as f:
            f.write("# two values\n" + "-8192 " * 512 + "\n" + "8192 " * 512 + "\n")
        drill.run()
        self.assertEqual(drill.code, 0, drill.explain())
        self.assertRegex(drill.events("verify")[0]["seen"], r"^delay (29|30|31)[0-9.]* ms ± [23][0-9.]* ms")
        subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], check=True,
                       cwd=os.path.join(drill.out, "files"))
        self.assertTrue(os.path.exists(os.path.join(drill.out, "files/_scenario/own.dist")))


class KillWithTheKernels(test_kill.Killing):  # with netem, where the kernel has it
    script = SLOW % "" + test_kill.KILL.replace("300ms", "400ms")

    test_runner_dies = test_kill.runner_dies("inject")
    test_both_die = test_kill.both_die("inject")
    test_cgroup_dies = test_kill.cgroup_dies("inject")
    test_warden_dies = test_kill.warden_dies("observe")


class KillWithOurEngine(KillWithTheKernels):
    """SHOWS network: lab: undone-after-kill"""
    script = SLOW % ", engine: user" + test_kill.KILL.replace("300ms", "400ms")


class EngineDies(test_kill.Killing):
    """The engine's process killed alone and with others. The network is slow from the beginning to the
    end, so in each state there is an engine that holds packets; from `inject` on a fault has them too."""
    script = SLOW.replace("    for: 1s\n", "") % ", engine: user"

    def scene(self):
        return super().scene().replace("10.77.0.0/24}", "10.77.0.0/24, delay: 5ms, engine: user}")

    def alone(self, state):
        self.begin(state)
        kill_engine(self.drill)
        self.halt.go()
        self.drill.finish()
        self.assertEqual(self.drill.code, 4, self.drill.explain())
        trial, = self.drill.result["trials"]
        if state in ("undo", "compare"):  # all was measured
            self.assertEqual(trial["outcome"], "completed")
        else:
            self.assertEqual(trial["outcome"], "void")
            self.assertIn("engine", trial["reason"])
        self.nothing_remains()
        self.ended_by("runner", "completed")

    def with_warden(self, state):
        self.begin(state)
        kill_engine(self.drill)
        self.kill_warden()
        self.halt.go()
        self.drill.finish()
        if state == "compare":  # nothing is left that needs either
            self.assertEqual(self.drill.code, 4, self.drill.explain())
            self.ended_by("runner", "completed")
        else:
            self.assertEqual(self.drill.code, 5, self.drill.explain())
            self.ended_by("runner")
        self.nothing_remains()

    def with_runner(self, state):
        self.begin(state)
        kill_engine(self.drill)
        self.halt.kill()
        self.drill.finish()
        wait_until(lambda: not test_kill.alive(self.warden))
        self.nothing_remains()
        self.ended_by("warden")
        self.reported()

    def with_both(self, state):
        self.begin(state)
        self.kill_warden()
        kill_engine(self.drill)
        self.halt.kill()
        self.drill.finish()
        self.nothing_remains()
        self.assertEqual(self.drill.events("run-end"), [])
        self.assertEqual(self.drill.events("state")[-1]["state"], state)


def engine_dies(how, state):
    return lambda self: getattr(self, how)(state)


# Alone in each state in which there is an engine; with others, too, in `nightly`.
STATES = "settle arm inject observe restore undo compare"
for s in STATES.split():
    for h in ("alone", "with_warden", "with_runner", "with_both"):
        if h == "alone" or s in os.environ.get("ENGINE_STATES", "arm inject").split():
            setattr(EngineDies, "test_%s_in_%s" % (h, s), engine_dies(h, s))


if __name__ == "__main__":
    harness.main()

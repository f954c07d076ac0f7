"""Ground truth: a server that stamps itself when it stops and starts serving.

Truth is itself an interval (last sign of life to pidfd readable; listen(2) called to returned), so
"contained" means overlapping. Over the trials each reported instant of impact and of restoration
holds the true one, no wider than one probe interval plus that probe's own duration plus measured
lateness; the true time to restore lies in TTR's interval, whose width is at most the sum of both. The
same for detection by a threshold and by a packet on the wire.

How many trials: the first argument (0 of N outside: below 1 - 0.05^(1/N) at 95 %).
"""
import json
import math
import os
import sys
import unittest

import harness
from harness import Drill
from scenes import STAMPD, scene

TRIALS = int(os.environ.get("TRUTH_TRIALS", "30"))
EVERY, TIMEOUT = 50e6, 100e6


class Truth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # The server dies by a fault and comes back by its own keeper after a random time. Each trial
        # has a lab of its own; the stamps are the keeper's output, which DIR/logs keeps.
        start = '[{command: "%s --port 80 --revive 150:900", name: stampd}]' % STAMPD
        alarms = """
alarms:
  third: {threshold: {probe: web, consecutive: 3}}
  reset: {service: web, role: monitor, packets: {host: client, filter: "tcp[tcpflags] & tcp-rst != 0 and src host 10.77.0.1"}}
"""
        script = "\n  - {id: kill, at: 200ms, kill: {host: srv, process: stamp-server}}\n"
        cls.drill = Drill(scene(script, start=start, trials=TRIALS, rto="1200ms", horizon="2200ms",
                                settle="200ms", extra=alarms,
                                service_extra=", detect_within: {within: 1s, by: [third]}"))
        cls.drill.run(timeout=TRIALS * 12 + 60)
        if cls.drill.code not in (0, 1, 4):
            raise AssertionError(cls.drill.explain())
        cls.start = cls.drill.record[0]
        cls.result = cls.drill.result
        with open(os.path.join(cls.drill.out, "logs", "srv-stampd.log")) as f:
            stamps = [json.loads(line) for line in f if line.startswith("{")]
        # listening (first), dead (by the fault), listening (revived), per trial
        cls.truth = []
        dead = None
        for s in stamps:
            if s["event"] == "dead":
                dead = s
            elif dead:
                cls.truth.append((dead, s))
                dead = None

    @classmethod
    def tearDownClass(cls):
        cls.drill.remove()

    def origin(self):
        """CLOCK_MONOTONIC at the start of the run: the kill of each trial is in both clocks."""
        injects = self.drill.events("inject")
        # The keeper saw the server dead within the injection's interval: both in ns.
        lows = [d["lo"] - i["at"][1] for (d, _), i in zip(self.truth, injects)]
        highs = [d["hi"] - i["at"][0] for (d, _), i in zip(self.truth, injects)]
        return max(lows), min(highs)

    def episodes(self):
        for t, truth in zip(self.result["trials"], self.truth):
            s = t["services"]["web"]
            self.assertEqual(len(s["episodes"]), 1, (t["n"], s))
            yield t, s, s["episodes"][0], truth

    def test_every_trial_has_its_truth(self):
        self.assertEqual(len(self.truth), TRIALS)
        self.assertEqual(len(self.result["trials"]), TRIALS)
        lo, hi = self.origin()
        self.assertLessEqual(lo, hi, "no single origin fits all trials")

    def test_instants_hold_the_truth(self):
        olo, ohi = self.origin()
        for t, s, e, (dead, alive) in self.episodes():
            for name, told, true in (("impact", e["impact"], dead), ("restored", e["restored"], alive)):
                lo, hi = told[0] * 1e9 + olo, told[1] * 1e9 + ohi
                self.assertTrue(lo <= true["hi"] and hi >= true["lo"],
                                "trial %d: %s [%f, %f] without the truth" % (t["n"], name, *told))

    def probes(self, trial):
        return [p for p in self.drill.events("probe", trial=trial, probe="web")]

    def test_instants_are_as_narrow_as_promised(self):
        for t, s, e, _ in self.episodes():
            probes = self.probes(t["n"])
            longest = max(p["end"] - p["start"] for p in probes)
            late = max(p["start"] - p["sched"] for p in probes)
            for name in ("impact", "restored"):
                lo, hi = e[name]
                self.assertLessEqual((hi - lo) * 1e9, EVERY + longest + late + 1e3,
                                     "trial %d: %s is %f s wide" % (t["n"], name, hi - lo))

    def test_time_to_restore_holds_the_truth_and_is_no_wider_than_both(self):
        for t, s, e, (dead, alive) in self.episodes():
            lo, hi = (x * 1e9 for x in s["ttr_s"])
            true_lo, true_hi = alive["lo"] - dead["hi"], alive["hi"] - dead["lo"]
            self.assertTrue(lo <= true_hi and hi >= true_lo, (t["n"], s["ttr_s"], true_lo, true_hi))
            width = (e["impact"][1] - e["impact"][0]) + (e["restored"][1] - e["restored"][0])
            self.assertLessEqual((hi - lo) / 1e9, width + 1e-6)

    def test_detection_by_threshold_is_the_third_failure(self):
        for t, s, e, _ in self.episodes():
            bad = [p for p in self.probes(t["n"]) if not p["ok"]]
            onset = [a for a in self.drill.events("alarm", trial=t["n"], alarm="third", event="onset")]
            self.assertEqual(len(onset), 1)
            self.assertTrue(onset[0]["at"][0] <= bad[2]["end"] <= onset[0]["at"][1])

    def test_detection_by_packets_lies_between_request_and_answer(self):
        for t, s, e, _ in self.episodes():
            first = [p for p in self.probes(t["n"]) if not p["ok"]][0]
            onset = self.drill.events("alarm", trial=t["n"], alarm="reset", event="onset")[0]["at"]
            self.assertTrue(onset[0] <= first["end"] and onset[1] >= first["start"], (first, onset))

    def test_time_to_detect_agrees_with_its_closed_form(self):
        """D1: a refused connection fails at once, so with k = 3 and interval T the third failure comes
        U((k-1)T, kT) after the fault: mean (k - 1/2) T, variance T^2/12."""
        mids = []
        for t, s, e, (dead, _) in self.episodes():
            olo, ohi = self.origin()
            onset = self.drill.events("alarm", trial=t["n"], alarm="third", event="onset")[0]["at"]
            mids.append((onset[0] + onset[1]) / 2 + (olo + ohi) / 2 - (dead["lo"] + dead["hi"]) / 2)
        mean = sum(mids) / len(mids)
        # 4.5 standard errors of a uniform over T, plus 5 ms for what is between decision and stamp
        allowed = 4.5 * EVERY / math.sqrt(12 * len(mids)) + 5e6
        self.assertLess(abs(mean - 2.5 * EVERY), allowed, "mean %.1f ms" % (mean / 1e6))


if __name__ == "__main__":
    harness.main()

"""Ground truth: servers that stamp themselves when they stop and start serving.

Several services, each with a server, a probe and alarms of its own, lose their servers at different
moments of each trial and get them back after random times. Truth is itself an interval (last sign of
life to pidfd readable; listen(2) called to returned), so "contained" means overlapping.

Each reported instant of impact and of restoration holds the true one, and is no wider than one probe
interval plus the duration and the measured lateness of the one probe whose answer ends it. The true
time to restore lies in the interval told, whose width is at most the sum of both. The same for
detection by a threshold and by a packet on the wire.

How many trials: TRUTH_TRIALS (0 of N outages outside: below 1 - 0.05^(1/N) at 95 %; the outages of a
trial share a machine and its load, but neither phases nor times).
"""
import json
import math
import os
import unittest

import harness
from harness import Drill
from scenes import STAMPD

TRIALS = int(os.environ.get("TRUTH_TRIALS", "6"))
SERVICES = 5
EVERY = 50e6  # ns
ROUNDING = 1e3  # times of a result are told in seconds


def scenario():
    """Service i is detected by its threshold, or by a packet on the wire, in turn."""
    services = hosts = probes = alarms = script = ""
    for i in range(SERVICES):
        services += "  s%d: {rto: 1200ms, detect_within: {within: 1s, by: [%s%d]}}\n" % (
            i, "reset" if i % 2 else "third", i)
        hosts += """  srv%d:
    lab: {address: 10.77.0.%d}
    files: [stampd]
    start: [{command: "%s --port 80 --revive 150:900", name: stampd}]
    ready: {tcp: 80, within: 5s}
""" % (i, i + 1, STAMPD)
        probes += """  p%d: {service: s%d, host: client, http: "http://10.77.0.%d/", every: 50ms, timeout: 400ms,
       down_after: 2, up_after: 3, stable: 300ms}
""" % (i, i, i + 1)
        alarms += """  third%d: {threshold: {probe: p%d, consecutive: 3}}
  reset%d:
    service: s%d
    role: monitor
    packets: {host: client, filter: "tcp[tcpflags] & tcp-rst != 0 and src host 10.77.0.%d"}
""" % (i, i, i, i, i + 1)
        script += "  - {id: kill%d, at: %dms, kill: {host: srv%d, process: stamp-server}}\n" % (
            i, 200 + 37 * i, i)
    return """
blackstart: 1
name: truth
services:
%snetworks:
  net: {subnet: 10.77.0.0/24}
hosts:
  client: {lab: {address: 10.77.0.99}}
%sprobes:
%salarms:
%sscript:
%ssettle: 200ms
horizon: 2400ms
trials: %d
""" % (services, hosts, probes, alarms, script, TRIALS)


class Outage:
    """One service in one trial: what is true, what was told, and the probes that bound it."""

    def __init__(self, trial, i, dead, alive, inject, told, probes, onsets):
        self.name = "trial %d, s%d" % (trial, i)
        self.by_packet = i % 2 == 1
        self.dead, self.alive, self.inject, self.told = dead, alive, inject, told
        self.episode = told["episodes"][0] if len(told["episodes"]) == 1 else None
        self.probes = sorted(probes, key=lambda p: p["start"])
        self.bad = [p for p in self.probes if not p["ok"] and not p.get("unknown")]
        self.onsets = onsets
        # Of a refused connection no probe overtakes another: the first failure ends first.
        self.failed = self.bad[0] if self.bad else None
        self.good_again = next((p for p in self.probes if self.bad and p["ok"]
                                and p["start"] > self.bad[-1]["start"]), None)

    def bounding(self, name):
        return self.failed if name == "impact" else self.good_again

    def allowed(self, probe):
        """One interval, that probe's duration and its lateness. Where probes before it are unknown,
        because blackstart was late by more than an interval, that lateness is measured, too."""
        width, at = EVERY + (probe["end"] - probe["start"]) + (probe["start"] - probe["sched"]), probe
        for p in reversed(self.probes[:self.probes.index(probe)]):
            if not p.get("unknown"):
                break
            width += p["start"] - p["sched"]
        return width

    def width(self, name):
        return (self.episode[name][1] - self.episode[name][0]) * 1e9

    def detected(self):
        """The probe during which the alarm must ring: the third failure, or the first refusal."""
        return self.failed if self.by_packet else self.bad[2]


class Truth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Each trial has a lab of its own; the stamps are the keepers' output, which DIR/logs keeps.
        cls.drill = Drill(scenario())
        cls.drill.run(timeout=TRIALS * 12 + 60)
        if cls.drill.code not in (0, 1, 4):
            raise AssertionError(cls.drill.explain())
        cls.outages, cls.widest = [], {}
        result, events = cls.drill.result, {}
        for e in cls.drill.record:
            events.setdefault((e["kind"], e.get("trial")), []).append(e)
        for i in range(SERVICES):
            truths = cls.truths(i)
            for t, (dead, alive) in zip(result["trials"], truths):
                n = t["n"]
                cls.outages.append(Outage(
                    n, i, dead, alive,
                    next(e for e in events["inject", n] if e["step"] == "kill%d" % i),
                    t["services"]["s%d" % i],
                    [e for e in events["probe", n] if e["probe"] == "p%d" % i],
                    [e for e in events["alarm", n] if e["event"] == "onset"
                     and e["alarm"] == ("reset%d" if i % 2 else "third%d") % i]))

    @classmethod
    def truths(cls, i):
        """(dead by the fault, listening again), per trial."""
        with open(os.path.join(cls.drill.out, "logs", "srv%d-stampd.log" % i)) as f:
            stamps = [json.loads(line) for line in f if line.startswith("{")]
        found, dead = [], None
        for s in stamps:
            if s["event"] == "dead":
                dead = s
            elif dead:
                found.append((dead, s))
                dead = None
        return found

    @classmethod
    def tearDownClass(cls):
        cls.drill.remove()
        for what, shares in sorted(cls.widest.items()):
            shares.sort()
            print("%-9s widths: median %.3f ms, largest %.3f ms, at most %.4f of what is allowed"
                  % (what, 1e-6 * sorted(w for _, w in shares)[len(shares) // 2],
                     1e-6 * max(w for _, w in shares), shares[-1][0]))

    def narrow(self, what, outage, width, allowed):
        self.assertLessEqual(width, allowed + ROUNDING,
                             "%s: %s is %f ms wide" % (outage.name, what, width / 1e6))
        self.widest.setdefault(what, []).append((width / allowed, width))

    def origin(self):
        """CLOCK_MONOTONIC at the start of the run, in ns: each kill is in both clocks, as the keeper
        saw the server dead within the injection's interval."""
        return (max(o.dead["lo"] - o.inject["at"][1] for o in self.outages),
                min(o.dead["hi"] - o.inject["at"][0] for o in self.outages))

    def test_every_outage_has_its_truth(self):
        self.assertEqual(len(self.outages), TRIALS * SERVICES)
        for o in self.outages:
            self.assertIsNotNone(o.episode, (o.name, o.told))
            self.assertIsNotNone(o.good_again, o.name)
        lo, hi = self.origin()
        self.assertLessEqual(lo, hi, "no single origin fits all outages")
        self.assertLess(hi - lo, EVERY / 10)  # however late some were: of many one is seen at once
        lengths = [(o.alive["lo"] - o.dead["hi"]) / 1e6 for o in self.outages]
        self.assertGreater(len({round(n) for n in lengths}), len(lengths) / 2, "not random")
        print("%d outages of %.0f to %.0f ms; origin known to %.0f us"
              % (len(lengths), min(lengths), max(lengths), (hi - lo) / 1e3))

    def test_instants_hold_the_truth(self):
        olo, ohi = self.origin()
        for o in self.outages:
            for name, true in (("impact", o.dead), ("restored", o.alive)):
                told = o.episode[name]
                lo, hi = told[0] * 1e9 + olo, told[1] * 1e9 + ohi
                self.assertTrue(lo - ROUNDING <= true["hi"] and hi + ROUNDING >= true["lo"],
                                "%s: %s [%f, %f] without the truth" % (o.name, name, *told))

    def test_instants_are_as_narrow_as_the_probe_that_ends_them(self):
        for o in self.outages:
            for name in ("impact", "restored"):
                lo, hi = (x * 1e9 for x in o.episode[name])
                probe = o.bounding(name)
                self.assertLess(abs(hi - probe["end"]), ROUNDING, (o.name, name, probe))
                self.narrow(name, o, hi - lo, o.allowed(probe))

    def test_time_to_restore_holds_the_truth_and_is_no_wider_than_both(self):
        for o in self.outages:
            lo, hi = (x * 1e9 for x in o.told["ttr_s"])
            true_lo, true_hi = o.alive["lo"] - o.dead["hi"], o.alive["hi"] - o.dead["lo"]
            self.assertTrue(lo <= true_hi + ROUNDING and hi >= true_lo - ROUNDING,
                            (o.name, o.told["ttr_s"], true_lo, true_hi))
            self.narrow("TTR", o, hi - lo, o.width("impact") + o.width("restored"))

    def test_detection_lies_within_the_probe_that_shows_it(self):
        for o in self.outages:
            probe = o.detected()
            if not o.by_packet:
                self.assertEqual(len(o.onsets), 1, o.name)
            lo, hi = o.onsets[0]["at"]
            self.assertTrue(lo <= probe["end"] and hi >= probe["start"], (o.name, o.onsets[0], probe))
            self.narrow("packet" if o.by_packet else "threshold", o, hi - lo, o.allowed(probe))

    def test_time_to_detect_holds_the_truth_and_is_no_wider_than_both(self):
        olo, ohi = self.origin()
        for o in self.outages:
            probe = o.detected()
            lo, hi = (x * 1e9 for x in o.told["ttd_s"])
            true_lo = probe["start"] + olo - o.dead["hi"]
            true_hi = probe["end"] + ohi - o.dead["lo"]
            self.assertTrue(lo <= true_hi + ROUNDING and hi >= true_lo - ROUNDING,
                            (o.name, o.told["ttd_s"], true_lo, true_hi))
            onset = o.onsets[0]["at"]
            self.narrow("TTD", o, hi - lo, o.width("impact") + onset[1] - onset[0])

    def test_time_to_detect_agrees_with_its_closed_form(self):
        """D1: a refused connection fails at once, so with k = 3 and interval T the third failure comes
        U((k-1)T, kT) after the fault: mean (k - 1/2) T, variance T^2/12; by packet k = 1."""
        olo, ohi = self.origin()
        for by_packet, k in ((False, 3), (True, 1)):
            mids = [sum(o.onsets[0]["at"]) / 2 + (olo + ohi) / 2 - (o.dead["lo"] + o.dead["hi"]) / 2
                    for o in self.outages if o.by_packet == by_packet]
            mean = sum(mids) / len(mids)
            # 4.5 standard errors of a uniform over T, plus 5 ms for what is between decision and stamp
            allowed = 4.5 * EVERY / math.sqrt(12 * len(mids)) + 5e6
            self.assertLess(abs(mean - (k - 0.5) * EVERY), allowed, "mean %.1f ms" % (mean / 1e6))
            # 4.5 standard errors of the variance of n from a uniform (kurtosis 9/5), the same 5 ms
            n, true = len(mids), EVERY ** 2 / 12
            spread = sum((m - mean) ** 2 for m in mids) / (n - 1)
            error = 4.5 * math.sqrt(9 / 5 / n - (n - 3) / (n * (n - 1)))
            self.assertGreater(math.sqrt(spread), math.sqrt(true * max(0, 1 - error)) - 5e6 / math.sqrt(n))
            self.assertLess(math.sqrt(spread), math.sqrt(true * (1 + error)) + 5e6)
            print("time to detect by the %s: %d, mean %.1f ms, deviation %.1f ms"
                  % ("packet" if by_packet else "threshold", n, mean / 1e6, math.sqrt(spread) / 1e6))


if __name__ == "__main__":
    harness.main()

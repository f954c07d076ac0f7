"""Drills on an interface of this machine itself, which is here a network namespace of this test's own: to
their end, and when runner and warden die. SHOWS lines are read by tests/shown.py.
"""
import os

import foreign
import harness
import test_attached
from foreign import Pair, undo
from halt import halted
from harness import Drill

STEPS = {
    "slow": "network: {host: edge, device: e0, direction: both, delay: 30ms, engine: user}",
    "own": """custom: {host: edge, command: "ip rule add from 10.66.0.1 lookup 77 priority 600",
      undo: "ip rule del priority 600", verify: "ip rule show priority 600 | grep -q 10.66.0.1"}""",
    "gone": "address: {host: edge, device: e0, address: 10.99.0.1}",
    "cable": "link: {host: edge, device: e0, down: true}",
}


def script(*names, first, every, how=""):
    return "".join("\n  - {id: %s, at: %dms, %s%s}" % (n, first + i * every, how, STEPS[n])
                   for i, n in enumerate(names))


class Here(test_attached.Attached):
    def setUp(self):
        self.pair = Pair("h%d" % os.getpid(), default=False, here=True)
        self.addCleanup(self.pair.end)

    def scene(self, *args, **kwargs):
        return super().scene(*args, **kwargs).replace("netns: " + self.pair.edge, "here: {interface: e0}")

    def in_force_all(self, *names):
        """A drill whose faults are all in force, as long as its runner stands still."""
        d = Drill(self.scene(script(*names, first=100, every=50), horizon="2s"), "--yes").start()
        self.addCleanup(d.remove)
        self.halt = halted(d, len(names))
        self.assertNotEqual(self.pair.differences(), {})
        return d

    def test_to_its_end(self):
        """SHOWS network: here: applied verified undone
        SHOWS custom: here: applied verified undone
        SHOWS address: here: applied verified undone
        SHOWS link: here: applied verified undone"""
        d = self.drill(script(*STEPS, first=200, every=400, how="for: 250ms, "), horizon="2300ms").run()
        self.assertEqual([(e["step"], e["ok"]) for e in d.events("verify")],
                         [(n, True) for n in STEPS], d.explain())
        self.assertEqual([e["step"] for e in d.events("undo", ok=True)], list(STEPS), d.explain())
        begun = {e["step"]: e["at"][1] for e in d.events("inject")}
        for e in d.events("undo"):
            met = [p for p in d.events("probe") if begun[e["step"]] < p["start"] < e["at"][0] - 70e6]
            if e["step"] == "slow":
                self.assertGreaterEqual(min(p["end"] - p["start"] for p in met), 60e6)
            elif e["step"] != "own":
                self.assertIn(False, [p["ok"] for p in met], e["step"])
        clean = d.events("clean")[-1]
        self.assertEqual((clean["clean"], clean["left"], clean["others"]), (True, [], []))
        self.assertIn("this machine's network, before and after", clean["checked"])
        harness.check_record(d.record)
        self.as_before()
        self.nothing_left(d)

    def test_the_runner_dies(self):
        d = self.in_force_all("slow", "own", "gone")
        self.halt.kill()
        d.finish()
        self.nothing_left(d)
        self.as_before()
        self.assertEqual(len(d.events("undo", cause="warden", ok=True)), 3)
        clean = d.events("clean")[-1]
        self.assertEqual((clean["clean"], clean["left"], clean["others"]), (True, [], []))

    def test_both_die_and_undo_puts_it_right(self):
        """SHOWS network: here: undone-after-kill
        SHOWS custom: here: undone-after-kill
        SHOWS address: here: undone-after-kill
        SHOWS link: here: undone-after-kill"""
        d = self.in_force_all(*STEPS)
        self.kill_all(d)
        code, text = undo()  # what the cable takes along needs the address: it is tried again
        self.assertEqual(code, 0, text)
        for n in STEPS:
            self.assertIn("step %s, " % n, text)
        self.assertNotIn("NOT UNDONE", text)
        self.as_before()
        self.nothing_left(d)


if __name__ == "__main__":
    if os.geteuid() != 0:
        harness.skip(harness.NEEDS_ROOT)
    harness.need_programs("ip", "tc", "nft")
    foreign.own_mounts()
    harness.main()

"""Odd places to stand in, odd things that hosts say: what a drill is and says stays the same."""
import os
import shutil
import signal
import unittest

import harness
from harness import Drill, machine
from scenes import KILL, REVIVING, scene

SAYS = """
  - {id: look, at: 600ms, run: {host: srv, command: "echo from %s >> mine; cat mine"}}
"""


class Odd(unittest.TestCase):
    def folder(self):
        d = harness.folder()
        self.addCleanup(shutil.rmtree, d, ignore_errors=True)
        return d

    def start(self, text, *options, **kw):
        d = Drill(text, *options, **kw).start()
        self.addCleanup(d.end)
        return d

    def said(self, d, step):
        return d.events("action", event="end", step=step)[0]["output"]

    # ---- where it stands ----

    def test_two_drills_from_one_folder_share_nothing_and_leave_nothing_there(self):
        here = self.folder()
        both = [self.start(scene(SAYS % n), cwd=here) for n in ("a", "b")]
        both[0].tail(lambda e: e["kind"] == "action" and e["event"] == "end")
        self.assertEqual(os.listdir(here), [])
        for d, n in zip(both, ("a", "b")):
            d.finish()
            self.assertEqual(d.code, 0, d.explain())
            self.assertEqual(self.said(d, "look"), "from %s\n" % n)
        self.assertEqual(os.listdir(here), [])

    def test_a_killed_drill_leaves_no_folder_of_a_host(self):
        here = self.folder()
        d = self.start(scene(KILL, start=REVIVING, horizon="30s"), cwd=here)
        d.tail(lambda e: e["kind"] == "state" and e["state"] == "observe")
        for pid, _ in harness.processes_of(d.token):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        d.finish()
        harness.wait_until(lambda: not harness.processes_of(d.token))
        self.assertEqual(os.listdir(here), [])
        left = [n for n in os.listdir(d.out) if n == "lab"]
        self.assertTrue(not left or os.listdir(os.path.join(d.out, "lab")) == [])

    def test_a_folder_that_nobody_may_write_in(self):
        here = self.folder()
        os.chmod(here, 0o555)
        before = machine()
        user = 65534 if os.geteuid() == 0 else None
        d = self.start(scene(SAYS % "nobody"), cwd=here, user=user).finish()
        self.assertEqual(d.code, 0, d.explain())
        self.assertEqual(machine(), before)


if __name__ == "__main__":
    harness.main()

"""Odd places to stand in, odd things that hosts say: what a drill is and says stays the same."""
import fcntl
import os
import shutil
import signal
import subprocess
import time
import unittest

import harness
from harness import Drill, machine
from scenes import KILL, REVIVING, STAMPD, scene

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

    def test_a_signal_while_the_folder_is_made(self):
        """It stops the drill in its order: nothing half-made stays, and a report says what was."""
        seen = 0
        for ms in [*range(4, 200, 12), 400, 800, 1600, 3200]:  # the last on a busy machine
            d = self.start(scene(KILL, start=REVIVING, rto="1500ms"))
            time.sleep(ms / 1000)  # the moment is the subject
            d.process.send_signal(signal.SIGTERM)
            d.finish()
            if not os.path.exists(d.out):
                continue
            self.assertEqual(d.code, 5, d.explain())
            self.assertEqual(d.result["status"], "aborted")
            seen += 1
            if seen == 4 or ms >= 200:
                break
        self.assertGreater(seen, 0)

    # ---- who listens ----

    def test_nobody_reads_what_it_says(self):
        """A pipe that was closed, and one that is full: the drill goes on and says its verdict."""
        for closed in (True, False):
            base = self.folder()
            path = harness.write(os.path.join(base, "s.yaml"), scene(KILL, start=REVIVING, rto="1500ms"))
            r, w = os.pipe()
            if closed:
                os.close(r)
            else:
                fcntl.fcntl(w, fcntl.F_SETPIPE_SZ, 4096)
            p = subprocess.run([harness.BLACKSTART, "run", "-v", path, "--out", base + "/out"],
                               stdout=subprocess.PIPE, stderr=w, text=True, timeout=60)
            os.close(w)
            self.assertEqual(p.returncode, 0, p.stdout)
            self.assertIn("web came back", p.stdout)
            if not closed:
                os.close(r)

    # ---- what hosts say ----

    def test_output_that_is_no_text(self):
        """Latin-1 in a log, NUL and escapes from a command: the alarm rings, the record is read."""
        start = ('["%s --port 80 --revive 300:400", {name: old, command: ' % STAMPD +
                 r''''sh -c "sleep 1; printf ''caf\\351 DOWN\\n''; sleep 9"'}]''')
        script = r"""
  - {id: kill, at: 300ms, kill: {host: srv, process: stamp-server}}
  - {id: bytes, at: 400ms, run: {host: client, command: "printf 'a\\377\\000b\\033[1m'"}}
"""
        alarms = ('alarms:\n  old: {service: web, role: automation, '
                  'log: {host: srv, output: old, match: DOWN}}\n')
        d = self.start(scene(script, start=start, extra=alarms, rto="1500ms")).finish()
        self.assertEqual(d.code, 0, d.explain())
        harness.check_record(d.record)
        self.assertEqual(self.said(d, "bytes"), "a??b?[1m")
        self.assertEqual([e["detail"] for e in d.events("alarm")], ["caf? DOWN"])
        alarm = d.result["trials"][0]["services"]["web"]["alarms"]["old"]
        self.assertIsNotNone(alarm["onset"])

    def test_a_server_that_floods_its_output(self):
        start = '["%s --port 80 --revive 300:400", {name: flood, command: "yes DOWN"}]' % STAMPD
        alarms = ('alarms:\n  loud: {service: web, role: automation, '
                  'log: {host: srv, output: flood, match: DOWN}}\n')
        d = self.start(scene(KILL, start=start, extra=alarms, rto="1500ms")).finish()
        self.assertEqual(d.code, 0, d.explain())
        self.assertLess(len(d.events("alarm")), 1500)
        told = d.events("trouble", what="alarm-flood")
        self.assertIn("were counted, not told", told[0]["detail"])
        self.assertLess(os.path.getsize(os.path.join(d.out, "logs", "srv-flood.log")), (64 << 20) + 99)

    def test_a_check_that_cannot_be_run_says_nothing(self):
        alarms = ('alarms:\n  check: {service: web, role: page, '
                  'exec: {host: client, command: no-such-check, every: 100ms}}\n')
        d = self.start(scene(KILL, start=REVIVING, extra=alarms, rto="1500ms")).finish()
        self.assertEqual(d.events("alarm"), [])
        self.assertIn("could not be run", d.events("trouble", what="alarm-failed")[0]["detail"])

    def test_what_is_not_steady_says_why(self):
        text = scene(KILL, settle="{for: 300ms, within: 600ms}").replace('10.77.0.1/"', '10.77.0.1:81/"')
        d = self.start(text).finish()
        self.assertEqual(d.code, 4, d.explain())
        self.assertIn("web (refused", d.events("trial-end")[0]["reason"])


if __name__ == "__main__":
    harness.main()

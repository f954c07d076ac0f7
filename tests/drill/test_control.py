"""`mark`, `status` and `shell` from another terminal, `lab`, and `when: {operator}`."""
import json
import os
import secrets
import shutil
import signal
import subprocess
import unittest

import harness
from harness import BLACKSTART, Drill, environment, processes_of, wait_until
from scenes import KILL, REVIVING, scene


def ask(*argv, **kw):
    return subprocess.run([BLACKSTART, *argv], capture_output=True, text=True, timeout=30, **kw)


class Control(unittest.TestCase):
    def begin(self, text, state="observe", **kw):
        d = Drill(text, **kw).start()
        self.addCleanup(d.end)
        e = d.tail(lambda e: e["kind"] == "run-start")
        self.run_id = e["id"]
        d.tail(lambda e: e["kind"] == "state" and e["state"] == state)
        return d

    def test_nothing_runs(self):
        for argv in (["status"], ["mark", "declared"], ["shell", "srv", "--", "true"]):
            r = ask(*argv)
            if "several drills" in r.stderr or r.returncode == 0:
                self.skipTest(harness.ANOTHER_DRILL)
            self.assertEqual(r.returncode, 3, r.stderr)
            self.assertIn("no drill is running", r.stderr)

    def test_status_marks_and_shell_while_it_runs(self):
        d = self.begin(scene(KILL, horizon="6s", rto="3s"))
        r = ask("status")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn(self.run_id, r.stdout)
        self.assertIn("in force: kill srv", r.stdout)
        mine = [s for s in json.loads(ask("status", "--json").stdout) if s["id"] == self.run_id][0]
        self.assertEqual(mine["faults"][0]["step"], "kill")
        r = ask("mark", "declared", "we", "saw", "it", "--service", "web", "--role",
                "incident-commander", "--ago", "100ms", "--run", self.run_id)
        self.assertEqual(r.returncode, 0, r.stderr)
        r = ask("mark", "declard", "--run", self.run_id)
        self.assertEqual(r.returncode, 2)
        self.assertIn("did you mean 'declared'", r.stderr)
        r = ask("mark", "declared", "--service", "wbe", "--run", self.run_id)
        self.assertEqual(r.returncode, 3)
        r = ask("mark", "note", "--ago", "1h", "--run", self.run_id)
        self.assertIn("before the drill began", r.stderr)
        r = ask("shell", "client", "--run", self.run_id, "--", "sh", "-c",
                "cat /etc/hostname; hostname; exit 7")
        self.assertEqual(r.returncode, 7, r.stderr)
        self.assertIn("client", r.stdout)
        r = ask("shell", "client", "--run", self.run_id, input="hostname\nexit 5\n")
        self.assertEqual((r.returncode, r.stdout), (5, "client\n"), r.stderr)
        r = ask("shell", "nobody", "--run", self.run_id, "--", "true")
        self.assertEqual(r.returncode, 3)
        d.finish()
        marks = d.events("mark")
        self.assertEqual(len(marks), 1)
        m = marks[0]
        self.assertEqual((m["mark"], m["text"], m["service"], m["role"]),
                         ("declared", "we saw it", "web", "incident-commander"))
        self.assertLess(m["at"][1], m["t"] - 90_000_000)

    def test_somebody_else_may_not_speak(self):
        if os.geteuid() != 0:
            self.skipTest(harness.NEEDS_ROOT)
        d = self.begin(scene(KILL, horizon="5s"))
        r = ask("mark", "note", "hello", "--run", self.run_id, user=65534, group=65534, extra_groups=[])
        self.assertEqual(r.returncode, 3)
        self.assertIn("belongs to another user", r.stderr)
        d.finish()
        self.assertEqual(d.events("mark"), [])

    def test_a_step_waits_for_the_operator(self):
        script = """
  - {id: go, when: {operator: go}, after: 100ms, kill: {host: srv, process: stamp-server}}
"""
        d = self.begin(scene(script, start=REVIVING, horizon="6s", rto="2s"), state="observe")
        self.assertEqual(d.events("inject"), [])
        ask("mark", "note", "go", "--run", self.run_id)
        d.tail(lambda e: e["kind"] == "inject" and e["ok"])
        d.finish()
        self.assertEqual(d.code, 0, d.explain())

    def test_a_lab_is_held_without_faults_and_goes(self):
        token = self.id() + secrets.token_hex(4)
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base)
        path = harness.write(os.path.join(base, "s.yaml"), scene(KILL))
        p = subprocess.Popen([BLACKSTART, "lab", path], stderr=subprocess.PIPE, text=True,
                             env=environment(token))
        self.addCleanup(p.kill)
        lines = []
        while "the lab stands" not in "".join(lines[-1:]):
            line = p.stderr.readline()
            self.assertTrue(line, lines)
            lines.append(line)
        lab = lines[0].split()[2]
        r = ask("shell", "client", "--run", lab, "--", "sh", "-c", "getent hosts srv")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("10.77.0.1", r.stdout)
        r = ask("shell", "srv", "--run", lab, input="hostname; exit 4\n")
        self.assertEqual((r.returncode, r.stdout), (4, "srv\n"), r.stderr)
        r = ask("mark", "note", "x", "--run", lab)
        self.assertEqual(r.returncode, 3)
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(30), 0)
        p.stderr.close()
        self.assertEqual(processes_of(token), [])

    def test_a_lab_that_is_killed_leaves_nothing(self):
        token = self.id() + secrets.token_hex(4)
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base)
        path = harness.write(os.path.join(base, "s.yaml"), scene(KILL, start=REVIVING))
        p = subprocess.Popen([BLACKSTART, "lab", path], stderr=subprocess.PIPE, text=True,
                             env=environment(token))
        while "the lab stands" not in (line := p.stderr.readline()):
            self.assertTrue(line)
        self.assertTrue(processes_of(token))
        p.kill()
        p.wait()
        p.stderr.close()
        wait_until(lambda: not processes_of(token))
        self.assertEqual(processes_of(token), [])


if __name__ == "__main__":
    harness.main()

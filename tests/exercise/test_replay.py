#!/usr/bin/env python3
"""A record is played again: on the page every role sees what it saw, the presenter keeps the clock, nothing can be
changed, and nothing is written.

Environment: BLACKSTART, BLACKSTART_SOURCE.
"""
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

BLACKSTART, SOURCE = os.environ["BLACKSTART"], os.environ["BLACKSTART_SOURCE"]
sys.path.insert(0, SOURCE + "/tests/drill")
from pages import Page, announced  # noqa: E402
from strangers import attack  # noqa: E402

SCENARIO = SOURCE + "/tests/corpus/good/exercise.yaml"
ANSWERS = SOURCE + "/tests/exercise/small.answers.yaml"
QUESTION = "Promote the replica, which is 40 seconds behind?"
HINT = "If they ask how many customers there are in total"
NOTHING = "this is a replay: nothing in it can be changed"


def run(*words):
    return subprocess.run([BLACKSTART, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def contents(folder):
    """Every file of it, with its digest and its time."""
    found = {}
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            with open(path, "rb") as f:
                found[path] = (hashlib.sha256(f.read()).hexdigest(), os.stat(path).st_mtime_ns)
    return found


class Replay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix="blackstart-replay-")
        cls.addClassCleanup(shutil.rmtree, cls.top)
        cls.played = cls.top + "/played"
        done = run("exercise", SCENARIO, "--answers", ANSWERS, "--out", cls.played)
        assert done.returncode == 0, done.stderr
        cls.before = contents(cls.played)

    def serve(self, *options):
        p = subprocess.Popen([BLACKSTART, "replay", self.played, "--listen", "0", *options], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = ""
        while "guest" not in said.lower():
            line = p.stderr.readline()
            self.assertTrue(line, said)
            said += line
        self.url, self.codes = announced(said)

        def end():
            if p.poll() is None:
                p.kill()
            p.communicate()
        self.addCleanup(end)
        return p

    def code(self, title):
        return next(c for t, c in self.codes.items() if t.lower().startswith(title))

    def join(self, title, name):
        page = Page(self.url)
        status, said, _ = page.join(self.code(title), name)
        self.assertEqual(status, 200, said)
        return page

    def ended(self, p, code):
        out, err = p.communicate(timeout=60)  # to the end of the process
        self.assertEqual(p.returncode, code, err)
        self.assertEqual(contents(self.played), self.before)
        return out + err

    def test_each_role_sees_what_it_saw(self):
        p = self.serve()
        paula, alice, eve = self.join("presenter", "Paula"), self.join("incident", "Al"), self.join("evaluator", "Ed")
        view = alice.view()
        self.assertEqual((view["exercise"]["clock_s"], view["inbox"], view["me"]["person"]), (0, [], "alice"))
        self.assertFalse(view["replay"]["may"] or view["replay"]["playing"])
        self.assertNotIn("chapters", view["replay"])
        chapters = paula.view()["replay"]["chapters"]
        asked = next(c["at_s"] for c in chapters if QUESTION in c["text"])
        self.assertEqual(paula.do("jump", to_s=asked - 1), (200, {}))
        self.assertEqual(alice.view()["decisions"], [])
        self.assertNotIn(HINT, str(alice.view()))
        self.assertIn(HINT, str(eve.view()))
        self.assertEqual(paula.do("jump", to_s=asked), (200, {}))
        decision, = alice.view()["decisions"]
        self.assertEqual((decision["question"], decision["made"]), (QUESTION, None))
        self.assertEqual(alice.view()["exercise"]["clock_s"], 480)
        # the presenter through other eyes
        self.assertEqual(paula.do("look", role="technical"), (200, {}))
        self.assertEqual((paula.view()["me"]["role"], paula.view()["decisions"]), ("technical", []))
        self.assertEqual(paula.do("look", role="commander"), (200, {}))
        mine = {k: v for k, v in paula.view().items() if k != "replay"}
        self.assertEqual(mine, {k: v for k, v in alice.view().items() if k != "replay"})
        self.assertEqual(paula.do("look", role="nobody")[0], 404)
        # backwards, too
        self.assertEqual(paula.do("jump", to_s=0), (200, {}))
        self.assertEqual(alice.view()["inbox"], [])
        p.send_signal(signal.SIGTERM)
        self.assertIn("closed before its end", self.ended(p, 5))

    def test_it_plays_to_its_end(self):
        p = self.serve("--speed", "1000")
        paula, guest = self.join("presenter", "Paula"), self.join("guest", "G")
        states = []
        self.assertEqual(paula.do("play"), (200, {}))
        for view in guest.events():
            states.append(view["exercise"]["state"])
            if view["replay"]["ended"] and not view["replay"]["playing"]:
                break
        self.assertEqual(states[-1], "ended")
        self.assertEqual(view["exercise"]["clock_s"], 1800)
        self.assertIn("running", states)
        self.assertIsNone(p.poll())  # while a presenter is here, they may go back
        self.assertEqual(paula.do("jump", to_s=60), (200, {}))
        self.assertEqual(guest.view()["exercise"]["state"], "running")
        self.assertEqual(paula.do("close"), (200, {}))
        self.assertIn("played to its end", self.ended(p, 0))

    def test_it_ends_when_it_was_played_and_nobody_presents_it(self):
        p = self.serve()
        paula = self.join("presenter", "Paula")
        self.assertEqual(paula.do("speed", speed=1000), (200, {}))
        self.assertEqual(paula.do("jump", to_s=1700), (200, {}))
        self.assertEqual(paula.do("play"), (200, {}))
        self.assertEqual(paula.ask("POST", "/leave", {})[0], 200)
        self.assertIn("played to its end", self.ended(p, 0))

    def test_nothing_can_be_changed(self):
        p = self.serve()
        paula, frank, alice = (self.join(t, n) for t, n in (("presenter", "P"), ("facilitator", "F"), ("incident", "A")))
        for page in (frank, alice):
            for what in ("play", "pause", "go", "hold", "end", "note", "decide", "jump", "look", "close"):
                status, said = page.do(what, text="x", to_s=5, role="facilitator", step="failover", option="wait")
                self.assertEqual((status, said["error"][:len(NOTHING)]), (403, NOTHING))
        for what in ("go", "end", "note", "decide", "", "admit"):
            self.assertIn(paula.do(what, text="x")[0], (403, 409))
        for what, members in (("speed", {"speed": "fast"}), ("speed", {"speed": 0}), ("speed", {"speed": 1e300}), ("speed", {}),
                              ("jump", {}), ("jump", {"to_s": -1}), ("jump", {"to_s": "end"}), ("jump", {"to_s": 1e308})):
            status, said = paula.do(what, **members)
            self.assertEqual(status, 400, (what, members, said))
        self.assertEqual(frank.view()["replay"]["at_s"], 0)
        for what in ("play", "pause"):
            self.assertEqual(paula.do("speed", speed=0.1) and paula.do(what), (200, {}))
            self.assertEqual(frank.view()["replay"]["playing"], what == "play")
        stood = frank.view()["replay"]["at_s"]
        self.assertGreater(stood, 0)
        self.assertEqual(frank.view()["replay"]["at_s"], stood)
        self.assertNotIn("codes", frank.ask("GET", "/view")[1])
        p.send_signal(signal.SIGINT)
        self.ended(p, 5)

    def test_strangers_get_nothing(self):
        p = self.serve()
        attack(self, self.url, self.code("guest"), "guest", ["Twelve customers", HINT])
        p.terminate()
        self.ended(p, 5)

    def test_without_a_page_it_is_told_at_once(self):
        done = run("replay", self.played)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"0:08:00  DECISION failover by commander: Promote the replica")
        with open(self.played + "/record.ndjson") as f:
            self.assertIn("played to its end: %d lines" % len(f.readlines()), done.stdout)
        self.assertEqual(contents(self.played), self.before)

    def test_what_cannot_be_played_is_refused(self):
        broken, forecast = self.top + "/broken", self.top + "/forecast"
        shutil.copytree(self.played, broken)
        with open(broken + "/record.ndjson") as f:
            text = f.read()
        with open(broken + "/record.ndjson", "w") as f:
            f.write(text.replace("Every minute", "every minute", 1))
        done = run("forecast", SOURCE + "/scenarios/vip-failover/vip-failover.yaml", "--trials", "10", "--no-why", "--out", forecast)
        self.assertTrue(os.path.exists(forecast + "/record.ndjson"), done.stderr)
        for words, code, sentence in (
                ([self.top + "/nowhere"], 2, "nowhere: No such file or directory"),
                ([self.top], 2, "cannot be played again: cannot open record.ndjson"),
                ([broken], 2, "cannot be played again: record.ndjson"),
                ([forecast], 2, "this is the record of a forecast"),
                ([], 2, "Name the folder"),
                ([self.played, "--speed", "0"], 2, "from 0.1 to 1000"),
                ([self.played, "--key", "x"], 2, "say where, with --listen"),
                ([self.played, "--listen", "host:1"], 2, "is no address to listen on")):
            done = run("replay", *words)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(sentence, re.sub(r"\s+", " ", done.stderr))


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""What strangers try on the page of an exercise (../drill/strangers.py): nothing is shown, executed, lost or stopped.

Environment: BLACKSTART, BLACKSTART_SOURCE.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

BLACKSTART, SOURCE = os.environ["BLACKSTART"], os.environ["BLACKSTART_SOURCE"]
sys.path.insert(0, SOURCE + "/tests/drill")
from pages import Page, announced  # noqa: E402
from strangers import SCRIPT, attack  # noqa: E402

SCENARIO = SOURCE + "/tests/corpus/good/exercise.yaml"
HINT = "If they ask how many customers there are in total"
LATER = "The primary does not come back"


class Strangers(unittest.TestCase):
    def test_nothing_is_shown_executed_lost_or_stopped(self):
        top = tempfile.mkdtemp(prefix="blackstart-strangers-")
        self.addCleanup(shutil.rmtree, top)
        out = top + "/played"
        p = subprocess.Popen([BLACKSTART, "exercise", SCENARIO, "--out", out, "--listen", "0"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

        def end():
            if p.poll() is None:
                p.kill()
            p.communicate()
        self.addCleanup(end)
        said = ""
        while "guest" not in said:
            line = p.stderr.readline()
            self.assertTrue(line, said)
            said += line
        url, codes = announced(said)
        frank, alice = Page(url), Page(url)
        self.assertEqual(frank.join(codes["facilitator"], "frank")[0], 200)
        self.assertEqual(alice.join(codes["Incident commander"], "alice")[0], 200)
        self.assertEqual(frank.do("go")[0], 200)
        self.assertEqual(alice.do("note", text="before"), (200, {}))
        attack(self, url, codes["Technical lead"], "technical", [HINT, LATER, codes["facilitator"]])
        # who plays goes on, and nobody acted in their place
        self.assertEqual(alice.do("note", text="after"), (200, {}))
        view = frank.view()
        self.assertEqual(view["exercise"]["state"], "running")
        self.assertEqual(p.poll(), None)
        with open(out + "/record.ndjson") as f:
            lines = [json.loads(line) for line in f]
        notes = [(e["text"], e["by"]) for e in lines if e["kind"] == "note"]
        self.assertEqual([t for t, by in notes if by == "alice"], ["before", "after"])
        self.assertEqual([n for n in notes if n[0] == "once"], [("once", "A stranger")])
        self.assertNotIn("from elsewhere", str(notes))
        self.assertLessEqual({by for _, by in notes}, {"alice", "A stranger", SCRIPT})
        self.assertEqual({e["role"] for e in lines if e["kind"] == "join" and e["event"] == "join"},
                         {"facilitator", "commander", "technical"})


if __name__ == "__main__":
    unittest.main()

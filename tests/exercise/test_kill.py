#!/usr/bin/env python3
"""kill -9 of blackstart at random moments of an exercise that answers play, each time resumed: the record that is
left equals the undisturbed one, apart from the marks of the interruptions; every line fits the schema.

Environment: BLACKSTART, BLACKSTART_SOURCE.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

import jsonschema

BLACKSTART, SOURCE = os.environ["BLACKSTART"], os.environ["BLACKSTART_SOURCE"]
SCENARIO = SOURCE + "/scenarios/exercise/region-outage.yaml"
ANSWERS = SOURCE + "/scenarios/exercise/answers/region-outage.yaml"
KILLS = 20


def lines(folder):
    with open(folder + "/record.ndjson") as f:
        return [json.loads(line) for line in f]


def essence(folder):
    """Without numbers, links, the marks, and what belongs to one run of the program (its first line)."""
    kept = []
    for line in lines(folder)[1:]:
        if line.get("what") == "interrupted":
            continue
        line.pop("seq"), line.pop("prev")
        if "informed" in line:
            line["informed"] = len(line["informed"])
        kept.append(line)
    return kept


def start(*words):
    return subprocess.Popen([BLACKSTART, "exercise", *words, "--answers", ANSWERS], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def grown(process, folder, size):
    """Until the record is so large; a play takes some milliseconds, so nothing sleeps here."""
    path = folder + "/record.ndjson"
    while process.poll() is None and not (os.path.exists(path) and os.stat(path).st_size >= size):
        pass


class Kill(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="blackstart-exercise-")
        self.addCleanup(shutil.rmtree, self.top)

    def whole(self, name):
        """How large its record is."""
        process = start(SCENARIO, "--out", self.top + "/" + name)
        said = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, 0, said)
        return os.stat(self.top + "/" + name + "/record.ndjson").st_size

    def test_each_of_twenty_kills_is_resumed_to_the_same_end(self):
        size = self.whole("whole")
        expected = essence(self.top + "/whole")
        seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
        print("seed", seed, file=sys.stderr)
        rng, killed = random.Random(seed), 0
        for n in range(10 * KILLS):
            folder = "%s/killed-%d" % (self.top, n)
            process = start(SCENARIO, "--out", folder)
            grown(process, folder, rng.randrange(1, size))
            process.kill()
            process.communicate()
            if not os.path.exists(folder + "/record.ndjson") or lines_end(folder):
                continue  # before its first line, or after its last one
            killed += 1
            process = start("--resume", folder)
            said = process.communicate(timeout=60)[1].decode()
            self.assertEqual(process.returncode, 0, said)
            self.assertEqual(essence(folder), expected, "kill %d, seed %d" % (n, seed))
            marks = [line for line in lines(folder) if line.get("what") == "interrupted"]
            self.assertEqual(len(marks), 1)
            if killed == KILLS:
                return
        self.fail("only %d of %d kills came in time" % (killed, KILLS))

    def test_every_line_fits_the_schema(self):
        with open(SOURCE + "/sim/record/record.schema.json") as f:
            validator = jsonschema.Draft202012Validator(json.load(f))
        known = {k["if"]["properties"]["kind"].get("const") for k in validator.schema["allOf"]}
        self.whole("whole")
        for line in lines(self.top + "/whole"):
            self.assertIn(line["kind"], known)
            for error in validator.iter_errors(line):
                self.fail("%s: %s" % (line, error.message))


def lines_end(folder):
    """True when the record is whole: run-end is its last line; or when not even its first line is."""
    with open(folder + "/record.ndjson") as f:
        text = f.read()
    return "\n" not in text or '"kind":"run-end"' in text


if __name__ == "__main__":
    unittest.main()

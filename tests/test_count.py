#!/usr/bin/env python3
"""What is counted: the cases of programs that tell of them, as cmocka does or in TAP, as drill/harness.py
writes it; a skip is a skip, or a failure where all tests must run."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
CASES = """
import unittest, harness
class Some(unittest.TestCase):
    def test_a_good(self): print("ok 7")
    def test_b_bad(self): self.fail()
    def test_c_error(self): raise OSError
    def test_d_parts(self):
        for i in range(3):
            with self.subTest(i): self.assertEqual(i, 1)
    def test_e_root(self): self.skipTest(harness.NEEDS_ROOT)
    @unittest.skip(harness.NEEDS_CGROUP2)
    def test_f_kernel(self): pass
unittest.main(testRunner=harness.TapRunner)
"""


def count(*tests):
    with tempfile.TemporaryDirectory() as build:
        logs = pathlib.Path(build, "meson-logs")
        logs.mkdir()
        (logs / "testlog.json").write_text("".join(
            json.dumps({"name": "t", "result": result, "stdout": out}) + "\n"
            for result, out in tests))
        r = subprocess.run([sys.executable, HERE / "count.py", build], capture_output=True, text=True)
        return r.stdout.strip().splitlines()[-1], r.returncode


def cases(must_run):
    env = {k: v for k, v in os.environ.items() if k != "BLACKSTART_TESTS_MUST_RUN"}
    env |= {"BLACKSTART": "none", "PYTHONPATH": str(HERE / "drill")}
    if must_run:
        env["BLACKSTART_TESTS_MUST_RUN"] = "1"
    r = subprocess.run([sys.executable, "-c", CASES], capture_output=True, text=True, env=env)
    return "FAIL" if r.returncode else "OK", r.stdout


class Count(unittest.TestCase):
    def test_python_tests_count_by_their_methods(self):
        self.assertEqual(count(cases(False)), ("1 passed, 3 failed, 2 skipped", 1))
        self.assertEqual(count(cases(True)), ("1 passed, 4 failed, 1 skipped", 1))

    def test_tap(self):
        for result, out, said in (
                ("OK", "1..2\nok 1 - a\nok 2 - b\n", "2 passed, 0 failed, 0 skipped"),
                ("OK", "1..2\nok 1 - a\nok 2 - b # SKIP no\n", "1 passed, 0 failed, 1 skipped"),
                ("SKIP", "1..0 # SKIP no lab\n", "0 passed, 0 failed, 1 skipped"),
                ("ERROR", "1..3\nok 1 - a\n", "1 passed, 2 failed, 0 skipped"),
                ("TIMEOUT", "1..1\nok 1 - a\n", "1 passed, 1 failed, 0 skipped"),
                ("ERROR", "", "0 passed, 1 failed, 0 skipped")):
            self.assertEqual(count((result, out))[0], said, out)

    def test_others(self):
        cmocka = "[       OK ] a\n[  FAILED  ] b\n[  SKIPPED ] c\n[  FAILED  ] b\n"
        self.assertEqual(count(("FAIL", cmocka), ("OK", ""), ("SKIP", "skipped: why")),
                         ("2 passed, 1 failed, 2 skipped", 1))
        self.assertEqual(count(("OK", "")), ("1 passed, 0 failed, 0 skipped", 0))


if __name__ == "__main__":
    unittest.main()

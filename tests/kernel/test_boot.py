"""boot.py tells the truth about what happens in the guest: passed, failed, too long, died, given up."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import fetch
from boot import QEMU, build

HERE = pathlib.Path(__file__).resolve().parent
KERNEL, SOURCE = sys.argv[1:3]
FOLDER = None  # with a link to the kernel, and nobody else's boots


def boot(*tests, deadline="120", **env):
    argv = [sys.executable, str(HERE / "boot.py"), "--kernel", FOLDER, "--source", SOURCE,
            "--deadline", deadline]
    for name, *command in tests:
        argv += ["--test", name, "5"] + command
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, "KERNEL_TESTS": "", **env})
    return done.returncode, done.stdout.splitlines(), done.stderr


class Boot(unittest.TestCase):
    def test_what_happens_to_a_test_is_told(self):
        code, out, err = boot(
            ("passes", "echo", "not even a word"),
            ("passes without a line's end", "printf", "word"),
            ("fails", "sh", "-c", "echo the reason; exit 3"),
            ("has cases", "printf", r"[       OK ] one\n[  FAILED  ] two\n[  FAILED  ] two\n"),
            ("has cases and fails", "sh", "-c", "echo '[       OK ] one'; exit 1"),
            ("speaks TAP", "printf", r"1..2\nok 1 - one\nok 2 - two # SKIP why\n"),
            ("promises more", "printf", r"1..3\nok 1 - one\nnot ok 2 - two\n"),
            ("sleeps", "sleep", "1000"),
            ("takes the machine along", "sh", "-c", "echo c >/proc/sysrq-trigger; sleep 2"),
            ("never begins", "true"))
        self.assertEqual((code, err), (0, ""))
        self.assertEqual([line for line in out if not line.startswith("#")], [
            "ok 1 - passes",
            "ok 2 - passes without a line's end",
            "not ok 3 - fails",
            "ok 4 - has cases: one",
            "not ok 5 - has cases: two",
            "ok 6 - has cases and fails: one",
            "not ok 7 - has cases and fails",
            "ok 8 - speaks TAP: 1 one",
            "ok 9 - speaks TAP: 2 two # SKIP why",
            "ok 10 - promises more: 1 one",
            "not ok 11 - promises more: 2 two",
            "not ok 12 - promises more",
            "not ok 13 - sleeps",
            "not ok 14 - takes the machine along",
            "not ok 15 - never begins",
            "1..15"])
        for line in ("# fails: exit code 3", "# the reason", "# never begins: never began",
                     "# sleeps: took longer than 5 s",
                     "# the guest died in takes the machine along; the last lines of its console:"):
            self.assertIn(line, out)
        self.assertIn("sysrq: Trigger a crash", "\n".join(out))  # of its console

    def test_a_guest_that_hangs_is_given_up_and_nothing_is_left(self):
        code, out, err = boot(("one", "true"), deadline="1.5")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("not ok 1 - one", out)
        self.assertIn("# the guest was given up after 1.5 s; the last lines of its console:", out)
        self.assertEqual(set(os.listdir(FOLDER)), {"kernel", "console.log", "report.log"})

    def test_the_same_files_give_the_same_root(self):
        there = fetch.find(FOLDER)
        digests = set()
        for n in range(2):
            path = os.path.join(FOLDER, "initrd")
            build(path, "word", there[1], {"--program": [], "--source": [SOURCE], "--env": []}, [])
            with open(path, "rb") as file:
                digests.add(hashlib.file_digest(file, "sha256").hexdigest())
            os.unlink(path)
        self.assertEqual(len(digests), 1)

    def test_a_machine_without_the_emulator_skips_or_fails(self):
        empty = {"PATH": "/nonexistent", "BLACKSTART_TESTS_MUST_RUN": ""}
        code, out, _ = boot(("one", "true"), **empty)
        self.assertEqual((code, len(out)), (0, 1))
        self.assertTrue(out[0].startswith("1..0 # SKIP qemu-system-x86_64 is not installed"), out)
        empty["BLACKSTART_TESTS_MUST_RUN"] = "1"
        self.assertEqual(boot(("one", "true"), **empty)[1][0], "not ok 1 - the emulated kernel")


def main():
    global FOLDER
    try:
        if not shutil.which(QEMU):
            raise fetch.Unavailable(QEMU + " is not installed (package qemu-system-x86)")
        there = fetch.fetch(KERNEL)[0].parent
    except fetch.Unavailable as reason:
        print("skipped: %s" % reason)
        sys.exit(1 if os.environ.get("BLACKSTART_TESTS_MUST_RUN") else 77)
    with tempfile.TemporaryDirectory() as FOLDER:
        os.symlink(there, os.path.join(FOLDER, "kernel"))
        unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)


if __name__ == "__main__":
    main()

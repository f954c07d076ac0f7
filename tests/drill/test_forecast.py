"""forecast: the same bytes with any number of threads and in parts, interrupted, with wrong input."""
import hashlib
import json
import os
import pty
import resource
import select
import shutil
import signal
import stat
import subprocess
import time
import unittest

import harness
import scenes

TRIALS = 12000


def forecast(*argv, **kwargs):
    return subprocess.run([harness.BLACKSTART, "forecast", *argv], capture_output=True, text=True,
                          timeout=60, **kwargs)


def report(*argv):
    return subprocess.run([harness.BLACKSTART, "report", *argv], capture_output=True, text=True,
                          timeout=60)


def digest(*path):
    with open(os.path.join(*path), "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def lines(folder):
    with open(os.path.join(folder, "record.ndjson")) as f:
        return [json.loads(line) for line in f]


class Base(unittest.TestCase):
    def setUp(self):
        self.base = harness.folder()
        self.addCleanup(shutil.rmtree, self.base, True)
        self.scenario = harness.write(self.at("scenario.yaml"), scenes.ASSUMED)

    def at(self, name):
        return os.path.join(self.base, name)

    def make(self, name, *options, code=None, trials=TRIALS, why=False, **kwargs):
        options += () if why else ("--no-why",)
        done = forecast(self.scenario, "--out", self.at(name), "--seed", "4", "--trials", str(trials),
                        *options, **kwargs)
        if code is None:  # of a part nothing is judged; the whole is too near to the promise to say
            code = 0 if "--shard" in options else 4
        self.assertEqual(done.returncode, code, done.stderr)
        return done


class SameBytes(Base):
    """A forecast is a function of scenario, seed and number of trials alone."""

    def test_threads_and_parts(self):
        for threads in ("1", "2"):
            self.make("t" + threads, "--threads", threads, why=True)
        self.make("t7", "--threads", "7", why=True, env=harness.without_fused())
        for part in range(1, 6):
            done = self.make("part%d" % part, "--shard", "%d/5" % part, code=0, why=True)
            self.assertIn("part %d of 5" % part, done.stdout)
        # In whatever order they are named.
        whole = report(*[self.at("part%d" % k) for k in (4, 2, 5, 1, 3)], "--out", self.at("whole"))
        harness.same_files(self, self.base, "t1", "t2", "t7", "whole")
        with open(self.at("t1/result.json")) as f:
            result = json.load(f)
        self.assertEqual(whole.returncode, result["exit_code"])
        self.assertEqual(result["mode"], "forecast")
        self.assertEqual(result["trials_done"], TRIALS)
        harness.check_record(lines(self.at("t1")))
        harness.check_record(lines(self.at("part2")))

        # Recomputed byte for byte.
        before = {n: digest(self.at("t1"), n) for n in os.listdir(self.at("t1"))
                  if os.path.isfile(os.path.join(self.at("t1"), n))}
        self.assertEqual(report(self.at("t1")).returncode, result["exit_code"])
        for name, was in before.items():
            self.assertEqual(was, digest(self.at("t1"), name), name)

        # Never to be taken for a test.
        for name in ("report.md", "report.html"):
            with open(os.path.join(self.at("t1"), name)) as f:
                self.assertIn("FORECAST", f.read())
        with open(self.at("t1/junit.xml")) as f:
            text = f.read()
            self.assertIn('name="mode" value="forecast"', text)
            self.assertEqual(text.count("<testcase"), text.count('name="forecast: '))

    def test_the_page_shows_it(self):
        self.make("out", trials=3000)
        with open(self.at("out/report.html")) as f:
            page = f.read()
        made = page.split('<section id="made">')[1].split("</section>")[0]
        self.assertIn('<table class="stages">', made)
        self.assertRegex(made, r'<rect class="stage" width="[1-9]')
        for stage in ("decide", "takeover", "by-hand"):
            self.assertIn(stage, made)
        graph = page.split('<section id="graph">')[1].split("</section>")[0]
        self.assertIn('aria-label="Services and what they need"', graph)
        for service in ("checkout", "shop"):
            self.assertIn(service, graph)
        self.assertIn("Durations of simulated trials; the target of 5 s is a line.", page)
        for service, rto in (("checkout", "5 s promised"), ("shop", "8 s promised")):
            histogram = harness.plot(self, page, "Forecast: time to restore " + service)
            self.assertIn(rto, histogram)
            waiting = "Forecast: time to restore %s, still waiting" % service
            self.assertIn(rto, harness.plot(self, page, waiting))

    def test_several_of_which_some_are_enough_are_drawn(self):
        self.scenario = harness.write(self.at("any.yaml"), scenes.ANY)
        self.make("out", trials=200)
        with open(self.at("out/report.html")) as f:
            graph = f.read().split('<section id="graph">')[1].split("</section>")[0]
        self.assertEqual(graph.count('class="need any-need"'), 3)
        self.assertEqual(graph.count('class="need soft-need"'), 1)
        with open(self.at("out/result.json")) as f:
            shop, = (s for s in json.load(f)["services"] if s["name"] == "shop")
        self.assertEqual(shop["outcomes"]["unaffected"], 200)

    def test_another_seed_is_another_forecast(self):
        self.make("a", trials=2000)
        done = forecast(self.scenario, "--out", self.at("b"), "--seed", "5", "--trials", "2000")
        self.assertLess(done.returncode, 5)
        self.assertNotEqual(digest(self.at("a"), "result.json"), digest(self.at("b"), "result.json"))


class Parts(Base):
    def test_parts_that_do_not_fit_are_refused(self):
        for part in (1, 2, 3):
            self.make("p%d" % part, "--shard", "%d/3" % part, trials=5000)
        self.make("whole", trials=5000)
        self.make("other", "--shard", "2/3", trials=6000)
        self.make("four", "--shard", "2/4", trials=5000)
        forecast(self.scenario, "--out", self.at("seed"), "--seed", "9", "--trials", "5000", "--shard", "2/3", "--no-why")
        forecast(self.scenario, "--out", self.at("set"), "--seed", "4", "--trials", "5000", "--shard", "2/3",
                 "--set", "rto=4s")
        for parts, words in (
                (("p1", "p3"), "1 of 3 parts of this forecast is missing: 2"),
                (("p1", "p2", "p2", "p3"), "part 2 of 3 is there twice"),
                (("p1",), "2 of 3 parts of this forecast are missing: 2, 3"),
                (("p1", "other", "p3"), "numbers of trials differ"),
                (("p1", "seed", "p3"), "seeds differ"),
                (("p1", "set", "p3"), "scenarios differ"),
                (("p1", "four", "p3"), "do not fit together"),
                (("p1", "whole"), "is no part of a forecast")):
            done = report(*[self.at(p) for p in parts], "--out", self.at("joined"))
            self.assertEqual(done.returncode, 2, parts)
            self.assertIn(words, done.stderr)
            self.assertFalse(os.path.exists(self.at("joined")), parts)
        # More parts than blocks: some are empty, and all together are the whole.
        for part in range(1, 10):
            self.make("n%d" % part, "--shard", "%d/9" % part, trials=5000)
        done = report(*[self.at("n%d" % k) for k in range(1, 10)], "--out", self.at("nine"))
        self.assertEqual(digest(self.at("nine"), "result.json"), digest(self.at("whole"), "result.json"))

    def test_a_damaged_record_is_told(self):
        self.make("a", trials=5000)
        record = self.at("a/record.ndjson")
        with open(record, "rb") as f:
            whole = f.read()
        pieces = whole.splitlines(True)
        block = next(i for i, p in enumerate(pieces) if b'"outcomes"' in p)
        for damaged, words in (
                (whole.replace(b'"seed":"4"', b'"seed":"5"', 1), "chain is broken"),
                (b"".join(pieces[:block] + pieces[block + 1:]), "sequence is broken"),
                (b"".join(pieces[1:]), "sequence is broken"),
                (b"", "empty")):
            with open(record, "wb") as f:
                f.write(damaged)
            done = report(self.at("a"))
            self.assertEqual(done.returncode, 2)
            self.assertIn(words, done.stderr)
        # Cut off by a power loss: what is there is told, and that it is not all.
        with open(record, "wb") as f:
            f.write(b"".join(pieces[:block + 2]) + pieces[block + 2][:100])
        done = report(self.at("a"))
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("failed", done.stdout)
        self.assertIn("2,048 of 5,000 trials", " ".join(done.stdout.split()))


class Interrupted(Base):
    def start(self, *options, **kwargs):
        return subprocess.Popen([harness.BLACKSTART, "forecast", self.scenario, "--out", self.at("out"),
                                 "--trials", "300000000", "--no-why", *options], text=True, **kwargs)

    def wait_for_blocks(self):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                if os.path.getsize(self.at("out/record.ndjson")) > 200000:
                    return
            except FileNotFoundError:
                pass
            time.sleep(0.02)
        self.fail("no blocks were written")

    def test_once_reports_what_there_is(self):
        p = self.start(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.wait_for_blocks()
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 5, err)
        self.assertIn("of 300,000,000 trials", " ".join(out.split()))
        with open(self.at("out/result.json")) as f:
            result = json.load(f)
        self.assertEqual(result["status"], "aborted")
        self.assertTrue(0 < result["trials_done"] < 300000000)
        self.assertEqual(lines(self.at("out"))[-1]["status"], "aborted")

    def test_twice_reports_nothing(self):
        p = self.start(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.wait_for_blocks()
        p.send_signal(signal.SIGINT)
        p.send_signal(signal.SIGTERM)
        _, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 5)
        self.assertIn("stopped twice", err)
        self.assertFalse(os.path.exists(self.at("out/result.json")))

    def test_a_terminal_shows_how_far_it_is(self):
        ours, theirs = pty.openpty()
        p = self.start(stdout=subprocess.PIPE, stderr=theirs,
                       env=dict(os.environ, TERM="xterm"))
        os.close(theirs)
        seen, end = b"", time.monotonic() + 20
        while b" left" not in seen and time.monotonic() < end:
            if select.select([ours], [], [], 0.2)[0]:
                seen += os.read(ours, 4096)
        p.send_signal(signal.SIGINT)
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=60)
        os.close(ours)
        self.assertRegex(seen.decode(), r"forecast  [\d,]+ of 300,000,000 trials \(\d+ %\)  [\d,]+/s  .* left")


class WrongInput(Base):
    def test_options(self):
        for options, words in (
                (("--shard", "3/2", "--seed", "1"), "--shard takes K/N"),
                (("--shard", "0/2", "--seed", "1"), "--shard takes K/N"),
                (("--shard", "1-2", "--seed", "1"), "--shard takes K/N"),
                (("--shard", "1/2"), "--shard needs --seed"),
                (("--trials", "0"), "--trials takes"),
                (("--trials", "2000000000"), "--trials takes"),
                (("--threads", "0"), "--threads takes"),
                (("--seed", "-1"), "--seed takes"),
                (("--nothing",), "unknown option")):
            done = forecast(self.scenario, "--out", self.at("out"), *options)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(words, done.stderr)
            self.assertFalse(os.path.exists(self.at("out")))

    def test_a_folder_that_cannot_be_written(self):
        done = forecast(self.scenario, "--out", "/proc/out", "--trials", "10")
        self.assertEqual(done.returncode, 2)
        self.assertIn("cannot make the folder /proc/out", done.stderr)
        os.mkdir(self.at("full"))
        harness.write(self.at("full/something"), "")
        done = forecast(self.scenario, "--out", self.at("full"), "--trials", "10")
        self.assertEqual(done.returncode, 2)
        self.assertIn("is not empty", done.stderr)

    def test_a_full_disk_ends_it_with_a_sentence(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300000, 300000))
        done = forecast(self.scenario, "--out", self.at("out"), "--trials", "100000", "--seed", "1", "--no-why",
                        preexec_fn=limit)
        self.assertEqual(done.returncode, 5)
        self.assertIn("the forecast failed: record.ndjson: ", done.stderr)
        # Nothing half-written stays.
        harness.check_record(lines(self.at("out")))
        self.assertEqual(report(self.at("out")).returncode, 5)

    def test_devices_are_written_to_and_stay(self):
        os.mkfifo(self.at("pipe"))
        reader = os.open(self.at("pipe"), os.O_RDWR | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        done = forecast(self.scenario, "--out", self.at("out"), "--trials", "100", "--seed", "1", "--no-why",
                        "--quiet", "--junit", self.at("pipe"))
        self.assertIn(done.returncode, (0, 1, 4), done.stderr)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.at("pipe")).st_mode))
        self.assertIn(b"<testsuite", os.read(reader, 65536))

    def test_json_and_copies(self):
        done = forecast(self.scenario, "--out", self.at("out"), "--trials", "3000", "--seed", "1", "--json", "--no-why",
                        "--junit", self.at("j.xml"), "--metrics", self.at("m.prom"))
        with open(self.at("out/result.json")) as f:
            self.assertEqual(json.loads(done.stdout), json.load(f))
        self.assertEqual(digest(self.at("j.xml")), digest(self.at("out"), "junit.xml"))
        self.assertEqual(digest(self.at("m.prom")), digest(self.at("out"), "metrics.prom"))


if __name__ == "__main__":
    harness.main()

"""Every way a drill can end, with its exit code, its verdict and what it leaves behind."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import unittest

import harness
from harness import BLACKSTART, Drill, machine, write
from scenes import CUT, KILL, KILL_FOR, REVIVING, STAMPD, scene


class Outcome(unittest.TestCase):
    def drill(self, text, *options, code, **kw):
        before = machine()
        d = Drill(text, *options, **kw).run()
        self.addCleanup(d.remove)
        self.assertEqual(d.code, code, d.explain())
        self.assertEqual(harness.processes_of(d.token), [])
        self.assertEqual(machine(), before)
        if os.path.exists(os.path.join(d.out, "record.ndjson")):
            harness.check_record(d.record)
        return d

    def service(self, d, trial=0):
        return d.result["trials"][trial]["services"]["web"]

    # ---- verdicts ----

    def test_recovered_in_time_is_met(self):
        d = self.drill(scene(KILL, start=REVIVING, trials=2, rto="1500ms"), code=0)
        self.assertEqual(d.result["verdict"], "met")
        self.assertEqual(d.result["status"], "completed")
        for t in range(2):
            s = self.service(d, t)
            self.assertEqual((s["outcome"], s["restored_by"]), ("restored", "recovery"))
            lo, hi = s["ttr_s"]
            self.assertTrue(0.1 < lo < hi < 1.5, s)
        self.assertIn("web came back", d.stdout)

    def test_recovered_too_late_is_missed(self):
        slow = '["%s --port 80 --revive 1200:1300 --seed 1"]' % STAMPD
        d = self.drill(scene(KILL, start=slow, rto="600ms", horizon="4s"), code=1)
        self.assertEqual(d.result["verdict"], "not_met")

    def test_only_our_undo_brought_it_back_is_never_met(self):
        d = self.drill(scene(CUT), code=4)
        s = self.service(d)
        self.assertEqual(s["restored_by"], "heal")
        self.assertEqual(d.result["verdict"], "not_demonstrated")

    def test_heal_counts_when_the_scenario_says_so(self):
        d = self.drill(scene(CUT, service_extra=", counts_as_restored: heal"), code=0)
        self.assertEqual(d.result["verdict"], "met")

    def test_a_service_that_never_returns_is_censored_and_missed_only_by_its_low_bound(self):
        d = self.drill(scene(KILL, rto="500ms", horizon="2s"), code=1)
        s = self.service(d)
        self.assertEqual(s["restored_by"], "heal")  # by our undo, after the horizon
        self.assertIsNone(s["ttr_s"][1])
        self.assertGreater(s["ttr_s"][0], 0.5)

    def test_never_hit_is_not_demonstrated(self):
        script = """
  - {id: bystander, at: 300ms, kill: {host: other, process: stamp-server}}
"""
        other = ('  other: {lab: {address: 10.77.0.2}, files: [stampd], start: ["%s --port 81"], '
                 'ready: {tcp: 81}}\n' % STAMPD)
        d = self.drill(scene(script, more_hosts=other), code=4)
        self.assertEqual(self.service(d)["outcome"], "unaffected")
        d = self.drill(scene(script, more_hosts=other, expect="expect: {web: unaffected}\n"), code=0)
        self.assertEqual(d.result["verdict"], "met")

    def test_steady_reports_nothing(self):
        d = self.drill(scene(), code=0)
        kinds = {o["kind"]: o["verdict"] for o in d.result["objectives"]}
        self.assertEqual(kinds.get("no_outage"), "met")
        self.assertEqual(d.result["trials"][0]["services"]["web"]["episodes"], [])

    def test_an_outage_without_a_fault_of_ours_is_told(self):
        dies = '["%s --port 80", {command: "sleep 1.2", name: nap}]' % STAMPD
        script = """
  - {id: quietly, at: 500ms, run: {host: srv, command: "kill -9 $(pidof stamp-server)"}}
"""
        d = self.drill(scene(script, start=dies), code=1)
        self.assertEqual(d.result["verdict"], "not_met")

    def test_the_target_has_gone(self):
        script = "\n  - {id: gone, at: 300ms, kill: {host: srv, process: no-such-program}}\n"
        d = self.drill(scene(script), code=4)
        self.assertEqual(d.result["verdict"], "inconclusive")
        self.assertIn("no-such-program", d.events("trial-end")[0]["reason"])

    def test_expect_insists_on_the_number(self):
        script = ("\n  - {id: two, at: 300ms, kill: {host: srv, process: stamp-server, "
                  "expect: 2}}\n")
        d = self.drill(scene(script), code=4)
        self.assertEqual(d.events("trial-end")[0]["outcome"], "void")

    def test_not_steady_injects_nothing(self):
        text = scene(KILL, settle="{for: 300ms, within: 1500ms}",
                     probe_extra="  broken: {service: web, host: client, tcp: \"10.77.0.1:81\", "
                                 "every: 50ms, timeout: 100ms, stable: 300ms}\n")
        d = self.drill(text, code=4)
        self.assertEqual(d.events("inject"), [])
        self.assertIn("not steady", d.events("trial-end")[0]["reason"])

    # ---- cannot run ----

    def test_a_missing_program_is_named_before_anything_is_touched(self):
        d = self.drill(scene(KILL, start='["no-such-server --now"]'), code=3)
        self.assertIn("no-such-server", d.stderr)
        self.assertFalse(os.path.exists(d.out))

    def test_a_host_that_dies_at_start_shows_its_last_lines(self):
        dies = '[{command: "sh -c \'echo cannot bind; exit 7\'", name: server}]'
        d = self.drill(scene(KILL, start=dies), code=3)
        self.assertIn("cannot bind", d.stderr)
        self.assertIn("srv", d.stderr)

    def test_a_host_that_never_gets_ready(self):
        d = self.drill(scene(KILL, start='["sleep 60"]').replace("within: 5s", "within: 500ms"),
                       code=3)
        self.assertIn("srv", d.stderr)

    # ---- bad input ----

    def test_bad_yaml_and_bad_usage(self):
        d = self.drill(scene(KILL).replace("horizon:", "horizn:"), code=2)
        self.assertRegex(d.stderr, r"scenario\.yaml:\d+:\d+: error: .*did you mean 'horizon'")
        d = self.drill(scene(KILL).replace("10.77.0.9", "10.77.0.1"), code=2)
        self.assertRegex(d.stderr, r":\d+:\d+: error: .*10\.77\.0\.1")
        self.drill(scene(KILL), "--trials", "0", code=2)
        self.drill(scene(KILL), "--no-such-option", code=2)
        self.drill(scene(KILL), "--max-duration", "10", code=2)
        self.drill("/nonexistent/scenario.yaml", code=2)

    def test_a_folder_that_is_not_empty_is_refused(self):
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base)
        write(os.path.join(base, "mine"), "keep me")
        d = self.drill(scene(KILL), out=base, code=2)
        self.assertIn("not empty", d.stderr)
        self.assertEqual(os.listdir(base), ["mine"])

    def test_the_folder_may_be_the_one_we_stand_in(self):
        """While the lab stands its files cover that folder, for the runner alone."""
        d = Drill(scene(KILL, start=REVIVING), "--junit", "mine.xml")
        self.addCleanup(d.remove)
        here = os.path.join(d.base, "here")
        os.mkdir(here)
        d.cwd, d.out = here, "."
        d.start()
        d.out = here
        d.tail(lambda e: e["kind"] == "state" and e["state"] == "observe")
        self.assertEqual(sorted(os.listdir(here)),
                         ["files", "logs", "record.ndjson", "scenario.yaml"])
        d.finish()
        self.assertEqual(d.code, 0, d.explain())
        with open(os.path.join(here, "mine.xml")) as a, open(os.path.join(here, "junit.xml")) as b:
            self.assertEqual(a.read(), b.read())

    # ---- stopped ----

    def stop_when(self, text, signo, times=1, code=5, state="observe"):
        before = machine()
        d = Drill(text).start()
        self.addCleanup(d.remove)
        d.tail(lambda e: e["kind"] == "state" and e["state"] == state)
        for _ in range(times):
            d.process.send_signal(signo)
        d.finish()
        self.assertEqual(d.code, code, d.explain())
        self.assertEqual(harness.processes_of(d.token), [])
        self.assertEqual(machine(), before)
        self.assertTrue(d.events("clean")[-1]["clean"])
        return d

    def test_one_signal_undoes_and_reports(self):
        for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            d = self.stop_when(scene(KILL, horizon="30s"), signo)
            self.assertEqual(d.result["status"], "aborted")
            self.assertTrue(os.path.exists(os.path.join(d.out, "report.md")))
            self.assertEqual(d.events("undo")[0]["cause"], "abort")

    def test_two_signals_undo_and_do_not_report(self):
        d = self.stop_when(scene(KILL, horizon="30s"), signal.SIGINT, times=1, state="build")
        self.assertEqual(d.result["status"], "aborted")
        d = Drill(scene(KILL, horizon="30s")).start()
        self.addCleanup(d.remove)
        d.tail(lambda e: e["kind"] == "state" and e["state"] == "observe")
        d.process.send_signal(signal.SIGSTOP)  # so that both are there when it looks
        d.process.send_signal(signal.SIGINT)
        d.process.send_signal(signal.SIGTERM)
        d.process.send_signal(signal.SIGCONT)
        d.finish()
        self.assertEqual(d.code, 5, d.explain())
        self.assertFalse(os.path.exists(os.path.join(d.out, "result.json")))

    def test_max_duration(self):
        d = self.drill(scene(KILL, horizon="30s"), "--max-duration", "2s", code=5)
        self.assertEqual(d.events("stop")[0]["reason"], "max-duration")

    def test_a_stop_condition_undoes_everything(self):
        d = self.drill(scene(KILL, horizon="30s", extra="stop_if: [{probe: web, down_for: 1s}]\n"),
                       code=5)
        self.assertEqual(d.events("stop")[0]["reason"], "stop_if")

    def test_a_miss_stays_a_miss_in_junit_when_stopped(self):
        d = self.stop_when(scene(KILL, horizon="30s", rto="500ms").replace("trials: 1", "trials: 2"),
                           signal.SIGINT, state="observe")
        self.assertEqual(d.result["status"], "aborted")

    def test_what_could_not_be_undone_is_named(self):
        """The host's init is stopped from outside: nobody can start the killed server again."""
        d = Drill(scene(KILL, horizon="4s")).start()
        self.addCleanup(d.remove)
        d.tail(lambda e: e["kind"] == "state" and e["state"] == "observe")
        inits = [p for p in harness.offspring(d.process.pid)
                 if os.path.exists("/proc/%d/root/run/srv/." % p) and
                 harness.pid_inside(p) == 1]
        self.assertTrue(inits)
        for p in inits:
            os.kill(p, signal.SIGSTOP)
        d.finish()
        self.assertEqual(d.code, 6, d.explain())
        self.assertFalse(d.events("undo")[-1]["ok"])
        self.assertIn("srv", d.events("undo")[-1]["error"])
        self.assertIn("NOT UNDONE", d.stderr)
        self.assertFalse(d.result["clean"])
        harness.wait_until(lambda: not harness.processes_of(d.token))
        self.assertEqual(harness.processes_of(d.token), [])

    # ---- what is left for others to read ----

    def test_the_record_is_chained_and_the_head_is_told(self):
        d = self.drill(scene(KILL, start=REVIVING, rto="1500ms"), code=0)
        prev = "0" * 64
        with open(os.path.join(d.out, "record.ndjson"), "rb") as f:
            for n, line in enumerate(f):
                e = json.loads(line)
                self.assertEqual((e["seq"], e["prev"]), (n, prev))
                prev = hashlib.sha256(line).hexdigest()
        self.assertEqual(d.result["head"], {"seq": n, "hash": prev})
        with open(os.path.join(d.out, "scenario.yaml"), "rb") as f:
            self.assertEqual(d.result["scenario"]["digest"],
                             hashlib.sha256(f.read()).hexdigest())

    def test_report_recomputes_the_same_from_the_folder_alone(self):
        d = self.drill(scene(KILL, start=REVIVING, rto="1500ms", trials=2), code=0)
        moved = d.base + "-moved"
        shutil.move(d.base, moved)
        self.addCleanup(shutil.rmtree, moved)
        out = os.path.join(moved, "out")
        names = ["result.json", "report.md", "junit.xml", "metrics.prom", "report.html"]
        before = {n: open(os.path.join(out, n), "rb").read() for n in names}
        r = subprocess.run([BLACKSTART, "report", out], capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        for n in names:
            self.assertEqual(open(os.path.join(out, n), "rb").read(), before[n], n)

    def test_files_of_hosts_are_kept_with_their_digest(self):
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base)
        write(os.path.join(base, "motd.txt"), "hello\n")
        path = write(os.path.join(base, "s.yaml"), scene(files="motd.txt, stampd"))
        d = self.drill(path, code=0)
        sums = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], capture_output=True, text=True,
                              cwd=os.path.join(d.out, "files"))
        self.assertEqual((sums.returncode, sums.stdout),
                         (0, "srv/motd.txt: OK\nsrv/stampd: OK\n"))

    def test_a_secret_reaches_the_process_and_no_file(self):
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base)
        write(os.path.join(base, "token.txt"), "swordfish\n")
        start = ('["%s --port 80"], env: {TOKEN: {file: token.txt}, KEY: {env: TEST_KEY}}' % STAMPD)
        script = """
  - id: show
    at: 200ms
    run: {host: srv, command: 'test "$TOKEN-$KEY" = swordfish-xyzzy && echo both are here'}
"""
        path = write(os.path.join(base, "s.yaml"), scene(script, start=start))
        os.environ["TEST_KEY"] = "xyzzy"
        d = self.drill(path, code=0)
        end = d.events("action", event="end")[0]
        self.assertEqual((end["code"], end["output"]), (0, "both are here\n"))
        for folder, _, names in os.walk(d.out):
            for n in names:
                with open(os.path.join(folder, n), "rb") as f:
                    text = f.read()
                self.assertNotIn(b"swordfish\n", text, n)
                if n != "record.ndjson" and not n.startswith("report") and n != "scenario.yaml":
                    self.assertNotIn(b"xyzzy", text, n)
        del os.environ["TEST_KEY"]
        d = self.drill(path, code=3)
        self.assertIn("TEST_KEY", d.stderr)

    def test_json_is_one_document_and_earlier_attempts_are_listed(self):
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base)
        path = write(os.path.join(base, "s.yaml"), scene())
        first = self.drill(path, out=os.path.join(base, "one"), code=0)
        d = self.drill(path, "--json", out=os.path.join(base, "two"), code=0)
        self.assertEqual(json.loads(d.stdout), d.result)
        self.assertEqual(d.result["attempt"]["n"], 2)
        self.assertEqual(d.result["attempt"]["earlier"][0]["dir"], "one")
        self.assertEqual(first.result["attempt"], {"n": 1, "earlier": []})

    def test_the_same_seed_gives_the_same_phases(self):
        a = self.drill(scene(trials=2), "--seed", "42", code=0)
        b = self.drill(scene(trials=2), "--seed", "42", code=0)
        c = self.drill(scene(trials=2), "--seed", "43", code=0)
        phases = lambda d: [t["phases"] for t in d.result["trials"]]
        self.assertEqual(phases(a), phases(b))
        self.assertNotEqual(phases(a), phases(c))
        self.assertNotEqual(phases(a)[0], phases(a)[1])

    def test_a_kept_lab_serves_all_trials(self):
        d = self.drill(scene(KILL_FOR, trials=2, extra="lab: {reuse: true}\n",
                             service_extra=", counts_as_restored: heal"), code=0)
        self.assertEqual(len(d.events("lab", event="built")), 1)
        self.assertEqual([e["outcome"] for e in d.events("trial-end")], ["completed"] * 2)

    @unittest.skipUnless(os.geteuid() == 0, harness.NEEDS_ROOT)
    def test_a_full_disk_is_told_and_everything_is_undone(self):
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base)
        path = write(os.path.join(base, "s.yaml"), scene(KILL, horizon="30s", trials=3))
        small = os.path.join(base, "small")
        os.mkdir(small)
        token = "full-disk-%d" % os.getpid()
        room = os.path.getsize(os.path.join(base, "stampd")) + 72 * 1024  # DIR/files, and a little
        r = subprocess.run(
            ["unshare", "-m", "sh", "-c",
             "mount -t tmpfs -o size=%d none %s && exec %s run %s --out %s/out" %
             (room, small, BLACKSTART, path, small)],
            capture_output=True, text=True, timeout=120, env=harness.environment(token))
        self.assertEqual(r.returncode, 5, r.stderr)
        self.assertIn("No space left on device", r.stderr)
        self.assertEqual(harness.processes_of(token), [])


if __name__ == "__main__":
    harness.main()

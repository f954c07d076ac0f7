"""Hooks: who is told of a drill, and that nothing of it can change one. Against a small server of ours."""
import contextlib
import http.server
import json
import os
import shutil
import signal
import threading
import time
import unittest

import harness
from harness import Drill
from scenes import KILL, REVIVING, scene


class Receiver:
    """Takes everything, says what it was told to say."""

    def __init__(self, test):
        self.got = []
        self.answer = lambda path: (200, {"id": 77})
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def take(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.got.append((self.command, self.path, dict(self.headers), json.loads(body)))
                status, words = receiver.answer(self.path)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(status)
                    self.end_headers()
                    self.wfile.write(json.dumps(words).encode())

            do_POST = do_PATCH = take

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)
        self.url = "http://127.0.0.1:%d" % self.server.server_port


class Hooks(unittest.TestCase):
    def drill(self, hooks, *options, script=KILL, start=REVIVING, **more):
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base, True)
        with open(os.path.join(base, "secret"), "w") as f:
            f.write("t0ken-of-grafana\n")
        text = scene(script, extra="hooks:\n" + hooks, start=start, rto="1500ms", **more)
        d = Drill(harness.write(os.path.join(base, "scenario.yaml"), text), *options)
        d.folder = base
        self.addCleanup(d.remove)
        return d

    def end_notices(self, d):
        with open(os.path.join(d.out, "end-notices.json")) as f:
            return json.load(f)

    def test_everybody_is_told_of_everything_once(self):
        r = Receiver(self)
        os.environ["SLACK_URL"] = r.url + "/slack-secret-path"
        self.addCleanup(os.environ.pop, "SLACK_URL")
        d = self.drill("""
  start:
    - {command: 'echo "$BLACKSTART_EVENT $BLACKSTART_SCENARIO $BLACKSTART_ID" > told'}
    - {webhook: {url: {env: SLACK_URL}, format: slack}}
  injection:
    - {webhook: {url: "%(url)s/hook", template: '{"what": "{{action}} of {{targets}} in {{step}}", "n": {{trial}}}'}, headers: {X-Who: us}}
    - {grafana: {url: "%(url)s", token: {file: secret}, tags: prod web}}
    - {command: 'echo "$BLACKSTART_EVENT $BLACKSTART_ACTION $BLACKSTART_STEP" > hit'}
  end:
    - {webhook: {url: "%(url)s/end?key=1"}}
    - {webhook: {url: "%(url)s/verdict", template: '{"v": "{{verdict}}", "c": {{exit_code}}, "why": "{{sentence}}"}'}}
    - {command: 'cp "$BLACKSTART_REPORT" page; echo "$BLACKSTART_TEXT" > last'}
  abort: {webhook: {url: "%(url)s/abort"}}
""" % {"url": r.url}).run()
        self.assertEqual(d.code, 0, d.explain())
        harness.check_record(d.record)
        self.assertEqual(harness.processes_of(d.token), [])
        with open(os.path.join(d.folder, "told")) as f:
            self.assertEqual(f.read().split()[:2], ["start", "small"])
        with open(os.path.join(d.folder, "hit")) as f:
            self.assertEqual(f.read(), "injection kill kill\n")
        got = {path: (method, headers, body) for method, path, headers, body in r.got}
        self.assertEqual(set(got), {"/slack-secret-path", "/hook", "/api/annotations",
                                    "/api/annotations/77", "/end?key=1", "/verdict"})
        self.assertRegex(got["/slack-secret-path"][2]["text"], "^blackstart, drill .* of small begins")
        self.assertEqual(got["/hook"][2], {"what": "kill of srv in kill", "n": 1})
        self.assertEqual(got["/hook"][1]["X-Who"], "us")
        method, headers, note = got["/api/annotations"]
        self.assertEqual(headers["Authorization"], "Bearer t0ken-of-grafana")
        self.assertEqual(note["tags"], ["blackstart", "small", "injection", "prod", "web"])
        self.assertLess(abs(note["time"] / 1000 - time.time()), 60)
        self.assertEqual(got["/api/annotations/77"][0], "PATCH")
        self.assertGreater(got["/api/annotations/77"][2]["timeEnd"], note["time"])
        end = got["/end?key=1"][2]
        self.assertEqual([end[k] for k in ("status", "verdict", "exit_code", "report", "folder")],
                         ["completed", "met", "0", os.path.join(d.out, "report.html"), d.out])
        self.assertEqual(got["/verdict"][2], {"v": "met", "c": 0, "why": end["sentence"]})
        self.assertIn(end["sentence"], " ".join(d.stdout.split()))
        # They were told when the report was there.
        with open(os.path.join(d.folder, "last")) as f:
            last = f.read()
        self.assertRegex(last, r"^blackstart, drill .* of small is over: met \(exit code 0\)\. ")
        self.assertIn(end["sentence"], last)
        with open(os.path.join(d.folder, "page")) as page, open(end["report"]) as report:
            self.assertEqual(page.read(), report.read())
        notices = d.events("notice")
        self.assertEqual(sorted(e["on"] for e in notices),
                         ["injection", "injection", "injection", "start", "start", "undone"])
        ends = self.end_notices(d)
        self.assertEqual(sorted(e["what"] for e in ends), ["command", "webhook", "webhook"])
        self.assertTrue(all(e["ok"] for e in notices + ends), notices + ends)
        for name in ("end-notices.json", "record.ndjson", "scenario.yaml", "report.html", "result.json"):
            with open(os.path.join(d.out, name)) as f:
                text = f.read()
            self.assertNotIn("slack-secret-path", text)
            self.assertNotIn("t0ken-of-grafana", text)
            if name != "scenario.yaml":
                self.assertNotIn("key=1", text)

    def test_who_fails_or_hangs_delays_and_changes_nothing(self):
        r = Receiver(self)
        r.answer = lambda path: (500, "no") if path == "/bad" else time.sleep(20) or (200, {})
        d = self.drill("""
  start:
    - {webhook: {url: "%(url)s/hang"}, timeout: 1s}
    - {command: "sleep 20", timeout: 1s}
  injection:
    - {webhook: {url: "%(url)s/bad"}}
    - {command: "echo broken; exit 3"}
    - {webhook: {url: "http://127.0.0.1:9/"}}
  end: {webhook: {url: "%(url)s/hang"}, timeout: 1s}
""" % {"url": r.url}).run()
        self.assertEqual(d.code, 0, d.explain())
        self.assertEqual(d.result["verdict"], "met")
        harness.check_record(d.record)
        self.assertEqual(harness.processes_of(d.token), [])
        failed = [e for e in d.events("notice") if not e["ok"]]
        self.assertEqual(len(failed), 5, failed)
        self.assertEqual(len([f for f in d.result["findings"] if f["code"] == "notice_failed"]), 5)
        # The last is told when the record is finished.
        end, = self.end_notices(d)
        self.assertEqual((end["on"], end["ok"]), ("end", False))
        self.assertIn("warning: the notice of the end FAILED (webhook, %s/hang)" % r.url, d.stderr)
        details = " ".join(e["detail"] for e in failed)
        for words in ("did not end within 1 s", "status 500", "exit code 3: broken", "no whole answer"):
            self.assertIn(words, details)
        # The fault came when it was due, 300 ms after the script's zero: not the second later that they take.
        zero = d.events("state", state="inject")[0]["zero"]
        self.assertLess(d.events("inject")[0]["at"][0] - zero, 1.2e9)
        with open(os.path.join(d.out, "report.md")) as f:
            self.assertIn("exit code 3: broken", f.read())

    def test_the_end_tells_what_was_missed_and_why_a_lab_did_not_come_up(self):
        r = Receiver(self)
        end = '  end: {webhook: {url: "%s/end", format: slack}}\n' % r.url
        d = self.drill(end, start=None).run()
        self.assertEqual(d.code, 1, d.explain())
        self.assertRegex(r.got[-1][3]["text"], r"is over: not met \(exit code 1\)\. .* Report: /")
        d = self.drill(end, more_hosts='  sick: {lab: {address: 10.77.0.5}, start: ["false"], '
                                       'ready: {tcp: 9, within: 300ms}}\n').run()
        self.assertEqual(d.code, 3, d.explain())
        self.assertRegex(r.got[-1][3]["text"], r"is over: failed \(exit code 3\)\. .*sick")
        self.assertNotIn("Report:", r.got[-1][3]["text"])
        self.assertEqual(len(r.got), 2)

    def test_who_dies_before_the_verdict_was_still_undone_and_that_is_told(self):
        r = Receiver(self)
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base, True)
        plotter = harness.write(os.path.join(base, "gnuplot"), "#!/bin/sh\n: > %s/begun\nsleep 3\n" % base)
        os.chmod(plotter, 0o755)
        path = os.environ["PATH"]
        os.environ["PATH"] = base + ":" + path
        self.addCleanup(os.environ.__setitem__, "PATH", path)
        d = self.drill("""
  end: {webhook: {url: "%(url)s/end"}}
  abort: {webhook: {url: "%(url)s/abort"}}
""" % {"url": r.url}, trials=2).start()
        harness.wait_until(lambda: os.path.exists(os.path.join(base, "begun")))
        d.process.kill()
        harness.wait_until(lambda: r.got)
        d.finish()
        (_, path, _, told), = r.got
        self.assertEqual((path, told["event"], told["status"]), ("/end", "end", "completed"))
        self.assertNotIn("verdict", told)
        self.assertIn("before it gave the verdict", told["text"])
        self.assertTrue(harness.wait_until(lambda: not harness.processes_of(d.token)))

    def test_who_is_in_a_hurry_waits_for_no_end(self):
        d = self.drill("  end: {command: ': > begun; sleep 30', timeout: 1m}\n").start()
        harness.wait_until(lambda: os.path.exists(os.path.join(d.folder, "begun")))
        before = time.monotonic()
        d.process.send_signal(signal.SIGINT)
        d.finish()
        self.assertLess(time.monotonic() - before, 20)
        self.assertEqual(d.code, 0, d.explain())
        self.assertIn("given up", self.end_notices(d)[0]["detail"])
        self.assertTrue(harness.wait_until(lambda: not harness.processes_of(d.token)))

    def test_who_waits_for_the_end_hears_of_the_abort(self):
        r = Receiver(self)
        hooks = """
  end: {webhook: {url: "%(url)s/end"}}
  abort:
    - {webhook: {url: "%(url)s/abort"}}
    - {webhook: {url: "%(url)s/slack", format: slack}}
    - {webhook: {url: "%(url)s/ours", template: '{"{{event}}": "{{reason}}"}'}}
    - {grafana: {url: "%(url)s", token: {file: secret}}}
    - {command: 'echo "$BLACKSTART_EVENT $BLACKSTART_STATUS" > aborted'}
""" % {"url": r.url}
        for signo in (signal.SIGINT, signal.SIGKILL):
            with self.subTest(signo=signo):
                r.got.clear()
                d = self.drill(hooks).start()
                d.tail(lambda e: e["kind"] == "inject")
                d.process.send_signal(signo)
                d.finish()
                aborted = os.path.join(d.folder, "aborted")
                harness.wait_until(lambda: len(r.got) == 4 and os.path.exists(aborted) and
                                   os.path.getsize(aborted))
                got = {path: body for _, path, _, body in r.got}
                self.assertEqual(set(got), {"/abort", "/slack", "/ours", "/api/annotations"})
                self.assertEqual(len(r.got), 4)
                reason = got["/abort"]["reason"]
                self.assertIn("Ctrl-C" if signo == signal.SIGINT else "the runner died", reason)
                self.assertEqual(got["/slack"], {"text": got["/abort"]["text"]})
                self.assertEqual(got["/ours"], {"abort": reason})
                self.assertEqual(got["/api/annotations"]["tags"], ["blackstart", "small", "abort"])
                with open(aborted) as f:
                    self.assertEqual(f.read(), "abort %s\n" % got["/abort"]["status"])
                self.assertTrue(harness.wait_until(lambda: not harness.processes_of(d.token)))

    def test_a_secret_that_is_missing_is_told_before_anything_is_done(self):
        d = self.drill("  start: {webhook: {url: {env: NO_SUCH_VARIABLE}}}\n").run()
        self.assertNotEqual(d.code, 0)
        self.assertIn("NO_SUCH_VARIABLE", d.stderr)
        self.assertEqual(harness.processes_of(d.token), [])


harness.main()

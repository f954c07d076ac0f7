"""Alarms that come from others' monitoring, over real sockets: a webhook in a host and on this machine,
Prometheus' API as a stand-in serves it, maintenance windows. Real Prometheus and Alertmanager:
scenarios/alert-layers.
"""
import base64
import contextlib
import http.client
import http.server
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import unittest

import harness
from harness import Drill, wait_until

# A hook in the lab is reached from this machine by a command of the script: it stands in a host.
LAB = """
blackstart: 1
name: alarms
services: {web: {detect_within: {within: 1500ms, by: [page]}}}
hosts:
  client: {lab: {address: 10.0.0.1/24}, files: [post.py]}
  server: {lab: {address: 10.0.0.2/24}, files: [stampd], start: ["./stampd --port 80"], ready: {tcp: 80}}
probes:
  page: {service: web, host: client, http: "http://10.0.0.2/", every: 50ms, timeout: 200ms, stable: 500ms}
alarms:
%(alarms)s
script:
%(script)s
%(more)s
settle: 200ms
horizon: %(horizon)s
expect: {web: either}
"""
CUT = "  - {at: 300ms, for: 1s, partition: {isolate: [server]}}\n"
WAIT = "  - {at: 5s, run: {host: client, command: 'true'}}\n"

# post.py PORT PATH NAME=STATUS...: as Alertmanager posts.
POST = """
import http.client, json, sys
alerts = [{"status": s, "labels": {"alertname": n, "job": "web"}, "startsAt": "2026-11-22T20:45:01Z",
           "fingerprint": n} for n, s in (a.split("=") for a in sys.argv[3:])]
c = http.client.HTTPConnection("10.0.0.1", int(sys.argv[1]), timeout=5)
c.request("POST", sys.argv[2], json.dumps({"version": "4", "alerts": alerts}))
sys.exit(c.getresponse().status != 200)
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def alert(name, status="firing", **more):
    return {"status": status, "labels": {"alertname": name, "severity": "page"},
            "fingerprint": name, "startsAt": "2026-11-22T20:45:01.5Z", **more}


def post(port, body, path="/", method="POST", **headers):
    """The status of the answer."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        c.request(method, path, body if isinstance(body, (str, bytes)) else json.dumps(body), headers)
        return c.getresponse().status
    finally:
        c.close()


def group(*alerts):
    return {"version": "4", "status": "firing", "alerts": list(alerts)}


WRITER = "/lib/systemd/systemd-journal-remote"


class Alarms(unittest.TestCase):
    def drill(self, alarms, script=CUT, more="", horizon="3s", files=None, options=()):
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base, True)
        for name, text in {"post.py": POST, **(files or {})}.items():
            harness.write(os.path.join(base, name), text)
        text = LAB % {"alarms": alarms, "script": script, "more": more, "horizon": horizon}
        d = Drill(harness.write(os.path.join(base, "alarms.yaml"), text), *options)
        self.addCleanup(d.remove)
        return d

    def faulted(self, d):
        """Starts it; returns when the fault is in force."""
        d.start()
        return d.tail(lambda e: e["kind"] == "inject")

    def finish(self, d, code):
        d.finish()
        self.assertEqual(d.code, code, d.explain())
        harness.check_record(d.record)
        return d

    def onsets(self, d, alarm, event="onset"):
        return d.events("alarm", alarm=alarm, event=event)

    # ---- a journal ----

    def test_a_journal_without_a_host_is_this_machines(self):
        if not os.path.exists(WRITER):
            self.skipTest("systemd-journal-remote is not installed")
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base, True)
        writer = subprocess.Popen([WRITER, "--output=%s/machine.journal" % base, "-"],
                                  stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(writer.wait)
        self.addCleanup(writer.stdin.close)

        def entry(message):
            with open("/proc/sys/kernel/random/boot_id") as f:
                boot = f.read().strip().replace("-", "")
            writer.stdin.write((
                "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%s\nMESSAGE=%s\n"
                "_SYSTEMD_UNIT=web.service\nPRIORITY=3\n\n"
                % (time.time_ns() // 1000, time.monotonic_ns() // 1000, boot, message)).encode())
            writer.stdin.flush()

        entry("web failed before")
        d = self.drill('  said: {service: web, role: page, journal: {match: "^web failed", '
                       'unit: web.service, directory: %s}}\n' % base)
        fault = self.faulted(d)
        entry("web failed")
        entry("all is well")
        self.finish(d, 0)
        said, = self.onsets(d, "said")
        self.assertEqual(said["detail"], "web failed")
        self.assertEqual(said["at"][1] - said["at"][0], 999)
        self.assertGreater(said["at"][0], fault["at"][0])

    # ---- webhooks ----

    def test_a_webhook_in_a_host_notices_and_one_listener_serves_several(self):
        alarms = """
  pager: {service: web, role: page, webhook: {host: client, listen: "10.0.0.1:9099"}, where: {alertname: Down}}
  slow: {service: web, role: monitor, webhook: {host: client, listen: "10.0.0.1:9099"}, where: {alertname: Slow}}
  other: {service: web, role: monitor, webhook: {host: client, listen: "10.0.0.1:9099", path: /other}}
"""
        say = "  - {at: %s, run: {host: client, command: python3 post.py 9099 / %s}}\n"
        script = (CUT + say % ("600ms", "Down=firing Slow=firing") + say % ("800ms", "Down=firing") +
                  say % ("1500ms", "Down=resolved"))
        d = self.finish(self.drill(alarms, script).start(), 0)
        pager, slow = self.onsets(d, "pager"), self.onsets(d, "slow")
        self.assertEqual((len(pager), len(slow)), (1, 1))  # what is repeated is no onset
        self.assertEqual(pager[0]["starts_at"], "2026-11-22T20:45:01.000Z")
        self.assertEqual(pager[0]["at"], slow[0]["at"])    # they came in one message
        self.assertEqual(len(self.onsets(d, "pager", "clear")), 1)
        self.assertEqual(self.onsets(d, "slow", "clear"), [])
        self.assertEqual(self.onsets(d, "other"), [])
        # The stamp lies within the command that posted.
        ran = {e["event"]: e["at"] for e in d.events("action", step="step-2")}
        self.assertLessEqual(ran["start"][0], pager[0]["at"][0])
        self.assertLessEqual(pager[0]["at"][1], ran["end"][1])
        web = d.result["trials"][0]["services"]["web"]
        self.assertEqual((web["detection"], web["detected_by"]), ("detected", "pager"))
        self.assertTrue(web["alarms"]["other"]["never"])
        self.assertEqual(web["alarms"]["pager"]["starts_at"], "2026-11-22T20:45:01.000Z")
        self.assertIsNotNone(web["alarms"]["pager"]["resolved"])
        layers = {l["role"]: l for l in d.result["layers"]}
        self.assertEqual(layers["page"]["mttd_s"]["n"], 1)
        self.assertEqual(layers["page"]["mttd_s"]["min"], web["alarms"]["pager"]["ttd_s"])
        self.assertIn("alarm_never_rang", [f["code"] for f in d.result["findings"]])
        with open(os.path.join(d.out, "metrics.prom")) as f:
            self.assertIn('blackstart_layer_detect_seconds{scenario="alarms",service="web",role="page",'
                          'statistic="median"}', f.read())

    def test_a_webhook_on_this_machine_takes_what_fits_and_records_what_does_not(self):
        port = free_port()
        alarms = """
  pager: {service: web, role: page, webhook: {listen: "127.0.0.1:%d", auth: {bearer: {env: HOOK_TOKEN}}}, where: {alertname: Down, severity: page}}
  basic: {service: web, role: page, webhook: {listen: "127.0.0.1:%d", path: /basic, auth: {user: us, password: {file: secret}}}}
  generic:
    service: web
    role: monitor
    where: {name: shop}
    webhook:
      listen: "127.0.0.1:%d"
      path: /generic
      format: generic
      fields: {each: /events, name: /check, status: /state, start: /since, firing: [down], resolved: [up]}
""" % (port, port, port)
        os.environ["HOOK_TOKEN"] = "t0ken-of-the-hook"
        self.addCleanup(os.environ.pop, "HOOK_TOKEN")
        d = self.drill(alarms, files={"secret": "pa55word-of-the-hook\n"}, horizon="4s")
        self.faulted(d)
        right = {"Authorization": "Bearer t0ken-of-the-hook"}
        basic = {"Authorization": "Basic " + base64.b64encode(b"us:pa55word-of-the-hook").decode()}
        down = group(alert("Down"))
        self.assertEqual(post(port, down), 401)
        self.assertEqual(post(port, down, Authorization="Bearer t0ken-of-the-hoot"), 401)
        self.assertEqual(post(port, down, path="/basic", **right), 401)
        self.assertEqual(post(port, down, path="/nowhere", **right), 404)
        self.assertEqual(post(port, None, method="GET", **right), 405)
        self.assertEqual(post(port, "{", **right), 400)
        self.assertEqual(post(port, {"version": "5", "alerts": []}, **right), 400)
        self.assertEqual(post(port, b" " * (1 << 21), **right), 413)
        self.assertEqual(post(port, {"events": [{"check": "shop"}]}, path="/generic"), 400)
        self.assertEqual(self.onsets(d, "pager"), [])
        # A client that is slow holds up nobody.
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        for s in slow:
            self.addCleanup(s.close)
            s.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        sent = time.monotonic()
        self.assertEqual(post(port, down, **right), 200)
        self.assertLess(time.monotonic() - sent, 10)  # they say no more
        self.assertEqual(post(port, group(alert("Other")), **right), 200)
        self.assertEqual(post(port, down, path="/basic", **basic), 200)
        event = {"check": "shop", "state": "down", "since": 1795380301}
        self.assertEqual(post(port, {"events": [event, {"check": "x", "state": "down"}]},
                              path="/generic"), 200)
        self.assertEqual(post(port, {"events": [dict(event, state="unsure")]}, path="/generic"), 200)
        self.assertEqual(post(port, {"events": [dict(event, state="up")]}, path="/generic"), 200)
        # A new beginning means an end that was not told.
        self.assertEqual(post(port, group(alert("Down", startsAt="2026-11-22T20:46:00Z")), **right), 200)
        self.finish(d, 0)
        self.assertEqual(len(self.onsets(d, "pager")), 2)
        self.assertEqual(len(self.onsets(d, "pager", "clear")), 1)
        self.assertEqual(len(self.onsets(d, "basic")), 1)
        self.assertEqual([e["detail"] for e in self.onsets(d, "generic")], ["shop"])
        self.assertEqual(self.onsets(d, "generic")[0]["starts_at"], "2026-11-22T20:45:01.000Z")
        self.assertEqual(len(self.onsets(d, "generic", "clear")), 1)
        refused = [e["detail"] for e in d.events("trouble", what="webhook-refused")]
        self.assertEqual([w.split(": ")[1].split(",")[0] for w in refused],
                         ["401", "401", "401", "404", "405", "400", "400", "413", "400"])
        self.assertEqual(len(d.events("trouble", what="alert-unknown")), 1)
        for root, _, files in os.walk(d.out):
            for name in files:
                with open(os.path.join(root, name), "rb") as f:
                    text = f.read()
                self.assertNotIn(b"of-the-hook", text, name)

    def test_a_port_that_is_taken_is_told_before_anything_is_injected(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            d = self.drill('  pager: {service: web, role: page, webhook: {listen: "127.0.0.1:%d"}}\n'
                           % s.getsockname()[1]).run()
        self.assertEqual(d.code, 3, d.explain())
        self.assertIn("alarm pager: listening on 127.0.0.1:", d.stderr)
        self.assertEqual(d.events("inject"), [])

    # ---- Prometheus ----

    def test_prometheus_is_asked_and_its_errors_are_no_silence(self):
        answers = {"down": False, "broken": False}
        asked = []

        class Api(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append((self.path, self.headers.get("Authorization")))
                found = [{"metric": {}, "value": [1, "1"]}] if answers["down"] else []
                data = {"resultType": "vector", "result": found}
                if self.path == "/api/v1/alerts":
                    data = {"alerts": [{"labels": {"alertname": "Down", "severity": "page"},
                                        "state": "firing", "activeAt": "2026-11-22T20:45:01Z"}]
                            if answers["down"] else []}
                body = {"status": "success", "data": data}
                if self.path == "/api/v2/silences":
                    matcher = {"name": "alertname", "value": "Do.*", "isRegex": True, "isEqual": True}
                    body = [{"id": "7-1", "status": {"state": "active"}, "matchers": [matcher],
                             "endsAt": "2030-01-01T00:00:00Z", "createdBy": "ops", "comment": "move"}]
                status = 200
                if answers["broken"] and self.path != "/api/v2/silences":
                    status = 503
                    body = {"status": "error", "errorType": "unavailable", "error": "wait"}
                with contextlib.suppress(BrokenPipeError):  # who asks may be gone: the trial ends
                    self.send_response(status)
                    self.end_headers()
                    self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = "http://127.0.0.1:%d/" % server.server_port
        os.environ["PROM_TOKEN"] = "Bearer s3cret-of-prometheus"
        self.addCleanup(os.environ.pop, "PROM_TOKEN")
        alarms = """
  asked: {service: web, role: page, prometheus: {url: "%s", query: 'up{job="web"} == 0', every: 50ms, headers: {Authorization: {env: PROM_TOKEN}}}}
  listed: {service: web, role: monitor, where: {severity: page}, prometheus: {url: "%s", alertname: Down, every: 50ms}}
  above: {service: web, role: monitor, prometheus: {url: "%s", query: 'x', above: 1, every: 50ms}}
  silenced: {service: web, role: monitor, where: {alertname: Down}, webhook: {listen: "127.0.0.1:%d", silences: "%s"}}
""" % (url, url, url, free_port(), url)
        d = self.drill(alarms, horizon="3s")
        self.faulted(d)
        answers["broken"] = True
        time.sleep(0.3)  # its length is the subject
        wait_until(lambda: len(d.events("trouble", what="alarm-failed")) == 3)
        answers.update(broken=False, down=True)
        wait_until(lambda: all(self.onsets(d, name) for name in ("asked", "listed")))
        answers["down"] = False
        self.finish(d, 0)
        for name in ("asked", "listed"):
            self.assertEqual((len(self.onsets(d, name)), len(self.onsets(d, name, "clear"))), (1, 1))
        self.assertEqual(self.onsets(d, "above"), [])
        self.assertEqual(self.onsets(d, "listed")[0]["starts_at"], "2026-11-22T20:45:01.000Z")
        # It was broken before it fired: the onset can have been all that time.
        lo, hi = self.onsets(d, "asked")[0]["at"]
        self.assertGreater(hi - lo, 0.25e9)
        failed = [e["detail"] for e in d.events("trouble", what="alarm-failed")]
        self.assertEqual(len(failed), 3, failed)
        self.assertIn("status 503: Prometheus says unavailable: wait", failed[0])
        self.assertIn(("/api/v1/query?query=up%7Bjob%3D%22web%22%7D%20%3D%3D%200",
                       "Bearer s3cret-of-prometheus"), asked)
        with open(os.path.join(d.out, "record.ndjson")) as f:
            self.assertNotIn("s3cret", f.read())
        # An Alertmanager's silence that is active at the end.
        self.assertEqual([e["active"] for e in d.events("silence", alarm="silenced")], [True])
        found = [f for f in d.result["findings"] if f["code"] == "suppression_not_ended"]
        self.assertEqual([f["text"].split(": ", 1)[1] for f in found],
                         ["silence 7-1 until 2030-01-01T00:00:00Z: move"])

    # ---- Maintenance ----

    def test_maintenance_suppresses_releases_and_must_end(self):
        alarms = """
  pager: {service: web, role: page, webhook: {host: client, listen: "10.0.0.1:9099"}, where: {alertname: Down}}
  silent: {service: web, role: page, webhook: {host: client, listen: "10.0.0.1:9099"}, where: {alertname: Never}}
  late: {service: web, role: monitor, webhook: {host: client, listen: "10.0.0.1:9099"}, where: {alertname: Down}}
"""
        say = "  - {at: %s, run: {host: client, command: python3 post.py 9099 / %s}}\n"
        script = ("  - {at: 300ms, for: 3500ms, partition: {isolate: [server]}}\n" +
                  say % ("600ms", "Down=firing") +
                  "  - {when: {alarm: pager}, run: {host: client, command: 'echo pager'}}\n")
        more = ("maintenance:\n  - {alarm: pager, from: 0s, for: 1500ms}\n"
                "  - {alarm: silent, from: 0s, for: 1s}\n  - {alarm: late, from: 0s, for: 1h}\n")
        d = self.drill(alarms, script, more, horizon="4500ms")
        self.finish(d.start(), 0)
        first, second = self.onsets(d, "pager")
        self.assertEqual((first.get("suppressed"), first.get("released")), (True, None))
        self.assertEqual((second.get("suppressed"), second.get("released")), (None, True))
        zero = d.events("state", state="inject")[0]["zero"]
        self.assertEqual(second["at"], [zero + 1500000000] * 2)
        # Who waits for the pager waits for what it tells, not for what is suppressed.
        echoed = [e for e in d.events("action", event="start") if e["command"] == "echo pager"]
        self.assertGreater(echoed[0]["at"][0], second["at"][0])
        web = d.result["trials"][0]["services"]["web"]
        self.assertEqual(web["detected_by"], "pager")
        # It was noticed when the window was over, not by what was suppressed in it.
        self.assertAlmostEqual(web["alarms"]["pager"]["onset"][0], second["at"][0] / 1e9, places=6)
        self.assertEqual(web["alarms"]["pager"]["suppressed"], 1)
        found = {(f["code"], [a for a in ("pager", "silent", "late") if a in f["text"]][0])
                 for f in d.result["findings"]
                 if f["code"] in ("suppressed", "suppression_not_ended", "maintenance_outlasts")}
        self.assertEqual(found, {("suppressed", "pager"), ("suppressed", "late"),
                                 ("suppression_not_ended", "silent"),
                                 ("maintenance_outlasts", "late")})

    def test_a_suppression_that_does_not_end_is_a_finding(self):
        alarms = ('  pager: {service: web, role: page, webhook: {host: client, listen: "10.0.0.1:9099"}}\n')
        script = "  - {at: 300ms, for: 4s, partition: {isolate: [server]}}\n"
        more = "maintenance: {service: web, from: 0s, for: 1s}\n"
        d = self.finish(self.drill(alarms, script, more, horizon="4500ms").start(), 1)
        found = [f for f in d.result["findings"] if f["code"] == "suppression_not_ended"]
        self.assertEqual(len(found), 1, d.result["findings"])
        self.assertEqual(found[0]["weight"], "failure")
        with open(os.path.join(d.out, "report.md")) as f:
            self.assertIn("its suppression did not end", f.read())


harness.main()

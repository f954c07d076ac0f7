"""forecast --years: from the scenario's components to its record, result and pages."""
import json
import os
import re
import shutil
import subprocess
import unittest

import harness

SCENARIO = """blackstart: 1
name: two-zones
services:
  shop: {needs: [db, {any: 1, of: [pay-a, pay-b]}], sla: 99.9%, costs: {per_hour: 5000}}
  db: {sla: SLA}
  pay-a: {}
  pay-b: {}
components:
  zone-a: {fails: {exponential: 400d}, repair: {exponential: 2h}}
  zone-b: {fails: {exponential: 400d}, repair: {exponential: 2h}}
  db1: {in: zone-a, fails: {exponential: 90d}, repair: {exponential: 4h}, crew: ops}
  db2: {in: zone-b, fails: {exponential: 90d}, repair: {exponential: 4h}, crew: ops}
  acme: {fails: {exponential: 60d}, repair: {lognormal: {median: 40m, p95: 4h}}}
  beta: {fails: {exponential: 60d}, repair: {lognormal: {median: 40m, p95: 4h}}}
crews:
  ops: {at_a_time: 1}
roles:
  on-call: {people: [ann, ben], acknowledges: {exponential: 4m}}
probes:
  page: {service: db, http: "https://shop.example/", every: 10s, timeout: 2s, down_after: 3}
alarms:
  pager: {role: page, threshold: {probe: page, consecutive: 3}}
model:
  db:
    redundancy: {of: [db1, db2], mode: active-passive}
    restore:
      - decide: {uniform: [2m, 10m], by: on-call}
      - promote: {uniform: [1m, 2m]}
    failback: 8h
  pay-a: {redundancy: acme}
  pay-b: {redundancy: beta}
horizon: 1d
"""


TWO_MUST_FAIL = """blackstart: 1
name: two-must-fail
services:
  web: {rto: 10m}
components:
  server: {}
probes:
  page: {service: web, http: "https://web.example/", every: 10s, timeout: 1s}
model:
  web:
    redundancy: server
    restore:
      - first: {constant: 10s, works: 99.9%, at: impact, else: second}
      - second: {constant: 20s, works: 99.9%, only: fallback}
script:
  - {id: lose, at: 10s, outage: {component: server}}
horizon: 1h
"""


class Rare(unittest.TestCase):
    def test_a_missed_rto_of_one_in_a_million(self):
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base, ignore_errors=True)
        path = os.path.join(base, "two.yaml")
        with open(path, "w") as f:
            f.write(TWO_MUST_FAIL)

        def forecast(out, trials, *options, **kwargs):
            r = subprocess.run([harness.BLACKSTART, "forecast", path, "--rare", "--seed", "1", "-q",
                                "--no-why", "--trials", trials, "--out", os.path.join(base, out),
                                *options], capture_output=True, text=True, **kwargs)
            self.assertEqual(r.returncode, 0, r.stderr)

        def rare(out):
            with open(os.path.join(base, out, "record.ndjson")) as f:
                record = [json.loads(line) for line in f]
            harness.check_record(record)
            return [e for e in record if e.get("what") == "rare"][0]["services"]["web"]

        for threads in "1", "2":
            forecast(threads, "40000", "--threads", threads)
        forecast("7", "40000", "--threads", "7", env=harness.without_fused())
        for k in "12345":
            forecast("part" + k, "40000", "--shard", k + "/5")
        parts = [os.path.join(base, "part" + k) for k in "12345"]
        r = subprocess.run([harness.BLACKSTART, "report", *parts, "--out",
                            os.path.join(base, "whole")], capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        harness.same_files(self, base, "1", "2", "7", "whole")
        value, low, high = rare("1")["missed"]
        self.assertTrue(low < 1e-6 < high and high - low < 0.4e-6, rare("1"))
        self.assertGreater(rare("1")["effective"], 1000)
        forecast("few", "2000")
        self.assertIsNone(rare("few")["missed"])  # worth too little


class Years(unittest.TestCase):
    def setUp(self):
        self.base = harness.folder()
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)

    def forecast(self, out, *options, sla="99.9%", scenario=SCENARIO, env=None):
        path = os.path.join(self.base, "two-zones.yaml")
        with open(path, "w") as f:
            f.write(scenario.replace("SLA", sla))
        r = subprocess.run(
            [harness.BLACKSTART, "forecast", path, "--years", "1", "--seed", "7", "-q", "--out",
             os.path.join(self.base, out)] + list(options), capture_output=True, text=True,
            cwd=self.base, env=env)
        return r

    def read(self, out, name):
        with open(os.path.join(self.base, out, name), "rb") as f:
            return f.read()

    def result(self, out):
        return json.loads(self.read(out, "result.json"))

    def test_the_same_bytes_with_any_number_of_threads_and_parts(self):
        # The last as on a processor without fused multiplication.
        for threads, env in ("1", None), ("2", None), ("7", harness.without_fused()):
            r = self.forecast(threads, "--trials", "4000", "--threads", threads, "--rare", env=env)
            self.assertEqual(r.returncode, 0, r.stderr)
        parts = ["part" + k for k in "12345"]
        for k, part in enumerate(parts, 1):
            r = self.forecast(part, "--trials", "4000", "--shard", "%d/5" % k, "--rare")
            self.assertEqual(r.returncode, 0, r.stderr)
        r = subprocess.run([harness.BLACKSTART, "report", *reversed(parts), "--out", "whole"],
                           capture_output=True, text=True, cwd=self.base)
        self.assertEqual(r.returncode, 0, r.stderr)
        harness.same_files(self, self.base, "1", "2", "7", "whole")
        harness.check_record([json.loads(line) for line in
                              self.read("1", "record.ndjson").splitlines()])

    def test_what_it_says(self):
        r = self.forecast("out", "--trials", "4000", "--rare")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("leaves 8 h 46 min a year", r.stdout)  # A12: 526 minutes
        result = self.result("out")
        services = {s["name"]: s for s in result["services"]}
        self.assertEqual((result["mode"], result["question"], result["years"]),
                         ("forecast", "years", 4000))
        # A single provider: 1 / (60 d + its mean repair of 63 minutes).
        self.assertAlmostEqual(services["pay-a"]["incidents_per_year"], 365 / 60.05, delta=0.15)
        self.assertEqual(sorted((p["component"], p["services"]) for p in result["single_points"]),
                         [("acme", ["pay-a"]), ("beta", ["pay-b"])])
        by = {(c["component"], c["service"]): c for c in result["cascades"]}
        self.assertGreater(by["db1", "shop"]["share"], 0.5)
        self.assertNotIn(("acme", "pay-b"), by)
        # Both ways of estimating agree.
        for name in "shop", "db", "pay-a":
            rare, plain = services[name]["rare"], services[name]["unavailability_in"]
            value, se = rare["unavailability"]
            self.assertLess(value - 3 * se, plain[1], name)
            self.assertGreater(value + 3 * se, plain[0], name)
            self.assertGreater(rare["effective"], 1000, name)
        page = self.read("out", "report.html").decode()
        self.assertIn('<section id="cascades">', page)
        losses = page.split('<section id="losses">')[1].split("</section>")[0]
        for words in ("In which share of years being down costs more than that",
                      '<path class="within"', '<path class="target"'):
            self.assertIn(words, losses)
        self.assertGreater(losses.split('<path class="within"')[1].split("/>")[0].count("L"), 20)
        curve = result["losses"]["exceeded"]
        self.assertEqual(curve, sorted(curve, key=lambda p: (p[0], -p[1])))
        self.assertEqual(curve[-1][1], 0)

    def test_what_a_contract_leaves(self):
        # A12: (1 - A) of the period; and what is used of it, from the unavailability that is reported.
        for sla, minutes in ("99.9%", 525.6), ("99.99%", 52.56):
            self.forecast("of" + sla, "--trials", "500", sla=sla)
            db = {s["name"]: s for s in self.result("of" + sla)["services"]}["db"]
            contract = db["contract"]
            self.assertAlmostEqual(contract["budget_s"] / 60, minutes, places=6)
            self.assertAlmostEqual(contract["budget_s"] / 60 * 30 / 365,
                                   {"99.9%": 43.2, "99.99%": 4.32}[sla], places=6)
            self.assertAlmostEqual(contract["used_s"], db["unavailability"] * 365 * 86400, places=3)
            self.assertEqual(db["down_s_per_year"], contract["used_s"])

    def test_what_the_years_leave_out_is_said(self):
        r = self.forecast("out", "--trials", "200")
        self.assertEqual(self.result("out")["left_out"], [])
        self.assertNotIn("leave out", r.stdout)
        more = SCENARIO
        for old, new in (
                ("[db, {any", "[{service: db, breaker: {calls_per_second: 50}}, {any"),
                ("pay-a: {redundancy: acme}",
                 "pay-a: {redundancy: acme, load: 60%, errors: 0.1%, restore: [{swap: 5m}]}"),
                ("failback: 8h", "failback: 8h\n    replication: {lag: 1s}"),
                ("promote: {uniform: [1m, 2m]}", "promote: {uniform: [1m, 2m], change: true}"),
                ("horizon", "freeze: [{from: 1h, for: 1h}]\nhorizon")):
            more = more.replace(old, new)
        r = self.forecast("more", "--trials", "200", scenario=more)
        self.assertIn(r.returncode, (0, 1, 4), r.stderr)
        said = ["the breakers of shop", "overload and backlogs (load, retries) of pay-a",
                "single bad answers (errors) of pay-a", "the data (replication, backup) of db",
                "how people and runbooks restore what has no standby to switch to: pay-a",
                "freezes, which would hold up takeovers of db"]
        self.assertEqual(self.result("more")["left_out"], said)
        self.assertIn("Years leave out of this model: " + "; ".join(said) + ".",
                      " ".join(r.stdout.split()))
        self.assertIn("Years leave out", self.read("more", "report.md").decode())

    def test_upkeep_is_time_down_too(self):
        plain = SCENARIO.replace("acme: {fails", "acme: {upkeep: {every: 70d, takes: 1h}, fails")
        r = self.forecast("out", "--trials", "1000", scenario=plain)
        self.assertEqual(r.returncode, 0, r.stderr)
        by = {s["name"]: s for s in self.result("out")["services"]}["pay-a"]["begun_by"]
        self.assertTrue(4.5 < by["maintained"]["incidents"] / 1000 <= 5, by)
        self.assertEqual(by["maintained"]["down_s"], 3600 * by["maintained"]["incidents"])

    def test_a_contract_that_cannot_be_kept(self):
        r = self.forecast("out", "--trials", "1000", sla="99.999%")
        self.assertEqual(r.returncode, 1, r.stderr)
        self.assertIn("not met as a forecast", r.stdout)
        self.assertIn(b"<failure", self.read("out", "junit.xml"))

    def test_nothing_that_fails_is_refused(self):
        plain = re.sub(r"fails: \{[^}]*\}, ", "", SCENARIO)
        r = self.forecast("out", scenario=plain)
        self.assertEqual(r.returncode, 2, r.stdout)
        self.assertIn("fails", r.stderr)
        r = self.forecast("out", "--years", "0")
        self.assertEqual(r.returncode, 2)


if __name__ == "__main__":
    harness.main()

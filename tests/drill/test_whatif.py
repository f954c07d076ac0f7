"""forecast: why and what if, and drills held against it."""
import hashlib
import json
import os
import shutil
import subprocess
import unittest

import harness
import synthetic

MS, SEC = synthetic.MS, synthetic.SEC
MODEL = """blackstart: 1
name: shop
services:
  checkout: {rto: %(rto)s, detect_within: {within: 2m, by: pager}}
hosts:
  client: {lab: {address: 10.20.0.9/24}}
  lb1: {lab: {address: 10.20.0.11/24}, start: ["sleep 1000"]}
probes:
  page: {service: checkout, host: client, tcp: "10.20.0.11:80", every: 5s, timeout: 2s, down_after: 3}
alarms:
  pager: {threshold: {probe: page, consecutive: 3}}
roles:
  dba: {people: [bob], acknowledges: {lognormal: {median: %(median)s, p95: 12m}}}
model:
  checkout:
    restore:
      - failover: {uniform: [1s, 3s], at: detection, works: %(works)s, else: page-dba}
      - page-dba: {lognormal: {median: 2m, p95: 6m}, only: fallback, by: dba}
script:
  - {id: lose, at: 10s, node-kill: {host: lb1}}
variants:
  probed-faster: {set: {probes.page.every: 2s}}
  sure: {title: a controller that hardly fails, set: {model.checkout.restore.failover.works: 99.99%%}}
horizon: 1h
"""
DRAWN = """blackstart: 1
name: drawn
services:
  checkout: {rto: 10m}
hosts:
  client: {lab: {address: 10.20.0.9/24}}
  lb1: {lab: {address: 10.20.0.11/24}, start: ["sleep 1000"]}
probes:
  page: {service: checkout, host: client, tcp: "10.20.0.11:80", every: 5s, timeout: 2s, down_after: 3}
model: {checkout: {from: [%s]}}
script:
  - {id: lose, at: 10s, node-kill: {host: lb1}}
horizon: 1h
"""
DRILL = """blackstart: 1
name: shop-drill
services: {checkout: {rto: 10m}}
hosts:
  client: {lab: {address: 10.20.0.9/24}}
  lb1: {lab: {address: 10.20.0.11/24}, start: ["sleep 1000"]}
probes:
  page: {service: checkout, host: client, tcp: "10.20.0.11:80", every: 1s, timeout: 500ms, down_after: 2}
script:
  - {id: lose, at: 10s, node-kill: {host: lb1}}
trials: %d
horizon: 12m
"""


def drill(folder, outages):
    """A drill whose trials were down for so many seconds (None: to its end), with a probe each second."""
    os.mkdir(folder)
    text = DRILL % len(outages)
    harness.write(os.path.join(folder, "scenario.yaml"), text)
    w = synthetic.Writer(None)
    w.add(0, "run-start", record=1, blackstart="0.1.0", id="d1", mode="live",
          scenario={"name": "shop-drill", "digest": hashlib.sha256(text.encode()).hexdigest()},
          attempt={"n": 1, "earlier": []}, seed="42", trials=len(outages), operator="alice",
          wall="2026-01-31T12:00:00.000Z", wall_ns=0, clock="CLOCK_MONOTONIC", command=[],
          environment={})
    t0 = 1
    for n, outage in enumerate(outages, 1):
        def add(t, kind, **members):
            w.add(t0 + t, kind, trial=n, **members)
        add(0, "state", state="build")
        add(1, "trial-start", phases={"page": 0}, attempt=1)
        add(2, "state", state="settle")
        add(3 * SEC, "state", state="arm")
        add(3 * SEC + 1, "state", state="inject", zero=t0 + 3 * SEC + 1)
        lost = 13 * SEC + 1
        add(lost + MS, "inject", step="lose", action="node-kill", targets=["lb1"],
            at=[t0 + lost, t0 + lost + MS], ok=True, changes=[])
        add(lost + 2 * MS, "verify", step="lose", ok=True, asked="dead", seen="dead", how="pidfd",
            at=[t0 + lost + MS, t0 + lost + 2 * MS])
        back = lost + (outage or 700) * SEC
        end = lost + (outage or 700) * SEC + (10 * SEC if outage else 0)
        for k in range(int(end // SEC)):
            at = k * SEC + 400 * MS
            good = at < lost or at > back
            add(at + MS, "probe", probe="page", n=k, sched=t0 + at, start=t0 + at, end=t0 + at + MS,
                ok=good, **({} if good else {"why": "refused"}))
        add(end, "state", state="undo")
        add(end + 10, "undo", step="lose", cause="end", at=[t0 + end, t0 + end + 10], ok=True,
            changes=[])
        add(end + 20, "clean", clean=True, checked=[], left=[], others=[])
        add(end + 30, "trial-end", outcome="completed")
        t0 += end + SEC
    w.add(t0, "run-end", status="completed", wall="2026-01-31T13:00:00.000Z", wall_offset_ns=0,
          by="runner")
    w.save(os.path.join(folder, "record.ndjson"))
    return folder


class Base(unittest.TestCase):
    def setUp(self):
        self.base = harness.folder()
        self.addCleanup(shutil.rmtree, self.base, True)
        self.runs = 0

    def model(self, name="model.yaml", rto="10m", median="3m", works="90%"):
        return harness.write(os.path.join(self.base, name),
                             MODEL % {"rto": rto, "median": median, "works": works})

    def forecast(self, scenario, *options, trials=3000, code=0):
        self.runs += 1
        out = os.path.join(self.base, "out%d" % self.runs)
        done = subprocess.run([harness.BLACKSTART, "forecast", scenario, "--out", out, "--seed", "4",
                               "--trials", str(trials), *options],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stderr)
        if not os.path.exists(os.path.join(out, "result.json")):
            return done.stderr
        with open(os.path.join(out, "result.json")) as f:
            result = json.load(f)
        result["folder"], result["said"] = out, done.stdout
        return result

    def same(self, scenario, *options, trials=6000, code=0):
        """The same bytes with any number of threads, in parts and without fused multiplication."""
        names = []

        def forecast(name, *more, env=None):
            done = subprocess.run(
                [harness.BLACKSTART, "forecast", scenario, "--seed", "4", "--trials", str(trials),
                 "--quiet", "--out", os.path.join(self.base, name), *options, *more],
                capture_output=True, text=True, timeout=60, env=env)
            self.assertEqual(done.returncode, 0 if "--shard" in more else code, done.stderr)
            names.append(os.path.join(self.base, name))
        for threads in "1", "2":
            forecast("t" + threads, "--threads", threads)
        forecast("t7", "--threads", "7", env=harness.without_fused())
        for k in range(1, 6):
            forecast("part%d" % k, "--shard", "%d/5" % k)
        done = subprocess.run([harness.BLACKSTART, "report", *names[3:], "--out",
                               os.path.join(self.base, "whole")],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stderr)
        harness.same_files(self, self.base, "t1", "t2", "t7", "whole")
        with open(os.path.join(self.base, "t1", "result.json")) as f:
            return json.load(f)

    def drill(self, *outages):
        self.runs += 1
        return drill(os.path.join(self.base, "drill%d" % self.runs), outages)


def analysis(result, what):
    found = [a for a in result["analyses"] if a["what"] == what]
    return found[0] if found else None


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as f:
        return f.read()


class Why(Base):
    def test_luck_variants_and_sweep(self):
        r = self.forecast(self.model(), "--sweep", "probes.page.every=1s,5s,10s")
        luck = analysis(r, "luck")["services"]["checkout"]
        parts = {p["name"]: p for p in luck["parts"]}
        self.assertGreater(parts["stage:checkout/failover"]["total"]["ttr"][0], 0.4)
        self.assertEqual(parts["stage:checkout/failover"]["sure"]["missed"][0], 0)
        self.assertLess(abs(parts["stage:checkout/page-dba"]["on_path"][0] - 0.1), 0.03)
        self.assertGreater(luck["interaction"]["missed"][0], 0.2)
        sweep = analysis(r, "sweep")
        mean = {v["value"]: v["services"]["checkout"]["ttd_mean_s"] for v in sweep["values"]}
        for every, value in (("1s", 1), ("5s", 5), ("10s", 10)):
            # D1: half an interval to the first failing probe, two more of them, and its time-out
            self.assertLess(abs(mean[every] - (2.5 * value + 2)), 0.1, mean)
        same = sweep["values"][1]["services"]["checkout"]
        self.assertEqual(same["change"][0], 0)
        self.assertEqual(same["ttr_ratio"], [1, 1, 1])
        as_it_is, faster, sure = analysis(r, "variants")["variants"]
        self.assertGreater(sure["services"]["checkout"]["within"][0], 0.999)
        self.assertGreater(sure["services"]["checkout"]["change"][1], 0)
        self.assertLess(faster["services"]["checkout"]["ttr_ratio"][2], 0.7)
        self.assertEqual(as_it_is["set"], {})
        page, text = read(r["folder"], "report.html"), read(r["folder"], "report.md")
        for words in ("Where the luck of checkout comes from", "a controller that hardly fails",
                      "Values of probes.page.every"):
            self.assertIn(words, page)
            self.assertIn(words, text)
        self.assertIn("a controller that hardly fails", " ".join(r["said"].split()))
        self.assertIsNone(analysis(r, "cheapest"))  # the promise is kept as it is
        self.assertIn('<section id="why">', page)
        sweep = harness.plot(self, page, "Forecast: checkout by probes.page.every")
        self.assertIn("mean time to detect (left)", sweep)
        tornado = harness.plot(self, page, "Forecast: what assumptions can change for checkout")
        self.assertIn("a quarter more", tornado)
        self.assertIn("roles.dba.acknowledges", tornado)

    def test_ranges_decide(self):
        r = self.forecast(self.model(median="{between: [3m, 6m]}", works="{between: [60%, 95%]}"),
                          code=4)
        a = analysis(r, "assumptions")
        self.assertEqual([g["name"] for g in a["groups"]],
                         ["roles.dba.acknowledges", "model.checkout.restore.failover.works"])
        s = a["services"]["checkout"]
        self.assertLess(s["within"][1], 0.93)
        self.assertGreater(s["within"][2], 0.97)
        works = s["groups"][1]
        self.assertLess(works["low"]["within"], works["high"]["within"] - 0.03)
        rto = [o for o in r["objectives"] if o["kind"] == "rto"][0]
        self.assertEqual(rto["verdict"], "not_demonstrated")
        self.assertEqual(rto["reasons"][0]["code"], "assumptions_open")
        self.assertLessEqual(rto["p_lower"], s["within"][1])
        self.assertIn("draws of what is assumed", rto["method"])
        self.assertIn("over all that is assumed", " ".join(r["said"].split()))
        self.assertIn("upper end", harness.plot(self, read(r["folder"], "report.html"),
                                                "Forecast: what assumptions can change for checkout"))

    def test_the_cheapest_change_is_enough(self):
        r = self.forecast(self.model(rto="3m"), code=1)
        c = analysis(r, "cheapest")["services"]["checkout"]
        self.assertTrue(c["found"])
        self.assertEqual(c["name"], "model.checkout.restore.failover.works")
        self.assertIn("The smallest change", " ".join(r["said"].split()))
        again = self.forecast(self.model(rto="3m"), "--set", c["name"] + "=" +
                              c["then"].replace(" ", ""), "--no-why")
        self.assertEqual([o["verdict"] for o in again["objectives"] if o["kind"] == "rto"], ["met"])
        self.assertIsNone(analysis(again, "luck"))

    def test_threads_and_parts_change_nothing(self):
        options = ("--sweep", "probes.page.every=1s,5s", "--set", "services.checkout.rto=3m")
        self.same(self.model(), *options, code=1)

    def test_what_cannot_be_is_said_before(self):
        for options, words in ((("--sweep", "probes.page.every"), "PATH=A,B"),
                               (("--sweep", "probes.page.every=1s"), "at least two"),
                               (("--sweep", "probes.pag.every=1s,2s"), "pag"),
                               (("--sweep", "probes.page.every=1s,soon"), "soon"),
                               (("--set", "model.checkout.restore.failover.workz=1"), "works"),
                               (("--against", self.base), "record.ndjson")):
            self.assertIn(words, self.forecast(self.model(), *options, code=2))


class Against(Base):
    def held(self, result):
        return analysis(result, "against")["services"]["checkout"]

    def test_drills_of_the_forecast(self):
        r = self.forecast(self.model(), "--against", self.drill(14, 15, 16, 17),
                          self.drill(17, 18, 19, 20))
        h = self.held(r)["ttr"]
        self.assertEqual((h["verdict"], h["drills"]), ("not contradicted", 8))
        self.assertIn("not contradicted by 8 trials", " ".join(r["said"].split()))
        self.assertEqual(self.held(r)["fit_outage"]["kind"] in ("lognormal", "weibull"), True)
        proposed = self.held(r)["fit_outage"]["yaml"]
        check = harness.write(os.path.join(self.base, "fit.yaml"), (MODEL % {
            "rto": "10m", "median": "3m", "works": "90%"}).replace("{uniform: [1s, 3s], at",
                                                                   proposed[:-1] + ", at"))
        done = subprocess.run([harness.BLACKSTART, "check", check], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_threads_parts_and_processors_change_nothing(self):
        r = self.same(self.model(), "--no-why", "--against",
                      self.drill(14, 15, 16, 17, None), self.drill(17, 18, 19, 40))
        self.assertNotEqual(self.held(r)["fit_outage"]["kind"], "none")

    def test_nor_where_the_model_draws_from_drills(self):
        fed, other = self.drill(14, 15, 16, 17, 18, 20, None), self.drill(15, 16, 17, 18, 19, 21)
        model = harness.write(os.path.join(self.base, "drawn.yaml"),
                              DRAWN % ", ".join(os.path.basename(d) for d in (fed, other)))
        r = self.same(model, "--no-why", "--against", other, "--holdout", code=1)
        self.assertNotEqual(self.held(r)["fit_outage"]["kind"], "none")

    def test_slower_faster_few(self):
        slow = self.held(self.forecast(self.model(), "--against", self.drill(*[60] * 7, None)))["ttr"]
        self.assertEqual((slow["verdict"], slow["above_median"]), ("too optimistic", 8))
        fast = self.held(self.forecast(self.model(), "--against", self.drill(*[6] * 8)))["ttr"]
        self.assertEqual((fast["verdict"], fast["below_median"]), ("too pessimistic", 8))
        few = self.forecast(self.model(), "--against", self.drill(60, 60, 60))
        self.assertEqual(self.held(few)["ttr"]["verdict"], "too few")
        self.assertIn("too few, 3 of the 6", " ".join(few["said"].split()))

    def test_drills_that_fed_the_model(self):
        fed, other = self.drill(14, 15, 16, 17, 18, 20, None), self.drill(15, 16, 17, 18, 19, 21)
        model = harness.write(os.path.join(self.base, "drawn.yaml"),
                              DRAWN % ", ".join(os.path.basename(d) for d in (fed, other)))
        r = self.forecast(model, "--no-why", code=1)
        service = r["services"][0]
        # one of thirteen never came back by itself
        self.assertLess(abs(service["outcomes"]["censored"] / 3000 - 1 / 13), 0.02)
        self.assertEqual([d["trials"] for d in analysis(r, "drawn")["drills"]], [7, 6])
        self.assertIn("The model draws from 13 trials of 2 drills", " ".join(r["said"].split()))
        self.assertGreater(service["mttr_s"]["median"], 14)
        self.assertLess(service["mttr_s"]["median"], 21)
        refused = self.forecast(model, "--against", other, code=2)
        self.assertIn("--holdout", refused)
        held = self.forecast(model, "--against", other, "--holdout", "--no-why", code=1)
        line = analysis(held, "against")
        self.assertEqual([d["dir"] for d in line["drawn_from"]], [os.path.basename(fed)])
        self.assertEqual(line["services"]["checkout"]["ttr"]["verdict"], "not contradicted")


if __name__ == "__main__":
    harness.main()

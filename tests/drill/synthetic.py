"""Records that nobody lived through: random answers, alarms, faults, chained as a run chains them.

make(folder, seed) writes scenario.yaml and record.ndjson. Some are on a grid of 50 ms, so that
instants meet; the others are not.
"""
import hashlib
import json
import os
import random

MS = 10**6
SEC = 10**9


class Writer:
    def __init__(self, rng):
        self.rng, self.events = rng, []

    def add(self, t, kind, **members):
        self.events.append((t, len(self.events), kind, members))

    def save(self, path, cut=None):
        prev, lines = "0" * 64, []
        events = sorted(self.events, key=lambda e: e[:2])
        for seq, (t, _, kind, members) in enumerate(events[:cut]):
            line = {"seq": seq, "t": t, "kind": kind, **members, "prev": prev}
            raw = json.dumps(line, separators=(",", ":")).encode() + b"\n"
            prev = hashlib.sha256(raw).hexdigest()
            lines.append(raw)
        with open(path, "wb") as f:
            f.writelines(lines)


class World:
    """What one seed means."""

    def __init__(self, seed):
        self.rng = r = random.Random(seed)
        self.grid = r.random() < 0.3
        self.trials = r.choice([1, 1, 2, 3, 4, 6, 9])
        self.fault = r.random() < 0.9
        self.services = {"shop": self.service(), "search": self.service()}
        self.probes = {}
        for k in range(r.choice([1, 1, 1, 2, 3])):
            self.probes["p%d" % k] = self.probe("shop")
        if r.random() < 0.5:
            self.probes["q"] = self.probe("search")
        if r.random() < 0.4:
            self.probes["side"] = self.probe(None)
        n = sum(p["service"] == "shop" for p in self.probes.values())
        if n > 1:
            self.services["shop"]["down_when"] = r.choice(
                ["any", "all", "{at_least: %d}" % r.randint(1, n)])
        self.alarms = {}
        for name, role, how in (("pager", "page", "exec"), ("board", "monitor", "exec"),
                                ("line", "page", "log"), ("auto", "automation", "log")):
            if r.random() < 0.5:
                self.alarms[name] = (r.choice(["shop", "shop", "search"]), role, how)
        self.detect = None
        mine = [n for n, a in self.alarms.items() if a[0] == "shop"]
        if mine and self.fault and r.random() < 0.8:
            by = r.choice(["", "", ", by: [%s]" % r.choice(mine),
                           ", by: [%s]" % self.alarms[r.choice(mine)][1]])
            if by or any(self.alarms[n][1] in ("page", "monitor") for n in mine):
                self.detect = "{within: %s%s%s}" % (
                    r.choice(["2500ms", "4s", "6s"]), by, r.choice(["", ", clock: fault"]))
        self.steps = []
        if self.fault:
            for k in range(r.choice([1, 1, 1, 2])):
                self.steps.append({"id": "f%d" % k, "at": r.randrange(1000, 6000, 50),
                                   "for": r.choice([None, r.randrange(2000, 9000, 50)]),
                                   "when": k == 1 and r.random() < 0.3})
        self.horizon = 40
        self.expect = r.choice([None, None, "affected", "unaffected", "either"])
        if self.expect == "affected" and not self.fault:
            self.expect = None
        self.ask = None
        if self.trials >= 4 and r.random() < 0.5:
            self.ask = r.choice(["{reliability: 50%, confidence: 80%}",
                                 "{reliability: 30%, confidence: 70%, misses: 1}"])
        self.replace = r.choice([0, 0, 2])

    def service(self):
        r = self.rng
        s = {}
        if r.random() < 0.8:
            s["rto"] = r.choice(["2500ms", "4s", "6s", "10s"])
            s["rto_clock"] = r.choice(["impact", "impact", "fault", "detection", "declaration"])
        if r.random() < 0.5:
            s["max_downtime"] = r.choice(["2500ms", "5s", "8s"])
        if r.random() < 0.2:
            s["counts_as_restored"] = "heal"
        if r.random() < 0.1:
            s["rpo"] = "0s"
        if r.random() < 0.4:
            promised = {"success": r.choice(["50%", "80%", "90%", "95%", "100%"])}
            for word, some in (("p50", ["5ms", "50ms"]), ("p95", ["60ms", "400ms"]),
                               ("p99", ["400ms", "2s"])):
                if r.random() < 0.5:
                    promised[word] = r.choice(some)
            s["during_fault"] = "{" + ", ".join("%s: %s" % kv for kv in promised.items()) + "}"
        return s

    def probe(self, service):
        r = self.rng
        return {"service": service, "every": r.choice([150, 200, 250]) * MS,
                "timeout": r.choice([100, 300, 500]) * MS, "down_after": r.choice([1, 2, 2, 3]),
                "up_after": r.choice([1, 2, 3, 5]),
                "stable": r.choice([None, 800 * MS, 1500 * MS, 2500 * MS]),
                "host": r.choice(["client", "client", "app"])}

    def yaml(self):
        def entry(d):
            return "{" + ", ".join("%s: %s" % kv for kv in d.items()) + "}"
        out = ["blackstart: 1", "name: synthetic", "services:"]
        for name, s in self.services.items():
            s = dict(s, **({"detect_within": self.detect} if name == "shop" and self.detect else {}))
            if not any(p["service"] == name for p in self.probes.values()) or not self.fault:
                s = {}  # a promise that nothing can keep or break is refused
            elif s.get("rto_clock") == "detection" and "detect_within" not in s:
                s["rto_clock"] = "impact"
            if "rto" not in s:
                s.pop("rto_clock", None)
            self.services[name] = s
            out.append("  %s: %s" % (name, entry(s)))
        out += ["networks:", "  net: {subnet: 10.20.0.0/24}", "hosts:",
                "  client: {lab: {address: 10.20.0.9}}",
                "  app: {lab: {address: 10.20.0.11}, start: [{name: out, command: sleep 99}]}",
                "probes:"]
        for name, p in self.probes.items():
            d = {"service": p["service"]} if p["service"] else {"control": "true"}
            d.update(host=p["host"], tcp='"10.20.0.11:80"', every="%dms" % (p["every"] // MS),
                     timeout="%dms" % (p["timeout"] // MS), down_after=p["down_after"],
                     up_after=p["up_after"])
            if p["stable"]:
                d["stable"] = "%dms" % (p["stable"] // MS)
            out.append("  %s: %s" % (name, entry(d)))
        if self.alarms:
            out.append("alarms:")
        for name, (service, role, how) in self.alarms.items():
            source = ("exec: {host: app, command: ./alerts.sh, every: 1s}" if how == "exec"
                      else "log: {host: app, output: out, match: down}")
            out.append("  %s: {service: %s, role: %s, %s}" % (name, service, role, source))
        out.append("script:" if self.steps else "script: []")
        for s in self.steps:
            d = {"id": s["id"]}
            if s["when"]:
                d["when"] = "{operator: go}"
            else:
                d["at"] = "%dms" % s["at"]
            if s["for"]:
                d["for"] = "%dms" % s["for"]
            d["partition"] = "{cut: [[client], [app]]}"
            out.append("  - " + entry(d))
        if self.expect and any(p["service"] == "shop" for p in self.probes.values()):
            out.append("expect: {shop: %s}" % self.expect)
        if self.ask:
            out.append("demonstrate: %s" % self.ask)
        if self.replace:
            out.append("replace_void: %d" % self.replace)
        out += ["settle: 1s", "horizon: %ds" % self.horizon, "trials: %d" % self.trials]
        return "\n".join(out) + "\n"

    # ---- one trial ----

    def at(self, t):
        return t // (50 * MS) * (50 * MS) if self.grid else int(t)

    def trial(self, w, n, attempt, t0):
        """Returns when it ended, and how."""
        r = self.rng
        kind = r.choices(["plain", "void", "abort", "early-abort", "gone", "not-verified", "cut"],
                         [80, 4, 5, 2, 2, 3, 1])[0]
        if kind == "cut" and n != self.trials:
            kind = "plain"
        add = lambda t, k, **m: w.add(t0 + t, k, trial=n, **m)
        armed = self.at(r.randrange(2000, 3000) * MS)
        add(0, "state", state="build")
        add(1, "trial-start", phases={p: 0 for p in self.probes}, attempt=attempt)
        add(2, "state", state="settle")
        watched = armed + self.at(r.randrange(9000, 20000) * MS)
        if kind == "abort":
            watched = armed + self.at(r.randrange(100, 9000) * MS)
        if kind == "early-abort":
            watched = self.at(1500 * MS)
        else:
            add(armed, "state", state="arm")
            add(armed + 1, "state", state="inject", zero=t0 + armed + 1)
        over = watched + self.at(r.randrange(500, 4000) * MS)
        last_undo = watched
        starts, ends = [], []
        for s in self.steps:
            at = armed + s["at"] * MS + (0 if self.grid else r.randrange(MS))
            if at >= watched or kind == "early-abort" or (s["when"] and r.random() < 0.5):
                continue
            width = self.at(r.randrange(1, 60) * MS)
            ok = r.random() > 0.01
            span = [t0 + at, t0 + at + width]
            add(at + width, "inject", step=s["id"], action="partition", targets=["client"], at=span,
                ok=ok, changes=[], **({} if ok else {"error": "no"}))
            if kind != "not-verified" or r.random() < 0.3:
                add(at + width + 1, "verify", step=s["id"], ok=kind != "not-verified", asked="cut",
                    seen="cut" if kind != "not-verified" else "whole", how="counter",
                    at=[span[1], span[1] + 1])
            starts.append(at)
            if kind == "gone" and r.random() < 0.7:
                add(at + width + 500 * MS, "fault-gone", step=s["id"],
                    at=[span[1] + 400 * MS, span[1] + 500 * MS], why="somebody took it away")
            end, cause = watched, "abort" if kind == "abort" else "end"
            if s["for"] and at + s["for"] * MS < watched:
                end, cause = at + s["for"] * MS, "for"
            if r.random() < 0.95:
                width = self.at(r.randrange(1, 80) * MS)
                add(end + width, "undo", step=s["id"], cause=cause,
                    at=[t0 + end, t0 + end + width], ok=r.random() > 0.005, changes=[])
                ends.append(end)
                last_undo = max(last_undo, end + width)
        over = max(over, last_undo + 1)
        self.probe_all(add, t0, armed, over, starts, ends)
        self.ring(add, t0, armed, over, starts)
        if r.random() < 0.4 and starts:
            t = starts[0]
            for mark in r.sample(["declared", "acknowledged", "note", "declared"], r.randint(1, 4)):
                t += self.at(r.randrange(10, 3000) * MS)
                who = {"service": r.choice(["shop", "search"])} if r.random() < 0.5 else {}
                add(t, "mark", mark=mark, at=[t0 + t, t0 + t], by="alice", **who)
        for _ in range(r.choice([0, 0, 0, 1])):
            t = armed + self.at(r.randrange(0, 12000) * MS)
            what = r.choice(["runner-late", "control-down", "wall-step"])
            add(t + 600 * MS, "trouble", what=what, detail="", host=r.choice(["client", "app"]),
                **{"from": t0 + t, "to": t0 + t + self.at(r.randrange(50, 600) * MS)})
        if kind == "abort" or kind == "early-abort":
            w.add(t0 + watched, "stop", reason="SIGINT", detail="Ctrl-C")
        if kind == "cut":
            return t0 + watched, kind
        add(watched, "state", state="undo")
        add(over, "state", state="compare")
        add(over + 1, "clean", clean=r.random() > 0.01, checked=[], left=[], others=[])
        outcome = {"void": "void", "abort": "aborted", "early-abort": "aborted"}.get(
            kind, "completed")
        add(over + 2, "trial-end", outcome=outcome,
            **({"reason": "called void"} if outcome == "void" else {}))
        return t0 + over + 3, kind

    def windows(self, armed, over, starts, ends):
        """When things are bad: around faults, at undoing, or for no reason at all."""
        r, found = self.rng, []
        for s in starts:
            if r.random() < 0.85:
                a = s + self.at(r.randrange(0, 900) * MS)
                found.append((a, a + self.at(r.choice([300, 1500, 4000, 9000, 60000])
                                             * MS * r.random())))
                if r.random() < 0.4:
                    b = found[-1][1] + self.at(r.randrange(200, 6000) * MS)
                    found.append((b, b + self.at(r.randrange(100, 4000) * MS)))
        for e in ends:
            if found and r.random() < 0.3:
                found = [(a, e + self.at(r.randrange(-300, 900) * MS)) if a < e < b else (a, b)
                         for a, b in found]
            if r.random() < 0.15:
                a = e + self.at(r.randrange(0, 500) * MS)
                found.append((a, a + self.at(r.randrange(300, 2500) * MS)))
        if r.random() < 0.05:
            a = self.at(r.randrange(armed, max(over, armed + 1)))
            found.append((a, a + self.at(r.randrange(300, 3000) * MS)))
        return found

    def probe_all(self, add, t0, armed, over, starts, ends):
        r = self.rng
        shared = self.windows(armed, over, starts, ends)
        noise = r.choice([0, 0, 0.01, 0.06])
        for name, p in self.probes.items():
            bad = shared if p["service"] == "shop" and r.random() < 0.6 else self.windows(
                armed, over, starts, ends) if p["service"] else []
            if not p["service"] and r.random() < 0.4:
                a = self.at(r.randrange(armed, max(over, armed + 1)))
                bad = [(a, a + self.at(r.randrange(300, 2000) * MS))]
            held = r.choice([1, 1, 0.9, 0.7])
            sched = self.at(r.randrange(0, p["every"]) + 100 * MS)
            n = 0
            while sched < over:
                late = r.random()
                start = sched + (0 if self.grid else r.randrange(2 * MS))
                if late < 0.004:
                    start = sched + p["every"] + 50 * MS
                fails = any(a <= start < b for a, b in bad) and r.random() < held
                fails |= start > armed and r.random() < noise
                latency = max(1, self.at(int(p["timeout"] * r.random() ** 4)))
                m = {}
                if fails:
                    m["why"] = r.choice(["refused", "timeout"])
                    if m["why"] == "timeout":
                        latency = p["timeout"]
                    if r.random() < 0.03:
                        m["unknown"] = True
                add(start + latency, "probe", probe=name, n=n, sched=t0 + sched, start=t0 + start,
                    end=t0 + start + latency, ok=not fails, **m)
                n += 1
                sched += p["every"]

    def ring(self, add, t0, armed, over, starts):
        r = self.rng
        fault = starts[0] if starts else armed + 4 * SEC
        for name, (_, _, how) in self.alarms.items():
            width = self.at(r.randrange(0, 120) * MS)
            rings = []
            if how == "exec" and r.random() < 0.08:
                add(armed, "alarm", alarm=name, event="onset", at=[t0 + armed] * 2,
                    active_at_arm=True)
                if r.random() < 0.5:
                    rings.append(("clear", armed + self.at(r.randrange(100, 9000) * MS)))
            if r.random() < 0.12:  # false
                a = self.at(r.randrange(armed - 500 * MS, fault))
                rings.append(("onset", a))
                if how == "exec" and r.random() < 0.6:
                    rings.append(("clear", a + self.at(r.randrange(50, 2000) * MS)))
            while r.random() < 0.6:
                a = fault + self.at(int(r.randrange(-200, 12000) * MS * r.random()))
                rings += [("onset", a)]
                if how == "exec":
                    rings += [("clear", a + self.at(r.randrange(50, 3000) * MS))]
                elif r.random() < 0.5:
                    rings += [("onset", a + self.at(r.randrange(1, 1200) * MS))]
            for event, a in sorted(rings, key=lambda x: x[1]):
                if a < over:
                    add(a + width, "alarm", alarm=name, event=event, at=[t0 + a, t0 + a + width])


def make(folder, seed):
    world = World(seed)
    r = world.rng
    text = world.yaml()
    with open(os.path.join(folder, "scenario.yaml"), "w") as f:
        f.write(text)
    w = Writer(r)
    w.add(0, "run-start", record=1, blackstart="0.1.0", id="synt", mode="live",
          scenario={"name": "synthetic", "title": "synthetic",
                    "digest": hashlib.sha256(text.encode()).hexdigest()},
          attempt={"n": 1, "earlier": []}, seed=str(seed), trials=world.trials, operator="alice",
          wall="2026-01-31T12:00:00.000Z", wall_ns=1769860800 * SEC, clock="CLOCK_MONOTONIC",
          command=["blackstart", "run", "scenario.yaml"],
          environment={"kernel": "6", "machine": "x86_64", "cpus": 2, "distribution": "Debian",
                       "root": True, "rootless": False, "hostname": "here"})
    t, status, replaced = SEC, "completed", 0
    n = attempt = 1
    while n <= world.trials:
        t, kind = world.trial(w, n, attempt, t)
        t += SEC
        if kind in ("abort", "early-abort"):
            status = "aborted"
            break
        if kind == "cut":
            status = None
            break
        if kind in ("void", "gone") and replaced < world.replace:
            replaced, attempt = replaced + 1, attempt + 1
            continue
        n, attempt = n + 1, 1
    if status:
        if r.random() < 0.7:
            w.add(t, "clean", clean=r.random() > 0.01, checked=[], left=[], others=[])
        w.add(t + 1, "run-end", status=status, wall="2026-01-31T12:03:20.000Z", wall_offset_ns=0,
              by="runner")
    w.save(os.path.join(folder, "record.ndjson"))

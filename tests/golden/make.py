#!/usr/bin/env python3
"""Makes the golden records: a small world with a true outage, looked at by probes of random phase.

Not part of the build. Run it after the record's format changed, then look at what changed in the
expected files beside it: make.py FOLDER... (all without arguments). Deterministic.
"""
import hashlib
import json
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MS = 1_000_000
S = 1000 * MS


class Record:
    def __init__(self, folder, trials, **start):
        self.folder = folder
        self.lines = []
        self.prev = "0" * 64
        text = open(os.path.join(HERE, folder, "scenario.yaml"), "rb").read()
        scenario = {"name": start.pop("name"), "title": start.pop("title"),
                    "digest": hashlib.sha256(text).hexdigest()}
        self.events = []
        self.add(0, "run-start", record=1, blackstart="0.1.0", id="g0ld", mode="live",
                 scenario=scenario, attempt={"n": 1, "earlier": []}, seed="42", trials=trials,
                 operator="alice", wall="2026-01-31T12:00:00.000Z", wall_ns=1769860800 * S,
                 clock="CLOCK_MONOTONIC",
                 command=["blackstart", "run", "scenario.yaml", "--seed", "42"],
                 environment={"kernel": "6.1.0-32-amd64", "machine": "x86_64", "cpus": 2,
                              "distribution": "Debian GNU/Linux 12 (bookworm)", "root": True,
                              "rootless": False, "hostname": "drill-runner"}, **start)

    def add(self, t, kind, **members):
        self.events.append((t, len(self.events), kind, members))

    def write(self):
        out = b""
        for seq, (t, _, kind, members) in enumerate(sorted(self.events, key=lambda e: (e[0], e[1]))):
            line = {"seq": seq, "t": t, "kind": kind, **members, "prev": self.prev}
            raw = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
            self.prev = hashlib.sha256(raw).hexdigest()
            out += raw
        with open(os.path.join(HERE, self.folder, "record.ndjson"), "wb") as f:
            f.write(out)


class Trial:
    """One trial that begins at `t0`; instants are from there. Armed at 4 s, zero just after."""

    def __init__(self, rec, n, t0, attempt=1, probes=(), armed=True, rng=None):
        self.rec, self.n, self.t0 = rec, n, t0
        self.rng = rng or random.Random(f"{rec.folder}:{n}:{attempt}")
        self.phases = {p["name"]: self.rng.randrange(p["every"]) for p in probes}
        self.probes = probes
        self.ev(0, "state", state="build")
        self.ev(1000 * MS, "state", state="settle")
        self.ev(1000 * MS + 1, "trial-start", phases=self.phases, attempt=attempt)
        if armed:
            self.ev(4000 * MS, "state", state="arm")
            self.ev(4000 * MS + 1, "state", state="inject", zero=t0 + 4000 * MS)

    def ev(self, t, kind, **members):
        self.rec.add(self.t0 + t, kind, trial=self.n, **members)

    def at(self, a, b):
        return [self.t0 + a, self.t0 + b]

    def probe_all(self, end, downs, detail=None, blips=()):
        """Good outside `downs` (name → list of [from, to, how])."""
        for p in self.probes:
            n, start = 0, 1100 * MS + self.phases[p["name"]]
            while start < end:
                real = start + self.rng.randrange(400_000)
                took = 900_000 + self.rng.randrange(900_000)
                ok, why = True, None
                for a, b, how in downs.get(p["name"], ()):
                    if a <= real < b:
                        ok, why = False, how
                if n in blips and p["name"] == self.probes[0]["name"]:
                    ok, why = False, "reset"
                if why == "timeout":
                    took = p["timeout"]
                m = {"probe": p["name"], "n": n, "sched": self.t0 + start, "start": self.t0 + real,
                     "end": self.t0 + real + took, "ok": ok}
                if not ok:
                    m["why"] = why
                    if detail:
                        m["detail"] = detail
                self.ev(real + took, "probe", **m)
                n += 1
                start += p["every"]

    def fault(self, step, at, action="node-kill", targets=("lb1",), ok=True, end=None, cause="end",
              verified=True):
        self.ev(at + 3 * MS, "inject", step=step, action=action, targets=list(targets),
                at=self.at(at, at + 3 * MS), ok=ok,
                changes=[f"host {h}: powered off (ports down, SIGKILL to its init)"
                         for h in targets])
        self.ev(at + 4 * MS, "verify", step=step, ok=verified,
                asked=f"no process of {', '.join(targets)} is alive",
                seen="no process is alive" if verified else "nginx answers", how="pidfd of the init",
                at=self.at(at + 3 * MS, at + 4 * MS))
        if end:
            self.ev(end + 8 * MS, "undo", step=step, cause=cause, at=self.at(end, end + 8 * MS),
                    ok=True, changes=[f"host {h}: powered on" for h in targets])

    def alarm(self, name, at, event="onset", width=2 * MS, **more):
        self.ev(at + width, "alarm", alarm=name, event=event, at=self.at(at, at + width), **more)

    def finish(self, watched, outcome="completed", reason=None, clean=True, left=()):
        self.ev(watched - 500 * MS, "state", state="restore")
        self.ev(watched, "state", state="undo")
        self.ev(watched + 1500 * MS, "state", state="compare")
        self.ev(watched + 1510 * MS, "clean", clean=clean,
                checked=["faults in force", "processes of the lab"], left=list(left), others=[])
        more = {"reason": reason} if reason else {}
        self.ev(watched + 1520 * MS, "trial-end", outcome=outcome, **more)


def run_end(rec, t, status="completed", clean=True, left=(), **more):
    rec.add(t, "clean", clean=clean,
            checked=["processes of the labs", "this machine's network", "the journal"],
            left=list(left), others=[])
    rec.add(t + 1, "run-end", status=status, wall="2026-01-31T12:03:20.000Z", wall_offset_ns=0,
            by="runner", **more)


PAGE = {"name": "checkout-page", "every": 200 * MS, "timeout": 250 * MS}
SIDE = {"name": "bystander", "every": 500 * MS, "timeout": 500 * MS}


def met():
    """Five clean trials: all within, noticed by the pager."""
    rec = Record("met", 5, name="vip-failover", title="The active load balancer dies")
    for n in range(1, 6):
        t = Trial(rec, n, n * 25 * S, probes=(PAGE, SIDE))
        at = 6000 * MS
        back = at + 2600 * MS + t.rng.randrange(900) * MS
        t.fault("lose-lb1", at, end=12_000 * MS)
        t.probe_all(12_800 * MS, {"checkout-page": [[at + 2 * MS, back, "timeout"]]})
        seen = at + 900 * MS + t.rng.randrange(500) * MS
        t.alarm("our-probe", at + 500 * MS + t.phases["checkout-page"])
        t.alarm("pager", seen, width=15 * MS, detail="CheckoutDown is firing")
        t.alarm("takeover", back - 30 * MS, width=100_000, detail="gratuitous ARP of 10.20.0.100")
        t.alarm("pager", back + 2000 * MS, "clear", width=15 * MS)
        t.finish(12_000 * MS)
    run_end(rec, 160 * S)
    rec.write()


def missed():
    """What can go wrong: a miss, a pager that never rings, a heal, flaps, a void trial, and a server
    whose answers try to write into the report."""
    rec = Record("missed", 4, name="shop", title="The shop's database is cut off <script>alert(1)</script>")
    evil = "<img src=x onerror=alert(1)>\"'&]]>"
    probes = (dict(PAGE, name="shop-page"), SIDE)
    t = Trial(rec, 1, 25 * S, probes=probes)
    t.fault("cut-db", 6000 * MS, "partition", ("db",), end=14_000 * MS, cause="for")
    t.probe_all(17_000 * MS, {"shop-page": [[6010 * MS, 9000 * MS, "status"],
                                            [10_300 * MS, 10_900 * MS, "status"]]}, evil, blips=(32,))
    t.alarm("pager", 7300 * MS, width=15 * MS, detail=evil)
    t.finish(16_000 * MS)
    t = Trial(rec, 2, 50 * S, probes=probes)
    t.fault("cut-db", 6000 * MS, "partition", ("db",), end=14_000 * MS, cause="for")
    t.probe_all(17_000 * MS, {"shop-page": [[6010 * MS, 14_050 * MS, "timeout"]]}, evil)
    t.finish(16_000 * MS)
    t = Trial(rec, 3, 75 * S, probes=probes)
    t.fault("cut-db", 6000 * MS, "partition", ("db",), end=8000 * MS, cause="abort", verified=False)
    t.probe_all(9000 * MS, {})
    t.finish(8000 * MS, "void", "step cut-db: the fault did not bite: asked db silent, seen db answers")
    t = Trial(rec, 4, 100 * S, probes=probes)
    t.alarm("pager", 4500 * MS, width=15 * MS)
    t.alarm("pager", 4900 * MS, "clear", width=15 * MS)
    t.fault("cut-db", 6000 * MS, "partition", ("db",), end=14_000 * MS, cause="for")
    t.probe_all(17_000 * MS, {"shop-page": [[6010 * MS, 8000 * MS, "status"]],
                              "bystander": [[7000 * MS, 7900 * MS, "timeout"]]}, evil)
    t.ev(7000 * MS, "action", step="promote", event="start", host="app", command="./promote.sh",
         role="dba", at=t.at(7000 * MS, 7000 * MS))
    t.ev(7800 * MS, "action", step="promote", event="end", host="app", command="./promote.sh",
         role="dba", at=t.at(7800 * MS, 7800 * MS), code=1, output="no such <host>\n")
    t.ev(8500 * MS, "mark", mark="acknowledged", by="bob", at=t.at(8500 * MS, 8500 * MS),
         service="shop")
    t.alarm("pager", 9000 * MS, width=15 * MS)
    t.finish(16_000 * MS)
    run_end(rec, 130 * S)
    rec.write()


def aborted():
    """Stopped by the operator in the second trial, down, and one thing could not be undone."""
    rec = Record("aborted", 3, name="vip-failover", title="The active load balancer dies")
    t = Trial(rec, 1, 25 * S, probes=(PAGE, SIDE))
    t.fault("lose-lb1", 6000 * MS, end=12_000 * MS)
    t.probe_all(12_800 * MS, {"checkout-page": [[6002 * MS, 8000 * MS, "refused"]]})
    t.alarm("pager", 7000 * MS, width=15 * MS)
    t.finish(12_000 * MS)
    t = Trial(rec, 2, 50 * S, probes=(PAGE, SIDE))
    t.fault("lose-lb1", 6000 * MS, end=9000 * MS, cause="abort")
    t.probe_all(9000 * MS, {"checkout-page": [[6002 * MS, 99_000 * MS, "refused"]]})
    rec.add(50 * S + 8990 * MS, "stop", reason="SIGINT", detail="Ctrl-C")
    t.finish(9000 * MS, "aborted", clean=False, left=["table inet blackstart_g0ld"])
    run_end(rec, 62 * S, "aborted", clean=False, left=["table inet blackstart_g0ld"],
            reason="stopped by the operator")
    rec.write()


def steady():
    """No fault: nothing is reported when nothing breaks."""
    rec = Record("steady", 1, name="steady", title="Nothing breaks")
    t = Trial(rec, 1, 25 * S, probes=(PAGE,))
    t.probe_all(14_000 * MS, {})
    t.finish(14_000 * MS)
    run_end(rec, 45 * S)
    rec.write()


if __name__ == "__main__":
    for name in sys.argv[1:] or ["met", "missed", "aborted", "steady"]:
        globals()[name]()

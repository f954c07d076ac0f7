"""What the program makes of records, against a second opinion (oracle.py): the golden records,
hundreds of random ones, and, with the argument `drills`, drills that were really run.

ORACLE_SEEDS=17 or 0-999 chooses the random ones.
"""
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile

import oracle
import synthetic

try:
    import ruamel.yaml
except ImportError as e:
    print("skipped: %s (apt-get install python3-ruamel.yaml)" % e)
    sys.exit(1 if os.environ.get("BLACKSTART_TESTS_MUST_RUN") else 77)

BLACKSTART = os.environ["BLACKSTART"]
SOURCE = os.environ["BLACKSTART_SOURCE"]
ORDER = (6, 5, 1, 4, 0)


class Comparison:
    def __init__(self, result, truth):
        self.problems = []
        self.result(result, truth)

    def same(self, where, got, want):
        if got != want:
            self.problems.append("%s: the program says %s, the definitions %s" % (where, got, want))

    def span(self, where, got, want):
        if got is not None:
            got = tuple(math.inf if x is None else round(x * 1e9) for x in got)
        self.same(where, got, None if want is None else tuple(want))

    def number(self, where, got, want, unit=1):
        if got is None or want is None or abs(got - float(want) / unit) > 1e-10 * max(
                1e-3, abs(got)):
            self.same(where, got, want if want is None else float(want) / unit)

    def result(self, r, w):
        for key in ("verdict", "status", "clean", "exit_code"):
            self.same(key, r[key], w[key])
        self.same("kinds", [(o["service"], o["kind"]) for o in r["objectives"]],
                  [(o["service"], o["kind"]) for o in w["objectives"]])
        for a, b in zip(r["objectives"], w["objectives"]):
            where = "objective %s of %s, " % (a["kind"], a["service"])
            for key in ("verdict", "planned", "within", "missed", "open", "void", "not_applicable",
                        "misses_allowed", "needed_n"):
                self.same(where + key, a[key], b[key])
            for key in ("p_lower", "p_upper", "confidence"):
                self.number(where + key, a[key], b[key])
        self.same("attempts", [(t["n"], t["attempt"], t["counted"]) for t in r["trials"]],
                  [(t.n, t.attempt, t.counted) for t in w["trials"]])
        declared = {(o["service"], o["kind"]) for o in w["objectives"]}
        for a, b in zip(r["trials"], w["trials"]):
            self.trial(a, b, declared)
        for a in r["services"]:
            for key in ("mttd_s", "mttr_s", "down_s"):
                b = w["services"][a["name"]]
                where = "%s of %s, " % (key, a["name"])
                for count in ("affected", "unaffected"):
                    self.same(where + count, a[key][count], b[count])
                self.summary(where, a[key], b[key])

    def summary(self, where, a, b):
        self.same(where + "n", a["n"], b["n"])
        self.same(where + "censored", a["censored"], b["censored"])
        self.span(where + "min", a["min"], b["min"])
        self.span(where + "max", a["max"], b["max"])
        self.number(where + "median", a["median"], b["median"], 1e9)
        self.number(where + "median above", a.get("median_above"), b["median_above"], 1e9)
        if b["censored"]:
            tau, mean = b["restricted"] or (None, None)
            self.number(where + "restricted to", a["restricted_to_s"], tau, 1e9)
            self.number(where + "mean", a["mean"], mean, 1e9)
        if (a["ci"] is None) != (b["ci"] is None):
            self.same(where + "ci", a["ci"], b["ci"])
        elif b["ci"]:
            lo, hi, above, level = b["ci"]
            self.number(where + "ci.lo", a["ci"]["lo"], lo, 1e9)
            self.number(where + "ci.level", a["ci"]["level"], level)
            if hi == math.inf:
                self.same(where + "ci.hi", a["ci"]["hi"], None)
                self.number(where + "ci.above", a["ci"].get("above"), above, 1e9)
            else:
                self.number(where + "ci.hi", a["ci"]["hi"], hi, 1e9)

    def trial(self, a, b, declared):
        where = "trial %d.%s, " % (b.n, b.attempt)
        outcome = "void" if b.why_void else "aborted" if b.aborted else "completed"
        self.same(where + "outcome", a["outcome"], outcome)
        self.same(where + "a reason", a["reason"] is not None, outcome == "void")
        if b.watched is not None:
            self.same(where + "watched", round(a["watched_until"] * 1e9), b.watched)
        self.same(where + "faults", [f["step"] for f in a["faults"]], [f["step"] for f in b.faults])
        for f, g in zip(a["faults"], b.faults):
            self.span(where + f["step"] + " start", f["fault_start"], g["start"])
            self.span(where + f["step"] + " end", f["fault_end"], g["end"])
        seen = {n: s for n, s in b.services.items() if s.probed or s.alarms}
        self.same(where + "services", sorted(a["services"]), sorted(seen))
        for name, s in seen.items():
            self.service(where + name + ", ", a["services"][name], s,
                         {k for n, k in declared if n == name})

    def kept(self, where, a, s):
        if s.outcome == "void" or not s.kept["n"]:
            self.same(where, a, None)
            return
        for key in ("good", "bad", "unknown", "answers"):
            self.same(where + key, a[key], s.kept[key])
        self.same(where + "probes", a["probes"], s.kept["n"])
        for got, want in zip(a["success"], s.kept["success"]):
            self.number(where + "success", got, want)
        for word in oracle.QUANTILES:
            self.span(where + word, a["latency_s"][word], s.kept[word])

    def service(self, where, a, s, kinds):
        self.same(where + "outcome", a["outcome"], s.outcome if s.probed else None)
        self.same(where + "flaps", a["flaps"], s.flaps)
        self.same(where + "blips", a["blips"], s.blips)
        self.same(where + "unknown", a["unknown_probes"], s.unknown)
        self.same(where + "resolution", None if a["resolution_s"] is None else
                  round(a["resolution_s"] * 1e9),
                  None if s.resolution == math.inf or not s.probed else s.resolution)
        for kind, got in a["verdicts"].items():
            self.same(where + "verdict " + kind, got,
                      s.shares[kind] if kind in kinds and kind != "rpo" else "not_applicable")
        self.kept(where + "during the fault, ", a["during_fault"], s)
        for key, want in (("ttd_s", s.ttd), ("ttr_s", s.ttr), ("down_s", s.down)):
            self.span(where + key, a[key], want)
        for clock, want in s.clocks.items():
            self.span(where + "ttr by " + clock, a["ttr_by_clock_s"][clock], want)
        if s.outcome != "void":
            self.same(where + "restored by", a["restored_by"], s.by)
            self.same(where + "detection", a["detection"], s.detection)
            self.same(where + "detected by", a["detected_by"], s.detected_by)
            self.span(where + "tta", a["tta_s"], s.tta)
        self.same(where + "alarms", sorted(a["alarms"]), sorted(s.alarms))
        for name, b in s.alarms.items():
            x = a["alarms"][name]
            self.same(where + name, (x["counts"], x["masked"], x["missing"], x["false_alarms"]),
                      (b["counts"], b["masked"], b["missing"], b["false"]))
            self.span(where + name + " onset", x["onset"], b["onset"])
            self.span(where + name + " ttd", x["ttd_s"], b["ttd"])
        self.same(where + "episodes", len(a["episodes"]), len(s.episodes))
        for k, (x, e) in enumerate(zip(a["episodes"], s.episodes)):
            at = where + "episode %d, " % k
            for key, want in (("impact", e["impact"]), ("restored", e["restored"]),
                              ("down_s", e["down"]), ("alarm_onset", e["onset"]),
                              ("reconverge_s", e["reconverge"]),
                              ("outage_s", oracle.outage(e))):
                self.span(at + key, x[key], want)
            self.same(at + "by", x["restored_by"], e["by"])
            self.same(at + "judged", x["judged"], not e["undo"])
            self.same(at + "flaps", x["flaps"], e["flaps"])
            self.same(at + "faults", x["faults"], e["faults"])


NUMBER = r"(-?[0-9.]+)"


def read_span(text):
    """Seconds [lo, hi] of what people are told, and by how much it may be rounded."""
    unit = 0.001 if " ms" in text else 1
    value = lambda x: float(x) * unit
    step = lambda *x: unit * (0.1 if any("." in t for t in x) else 1)
    m = re.fullmatch(r"more than %s (ms|s)" % NUMBER, text)
    if m:
        return value(m[1]), math.inf, step(m[1])
    m = re.fullmatch(r"at most %s (ms|s)" % NUMBER, text)
    if m:
        return 0, value(m[1]), step(m[1])
    m = re.fullmatch(r"%s (?:ms|s) \(%s(?:–| to )%s\)" % (NUMBER, NUMBER, NUMBER), text)
    return value(m[2]), value(m[3]), step(m[2], m[3])


def told(folder, r):
    """The table of trials: rounded outwards, and by no more than a step."""
    names = "|".join(re.escape(x["name"]) for x in r["services"])
    with open(os.path.join(folder, "report.md"), encoding="utf-8") as f:
        rows = [[c.strip() for c in line.strip().strip("|").split("|")] for line in f
                if re.match(r"\| \d+ \| (%s) \|" % names, line)]
    trials = [(t, n, s) for t in r["trials"] if t["outcome"] != "void"
              for n, s in t["services"].items() if s["outcome"]]
    if len(trials) <= 50 and len(rows) != len(trials):
        yield "%d rows for %d" % (len(rows), len(trials))
    for row, (t, name, s) in zip(rows, trials):
        if (row[0], row[1]) != (str(t["n"]), name):
            yield "row %s for %d, %s" % (row, t["n"], name)
        for text, known in ((row[3], s["ttr_s"]), (row[4], s["ttd_s"]), (row[6], s["down_s"])):
            if (text == "–") != (known is None):
                yield "%s for %s" % (text, known)
            elif known and not any(w in text for w in ("min", " h")):
                lo, hi, step = read_span(text)
                low, high = known[0], math.inf if known[1] is None else known[1]
                if not (lo - 1e-12 <= low < lo + step + 1e-9 and hi + 1e-12 >= high
                        and (hi == high or hi - step - 1e-9 < high)):
                    yield "trial %d, %s: %s for %s" % (t["n"], name, text, known)


def compare(folder, name):
    """Problems of one folder that has been reported."""
    with open(os.path.join(folder, "result.json")) as f:
        r = json.load(f)
    problems = Comparison(r, oracle.judge(folder)).problems + list(told(folder, r))
    return ["%s: %s" % (name, p) for p in problems]


def report(folders):
    # Without gnuplot: the pictures are not what is compared.
    p = subprocess.run([BLACKSTART, "report", "-q"] + folders, capture_output=True, text=True,
                       env={"PATH": "/nonexistent"})
    return p.returncode, p.stderr


def golden(tmp):
    problems = []
    root = os.path.join(SOURCE, "tests", "golden")
    for name in sorted(os.listdir(root)):
        if os.path.exists(os.path.join(root, name, "record.ndjson")):
            folder = os.path.join(tmp, name)
            os.mkdir(folder)
            for f in ("record.ndjson", "scenario.yaml"):
                shutil.copy(os.path.join(root, name, f), folder)
            report([folder])
            problems += compare(folder, "golden/" + name)
    return problems


def seeds():
    text = os.environ.get("ORACLE_SEEDS", "0-399")
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


MUST_MEET = {"exit %d" % c for c in ORDER} | {
    "restored", "unaffected", "censored", "void", "recovery", "heal", "undoing", "relapse", "flaps",
    "blips", "unknown", "detected", "not_detected", "restored_first", "masked", "false alarm",
    "replaced", "not_met", "met", "not_demonstrated", "inconclusive", "within", "missed", "open",
    "ttd below nought", "median of a censored one", "down to nought"}


def met_with(r):
    """What this record was a test of."""
    found = {"exit %d" % r["exit_code"]} | {o["verdict"] for o in r["objectives"]}
    for t in r["trials"]:
        found |= {t["outcome"]} | ({"replaced"} if not t["counted"] else set())
        for s in t["services"].values():
            found |= {s["outcome"], s["restored_by"], s["detection"], *s["verdicts"].values()}
            found |= {w for w in ("flaps", "blips") if s[w]}
            found |= {"unknown"} if s["unknown_probes"] else set()
            found |= {"undoing" for e in s["episodes"] if not e["judged"]}
            found |= {"down to nought" for e in s["episodes"] if e["down_s"][0] == 0}
            found |= {"relapse"} if sum(e["judged"] for e in s["episodes"]) > 1 else set()
            found |= {"false alarm" for a in s["alarms"].values() if a["false_alarms"]}
            found |= {"ttd below nought"} if s["ttd_s"] and s["ttd_s"][0] < 0 else set()
    found |= {"median of a censored one" for s in r["services"] if s["mttr_s"].get("median_above")}
    return found - {None}


def invented(tmp):
    problems, said = [], {}
    todo = list(seeds())
    for k in range(0, len(todo), 50):
        folders = {s: os.path.join(tmp, str(s)) for s in todo[k:k + 50]}
        for s, folder in folders.items():
            os.mkdir(folder)
            synthetic.make(folder, s)
        code, err = report(list(folders.values()))
        codes = []
        for s, folder in folders.items():
            if not os.path.exists(os.path.join(folder, "result.json")):
                print("seed %d: no result\n%s" % (s, err[:2000]))
                sys.exit(1)
            found = compare(folder, "seed %d" % s)
            problems += found[:6]
            with open(os.path.join(folder, "result.json")) as f:
                r = json.load(f)
            codes.append(r["exit_code"])
            for what in met_with(r):
                said[what] = said.get(what, 0) + 1
            shutil.rmtree(folder)
        worst = next(c for c in ORDER if c in codes)
        if code != worst:
            problems.append("seeds %d…: report exits with %d, not %d" % (todo[k], code, worst))
    print("%d random records; %s" % (len(todo), ", ".join(
        "%s: %d" % kv for kv in sorted(said.items()))))
    if len(todo) >= 400:
        problems += ["no random record met with %s" % x for x in sorted(MUST_MEET - set(said))]
    return problems


def drills():
    """A handful of real ones: nothing, a cut that heals, a server that comes back, one that does
    not."""
    import harness
    import scenes
    harness.need_lab()
    problems = []
    for name, scenario in (
            ("steady", scenes.scene(trials=2)),
            ("cut", scenes.scene(scenes.CUT, trials=2)),
            ("revive", scenes.scene(scenes.KILL, start=scenes.REVIVING, rto="1500ms", trials=3)),
            ("kill", scenes.scene(scenes.KILL, trials=1))):
        d = harness.Drill(scenario).run()
        try:
            found = compare(d.out, "drill " + name)
            print("drill %s: exit code %s, %d lines" % (name, d.code, len(d.record)))
            if d.code != d.result["exit_code"]:
                found.append("drill %s: exits with %s" % (name, d.code))
            if found:
                print(d.explain())
            problems += found
        finally:
            d.end()
    return problems


def main():
    with tempfile.TemporaryDirectory() as tmp:
        problems = drills() if "drills" in sys.argv[1:] else golden(tmp) + invented(tmp)
    for p in problems[:60]:
        print(p)
    if problems:
        print("%d disagreements; ORACLE_SEEDS=N runs one record alone" % len(problems))
    sys.exit(1 if problems else 0)


main()

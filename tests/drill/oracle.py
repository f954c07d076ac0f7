"""A second opinion: what a record comes to, computed from docs/measures.md without the program.

judge(DIR) reads DIR/record.ndjson and DIR/scenario.yaml and returns what result.json must say, all
durations and instants in whole nanoseconds (None: not known, INF: not seen to end). Probabilities
are exact fractions. It shares nothing with the program but the record and the definitions, and goes
another way where there is one: it looks at whole lists instead of following a stream.
"""
import json
import math
import os
import re
from fractions import Fraction

INF = math.inf
MS = 10**6
SEC = 10**9
UNITS = {"ns": 1, "us": 1000, "ms": MS, "s": SEC, "m": 60 * SEC, "h": 3600 * SEC, "d": 86400 * SEC}
DOWN_AFTER = UP_AFTER = 2
SETTLE = 3 * SEC  # docs/scenario.md
# Actions that break nothing.
HARMLESS = {"run"}


# ---- the scenario ----

def duration(text):
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d)", str(text))
    assert parts and "".join(a + b for a, b in parts) == str(text), text
    return int(sum(Fraction(a) * UNITS[b] for a, b in parts))


def percent(text):
    assert str(text).endswith("%"), text
    return Fraction(text[:-1]) / 100


def listed(value):
    return value if isinstance(value, list) else [] if value is None else [value]


STEP_WORDS = {"id", "at", "after", "for", "until", "when"}


class Scenario:
    def __init__(self, path):
        from ruamel.yaml import YAML
        with open(path, encoding="utf-8") as f:
            y = YAML(typ="safe", pure=True).load(f)
        self.services = {n: dict(s or {}) for n, s in (y.get("services") or {}).items()}
        self.alarms = {n: dict(a) for n, a in (y.get("alarms") or {}).items()}
        self.phase = y.get("phase", "random")
        settle = y.get("settle")
        settle = settle.get("for") if isinstance(settle, dict) else settle
        self.settle = duration(settle) if settle else SETTLE
        self.probes = {}
        for name, p in (y.get("probes") or {}).items():
            every, up = duration(p["every"]), p.get("up_after", UP_AFTER)
            stable = duration(p["stable"]) if "stable" in p else max(up * every, 2 * SEC)
            self.probes[name] = {
                "service": p.get("service"), "control": p.get("control", False), "host": p["host"],
                "every": every, "down_after": p.get("down_after", DOWN_AFTER), "up_after": up,
                "stable": stable}
        self.steps = {}
        for i, step in enumerate(y.get("script") or [], 1):
            action = next(k for k in step if k not in STEP_WORDS)
            self.steps[step.get("id", f"step-{i}")] = {
                "fault": action not in HARMLESS, "scheduled": "when" not in step}
        self.has_fault = any(s["fault"] for s in self.steps.values())
        for name, a in self.alarms.items():
            kind = next((k for k in ("threshold", "ratio", "burn_rate") if k in a), None)
            if kind:
                a["role"] = "own"
                probes = a[kind]["probe"]
                first = probes if isinstance(probes, str) else probes[0]
                a.setdefault("service", self.probes[first]["service"])
        self.demonstrate = y.get("demonstrate")
        self.expect_named = dict(y.get("expect") or {})
        for name, s in self.services.items():
            promised = "rto" in s or "detect_within" in s
            s["expect"] = self.expect_named.get(
                name, "affected" if promised and self.has_fault else "either")
            s["clock"] = s.get("rto_clock", "impact")
            detect = s.get("detect_within")
            if detect is not None and not isinstance(detect, dict):
                detect = {"within": detect}
            s["detect"] = detect and {"within": duration(detect["within"]),
                                      "by": listed(detect.get("by")),
                                      "clock": detect.get("clock", "impact")}
            probes = [p for p in self.probes.values() if p["service"] == name]
            during = s.get("during_fault") or {}
            during = during if isinstance(during, dict) else {"success": during}
            s["during"] = {k: percent(v) if k == "success" else duration(v)
                           for k, v in during.items()}
            when = s.get("down_when", "any")
            s["least"] = (1 if when == "any" else len(probes) if when == "all"
                          else when["at_least"])
            s["probed"] = bool(probes)


# ---- exact statistics ----

def tail(n, x, p):
    """P(X >= x) of a binomial, exactly."""
    return sum(math.comb(n, k) * p**k * (1 - p)**(n - k) for k in range(x, n + 1))


def bisect(f, steps=46):
    """Where the increasing f crosses nought in [0, 1]."""
    lo, hi = Fraction(0), Fraction(1)
    for _ in range(steps):
        mid = (lo + hi) / 2
        if f(mid) < 0:
            lo = mid
        else:
            hi = mid
    return (lo + hi) / 2


def share_lower(x, n, confidence):
    """One-sided Clopper-Pearson: the p at which x or more have the probability 1 - confidence."""
    return Fraction(0) if x == 0 else bisect(lambda p: tail(n, x, p) - (1 - confidence))


def share_upper(x, n, confidence):
    return Fraction(1) if x == n else 1 - share_lower(n - x, n, confidence)


def needed(reliability, confidence, misses):
    """The fewest trials that show it: with that reliability so few misses are too rare a luck."""
    n = misses + 1
    while tail(n, n - misses, reliability) > 1 - confidence:
        n += 1
    return n


def median_ranks(n):
    """The narrowest symmetric pair that holds the median with 95 %, else the extremes."""
    def confidence(j):
        return 1 - 2 * sum(Fraction(math.comb(n, k), 2**n) for k in range(j))
    fit = [j for j in range(1, n // 2 + 1) if confidence(j) >= Fraction(95, 100)] or [1]
    return max(fit), n + 1 - max(fit), confidence(max(fit))


# ---- one probe ----

class Outage:
    """A down period of one probe: impact and restored as (lo, hi), `sure`: where it was certainly
    down, `bad`: starts of its failed answers."""


def known_answers(lines, probe, name, since, blind):
    """(start, end, good, known) in the order of the actual starts."""
    answers = []
    for e in lines:
        if e["kind"] != "probe" or e["probe"] != name or e["start"] < since:
            continue
        lost = (e.get("unknown", False) or e["start"] - e["sched"] > probe["every"]
                or any(e["start"] <= hi and e["end"] >= lo for lo, hi in blind))
        answers.append((e["start"], e["n"], e["end"], e["ok"], e["ok"] or not lost))
    answers.sort()
    return [(a[0], a[2], a[3], a[4]) for a in answers]


def outages(answers, probe, fault_start):
    """Down periods, and how many blips."""
    seen = [a for a in answers if a[3]]
    n, need, good_need = len(seen), probe["down_after"], probe["up_after"]
    found, blips, i, after_good = [], 0, 0, None
    while i < n:
        if seen[i][2]:
            i += 1
            continue
        first = i
        while i < n and not seen[i][2]:
            i += 1
        run = seen[first:i]
        if len(run) < need:
            blips += i < n  # one that the record's end cuts off may still become more
            continue
        o = Outage()
        before = [a for a in seen[:first] if a[2]]
        lo = before[-1][0] if before else seen[0][0]
        hi = min(a[1] for a in run)
        if fault_start is not None and lo < fault_start:
            # A fault that began after the first failure was over did not cause it.
            if fault_start <= min(a[1] for a in run[:need]):
                lo = fault_start
        o.impact, o.flaps, o.sure, o.first_bad = (lo, hi), 0, [], run[0][0]
        sure_from = hi
        g = i  # where a good run may begin
        while True:
            while g < n and not (seen[g][2] and all(
                    k < n and seen[k][2] for k in range(g, g + good_need))):
                g += 1
            if g >= n:  # never back
                o.restored = (max(a[0] for a in seen[first:] if not a[2]), INF)
                last = n
                break
            steady = seen[g][1] + probe["stable"]
            until = next((k for k in range(g + good_need, n) if seen[k][0] >= steady), None)
            bad = next((k for k in range(g + good_need, n if until is None else until)
                        if not seen[k][2]), None)
            back = max(a[0] for a in seen[first:g] if not a[2])
            if bad is not None:  # it did not hold
                o.flaps += 1
                o.sure.append((sure_from, back))
                sure_from, g = seen[bad][1], bad + 1
                continue
            if until is None:  # not watched long enough to say that it held
                o.restored, last = (back, INF), n
                break
            o.restored, last = (back, seen[g][1]), until
            break
        o.bad = [a[0] for a in seen[first:last] if not a[2]]
        o.impact = (o.impact[0], min(o.impact[1], o.restored[1]))
        o.restored = (max(o.restored[0], o.impact[0]), o.restored[1])
        if not o.sure:
            sure_from = o.impact[1]
        else:
            o.sure[0] = (o.impact[1], o.sure[0][1])
        o.sure.append((sure_from, o.restored[0]))
        found.append(o)
        i = last
    return found, blips


def resolution(answers, probe, begin, watched):
    """What could have been missed: down_after intervals and the longest good answer, or the longest
    stretch from one good answer to the next that no outage explains."""
    latency, longest, at, bad, seen = 0, 0, begin, 0, begin is not None
    for start, end, good, known in answers:
        if start >= watched:
            break
        if not good:
            bad += known
            continue
        latency = max(latency, end - start)
        if at is not None and bad < probe["down_after"]:
            longest = max(longest, end - at)
        at, bad, seen = start if at is None else max(at, start), 0, True
    if at is not None and bad < probe["down_after"]:
        longest = max(longest, watched - at)
    return max(probe["down_after"] * probe["every"] + latency, longest) if seen else INF


# ---- one trial ----

class Trial:
    def __init__(self, n, attempt, lines):
        self.n, self.attempt, self.lines = n, attempt, lines
        self.counted = False

    def of(self, kind, **members):
        return [e for e in self.lines
                if e["kind"] == kind and all(e.get(k) == v for k, v in members.items())]


def cut(record):
    """Attempts: each begins with the building of its lab."""
    trials = []
    for e in record:
        n = e.get("trial", 0)
        if e["kind"] == "state" and e["state"] == "build":
            again = sum(t.n == n for t in trials)
            trials.append(Trial(n, again + 1, []))
        loose = n == 0 and e["kind"] in ("mark", "stop", "trouble")
        if trials and (trials[-1].n == n or (loose and not trials[-1].of("trial-end"))):
            trials[-1].lines.append(e)
    return trials


def faults_of(trial, scenario):
    faults = {}
    for e in trial.of("inject"):
        if scenario.steps.get(e["step"], {"fault": True})["fault"]:
            f = faults.setdefault(e["step"], {"step": e["step"], "start": None, "end": None,
                                              "ok": True, "proofs": [], "gone": False})
            f["start"] = hull(f["start"], e["at"])
            f["ok"] &= e["ok"]
    for f in faults.values():
        f["proofs"] = [e["ok"] for e in trial.of("verify", step=f["step"])]
        f["gone"] = bool(trial.of("fault-gone", step=f["step"]))
        for e in trial.of("undo", step=f["step"]):
            f["end"] = hull(f["end"], e["at"])
    return list(faults.values())


def hull(a, b):
    return tuple(b) if a is None else (min(a[0], b[0]), max(a[1], b[1]))


def minus(a, b):
    """a - b of two instants."""
    return (a[0] - b[1], a[1] - b[0])


def outage(e):
    lo, hi = minus(e["restored"], e["impact"])
    return max(0, lo), hi


def count(windows, x):
    return sum(lo <= x <= hi for lo, hi in windows)


def service_down(runs, least):
    """(impact, restored) of the service from the outages of its probes, and how many times perhaps
    `least` were down at once and perhaps not."""
    widest = [(o.impact[0], o.restored[1]) for o in runs]
    early = [(o.impact[0], o.restored[0]) for o in runs]
    late = [(o.impact[1], o.restored[1]) for o in runs]
    periods, doubtful = [], 0
    points = sorted({x for w in widest for x in w})
    spans, start = [], None
    for k, x in enumerate(points):
        if count(widest, x) >= least:
            start = x if start is None else start
            over = k + 1 == len(points) or sum(
                lo <= x and hi >= points[k + 1] for lo, hi in widest) < least
            if over:
                spans.append((start, x))
                start = None
    for lo, hi in spans:
        down_by = [x for x, _ in late if lo <= x <= hi and count(late, x) >= least]
        down_at = [x for _, x in early if lo <= x <= hi and count(early, x) >= least]
        if not down_by or not down_at:
            doubtful += 1
            continue
        periods.append(((lo, min(down_by)), (max(down_at), hi)))
    return periods, doubtful


def nth_largest(values, n):
    values = sorted((v for v in values if v is not None), reverse=True)
    return values[n - 1] if len(values) >= n else None


def surely_down(parts, least, until):
    """For how long at least `least` probes were certainly down at once, before `until`."""
    spans = [(lo, min(hi, until)) for p in parts for lo, hi in p if min(hi, until) > lo]
    points = sorted({x for s in spans for x in s})
    return sum(b - a for a, b in zip(points, points[1:])
               if sum(lo <= a and hi >= b for lo, hi in spans) >= least)


# ---- what is kept while a fault is in force ----

QUANTILES = {"p50": Fraction(50, 100), "p95": Fraction(95, 100), "p99": Fraction(99, 100)}
ANSWERS = {"status", "body", "header", "slow", "exit"}


def kept(trial, probes, since):
    """probes: [(name, probe, spans in which nothing is known)]."""
    windows = [(f["start"][0], min(f["end"][0] if f["end"] else INF, trial.watched))
               for f in trial.faults if f["ok"]]
    good = bad = 0
    unknown, fast, slow = 0, [], []
    for name, probe, blind_spans in probes:
        for e in trial.of("probe", probe=name):
            if e["start"] < since or not any(lo <= e["start"] < hi for lo, hi in windows):
                continue
            lost = (e.get("unknown", False) or e["start"] - e["sched"] > probe["every"]
                    or any(e["start"] <= hi and e["end"] >= lo for lo, hi in blind_spans))
            if lost and not e["ok"]:
                unknown += 1
                continue
            good, bad = good + e["ok"], bad + (not e["ok"])
            late = e.get("why") == "timeout" and not e["ok"]
            if e["ok"] or late or e.get("why") in ANSWERS:
                fast.append(e["end"] - e["start"])
                slow.append(INF if late else e["end"] - min(e["sched"], e["start"]))
    n = good + bad + unknown
    k = {"n": n, "good": good, "bad": bad, "unknown": unknown, "answers": len(fast),
         "success": (Fraction(good, n), Fraction(good + unknown, n)) if n else (Fraction(0), 1)}
    # Unknown ones are once the fastest, once the slowest.
    at_least, at_most = sorted([0] * unknown + fast), sorted(slow + [INF] * unknown)
    for word, q in QUANTILES.items():
        rank = math.ceil(q * len(at_least))
        k[word] = (at_least[rank - 1], at_most[rank - 1]) if fast else None
    return k


def judge_kept(trial, service, s):
    for word, promised in service["during"].items():
        k = s.kept
        if word == "success":
            lo, hi = k["success"]
            told = k["n"] * (1 - promised) >= 1 if promised < 1 else k["n"] > 0
            got = ("missed" if hi < promised else "within" if lo >= promised and told else "open")
            kind = "success"
        else:
            got, kind = share(k[word], promised), "latency_" + word
        s.shares[kind] = "open" if got == "within" and trial.aborted else got


class Seen:
    """One service in one trial."""


def measure(trial, scenario, name):
    s = Seen()
    service = scenario.services[name]
    least, watched = service["least"], trial.watched
    begin = trial.fault_start[0] if trial.fault_start else None
    since = -INF if trial.armed is None else trial.armed - scenario.settle
    s.blips = s.unknown = 0
    s.resolution = 0
    by_probe, probes = {}, []
    for probe_name, probe in scenario.probes.items():
        if probe["service"] != name:
            continue
        unseen = blind(trial, scenario, probe["host"], since)
        answers = known_answers(trial.lines, probe, probe_name, since, unseen)
        probes.append((probe_name, probe, unseen))
        runs, blips = outages(answers, probe, begin)
        by_probe[probe_name] = runs
        s.blips += blips
        s.unknown += sum(not a[3] for a in answers)
        s.resolution = max(s.resolution, resolution(
            answers, probe, trial.armed if begin is None else begin, watched))
    s.probed = bool(by_probe)
    s.kept = kept(trial, probes, since)
    s.watched = 0 if trial.armed is None else watched - (trial.armed if begin is None else begin)
    periods, doubtful = service_down([o for runs in by_probe.values() for o in runs], least)
    s.blips += doubtful
    s.episodes = [episode(trial, service, by_probe, least, impact, restored)
                  for impact, restored in periods]
    s.judged = [e for e in s.episodes if not e["undo"]]
    s.flaps = sum(e["flaps"] for e in s.judged)
    return s


def blind(trial, scenario, host, since):
    spans = []
    for e in trial.of("trouble"):
        if "from" in e and (e["what"] == "runner-late"
                            or (e["what"] == "control-down" and e.get("host", "") == host)):
            spans.append((e["from"], INF if e.get("to") is None else e["to"]))
    for name, probe in scenario.probes.items():
        if probe["control"] and probe["host"] == host:
            answers = known_answers(trial.lines, probe, name, since, [])
            spans += [(o.impact[0], o.restored[1]) for o in outages(answers, probe, None)[0]]
    return spans


def episode(trial, service, by_probe, least, impact, restored):
    watched = trial.watched
    parts = {n: [o for o in runs if o.impact[0] <= restored[1] and o.restored[1] >= impact[0]]
             for n, runs in by_probe.items()}
    outs = [o for runs in parts.values() for o in runs]
    firsts = sorted(min(o.first_bad for o in runs) for runs in parts.values() if runs)
    first_bad = firsts[min(least, len(firsts)) - 1]
    e = {"impact": impact, "flaps": sum(o.flaps for o in outs), "first_bad": first_bad}

    def last_bad(before):
        """When it was last certainly bad: `least` probes had failed at or after that."""
        last = [max((b for o in runs for b in o.bad if first_bad <= b < before), default=None)
                for runs in parts.values()]
        x = nth_largest(last, least)
        return impact[0] if x is None else min(x, restored[0])

    begun = [f for f in trial.faults if f["ok"] and f["start"][0] <= impact[1]]
    e["undo"] = first_bad >= watched or (
        bool(begun) and all(f["end"] and f["end"][0] <= first_bad for f in begun))
    involved = [f for f in trial.faults if f["ok"] and f["start"][0] <= restored[1]
                and not (f["end"] and (f["end"][0] <= first_bad or f["end"][1] < impact[0]))]
    e["faults"] = [f["step"] for f in involved]
    ends = [f["end"] for f in involved if f["end"] and f["end"][0] < restored[1]]
    healed = min(ends, key=lambda x: x[0], default=None)
    e["reconverge"] = None
    back = None
    if e["undo"]:
        e["by"] = None if restored[1] == INF else "recovery"
    elif restored[1] <= min(healed[0] if healed else INF, watched):
        e["by"] = "recovery"
    elif restored[1] == INF or healed is None:
        # Not back by the end of observation.
        e["by"] = None
        restored = (last_bad(watched), INF)
    else:
        e["by"] = "heal"
        gap = minus(restored, healed)
        e["reconverge"] = (max(0, gap[0]), gap[1])
        if service.get("counts_as_restored") != "heal":
            back = (last_bad(healed[0]), INF)
    e["restored"] = restored
    back = e["back"] = back or restored
    clamp = lambda d: (max(0, d[0]), d[1])
    e["ttr"] = {"impact": clamp(minus(back, impact)), "fault": None, "detection": None,
                "declaration": None}
    if involved:
        e["ttr"]["fault"] = clamp(minus(back, min((f["start"] for f in involved),
                                                  key=lambda x: x[0])))
    whole = minus(restored, impact)
    sure = surely_down([[x for o in runs for x in o.sure] for runs in parts.values()], least,
                       restored[0])
    e["down"] = (min(sure, whole[1]), whole[1])
    return e


# ---- who noticed ----

BURST = SEC


def onsets_of(trial, name, alarm):
    """(lo, hi, is an onset, was active at arm), bursts of announcements as one."""
    moment = any(k in alarm for k in ("journal", "log", "packets"))
    events, last = [], None
    for e in trial.of("alarm", alarm=name):
        lo, hi = e["at"]
        parted = (trial.fault_start and last is not None and last < trial.fault_start[0] <= hi)
        same = moment and last is not None and lo - last < BURST and not parted
        last = lo
        if not same:
            events.append((lo, hi, e["event"] == "onset", e.get("active_at_arm", False)))
    return events, moment


def counts(service_name, service, name, alarm):
    mine = alarm["service"] == service_name
    by = service["detect"]["by"] if service["detect"] else []
    if not by:
        return mine and alarm["role"] in ("page", "monitor")
    return name in by or (mine and alarm["role"] in by)


def detect(trial, scenario, name, s):
    service = scenario.services[name]
    begin = trial.fault_start[0] if trial.fault_start else INF
    first = s.judged[0] if s.judged else None
    s.alarms = {}
    for alarm_name, alarm in scenario.alarms.items():
        c = counts(name, service, alarm_name, alarm)
        if not c and alarm["service"] != name:
            continue
        events, moment = onsets_of(trial, alarm_name, alarm)
        a = {"counts": c, "events": events, "false": 0, "masked": False, "onset": None}
        for lo, hi, onset, at_arm in events:
            if hi < begin or (onset and at_arm):
                a["masked"] = onset and not moment
                a["false"] += (hi < begin and onset and not at_arm and trial.armed is not None
                               and hi >= trial.armed and lo < trial.watched)
            elif onset and a["onset"] is None and lo < trial.watched:
                a["onset"] = (lo, hi)
        a["missing"] = c and first is not None and a["onset"] is None and not a["masked"]
        a["ttd"] = minus(a["onset"], first["impact"]) if first and a["onset"] else None
        s.alarms[alarm_name] = a

    start = trial.fault_start and trial.fault_start[0]
    for k, e in enumerate(s.episodes):
        until = s.episodes[k + 1]["impact"][0] if k + 1 < len(s.episodes) else INF
        rings = [(lo, hi) for a in s.alarms.values() if a["counts"]
                 for lo, hi, onset, at_arm in a["events"]
                 if onset and not at_arm and start is not None and hi >= start and lo <= until]
        e["onset"] = min(rings, key=lambda x: x[0], default=None)
        if e["onset"]:
            e["ttr"]["detection"] = minus(e["back"], e["onset"])
        start = e["restored"][1]

    s.detection, s.ttd, s.detected_by = "not_applicable", None, None
    promise = service["detect"]
    counting = {n: a for n, a in s.alarms.items() if a["counts"]}
    by = min((n for n in counting if counting[n]["onset"]),
             key=lambda n: counting[n]["onset"][0], default=None)
    s.detected_by = by
    if trial.why_void or not trial.fault_start or (not counting and not promise):
        return
    fault_clock = bool(promise) and promise["clock"] == "fault"
    if first is None and not fault_clock:
        return
    zero = trial.fault_start if fault_clock else first["impact"]
    end = (trial.watched, trial.watched)
    if by:
        s.detection, s.ttd = "detected", minus(counting[by]["onset"], zero)
    elif any(a["masked"] for a in counting.values()):
        s.detection = "masked"
    else:
        # Those that lasted, by what is known, until they had to be noticed.
        lasting = [e for e in s.judged if not promise or minus(
            e["restored"], trial.fault_start if fault_clock else e["impact"])[1]
            >= promise["within"]]
        if s.judged and promise and not lasting:
            s.detection = "restored_first"
        else:
            s.detection = "not_detected"
            if not fault_clock and lasting:
                zero = lasting[0]["impact"]
            s.unnoticed = lasting[0] if lasting else None
            s.ttd = (minus(end, zero)[0], INF)


def marks(trial, name, s):
    """A mark is about the last outage that had begun."""
    s.tta, before = None, -INF
    for m in trial.of("mark"):
        lo, hi = m["at"]
        begun = [e for e in s.judged if e["impact"][0] <= hi]
        if m.get("service") not in (None, name) or not begun:
            continue
        e = begun[-1]
        known = (min(max(before, e["impact"][0]), hi), hi)
        if m["mark"] == "declared" and e["ttr"]["declaration"] is None:
            e["ttr"]["declaration"] = minus(e["back"], known)
        if m["mark"] == "acknowledged" and s.tta is None and s.detected_by:
            s.tta = minus(known, s.alarms[s.detected_by]["onset"])
        before = hi


# ---- what each trial says ----

def share(span, target):
    if span is None:
        return "open"
    return "within" if span[1] <= target else "missed" if span[0] > target else "open"


def longest(spans):
    return (max(x[0] for x in spans), max(x[1] for x in spans))


def add_up(spans):
    return (sum(x[0] for x in spans), sum(x[1] for x in spans))


CLOCKS = ("impact", "fault", "detection", "declaration")


def judge_trial(trial, scenario, name, s):
    service = scenario.services[name]
    s.shares = {}
    if trial.why_void:
        s.outcome, s.ttr, s.down, s.ttd, s.by = "void", None, None, None, None
        s.clocks = dict.fromkeys(CLOCKS)
        s.shares = dict.fromkeys(KINDS, "void")
        return
    aborted = trial.aborted
    if not s.judged:
        s.outcome, s.by = "unaffected", None
        unseen = (0, s.resolution) if s.probed else None  # what nobody probed is not known
        s.clocks = dict.fromkeys(CLOCKS, unseen)
        s.down = judged_down = unseen
    else:
        s.outcome = ("censored" if any(e["restored"][1] == INF for e in s.judged)
                     else "restored")
        s.clocks = {c: longest([e["ttr"][c] for e in s.judged])
                    if all(e["ttr"][c] for e in s.judged) else None for c in CLOCKS}
        s.down = add_up([e["down"] for e in s.judged])
        heal_counts = service.get("counts_as_restored") == "heal"
        judged_down = add_up([(e["down"][0], INF) if e["by"] == "heal" and not heal_counts
                              else e["down"] for e in s.judged])
        s.by = max(s.judged, key=lambda e: e["ttr"]["impact"][::-1])["by"]
    s.ttr = s.clocks[service["clock"]]
    s.judged_down = judged_down
    silent = not s.judged and aborted
    if "rto" in service:
        rto = duration(service["rto"])
        if silent:
            s.shares["rto"] = "open"
        elif s.ttr is None and share(s.clocks["impact"], rto) == "within":
            s.shares["rto"] = "within"
        else:
            s.shares["rto"] = share(s.ttr, rto)
    if service["detect"]:
        within = service["detect"]["within"]
        if s.detection in ("not_applicable", "restored_first"):
            got = "not_applicable"
        elif s.detection == "masked":
            got = "open"
        else:
            got = share(s.ttd, within)
            e = getattr(s, "unnoticed", None)
            if s.detection == "not_detected" and e and e["restored"][1] != INF:
                zero = (trial.fault_start if service["detect"]["clock"] == "fault"
                        else e["impact"])
                if minus(e["restored"], zero)[0] < within:
                    got = "open"  # perhaps it was back before anybody had to notice
        s.shares["detect"] = got
    if "max_downtime" in service:
        s.shares["max_downtime"] = ("open" if silent
                                    else share(judged_down, duration(service["max_downtime"])))
    hit = bool(s.judged)
    s.shares["expect"] = {"unaffected": "missed" if hit else "open" if aborted else "within",
                          "affected": "within" if hit else "open",
                          "either": "not_applicable"}[service["expect"]]
    s.shares["no_outage"] = "missed" if hit else "open" if aborted else "within"
    judge_kept(trial, service, s)
    s.shares["no_alarm"] = (
        "missed" if any(a["false"] for a in s.alarms.values())
        else "open" if aborted or any(e[3] for a in s.alarms.values() for e in a["events"])
        else "within")


KINDS = ("rto", "detect", "max_downtime", "expect", "no_outage", "no_alarm", "rpo", "success",
         "latency_p50", "latency_p95", "latency_p99")


def why_void(trial, scenario):
    """A word for it, or None."""
    ends = trial.of("trial-end")
    if ends and ends[0]["outcome"] == "void":
        return "called void"
    if trial.armed is None:
        return "never armed"
    for f in trial.faults:
        if f["gone"]:
            return "ended by others"
        if not f["ok"]:
            return "not injected"
        if not (f["proofs"] and all(f["proofs"])) and not (
                trial.aborted):
            return "not verified"
    if scenario.has_fault and not trial.fault_start:
        return "no fault"
    injected = {f["step"] for f in trial.faults}
    if not trial.aborted and any(s["fault"] and s["scheduled"] and n not in injected
                                 for n, s in scenario.steps.items()):
        return "a fault was not injected"
    return None


def states(trial):
    at = {}
    for e in trial.of("state"):
        at.setdefault(e["state"], e["t"])
    trial.armed = at.get("arm")
    trial.watched = at.get("undo")
    stops, ends = trial.of("stop"), trial.of("trial-end")
    if trial.watched is None and stops:
        trial.watched = stops[0]["t"]
    if trial.watched is None:
        seen = max([e["end"] for e in trial.of("probe")] + [trial.lines[0]["t"]])
        trial.watched = min([seen] + [e["t"] for e in ends])


# ---- all trials ----

def objectives_of(scenario):
    for name, s in scenario.services.items():
        if not scenario.has_fault:
            if s["probed"]:
                yield name, "no_outage", True
            if any(a["service"] == name for a in scenario.alarms.values()):
                yield name, "no_alarm", True
            continue
        for kind, key in (("rto", "rto"), ("detect", "detect_within"),
                          ("max_downtime", "max_downtime")):
            if key in s:
                yield name, kind, s["probed"]
        if name in scenario.expect_named and s["expect"] != "either":
            yield name, "expect", s["probed"]
        for word in ("success", *QUANTILES):
            if word in s["during"]:
                yield name, word if word == "success" else "latency_" + word, s["probed"]
        if "rpo" in s:
            yield name, "rpo", False


def judge_objective(trials, scenario, name, kind, measured):
    ask = scenario.demonstrate
    o = {"service": name, "kind": kind, "planned": 0, "within": 0, "missed": 0, "open": 0,
         "void": 0, "not_applicable": 0, "verdict": "not_applicable", "p_lower": None,
         "p_upper": None, "misses_allowed": ask.get("misses", 0) if ask else 0,
         "confidence": percent(ask["confidence"]) if ask else Fraction(95, 100)}
    o["needed_n"] = ask and needed(percent(ask["reliability"]), o["confidence"],
                                   o["misses_allowed"])
    if not measured:
        return o
    hit = False
    for t in trials:
        s = t.services.get(name)
        got = s.shares[kind] if s else "void"
        o[got] += 1
        if got == "within":
            hit |= (bool(s.judged) or scenario.services[name]["expect"] != "affected"
                    or kind not in ("rto", "max_downtime"))
    n = o["planned"] = o["within"] + o["missed"] + o["open"] + o["void"]
    if n == 0:
        return o
    c = o["confidence"]
    o["p_lower"] = share_lower(o["within"], n, c)
    o["p_upper"] = share_upper(o["within"] + o["open"] + o["void"], n, c)
    # Whether so many within are too rare a luck if the reliability were smaller: exact.
    shown = not ask or tail(n, o["within"], percent(ask["reliability"])) <= 1 - c
    if o["missed"] > o["misses_allowed"]:
        o["verdict"] = "not_met"
    elif o["void"] == n:
        o["verdict"] = "inconclusive"
    elif not o["open"] and not o["void"] and hit and shown:
        o["verdict"] = "met"
    else:
        o["verdict"] = "not_demonstrated"
    return o


def summary(values, fixed_phase, restrict=True):
    """Median, extremes, the median's interval and, where some are censored, the restricted mean of
    durations that are known as intervals, each with how long it was watched."""
    spans = [x for x, _ in values]
    n = len(spans)
    m = {"n": n, "censored": sum(x[1] == INF for x in spans), "median": None,
         "median_above": None, "min": None, "max": None, "ci": None,
         "restricted": None}
    if n == 0:
        return m
    lows, highs = sorted(x[0] for x in spans), sorted(x[1] for x in spans)
    m["min"], m["max"] = (lows[0], highs[0]), (lows[-1], highs[-1])
    mids = sorted(INF if x[1] == INF else Fraction(x[0] + x[1], 2) for x in spans)
    median = (mids[(n - 1) // 2] + mids[n // 2]) / 2
    # One that was not seen to end may be any number from its low on.
    if median == INF or any(x[1] == INF and x[0] < median for x in spans):
        m["median_above"] = Fraction(lows[(n - 1) // 2] + lows[n // 2], 2)
    else:
        m["median"] = median
    if n >= 2 and not fixed_phase:
        j, k, level = median_ranks(n)
        m["ci"] = (lows[j - 1], highs[k - 1], lows[k - 1], level)
    if m["censored"] and restrict and not fixed_phase:
        tau = min([x[0] for x in spans if x[1] == INF] + [w for _, w in values])
        if tau > 0:
            m["restricted"] = (tau, sum(min(x, tau) for x in mids) / n)
    return m


ORDER = ("not_met", "inconclusive", "not_demonstrated", "met")


def judge(folder):
    scenario = Scenario(os.path.join(folder, "scenario.yaml"))
    with open(os.path.join(folder, "record.ndjson"), encoding="utf-8") as f:
        record = [json.loads(line) for line in f if line.endswith("\n")]
    trials = cut(record)
    planned = record[0]["trials"]
    for t in trials:
        t.counted = t.n <= planned and not any(
            u.n == t.n and u.attempt > t.attempt for u in trials)
        ends = t.of("trial-end")
        t.aborted = not ends or ends[0]["outcome"] == "aborted"
        states(t)
        t.faults = faults_of(t, scenario)
        t.fault_start = min((f["start"] for f in t.faults if f["ok"]), key=lambda x: x[0],
                            default=None)
        t.why_void = why_void(t, scenario)
        t.services = {n: measure(t, scenario, n) for n in scenario.services}
        if not t.why_void and t.fault_start and any(
                e["impact"][1] < t.fault_start[0]
                for s in t.services.values() for e in s.episodes):
            t.why_void = "not steady"
        for name, s in t.services.items():
            detect(t, scenario, name, s)
            marks(t, name, s)
            judge_trial(t, scenario, name, s)
    for n in range(1, planned + 1):
        if not any(t.n == n for t in trials):
            t = Trial(n, None, [])
            t.counted, t.why_void, t.services = True, "not run", {}
            t.fault_start = t.armed = t.watched = None
            t.faults, t.aborted = [], True
            trials.append(t)
    counted = [t for t in trials if t.counted]
    objectives = [judge_objective(counted, scenario, *o) for o in objectives_of(scenario)]
    verdicts = [o["verdict"] for o in objectives]
    verdict = next((v for v in ORDER if v in verdicts), "inconclusive")

    status, clean, changed, undo_failed = "failed", None, False, False
    for e in record:
        if e["kind"] == "run-end":
            status = e["status"]
        changed |= e["kind"] == "inject"
        undo_failed |= e["kind"] == "undo" and not e["ok"]
        if e["kind"] == "clean":
            whole = "trial" not in e
            clean = e["clean"] if whole else (clean is not False and e["clean"])
    if clean is None:
        clean = True if not changed else False if undo_failed else None
    code = (6 if clean is False else 5 if status != "completed" else 1 if verdict == "not_met"
            else 0 if verdict == "met" else 4)

    fixed = scenario.phase == "fixed"
    services = {}
    for name, service in scenario.services.items():
        seen = [t.services[name] for t in counted
                if name in t.services and t.services[name].probed
                and t.services[name].outcome != "void"]
        hit = [s for s in seen if s.judged]
        services[name] = {
            "affected": len(hit), "unaffected": len(seen) - len(hit),
            "mttd_s": summary([(s.ttd, s.watched) for s in seen if s.ttd], fixed, False),
            "mttr_s": summary([(s.ttr, s.watched) for s in hit if s.ttr], fixed),
            "down_s": summary([(s.down, s.watched) for s in hit], fixed)}
    return {"trials": trials, "objectives": objectives, "services": services, "verdict": verdict,
            "status": status, "clean": clean, "exit_code": code,
            "has_fault": scenario.has_fault}

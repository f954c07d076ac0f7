"""What `plan` prints, held against what a run did: change by change, in order, each as often as it was.

A change is (where, text). The record tells each one that was made (kind `lab`, event `change`), with the
step on whose behalf. A plan prints below each sentence the changes it stands for, indented; in front of
what comes only sometimes stands in which case. What only the kernel can give is the one thing that a plan
cannot know: of the numbers of processes there the name counts; whatever else is known only once it was read
stands as <what it is>; RUN is the name of the run.
"""
import collections
import re

# In front of a change, in a plan: it is repeated; it is made earlier; it takes back; or only in that case.
IN_TURNS = "in turns"
CASES = re.compile(r"(in turns|when armed|to undo that|if [^:]+): ")
ALONG = "if it went along"
PROCESS = re.compile(r"process (\d+) \((.*?)(?:, unit (.*))?\)$")
EACH = re.compile(r"(.*) each(?:: (.+)| (of the same))$")
PORT = re.compile(r"\b0x(?:4e[2-9a-f]|4f.|[56]..|7[0-9ab].|7c.)[0-9a-f]\b")  # 20000 to 31999
UNREAD = re.compile(r"<[^<>]*>")
UNDO = "to undo that:"

Planned = collections.namedtuple("Planned", "where text cases")


def plain(text):
    """Without the numbers that our engine counts through a whole trial (a plan begins anew with each step), and
    the address that a cable of its own takes over from the port it stands for, read from the kernel."""
    text = re.sub(r"\b(pref=|class=0x|bstap)[0-9a-f]+", r"\1N", text)
    text = re.sub(r"\bblackstart-[a-z][a-z0-9]{5}-", "blackstart-RUN-", text)
    text = PORT.sub("PORT", text)  # a proxy listens on one that is free
    return re.sub(r"(\bname=bs\d+a) mac=[0-9a-f:]+", r"\1", text)


def parse(line):
    where, text = line.strip().split(": ", 1)
    cases = []
    while True:
        m = CASES.match(text)
        if not m:
            return Planned(where, plain(text), cases)
        cases.append(m.group(1))
        text = text[m.end():]


def parts(texts):
    """Of a step's texts the changes that are made, and those that take them back."""
    done, undone, undoing = [], [], False
    for line in texts:
        if line == UNDO:
            undoing = True
        elif line.startswith("  "):
            p = parse(line)
            (undone if undoing or "to undo that" in p.cases else done).append(p)
    return done, undone


def plan_of(plan):
    """Of a plan as JSON: {what: changes}; what: `build`, `end`, `load`, (step, undo)."""
    changes = {"build": [parse(l) for l in plan["lab"]], "end": [parse(l) for l in plan["lab_end"]],
               "load": [parse(l) for l in plan.get("load", []) if l.startswith("  ")]}
    for s in plan["steps"]:
        changes[s["step"], False], changes[s["step"], True] = parts(s["texts"])
    return changes


def run_of(record, trial=1):
    """The same of a record, from the first line to the last of it: whatever is of no step is of the lab or of
    its load, by the time at which it came."""
    changes = collections.defaultdict(list)
    when = {"build": "build", "compare": "end"}
    now = "build"
    for e in record:
        if e.get("trial") != trial:
            continue
        if e["kind"] == "state":
            now = when.get(e["state"], "load")
        elif e["kind"] == "lab" and e["event"] == "change":
            what = (e["step"], e.get("undo", False)) if "step" in e else now
            changes[what].append((e["where"], plain(e["text"])))
    return dict(changes)


def rule_holds(rule, name, unit):
    kind, _, word = rule.partition(" ")
    return rule == "every process" or {"process": name, "unit": unit}.get(kind) == word


def reads_as(planned, made):
    """The same text, with anything where the plan says that it is not yet known."""
    return re.fullmatch(".+".join(re.escape(p) for p in UNREAD.split(planned)), made) is not None


def same(planned, made, pids):
    """Is this the change that was planned? `pids`: who got which signal in this step, {(where, signal): [pid]}:
    each once, in the order of their numbers."""
    where, text = made
    if where != planned.where:
        return False
    each = EACH.match(planned.text)
    m = PROCESS.search(text)
    if not each or not m:
        return reads_as(planned.text, text) and not m
    deed, rule, _ = each.groups()
    pid, name, unit = int(m.group(1)), m.group(2), m.group(3)
    got = pids.setdefault((where, deed), [])
    if not reads_as(deed, text[:m.start()].rstrip()) or (got and pid <= got[-1]):
        return False
    got.append(pid)
    if not rule:
        return any(pid in others for key, others in pids.items() if key[0] == where and others is not got)
    return rule_holds(rule, name, unit)


def chosen(planned, hosts):
    """Of a plan what is left when these were chosen, in the order in which they were. (What all candidates do
    at once stays in the order of the plan.)"""
    def host(p):
        return next((c.split()[1] for c in p.cases if c.endswith(" is chosen")), None)
    left = [p._replace(cases=[c for c in p.cases if not c.endswith(" is chosen")])
            for p in sorted((p for p in planned if host(p) in [None] + hosts),
                            key=lambda p: hosts.index(host(p)) if host(p) and IN_TURNS not in p.cases else 0)]
    return left


def expand(planned, cases, edges, each, along):
    """The changes of a plan as often as they come: in these cases, with so many edges of what comes in turns,
    so many processes to each rule (a number, or by what is done to them or their host), so much that went along with what was taken away."""
    out, turn = [], []
    for p in planned + [Planned("", "", [])]:
        if IN_TURNS in p.cases:
            turn.append(p)
            continue
        out += [turn[i % len(turn)] for i in range(edges)] if turn else []
        turn = []
        if not p.where or any(c.startswith("if ") and c not in cases and c != ALONG for c in p.cases):
            continue
        times = along if ALONG in p.cases else 1
        if EACH.match(p.text):
            times = each.get(EACH.match(p.text).group(1), each.get(p.where, 1)) if isinstance(each, dict) else each
        out += [p] * times
    return out


def differences(planned, made, cases=(), edges=0, each=1, along=0, pids=None):
    """Sentences; none: what was made is what was planned. `pids`: carried from a step to its undoing."""
    pids = {} if pids is None else pids
    wanted = expand(planned, cases, edges, each, along)
    for i, (p, m) in enumerate(zip(wanted, made)):
        if not same(p, m, pids):
            return ["change %d: planned %s: %s\n          made    %s: %s" % ((i, p.where, p.text) + m)]
    n = min(len(wanted), len(made))
    return (["planned, but never made: %s: %s" % (p.where, p.text) for p in wanted[n:]]
            + ["made, but not planned: %s: %s" % m for m in made[n:]])


def all_differences(plan, run, how=None):
    """Of a whole trial. `how`: {what: arguments of differences()}."""
    found, pids = [], {}
    for what in list(plan) + [w for w in run if w not in plan]:
        step = what[0] if isinstance(what, tuple) else None
        found += ["%s: %s" % (what, d) for d in
                  differences(plan.get(what, []), run.get(what, []), pids=pids.setdefault(step, {}),
                              **(how or {}).get(what, {}))]
    return found


def spoilt(run):
    """Every run that differs from this one in one thing: (what was done to it, the run)."""
    def mask(change):
        return change[0], PROCESS.sub(r"process (\2, \3)", change[1])
    for what, made in run.items():
        for i, change in enumerate(made):
            others = [("dropped", made[:i] + made[i + 1:]), ("told twice", made[:i + 1] + made[i:]),
                      ("changed", made[:i] + [(change[0], change[1] + "0")] + made[i + 1:]),
                      ("elsewhere", made[:i] + [(change[0] + "0", change[1])] + made[i + 1:])]
            if i + 1 < len(made) and mask(change) != mask(made[i + 1]):
                others.append(("swapped", made[:i] + [made[i + 1], change] + made[i + 2:]))
            for how, other in others:
                yield "%s: %d %s" % (what, i, how), dict(run, **{"": []}) | {what: other}
    for what, made in run.items():
        other = next((w for w in run if w != what and isinstance(w, tuple)), None)
        if made and other:
            yield "%s: the last one under another name" % (what,), run | {
                what: made[:-1], other: run[other] + made[-1:]}
    yield "one of no step", run | {("nobody", False): [("switch", "link set down name=a")]}

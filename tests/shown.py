#!/usr/bin/env python3
"""shown.py SOURCE [--check]: which test shows what of which fault on which kind of target.

A test says so itself, in a line of its docstring (Python) or of the comment above it (C, YAML of the
corpus), beginning with the word in capitals:

    SHOWS address: netns: applied verified undone

Read from all of tests/ and from test_*.c beside the code, written as a table into tests/README.md between
its two marks; with --check nothing is written, and a table that does not agree is an error (exit code 1).

What is measured of impairments says so likewise, by our own engine, by netem, or read back from it:

    MEASURES delay, jitter: engine netem

Either way it is complete: each fault has a row for each kind of target, and a row shows either that it is
refused there, and nothing else, or everything; each parameter is measured by the engine, and by netem
or read back from it.
"""
import ast
import pathlib
import re
import sys

COLUMNS = ["applied", "verified", "undone", "undone-after-kill", "refused"]
HEADS = ["applied", "verified", "undone", "undone after kill -9", "refused with a reason"]
BEGIN, END = "<!-- shown.py: begin -->\n", "<!-- shown.py: end -->\n"
KINDS = ["container", "here", "lab", "netns", "process", "unit"]
# Nothing is to be undone.
ONCE = {"restart", "run", "sockets"}
# It is no fault: nothing is promised of what a command does.
PLAIN = {"run"}
# Done to no host: it is only forecast.
ASSUMED = {"outage"}
INJECTOR = re.compile(r"static const struct injector \w+ = \{\s*\.name = \"([\w-]+)\"")
MEASURED_BEGIN, MEASURED_END = BEGIN.replace("begin", "measured"), END.replace("end", "measured end")
# Of impairments: what both ways have; then what is only ours to carry unharmed.
PARAMETERS = ["delay", "jitter", "distribution", "correlation of delays", "keep_order", "loss",
              "correlation of losses", "gilbert_elliott", "state", "duplicate", "correlation of copies", "corrupt",
              "correlation of damage", "reorder", "gap", "correlation of order", "rate", "packet_overhead", "cell_size",
              "cell_overhead", "slot", "slot with a distribution", "ecn", "limit", "seed", "peers", "ports",
              "directions", "IPv4", "IPv6", "others as before"]
TRAFFIC = ["TCP in large frames", "TCP beyond 64 kB", "TCP in jumbo frames", "UDP floods", "datagrams in fragments",
           "datagrams in jumbo frames"]
WAYS = ["engine", "netem", "netem-read-back"]
MEASURES = re.compile(r"MEASURES ([^:]+): ((?:(?:engine|netem-read-back|netem) ?)+)")
LINE = re.compile(r"SHOWS ([\w-]+(?: \([\w, ]+\))?): ([\w -]+): ([\w -]+)")


def shown(text):
    for fault, kind, what in LINE.findall(text or ""):
        words = what.split()
        unknown = set(words) - set(COLUMNS)
        if unknown:
            raise SystemExit("SHOWS %s: %s: unknown: %s" % (fault, kind, " ".join(sorted(unknown))))
        yield fault, kind, words


def in_python(path):
    for node in ast.parse(path.read_text()).body:
        items = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = node.name + "." if isinstance(node, ast.ClassDef) else ""
        if prefix:
            yield node.name, ast.get_docstring(node)
        for f in items:
            if isinstance(f, ast.FunctionDef):
                yield prefix + f.name, ast.get_docstring(f)


def in_c(path):
    for comment, name in re.findall(r"/\*((?:(?!\*/).)*?)\*/\s*static void (\w+)\(", path.read_text(),
                                    re.S):
        yield name, comment


def in_yaml(path):
    yield "check", "\n".join(l for l in path.read_text(errors="replace").splitlines()
                             if l.startswith("#"))


def collect(source):
    """{(fault, kind): {column: {test}}}"""
    found = {}
    files = [(p, in_python) for p in source.glob("tests/**/*.py")] + \
        [(p, in_c) for top in ("tests", "sim", "injectors") for p in source.glob(top + "/**/test_*.c")] + \
        [(p, in_yaml) for p in source.glob("tests/corpus/*.yaml")]
    for path, reader in files:
        if path.name == "shown.py" or "SHOWS " not in path.read_text(errors="replace"):
            continue
        for name, text in reader(path):
            for fault, kind, words in shown(text):
                for w in words:
                    test = "%s %s" % (path.relative_to(source), name)
                    found.setdefault((fault, kind), {}).setdefault(w, set()).add(test)
    return found


def measured(source):
    """{(thing, way): {test}}; "correlation of losses, of copies" are two things."""
    by = {}
    for path in [p for top in ("tests", "sim") for p in source.glob(top + "/**/test_*.c")]:
        for name, text in in_c(path):
            for things, ways in MEASURES.findall(re.sub(r"\s*\n\s*\*\s*", " ", text)):
                first = ""
                for thing in re.split(r",\s*", things):
                    thing = first + thing if re.match(r"(of|in) ", thing) else thing
                    first = re.split(r"(?:of|in) ", thing)[0]
                    if thing not in PARAMETERS + TRAFFIC:
                        raise SystemExit("MEASURES: unknown: %s (%s)" % (thing, path))
                    for way in ways.split():
                        by.setdefault((thing, way), set()).add("%s `%s`" % (path.stem.replace("test_", ""), name))
    return by


def unmeasured(by):
    for thing in PARAMETERS + TRAFFIC:
        if (thing, "engine") not in by:
            yield "%s by our engine" % thing
        if thing in PARAMETERS and (thing, "netem") not in by and (thing, "netem-read-back") not in by:
            yield "%s by netem" % thing


def measured_table(by):
    lines = ["| | our engine | netem | read back from netem |", "|---|---|---|---|"]
    for thing in PARAMETERS + TRAFFIC:
        lines.append("| %s | %s |" % (thing, " | ".join("; ".join(sorted(by.get((thing, way), ()))) for way in WAYS)))
    return "\n".join(lines) + "\n"


def needed(fault):
    """The columns that its rows fill where it is not refused."""
    return [c for c in COLUMNS if not (fault in ONCE and c.startswith("undone")) and
            not (fault in PLAIN and c == "verified")]


def gaps(source, found):
    faults = {name for p in source.glob("injectors/**/*.c") if not p.name.startswith("test_")
              for name in INJECTOR.findall(p.read_text())}
    rows = {}
    for fault, kind in found:
        rows.setdefault((fault.split()[0], kind), []).append(fault)
    parts = {f for f, _ in found if " (" in f}
    for fault in sorted(faults - ASSUMED):
        for kind in KINDS:
            if (fault, kind) not in rows:
                yield "%s: %s: nothing is shown" % (fault, kind)
            # What is shown of a fault as a whole needs not be shown of its parts, too.
            for part in sorted(p for p in parts if p.split()[0] == fault):
                if (fault, kind) not in found and (part, kind) not in found:
                    yield "%s: %s: nothing is shown" % (part, kind)
            for row in rows.get((fault, kind), ()):
                missing = [c for c in needed(fault) if c not in found[row, kind]]
                if missing and set(found[row, kind]) != {"refused"}:
                    yield "%s: %s: not shown: %s" % (row, kind, ", ".join(missing))


def by_default(source):
    """What of the tests of the emulated machine runs in the suite `kernel`: {file: names of classes and tests}, none
    where all of them do."""
    text = (source / "tests/kernel/meson.build").read_text()
    parts = re.split(r"(?m)^(\w+) \+?= \[", text)
    found = {}
    for name, part in zip(parts[1::2], parts[2::2]):
        if "nightly" in name or "bench" in name:
            continue
        for file, names in re.findall(r"files\('(test_\w+\.py)'\)((?:,\s*'[\w.]+')*)", part):
            found.setdefault("tests/kernel/" + file, []).extend(re.findall(r"'([\w.]+)'", names))
    return found


def is_nightly(test, default):
    file, _, name = test.partition(" ")
    if not file.startswith("tests/kernel/test_") or not file.endswith(".py"):
        return False
    return file not in default or bool(default[file]) and not {name, name.split(".")[0]} & set(default[file])


def table(found, default):
    """Each row names its own tests, so that two changes seldom meet in one line."""
    lines = ["| fault | target | " + " | ".join(HEADS) + " | shown by |",
             "|---" * (len(HEADS) + 3) + "|"]
    for fault, kind in sorted(found):
        tests = sorted({t for some in found[fault, kind].values() for t in some})
        letter = dict(zip(tests, "abcdefghijklmnopqrstuvwxyz"))
        cells = []
        for c in COLUMNS:
            some = sorted(letter[t] for t in found[fault, kind].get(c, ()))
            none = "" if c in needed(fault) and set(found[fault, kind]) != {"refused"} else "–"
            cells.append(" ".join(some) or none)
        by = "; ".join("%s: %s%s" % (letter[t], t.replace("tests/", "", 1), " (in `nightly`)" if is_nightly(t, default)
                                     else "") for t in tests)
        lines.append("| `%s` | %s | %s | %s |" % (fault, kind, " | ".join(cells), by))
    lines += ["", "(–: there is nothing to show: it is refused there, or nothing is to be undone.)"]
    return "\n".join(lines) + "\n"


def main(source, check):
    path = source / "tests/README.md"
    text = path.read_text()
    if BEGIN not in text or END not in text:
        raise SystemExit("%s:1: has lost the marks of shown.py" % path)
    head, rest = text.split(BEGIN, 1)
    found = collect(source)
    now = head + BEGIN + table(found, by_default(source)) + END + rest.split(END, 1)[1]
    if MEASURED_BEGIN not in now or MEASURED_END not in now:
        raise SystemExit("%s:1: has lost the marks of shown.py" % path)
    head, rest = now.split(MEASURED_BEGIN, 1)
    by = measured(source)
    now = head + MEASURED_BEGIN + measured_table(by) + MEASURED_END + rest.split(MEASURED_END, 1)[1]
    if not check:
        path.write_text(now)
    elif now != text:
        raise SystemExit("tests/README.md:1: its tables are not what the tests say they show; "
                         "write it anew: python3 tests/shown.py .")
    wanting = list(gaps(source, found)) + list(unmeasured(by))
    if wanting:
        raise SystemExit("".join("tests/README.md:1: a gap in its tables: %s\n" % g for g in wanting))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), "--check" in sys.argv[2:])

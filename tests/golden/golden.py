#!/usr/bin/env python3
"""Reports of the golden records: exact bytes of what programs read, structure of the page.

golden.py HELPER            compares
golden.py HELPER --update   writes the expected files anew (then look at the difference)
"""
import hashlib
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

HERE = os.path.dirname(os.path.abspath(__file__))
HELPER = os.path.abspath(sys.argv[1])
UPDATE = "--update" in sys.argv
FILES = ["result.json", "report.md", "junit.xml", "metrics.prom", "terminal.txt"]
EXITS = {"met": 0, "missed": 1, "aborted": 6, "steady": 0}
failures = []


def fail(text):
    failures.append(text)
    print("FAIL:", text)


def run(folder, *more):
    p = subprocess.run([HELPER, folder, *more], capture_output=True, text=True)
    return p.returncode, p.stdout, p.stderr


class Page(html.parser.HTMLParser):
    """Every tag closed in its order, every id once, nothing fetched, nothing that runs but ours."""

    VOID = {"meta", "br", "link", "img", "input", "hr"}

    def __init__(self, name, text):
        super().__init__(convert_charrefs=True)
        self.name, self.stack, self.ids, self.refs = name, [], set(), set()
        self.scripts, self.in_script, self.levels, self.texts = [], None, [], []
        self.feed(text)
        self.close()
        if self.stack:
            fail(f"{name}: not closed: {self.stack}")
        for ref in self.refs - self.ids:
            fail(f"{name}: refers to #{ref}, which is nowhere")
        last = 0
        for level in self.levels:
            if level > last + 1:
                fail(f"{name}: a heading h{level} follows h{last}")
            last = level

    def attributes(self, tag, attrs):
        names = [k for k, _ in attrs]
        if len(names) != len(set(names)):
            fail(f"{self.name}: <{tag}> has an attribute twice: {names}")
        for k, v in attrs:
            v = v or ""
            if k.startswith("on"):
                fail(f"{self.name}: <{tag} {k}>")
            if k == "id":
                if v in self.ids:
                    fail(f"{self.name}: id {v} stands twice")
                self.ids.add(v)
            if k in ("href", "xlink:href", "src", "action", "data"):
                if not v.startswith("#"):
                    fail(f"{self.name}: <{tag} {k}={v!r}> leaves the page")
                self.refs.add(v[1:])
            if k in ("aria-labelledby", "aria-describedby"):
                self.refs.update(v.split())
            for m in re.findall(r"url\(([^)]*)\)", v):
                if not m.strip("'\"").startswith("#"):
                    fail(f"{self.name}: {m} leaves the page")

    def handle_starttag(self, tag, attrs):
        self.attributes(tag, attrs)
        d = dict(attrs)
        if tag == "svg" and "aria-hidden" not in d and not (
                d.get("role") == "img" and ("aria-label" in d or "aria-labelledby" in d)):
            fail(f"{self.name}: a drawing without words: {attrs}")
        if tag == "script":
            self.in_script = d.get("type", "text/javascript")
            self.scripts.append([self.in_script, ""])
        if re.fullmatch(r"h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag in ("iframe", "object", "embed", "form", "base", "link", "img"):
            fail(f"{self.name}: <{tag}> has no place here")
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes(tag, attrs)

    def handle_endtag(self, tag):
        if not self.stack or self.stack[-1] != tag:
            fail(f"{self.name}: </{tag}> closes {self.stack[-3:]} at {self.getpos()}")
        else:
            self.stack.pop()
        if tag == "script":
            self.in_script = None

    def handle_data(self, data):
        if self.in_script:
            self.scripts[-1][1] += data
        else:
            self.texts.append(data)


def check_page(name, folder):
    text = open(os.path.join(folder, "report.html"), encoding="utf-8").read()
    page = Page(name, text)
    for evil in ("<script>alert", "<img src=x"):
        if evil in text:
            fail(f"{name}: {evil} got into the page")
    for word in ("http://", "https://", "//"):
        for m in re.finditer(re.escape(word), re.sub(r"xmlns(:xlink)?=\"http://www.w3.org/[^\"]*\"", "", text)):
            around = text[max(0, m.start() - 30):m.start() + 40]
            if re.search(r"(src|href|url\(|@import)[^>]{0,12}//", around):
                fail(f"{name}: external: {around!r}")
    code = [s for kind, s in page.scripts if kind == "text/javascript"]
    if len(code) != 1 or "alert(1)" in code[0]:
        fail(f"{name}: {len(code)} scripts, one is ours")
    for kind, s in page.scripts:
        if kind == "application/json":
            for event in json.loads(s):
                if len(event) != 3:
                    fail(f"{name}: event {event}")
    if "LIVE DRILL" not in "".join(page.texts):
        fail(f"{name}: the mode is not told")
    sentence = open(os.path.join(folder, "terminal.txt"), encoding="utf-8").read()
    return text, sentence


def check_plots(name, folder, page):
    """gnuplot's drawings take the page's colour of text and our words; they do not tell of a version."""
    plots = re.findall(r"<svg[^>]*aria-labelledby=.plot\d+-title.*?</svg>", page, re.S)
    if not plots:
        fail(f"{name}: no plots on the page")
    for n, svg in enumerate(plots, 1):
        words = (rf'<svg [^>]*aria-labelledby="plot{n}-title plot{n}-desc">\s*'
                 rf'<title id="plot{n}-title">[^<]+</title>\s*<desc id="plot{n}-desc">[^<]+</desc>')
        if not re.match(words, svg) or svg.count("<title") - svg.count("<title>") != 1:
            fail(f"{name}: plot {n} begins {svg[:300]!r}")
        if "currentColor" not in svg:
            fail(f"{name}: plot {n} has no currentColor")
        for m in re.finditer(r"[\"']black[\"']|rgb\(\s*0,\s*0,\s*0\)|GNUPLOT|patchlevel|<title>Gnuplot", svg):
            fail(f"{name}: plot {n} says {m[0]}")


def check_junit(name, folder):
    root = ET.parse(os.path.join(folder, "junit.xml")).getroot()
    cases = root.findall(".//testcase")
    keys = [(c.get("classname"), c.get("name")) for c in cases]
    if len(keys) != len(set(keys)):
        fail(f"{name}: junit has a case twice, GitLab would drop one")
    for what in ("failure", "error", "skipped"):
        attribute = {"failure": "failures", "error": "errors"}.get(what, what)
        if int(root.get(attribute)) != len(root.findall(f".//{what}")):
            fail(f"{name}: junit counts {attribute} wrongly")
    if int(root.get("tests")) != len(cases):
        fail(f"{name}: junit counts tests wrongly")


def check_metrics(name, folder):
    text = open(os.path.join(folder, "metrics.prom"), encoding="utf-8").read()
    if not text.endswith("# EOF\n"):
        fail(f"{name}: metrics do not end with # EOF")
    seen, families, now = set(), set(), None
    for line in text.splitlines()[:-1]:
        m = re.fullmatch(r"# (TYPE|UNIT|HELP) ([a-z_]+) (.+)", line)
        if m:
            if m[1] == "TYPE":
                if m[2] in families:
                    fail(f"{name}: family {m[2]} stands twice")
                families.add(m[2])
                now = m[2]
            if m[1] == "UNIT" and not m[2].endswith("_" + m[3]):
                fail(f"{name}: {m[2]} does not end in its unit")
            continue
        m = re.fullmatch(r'([a-z_]+)(\{[^{}]*\}) (\S+)', line)
        if not m or m[1] != now or (m[1], m[2]) in seen:
            fail(f"{name}: metrics line {line!r}")
            continue
        seen.add((m[1], m[2]))
        float(m[3])


def check_terminal(name, text):
    for line in text.splitlines():
        if len(line) > 80:
            fail(f"{name}: {len(line)} columns: {line}")
        if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in line):
            fail(f"{name}: control characters: {line!r}")


def prepare(tmp, name):
    folder = os.path.join(tmp, name)
    os.makedirs(folder)
    for f in ("record.ndjson", "scenario.yaml"):
        shutil.copy(os.path.join(HERE, name, f), folder)
    return folder


def goldens(tmp):
    drawn = []
    for name, code in EXITS.items():
        folder = prepare(tmp, name)
        rc, out, err = run(folder)
        if rc != code:
            fail(f"{name}: exit {rc}, not {code}: {err}")
            continue
        open(os.path.join(folder, "terminal.txt"), "w", encoding="utf-8").write(out)
        for f in FILES:
            got = open(os.path.join(folder, f), "rb").read()
            path = os.path.join(HERE, name, f)
            if UPDATE:
                open(path, "wb").write(got)
            elif got != open(path, "rb").read():
                fail(f"{name}/{f} is not as expected; golden.py HELPER --update shows how")
        page, _ = check_page(name, folder)
        if os.path.isdir(os.path.join(folder, "plots")):
            check_plots(name, folder, page)
            drawn.append(name)
        check_junit(name, folder)
        check_metrics(name, folder)
        check_terminal(name, out)
        head = json.load(open(os.path.join(folder, "result.json")))["head"]
        last = open(os.path.join(folder, "record.ndjson"), "rb").read().splitlines(True)[-1]
        if head["hash"] != hashlib.sha256(last).hexdigest():
            fail(f"{name}: head hash")
    if shutil.which("gnuplot") and drawn != ["met", "missed", "aborted"]:  # steady has nothing to draw
        fail(f"plots are drawn of {drawn}")


def snapshot(folder):
    """Everything but what it is made from, as bytes."""
    out = {}
    for base, _, files in os.walk(folder):
        for f in files:
            path = os.path.join(base, f)
            out[os.path.relpath(path, folder)] = open(path, "rb").read()
    return out


def again(tmp):
    folder = os.path.join(tmp, "met")
    before = snapshot(folder)
    run(folder)
    if snapshot(folder) != before:
        fail("recomputed, the reports of 'met' are not the same")
    single = os.path.join(tmp, "single.md")
    run(folder, "--md", single)
    if open(single, "rb").read() != before["report.md"]:
        fail("--md writes something else")


def anonymous(tmp):
    folder = os.path.join(tmp, "missed")
    before = snapshot(folder)
    run(folder, "--anonymous")
    after = snapshot(folder)
    for f, data in before.items():
        if after[f] != data:
            fail(f"--anonymous changed {f}")
    for f, data in after.items():
        if f.startswith("anonymous"):
            text = data.decode()
            for word in (r"\balice\b", r"\bbob\b", r"\bdrill-runner\b", r"\bdb\b", r"\bapp\b"):
                m = re.search(word, text)
                if m and not re.search(r"cut-db|drop-db", text[m.start() - 5:m.end() + 2]):
                    fail(f"{f} names {m[0]}: …{text[m.start() - 40:m.end() + 20]}…")
    if "host-3" not in after["anonymous/report.md"].decode():
        fail("--anonymous: hosts have no other names")


def lines_of(folder):
    return open(os.path.join(folder, "record.ndjson"), "rb").read().splitlines(True)


def write_lines(folder, lines, chain):
    prev, out = "0" * 64, []
    for raw in lines:
        if chain:
            line = json.loads(raw)
            line["prev"] = prev
            raw = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        prev = hashlib.sha256(raw).hexdigest()
        out.append(raw)
    open(os.path.join(folder, "record.ndjson"), "wb").write(b"".join(out))


def broken(tmp):
    """What a reader does with what it cannot trust."""
    lines = lines_of(os.path.join(HERE, "met"))

    def case(name, code, words, make):
        folder = os.path.join(tmp, "broken", name)
        os.makedirs(folder)
        for f in ("record.ndjson", "scenario.yaml"):
            shutil.copy(os.path.join(HERE, "met", f), folder)
        make(folder)
        rc, out, err = run(folder)
        said = out + err
        if rc != code or not all(w in " ".join(said.split()) for w in words):
            fail(f"{name}: exit {rc}, not {code}, or not said {words}: {said}")

    case("no end", 5, ["The run failed", "has no end"],
         lambda d: write_lines(d, lines[:len(lines) // 2], False))
    case("torn tail", 5, ["The run failed"],
         lambda d: open(os.path.join(d, "record.ndjson"), "wb").write(
             b"".join(lines[:len(lines) // 2]) + lines[len(lines) // 2][:40]))
    edited = [ln.replace(b'"ok":true', b'"ok":false', 1) if i == 300 else ln
              for i, ln in enumerate(lines)]
    case("edited", 98, ["chain"], lambda d: write_lines(d, edited, False))
    newer = [lines[0].replace(b'"record":1', b'"record":2')] + lines[1:]
    case("newer", 98, ["newer"], lambda d: write_lines(d, newer, True))
    case("headless", 98, ["run-start"], lambda d: write_lines(
        d, [json.dumps({**json.loads(ln), "seq": i}).encode() + b"\n"
            for i, ln in enumerate(lines[5:20])], True))
    odd = lines[:40] + [json.dumps({"seq": 0, "t": 1, "kind": "from-the-future", "x": [1]}).encode()]
    odd += lines[40:]
    odd = [json.dumps({**json.loads(ln), "seq": i}).encode() for i, ln in enumerate(odd)]
    case("unknown kinds", 0, ["met"], lambda d: write_lines(d, odd, True))
    case("other scenario", 98, ["not the one that was run"],
         lambda d: open(os.path.join(d, "scenario.yaml"), "a").write("# edited\n"))
    case("no scenario", 98, ["scenario.yaml"],
         lambda d: os.unlink(os.path.join(d, "scenario.yaml")))


def without_gnuplot(tmp):
    folder = os.path.join(tmp, "no-gnuplot")
    os.makedirs(folder)
    for f in ("record.ndjson", "scenario.yaml"):
        shutil.copy(os.path.join(HERE, "met", f), folder)
    p = subprocess.run([HELPER, folder], capture_output=True, text=True, env={"PATH": "/nowhere"})
    page = open(os.path.join(folder, "report.html"), encoding="utf-8").read()
    if p.returncode != 0 or "No plots" not in page or os.path.exists(os.path.join(folder, "plots")):
        fail(f"without gnuplot: exit {p.returncode}, or nothing said")


with tempfile.TemporaryDirectory() as tmp:
    goldens(tmp)
    if not failures and not UPDATE:
        again(tmp)
        anonymous(tmp)
        without_gnuplot(tmp)
        broken(tmp)
sys.exit(1 if failures else 0)

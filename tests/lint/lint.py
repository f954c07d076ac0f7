#!/usr/bin/env python3
"""lint.py CHECK SOURCE BUILD: one rule of the house, proven on the whole source.

Each check is a function below; what it finds is printed as FILE:LINE: sentence, exit code 1. A rule
that does not hold somewhere for a reason is listed in EXEMPT with that reason; an exemption that is
not needed any more is itself a finding. Without the tool it needs a check is skipped (exit code 77),
with BLACKSTART_TESTS_MUST_RUN in the environment it fails.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

# Which rooms a room may include; the floors are in the top README of each room.
MAY = {
    "sim/base": "",
    "sim/loop": "sim/base",
    "sim/kernel": "sim/base sim/loop",
    "sim/model": "sim/base",
    "sim/judge": "sim/base sim/model",
    "sim/record": "sim/base",
    "sim/impair": "sim/base sim/loop sim/kernel",
    "sim/attach": "sim/base sim/loop sim/kernel sim/model sim/http",
    "sim/lab": "sim/base sim/loop sim/kernel sim/model sim/impair sim/attach",
    "sim/http": "sim/base sim/loop",
    "sim/page": "sim/base sim/loop sim/http",
    "sim/proxy": "sim/base sim/loop sim/kernel",
    "sim/watch": "sim/base sim/loop sim/kernel sim/model sim/judge sim/attach sim/lab sim/http",
    "injectors": "sim/base sim/loop sim/kernel sim/model sim/impair sim/attach sim/lab "
    "sim/proxy",
    "scenarios": "sim/base sim/model sim/attach sim/watch injectors",
    "sim/forecast": "sim/base sim/model sim/judge sim/record sim/watch injectors",
    "sim/exercise": "sim/base sim/loop sim/model sim/record sim/page scenarios",
    "reports": "sim/base sim/loop sim/model sim/judge sim/record sim/forecast sim/exercise scenarios",
    "sim/drill": "sim/base sim/loop sim/kernel sim/model sim/judge sim/record sim/impair sim/attach "
    "sim/lab sim/http sim/page sim/watch injectors scenarios",
    "sim/cli": "sim/base sim/loop sim/kernel sim/model sim/judge sim/record sim/attach sim/lab "
    "sim/http sim/page sim/watch injectors scenarios reports sim/forecast sim/exercise sim/drill",
}
# Libraries that one room alone sees; those marked 1 are seen by one file alone.
LIBRARIES = {
    "yaml.h": ("scenarios", 1),
    "pcap": ("sim/watch", 1),
    "netlink/": ("sim/kernel", 0),
    "curl/": ("sim/http", 0),
    "microhttpd.h": ("sim/http", 1),
    "openssl/evp.h": ("sim/base", 0),
    "openssl/hmac.h": ("sim/base", 0),
    "openssl/ssl.h": ("sim/proxy", 0),
    "openssl/x509": ("sim/proxy", 0),
    "bpf/": ("sim/impair", 0),
    "systemd/sd-journal.h": ("sim/watch", 1),
    "systemd/sd-bus.h": ("sim/attach", 1),
}
FORBIDDEN = [
    (r"\b(system|popen)\s*\(", "starts a shell; use child.h", ()),
    (r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok)\s*\(", "writes without a bound", ()),
    (r"(?<![_\w])exit\s*\(", "ends the process; return an error", ("sim/cli",)),
    (r"\b(printf|puts|putchar|perror)\s*\(|\bf(printf|puts)\s*\([^;]*\bstd(out|err)\b",
     "prints; only sim/cli speaks to people", ("sim/cli",)),
    (r"\b(clock_gettime|gettimeofday|timespec_get|time)\s*\(", "reads a clock; use nsec_now()",
     ("sim/base/nsec.c", "sim/loop")),
    (r"\b(TODO|FIXME|XXX)\b", "is not finished", ()),
]
MAX_FILE, MAX_FUNCTION = 800, 120
# (check, path, text in the finding): why.
EXEMPT = {
    ("state", "sim/drill/warden.c", "text"):
        "the message that the one watchman of its process is reading; too large for its stack",
}

SOURCE = BUILD = None


def room_of(path):
    parts = path.parts
    return "/".join(parts[:2]) if parts[0] == "sim" else parts[0]


def is_test(path):
    return path.parts[0] == "tests" or path.name.startswith(("test_", "fixture."))


def sources(pattern="*.[ch]", tests=False):
    for top in ("sim", "injectors", "scenarios", "reports") + (("tests",) if tests else ()):
        for path in sorted((SOURCE / top).rglob(pattern)):
            path = path.relative_to(SOURCE)
            if tests or not is_test(path):
                yield path


def code_lines(path):
    """The file's lines with comments and the insides of strings blanked."""
    text = (SOURCE / path).read_text()
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())

    include = re.compile(r"^\s*#\s*include.*$", re.M)
    keep = {m.start(): m.group() for m in include.finditer(text)}
    blanked = token.sub(blank, text)
    for start, line in keep.items():
        blanked = blanked[:start] + line + blanked[start + len(line):]
    return blanked.split("\n")


def check_includes():
    """A room includes only what stands on floors below it, and its own library."""
    seen = {}
    for path in sources():
        room = room_of(path)
        for number, line in enumerate(code_lines(path), 1):
            m = re.match(r'\s*#\s*include\s+(["<])([^">]+)', line)
            if not m:
                continue
            quote, name = m.groups()
            if quote == '"':
                other = room_of(pathlib.PurePath(name)) if "/" in name else None
                if other is None:
                    yield f"{path}:{number}: includes {name} without its room"
                elif other != room and other not in MAY[room].split():
                    yield f"{path}:{number}: {room} may not include {other}"
            for library, (owner, alone) in LIBRARIES.items():
                if quote == "<" and name.startswith(library):
                    seen.setdefault(library, set()).add(path)
                    if room != owner:
                        yield f"{path}:{number}: <{name}> is seen in {owner} alone"
                    elif alone and len(seen[library]) > 1:
                        yield f"{path}:{number}: <{name}> is seen in one file alone"


def check_readmes():
    """Every room and every shipped scenario says what it is."""
    for room in [*MAY, "tests"]:
        if not (SOURCE / room / "README.md").is_file():
            yield f"{room}:1: has no README.md"
    for yaml in sorted((SOURCE / "scenarios").glob("*/*.yaml")):
        if yaml.stem == yaml.parent.name and not (yaml.parent / "README.md").is_file():
            yield f"{yaml.parent.relative_to(SOURCE)}:1: has no README.md"


def check_comments():
    """Every file begins with what it is; every header's contract stands before its first line of code."""
    for path in sources(tests=True):
        text = (SOURCE / path).read_text()
        if not text.startswith("/*"):
            yield f"{path}:1: does not begin with a comment that says what it is"
        elif path.suffix == ".h" and "#pragma once" not in text:
            yield f"{path}:1: has no #pragma once"


def check_calls():
    """Library code never prints, exits, starts a shell or reads a clock by itself."""
    for path in sources():
        for number, line in enumerate(code_lines(path), 1):
            if re.match(r"\s*#", line):
                continue
            for pattern, why, where in FORBIDDEN:
                m = re.search(pattern, line)
                if m and not any(path.is_relative_to(w) for w in where):
                    yield f"{path}:{number}: '{m.group().strip()}' {why}"


def check_unfinished():
    """No unfinished text in code, scenarios or manuals."""
    for path in [*sources(tests=True), *sources("*.sh", True), *sources("*.yaml"), *sources("*.md", True)]:
        for number, line in enumerate((SOURCE / path).read_text().split("\n"), 1):
            m = re.search(r"\b(TODO|FIXME|XXX)\b", line)
            if m:
                yield f"{path}:{number}: says {m.group()}"


def check_length():
    """Files and functions stay readable."""
    for path in sources(tests=True):
        lines = (SOURCE / path).read_text().count("\n")
        if lines > MAX_FILE and not is_test(path):
            yield f"{path}:1: has {lines} lines, more than {MAX_FILE}"
    files = [str(p) for p in sources("*.c")]
    tags = subprocess.run(["ctags", "-x", "--c-kinds=f", "--fields=+ne",
                           "--_xformat=%F\t%n\t%{end}\t%N", *files],
                          cwd=SOURCE, check=True, capture_output=True, text=True).stdout
    for tag in tags.splitlines():
        path, first, last, name = tag.split("\t")
        if last.isdigit() and int(last) - int(first) + 1 > MAX_FUNCTION:
            yield f"{path}:{first}: {name}() has {int(last) - int(first) + 1} lines, more than {MAX_FUNCTION}"


def symbols():
    """(object's source, section, is global, name) of everything in the rooms' libraries."""
    libraries = sorted(p for room in MAY for p in (BUILD / room).glob("lib*.a"))
    if not libraries:
        raise SystemExit("lint.py: no library is built")
    for library in libraries:
        # Thin archives: the objects are beside them.
        objects = sorted(p for p in (library.parent / (library.name + ".p")).rglob("*.o"))
        for obj in objects:
            table = subprocess.run(["objdump", "-t", str(obj)], check=True, capture_output=True,
                                   text=True).stdout
            for line in table.splitlines():
                m = re.match(r"[0-9a-f]+ (.)(.{6}) (\S+)\s+[0-9a-f]+ (?:\.hidden )?(\S+)$", line)
                if m and m.group(3) not in ("*UND*", "*ABS*") and m.group(2)[5] in "FO":
                    room = library.parent.relative_to(BUILD)
                    name = obj.name[:-2]  # a source in a folder of the room: net_link.c
                    yield room, name, m.group(3), m.group(1) != "l", m.group(4)


def check_names():
    """What a file exports bears the name of its thing: a file, or a type, of its room."""
    nouns_of = {}
    for room in MAY:
        files = list((SOURCE / room).rglob("*.[ch]"))
        types = re.findall(r"\b(?:struct|enum|union) (\w+) \{",
                           "".join(p.read_text() for p in files if p.suffix == ".h"))
        nouns_of[room] = {p.stem for p in files} | {*types, *(t + "s" for t in types)} | {
            pathlib.PurePath(room).name} | ({"inject"} if room == "injectors" else set())
    for room, source, section, exported, name in symbols():
        nouns = nouns_of[str(room)]
        if exported and not any(name == n or name.startswith(n + "_") for n in nouns):
            yield f"{room}/{source}:1: exports {name}, which bears no name of a file or type of its room"


def check_state():
    """No file-scope state that changes, outside the commands."""
    for room, source, section, exported, name in symbols():
        if str(room) != "sim/cli" and re.match(r"\.(data|bss|tdata|tbss)(\.(?!rel\.ro)|$)", section):
            yield f"{room}/{source}:1: keeps state in {name} ({section})"


def check_format():
    """The source is as the formatter leaves it."""
    tool = shutil.which("clang-format-14") or "clang-format"
    version = subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout
    if " version 14." not in version:
        raise FileNotFoundError(2, "another version leaves other files as they are", "clang-format 14")
    done = subprocess.run([tool, "--dry-run", "--Werror", *map(str, sources(tests=True))], cwd=SOURCE,
                          capture_output=True, text=True)
    told = set()
    for line in done.stderr.splitlines():
        m = re.match(r"(.+?):(\d+):\d+: error: code should be clang-formatted", line)
        if m and m.group(1) not in told:
            told.add(m.group(1))
            yield f"{m.group(1)}:{m.group(2)}: is not as clang-format leaves it from here on"
    if done.returncode and "clang-formatted" not in done.stderr:
        raise SystemExit(f"lint.py: {tool}: {done.stderr.strip()}")


def check_shell():
    """Shell scripts are sound."""
    files = [str(p.relative_to(SOURCE)) for d in ("tests", "scenarios") for p in
             sorted((SOURCE / d).rglob("*.sh"))] + [".ci/run"]
    done = subprocess.run(["shellcheck", "-f", "gcc", "-S", "warning", *files], cwd=SOURCE,
                          capture_output=True, text=True)
    yield from done.stdout.splitlines()


def check_shipped():
    """Each folder of scenarios is installed, and named by the README."""
    folders = {p.parent.name for p in (SOURCE / "scenarios").glob("*/README.md")}
    build = (SOURCE / "scenarios/meson.build").read_text()
    listed = re.search(r"foreach shipped_scenario : \[(.*?)\]", build, re.S)
    rows = re.findall(r"^\| \[scenarios/([\w-]+)\]", (SOURCE / "README.md").read_text(), re.M)
    for file, names in [("scenarios/meson.build", re.findall(r"'([\w-]+)'", listed.group(1))),
                        ("README.md", rows)]:
        for name in sorted(folders.symmetric_difference(names)):
            yield f"{file}:1: " + (f"does not list the folder scenarios/{name}" if name in folders
                                   else f"lists {name}, which is no folder of scenarios")


def main():
    global SOURCE, BUILD
    check, SOURCE, BUILD = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    findings, used = [], set()
    for finding in globals()["check_" + check]():
        for key in EXEMPT:
            if key[0] == check and finding.startswith(key[1] + ":") and key[2] in finding:
                used.add(key)
                break
        else:
            findings.append(finding)
    findings += [f"tests/lint/lint.py: the exemption {key[1:]} is not needed any more"
                 for key in EXEMPT if key[0] == check and key not in used]
    print("\n".join(findings) if findings else f"{check}: nothing found")
    return 1 if findings else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FileNotFoundError as e:
        if "/" in str(e.filename):
            raise
        print(f"skipped: {e.filename}: {e.strerror}; packages: tests/debian.sh")
        sys.exit(1 if os.environ.get("BLACKSTART_TESTS_MUST_RUN") else 77)

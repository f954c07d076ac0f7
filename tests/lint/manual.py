#!/usr/bin/env python3
"""manual.py PROGRAM SOURCE: the manual pages and the shell completion say what the program says.

Each command has a page; the options of --help, of the page and of the completion are the same; the
pages are sound for groff; no shipped scenario is without its line in the README, and the scenario in
the README passes the check. Without groff it is skipped (exit code 77), with
BLACKSTART_TESTS_MUST_RUN in the environment it fails.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PROGRAM, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])


def out(*argv):
    return subprocess.run([PROGRAM, *argv], check=True, capture_output=True, text=True).stdout


def options_of_completion(command):
    text = (SOURCE / "docs/completion/blackstart").read_text()
    for names, options in re.findall(r"^    ([a-z |]+)\) options='([^']*)'", text, re.M):
        if command in names.split(" | "):
            return set(options.split())
    return set()


def main():
    if not shutil.which("groff"):
        print("skipped: groff is not installed (package groff-base)")
        return 1 if os.environ.get("BLACKSTART_TESTS_MUST_RUN") else 77
    findings = []
    commands = re.findall(r"^  ([a-z]+) +\S", out("--help"), re.M)
    words = re.search(r"commands='([^']*)'",
                      (SOURCE / "docs/completion/blackstart").read_text()).group(1).split()
    if sorted(words) != sorted(commands):
        findings.append(f"the completion knows {words}, the program {commands}")
    if not commands:
        findings.append("the program lists no command")
    main_page = (SOURCE / "docs/man/blackstart.1").read_text()
    for command in commands:
        told = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", out(command, "--help"), re.M)) - {"--help"}
        page = SOURCE / f"docs/man/blackstart-{command}.1"
        if f".It Cm {command}\n" not in main_page:
            findings.append(f"blackstart.1 does not name {command}")
        if not page.exists():
            findings.append(f"{page} is missing")
            continue
        in_page = {"--" + name for name in re.findall(r"^\.It .*Fl -([a-z-]+)", page.read_text(), re.M)}
        if in_page != told:
            findings.append(f"{page.name} has {sorted(in_page)}, --help has {sorted(told)}")
        if options_of_completion(command) != told:
            findings.append(f"the completion of {command} has {sorted(options_of_completion(command))}, "
                            f"--help has {sorted(told)}")
    for page in sorted((SOURCE / "docs/man").iterdir()):
        done = subprocess.run(["groff", "-mandoc", "-Tutf8", "-ww", "-z", str(page)],
                              capture_output=True, text=True)
        if done.returncode or done.stderr.strip():
            findings.append(f"{page.name}: {done.stderr.strip()}")
    readme = (SOURCE / "README.md").read_text()
    for scenario in sorted((SOURCE / "scenarios").glob("*/*.yaml")):
        if scenario.stem == scenario.parent.name and f"scenarios/{scenario.stem}" not in readme:
            findings.append(f"README.md does not name {scenario.relative_to(SOURCE)}")
    example = re.search(r"^```yaml\n(.*?)^```", readme, re.M | re.S).group(1)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(SOURCE / "scenarios/vip-failover", folder, dirs_exist_ok=True)
        file = pathlib.Path(folder, "readme.yaml")
        file.write_text(example)
        done = subprocess.run([PROGRAM, "check", str(file)], capture_output=True, text=True)
        if done.returncode:
            findings.append("README.md: " + done.stderr)
    print("\n".join(findings) if findings else "manual: nothing found")
    return 1 if findings else 0


sys.exit(main())

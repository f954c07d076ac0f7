#!/usr/bin/env python3
"""count.py BUILD...: how many tests passed, failed and were skipped, over all builds.

Reads what `meson test` left (meson-logs/testlog.json). A test program that tells of its cases, as
cmocka does or in TAP, counts by its cases, any other as one. Exit code 1 when one failed or none ran.
"""
import json
import pathlib
import re
import sys

CASE = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (?!\d)(.+?)(?: \(.*)?$", re.M)
TAP = re.compile(r"^(not )?ok (\d+)(?: - (.*?))??(?: # (SKIP)\b.*)?$", re.M)
TAP_PLAN = re.compile(r"^1\.\.(\d+)", re.M)
WORDS = {"OK": "passed", "FAILED": "failed", "SKIPPED": "skipped"}


def tap(test):
    """The same, of a program that speaks TAP; None: it does not. What was promised and never came
    has failed."""
    text = test.get("stdout", "")
    plan = TAP_PLAN.search(text)
    if not plan:
        return None
    cases = {}
    for bad, number, name, skipped in TAP.findall(text):
        cases[number + " " + name] = "failed" if bad else "skipped" if skipped else "passed"
    for missing in range(len(cases), int(plan[1])):
        cases["missing %d" % missing] = "failed"
    if test["result"] not in ("OK", "SKIP") and "failed" not in cases.values():
        cases[test["name"]] = "failed"  # it died after its last case
    return cases or {test["name"]: "skipped"}


def outcomes(test):
    """{case: passed | failed | skipped} of one line of the log."""
    result = test["result"]
    cases = tap(test)
    if cases is not None:
        return cases
    cases = {}
    for word, case in CASE.findall(test.get("stdout", "") + "\n" + test.get("stderr", "")):
        if cases.get(case) != "failed":  # cmocka lists the failed ones twice
            cases[case] = WORDS[word]
    whole = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}.get(result, "failed")
    told_failed = "failed" in cases.values()
    if not cases or whole == "skipped" or (whole == "failed" and not told_failed):
        return {**{c: o for c, o in cases.items() if whole == "failed"}, test["name"]: whole}
    return cases


def main():
    total = {"passed": 0, "failed": 0, "skipped": 0}
    for build in sys.argv[1:]:
        log = pathlib.Path(build, "meson-logs", "testlog.json")
        lines = log.read_text().splitlines() if log.exists() else []
        if not lines:
            print(f"count.py: {log} tells of no test", file=sys.stderr)
            total["failed"] += 1
        for line in lines:
            for outcome in outcomes(json.loads(line)).values():
                total[outcome] += 1
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**total))
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())

"""collect.py DIR: what the trials of a drill measured, as a table for test_twins.c, on stdout.

Times run from the fault, in milliseconds, each as an interval.
"""
import json
import pathlib
import sys


def ends(span):
    return "%.0f,%.0f" % (1e3 * span[0], 1e3 * span[1]) if span else ","


def main():
    result = json.loads((pathlib.Path(sys.argv[1]) / "result.json").read_text())
    print("# %s: %d trials, seed %s, %s" % (
        result["scenario"]["name"], len(result["trials"]), result["seed"], result["started"][:10]))
    print("# service, restored (from, to), noticed (from, to), ms after the fault")
    for trial in result["trials"]:
        for name, service in trial["services"].items():
            if trial["counted"] and service["outcome"] == "restored":
                print("%s,%s,%s" % (name, ends(service["ttr_by_clock_s"]["fault"]),
                                    ends((service["ttd_by_clock_s"] or {}).get("fault"))))


main()

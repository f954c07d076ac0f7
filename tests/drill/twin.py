"""twin.py FOLDER: what the trials of a drill measured lies within what the forecast of the same file
expects, and the records of both pass the same checker. Of a drill whose scenario has a `model:`, or a
twin in scenarios/forecast.

With M times measured, each must meet [least, most] of 2000 M simulated trials: one more of those is outside
with a probability of 2 in 2000 M + 1, all of them together with 0.001. Where nothing was to be measured the
forecast must expect nothing: no outage, no alarm. TWIN_TIMES=no looks at the records alone.
"""
import json
import os
import pathlib
import subprocess
import sys

OUT = pathlib.Path(sys.argv[1])
HOME = OUT.resolve().parent.parent  # shipped.sh: the program and the scenario's folder
SOURCE = pathlib.Path(__file__).resolve().parents[2]
LATER = {"redis-slow-replica": 1.4}  # seconds from the drill's fault to the forecast's: see its file

os.environ.setdefault("BLACKSTART", str(HOME / "blackstart"))
os.environ.setdefault("BLACKSTART_SOURCE", str(SOURCE))
sys.dont_write_bytecode = True
import harness  # noqa: E402, needs what is set above


def measured(result):
    """(service, "ttr" or "ttd", interval in seconds), from the fault on."""
    for trial in result["trials"]:
        for name, service in trial["services"].items():
            if service["outcome"] != "restored":
                continue
            yield name, "ttr", service["ttr_by_clock_s"]["fault"]
            ttd = (service.get("ttd_by_clock_s") or {}).get("fault")
            if ttd:
                yield name, "ttd", ttd


def checked(folder):
    """Its record, which the checker has passed."""
    with open(folder / "record.ndjson", encoding="utf-8") as f:
        record = [json.loads(line) for line in f]
    harness.check_record(record)
    assert any(e["kind"] == "probe" for e in record), "no trial is told"
    return record


def nothing_happens(forecast, records):
    for service in forecast["services"]:
        assert service["outcomes"]["unaffected"] == forecast["trials_done"], service
        assert service["mttd_s"] is None and service["false_alarms"] == 0, service
    for record in records:
        alarms = [e for e in record if e["kind"] == "alarm"]
        assert not alarms, alarms[0]


def main():
    result = json.loads((OUT / "result.json").read_text())
    name = result["scenario"]["name"]
    times = list(measured(result))
    assert times or name == "steady", "nothing was measured"
    records_alone = os.environ.get("TWIN_TIMES") == "no"
    twin = SOURCE / "scenarios" / "forecast" / (name + ".yaml")
    folder = OUT.resolve().parent / "forecast"
    trials = 2 if records_alone else 2000 * max(1, len(times))
    p = subprocess.run([HOME / "blackstart", "forecast", twin if twin.exists() else
                        HOME / name / (name + ".yaml"), "--seed", "1",
                        "--trials", str(trials), "--out", folder, "--quiet"],
                       capture_output=True, text=True, check=False)
    assert p.returncode in (0, 1, 4), p.stderr
    records = [checked(OUT), checked(folder)]
    forecast = json.loads((folder / "result.json").read_text())
    if not times:
        nothing_happens(forecast, records)
    for service, kind, span in [] if records_alone else times:
        low, high = (end - LATER.get(name, 0) for end in span)
        said, = (s for s in forecast["services"] if s["name"] == service)
        band = said["mttr_s" if kind == "ttr" else "mttd_s"]
        band = band["min"], band["max"]
        print("%s %s %.3f to %.3f s; forecast %.3f to %.3f s" % (service, kind, low, high, *band))
        assert high >= band[0] and low <= band[1], "outside of the forecast"


main()

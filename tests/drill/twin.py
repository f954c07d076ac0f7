"""twin.py FOLDER: what the trials of a drill measured lies within what the forecast of the same file
expects. Of a drill whose scenario has a `model:`.

With M times measured, each must meet [least, most] of 2000 M simulated trials: one more of those is outside
with a probability of 2 in 2000 M + 1, all of them together with 0.001.
"""
import json
import pathlib
import subprocess
import sys

OUT = pathlib.Path(sys.argv[1])
HOME = OUT.resolve().parent.parent  # shipped.sh: the program and the scenario's folder


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


def main():
    result = json.loads((OUT / "result.json").read_text())
    times = list(measured(result))
    assert times, "nothing was measured"
    name = result["scenario"]["name"]
    folder = OUT.resolve().parent / "forecast"
    p = subprocess.run([HOME / "blackstart", "forecast", HOME / name / (name + ".yaml"), "--seed", "1",
                        "--trials", str(2000 * len(times)), "--out", folder, "--quiet"],
                       capture_output=True, text=True, check=False)
    assert p.returncode in (0, 1, 4), p.stderr
    forecast = json.loads((folder / "result.json").read_text())
    for service, kind, (low, high) in times:
        said, = (s for s in forecast["services"] if s["name"] == service)
        band = said["mttr_s" if kind == "ttr" else "mttd_s"]
        band = band["min"], band["max"]
        print("%s %s %.3f to %.3f s; forecast %.3f to %.3f s" % (service, kind, low, high, *band))
        assert high >= band[0] and low <= band[1], "outside of the forecast"


main()

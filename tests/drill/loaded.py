"""loaded.py FOLDER: the background load ran through each trial to its end, and its numbers stand in the
result and in both reports.
"""
import json
import pathlib
import sys

out = pathlib.Path(sys.argv[1])
result = json.loads((out / "result.json").read_text())
for trial in result["trials"]:
    load, = trial["loads"]
    print("trial %d: %s: %.0f requests per second, mean latency %.2f ms" % (
        trial["n"], load["name"], load["requests_per_s"], 1e3 * load["latency_mean_s"]))
    # 8 connections, each of which waits 40 ms after an answer: 200 at most.
    assert 50 < load["requests_per_s"] <= 200, load
    assert (load["code"], load["ended_early"]) == (0, False), load
    # A server that closes a connection which waits for too long meets a request now and then.
    assert load["errors"] <= load["requests"] / 100, load
    said = "%.1f requests per second" % load["requests_per_s"]
    for name in ("report.md", "report.html"):
        assert said in (out / name).read_text(), name

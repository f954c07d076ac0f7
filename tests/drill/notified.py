"""notified.py DIR: do our receiver and the real Alertmanager agree on when an alert was delivered?

Alertmanager says so itself: at log level debug each notification that was taken is a line "Notify
success" with its wall clock. Each of them must stand beside an event of a webhook alarm, by no more than
LIMIT, and each such event beside one of them; and time to detect must follow from it.
"""
import datetime
import glob
import json
import os
import re
import sys

LIMIT = 0.050  # seconds
folder = sys.argv[1]
with open(os.path.join(folder, "record.ndjson")) as f:
    record = [json.loads(line) for line in f]
with open(os.path.join(folder, "result.json")) as f:
    result = json.load(f)
origin = record[0]["wall_ns"] / 1e9

notified = []
for path in glob.glob(os.path.join(folder, "logs", "**", "*alertmanager*"), recursive=True):
    with open(path) as f:
        for line in f:
            said = re.match(r"ts=(\S+) .*integration=webhook.*msg=\"Notify success\"", line)
            if said:
                at = datetime.datetime.fromisoformat(said[1].replace("Z", "+00:00"))
                notified.append(at.timestamp() - origin)
assert notified, "Alertmanager's log tells of no notification"

hooks = {"pager": [], "ticket": []}
for e in record:
    if e["kind"] == "alarm" and e["alarm"] in hooks:
        hooks[e["alarm"]].append(e)
stamps = [e["at"] for events in hooks.values() for e in events]
assert len(stamps) >= 2, "fewer than two events came over the webhook"


def apart(instant, span):
    """Seconds from an instant to an interval of ours; 0 inside it."""
    return max(span[0] / 1e9 - instant, instant - span[1] / 1e9, 0)


worst = max(min(apart(n, s) for n in notified) for s in stamps)
print("%d notifications, %d events; at most %.1f ms apart" % (len(notified), len(stamps), 1e3 * worst))
assert worst <= LIMIT, "an event of ours stands beside no notification"
# Alertmanager also repeats a group whose alerts did not change for us; it cannot tell less than we heard.
assert len(notified) >= len({tuple(s) for s in stamps}), "we heard more than was sent"

for trial in result["trials"]:
    service = trial["services"]["checkout"]
    impact = service["episodes"][0]["impact"]
    for name in hooks:
        ttd, onset = service["alarms"][name]["ttd_s"], service["alarms"][name]["onset"]
        told = min(notified, key=lambda n: apart(n, [1e9 * t for t in onset]))
        low, high = told - impact[1], told - impact[0]
        print("trial %d, %s: detected after %.3f to %.3f s; by Alertmanager's log %.3f to %.3f s"
              % (trial["n"], name, *ttd, low, high))
        assert abs(low - ttd[0]) <= LIMIT and abs(high - ttd[1]) <= LIMIT
layers = {l["role"]: l["mttd_s"] for l in result["layers"]}
assert layers["page"]["censored"] == layers["monitor"]["censored"] == 0, layers

"""notified.py DIR: do our receiver and the real Alertmanager agree on when an alert was delivered?

Alertmanager says so itself: at log level debug a line "flushing" names the alerts of a group, each by the
first seven digits of its fingerprint and whether it is active or resolved, and "Notify success" tells that
they were taken. A fingerprint is a hash (FNV-1a, 64 bits) of an alert's labels, which our record has: so it
is known of each event of a webhook alarm which notification it was, and both must stand no more than LIMIT
apart; no notification may be missing, and time to detect must follow from it.
"""
import datetime
import glob
import json
import os
import re
import sys

LIMIT = 0.050  # seconds
FLUSHED = re.compile(r"ts=(\S+) .*msg=flushing alerts=(.*)")
TAKEN = re.compile(r"ts=(\S+) .*integration=webhook.*msg=\"Notify success\"")
ALERT = re.compile(r"\[([0-9a-f]{7})\]\[(active|resolved)\]")
STATUS = {"onset": "active", "clear": "resolved"}


def fingerprint(detail):
    """Of an alert as our record tells it: NAME {label="value", ...}."""
    name, labels = re.match(r"(\S+) \{(.*)\}$", detail).groups()
    pairs = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)) | {"alertname": name}
    h = 14695981039346656037
    for byte in b"".join(k.encode() + b"\xff" + pairs[k].encode() + b"\xff" for k in sorted(pairs)):
        h = (h ^ byte) * 1099511628211 % 2 ** 64
    return "%016x" % h


def notifications(lines, origin):
    """[(fingerprint, status, (first, last))]: what changed, and when Alertmanager says that it was taken, in
    seconds of the drill. Of groups under way at once it does not say which was taken first: then the time
    is an interval."""
    def at(text):
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - origin

    status, found, pending, taken = {}, [], {}, []
    for line in lines:
        flushed, success = FLUSHED.match(line), TAKEN.match(line)
        if flushed:
            alerts = ALERT.findall(flushed[2])
            changed = [(f, s) for f, s in alerts if status.get(f) != s]
            status.update(alerts)
            if changed:
                pending[flushed[2]] = changed
        elif success:
            assert pending, "a notification of nothing new: " + line
            taken.append(at(success[1]))
            if len(taken) == len(pending):
                found += [(f, s, (taken[0], taken[-1])) for group in pending.values() for f, s in group]
                pending, taken = {}, []
    return found


def apart(notified, event):
    """At most this many seconds lie between them: both are intervals."""
    low, high = (t / 1e9 for t in event["at"])
    return max(notified[1] - low, high - notified[0])


def main(folder):
    with open(os.path.join(folder, "record.ndjson")) as f:
        record = [json.loads(line) for line in f]
    with open(os.path.join(folder, "result.json")) as f:
        result = json.load(f)
    origin = record[0]["wall_ns"] / 1e9
    lines = []
    for path in glob.glob(os.path.join(folder, "logs", "**", "*alertmanager*"), recursive=True):
        with open(path) as f:
            lines += list(f)
    begins = [e["t"] / 1e9 for e in record if e["kind"] == "trial-start"]
    ends = [e["t"] / 1e9 for e in record if e["kind"] == "trial-end"]
    worst, count, detected = 0, 0, {}
    for trial, (begin, end) in enumerate(zip(begins, ends), 1):
        def is_in(line):  # each trial has an Alertmanager of its own, which knows nothing of those before
            said = re.match(r"ts=(\S+)", line)
            at = said and datetime.datetime.fromisoformat(said[1].replace("Z", "+00:00")).timestamp()
            return at and begin <= at - origin <= end

        notified = notifications(filter(is_in, lines), origin)
        events = [e for e in record if e["kind"] == "alarm" and e["trial"] == trial and
                  e["alarm"] in ("pager", "ticket")]
        assert len(events) >= 2, "fewer than two events came over the webhook"
        for e in events:
            key = (fingerprint(e["detail"])[:7], STATUS[e["event"]])
            same = [n for n in notified if n[:2] == key]
            assert same, "Alertmanager told nobody of %s %s" % (e["detail"], key)
            notified.remove(same[0])  # the first onset belongs to the first notification, and so on
            detected[trial, e["alarm"], e["event"], e["at"][0]] = same[0][2]
            assert apart(same[0][2], e) <= LIMIT, (e, same[0])
            worst, count = max(worst, apart(same[0][2], e)), count + 1
        assert not notified, "Alertmanager's notifications that we did not hear: %s" % notified
    print("%d notifications, each heard; at most %.1f ms apart" % (count, 1e3 * worst))
    for trial in result["trials"]:
        service = trial["services"]["checkout"]
        impact = service["episodes"][0]["impact"]
        for name in ("pager", "ticket"):
            ttd, onset = service["alarms"][name]["ttd_s"], service["alarms"][name]["onset"]
            told = detected[trial["n"], name, "onset", round(1e9 * onset[0])]
            low, high = told[0] - impact[1], told[1] - impact[0]
            print("trial %d, %s: detected after %.3f to %.3f s; by Alertmanager's log %.3f to %.3f s"
                  % (trial["n"], name, *ttd, low, high))
            assert abs(low - ttd[0]) <= LIMIT and abs(high - ttd[1]) <= LIMIT
    layers = {l["role"]: l["mttd_s"] for l in result["layers"]}
    assert layers["page"]["censored"] == layers["monitor"]["censored"] == 0, layers


if __name__ == "__main__":
    main(sys.argv[1])

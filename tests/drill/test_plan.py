"""`plan` prints every change that `run` makes, and no other."""
import json
import os
import shutil
import subprocess
import unittest

import harness
from harness import BLACKSTART, Drill, machine, write
from scenes import scene

TWO_NETWORKS = """
blackstart: 1
name: planned
services: {web: {rto: 2s}}
networks:
  a: {subnet: [10.78.0.0/24, "fd78::/64"], routers: [r]}
  b: {subnet: 10.79.0.0/24, mtu: 1400, routers: [r]}
hosts:
  client: {lab: {address: [10.78.0.9, "fd78::9"]}}
  r: {lab: {address: [10.78.0.1, 10.79.0.1]}}
  srv: {lab: {address: 10.79.0.2}}
probes:
  web: {service: web, host: client, icmp: 10.79.0.2, every: 50ms, timeout: 200ms, stable: 300ms}
script:
  - {id: one, at: 300ms, for: 300ms, partition: {cut: [[client], [srv]], direction: forward, kind: drop}}
  - {id: two, at: 700ms, for: 200ms, partition: {isolate: [client], direction: both, kind: drop}}
  - {id: three, at: 1000ms, for: 200ms, partition: {cut: [[client], [r]], direction: both, kind: reject}}
  - {id: four, at: 1300ms, for: 200ms, link: {host: srv, network: b, down: true}}
  - {id: five, at: 1600ms, for: 200ms, partition: {grudge: {srv: [client, r]}, packets: new-connections, port: [80, 8000-8010]}}
  - {id: six, at: 1900ms, for: 200ms, partition: {majorities-ring: [client, r, srv], protocol: icmp}}
expect: {web: either}
settle: 300ms
horizon: 5s
trials: 1
"""


class Here(unittest.TestCase):
    """`check --here` looks into scripts, and says of them only what is plain."""

    SCENE = """
blackstart: 1
name: here
services: {web: {rto: 2s}}
networks: {a: {subnet: 10.78.0.0/24}}
hosts:
  client: {lab: {address: 10.78.0.9}}
  srv: {lab: {address: 10.78.0.2}, files: [a.sh, nginx.conf], start: ["%s"]}
probes: {web: {service: web, host: client, tcp: "10.78.0.2:80", every: 50ms, timeout: 200ms}}
script: [{at: 1s, node-kill: {host: srv}}]
horizon: 10s
"""

    def check(self, start, script="", conf="", user=None):
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base)
        os.chmod(base, 0o755)
        write(os.path.join(base, "a.sh"), script)
        write(os.path.join(base, "nginx.conf"), conf)
        path = write(os.path.join(base, "s.yaml"), self.SCENE % start)
        os.chmod(os.path.join(base, "a.sh"), 0o755)
        program = shutil.copy(BLACKSTART, os.path.join(base, "blackstart"))  # where nobody may look
        r = subprocess.run([program, "check", "--here", path], capture_output=True, text=True,
                           user=user, group=user, extra_groups=[] if user else None)
        self.assertEqual(r.returncode, 0, r.stderr)
        return r.stderr

    def test_what_a_script_starts_is_said_only_where_it_is_plain(self):
        unseen = "cannot be seen"
        missing = "'no-such-server' through the script a.sh, and that is not installed here"
        for start, script, words in [
                ("sh a.sh", "#!/bin/sh\n# the server\nexec no-such-server -a \\\n   -b\n", missing),
                ("./a.sh x", "#!/bin/sh\nset -eu\nexec no-such-server\n", "'no-such-server'"),
                ("sh a.sh", "exec sleep 1000\n", None),
                ("sh a.sh", "cp a b\nexec no-such-server\n", unseen),
                ("sh a.sh", "command -v x && exec no-such-server\nexec sleep 10\n", unseen),
                ("sh a.sh", "exec $SERVER\n", unseen),
                ("sh a.sh", "exec ./a.sh\n", unseen),
                ("sh a.sh", "if true; then\n  exec no-such-server\nfi\nsleep 10\n", unseen),
                ("sh -c 'no-such-server'", "", None),
                ("sh other.sh", "", None)]:
            said = self.check(start, script)
            if words:
                self.assertIn("s.yaml:8:", said)
                self.assertIn(": warning: host srv starts ", said)
                self.assertIn(words, said, script)
            else:
                self.assertEqual(said, "", script)


    @unittest.skipUnless(os.geteuid() == 0 and "nobody" not in open("/etc/subuid").read(),
                         "needs root, and a nobody without a range in /etc/subuid")
    def test_nginx_where_one_user_exists_must_say_so(self):
        for conf, words in [("events {} http {}\n", "does not say `user root;`"),
                            ("user  root;\nevents {} http {}\n", ""),
                            ("include more.conf;\n", "")]:
            said = self.check("nginx -p . -c nginx.conf", conf=conf, user=65534)
            self.assertIn(words, said)
            self.assertEqual(bool(words), bool(said), said)


class Plan(unittest.TestCase):
    def plan(self, text):
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base)
        path = write(os.path.join(base, "s.yaml"), text)
        before = machine()
        r = subprocess.run([BLACKSTART, "plan", path, "--seed", "1", "--json"], capture_output=True,
                           text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(machine(), before)
        return json.loads(r.stdout)

    def test_the_lab_is_built_by_the_planned_messages_alone(self):
        plan = self.plan(TWO_NETWORKS)
        d = Drill(TWO_NETWORKS, "--seed", "1").run()
        self.addCleanup(d.remove)
        self.assertEqual(d.code, 4, d.explain())  # each outage ended by our undo, long before the promise
        built = next(e["seq"] for e in d.events("lab", event="built"))
        sent = ["%s: %s" % (e["where"], e["text"]) for e in d.events("lab", event="change")
                if e["seq"] < built]
        self.assertEqual(sorted(sent), sorted(plan["lab"]))
        self.assertGreater(len(sent), 20)

    def test_each_fault_sends_what_its_step_planned(self):
        plan = {s["step"]: s["texts"] for s in self.plan(TWO_NETWORKS)["steps"]}
        d = Drill(TWO_NETWORKS, "--seed", "1").run()
        self.addCleanup(d.remove)
        built = next(e["seq"] for e in d.events("lab", event="built"))
        undone = {e["step"]: e["seq"] for e in d.events("undo")}
        steps = ["one", "two", "three", "four", "five", "six"]
        self.assertEqual(sorted(undone), sorted(steps))
        sent = ["%s: %s" % (e["where"], e["text"]) for e in d.events("lab", event="change")
                if e["seq"] > built and e["seq"] < max(undone.values())]
        planned = [t for step in steps for t in plan[step]]
        # A step's texts are sentences, and below each, indented, the messages it stands for.
        planned = sorted(t.strip() for t in planned if t.startswith("  "))
        self.assertEqual([m for m in sent if m not in planned], [], "sent, but not planned")
        self.assertEqual([m for m in planned if m not in sent], [], "planned, but never sent")
        self.assertGreaterEqual(len(sent), 8)

    def test_targets_chosen_at_run_time_are_told_as_rule_and_candidates(self):
        script = """
  - {id: any, at: 300ms, stop: {host: {any: 1, of: [client, srv]}, process: stamp-server}}
  - {id: lead, at: 400ms, node-kill: {host: {leader: "test -e lead", of: [srv, client]}}}
"""
        steps = {s["step"]: " ".join(s["texts"]) for s in self.plan(scene(script))["steps"]}
        for word in ("any 1", "client", "srv"):
            self.assertIn(word, steps["any"])
        for word in ("test -e lead", "client", "srv"):
            self.assertIn(word, steps["lead"])


if __name__ == "__main__":
    harness.main()

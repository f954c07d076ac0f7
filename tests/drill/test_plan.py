"""`plan` prints every change that `run` makes, and no other."""
import json
import os
import re
import shutil
import subprocess
import unittest

import changes
import harness
from harness import BLACKSTART, Drill, machine, write

EVERYTHING = """
blackstart: 1
name: planned
services: {web: {rto: 400ms}}
networks:
  a: {subnet: [10.78.0.0/24, "fd78::/64"], routers: [r]}
  b: {subnet: 10.79.0.0/24, mtu: 1400, routers: [r]}
hosts:
  client: {lab: {address: [10.78.0.9, "fd78::9"]}}
  r: {lab: {address: [10.78.0.1, 10.79.0.1]}}
  srv: {lab: {address: 10.79.0.2}, files: [stampd], start: ["./stampd --port 80", "sh -c 'sleep 1001 & exec sleep 1002'"]}
  spare: {lab: {address: [10.79.0.3, 10.78.0.3]}, start: ["sh -c 'trap \\\"\\\" TERM; sleep 1003; true'"]}
load: {noise: {host: client, command: "exec sleep 1000"}}
probes:
  web: {service: web, host: client, icmp: 10.79.0.2, every: 50ms, timeout: 100ms, stable: 200ms}
script:
  - {id: forward, at: 0ms, for: 150ms, partition: {cut: [[client], [srv]], direction: forward, kind: drop}}
  - {id: isolate, at: 200ms, for: 150ms, partition: {isolate: [client], direction: both, kind: drop}}
  - {id: refuse, at: 400ms, for: 150ms, partition: {cut: [[client], [r]], direction: both, kind: reject}}
  - {id: grudge, at: 600ms, for: 150ms, partition: {grudge: {srv: [client, r]}, packets: new-connections, port: [80, 8000-8010]}}
  - {id: ring, at: 800ms, for: 150ms, partition: {majorities-ring: [client, r, srv], protocol: icmp}}
  - {id: pull, at: 1000ms, for: 150ms, link: {host: spare, network: a, down: true}}
  - {id: flap, at: 1200ms, for: 220ms, link: {host: spare, flap: {down: 50ms, up: 50ms}}}
  - {id: kill, at: 1500ms, for: 100ms, kill: {host: srv, process: sleep, expect: 2}}
  - {id: stop, at: 1700ms, for: 100ms, stop: {host: srv, unit: stampd}}
  - {id: restart, at: 1900ms, restart: {host: srv, unit: stampd}}
  - {id: stubborn, at: 2100ms, restart: {host: spare, grace: 60ms}}
  - {id: cord, at: 2300ms, for: 150ms, node-kill: srv}
  - {id: order, at: 2600ms, run: {host: client, command: "echo done", role: dba}}
  - {id: slow, at: 2600ms, run: {host: spare, command: "sleep 1004", timeout: 60ms}}
  - {id: own, at: 2800ms, for: 100ms, custom: {host: client, command: "touch broken", undo: "rm -f broken", verify: "test -e broken"}}
  - {id: last-kill, at: 3000ms, kill: {host: srv, process: sleep}}
  - {id: last-stop, at: 3000ms, stop: client}
  - {id: last-pull, at: 3000ms, link: {host: r, network: b, down: true}}
  - {id: last-cut, at: 3000ms, partition: {cut: [[client], [srv, r]], kind: reject}}
  - {id: last-cord, at: 3000ms, node-kill: spare}
expect: {web: either}
settle: 200ms
horizon: 4500ms
trials: 1
"""
# In which cases, how often: what the scenario above brings about, and a plan cannot know.
HOW = {
    ("flap", False): {"edges": 10},
    ("flap", True): {"cases": ["if it is down"]},
    ("kill", False): {"each": 2},
    ("kill", True): {"cases": ["if it ended"]},
    ("stop", False): {"each": 2},
    ("stop", True): {"each": 2},
    ("restart", False): {"each": 2},
    ("stubborn", False): {"each": 2, "cases": ["if it lives 60 ms later"]},
    ("slow", False): {"cases": ["if it takes longer than 60 ms"]},
    ("last-kill", False): {"each": 2},
    ("last-kill", True): {"cases": ["if it ended"]},
}
# Of two commands of a host one was ended by the kill.
ENDED = "start sh: "

# One host leads: the one that has the file.
CHOICES = """
blackstart: 1
name: chosen
services: {web: {rto: 400ms}}
networks: {a: {subnet: 10.78.0.0/24}, far: {subnet: 10.79.0.0/24, delay: 1ms, engine: user}}
hosts:
  client: {lab: {address: [10.78.0.9, 10.79.0.9]}}
  x: {lab: {address: 10.78.0.1}, start: [sleep 1001]}
  y: {lab: {address: 10.78.0.2}, start: [sleep 1001], files: [stampd]}
  z: {lab: {address: 10.78.0.3}, start: [sleep 1001]}
probes:
  web: {service: web, host: client, icmp: 10.78.0.2, every: 50ms, timeout: 100ms, stable: 200ms}
script:
  - {id: any-stop, at: 0ms, for: 100ms, stop: {host: ANY2, unit: sleep}}
  - {id: any-pull, at: 200ms, for: 100ms, link: {host: ANY2, down: true}}
  - {id: any-cord, at: 400ms, for: 100ms, node-kill: {host: ANY2}}
  - {id: any-restart, at: 700ms, restart: {host: ANY1, unit: sleep}}
  - {id: lead-kill, at: 900ms, for: 100ms, kill: {host: LEADER, process: sleep}}
  - {id: lead-flap, at: 1100ms, for: 120ms, link: {host: LEADER, flap: {down: 50ms, up: 50ms}}}
  - {id: lead-cut, at: 1300ms, for: 100ms, partition: {isolate: [LEADER], kind: drop}}
  - {id: lead-refuse, at: 1500ms, for: 100ms, partition: {isolate: [LEADER], kind: reject}}
  - {id: any-cut, at: 1700ms, for: 100ms, partition: {cut: [[ANY1], [client]], kind: drop}}
  - {id: lead-run, at: 1900ms, run: {host: LEADER, command: "true"}}
  - {id: lead-cord, at: 2000ms, node-kill: {host: LEADER}}
expect: {web: either}
settle: 200ms
horizon: 3500ms
trials: 1
"""
# What is done to processes, files and connections past the kernel's network.
PRESSED = """
blackstart: 1
name: pressed
services: {web: {rto: 400ms}}
networks: {a: {subnet: 10.78.0.0/24}}
hosts:
  client: {lab: {address: 10.78.0.9}}
  srv: {lab: {address: 10.78.0.2}, start: ["sh -c 'sleep 1001 & exec sleep 1002'"]}
  two: {lab: {address: 10.78.0.3}, start: [sleep 1001]}
probes:
  web: {service: web, host: client, icmp: 10.78.0.2, every: 50ms, timeout: 100ms, stable: 200ms}
script:
  - {id: frozen, at: 0ms, for: 150ms, freeze: srv}
  - {id: one, at: 250ms, for: 150ms, freeze: {host: {any: 1, of: [srv, two]}, process: sleep}}
  - {id: names, at: 500ms, for: 150ms, dns: {host: client, nxdomain: true}}
  - {id: asked, at: 700ms, for: 150ms, http: {host: {any: 1, of: [srv, two]}, port: 80, abort: true}}
  - {id: short, at: 900ms, for: 500ms, pressure: {host: srv, cpu: {workers: 1, load: 10%}, disk: {path: /var/lib, fill: 2%}, files: {process: sleep, leave: 5}}}
  - {id: trust, at: 1600ms, for: 100ms, tls: {host: srv, port: 443, certificate: expired}}
expect: {web: either}
settle: 200ms
horizon: 2500ms
trials: 1
"""
# Of the other parts: what impairs, what a clock shows; of what is taken away the rest is known only when it is
# read.
IMPAIRED = """
blackstart: 1
name: impaired
services: {web: {rto: 400ms}}
networks: {a: {subnet: 10.78.0.0/24}}
hosts:
  client: {lab: {address: 10.78.0.9}}
  srv: {lab: {address: 10.78.0.2}, start: [sleep 1001]}
probes:
  web: {service: web, host: client, icmp: 10.78.0.2, every: 50ms, timeout: 100ms, stable: 200ms}
script:
  - {id: out, at: 0ms, for: 150ms, network: {host: srv, delay: 5ms, engine: user}}
  - {id: in, at: 400ms, for: 150ms, network: {host: srv, delay: 5ms, direction: ingress, engine: user}}
  - {id: either, at: 800ms, for: 150ms, network: {host: client, to: [srv], loss: 10%, direction: both, engine: user}}
  - {id: chosen, at: 1300ms, for: 150ms, network: {host: {any: 1, of: [client, srv]}, delay: 5ms, engine: user}}
  - {id: clock, at: 1700ms, for: 100ms, clock: {host: srv, offset: +2h}}
  - {id: uptime, at: 1900ms, for: 100ms, clock: {host: srv, uptime: 400d}}
  - {id: address, at: 2300ms, for: 100ms, address: {host: srv, address: 10.78.0.2}}
  - {id: route, at: 2500ms, for: 100ms, route: {host: srv, to: 10.78.0.0/24}}
expect: {web: either}
settle: 200ms
horizon: 4s
trials: 1
"""
CANDIDATES = ["x", "y", "z"]
RULES = {"ANY2": "{any: 2, of: [x, y, z]}", "ANY1": "{any: 1, of: [x, y, z]}",
         "LEADER": '{leader: "test -e stampd", of: [x, y, z]}'}


def with_rules(text):
    for word, rule in RULES.items():
        text = text.replace(word, rule)
    return text


def with_names(text, step, hosts):
    """The scenario with the name put in where the step chose it; of the other steps none."""
    lines = [l for l in text.split("\n") if not l.startswith("  - ") or "id: %s," % step in l]
    return re.sub("ANY1|LEADER", hosts[0], "\n".join(lines))


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
    """What is printed, and what is done. Each drill runs once for all of its tests."""

    @classmethod
    def setUpClass(cls):
        cls.drills = {}

    @classmethod
    def tearDownClass(cls):
        for d, _ in cls.drills.values():
            d.remove()

    def plan(self, text):
        base = harness.folder()
        self.addCleanup(shutil.rmtree, base)
        path = write(os.path.join(base, "s.yaml"), text)
        r = subprocess.run([BLACKSTART, "plan", path, "--seed", "1", "--json"], capture_output=True,
                           text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        return json.loads(r.stdout)

    def both(self, text, *codes):
        """(plan, run) as tests/drill/changes.py has them; of the plan what the kills did not end is not started."""
        if text not in self.drills:
            before = machine()
            plan = self.plan(text)
            self.assertEqual(machine(), before)
            self.drills[text] = Drill(text, "--seed", "1").run(), plan
        d, plan = self.drills[text]
        self.assertIn(d.code, codes, d.explain())
        harness.check_record(d.record)
        self.assertEqual([e for e in d.events("inject") if not e["ok"]], [])
        return changes.plan_of(plan), changes.run_of(d.record), d

    def everything(self):
        plan, run, d = self.both(EVERYTHING, 1)  # the last faults outlast the promise
        for step in ("kill", "last-kill"):
            plan[step, True] = [p for p in plan[step, True] if p.text.startswith(ENDED)]
        return plan, run, d

    def test_a_run_makes_the_planned_changes_in_order_and_no_other(self):
        plan, run, d = self.everything()
        self.assertEqual(changes.all_differences(plan, run, HOW), [])
        made = sum(len(c) for c in run.values())
        self.assertEqual(made, len(d.events("lab", event="change")))  # none stands aside
        self.assertEqual({w[0] for w in run if isinstance(w, tuple)},
                         {e["step"] for e in d.events("inject")})
        self.assertEqual(len(d.events("inject")), 20)
        self.assertGreater(made, 350)

    def test_a_change_that_is_dropped_doubled_swapped_or_another_is_found(self):
        plan, run, _ = self.everything()
        self.assertEqual(changes.all_differences(plan, run, HOW), [])
        unseen, tried = [], 0
        for what, other in changes.spoilt(run):
            tried += 1
            if not changes.all_differences(plan, other, HOW):
                unseen.append(what)
        self.assertEqual(unseen, [])
        self.assertGreater(tried, 1600)

    def test_what_is_chosen_when_it_happens_is_planned_with_each_name(self):
        text = with_rules(CHOICES)
        plan, run, d = self.both(text, 1)
        how = {("lead-flap", False): {"edges": 3},
               ("lead-kill", True): {"cases": ["if it ended"]}, ("lead-flap", True): {"cases": ["if it is down"]}}
        sentences = {s["step"]: s["texts"][0] for s in self.drills[text][1]["steps"]}
        for e in d.events("inject"):
            step, hosts = e["step"], e["targets"]
            self.assertIn("test -e stampd" if "lead" in step else "any ", sentences[step])
            self.assertIn(", ".join(CANDIDATES), sentences[step])
            self.assertEqual(hosts[:1] if "lead" in step else [], ["y"] if "lead" in step else [])
            found = [h for h in hosts if h in CANDIDATES]
            self.assertEqual(len(found), 2 if "ANY2" in self.line(step) else 1, e)
            pids = {}
            for undo in (False, True):
                at = step, undo
                planned = plan[at]
                if "cut" in step or "refuse" in step:  # which pairs: only when it is known
                    planned = changes.plan_of(self.plan(with_names(CHOICES, step, found)))[at]
                self.assertEqual(changes.differences(changes.chosen(planned, found), run.get(at, []),
                                                     pids=pids, **how.get(at, {})), [], at)
        for what in ("build", "end", "load"):
            self.assertEqual(changes.differences(plan[what], run.get(what, [])), [], what)
        self.assertEqual({w[0] for w in run if isinstance(w, tuple)}, set(sentences))

    def test_a_name_put_in_gives_the_plan_of_that_candidate(self):
        plan = changes.plan_of(self.plan(with_rules(CHOICES)))
        for step in ("lead-kill", "lead-flap", "lead-run", "lead-cord"):
            for host in CANDIDATES:
                named = changes.plan_of(self.plan(with_names(CHOICES, step, [host])))
                for undo in (False, True):
                    self.assertEqual(changes.chosen(plan[step, undo], [host]), named[step, undo])

    def test_what_impairs_and_what_is_taken_away(self):
        plan, run, d = self.both(IMPAIRED, 0, 1, 4)  # the verdict says nothing here
        name, = next(e["targets"] for e in d.events("inject", step="chosen"))
        how = {}
        for undo in (False, True):
            plan["chosen", undo] = changes.chosen(plan["chosen", undo], [name])
        for step in ("address", "route"):  # once, and the same is put back, with what went along
            how[step, True] = {"along": len(run[step, True]) - 1}
            (where, text), = run[step, False]
            self.assertEqual(run[step, True][0], (where, text.replace(" delete ", " add ", 1)))
        self.maxDiff = None
        self.assertEqual(changes.all_differences(plan, run, how), [])

    @unittest.skipUnless(os.geteuid() == 0, "needs root: a control group is made")
    def test_what_is_done_past_the_network(self):
        plan, run, d = self.both(PRESSED, 0, 1, 4)  # nobody speaks TLS there
        for step in ("one", "asked"):
            name, = next(e["targets"] for e in d.events("inject", step=step))
            for undo in (False, True):
                plan[step, undo] = changes.chosen(plan[step, undo], [name])
                self.assertNotEqual(plan[step, undo], [])
        stressed = sum("SIGKILL to" in text for _, text in run["short", True])
        how = {("short", False): {"each": 2}, ("short", True): {"each": {"SIGKILL to": stressed, "host srv": 2}},
               ("frozen", False): {"each": 2}, ("frozen", True): {"each": 2}}
        for undo in (False, True):
            how["one", undo] = {"each": {"host srv": 2, "host two": 1}}
        self.assertEqual(changes.all_differences(plan, run, how), [])
        self.assertGreater(stressed, 1)

    @staticmethod
    def line(step):
        return next(l for l in CHOICES.split("\n") if "id: %s," % step in l)


if __name__ == "__main__":
    harness.main()

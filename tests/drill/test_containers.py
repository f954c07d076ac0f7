"""Containers of a real docker and a real podman: broken and whole again, whatever dies, is replaced or
restarted meanwhile; and what others have there is never touched.
"""
import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
import unittest

import changes
import engines
import harness
from foreign import Inside, OtherBoot, journals, undo
from halt import halted
from harness import Drill, kill_both, processes_of, wait_until

SCENE = """
blackstart: 1
name: shop
services:
  web: {rto: 300ms}
hosts:
  db: {%(host)s}
  cache: {container: {name: cache-1, engine: %(socket)s}, allow: true}
  client: {netns: %(netns)s}
probes:
  web:
    service: web
    host: client
    http: {url: "http://%(address)s/", expect: {status: 200}}
    every: 25ms
    timeout: 60ms
    stable: 100ms
script:%(script)s
settle: 100ms
horizon: %(horizon)s
"""
# Serves, and ends in order when it is told to.
SERVE = ("sh", "-c", 'trap "exit 0" TERM; httpd -h /www; while :; do sleep 1000 & wait $!; done')
FREEZE = """
  - {id: hit, at: 200ms, %sfreeze: {host: db}}"""
SHUTDOWN = """
  - {id: down, at: 200ms, %sshutdown: {host: %s, timeout: 2s}}"""
ALL = """
  - {id: slow, at: 50ms, network: {host: db, device: eth0, delay: 100ms, engine: user}}
  - {id: cut, at: 100ms, partition: {host: db, peers: [10.99.99.99]}}
  - {id: hung, at: 150ms, stop: {host: db, process: httpd}}""" + FREEZE % "" + (
      SHUTDOWN % ("", "cache")).replace("200ms", "250ms")
PEER = os.path.join(harness.SOURCE, "tests", "lab", "proxy_peer.py")
LONG = "CONTAINER_LONG" in os.environ

STANDING = {}


def engine(kind):
    """Started once for all tests; with the first container that needs it."""
    if kind not in STANDING:
        lacking = engines.missing(*kind.needs)
        if lacking:
            reason = ", ".join(lacking) + " is not installed"
            if harness.must_run(reason):
                raise AssertionError(reason)
            raise unittest.SkipTest(reason)
        e = STANDING[kind] = kind("--live-restore") if kind is engines.Docker else kind()
        for chain in ("INPUT", "FORWARD"):  # rules of its operator
            engines.run("nsenter", "--net=/run/netns/" + e.netns, "iptables", "-A", chain, "-p", "tcp", "--dport", "9",
                        "-j", "DROP")
    return STANDING[kind]


def tearDownModule():
    for e in STANDING.values():
        e.end()


class Containers(unittest.TestCase):
    maxDiff = None
    kind = engines.Docker

    def setUp(self):
        self.e = engine(self.kind)
        self.addCleanup(self.leave)
        for name in ("db-1", "cache-1", "other"):  # they stay for the next test
            if self.e.state(name) != "running":
                self.e.client("rm", "--force", name, ok=False)
                self.e.container(name, "--label", "app=" + name, command=SERVE)
        self.inside = ["nsenter", "--net=/run/netns/" + self.e.netns]
        self.before = self.others()

    def leave(self):
        """What a test made besides stays for no other."""
        for name in self.e.names() - {"db-1", "cache-1", "other"}:
            self.e.client("rm", "--force", name)

    def others(self):
        """What is nobody's business: another container with its process, network and rules, and the
        operator's own rules. (The engine writes those of ours anew when it starts it again.)"""
        pid, address = self.e.pid("other"), self.e.address("other")
        rules = engines.run(*self.inside, "iptables-save").split("\n")
        links = engines.run("nsenter", "--net=/proc/%d/ns/net" % pid, "ip", "address")
        return {"state": self.e.state("other"), "pid": pid,
                "links": [l for l in links.split("\n") if "valid_lft" not in l],
                "rules": [l for l in rules if address + "/" in l or "--dport 9 " in l]}

    def scene(self, script, horizon="1s", host=None, address=None):
        return SCENE % {"host": host or "container: {name: db-1, engine: %s}, allow: true" % self.e.socket,
                        "netns": self.e.netns, "socket": self.e.socket, "script": script, "horizon": horizon,
                        "address": address or self.e.address("db-1")}

    def drill(self, *args, options=("--yes",), **kwargs):
        d = Drill(self.scene(*args, **kwargs), *options)
        self.addCleanup(d.remove)
        return d

    def told(self, host, address="127.0.0.1", script=FREEZE % "for: 100ms, ", code=None, command="plan"):
        d = Drill(self.scene(script, host=host, address=address), command=command).run()
        self.addCleanup(d.remove)
        self.assertEqual(d.code, 0 if code is None else code, d.explain())
        return d.stdout + d.stderr

    def nothing_left(self, d):
        wait_until(lambda: not processes_of(d.token))
        self.assertEqual(processes_of(d.token), [])
        self.assertEqual(journals(), [])
        self.assertEqual(self.others(), self.before)

    def in_force(self, script, n=1, **kwargs):
        """A drill of which n faults are in force; its runner stands still."""
        d = self.drill(script, **kwargs).start()
        self.halt = halted(d, n)
        self.assertEqual(len(journals()), 1)
        return d

    def go_on(self, d):
        self.halt.go()
        d.finish()

    def replace(self):
        """As `docker compose up --force-recreate` does it."""
        self.e.client("rm", "--force", "db-1")
        self.e.container("db-1", "--label", "app=db-1", command=SERVE)


class Docker(Containers):
    EACH = """
  - {id: slow, at: 100ms, for: 200ms, network: {host: db, device: eth0, delay: 100ms, engine: user}}
  - {id: cable, at: 450ms, for: 150ms, link: {host: db, device: eth0, down: true}}
  - {id: cut, at: 800ms, for: 150ms, partition: {host: db, peers: [%(gateway)s]}}
  - {id: paused, at: 1150ms, for: 150ms, freeze: {host: db}}
  - {id: hung, at: 1400ms, for: 150ms, stop: {host: db, process: httpd}}
  - {id: killed, at: 1400ms, kill: {host: db, process: sleep}}
  - {id: looked, at: 1450ms, run: {host: db, command: "ls /www; cat /etc/hostname"}}
  - {id: down, at: 1700ms, for: 150ms, shutdown: {host: db}}
  - {id: again, when: {step: down}, after: 1200ms, restart: {host: db}}
  - {id: once-more, when: {step: again}, after: 300ms, for: 150ms, freeze: {host: db}}
  - {id: hanging, when: {step: once-more}, after: 600ms, for: 150ms, shutdown: {host: db, signal: QUIT, timeout: 500ms}}
  - {id: ended, when: {step: hanging}, after: 1300ms, for: 150ms, kill: {host: db}}"""
    # Whoever asks for the page finds none.
    OWN = """
  - {id: own, at: %s, %scustom: {host: db, command: "mv /www/index.html /www/away",
     undo: "test -e /www/index.html || mv /www/away /www/index.html", verify: "test -e /www/away"}}"""

    def test_what_is_not_back_is_named(self):
        """Their reverts lie: what they gave back is taken away again before the comparison."""
        script = FREEZE % "for: 60ms, " + SHUTDOWN % ("for: 60ms, ", "cache")
        d = self.drill(script).start()
        halt = halted(d, wanted=lambda e, state: e["kind"] == "trial-end")
        self.assertEqual([e["ok"] for e in d.events("undo")], [True] * 2, d.explain())
        self.e.client("pause", "db-1")
        self.e.client("kill", "cache-1")
        halt.go()
        d.finish()
        self.e.client("unpause", "db-1")
        clean = d.events("clean")[-1]
        self.assertEqual((d.code, clean["clean"]), (6, False), d.explain())
        left = "\n".join(clean["left"])
        self.assertIn("host db: its container db-1 is still paused", left)
        self.assertIn("host cache: its container cache-1, which a fault had its hands on, does not run", left)
        self.nothing_left(d)

    def test_each_fault_bites_and_is_undone(self):
        """SHOWS network: container: applied verified undone
        SHOWS link: container: applied verified undone
        SHOWS partition: container: applied verified undone
        SHOWS freeze: container: applied verified undone
        SHOWS stop: container: applied verified undone
        SHOWS shutdown: container: applied verified undone
        SHOWS kill: container: applied verified undone
        SHOWS restart: container: applied verified
        SHOWS custom: container: applied verified undone
        SHOWS run: container: applied"""
        gateway = self.e.address("db-1").rsplit(".", 1)[0] + ".1"
        me = self.e.id("db-1")
        script = self.EACH % {"gateway": gateway} + self.OWN % ("620ms", "for: 150ms, ")
        for horizon in ("10s", "60s"):  # the second where a busy machine has not come to the last by then
            d = self.drill(script, horizon=horizon).run()
            if d.events("inject", step="ended", ok=True):
                break
        self.assertEqual(d.code, harness.undone_alone(d, "web", 0.3), d.explain())
        trial, = d.result["trials"]
        self.assertEqual(trial["outcome"], "completed", d.explain())
        verified = {e["step"]: e["ok"] for e in d.events("verify")}
        lasting = ["slow", "cable", "own", "cut", "paused", "hung", "down", "once-more", "hanging", "ended"]
        self.assertEqual(verified, dict.fromkeys(lasting + ["again", "killed"], True))
        self.assertEqual([e["step"] for e in d.events("undo", ok=True)], lasting + ["killed"])
        self.assertEqual(d.events("fault-gone"), [])
        looked, = d.events("action", event="end", step="looked")
        self.assertEqual(looked["output"].split(), ["index.html", me[:12]])
        self.each_was_felt(d, lasting)
        self.planned(d)
        self.assertEqual((self.e.id("db-1"), self.e.state("db-1")), (me, "running"))
        self.assertTrue(d.events("clean")[-1]["clean"], d.events("clean"))
        harness.check_record(d.record)
        self.nothing_left(d)

    def planned(self, d):
        """What was asked of its engine, and done to its processes, is what the plan says."""
        args = [harness.BLACKSTART, "plan", d.scenario, "--json"]
        r = subprocess.run(args, capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        plan, run = changes.plan_of(json.loads(r.stdout)), changes.run_of(d.record)
        asked = 0
        for step in ("paused", "hung", "down", "once-more", "hanging", "ended", "again", "killed"):
            pids = {}
            for undo in (False, True):
                made = run.get((step, undo), [])
                cases = [c for p in plan[step, undo] for c in p.cases
                         if any(changes.reads_as(p.text, text) for _, text in made)]
                n = sum("process" in text for _, text in made)
                found = changes.differences(plan[step, undo], made, cases=cases, each=n, pids=pids)
                self.assertEqual(found, [], (step, undo, made))
                asked += sum("to its engine: POST " in text for _, text in made)
        self.assertGreater(asked, 5)

    def each_was_felt(self, d, steps):
        """By whoever asks from outside; on a busy machine nobody may have asked in so short a time."""
        injected = {e["step"]: e["at"] for e in d.events("inject")}
        undone = {e["step"]: e["at"] for e in d.events("undo")}
        for step in steps:
            begin, end = injected[step][1], undone[step][0]
            during = [e["ok"] for e in d.events("probe") if begin < e["start"] < end - 70e6]
            self.assertTrue(not during or False in during, step)

    def inner(self):
        """The network of db, and what its processes do; and whether cache runs."""
        pid = self.e.pid("db-1")
        into = ["nsenter", "--net=/proc/%d/ns/net" % pid]
        found = [engines.run(*into, *argv.split()) for argv in (
            "ip link show eth0", "tc qdisc show dev eth0", "tc filter show dev eth0 egress",
            "nft list tables")]
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return found + [harness.stat_of(p)[1] for p in f.read().split()] + [
                self.e.state("db-1"), self.e.state("cache-1")]

    def all_in_force(self):
        was = self.inner()
        d = self.in_force(ALL, n=5, horizon="2s")
        self.assertEqual((self.e.state("db-1"), self.e.state("cache-1")), ("paused", "exited"))
        self.assertEqual([e["action"] for e in d.events("inject", ok=True)],
                         ["network", "partition", "stop", "freeze", "shutdown"])
        return d, was

    def test_the_runner_dies(self):
        d, was = self.all_in_force()
        self.halt.kill()
        d.finish()
        wait_until(lambda: not processes_of(d.token))
        self.assertEqual(self.inner(), was)
        self.nothing_left(d)
        self.assertTrue(d.events("clean")[-1]["clean"], d.events("clean"))

    def test_both_die_and_undo_puts_it_right(self):
        """SHOWS freeze: container: undone-after-kill
        SHOWS shutdown: container: undone-after-kill
        SHOWS network: container: undone-after-kill
        SHOWS partition: container: undone-after-kill
        SHOWS stop: container: undone-after-kill"""
        d, was = self.all_in_force()
        kill_both(d, self.halt)
        self.assertEqual((self.e.state("db-1"), self.e.state("cache-1")), ("paused", "exited"))
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual(self.inner(), was)
        self.nothing_left(d)

    def test_both_die_after_a_kill_and_undo_starts_it_again(self):
        """SHOWS kill: container: undone-after-kill
        SHOWS custom: container: undone-after-kill"""
        d = self.in_force(Docker.OWN % ("50ms", "") + """
  - {id: ended, at: 100ms, kill: {host: cache}}""", n=2)
        kill_both(d, self.halt)
        page = ("exec", "db-1", "cat", "/www/index.html")
        wait_until(lambda: self.e.state("cache-1") == "exited")
        self.assertEqual((self.e.state("cache-1"), self.e.client(*page, ok=False)), ("exited", ""))
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertRegex(text, "host cache: container cache-1 .* started again by ")
        self.assertEqual((self.e.state("cache-1"), self.e.client(*page)), ("running", "all is well"))
        self.nothing_left(d)

    SHORT = ["short", "full", "shut"]

    def squeezed(self, how=""):
        io = ", io: {path: /tmp, size: 8MB}" if harness.on_a_disk(self.e.folder) else ""
        return "".join("\n  - {id: %s, at: %dms, %spressure: {host: db, %s}}" % (n, 200 + 50 * i, how, what)
                       for i, (n, what) in enumerate(zip(self.SHORT, (
                           "cpu: {workers: 1, load: 30%}, memory: {size: 32MB}" + io,
                           "disk: {path: /dev/shm, leave: 40MB}", "files: {leave: 2, process: httpd}"))))

    def room(self):
        """Of its own file system in memory, and of its server's descriptors."""
        pid = self.e.pid("db-1")
        server = min(p for p in harness.pids() if self.e.id("db-1") in self.group_of(p)
                     and harness.stat_of(p)[0] == "httpd")  # it forks for each connection
        root = "/proc/%d/root" % pid
        return (os.statvfs(root + "/dev/shm").f_bavail, resource.prlimit(server, resource.RLIMIT_NOFILE),
                os.listdir(root + "/tmp"))

    def names_inside(self):
        return {harness.stat_of(pid)[0] for pid in harness.pids() if self.e.id("db-1") in self.group_of(pid)}

    @staticmethod
    def group_of(pid):
        try:
            with open("/proc/%d/cgroup" % pid) as f:
                return f.read()
        except OSError:
            return ""

    def test_it_runs_short_of_processor_time_and_memory(self):
        """SHOWS pressure (cpu, memory): container: applied verified undone
        SHOWS pressure (disk): container: applied verified undone
        SHOWS pressure (files): container: applied verified undone
        SHOWS pressure (io): container: applied verified undone"""
        was = self.room()
        d = self.drill(self.squeezed("for: 1s, "), horizon="3s").run()
        self.assertEqual({e["step"]: e["ok"] for e in d.events("verify")}, dict.fromkeys(self.SHORT, True),
                         d.explain())
        self.assertEqual({e["step"] for e in d.events("undo", ok=True)}, set(self.SHORT), d.explain())
        self.assertIn("stress-ng ended", d.events("undo", step="short")[0]["changes"][0])
        self.assertTrue(d.events("clean")[-1]["clean"], d.events("clean"))
        self.assertEqual(self.room(), was)
        self.nothing_left(d)

    def test_what_squeezes_it_goes_with_it(self):
        """SHOWS pressure (cpu, memory): container: undone-after-kill
        SHOWS pressure (disk): container: undone-after-kill
        SHOWS pressure (files): container: undone-after-kill
        SHOWS pressure (io): container: undone-after-kill"""
        was = self.room()
        d = self.in_force(self.squeezed(), n=3, horizon="20s")
        wait_until(lambda: "stress-ng" in self.names_inside())
        self.assertIn("stress-ng", self.names_inside())
        kill_both(d, self.halt)
        wait_until(lambda: "stress-ng" not in self.names_inside())
        self.assertNotIn("stress-ng", self.names_inside())
        for then, now in zip(was, self.room()):
            self.assertTrue(now != then or now == [] and not harness.on_a_disk(self.e.folder), (then, now))
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual(self.room(), was)
        self.nothing_left(d)

    LOAD = """
load:
  own: {host: db, command: "cat /etc/hostname; trap 'echo bye; exit 3' TERM; sleep 777 & wait", within: 1s}
"""

    def test_load_comes_from_inside(self):
        d = Drill(self.scene(" []", horizon="500ms") + self.LOAD, "--yes").run()
        self.addCleanup(d.remove)
        load, = d.result["trials"][0]["loads"]
        self.assertEqual((load["code"], load["output_tail"].split()), (3, [self.e.id("db-1")[:12], "bye"]),
                         d.explain())
        self.assertEqual((processes_of(d.token), self.others()), ([], self.before))

    def test_load_ends_with_a_killed_runner(self):
        def asleep():
            return [name for _, name in processes_of(d.token)].count("sleep")
        d = Drill(self.scene(" []", horizon="30s") + self.LOAD, "--yes").start()
        self.addCleanup(d.remove)
        self.assertTrue(wait_until(asleep))
        d.process.kill()
        d.finish()
        self.assertTrue(wait_until(lambda: not processes_of(d.token)), processes_of(d.token))
        self.assertEqual(self.others(), self.before)

    FAR = "10.77.0.1"  # an address of the engine's host, to which only the default route leads
    TAKEN = ("route: {host: db, to: default}", "http: {host: db, port: 80, status: 503}",
             "dns: {host: db, nxdomain: true, names: [\"*.shop.test\"]}",
             "tls: {host: db, port: 8443, certificate: expired}",
             "address: {host: db, device: eth0, address: %(address)s}")

    def serve(self):
        """One in its network who speaks TLS."""
        server = subprocess.Popen(["nsenter", "--net=/proc/%d/ns/net" % self.e.pid("db-1"), "python3", PEER,
                                   "tls-server", "8443"], cwd=self.e.folder)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        into = ["nsenter", "--net=/proc/%d/ns/net" % self.e.pid("db-1")]
        wait_until(lambda: ":8443 " in engines.run(*into, "ss", "-Hltn"))

    def taken(self, first, every, how=""):
        into = ["nsenter", "--net=/proc/%d/ns/net" % self.e.pid("db-1"), "ip"]
        names = {"address": self.e.address("db-1")}
        script = "".join("\n  - {id: %s, at: %dms, %s%s}" % (
            a.split(":")[0], first + i * every, how, a % names) for i, a in enumerate(self.TAKEN))
        return script, lambda: self.inner() + [engines.run(*into, "-4", *what.split())
                                               for what in ("address show dev eth0", "route")]

    def test_what_it_needs_is_taken_away_and_put_back(self):
        """SHOWS address: container: applied verified undone
        SHOWS route: container: applied verified undone
        SHOWS http: container: applied verified undone
        SHOWS dns: container: applied verified undone
        SHOWS tls: container: applied verified undone
        SHOWS sockets: container: applied verified"""
        self.serve()
        engines.run("ip", "-n", self.e.netns, "address", "add", self.FAR + "/32", "dev", "lo")
        self.addCleanup(engines.run, "ip", "-n", self.e.netns, "address", "del", self.FAR + "/32", "dev", "lo")
        script, state = self.taken(100, 400, "for: 200ms, ")
        was = state()
        with Inside(self.e.netns):
            held = socket.create_connection((self.e.address("db-1"), 80), timeout=5)
        self.addCleanup(held.close)
        ping = "ping -c 1 -W 1 " + self.FAR
        script += "".join("""
  - {id: %s, at: %s, run: {host: db, command: "%s"}}""" % (*when, ping) for when in (
      ("before", "20ms"), ("without", "160ms"), ("again", "420ms")))
        d = self.drill(script + """
  - {id: sockets, at: 2100ms, sockets: {host: db, own_port: 80, opened: there}}""", horizon="2800ms").run()
        self.assertEqual({e["step"]: e["code"] == 0 for e in d.events("action", event="end")},
                         {"before": True, "without": False, "again": True}, d.events("action"))
        steps = [a.split(":")[0] for a in self.TAKEN]
        self.assertEqual([(e["step"], e["ok"]) for e in d.events("verify")],
                         [(s, True) for s in steps + ["sockets"]], d.explain())
        self.assertEqual([e["step"] for e in d.events("undo", ok=True)], steps + ["sockets"],
                         d.explain())
        self.each_was_felt(d, ["http", "address"])
        with self.assertRaises(ConnectionError):
            held.sendall(b"GET /")
            if not held.recv(100):
                raise ConnectionError
        self.assertEqual(state(), was)
        self.assertTrue(d.events("clean")[-1]["clean"], d.events("clean"))
        self.nothing_left(d)

    def test_both_die_and_undo_puts_back_what_was_taken(self):
        """SHOWS address: container: undone-after-kill
        SHOWS route: container: undone-after-kill
        SHOWS http: container: undone-after-kill
        SHOWS dns: container: undone-after-kill
        SHOWS tls: container: undone-after-kill"""
        self.serve()
        script, state = self.taken(100, 50)
        was = state()
        d = self.in_force(script, n=len(self.TAKEN), horizon="2s")
        self.assertNotEqual(state(), was)
        kill_both(d, self.halt)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual(state(), was)
        self.nothing_left(d)

    def test_the_machine_starts_again(self):
        """What its engines keep over that is undone all the same."""
        d = self.in_force(FREEZE % "" + SHUTDOWN % ("", "cache"), n=2)
        kill_both(d, self.halt)
        with OtherBoot():
            code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual((self.e.state("db-1"), self.e.state("cache-1")), ("running", "running"))
        self.nothing_left(d)

    def test_another_one_with_its_name_is_never_touched(self):
        """Replaced while it was paused; and somebody paused the new one."""
        d = self.in_force(FREEZE % "")
        self.replace()
        self.e.client("pause", "db-1")
        kill_both(d, self.halt)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("was removed", text)
        self.assertEqual(self.e.state("db-1"), "paused")
        self.e.client("unpause", "db-1")
        self.nothing_left(d)

    def test_one_that_has_gone_took_the_fault_along(self):
        d = self.in_force("""
  - {id: hit, at: 200ms, link: {host: db, device: eth0, down: true}}""")
        self.e.client("rm", "--force", "db-1")
        self.go_on(d)
        told = d.events("undo")[0]
        self.assertTrue(told["ok"], told)
        gone = " ".join(d.events("clean")[-1]["others"])
        self.assertRegex(gone, "it was removed; its engine tells of .*die.*(destroy|remove)")
        clean = d.events("clean")[-1]
        self.assertEqual((clean["clean"], clean["left"]), (True, []))
        self.nothing_left(d)

    def test_one_that_was_replaced_is_followed_when_asked(self):
        script = FREEZE % "for: 100ms, " + """
  - {id: late, when: {operator: go}, freeze: {host: db}}"""
        for follow in (True, False):
            with self.subTest(follow=follow):
                host = "container: {label: app=db-1, engine: %s}, allow: true%s" % (
                    self.e.socket, ", follow: true" if follow else "")
                d = self.drill(script, horizon="60s", host=host).start()
                d.tail(lambda e: e["kind"] == "undo")
                self.replace()
                new = self.e.id("db-1")
                if follow:
                    go = subprocess.run([harness.BLACKSTART, "mark", "note", "go", "--run", d.record[0]["id"]],
                                        capture_output=True, text=True)
                    self.assertEqual(go.returncode, 0, go.stderr + d.explain())
                    late = d.tail(lambda e: e["kind"] == "inject" and e["step"] == "late")
                    self.assertTrue(late["ok"], late)
                    self.assertIn(new[:12], late["changes"][0])
                    d.process.send_signal(signal.SIGINT)
                d.finish()
                if not follow:  # its trial is over at once
                    trial, = d.result["trials"]
                    self.assertEqual(trial["outcome"], "void", d.explain())
                    self.assertIn("has ended", trial["reason"])
                self.assertEqual((self.e.state("db-1"), self.e.id("db-1")), ("running", new))
                self.nothing_left(d)


class Restarted(Containers):
    """The engine itself, during a fault."""

    def again(self, wait=0):
        def later():
            time.sleep(wait)
            self.e.start()
        t = threading.Thread(target=later)
        t.start()
        self.addCleanup(t.join)
        return t

    def test_containers_that_live_on_are_put_right_when_it_is_back(self):
        d = self.in_force(FREEZE % "for: 100ms, ")
        self.e.stop()
        back = self.again(wait=0.5)  # undoing begins before
        self.go_on(d)
        back.join()
        self.assertTrue(d.events("undo")[0]["ok"], d.explain())
        self.assertEqual(self.e.state("db-1"), "running")
        self.assertTrue(d.events("clean")[-1]["clean"])

    def test_containers_that_end_with_it_are_started_or_left_as_they_are(self):
        self.addCleanup(self.restart, self.e.options)
        self.restart(())
        self.setUp()
        d = self.in_force(SHUTDOWN % ("", "db"))
        self.e.stop()
        kill_both(d, self.halt)
        self.e.start()
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual((self.e.state("db-1"), self.e.state("other")), ("running", "exited"))
        self.assertEqual(journals(), [])

    def restart(self, options):
        self.e.stop()
        self.e.options = options
        self.e.start()


class PodmanRestarted(Containers):
    """Its service; containers live on without it."""
    kind = engines.Podman
    again = Restarted.again

    def test_containers_that_live_on_are_put_right_when_it_is_back(self):
        Restarted.test_containers_that_live_on_are_put_right_when_it_is_back(self)


class Named(Containers):
    """Which container is meant, by what is said of it."""
    LABEL = "com.docker.compose."

    def replica(self, n, *options):
        name = "shop-web-%d" % n
        self.e.container(name, "--label", self.LABEL + "project=shop", "--label",
                         self.LABEL + "service=web", "--label",
                         self.LABEL + "container-number=%d" % n, *options)
        return name

    def test_by_id_label_and_the_name_of_a_service(self):
        at = ", engine: %s}, allow: true" % self.e.socket
        short = self.e.id("db-1")[:12]
        for host in ("container: {name: %s" % short, "container: {label: [app=db-1, app]"):
            self.assertIn("the container db-1 (%s)" % short, self.told(host + at))
        self.replica(1)
        web = "compose: {project: shop, service: web"
        self.assertIn("the container shop-web-1 (", self.told(web + at))
        self.replica(2)
        self.replica(3, "--label", self.LABEL + "oneoff=True")
        self.assertIn("2 containers run as that (shop-web-1, shop-web-2): name one of them "
                      "('replica: N'), or say 'any: true'", self.told(web + at, code=3))
        self.assertIn("the container shop-web-2 (", self.told(web + ", replica: 2" + at))
        self.assertIn("its labels: com.docker.compose.container-number=2, ",
                      self.told(web + ", replica: 2" + at))
        drawn = {}
        for seed in [*range(8)] * 2:
            d = Drill(self.scene(FREEZE % "for: 100ms, ", host=web + ", any: true" + at, address="127.0.0.1"),
                      "--seed", str(seed), command="plan").run()
            self.addCleanup(d.remove)
            found = re.search(r"any of shop-web-1, shop-web-2 \(drawn from the seed\): (shop-web-.)\n", d.stdout)
            self.assertIn("the container %s (" % found[1], d.stdout)
            self.assertEqual(drawn.setdefault(seed, found[1]), found[1])
        self.assertEqual(set(drawn.values()), {"shop-web-1", "shop-web-2"})
        # While it is down it is not another one.
        d = self.drill(SHUTDOWN % ("for: 900ms, ", "db") + """
  - {id: look, when: {step: down}, after: 600ms, run: {host: db, command: cat /etc/hostname}}""",
                       host=web + ", any: true" + at + ", follow: true",
                       horizon="5s", options=("--yes", "--seed", "1")).run()
        self.assertTrue(d.events("undo", step="down")[0]["ok"], d.explain())
        self.assertTrue(d.events("inject")[0]["ok"], d.explain())
        for n in (1, 2):
            self.assertEqual(self.e.state("shop-web-%d" % n), "running")
        self.assertIn(drawn[1], json.dumps(d.events("plan")[0]))
        other = ({"shop-web-1", "shop-web-2"} - {drawn[1]}).pop()
        said = json.dumps([e for kind in ("inject", "undo", "lab", "action") for e in d.events(kind)])
        for name in (other, self.e.id(other)[:12]):  # the latter is what it calls itself
            self.assertNotIn(name, said)
        self.assertEqual(len(d.events("action", event="end")), 1)

    def test_what_cannot_be_meant_is_said(self):
        """SHOWS freeze: container: refused
        SHOWS shutdown: container: refused"""
        at = ", engine: %s}, allow: true" % self.e.socket
        self.assertRegex(self.told("container: {name: db-2" + at, code=3),
                         "has no container 'db-2'; it has .*db-1")
        self.assertIn("runs nothing as service nothing of the compose project shop",
                      self.told("compose: {project: shop, service: nothing" + at, code=3))
        self.assertIn("there is no socket /no/such/socket",
                      self.told("container: {name: db-1, engine: /no/such/socket}, allow: true", code=3))
        self.e.container("live", "--label", "com.example.environment=production")
        self.assertIn("is marked as production (its label com.example.environment=production)", self.told(
            "container: {name: live" + at, script=FREEZE % "for: 100ms, ", code=3))
        self.e.client("kill", "db-1")
        for script in (FREEZE % "for: 100ms, ", SHUTDOWN % ("for: 100ms, ", "db")):
            self.assertIn("container db-1 does not run (exited): start it first",
                          self.told("container: {name: db-1" + at, script=script, code=3))

    def test_one_in_the_machines_network_is_not_cut_off(self):
        """SHOWS link: container: refused
        SHOWS network: container: refused
        SHOWS partition: container: refused
        SHOWS dns: container: refused
        SHOWS http: container: refused
        SHOWS tls: container: refused
        SHOWS route: container: refused
        SHOWS address: container: refused
        SHOWS sockets: container: refused
        SHOWS freeze: container: applied verified undone"""
        self.e.container("near", "--network", "host", command=SERVE)
        host = "container: {name: near, engine: %s}, allow: true" % self.e.socket
        d = self.drill("""
  - {id: hit, at: 100ms, for: 100ms, freeze: {host: db}}""", host=host, address="127.0.0.1").run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.nothing_left(d)
        for fault in ("link: {host: db, device: eth0, down: true}",
                      "network: {host: db, device: eth0, delay: 5ms}",
                      "partition: {host: db, peers: [10.98.0.9]}",
                      "dns: {host: db, nxdomain: true}",
                      "http: {host: db, port: 80, status: 503}",
                      "tls: {host: db, port: 443, certificate: expired}",
                      "route: {host: db, to: 10.97.0.0/16}",
                      "address: {host: db, address: 10.98.0.1}",
                      "sockets: {host: db, own_port: 80}"):
            with self.subTest(fault):
                self.assertIn("which has no network of its own",
                              self.told(host, script="\n  - {at: 100ms, %s}" % fault, code=3))


class Shop(unittest.TestCase):
    """The shipped scenario, and its docker-compose.yml as docker-compose brings it up; what is run are the
    machine's own programs, as there is nowhere to get images from."""
    FOLDER = os.path.join(harness.SOURCE, "scenarios", "compose-shop")
    HERE = """
services:
  web: {volumes: ["/usr:/usr:ro"]%s}
  cache: {volumes: ["/usr:/usr:ro"]}
  database: {volumes: ["/usr:/usr:ro"], stop_grace_period: 2s}
"""

    def setUp(self):
        for program in ("redis-server", "python3", "docker-compose"):
            if not engines.find(program):
                self.skipTest(program + " is not installed")
        self.e = engine(engines.Docker)
        if not self.e.client("images", "--quiet", "machine:1"):
            self.e.bring("machine:1", engines.machine_root(os.path.join(self.e.folder, "machine")))

    def compose(self, *words):
        """With the Python it was made for: another may stand first in PATH."""
        env = dict(os.environ, DOCKER_HOST="unix://" + self.e.socket, SHOP_WEB_IMAGE="machine:1",
                   SHOP_REDIS_IMAGE="machine:1")
        subprocess.run(["/usr/bin/python3", engines.find("docker-compose"), "--project-name", "shop", "--file",
                        self.FOLDER + "/docker-compose.yml", "--file", self.e.folder + "/here.yml", *words],
                       env=env, check=True, stderr=subprocess.PIPE)

    def drill(self, *options, web=""):
        harness.write(self.e.folder + "/here.yml", self.HERE % web)
        self.addCleanup(self.compose, "down", "--volumes", "--timeout", "0")
        self.compose("up", "--detach")
        os.environ["DOCKER_HOST"] = "unix://" + self.e.socket
        self.addCleanup(os.environ.pop, "DOCKER_HOST")
        d = Drill(os.path.join(self.FOLDER, "compose-shop.yaml"), "--yes", "--trials", "1", *options)
        self.addCleanup(d.remove)
        return d.run()

    def test_pages_do_not_need_the_cache_and_orders_come_back(self):
        d = self.drill()
        self.assertEqual(d.code, 0, d.explain())
        self.assertEqual([e["ok"] for e in d.events("verify")], [True, True])
        down = {e["probe"] for e in d.events("probe") if not e["ok"]}
        self.assertEqual(down, {"order"})

    def test_a_shop_that_waits_for_its_cache_goes_down_with_it(self):
        d = self.drill(web=", environment: {SHOP_CACHE_PATIENCE: '5'}")
        self.assertEqual(d.code, 1, d.explain())


class Podman(Containers):
    kind = engines.Podman

    def test_each_fault_bites_and_is_undone(self):
        Docker.test_each_fault_bites_and_is_undone(self)

    EACH, OWN, each_was_felt, planned = Docker.EACH, Docker.OWN, Docker.each_was_felt, Docker.planned
    inner, all_in_force = Docker.inner, Docker.all_in_force
    SHORT, squeezed, room = Docker.SHORT, Docker.squeezed, Docker.room
    group_of = staticmethod(Docker.group_of)
    names_inside = Docker.names_inside

    def test_both_die_and_undo_puts_it_right(self):
        Docker.test_both_die_and_undo_puts_it_right(self)

    def test_both_die_after_a_kill_and_undo_starts_it_again(self):
        Docker.test_both_die_after_a_kill_and_undo_starts_it_again(self)

    def test_another_one_with_its_name_is_never_touched(self):
        Docker.test_another_one_with_its_name_is_never_touched(self)

    def test_one_that_has_gone_took_the_fault_along(self):
        Docker.test_one_that_has_gone_took_the_fault_along(self)

    def test_one_that_was_replaced_is_followed_when_asked(self):
        Docker.test_one_that_was_replaced_is_followed_when_asked(self)

    def test_it_runs_short_of_processor_time_and_memory(self):
        Docker.test_it_runs_short_of_processor_time_and_memory(self)

    def test_what_squeezes_it_goes_with_it(self):
        Docker.test_what_squeezes_it_goes_with_it(self)


if not LONG:  # these are for nightly
    del Restarted.test_containers_that_end_with_it_are_started_or_left_as_they_are
    del Shop.test_a_shop_that_waits_for_its_cache_goes_down_with_it

if __name__ == "__main__":
    if os.getuid():
        harness.skip(harness.NEEDS_ROOT)
    harness.main()

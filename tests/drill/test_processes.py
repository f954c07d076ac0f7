"""Drills on processes of somebody else: stopped, killed, started again; whatever dies how, they go on,
and nobody else's is ever touched.
"""
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import unittest

import dying
import foreign
import harness
from foreign import Inside, OtherBoot, journals, run, undo
from halt import IN_FORCE, halted
from harness import Drill, kill_both, processes_of, stat_of, wait_until

SERVER = """
import os, socket, sys
s = socket.socket(fileno=int(sys.argv[1])) if sys.argv[1] != "-" else None
if s is None:
    s = socket.create_server(("127.0.0.1", int(sys.argv[2])), backlog=64)
for _ in range(2):
    if os.fork() == 0:
        break
while True:
    c, _ = s.accept()
    c.recv(4096)
    c.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nok")
    c.close()
"""
# Not a connection of ours: whoever started the drill is never cut off.
HELD = """
import socket
s = socket.create_connection(("10.98.0.1", 8080))
print("up", flush=True)
try:
    s.recv(1)
except ConnectionError:
    print("reset", flush=True)
"""
# Under a name that is not its own, an interpreter looks for its library beside the working directory:
# only the system's own finds the right one there.
PYTHON = "/usr/bin/python3"
PEER = os.path.join(harness.SOURCE, "tests", "lab", "proxy_peer.py")
OWN_FILES = "mount -t tmpfs -o size=300m test /mnt && echo theirs >/mnt/whose && exec \"$@\""
SCENE = """
blackstart: 1
name: shop
services:
  shop: {rto: 220ms}
hosts:
  shop: {process: %(process)s, allow: true%(more)s}
probes:
  shop:
    service: shop
    host: shop
    http: {url: "http://127.0.0.1:%(port)d/"}
    every: 25ms
    timeout: 60ms
    stable: 100ms
script:%(script)s
settle: {for: 50ms, within: 2s}
horizon: %(horizon)s
trials: %(trials)d
%(top)s
"""
STOP = """
  - {id: hang, at: 50ms, %sstop: {host: shop%s}}"""
KILL = """
  - {id: end, at: 50ms, %skill: {host: shop%s}}"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def start_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        return int(f.read().rsplit(")", 1)[1].split()[19])


class Shop:
    """A server of three processes under a name of its own."""

    def __init__(self, name, netns=None):
        self.name, self.port = name, free_port()
        self.argv = ["-SEc", SERVER, "-", str(self.port)]
        self.inside = ["ip", "netns", "exec", netns, "sh", "-c", OWN_FILES, "-"] if netns else []
        self.process = None
        self.begin()

    def begin(self):
        shell = "exec -a %s %s \"$@\"" % (self.name, PYTHON)
        self.process = subprocess.Popen(self.inside + ["bash", "-c", shell, "-"] + self.argv,
                                        start_new_session=True)
        wait_until(lambda: len(self.pids()) == 3)
        self.first = self.pids()

    def command(self):
        """As its operator would start it again; it goes into the background."""
        words = " ".join(shlex.quote(a) for a in self.argv)
        return "env -u BLACKSTART_TEST_TOKEN bash -c %s - %s &" % (
            shlex.quote("exec -a %s %s \"$@\"" % (self.name, PYTHON)), words)

    def pids(self):
        found = []
        for pid in harness.pids():
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as f:
                    if f.read().split(b"\0")[0] == self.name.encode() and alive(pid):
                        found.append(pid)
            except OSError:
                continue
        return sorted(found)

    def states(self):
        return {stat_of(p)[1] for p in self.pids()}

    def end(self):
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait()
        wait_until(lambda: not self.pids())  # others, perhaps, that were started in their place


def alive(pid):
    stat = stat_of(pid)
    return bool(stat) and stat[1] not in ("Z", "X")


class Processes(unittest.TestCase):
    maxDiff = None
    N = 0

    @classmethod
    def setUpClass(cls):
        cls.other = Shop("other-%d-%s" % (os.getpid(), cls.__name__))
        cls.addClassCleanup(cls.other.end)

    def setUp(self):
        Processes.N += 1
        self.shop = Shop("shop-%d-%d" % (os.getpid(), self.N))
        self.addCleanup(self.shop.end)

    def scene(self, script=STOP % ("for: 200ms, ", ""), process=None, more="", trials=1,
              horizon="500ms", top=""):
        return SCENE % {"process": process or "{name: %s, expect: 3}" % self.shop.name,
                        "port": self.shop.port, "script": script, "trials": trials, "more": more,
                        "horizon": horizon, "top": top}

    def drill(self, *args, options=("--yes",), **kwargs):
        d = Drill(self.scene(*args, **kwargs), *options)
        self.addCleanup(d.remove)
        return d

    def others_as_before(self):
        self.assertEqual(self.other.pids(), self.other.first)
        self.assertNotIn("T", self.other.states())

    def go_on(self):
        """The same processes as ever, and none of them stopped."""
        self.assertEqual(self.shop.pids(), self.shop.first)
        wait_until(lambda: "T" not in self.shop.states())
        self.assertNotIn("T", self.shop.states())
        self.others_as_before()

    def nothing_left(self, drill):
        wait_until(lambda: not processes_of(drill.token))
        self.assertEqual(processes_of(drill.token), [])
        self.assertEqual(journals(), [])
        self.assertEqual(harness.groups(drill.record[0]["id"]), [])

    def in_force(self, script=STOP % ("", ""), n=1, **kwargs):
        """A drill of which n faults are in force; its runner stands still."""
        d = self.drill(script=script, **kwargs).start()
        self.halt = halted(d, n)
        return d

    def stopped(self, **kwargs):
        d = self.in_force(**kwargs)
        self.assertEqual(self.shop.states(), {"T"})
        self.others_as_before()
        return d


class Normal(Processes):
    def test_they_hang_and_go_on(self):
        """SHOWS stop: process: applied verified undone"""
        d = self.drill().run()
        self.assertEqual(d.code, harness.undone_alone(d, "shop", 0.22), d.explain())
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.assertIn("3 in state T", d.events("verify")[0]["seen"])
        self.assertTrue([e for e in d.events("probe") if not e["ok"]], d.explain())
        undone = d.events("undo")[0]
        self.assertIn("SIGCONT to ", undone["changes"][0])
        clean = d.events("clean")[-1]
        self.assertEqual((clean["clean"], clean["left"]), (True, []))
        harness.check_record(d.record)
        self.go_on()
        self.nothing_left(d)

    def test_one_of_them_by_its_number(self):
        d = self.stopped_one()
        self.halt.go()
        d.finish()
        self.assertTrue(d.events("undo")[0]["ok"], d.explain())
        self.go_on()

    def stopped_one(self):
        worker = self.shop.first[-1]
        d = self.in_force(script=STOP % ("", ", pid: %d" % worker))
        self.assertEqual([p for p in self.shop.first if stat_of(p)[1] == "T"], [worker])
        return d

    def test_by_port_and_by_cgroup_and_by_pid_file(self):
        path = os.path.join(harness.folder(), "shop.pid")
        with open(path, "w") as f:
            f.write("%d\n" % self.shop.process.pid)
        for process, n in (("{port: %d}" % self.shop.port, 3),
                           ("{name: %s, port: %d}" % (self.shop.name, self.shop.port), 3),
                           ("{pid_file: %s}" % path, 1), ("{pid: %d}" % self.shop.process.pid, 1)):
            with self.subTest(process=process):
                d = self.in_force(process=process)
                self.assertEqual(len([p for p in self.shop.first if stat_of(p)[1] == "T"]), n)
                self.halt.go()
                d.finish()
                self.assertTrue(d.events("undo")[0]["ok"], d.explain())
                self.go_on()
        os.unlink(path)
        os.rmdir(os.path.dirname(path))

    def test_who_was_stopped_before_is_not_continued(self):
        worker = self.shop.first[-1]
        os.kill(worker, signal.SIGSTOP)
        wait_until(lambda: stat_of(worker)[1] == "T")
        d = self.drill(script=STOP % ("for: 100ms, ", "")).run()
        self.assertTrue(d.events("undo")[0]["ok"], d.explain())
        self.assertEqual([p for p in self.shop.pids() if stat_of(p)[1] == "T"], [worker])
        os.kill(worker, signal.SIGCONT)
        self.go_on()

    def test_killed_and_started_again_by_its_command(self):
        """SHOWS kill: process: applied verified undone"""
        more = ", start: %s" % json.dumps(self.shop.command())
        d = self.drill(KILL % ("for: 200ms, ", ", expect: 3"), more=more, horizon="1s").run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.assertIn("started again", d.events("undo")[0]["changes"][0])
        wait_until(lambda: len(self.shop.pids()) == 3)
        self.assertEqual(len(self.shop.pids()), 3)
        self.assertFalse(set(self.shop.pids()) & set(self.shop.first))
        self.others_as_before()
        self.nothing_left(d)

    def test_killed_and_left_to_whoever_looks_after_it(self):
        d = self.drill(KILL % ("", ""), horizon="2s").start()
        d.tail(lambda e: IN_FORCE.items() <= e.items())
        self.shop.process.wait()
        self.shop.begin()
        d.finish()
        trial, = d.result["trials"]
        self.assertEqual(trial["outcome"], "completed", d.explain())
        self.assertTrue(d.events("clean")[-1]["clean"])
        self.others_as_before()
        self.nothing_left(d)

    def test_restarted(self):
        """SHOWS restart: process: applied verified"""
        more = ", start: %s" % json.dumps(self.shop.command())
        script = """
  - {id: again, at: 100ms, restart: {host: shop, grace: 200ms}}"""
        d = self.drill(script, more=more, horizon="2s").run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.assertEqual(len(self.shop.pids()), 3)
        self.assertFalse(set(self.shop.pids()) & set(self.shop.first))
        self.others_as_before()
        self.nothing_left(d)

    def test_a_command_runs_on_the_machine_in_the_scenarios_folder(self):
        """SHOWS run: process: applied"""
        script = """
  - {id: look, at: 50ms, run: {host: shop, command: "test -f scenario.yaml && echo here"}}"""
        d = self.drill(script).run()
        end, = d.events("action", event="end")
        self.assertEqual((end["code"], end["output"]), (0, "here\n"), d.explain())
        self.go_on()


class Apart(Processes):
    """Processes with a network and files of their own, as a container's are."""

    def setUp(self):
        super().setUp()
        self.netns = "bsp%d" % os.getpid()
        self.addCleanup(run, "ip", "netns", "del", self.netns)
        self.connect()
        self.shop.end()
        self.shop = Shop(self.shop.name, self.netns)
        self.addCleanup(self.shop.end)

    def connect(self):
        run("ip", "netns", "add", self.netns)
        run("ip", "-n", self.netns, "link", "set", "lo", "up")
        run("ip", "-n", self.netns, "link", "add", "d0", "type", "veth", "peer", "name", "d1")
        for more in ("link set d0 addrgenmode none", "link set d0 up", "link set d1 up", "address add 10.98.0.1/24 dev d0",
                     "route add 10.97.0.0/16 via 10.98.0.9"):
            run("ip", "-n", self.netns, *more.split())

    def network(self):
        ip = ["ip", "-n", self.netns]
        return [run(*ip, "address", "show", "d0"), run(*ip, "route"), run(*ip, "-br", "link"), run(*ip, "rule"),
                run("ip", "netns", "exec", self.netns, "nft", "list", "ruleset")]


class InItsNamespaces(Apart):
    def test_probes_and_faults_are_inside(self):
        """SHOWS link: process: applied verified undone"""
        script = """
  - {id: hang, at: 100ms, for: 100ms, stop: {host: shop}}
  - {id: cable, at: 300ms, for: 100ms, link: {host: shop, device: d0, down: true}}
  - {id: names, at: 50ms, run: {host: shop, command: "cat /mnt/whose; ip -br link show d0"}}"""
        d = self.drill(script, process="{name: %s}" % self.shop.name, horizon="1s").run()
        self.assertEqual([e["ok"] for e in d.events("verify")], [True, True], d.explain())
        good = [e for e in d.events("probe") if e["ok"]]
        self.assertTrue(good, d.explain())  # 127.0.0.1 of that namespace
        output = d.events("action", event="end")[0]["output"]
        self.assertIn("theirs\n", output)
        self.assertIn("d0", output)
        self.assertIn("the network of host shop, before and after", d.events("clean")[-1]["checked"])
        self.go_on()
        self.nothing_left(d)

    OWN = ("ip rule add from 10.66.0.1 lookup 77 priority 600", "ip rule del priority 600 || true",
           "ip rule show priority 600 | grep -q 10.66.0.1")
    WAYS = ["partition", "network", "dns", "http", "tls", "custom", "route", "address"]

    def serve(self):
        """Others in its network: who speaks TLS at 8443, and who echoes at 8080."""
        folder = harness.folder()
        self.addCleanup(shutil.rmtree, folder)
        server = subprocess.Popen(["ip", "netns", "exec", self.netns, "python3", PEER, "tls-server", "8443"],
                                  cwd=folder)
        echo = foreign.echo(self.netns)
        self.addCleanup(echo.stdout.close)
        for process in (server, echo):
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
        with Inside(self.netns):
            wait_until(lambda: ":8443 " in run("ss", "-Hltn"))

    def ways(self, first, every, how=""):
        """Each of these has nothing but a network to do with."""
        return "".join("\n  - {id: %s, at: %dms, %s%s}" % (a.split(":")[0], first + i * every, how, a) for i, a in
                       enumerate(("partition: {host: shop, peers: [10.98.0.9]}",
                                  "network: {host: shop, device: d0, delay: 30ms, engine: user}",
                                  "dns: {host: shop, nxdomain: true}",
                                  "http: {host: shop, port: %d, status: 503}" % self.shop.port,
                                  "tls: {host: shop, port: 8443, certificate: expired}",
                                  "custom: {host: shop, command: %s, undo: %s, verify: %s}" % tuple(
                                      json.dumps(c) for c in self.OWN),
                                  "route: {host: shop, to: 10.97.0.0/16}",
                                  "address: {host: shop, address: 10.98.0.1}")))

    def test_their_network_is_hit_and_put_right(self):
        """SHOWS partition: process: applied verified undone
        SHOWS network: process: applied verified undone
        SHOWS dns: process: applied verified undone
        SHOWS http: process: applied verified undone
        SHOWS route: process: applied verified undone
        SHOWS address: process: applied verified undone
        SHOWS tls: process: applied verified undone
        SHOWS custom: process: applied verified undone
        SHOWS sockets: process: applied verified"""
        self.serve()
        was = self.network()
        held = subprocess.Popen(["ip", "netns", "exec", self.netns, PYTHON, "-SEc", HELD],
                                stdout=subprocess.PIPE, text=True)
        self.addCleanup(held.communicate)
        self.addCleanup(held.kill)
        self.assertEqual(held.stdout.readline(), "up\n")
        d = self.drill(self.ways(50, 300, "for: 200ms, ") + """
  - {id: sockets, at: 2450ms, sockets: {host: shop, own_port: 8080, opened: there}}""",
                       process="{name: %s}" % self.shop.name, horizon="3s").run()
        self.assertTrue(os.path.exists(d.out), d.explain())
        self.assertEqual({e["step"]: e["ok"] for e in d.events("verify")},
                         dict.fromkeys(self.WAYS + ["sockets"], True), d.explain())
        self.assertEqual({e["step"] for e in d.events("undo", ok=True)}, {*self.WAYS, "sockets"}, d.explain())
        self.assertEqual(held.stdout.readline(), "reset\n")
        self.assertEqual(self.network(), was)
        self.assertTrue(d.events("clean")[-1]["clean"], d.events("clean"))
        self.go_on()
        self.nothing_left(d)

    def test_both_die_and_their_network_is_put_right(self):
        """SHOWS partition: process: undone-after-kill
        SHOWS network: process: undone-after-kill
        SHOWS dns: process: undone-after-kill
        SHOWS http: process: undone-after-kill
        SHOWS route: process: undone-after-kill
        SHOWS address: process: undone-after-kill
        SHOWS tls: process: undone-after-kill
        SHOWS custom: process: undone-after-kill
        SHOWS link: process: undone-after-kill"""
        self.serve()
        was = self.network()
        script = self.ways(50, 50) + """
  - {id: link, at: 450ms, link: {host: shop, device: d1, down: true}}"""
        d = self.in_force(script, n=len(self.WAYS) + 1, process="{name: %s}" % self.shop.name, horizon="2s")
        kill_both(d, self.halt)
        self.assertNotEqual(self.network(), was)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual(self.network(), was)
        self.go_on()
        self.nothing_left(d)

    def test_one_rule_in_two_networks_is_refused(self):
        stray = Shop(self.shop.name)
        self.addCleanup(stray.end)
        d = self.drill(process="{name: %s}" % self.shop.name).run()
        self.assertEqual(d.code, 3, d.explain())
        self.assertIn("different network namespaces", d.stderr)
        self.assertNotIn("T", self.shop.states() | stray.states())


class Replaced(Processes):
    """Somebody ends them and starts others in their place, and it was not the drill."""

    def replaced(self, more, script="", **kwargs):
        d = self.drill(script=script or " []", more=more, horizon="1100ms", **kwargs).start()
        d.tail(lambda e: e["kind"] == "state" and e["state"] == "inject")
        self.shop.end()
        self.shop.begin()
        d.finish()
        self.assertEqual(len(d.events("lab", event="gone")), 1, d.explain())
        self.nothing_left(d)
        self.others_as_before()
        return d

    def test_the_trial_is_void(self):
        d = self.replaced("")
        trial, = d.result["trials"]
        self.assertEqual(trial["outcome"], "void")
        self.assertIn("its main process", d.events("trial-end")[0]["reason"])
        self.assertEqual(d.events("lab", event="followed"), [])

    def test_they_are_followed_where_that_is_asked_for(self):
        d = self.replaced(", follow: true", STOP.replace("50ms", "600ms") % ("for: 100ms, ", ""))
        self.assertEqual(d.events("trial-end")[0]["outcome"], "completed", d.explain())
        self.assertEqual(len(d.events("lab", event="followed")), 1)
        self.assertIn("3 in state T", d.events("verify")[0]["seen"])
        self.assertIn("another has taken its place", str(d.events("clean")[-1]["others"]))
        self.go_on()

    def test_between_trials_they_are_put_back(self):
        command = "(%s) >/dev/null 2>&1" % self.shop.command()
        top = "between: {run: {host: shop, command: %s, timeout: 10s}}" % json.dumps(command)
        d = self.drill(KILL % ("", ""), trials=2, top=top, horizon="500ms").run()
        self.assertEqual([t["outcome"] for t in d.result["trials"]], ["completed"] * 2, d.explain())
        self.assertEqual([e["code"] for e in d.events("lab", event="between")], [0])
        self.assertEqual(len(d.events("inject", ok=True)), 2)
        self.nothing_left(d)

    def test_what_fails_between_makes_the_next_void(self):
        for command, why in (("exit 3", "ended with exit code 3"), ("sleep 9", "did not end within")):
            with self.subTest(command=command):
                top = "between: {run: [{host: shop, command: %s, timeout: 200ms}]}" % command
                d = self.drill(STOP % ("for: 50ms, ", ""), trials=2, top=top, horizon="500ms").run()
                self.assertEqual([t["outcome"] for t in d.result["trials"]], ["completed", "void"])
                self.assertIn(why, d.events("trial-end")[-1]["reason"])
                harness.check_record(d.record)
                self.go_on()

    def test_who_does_not_come_back_makes_the_next_void(self):
        d = self.drill(KILL % ("", ""), trials=2, horizon="500ms",
                       top="").run()
        self.assertEqual([t["outcome"] for t in d.result["trials"]], ["completed", "void"],
                         d.explain())
        self.assertIn("there is no process with name", d.events("trial-end")[-1]["reason"])


class Asked(Processes):
    def refused(self, *words, code=3, **kwargs):
        d = self.drill(**kwargs).run()
        self.assertEqual(d.code, code, d.explain())
        for w in words:
            self.assertIn(w, d.stderr)
        self.assertFalse(os.path.exists(d.out))
        self.go_on()

    def test_without_yes(self):
        self.refused("touches what others made", "3 processes", "stop in step hang", "--yes",
                     code=2, options=())

    def test_another_number_than_expected(self):
        """SHOWS stop: process: refused"""
        self.refused("matches 3 processes, expected 2", process="{name: %s, expect: 2}" % self.shop.name)

    def test_nobody(self):
        self.refused("there is no process with name nobody-here", process="{name: nobody-here}")
        self.refused("there is no process with port", process="{port: %d}" % free_port())
        self.refused("No such file", process="{pid_file: /run/nobody-here.pid}")

    def test_who_is_never_a_target(self):
        kernel = ("{name: kthreadd}", "a thread of the kernel")
        for process, why in (("{pid: %d}" % os.getpid(), "blackstart descends from it"),
                             *([kernel] if stat_of(2) and stat_of(2)[0] == "kthreadd" else []),
                             ("{name: blackstart}", "it is blackstart itself"),
                             ("{name: %s}" % json.dumps(stat_of(1)[0]), "process 1")):
            with self.subTest(process=process):
                self.refused("cannot be a target", process=process)

    def test_network_faults_in_the_machines_own_network(self):
        """SHOWS link: process: refused
        SHOWS network: process: refused
        SHOWS partition: process: refused
        SHOWS dns: process: refused
        SHOWS http: process: refused
        SHOWS tls: process: refused
        SHOWS route: process: refused
        SHOWS address: process: refused
        SHOWS sockets: process: refused"""
        for fault in ("link: {host: shop, device: lo0, down: true}",
                      "network: {host: shop, device: e0, delay: 5ms}",
                      "partition: {host: shop, peers: [10.98.0.9]}",
                      "dns: {host: shop, nxdomain: true}",
                      "http: {host: shop, port: 80, status: 503}",
                      "tls: {host: shop, port: 443, certificate: expired}",
                      "route: {host: shop, to: 10.97.0.0/16}",
                      "address: {host: shop, address: 10.98.0.1}",
                      "sockets: {host: shop, own_port: 80}"):
            with self.subTest(fault):
                self.refused("in this machine's own network", script="\n  - {at: 50ms, %s}" % fault)

    def test_two_at_once_on_one_of_them(self):
        d = self.stopped()
        second = Drill(self.scene(process="{pid: %d}" % self.shop.first[-1]), "--yes")
        self.addCleanup(second.remove)
        second.run()
        self.assertEqual(second.code, 3, second.explain())
        self.assertIn("another drill holds process %d" % self.shop.first[-1], second.stderr)
        self.assertIn("(blackstart", second.stderr)
        self.halt.go()
        d.process.send_signal(signal.SIGINT)
        d.finish()
        self.go_on()
        self.nothing_left(d)


class WhateverDies(dying.Dying, Processes):
    """SHOWS stop: process: undone-after-kill"""
    STEP, DONE = "step hang, stop", "SIGCONT to "
    force, whole = Processes.stopped, Processes.go_on

    def broken(self):
        self.assertEqual(self.shop.states(), {"T"})


class Dying(Processes):
    def test_both_die_after_a_kill_and_undo_starts_it_again(self):
        """SHOWS kill: process: undone-after-kill"""
        more = ", start: %s" % json.dumps(self.shop.command())
        d = self.in_force(script=KILL % ("", ""), more=more)
        self.assertEqual(self.shop.pids(), [])
        kill_both(d, self.halt)
        self.assertEqual(self.shop.pids(), [])
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("host shop: started again", text)
        wait_until(lambda: len(self.shop.pids()) == 3)
        self.assertEqual(len(self.shop.pids()), 3)
        self.others_as_before()

    def test_what_its_supervisor_started_is_not_started_twice(self):
        more = ", start: %s" % json.dumps(self.shop.command())
        d = self.in_force(script=KILL % ("", ""), more=more)
        kill_both(d, self.halt)
        self.shop.process.wait()
        self.shop.begin()
        code, text = undo()
        self.assertEqual((code, self.shop.pids()), (0, self.shop.first), text)

    def test_a_stranger_with_a_number_of_theirs_is_not_touched(self):
        d = self.stopped()
        kill_both(d, self.halt)
        name, = journals()
        path = os.path.join(foreign.JOURNALS, name)
        with open(path) as f:
            lines = [json.loads(l) for l in f]
        for line in lines:  # as if each had got its number later
            for host in line.get("undo", {}).get("hosts", []):
                for p in host["procs"]:
                    p["start"] += 1
        with open(path, "w") as f:
            f.write("".join(json.dumps(l) + "\n" for l in lines))
        code, text = undo()
        self.assertEqual((code, self.shop.states()), (0, {"T"}), text)
        self.assertEqual(journals(), [])
        for pid in self.shop.first:
            os.kill(pid, signal.SIGCONT)
        self.go_on()

    def test_they_are_gone_by_then(self):
        for how in ("undo", "warden", "runner"):
            with self.subTest(how=how):
                d = self.stopped()
                self.shop.end()
                if how == "undo":
                    kill_both(d, self.halt)
                    code, text = undo()
                    self.assertEqual(code, 0, text)
                elif how == "warden":
                    self.halt.kill()
                    d.finish()
                else:
                    self.halt.go()
                    d.finish()
                wait_until(lambda: not processes_of(d.token))
                if how != "undo":
                    self.assertTrue(d.events("undo")[0]["ok"], d.explain())
                    self.assertTrue(d.events("clean")[-1]["clean"], d.events("clean"))
                self.others_as_before()
                self.assertEqual(journals(), [])
                self.shop.begin()

    def test_after_another_start_of_the_machine_nothing_is_touched(self):
        d = self.stopped()
        kill_both(d, self.halt)
        with OtherBoot():
            code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("the machine was started again since", text)
        self.assertEqual((self.shop.states(), journals()), ({"T"}, []))

    def test_a_restart_that_is_cut_short_is_finished(self):
        """The runner dies between the end of the old and the beginning of the new.

        SHOWS restart: process: undone-after-kill"""
        more = ", start: %s" % json.dumps(self.shop.command())
        script = """
  - {id: again, at: 100ms, restart: {host: shop, grace: 30s}}"""
        os.kill(self.shop.first[-1], signal.SIGSTOP)  # one that does not go
        d = self.drill(script, more=more, horizon="60s").start()
        wait_until(lambda: len(self.shop.pids()) == 1)
        kill_both(d)
        wait_until(lambda: not processes_of(d.token))
        os.kill(self.shop.first[-1], signal.SIGKILL)
        wait_until(lambda: not self.shop.pids())
        code, text = undo()
        self.assertEqual(code, 0, text)
        wait_until(lambda: len(self.shop.pids()) == 3)
        self.assertEqual(len(self.shop.pids()), 3, text)


if __name__ == "__main__":
    if os.geteuid() != 0:
        harness.skip(harness.NEEDS_ROOT)
    harness.need_programs("ip", "bash")
    foreign.own_mounts()
    harness.main()

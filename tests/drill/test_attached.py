"""Drills in network namespaces of somebody else: whatever dies how, everything reads the same again,
and what others had there is never touched.
"""
import collections
import os
import random
import signal
import subprocess
import sys
import time
import unittest

import dying
import foreign
import harness
import test_network
from foreign import Inside, OtherBoot, Pair, is_quick, journals, round_trip, run, undo
from halt import Halt, halted
from harness import Drill, kill_both, processes_of, stat_of, wait_until, warden

SCENE = """
blackstart: 1
name: edge
services:
  web: {rto: 300ms}
hosts:
  edge: {netns: %(edge)s%(allow)s}
  far: {netns: /run/netns/%(far)s}
probes:
  web:
    service: web
    host: far
    tcp: "10.99.0.1:8080"
    every: 25ms
    timeout: 60ms
    stable: 200ms
script:%(script)s
settle: 100ms
horizon: %(horizon)s
trials: %(trials)d
"""
LINK = """
  - {id: cable, at: 200ms, %slink: {host: edge, device: e0, down: true}}"""


def alive(pid):
    stat = stat_of(pid)
    return bool(stat) and stat[1] not in ("Z", "X")


class Attached(unittest.TestCase):
    maxDiff = None
    DEFAULT = False  # else a device that is down, or slow towards everybody, is refused

    def setUp(self):
        self.pair = Pair("a%d" % os.getpid(), default=self.DEFAULT)
        self.addCleanup(self.pair.end)

    def scene(self, script=LINK % "for: 300ms, ", trials=1, allow=", allow: true", horizon="1s"):
        return SCENE % {"edge": self.pair.edge, "far": self.pair.far, "script": script,
                        "trials": trials, "allow": allow, "horizon": horizon}

    def drill(self, *args, options=("--yes",), **kwargs):
        d = Drill(self.scene(*args, **kwargs), *options)
        self.addCleanup(d.remove)
        return d

    def as_before(self):
        wait_until(lambda: not self.pair.differences())
        self.assertEqual(self.pair.differences(), {})
        self.assertTrue(self.pair.connection_lives())

    def nothing_left(self, drill):
        wait_until(lambda: not processes_of(drill.token))
        self.assertEqual(processes_of(drill.token), [])
        self.assertEqual(journals(), [])

    def in_force(self, down=True, **kwargs):
        """A drill whose fault is in force; its runner stands still."""
        kwargs.setdefault("script", LINK % "")
        d = self.drill(**kwargs).start()
        self.halt = halted(d)
        self.assertEqual(self.pair.is_down(), down)
        self.assertEqual(len(journals()), 1)
        return d

    def passes_again(self):
        """Nobody is left, and nothing was undone: packets pass by themselves, by our own engine."""
        self.assertTrue(self.pair.connection_lives())  # TCP sends again what was lost
        self.assertTrue(is_quick(self.pair.connection))

    def kill_all(self, d, down=True):
        kill_both(d, self.halt)
        self.assertEqual(self.pair.is_down(), down)


class Normal(Attached):
    def test_a_drill_where_addresses_take_their_time(self):
        self.pair.end()
        self.pair = Pair("b%d" % os.getpid(), dad=True, default=self.DEFAULT)
        self.addCleanup(self.pair.end)
        d = self.drill().run()
        clean = d.events("clean")[-1]
        self.assertEqual((clean["clean"], clean["left"], clean["others"]), (True, [], []))
        self.as_before()

    def test_a_drill_to_its_end(self):
        """SHOWS link: netns: applied verified undone"""
        d = self.drill().run()
        self.assertEqual(d.code, harness.undone_alone(d, "web", 0.3), d.explain())
        self.assertTrue(d.events("verify")[0]["ok"])
        self.assertIn("put back", d.events("undo")[0]["changes"][0])
        clean = d.events("clean")[-1]
        self.assertEqual((clean["clean"], clean["left"], clean["others"]), (True, [], []))
        self.assertIn("the network of host %s, before and after" % "edge", clean["checked"])
        harness.check_record(d.record)
        self.as_before()
        self.nothing_left(d)

    def test_flapping_keeps_what_was_there(self):
        script = """
  - {at: 200ms, for: 700ms, link: {host: edge, device: e0, flap: {down: 100ms, up: 200ms}}}"""
        scene = self.scene(script, horizon="1500ms").replace("stable: 200ms", "stable: 400ms")
        d = Drill(scene, "--yes")
        self.addCleanup(d.remove)
        d.run()
        self.assertTrue(d.events("undo")[0]["ok"], d.explain())
        self.as_before()
        self.nothing_left(d)

    def test_trials_follow_each_other_on_the_same_target(self):
        d = self.drill(trials=2).run()
        self.assertEqual(len(d.events("undo", ok=True)), 2, d.explain())
        self.as_before()
        self.nothing_left(d)
        plan = Drill(self.scene(trials=2), command="plan").run()
        self.addCleanup(plan.remove)
        self.assertIn("not built afresh between trials", plan.stdout)

    def test_a_command_runs_inside_with_the_machines_files(self):
        """SHOWS run: netns: applied"""
        script = """
  - {id: look, at: 100ms, run: {host: edge, command: "ip -br link show e0; test -f scenario.yaml && echo here"}}
  - {id: slow, at: 100ms, run: {host: edge, command: "sleep 60", timeout: 200ms}}"""
        d = self.drill(script, horizon="800ms").run()
        ends = {e["step"]: e for e in d.events("action", event="end")}
        self.assertEqual(ends["look"]["code"], 0, d.explain())
        self.assertIn("e0@", ends["look"]["output"])
        self.assertIn("here", ends["look"]["output"])
        self.assertTrue(ends["slow"]["timed_out"])
        self.as_before()

    def test_packets_are_watched_from_inside(self):
        scene = self.scene().replace("script:", """alarms:
  syn: {service: web, role: automation, packets: {host: edge, filter: "tcp[tcpflags] & tcp-syn != 0 and dst port 8080"}}
script:""")
        d = Drill(scene, "--yes")
        self.addCleanup(d.remove)
        d.run()
        self.assertTrue(d.events("alarm", alarm="syn"), d.explain())
        with open(os.path.join(d.out, "wire-edge.pcap"), "rb") as f:
            header, frames = f.read(24), f.read()
        self.assertEqual(header[:4], (0xa1b23c4d).to_bytes(4, sys.byteorder))  # time in nanoseconds
        # ports and addresses of the first: an Ethernet header of 14, IPv4's of 20
        self.assertEqual((frames[16 + 30:16 + 34], frames[16 + 36:16 + 38]),
                         (bytes([10, 99, 0, 1]), (8080).to_bytes(2, "big")))

    def test_a_lab_stands_beside_it(self):
        scene = self.scene().replace("hosts:", "hosts:\n  own: {lab: {address: 10.99.0.9/24}}", 1)
        d = Drill(scene, "--yes")
        self.addCleanup(d.remove)
        d.run()
        self.assertEqual(d.code, harness.undone_alone(d, "web", 0.3), d.explain())
        self.as_before()
        self.nothing_left(d)


class Cut(Attached):
    SCRIPT = """
  - {id: cut, at: 200ms, for: 300ms, partition: {host: edge, peers: [10.99.0.2, "fd99::2"]%s}}"""

    def table(self):
        with Inside(self.pair.edge):
            tables = [l.split()[2] for l in run("nft", "list", "tables").splitlines()]
        return [t for t in tables if t.startswith("blackstart")]

    def test_every_packet_is_lost_and_what_others_have_stays(self):
        """SHOWS partition: netns: applied verified undone"""
        for extra in ("", ", kind: reject", ", direction: forward", ", direction: backward"):
            with self.subTest(extra=extra):
                d = self.drill(self.SCRIPT % extra).run()
                self.assertTrue(d.events("verify")[0]["ok"], d.explain())
                down = [e for e in d.events("probe") if not e["ok"]]
                self.assertTrue(down, d.explain())
                clean = d.events("clean")[-1]
                self.assertEqual((clean["clean"], clean["others"]), (True, []))
                self.as_before()
                self.nothing_left(d)

    def test_a_port_alone_or_what_is_new(self):
        """The probe dials port 8080 again and again; a connection to it was there before."""
        for extra, stops, lives in (
                (", protocol: tcp, port: 8080", True, False), (", port: [9, 100-200]", False, True),
                (", protocol: sctp", False, True), (", protocol: icmp", False, True),
                (", packets: new-connections, port: 8080", True, True),
                (", packets: new-connections, kind: reject", True, True)):
            with self.subTest(extra=extra):
                d = self.in_force(script=self.SCRIPT % extra, down=False)
                if lives:
                    self.assertTrue(self.pair.connection_lives())
                self.halt.go()
                d.finish()
                proof = d.events("verify")[0]
                self.assertTrue(proof["ok"], d.explain())
                self.assertRegex(proof["seen"], "of 2 of our own [2-9] counted")
                self.assertEqual(any(not e["ok"] for e in d.events("probe")), stops, d.explain())
                self.as_before()
                self.nothing_left(d)

    def test_others_are_not_cut(self):
        """The connection of one who is not named carries bytes in the midst of it."""
        script = self.SCRIPT.replace('10.99.0.2, "fd99::2"', "10.99.0.3, 10.98.0.0/16") % ""
        d = self.in_force(script=script, down=False)
        self.assertEqual(len(self.table()), 1)
        self.assertTrue(self.pair.connection_lives())
        self.halt.go()
        d.finish()
        self.as_before()
        self.nothing_left(d)

    def test_both_die_and_the_kernel_takes_it_away(self):
        """SHOWS partition: netns: undone-after-kill"""
        d = self.in_force(script=self.SCRIPT % "", down=False)
        self.kill_all(d, down=False)
        self.assertEqual(self.table(), [])
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("has gone with its owner", text)
        self.as_before()
        self.nothing_left(d)

    def test_the_runner_dies(self):
        d = self.in_force(script=self.SCRIPT % "", down=False)
        self.halt.kill()
        d.finish()
        self.nothing_left(d)
        self.as_before()
        self.assertTrue(d.events("clean")[-1]["clean"])


class Impaired(Attached):
    """By our own engine: this kernel may have no netem."""
    SCRIPT = """
  - {id: slow, at: 200ms, %snetwork: {host: edge, device: e0, %sdelay: 30ms, engine: user}}"""
    BY = "blackstart's own engine"

    def test_packets_are_late_both_ways_and_what_others_have_stays(self):
        """SHOWS network: netns: applied verified undone"""
        for extra in ("", "direction: both, to: 10.99.0.2, protocol: tcp, "):
            with self.subTest(extra=extra):
                d = self.drill(self.SCRIPT % ("for: 300ms, ", extra)).run()
                self.assertTrue(d.events("verify")[0]["ok"], d.explain())
                self.assertIn("by " + self.BY, d.events("inject")[0]["changes"][0])
                zero = d.events("inject")[0]["at"]["hi"] if "hi" in d.events("inject")[0]["at"] \
                    else d.events("inject")[0]["at"][1]
                during = [e["end"] - e["start"] for e in d.events("probe")
                          if zero + 50e6 < e["start"] < zero + 250e6]
                least = 30e6 * (2 if "both" in extra else 1)
                self.assertTrue(during and min(during) >= least, (during, d.explain()))
                clean = d.events("clean")[-1]
                self.assertEqual((clean["clean"], clean["left"], clean["others"]), (True, [], []))
                self.as_before()
                self.nothing_left(d)

    def test_one_of_two_on_a_device_ends_and_the_other_stays(self):
        one = self.SCRIPT.replace("id: slow", "id: %s").replace("200ms", "%s")
        script = one % ("short", "0s", "for: 300ms, ", "direction: ingress, ") + (
            one % ("long", "200ms", "", "direction: egress, "))
        d = self.drill(script).run()
        self.assertEqual([e["step"] for e in d.events("undo", ok=True)], ["short", "long"])
        self.assertEqual(d.events("fault-gone"), [])
        self.assertNotEqual(d.result["trials"][0]["outcome"], "void", d.explain())
        self.as_before()
        self.nothing_left(d)

    def test_where_nobody_had_filters_none_stay(self):
        run("tc", "-n", self.pair.edge, "qdisc", "del", "dev", "e0", "clsact")
        self.pair.before = self.pair.state()
        d = self.drill(self.SCRIPT % ("for: 200ms, ", "")).run()
        self.assertTrue(d.events("undo")[0]["ok"], d.explain())
        self.as_before()
        self.nothing_left(d)

    def test_the_runner_dies(self):
        d = self.in_force(script=self.SCRIPT % ("", "direction: both, "), down=False)
        self.halt.kill()
        d.finish()
        self.nothing_left(d)
        self.as_before()
        self.assertTrue(d.events("clean")[-1]["clean"], d.events("clean"))

    def test_both_die_and_undo_takes_it_away(self):
        """SHOWS network: netns: undone-after-kill"""
        d = self.in_force(script=self.SCRIPT % ("", "direction: both, "), down=False)
        self.kill_all(d, down=False)
        self.assertNotEqual(self.pair.differences(), {})
        if self.BY != "netem":
            self.passes_again()
        self.assertNotEqual(self.pair.differences(), {})
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("device e0: as it was before", text)
        self.as_before()
        self.nothing_left(d)


def by_cables(test):
    """Our engine as it is where there is no TAP: frames come by cables, and no eBPF decides."""
    foreign.mount("test", "/dev/net", "tmpfs")
    test.addCleanup(foreign.unmount, "/dev/net")


class ImpairedByCables(Impaired):
    """SHOWS network: netns: undone-after-kill"""

    def setUp(self):
        by_cables(self)
        super().setUp()

    def test_every_packet_is_lost_until_all_die(self):
        """What meets the filter is lost for good as long as we live; then the kernel lets it pass."""
        d = self.in_force(script=self.SCRIPT.replace("delay: 30ms", "loss: 100%%") % (
            "", "direction: both, to: 10.99.0.2, "), down=False)
        filters = run("tc", "-n", self.pair.edge, "filter", "show", "dev", "e0", "egress")
        self.assertIn("Egress Redirect to device bs0a", filters)
        self.pair.connection.settimeout(0.3)
        self.pair.connection.sendall(b"x")
        with self.assertRaises(TimeoutError):
            self.pair.connection.recv(1)
        self.pair.connection.settimeout(5)
        self.kill_all(d, down=False)
        self.pair.connection.recv(1)
        self.passes_again()
        with Inside(self.pair.edge):
            tables = run("nft", "list", "tables")
        self.assertIn("blackstart-bs0-on", tables)
        self.assertNotIn("blackstart-bs0-closed", tables)
        self.assertEqual(undo()[0], 0)
        self.as_before()
        self.nothing_left(d)

    if "ATTACHED_LONG" not in os.environ:  # those that look alike by either intake: `nightly`
        test_packets_are_late_both_ways_and_what_others_have_stays = None
        test_the_runner_dies = test_where_nobody_had_filters_none_stay = None


if test_network.can("netem"):  # else there is nothing to be tried: no skip
    class ImpairedByNetem(Impaired):
        SCRIPT = Impaired.SCRIPT.replace("engine: user", "engine: netem")
        BY = "netem"

        def test_it_stands_beside_what_others_have(self):
            d = self.in_force(script=self.SCRIPT % ("for: 300ms, ", "direction: both, "), down=False)
            new, = {key: d["new"] for key, d in self.pair.differences().items()
                    if key == "qdisc" and not d["gone"]}.values()
            self.assertEqual([q["kind"] for q in new], ["netem", "netem"])
            for q in new:
                self.assertRegex(q["dev"], "^bs[0-9]+[ei]$")
            now = self.pair.state()
            self.assertEqual(now["class"], self.pair.before["class"])
            self.assertEqual(now["filter"], self.pair.before["filter"])
            for hook in ("ingress", "egress"):  # theirs are still there, first to last
                ours = iter(now[hook].splitlines())
                for line in self.pair.before[hook].splitlines():
                    self.assertIn(line, ours)
            self.halt.go()
            d.finish()
            self.as_before()
            self.nothing_left(d)


@unittest.skipUnless(harness.has("iptables-nft-restore"), "iptables-nft is not installed")
class ContainerNetwork(Attached):
    """Somebody's containers run on, in the namespace whose outer device is slow towards one peer."""

    def setUp(self):
        super().setUp()
        self.container = foreign.Container(self.pair)
        self.addCleanup(self.container.end)

    def test_it_runs_on_beside_a_fault(self):
        flows = {"slow": self.container.dials("10.99.0.2"), "other": self.container.dials("10.99.0.3"),
                 "inward": self.container.is_dialled()}
        for c in flows.values():
            self.addCleanup(c.close)
            self.assertTrue(is_quick(c))
        d = self.in_force(script=Impaired.SCRIPT % ("for: 300ms, ", "to: 10.99.0.2, "), down=False)
        flows["fresh"] = self.container.dials("10.99.0.3")
        self.addCleanup(flows["fresh"].close)
        # it meets what leaves by that device
        self.assertGreaterEqual(min(round_trip(flows["slow"]) for _ in range(9)), 0.030)
        for name in ("other", "inward", "fresh"):
            self.assertTrue(is_quick(flows[name]), name)
        self.halt.go()
        d.finish()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        clean = d.events("clean")[-1]
        self.assertEqual((clean["clean"], clean["left"], clean["others"]), (True, [], []))
        for c in flows.values():
            self.assertTrue(is_quick(c))
        self.as_before()
        self.nothing_left(d)


class EngineDies(Attached):
    """The engine's process killed alone and with others: before the second fault is due, with one in
    force already (arm); both in force (inject); one of them undone (undo); all undone (compare)."""
    ONE = Impaired.SCRIPT.replace("id: slow", "id: %s").replace("200ms", "%s")
    SCRIPT = ONE % ("early", "100ms", "", "to: 10.99.0.2, ") + ONE % (
        "late", "300ms", "", "direction: ingress, ")
    INSTANTS = {
        "arm": lambda e, state: e["kind"] == "inject" and e["step"] == "early",
        "inject": lambda e, state: e["kind"] == "inject" and e["step"] == "late",
        "undo": lambda e, state: state == "undo" and e["kind"] == "undo",
        "compare": lambda e, state: state == "compare",
    }

    def begin(self, state, victims):
        d = self.drill(self.SCRIPT).start()
        self.halt = Halt(d.process, os.path.join(d.out, "record.ndjson"))
        self.halt.at(self.INSTANTS[state])
        its_warden = warden(d)
        if "warden" in victims:
            os.kill(its_warden, signal.SIGKILL)
        test_network.kill_engine(d)
        if "runner" in victims:
            self.halt.kill()
        else:
            self.halt.go()
        d.finish()
        wait_until(lambda: not processes_of(d.token))
        return d

    def ends(self, state, *victims):
        d = self.begin(state, victims)
        measured = state == "compare"  # nothing is left that needs the engine or the warden
        code = -signal.SIGKILL if "runner" in victims else 5 if "warden" in victims else 4
        if measured and code > 0:
            code = 1  # it was slow to the end: the promise is missed
        self.assertEqual(d.code, code, d.explain())
        if "warden" in victims and "runner" in victims:
            self.assertEqual(bool(self.pair.differences()), not measured)
            self.passes_again()
            answer = undo()
            self.assertEqual(answer[0], 0, answer)
        else:
            self.assertTrue(d.events("clean")[-1]["clean"], d.events("clean"))
            self.assertEqual(d.events("run-end")[0]["by"],
                             "warden" if "runner" in victims else "runner")
        if not victims:
            trial, = d.result["trials"]
            self.assertEqual(trial["outcome"], "completed" if measured else "void", trial)
        self.as_before()
        self.assertTrue(is_quick(self.pair.connection))
        self.nothing_left(d)


class EngineGoesSlowly(Attached):
    def test_its_devices_are_waited_for(self):
        """A TAP goes with the last descriptor of it, which on a busy machine takes its time: here another
        process holds one for a while."""
        d = self.in_force(script=Impaired.SCRIPT % ("", ""), down=False)
        engine = test_network.engine_of(d)
        taps = [int(fd) for fd in os.listdir("/proc/%d/fd" % engine)
                if os.readlink("/proc/%d/fd/%s" % (engine, fd)).endswith("/net/tun")]
        held = [foreign.descriptor_of(engine, fd) for fd in taps]  # none where frames come by cables
        self.halt.kill()
        time.sleep(0.5)
        for fd in held:
            os.close(fd)
        d.finish()
        self.nothing_left(d)
        clean = d.events("clean")[-1]
        self.assertEqual((clean["clean"], clean["left"], clean["others"]), (True, [], []))
        self.as_before()


def engine_dies(state, victims):
    return lambda self: self.ends(state, *victims)


# Alone in each state in which there is an engine; with others, too, in `nightly`.
for _state in EngineDies.INSTANTS:
    for _victims in ((), ("warden",), ("runner",), ("warden", "runner")):
        if not _victims or _state in os.environ.get("ENGINE_STATES", "arm inject").split():
            setattr(EngineDies, "test_%s_in_%s" % ("_".join(("engine",) + _victims), _state),
                    engine_dies(_state, _victims))


class AtTheTerminal(Attached):
    def answered(self, text):
        """A person's terminal: asks, is answered, tells the rest."""
        d = self.drill(options=())
        ours, theirs = os.openpty()
        d.log = os.fdopen(ours, "rb", buffering=0)
        d.process = subprocess.Popen(d.argv(), stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs,
                                     env=harness.environment(d.token))
        os.close(theirs)
        self.addCleanup(d.log.close)
        seen = b""
        while b"type yes to go on: " not in seen:
            seen += os.read(ours, 4096)
        self.assertFalse(os.path.exists(d.out))
        self.assertEqual(self.pair.differences(), {})
        os.write(ours, text)
        try:
            while more := os.read(ours, 4096):
                seen += more
        except OSError:  # EIO: nobody has the other end any more
            pass
        d.code, d.stderr = d.process.wait(60), seen.decode()
        for word in ("touches what others made", self.pair.edge, "link in step cable"):
            self.assertIn(word, d.stderr)
        return d

    def test_yes_is_enough(self):
        d = self.answered(b"yes\n")
        self.assertEqual(d.code, harness.undone_alone(d, "web", 0.3), d.explain())
        self.assertTrue(d.events("undo")[0]["ok"])
        self.as_before()
        self.nothing_left(d)

    def test_nothing_else_is(self):
        for text in (b"no\n", b"y\n", b"\n", b"yes, but later\n", b"\x04"):
            with self.subTest(text=text):
                d = self.answered(text)
                self.assertEqual(d.code, 2, d.explain())
                self.assertFalse(os.path.exists(d.out))
                self.assertEqual(self.pair.differences(), {})
                self.nothing_left(d)


class Asked(Attached):
    def refused(self, code, *words, **kwargs):
        d = self.drill(**kwargs).run()
        self.assertEqual(d.code, code, d.explain())
        for w in words:
            self.assertIn(w, d.stderr)
        self.assertFalse(os.path.exists(d.out))
        self.assertEqual(self.pair.differences(), {})

    def test_without_yes_nothing_is_touched(self):
        self.refused(2, "touches what others made", self.pair.edge, "link in step cable", "--yes",
                     options=())

    def test_without_allow_nothing_is_touched(self):
        self.refused(2, "allow: true", allow="")

    def test_plan_names_who_lives_there(self):
        plan = Drill(self.scene(), command="plan").run()
        self.addCleanup(plan.remove)
        self.assertEqual(plan.code, 0, plan.explain())
        for w in ("1 process lives in it: python3 (%d)" % self.pair.server.pid, "10.99.0.1/24",
                  "10.99.0.1:8080 - 10.99.0.2:", "1 TCP connection"):
            self.assertIn(w, plan.stdout)

    def test_the_machines_own_namespace_is_refused(self):
        for path in ("/proc/1/ns/net", "/proc/self/ns/net"):
            scene = self.scene().replace("netns: " + self.pair.edge, "netns: " + path)
            d = Drill(scene, "--yes")
            self.addCleanup(d.remove)
            d.run()
            self.assertEqual(d.code, 3, d.explain())
            if path.startswith("/proc/self") or os.access("/proc/1/ns/net", os.R_OK):
                self.assertIn("cannot be a target", d.stderr)

    def test_what_is_no_namespace_is_refused(self):
        for path, word in (("/run/netns/nobody", "No such file"), ("/etc/passwd", "not a network")):
            d = Drill(self.scene().replace("netns: " + self.pair.edge, "netns: " + path), "--yes")
            self.addCleanup(d.remove)
            d.run()
            self.assertEqual(d.code, 3, d.explain())
            self.assertIn(word, d.stderr)

    def test_without_root_it_says_so(self):
        d = Drill(self.scene(), "--yes", user=65534)
        self.addCleanup(d.remove)
        d.run()
        self.assertEqual(d.code, 3, d.explain())
        self.assertIn("needs root", d.stderr)

    def test_a_device_that_is_down_already_is_not_ours(self):
        run("ip", "-n", self.pair.far, "link", "add", "d0", "type", "bridge")
        scene = self.scene("""
  - {at: 100ms, link: {host: far, device: d0, down: true}}""").replace(
            self.pair.far + "}", self.pair.far + ", allow: true}")
        d = Drill(scene, "--yes")
        self.addCleanup(d.remove)
        d.run()
        self.assertEqual(d.code, 4, d.explain())
        self.assertEqual(d.events("inject"), [])
        self.assertIn("is down already", d.events("trial-end")[0]["reason"])

    def test_two_at_once_on_one_target(self):
        d = self.in_force()
        # By another name: it is the namespace that is locked.
        scene = self.scene().replace("netns: " + self.pair.edge,
                                     "netns: /proc/%d/ns/net" % self.pair.server.pid)
        second = Drill(scene, "--yes")
        self.addCleanup(second.remove)
        second.run()
        self.assertEqual(second.code, 3, second.explain())
        self.assertIn("another drill holds", second.stderr)
        self.assertIn("process %d (blackstart)" % d.process.pid, second.stderr)
        self.halt.go()
        d.process.send_signal(signal.SIGINT)
        d.finish()
        self.as_before()
        self.nothing_left(d)


class WhateverDies(dying.Dying, Attached):
    """SHOWS link: netns: undone-after-kill"""
    STEP, DONE = "step cable, link", "device e0 up"
    force, whole = Attached.in_force, Attached.as_before

    def broken(self):
        self.assertTrue(self.pair.is_down())


class Dying(Attached):
    def test_an_undo_that_died_half_way_is_done_again(self):
        d = self.in_force()
        self.kill_all(d)
        name, = journals()
        path = os.path.join(foreign.JOURNALS, name)
        with open(path) as f:
            text = f.read()
        self.assertEqual(undo()[0], 0)
        with open(path, "w") as f:  # it had undone, and not yet said so
            f.write(text)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.as_before()

    @unittest.skipUnless(os.path.isdir("/sys/fs/cgroup"), harness.NEEDS_CGROUP2)
    def test_the_whole_cgroup_dies(self):
        import test_kill
        if not test_kill.cgroup2():
            self.skipTest(harness.NEEDS_CGROUP2)
        group = os.path.join(test_kill.cgroup2(), "blackstart-attached-%d" % os.getpid())
        os.mkdir(group)
        self.addCleanup(os.rmdir, group)
        d = self.in_force()
        for pid, _ in processes_of(d.token):
            with open(os.path.join(group, "cgroup.procs"), "w") as f:
                f.write(str(pid))
        with open(os.path.join(group, "cgroup.kill"), "w") as f:
            f.write("1")
        d.finish()
        wait_until(lambda: not processes_of(d.token))
        self.assertTrue(self.pair.is_down())
        self.assertEqual(undo()[0], 0)
        self.as_before()
        self.nothing_left(d)

    def test_after_another_start_of_the_machine_nothing_is_touched(self):
        d = self.in_force()
        self.kill_all(d)
        with OtherBoot():
            code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("gone already: the machine was started again since", text)
        self.assertTrue(self.pair.is_down())
        self.assertEqual(journals(), [])

    def test_what_was_armed_and_had_not_begun_is_not_undone(self):
        d = self.drill().start()
        self.halt = Halt(d.process, os.path.join(d.out, "record.ndjson"))
        self.halt.at(lambda e, state: e["kind"] == "state" and state == "inject")
        its_warden = warden(d)
        os.kill(its_warden, signal.SIGKILL)
        self.halt.kill()
        d.finish()
        wait_until(lambda: not processes_of(d.token))
        run("ip", "-n", self.pair.edge, "link", "set", "e0", "down")  # by somebody else
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("it had not begun", text)
        self.assertTrue(self.pair.is_down())

    def test_the_target_has_gone(self):
        d = self.in_force()
        self.kill_all(d)
        self.pair.server.kill()
        self.pair.server.wait()
        run("ip", "netns", "del", self.pair.edge)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("has gone", text)
        self.assertEqual(journals(), [])

    def test_another_has_the_targets_name_now(self):
        d = self.in_force()
        self.kill_all(d)
        self.pair.server.kill()
        self.pair.server.wait()
        run("ip", "netns", "del", self.pair.edge)
        run("ip", "netns", "add", self.pair.edge)
        run("ip", "-n", self.pair.edge, "link", "add", "e0", "type", "veth", "peer", "name", "e1")
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("has gone", text)
        self.assertTrue(self.pair.is_down())

    def test_a_target_that_lost_its_name_is_found(self):
        d = self.in_force()
        self.kill_all(d)
        run("ip", "netns", "del", self.pair.edge)  # its server still lives in it
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("device e0 up", text)
        run("ip", "netns", "attach", self.pair.edge, str(self.pair.server.pid))
        self.as_before()

    def test_the_target_is_deleted_during_the_fault(self):
        d = self.in_force(script=LINK % "for: 300ms, ")
        run("ip", "netns", "del", self.pair.edge)
        self.halt.go()
        d.finish()
        self.assertEqual(d.code, harness.undone_alone(d, "web", 0.3), d.explain())
        self.assertTrue(d.events("undo")[0]["ok"])
        self.assertIn("taken away", str(d.events("clean")[-1]["others"]))
        run("ip", "netns", "attach", self.pair.edge, str(self.pair.server.pid))
        self.as_before()
        self.nothing_left(d)

    def test_the_device_is_deleted_during_the_fault(self):
        for i, (how, asked) in enumerate((("down: true", "device e0 down"),
                                          ("flap: {down: 20ms, up: 20ms}", "device e0 down at this moment of the flap"))):
            with self.subTest(how):
                if i:
                    self.pair.end()
                    self.setUp()
                d = self.in_force(script=(LINK % "for: 300ms, ").replace("down: true", how))
                run("ip", "-n", self.pair.edge, "link", "del", "e0")
                self.halt.go()
                d.finish()
                verified = d.events("verify")[0]
                self.assertEqual((verified["ok"], verified["asked"]), (False, "host edge: " + asked), verified)
                self.assertIn("no such device", verified["seen"].lower())
                trial, = d.result["trials"]
                self.assertEqual(trial["outcome"], "void")
                self.assertTrue(d.events("undo")[0]["ok"], d.explain())
                self.assertIn("has gone", d.events("undo")[0]["changes"][0])
                self.nothing_left(d)

    def test_what_others_change_meanwhile_is_theirs(self):
        d = self.in_force(script=LINK % "for: 300ms, ")
        with Inside(self.pair.edge):
            run("nft", "add", "table", "inet", "later")
        self.halt.go()
        d.finish()
        clean = d.events("clean")[-1]
        self.assertTrue(clean["clean"], clean)
        self.assertIn("later", str(clean["others"]))
        self.assertEqual(clean["left"], [])

    def test_no_room_for_the_journal(self):
        foreign.mount("full", foreign.JOURNALS, "tmpfs", data="size=4k,mode=0755")
        self.addCleanup(foreign.unmount, foreign.JOURNALS)
        with open(os.path.join(foreign.JOURNALS, "filler"), "w") as f:
            f.write("x" * 4096)
        d = self.drill().run()
        self.assertEqual(d.code, 5, d.explain())
        self.assertEqual(d.events("inject"), [])
        self.assertIn("No space left", d.events("stop")[0]["detail"])
        self.assertEqual(journals(), ["filler"])
        self.as_before()


class AtRandom(Attached):
    """SIGKILL after a random number of system calls since the trial was armed: to the runner, to its
    warden, to all of them at once. Then `undo`, whether there is something to undo or not."""

    KILLS = int(os.environ.get("ATTACHED_KILLS", "20"))
    # Numbers of calls: from just before the change to just after it is undone; of a whole trial.
    BUSY, ALL = (35, 115), (0, 450)

    def test_killed_at_random_instants(self):
        seed = int(os.environ.get("ATTACHED_SEED", str(random.SystemRandom().randrange(1 << 32))))
        rng = random.Random(seed)
        states = collections.Counter()
        for i in range(self.KILLS):
            with self.subTest(kill=i, seed=seed):
                states.update(self.one(rng))
        self.assertTrue(self.pair.connection_lives())
        print("ATTACHED_SEED=%d: %d kills, %s" % (
            seed, self.KILLS, ", ".join("%s %d" % s for s in sorted(states.items()))))

    def one(self, rng):
        script = rng.choice([LINK % "for: 20ms, ", Cut.SCRIPT.replace("300ms", "20ms") % "",
                             Impaired.SCRIPT % ("for: 20ms, ", "")])
        script = script.replace("200ms", "0s")
        d = Drill(self.scene(script).replace("settle: 100ms", "settle: 0s"), "--yes").start()
        victims = rng.choice(["all"] * 6 + ["runner", "warden"])
        calls = rng.randrange(*rng.choice([self.BUSY, self.BUSY, self.ALL]))
        try:
            halt = Halt(d.process, os.path.join(d.out, "record.ndjson"))
            halt.at(lambda e, state: state == "arm")
            its_warden = warden(d)
            ended = not halt.calls(calls)
            state = halt.state
            if not ended and victims != "runner":
                os.kill(its_warden, signal.SIGKILL)
            if not ended and victims == "warden":
                halt.go()
            elif not ended:
                halt.kill()
            d.finish()
            wait_until(lambda: not processes_of(d.token))
            left = bool(self.pair.differences())
            self.assertEqual(Cut.table(self), [])
            if victims != "all":
                self.assertFalse(left, "who was left did not undo")
            code, text = undo()
            self.assertEqual(code, 0, text)
            wait_until(lambda: not self.pair.differences())
            self.assertEqual(self.pair.differences(), {})
            self.assertEqual(journals(), [])
            return ["of %s" % victims, "in " + ("no state: it had ended" if ended else state)] + (
                ["with work for undo"] if left else [])
        finally:
            d.remove()


if __name__ == "__main__":
    if os.geteuid() != 0:
        harness.skip(harness.NEEDS_ROOT)
    harness.need_programs("ip", "tc", "nft")
    foreign.own_mounts()
    harness.main()

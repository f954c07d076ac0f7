"""Guard rails: what is forbidden is refused before anything is touched, with the sentence that says what
to do; and what is left out of cuts and impairments is left out.

The operator is this test: it holds connections inside the namespace that is the target, as a shell over
ssh would, and the program descends from it.

What each attempt is told, word by word, stands in guards.expected; with BLACKSTART_UPDATE in the environment
that file is written anew: then read it through.
"""
import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import termios
import unittest

import foreign
import harness
from foreign import Inside, Pair, echo, is_quick, journals, round_trip, run
from halt import Halt
from harness import Drill, wait_until

SCENE = """
blackstart: 1
name: edge
services:
  web: {rto: 300ms}
hosts:
  edge: %(edge)s
  far: {netns: %(far)s}
%(more)sprobes:
  web: {service: web, host: far, tcp: "10.99.0.1:8080", every: 25ms, timeout: 60ms, stable: 200ms}
script:
%(script)s
settle: 100ms
horizon: %(horizon)s
%(tail)s
"""
CUT = "partition: {host: edge, peers: [%s]%s}"
SLOW = "network: {host: edge, device: %s, %sdelay: 30ms, engine: user}"
LINK = "link: {host: edge, device: %s, down: true}"
WEBS = "".join("  w%d: {lab: {address: 10.77.0.%d/24}}\n" % (i, i) for i in (1, 2, 3))
GROUP = WEBS + "groups:\n  web: {hosts: [w1, w2, w3], at_most: %s}\n"
NOT_ALLOWED, USAGE, HERE = 2, 2, 3
AT_LEAST = 40  # attempts that are forbidden
EXPECTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "guards.expected")


def expected():
    """{name of the attempt: what it is told}"""
    with open(EXPECTED) as f:
        blocks = f.read().split("\n\n")
    return {name: told for name, told in (b.strip().split("\n", 1) for b in blocks if b.strip())}


class World(unittest.TestCase):
    """e0 has the default route; d0 is another device, with addresses of its own."""
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.pair = Pair("g%d" % os.getpid())
        cls.addClassCleanup(cls.pair.end)
        for argv in ("link add d0 type veth peer name d1", "address add 10.98.0.1/24 dev d0",
                     "link set d0 up", "link set d1 up"):
            run("ip", "-n", cls.pair.edge, *argv.split())
        run("ip", "-n", cls.pair.far, "address", "add", "10.99.0.3/24", "dev", "e0")
        cls.far = echo(cls.pair.far)
        cls.addClassCleanup(cls.end_far)
        with Inside(cls.pair.edge):
            cls.operator = socket.create_connection(("10.99.0.2", 8080), timeout=5)
        cls.addClassCleanup(cls.operator.close)
        wait_until(lambda: "tentative" not in run("ip", "-n", cls.pair.edge, "address"))
        cls.pair.before = cls.pair.state()

    @classmethod
    def end_far(cls):
        cls.far.kill()
        cls.far.wait()
        cls.far.stdout.close()

    def scene(self, script, edge=None, more="", tail="", horizon="1s"):
        """script: an action, or whole steps."""
        lines = [s if s.startswith("  - ") else "  - {id: it, at: 200ms, for: 300ms, %s}" % s
                 for s in ([script] if isinstance(script, str) else script)]
        return SCENE % {"edge": edge or "{netns: %s, allow: true}" % self.pair.edge,
                        "far": self.pair.far, "script": "\n".join(lines), "more": more,
                        "tail": tail, "horizon": horizon}

    def as_before(self):
        wait_until(lambda: not self.pair.differences())
        self.assertEqual(self.pair.differences(), {})
        self.assertTrue(self.pair.connection_lives())
        self.assertEqual(journals(), [])

    def refused(self, name, words, script, code=HERE, options=("--yes",), user=None, **scene):
        with self.subTest(name):
            d = Drill(self.scene(script, **scene), *options, user=user)
            self.addCleanup(d.remove)
            d.run()
            self.assertEqual(d.code, code, d.explain())
            for w in [words] if isinstance(words, str) else words:
                self.assertIn(w, d.stderr)
            self.told(name, d)
            self.assertFalse(os.path.exists(d.out), "it had begun")
            self.assertEqual(journals(), [])
            self.assertEqual(self.pair.differences(), {})

    def told(self, name, drill):
        """Exactly what guards.expected says, but for what is another thing each time."""
        text = drill.stderr.strip()
        for what, word in ((drill.scenario, "SCENARIO"), (self.pair.edge, "EDGE"),
                           (r"(\(|pid |process )%d\b" % os.getpid(), r"\1PID")):
            text = re.sub(what, word, text)
        self.assertNotIn(name, TOLD, "two attempts of one name")
        TOLD[name] = text
        if not os.environ.get("BLACKSTART_UPDATE"):
            self.assertEqual(text, expected().get(name), "see guards.expected")


TOLD = {}  # by all attempts of this process
FIRST = ["process 1's network", "process 1's network, where it may not be looked at"]


class Forbidden(World):
    def test_what_was_not_agreed_to(self):
        e = self.pair.edge
        step = LINK % "d0"
        self.refused("no allow", "allow: true", step, NOT_ALLOWED, edge="{netns: %s}" % e)
        self.refused("allow: false", "allow: true", step, NOT_ALLOWED,
                     edge="{netns: %s, allow: false}" % e)
        self.refused("no allow, cut", "allow: true", CUT % ("10.99.0.3", ""), NOT_ALLOWED,
                     edge="{netns: %s}" % e)
        self.refused("no allow, network", "allow: true", SLOW % ("d0", ""), NOT_ALLOWED,
                     edge="{netns: %s}" % e)
        self.refused("no --yes", "--yes", step, USAGE, options=())
        self.refused("no --yes for a command", "--yes",
                     "  - {at: 100ms, run: {host: edge, command: 'true'}}", USAGE, options=())
        self.refused("by somebody who is not root", "needs root", step, user=65534)
        self.as_before()

    def test_production(self):
        e = self.pair.edge
        self.refused("production: true", "is marked as production (line", LINK % "d0", NOT_ALLOWED,
                     edge="{netns: %s, allow: true, production: true}" % e)
        self.refused("production: true, a command", "no step may touch it",
                     "  - {at: 100ms, run: {host: edge, command: 'true'}}", NOT_ALLOWED,
                     edge="{netns: %s, allow: true, production: true}" % e)
        self.refused("production: true in the lab", "serve nobody", LINK % "d0", NOT_ALLOWED,
                     more="  w1: {lab: {address: 10.77.0.1/24}, production: true}\n")
        with EtcOfOurOwn() as etc:
            etc.write("blackstart/production", "")
            for name, step in (("link", LINK % "d0"), ("cut", CUT % ("10.99.0.3", "")),
                               ("network", SLOW % ("d0", "")),
                               ("run", "  - {at: 100ms, run: {host: edge, command: 'true'}}")):
                self.refused("the machine is marked, " + name,
                             ["marked as production (/etc/blackstart/production)", "rehearse on"], step)
            plan = Drill(self.scene(LINK % "d0"), command="plan").run()
            self.addCleanup(plan.remove)
            self.assertEqual(plan.code, HERE)
            self.assertIn("marked as production", plan.stderr)
        self.as_before()

    def test_the_default_route(self):
        for name, step in (("down", LINK % "e0"),
                           ("flapping", "link: {host: edge, device: e0, flap: {down: 10ms, up: 10ms}}")):
            # That it is how we are connected is said first, so it is looked at where we are not.
            self.refused("default route, " + name, ["is how you are connected", "another device"], step)
        for name, step in (("everything", SLOW % ("e0", "")),
                           ("0.0.0.0/0", SLOW % ("e0", "to: 0.0.0.0/0, ")),
                           ("::/0", SLOW % ("e0", "to: '::/0', ")),
                           ("halves of the world", SLOW % ("e0", "to: [0.0.0.0/1, 128.0.0.0/1], ")),
                           ("one among others", SLOW % ("e0", "to: [10.99.0.3, 0.0.0.0/0], ")),
                           ("of tcp", SLOW % ("e0", "protocol: tcp, "))):
            self.refused("default route, " + name, "add 'to: [ADDRESSES]'", step)
        for peers in ("0.0.0.0/0", "'::/0'", "0.0.0.0/1", "10.99.0.3, '8000::/1'"):
            self.refused("cut from " + peers, "name the addresses or prefixes that matter",
                         CUT % (peers, ""))
        self.as_before()

    def test_the_operator(self):
        started = "which started us"
        for extra in ("", ", kind: reject", ", direction: forward", ", port: 8080",
                      ", packets: new-connections"):
            self.refused("cut" + extra, [started, "always exempt"], CUT % ("10.99.0.2", extra))
        self.refused("cut among others", started, CUT % ("10.99.0.3, 10.99.0.2", ""))
        self.refused("slow", [started, "name others"], SLOW % ("e0", "to: 10.99.0.2, "))
        self.refused("reset", started,
                     "  - {at: 100ms, sockets: {host: edge, peer: 10.99.0.2, own_port: 8080}}")
        self.refused("address", "the address at which you are connected",
                     "address: {host: edge, address: 10.99.0.1}")
        self.refused("route", "is how you are connected", "route: {host: edge, to: 10.99.0.0/24}")
        self.as_before()

    def test_resolvers_and_loopback(self):
        with EtcOfOurOwn() as etc:
            etc.write("netns/%s/resolv.conf" % self.pair.edge, "nameserver 10.99.0.53\n")
            etc.write("resolv.conf", "nameserver 10.99.0.54\nnameserver fd99::54\n")
            for peer, file in (("10.99.0.53", "/etc/netns/%s/" % self.pair.edge),
                               ("10.99.0.54", "/etc/resolv.conf"), ("'fd99::54'", "/etc/resolv.conf")):
                self.refused("resolver " + peer, ["is a resolver (%s" % file, "name others"],
                             CUT % (peer, ""))
            self.refused("slow resolver", "is a resolver", SLOW % ("e0", "to: 10.99.0.53, "))
            pager = ("alarms:\n  pager: {service: web, role: page, webhook: "
                     "{host: edge, listen: '10.99.0.1:9099'}}\n")
            plan = Drill(self.scene(CUT % ("10.99.0.0/24", ""), more="") + pager, command="plan").run()
            self.addCleanup(plan.remove)
            self.assertEqual(plan.code, 0, plan.explain())
            for w in ("the loopback", "TCP port 9099, on which we listen", "10.99.0.53, a resolver", "10.99.0.2, the other end of a "
                      "connection of python3"):
                self.assertIn("left out of every cut, impairment, reset and false answer: " + w,
                              plan.stdout)
            etc.write("resolv.conf", "nameserver 10.98.0.53\n")
            self.refused("the device of a resolver", ["is the way to 10.98.0.53", "another device"],
                         LINK % "d0")
            self.refused("the route to a resolver", "is the way to 10.98.0.53",
                         "route: {host: edge, to: 10.98.0.0/24}")
        for peer in ("127.0.0.1", "127.0.0.0/8", "'::1'"):
            self.refused("loopback " + peer, "the loopback, which is always exempt",
                         CUT % (peer, ""))
        self.refused("the device lo", "always exempt", LINK % "lo", NOT_ALLOWED)
        self.refused("slow lo", "always exempt", SLOW % ("lo", ""), NOT_ALLOWED)
        self.refused("here: lo", "the loopback is always exempt", LINK % "lo", NOT_ALLOWED,
                     edge="{here: lo, allow: true}")
        self.as_before()

    def test_our_own_listeners(self):
        """SHOWS http: netns: refused
        SHOWS tls: netns: refused
        SHOWS sockets: netns: refused"""
        pager = ("alarms:\n  pager: {service: web, role: page, webhook: "
                 "{host: edge, listen: '10.98.0.1:9099'}}\n")
        for name, script in (
                ("its device", LINK % "d0"),
                ("its address", "address: {host: edge, address: 10.98.0.1}"),
                ("its port answered by a proxy", "http: {host: edge, port: 9099, status: 503}"),
                ("its port with another certificate",
                 "tls: {host: edge, port: 9099, certificate: expired}"),
                ("its port reset", "  - {at: 100ms, sockets: {host: edge, own_port: 9099}}"),
                ("its port cut", CUT % ("10.99.0.3", ", port: 9099")),
                ("its port slow", SLOW % ("d0", "own_port: 9099, "))):
            self.refused("our listener, " + name, ["we listen ourselves", "always exempt"], script,
                         tail=pager)
        self.as_before()

    def test_too_large_a_share(self):
        one = "  - {id: a, at: 200ms, for: 500ms, link: {host: %s, down: true}}"
        two = "\n  - {id: b, at: 400ms, for: 100ms, link: {host: %s, down: true}}"
        words = ["hosts of the group web at a time", "let one fault end"]
        for name, share, script in (
                ("two at a time", "50%", one % "w1" + two % "w2"),
                ("drawn", "50%", one % "{any: 1, group: web}" + two % "{any: 1, of: [w1, w2]}"),
                ("two at once", "50%", one % "{any: 2, group: web}"),
                ("a partition", "50%",
                 "  - {at: 200ms, for: 100ms, partition: {isolate: [w1, w2]}}"),
                ("not undone", "34%", "  - {at: 100ms, kill: {host: w1, process: stampd}}" +
                 two % "w2"),
                ("by a condition, for itself", "34%",
                 "  - {when: {operator: go}, link: {host: {any: 2, group: web}, down: true}}")):
            self.refused(name, words, script, NOT_ALLOWED, more=GROUP % share)
        self.refused("less than one", "is less than one", one % "w1", NOT_ALLOWED, more=GROUP % "20%")
        self.refused("a group nobody knows", "there is no group 'wbe'",
                     one % "{any: 1, group: wbe}", NOT_ALLOWED, more=GROUP % "50%")
        self.as_before()

    def test_too_long_a_run(self):
        self.refused("longer than it may take", ["longer than the whole run may take (2s)", "fewer trials"],
                     LINK % "d0", NOT_ALLOWED, tail="trials: 5\nmax_duration: 2s")
        self.refused("no duration", "--max-duration", LINK % "d0", USAGE,
                     options=("--yes", "--max-duration", "soon"))

    def test_what_is_not_ours_to_touch(self):
        readable = os.path.exists("/proc/1/ns/net")
        self.refused(FIRST[not readable], "cannot be a target" if readable else "cannot open",
                     LINK % "d0", edge="{netns: /proc/1/ns/net, allow: true}")
        self.refused("our own network", "cannot be a target", LINK % "d0",
                     edge="{netns: /proc/self/ns/net, allow: true}")
        stop = "  - {at: 100ms, stop: {host: edge}}"
        self.refused("process 1", "must be at least 2", stop, NOT_ALLOWED,
                     edge="{process: {pid: 1}, allow: true}")
        self.refused("who started us", "cannot be a target: blackstart descends from it", stop,
                     edge="{process: {pid: %d}, allow: true}" % os.getpid())
        with open("/run/netns/" + self.pair.edge) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.refused("somebody holds it", "another drill holds", LINK % "d0")
        self.as_before()


class EtcOfOurOwn:
    """A copy of /etc in its place, for this test alone: nothing is written into the machine's."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="blackstart-etc-")
        for name in ("resolv.conf", "passwd", "group", "nsswitch.conf", "hosts", "ld.so.cache"):
            if os.path.exists("/etc/" + name):
                shutil.copy("/etc/" + name, self.folder)
        foreign.mount(self.folder, "/etc", flags=foreign.MS_BIND)
        return self

    def write(self, name, text):
        path = os.path.join("/etc", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def __exit__(self, *args):
        foreign.unmount("/etc")
        shutil.rmtree(self.folder)


class LeftOut(World):
    """The operator at 10.99.0.2 and somebody else at 10.99.0.3: a prefix holds them both."""

    def setUp(self):
        with Inside(self.pair.far):
            self.other = socket.create_connection(("10.99.0.1", 8080), timeout=5,
                                                  source_address=("10.99.0.3", 0))
        self.addCleanup(self.other.close)

    def during(self, script):
        d = Drill(self.scene(script), "--yes").start()
        self.addCleanup(d.remove)
        halt = Halt(d.process, os.path.join(d.out, "record.ndjson"))
        halt.at(lambda e, state: e["kind"] == "inject" and e["ok"])
        return d, halt

    def ended(self, d, halt):
        halt.go()
        d.finish()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.as_before()

    def test_cut_prefixes_leave_him_out(self):
        d, halt = self.during(CUT % ("10.99.0.0/24", ""))
        round_trip(self.operator)  # what is lost is never answered
        self.other.settimeout(0.3)
        self.other.sendall(b"lost")
        with self.assertRaises(TimeoutError):
            self.other.recv(10)
        self.ended(d, halt)

    def test_resets_leave_him_out(self):
        d = Drill(self.scene("  - {at: 100ms, sockets: {host: edge, peer: 10.99.0.0/24}}"), "--yes").run()
        self.addCleanup(d.remove)
        self.assertTrue(d.events("inject")[0]["ok"], d.explain())
        round_trip(self.operator)  # what is lost is never answered
        self.other.settimeout(5)
        with self.assertRaises(ConnectionResetError):
            self.other.recv(10)
        self.pair.connection.close()  # its other end was reset as well
        with Inside(self.pair.far):
            type(self).pair.connection = socket.create_connection(("10.99.0.1", 8080), timeout=5)
        self.as_before()

    def says(self, source, address="10.99.0.1", netns=None):
        """What a server of edge at port 8080, which echoes, answers to somebody."""
        with Inside(netns or self.pair.far), socket.create_connection(
                (address, 8080), timeout=5, source_address=(source, 0)) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: edge\r\n\r\n")
            return s.recv(100).split(b"\r\n")[0].decode()

    def test_proxies_leave_him_out(self):
        echoed, hit = "GET / HTTP/1.1", "HTTP/1.1 503 Service Unavailable"
        d, halt = self.during("http: {host: edge, port: 8080, status: 503}")
        self.assertEqual(self.says("10.99.0.3"), hit)
        self.assertEqual(self.says("10.99.0.2"), echoed)
        self.assertEqual(self.says("127.0.0.1", "127.0.0.1", self.pair.edge), echoed)
        self.ended(d, halt)
        self.assertEqual(self.says("10.99.0.3"), echoed)

    def test_our_listener_is_left_out(self):
        """Of resets and of cuts of a prefix that holds whoever tells us."""
        tail = "alarms:\n  pager: {service: web, role: page, webhook: {host: edge, listen: '10.99.0.1:9099'}}\n"
        ask = b"GET / HTTP/1.1\r\nHost: edge\r\n\r\n"
        for script, error in (
                ("sockets: {host: edge, peer: 10.99.0.3, opened: there, every: 100ms}",
                 ConnectionResetError),
                (CUT % ("10.99.0.3", ""), TimeoutError)):
            with self.subTest(script):
                d = Drill(self.scene("  - {id: it, at: 400ms, for: 300ms, %s}" % script, tail=tail,
                                     horizon="2s"),
                          "--yes").start()
                self.addCleanup(d.remove)
                with Inside(self.pair.far):
                    wait_until(lambda: self.reaches("10.99.0.3", 9099))
                    caller = socket.create_connection(("10.99.0.1", 9099), timeout=5,
                                                      source_address=("10.99.0.3", 0))
                    other = socket.create_connection(("10.99.0.1", 8080), timeout=5,
                                                     source_address=("10.99.0.3", 0))
                self.addCleanup(caller.close)
                self.addCleanup(other.close)
                halt = Halt(d.process, os.path.join(d.out, "record.ndjson"))
                halt.at(lambda e, state: e["kind"] == "verify" and e["ok"])
                other.settimeout(0.3)
                with self.assertRaises(error):
                    other.sendall(b"lost")
                    other.recv(10)
                caller.sendall(ask)  # the kernel takes it; the runner, which answers, stands still
                with Inside(self.pair.far):
                    wait_until(lambda: self.taken(caller))
                halt.go()
                self.assertIn(b"HTTP/1.1 4", caller.recv(100))
                d.finish()
                self.as_before()

    @staticmethod
    def reaches(source, port):
        try:
            socket.create_connection(("10.99.0.1", port), timeout=1, source_address=(source, 0)).close()
            return True
        except OSError:
            return False

    @staticmethod
    def taken(s):
        """The other end has acknowledged all that was sent."""
        return struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ, b"\0" * 4))[0] == 0

    def test_impaired_prefixes_leave_him_out(self):
        d, halt = self.during(SLOW % ("e0", "to: 10.99.0.0/24, "))
        self.assertGreaterEqual(min(round_trip(self.other) for _ in range(5)), 0.030)
        self.assertTrue(is_quick(self.operator))
        self.ended(d, halt)


class Here(World):
    """An interface of the machine that the program stands on: here the first namespace is that machine."""

    def test_who_uses_it_is_named_and_it_is_guarded(self):
        with Inside(self.pair.edge), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(("10.99.0.3", 7))
            plan = Drill(self.scene(SLOW % ("e0", "to: 10.99.0.3, "), edge="{here: e0, allow: true}"),
                         command="plan").run()
            self.addCleanup(plan.remove)
            self.assertEqual(plan.code, 0, plan.explain())
            self.assertRegex(plan.stdout, "[1-9] TCP connections? of this machine runs? over e0: .*"
                             "10.99.0.[12]:[0-9]+ - 10.99.0.[12]:")
            self.assertRegex(plan.stdout, r"of these connections .*\([0-9]+\) has [1-9]")
            self.assertRegex(plan.stdout, "1 connected UDP socket of this machine runs over e0: "
                             "10.99.0.1:[0-9]+ - 10.99.0.3:7\n")
            run("ip", "address", "add", "10.97.0.1/24", "dev", "d1")
            run("ip", "route", "del", "default", "via", "10.99.0.2")
            run("ip", "route", "add", "default", "via", "10.97.0.2")
            type(self).pair.before = self.pair.state()
            self.refused("here, the address of a default route", "the default route of this machine would go",
                         "address: {host: edge, address: 10.97.0.1, device: d1}", edge="{here: d1, allow: true}")
            run("ip", "address", "del", "10.97.0.1/24", "dev", "d1")  # as it would have been
            self.assertNotIn("default", run("ip", "-4", "route"))
            run("ip", "route", "add", "default", "via", "10.99.0.2")
            type(self).pair.before = self.pair.state()
            for script, words in ((LINK % "e0", "is how you are connected"),
                                  (SLOW % ("e0", ""), "add 'to: [ADDRESSES]'"),
                                  (SLOW % ("e0", "to: 10.99.0.2, "), "which started us")):
                self.refused("here, " + script, words, script, edge="{here: e0, allow: true}")
        self.as_before()


    def test_one_drill_at_a_time(self):
        slow = "  - {at: 100ms, for: 700ms, %s}" % (SLOW % ("e0", "to: 10.99.0.3, "))
        with Inside(self.pair.edge):
            first = Drill(self.scene(slow, edge="{here: e0, allow: true}", horizon="2s"), "--yes").start()
            self.addCleanup(first.remove)
            halt = Halt(first.process, os.path.join(first.out, "record.ndjson"))
            halt.at(lambda e, state: e["kind"] == "inject")
            second = Drill(self.scene(slow, edge="{here: e0, allow: true}"), "--yes").run()
            self.addCleanup(second.remove)
        self.assertEqual(second.code, HERE)
        self.assertRegex(second.stderr, r"another drill holds this machine's interface e0: process %d "
                         r"\(blackstart\); wait for its end \('blackstart status' tells of it\)" % first.process.pid)
        self.assertFalse(os.path.exists(second.out), "it had begun")
        halt.go()
        first.finish()
        self.as_before()


class Users(World):
    """Of a namespace: plan names every process in it, and every connection that ends in it."""

    def test_every_other_user_is_named(self):
        with Inside(self.pair.edge):
            users = [subprocess.Popen(["sleep", "1000"]) for _ in range(12)]
        for p in users:
            self.addCleanup(p.wait)
            self.addCleanup(p.kill)
        with Inside(self.pair.far):
            held = [socket.create_connection(("10.99.0.1", 8080), timeout=5) for _ in range(12)]
        for s in held:
            self.addCleanup(s.close)
        plan = Drill(self.scene(LINK % "d0"), command="plan").run()
        self.addCleanup(plan.remove)
        self.assertEqual(plan.code, 0, plan.explain())
        for p in users:
            self.assertIn("sleep (%d)" % p.pid, plan.stdout)
        for s in held:
            self.assertIn("10.99.0.1:8080 - 10.99.0.2:%d" % s.getsockname()[1], plan.stdout)


class WhatWasTold(unittest.TestCase):
    """After all that refuse: the loader takes classes by their names."""

    def test_all_were_tried_and_are_enough(self):
        if os.environ.get("BLACKSTART_UPDATE"):
            other = {n: t for n, t in expected().items() if n in FIRST}
            with open(EXPECTED, "w") as f:
                f.write("\n".join("%s\n%s\n" % one for one in sorted((other | TOLD).items())))
        self.assertGreaterEqual(len(TOLD), AT_LEAST)
        self.assertEqual(set(expected()) - set(TOLD) - set(FIRST), set(), "nobody tried")


class WhenItIsDue(World):
    def test_a_share_is_judged_again(self):
        script = ["  - {id: first, at: 100ms, link: {host: w1, down: true}}",
                  "  - {id: second, when: {step: first}, after: 100ms, link: {host: w2, down: true}}"]
        d = Drill(self.scene(script, edge="{netns: %s}" % self.pair.edge, more=GROUP % "50%")).run()
        self.addCleanup(d.remove)
        self.assertEqual(d.code, 5, d.explain())
        stop, = d.events("stop")
        self.assertEqual(stop["reason"], "guard-rail")
        self.assertIn("step second: this step together with 'first' would have hit up to 2 of the 3",
                      stop["detail"])
        self.assertEqual([e["step"] for e in d.events("inject")], ["first"])
        self.assertTrue(d.events("clean")[-1]["clean"])

    def test_a_run_ends_when_it_must(self):
        d = Drill(self.scene([], edge="{netns: %s}" % self.pair.edge, horizon="1500ms",
                             tail="max_duration: 1700ms").replace("script:\n", "")).run()
        self.addCleanup(d.remove)
        self.assertEqual(d.code, 5, d.explain())
        self.assertEqual(d.events("stop")[0]["reason"], "max-duration")


if __name__ == "__main__":
    if os.geteuid() != 0:
        harness.skip(harness.NEEDS_ROOT)
    harness.need_programs("ip", "tc", "nft")
    foreign.own_mounts()
    harness.main()

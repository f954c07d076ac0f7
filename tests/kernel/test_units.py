"""Units of systemd as hosts: whatever can be done to one, to its end and when runner and warden die; a
service with a network of its own (PrivateNetwork=); systemd asked over the system bus. Control groups are
those of v2 alone here.
"""
import os
import resource
import socket
import sys

sys.path.insert(0, os.path.join(os.environ["BLACKSTART_SOURCE"], "tests", "drill"))
import foreign
import harness
from foreign import Inside, journals, run, undo
from halt import halted
from harness import kill_both, wait_until
from test_systemd import DOWN, UNITS, Systemd

PEER = os.path.join(harness.SOURCE, "tests", "lab", "proxy_peer.py")
SERVER = "/usr/bin/python3 %s tls-server 8443" % PEER
GROUP = "/sys/fs/cgroup/system.slice/worker.service"
FROM_FAR = """
blackstart: 1
name: worker
services:
  work: {rto: 2s}
hosts:
  worker: {unit: worker.service, allow: true}
  far: {netns: far}
probes:
  answers: {service: work, host: far, tcp: "10.66.0.2:8443", every: 50ms, timeout: 100ms, stable: 200ms}
script:%s
settle: 100ms
horizon: %s
trials: 1
"""


def to_end(case, d, steps):
    """Each bit, was undone, and nothing is left."""
    case.assertTrue(os.path.exists(d.out), d.explain())
    case.assertEqual({e["step"]: e["ok"] for e in d.events("verify")}, dict.fromkeys(steps, True), d.explain())
    case.assertEqual({e["step"] for e in d.events("undo", ok=True)}, set(steps), d.explain())
    case.assertEqual(d.events("fault-gone"), [])
    case.assertTrue(d.events("clean")[-1]["clean"], d.events("clean"))
    harness.check_record(d.record)
    case.assertEqual(journals(), [])


class OwnNetwork(Systemd):
    """Nobody is in it but the service."""
    STEPS = {
        "slow": "network: {host: worker, device: u0, delay: 150ms}",
        "cut": "partition: {host: worker, peers: [10.66.0.1]}",
        "names": "dns: {host: worker, nxdomain: true}",
        "page": "http: {host: worker, port: 8080, status: 503}",
        "cert": "tls: {host: worker, port: 8443, certificate: expired}",
        "way": "route: {host: worker, to: 10.67.0.0/16}",
        "own": """custom: {host: worker, command: ip rule add priority 600 from 10.66.0.9 lookup 77,
      undo: ip rule del priority 600 || true, verify: ip rule show priority 600 | grep -q 10.66.0.9}""",
        "hang": "stop: {host: worker}",
        "gone": "address: {host: worker, address: 10.66.0.2}",
        "cable": "link: {host: worker, device: u0, down: true}",
    }
    FELT = ("slow", "cut", "gone", "cable")  # by who connects from far

    def setUp(self):
        run("ip", "netns", "add", "far")
        self.addCleanup(run, "ip", "netns", "del", "far")
        self.unit("worker.service", SERVER, more="PrivateNetwork=yes\nWorkingDirectory=/tmp")
        self.inside = ["nsenter", "--net=/proc/%d/ns/net" % self.main(), "ip"]
        run("ip", "link", "add", "f0", "netns", "far", "type", "veth", "peer", "name", "u0", "netns",
            str(self.main()))
        for words in ("address add 10.66.0.1/24 dev f0", "link set f0 up"):
            run("ip", "-n", "far", *words.split())
        for words in ("address add 10.66.0.2/24 dev u0", "link set u0 addrgenmode none", "link set u0 up",
                      "route add 10.67.0.0/16 via 10.66.0.1"):
            run(*self.inside, *words.split())
        wait_until(lambda: ":8443 " in run(*self.inside[:-1], "ss", "-Hltn") and
                   "state UP" in run(*self.inside, "link", "show", "u0"))

    def main(self):
        return int(self.shown("worker.service", "MainPID")["MainPID"])

    def state(self):
        return [run(*self.inside, *words.split()) for words in (
            "address show u0", "route", "rule", "-br link")] + [
                run(*self.inside[:-1], "nft", "list", "ruleset"),
                run(*self.inside[:-1], "tc", "qdisc"), harness.stat_of(self.main())[1]]

    def script(self, first, every, how=""):
        return "".join("\n  - {id: %s, at: %dms, %s%s}" % (n, first + i * every, how, s)
                       for i, (n, s) in enumerate(self.STEPS.items()))

    def test_whatever_it_needs_is_taken_and_given_back(self):
        """SHOWS network: unit: applied verified undone
        SHOWS partition: unit: applied verified undone
        SHOWS dns: unit: applied verified undone
        SHOWS http: unit: applied verified undone
        SHOWS tls: unit: applied verified undone
        SHOWS route: unit: applied verified undone
        SHOWS custom: unit: applied verified undone
        SHOWS stop: unit: applied verified undone
        SHOWS address: unit: applied verified undone
        SHOWS link: unit: applied verified undone
        SHOWS sockets: unit: applied verified
        SHOWS run: unit: applied"""
        was = self.state()
        script = self.script(200, 800, "for: 500ms, ") + """
  - {id: reset, at: 8300ms, sockets: {host: worker, own_port: 8443, opened: there}}
  - {id: look, at: 8400ms, run: {host: worker, command: ip -br link show u0}}"""
        with Inside("far"):
            held = socket.create_connection(("10.66.0.2", 8443), timeout=5)
        self.addCleanup(held.close)
        d = self.drill(FROM_FAR % (script, "11s"), "--yes").run()
        to_end(self, d, [*self.STEPS, "reset"])
        self.assertIn("u0", d.events("action", event="end")[-1]["output"])
        with self.assertRaises(ConnectionError):
            if not held.recv(100):
                raise ConnectionError
        injected = {e["step"]: e["at"][1] for e in d.events("inject")}
        for e in d.events("undo"):
            during = [p["ok"] for p in d.events("probe")
                      if injected[e["step"]] < p["start"] < e["at"][0] - 110e6]
            if e["step"] in self.FELT:
                self.assertIn(False, during, e["step"])
        self.assertEqual(self.state(), was)

    def test_both_die_and_all_of_it_is_put_right(self):
        """SHOWS network: unit: undone-after-kill
        SHOWS partition: unit: undone-after-kill
        SHOWS dns: unit: undone-after-kill
        SHOWS http: unit: undone-after-kill
        SHOWS tls: unit: undone-after-kill
        SHOWS route: unit: undone-after-kill
        SHOWS custom: unit: undone-after-kill
        SHOWS stop: unit: undone-after-kill
        SHOWS address: unit: undone-after-kill
        SHOWS link: unit: undone-after-kill"""
        was = self.state()
        d = self.drill(FROM_FAR % (self.script(200, 100), "9s"), "--yes").start()
        halt = halted(d, len(self.STEPS))
        kill_both(d, halt)
        self.assertNotEqual(self.state(), was)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual(self.state(), was)
        self.assertEqual(journals(), [])


class Squeezed(Systemd):
    """Short of everything, inside its own control group, whose limits hold."""
    STEPS = """
  - {id: short, at: 200ms, %(how)spressure: {host: worker, cpu: {workers: 1, load: 100%%}, memory: {size: 32MB}}}
  - {id: full, at: 300ms, %(how)spressure: {host: worker, disk: {path: /run/room, leave: 20MB}}}
  - {id: shut, at: 400ms, %(how)spressure: {host: worker, files: {leave: 3}}}"""

    def setUp(self):
        self.unit("worker.service", more="MemoryMax=120M\nCPUQuota=30%\nTemporaryFileSystem=/run/room:size=32m")

    def state(self):
        pid = int(self.shown("worker.service", "MainPID")["MainPID"])
        with open(GROUP + "/cgroup.procs") as f:
            return f.read(), os.statvfs("/proc/%d/root/run/room" % pid).f_bavail, resource.prlimit(pid, resource.RLIMIT_NOFILE)

    def test_it_runs_short_within_its_limits(self):
        """SHOWS pressure (cpu, memory): unit: applied verified undone
        SHOWS pressure (disk): unit: applied verified undone
        SHOWS pressure (files): unit: applied verified undone"""
        was = self.state()
        d = self.drill(self.scene(self.STEPS % {"how": "for: 3s, "}), "--yes").run()
        to_end(self, d, ["short", "full", "shut"])
        self.assertIn("0.30 processors busy", d.events("verify", step="short")[0]["asked"])
        self.assertEqual(self.state(), was)

    def test_what_squeezes_it_goes_and_the_rest_is_undone(self):
        """SHOWS pressure (cpu, memory): unit: undone-after-kill
        SHOWS pressure (disk): unit: undone-after-kill
        SHOWS pressure (files): unit: undone-after-kill"""
        was = self.state()
        d = self.drill(self.scene(self.STEPS % {"how": ""}), "--yes").start()
        halt = halted(d, 3)
        wait_until(lambda: len(self.state()[0].split()) > len(was[0].split()) + 1)
        kill_both(d, halt)
        wait_until(lambda: self.state()[0] == was[0])
        self.assertEqual(self.state()[0], was[0])
        self.assertTrue(all(a != b for a, b in zip(self.state()[1:], was[1:])))
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual(self.state(), was)
        self.assertEqual(journals(), [])

    def test_what_does_not_fit_is_refused(self):
        """SHOWS pressure (cpu, memory): unit: refused
        SHOWS pressure (io): unit: refused"""
        for what, words in (("memory: {size: 110MB}", "the limit of the host's control group"),
                            ("io: {path: /run/room}", "there is no disk below it")):
            d = self.drill(self.scene("\n  - {at: 200ms, pressure: {host: worker, %s}}" % what), "--yes").run()
            self.assertIn(words, d.stdout + d.stderr)
            self.assertNotEqual(d.code, 0)
            self.assertEqual(journals(), [])


class Ended(Systemd):
    """What does not start again by itself."""
    KILL = """
  - {id: killed, at: 200ms, %skill: {host: worker, expect: 2}}"""
    FREEZE = """
  - {id: frozen, at: 200ms, freeze: {host: worker}}"""

    def setUp(self):
        self.unit("worker.service")

    def started(self):
        return self.shown("worker.service", "ActiveState", "InvocationID")

    def test_killed_it_is_started_again(self):
        """SHOWS kill: unit: applied verified undone"""
        was = self.started()
        d = self.drill(self.scene(self.KILL % "for: 800ms, "), "--yes").run()
        to_end(self, d, ["killed"])
        self.assertIn("unit worker.service started again", d.events("undo")[0]["changes"][0])
        self.assertTrue([e for e in d.events("probe") if not e["ok"]], d.explain())
        now = self.started()
        self.assertEqual(now["ActiveState"], "active")
        self.assertNotEqual(now, was)

    def test_both_die_after_a_kill(self):
        """SHOWS kill: unit: undone-after-kill"""
        d = self.drill(self.scene(self.KILL % ""), "--yes").start()
        kill_both(d, halted(d))
        wait_until(lambda: self.started()["ActiveState"] == "failed")
        self.assertEqual(self.started()["ActiveState"], "failed")
        with foreign.OtherBoot():
            code, text = undo()
        self.assertEqual((code, self.started()["ActiveState"]), (0, "active"), text)
        self.assertEqual(journals(), [])

    def test_both_die_while_it_is_frozen(self):
        """SHOWS freeze: unit: undone-after-kill"""
        was = self.started()
        d = self.drill(self.scene(self.FREEZE), "--yes").start()
        kill_both(d, halted(d))
        self.assertIn("frozen 1", self.frozen())
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("frozen 0", self.frozen())
        self.assertEqual((self.started(), journals()), (was, []))

    def test_load_comes_from_it(self):
        load = """
load:
  own: {host: worker, command: "cat /proc/self/cgroup; trap 'echo bye; exit 3' TERM; sleep 1000 & wait"}
"""
        d = self.drill(self.scene(" []").replace("horizon: 6s", "horizon: 3s") + load, "--yes").run()
        load, = d.result["trials"][0]["loads"]
        self.assertEqual((load["code"], load["output_tail"].split()[-1]), (3, "bye"), d.explain())
        self.assertEqual(journals(), [])

    def frozen(self):
        with open(GROUP + "/cgroup.events") as f:
            return f.read()

    def test_network_faults_in_the_machines_own_network(self):
        """SHOWS network: unit: refused
        SHOWS partition: unit: refused
        SHOWS dns: unit: refused
        SHOWS http: unit: refused
        SHOWS tls: unit: refused
        SHOWS route: unit: refused
        SHOWS address: unit: refused
        SHOWS link: unit: refused
        SHOWS sockets: unit: refused"""
        for n in ("slow", "cut", "names", "page", "cert", "way", "gone", "cable"):
            self.refused(OwnNetwork.STEPS[n])
        self.refused("sockets: {host: worker, own_port: 80}")

    def refused(self, step):
        with self.subTest(step):
            d = self.drill(self.scene("\n  - {at: 100ms, %s}" % step), command="plan").run()
            self.assertEqual(d.code, 3, d.explain())
            self.assertIn("in this machine's own network", d.stderr)


BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
<allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
"""


class OverTheBus(Systemd):
    """As where its private socket may not be used."""

    def setUp(self):
        with open("/run/bus.conf", "w") as f:
            f.write(BUS)
        with open(os.path.join(UNITS, "dbus.socket"), "w") as f:
            f.write("[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/dbus/system_bus_socket\n")
        self.unit("dbus.service", "/usr/bin/dbus-daemon --config-file=/run/bus.conf --address=systemd: --nofork"
                  "", start=False)
        run("systemctl", "start", "dbus.socket", "dbus.service")
        self.addCleanup(run, "systemctl", "stop", "dbus.socket", ok=False)
        self.unit("worker.service")
        wait_until(lambda: "org.freedesktop.systemd1" in run("busctl", "list", ok=False))
        self.assertIn("org.freedesktop.systemd1", run("busctl", "list"))
        foreign.mount("/dev/null", "/run/systemd/private", flags=foreign.MS_BIND)
        self.addCleanup(foreign.unmount, "/run/systemd/private")

    def test_it_is_found_stopped_and_started(self):
        d = self.drill(self.scene(DOWN % "for: 800ms, "), "--yes").run()
        to_end(self, d, ["down"])
        self.assertEqual(self.shown("worker.service", "ActiveState"), {"ActiveState": "active"})


del Systemd  # it has no tests of its own

if __name__ == "__main__":
    foreign.own_mounts()
    harness.main()

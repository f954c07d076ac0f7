"""Proxies in the way of a network namespace of somebody else: the way heals whoever dies, and what
others have there is never touched. SHOWS lines are read by tests/shown.py.
"""
import glob
import os
import shutil
import signal
import socket
import struct
import subprocess
import unittest

import foreign
import harness
import test_attached
from foreign import Inside, journals, run, undo
from harness import Drill, kill_both, processes_of, wait_until

DNS = """
  - {id: lie, at: 200ms, %sdns: {host: edge, nxdomain: true, names: ["*.shop.test"]}}"""
HTTP = """
  - {id: way, at: 200ms, %shttp: {host: edge, port: 8080, status: 503, paths: [/pay]}}"""
TLS = """
  - {id: cert, at: 200ms, %stls: {host: edge, port: 8443, certificate: expired}}"""
PEER = os.path.join(harness.SOURCE, "tests", "lab", "proxy_peer.py")
QUERY = (struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\1a\4shop\4test\0" +
         struct.pack(">HH", 1, 1))


class Proxies(test_attached.Attached):
    def tables(self):
        with Inside(self.pair.edge):
            return [l.split()[2] for l in run("nft", "list", "tables").splitlines()
                    if l.split()[2].startswith("blackstart")]

    def rcode(self):
        """Of a query from inside; nobody listens there, so without a proxy it is refused."""
        with Inside(self.pair.edge), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(2)
            s.connect(("127.0.0.1", 53))
            s.send(QUERY)
            try:
                return s.recv(512)[3] & 15
            except ConnectionRefusedError:
                return "refused"

    def status(self, path):
        """The server there is none of HTTP: what is not hit is echoed."""
        with Inside(self.pair.far), socket.create_connection(("10.99.0.1", 8080), 5) as s:
            s.sendall(b"GET %s HTTP/1.1\r\nHost: edge\r\n\r\n" % path.encode())
            return s.recv(100).split(b"\r\n")[0].decode()

    def test_queries_are_answered_wrongly(self):
        """SHOWS dns: netns: applied verified undone"""
        d = self.drill(DNS % "for: 300ms, ").run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.assertTrue(d.events("undo")[0]["ok"], d.explain())
        clean = d.events("clean")[-1]
        self.assertEqual((clean["clean"], clean["left"], clean["others"]), (True, [], []))
        self.as_before()
        self.nothing_left(d)

    def test_two_in_one_way_are_refused(self):
        """SHOWS dns: netns: refused"""
        d = self.drill(DNS % "for: 300ms, " + """
  - {id: again, at: 300ms, dns: {host: edge, drop: true}}""").run()
        self.assertEqual(d.code, 4, d.explain())
        refused, = d.events("inject", step="again")
        self.assertFalse(refused["ok"])
        self.assertIn("one of ours stands in this way already (table blackstart-dns)", d.explain())
        self.as_before()
        self.nothing_left(d)

    def test_queries_go_their_way_when_all_are_killed(self):
        """SHOWS dns: netns: undone-after-kill"""
        self.assertEqual(self.rcode(), "refused")
        d = self.in_force(down=False, script=DNS % "")
        self.assertEqual(self.tables(), ["blackstart-dns"])
        self.assertEqual(self.rcode(), 3)
        self.kill_all(d, down=False)
        self.assertEqual(self.tables(), [])
        self.assertEqual(self.rcode(), "refused")
        self.assertEqual(len(journals()), 1)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.as_before()
        self.nothing_left(d)

    def test_requests_are_answered_in_the_servers_place(self):
        """SHOWS http: netns: applied verified undone undone-after-kill"""
        self.assertEqual(self.status("/pay"), "GET /pay HTTP/1.1")
        d = self.in_force(down=False, script=HTTP % "")
        self.assertEqual(self.tables(), ["blackstart-port-8080"])
        self.assertEqual(self.status("/pay"), "HTTP/1.1 503 Service Unavailable")
        self.assertEqual(self.status("/other"), "GET /other HTTP/1.1")
        self.assertTrue(self.pair.connection_lives())  # from before the fault
        self.kill_all(d, down=False)
        self.assertEqual(self.tables(), [])
        self.assertEqual(self.status("/pay"), "GET /pay HTTP/1.1")
        self.assertEqual(undo()[0], 0)
        self.as_before()
        self.nothing_left(d)

    def serve_tls(self):
        folder = harness.folder()
        self.addCleanup(shutil.rmtree, folder)
        server = subprocess.Popen(["ip", "netns", "exec", self.pair.edge, "python3", PEER, "tls-server",
                                   "8443"], cwd=folder)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        with Inside(self.pair.edge):
            wait_until(lambda: ":8443 " in run("ss", "-Hltn"))

    def certificate(self):
        """As a client sees it; half a megabyte came back the same."""
        with Inside(self.pair.far):
            return run("python3", PEER, "tls-ask", "10.99.0.1", "8443").strip()

    def test_a_bad_certificate_is_shown(self):
        """SHOWS tls: netns: applied verified undone undone-after-kill"""
        good, bad = ("second same subject=CN = shop.test Certificate will " + w
                     for w in ("not expire", "expire"))
        self.serve_tls()
        self.assertEqual(self.certificate(), good)
        d = self.in_force(down=False, script=TLS % "for: 300ms, ")
        self.assertEqual(self.tables(), ["blackstart-port-8443"])
        self.assertEqual(self.certificate(), bad)
        self.halt.go()
        d.finish()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.assertTrue(d.events("undo")[0]["ok"], d.explain())
        self.assertEqual(self.certificate(), good)
        self.as_before()
        d = self.in_force(down=False, script=TLS % "")
        self.kill_all(d, down=False)
        self.assertEqual(self.tables(), [])
        self.assertEqual(self.certificate(), good)
        self.assertEqual(undo()[0], 0)
        self.as_before()
        self.nothing_left(d)

    def test_a_dead_proxy_makes_the_trial_void(self):
        d = self.in_force(down=False, script=DNS % "for: 300ms, ")
        proxy = wait_until(lambda: [p for p, name in processes_of(d.token) if name == "bs-proxy"])[0]
        os.kill(proxy, signal.SIGKILL)
        wait_until(lambda: not self.tables())
        self.halt.go()
        d.finish()
        self.assertTrue(d.events("fault-gone") or not d.events("verify")[0]["ok"], d.explain())
        self.assertEqual(d.code, 4, d.explain())
        self.as_before()
        self.nothing_left(d)


LAB = """
blackstart: 1
name: ways
services:
  web: {rto: 500ms}
networks:
  net: {subnet: 10.7.0.0/24}
hosts:
  client: {lab: {address: 10.7.0.9}}
  db: {lab: {address: 10.7.0.2}}
  web:
    lab: {address: 10.7.0.1}
    files: [stampd, proxy_peer.py]
    start: [./stampd --port 8080, python3 proxy_peer.py tls-server 8443]
    ready: {tcp: "8443"}
probes:
  web: {service: web, host: client, tcp: "10.7.0.1:8080", every: 25ms, timeout: 60ms, stable: 100ms}
script:
  - {id: lie, at: 100ms, dns: {host: web, nxdomain: true}}
  - {id: page, at: 150ms, http: {host: web, port: 8080, status: 503}}
  - {id: cert, at: 200ms, tls: {host: web, port: 8443, certificate: expired}}
  - {id: late, at: 250ms, clock: {host: web, offset: +2h}}
  - {id: fast, at: 270ms, clock: {host: client, rate: 120%}}
  - {id: power, at: 300ms, node-kill: {host: db}}
settle: 100ms
horizon: 30s
"""


class InALab(unittest.TestCase):
    def test_after_runner_and_warden_died(self):
        """What stands in the ways of a lab dies with it.

        SHOWS http: lab: undone-after-kill
        SHOWS tls: lab: undone-after-kill
        SHOWS clock: lab: undone-after-kill
        SHOWS clock (rate): lab: undone-after-kill
        SHOWS node-kill: lab: undone-after-kill"""
        if not glob.glob("/usr/lib/*/faketime/libfaketime*.so*"):
            self.skipTest("libfaketime is not installed")
        d = Drill(LAB)
        self.addCleanup(d.remove)
        shutil.copy(PEER, d.base)
        before = harness.machine()
        d.start()
        steps = ["lie", "page", "cert", "late", "fast", "power"]
        d.tail(lambda e: e["kind"] == "verify" and e["step"] == steps[-1])
        wait_until(lambda: len(d.events("verify")) == len(steps))
        self.assertEqual(sorted((e["step"], e["ok"]) for e in d.events("verify")),
                         sorted((s, True) for s in steps), d.explain())
        self.assertEqual(len([p for p, name in processes_of(d.token) if name == "bs-proxy"]), 3)
        kill_both(d)
        wait_until(lambda: not processes_of(d.token))
        self.assertEqual(processes_of(d.token), [])
        self.assertEqual((harness.machine(), journals()), (before, []))


if __name__ == "__main__":
    if os.geteuid() != 0:
        harness.skip(harness.NEEDS_ROOT)
    harness.need_programs("ip", "tc", "nft")
    foreign.own_mounts()
    harness.main()

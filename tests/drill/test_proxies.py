"""Proxies in the way of a network namespace of somebody else: the way heals whoever dies, and what
others have there is never touched. SHOWS lines are read by tests/shown.py.
"""
import os
import signal
import socket
import struct

import foreign
import harness
import test_attached
from foreign import Inside, journals, run, undo
from harness import processes_of, wait_until

DNS = """
  - {id: lie, at: 200ms, %sdns: {host: edge, nxdomain: true, names: ["*.shop.test"]}}"""
HTTP = """
  - {id: way, at: 200ms, %shttp: {host: edge, port: 8080, status: 503, paths: [/pay]}}"""
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


if __name__ == "__main__":
    if os.geteuid() != 0:
        harness.skip(harness.NEEDS_ROOT)
    harness.need_programs("ip", "tc", "nft")
    foreign.own_mounts()
    harness.main()

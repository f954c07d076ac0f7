"""Reverts that lie: they say that all was put back, and it is not. Whatever a fault had its hands on is looked at
in the end, so the drill is not clean, and says what is not back; what others changed beside it is theirs.

A revert is made to lie from outside: a `custom` fault's own does, and of the others what they put back is
taken away again while the runner stands still between the end of its last trial and its comparison.
"""
import os
import resource
import signal
import unittest

import foreign
import harness
import test_attached
import test_processes
from foreign import Inside, journals, run, undo
from halt import halted
from harness import Drill, kill_both, wait_until

FAULTS = """
  - {id: gone, at: 60ms, for: 20ms, address: {host: edge, device: e0, address: "fd99::1/64"}}
  - {id: lost, at: 110ms, for: 60ms, route: {host: edge, to: 192.168.7.0/24}}
  - {id: way, at: 140ms, for: 60ms, http: {host: edge, port: 8080, status: 503}}
  - {id: cut, at: 170ms, for: 60ms, partition: {host: edge, peers: [10.99.0.2], port: 9}}
  - {id: slow, at: 200ms, for: 60ms, network: {host: edge, device: e0, delay: 10ms, to: 10.99.0.2, engine: user}}"""
LIE = """
  - {id: own, at: 100ms, custom: {host: edge, undo: "true", verify: "true",
      command: "ip rule add from 10.66.0.1 lookup 77 priority 600; ip route del 192.168.7.0/24"}}"""


def over(e, state):
    return e["kind"] == "trial-end"


class Networks(test_attached.Attached):
    def not_clean(self, clean, *words):
        self.assertFalse(clean["clean"], clean)
        for word in words:
            self.assertTrue([t for t in clean["left"] if word in t], (word, clean))

    def test_what_is_not_back_is_ours(self):
        d = self.drill(FAULTS, horizon="1s").start()
        halt = halted(d, wanted=over)
        changes = str([e["changes"] for e in d.events("inject")])
        self.assertEqual([e["ok"] for e in d.events("undo")], [True] * 5, d.explain())
        table = changes.split("(table inet ")[1].split(")")[0]
        with Inside(self.pair.edge):
            run("ip", "address", "del", "fd99::1/64", "dev", "e0")
            run("ip", "route", "del", "192.168.7.0/24")
            run("ip", "link", "set", "e0", "mtu", "1400")
            run("ip", "link", "add", "bs77a", "type", "veth", "peer", "name", "bs77b")
            run("nft", "add", "table", "inet", table)
            run("nft", "add", "table", "inet", "blackstart-port-8080")
            run("nft", "add", "table", "inet", "later")  # somebody else's
            run("ip", "route", "add", "192.168.66.0/24", "dev", "lo")
            run("ip", "rule", "del", "priority", "500")
        halt.go()
        d.finish()
        self.assertEqual(d.code, 6, d.explain())
        clean = d.events("clean")[-1]
        self.not_clean(clean, "host edge: not back: address inet6 dev=e0",
                       "host edge: not back: route inet to-len=24", "name=" + table,
                       "name=blackstart-port-8080", "name=bs77a", "not back: link type=1")
        self.assertNotIn("later", str(clean["left"]))
        for word in ("name=later", "192.168.66.0", "gone: rule"):
            self.assertIn(word, str(clean["others"]))
            self.assertNotIn(word, str(clean["left"]))
        harness.check_record(d.record)
        self.nothing_left(d)

    def test_the_wardens_revert(self):
        d = self.drill(LIE).start()
        halted(d).kill()
        d.finish()
        self.nothing_left(d)
        self.assertEqual([e["ok"] for e in d.events("undo", cause="warden")], [True])
        self.not_clean(d.events("clean")[-1], "new: rule inet", "not back: route inet to-len=24")

    def test_the_revert_of_undo(self):
        d = self.drill(LIE).start()
        kill_both(d, halted(d))
        with Inside(self.pair.edge):
            run("nft", "add", "table", "inet", "before")  # with a custom fault nobody knows whose
        code, text = undo()
        self.assertEqual(code, 6, text)
        for word in ("NOT BACK: host edge: new: rule inet", "NOT BACK: host edge: not back: route inet",
                     "step own, custom: undone"):
            self.assertIn(word, text)
        self.assertEqual(journals(), [])
        self.assertEqual(undo(), (0, "nothing to undo\n"))

    def test_after_undo_what_others_changed_is_theirs(self):
        d = self.in_force()
        self.kill_all(d)
        with Inside(self.pair.edge):
            run("nft", "add", "table", "inet", "later")
            run("ip", "rule", "del", "priority", "500")
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertNotIn("NOT BACK", text)
        self.nothing_left(d)


class Processes(test_processes.Processes):
    SCRIPT = """
  - {id: hang, at: 50ms, for: 60ms, stop: {host: shop}}
  - {id: few, at: 150ms, for: 60ms, pressure: {host: shop, files: {leave: 2}}}
  - {id: still, at: 250ms, for: 60ms, freeze: {host: shop, expect: 3}}"""

    def test_what_is_not_back_is_named(self):
        d = self.drill(self.SCRIPT, horizon="700ms").start()
        halt = halted(d, wanted=over)
        self.assertEqual([e["ok"] for e in d.events("undo")], [True] * 3, d.explain())
        changes = str([e["changes"] for e in d.events("undo")])
        group = changes.split("control group ")[1].split(" ")[0]
        soft, hard = resource.prlimit(self.shop.first[1], resource.RLIMIT_NOFILE)
        os.kill(self.shop.first[0], signal.SIGSTOP)
        resource.prlimit(self.shop.first[1], resource.RLIMIT_NOFILE, (soft - 1, hard))
        os.mkdir(group)
        halt.go()
        d.finish()
        os.rmdir(group)
        os.kill(self.shop.first[0], signal.SIGCONT)
        self.assertEqual(d.code, 6, d.explain())
        clean = d.events("clean")[-1]
        self.assertFalse(clean["clean"])
        left = "\n".join(clean["left"])
        for word in ("process %d (%s) is still stopped" % (self.shop.first[0], self.shop.name),
                     "process %d (%s) may still open fewer files" % (self.shop.first[1], self.shop.name),
                     "control group %s, which a fault made, is still there" % group):
            self.assertIn(word, left)
        self.nothing_left(d)

    def test_what_was_started_again_and_ended(self):
        d = self.drill(test_processes.KILL % ("for: 60ms, ", ""),
                       more=", start: [%s]" % harness.json.dumps(self.shop.command())).start()
        halt = halted(d, wanted=over)
        wait_until(lambda: len(self.shop.pids()) == 3)
        for pid in self.shop.pids():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.shop.pids())
        halt.go()
        d.finish()
        clean = d.events("clean")[-1]
        self.assertIn("host shop, which a fault ended, does not run", clean["left"], d.explain())
        self.assertEqual((d.code, clean["clean"]), (6, False))
        self.nothing_left(d)


if __name__ == "__main__":
    if os.geteuid() != 0:
        harness.skip(harness.NEEDS_ROOT)
    harness.need_programs("ip", "tc", "nft")
    foreign.own_mounts()
    harness.main()

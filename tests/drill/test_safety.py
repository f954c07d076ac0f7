"""What comes out of servers is only text, and what a lab does stays in the lab: nothing that a host
prints, copies or writes may reach beyond it."""
import os
import unittest

import harness
from harness import Drill

LOUD = r"""printf 'gr\303\274n \377\376 cut \342\202 \033[31m bell\007\n'
sleep 1
printf 'bad \377 \033[31m\n'
"""


def drill(test, server, extra="", script=" []", host="", files=(), options=()):
    """A host `h` that runs this shell script; `files`: made beside the scenario."""
    d = Drill("""
blackstart: 1
name: safety
services:
  svc: {rto: 1s}
networks:
  net: {subnet: 10.78.0.0/24}
hosts:
  h: {lab: {address: 10.78.0.1}, files: [server.sh%s], %sstart: ["/bin/sh server.sh"]}
probes:
  up:
    service: svc
    host: h
    exec: "true"
    every: 100ms
    timeout: 200ms
    up_after: 2
    stable: 200ms
%sscript:%s
settle: 200ms
horizon: 3s
""" % ("".join(", " + f for f in files), host, extra, script), *options)
    test.addCleanup(d.remove)
    harness.write(os.path.join(d.base, "server.sh"), server)
    return d


class Text(unittest.TestCase):
    def test_bytes_that_are_not_text_lose_no_event(self):
        d = drill(self, LOUD + "exec sleep 100\n", """alarms:
  shout: {service: svc, log: {host: h, output: sh, match: bad}, role: automation}
""", r"""
  - id: bytes
    at: 300ms
    run:
      host: h
      command: |
        printf 'a\000b\377\033[2J'
        cp /bin/sleep "$(printf 'x\377y')"
        ./"$(printf 'x\377y')" 100 > /dev/null 2>&1 &
  - id: killed
    at: 900ms
    kill: {host: h, process: sleep}
""", options=["-v"]).run()
        self.assertIn(d.code, (0, 1, 4), d.explain())
        harness.check_record(d.record)
        out = [e["output"] for e in d.events("action", event="end")]
        self.assertEqual(out, ["a?b??[2J"])
        self.assertTrue(d.events("alarm", alarm="shout", event="onset"), d.explain())
        self.assertEqual(d.events("alarm", event="onset")[0]["detail"], "bad ? ?[31m")
        self.assertNotIn("\033[2J", d.stderr + d.stdout)

    def test_last_lines_of_a_failed_server_cannot_write_on_the_terminal(self):
        d = drill(self, LOUD + "exit 9\n", host="ready: {tcp: 9, within: 5s}, ",
                  options=["-v"]).run()
        self.assertEqual(d.code, 3, d.explain())
        self.assertIn("bad ?", d.stderr)
        for c in "\033\a":
            self.assertNotIn(c, d.stderr + d.stdout)


class Machine(unittest.TestCase):
    def test_root_of_a_host_cannot_change_the_machine(self):
        marker = "/etc/blackstart-test-%d" % os.getpid()
        d = drill(self, """
try() { "$@" > /dev/null 2>&1 && echo "DID $*" || echo "not $*"; }
try touch %s
try touch /usr/blackstart-test
try touch %s/here
try cp /dev/null /proc/sysrq-trigger
try sh -c 'cat /proc/sys/vm/swappiness > /proc/sys/vm/swappiness'
try sh -c 'date -s "$(date)"'
try mknod node b 7 0
try dmesg
try sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
try sh -c 'echo x > /dev/null'
try sh -c 'cd /run/h; touch a; for d in /tmp /var/tmp /run /var/lib /var/log /dev/shm; do touch $d/a || exit 1; done'
try chown 1:1 a
try script -qec true /dev/null
exec sleep 100
""" % (marker, os.path.dirname(os.path.abspath(__file__)))).run()
        self.assertEqual(d.code, 0, d.explain())
        with open(os.path.join(d.out, "logs", "h-sh.log")) as f:
            lines = f.read().splitlines()
        self.assertFalse(os.path.exists(marker))
        done = [l.split()[1] for l in lines if l.startswith("DID")]
        self.assertEqual(len(lines), 13)
        self.assertEqual(lines[:8], [l for l in lines if l.startswith("not")][:8], lines)
        self.assertEqual([l[:3] for l in lines[8:12]], ["DID"] * 4, lines)

    def test_links_in_the_folder_of_the_scenario_reach_nothing_outside(self):
        d = drill(self, "exec sleep 100\n", files=("d", "d/victim"))
        outside = os.path.join(d.base, "outside")
        os.mkdir(outside)
        harness.write(os.path.join(outside, "victim"), "keep")
        source = os.path.join(d.base, "source")
        os.mkdir(source)
        for f in ("server.sh", "scenario.yaml"):
            os.rename(os.path.join(d.base, f), os.path.join(source, f))
        os.symlink(outside, os.path.join(source, "d"))
        d.scenario = os.path.join(source, "scenario.yaml")
        d.run()
        self.assertEqual(d.code, 2, d.explain())
        self.assertIn("d/victim leads out of its folder by a symbolic link", d.stderr)
        with open(os.path.join(outside, "victim")) as f:
            self.assertEqual(f.read(), "keep")


if __name__ == "__main__":
    harness.main()

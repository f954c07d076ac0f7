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


if __name__ == "__main__":
    harness.main()

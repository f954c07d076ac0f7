"""What comes out of servers is only text, and what a lab does stays in the lab: nothing that a host
prints, copies or writes may reach beyond it."""
import os
import signal
import socket
import subprocess
import time
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
        self.assertEqual(d.code, 4, d.explain())  # the kill did not reach what `true` tells of
        harness.check_record(d.record)
        out = [e["output"] for e in d.events("action", event="end")]
        self.assertEqual(out, ["a?b??[2J"])
        self.assertTrue(d.events("alarm", alarm="shout", event="onset"), d.explain())
        self.assertEqual(d.events("alarm", event="onset")[0]["detail"], "bad ? ?[31m")
        self.assertNotIn("\033[2J", d.stderr + d.stdout)

    def test_what_is_set_must_be_text(self):
        d = drill(self, "exec sleep 100\n", options=["--set", b"x=a\xffb"])
        r = subprocess.run(d.argv(), capture_output=True, timeout=60)
        self.assertEqual(r.returncode, 2, r)
        self.assertIn(b"--set x=a?b: this holds bytes that are not UTF-8", r.stderr)

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


class Others(unittest.TestCase):
    """Other users of the machine, and what whoever started us left set."""

    def as_nobody(self, name, serve):
        """Runs serve(socket) as uid 65534, on this abstract name or connected to it."""
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                s.settimeout(10)
                code = serve(s, "\0" + name, lambda: os.write(w, b"x"))
            finally:
                os._exit(code or 0)
        os.close(w)
        self.addCleanup(os.close, r)
        return pid, r

    @unittest.skipUnless(os.geteuid() == 0, harness.NEEDS_ROOT)
    def test_somebody_elses_socket_is_no_drill_of_ours(self):
        def serve(s, name, ready):
            s.bind(name)
            s.listen(1)
            ready()
            c, _ = s.accept()
            c.send(b'{"ok":true,"pid":%d}' % os.getpid())

        name = "blackstart.0.fake%d" % os.getpid()
        pid, ready = self.as_nobody(name, serve)
        self.assertEqual(os.read(ready, 1), b"x")
        r = subprocess.run([harness.BLACKSTART, "shell", "h", "--run", name.split(".")[-1], "--",
                            "true"], capture_output=True, text=True, timeout=30)
        os.waitpid(pid, 0)
        self.assertEqual(r.returncode, 3, r)
        self.assertIn("is served by another user (uid 65534)", r.stderr)

    @unittest.skipUnless(os.geteuid() == 0, harness.NEEDS_ROOT)
    def test_strangers_are_refused_at_once(self):
        d = drill(self, "exec sleep 100\n").start()
        self.addCleanup(d.end)
        run_id = d.tail(lambda e: e["kind"] == "run-start")["id"]
        d.tail(lambda e: e["kind"] == "state" and e["state"] == "observe")

        def ask(s, name, ready):
            for _ in range(20):  # silent: none may be waited for
                c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                c.settimeout(10)
                c.connect(name)
                with c:
                    if b"belongs to another user" not in c.recv(1000):
                        return 2
            ready()
            return 0

        began = time.monotonic()
        pid, ready = self.as_nobody("blackstart.0." + run_id, ask)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertLess(time.monotonic() - began, 3.5)  # waited for: 20 x 200 ms
        d.finish()
        self.assertEqual(d.code, 0, d.explain())

    @unittest.skipUnless(os.geteuid() == 0, harness.NEEDS_ROOT)
    def test_root_writes_into_nobody_elses_folder(self):
        d = drill(self, "exec sleep 100\n")
        os.mkdir(d.out)
        os.chown(d.out, 65534, 65534)
        d.run()
        self.assertEqual(d.code, 2, d.explain())
        self.assertIn("belongs to another user (uid 65534)", d.stderr)
        self.assertEqual(os.listdir(d.out), [])

    def test_what_was_ignored_or_open_to_all_is_not_inherited(self):
        def before():
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD])
            os.umask(0)

        d = drill(self, "exec sleep 100\n")
        r = subprocess.run(d.argv(), capture_output=True, text=True, preexec_fn=before, timeout=60)
        self.assertEqual(r.returncode, 0, r)
        for f in ("record.ndjson", "result.json", "report.html", "logs", "files"):
            self.assertEqual(os.stat(os.path.join(d.out, f)).st_mode & 0o022, 0, f)

    def test_a_reader_that_goes_away_ends_no_drill(self):
        d = drill(self, "exec sleep 100\n")
        p = subprocess.Popen(d.argv(), stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        p.stderr.readline()
        p.stderr.close()
        p.stdout.read()
        self.assertEqual(p.wait(60), 0)
        p.stdout.close()
        self.assertEqual([e["status"] for e in d.events("run-end")], ["completed"])


if __name__ == "__main__":
    harness.main()

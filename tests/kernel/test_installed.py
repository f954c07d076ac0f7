"""Where systemd is process 1 and starts what a package enables: of what install-quietly.sh has installed
nothing runs, and nothing will at the next start of the machine; what an administrator had before runs on.
"""
import os
import re
import subprocess
import sys
import unittest

SOURCE = os.environ["BLACKSTART_SOURCE"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "drill"))
import harness
from foreign import run

INSTALL = os.path.join(SOURCE, "tests", "install-quietly.sh")
RUN_UNITS, ETC_UNITS = "/run/systemd/system", "/etc/systemd/system"
TARGETS = ("multi-user", "sockets", "timers")
STATE = ("ActiveState", "UnitFileState", "MainPID", "InvocationID")


def services():
    """What debian.sh tells of its own packages, and the same of those that it does not install."""
    with open(os.path.join(SOURCE, "tests", "debian.sh")) as f:
        text = re.search(r"^services='([^']*)'", f.read(), re.M)[1]
    return text + (" uuid-runtime:uuidd uuid-runtime:uuidd.socket anacron:anacron anacron:anacron.timer"
                   " logrotate:logrotate.timer")


def install(*argv):
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise AssertionError("%s: exit code %d\n%s" % (" ".join(argv), done.returncode, done.stdout))


def shown(unit, *properties):
    text = run("systemctl", "show", unit, "-p", ",".join(properties))
    return dict(line.split("=", 1) for line in text.splitlines())


def units_of(*packages):
    files = run("dpkg-query", "-L", *packages).splitlines()
    return {os.path.basename(f) for f in files
            if re.search(r"/systemd/system/[^/]+\.(service|socket|timer|path)$", f)}


class Quiet(unittest.TestCase):
    def drop_in(self, unit, line):
        folder = os.path.join(RUN_UNITS, unit + ".d")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "test.conf"), "w") as f:
            f.write("[Unit]\n%s\n" % line)
        self.addCleanup(os.unlink, f.name)

    def prepare(self, theirs):
        """Units do without sysinit.target, which would bring up all of a machine. Targets are known to
        systemd, as they are on a machine that is up."""
        self.addCleanup(run, "systemctl", "daemon-reload")
        for kind in ("service", "socket", "timer"):
            self.drop_in(kind, "DefaultDependencies=no")
        self.drop_in(theirs, "After=" + " ".join(t + ".target" for t in TARGETS))

    def quietly(self, theirs, packages, expected):
        """install-quietly.sh with all these packages, of which the first has the service `theirs`; the
        others bring `expected` and maybe more."""
        self.addCleanup(run, "systemctl", "stop", theirs)
        before = shown(theirs, *STATE)
        self.assertEqual((before["ActiveState"], before["UnitFileState"]), ("active", "enabled"))
        install("sh", INSTALL, services(), *packages)
        self.assertEqual(shown(theirs, *STATE), before)
        self.assertFalse(os.path.lexists("/usr/sbin/policy-rc.d"))
        units = units_of(*packages[1:])
        self.assertLessEqual(expected, units)
        self.none_runs(sorted(units))
        self.none_will(sorted(units))

    def none_runs(self, units):
        names = [u.replace("@.", "@*.") for u in units]
        self.assertEqual(run("systemctl", "list-units", "-q", "--all", "--state=active,activating,failed",
                             *names), "")

    def none_will(self, units):
        enabled = run("systemctl", "is-enabled", *units, ok=False).split()
        self.assertEqual(len(enabled), len(units))
        self.assertLessEqual(set(enabled), {"disabled", "static", "indirect"}, dict(zip(units, enabled)))
        # as systemd has it in mind
        wanted = run("systemctl", "show", "-p", "Wants,Requires", *(t + ".target" for t in TARGETS))
        self.assertEqual([u for u in units if u in re.split(r"[=\s]", wanted)], [])
        scripts = {u.rsplit(".", 1)[0] for u in units}
        for level in "2345":
            links = os.listdir("/etc/rc%s.d" % level)
            self.assertEqual([l for l in links if l[0] == "S" and l[3:] in scripts], [])

    def could(self, *units):
        """It was not for another reason that they did not run."""
        self.addCleanup(run, "systemctl", "stop", *units)
        run("systemctl", "start", *units)
        self.assertEqual(run("systemctl", "is-active", *units).split(), ["active"] * len(units))


class Beside(Quiet):
    """A server that is there, was enabled by hand and runs."""

    def test_servers_do_not_run_and_what_ran_before_does(self):
        link = os.path.join(ETC_UNITS, "multi-user.target.wants", "nginx.service")
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink("/lib/systemd/system/nginx.service", link)
        self.prepare("nginx.service")
        run("systemctl", "daemon-reload")
        run("systemctl", "start", "nginx.service")
        self.quietly("nginx.service", ("nginx-light", "keepalived", "uuid-runtime"),
                     {"keepalived.service", "uuidd.service", "uuidd.socket"})
        self.could("uuidd.socket")


class All(Quiet):
    """A server whose own package starts it: the guest's systemd and packages do here what they do on any
    machine."""

    def test_servers_do_not_run_and_what_ran_before_does(self):
        self.prepare("redis-server.service")
        install("apt-get", "-q", "update")
        install("apt-get", "-q", "install", "-y", "--no-install-recommends", "redis-server")
        self.quietly("redis-server.service",
                     ("redis-server", "nginx-light", "nginx-common", "keepalived", "uuid-runtime",
                      "anacron", "logrotate"),
                     {"nginx.service", "keepalived.service", "uuidd.service", "uuidd.socket",
                      "anacron.service", "anacron.timer", "logrotate.timer"})
        self.could("nginx.service", "uuidd.socket", "logrotate.timer")


if __name__ == "__main__":
    unittest.main(testRunner=harness.TapRunner)  # no drill: nothing of what main() asks for is needed

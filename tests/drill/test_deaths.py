"""The kill matrix over containers of a real docker and a real podman, and over processes of others.
"""
import json
import os
import re
import secrets
import threading

import deaths
import engines
import foreign
import harness
import test_containers
import test_processes
from deaths import Fault
from foreign import run
from harness import wait_until
from test_kill import cgroup2, members

tearDownModule = test_containers.tearDownModule
THEIRS = "table inet theirs { counter passed { }; chain in { type filter hook input priority 5; policy accept; " \
    "tcp dport 9 counter name \"passed\" drop; }; }"
MAC = re.compile("(?m)^[0-9]+:|@if[0-9]+|([0-9a-f]{2}:){5}..")  # they differ each time
ABSENT = r"container db-1 does not run \((exited|stopped)\): start it first"


def patient(scene):
    """What a busy machine does to probes is no fault."""
    return re.sub("rto: [0-9]+ms", "rto: 300ms", scene).replace("timeout: 60ms", "timeout: 100ms")


class Containers(deaths.Deaths, test_containers.Containers):
    """SHOWS link: container: undone-after-kill"""
    FAULTS = {
        "ended": Fault("kill: {host: db}", "started again by ", lasts=True, anew=True, absent=ABSENT),
        "down": Fault("shutdown: {host: db, timeout: 1s}", "started again by ", lasts=True, anew=True, absent=ABSENT),
        "frozen": Fault("freeze: {host: db}", "unpaused", lasts=True, noticed=True),
        "full": Fault("pressure: {host: db, disk: {path: /dev/shm, leave: 40MB}}", "removed"),
        "slow": Fault("network: {host: db, device: eth0, delay: 400ms, engine: user}", "device eth0",
                      helper="blackstart-imp", noticed=True),
        "cut": Fault("partition: {host: db, peers: [10.99.99.99]}", "gone with its owner|deleted", heals=True),
        "cable": Fault("link: {host: db, device: eth0, down: true}", "device eth0 up"),
        "page": Fault("http: {host: db, port: 80, status: 503}", "proxy|undone$|^$", helper="bs-proxy", heals=True),
    }

    def setUp(self):
        super().setUp()
        if "theirs" not in run(*self.inside, "nft", "list", "tables"):
            for into in (self.inside, ["nsenter", "--net=/proc/%d/ns/net" % self.e.pid("other")]):
                run(*into, "nft", THEIRS)
        self.before = self.others()

    def others(self):
        found = super().others()
        for place, into in (("machine", self.inside),
                            ("other", ["nsenter", "--net=/proc/%d/ns/net" % self.e.pid("other")])):
            found["nft of " + place] = run(*into, "nft", "list", "table", "inet", "theirs", ok=False)
        return found

    def state(self):
        found = (self.e.seen("db-1") or {"State": {"Status": None}})["State"]
        runs, pid = found["Status"], found.get("Pid")
        if runs not in ("running", "paused"):
            return runs
        try:
            room = os.statvfs("/proc/%d/root/dev/shm" % pid).f_bavail
        except FileNotFoundError:
            return "ending"
        return [runs, room, MAC.sub("", engines.run(
            "nsenter", "--net=/proc/%d/ns/net" % pid, "sh", "-c", "ip -o link show eth0; tc qdisc show dev eth0; "
            "tc filter show dev eth0 egress; nft list ruleset", ok=False))]

    def identity(self):
        found = self.e.inspect("db-1")
        return found["Id"], found["State"]["Pid"]

    WAYS = {"replaced": ["inject", "observe", "undo"], "restarted": ["inject", "observe", "undo"]}

    def scene(self, *args, **kwargs):
        return patient(super().scene(*args, **kwargs))

    def replaced(self, fault, state):
        """By another one with its name."""
        self.other_target(fault, state, self.replace)

    def restarted(self, fault, state):
        """The engine itself goes, and is back a while after undoing may have begun."""
        d = self.begin(fault, state)
        self.e.stop()
        back = threading.Timer(0.3, self.e.start)
        back.start()
        self.addCleanup(back.join)
        self.halt.go()
        d.finish()
        back.join()
        self.ends(d, self.undisturbed(d), "completed")

    def take_away(self):
        self.e.client("rm", "--force", "db-1")

    def renew(self):
        self.e.client("rm", "--force", "db-1", ok=False)
        self.e.container("db-1", "--label", "app=db-1", command=test_containers.SERVE)


class Docker(Containers):
    pass


class Podman(Containers):
    kind = engines.Podman


class DockerAtRandom(deaths.AtRandom, Containers):
    KILLS = 8


class PodmanAtRandom(deaths.AtRandom, Containers):
    kind, KILLS = engines.Podman, 6


class Shops(deaths.Deaths):
    SERVICE = "shop"

    def scene(self, *args, **kwargs):
        return patient(super().scene(*args, **kwargs))

    def state(self):
        """Nobody, where they have ended."""
        pids = self.shop.pids()
        if not pids:
            return None
        with open("/proc/%d/cgroup" % pids[0]) as f:
            group = f.read()
        return [self.shop.states() - {"S", "R", "D"}, len(pids), group]

    def identity(self):
        return self.shop.pids()

    def take_away(self):
        self.shop.end()

    def renew(self):
        self.shop.end()
        self.shop.begin()

    def nothing_left(self, d):
        super().nothing_left(d)
        self.others_as_before()


class Plain(Shops, test_processes.Processes):
    """In the network of this machine, and a control group of their own; a command starts them again, there."""
    FAULTS = {
        "ended": Fault("kill: {host: shop, expect: 3}", "started again", anew=True, absent="there is no process with"),
        "hung": Fault("stop: {host: shop}", "SIGCONT to ", noticed=True),
    }

    def setUp(self):
        super().setUp()
        self.group = None
        if cgroup2():
            self.group = os.path.join(cgroup2(), "theirs-" + secrets.token_hex(6))
            os.mkdir(self.group)
            self.addCleanup(self.leave_group)
            self.renew()

    def leave_group(self):
        self.shop.end()
        wait_until(lambda: not members(self.group))
        os.rmdir(self.group)

    def renew(self):
        self.shop.end()
        if self.group:
            deaths.entered(self.group, self.shop.begin)
        else:
            self.shop.begin()

    def drill(self, script, **kwargs):
        more = ", start: %s" % json.dumps(self.shop.command())
        return test_processes.Processes.drill(self, script, more=more, **kwargs)


class Apart(Shops, test_processes.Apart):
    """With a network, files and disk space of their own."""
    FAULTS = {
        "frozen": Fault("freeze: {host: shop}", "thawed", noticed=True),
        "full": Fault("pressure: {host: shop, disk: {path: /mnt, leave: 270MB}}", "removed"),
        "slow": Fault("network: {host: shop, device: d0, delay: 30ms, engine: user}", "device d0",
                      helper="blackstart-imp"),
        "cut": Fault("partition: {host: shop, peers: [10.98.0.9]}", "gone with its owner|deleted", heals=True),
        "page": Fault("http: {host: shop, port: %(port)d, status: 503}", "proxy|undone$|^$", helper="bs-proxy",
                      heals=True),
    }

    def drill(self, script, **kwargs):
        return test_processes.Processes.drill(self, script % {"port": self.shop.port},
                                              process="{name: %s}" % self.shop.name, **kwargs)

    def connect(self):
        super().connect()
        run("ip", "netns", "exec", self.netns, "nft", THEIRS)

    def state(self):
        found = super().state()
        if found:
            found.append(os.statvfs("/proc/%d/root/mnt" % self.shop.pids()[0]).f_bavail)
            found.append(MAC.sub("", run("ip", "netns", "exec", self.netns, "sh", "-c", "ip address show d0; "
                                         "ip -br link; ip route; ip rule; nft list ruleset; tc qdisc; "
                                         "tc filter show dev d0 egress")))
        return found

    def renew(self):
        for top, _, _ in os.walk("/sys/fs/cgroup"):
            if top.endswith("-hit"):
                thaw(top)
        self.shop.end()
        for top, _, _ in list(os.walk("/sys/fs/cgroup")):
            if top.endswith("-hit"):
                wait_until(lambda: not members(top))
                os.rmdir(top)
        run("ip", "netns", "del", self.netns)
        self.connect()
        self.shop.begin()


class Processes(Plain):
    pass


class ProcessesApart(Apart):
    pass


class ProcessesAtRandom(deaths.AtRandom, Plain):
    KILLS = 4


class ApartAtRandom(deaths.AtRandom, Apart):
    KILLS = 12


def thaw(group):
    for name, word in (("cgroup.freeze", "0"), ("freezer.state", "THAWED")):
        path = os.path.join(group, name)
        if os.path.exists(path):
            harness.write(path, word)


if __name__ == "__main__":
    if os.geteuid() != 0:
        harness.skip(harness.NEEDS_ROOT)
    deaths.fill(Docker, 0)
    deaths.fill(Podman, 4)
    deaths.fill(Processes, 8, deaths.STATES[::2], also=[("ended", "second", "undone")])
    deaths.fill(ProcessesApart, 2, deaths.STATES[1::2])
    foreign.own_mounts()
    harness.main()

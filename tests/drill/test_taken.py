"""Faults that take something away (an address, a route, connections, processor time), in drills: to their
end, and when runner and warden die. SHOWS lines are read by tests/shown.py.
"""
import glob
import os
import re
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import unittest

import foreign
import harness
import test_attached
from foreign import Inside, run, undo
from harness import Drill, kill_both, wait_until

ADDRESS = """
  - {id: gone, at: 200ms, %saddress: {host: edge, address: 10.99.0.1}}"""
ADDRESS6 = """
  - {id: gone, at: 200ms, %saddress: {host: edge, device: e0, address: "fd99::1/64"}}"""
ROUTE = """
  - {id: lost, at: 200ms, %sroute: {host: edge, to: default, via: 10.99.0.2}}"""
ROUTE6 = """
  - {id: lost, at: 200ms, %sroute: {host: edge, to: "::/0"}}"""
SOCKETS = """
  - {id: reset, at: 200ms, %ssockets: {host: edge, peer: 10.99.0.2, own_port: 8080, opened: there}}"""
TAKEN = [ADDRESS, ADDRESS6, ROUTE, ROUTE6]


class Attached(test_attached.Attached):
    DEFAULT = True
    def test_everything_comes_back(self):
        """SHOWS address: netns: applied verified undone
        SHOWS route: netns: applied verified undone"""
        script = "".join((one % "for: 250ms, ").replace("id: ", "id: step%d-" % i).replace(
            "at: 200ms", "at: %dms" % (200 + 350 * i)) for i, one in enumerate(TAKEN))
        d = self.drill(script, horizon="2s").run()
        self.assertEqual([e["ok"] for e in d.events("verify")], [True] * len(TAKEN), d.explain())
        for undone in d.events("undo"):
            self.assertIn("put back", undone["changes"][0])
        clean = d.events("clean")[-1]
        self.assertEqual((clean["clean"], clean["left"], clean["others"]), (True, [], []))
        harness.check_record(d.record)
        self.as_before()
        self.nothing_left(d)

    def test_after_runner_and_warden_died(self):
        """SHOWS address: netns: undone-after-kill
        SHOWS route: netns: undone-after-kill"""
        for script in (ADDRESS, ROUTE6):
            with self.subTest(script):
                d = self.in_force(script=script % "", down=False)
                self.assertTrue(self.pair.differences())
                self.kill_all(d, down=False)
                self.assertTrue(self.pair.differences())
                code, text = undo()
                self.assertEqual(code, 0, text)
                self.as_before()
                self.nothing_left(d)

    def test_after_the_runner_died(self):
        d = self.in_force(script=ADDRESS % "", down=False)
        self.halt.kill()
        d.finish()
        self.nothing_left(d)
        self.as_before()
        self.assertTrue(d.events("clean")[-1]["clean"])

    def test_what_is_not_there_is_refused(self):
        """SHOWS address: netns: refused
        SHOWS route: netns: refused"""
        for script, words in ((ADDRESS.replace("99.0.1", "77.0.1"), "has the address 10.77.0.1"),
                              (ROUTE.replace("default, via: 10.99.0.2", "10.77.0.0/16"),
                               "there is no route to 10.77.0.0/16")):
            d = self.drill(script % "").run()
            self.assertIn(words, d.stdout + d.stderr)
            self.assertNotEqual(d.code, 0)
            self.as_before()
            self.nothing_left(d)

    def test_connections_of_others_are_reset(self):
        """SHOWS sockets: netns: applied verified"""
        d = self.drill(SOCKETS % "").run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        with self.assertRaises(ConnectionError):
            self.pair.connection.sendall(b"still there?")
            if not self.pair.connection.recv(100):
                raise ConnectionError
        self.assertEqual(self.pair.differences(), {})
        self.nothing_left(d)


class Operator(test_attached.Attached):
    """Whoever started the drill through the host stays connected."""

    def setUp(self):
        super().setUp()
        with Inside(self.pair.far):
            far = socket.create_server(("10.99.0.2", 0))
        with Inside(self.pair.edge):  # a connection of ours, an ancestor of the drill
            self.near = socket.create_connection(far.getsockname(), timeout=5)
        self.there = far.accept()[0]
        far.close()
        self.addCleanup(self.near.close)
        self.addCleanup(self.there.close)

    def carries(self):
        self.near.sendall(b"x")
        self.there.settimeout(5)
        return self.there.recv(1) == b"x"

    def test_of_a_prefix_they_are_left_out(self):
        """SHOWS sockets: netns: refused"""
        d = self.drill((SOCKETS % "").replace("10.99.0.2, own_port: 8080, opened: there",
                                              "10.99.0.0/24")).run()
        self.assertIn("no such connection", d.events("verify")[0]["seen"], d.explain())
        self.assertTrue(self.carries())
        named = self.drill(SOCKETS % "").run()
        self.assertIn("always exempt", named.stdout + named.stderr)
        self.assertTrue(self.carries())


LAB = """
blackstart: 1
name: frozen
services:
  web: {rto: 500ms}
networks:
  net: {subnet: 10.7.0.0/24}
hosts:
  client: {lab: {address: 10.7.0.9}}
  web:
    lab: {address: 10.7.0.1}
    files: [stampd]
    start: [./stampd --port 8080]
    ready: {tcp: "8080"}
probes:
  web: {service: web, host: client, tcp: "10.7.0.1:8080", every: 25ms, timeout: 60ms, stable: 100ms}
script:
  - {id: still, at: 200ms, %sfreeze: {host: web}}
settle: 100ms
horizon: 1500ms
"""


def lasting(scene, how):
    """Without an end of its own the fault is in force until everything is killed: that takes its time."""
    return scene if how else scene.replace("horizon: 1500ms", "horizon: 30s")


def groups():
    return sorted(glob.glob("/sys/fs/cgroup/**/blackstart-*-still", recursive=True))


class Frozen(unittest.TestCase):
    def drill(self, how=""):
        d = Drill(lasting(LAB % how, how))
        self.addCleanup(d.remove)
        return d

    def test_to_its_end(self):
        before = groups()
        d = self.drill("for: 300ms, ").run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.assertIn("thawed", d.events("undo")[0]["changes"][0])
        self.assertTrue(d.events("clean")[-1]["clean"], d.explain())
        self.assertEqual(groups(), before)
        self.assertEqual(foreign.journals(), [])

    def test_after_runner_and_warden_died(self):
        """SHOWS freeze: lab: undone-after-kill"""
        before = groups()
        d = self.drill().start()
        wait_until(lambda: os.path.exists(os.path.join(d.out, "record.ndjson")) and
                   d.events("verify"), timeout=20)
        self.assertEqual(len(groups()), len(before) + 1)
        kill_both(d)
        self.assertEqual(len(foreign.journals()), 1)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("thawed", text)
        wait_until(lambda: not harness.processes_of(d.token))
        self.assertEqual(harness.processes_of(d.token), [])
        self.assertEqual(groups(), before)
        self.assertEqual(foreign.journals(), [])

    def test_after_the_runner_died(self):
        before = groups()
        d = self.drill().start()
        wait_until(lambda: os.path.exists(os.path.join(d.out, "record.ndjson")) and
                   d.events("verify"), timeout=20)
        d.process.kill()
        d.finish()
        wait_until(lambda: not harness.processes_of(d.token))
        self.assertEqual(harness.processes_of(d.token), [])
        self.assertEqual(groups(), before)
        self.assertEqual(foreign.journals(), [])


class AllInALab(unittest.TestCase):
    """What belongs to a host of the lab dies with it, whatever was done to it."""

    SCRIPT = """
  - {id: full, at: 100ms, pressure: {host: web, cpu: {workers: 1, load: 30%}, memory: {size: 16MB}, disk: {path: /run/web/small, leave: 100kB}, files: {leave: 3, process: stampd}}}
  - {id: reset, at: 400ms, sockets: {host: web, every: 100ms}}
  - {id: lost, at: 500ms, route: {host: web, to: 10.7.0.0/24}}
  - {id: gone, at: 600ms, address: {host: client, address: 10.7.0.9}}"""

    def test_after_runner_and_warden_died(self):
        """SHOWS address: lab: undone-after-kill
        SHOWS route: lab: undone-after-kill
        SHOWS pressure (cpu, memory): lab: undone-after-kill
        SHOWS pressure (disk): lab: undone-after-kill
        SHOWS pressure (files): lab: undone-after-kill"""
        text = (LAB % "").replace("\n  - {id: still, at: 200ms, freeze: {host: web}}", self.SCRIPT)
        self.assertIn(self.SCRIPT, text)
        text = text.replace("start: [./stampd --port 8080]", """start:
      - ./stampd --port 8080
      - sh -c 'mkdir -p small && mount -t tmpfs -o size=8m tmpfs small && exec sleep 1000'""")
        os.environ["OWN_TOKEN"] = mark = secrets.token_hex(8)
        self.addCleanup(os.environ.pop, "OWN_TOKEN")
        text = text.replace("    start:\n", "    env: {MARK: {env: OWN_TOKEN}}\n    start:\n")
        d = Drill(text.replace("horizon: 1500ms", "horizon: 10s"))
        self.addCleanup(d.remove)
        d.start()
        wait_until(lambda: os.path.exists(os.path.join(d.out, "record.ndjson")) and
                   len(d.events("inject", ok=True)) == 4, timeout=20)
        self.assertEqual([(e["step"], e["seen"]) for e in d.events("verify") if not e["ok"]], [])
        self.assertIn("stress-ng", self.inside(mark))
        kill_both(d)
        wait_until(lambda: not harness.processes_of(d.token) and not self.inside(mark))
        self.assertEqual((harness.processes_of(d.token), self.inside(mark)), ([], []))
        self.assertEqual(foreign.journals(), [])

    def inside(self, mark):
        """Names of processes that were started in the host."""
        found = []
        for pid in harness.pids():
            try:
                with open("/proc/%d/environ" % pid, "rb") as f:
                    if b"MARK=" + mark.encode() in f.read().split(b"\0"):
                        found.append(harness.stat_of(pid)[0])
            except (OSError, TypeError):
                continue
        return found


OTHERS = """
blackstart: 1
name: others
services:
  web: {rto: 500ms}
hosts:
  worker: {process: {pid: %d}, allow: true}
probes:
  web: {service: web, host: worker, tcp: "127.0.0.1:%d", every: 25ms, timeout: 60ms, stable: 100ms}
script:
  - {id: still, at: 200ms, %sfreeze: {host: worker}}
settle: 100ms
horizon: 1500ms
"""


class FrozenOthers(unittest.TestCase):
    """A process that others have started."""

    def setUp(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.worker = subprocess.Popen([os.path.join(harness.SUPPORT, "stampd"), "--port", str(self.port)],
                                       stdout=subprocess.DEVNULL)
        self.addCleanup(self.worker.wait)
        self.addCleanup(self.worker.kill)
        wait_until(lambda: self.answers())
        self.before = groups(), self.group()

    def answers(self):
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def group(self):
        with open("/proc/%d/cgroup" % self.worker.pid) as f:
            return f.read()

    def drill(self, how=""):
        d = Drill(lasting(OTHERS % (self.worker.pid, self.port, how), how), "--yes")
        self.addCleanup(d.remove)
        return d

    def test_to_its_end(self):
        """SHOWS freeze: process: applied verified undone"""
        d = self.drill("for: 300ms, ").run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.assertTrue(d.events("undo")[0]["ok"])
        self.assertTrue(d.events("clean")[-1]["clean"], d.explain())
        self.assertEqual((groups(), self.group()), self.before)
        self.assertIsNone(self.worker.poll())

    def test_after_runner_and_warden_died(self):
        """SHOWS freeze: process: undone-after-kill"""
        d = self.drill().start()
        wait_until(lambda: os.path.exists(os.path.join(d.out, "record.ndjson")) and
                   d.events("verify"), timeout=20)
        self.assertNotEqual(self.group(), self.before[1])
        kill_both(d)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("thawed", text)
        self.assertEqual((groups(), self.group()), self.before)
        self.assertIsNone(self.worker.poll())
        self.assertEqual(foreign.journals(), [])


def mounted(kind, controller=""):
    """Where this kind of control groups (of v1: with that controller) can be seen from here."""
    with open("/proc/self/mountinfo") as f:
        lines = [line.split(" - ") for line in f]
    return [first.split()[4] for first, rest in lines if rest.split()[0] == kind and
            (not controller or controller in rest.split()[2].split(","))]


class FrozenByTheOld(FrozenOthers):
    """Where cgroup v2 is not mounted, but the freezer of v1 is, as on older machines."""

    @classmethod
    def setUpClass(cls):
        places = mounted("cgroup2")
        for place in places:
            foreign.unmount(place)
            cls.addClassCleanup(foreign.mount, "cgroup2", place, "cgroup2")
        if not mounted("cgroup", "freezer"):
            place = places[0] if places else harness.folder()
            try:
                foreign.mount("freezer", place, "cgroup", data="freezer")
            except OSError:
                raise unittest.SkipTest(harness.NO_OLD_FREEZER)
            cls.addClassCleanup(foreign.unmount, place)

    def setUp(self):
        self.assertEqual(mounted("cgroup2"), [])
        super().setUp()

    def group(self):
        with open("/proc/%d/cgroup" % self.worker.pid) as f:
            return [line for line in f if "freezer" in line.split(":")[1].split(",")]


class FullOthers(FrozenOthers):
    """A file system of a process that others have started, which is the machine's."""

    STEP = "freeze: {host: worker}"

    def setUp(self):
        self.folder = harness.folder()
        foreign.mount("full", self.folder, "tmpfs", data="size=300m")
        self.addCleanup(os.rmdir, self.folder)
        self.addCleanup(foreign.unmount, self.folder)
        super().setUp()

    def drill(self, how="", step="disk: {path: %s, leave: 270MB}"):
        text = lasting(OTHERS % (self.worker.pid, self.port, how), how)
        self.assertIn(self.STEP, text)
        d = Drill(text.replace(self.STEP, "pressure: {host: worker, %s}" %
                               (step % self.folder if "%" in step else step)), "--yes")
        self.addCleanup(d.remove)
        return d

    def group(self):
        return os.listdir(self.folder)

    def test_to_its_end(self):
        """SHOWS pressure (disk): process: applied verified undone
        SHOWS pressure (files): process: applied verified undone"""
        super().test_to_its_end()
        d = self.drill("for: 300ms, ", "files: {leave: 0}").run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.assertTrue(d.events("undo")[0]["ok"])
        self.assertTrue(wait_until(self.answers))

    def test_after_runner_and_warden_died(self):
        """SHOWS pressure (disk): process: undone-after-kill"""
        d = self.in_force()
        with foreign.OtherBoot():  # a file is still there then
            code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn("removed", text)
        self.assertEqual((groups(), self.group()), self.before)
        self.assertEqual(foreign.journals(), [])

    def test_files_after_runner_and_warden_died(self):
        """SHOWS pressure (files): process: undone-after-kill"""
        before = resource.prlimit(self.worker.pid, resource.RLIMIT_NOFILE)
        self.in_force("files: {leave: 0}")
        self.assertNotEqual(resource.prlimit(self.worker.pid, resource.RLIMIT_NOFILE), before)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual(resource.prlimit(self.worker.pid, resource.RLIMIT_NOFILE), before)
        self.assertEqual(foreign.journals(), [])

    def in_force(self, step=None):
        d = (self.drill(step=step) if step else self.drill()).start()
        wait_until(lambda: os.path.exists(os.path.join(d.out, "record.ndjson")) and
                   d.events("verify"), timeout=20)
        if not step:
            self.assertNotEqual(self.group(), [])
        kill_both(d)
        return d

    def test_record_and_journal_stand_on_it(self):
        """Filled as far as may be, it still has room for both."""
        os.mkdir(os.path.join(self.folder, "journal"))
        foreign.mount(os.path.join(self.folder, "journal"), foreign.JOURNALS, flags=foreign.MS_BIND)
        self.addCleanup(foreign.unmount, foreign.JOURNALS)
        d = self.drill("for: 300ms, ")
        d.out = os.path.join(self.folder, "out")
        d.run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.assertTrue(d.events("undo")[0]["ok"], d.explain())
        self.assertEqual(d.record[-1]["kind"], "run-end")
        harness.check_record(d.record)
        self.assertEqual(foreign.journals(), [])
        d.out, out = os.path.join(d.base, "out"), d.out  # what is removed with it
        shutil.move(out, d.out)

    def test_plan_names_who_else_uses_it(self):
        others = [subprocess.Popen([sys.executable, "-c", "import sys; f = open('theirs', 'w'); print('up', flush=True); sys.stdin.read()"],
                                   cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                  for _ in range(10)]
        for other in others:
            self.addCleanup(other.communicate)
            self.assertEqual(other.stdout.readline(), "up\n")
        d = self.drill()
        p = subprocess.run([harness.BLACKSTART, "plan", d.scenario], capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stderr)
        text = " ".join(p.stdout.split())
        self.assertIn("step still: the file system of %s is used by 10 processes: " % self.folder, text)
        self.assertIn("(%d) with 1 open and stands there" % others[0].pid, text)
        self.assertIn(" and 2 more", text)
        os.unlink(os.path.join(self.folder, "theirs"))

    def test_the_reserve_is_kept(self):
        """SHOWS pressure (disk): process: refused"""
        d = self.drill(step="disk: {path: %s, leave: 50MB}").run()
        self.assertIn("must stay free", d.stdout + d.stderr)
        self.assertEqual(self.group(), [])


APART = """
import os, sys, time
print("up", flush=True)
sys.stdin.read()
"""


class FullApart(unittest.TestCase):
    """A file system on a disk that only the mount namespace of its process knows: the file that fills it outlives
    the process and the machine's run, and is found by its file system."""
    SCENE = OTHERS.split("probes:")[0].replace("rto: 500ms", "rto: 30s") + """
probes:
  web: {service: web, host: worker, exec: "true", every: 50ms, timeout: 10s, stable: 50ms}
script:
  - {id: full, at: 100ms, pressure: {host: worker, disk: {path: /mnt, leave: 270MB}}}
settle: 100ms
horizon: 10m
"""

    def setUp(self):
        self.folder = harness.folder()
        self.addCleanup(shutil.rmtree, self.folder)
        self.image = os.path.join(self.folder, "disk")
        with open(self.image, "wb") as f:
            f.truncate(400 << 20)
        if not harness.has("mkfs.ext4"):
            self.skipTest("mkfs.ext4 is not installed")
        run("mkfs.ext4", "-q", "-m0", "-Elazy_itable_init=1,nodiscard", self.image)
        self.disk = self.loop()
        self.addCleanup(lambda: run("losetup", "-d", self.disk, ok=False))
        self.begin()

    def loop(self):
        p = subprocess.run(["losetup", "-f", "--show", self.image], capture_output=True, text=True)
        if p.returncode:
            self.skipTest(harness.NO_LOOP)
        return p.stdout.strip()

    def begin(self):
        """It, with the disk mounted where nobody else sees it."""
        self.worker = subprocess.Popen(["unshare", "-m", "sh", "-c", "mount %s /mnt && mkdir -p /mnt/data && "
                                        "mount --bind /mnt/data /mnt && exec %s -c '%s'" %
                                        (self.disk, sys.executable, APART)],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end, self.worker)
        self.assertEqual(self.worker.stdout.readline(), "up\n")

    @staticmethod
    def end(worker):
        worker.kill()
        worker.stdin.close()
        worker.stdout.close()
        worker.wait()

    def in_force(self):
        d = Drill(self.SCENE % self.worker.pid, "--yes")
        self.addCleanup(d.remove)
        d.start()
        self.assertTrue(d.tail(lambda e: e["kind"] == "verify")["ok"])
        self.assertNotEqual(self.files(), [])
        kill_both(d)
        return d

    def files(self):
        return os.listdir("/proc/%d/root/mnt" % self.worker.pid)

    def undone(self, code, *words):
        with foreign.OtherBoot():
            said, text = undo()
        self.assertEqual(said, code, text)
        for w in words:
            self.assertIn(w, text)
        self.assertEqual(len(foreign.journals()), code != 0)

    def test_it_is_mounted_again_by_another(self):
        d = self.in_force()
        self.end(self.worker)
        self.begin()
        self.assertNotEqual(self.files(), [])
        self.undone(0, "/mnt/.blackstart-%s-full removed" % d.record[0]["id"])
        self.assertEqual(self.files(), [])

    def test_nobody_has_it_mounted(self):
        self.in_force()
        self.end(self.worker)
        self.undone(0, " removed")
        self.begin()
        self.assertEqual(self.files(), [])

    def test_it_cannot_be_reached(self):
        d = self.in_force()
        self.end(self.worker)
        run("losetup", "-d", self.disk)
        wait_until(lambda: not run("losetup", "-j", self.image))
        self.undone(6, "NOT UNDONE", "cannot be reached", "there /data/.blackstart-%s-full;" % d.record[0]["id"])
        self.disk = self.loop()
        self.begin()  # whatever it is called now
        self.undone(0, " removed")
        self.assertEqual(self.files(), [])


def hierarchies():
    """Where v2 and the controllers of v1 that matter here are mounted."""
    found = []
    with open("/proc/self/mountinfo") as f:
        for line in f:
            first, rest = line.split(" - ")
            kind, _, options = rest.split()
            if kind == "cgroup2" or kind == "cgroup" and \
                    {"memory", "cpu", "blkio"} & set(options.split(",")):
                found.append(first.split()[4])
    return found


def oom_kills():
    with open("/proc/vmstat") as f:
        return int(re.search(r"^oom_kill (\d+)$", f.read(), re.M)[1])


class Squeezed(FrozenOthers):
    """A process that others have started, in a control group of its own."""

    STEP = "freeze: {host: worker}"
    LIMIT = 200 << 20

    def setUp(self):
        name = "squeezed-" + secrets.token_hex(4)
        self.groups = [os.path.join(h, name) for h in hierarchies()]
        if not self.groups:
            self.skipTest("no control groups are mounted")
        for g in self.groups:
            os.mkdir(g)
            self.addCleanup(lambda g=g: wait_until(lambda: self.removed(g)))
            self.limit(g, "memory.limit_in_bytes", self.LIMIT)
            self.limit(g, "memory.max", self.LIMIT)
        self.limited = any(os.path.exists(os.path.join(g, name)) for g in self.groups
                           for name in ("memory.limit_in_bytes", "memory.max"))
        super().setUp()
        for g in self.groups:
            with open(os.path.join(g, "cgroup.procs"), "w") as f:
                f.write(str(self.worker.pid))
        self.before = groups(), self.group()
        self.folder = harness.folder()
        self.addCleanup(os.rmdir, self.folder)

    @staticmethod
    def limit(group, name, value):
        if os.path.exists(os.path.join(group, name)):
            with open(os.path.join(group, name), "w") as f:
                f.write(str(value))

    @staticmethod
    def removed(group):
        try:
            os.rmdir(group)
        except OSError:
            return not os.path.exists(group)
        return True

    def group(self):
        found = []
        for g in self.groups:
            with open(os.path.join(g, "cgroup.procs")) as f:
                found.append(f.read().split())
        return found

    def drill(self, how="", step="cpu: {workers: 1, load: 50%}, memory: {size: 48MB}"):
        text = lasting(OTHERS % (self.worker.pid, self.port, how), how).replace("horizon: 30s", "horizon: 10m")
        text = text.replace(self.STEP, "pressure: {host: worker, %s}" % step)
        d = Drill(text.replace("horizon: 1500ms", "horizon: 3s"), "--yes")
        self.addCleanup(d.remove)
        return d

    def in_force(self, **kwargs):
        d = self.drill(**kwargs).start()
        verified = d.tail(lambda e: e["kind"] == "verify")
        self.assertTrue(verified["ok"], verified)
        for now in self.group():
            self.assertIn(str(self.worker.pid), now)
            guests = [int(pid) for pid in now if pid != str(self.worker.pid)]
            self.assertIn("stress-ng", [harness.stat_of(pid)[0] for pid in guests])
            for pid in guests:
                with open("/proc/%d/oom_score_adj" % pid) as f:
                    self.assertEqual(f.read(), "1000\n")
        return d

    def all_gone(self, d):
        wait_until(lambda: not harness.processes_of(d.token) and self.group() == self.before[1])
        self.assertEqual((groups(), self.group()), self.before)
        self.assertEqual(harness.processes_of(d.token), [])
        self.assertTrue(self.answers())

    def test_to_its_end(self):
        """SHOWS pressure (cpu, memory): process: applied verified undone"""
        for g in self.groups:
            self.limit(g, "cpu.cfs_quota_us", 20000)
            self.limit(g, "cpu.max", "20000 100000")
        d = self.drill("for: 1500ms, ").run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        if any(glob.glob(g + "/cpu.[cm][fa]*") for g in self.groups):  # the limit holds
            self.assertIn("0.20 processors busy", d.events("verify")[0]["asked"])
            used = re.search(r"([0-9.]+) used by stress-ng", d.events("verify")[0]["seen"])
            self.assertLess(float(used.group(1)), 0.35)
        self.assertIn("stress-ng ended", d.events("undo")[0]["changes"][0])
        self.assertTrue(d.events("clean")[-1]["clean"], d.explain())
        self.all_gone(d)
        self.assertEqual(foreign.journals(), [])

    def test_after_runner_and_warden_died(self):
        """SHOWS pressure (cpu, memory): process: undone-after-kill"""
        d = self.in_force()
        kill_both(d)
        self.all_gone(d)  # the kernel has done it
        self.assertEqual(len(foreign.journals()), 1)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual(foreign.journals(), [])

    def test_after_the_runner_died(self):
        d = self.in_force()
        d.process.kill()
        d.finish()
        self.all_gone(d)
        self.assertEqual(foreign.journals(), [])

    def test_it_goes_with_its_host(self):
        """Nothing of ours keeps a group that its owner wants to remove."""
        d = self.in_force()
        self.worker.kill()
        wait_until(lambda: not any(self.group()))
        self.assertEqual([g for g in self.group() if g], [])
        d.process.send_signal(signal.SIGINT)
        d.finish()
        self.assertEqual(foreign.journals(), [])

    def test_it_goes_first_when_its_group_runs_out(self):
        """Out of memory for real: the kernel takes what is held, neither the host nor who took the rest.
        (tests/kernel/test_short.py: of a whole machine.)"""
        if not self.limited:
            self.skipTest(harness.NO_MEMORY_CONTROLLER)
        before = oom_kills()
        d = self.in_force(step="memory: {size: 48MB}")
        rest = subprocess.Popen([sys.executable, "-c", "b = bytearray(b'x') * (170 << 20); print('held', flush=True); input()"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                preexec_fn=lambda: [self.limit(g, "cgroup.procs", os.getpid()) for g in self.groups])
        self.addCleanup(rest.stdin.close)
        self.addCleanup(rest.stdout.close)
        self.addCleanup(rest.wait)
        self.addCleanup(rest.kill)
        self.assertEqual(rest.stdout.readline(), "held\n")
        self.assertGreater(oom_kills(), before)
        self.assertIsNone(rest.poll())
        self.assertTrue(self.answers())
        rest.kill()
        rest.wait()
        d.process.send_signal(signal.SIGINT)
        d.finish()
        self.assertTrue(d.events("clean")[-1]["clean"], d.explain())
        harness.check_record(d.record)
        self.all_gone(d)
        self.assertEqual(foreign.journals(), [])

    def test_what_does_not_fit_is_refused(self):
        """SHOWS pressure (cpu, memory): process: refused"""
        for step, words, outside in (("memory: {size: 190MB}", "the limit of the host's control group", 0),
                                     ("cpu: {workers: 1}", "no control group of its own", 1)):
            if not outside and not self.limited:
                continue  # no controller of memory is there
            for g in self.groups if outside else []:
                with open(os.path.join(os.path.dirname(g), "cgroup.procs"), "w") as f:
                    f.write(str(self.worker.pid))
            d = self.drill(step=step).run()
            self.assertIn(words, d.stdout + d.stderr)
            self.assertNotEqual(d.code, 0)
        self.assertEqual(foreign.journals(), [])

    def test_a_disk_is_kept_busy(self):
        """SHOWS pressure (io): process: applied verified undone"""
        self.need_a_disk()
        d = self.drill("for: 1500ms, ", "io: {path: %s, workers: 1, size: 8MB}" % self.folder).run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.assertIn(" written", d.events("verify")[0]["seen"])
        self.assertTrue(d.events("clean")[-1]["clean"], d.explain())
        self.assertEqual(os.listdir(self.folder), [])
        self.all_gone(d)

    def test_its_folder_after_runner_and_warden_died(self):
        """SHOWS pressure (io): process: undone-after-kill"""
        self.need_a_disk()
        d = self.in_force(step="io: {path: %s, size: 8MB}" % self.folder)
        kill_both(d)
        self.all_gone(d)
        self.assertEqual(len(os.listdir(self.folder)), 1)
        with foreign.OtherBoot():  # the folder is still there then
            code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual(os.listdir(self.folder), [])
        self.assertEqual(foreign.journals(), [])

    def test_memory_is_no_disk(self):
        """SHOWS pressure (io): process: refused"""
        foreign.mount("memory", self.folder, "tmpfs", data="size=16m")
        self.addCleanup(foreign.unmount, self.folder)
        d = self.drill(step="io: {path: %s}" % self.folder).run()
        self.assertIn("there is no disk below it", d.stdout + d.stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def need_a_disk(self):
        if not harness.on_a_disk(self.folder):
            self.skipTest(harness.NO_DISK)


class Custom(test_attached.Attached):
    SCRIPT = """
  - {id: own, at: 200ms, %%scustom: {host: edge, command: "%s", undo: "%s", verify: "%s"}}"""

    def setUp(self):
        super().setUp()
        self.mark = harness.folder()
        self.addCleanup(lambda: os.rmdir(self.mark))

    def script(self, how="", command=None, undo_by=None, verify=None):
        m = self.mark + "/mark"
        return self.SCRIPT % (command or "ip route add 10.66.0.0/16 via 10.99.0.2 && touch " + m,
                              undo_by or "ip route del 10.66.0.0/16; rm -f " + m,
                              verify or "ip route show 10.66.0.0/16 | grep -q via") % how

    def test_to_its_end(self):
        """SHOWS custom: netns: applied verified undone"""
        d = self.drill(self.script("for: 300ms, ")).run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        ends = d.events("action", event="end")
        self.assertEqual([e["code"] for e in ends], [0])
        self.assertIn("rm -f", d.events("undo")[0]["changes"][0])
        self.assertEqual(os.listdir(self.mark), [])
        self.as_before()
        self.nothing_left(d)

    def test_after_runner_and_warden_died(self):
        """SHOWS custom: netns: undone-after-kill"""
        d = self.in_force(script=self.script(), down=False)
        self.assertEqual(os.listdir(self.mark), ["mark"])
        self.kill_all(d, down=False)
        self.assertEqual(os.listdir(self.mark), ["mark"])
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual(os.listdir(self.mark), [])
        self.as_before()
        self.nothing_left(d)

    def test_an_undo_that_fails_is_told_and_stays(self):
        m = self.mark + "/mark"
        d = self.drill(self.script("for: 200ms, ", "touch " + m, "echo not yet; test ! -e " + m,
                                   "test -e " + m)).run()
        self.assertEqual(d.code, 6, d.explain())
        self.assertIn("exits with 1: not yet", d.events("undo")[0]["error"])
        self.assertEqual(len(foreign.journals()), 1)
        os.unlink(m)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual(foreign.journals(), [])

    def test_what_fails_or_does_not_bite_makes_the_trial_void(self):
        for kwargs, words in (({"command": "exit 3", "undo_by": "true"}, "exits with 3"),
                              ({"command": "true", "undo_by": "true", "verify": "false"},
                               "its check exits with 1")):
            d = self.drill(self.script("for: 200ms, ", **kwargs)).run()
            self.assertEqual(d.code, 4, d.explain())
            self.assertFalse(d.events("verify")[0]["ok"])
            self.assertIn(words, d.events("verify")[0]["seen"])
            self.nothing_left(d)


OWN = LAB.replace("freeze: {host: web}", """custom: {host: web, command: 'echo "$TOKEN" >token; echo',
      undo: rm -f token, verify: test -s token}""").replace(
          "    start: [", "    env: {TOKEN: {env: OWN_TOKEN}}\n    start: [")


class CustomInLab(unittest.TestCase):
    def test_to_its_end_and_no_secret_is_recorded(self):
        """SHOWS custom: lab: applied verified undone"""
        os.environ["OWN_TOKEN"] = "hush-hush-4711"
        self.addCleanup(os.environ.pop, "OWN_TOKEN")
        d = Drill(OWN % "for: 300ms, ")
        self.addCleanup(d.remove)
        d.run()
        self.assertTrue(d.events("verify")[0]["ok"], d.explain())
        self.assertTrue(d.events("undo")[0]["ok"])
        self.assertEqual(foreign.journals(), [])
        for folder, _, files in os.walk(d.out):
            for name in files:
                with open(os.path.join(folder, name), "rb") as f:
                    self.assertNotIn(b"hush-hush", f.read(), name)

    def test_it_dies_with_its_host(self):
        """SHOWS custom: lab: undone-after-kill"""
        os.environ["OWN_TOKEN"] = "x"
        self.addCleanup(os.environ.pop, "OWN_TOKEN")
        d = Drill(lasting(OWN % "", ""))
        self.addCleanup(d.remove)
        d.start()
        wait_until(lambda: os.path.exists(os.path.join(d.out, "record.ndjson")) and
                   d.events("verify"), timeout=20)
        kill_both(d)
        wait_until(lambda: not harness.processes_of(d.token))
        self.assertEqual(harness.processes_of(d.token), [])
        self.assertEqual(foreign.journals(), [])


del test_attached.Attached  # tested by its own file

if __name__ == "__main__":
    if os.geteuid() != 0:
        harness.skip(harness.NEEDS_ROOT)
    harness.need_programs("ip", "tc", "nft")
    foreign.own_mounts()
    harness.main()

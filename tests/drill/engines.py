"""Container engines of the tests' own: a dockerd and a podman service, each on its own socket, with its own
data, in a network namespace of its own, so that its bridges and rules are nobody else's.
"""
import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time

import harness

BUSYBOX = "/bin/busybox"
MACHINES = ("/etc/docker", "/run/containerd", "/run/docker", "/run/netns", "/var/lib/cni",
            "/var/lib/containerd")
SBIN = os.environ["PATH"] + ":/usr/local/sbin:/usr/sbin:/sbin"


def find(program):
    """By Debian's paths first: another docker may stand in front of it."""
    for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        if os.access(os.path.join(folder, program), os.X_OK):
            return os.path.join(folder, program)
    return None


def missing(*programs):
    return [p for p in programs if not find(p)]


def run(*argv, ok=True, text=None, timeout=120):
    p = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=timeout)
    if ok and p.returncode:
        raise AssertionError("%s: %s%s" % (" ".join(argv), p.stdout, p.stderr))
    return p.stdout.strip()


def busybox_root(folder):
    """A root file system of busybox alone."""
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "www", "run"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    shutil.copy(BUSYBOX, os.path.join(folder, "bin", "busybox"))
    for name in ("sh", "httpd", "sleep", "cat", "nc", "ip", "kill", "ping", "ps", "echo", "touch"):
        os.symlink("busybox", os.path.join(folder, "bin", name))
    with open(os.path.join(folder, "www", "index.html"), "w") as f:
        f.write("all is well\n")
    return folder


def machine_root(folder):
    """A root file system for the machine's own programs, from its /usr, which is mounted there."""
    for name in ("etc", "proc", "sys", "dev", "tmp", "run", "data", "usr", "var"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        os.symlink("usr/" + name, os.path.join(folder, name))
    return folder


def wait_for_socket(path, process, log, timeout=60):
    def there():
        if process.poll() is not None:
            raise AssertionError("the engine ended: " + tail(log))
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(path)
                return True
            except OSError:
                return False
    harness.wait_until(there, timeout=timeout)


def tail(path):
    with open(path, errors="replace") as f:
        return "".join(f.readlines()[-15:])


class Engine:
    """What both have in common: folder, namespace, client."""
    kind = None

    def __init__(self, name):
        number = secrets.randbelow(1000000)  # not the pid: apart.sh gives everybody the same
        self.folder = os.path.join("/tmp", "bs-%s-%d" % (name, number))
        self.socket = os.path.join(self.folder, "sock")
        self.netns = "bs%s%d" % (name[0], number)
        self.group = "/blackstart-%s-%d" % (name, number)
        self.log = os.path.join(self.folder, "log")
        self.process = None
        os.makedirs(self.folder, mode=0o700)
        run("ip", "netns", "add", self.netns)
        run("ip", "-n", self.netns, "link", "set", "lo", "up")
        # Who holds its mounts: they vanish with it, as does what is written to the machine's folders.
        self.made = [f for f in MACHINES if not os.path.isdir(f)]
        for f in self.made:
            os.makedirs(f)
        self.mounts = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             "for f in %s; do mount -t tmpfs none $f || exit; done; echo; exec sleep inf"
             % " ".join(MACHINES)], stdout=subprocess.PIPE)
        self.mounts.stdout.readline()

    def inside(self, *argv):
        """In its network, with its mounts."""
        return ["nsenter", "--net=/run/netns/" + self.netns,
                "--mount=/proc/%d/ns/mnt" % self.mounts.pid, "--wd=/", *argv]

    def spawn(self, *argv):
        env = dict(os.environ, PATH=SBIN, HOME=self.folder)
        for name in ("DOCKER_HOST", "CONTAINER_HOST", "XDG_RUNTIME_DIR"):
            env.pop(name, None)
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(self.inside(*argv), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=env, start_new_session=True)
        wait_for_socket(self.socket, self.process, self.log)

    def ask(self, path):
        """What its engine answers over its socket, which is much faster than a client; None: there is nothing
        of that name."""
        asked = http.client.HTTPConnection("localhost", timeout=60)
        with contextlib.closing(asked), socket.socket(socket.AF_UNIX) as asked.sock:
            asked.sock.connect(self.socket)
            asked.request("GET", path)
            answer = asked.getresponse()
            text = answer.read()
        if answer.status not in (200, 404):
            raise AssertionError("%s: %d %s" % (path, answer.status, text))
        return json.loads(text) if answer.status == 200 else None

    def seen(self, name):
        """None: there is no such container."""
        return self.ask("/containers/%s/json" % name)

    def names(self):
        return {name.lstrip("/") for c in self.ask("/containers/json?all=1") for name in c["Names"]}

    def inspect(self, name):
        found = self.seen(name)
        if not found:
            raise AssertionError("there is no container " + name)
        return found

    def pid(self, name):
        return self.inspect(name)["State"]["Pid"]

    def state(self, name):
        """None: there is no such container."""
        found = self.seen(name)
        return found["State"]["Status"] if found else None

    def id(self, name):
        return self.inspect(name)["Id"]

    def stop(self, signo=signal.SIGTERM):
        self.process.send_signal(signo)
        self.process.wait(60)
        self.process = None

    def remove_groups(self):
        for top, folders, _ in list(os.walk("/sys/fs/cgroup")):
            path = top + self.group
            for inner, _, _ in sorted(os.walk(path), reverse=True) if os.path.isdir(path) else []:
                try:
                    os.rmdir(inner)
                except OSError:
                    pass
            folders[:] = folders if top == "/sys/fs/cgroup" else []

    def end(self):
        if self.process and self.process.poll() is None:
            self.clear()
            self.stop()
        self.remove_groups()
        self.mounts.kill()
        self.mounts.wait()
        self.mounts.stdout.close()
        for f in self.made:
            try:
                os.rmdir(f)
            except OSError:
                pass
        run("ip", "netns", "del", self.netns, ok=False)
        shutil.rmtree(self.folder, ignore_errors=True)


class Docker(Engine):
    kind = "docker"
    needs = ("dockerd", "containerd", "runc", "docker", "busybox", "iptables")

    def __init__(self, *options):
        super().__init__("docker")
        self.options = options
        try:
            self.start()
            self.bring("shop:1", busybox_root(os.path.join(self.folder, "root")))
        except BaseException:
            self.end()
            raise

    def start(self):
        self.spawn(find("dockerd"), "--storage-driver=vfs", "--data-root", self.folder + "/data",
                   "--exec-root", self.folder + "/exec", "--pidfile", self.folder + "/pid",
                   "--cgroup-parent", self.group, "--host", "unix://" + self.socket, *self.options)

    def bring(self, image, root):
        archive = root + ".tar"
        run("tar", "-C", root, "-cf", archive, ".")
        self.client("import", archive, image)

    def client(self, *argv, ok=True):
        return run(find("docker"), "--host", "unix://" + self.socket, *argv, ok=ok)

    def container(self, name, *options, command=("httpd", "-f", "-h", "/www")):
        return self.client("run", "--detach", "--init=false", "--name", name, *options, "shop:1", *command)

    def address(self, name):
        return next(iter(self.inspect(name)["NetworkSettings"]["Networks"].values()))["IPAddress"]

    def clear(self):
        ids = self.client("ps", "-aq", ok=False).split()
        if ids:
            self.client("rm", "--force", *ids, ok=False)

    def stop(self, signo=signal.SIGTERM):
        super().stop(signo)
        harness.wait_until(lambda: signo == signal.SIGKILL or not self._containerd(), timeout=20)

    def _containerd(self):
        return [p for p in os.listdir("/proc") if p.isdigit() and self._is_containerd(p)]

    def _is_containerd(self, pid):
        try:
            with open("/proc/%s/cmdline" % pid) as f:
                text = f.read()
        except OSError:
            return False
        return self.folder + "/exec" in text and "containerd\0" in text

    def end(self):
        super().end()
        for pid in self._containerd():  # of a dockerd that was killed
            os.kill(int(pid), signal.SIGKILL)


class Podman(Engine):
    kind = "podman"
    needs = ("podman", "runc", "conmon", "busybox")

    def __init__(self):
        super().__init__("podman")
        self.root = busybox_root(os.path.join(self.folder, "root"))
        self.base = [find("podman"), "--cgroup-manager=cgroupfs", "--runtime=runc",
                     "--events-backend=file", "--root", self.folder + "/data", "--runroot",
                     self.folder + "/run", "--tmpdir", self.folder + "/tmp"]
        try:
            self.start()
        except BaseException:
            self.end()
            raise

    def start(self):
        self.spawn(*self.base, "system", "service", "--time", "0", "unix://" + self.socket)

    def client(self, *argv, ok=True):
        return run(*self.inside(*self.base, *argv), ok=ok)

    def container(self, name, *options, command=("httpd", "-f", "-h", "/www")):
        return self.client("run", "--detach", "--name", name, "--cgroup-parent", self.group, "--ulimit",
                           "nofile=1024:1024", "--ulimit", "nproc=1024:1024", *options, "--rootfs",
                           self.root, *command)

    def address(self, name):
        return run("nsenter", "--net=/proc/%d/ns/net" % self.pid(name), "ip", "-4", "-br", "address",
                   "show", "eth0").split()[2].split("/")[0]

    def clear(self):
        self.client("rm", "--all", "--force", "--time", "0", ok=False)

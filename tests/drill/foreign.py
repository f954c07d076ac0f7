"""Network namespaces of somebody else, as a drill finds them: a server with a connection to it, routes
in several tables, a tree of queues with filters, nft tables, iptables rules. And what the tools of
others say of all this, before and after.

The test stands in a mount namespace of its own, in which /run/netns and the journal's folder are its own
and empty: nothing of it is seen by others, and it sees nothing of theirs.
"""
import atexit
import ctypes
import json
import os
import shutil
import socket
import subprocess
import time

import harness

JOURNALS = "/var/lib/blackstart"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2
_libc = ctypes.CDLL(None, use_errno=True)


def _must(result, what):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, what + ": " + os.strerror(code))


def mount(source, target, kind=None, flags=0, data=None):
    texts = [t.encode() if t else None for t in (source, target, kind)]
    _must(_libc.mount(*texts, ctypes.c_ulong(flags), data.encode() if data else None),
          "mount on " + target)


def unmount(target):
    _must(_libc.umount2(target.encode(), MNT_DETACH), "umount " + target)


def own_mounts():
    """Once per process, before anything else."""
    _must(_libc.unshare(CLONE_NEWNS), "unshare")
    mount(None, "/", flags=MS_REC | MS_PRIVATE)
    for d in ("/run/netns", JOURNALS):
        if not os.path.isdir(d):
            os.makedirs(d)
            atexit.register(os.rmdir, d)
        mount("test", d, "tmpfs", data="mode=0755")
        atexit.register(unmount, d)  # called before that rmdir


def own_network():
    """A fresh and empty one for this process and whatever it starts from now on, with the loopback up."""
    _must(_libc.unshare(CLONE_NEWNET), "unshare")
    run("ip", "link", "set", "lo", "up")


def run(*argv, ok=True):
    p = subprocess.run(argv, capture_output=True, text=True)
    if ok and p.returncode != 0:
        raise AssertionError("%s: %s%s" % (" ".join(argv), p.stdout, p.stderr))
    return p.stdout


def batch(tool, netns, *lines):
    for line in lines:
        if line.startswith("-6 "):
            run(tool, "-n", netns, *line.split())
    rest = [l for l in lines if not l.startswith("-6 ")]
    subprocess.run([tool, "-n", netns, "-batch", "-"], input="\n".join(rest) + "\n", text=True,
                   check=True)


def _less(a, b):
    """What of a is not in b; for people."""
    if isinstance(a, list) and isinstance(b, list):
        return [x for x in a if x not in b]
    return a


def _still(value):
    """Without the clocks of a bridge."""
    if isinstance(value, dict):
        return {k: _still(v) for k, v in value.items() if not k.endswith("_timer")}
    if isinstance(value, list):
        return [_still(v) for v in value]
    return value


def descriptor_of(pid, fd):
    """A copy of a descriptor of that process: pidfd_getfd(2)."""
    process = os.pidfd_open(pid)
    copy = _libc.syscall(438, process, fd, 0)
    os.close(process)
    _must(copy, "pidfd_getfd")
    return copy


class Inside:
    """This thread in that network namespace, for a while."""

    def __init__(self, name):
        self.path = "/run/netns/" + name

    def __enter__(self):
        self.back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        fd = os.open(self.path, os.O_RDONLY)
        _must(_libc.setns(fd, CLONE_NEWNET), "setns")
        os.close(fd)

    def __exit__(self, *args):
        _must(_libc.setns(self.back, CLONE_NEWNET), "setns")
        os.close(self.back)


ECHO = """
import select, socket
s = socket.socket(socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 8080))
s.listen(64)
print("up", flush=True)
all = [s]
while True:
    for one in select.select(all, [], [])[0]:
        if one is s:
            all.append(s.accept()[0])
            continue
        try:
            text = one.recv(65536)
        except OSError:
            text = b""
        if text:
            one.sendall(text)
        else:
            all.remove(one)
            one.close()
"""

NFT = """
table inet theirs {
  set known { type ipv4_addr; elements = { 10.99.0.2, 10.99.0.3 } }
  counter passed { }
  chain input { type filter hook input priority filter; policy accept;
    ct state established,related accept
    ip saddr @known tcp dport 8080 counter name "passed" accept
  }
}
table netdev watch {
  chain in { type filter hook ingress device "e0" priority 0; policy accept
    counter
  }
}
"""


def echo(netns):
    """A server in it, at port 8080; the connections of all its addresses."""
    server = subprocess.Popen(["ip", "netns", "exec", netns, "python3", "-S", "-c", ECHO],
                              stdout=subprocess.PIPE, text=True)
    server.stdout.readline()
    return server


class Pair:
    """Two namespaces with a cable e0 - e0; all the furniture stands in the first."""

    def __init__(self, base, dad=False, default=True, here=False):
        self.here = here  # the first is this process' own, made afresh, and has a name besides
        self.default = default  # the way to everybody leads over e0: then it is guarded
        self.dad = dad  # duplicates of IPv6 addresses are looked for, as usual: it takes a second
        self.edge, self.far = base + "-edge", base + "-far"
        self.server = None
        self.connection = None
        try:
            self._build()
        except BaseException:
            self.end()
            raise

    def _build(self):
        if self.here:
            own_network()
            run("ip", "netns", "attach", self.edge, str(os.getpid()))
        else:
            run("ip", "netns", "add", self.edge)
        run("ip", "netns", "add", self.far)
        run("ip", "-n", self.edge, "link", "add", "e0", "type", "veth", "peer", "name", "e0", "netns",
            self.far)
        for n, i in ((self.edge, 1), (self.far, 2)):
            with Inside(n):
                with open("/proc/sys/net/ipv6/conf/e0/dad_transmits", "w") as f:
                    f.write("%d" % self.dad)
            batch("ip", n, "link set lo up", "address add 10.99.0.%d/24 dev e0" % i,
                  "address add fd99::%d/64 dev e0" % i, "link set e0 up")
        self._furnish()
        self.server = echo(self.edge)
        with Inside(self.far):
            self.connection = socket.create_connection(("10.99.0.1", 8080), timeout=5)
        harness.wait_until(lambda: not any("tentative" in run("ip", "-n", n, "address")
                                           for n in (self.edge, self.far)))
        self.before = self.state()

    def _furnish(self):
        e = self.edge
        others = ("default", "default") if self.default else ("172.16.0.0/12", "fd78::/32")
        batch("ip", e, "route add %s via 10.99.0.2" % others[0],
              "route add 192.168.7.0/24 dev e0 metric 7",
              "route add 192.168.8.0/24 via 10.99.0.2 table 77",
              "route add unreachable 192.168.9.0/24",
              "route add 192.168.10.0/24 via 10.1.1.1 dev e0 onlink mtu 1400",
              "-6 route add %s via fd99::2" % others[1], "-6 route add fd77::/64 via fd99::2 metric 33",
              "rule add from 10.99.0.1 lookup 77 priority 500",
              "neighbour add 10.99.0.77 lladdr 02:00:00:00:00:77 dev e0 nud permanent")
        batch("tc", e, "qdisc add dev e0 root handle 5: htb default 20",
              "class add dev e0 parent 5: classid 5:10 htb rate 10mbit",
              "class add dev e0 parent 5: classid 5:20 htb rate 10mbit",
              "qdisc add dev e0 parent 5:20 handle 50: pfifo limit 500",
              "filter add dev e0 parent 5: protocol ip prio 3 u32 match ip dport 22 0xffff"
              " flowid 5:10",
              "qdisc add dev e0 clsact",
              "filter add dev e0 egress protocol ip prio 9 u32 match ip dport 22 0xffff classid 1:9",
              "filter add dev e0 ingress protocol ip prio 300 u32 match ip sport 22 0xffff"
              " classid 1:9")
        with Inside(e):
            subprocess.run(["nft", "-f", "-"], input=NFT, text=True, check=True)
            if shutil.which("iptables-nft"):
                run("iptables-nft", "-A", "INPUT", "-p", "tcp", "--dport", "9", "-j", "DROP")
                run("iptables-nft", "-A", "FORWARD", "-s", "10.99.0.2", "-j", "ACCEPT")

    def state(self):
        """What ip, tc, nft and iptables say of the first, counters and the like masked."""
        e, found = self.edge, {}
        for name, argv in {"link": "ip -n %s -d -j link", "address": "ip -n %s -j address",
                           "route": "ip -n %s -j route show table all",
                           "route6": "ip -n %s -6 -j route show table all",
                           "rule": "ip -n %s -j rule",
                           "neighbour": "ip -n %s -j neighbour show nud permanent",
                           "qdisc": "tc -n %s -j qdisc", "class": "tc -n %s class show dev e0",
                           "filter": "tc -n %s filter show dev e0",
                           "ingress": "tc -n %s filter show dev e0 ingress",
                           "egress": "tc -n %s filter show dev e0 egress"}.items():
            text = run(*(argv % e).split())
            found[name] = _still(harness.masked(json.loads(text or "null"))) if "-j" in argv else text
        for route in ("route", "route6"):  # their order is that of making
            found[route] = sorted(found[route], key=lambda r: json.dumps(r, sort_keys=True))
        with Inside(e):
            found["nft"] = harness.masked(json.loads(run("nft", "-j", "list", "ruleset")))
            if shutil.which("iptables-nft-save"):
                found["iptables"] = [l.split("[")[0] for l in run("iptables-nft-save").split("\n")
                                     if not l.startswith("#")]
        return found

    def differences(self):
        now = self.state()
        return {k: {"gone": _less(self.before[k], now[k]), "new": _less(now[k], self.before[k])}
                for k in now if now[k] != self.before[k]}

    def is_down(self):
        return "UP" not in json.loads(run("ip", "-n", self.edge, "-j", "link", "show", "e0"))[0]["flags"]

    def connection_lives(self):
        """The connection that was there before still carries bytes, unbroken."""
        self.connection.settimeout(10)
        self.connection.sendall(b"still there?")
        return self.connection.recv(100) == b"still there?"

    def end(self):
        if self.connection:
            self.connection.close()
        if self.server:
            self.server.kill()
            self.server.wait()
            self.server.stdout.close()
        for n in (self.edge, self.far):
            run("ip", "netns", "del", n, ok=False)


# As CNI's plugins bridge, portmap and firewall (1.1.1, Debian 12) write them for podman through iptables-nft,
# for a container at 10.88.0.5 with a port of its host; read with iptables-save, its long names shortened.
CONTAINER_RULES = """
*filter
:FORWARD ACCEPT [0:0]
:CNI-ADMIN - [0:0]
:CNI-FORWARD - [0:0]
-A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
-A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN
-A CNI-FORWARD -d 10.88.0.5/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A CNI-FORWARD -s 10.88.0.5/32 -j ACCEPT
COMMIT
*nat
:CNI-51d659b1 - [0:0]
:CNI-DN-51d659b1 - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-HOSTPORT-MASQ - [0:0]
:CNI-HOSTPORT-SETMARK - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
-A POSTROUTING -s 10.88.0.5/32 -m comment --comment "name: \\"podman\\" id: \\"abc\\"" -j CNI-51d659b1
-A CNI-51d659b1 -d 10.88.0.0/16 -m comment --comment "name: \\"podman\\" id: \\"abc\\"" -j ACCEPT
-A CNI-51d659b1 ! -d 224.0.0.0/4 -m comment --comment "name: \\"podman\\" id: \\"abc\\"" -j MASQUERADE
-A CNI-DN-51d659b1 -s 10.88.0.0/16 -p tcp -m tcp --dport 8081 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-51d659b1 -s 127.0.0.1/32 -p tcp -m tcp --dport 8081 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-51d659b1 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 10.88.0.5:8080
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"podman\\" id: \\"abc\\"" -m multiport --dports 8081 -j CNI-DN-51d659b1
-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000
COMMIT
"""


class Container:
    """A running container in the first namespace of a pair: on a bridge, behind masquerading, with a
    port of the host forwarded to it. Both it and the far end echo; the far end has two addresses."""

    def __init__(self, pair):
        self.pair, self.name, self.servers = pair, pair.edge + "-pod", []
        try:
            self._build()
        except BaseException:
            self.end()
            raise

    def _build(self):
        e = self.pair.edge
        run("ip", "netns", "add", self.name)
        for n in (e, self.name):  # duplicates are not looked for: it takes a second
            with Inside(n):
                with open("/proc/sys/net/ipv6/conf/default/dad_transmits", "w") as f:
                    f.write("0")
        run("ip", "-n", e, "link", "add", "veth77", "type", "veth", "peer", "name", "eth0", "netns",
            self.name)
        batch("ip", e, "link add cni-podman0 type bridge", "address add 10.88.0.1/16 dev cni-podman0",
              "link set veth77 master cni-podman0", "link set veth77 type bridge_slave hairpin on",
              "link set veth77 up", "link set cni-podman0 up")
        batch("ip", self.name, "link set lo up", "address add 10.88.0.5/16 dev eth0",
              "link set eth0 up", "route add default via 10.88.0.1")
        run("ip", "-n", self.pair.far, "address", "add", "10.99.0.3/24", "dev", "e0")
        with Inside(e):
            for key in ("ip_forward", "conf/cni-podman0/route_localnet"):
                with open("/proc/sys/net/ipv4/" + key, "w") as f:
                    f.write("1")
            subprocess.run(["iptables-nft-restore", "--noflush"], input=CONTAINER_RULES, text=True,
                           check=True)
        for n in (self.name, self.pair.far):
            self.servers.append(echo(n))
        harness.wait_until(lambda: not any("tentative" in run("ip", "-n", n, "address")
                                           for n in (e, self.name)))
        self.pair.before = self.pair.state()

    def dials(self, address):
        with Inside(self.name):
            return socket.create_connection((address, 8080), timeout=5)

    def is_dialled(self):
        """From the far end, through the forwarded port."""
        with Inside(self.pair.far):
            return socket.create_connection(("10.99.0.1", 8081), timeout=5,
                                            source_address=("10.99.0.3", 0))

    def end(self):
        for s in self.servers:
            s.kill()
            s.wait()
            s.stdout.close()
        run("ip", "netns", "del", self.name, ok=False)


def round_trip(connection):
    """In seconds."""
    begin = time.monotonic()
    connection.sendall(b"there?")
    if connection.recv(100) != b"there?":
        raise AssertionError("the connection was cut")
    return time.monotonic() - begin


def is_quick(connection):
    """Nothing delays it: of fifty round trips one is as short as it can be, however busy the machine."""
    return any(round_trip(connection) < 0.02 for _ in range(50))


def journals():
    return sorted(os.listdir(JOURNALS))


def undo(*options):
    p = subprocess.run([harness.BLACKSTART, "undo", *options], capture_output=True, text=True)
    return p.returncode, p.stdout + p.stderr


class OtherBoot:
    """As if the machine had been started again."""

    def __enter__(self):
        self.file = os.path.join(harness.folder(), "boot_id")
        with open(self.file, "w") as f:
            f.write("00000000-1111-2222-3333-444444444444\n")
        mount(self.file, BOOT_ID, flags=MS_BIND)

    def __exit__(self, *args):
        unmount(BOOT_ID)
        shutil.rmtree(os.path.dirname(self.file))

#!/usr/bin/env python3
"""fetch.py FOLDER: puts Debian's cloud kernel there: vmlinuz, and lib/modules with what networks need;
and the packages that a test installs in the guest.

The kernel's package is downloaded and unpacked, never installed: its scripts would make an initrd and
entries of a boot loader. What is in FOLDER already is left alone, so that only the first call needs a
network. As any user.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

META = "linux-image-cloud-amd64"
# Folders of modules, below lib/modules/RELEASE/kernel/.
WANTED = ("net/", "lib/", "crypto/", "arch/x86/crypto/", "drivers/net/", "fs/overlayfs/")
UNWANTED = ("drivers/net/ethernet/", "drivers/net/phy/", "drivers/net/hyperv/", "net/sunrpc/")
# Servers, one that is started by its socket, some by timers; with those packages that they depend on and
# that are theirs alone or may not be here.
SERVERS = ("anacron", "keepalived", "libnginx-mod-http-echo", "libpopt0", "logrotate", "nginx",
           "nginx-common", "nginx-light", "redis-server", "redis-tools", "uuid-runtime")


class Unavailable(Exception):
    """The kernel cannot be had on this machine; says why."""


def find(folder):
    """(vmlinuz, folder of its modules) of what an earlier call put there, or None."""
    for image in sorted(pathlib.Path(folder).glob("*/vmlinuz")):
        for modules in image.parent.glob("lib/modules/*/modules.dep.bin"):
            return image, modules.parent
    return None


def output(*argv, cwd=None):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, cwd=cwd,
                              env=dict(os.environ, LC_ALL="C"))
    except FileNotFoundError:
        raise Unavailable("this machine has no " + argv[0]) from None
    if done.returncode != 0:
        raise Unavailable("%s: %s" % (" ".join(argv[:2]), done.stderr.strip() or "failed"))
    return done.stdout


def package():
    """The name of the kernel's own package: META only depends on it."""
    if output("dpkg", "--print-architecture").strip() != "amd64":
        raise Unavailable("the emulated machine is an amd64 one, this is none")
    names = re.findall(r"Depends: (linux-image-\S+)", output("apt-cache", "depends", META))
    if not names:
        raise Unavailable("apt knows no %s; apt-get update?" % META)
    return names[0]


def unpack(deb, folder):
    """vmlinuz and the wanted modules."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as stream:
        with tarfile.open(fileobj=stream.stdout, mode="r|") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                inside = re.match(r"lib/modules/[^/]+/(?:kernel/(.*\.ko)|modules\.\w+)$", name)
                if name.startswith("boot/vmlinuz-"):
                    member.name = "vmlinuz"
                elif not inside or inside[1] and (
                        not inside[1].startswith(WANTED) or inside[1].startswith(UNWANTED)):
                    continue
                archive.extract(member, folder)
    if stream.returncode != 0:
        raise Unavailable("dpkg-deb cannot read " + deb)


def download(names, folder):
    """The packages with these names, as .deb files in that folder, which is the current one of apt's
    child."""
    output("apt-get", "-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=2", "download",
           *names, cwd=folder)


def servers(folder, names=SERVERS):
    """The paths of these packages' .deb files, after a download where one is not there. Raises
    Unavailable."""
    place = pathlib.Path(folder, "packages")
    missing = [n for n in names if not any(place.glob(n + "_*.deb"))]
    if missing:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="new-", dir=folder) as work:
            download(missing, work)
            for deb in pathlib.Path(work).glob("*.deb"):
                deb.replace(place / deb.name)
    return [str(sorted(place.glob(n + "_*.deb"))[-1]) for n in names]


def fetch(folder):
    """As find(), after a download where nothing is there. Raises Unavailable."""
    there = find(folder)
    if there:
        return there
    name = package()
    os.makedirs(folder, exist_ok=True)
    work = tempfile.mkdtemp(prefix="new-", dir=folder)
    try:
        download([name], work)
        unpack(str(next(pathlib.Path(work).glob("*.deb"))), os.path.join(work, "x"))
        release = os.listdir(os.path.join(work, "x", "lib", "modules"))[0]
        output("/usr/sbin/depmod", "-b", os.path.join(work, "x"), release)
        try:
            os.rename(os.path.join(work, "x"), os.path.join(folder, name))
        except OSError:
            if not find(folder):  # else another call was faster
                raise
    finally:
        shutil.rmtree(work)
    return find(folder)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: fetch.py FOLDER")
    try:
        print(fetch(sys.argv[1])[0])
        servers(sys.argv[1])
    except Unavailable as reason:
        sys.exit("fetch.py: " + str(reason))

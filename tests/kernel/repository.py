"""Packages that are not installed in the guest and can be: .deb files, as a repository of apt's; and all
that installing them needs, dpkg's knowledge of what is there among it.
"""
import glob
import hashlib
import os
import subprocess

import image

PLACE = "/srv/packages"
# With these (and what they depend on) packages are installed.
INSTALLER = ("adduser", "apt", "base-passwd", "debconf", "debianutils", "dpkg", "init-system-helpers",
             "libc-bin", "login", "passwd", "perl-base", "tar")
FOLDERS = ("/var/cache/apt/archives/partial", "/var/cache/debconf", "/var/lib/apt/lists/partial",
           "/var/lib/dpkg/triggers", "/var/lib/dpkg/updates", "/var/log/apt")
USERS = {  # more than every machine has at first
    "passwd": b"_apt:*:42:65534::/nonexistent:/usr/sbin/nologin\n",
    "group": b"",
}


def fields(deb, *names):
    """These control fields of a .deb; all of them where none is named."""
    return subprocess.run(["dpkg-deb", "-f", deb] + list(names), capture_output=True, text=True,
                          check=True).stdout


class Repository:
    def __init__(self, debs):
        self.debs = {fields(deb, "Package").strip(): deb for deb in debs}
        self.needs = [fields(deb, kind).strip() for deb in debs for kind in ("Pre-Depends", "Depends")]

    def closure(self, roots, without=image.WITHOUT_PACKAGES):
        """As image.closure(), with what installing needs and without what can be installed."""
        return image.closure(tuple(roots) + INSTALLER, set(without) | set(self.debs), self.needs)

    def add_to(self, root, roots):
        """All but the packages of closure(), into an image.Image."""
        index = []
        for name, deb in sorted(self.debs.items()):
            root.add(deb, "%s/%s.deb" % (PLACE, name))
            with open(deb, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            index.append("%sFilename: ./%s.deb\nSize: %d\nSHA256: %s\n" % (
                fields(deb), name, os.path.getsize(deb), digest))
        root.put(PLACE + "/Packages", "\n".join(index).encode())
        root.put("/etc/apt/sources.list", ("deb [trusted=yes] file:%s ./\n" % PLACE).encode())
        # Of those, too, that were left out although others depend on them.
        installed = self.closure(roots, ())
        status = subprocess.run(["dpkg-query", "-s"] + installed, capture_output=True, check=True)
        root.put("/var/lib/dpkg/status", status.stdout)
        root.put("/var/lib/dpkg/info/format", b"1\n")
        for name in installed:
            for file in glob.glob("/var/lib/dpkg/info/%s[.:]*" % name):
                if file.endswith((".list", ".md5sums")):
                    root.add(file)
        for folder in FOLDERS:
            root.folder(folder)
        for name, more in USERS.items():
            with open("/usr/share/base-passwd/%s.master" % name, "rb") as file:
                root.put("/etc/" + name, file.read() + more)

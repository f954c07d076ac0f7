"""The root of the emulated machine, as one cpio archive that the kernel unpacks into memory.

It holds Debian packages as they are installed here (named ones and what they depend on), programs
that were built here with the libraries that they need, folders of sources, and the kernel's modules.
Everything lies where it lies on this machine, owned by root: a path that works here works there. The
same files give the same bytes.
"""
import os
import re
import stat
import subprocess
import sys

# Not needed in the guest, although the packages hold it or depend on it.
WITHOUT_PACKAGES = {"adduser", "debconf", "dpkg", "gcc-12-base", "install-info", "libperl5.36",
                    "lsb-base", "passwd", "perl", "perl-base", "perl-modules-5.36",
                    "ucf"}
WITHOUT_PATHS = re.compile(r"/usr/share/(doc|man|locale|lintian|info|bash-completion|bug|i18n)/"
                           r"|/systemd/system-generators/systemd-(?!sysv-)"  # of no use: nothing is mounted
                           r"|/usr/lib/x86_64-linux-gnu/gconv/|/(boot|dev|proc|sys|run|tmp)/"
                           r"|/etc/(passwd|group|shadow|hosts|hostname|resolv.conf|fstab|sub[ug]id)$")


def closure(roots, without=WITHOUT_PACKAGES, more=()):
    """The installed packages with these names, and what they and `more` (lists of dependencies) depend
    on, but those without that are not named. Raises LookupError."""
    listing = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}\t${Package}\t${Provides}\t"
         "${Pre-Depends}, ${Depends}\n"], capture_output=True, text=True, check=True).stdout
    needs, provider = {"": ",".join(more)}, {}
    for line in listing.splitlines():
        status, name, provides, depends = line.split("\t")
        if status == "installed":
            needs[name] = depends
            for virtual in re.findall(r"[^\s,(]+(?= *(?:\(|,|$))", provides):
                provider.setdefault(virtual, name)
    missing = [r for r in roots if r not in needs]
    if missing:
        raise LookupError("not installed: " + " ".join(missing))
    found, todo = set(), list(roots) + [""]
    while todo:
        name = todo.pop()
        if name in found or (name in without and name not in roots):
            continue
        found.add(name)
        for choice in needs[name].split(","):
            names = [re.sub(r"[:(\s].*", "", n.strip()) for n in choice.split("|")]
            todo += [n if n in needs else provider[n] for n in names
                     if n in needs or n in provider][:1]
    return sorted(found - {""})


def files_of(packages):
    """What these packages put on the machine, and the Python modules' compiled forms."""
    listed = subprocess.run(["dpkg-query", "-L"] + packages, capture_output=True, text=True,
                            check=True).stdout.split("\n")
    for path in listed:
        if not path.startswith("/") or WITHOUT_PATHS.search(path + "/" * os.path.isdir(path)):
            continue
        yield path
        folder, name = os.path.split(path)
        compiled = os.path.join(folder, "__pycache__", name[:-2] + sys.implementation.cache_tag + ".pyc")
        if name.endswith(".py") and os.path.exists(compiled):
            yield compiled


def is_program(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def libraries(programs):
    """The shared libraries that these programs load."""
    if not programs:
        return []
    told = subprocess.run(["ldd"] + programs, capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r"(?:=> |^\s)(/\S+) \(", told, re.M)))


class Image:
    """Collects paths; write() writes the archive."""

    def __init__(self):
        self.entries = {}  # path without the leading slash: (mode, mtime, bytes or a path to read)

    def put(self, path, content, mode=0o644):
        """A file with this content; folders above it come by themselves."""
        self._above(path)
        self.entries[path.lstrip("/")] = (stat.S_IFREG | mode, 0, content)

    def link(self, path, target):
        self._above(path)
        self.entries[path.lstrip("/")] = (stat.S_IFLNK | 0o777, 0, target.encode())

    def folder(self, path, mode=0o755):
        self._above(path)
        self.entries[path.lstrip("/")] = (stat.S_IFDIR | mode, 0, b"")

    def add(self, path, at=None):
        """A file, link or folder (without what is in it) of this machine, where it lies or `at`."""
        if at is None:  # /lib/x is /usr/lib/x: the links of the root come by themselves
            parent = os.path.realpath(os.path.dirname(path))
            self._roots(path)
            path = at = os.path.join(parent, os.path.basename(path))
        try:
            s = os.lstat(path)
        except FileNotFoundError:  # listed by a package, removed by this machine's owner
            return
        key = at.lstrip("/")
        if not key or key in self.entries:
            return
        self._above(at)
        if stat.S_ISLNK(s.st_mode):
            self.entries[key] = (s.st_mode, 0, os.readlink(path).encode())
        elif stat.S_ISREG(s.st_mode):
            self.entries[key] = (s.st_mode, int(s.st_mtime), path)
        elif stat.S_ISDIR(s.st_mode):
            self.entries[key] = (s.st_mode, 0, b"")

    def tree(self, folder, at=None, without=()):
        for base, names, files in os.walk(folder):
            names[:] = sorted(n for n in names if n not in without)
            for name in sorted(files):
                path = os.path.join(base, name)
                self.add(path, at and os.path.join(at, os.path.relpath(path, folder)))

    def library(self, path):
        """A library under the name by which it is loaded, and the file behind the link."""
        self.add(path)
        while os.path.islink(path):
            path = os.path.join(os.path.dirname(path), os.readlink(path))
            self.add(path)

    def alternatives(self):
        """The commands that are links to /etc/alternatives, where their target is here."""
        for folder in ("/usr/bin", "/usr/sbin"):
            for entry in sorted(os.scandir(folder), key=lambda e: e.name):
                if entry.is_symlink() and os.readlink(entry.path).startswith("/etc/alternatives/"):
                    if os.path.realpath(entry.path).lstrip("/") in self.entries:
                        self.link(entry.path, os.path.realpath(entry.path))

    def _roots(self, path):
        top = "/" + path.split("/")[1]
        if os.path.islink(top):
            self.entries[top[1:]] = (stat.S_IFLNK | 0o777, 0, os.readlink(top).encode())

    def _above(self, path):
        parts = path.strip("/").split("/")[:-1]
        for n in range(1, len(parts) + 1):
            self.entries.setdefault("/".join(parts[:n]), (stat.S_IFDIR | 0o755, 0, b""))

    def write(self, file):
        """As the kernel's "newc" (Documentation/driver-api/early-userspace/buffer-format.rst)."""
        for number, name in enumerate(sorted(self.entries), 1):
            mode, mtime, content = self.entries[name]
            if isinstance(content, str):
                with open(content, "rb") as f:
                    content = f.read()
            self._member(file, number, mode, mtime, name, content)
        self._member(file, 0, 0, 0, "TRAILER!!!", b"")

    @staticmethod
    def _member(file, number, mode, mtime, name, content):
        name = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, mtime, len(content), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + name
        file.write(head + b"\0" * (-len(head) % 4))
        file.write(content + b"\0" * (-len(content) % 4))

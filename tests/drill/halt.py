"""Halts a process at one line of its record: no race, no sleep, no hook in the product.

The process is traced (ptrace(2)) and looked at after each of its system calls; after the one that
wrote the line it stands still until it is killed or let go. Only the parent that started it may use
this, from one thread; what the process forks is not traced.
"""
import ctypes
import json
import os
import signal

PTRACE_DETACH, PTRACE_SYSCALL = 17, 24
PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
OPTIONS = 0x1 | 0x100000  # TRACESYSGOOD: system calls stop with SIGTRAP | 0x80; EXITKILL
SYSCALL_STOP = signal.SIGTRAP | 0x80

_ptrace = ctypes.CDLL(None, use_errno=True).ptrace
_ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=0):
    if _ptrace(request, pid, None, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, "ptrace: " + os.strerror(code))


IN_FORCE = {"kind": "inject", "ok": True}


def halted(drill, n=1, wanted=None):
    """A drill that has been started, halted right after n faults came into force (or where wanted() says,
    see Halt.at())."""
    halt = Halt(drill.process, os.path.join(drill.out, "record.ndjson"))
    for _ in range(n):
        halt.at(wanted or (lambda e, state: IN_FORCE.items() <= e.items()))
    return halt


class Halt:
    """Traces from now on; `path`: the record, which may not be there yet."""

    def __init__(self, process, path):
        self.process, self.pid, self.path = process, process.pid, path
        self.file, self.rest, self.size = None, b"", 0
        self.state = None  # of the trial
        ptrace(PTRACE_SEIZE, self.pid, OPTIONS)
        ptrace(PTRACE_INTERRUPT, self.pid)
        self.deliver = None
        self._next()

    def _next(self):
        """Until it stops once more."""
        if self.deliver is not None:
            ptrace(PTRACE_SYSCALL, self.pid, self.deliver)
        _, status = os.waitpid(self.pid, 0)
        if not os.WIFSTOPPED(status):
            self.process.returncode = os.waitstatus_to_exitcode(status)
            raise AssertionError("it ended before it wrote what was waited for (exit code %s)"
                                 % self.process.returncode)
        signo, event = os.WSTOPSIG(status), status >> 16
        self.deliver = 0 if event or signo == SYSCALL_STOP else signo
        return signo == SYSCALL_STOP

    def _lines(self):
        """What was written since the last look."""
        if not self.file:
            try:
                self.file = open(self.path, "rb", buffering=0)
            except FileNotFoundError:
                return []
        if os.fstat(self.file.fileno()).st_size == self.size:
            return []
        text = self.file.read()
        self.size += len(text)
        *lines, self.rest = (self.rest + text).split(b"\n")
        return [json.loads(l) for l in lines]

    def at(self, wanted):
        """Halts it right after it wrote a line for which wanted(line, state of the trial) holds."""
        while True:
            if not self._next():
                continue
            for e in self._lines():
                if e["kind"] == "state":
                    self.state = e["state"]
                if wanted(e, self.state):
                    return e

    def calls(self, n):
        """Lets it make n more system calls; false when it ended before."""
        for _ in range(2 * n):  # it stops before and after each
            try:
                self._next()
            except AssertionError:
                return False
            for e in self._lines():
                if e["kind"] == "state":
                    self.state = e["state"]
        return True

    def go(self):
        """Goes on, untraced."""
        self.file.close()
        ptrace(PTRACE_DETACH, self.pid)

    def kill(self):
        self.file.close()
        os.kill(self.pid, signal.SIGKILL)

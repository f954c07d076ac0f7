"""The kill matrix (tests/drill/deaths.py) over units of systemd."""
import os
import sys

sys.path.insert(0, os.path.join(os.environ["BLACKSTART_SOURCE"], "tests", "drill"))
import deaths
import foreign
import harness
from deaths import Fault
from foreign import journals, run
from harness import processes_of, wait_until
from test_systemd import Systemd

ABSENT = "worker.service.*(does not run|is not active|has no process)"
GROUP = "/sys/fs/cgroup/system.slice/worker.service"


class Units(deaths.Deaths, Systemd):
    SERVICE, RTO, HORIZON = "work", 2.0, "4s"
    SCRIPT = "\n  - {id: hit, at: 200ms, %s}"
    FAULTS = {
        "ended": Fault("kill: {host: worker, expect: 2}", "started again", lasts=True, anew=True, absent=ABSENT),
        "down": Fault("shutdown: {host: worker}", "started again", lasts=True, anew=True, absent=ABSENT),
        "frozen": Fault("freeze: {host: worker}", "thawed", noticed=True),
        "hung": Fault("stop: {host: worker}", "SIGCONT to ", noticed=True),
    }

    def setUp(self):
        self.unit("worker.service")
        self.unit("other.service")
        self.other = self.told("other.service")

    def drill(self, script, horizon=None, **kwargs):
        return super().drill(self.scene(script).replace("horizon: 6s", "horizon: " + horizon), "--yes")

    def told(self, unit):
        return self.shown(unit, "ActiveState", "MainPID", "InvocationID")

    def state(self):
        if self.told("worker.service")["ActiveState"] != "active":
            return "away"
        pids = sorted(int(p) for p in deaths.members(GROUP))
        with open(GROUP + "/cgroup.events") as f:
            return [f.read(), len(pids), {(harness.stat_of(p) or "??")[1] for p in pids} - {"S", "R", "D"}]

    def identity(self):
        return self.told("worker.service")

    def take_away(self):
        run("systemctl", "kill", "--signal=CONT", "worker.service", ok=False)
        run("systemctl", "thaw", "worker.service", ok=False)
        run("systemctl", "stop", "worker.service")

    def renew(self):
        self.take_away()
        run("systemctl", "reset-failed", "worker.service", ok=False)
        run("systemctl", "start", "worker.service")

    def nothing_left(self, d):
        wait_until(lambda: not processes_of(d.token))
        self.assertEqual((processes_of(d.token), journals()), ([], []))
        self.assertEqual(self.told("other.service"), self.other)


del Systemd  # it has no tests of its own

if __name__ == "__main__":
    deaths.fill(Units, 1)
    foreign.own_mounts()
    harness.main()

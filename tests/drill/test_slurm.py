"""forecast as a job array: a real slurmctld and slurmd on loopback, of our own, give the same bytes."""
import hashlib
import os
import shutil
import socket
import subprocess
import time
import unittest

import harness
import scenes

PARTS = int(os.environ.get("SLURM_PARTS", "5"))
TRIALS = os.environ.get("SLURM_TRIALS", "20000")
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"

# Nothing of the machine's own Slurm or munge is used or touched. One node of two processors; no control
# groups, no accounting.
CONF = """
ClusterName=blackstart
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge.socket
CredType=cred/munge
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd.log
SlurmctldPort={ctld}
SlurmdPort={slurmd}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1,defer_batch
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=10 State=UP OverSubscribe=NO
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Cluster:
    def __init__(self, base):
        self.base = base
        self.daemons = []
        self.env = dict(os.environ, PATH=PATH, SLURM_CONF=os.path.join(base, "slurm.conf"))
        for folder in ("state", "spool"):
            os.mkdir(os.path.join(base, folder))
        with open(os.path.join(base, "munge.key"), "wb") as f:
            f.write(os.urandom(1024))
        os.chmod(f.name, 0o400)
        harness.write(os.path.join(base, "slurm.conf"), CONF.format(
            base=base, host=socket.gethostname().split(".")[0], ctld=free_port(), slurmd=free_port()))

    def path(self, name):
        return os.path.join(self.base, name)

    def spawn(self, *argv):
        log = open(self.path(argv[0] + ".out"), "w")
        self.daemons.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             env=self.env, start_new_session=True))
        log.close()

    def ask(self, *argv):
        return subprocess.run(argv, capture_output=True, text=True, env=self.env, timeout=120)

    def start(self):
        # A world of our own (apart.sh) has loopback alone, with which Slurm resolves no name at all
        # (AI_ADDRCONFIG): an address of documentation's there will do.
        if [name for _, name in socket.if_nameindex()] == ["lo"]:
            self.ask("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
        self.spawn("munged", "--foreground", "--force", "--key-file", self.path("munge.key"),
                   "--socket", self.path("munge.socket"), "--pid-file", self.path("munge.pid"),
                   "--log-file", self.path("munge.log"), "--seed-file", self.path("munge.seed"))
        self.until(lambda: os.path.exists(self.path("munge.socket")))
        self.spawn("slurmctld", "-D", "-f", self.path("slurm.conf"))
        self.spawn("slurmd", "-D", "-f", self.path("slurm.conf"))
        self.until(lambda: "idle" in self.ask("sinfo", "-h", "-o", "%T").stdout)

    def until(self, ready):
        end = time.monotonic() + 30
        while not ready():
            if time.monotonic() > end:
                logs = ""
                for name in sorted(os.listdir(self.base)):
                    if name.endswith((".log", ".out")):
                        with open(self.path(name)) as f:
                            logs += name + ":\n" + f.read()
                raise AssertionError("the cluster did not come up\n" + logs)
            time.sleep(0.05)

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


class Array(unittest.TestCase):
    def setUp(self):
        self.base = harness.folder()
        self.addCleanup(shutil.rmtree, self.base, True)

    def at(self, name):
        return os.path.join(self.base, name)

    def test_a_job_array_gives_the_same_bytes(self):
        scenario = harness.write(self.at("scenario.yaml"), scenes.ASSUMED)
        os.mkdir(self.at("cluster"))
        cluster = Cluster(self.at("cluster"))
        self.addCleanup(cluster.stop)
        cluster.start()
        job = harness.write(self.at("job.sh"), "#!/bin/sh\nexec %s forecast %s --seed 7 --trials %s "
                            "--shard $SLURM_ARRAY_TASK_ID/%d --threads 1 --out %s/part-$SLURM_ARRAY_"
                            "TASK_ID\n" % (harness.BLACKSTART, scenario, TRIALS, PARTS, self.base))
        # Not with --wait, which looks every few seconds.
        done = cluster.ask("sbatch", "--parsable", "--array=1-%d" % PARTS, "--cpus-per-task=1",
                           "--output", self.at("job-%a.out"), "--chdir", self.base, job)
        self.assertEqual(done.returncode, 0, done.stderr)
        cluster.until(lambda: not cluster.ask("squeue", "-h", "-j", done.stdout.strip()).stdout)
        whole = subprocess.run(
            [harness.BLACKSTART, "report", "--out", self.at("whole"), "-q"] +
            [self.at("part-%d" % k) for k in range(1, PARTS + 1)], capture_output=True, text=True)
        self.assertEqual(whole.returncode, 4, whole.stderr)  # too near to the promise to say
        alone = subprocess.run(
            [harness.BLACKSTART, "forecast", scenario, "--seed", "7", "--trials", TRIALS, "-q",
             "--out", self.at("alone")], capture_output=True, text=True)
        self.assertEqual(alone.returncode, whole.returncode)
        for name in ("record.ndjson", "result.json", "report.html"):
            sums = []
            for folder in ("whole", "alone"):
                with open(os.path.join(self.base, folder, name), "rb") as f:
                    sums.append(hashlib.sha256(f.read()).hexdigest())
            self.assertEqual(*sums, name)


if __name__ == "__main__":
    if os.geteuid() != 0:
        harness.skip(harness.NEEDS_ROOT)
    harness.need_programs("munged", "slurmctld", "slurmd", "sbatch", "sinfo")
    harness.main()

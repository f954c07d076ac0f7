"""Each way of dying in each state of a trial, on whatever kind of target: what must then be true.

The runner is halted at a line of its record (halt.py), so that each death hits exactly the state that its
test is named for, and has exactly one right outcome.
"""
import collections
import contextlib
import os
import random
import secrets
import signal

import foreign
import harness
from foreign import journals, undo
from halt import halted
from harness import Drill, processes_of, wait_until, warden
from test_kill import alive, cgroup2, members

# A fault: its step; what undoing it says; the process of ours that it needs (None: none); whether the kernel
# takes it away with the last of ours; whether it is undone after another start of the machine, too; whether
# whoever is there afterwards is new; what another drill is told where nobody is there meanwhile;
# whether it is seen to be gone, before it is undone, when its target has.
Fault = collections.namedtuple("Fault", "step done helper heals lasts anew absent noticed",
                               defaults=(None, False, False, False, None, False))

# Where in each state death comes.
INSTANTS = {
    "build": lambda e, state: state == "build",
    "settle": lambda e, state: state == "settle",
    "arm": lambda e, state: state == "arm",
    "zero": lambda e, state: state == "inject",  # armed, in the journal, and not begun
    "inject": lambda e, state: e["kind"] == "inject",
    "verified": lambda e, state: e["kind"] == "verify",
    "observe": lambda e, state: state == "observe",
    "restore": lambda e, state: state == "restore",
    "undo": lambda e, state: state == "undo",
    "undone": lambda e, state: e["kind"] == "undo",
    "compare": lambda e, state: state == "compare",
}
STATES = list(INSTANTS)
IN_FORCE = STATES[STATES.index("inject"):STATES.index("undone")]
AFTER = ["undone", "compare"]


class Deaths:
    """For a TestCase with
    FAULTS:        {name: Fault} of its host;
    drill(script): a drill on it, not started, in which SERVICE is promised to be back within RTO;
    state():       what the faults change, as others tell it; the same before and after;
    identity():    who is there;
    take_away():   the target is removed; renew(): there is one as at first;
    nothing_left(drill): asserts that nothing of ours is, and that what is others' is as before.
    """
    SCRIPT = "\n  - {id: hit, at: 50ms, %s}"
    HORIZON = "650ms"
    RTO = 0.3
    SERVICE = "web"
    WAYS = {}  # of this kind of target alone

    def scripted(self, fault, script=SCRIPT):
        self.fault = self.FAULTS[fault]
        self.was, self.who = self.state(), self.identity()
        d = self.drill(script % self.fault.step, horizon=self.HORIZON)
        self.addCleanup(self.leave_whole, d)
        return d

    def leave_whole(self, d):
        """For the next test, also after a failure."""
        if d.process and d.process.poll() is None:
            for pid, _ in processes_of(d.token):
                os.kill(pid, signal.SIGKILL)
            d.finish()
        if journals():
            undo()
        for name in journals():
            os.unlink(os.path.join(foreign.JOURNALS, name))
        if self.state() != self.was:
            self.renew()

    def begin(self, fault, state, group=None):
        self.at = state
        d = self.scripted(fault)
        if group:
            entered(group, d.start)
        else:
            d.start()
        try:
            self.halt = halted(d, wanted=INSTANTS[state])
        except AssertionError as e:
            raise AssertionError(d.explain()) from e
        if state != "verified":  # which may take a while
            self.assertEqual(self.halt.state, {"zero": "inject", "undone": "undo"}.get(state, state))
        self.warden = warden(d)
        self.broken(state in IN_FORCE)
        return d

    def broken(self, expected):
        seen = []

        def there():
            seen.append(self.state())
            return (seen[-1] != self.was) == expected
        if wait_until(there, timeout=5):
            return
        self.assertEqual(seen[-1], self.was) if not expected else self.fail("nothing of it is there")

    def whole(self):
        self.broken(False)
        if not self.fault.anew:
            self.assertEqual(self.identity(), self.who)

    def everything_as_before(self, d):
        wait_until(lambda: not processes_of(d.token))
        self.nothing_left(d)
        self.whole()

    def ends(self, d, code=None, status="aborted", by="runner"):
        """Who was left has told it, undone what was there to be undone, and found nothing left of us."""
        self.assertEqual(d.code, code, d.explain())
        self.assertEqual([(e["by"], e["status"]) for e in d.events("run-end")], [(by, status)], d.explain())
        clean = d.events("clean")[-1]
        self.assertEqual((clean["clean"], clean["left"]), (True, []), clean)
        undone = d.events("undo")
        self.assertEqual([e["ok"] for e in undone], [True] * len(undone), undone)
        if self.at in IN_FORCE + AFTER:
            self.assertRegex(" ".join(undone[0]["changes"]), self.fault.done)
        harness.check_record(d.record)
        self.everything_as_before(d)

    def undisturbed(self, d):
        """What it ends with when nobody disturbs it: nothing but our undo ends the fault."""
        trial, = d.result["trials"]
        self.assertEqual(trial["outcome"], "completed", d.explain())
        ttr = trial["services"][self.SERVICE]["ttr_s"]
        return 0 if not ttr else harness.undone_alone(d, self.SERVICE, self.RTO)

    def kill(self, pid):
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid))

    def runner_gone(self, d):
        d.finish()
        self.assertEqual(d.code, -signal.SIGKILL)
        wait_until(lambda: not processes_of(d.token))

    def undone_once(self, d):
        """Nobody of ours is left: one `undo` puts it right, and another finds nothing to do."""
        self.assertEqual(d.events("run-end"), [])
        self.assertEqual(d.events("state")[-1]["state"], self.halt.state)
        self.broken(self.at in IN_FORCE and not self.fault.heals)
        said = {"build": "nothing to undo\n", "settle": "nothing to undo\n", "arm": "nothing to undo\n",
                "compare": "nothing to undo\n", "zero": "it had not begun, nothing was changed",
                "undone": "step hit, [a-z]+: (undone|gone already)"}.get(
                    self.at, self.fault.done)
        code, text = undo("--list")
        self.assertEqual(code, 0, text)
        self.broken(self.at in IN_FORCE and not self.fault.heals)
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertRegex(text, said)
        self.everything_as_before(d)
        self.assertEqual(undo(), (0, "nothing to undo\n"))
        self.whole()

    # ---- who dies ----

    def runner(self, fault, state):
        d = self.begin(fault, state)
        self.halt.kill()
        self.runner_gone(d)
        wait_until(lambda: not alive(self.warden))
        self.ends(d, -signal.SIGKILL, by="warden")
        if state in IN_FORCE:
            self.assertEqual([e["cause"] for e in d.events("undo")], ["warden"])

    def the_warden(self, fault, state):
        d = self.begin(fault, state)
        self.kill(self.warden)
        self.halt.go()
        d.finish()
        if state == "compare":  # all was measured, and nothing is left that needs it
            self.ends(d, self.undisturbed(d), "completed")
        else:
            self.ends(d, 5)
            self.assertEqual([e["reason"] for e in d.events("stop")], ["lost-warden"])

    def both(self, fault, state):
        d = self.begin(fault, state)
        self.kill(self.warden)
        self.halt.kill()
        self.runner_gone(d)
        self.undone_once(d)

    def cgroup(self, fault, state):
        if not cgroup2():
            self.skipTest(harness.NEEDS_CGROUP2)
        group = os.path.join(cgroup2(), "blackstart-test-" + secrets.token_hex(6))
        os.mkdir(group)
        self.addCleanup(os.rmdir, group)
        d = self.begin(fault, state, group)
        with open(os.path.join(group, "cgroup.kill"), "w") as f:
            f.write("1")
        self.runner_gone(d)
        wait_until(lambda: not members(group))
        self.undone_once(d)

    def helper_of(self, d):
        found, = [p for p, name in processes_of(d.token) if name == self.fault.helper]
        return found

    def helper(self, fault, state):
        """The engine that holds frames, or the proxy in the way: by itself."""
        d = self.begin(fault, state)
        self.kill(self.helper_of(d))
        self.halt.go()
        d.finish()
        self.ends(d, 4, "completed")
        trial, = d.result["trials"]
        self.assertEqual(trial["outcome"], "void")

    def helper_and_runner(self, fault, state):
        d = self.begin(fault, state)
        self.kill(self.helper_of(d))
        self.halt.kill()
        self.runner_gone(d)
        self.ends(d, -signal.SIGKILL, by="warden")

    def helper_and_warden(self, fault, state):
        d = self.begin(fault, state)
        self.kill(self.helper_of(d))
        self.kill(self.warden)
        self.halt.go()
        d.finish()
        self.ends(d, 5)

    def all_three(self, fault, state):
        d = self.begin(fault, state)
        self.kill(self.helper_of(d))
        self.kill(self.warden)
        self.halt.kill()
        self.runner_gone(d)
        self.undone_once(d)

    # ---- and what else may happen then ----

    def machine(self, fault, state):
        """All die, and the machine starts again."""
        d = self.begin(fault, state)
        self.kill(self.warden)
        self.halt.kill()
        self.runner_gone(d)
        with foreign.OtherBoot():
            code, text = undo()
        self.assertEqual(code, 0, text)
        if state in IN_FORCE + ["zero", "undone"] and not self.fault.lasts:
            self.assertIn("the machine was started again since", text)
        stays = state in IN_FORCE and not self.fault.lasts and not self.fault.heals
        self.broken(stays)
        self.nothing_left(d)

    def target_and_all(self, fault, state):
        """All die, and then there is no target any more."""
        d = self.begin(fault, state)
        self.kill(self.warden)
        self.halt.kill()
        self.runner_gone(d)
        self.take_away()
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertEqual(undo(), (0, "nothing to undo\n"))
        self.renew()
        self.nothing_left(d)
        self.assertEqual(self.state(), self.was)

    def target(self, fault, state):
        """The target goes, and the fault with it."""
        self.other_target(fault, state, self.take_away)

    def other_target(self, fault, state, do):
        d = self.begin(fault, state)
        do()
        self.halt.go()
        d.finish()
        wait_until(lambda: not processes_of(d.token))
        trial, = d.result["trials"]
        if state in ("restore", "undo"):  # all was measured
            void = self.fault.noticed
        else:
            void = state == "zero" or not self.fault.absent
        self.assertEqual(trial["outcome"], "void" if void else "completed", d.explain())
        self.assertEqual(d.code, 4 if void else self.undisturbed(d), d.explain())
        self.assertEqual([(e["by"], e["status"]) for e in d.events("run-end")], [("runner", "completed")])
        undone = d.events("undo")
        self.assertEqual([e["ok"] for e in undone], [True] * len(undone), undone)
        clean = d.events("clean")[-1]
        self.assertEqual((clean["clean"], clean["left"]), (True, []), clean)
        self.nothing_left(d)
        self.assertEqual(undo(), (0, "nothing to undo\n"))
        if self.state() != self.was:  # nobody has put another in its place
            self.renew()
        self.broken(False)

    def second(self, fault, state):
        """Another drill on the same target is refused, and the first goes on."""
        d = self.begin(fault, state)
        other = Drill(d.scenario, "--yes").run()
        self.addCleanup(other.remove)
        self.assertEqual(other.code, 3, other.explain())
        why = state in IN_FORCE and self.fault.absent or "another drill holds"
        self.assertRegex(other.stderr, why)
        self.assertFalse(os.path.exists(other.out))
        self.halt.go()
        d.finish()
        self.ends(d, self.undisturbed(d), "completed")

    def disk_full(self, fault, state):
        """What cannot be written down is not done."""
        with no_room():
            d = self.scripted(fault).run()
            self.assertEqual(d.code, 5, d.explain())
            self.assertEqual((d.events("inject"), journals()), ([], ["filler"]))
            self.assertIn("No space left", d.events("stop")[0]["detail"])
            self.assertTrue(d.events("clean")[-1]["clean"], d.events("clean"))
        self.at = "arm"
        self.everything_as_before(d)


@contextlib.contextmanager
def no_room():
    """In the journal's folder."""
    foreign.mount("full", foreign.JOURNALS, "tmpfs", data="size=4k,mode=0755")
    try:
        harness.write(os.path.join(foreign.JOURNALS, "filler"), "x" * 4096)
        yield
    finally:
        foreign.unmount(foreign.JOURNALS)


def entered(group, do):
    """Done by this process as a member of the group, and so by what it starts."""
    with open("/proc/self/cgroup") as f:
        own, = [l.split(":", 2)[2].strip() for l in f if l.startswith("0:")]

    def move(folder):
        with open(os.path.join(folder, "cgroup.procs"), "w") as f:
            f.write(str(os.getpid()))
    move(group)
    try:
        do()
    finally:
        move(os.path.join(cgroup2(), own.lstrip("/")))


class AtRandom:
    """For a TestCase that has what Deaths need. SIGKILL a random number of system calls after one of three
    lines of the record: to the runner, to its warden, to both at once. Then `undo`, whether there is something
    to undo or not."""
    KILLS = 0
    CALLS = 300
    BRIEF = "\n  - {id: hit, at: 0s, for: 20ms, %s}"

    def test_killed_at_random_instants(self):
        seed = int(os.environ.get("DEATHS_SEED", str(random.SystemRandom().randrange(1 << 32))))
        rng = random.Random(seed)
        seen = collections.Counter()
        kills = int(os.environ.get("DEATHS_KILLS", self.KILLS))
        for i in range(kills):
            with self.subTest(kill=i, seed=seed):
                seen.update(self.one(rng))
        print("DEATHS_SEED=%d: %d kills, %s" % (seed, kills, ", ".join("%s %d" % s for s in sorted(seen.items()))))

    def one(self, rng):
        d = self.scripted(rng.choice(list(self.FAULTS)), self.BRIEF)
        victims = rng.choice(["all"] * 6 + ["runner", "warden"])
        begin, calls = rng.choice(["arm", "zero", "inject"]), rng.randrange(self.CALLS)
        try:
            self.halt = halted(d.start(), wanted=INSTANTS[begin])
            its_warden = warden(d)
            ended = not self.halt.calls(calls)
            state = "no state: it had ended" if ended else self.halt.state
            if not ended and victims != "runner":
                os.kill(its_warden, signal.SIGKILL)
            if not ended and victims == "warden":
                self.halt.go()
            elif not ended:
                self.halt.kill()
            d.finish()
            wait_until(lambda: not processes_of(d.token))
            if victims != "all":
                self.assertEqual(undo(), (0, "nothing to undo\n"))
            left = bool(journals())
            code, text = undo()
            self.assertEqual(code, 0, text)
            self.everything_as_before(d)
            return ["of " + victims, "in " + state] + ["with work for undo"] * left
        finally:
            self.leave_whole(d)


# In which states each is tried, the first four in all.
SOME = ["zero", "inject", "observe", "undo", "undone"]
HELPED = ("helper", "helper_and_runner", "helper_and_warden", "all_three")
WAYS = {"runner": STATES, "the_warden": STATES, "both": STATES, "cgroup": STATES,
        "second": ["build", "arm", "inject", "undo", "undone", "compare"], "machine": SOME, "target_and_all": SOME,
        "target": ["zero", "inject", "observe", "restore", "undo"], **dict.fromkeys(HELPED, IN_FORCE),
        "disk_full": ["arm"]}


def cells(case):
    """All that is to be tried: (fault, way, state)."""
    return [(fault, way, state) for fault, f in case.FAULTS.items() for way, states in {**WAYS, **case.WAYS}.items()
            for state in states if f.helper or way not in HELPED]


def spread(case, turn, states):
    """One in each of these states, such that ways and faults take turns; and a disk that is full."""
    every, chosen, faults = cells(case), [], list(case.FAULTS)
    for i, state in enumerate(states):
        here = sorted({way for _, way, s in every if s == state and way != "disk_full"})
        way = here[(turn + i) % len(here)]
        able = [f for f in faults[(turn + i) % len(faults):] + faults if (f, way, state) in every]
        chosen.append((able[0], way, state))
    return chosen + [(faults[turn % len(faults)], "disk_full", "arm")]


def fill(case, turn, states=STATES, also=()):
    """With DEATHS=all everything; else a few, and those besides."""
    for fault, way, state in cells(case) if os.environ.get("DEATHS") == "all" else [*spread(case, turn, states), *also]:
        setattr(case, "test_%s_%s_dies_in_%s" % (fault, way, state),
                lambda self, w=way, f=fault, s=state: getattr(self, w)(f, s))

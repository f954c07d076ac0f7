"""Functional exercises: people and real faults on one clock, in one record. Whatever ends one, nothing of it
remains on the machine."""
import os
import signal
import subprocess
import unittest

import harness
from harness import Drill, check_record, machine, processes_of, wait_until, write
from pages import Page, announced
from scenes import STAMPD, scene

PEOPLE = """
roles:
  commander: {people: [alice]}
  watcher: {kind: evaluator, people: [eve]}
  director: {kind: facilitator, people: [fay]}
"""
CUT = "{id: cut, at: 200ms, %spartition: {cut: [[client], [srv]], kind: drop}}"
ASK = "{id: act, when: {step: told}, decide: {who: commander, question: Again?, options: [start, wait]}}"
TOLD = "{id: told, at: 150ms, tell: {to: all, message: Customers cannot pay.}}"
AGAIN = "sh -c 'exec setsid %s --port 80 >/dev/null 2>&1 &'" % STAMPD


def play(*steps, **more):
    return scene("".join("\n  - " + s for s in steps), **({"rto": "5s", "horizon": "8s"} | more)) + PEOPLE


def answered(text, *answers, **more):
    """One that answers play; they are at work when it has started."""
    d = Drill(text, command="exercise", **more)
    d.options += ["--answers", write(os.path.join(d.base, "answers.yaml"),
                                     "answers:\n" + "".join("  - {%s}\n" % a for a in answers))]
    return d.start()


class Functional(unittest.TestCase):
    def kept(self, d):
        self.addCleanup(d.end)
        return d

    def test_a_decision_starts_what_restores(self):
        before = machine()
        d = self.kept(answered(
            play("{id: lose, at: 100ms, kill: {host: {any: 1, of: [srv]}, process: stamp-server}}", TOLD, ASK,
                 '{id: again, when: {all: [{decision: act, is: start}, {probe: web}]}, run: {host: srv, command: "%s"}}'
                 % AGAIN, "{id: never, when: {decision: act, is: wait}, kill: {host: client, process: x}}"),
            "after: 500ms, role: commander, do: decide, step: act, option: start",
            "after: 1s, role: director, do: end, since: again")).finish()
        self.assertEqual(d.code, 0, d.explain())
        check_record(d.record)
        start = d.record[0]
        self.assertEqual((start["kind"], start["mode"], start["speed"], start["trials"]),
                         ("run-start", "functional", 1, 1))
        self.assertIn("answers", start)
        clocks = [e["clock"] for e in d.record[1:]]
        self.assertEqual(clocks, sorted(clocks))
        begun = [e["step"] for e in d.events("step", event="begins")]
        self.assertEqual(begun, ["lose", "again"])
        lose, again = d.events("inject")
        decision, = d.events("decision")
        self.assertEqual((lose["targets"], again["step"]), (["srv"], "again"))
        self.assertLess(decision["t"], again["at"][0])
        self.assertGreaterEqual(decision["clock"], decision["asked"] + 500_000_000)
        self.assertTrue(d.events("verify", step="lose")[0]["ok"])
        self.assertEqual([(e["event"], e["service_down"]) for e in d.events("health")],
                         [("down", True), ("up", False)])
        self.assertEqual([e["state"] for e in d.events("state")],
                         ["build", "settle", "arm", "inject", "observe", "restore", "undo", "compare"])
        self.assertEqual(d.events("undo")[0]["cause"], "end")
        self.assertEqual([e["kind"] for e in d.record[-2:]], ["clean", "run-end"])
        self.assertTrue(d.record[-2]["clean"])
        trial, = d.result["machine"]["trials"]
        web = trial["services"]["web"]
        self.assertEqual((d.result["mode"], web["outcome"], web["restored_by"]),
                         ("functional", "restored", "recovery"))
        self.assertEqual([f for f in d.result["machine"]["findings"] if f["code"] != "trouble"], [])
        self.assertEqual(machine(), before)
        resumed = subprocess.run([harness.BLACKSTART, "exercise", "--resume", d.out], text=True,
                                 capture_output=True, stdin=subprocess.DEVNULL)
        self.assertEqual(resumed.returncode, 2)
        self.assertIn("nothing to go on with", resumed.stderr)

    def test_a_promise_that_is_broken_is_broken(self):
        """The fault ends by `for` on the exercise clock, nobody restored anything."""
        d = self.kept(answered(play(CUT % "for: 1200ms, ", TOLD, rto="500ms"),
                               "at: 2s, role: director, do: end")).finish()
        self.assertEqual(d.code, 1, d.explain())
        begins, ends = d.events("step")
        self.assertEqual((begins["event"], ends["event"], ends["cause"]), ("begins", "ends", "for"))
        applied = d.events("inject")[0]["clock"]
        self.assertAlmostEqual((ends["clock"] - applied) / 1e9, 1.2, delta=0.3)
        self.assertEqual(d.result["machine"]["trials"][0]["services"]["web"]["restored_by"], "heal")

    def test_a_fault_that_does_not_bite_ends_the_machines_part(self):
        """People go on without it; its later steps are left out; nothing was shown."""
        d = self.kept(answered(play("{id: lose, at: 100ms, kill: {host: srv, process: nobody}}", TOLD, ASK,
                                    "{id: late, when: {decision: act}, kill: {host: srv, process: stamp-server}}"),
                               "after: 600ms, role: commander, do: decide, step: act, option: wait",
                               "after: 1500ms, role: director, do: end, since: lose")).finish()
        self.assertEqual(d.code, 4, d.explain())
        hold, = d.events("pace", event="hold")
        self.assertIn("undone", hold["reason"])
        skipped, = d.events("step", event="skipped")
        self.assertEqual(skipped["step"], "late")
        self.assertEqual(d.events("trial-end")[0]["outcome"], "void")
        self.assertEqual(len(d.events("decision")), 1)

    def test_kill_9_and_nothing_is_left(self):
        before = machine()
        d = self.kept(answered(play(CUT % "", TOLD, horizon="60s"), "at: 50s, role: director, do: end"))
        d.tail(lambda e: e["kind"] == "verify")
        d.process.kill()
        d.process.wait()
        wait_until(lambda: not processes_of(d.token))
        end = d.record[-1]
        self.assertEqual((end["kind"], end["by"], end["status"]), ("run-end", "warden", "aborted"))
        check_record(d.record)
        self.assertTrue(d.events("clean")[-1]["clean"])
        self.assertEqual(machine(), before)
        self.assertEqual(d.result["exit_code"], 5)
        resumed = subprocess.run([harness.BLACKSTART, "exercise", "--resume", d.out], text=True,
                                 capture_output=True, stdin=subprocess.DEVNULL)
        self.assertEqual((resumed.returncode, "begin it again" in resumed.stderr), (2, True))

    def test_ctrl_c_undoes_and_reports(self):
        d = self.kept(answered(play(CUT % "", TOLD, horizon="60s"), "at: 50s, role: director, do: end"))
        d.tail(lambda e: e["kind"] == "verify")
        d.process.send_signal(signal.SIGINT)
        d.finish()
        self.assertEqual(d.code, 5, d.explain())
        self.assertEqual((d.events("undo")[0]["cause"], d.events("undo")[0]["ok"]), ("abort", True))
        self.assertEqual(d.record[-1]["status"], "aborted")
        self.assertEqual(d.result["clean"], True)

    def test_the_facilitators_console(self):
        """Machines go on while the clock stands; what is due waits; one fault is taken away; all is aborted."""
        d = self.kept(Drill(play(CUT % "", "{id: second, at: 600ms, kill: {host: srv, process: stamp-server}}",
                                 TOLD, horizon="60s"), command="exercise")).start(subprocess.PIPE)

        def say(text):
            d.process.stdin.write(text + "\n")
            d.process.stdin.flush()

        d.tail(lambda e: e["kind"] == "join")
        say("go")
        d.tail(lambda e: e["kind"] == "verify")
        say("hold let us talk")
        held = d.tail(lambda e: e["kind"] == "pace" and e["event"] == "hold")
        later = d.tail(lambda e: e["kind"] == "probe" and e["t"] > held["t"] + 800_000_000)
        self.assertEqual(later["clock"], held["clock"])
        self.assertEqual(d.events("step", step="second"), [])
        say("speed 2")
        say("undo second")
        say("undo cut")
        undone = d.tail(lambda e: e["kind"] == "undo")
        self.assertEqual((undone["step"], undone["cause"], undone["ok"]), ("cut", "operator", True))
        say("go")
        d.tail(lambda e: e["kind"] == "verify" and e["step"] == "second")
        say("abort it burns")
        d.finish()
        self.assertEqual(d.code, 5, d.explain())
        check_record(d.record)
        self.assertEqual(d.events("stop")[0]["detail"], "stopped by fay: it burns")
        self.assertIn("cannot be hurried", d.stderr)
        self.assertIn("'second' is not in force", d.stderr)
        self.assertTrue(d.result["clean"])

    def test_the_page(self):
        """Players see their services, and nothing of what is done to hosts; the facilitator may abort."""
        d = self.kept(Drill(play(CUT % "", TOLD, horizon="60s"), "--listen", "0", command="exercise"))
        if os.geteuid():
            self.assertEqual((d.run().code, "root" in d.stderr), (3, True))
            return
        d.start()
        wait_until(lambda: "watcher" in open(d.log.name).read())
        url, codes = announced(open(d.log.name).read())
        people = {}
        for role, name in (("commander", "alice"), ("watcher", "eve"), ("director", "fay")):
            people[role] = Page(url)
            code = next(c for title, c in codes.items() if title.split(":")[0] == role)
            self.assertEqual(people[role].join(code, name)[0], 200)
        alice, eve, fay = people.values()
        self.assertEqual([s["state"] for s in alice.view()["services"]], ["up"])
        self.assertEqual(fay.do("go")[0], 200)
        for view in alice.events():
            self.assertNotIn("cut", str(view))
            self.assertFalse({"faults", "may"} & set(view))
            if view["services"][0]["state"] == "down":
                break
        self.assertEqual(view["services"][0]["target_s"], 5)
        self.assertEqual([f["step"] for f in eve.view()["faults"]], ["cut"])
        self.assertNotIn("may", eve.view())
        self.assertEqual(fay.view()["may"], {"abort": True})
        self.assertEqual([p.do("abort")[0] for p in (alice, eve)], [403, 403])
        self.assertEqual(alice.do("undo", step="cut")[0], 403)
        self.assertEqual(fay.do("abort", reason="enough")[0], 200)
        d.finish()
        self.assertEqual(d.code, 5, d.explain())
        self.assertTrue(d.result["clean"])

    def test_what_cannot_be_played_is_refused(self):
        d = self.kept(Drill(play(CUT % "", TOLD), "--speed", "2", command="exercise")).run()
        self.assertEqual((d.code, "cannot be hurried" in d.stderr), (2, True))
        d = self.kept(Drill(play(CUT % "", TOLD, files="stampd", start='["no-such-server"]'),
                            command="exercise")).run()
        self.assertEqual(d.code, 3, d.explain())
        d = self.kept(Drill(play(CUT % "", TOLD))).run()
        self.assertEqual((d.code, "blackstart exercise" in d.stderr), (2, True))


class Shipped(unittest.TestCase):
    def test_on_one_leg_is_played_in_a_hurry(self):
        """keepalived and nginx: one dies and is taken over, the other one's server is started by a decision,
        and two people's consent powers the first on again."""
        harness.need_programs("keepalived", "nginx")
        at = os.path.join(harness.SOURCE, "scenarios", "vip-failover")
        d = Drill(os.path.join(at, "functional-failover.yaml"), "--answers",
                  os.path.join(at, "answers", "functional-failover.yaml"), command="exercise")
        d.start()
        self.addCleanup(d.end)
        d.finish()
        self.assertEqual(d.code, 0, d.explain())
        check_record(d.record)
        self.assertEqual(d.events("trouble", what="answer-refused"), [])
        self.assertEqual([(e["step"], e["targets"]) for e in d.events("inject")],
                         [("lose-holder", ["lb1"]), ("break-server", ["lb2"]), ("start-server", ["lb2"])])
        back, _ = d.events("undo")
        self.assertEqual((back["step"], back["cause"]), ("lose-holder", "until"))
        web = d.result["machine"]["trials"][0]["services"]["checkout"]
        self.assertEqual((web["detection"], web["restored_by"]), ("detected", "recovery"))
        self.assertTrue(d.result["clean"])


if __name__ == "__main__":
    harness.need_lab()
    harness.main()

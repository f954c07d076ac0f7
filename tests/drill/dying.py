"""Whatever dies while a fault is in force: what must then be true of every kind of target."""
import os
import signal

import harness
from foreign import undo
from harness import kill_both, warden


class Dying:
    """For a TestCase with
    force():  a drill of which one fault is in force; its runner is halted (self.halt);
    whole():  asserts that everything is as before the fault; nothing_left(drill): that nothing of ours is;
    broken(): asserts that the fault is in force;
    STEP:     what `undo --list` says of it; DONE: what undoing it says.
    """
    STEP = DONE = None

    def test_ctrl_c(self):
        d = self.force()
        self.halt.go()
        d.process.send_signal(signal.SIGINT)
        d.finish()
        self.assertEqual(d.code, 5, d.explain())
        self.whole()
        self.nothing_left(d)

    def test_the_runner_dies(self):
        d = self.force()
        self.halt.kill()
        d.finish()
        self.nothing_left(d)
        self.whole()
        undone = d.events("undo")[0]
        self.assertEqual((undone["cause"], undone["ok"]), ("warden", True))
        self.assertIn(self.DONE, undone["changes"][0])
        self.assertTrue(d.events("clean")[-1]["clean"])
        harness.check_record(d.record)

    def test_the_warden_dies(self):
        d = self.force()
        os.kill(warden(d), signal.SIGKILL)
        self.halt.go()
        d.finish()
        self.assertEqual(d.code, 5, d.explain())
        self.whole()
        self.nothing_left(d)

    def test_both_die_and_undo_undoes_once(self):
        d = self.force()
        kill_both(d, self.halt)
        self.broken()
        code, text = undo("--list")
        self.assertEqual(code, 0)
        self.assertIn(self.STEP, text)
        self.broken()
        code, text = undo()
        self.assertEqual(code, 0, text)
        self.assertIn(self.STEP + ": undone: ", text)
        self.assertIn(self.DONE, text)
        self.whole()
        self.nothing_left(d)
        self.assertEqual(undo(), (0, "nothing to undo\n"))
        self.whole()

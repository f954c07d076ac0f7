"""`run --listen`: the war room of a live drill. What it shows follows from the record, what is asked for
there goes into it, and nothing that happens to it disturbs the drill."""
import os
import signal
import subprocess
import time
import unittest

import harness
from harness import Drill, processes_of, wait_until
from pages import Page, announced
from scenes import KILL, REVIVING, scene
from strangers import attack


def page_process(d):
    return [p for p, name in processes_of(d.token) if name == "blackstart-page"]


class Room(unittest.TestCase):
    def begin(self, text, *options, state="observe"):
        d = Drill(text, "--listen", "0", *options).start()
        self.addCleanup(d.end)
        wait_until(lambda: "Viewer" in open(d.log.name).read())
        url, codes = announced(open(d.log.name).read())
        self.url = url
        self.codes = {title.split(":")[0].lower(): code for title, code in codes.items()}
        if state:
            d.tail(lambda e: e["kind"] == "state" and e["state"] == state)
        return d

    def join(self, role, name):
        p = Page(self.url)
        status, said, _ = p.join(self.codes[role], name)
        self.assertEqual(status, 200, said)
        return p

    def test_it_shows_the_outage_and_takes_marks(self):
        d = self.begin(scene(KILL, start=REVIVING, horizon="8s", rto="5s"), state="settle")
        olga, victor = self.join("operator", "Olga"), self.join("viewer", "Victor")
        seen = []
        for view in victor.events():
            seen.append(view)
            web = view["services"][0] if view["services"] else {}
            if web.get("state") == "down":
                break
        self.assertEqual((web["name"], web["target_s"]), ("web", 5))
        self.assertLess(web["left_s"], 5)
        self.assertAlmostEqual(web["left_s"] + web["since_s"], 5, places=6)
        self.assertEqual([f["text"] for f in view["faults"]], ["kill srv"])
        self.assertEqual(view["marks"], [])
        self.assertFalse(view["may"]["abort"])
        self.assertEqual(victor.do("mark", mark="declared")[0], 403)
        self.assertEqual(victor.do("abort")[0], 403)
        self.assertEqual(olga.do("mark", mark="declard"), (400, {"error": "'declard' is not a mark"}))
        status, said = olga.do("mark", mark="declared", service="wbe")
        self.assertEqual((status, "no such service" in said["error"]), (409, True))
        self.assertEqual(olga.do("mark", mark="declared", text="<b>we saw</b>", service="web"), (200, {}))
        wait_until(lambda: any("<b>we saw</b>" in x["text"] for x in victor.view()["log"]))
        last = None
        for last in olga.events():
            if last["drill"]["state"] == "ended":
                break
        d.finish()
        self.assertEqual(d.code, 0, d.stderr)
        self.assertEqual(last["result"]["verdict"], "met")
        self.assertEqual(last["services"][0]["state"], "up")
        self.assertEqual((last["faults"], last["marks"], last["may"]["abort"]), ([], [], False))
        marks = d.events("mark")
        self.assertEqual([(m["mark"], m["text"], m["service"], m["role"], m["by"]) for m in marks],
                         [("declared", "<b>we saw</b>", "web", "operator", "Olga")])
        self.assertEqual(page_process(d), [])
        self.played_again(d, last)

    def played_again(self, d, last):
        """The record of it: the room shows at each moment what it showed then, in the end `last`."""
        before = sorted((f, os.stat(os.path.join(d.out, f)).st_mtime_ns) for f in os.listdir(d.out))
        p = subprocess.Popen([harness.BLACKSTART, "replay", d.out, "--listen", "0"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(p.kill)
        said = ""
        while "Viewer" not in said:
            line = p.stderr.readline()
            self.assertTrue(line, (said, p.poll()))
            said += line
        self.url, codes = announced(said)
        self.codes = {title.split(":")[0].lower(): code for title, code in codes.items()}
        paula, olga = self.join("presenter", "Paula"), self.join("operator", "Olga")
        chapters = {c["text"].split("  ", 1)[1]: c["at_s"] for c in paula.view()["replay"]["chapters"]}
        injected = next(at for text, at in chapters.items() if "injected" in text)
        end, at, states = paula.view()["replay"]["length_s"], injected, []
        self.assertEqual(olga.view()["faults"], [])
        while at < end:
            self.assertEqual(paula.do("jump", to_s=at)[0], 200)
            web, = olga.view()["services"]
            if not states:
                self.assertEqual([f["text"] for f in olga.view()["faults"]], ["kill srv"])
            if web["state"] == "down":
                self.assertAlmostEqual(web["left_s"] + web["since_s"], 5, places=6)
                self.assertEqual(olga.view()["drill"]["words"][:14], "trial 1 of 1: ")
            if web["state"] != (states or [None])[-1]:
                states.append(web["state"])
            at += 0.1
            time.sleep(0.06)  # a person may send 20 a second
        self.assertEqual(states, ["up", "down", "up"])
        self.assertEqual(paula.do("jump", to_s=end)[0], 200)
        view = olga.view()
        for part in ("log", "alarms", "faults"):
            self.assertEqual(view[part], last[part])
        self.assertEqual((view["result"]["verdict"], view["drill"]["state"]), ("met", "ended"))
        status, said = olga.do("abort")
        self.assertEqual((status, "this is a replay" in said["error"]), (403, True))
        self.assertEqual(paula.do("close"), (200, {}))
        self.assertEqual(p.wait(30), 5)  # nobody played it to its end
        after = sorted((f, os.stat(os.path.join(d.out, f)).st_mtime_ns) for f in os.listdir(d.out))
        self.assertEqual(after, before)
        told = subprocess.run([harness.BLACKSTART, "replay", d.out], capture_output=True, text=True, timeout=60)
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertIn("mark: declared <b>we saw</b>", told.stdout)

    def test_the_red_button_aborts_and_undoes(self):
        """Also after strangers have tried what they can: it is the operator's alone."""
        d = self.begin(scene(KILL, horizon="60s"))
        olga = self.join("operator", "Olga")
        self.assertEqual(self.join("responder", "Rita").do("abort")[0], 403)
        attack(self, self.url, self.codes["viewer"], "viewer", [self.codes["operator"]])
        self.assertEqual((d.events("mark"), d.events("stop")), ([], []))
        self.assertEqual(olga.do("abort"), (200, {}))
        d.finish(60)
        self.assertEqual(d.code, 5, d.stderr)
        self.assertEqual([e["detail"] for e in d.events("stop")], ["stopped by Olga in the war room"])
        self.assertTrue(d.events("clean")[-1]["clean"])

    def test_who_has_no_code_changes_nothing(self):
        d = self.begin(scene(KILL, horizon="5s"))
        p = Page(self.url)
        for body in ({"do": "abort", "key": "12345678"}, {"do": "mark", "mark": "declared", "key": "12345679"}):
            self.assertEqual(p.ask("POST", "/do", body)[0], 403)
        p.cookie = "blackstart_00000000=61.6f70657261746f72." + "0" * 64
        self.assertEqual(p.ask("GET", "/view")[0], 403)
        self.assertEqual(p.ask("POST", "/join", {"code": "0000-0000-0000", "name": "x", "role": "operator"})[0], 403)
        viewer = self.join("viewer", "V")
        self.assertEqual(viewer.ask("POST", "/do", '{"do":"abort","key":"12345678"}', Origin="http://evil.example")[0], 403)
        d.finish()
        self.assertEqual((d.events("mark"), d.events("stop")), ([], []))

    def test_its_death_costs_the_drill_nothing(self):
        for signo in (signal.SIGKILL, signal.SIGSTOP):
            d = self.begin(scene(KILL, start=REVIVING, horizon="5s", rto="2s"))
            page, = page_process(d)
            os.kill(page, signo)
            d.finish(60)
            self.assertEqual(d.code, 0, d.stderr)
            if signo == signal.SIGKILL:
                self.assertIn("the page was lost", d.stderr)
            self.assertEqual(page_process(d), [])

    def test_it_dies_with_a_runner_that_is_killed(self):
        d = self.begin(scene(KILL, horizon="60s"))
        self.assertEqual(len(page_process(d)), 1)
        d.process.kill()
        d.process.wait()
        wait_until(lambda: not page_process(d))
        self.assertEqual(page_process(d), [])
        with self.assertRaises(OSError):
            Page(self.url).ask("GET", "/")

    def test_https_and_wrong_options(self):
        folder = harness.folder()
        cert, key = (os.path.join(folder, n) for n in ("cert.pem", "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
        d = self.begin(scene(KILL, horizon="5s"), "--certificate", cert, "--key", key)
        self.assertTrue(self.url.startswith("https://127.0.0.1:"))
        p = Page(self.url, ca=cert)
        status, said, headers = p.join(self.codes["viewer"], "V")
        self.assertEqual(status, 200, said)
        self.assertIn("; Secure", headers["Set-Cookie"])
        d.finish()
        for options, code, words in (
                (["--listen", ":80"], 2, "is no address to listen on"),
                (["--certificate", cert], 2, "say where, with --listen"),
                (["--listen", "0", "--key", key], 2, "are given together"),
                (["--listen", "0", "--certificate", cert, "--key", cert], 3, "the key is the certificate's own"),
                (["--listen", "0", "--certificate", "/nowhere", "--key", key], 3, "cannot read /nowhere")):
            bad = Drill(scene(KILL), *options).run()
            self.assertEqual(bad.code, code, bad.stderr)
            self.assertIn(words, bad.stderr)
            self.assertFalse(os.path.exists(os.path.join(bad.out, "record.ndjson")))


if __name__ == "__main__":
    harness.main()

/* A facilitator, an evaluator and three players in five browser contexts play an exercise to its end, as
 * people do: they press what they see. TAP on standard output.
 *
 * Held here: nobody's traffic ever has a text that was not delivered to their role by then; reload, a lost
 * connection and a killed blackstart lose nothing; phone, desktop and projector fit; axe finds nothing; a
 * decision is taken by keyboard alone.
 *
 * usage: node browser.js BLACKSTART SCENARIO.yaml FOLDER     (FOLDER: for the record and screenshots) */
"use strict";
const net = require("net");
const fs = require("fs");
const path = require("path");
const { ok, serve, start, join, run } = require("./people.js");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [blackstart, scenario, folder] = process.argv.slice(2);
const out = path.join(folder, "run");
const SPEED = "20";

/* A way to the page that can be cut. */
function cable(at) {
  const open = new Set();
  let cut = false;
  const server = net.createServer((here) => {
    if (cut) return here.destroy();
    const there = net.connect(Number(new URL(at.url).port), "127.0.0.1");
    for (const [a, b] of [[here, there], [there, here]]) {
      open.add(a);
      a.on("error", () => {});
      a.on("close", () => { open.delete(a); b.destroy(); });
      a.pipe(b);
    }
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve({
    url: `http://127.0.0.1:${server.address().port}/`, codes: at.codes,
    cut: () => { cut = true; for (const s of open) s.destroy(); },
    mend: () => (cut = false), close: () => server.close(),
  })));
}
async function fits(page, what) {
  const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  ok(wide <= room, `${what}: nothing is wider than the screen`, `${wide} > ${room}`);
  await page.screenshot({ path: path.join(folder, what.replace(/\W+/g, "-") + ".png"), fullPage: true });
}
async function accessible(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  ok(found.violations.length === 0, `${what}: axe finds nothing`,
    found.violations.map((v) => v.id + ": " + v.nodes.map((x) => x.html).slice(0, 3).join(" ")).join("\n"));
}

const REPORT = "Twelve customers in ten minutes say that they cannot pay.";
const QUESTION = "Promote the replica, which is 40 seconds behind?";
const HINT = "If they ask how many customers there are in total, say that you do not know.";
const EXPECTED = "Opens a bridge and says who commands";
const LATER = "The primary does not come back. Its disk is gone.";

async function play() {
  let at = await serve(blackstart, scenario, "--out", out, "--speed", SPEED, "--listen", "0");
  ok(!/[?&#]/.test(at.url), "no secret stands in the address");
  const frank = await join(at, "facilitator", "frank"), eve = await join(at, "evaluator", "eve");
  const alice = await join(at, "Incident commander", "alice"), line = await cable(at), bob = await join(line, "Technical lead", "bob", "phone");
  const carla = await join(at, "Communications", "carla <script>alert(1)</script>");
  const guest = await join(at, "guest", "wall", "projector");
  await guest.goto(at.url + "screen");
  await accessible(alice, "the lobby");
  const players = [alice, bob, carla];
  for (const p of players) ok(![REPORT, QUESTION, HINT, EXPECTED, LATER].some((t) => p.traffic.includes(t)), "before the start a player has been sent nothing of the script");
  ok(frank.traffic.includes(REPORT) && frank.traffic.includes(LATER), "the facilitator sees what comes");

  await frank.getByRole("button", { name: "Start" }).click();
  await alice.getByText(REPORT).waitFor();
  ok(!bob.traffic.includes(REPORT), "who is not addressed is not sent the message");
  ok(!alice.traffic.includes(QUESTION) && !alice.traffic.includes(EXPECTED) && !alice.traffic.includes(HINT), "nothing of what comes, is expected, or is noted for the facilitator");
  const file = await alice.getByRole("link", { name: "web.conf" }).getAttribute("href"), get = (p) => p.request.get(at.url + file.slice(1));
  ok((await get(alice)).ok() && (await get(carla)).ok(), "who has the message can read what is attached");
  ok((await get(bob)).status() === 404, "who does not have it cannot");
  await accessible(frank, "the facilitator's page");
  await accessible(eve, "the evaluator's page");
  await fits(frank, "facilitator on a desktop");

  await frank.getByRole("button", { name: "Hold" }).click();
  await alice.getByText("on hold: the clock stands").waitFor();
  const stood = await alice.locator("#clock").textContent();
  await alice.reload();
  await alice.getByText(REPORT).waitFor();
  ok((await alice.locator("#clock").textContent()) === stood, "after a reload everything stands there, and the clock still stands", stood);
  await frank.getByRole("button", { name: "Go on" }).click();

  await alice.getByText(QUESTION).first().waitFor({ timeout: 60000 });
  await frank.getByRole("button", { name: "Hold" }).click();
  await alice.getByText("on hold: the clock stands").waitFor();
  ok(!bob.traffic.includes(QUESTION), "a question is not shown to others before it is decided");
  await fits(alice, "commander on a desktop");
  await fits(bob, "technical lead on a phone");
  await fits(guest, "the large screen");
  await accessible(alice, "the commander's page");
  await accessible(bob, "the page on a phone");

  /* Killed in the middle: the record is on the disk, and everybody is known again. */
  at.kill("SIGKILL");
  await at.done;
  await alice.getByText("The connection is lost").waitFor();
  const port = new URL(at.url).port;
  at = await serve(blackstart, "--resume", out, "--speed", SPEED, "--listen", port);
  await alice.getByText("on hold: the clock stands").waitFor();
  await alice.getByText(QUESTION).first().waitFor();
  ok(await alice.getByText(REPORT).isVisible(), "after kill -9 and --resume the commander is known and has all that was delivered");

  /* By keyboard alone. */
  await frank.locator("summary", { hasText: /^Speed$/ }).click(); /* soon the script takes alice away: she decides before */
  await frank.getByRole("button", { name: "Set", exact: true }).click();
  await frank.getByRole("button", { name: "Go on" }).click();
  await alice.getByText("running").waitFor();
  await alice.locator("#main").focus();
  for (let i = 0; i < 40; i++) {
    await alice.keyboard.press("Tab");
    if (await alice.evaluate(() => document.activeElement.type === "radio")) break;
  }
  await alice.keyboard.press("ArrowDown");
  await alice.keyboard.press("Tab");
  await alice.keyboard.type("Waiting costs more <b>than</b> 40 seconds");
  await alice.keyboard.press("Tab");
  await alice.keyboard.press("Enter");
  await alice.getByText("Decided: promote").waitFor();
  ok(true, "a decision was taken by keyboard alone");
  await bob.getByText("Decided: promote").waitFor();
  await bob.getByRole("button", { name: "Approve" }).click();
  await alice.getByRole("button", { name: "Approve" }).click();
  await bob.getByText("Stop writes to the old primary").waitFor();
  await bob.getByLabel(/Stop writes/).check();
  await bob.getByText("done by bob").waitFor();

  line.cut();
  await bob.getByText("The connection is lost").waitFor({ timeout: 30000 });
    await eve.locator(".rating > summary").first().click();
  await eve.getByLabel(/^S with/).first().check();
  await eve.getByText("Rated S").first().waitFor();
  line.mend();
  await bob.getByText("The connection is lost").waitFor({ state: "hidden", timeout: 30000 });
  ok(await bob.getByText("done by bob").isVisible(), "a lost connection comes back by itself");
  ok(!/"rating":"S"/.test(players.map((p) => p.traffic).join("")), "players are not sent ratings");

  await frank.getByRole("button", { name: "End the exercise" }).click();
  await frank.getByRole("button", { name: "Really" }).click();
  await alice.getByLabel("What helped you most?").fill("The checklist");
  await alice.getByRole("button", { name: "Send the answers" }).click();
  await alice.getByText("Your answers have been kept").waitFor();
  await frank.getByRole("button", { name: "Close the debrief" }).click();
  await frank.getByRole("button", { name: "Really" }).click();
  const end = await at.done;
  line.close();
  ok(end.code === 4, "it was played to its end; an objective that nobody rated is not demonstrated", JSON.stringify(end));
  const report = fs.readFileSync(path.join(out, "report.html"), "utf8");
  ok(report.includes("Waiting costs more &lt;b&gt;than&lt;/b&gt; 40 seconds"), "the report has the reason of the decision, as text");
  for (const p of players) ok(![HINT, EXPECTED, LATER].some((t) => p.traffic.includes(t)), "a player has never been sent what was not for them");
  ok(!(bob.traffic.includes(REPORT)), "nor what was for others");
  const all = [frank, eve, guest, ...players];
  ok(all.every((p) => p.errors.length === 0), "no script failed, and none of a name ran", all.flatMap((p) => p.errors).join("\n"));
  ok((await carla.locator("script").count()) === 1, "a name with a script in it is text");
  ok(!fs.existsSync(path.join(out, "join.key")), "the key of the codes is gone with the exercise");
  for (const p of all) await p.context().close();
  await playAgain();
}

/* The record of it, played again: each sees what they saw, and nothing can be pressed but the presenter's controls. */
async function playAgain() {
  const files = () => fs.readdirSync(out).map((f) => f + fs.statSync(path.join(out, f)).mtimeMs).join();
  const before = files(), at = await start(blackstart, "replay", out, "--listen", "0");
  const paula = await join(at, Object.keys(at.codes).find((t) => t.startsWith("Presenter")), "paula"), alice = await join(at, "Incident commander", "somebody"), bob = await join(at, "Technical lead", "b", "phone");
  const wall = await join(at, "guest", "wall", "projector");
  await wall.goto(at.url + "screen");
  const jump = async (words) => {
    const value = await paula.getByLabel("What happened").locator("option", { hasText: words }).first().getAttribute("value");
    await paula.getByLabel("What happened").selectOption(value);
    await paula.getByRole("button", { name: "Jump there" }).click();
  };
  ok((await alice.locator("#banner").textContent()).startsWith("REPLAY"), "the page is marked as a replay");
  await jump(QUESTION);
  await alice.getByText(QUESTION).first().waitFor();
  ok(await alice.getByText(REPORT).isVisible(), "the commander sees what was delivered by then");
  ok(!alice.traffic.includes(LATER) && !alice.traffic.includes(HINT) && !bob.traffic.includes(QUESTION), "and nobody more than they saw");
  ok((await alice.locator("#room :is(button, textarea, input:not([disabled]), select):visible").count()) === 0, "a spectator has nothing to press");
  await paula.getByLabel("Seen by").selectOption("evaluator");
  await paula.getByText(EXPECTED).first().waitFor();
  const pressed = paula.locator("#room section:not(.replaying) :is(button, form, textarea, input:not([disabled]), select):visible");
  ok((await pressed.count()) === 0, "through the evaluator's eyes the presenter sees what is expected, and cannot rate", await pressed.allTextContents());
  await fits(paula, "the presenter of a replay");
  await fits(bob, "a replay on a phone");
  await fits(wall, "a replay on the large screen");
  await accessible(paula, "the presenter's page");
  const clock = () => alice.locator("#clock").textContent(), stood = await clock();
  await paula.getByLabel("Speed", { exact: true }).selectOption("120");
  await paula.getByRole("button", { name: "Play", exact: true }).click();
  await alice.getByText("Decided: promote").waitFor();
  await paula.getByText(", the end").waitFor();
  await alice.locator("#state", { hasText: "ended" }).waitFor();
  ok((await clock()) !== stood, "the clock has gone on with the play, to the end", stood);
  await paula.getByRole("button", { name: "Close the replay" }).click();
  const end = await at.done;
  ok(end.code === 0 && files() === before, "played to its end, and nothing was written", JSON.stringify(end));
  const errors = [paula, alice, bob, wall].flatMap((p) => p.errors);
  ok(errors.length === 0, "no script failed in the replay", errors.join("\n"));
}

run(play);

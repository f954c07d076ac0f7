/* A shipped exercise, played to its end by a facilitator, an evaluator and its three players, who each press
 * whatever is asked of them. TAP on standard output.
 *
 * Held here, by the record that it leaves: no view that a player was ever sent has the text of a message that
 * was for others, or that had not been delivered yet (each view says up to which line of the record it goes).
 *
 * usage: node shipped.js BLACKSTART SCENARIO.yaml FOLDER */
"use strict";
const fs = require("fs");
const path = require("path");
const { ok, serve, join, look, run } = require("./people.js");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [blackstart, scenario, folder] = process.argv.slice(2);
const out = path.join(folder, "run");

/* What somebody who takes part does at each moment: the first thing that is asked. */
async function press(page) {
  const wanted = [
    page.getByRole("button", { name: "Acknowledge" }), page.getByRole("button", { name: "Approve" }),
    page.locator("input[type=checkbox]:not([disabled]):not(:checked)"),
  ];
  for (const w of wanted)
    if (await w.first().isVisible()) {
      await w.first().click({ timeout: 2000 });
      return true;
    }
  const decide = page.locator("form:visible", { has: page.getByRole("button", { name: "Decide" }) }).first();
  if (await decide.isVisible()) {
    await decide.locator("input[type=radio]").first().check({ timeout: 2000 });
    await decide.locator("textarea").fill("It is the first of the list");
    await decide.getByRole("button", { name: "Decide" }).click({ timeout: 2000 });
    return true;
  }
  const update = page.locator("form:visible", { has: page.getByRole("button", { name: "Send the update" }) }).first();
  if ((await update.isVisible()) && !page.updated) {
    page.updated = true;
    await update.locator("textarea").fill("We know what you know.");
    await update.getByRole("button", { name: "Send the update" }).click({ timeout: 2000 });
    return true;
  }
  return false;
}

/* The after-action report fits a phone and a projector, its first sheet of paper has the answer, and axe finds
 * nothing: contrasts are looked at where each colour stands once, the rest everywhere. */
async function report(file) {
  for (const size of ["phone", "projector"]) {
    const page = await look(file, size);
    const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    ok(wide <= room, `the report, ${size}: nothing is wider than the screen`, `${wide} > ${room}`);
    await page.screenshot({ path: path.join(folder, "report-" + size + ".png") });
    if (size !== "phone") continue;
    await page.evaluate(axe);
    const found = await page.evaluate(async () => {
      const all = await window.axe.run(document, { resultTypes: ["violations"], rules: { "color-contrast": { enabled: false } } });
      const colours = await window.axe.run({ include: [["header"], [".tiles"], ["#lanes"], ["#overview"], ["#measures"]] },
        { resultTypes: ["violations"], runOnly: ["color-contrast"] });
      return [...all.violations, ...colours.violations].map((v) => v.id + ": " + v.nodes.map((x) => x.html).slice(0, 3).join(" "));
    });
    ok(found.length === 0, "the report: axe finds nothing", found.join("\n"));
  }
  const paper = await look(file, "paper");
  await paper.emulateMedia({ media: "print" });
  const [end, sheet, orphans] = await paper.evaluate(() => [document.querySelector("#lanes").getBoundingClientRect().bottom, window.innerHeight,
    [...document.querySelectorAll("h2, h3")].filter((h) => !h.nextElementSibling || getComputedStyle(h).breakAfter !== "avoid").map((h) => h.textContent)]);
  ok(end <= sheet, "the report: verdict, tiles and lanes stand on the first sheet of paper", `${end} > ${sheet}`);
  ok(orphans.length === 0, "the report: no heading ends a sheet", orphans.join("\n"));
}

async function play() {
  const at = await serve(blackstart, scenario, "--out", out, "--speed", "180", "--listen", "0");
  const titles = Object.keys(at.codes).filter((t) => !t.startsWith("Anybody"));
  const people = [];
  for (const t of titles) {
    people.push(await join(at, t, "the " + t.toLowerCase(), people.length % 2 ? "phone" : "desktop"));
    people.at(-1).title_ = t;
  }
  const kinds = people.map((p) => JSON.parse(p.views[0]).me.kind);
  const of = (kind) => people.filter((p, i) => kinds[i] === kind);
  const [facilitator] = of("facilitator"), players = of("player");
  ok(players.length === 3 && facilitator, "a facilitator and three players have joined", kinds.join(" "));
  await facilitator.getByRole("button", { name: "Start" }).click();
  const until = Date.now() + 120000, stage = () => JSON.parse(facilitator.views.at(-1)).view.exercise.state;
  let pressed = 0;
  while (!["debrief", "ended"].includes(stage()) && Date.now() < until) {
    const go = facilitator.getByRole("button", { name: "Go on" });
    if (await go.isVisible()) await go.click({ timeout: 2000 }).catch(() => {});
    for (const p of players) if (await press(p).catch(() => false)) pressed++;
    await new Promise((r) => setTimeout(r, 50));
  }
  ok(stage() === "debrief", "the clock came to its end, and the debrief began", stage());
  ok(pressed >= 5, "the players were asked, and answered", pressed);
  await facilitator.getByRole("button", { name: "Close the debrief" }).click();
  await facilitator.getByRole("button", { name: "Really" }).click();
  const end = await at.done;
  const result = JSON.parse(fs.readFileSync(path.join(out, "result.json"), "utf8"));
  const broken = result.objectives.some((o) => o.verdict === "not_met"); /* who restores in time, restores in time */
  ok(end.code === (broken ? 1 : 4), "a promise that was broken is missed; what nobody rated is not demonstrated", JSON.stringify(end));
  ok(result.objectives.every((o) => ["not_met", "not_demonstrated"].includes(o.verdict)), "without ratings nothing is met", JSON.stringify(result.objectives));
  for (const name of ["report.html", "report.md", "result.json", "junit.xml"]) ok(fs.existsSync(path.join(out, name)), name + " is there");

  await report(path.join(path.resolve(out), "report.html"));
  const record = fs.readFileSync(path.join(out, "record.ndjson"), "utf8").trim().split("\n").map((l) => JSON.parse(l));
  const told = record.filter((e) => e.kind === "deliver" && e.text);
  ok(told.length >= 8, "there was something to deliver", told.length);
  for (const p of players) {
    const role = JSON.parse(p.views[0]).me.role, wrong = [];
    for (const text of new Set(told.map((e) => e.text))) {
      const mine = told.filter((e) => e.text === text && (e.to.includes(role) || e.to.includes("all")));
      const from = mine.length ? Math.min(...mine.map((e) => e.seq)) : Infinity, plain = JSON.stringify(text).slice(1, -1);
      for (const v of p.views) {
        const has = v.includes(plain) || JSON.stringify(JSON.parse(v)).includes(plain);
        if (has && JSON.parse(v).view.seq < from) wrong.push(text);
      }
    }
    ok(wrong.length === 0, `${p.title_} was never sent what was for others, or not yet delivered (${p.views.length} views)`, wrong.join("\n"));
    ok(p.errors.length === 0, `${p.title_}: no script failed`, p.errors.join("\n"));
  }
}
run(play);

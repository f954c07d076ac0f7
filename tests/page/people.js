/* What plays of exercises in a browser share: TAP, blackstart that serves a page, people who join it. */
"use strict";
const { spawn } = require("child_process");
const { chromium } = require("playwright-core");

let n = 0, failed = 0;
exports.ok = (holds, what, more) => {
  n++;
  if (!holds) failed++;
  console.log(`${holds ? "ok" : "not ok"} ${n} - ${what}`);
  if (!holds && more) console.log("# " + String(more).replace(/\n/g, "\n# "));
};

/* Starts blackstart and waits for the codes of its page: {url, codes: {title: code}, kill(), done}. */
exports.serve = (blackstart, ...argv) => exports.start(blackstart, "exercise", ...argv);
exports.start = (blackstart, ...argv) => {
  const p = spawn(blackstart, argv, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "", result = "", told = null;
  const done = new Promise((resolve) => p.on("close", (code) => resolve({ code, said, result })));
  exports.last = p;
  p.stdout.on("data", (d) => (result += d));
  return new Promise((resolve, reject) => {
    done.then(() => reject(new Error("blackstart ended: " + said)));
    p.stderr.on("data", (d) => {
      said += d;
      const url = said.match(/the page is at (\S+)/), codes = [...said.matchAll(/^ {2}(\S{14}) {2}(.*)$/gm)];
      if (!url || !codes.length || told) return;
      told = setTimeout(() => { /* they come in one piece, or nearly so */
        const all = [...said.matchAll(/^ {2}(\S{14}) {2}(.*)$/gm)];
        resolve({ url: url[1], codes: Object.fromEntries(all.map((c) => [c[2], c[1]])), kill: (signal) => p.kill(signal), done });
      }, 200);
    });
  });
};

const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 }, projector: { width: 1920, height: 1080 },
  paper: { width: 703, height: 1024 } /* what A4 has between the margins of report.css */ };
let browser;
/* Somebody at the page: all that the server ever sent them is in `traffic`, each view also in `views`. */
exports.join = async (at, title, name, size) => {
  const context = await browser.newContext({ viewport: SIZES[size || "desktop"] });
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  page.traffic = "";
  page.views = [];
  page.errors = [];
  await cdp.send("Network.enable");
  cdp.on("Network.eventSourceMessageReceived", (e) => {
    page.traffic += e.data;
    page.views.push(e.data);
  });
  page.on("response", (r) => r.text().then((t) => (page.traffic += t), () => {}));
  page.on("pageerror", (e) => page.errors.push(e.message));
  await page.goto(at.url);
  await page.getByLabel("Code").fill(at.codes[title]);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Join" }).click();
  await page.locator("#room").waitFor();
  return page;
};

/* A page of ours that is a file, at one of the sizes; scripts of a test may run in it. */
exports.look = async (file, size) => {
  const context = await browser.newContext({ viewport: SIZES[size], bypassCSP: true });
  const page = await context.newPage();
  await page.goto("file://" + file);
  return page;
};

/* Runs `play` in Debian's Chromium, and ends the process. */
exports.run = async (play) => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    await play();
  } catch (e) {
    exports.ok(false, "the play went on", e.stack);
  }
  await browser.close();
  if (exports.last) exports.last.kill("SIGKILL");
  console.log("1.." + n);
  process.exit(failed ? 1 : 0);
};

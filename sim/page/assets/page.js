/* The page that people join. The server sends the whole view after each change; what is shown is
 * brought up to it piece by piece, so that focus and half-written texts stay. Everything from a view
 * is set as text. */
"use strict";
(() => {
const $ = (id) => document.getElementById(id);
const screen = location.pathname === "/screen";
document.body.classList.toggle("screen", screen);

let view = null, heard = 0, source = null, me = null;
const seen = new Set();      // of the inbox: read out once
let first = true;            // what stood there before we came is not read out

/* --- Making nodes ------------------------------------------------------------------------- */

function el(tag, props, ...kids) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...kids.filter((k) => k != null));
  return node;
}
function put(node, text) {
  const now = text == null ? "" : String(text);
  if (node.textContent !== now) node.textContent = now;
}
function show(node, yes) {
  if (node.hidden === !!yes) node.hidden = !yes;
}
/* Children follow `items` by key; `make` is called once for each, then node.update on every view. */
function list(parent, items, key, make) {
  const have = new Map();
  for (const node of [...parent.children]) have.set(node.dataset.key, node);
  let at = parent.firstElementChild;
  for (const item of items) {
    const k = String(key(item));
    let node = have.get(k);
    have.delete(k);
    if (!node) {
      node = make(item);
      node.dataset.key = k;
    }
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
    if (node.update) node.update(item);
  }
  for (const node of have.values()) node.remove();
}
let serial = 0;
const fresh = (word) => word + "-" + ++serial;

/* --- Time --------------------------------------------------------------------------------- */

const roleTitle = (role) => (((view && view.roles) || []).find((r) => r.role === role) || {}).title || (role === "all" ? "everybody" : role);
const head = () => (view && (view.exercise || view.drill)) || {};
const runs = () => head().state === "running";
/* A replay goes by the presenter's clock, and nothing in it can be pressed. */
const replay = () => (view && view.replay) || null;
const replayed = () => (replay().playing ? ((performance.now() - heard) / 1000) * replay().speed : 0);
const passed = () => (!runs() ? 0 : replay() ? replayed() : ((performance.now() - heard) / 1000) * (head().speed || 1));
function span(s) {
  const sign = s < 0 ? "-" : "";
  s = Math.floor(Math.abs(s));
  const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60, two = (n) => String(n).padStart(2, "0");
  return sign + (h ? h + ":" + two(m) : m) + ":" + two(s % 60);
}
const at = (s) => (s == null ? "" : "T+" + span(s));
const ticking = new Map();   // node → [seconds at the view, direction, words before]
function tick(node, seconds, direction, before) {
  if (seconds == null) {
    ticking.delete(node);
    put(node, "");
    return;
  }
  ticking.set(node, [seconds, direction, before || ""]);
  turn(node);
}
function turn(node) {
  const [s, direction, before] = ticking.get(node), now = s + direction * passed();
  put(node, before + span(now));
  node.classList.toggle("error", direction < 0 && now < 0);
}
setInterval(() => {
  for (const node of ticking.keys()) {
    if (node.isConnected) turn(node);
    else ticking.delete(node);
  }
  if (replay()) stands();
}, 250);

/* --- Talking to the server ---------------------------------------------------------------- */

async function post(path, body) {
  let answer;
  try {
    answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" },
                                 body: JSON.stringify(body), credentials: "same-origin" });
  } catch {
    return { error: "The connection is lost: nothing was sent." };
  }
  const said = await answer.json().catch(() => ({ error: "The answer was not understood." }));
  return { status: answer.status, ...said };
}
const newKey = () => [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");
/* The error stands beside what was pressed; true when it was taken. */
async function act(command, error) {
  if (error) put(error, "");
  const said = await post("/do", { ...command, key: newKey() });
  if (said.error && error) put(error, said.error);
  else if (said.error) put($("link"), said.error);
  return !said.error;
}
function button(words, command, kind) {
  const error = el("span", { class: "error", role: "alert" });
  const b = el("button", { type: "button", class: kind || "", text: words, onclick: async () => {
    const made = typeof command === "function" ? command() : command;
    if (!made) return;
    b.disabled = true;
    await act(made, error);
    b.disabled = false;
  } });
  return el("span", { class: "line" }, b, error);
}
function connect() {
  if (source) source.close();
  source = new EventSource("/events");
  source.addEventListener("view", (e) => {
    heard = performance.now();
    put($("link"), "");
    render(JSON.parse(e.data));
  });
  source.onerror = async () => {
    put($("link"), "The connection is lost. Trying again; nothing that was sent is lost.");
    if (source.readyState === EventSource.CLOSED) {
      const now = await fetch("/view").catch(() => null);
      if (now && now.status === 403) join();
      else setTimeout(connect, 2000);
    }
  };
}

/* --- Joining ------------------------------------------------------------------------------ */

let seats = null;
function join() {
  if (source) source.close();
  source = null;
  for (const id of ["head", "room", "waiting", "banner"]) show($(id), false);
  show($("join"), true);
  put($("link"), "");
}
$("code").addEventListener("input", () => {
  seats = null;
  show($("roles"), false);
});
$("join").addEventListener("submit", async (e) => {
  e.preventDefault();
  const code = $("code").value, name = $("name").value;
  put($("join-error"), "");
  if (!seats) {
    const said = await post("/seats", { code });
    if (said.error) return put($("join-error"), said.error);
    seats = said.seats;
    $("roles").replaceChildren(el("legend", { text: "Your role" }), ...seats.map((s, i) =>
      el("label", { class: "choice" }, el("input", { type: "radio", name: "role", value: s.role, checked: i === 0 }),
         el("span", { text: s.title }))));
    if (seats.length > 1) {
      show($("roles"), true);
      $("roles").querySelector("input").focus();
      return;
    }
  }
  const role = new FormData($("join")).get("role") || seats[0].role;
  let said = await post("/join", { code, name, role });
  if (said.waiting) {
    show($("join"), false);
    show($("waiting"), true);
    while (said.status === 202) {
      await new Promise((r) => setTimeout(r, 1500));
      const now = await post("/waiting", { waiting: said.waiting });
      said = now.status == null ? said : now;
    }
    show($("waiting"), false);
    show($("join"), true);
  }
  if (said.error) return put($("join-error"), said.error);
  show($("join"), false);
  $("code").value = "";
  first = true;
  connect();
  $("main").focus();
});
$("leave").addEventListener("click", async () => {
  await post("/leave", {});
  location.reload();
});

/* --- Sections ----------------------------------------------------------------------------- */

/* A section that is there while its part of the view is; made once, updated with every view. */
const sections = [];
function section(column, title, part, build) {
  const id = fresh("h"), extra = el("span", { class: "soft" }), h = el("h2", { id }, el("span", { text: title }), extra);
  const node = el("section", { class: "card", "aria-labelledby": id }, h), update = build(node, extra);
  node.hidden = true;
  sections.push({ column, node, part, update });
}
const any = (x) => (Array.isArray(x) ? x.length > 0 : x != null);

/* Who waits at the door, and the codes: for those who may let people in. */
function doorkeeper() {
  const doors = el("ul", { class: "log" }), codes = el("ul", { class: "log" });
  const more = el("details", { class: "act" }, el("summary", { text: "Codes to hand out" }), codes), node = el("div", {}, doors, more);
  node.update = () => {
    list(doors, me.waiting || [], (w) => w.n + w.person, (w) => el("li", {}, el("time", { text: "waits" }),
      el("span", {}, w.person + " as " + roleTitle(w.role) + " ", button("Let in", { do: "admit", n: w.n, person: w.person, yes: true }),
         button("Refuse", { do: "admit", n: w.n, person: w.person, yes: false }, "quiet"))));
    show(more, !!me.codes);
    list(codes, me.codes || [], (c) => c.role || "*", (c) => el("li", {}, el("span", { class: "code", text: c.code }), el("span", { text: c.title })));
  };
  return node;
}
/* The clock of a replay: the presenter's to move, everybody's to see. */
let stands = () => {};
const SPEEDS = [1, 2, 5, 10, 20, 60, 120];
section(0, "Replay", (v) => v.replay, (node) => {
  node.classList.add("replaying");
  const where = el("p", { class: "number" }), error = el("p", { class: "error", role: "alert" });
  const play = button("Play", () => ({ do: replay().playing ? "pause" : "play" })), close = button("Close the replay", { do: "close" }, "quiet");
  const field = (words, input) => el("div", { class: "grow" }, el("label", { for: input.id, text: words }), input);
  const choose = (id, command) => el("select", { id: fresh(id), onchange: (e) => act(command(e.target.value), error) });
  const moment = el("input", { id: fresh("moment"), type: "range", min: "0", step: "1", onchange: (e) => act({ do: "jump", to_s: Number(e.target.value) }, error) });
  const speed = choose("speed", (value) => ({ do: "speed", speed: Number(value) })), eyes = choose("eyes", (value) => ({ do: "look", role: value }));
  const chapter = el("select", { id: fresh("chapter") }), keeper = doorkeeper();
  const controls = el("div", { class: "items act" }, el("div", { class: "line" }, play, close), field("Moment", moment),
    el("div", { class: "line" }, field("Seen by", eyes), field("Speed", speed)),
    el("div", { class: "line" }, field("What happened", chapter), button("Jump there", () => ({ do: "jump", to_s: Number(chapter.value) }), "quiet")));
  node.append(where, controls, error, keeper);
  stands = () => {
    const r = replay(), now = Math.min(r.length_s, r.at_s + replayed());
    put(where, span(now) + " of " + span(r.length_s) + (r.playing ? "" : r.ended ? ", the end" : ", paused"));
    if (document.activeElement !== moment) moment.value = String(now);
    moment.setAttribute("aria-valuetext", span(now));
  };
  return (r) => {
    show(controls, r.may);
    moment.max = String(Math.ceil(r.length_s));
    put(play.querySelector("button"), r.playing ? "Pause" : "Play");
    list(speed, [...new Set([...SPEEDS, r.speed])].sort((a, b) => a - b), (x) => x, (x) => el("option", { value: x, text: x === 1 ? "as fast as its clock" : x + " times as fast" }));
    list(eyes, r.seats || [], (x) => x.role, (x) => el("option", { value: x.role, text: x.title || x.role }));
    list(chapter, (r.chapters || []).map((c, n) => ({ ...c, n })), (c) => c.n, (c) => el("option", { value: c.at_s, text: c.text }));
    speed.value = String(r.speed);
    if (r.as) eyes.value = r.as;
    keeper.update();
    stands();
  };
});

section(0, "Result", (v) => (v.result && v.result.sentence ? v.result : null), (node) => {
  const text = node.appendChild(el("p")), tag = node.appendChild(el("p", { class: "tag" }));
  return (r) => {
    put(text, r.sentence);
    put(tag, r.verdict);
    tag.className = "tag " + (r.verdict === "met" ? "good" : r.verdict === "missed" ? "bad" : "warn");
  };
});
section(0, "Services", (v) => v.services, (node) => {
  const box = node.appendChild(el("div", { class: "items" }));
  return (all) => list(box, all, (s) => s.name, () => {
    const name = el("h3"), state = el("span", { class: "tag" }), left = el("span", { class: "number" }), note = el("p", { class: "meta" });
    const item = el("article", { class: "item" }, el("div", { class: "line" }, el("div", { class: "grow" }, name), state, left), note);
    item.update = (now) => {
      put(name, now.name);
      put(state, now.state);
      state.className = "tag " + (now.state === "up" ? "good" : now.state === "down" ? "bad" : "warn");
      item.classList.toggle("good", now.state === "up");
      item.classList.toggle("bad", now.state === "down");
      if (now.left_s != null) tick(left, now.left_s, -1);
      else tick(left, now.since_s, 1);
      put(note, [now.target_s != null && "to be restored within " + span(now.target_s), now.text].filter(Boolean).join(" · "));
    };
    return item;
  });
});

section(0, "Faults in force", (v) => v.faults, (node) => {
  const box = node.appendChild(el("ul", { class: "log" }));
  return (all) => list(box, all, (f) => f.step, (f) => el("li", {}, el("time", { text: at(f.at_s) }), el("span", { text: f.text })));
});
section(0, "Alarms", (v) => v.alarms, (node) => {
  const box = node.appendChild(el("ul", { class: "log" }));
  return (all) => list(box, all, (a) => a.name, (a) => {
    const more = el("span", { class: "tag" });
    const li = el("li", {}, el("time", { text: at(a.at_s) }), el("span", {}, a.text + " ", more));
    li.update = (now) => {
      put(more, (now.on ? "fires" : "is over") + (now.times > 1 ? ", " + now.times + " times" : ""));
      more.className = "tag " + (now.on ? "bad" : "good");
    };
    return li;
  });
});

section(0, "Decisions", (v) => v.decisions, (node) => {
  const box = node.appendChild(el("div", { class: "items" }));
  return (all) => list(box, all, (d) => d.id, (d) => {
    const left = el("span", { class: "number" }), options = el("fieldset", {}, el("legend", { text: "What is decided" }));
    const reason = el("textarea", { id: fresh("reason"), maxlength: 4000 }), error = el("p", { class: "error", role: "alert" });
    const made = el("p"), note = el("p", { class: "meta" }), question = el("h3", { class: "text" });
    const group = fresh("option");
    options.append(...d.options.map((o) => el("label", { class: "choice" },
      el("input", { type: "radio", name: group, value: o }), el("span", { text: o }))));
    const form = el("form", { class: "items act", onsubmit: async (e) => {
      e.preventDefault();
      const option = new FormData(form).get(group);
      if (!option) return put(error, "Choose one of the options first.");
      if (await act({ do: "decide", step: d.id, option, reason: reason.value }, error)) $("main").focus();
    } }, options, el("div", {}, el("label", { for: reason.id, text: "Reason (it stands in the decision log)" }), reason),
      error, el("div", {}, el("button", { type: "submit", text: "Decide" })));
    const names = el("p", { class: "soft" });
    const item = el("article", { class: "item" }, el("div", { class: "line" }, el("div", { class: "grow" }, question), left), note, made, names, form);
    item.update = (now) => {
      put(question, now.question);
      item.classList.toggle("open", !now.made);
      item.classList.toggle("good", !!now.made);
      put(note, [now.mine ? "" : "To be decided by " + roleTitle(now.who), now.authority && "Authority: " + now.authority,
                 now.impact && "Impact: " + now.impact, now.reversible === false && "Cannot be reversed"].filter(Boolean).join(" · "));
      show(form, !now.made && now.mine && !replay());
      show(names, !now.made && (!now.mine || !!replay()));
      put(names, "Options: " + now.options.join(" · "));
      tick(left, now.made ? null : now.left_s, -1);
      put(made, !now.made ? "" : "Decided: " + now.made.option + (now.made.default ? ", by default: the time was up" : now.made.by ? ", by " + now.made.by : "") +
          " at " + at(now.made.at_s) + (now.made.late ? " (late)" : "") + (now.made.reason ? ". " + now.made.reason : ""));
    };
    return item;
  });
});

section(0, "What comes next", (v) => v.next, (node) => {
  const box = node.appendChild(el("div", { class: "items" }));
  return (all) => list(box, all, (n) => n.step, (n) => {
    const when = el("span", { class: "at" }), title = el("h3"), meta = el("p", { class: "meta" }), text = el("p", { class: "text" }), hint = el("p", { class: "soft" });
    const item = el("article", { class: "item" }, el("div", { class: "line" }, el("div", { class: "grow" }, title), when), meta, hint,
      el("details", {}, el("summary", { text: "Text" }), text),
      el("div", { class: "line" }, button("Send now", { do: "send", step: n.step }), button("Skip", { do: "skip", step: n.step }, "quiet")));
    item.update = (now) => {
      put(title, now.title || now.step);
      put(when, now.at_s == null ? now.when || "when it is time" : at(now.at_s));
      put(meta, [now.number, now.contingency ? "contingency" : now.kind, now.to && now.to.length && "to " + now.to.map(roleTitle).join(", "), now.controller && "controller: " + now.controller].filter(Boolean).join(" · "));
      put(hint, now.notes);
      put(text, now.text || "");
      show(item.querySelector("details"), !!now.text);
    };
    return item;
  });
});

section(0, "Messages", (v) => v.inbox, (node, extra) => {
  const box = node.appendChild(el("div", { class: "items", role: "log", "aria-label": "Messages", "aria-live": "off" }));
  return (all) => {
    put(extra, all.length ? all.length + " received" : "");
    list(box, [...all].reverse(), (m) => m.id, (m) => {
      const files = (m.attachments || []).map((f) => el("a", { href: "/" + f.url, download: f.name, text: f.name }));
      const item = el("article", { class: "item" + (first ? "" : " new") },
        el("p", { class: "meta", text: [at(m.at_s), m.from && "from " + m.from, m.channel, !m.mine && m.to && "to " + m.to.map(roleTitle).join(", ")].filter(Boolean).join(" · ") }),
        m.title && m.title !== m.text ? el("h3", { text: m.title }) : null, el("p", { class: "text", text: m.text }),
        files.length ? el("p", {}, "Attached: ", ...files) : null);
      return item;
    });
  };
});

section(0, "Pages", (v) => v.pages, (node) => {
  const box = node.appendChild(el("div", { class: "items" }));
  return (all) => list(box, all, (p) => p.id, (p) => {
    const text = el("h3"), note = el("p", { class: "meta" }), press = button("Acknowledge", { do: "acknowledge", step: p.id });
    const item = el("article", { class: "item" }, text, note, press);
    item.update = (now) => {
      put(text, now.text || "You are paged");
      put(note, ["to " + roleTitle(now.to) + (now.person ? ", " + now.person : ""),
                 now.acknowledged ? "acknowledged by " + now.acknowledged.by + " at " + at(now.acknowledged.at_s) : "not acknowledged"].join(" · "));
      item.classList.toggle("open", !now.acknowledged);
      item.classList.toggle("good", !!now.acknowledged);
      show(press, now.mine && !now.acknowledged);
    };
    return item;
  });
});

section(0, "Checklists", (v) => v.checklists, (node) => {
  const box = node.appendChild(el("div", { class: "items" }));
  return (all) => list(box, all, (c) => c.id, (c) => {
    const title = el("h3"), steps = el("ul"), note = el("p", { class: "meta" });
    const item = el("article", { class: "item" }, title, note, steps);
    item.update = (now) => {
      put(title, now.title);
      put(note, "Owner: " + roleTitle(now.owner) + (now.complete ? " · complete" : ""));
      item.classList.toggle("good", now.complete);
      item.classList.toggle("open", !now.complete);
      list(steps, now.items, (s) => s.n, (s) => {
        const tick1 = el("input", { type: "checkbox" }), words = el("span"), left = el("span", { class: "at" }), error = el("span", { class: "error", role: "alert" });
        tick1.addEventListener("change", async () => {
          if (!(await act({ do: "check", step: now.id, n: s.n }, error))) tick1.checked = false;
        });
        const li = el("li", { class: "line" }, el("label", { class: "choice grow" }, tick1, words), left, error);
        li.update = (x) => {
          put(words, x.does + (x.mine ? "" : " (" + roleTitle(x.owner) + ")") + (x.checked ? " – done by " + x.checked.by + " at " + at(x.checked.at_s) : "") + (x.late ? " (late)" : ""));
          tick1.checked = !!x.checked;
          tick1.disabled = !!x.checked || !x.mine || !!replay();
          tick(left, x.checked ? null : x.left_s, -1);
        };
        return li;
      });
    };
    return item;
  });
});

section(0, "Status updates", (v) => v.updates, (node) => {
  const box = node.appendChild(el("div", { class: "items" }));
  return (all) => list(box, all, (u) => u.id, (u) => {
    const title = el("h3"), left = el("span", { class: "number" }), note = el("p", { class: "meta" });
    const text = el("textarea", { id: fresh("update"), maxlength: 8000 }), error = el("p", { class: "error", role: "alert" });
    const form = el("form", { class: "items act", onsubmit: async (e) => {
      e.preventDefault();
      if (await act({ do: "status", step: u.id, text: text.value }, error)) text.value = "";
    } }, el("div", {}, el("label", { for: text.id, text: "Text of the update" }), text), error, el("div", {}, el("button", { type: "submit", text: "Send the update" })));
    const item = el("article", { class: "item open" }, el("div", { class: "line" }, el("div", { class: "grow" }, title), left), note, form);
    item.update = (now) => {
      put(title, "Update " + now.n + " to " + now.to.map(roleTitle).join(", "));
      put(note, [now.what, "every " + span(now.every_s), !now.mine && "owed by " + roleTitle(now.from)].filter(Boolean).join(" · "));
      tick(left, now.left_s, -1);
      show(form, now.mine);
    };
    return item;
  });
});

section(0, "Approvals", (v) => v.approvals, (node) => {
  const box = node.appendChild(el("div", { class: "items" }));
  return (all) => list(box, all, (a) => a.id, (a) => {
    const what = el("h3"), who = el("p", { class: "meta" }), left = el("span", { class: "number" });
    const press = button("Approve", { do: "approve", step: a.id });
    const item = el("article", { class: "item" }, el("div", { class: "line" }, el("div", { class: "grow" }, what), left), who, press);
    item.update = (now) => {
      put(what, now.what);
      put(who, (now.given || []).length + " of " + now.people + " persons" + ((now.given || []).length ? ": " + now.given.join(", ") : ""));
      item.classList.toggle("good", now.complete);
      item.classList.toggle("open", !now.complete);
      show(press, now.mine && !now.complete);
      tick(left, now.complete ? null : now.left_s, -1);
    };
    return item;
  });
});

section(0, "Expected actions", (v) => v.check, (node) => {
  const box = node.appendChild(el("div", { class: "items" }));
  return (all) => list(box, all, (c) => c.step, (c) => {
    const does = el("h3"), note = el("p", { class: "meta" }), hint = el("p", { class: "soft" });
    const done = button("Seen: it was done", { do: "done", step: c.step }, "quiet");
    const item = el("article", { class: "item" }, does, note, hint, done, rating({ step: c.step }));
    item.update = (now) => {
      put(does, now.does);
      put(note, [now.number, now.by && "by " + roleTitle(now.by), now.within_s != null && "within " + span(now.within_s), now.state + (now.at_s != null ? " at " + at(now.at_s) : "")].filter(Boolean).join(" · "));
      put(hint, now.notes);
      show(done, now.state === "due" || now.state === "missed");
      item.querySelector(".rating").update(now);
      item.classList.toggle("good", now.state === "done" || now.state === "late");
      item.classList.toggle("bad", now.state === "missed");
      item.classList.toggle("open", now.state === "due");
    };
    return item;
  });
});
const RATINGS = { P: "performed", S: "with some challenges", M: "with major challenges", U: "unable" };
function rating(of) {
  const name = fresh("rating"), error = el("span", { class: "error", role: "alert" });
  const note = el("input", { id: fresh("note"), maxlength: 4000 });
  const send = async (value) => act({ do: "rate", ...of, rating: value, note: note.value }, error);
  const inputs = Object.entries(RATINGS).map(([value, words]) =>
    el("label", { class: "choice" }, el("input", { type: "radio", name, value, onchange: () => send(value) }), el("span", { text: value + " " + words })));
  const keep = el("button", { type: "button", class: "quiet", text: "Keep the note", onclick: () => {
    const chosen = set.querySelector("input:checked");
    if (chosen) send(chosen.value);
    else put(error, "Choose a rating first.");
  } });
  const set = el("fieldset", {}, el("legend", { text: "Rating" }), el("div", { class: "ratings" }, ...inputs),
    el("label", { for: note.id, text: "Observation" }), el("div", { class: "line" }, el("div", { class: "grow" }, note), keep), error);
  const summary = el("summary"), box = el("details", { class: "act rating" }, summary, set);
  box.update = (now) => {
    put(summary, now.rating ? "Rated " + now.rating + ": " + RATINGS[now.rating] : replay() ? "Not rated" : "Rate");
    for (const i of set.querySelectorAll("input[type=radio]")) i.checked = i.value === now.rating;
    if (now.note && document.activeElement !== note && !note.value) note.value = now.note;
  };
  return box;
}
section(0, "Objectives", (v) => v.objectives, (node) => {
  const box = node.appendChild(el("div", { class: "items" }));
  return (all) => list(box, all, (o) => o.id, (o) => {
    const text = el("h3"), target = el("p", { class: "meta" }), tasks = el("p", { class: "soft" });
    const item = el("article", { class: "item" }, text, target, tasks, rating({ objective: o.id }));
    item.update = (now) => {
      put(text, now.text);
      put(target, [now.capability, now.target].filter(Boolean).join(" · "));
      put(tasks, (now.tasks || []).join(" · "));
      item.querySelector(".rating").update(now);
    };
    return item;
  });
});

section(0, "Questions after the exercise", (v) => (v.replay ? null : v.debrief), (node) => {
  const form = node.appendChild(el("form", { class: "items" })), note = el("p", { class: "meta" }), error = el("p", { class: "error", role: "alert" });
  const box = el("div", { class: "items" }), thanks = node.appendChild(el("p", { text: "Your answers have been kept. Thank you." }));
  form.append(note, box, error, el("div", {}, el("button", { type: "submit", text: "Send the answers" })));
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    await act({ do: "debrief", answers: [...box.querySelectorAll("textarea")].map((t) => t.value || null) }, error);
  });
  return (now) => {
    put(note, now.anonymous ? "Your answers are kept without your name." : "Your answers are kept with your name.");
    show(form, !now.answered);
    show(thanks, now.answered);
    list(box, now.questions.map((q, n) => ({ q, n })), (q) => q.n, (q) => {
      const t = el("textarea", { id: fresh("answer"), maxlength: 4000 });
      return el("div", {}, el("label", { for: t.id, text: q.q }), t);
    });
  };
});

/* The one red button of a live drill. */
section(1, "Abort", (v) => (v.may && v.may.abort && !v.replay ? v.may : null), (node) => {
  const error = el("p", { class: "error", role: "alert" });
  let sure = false;
  const b = el("button", { type: "button", class: "danger", text: "Abort and undo", onclick: async () => {
    if (!sure) {
      sure = true;
      b.textContent = "Really abort? Press again";
      setTimeout(() => { sure = false; b.textContent = "Abort and undo"; }, 5000);
      return;
    }
    await act({ do: "abort" }, error);
  } });
  node.append(b, error);
  return () => {};
});

section(1, "Conduct", (v) => (v.next && !v.replay ? v : null), (node) => {
  const hold = button("Hold", { do: "hold" }), go = button("Go on", { do: "go" });
  const ask = el("textarea", { id: fresh("add"), maxlength: 8000 }), title = el("input", { id: fresh("title"), maxlength: 200 });
  const to = el("select", { id: fresh("to") }), from = el("input", { id: fresh("from"), maxlength: 80 }), error = el("p", { class: "error", role: "alert" });
  let sure = false;
  const end = el("button", { type: "button", class: "danger", text: "End the exercise", onclick: async () => {
    const words = end.textContent;
    if (!sure) {
      sure = true;
      end.textContent = "Really? Press again";
      setTimeout(() => { sure = false; end.textContent = words; }, 5000);
      return;
    }
    sure = false;
    await act({ do: "end" }, error);
  } });
  const form = el("form", { class: "items act", onsubmit: async (e) => {
    e.preventDefault();
    if (await act({ do: "add", tell: { to: [to.value], from: from.value || undefined, title: title.value || undefined, message: ask.value } }, error)) {
      ask.value = "";
      title.value = "";
    }
  } }, el("div", {}, el("label", { for: to.id, text: "To" }), to), el("div", {}, el("label", { for: from.id, text: "From" }), from),
    el("div", {}, el("label", { for: title.id, text: "Title" }), title),
    el("div", {}, el("label", { for: ask.id, text: "Message" }), ask), el("div", {}, el("button", { type: "submit", text: "Send" })));
  const speed = el("input", { id: fresh("speed"), type: "number", min: "0.1", max: "1000", step: "0.1", value: "1" });
  const word = el("select", { id: fresh("word") }), words = el("div", { class: "line" }, el("div", { class: "grow" }, el("label", { for: word.id, text: "Branch: say that this has happened" }), word),
    button("Say it", () => (word.value ? { do: "branch", word: word.value } : null), "quiet"));
  const pace = el("div", { class: "line" }, el("div", { class: "grow" }, el("label", { for: speed.id, text: "Speed of the clock" }), speed),
    button("Set", () => ({ do: "speed", speed: Number(speed.value) }), "quiet"));
  node.append(el("div", { class: "line" }, hold, go, end), error, words, el("details", { class: "act" }, el("summary", { text: "Speed" }), pace), el("details", {}, el("summary", { text: "Send a message that is not in the script" }), form));
  return (v) => {
    show(hold, head().state === "running");
    show(go, head().state === "held" || head().state === "lobby");
    put(go.querySelector("button"), head().state === "lobby" ? "Start" : "Go on");
    const roles = v.roles || [];
    list(to, [{ role: "all", title: "Everybody" }, ...roles], (r) => r.role, (r) => el("option", { value: r.role, text: r.title || r.role }));
    list(word, v.words || [], (w) => w, (w) => el("option", { value: w, text: w }));
    show(words, any(v.words));
    end.textContent = sure ? end.textContent : head().state === "debrief" ? "Close the debrief" : "End the exercise";
  };
});

const MARKS = ["acknowledged", "declared", "aware", "classified", "diagnosed", "mitigation_start", "mitigated", "resolved"];
const mayMark = (v) => v.replay ? null : v.marks || (v.exercise && ["player", "facilitator"].includes(v.me.kind) && head().state === "running" ? MARKS : null);
section(1, "Marks", mayMark, (node) => {
  const box = node.appendChild(el("div", { class: "line" })), text = el("input", { id: fresh("mark"), maxlength: 1000 });
  node.append(el("div", {}, el("label", { for: text.id, text: "Note (goes with the next mark)" }), text));
  return (all) => list(box, all, (m) => m, (m) => button(m.replaceAll("_", " "), () => {
    const said = text.value;
    text.value = "";
    return { do: "mark", mark: m, text: said || undefined };
  }, "quiet"));
});

section(1, "Promises", (v) => v.promises, (node) => {
  const box = node.appendChild(el("div", { class: "items" }));
  return (all) => list(box, all, (s) => s.service + s.promise, () => {
    const name = el("h3"), left = el("span", { class: "number" }), note = el("p", { class: "meta" });
    const item = el("article", { class: "item" }, el("div", { class: "line" }, el("div", { class: "grow" }, name), left), note);
    item.update = (now) => {
      put(name, now.service + (now.promise ? ": " + now.promise : ""));
      tick(left, now.left_s, -1);
      put(note, "down; target " + span(now.target_s));
      item.classList.toggle("bad", true);
    };
    return item;
  });
});

section(1, "Clocks", (v) => v.clocks, (node) => {
  const box = node.appendChild(el("div", { class: "items" }));
  return (all) => list(box, all, (c) => c.name, () => {
    const name = el("h3"), left = el("span", { class: "number" }), note = el("p", { class: "meta" });
    const item = el("article", { class: "item" }, el("div", { class: "line" }, el("div", { class: "grow" }, name), left), note);
    item.update = (now) => {
      put(name, now.title || now.name);
      put(note, [now.regime, now.authority, now.met ? "met" : now.overdue ? "overdue" : now.started ? "running" : "has not begun"].filter(Boolean).join(" · "));
      tick(left, now.started && !now.met ? now.left_s : null, -1);
      item.classList.toggle("good", now.met);
      item.classList.toggle("bad", now.overdue && !now.met);
    };
    return item;
  });
});

section(1, "People", (v) => v.people, (node) => {
  const keeper = doorkeeper(), box = el("ul", { class: "log" });
  node.append(keeper, box);
  return (all) => {
    show(keeper, !replay()); /* it stands at the replay's own controls */
    keeper.update();
    list(box, all, (p) => p.person + "/" + p.role, () => {
      const state = el("time"), who = el("span"), li = el("li", {}, state, who);
      li.update = (p) => {
        put(state, p.connected ? "here" : "away");
        put(who, p.person + ", " + roleTitle(p.role));
      };
      return li;
    });
  };
});

section(1, "Note", (v) => (v.exercise && !v.replay && v.me.kind !== "observer" && head().state !== "ended" ? v : null), (node) => {
  const text = el("textarea", { id: fresh("note"), maxlength: 8000 }), error = el("p", { class: "error", role: "alert" });
  const what = el("select", { id: fresh("what") }, ...["note", "observation", "strength", "improvement", "corrective"].map((w) => el("option", { value: w, text: w === "corrective" ? "corrective action" : w })));
  const objective = el("select", { id: fresh("objective") });
  const about = el("div", { class: "items" }, el("div", {}, el("label", { for: what.id, text: "It is" }), what), el("div", {}, el("label", { for: objective.id, text: "About the objective" }), objective));
  const asked = [["area", "Area for improvement"], ["owner", "Responsible organisation"], ["contact", "Point of contact"], ["start", "Starts", "date"], ["due", "Due", "date"]]
    .map(([key, label, type]) => ({ key, label, input: el("input", { id: fresh(key), type: type || "text", maxlength: 2000 }) }));
  const element = el("select", { id: fresh("element") }, ...["", "planning", "organisation", "equipment", "training", "exercise"].map((w) => el("option", { value: w, text: w || "not said" })));
  asked.push({ key: "element", label: "Capability element", input: element });
  const plan = el("div", { class: "items", hidden: true }, ...asked.map((x) => el("div", {}, el("label", { for: x.input.id, text: x.label }), x.input)));
  what.addEventListener("change", () => show(plan, what.value === "corrective"));
  node.append(el("form", { class: "items", onsubmit: async (e) => {
    e.preventDefault();
    const more = about.hidden ? {} : { what: what.value, objective: objective.value || undefined };
    if (!plan.hidden) for (const x of asked) more[x.key] = x.input.value || undefined;
    if (await act({ do: "note", text: text.value, ...more }, error)) {
      text.value = "";
      for (const x of asked) x.input.value = "";
    }
  } }, el("div", {}, el("label", { for: text.id, text: "For the record" }), text), about, plan, error, el("div", {}, el("button", { type: "submit", class: "quiet", text: "Add the note" }))));
  return (v) => {
    show(about, ["evaluator", "facilitator"].includes(v.me.kind));
    list(objective, [{ id: "", text: "none in particular" }, ...(v.objectives || [])], (o) => o.id, (o) => el("option", { value: o.id, text: o.text }));
  };
});

section(1, "Message to players", (v) => (v.exercise && !v.replay && v.me.kind === "simulator" && head().state === "running" ? v : null), (node) => {
  const to = el("select", { id: fresh("to") }), title = el("input", { id: fresh("title"), maxlength: 200 });
  const text = el("textarea", { id: fresh("text"), maxlength: 8000 }), error = el("p", { class: "error", role: "alert" });
  node.append(el("form", { class: "items", onsubmit: async (e) => {
    e.preventDefault();
    if (await act({ do: "message", to: [to.value], title: title.value || undefined, text: text.value }, error)) text.value = title.value = "";
  } }, el("div", {}, el("label", { for: to.id, text: "To" }), to), el("div", {}, el("label", { for: title.id, text: "Title" }), title),
    el("div", {}, el("label", { for: text.id, text: "Message" }), text), error, el("div", {}, el("button", { type: "submit", text: "Send" }))));
  return (v) => list(to, v.roles.filter((r) => r.kind === "player"), (r) => r.role, (r) => el("option", { value: r.role, text: r.title || r.role }));
});

section(1, "Who is away", (v) => v.absences, (node) => {
  const box = node.appendChild(el("ul", { class: "log" }));
  return (all) => list(box, all, (a) => a.role + "/" + a.person, (a) => el("li", {}, el("time", { text: at(a.since_s) }), el("span", { text: a.person || roleTitle(a.role) })));
});

section(1, "Who plays", (v) => (v.roles && !v.people && v.roles.some((r) => r.people.length) ? v.roles.filter((r) => r.people.length) : null), (node) => {
  const box = node.appendChild(el("ul", { class: "items" }));
  return (all) => list(box, all, (r) => r.role, () => {
    const li = el("li");
    li.update = (r) => put(li, (r.title || r.role) + ": " + r.people.join(", "));
    return li;
  });
});

section(1, "What has happened", (v) => v.log, (node) => {
  const box = node.appendChild(el("ol", { class: "log" }));
  return (all) => list(box, all.slice(-200).reverse(), (l) => l.id == null ? l.at_s + l.text : l.id, (l) =>
    el("li", {}, el("time", { text: at(l.at_s) }), el("span", { text: l.text + (l.by ? " (" + l.by + ")" : "") })));
});

/* --- Rendering ---------------------------------------------------------------------------- */

const SCREEN = ["Decisions", "Result", "Promises", "Clocks", "Services", "Faults in force", "Alarms"];
const columns = [el("div", { class: "column" }), el("div", { class: "column" })];
$("room").append(...columns);
for (const s of sections) columns[s.column].append(s.node);

const STATES = { lobby: "not started", running: "running", held: "on hold: the clock stands", debrief: "debrief", ended: "ended" };
function announce(v) {
  for (const m of v.inbox || []) {
    if (!seen.has(m.id) && !first) put($("said"), "New message" + (m.from ? " from " + m.from : "") + ": " + (m.title || m.text));
    seen.add(m.id);
  }
  for (const d of v.decisions || []) {
    if (!seen.has("d" + d.id) && !first && d.mine) put($("urgent"), "A decision is asked of you: " + d.question);
    seen.add("d" + d.id);
  }
}
function render(envelope) {
  me = envelope;
  view = envelope.view;
  const h = head();
  for (const id of ["join", "waiting"]) show($(id), false);
  for (const id of ["head", "room"]) show($(id), true);
  document.body.classList.toggle("replay", !!replay());
  show($("banner"), !!h.banner || !!replay());
  put($("banner"), [replay() && "REPLAY", h.banner].filter(Boolean).join(" · "));
  put($("title"), h.title || envelope.title);
  document.title = (replay() ? "(replay) " : h.state === "held" ? "(hold) " : "") + envelope.title;
  const phase = h.phase;
  put($("phase"), phase ? [phase.n != null && "Phase " + phase.n + (phase.of ? " of " + phase.of : ""), phase.title, phase.date, phase.situation].filter(Boolean).join(" · ") : "");
  if (h.clock_s == null) put($("clock"), "");
  else tick($("clock"), h.clock_s, 1, "T+");
  put($("state"), (h.words || STATES[h.state] || h.state || "") + (h.held_why ? " (" + h.held_why + ")" : "") + (h.speed && h.speed !== 1 ? ", " + h.speed + " times as fast" : "") + (replay() ? " – replay" + (replay().playing ? "" : ", paused") : ""));
  put($("who"), me.me.person + ", " + (replay() && replay().as ? "presents, seen by " + roleTitle(replay().as) : me.me.role_title));
  announce(view);
  for (const s of sections) {
    const part = s.part(view);
    const there = any(part) && (!screen || SCREEN.includes(s.node.querySelector("h2").firstChild.textContent));
    show(s.node, there);
    if (any(part)) s.update(part);
    else if (Array.isArray(part)) s.update(part);
  }
  for (const c of columns) show(c, [...c.children].some((x) => !x.hidden));
  $("room").classList.toggle("one", columns.some((c) => c.hidden));
  first = false;
}
fetch("/view").then((r) => (r.ok ? connect() : join()), () => join());
})();

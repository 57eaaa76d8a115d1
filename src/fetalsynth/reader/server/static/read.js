// The reading page: shows one screen after the other, takes answers, keeps drafts.
import { Clock } from "./clock.js";
import { Views } from "./viewer.js";

const page = document.getElementById("reading");
const { csrf, interpolation, modality, mode, back, tags: tagsNeeded } = page.dataset;
const note = document.getElementById("note");
const clock = new Clock();
const views = new Views(page.querySelectorAll(".pane"), { smooth: interpolation === "bilinear", shared: mode === "pair" });
const buttons = [...page.querySelectorAll("[data-group]")];
const DRAFT_DELAY = 500;
const DRAFT_EVERY = 20000;
const PATIENCE = [1, 2, 4, 8, 15];

let screen = null;
let given = null;
let busy = true;
let draftTimer = 0;

const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
const say = (text) => { note.textContent = text; };

async function ask(address, body) {
  const settings = { cache: "no-store", credentials: "same-origin" };
  if (body) Object.assign(settings, {
    method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify(body),
  });
  return fetch(address, settings);
}

// Asks until there is an answer: the server may be starting again, the network may be gone.
async function insist(address, body) {
  for (let k = 0; ; k++) {
    try {
      const response = await ask(address, body);
      if (response.status < 500) return response;
    } catch { /* not reached */ }
    say(body ? "Not stored yet: the study's server cannot be reached. Trying again …" : "Waiting for the study's server …");
    await wait(PATIENCE[Math.min(k, PATIENCE.length - 1)]);
  }
}

function body() {
  return { presentation: screen.presentation, ...given, seconds: clock.seconds() };
}

function showGiven() {
  for (const button of buttons) {
    const { group, value } = button.dataset;
    if (group === "tags") button.setAttribute("aria-pressed", given.tags.includes(value));
    else button.setAttribute("aria-checked", String(chosen(group)) === value);
  }
}

function chosen(group) {
  if (group === "quality") return given.quality;
  return mode === "pair" ? given.choice : given.confidence;
}

function choose(button) {
  if (busy) return;
  const { group, value } = button.dataset;
  if (group === "tags") {
    given.tags = given.tags.includes(value) ? given.tags.filter((tag) => tag !== value) : [...given.tags, value];
  } else if (group === "quality") given.quality = Number(value);
  else if (mode === "pair") given.choice = value;
  else given.confidence = Number(value);
  showGiven();
  say("");
  clearTimeout(draftTimer);
  draftTimer = setTimeout(saveDraft, DRAFT_DELAY);
}

function saveDraft(last = false) {
  clearTimeout(draftTimer);
  if (!screen || busy) return;
  fetch("/api/draft", {
    method: "POST", cache: "no-store", keepalive: last === true,
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify(body()),
  }).catch(() => {});
}

function missing() {
  const has = (group) => page.querySelector(`[data-group="${group}"]`);
  if (!chosen("verdict")) return mode === "pair" ? "which one is real" : "real or synthetic";
  if (has("quality") && !given.quality) return "the quality";
  if (tagsNeeded === "needed" && !given.tags.length) return "what made you decide";
  return "";
}

async function submit() {
  if (busy) return;
  if (missing()) { say(`Still open: ${missing()}`); return; }
  busy = true;
  clearTimeout(draftTimer);
  clock.stop();
  page.classList.add("waiting");
  const response = await insist("/api/answer", body());
  if (response.ok) show((await response.json()).next);
  else window.location.assign("/");
}

async function goBack() {
  if (busy || back !== "yes" || screen.number <= 1) return;
  saveDraft();
  busy = true;
  const response = await insist(`/api/back/${screen.number - 1}`);
  if (response.ok) show((await response.json()).next);
  else { busy = false; say("There is nothing to go back to."); }
}

async function picture(pane) {
  const response = await insist(`/stimulus/${screen.presentation}/${pane.part}`);
  if (!response.ok) throw new Error("not shown");
  await pane.load(await response.blob());
}

async function show(next) {
  if (!next) { window.location.assign("/"); return; }
  screen = next;
  const draft = next.draft || {};
  given = { confidence: draft.confidence ?? null, quality: draft.quality ?? null, tags: draft.tags || [], choice: draft.choice ?? null };
  views.clear();
  showGiven();
  document.getElementById("block").textContent = next.block === "practice" ? "Practice" : "";
  document.getElementById("place").textContent = `${next.number} of ${next.total}`;
  const bar = document.getElementById("progress");
  bar.max = next.total;
  bar.value = next.number - 1;
  try { await Promise.all(views.panes.map(picture)); } catch { window.location.assign("/"); return; }
  views.draw();
  requestAnimationFrame(() => requestAnimationFrame(() => {
    clock.start(draft.seconds);
    page.classList.remove("waiting");
    page.dataset.shown = next.presentation;
    say(next.answered ? "You have answered this one. A change is recorded." : "");
    busy = false;
  }));
}

const TOOLS = [...page.querySelectorAll("[data-tool]")].map((button) => button.dataset.tool);

function tool(name) {
  views.tool = name;
  for (const button of page.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === name);
}

const ACTS = {
  larger: () => views.zoom(1.25), smaller: () => views.zoom(0.8), reset: () => views.reset(),
};
const KEYS = {
  "+": ACTS.larger, "=": ACTS.larger, "-": ACTS.smaller, "0": ACTS.reset,
  z: () => views.adjust({ contrast: 1.15 }), x: () => views.adjust({ contrast: 1 / 1.15 }),
  c: () => views.adjust({ brightness: -8 }), v: () => views.adjust({ brightness: 8 }),
  m: () => tool(TOOLS[(TOOLS.indexOf(views.tool) + 1) % TOOLS.length]),
  Enter: submit, Backspace: goBack,
};
if (modality === "volumes") Object.assign(KEYS, {
  ArrowUp: () => views.scroll(-1), ArrowDown: () => views.scroll(1),
  ArrowLeft: () => views.next(-1), ArrowRight: () => views.next(1),
});
else if (mode === "pair") Object.assign(KEYS, {
  ArrowLeft: () => choose(find("verdict", "left")), ArrowRight: () => choose(find("verdict", "right")),
});
else Object.assign(KEYS, {
  ArrowUp: () => step("quality", 1), ArrowDown: () => step("quality", -1),
  ArrowLeft: () => step("verdict", -1), ArrowRight: () => step("verdict", 1),
});

const find = (group, value) => buttons.find((b) => b.dataset.group === group && b.dataset.value === String(value));

function step(group, by) {
  const scale = buttons.filter((b) => b.dataset.group === group);
  if (busy || !scale.length) return;
  const now = chosen(group);
  const next = now ? now + by : by > 0 ? Math.floor(scale.length / 2) + 1 : Math.ceil(scale.length / 2);
  const button = find(group, Math.min(scale.length, Math.max(1, next)));
  if (button) choose(button);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "Enter" && event.target.closest("a")) return;
  const button = buttons.find((b) => b.dataset.key === key);
  if (!button && !KEYS[key]) return;
  event.preventDefault();
  const once = button || key === "Enter" || key === "Backspace" || key === "m";
  if (once && event.repeat) return;
  if (button) choose(button);
  else KEYS[key]();
});
for (const button of buttons) button.addEventListener("click", () => choose(button));
for (const button of page.querySelectorAll("[data-tool]")) button.addEventListener("click", () => tool(button.dataset.tool));
for (const button of page.querySelectorAll("[data-act]")) button.addEventListener("click", () => ACTS[button.dataset.act]());
document.getElementById("submit").addEventListener("click", submit);
document.getElementById("back")?.addEventListener("click", goBack);
window.addEventListener("pagehide", () => saveDraft(true));
document.addEventListener("visibilitychange", () => { if (document.hidden) saveDraft(true); });
setInterval(saveDraft, DRAFT_EVERY);
tool(TOOLS[0]);

const first = await insist("/api/current");
if (first.ok) show((await first.json()).next);
else window.location.assign("/");

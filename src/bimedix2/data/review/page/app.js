// The flow: next item, verdict, undo; every verdict carries a key, so that sending it again never counts twice.
import { draw, make } from "./draw.js";
import { counted, current, filled, firstLanguage, local, setWords, useLanguage, word } from "./words.js";

const get = (id) => document.getElementById(id);
const SHORTCUTS = "bimedix2-review-shortcuts";
let reasons = {};
let me = {};
let state = null; // as /api/next gives it
let shown = 0; // when the item came on the screen
let judging = null; // action of the open dialog
let busy = false;
let waiting = null; // a verdict that was not answered yet: it keeps its key

class Refused extends Error {
  constructor(error) {
    super(error.en);
    this.texts = error;
  }
}

async function ask(path, body) {
  const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  const reply = await fetch(path, options);
  const value = await reply.json();
  if (value.error) throw new Refused(value.error);
  if (!reply.ok) throw new Error(String(reply.status));
  return value;
}

const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

function tell(text) {
  get("message").hidden = !text;
  get("message").textContent = text || "";
}

const problem = (error) => (error instanceof Refused ? local(error.texts) : word("not_saved"));

// One request at a time: a key held down must not judge the next item unseen.
async function alone(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
  } catch (error) {
    if (get("judge").open) {
      get("judge-error").hidden = false;
      get("judge-error").textContent = problem(error);
    } else tell(problem(error));
  } finally {
    busy = false;
  }
}

function showProgress() {
  const { mine, left, decided, total } = state.progress;
  get("bar").max = Math.max(1, mine + left);
  get("bar").value = mine;
  get("bar").setAttribute("aria-label", counted("done", mine));
  get("counts").textContent = [counted("done", mine), counted("left", left), filled("decided", { n: decided, of: total })].join(" · ");
}

function show(next, { focus = true } = {}) {
  state = next;
  tell("");
  showProgress();
  const item = state.item;
  get("item").replaceChildren(...(item ? draw(item, reasons) : [make("p", "done", word("all_done"))]));
  get("actions").hidden = false;
  document.querySelectorAll("[data-do]").forEach((button) => {
    const needs = { undo: state.previous !== null || item?.mine, previous: state.previous !== null, next: item?.mine };
    const name = button.dataset.do;
    button.disabled = !(name in needs ? needs[name] : item);
  });
  if (focus) {
    shown = performance.now();
    get("work").focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

const next = async () => show(await ask("/api/next"));

async function send(action, more = {}) {
  const said = { item: state.item.number, action, seconds: Math.round((performance.now() - shown) / 100) / 10, ...more };
  const same = waiting && ["item", "action", "reason", "note"].every((name) => waiting[name] === said[name])
    && JSON.stringify(waiting.turns) === JSON.stringify(said.turns);
  waiting = { ...said, key: same ? waiting.key : newKey() };
  await ask("/api/verdict", waiting);
  waiting = null;
  get("judge").close();
  await next();
}

let undoKey = null;

async function undo() {
  undoKey = undoKey || newKey();
  const back = await ask("/api/undo", { key: undoKey });
  undoKey = null;
  show(back);
}

function editor(text, index) {
  const turn = state.item.translation.turns[index];
  const label = make("label", "", `${word("turn")} ${index + 1} · ${word(turn.role)}`);
  const area = make("textarea", "edit");
  area.id = `edit-${index}`;
  area.value = text;
  area.lang = turn.lang;
  area.dir = turn.dir;
  area.rows = Math.min(10, 2 + Math.floor(text.length / 60));
  label.htmlFor = area.id;
  return [label, area];
}

function openJudge(action) {
  const item = state.item;
  judging = action;
  get("judge-title").textContent = word(`${action}_title`);
  get("judge-error").hidden = true;
  const before = item.mine?.action === action ? item.mine : null;
  const texts = before?.texts?.length ? before.texts : item.texts;
  get("edits").replaceChildren(...(action === "edit" ? texts.flatMap(editor) : []));
  get("reasons").hidden = action === "skip";
  get("reasons").querySelectorAll("input").forEach((box) => { box.checked = before?.reason === box.value; });
  get("note").value = before?.note || "";
  get("judge").showModal();
  (get("edits").querySelector("textarea") || get("reasons").querySelector("input")).focus();
  if (action === "skip") get("note").focus();
}

function submitJudge() {
  const said = { note: get("note").value.trim() };
  if (judging !== "skip") said.reason = get("reasons").querySelector("input:checked")?.value || "";
  if (judging === "edit") said.turns = [...get("edits").querySelectorAll("textarea")].map((area) => area.value);
  return alone(() => send(judging, said));
}

function act(name) {
  const button = document.querySelector(`[data-do="${name}"]`);
  if (!state || button.disabled || busy) return;
  if (name === "accept") alone(() => send("accept"));
  else if (name === "undo") alone(undo);
  else if (name === "next") alone(next);
  else if (name === "previous") alone(async () => show(await ask(`/api/item?item=${state.previous}`)));
  else openJudge(name);
}

// The key's place counts, not its letter: on an Arabic layout A gives ش.
const KEYS = { KeyA: "accept", KeyE: "edit", KeyR: "reject", KeyS: "skip", KeyU: "undo", KeyP: "previous", KeyN: "next" };
const writes = (node) => node.matches("textarea, select, input[type=text]");

function onKey(event) {
  if (event.repeat || event.altKey || event.metaKey || !get("shortcuts").checked) return;
  if (get("judge").open) {
    if (event.ctrlKey && event.key === "Enter") submitJudge();
    else if (!event.ctrlKey && !writes(event.target)) chooseReason(event);
    return;
  }
  if (event.ctrlKey || get("help").open || writes(event.target)) return;
  if (event.key === "?") get("help").showModal();
  else if (KEYS[event.code]) {
    event.preventDefault();
    act(KEYS[event.code]);
  }
}

function chooseReason(event) {
  const place = event.code.replace(/^(Key|Digit|Numpad)/, "").toLowerCase();
  const box = get("reasons").querySelector(`input[data-key="${CSS.escape(place)}"]`);
  if (!box || get("reasons").hidden) return;
  event.preventDefault();
  box.checked = true;
  box.focus();
}

function drawReasons() {
  get("reasons").querySelectorAll("label").forEach((label) => label.remove());
  Object.entries(reasons).forEach(([key, reason]) => {
    const box = make("input", "");
    box.type = "radio";
    box.name = "reason";
    box.value = key;
    box.dataset.key = reason.shortcut;
    const text = local({ en: reason.english, ar: reason.arabic });
    get("reasons").append(make("label", "check", box, " ", make("kbd", "", reason.shortcut.toUpperCase()), ` ${text}`));
  });
}

function setLanguage(name) {
  useLanguage(name);
  drawReasons();
  get("who").textContent = `${word(me.role)}: `;
  get("who").append(make("bdi", "", me.reviewer));
  if (state) show(state, { focus: false });
}

function listen() {
  document.addEventListener("keydown", onKey);
  document.querySelectorAll("[data-do]").forEach((button) => button.addEventListener("click", () => act(button.dataset.do)));
  get("judge-form").addEventListener("submit", (event) => {
    event.preventDefault();
    submitJudge();
  });
  get("judge-cancel").addEventListener("click", () => get("judge").close());
  get("help-open").addEventListener("click", () => get("help").showModal());
  get("help-close").addEventListener("click", () => get("help").close());
  get("switch").addEventListener("click", () => setLanguage(current() === "ar" ? "en" : "ar"));
  get("shortcuts").checked = localStorage.getItem(SHORTCUTS) !== "off";
  get("shortcuts").addEventListener("change", (event) => localStorage.setItem(SHORTCUTS, event.target.checked ? "on" : "off"));
}

const start = await ask("/api/words");
setWords(start.words);
reasons = start.reasons;
me = start;
setLanguage(firstLanguage());
listen();
await alone(next);

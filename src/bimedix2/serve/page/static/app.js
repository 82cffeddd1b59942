// Start: words, notice, who asks, then the conversation.

import { hasKey, setKey } from "./api.js";
import * as pictures from "./attachments.js";
import { directionOf } from "./bidi.js";
import * as chat from "./chat.js";
import { $ } from "./dom.js";
import { list, wireHistory } from "./history.js";
import { chosen, fill, session, set, wireSettings } from "./settings.js";
import { wireViewer } from "./viewer.js";
import { choose, current, direction, loadWords, t } from "./words.js";

const ACCEPTED = "bimedix2-notice";
const HEALTH_EVERY = 4000; // milliseconds, while the server is not ready
const HEALTH_RARELY = 60_000;
const { talk } = chat;
let fixed = null; // the notice in both languages, as soon as the server has told it

function relabel(changes = {}) {
  set(changes);
  choose(chosen.language, chosen.digits);
  const other = current() === "ar" ? "en" : "ar";
  for (const name of ["language", "gate-language"]) {
    $(name).textContent = other === "ar" ? "العربية" : "English";
    $(name).lang = other;
  }
  showMode();
  turn();
  if (talk.session) {
    $("research").textContent = talk.session.notice[current()];
    chat.redraw();
    pictures.draw();
    list();
    fill();
  }
  if (fixed) $("gate-text").textContent = fixed[current()];
}

function showMode() {
  for (const input of document.querySelectorAll("[name=mode]")) input.checked = input.value === talk.mode;
  $("question").placeholder = t(`hint_${talk.mode}`);
}

/** The composer runs the way of most of its letters. */
function turn() {
  const dir = directionOf($("question").value, direction());
  Object.assign($("question"), { dir, lang: dir === "rtl" ? "ar" : "en" });
}

async function accept(notice) {
  fixed = notice;
  const mark = `${notice.en}\n${notice.ar}`;
  if (localStorage.getItem(ACCEPTED) === mark) return;
  $("gate-text").textContent = notice[current()];
  $("gate").showModal();
  await new Promise((done) => $("gate-yes").addEventListener("click", done, { once: true }));
  localStorage.setItem(ACCEPTED, mark);
  $("gate").close();
}

async function enter() {
  for (;;) {
    let fault = "";
    let signIn = null;
    try {
      const found = await session();
      if (found.owner_kind) {
        $("entry").close();
        return found;
      }
      signIn = found.sign_in;
    } catch (error) {
      if (error.status === 0) {
        showState(error.message);
        await new Promise((done) => setTimeout(done, HEALTH_EVERY));
        continue;
      }
      if (error.status !== 401 || hasKey()) fault = error.message;
    }
    await askForKey(fault, signIn);
  }
}

async function askForKey(fault, signIn) {
  $("entry-fault").textContent = fault;
  $("entry-fault").hidden = !fault;
  $("sign-in").hidden = !signIn;
  if (signIn) $("sign-in").setAttribute("href", signIn);
  if (!$("entry").open) $("entry").showModal();
  $("key").focus();
  await new Promise((done) => $("entry-form").addEventListener("submit", (event) => {
    event.preventDefault();
    done();
  }, { once: true }));
  setKey($("key").value.trim());
  $("key").value = "";
}

function showState(text) {
  $("state").textContent = text;
  $("state").hidden = !text;
}

async function watch() {
  let ready = false;
  try {
    const answer = await fetch("/health", { cache: "no-store" });
    const health = await answer.json();
    ready = health.ready;
    showState(ready ? "" : `${health.problem?.[current()] ?? t("not_ready")} ${t("tries_again")}`);
  } catch {
    showState(`${t("error_network")} ${t("tries_again")}`);
  }
  setTimeout(watch, ready ? HEALTH_RARELY : HEALTH_EVERY);
}

async function add(files) {
  chat.say(await pictures.add([...files]));
}

function wireComposer() {
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    if (talk.running) chat.stop();
    else chat.send();
  });
  $("question").addEventListener("input", turn);
  $("question").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (!talk.running) chat.send();
      turn();
    }
  });
  $("question").addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) add(event.clipboardData.files);
  });
  for (const [button, input] of [["attach", "files"], ["camera", "shot"]]) {
    $(button).addEventListener("click", () => $(input).click());
    $(input).addEventListener("change", async () => {
      const { files } = $(input);
      await add(files);
      $(input).value = "";
    });
  }
  for (const input of document.querySelectorAll("[name=mode]")) {
    input.addEventListener("change", () => {
      talk.mode = input.value;
      showMode();
    });
  }
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (talk.session) add(event.dataTransfer.files);
  });
}

function keys(event) {
  if (event.key === "Escape" && talk.running && !document.querySelector("dialog[open]")) chat.stop();
  if (!event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.code === "KeyL") $("language").click();
  else if (event.code === "KeyN" && talk.session) $("new").click();
  else return;
  event.preventDefault();
}

async function main() {
  await loadWords();
  if (!chosen.language) chosen.language = navigator.language.startsWith("ar") ? "ar" : "en";
  relabel();
  const swap = () => relabel({ language: current() === "ar" ? "en" : "ar" });
  $("language").addEventListener("click", swap);
  $("gate-language").addEventListener("click", swap);
  for (const name of ["gate", "entry"]) $(name).addEventListener("cancel", (event) => event.preventDefault());
  wireComposer();
  wireViewer();
  wireHistory(showMode);
  wireSettings(relabel, list);
  document.addEventListener("keydown", keys);
  chat.onKept(list);
  watch();
  const found = await enter();
  await accept(found.notice);
  talk.session = found;
  $("model").textContent = found.model;
  pictures.setUp(found.limits, () => {});
  relabel();
  document.body.dataset.ready = "yes";
  $("question").focus();
}

main();

// The conversation on the screen: ask, stop, ask again, change the last question.

import { answerTo, ask, askJson } from "./api.js";
import * as pictures from "./attachments.js";
import { directionOf, isolateLine, stripControls } from "./bidi.js";
import { $, make } from "./dom.js";
import { plainOf, settled } from "./markdown.js";
import { AnswerView, questionView, textOf, urlsOf } from "./messages.js";
import { direction, t } from "./words.js";

export const talk = { id: null, title: "", mode: "chat", messages: [], running: null, session: null, adapter: "" };
let kept = () => {};
let saving = Promise.resolve();
const places = new WeakMap(); // id of a conversation by its messages
const DRAW_EVERY = 60; // milliseconds
const AGAIN = 3; // times that a refused question goes out again by itself
const LONGEST = 60; // seconds; after a longer wait people have gone on to something else

export const onKept = (listener) => (kept = listener);

function leave() {
  stop();
  talk.running = null;
  $("log").removeAttribute("aria-busy");
  setSending(false);
}

export function start() {
  leave();
  Object.assign(talk, { id: null, title: "", messages: [] });
  redraw();
}

export async function open(id) {
  leave();
  const found = await askJson(`/v1/conversations/${id}`);
  const messages = found.messages.filter((message) => message.role !== "system");
  places.set(messages, id);
  Object.assign(talk, { id, title: found.title, mode: found.mode, messages });
  redraw();
}

export function redraw() {
  const { messages } = talk;
  const lastQuestion = messages.findLastIndex((message) => message.role === "user");
  $("log").replaceChildren(...messages.map((message, index) => {
    if (message.role === "user") return questionView(message, index === lastQuestion && !talk.running ? edit : null);
    const view = new AnswerView(message, talk.session.notice);
    view.draw(stripControls(textOf(message)));
    view.finish(actionsOf(message, index === messages.length - 1));
    return view.element;
  }));
  $("export-open").disabled = messages.length === 0;
  $("log").classList.toggle("empty", messages.length === 0);
  $("log").dataset.empty = t("empty");
  $("log").scrollTop = $("log").scrollHeight;
}

const actionsOf = (message, last) => [["copy", "copy", () => copy(message)], ...(last ? [["retry", "retry", retry]] : [])];

async function copy(message) {
  const text = plainOf(textOf(message)).split("\n").map(isolateLine).join("\n");
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else { // without https a browser has only the old way
    const area = make("textarea", { class: "hidden" }, text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  announce(t("copied"));
}

export function announce(text) {
  $("announce").textContent = "";
  requestAnimationFrame(() => ($("announce").textContent = text));
}

export function say(text) {
  $("fault").textContent = text;
  $("fault").hidden = !text;
}

/** Ask what stands in the composer. */
export function send() {
  const text = $("question").value.trim();
  const { attached } = pictures;
  if (talk.running || pictures.waiting()) return;
  if (!text && !attached.length) return say(t("error_empty"));
  say("");
  const words = text || t(talk.mode === "report" ? "ask_report" : talk.mode === "summary" ? "ask_summary" : "ask_picture");
  const content = [{ type: "text", text: words }, ...attached.map((item) => ({ type: "image_url", image_url: { url: pictures.addressOf(item) } }))];
  const tongue = directionOf(words, direction()) === "rtl" ? "ar" : "en";
  talk.messages.push({ role: "user", content, language: tongue, created: Date.now() / 1000, names: attached.map((item) => item.name) });
  talk.title ||= [...plainOf(words).replace(/\s+/g, " ")].slice(0, 60).join("");
  $("question").value = "";
  pictures.clear();
  answer();
}

function requestOf() {
  const question = talk.messages.at(-1);
  const system = talk.mode === "chat" ? [] : [{ role: "system", content: t(`system_${talk.mode}`, {}, question.language) }];
  const messages = talk.messages.filter((message) => textOf(message) || urlsOf(message).length);
  return {
    messages: [...system, ...messages.map(({ role, content }) => ({ role, content }))],
    ...(talk.adapter ? { adapter: talk.adapter } : {}),
  };
}

async function answer(tries = 0) {
  const controller = new AbortController();
  const question = talk.messages.at(-1);
  const message = { role: "assistant", content: [{ type: "text", text: "" }], language: question.language, created: Date.now() / 1000, notices: [] };
  talk.running = controller;
  redraw();
  $("log").setAttribute("aria-busy", "true");
  setSending(true);
  const view = new AnswerView(message, talk.session.notice);
  view.progress(t(urlsOf(question).length ? "reading" : "thinking"));
  $("log").append(view.element);
  follow(true);
  let fault = null;
  let wait = 0;
  try {
    await receive(message, view, controller.signal, requestOf());
  } catch (error) {
    if (error.name === "AbortError") message.stopped = true;
    else fault = error.message;
    if ([429, 503].includes(error.status)) wait = error.wait; // refused before anything was done
  }
  if (talk.running !== controller) return; // another conversation was opened
  talk.running = null;
  $("log").removeAttribute("aria-busy");
  setSending(false);
  const text = textOf(message);
  if (text) talk.messages.push(message);
  redraw();
  if (!text || fault) {
    if (!text) $("log").append(view.element);
    else $("log").lastElementChild.replaceWith(view.element);
    view.draw(stripControls(text));
    view.finish([["retry", "retry", retry]], fault ?? undefined);
    if (wait > 0 && wait <= LONGEST && tries < AGAIN) {
      fault = `${fault} ${t("again_in", { count: wait })}`;
      sendLater(view, wait, tries);
    }
  }
  show(message);
  announce(fault ?? t(message.stopped ? "stopped" : "answer_ready"));
  if (text) await keep();
}

/** Count the wait down that a busy server asked for, then send the question again, unless something else was done. */
function sendLater(view, wait, tries) {
  const question = talk.messages.at(-1);
  const due = Date.now() + wait * 1000;
  const tick = () => {
    if (talk.running || talk.messages.at(-1) !== question || !view.element.isConnected) return;
    const count = Math.ceil((due - Date.now()) / 1000);
    if (count <= 0) answer(tries + 1);
    else {
      view.progress(t("again_in", { count }));
      setTimeout(tick, 1000);
    }
  };
  tick();
}

async function receive(message, view, signal, request) {
  const part = message.content[0];
  let timer = 0;
  const draw = () => {
    timer = 0;
    const near = isNear();
    view.draw(settled(stripControls(part.text)));
    if (near) show(message);
  };
  try {
    for await (const chunk of answerTo(request, signal)) {
      const news = chunk.bimedix2 ?? {};
      const choice = chunk.choices[0];
      if (news.queue_position) view.progress(t("queue", { count: news.queue_position }));
      else if (news.queue_position === 0) view.progress(t("thinking"));
      if (news.emergency) {
        message.emergency = true;
        announce(choice.delta.content.trim());
      }
      message.notices.push(...(news.notices ?? []));
      if (choice?.delta?.content) {
        view.progress("");
        part.text += choice.delta.content;
        timer ||= setTimeout(draw, DRAW_EVERY);
      }
      if (choice?.finish_reason === "length") message.cut = true;
    }
  } finally {
    clearTimeout(timer);
  }
}

const isNear = () => $("log").scrollHeight - $("log").scrollTop - $("log").clientHeight < 80;

/** To the end of the answer; an emergency text must not scroll out of sight, so there to its beginning. */
function show(message) {
  follow(true);
  if (message.emergency) $("log").lastElementChild.scrollIntoView({ block: "start" });
}

function follow(near) {
  if (near) $("log").scrollTop = $("log").scrollHeight;
}

function setSending(on) {
  $("send").textContent = t(on ? "stop" : "send");
  $("send").dataset.t = on ? "stop" : "send";
}

export function stop() {
  if (!talk.running) return;
  talk.running.abort();
}

function retry() {
  if (talk.running) return;
  if (talk.messages.at(-1)?.role === "assistant") talk.messages.pop();
  answer();
}

/** Take the last question back into the composer. */
async function edit() {
  const index = talk.messages.findLastIndex((message) => message.role === "user");
  const [question] = talk.messages.splice(index);
  $("question").value = textOf(question);
  redraw();
  $("question").focus();
  $("question").dispatchEvent(new Event("input"));
  await pictures.restore(urlsOf(question), question.names ?? []).catch((error) => say(error.message));
}

/** One at a time: a quick second question would otherwise make a second conversation. */
function keep() {
  if (!talk.session.keep) return saving;
  const { messages, title, mode } = talk;
  const json = { title, mode, messages: [...messages] };
  saving = saving.then(() => write(messages, json));
  return saving;
}

async function write(messages, json) {
  const id = places.get(messages);
  try {
    if (id) await ask(`/v1/conversations/${id}`, { method: "PUT", json });
    else {
      const made = await askJson("/v1/conversations", { method: "POST", json });
      places.set(messages, made.id);
      if (talk.messages === messages) talk.id = made.id;
    }
    kept();
  } catch (error) {
    say(t("not_kept", { why: error.message }));
  }
}

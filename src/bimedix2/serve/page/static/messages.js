// How one message looks.

import { pictureOf } from "./api.js";
import { viewOf } from "./attachments.js";
import { directionOf } from "./bidi.js";
import { icon, make } from "./dom.js";
import { blocksOf, Drawing, element, isolated } from "./markdown.js";
import { current, direction, t, when } from "./words.js";

export const textOf = (message) => message.content.filter((part) => part.type === "text").map((part) => part.text).join("\n");
export const urlsOf = (message) => message.content.filter((part) => part.type === "image_url").map((part) => part.image_url.url);

function head(message) {
  const created = Number(message.created);
  return make("header", { class: "who" },
    make("h2", {}, t(message.role === "user" ? "you" : "assistant")),
    created ? make("time", { datetime: new Date(created * 1000).toISOString() }, when(created)) : null);
}

const question = (message) => blocksOf(textOf(message)).map((block) => element(block, direction()));

function picture(url, name) {
  const image = make("img", { alt: name, loading: "lazy" });
  const caption = make("figcaption", {}, make("bdi", {}, name), make("span", { class: "view" }, viewOf(url)));
  const figure = make("figure", {}, image, caption);
  pictureOf(url).then((found) => image.setAttribute("src", found), (error) => {
    image.remove();
    figure.prepend(make("p", { class: "hint" }, error.message));
  });
  return figure;
}

export function questionView(message, edit) {
  const pictures = urlsOf(message).map((url, index) => picture(url, message.names?.[index] ?? t("picture")));
  return make("article", { class: "message user" }, head(message),
    pictures.length ? make("div", { class: "pictures" }, ...pictures) : null,
    make("div", { class: "text" }, ...question(message)),
    edit ? make("div", { class: "actions" }, make("button", { type: "button", class: "quiet small", click: edit }, icon("edit"), t("edit"))) : null);
}

/** An answer, finished or growing. */
export class AnswerView {
  constructor(message, notice) {
    this.message = message;
    this.body = make("div", { class: "text" });
    this.status = make("p", { class: "progress", hidden: true });
    this.notes = make("div", { class: "notes" });
    this.actions = make("div", { class: "actions" });
    this.alarm = make("div", { class: "emergency", hidden: true });
    this.element = make("article", { class: "message answer" }, head(message), this.alarm, this.status, this.body, this.notes,
      make("p", { class: "research" }, notice[current()]), this.actions);
    this.drawing = new Drawing(this.body, message.language === "ar" ? "rtl" : "ltr");
  }

  progress(text) {
    this.status.hidden = !text;
    this.status.textContent = text;
  }

  /** The server's emergency text is the first paragraph of such an answer; it gets its own block. */
  draw(text) {
    const fixed = this.message.emergency ? text.split("\n\n", 1)[0] : "";
    if (fixed) {
      const dir = directionOf(fixed);
      this.alarm.replaceChildren(make("strong", {}, icon("warning"), t("emergency")), make("p", { dir, lang: dir === "rtl" ? "ar" : "en" }, ...isolated(fixed, dir)));
    }
    this.alarm.hidden = !fixed;
    this.drawing.draw(fixed ? text.slice(fixed.length).trimStart() : text);
  }

  finish(actions, fault = null) {
    this.progress("");
    const { message } = this;
    this.notes.replaceChildren(...(message.notices ?? []).map((notice) => make("p", { class: "note" }, icon("warning"), notice[current()])));
    if (message.stopped) this.notes.append(make("p", { class: "note" }, t("stopped")));
    if (message.cut) this.notes.append(make("p", { class: "note" }, t("cut_short")));
    if (fault) this.notes.append(make("p", { class: "note fault", role: "alert" }, fault));
    this.actions.replaceChildren(...actions.map(([name, word, act]) => make("button", { type: "button", class: "quiet small", click: act }, icon(name), t(word))));
  }
}

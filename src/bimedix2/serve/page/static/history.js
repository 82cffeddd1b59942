// Kept conversations.

import { ask, askJson } from "./api.js";
import { directionOf } from "./bidi.js";
import { open, say, start, talk } from "./chat.js";
import { $, icon, make } from "./dom.js";
import { isolated } from "./markdown.js";
import { direction, t } from "./words.js";

let changed = () => {};

export async function list() {
  if (!talk.session?.keep) {
    $("history-empty").hidden = false;
    $("conversations").replaceChildren();
    return;
  }
  try {
    const { data } = await askJson("/v1/conversations");
    $("history-empty").hidden = data.length > 0;
    $("conversations").replaceChildren(...data.map(row));
  } catch (error) {
    say(error.message);
  }
}

function row(found) {
  const title = found.title || t("untitled");
  const dir = directionOf(title, direction());
  const show = async () => {
    try {
      await open(found.id);
      changed();
      close();
      list();
    } catch (error) {
      say(error.message);
    }
  };
  const remove = async () => {
    try {
      await ask(`/v1/conversations/${found.id}`, { method: "DELETE" });
      if (talk.id === found.id) start();
      await list();
      $("new").focus();
    } catch (error) {
      say(error.message);
    }
  };
  return make("li", {},
    make("button", { type: "button", class: "entry", click: show, "aria-current": talk.id === found.id ? "true" : null },
      make("span", { dir, lang: dir === "rtl" ? "ar" : "en" }, ...isolated(title, dir))),
    make("button", { type: "button", class: "quiet small", click: remove, "aria-label": t("delete_chat", { title }) }, icon("trash")));
}

export function close() {
  $("history").classList.remove("open");
  $("history-open").setAttribute("aria-expanded", "false");
}

export function wireHistory(listener) {
  changed = listener;
  $("history-open").addEventListener("click", () => {
    const on = $("history").classList.toggle("open");
    $("history-open").setAttribute("aria-expanded", String(on));
    if (on) $("new").focus();
  });
  $("history").addEventListener("keydown", (event) => {
    if (event.key === "Escape" && $("history").classList.contains("open")) {
      close();
      $("history-open").focus();
    }
  });
  $("new").addEventListener("click", () => {
    start();
    close();
    list();
    $("question").focus();
  });
}

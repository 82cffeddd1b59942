// Choices of the reader, the shortcuts, deleting everything, exports.

import { ask, askJson, hasKey, setKey } from "./api.js";
import { start, talk } from "./chat.js";
import { $, make, save } from "./dom.js";
import { t } from "./words.js";

const STORE = "bimedix2-settings";
export const chosen = { language: "", theme: "auto", digits: false, ...read() };

function read() {
  try {
    return JSON.parse(localStorage.getItem(STORE) ?? "{}");
  } catch {
    return {};
  }
}

export function set(changes) {
  Object.assign(chosen, changes);
  localStorage.setItem(STORE, JSON.stringify(chosen));
  document.documentElement.dataset.theme = chosen.theme;
}

const SHORTCUTS = [["Enter", "key_send"], ["Shift + Enter", "key_line"], ["Esc", "key_stop"], ["Alt + N", "key_new"], ["Alt + L", "key_language"], ["← → ↑ ↓", "key_window"], ["Shift + ← → ↑ ↓", "key_window_fast"]];

export function fill() {
  $("set-language").value = chosen.language;
  $("set-theme").value = chosen.theme;
  $("set-digits").checked = chosen.digits;
  $("shortcuts").replaceChildren(...SHORTCUTS.flatMap(([keys, word]) => [make("dt", { dir: "ltr" }, keys), make("dd", {}, t(word))]));
  $("keep").textContent = t(talk.session?.keep ? "keeps" : "keeps_not");
  const adapters = talk.session?.adapters ?? [];
  $("set-adapter-row").hidden = adapters.length === 0;
  $("set-adapter").replaceChildren(make("option", { value: "" }, t("adapter_none")), ...adapters.map((name) => make("option", { value: name }, name)));
  $("set-adapter").value = talk.adapter;
  $("leave").hidden = !hasKey() && talk.session?.owner_kind !== "person";
}

async function forget(after) {
  const button = $("forget");
  if (button.dataset.sure !== "yes") {
    button.dataset.sure = "yes";
    button.textContent = t("delete_sure");
    return;
  }
  try {
    await ask("/v1/data", { method: "DELETE" });
    start();
    after();
    $("settings").close();
  } catch (error) {
    $("settings-fault").textContent = error.message;
    $("settings-fault").hidden = false;
  }
}

async function leave() {
  if (talk.session?.owner_kind === "person") await fetch("/auth/logout", { method: "POST", redirect: "manual" });
  setKey("");
  location.reload();
}

const ENDINGS = { markdown: "md", docx: "docx", pdf: "pdf", fhir: "json" };

async function write(format) {
  const { id, title, mode, messages } = talk;
  try {
    const answer = await ask(`/v1/export/${format}`, { method: "POST", json: { conversation: { id, title, mode, messages }, language: chosen.language } });
    save(await answer.blob(), `bimedix2-conversation.${ENDINGS[format]}`);
    $("export").close();
  } catch (error) {
    $("export-fault").textContent = error.message;
    $("export-fault").hidden = false;
  }
}

export function wireSettings(relabel, forgotten) {
  $("settings-open").addEventListener("click", () => {
    $("forget").dataset.sure = "";
    $("forget").textContent = t("delete_all");
    $("settings-fault").hidden = true;
    fill();
    $("settings").showModal();
  });
  $("settings-close").addEventListener("click", () => $("settings").close());
  $("set-language").addEventListener("change", () => relabel({ language: $("set-language").value }));
  $("set-digits").addEventListener("change", () => relabel({ digits: $("set-digits").checked }));
  $("set-theme").addEventListener("change", () => set({ theme: $("set-theme").value }));
  $("set-adapter").addEventListener("change", () => (talk.adapter = $("set-adapter").value));
  $("forget").addEventListener("click", () => forget(forgotten));
  $("leave").addEventListener("click", leave);
  $("export-open").addEventListener("click", () => {
    $("export-fault").hidden = true;
    $("export").showModal();
  });
  $("export-close").addEventListener("click", () => $("export").close());
  for (const button of document.querySelectorAll("[data-format]")) button.addEventListener("click", () => write(button.dataset.format));
}

export const session = () => askJson("/api/session");

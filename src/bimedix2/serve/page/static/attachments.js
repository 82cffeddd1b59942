// Pictures of the question being written: upload, tray, the view that was chosen.

import { ask, askJson, pictureOf } from "./api.js";
import { stripControls } from "./bidi.js";
import { $, icon, make } from "./dom.js";
import { openViewer } from "./viewer.js";
import { current, number, t } from "./words.js";

export let attached = [];
let redraw = () => {};
let limits = { images: 4, image_bytes: 20 * 1024 * 1024 };

export function setUp(given, changed) {
  limits = given ?? limits;
  redraw = changed;
}

/** Address of a picture with its frame and window, as the chat takes it. */
export function addressOf(item) {
  const query = new URLSearchParams();
  if (item.facts.frames > 1) query.set("frame", String(item.frame));
  if (item.window) {
    query.set("center", String(item.window.center));
    query.set("width", String(item.window.width));
  }
  return `upload:${item.facts.id}${query.size ? `?${query}` : ""}`;
}

/** Window and frame of an address, in words; they stand under the picture. */
export function viewOf(url) {
  const query = new URLSearchParams(url.split("?")[1] ?? "");
  const said = [];
  if (query.has("center")) said.push(t("window_is", { center: number(Number(query.get("center"))), width: number(Number(query.get("width"))) }));
  if (query.has("frame")) said.push(t("frame_is", { frame: Number(query.get("frame")) + 1 }));
  return said.join(" · ");
}

const modalityOf = (facts) => (facts.modality && facts.modality !== "other" ? t(`modality_${facts.modality}`) : "");

export async function add(files) {
  const faults = [];
  for (const file of files) {
    const name = stripControls(file.name).replace(/\p{Cc}/gu, "").slice(0, 120) || t("picture");
    if (attached.length >= limits.images) {
      faults.push(t("too_many", { count: limits.images }));
      break;
    }
    if (file.size > limits.image_bytes) {
      faults.push(t("too_large", { name, size: Math.floor(limits.image_bytes / 1048576) }));
      continue;
    }
    const item = { name, facts: null, frame: 0, window: null, url: null };
    attached.push(item);
    draw();
    try {
      const body = new FormData();
      body.append("file", file, name);
      item.facts = await askJson("/v1/uploads", { method: "POST", body });
      if (item.facts.grey) {
        const [first] = item.facts.windows;
        item.window = first ? { center: first.center, width: first.width } : null;
      }
      await show(item);
    } catch (error) {
      attached = attached.filter((other) => other !== item);
      faults.push(t("upload_failed", { name, why: error.message }));
      draw();
    }
  }
  return faults.join(" ");
}

async function show(item) {
  if (item.url) URL.revokeObjectURL(item.url);
  item.url = await pictureOf(addressOf(item));
  draw();
}

export function clear() {
  attached = [];
  draw();
}

/** Take pictures of an earlier question back into the tray. */
export async function restore(urls, names) {
  const found = await Promise.all(
    urls.map(async (url, index) => {
      const [, id] = /^upload:([^?]+)/.exec(url) ?? [];
      if (!id) return null;
      const query = new URLSearchParams(url.split("?")[1] ?? "");
      const window = query.has("center") ? { center: Number(query.get("center")), width: Number(query.get("width")) } : null;
      return { name: names[index] ?? t("picture"), facts: await askJson(`/v1/uploads/${id}`), frame: Number(query.get("frame") ?? 0), window, url: await pictureOf(url) };
    }),
  );
  attached = found.filter(Boolean);
  draw();
}

export const waiting = () => attached.some((item) => !item.facts);

export function draw() {
  const tray = $("tray");
  tray.hidden = attached.length === 0;
  tray.replaceChildren(...attached.map(row));
  redraw();
}

function row(item) {
  const name = make("bdi", { class: "name" }, item.name);
  if (!item.facts) return make("li", {}, make("span", { class: "thumb busy", "aria-hidden": "true" }), make("span", { class: "facts" }, name, make("span", { class: "hint" }, t("uploading"))));
  const { facts } = item;
  const remove = async () => {
    attached = attached.filter((other) => other !== item);
    draw();
    $("attach").focus();
    await ask(`/v1/uploads/${facts.id}`, { method: "DELETE" }).catch(() => {});
  };
  const open = () => openViewer(item, async (frame, window) => {
    Object.assign(item, { frame, window });
    await show(item);
  });
  const alt = [item.name, modalityOf(facts)].filter(Boolean).join(", ");
  const warnings = facts.warnings.map((warning) => make("span", { class: "warning" }, icon("warning"), warning[current()]));
  return make("li", {},
    make("button", { type: "button", class: "thumb", click: open, "aria-label": t("open_picture", { name: item.name }) }, item.url ? make("img", { src: item.url, alt }) : ""),
    make("span", { class: "facts" }, name,
      make("span", { class: "hint" }, modalityOf(facts) ? `${modalityOf(facts)} · ` : "", make("bdi", { dir: "ltr" }, `${facts.width} × ${facts.height}`)),
      make("span", { class: "view" }, viewOf(addressOf(item))), ...warnings),
    make("button", { type: "button", class: "quiet small", click: remove, "aria-label": t("remove_picture", { name: item.name }) }, icon("close")));
}

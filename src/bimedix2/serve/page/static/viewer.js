// Window and level on a canvas, from the 16-bit values that the server sends; by drag, keys, numbers and presets.

import { ask, pictureOf } from "./api.js";
import { $, make } from "./dom.js";
import { asciiDigits, current, number, t } from "./words.js";

let now = null;
let from = null; // the pointer's last place in a drag

/** Bytes of a frame as the model gets them (DICOM PS3.3 C.11.2.1.2.1, and exact below a width of 1). */
export function windowed(grey, center, width) {
  const exact = width < 1;
  const middle = exact ? center : center - 0.5;
  const span = exact ? width : width - 1;
  const table = new Uint8ClampedArray(65536);
  for (let code = 0; code < 65536; code += 1) {
    const value = grey.low + code * grey.step;
    let shown = span === 0 ? (value > middle ? 255 : 0) : Math.min(1, Math.max(0, (value - middle) / span + 0.5)) * 255;
    if (grey.inverted) shown = 255 - shown;
    table[code] = Math.floor(shown + 0.5);
  }
  if (grey.padding !== null) table[grey.padding] = 0;
  return table;
}

/** Name of an offered window: one of the file, or of a body part. */
function nameOf(window) {
  const [, count] = /^file (\d+)$/.exec(window.name) ?? [];
  if (count) return t("preset_file", { count: Number(count) });
  const name = (current() === "ar" && window.name_ar) || window.name;
  return name[0].toUpperCase() + name.slice(1);
}

async function load(item, frame) {
  const answer = await ask(`/v1/uploads/${item.facts.id}/pixels?frame=${frame}`);
  const head = (name) => Number(answer.headers.get(name));
  const bytes = new DataView(await answer.arrayBuffer());
  const codes = new Uint16Array(bytes.byteLength / 2);
  for (let index = 0; index < codes.length; index += 1) codes[index] = bytes.getUint16(2 * index, true);
  return {
    codes, rows: head("x-rows"), columns: head("x-columns"), low: head("x-min"), high: head("x-max"), step: head("x-step") || 1,
    inverted: answer.headers.get("x-invert") === "1", padding: answer.headers.has("x-padding") ? head("x-padding") : null,
  };
}

export async function openViewer(item, use) {
  const { facts } = item;
  const levels = facts.grey;
  now = { item, use, frame: item.frame, center: item.window?.center ?? 0, width: item.window?.width ?? 1, grey: null, levels };
  $("levels").hidden = !levels;
  $("frames").hidden = facts.frames < 2;
  $("frame").max = String(facts.frames - 1);
  $("frame").value = String(item.frame);
  $("use").hidden = !levels && facts.frames < 2;
  $("viewer-fault").hidden = true;
  $("canvas").setAttribute("aria-label", t(levels ? "canvas_levels" : "canvas", { name: item.name }));
  $("preset").replaceChildren(make("option", { value: "" }, t("preset_own")), ...facts.windows.map((window, index) =>
    make("option", { value: String(index) }, nameOf(window))));
  $("viewer").showModal();
  $(levels ? "canvas" : "viewer-close").focus();
  await frame();
}

/** Load and show the frame that is chosen; an older one that arrives later is dropped. */
async function frame() {
  const state = now;
  const wanted = state.frame;
  const stale = () => state !== now || state.frame !== wanted;
  try {
    if (state.levels) {
      const grey = await load(state.item, wanted);
      if (stale()) return;
      state.grey = grey;
    } else if (!(await plain(state, stale))) return;
    draw();
  } catch (error) {
    $("viewer-fault").textContent = error.message;
    $("viewer-fault").hidden = false;
  }
}

async function plain(state, stale) {
  const query = state.item.facts.frames > 1 ? `?frame=${state.frame}` : "";
  const picture = new Image();
  picture.src = await pictureOf(`upload:${state.item.facts.id}${query}`);
  await picture.decode();
  URL.revokeObjectURL(picture.src);
  if (stale()) return false;
  Object.assign($("canvas"), { width: picture.naturalWidth, height: picture.naturalHeight });
  $("canvas").getContext("2d").drawImage(picture, 0, 0);
  return true;
}

function draw() {
  const { grey, center, width, levels, item } = now;
  const said = [];
  if (levels && grey) {
    const table = windowed(grey, center, width);
    const canvas = $("canvas");
    Object.assign(canvas, { width: grey.columns, height: grey.rows });
    const image = new ImageData(grey.columns, grey.rows);
    const words = new Uint32Array(image.data.buffer);
    for (let index = 0; index < words.length; index += 1) {
      const value = table[grey.codes[index]];
      words[index] = 0xff000000 | (value << 16) | (value << 8) | value;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    $("center").value = String(center);
    $("width").value = String(width);
    const index = item.facts.windows.findIndex((window) => window.center === center && window.width === width);
    $("preset").value = index < 0 ? "" : String(index);
    said.push(t("window_is", { center: number(center), width: number(width) }));
  }
  if (item.facts.frames > 1) said.push(t("frame_of", { frame: now.frame + 1, frames: item.facts.frames }));
  if (item.facts.laterality) said.push(t("laterality", { side: t(`side_${item.facts.laterality}`) }));
  $("viewer-now").textContent = said.join(" · ");
}

/** One step of a key or pixel of a drag: a hundredth of the values that there are, at least one. */
const step = () => Math.max((now.grey.high - now.grey.low) / 200, now.grey.step);
const tidy = (value) => Number(value.toPrecision(6));

function move(center, width) {
  now.center = tidy(now.center + center);
  now.width = tidy(Math.max(now.width + width, now.grey.step));
  draw();
}

function keys(event) {
  if (!now?.grey) return;
  const by = step() * (event.shiftKey ? 10 : 1);
  const moves = { ArrowUp: [by, 0], ArrowDown: [-by, 0], ArrowRight: [0, by], ArrowLeft: [0, -by] };
  if (event.key in moves) {
    event.preventDefault();
    move(...moves[event.key]);
  }
}

function typed() {
  const [center, width] = ["center", "width"].map((name) => Number(asciiDigits($(name).value.trim())));
  const bad = !Number.isFinite(center) || !Number.isFinite(width) || width <= 0;
  $("viewer-fault").hidden = !bad;
  $("viewer-fault").textContent = bad ? t("bad_window") : "";
  if (!bad && now) {
    Object.assign(now, { center, width });
    draw();
  }
}

export function wireViewer() {
  const canvas = $("canvas");
  canvas.addEventListener("keydown", keys);
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    from = event;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!now?.grey || !canvas.hasPointerCapture(event.pointerId)) return;
    move((from.clientY - event.clientY) * step(), (event.clientX - from.clientX) * step());
    from = event;
  });
  for (const name of ["center", "width"]) $(name).addEventListener("change", typed);
  $("preset").addEventListener("change", () => {
    const window = now.item.facts.windows[Number($("preset").value)];
    if ($("preset").value !== "" && window) {
      Object.assign(now, { center: window.center, width: window.width });
      draw();
    }
  });
  $("frame").addEventListener("input", () => {
    now.frame = Number($("frame").value);
    frame();
  });
  $("use").addEventListener("click", async () => {
    const { use, levels, frame: chosen, center, width } = now;
    $("viewer").close();
    await use(chosen, levels ? { center, width } : null);
  });
  $("viewer-close").addEventListener("click", () => $("viewer").close());
}

// Model output to elements: headings, lists, bold, code and tables, made of text nodes. No links, no pictures.

import { blockDirection, ltrRuns, stripControls } from "./bidi.js";
import { make } from "./dom.js";
import { digitsOf, shownNumber } from "./words.js";

const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const ITEM = /^(\s*)(?:[-*•]|(\d{1,3}|[٠-٩]{1,3})[.)])\s+(.*)$/;
const RULE = /^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$/;
const FENCE = /^ {0,3}```/;
const INLINE = /(\*\*|__)(?=\S)(.+?)\1|`([^`]+)`/g;
const MOST_CELLS = 4000;

/** Split a text into blocks: {kind, text}. The last one may still grow. */
export function blocksOf(source) {
  const blocks = [];
  let open = null;
  const push = (kind, line) => {
    if (open?.kind === kind) open.lines.push(line);
    else blocks.push((open = { kind, lines: [line] }));
  };
  let fenced = false;
  for (const line of stripControls(source).split(/\r?\n|\u2028|\u2029/)) {
    if (FENCE.test(line)) {
      if (!fenced) blocks.push((open = { kind: "code", lines: [] }));
      else open = null;
      fenced = !fenced;
    } else if (fenced) open.lines.push(line);
    else if (!line.trim()) open = null;
    else if (HEADING.test(line)) {
      blocks.push({ kind: "heading", lines: [line] });
      open = null;
    } else if (/^\s*\|.*\|\s*$/.test(line)) push("table", line);
    else if (ITEM.test(line)) push("list", line);
    else if (open?.kind === "list" && /^\s/.test(line)) open.lines[open.lines.length - 1] += ` ${line.trim()}`;
    else push("text", line);
  }
  return blocks.map(({ kind, lines }) => ({ kind, text: lines.join("\n") }));
}

/** Text with its left-to-right runs isolated where the block runs from right to left. */
export function isolated(text, dir) {
  const nodes = [];
  let from = 0;
  const plain = (part) => (dir === "rtl" && digitsOf() ? shownNumber(part) : part);
  for (const [start, end] of dir === "rtl" ? ltrRuns(text, dir) : []) {
    nodes.push(plain(text.slice(from, start)), make("bdi", { dir: "ltr", class: end - start <= 24 ? "unbroken" : null }, text.slice(start, end)));
    from = end;
  }
  nodes.push(plain(text.slice(from)));
  return nodes.filter((node) => node !== "");
}

function inline(text, dir) {
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(...isolated(text.slice(from, found.index), dir));
    if (found[3] !== undefined) nodes.push(make("code", { dir: "ltr" }, found[3]));
    else nodes.push(make("strong", {}, ...isolated(found[2], dir)));
    from = found.index + found[0].length;
  }
  nodes.push(...isolated(text.slice(from), dir));
  return nodes;
}

function lines(text, dir) {
  return text.split("\n").flatMap((line, index) => [...(index ? [make("br")] : []), ...inline(line, dir)]);
}

const direct = (tag, text, fallback) => {
  const dir = blockDirection(text, fallback);
  return { dir, made: (...children) => make(tag, { dir, lang: dir === "rtl" ? "ar" : "en" }, ...children) };
};

function list(text, fallback) {
  const items = text.split("\n").map((line) => ITEM.exec(line));
  const { dir, made } = direct(items[0][2] ? "ol" : "ul", text, fallback);
  const rows = items.map(([, indent, , words]) => {
    const row = direct("li", words, dir);
    const element = row.made(...inline(words, row.dir));
    if (indent.length > 1) element.classList.add("deeper");
    return element;
  });
  const element = made(...rows);
  if (items[0][2]) element.setAttribute("start", String(Number(items[0][2].replace(/[٠-٩]/g, (d) => d.charCodeAt(0) - 0x660))));
  return element;
}

function table(text, fallback) {
  const rows = text.split("\n");
  const head = rows.length > 1 && RULE.test(rows[1]);
  const { dir, made } = direct("table", text, fallback);
  let cells = 0;
  const body = rows
    .filter((row, index) => !(index === 1 && head))
    .map((row, index) => row.trim().slice(1, -1).split("|").map((cell) => {
      if ((cells += 1) > MOST_CELLS) return null;
      const found = direct(head && index === 0 ? "th" : "td", cell, dir);
      const element = found.made(...inline(cell.trim(), found.dir));
      if (element.tagName === "TH") element.setAttribute("scope", "col");
      return element;
    }))
    .filter((row) => row[0] !== null)
    .map((row) => make("tr", {}, ...row));
  return make("div", { class: "wide", tabindex: "0", role: "group", "aria-label": rows[0].replaceAll("|", " ").trim() }, made(make("tbody", {}, ...body)));
}

const bare = (text) => text.replace(INLINE, (_, mark, words, code) => code ?? words);

function plainBlock({ kind, text }) {
  if (kind === "code") return text;
  if (kind === "heading") return bare(HEADING.exec(text)[2]);
  const rows = text.split("\n");
  if (kind === "list") {
    return rows.map((row) => {
      const [, indent, number, words] = ITEM.exec(row);
      return `${indent}${number ? `${number}.` : "•"} ${bare(words)}`;
    }).join("\n");
  }
  if (kind !== "table") return bare(text);
  return rows.filter((row, index) => !(index === 1 && RULE.test(row)))
    .map((row) => row.trim().slice(1, -1).split("|").map((cell) => bare(cell.trim())).join("\t")).join("\n");
}

/** What a reader sees, as plain text in reading order: no marks of Markdown, cells apart by tabs. */
export const plainOf = (source) => blocksOf(source).map(plainBlock).join("\n\n");

/** The element of one block. `fallback` is the conversation's direction, for blocks without letters. */
export function element(block, fallback) {
  if (block.kind === "code") return make("pre", { dir: "ltr", lang: "en", tabindex: "0" }, make("code", {}, block.text));
  if (block.kind === "list") return list(block.text, fallback);
  if (block.kind === "table") return table(block.text, fallback);
  if (block.kind === "heading") {
    const [, , words] = HEADING.exec(block.text);
    const { dir, made } = direct("h3", words, fallback);
    return made(...inline(words, dir));
  }
  const { dir, made } = direct("p", block.text, fallback);
  return made(...lines(block.text, dir));
}

/** Draws a growing text: blocks that did not change keep their elements and so their direction. */
export class Drawing {
  constructor(place, fallback) {
    Object.assign(this, { place, fallback, drawn: [] });
  }

  draw(source) {
    const blocks = blocksOf(source);
    const before = blocks.findIndex((block, index) => {
      const old = this.drawn[index];
      return !old || old.kind !== block.kind || old.text !== block.text;
    });
    const same = before < 0 ? blocks.length : before;
    while (this.place.children.length > same) this.place.lastElementChild.remove();
    this.place.append(...blocks.slice(same).map((block) => element(block, this.fallback)));
    this.drawn = blocks;
  }
}

/** What of a half-written text can be shown: all but the last cluster, whose marks may still come. */
export function settled(text) {
  const tail = text.slice(-16);
  const clusters = [...new Intl.Segmenter("ar", { granularity: "grapheme" }).segment(tail)];
  return clusters.length ? text.slice(0, text.length - tail.length + clusters.at(-1).index) : "";
}

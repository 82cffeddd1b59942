// An item as nodes. Text always enters as text: what is reviewed is untrusted.
import { picture } from "./picture.js";
import { local, word } from "./words.js";

export function make(tag, className, ...content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...content);
  return node;
}

function part(piece) {
  if (piece.control) return make("span", "control", piece.text);
  if (!piece.marks.length) return document.createTextNode(piece.text);
  const node = make("mark", "", piece.text);
  node.dataset.findings = piece.marks.join(" ");
  return node;
}

// The number of a finding stands once, where its highlight ends.
function paragraph(line) {
  const node = make("p", "line");
  node.dir = line.dir;
  line.runs.forEach((run) => {
    let box = node;
    if (run.isolate) {
      box = make("bdi", "");
      box.dir = "ltr";
      node.append(box);
    }
    box.append(...run.parts.map(part));
  });
  return node;
}

function numberMarks(box) {
  const last = new Map();
  box.querySelectorAll("mark").forEach((mark) => mark.dataset.findings.split(" ").forEach((n) => last.set(n, mark)));
  last.forEach((mark, n) => mark.append(make("sup", "", n)));
}

export function block(value, className = "text") {
  const node = make("div", className, ...value.lines.map(paragraph));
  node.lang = value.lang;
  node.dir = value.dir;
  numberMarks(node);
  return node;
}

const name = (language) => word(language === "ar" ? "arabic" : "english");

function column(side, kind) {
  const node = make("h2", "column", name(side.language), make("span", "soft", ` (${word(kind)})`));
  node.dir = side.language === "ar" ? "rtl" : "ltr";
  return node;
}

function turnCell(turn, side) {
  const role = make("h3", "role", word(turn.role), make("span", "phone", ` · ${name(side.language)}`));
  const cell = make("section", `turn ${side.language}`, role, block(turn));
  cell.dir = side.language === "ar" ? "rtl" : "ltr";
  cell.setAttribute("aria-label", `${name(side.language)}: ${word(turn.role)}`);
  return cell;
}

function texts(item) {
  const sides = [[item.original, "original"], [item.translation, "translation"]].filter(([side]) => side);
  sides.sort((one, other) => (one[0].language === "en" ? 0 : 1) - (other[0].language === "en" ? 0 : 1));
  const box = make("div", sides.length > 1 ? "texts two" : "texts", ...sides.map(([side, kind]) => column(side, kind)));
  const count = Math.max(...sides.map(([side]) => side.turns.length));
  for (let index = 0; index < count; index += 1) {
    sides.forEach(([side]) => {
      const turn = side.turns[index];
      box.append(turn ? turnCell(turn, side) : make("section", "turn none"));
    });
  }
  return box;
}

function findings(item) {
  if (!item.findings.length && !item.failed.length) return [];
  const list = make("ol", "");
  item.findings.forEach((finding) => {
    const kind = word(finding.severity === "note" ? "finding_note" : finding.severity) || finding.severity;
    const text = make("bdi", "", local(finding.text));
    list.append(make("li", finding.severity, make("b", "", kind), " ", make("code", "", finding.check), " ", text));
  });
  const named = new Set(item.findings.map((finding) => finding.check));
  const rest = item.failed.filter((check) => !named.has(check)).map((check) => make("code", "", check));
  return [make("section", "findings", make("h2", "", word("findings")), list, ...rest.flatMap((node) => [node, " "]))];
}

function notes(item) {
  if (!item.notes.length && item.score === null) return [];
  const box = make("section", "notes", make("h2", "", word("notes")));
  if (item.score !== null) box.append(make("p", "", `${word("score")}: `, make("bdi", "", String(item.score))));
  box.append(...item.notes.map((note) => block(note)));
  return [box];
}

function said(verdict, reasons) {
  const reason = reasons[verdict.reason];
  const label = reason ? local({ en: reason.english, ar: reason.arabic }) : "";
  return [word(`said_${verdict.action}`), label && ` · ${label}`, verdict.note && " · ", make("bdi", "", verdict.note)];
}

function verdicts(item, reasons) {
  if (!item.verdicts.length) return [];
  const box = make("section", "verdicts", make("h2", "", word("verdicts")));
  item.verdicts.forEach((verdict) => {
    box.append(make("h3", "", `${word("reader")} ${verdict.reader}: `, ...said(verdict, reasons)));
    box.append(...verdict.turns.map((turn) => block(turn)));
  });
  return [box];
}

export function draw(item, reasons) {
  const facts = make("p", "soft facts", make("bdi", "", item.id), " · ", make("bdi", "", `${item.source} / ${item.task} / ${item.modality}`));
  const before = item.mine ? [make("p", "before", `${word("your_verdict")}: `, ...said(item.mine, reasons))] : [];
  const images = Array.from({ length: item.images }, (_, index) => picture(item.number, index));
  const words = make("div", "", texts(item), ...findings(item), ...notes(item), ...verdicts(item, reasons));
  const body = make("div", images.length ? "body with-image" : "body");
  if (images.length) body.append(make("div", "pictures", ...images));
  body.append(words);
  return [facts, ...before, body];
}

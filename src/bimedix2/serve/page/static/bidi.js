// Two directions in one text: the rules of src/bimedix2/text/bidi.py, with positions in UTF-16 units.

const RTL = "\\u0590-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufeff\\u{10800}-\\u{10fff}\\u{1e800}-\\u{1efff}";
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const LETTER = `(?:(?![${RTL}])[\\p{L}\\p{N}])`;
const ATOM = new RegExp(
  `(?:(?<![\\p{L}\\p{N}])(?:[<>≤≥±~≈=]${SPACE}?(?=[-+−0-9]|${SPACE})|(?:--|[-+−#$€£])(?=[\\p{L}\\p{N}])))*` +
    `${LETTER}(?:${LETTER}|[\\u0300-\\u036f_⁺⁻ºª]|[.,:'’@&](?=${LETTER}))*(?:${SPACE}?[%‰°]${LETTER}?|[+′″])*`,
  "gu",
);
const HAS_RTL = new RegExp(`[${RTL}]`, "u");
const LETTERS = /\p{L}/gu;
// Modifier letters of no direction (Unicode class ON), and tatweel.
const NEUTRAL = /[\u0640\u0374\u2e2f\ua67f\u02b9\u02ba\u02c2-\u02cf\u02ec\ua788\ua717-\ua71f]/;
const CODE = /```[\s\S]*?```|`[^`\n]*`/g;
const PLAIN_NUMBER = /^[0-9]+(?:[.,][0-9]+)*$/;
const SENTENCE_END = new RegExp(`[!?]${SPACE}|\\.${SPACE}+(?=(?!\\p{Nd})[\\p{L}\\p{N}])`, "u");
const GAP = /^[^\p{L}\p{N}_\n\r\u2028\u2029،؛؟«»“”"*`|\u2022]{0,6}$/u;
const LOWER = /^\p{Lowercase}$/u;
const OPENERS = { "(": ")", "[": "]", "{": "}" };
const CLOSERS = new Set(Object.values(OPENERS));
const FARTHEST_CLOSER = 32;
const CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

export const stripControls = (text) => text.replace(CONTROLS, "");

export function directionOf(block, fallback = "ltr") {
  let rtl = 0;
  let ltr = 0;
  for (const [letter] of block.replace(CODE, " ").matchAll(LETTERS)) {
    if (NEUTRAL.test(letter)) continue;
    if (HAS_RTL.test(letter)) rtl += 1;
    else ltr += 1;
  }
  if (rtl === ltr) return fallback;
  return rtl > ltr ? "rtl" : "ltr";
}

/** Direction of a block of a message: one of an Arabic message that begins in Arabic stays Arabic, whatever codes follow. */
export function blockDirection(block, fallback) {
  const [first] = block.match(LETTERS) ?? [];
  return fallback === "rtl" && first && HAS_RTL.test(first) ? "rtl" : directionOf(block, fallback);
}

function scanGap(gap, stack) {
  for (const character of gap) {
    if (character in OPENERS) stack.push(OPENERS[character]);
    else if (CLOSERS.has(character) && stack.pop() !== character) return false;
  }
  return true;
}

function isGap(line, start, end) {
  if (!GAP.test(line.slice(start, end))) return false;
  const next = String.fromCodePoint(line.codePointAt(end));
  return !SENTENCE_END.test(line.slice(start, end) + next) || LOWER.test(next);
}

function close(line, end, stack) {
  for (const closer of [...stack].reverse()) {
    if (line[end] !== closer) return null;
    end += 1;
  }
  return end;
}

function longestRun(line, atoms, first) {
  let best = [atoms[first].end, first + 1];
  const stack = [];
  for (let index = first + 1; index < atoms.length; index += 1) {
    const [left, right] = [atoms[index - 1].end, atoms[index].start];
    if (index - best[1] > FARTHEST_CLOSER || !isGap(line, left, right)) break;
    if (!scanGap(line.slice(left, right), stack)) break;
    const end = close(line, atoms[index].end, stack);
    if (end !== null) best = [end, index + 1];
  }
  return best;
}

/** A line of plain text for other programs: its left-to-right runs in invisible isolates, where it runs from right to left. */
export function isolateLine(line) {
  if (directionOf(line) !== "rtl") return line;
  return ltrRuns(line, "rtl").reduceRight((text, [start, end]) => `${text.slice(0, start)}\u2066${text.slice(start, end)}\u2069${text.slice(end)}`, line);
}

/** Runs of a line that need an isolate, as [start, end]. */
export function ltrRuns(line, direction = "ltr") {
  if (direction === "ltr" && !HAS_RTL.test(line)) return [];
  const atoms = [...line.matchAll(ATOM)].map((m) => ({ start: m.index, end: m.index + m[0].length }));
  const runs = [];
  let index = 0;
  while (index < atoms.length) {
    const { start } = atoms[index];
    const [end, next] = longestRun(line, atoms, index);
    index = next;
    if (!PLAIN_NUMBER.test(line.slice(start, end))) runs.push([start, end]);
  }
  return runs;
}

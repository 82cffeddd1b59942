// Texts of the interface in two languages, plural forms, numbers and dates.

const tables = {};
let language = "en";
let arabicDigits = false;

export const languages = ["en", "ar"];
export const current = () => language;
export const direction = () => (language === "ar" ? "rtl" : "ltr");
export const digitsOf = () => arabicDigits;

export async function loadWords() {
  await Promise.all(
    languages.map(async (name) => {
      const answer = await fetch(new URL(`strings/${name}.json`, import.meta.url));
      tables[name] = await answer.json();
    }),
  );
}

export function choose(name, withArabicDigits) {
  language = languages.includes(name) ? name : "en";
  arabicDigits = withArabicDigits;
  document.documentElement.lang = language;
  document.documentElement.dir = direction();
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const [name_, attribute] of [["label", "aria-label"], ["hint", "placeholder"], ["tip", "title"]]) {
    for (const element of document.querySelectorAll(`[data-${name_}]`)) {
      element.setAttribute(attribute, t(element.dataset[name_]));
    }
  }
}

const locale = () => (language === "ar" ? `ar-u-ca-gregory-nu-${arabicDigits ? "arab" : "latn"}` : "en-GB");

export const number = (value) => new Intl.NumberFormat(locale(), { maximumFractionDigits: 1, useGrouping: false }).format(value);

// The month in letters: 5/11 and 11/5 are read differently, and a date of digits alone turns over in Arabic.
const DATE = { day: "numeric", month: "short", year: "numeric", hour: "numeric", minute: "2-digit" };

export const when = (seconds) => new Intl.DateTimeFormat(locale(), DATE).format(new Date(seconds * 1000));

/** A text by its key; {name} is replaced. A text with forms takes the form of the number `count`. */
export function t(key, values = {}, tongue = language) {
  let text = tables[tongue]?.[key];
  if (text === undefined) throw new Error(`no text: ${key}`);
  if (typeof text !== "string") text = text[new Intl.PluralRules(tongue).select(values.count)];
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : String(value ?? "");
  });
}

/** Arabic-Indic and Persian digits and their marks as ASCII. */
export const asciiDigits = (text) =>
  text
    .replace(/[٠-٩]/g, (digit) => String(digit.charCodeAt(0) - 0x660))
    .replace(/[۰-۹]/g, (digit) => String(digit.charCodeAt(0) - 0x6f0))
    .replace(/٫/g, ".")
    .replace(/[٬\u200e\u200f\u061c]/g, "")
    .replace(/−/g, "-");

/** A plain number of an Arabic block, for display alone. */
export const shownNumber = (text) =>
  text.replace(/(\d)\.(?=\d)/g, "$1٫").replace(/[0-9]/g, (digit) => String.fromCharCode(0x660 + Number(digit)));

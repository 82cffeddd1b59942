// Texts of the page in the chosen language; plural forms by CLDR's rules, numbers in Western digits.

const STORE = "bimedix2-review-language";
let all = null;
let language = "en";

export const setWords = (words) => { all = words; };
export const current = () => language;
export const word = (key) => all[language][key];
export const local = (pair) => pair[language];

export function counted(key, n) {
  const forms = word(key);
  const rule = n === 0 ? "zero" : new Intl.PluralRules(language).select(n);
  return (forms[rule] || forms.other).replace("{n}", String(n));
}

export const filled = (key, values) => word(key).replace(/\{(\w+)\}/g, (_, name) => String(values[name]));

export function firstLanguage() {
  const asked = location.hash.slice(1);
  const kept = localStorage.getItem(STORE);
  const guess = (navigator.language || "").startsWith("ar") ? "ar" : "en";
  return [asked, kept].find((name) => name === "ar" || name === "en") || guess;
}

export function useLanguage(name) {
  language = name;
  localStorage.setItem(STORE, name);
  document.documentElement.lang = name;
  document.documentElement.dir = name === "ar" ? "rtl" : "ltr";
  document.title = word("title");
  document.querySelectorAll("[data-w]").forEach((node) => { node.textContent = word(node.dataset.w); });
  const other = document.getElementById("switch");
  other.textContent = word("other_language");
  other.lang = name === "ar" ? "en" : "ar";
  document.getElementById("help-text").replaceChildren(...word("help_lines").map((line) => {
    const p = document.createElement("p");
    p.textContent = line;
    return p;
  }));
}

// Small helpers. Text from outside enters the page through text nodes alone.

export const $ = (name) => document.getElementById(name);

/** An element with attributes (functions are listeners) and children (strings become text nodes). */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const SHAPES = {
  copy: "M8 4h10v12H8zM6 8H4v12h10v-2",
  edit: "M4 20h4L19 9l-4-4L4 16z",
  retry: "M20 12a8 8 0 1 1-2.5-5.8M20 3v5h-5",
  save: "M12 4v11m-5-5 5 5 5-5M4 20h16",
  close: "M6 6l12 12M18 6 6 18",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  warning: "M12 4 3 20h18zM12 10v5m0 2v.5",
};

/** A picture of a button; its name stands in the button. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

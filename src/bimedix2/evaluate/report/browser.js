"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const get = (id) => document.getElementById(id);
  const arabic = () => root.lang === "ar";
  const size = 20;
  let page = 0;

  // Text always enters as text: prompts and replies are untrusted.
  const make = (tag, className, ...content) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...content);
    return node;
  };
  const pair = (texts) => {
    if (texts[0] === texts[1]) return make("bdi", "", texts[0]);
    const node = make("span");
    ["en", "ar"].forEach((language, index) => {
      const part = make("span", language, texts[index]);
      part.lang = language;
      part.dir = language === "ar" ? "rtl" : "ltr";
      node.append(part);
    });
    return node;
  };
  const both = (key) => pair(data.texts[key]);
  const metric = (family, name) => pair((data.metrics[family] || {})[name] || [name, name]);
  const number = (value) => make("bdi", "", Number.isInteger(value) ? String(value) : value.toFixed(3));

  function block(value) {
    if (!value.text) return make("p", "text soft", both("no_reply"));
    const node = make("p", "text", value.text);
    node.dir = value.dir;
    if (value.text.length > 600) {
      node.classList.add("long");
      node.tabIndex = 0;
    }
    if (!value.more) return node;
    return make("div", "", node, make("p", "soft", "… ", number(value.more), " ", both("more")));
  }

  function picture(name) {
    if (data.images[name]) {
      const image = make("img");
      image.src = data.images[name];
      image.alt = name;
      return image;
    }
    const why = data.image_errors[name];
    return make("p", "missing soft", both(why ? "bad_image" : "no_image"), make("br"),
      make("bdi", "", name), ...(why ? [make("br"), make("bdi", "", why)] : []));
  }

  function titled(key, value) {
    return [make("h4", "", both(key)), block(value)];
  }

  function verdicts(reply) {
    const box = make("details", "", make("summary", "", both("judge")));
    reply.verdicts.forEach((verdict) => box.append(make("p", "soft", make("bdi", "", verdict.question)), block(verdict.text)));
    return box;
  }

  function replies(row) {
    const head = make("tr");
    ["answerer", "reply", "score"].forEach((key) => {
      const cell = make("th", "", both(key));
      cell.scope = "col";
      head.append(cell);
    });
    const table = make("table", "replies", make("thead", "", head));
    const body = make("tbody");
    row.replies.forEach((reply) => {
      const name = make("th", "", both(reply.condition));
      name.scope = "row";
      if (reply.images.length) name.append(make("br"), make("span", "soft", both("asked_with"), ...reply.images.map(picture)));
      const text = reply.error ? make("p", "text warn", make("bdi", "", reply.error)) : block(reply.text);
      const score = make("td", "score");
      if (reply.score.length) score.append(number(reply.score[1]), make("br"), make("span", "soft", metric(row.family, reply.score[0])));
      const said = make("td", "", text);
      if (reply.verdicts.length) said.append(verdicts(reply));
      body.append(make("tr", reply.condition === "model" ? "own" : "", name, said, score));
    });
    table.append(body);
    return table;
  }

  function scores(row) {
    const modes = [...new Set(row.replies.flatMap((reply) => Object.keys(reply.scores)))];
    const box = make("details", "", make("summary", "", both("all_scores")));
    modes.forEach((mode) => {
      const given = row.replies.filter((reply) => reply.scores[mode]);
      const names = [...new Set(given.flatMap((reply) => Object.keys(reply.scores[mode])))];
      const head = make("tr", "", make("th", "", make("bdi", "", mode)), ...names.map((name) => make("th", "num", metric(row.family, name))));
      head.childNodes.forEach((cell) => { cell.scope = "col"; });
      const lines = given.map((reply) => {
        const title = make("th", "", both(reply.condition));
        title.scope = "row";
        return make("tr", "", title, ...names.map((name) => {
          const value = reply.scores[mode][name];
          return make("td", "num", value === undefined ? "–" : value.toFixed(3));
        }));
      });
      const wide = make("div", "wide", make("table", "", make("thead", "", head), make("tbody", "", ...lines)));
      wide.tabIndex = 0;
      box.append(wide);
    });
    return box;
  }

  function draw(row) {
    const node = make("article", row.images.length ? "sample" : "sample plain");
    if (row.images.length) node.append(make("div", "", ...row.images.map(picture)));
    const head = make("h3", "", pair(data.tasks[row.task] || [row.task, row.task]), " · ",
      both(row.language === "ar" ? "arabic" : "english"), " · ", make("bdi", "", row.id));
    ["correct", "wrong", "unparsed", "refused", "error"].forEach((flag) => {
      if (row[flag]) head.append(" ", make("span", "badge " + flag, both(flag === "error" ? "any_error" : flag)));
    });
    const groups = Object.entries(row.group).map(([name, value]) => make("bdi", "group", name + " = " + value));
    node.append(make("div", "", head, make("p", "soft", ...groups), ...titled("prompt", row.prompt),
      ...titled("reference", row.reference), replies(row), scores(row)));
    return node;
  }

  // One spelling for what a reader takes for the same, as bimedix2.text.normalize_for_search has it.
  const fold = (text) => text.normalize("NFC")
    .replace(/[\p{Cf}\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u0640]/gu, "")
    .toLowerCase().replace(/[أإآٱ]/g, "ا").replace(/[ىی]/g, "ي").replace(/ة/g, "ه").replace(/ک/g, "ك")
    .replace(/[٠-٩]/g, (digit) => String(digit.charCodeAt(0) - 0x660))
    .replace(/[۰-۹]/g, (digit) => String(digit.charCodeAt(0) - 0x6f0))
    .replace(/\s+/g, " ").trim();
  const texts = data.samples.map((row) =>
    fold([row.id, row.prompt.text, row.reference.text, ...row.replies.map((reply) => reply.text.text)].join("\n")));

  function chosen() {
    const task = get("f-task").value, language = get("f-lang").value, flag = get("f-show").value;
    const words = fold(get("f-text").value);
    return data.samples.filter((row, index) =>
      (!task || row.task === task) && (!language || row.language === language) && (!flag || row[flag]) &&
      (!words || texts[index].includes(words)));
  }

  function show() {
    const rows = chosen(), pages = Math.max(1, Math.ceil(rows.length / size));
    page = Math.min(page, pages - 1);
    const shown = rows.slice(page * size, (page + 1) * size).map(draw);
    get("list").replaceChildren(...(shown.length ? shown : [make("p", "soft", both("none_found"))]));
    get("count").replaceChildren(number(rows.length), " ", both("found"), " · ", both("page"), " ", number(page + 1), " ",
      both("of"), " ", number(pages));
    ["previous", "previous-below"].forEach((id) => { get(id).disabled = page === 0; });
    ["next", "next-below"].forEach((id) => { get(id).disabled = page >= pages - 1; });
  }

  function turn(by) {
    page += by;
    show();
    get("samples").scrollIntoView();
  }

  // An <option> or a label attribute cannot hold two languages, so their texts follow the page's.
  function speak(language) {
    root.lang = language;
    root.dir = arabic() ? "rtl" : "ltr";
    document.querySelectorAll("option[data-en]").forEach((option) => { option.textContent = option.dataset[language]; });
    document.querySelectorAll("[data-en-label]").forEach((node) => {
      node.setAttribute("aria-label", node.dataset[language + "Label"]);
    });
  }
  const wanted = () => ["ar", "en"].find((language) => location.hash === "#" + language);

  let waiting = 0;
  get("f-text").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { page = 0; show(); }, 150);
  });
  ["f-task", "f-lang", "f-show"].forEach((id) => get(id).addEventListener("input", () => { page = 0; show(); }));
  ["previous", "previous-below"].forEach((id) => get(id).addEventListener("click", () => turn(-1)));
  ["next", "next-below"].forEach((id) => get(id).addEventListener("click", () => turn(1)));
  get("switch").addEventListener("click", () => {
    speak(arabic() ? "en" : "ar");
    location.replace("#" + root.lang);
  });
  addEventListener("hashchange", () => { if (wanted()) speak(wanted()); });
  speak(wanted() || root.lang);
  show();
})();

"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const get = (id) => document.getElementById(id);
  const size = 20;
  let page = 0;

  // Text always enters as text: replies are untrusted.
  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const both = (key) => {
    const node = make("span");
    node.append(make("span", "en", data.texts[key][0]), make("span", "ar", data.texts[key][1]));
    return node;
  };
  const block = (value) => {
    const node = make("p", "text", value.text || data.texts.no_reply[root.lang === "ar" ? 1 : 0]);
    node.dir = value.dir;
    return node;
  };
  const titled = (key, value) => {
    const title = make("h4");
    title.append(both(key));
    return [title, block(value)];
  };
  const scores = (reply) => Object.entries(reply.scores)
    .map(([mode, values]) => mode + ": " + Object.entries(values).map(([k, v]) => k + " " + v.toFixed(3)).join(", "))
    .join("\n");

  function draw(row) {
    const images = row.images.map((name) => data.images[name]).filter(Boolean);
    const node = make("article", images.length ? "sample" : "sample plain");
    if (images.length) {
      const side = make("div");
      images.forEach((source, index) => {
        const image = make("img");
        image.src = source;
        image.alt = row.images[index];
        side.append(image);
      });
      node.append(side);
    }
    const main = make("div");
    const head = make("p", "soft");
    head.append(make("bdi", "", row.task + " · " + row.language + " · " + row.id + " "));
    ["wrong", "unparsed", "refused"].forEach((flag) => {
      if (!row[flag]) return;
      const badge = make("span", "badge");
      badge.append(both(flag));
      head.append(badge);
    });
    main.append(head, ...titled("prompt", row.prompt), ...titled("reference", row.reference));
    row.replies.forEach((reply) => {
      const title = make("h4");
      title.append(both(reply.condition));
      main.append(title, block(reply.error ? { text: reply.error, dir: "ltr" } : reply.text));
      const line = make("p", "text soft", scores(reply));
      line.dir = "ltr";
      main.append(line);
    });
    node.append(main);
    return node;
  }

  function chosen() {
    const task = get("f-task").value, language = get("f-lang").value, flag = get("f-show").value;
    const words = get("f-text").value.trim().toLowerCase();
    return data.samples.filter((row) =>
      (!task || row.task === task) && (!language || row.language === language) && (!flag || row[flag]) &&
      (!words || [row.id, row.prompt.text, row.reference.text, ...row.replies.map((reply) => reply.text.text)]
        .some((text) => text.toLowerCase().includes(words))));
  }

  function show() {
    const rows = chosen(), pages = Math.max(1, Math.ceil(rows.length / size));
    page = Math.min(page, pages - 1);
    get("list").replaceChildren(...rows.slice(page * size, (page + 1) * size).map(draw));
    get("count").textContent = rows.length + " · " + (page + 1) + " / " + pages;
    get("previous").disabled = page === 0;
    get("next").disabled = page >= pages - 1;
  }

  ["f-task", "f-lang", "f-show", "f-text"].forEach((id) => get(id).addEventListener("input", () => { page = 0; show(); }));
  get("previous").addEventListener("click", () => { page -= 1; show(); get("samples").scrollIntoView(); });
  get("next").addEventListener("click", () => { page += 1; show(); get("samples").scrollIntoView(); });
  get("switch").addEventListener("click", () => {
    root.lang = root.lang === "ar" ? "en" : "ar";
    root.dir = root.lang === "ar" ? "rtl" : "ltr";
    names();
    show();
  });
  // An <option> cannot hold two languages, so their texts follow the page's.
  function names() {
    document.querySelectorAll("option[data-en]").forEach((option) => {
      option.textContent = root.lang === "ar" ? option.dataset.ar : option.dataset.en;
    });
  }
  names();
  show();
})();

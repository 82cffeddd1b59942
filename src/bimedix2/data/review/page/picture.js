// One picture that can be enlarged and moved, by mouse, touch and keyboard.
import { local, word } from "./words.js";

const LARGEST = 8;
const STEP = 1.4;

function button(sign, key, action) {
  const node = document.createElement("button");
  node.type = "button";
  node.textContent = sign;
  node.setAttribute("aria-label", word(key));
  node.title = word(key);
  node.addEventListener("click", action);
  return node;
}

async function why(address, box) {
  const answer = await fetch(address).then((reply) => reply.json()).catch(() => ({}));
  const text = document.createElement("p");
  text.className = "missing";
  text.textContent = `${word("image_failed")}. ${answer.error ? local(answer.error) : ""}`;
  box.replaceChildren(text);
}

export function picture(number, index) {
  const address = `/image?item=${number}&image=${index}`;
  const box = document.createElement("figure");
  const frame = document.createElement("div");
  const image = document.createElement("img");
  frame.className = "frame";
  frame.tabIndex = 0;
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", `${word("image")} ${index + 1}. ${word("zoom_help")}`);
  image.alt = `${word("image")} ${index + 1}`;
  image.draggable = false;
  let [scale, x, y] = [1, 0, 0];

  function show() {
    const limit = (size) => ((scale - 1) * size) / 2;
    x = Math.max(-limit(frame.clientWidth), Math.min(limit(frame.clientWidth), x));
    y = Math.max(-limit(frame.clientHeight), Math.min(limit(frame.clientHeight), y));
    image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    frame.classList.toggle("zoomed", scale > 1);
  }
  function zoom(factor) {
    const before = scale;
    scale = Math.max(1, Math.min(LARGEST, scale * factor));
    [x, y] = [(x * scale) / before, (y * scale) / before];
    show();
  }
  function reset() {
    [scale, x, y] = [1, 0, 0];
    show();
  }
  const moves = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
  frame.addEventListener("keydown", (event) => {
    if (event.key === "+" || event.key === "=") zoom(STEP);
    else if (event.key === "-") zoom(1 / STEP);
    else if (event.key === "0") reset();
    else if (moves[event.key] && scale > 1) {
      x += moves[event.key][0];
      y += moves[event.key][1];
      show();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  frame.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && scale === 1 && event.deltaY > 0) return; // the page scrolls on
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  }, { passive: false });
  frame.addEventListener("pointermove", (event) => {
    if (event.buttons !== 1 || scale === 1) return;
    x += event.movementX;
    y += event.movementY;
    show();
  });
  image.addEventListener("error", () => why(address, box));
  image.src = address;
  frame.append(image);
  const tools = document.createElement("div");
  tools.className = "buttons";
  tools.append(button("+", "zoom_in", () => zoom(STEP)), button("−", "zoom_out", () => zoom(1 / STEP)), button("1×", "zoom_reset", reset));
  box.append(frame, tools);
  return box;
}

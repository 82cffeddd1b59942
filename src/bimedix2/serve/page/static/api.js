// Requests to our own server, and its event stream.

import { current, t } from "./words.js";

let key = sessionStorage.getItem("bimedix2-key") ?? "";
export const hasKey = () => key !== "";

/** The key lives as long as the tab: machines in wards are shared. */
export function setKey(value) {
  key = value;
  if (value) sessionStorage.setItem("bimedix2-key", value);
  else sessionStorage.removeItem("bimedix2-key");
}

/** What went wrong, in the reader's language, with what to do. */
export class Fault extends Error {
  constructor(message, status = 0, code = "", wait = 0) {
    super(message);
    Object.assign(this, { status, code, wait });
  }
}

async function faultOf(answer) {
  const wait = Number(answer.headers.get("retry-after")) || 0;
  try {
    const { error } = await answer.json();
    return new Fault(error.message, answer.status, error.code, wait);
  } catch {
    return new Fault(t(answer.status >= 500 ? "error_server" : "error_other", { status: String(answer.status) }), answer.status, "", wait);
  }
}

const PATIENCE = [1, 2, 4]; // seconds before what only reads is sent again
const LONGEST = 10;
const passes = (error) => error instanceof Fault && [0, 429, 503].includes(error.status);

/** A request; what only reads is sent again while the server is busy, waking or out of reach. */
export async function ask(path, options = {}) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await once(path, options);
    } catch (error) {
      const wait = Math.max(PATIENCE[tries] ?? Infinity, error.wait ?? 0);
      if ((options.method ?? "GET") !== "GET" || !passes(error) || wait > LONGEST) throw error;
      await new Promise((done) => setTimeout(done, wait * 1000));
    }
  }
}

async function once(path, { method = "GET", json, body, signal }) {
  const headers = { "Accept-Language": current() };
  if (key) headers.Authorization = `Bearer ${key}`;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: json === undefined ? body : JSON.stringify(json), signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Fault(t("error_network"), 0, "network");
  }
  if (!answer.ok) throw await faultOf(answer);
  return answer;
}

export const askJson = async (path, options) => (await ask(path, options)).json();

/** Data of the events of a stream; comments and other fields are left out. */
export async function* eventsOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let data = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const raw of lines) {
        const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
        if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
        else if (line === "" && data.length) {
          yield data.join("\n");
          data = [];
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Chunks of one answer. */
export async function* answerTo(request, signal) {
  const answer = await ask("/v1/chat/completions", { method: "POST", json: { ...request, stream: true }, signal });
  for await (const data of eventsOf(answer.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Fault(chunk.error.message, 200, chunk.error.code);
    yield chunk;
  }
  throw new Fault(t("error_cut"), 200, "cut");
}

export async function pictureOf(url) {
  if (url.startsWith("data:")) return url;
  const [, name, , query] = /^upload:([^?]+)(\?(.*))?$/.exec(url);
  const answer = await ask(`/v1/uploads/${encodeURIComponent(name)}/image${query ? `?${query}` : ""}`);
  return URL.createObjectURL(await answer.blob());
}

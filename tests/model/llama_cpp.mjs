// Greedy tokens of llama.cpp for prompts of token ids, and its own tokens of their texts.
// node llama_cpp.mjs FOLDER_WITH_node_modules text.gguf prompts.json
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [, , folder, modelPath, prompts] = process.argv;
const entry = createRequire(path.join(path.resolve(folder), "x.js")).resolve("node-llama-cpp");
const { getLlama } = await import(pathToFileURL(entry));
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error" });
const model = await llama.loadModel({ modelPath });
const found = [];
for (const { text, ids, count } of JSON.parse(fs.readFileSync(prompts))) {
  // In 16 bits the cache alone can turn the nearest two words of a random model over.
  const context = await model.createContext({ contextSize: 256, flashAttention: false, experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32" });
  const next = [];
  for await (const token of context.getSequence().evaluate(ids, { temperature: 0, yieldEogToken: true })) {
    next.push(token);
    if (next.length === count) break;
  }
  found.push({ tokens: [...model.tokenize(text, false)], next });
  await context.dispose();
}
process.stdout.write(JSON.stringify(found));
process.exit(0);

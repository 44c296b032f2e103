// Every import of the package where there is no document; what is wrong ends with a status.
import assert from "node:assert/strict";
import { access } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const { Engine, VitrineError } = await import("vitrine");
await assert.rejects(Engine.create(), (error) => error instanceof VitrineError && error.code === "bad-argument" && /not on the server/.test(error.message));
assert.equal(typeof (await import("vitrine/widgets")).define, "function");
const { fetch, chat } = await import("vitrine/openai");
assert.equal(typeof fetch, "function");
await assert.rejects(chat.completions.create({ model: "storyteller", messages: [] }), { code: "bad-argument" });
assert.equal(typeof (await import("vitrine/anywidget")).default.render, "function");
for (const name of ["worker", "vitrine_bg.wasm", "constraints_bg.wasm", "vitrine.js", "widgets.js", "models/catalog.json", "package.json"]) {
  await access(fileURLToPath(import.meta.resolve(`vitrine/${name}`)));
}

// @ts-check
import { engineOn, said } from "./common.js";

/** @import { GenerateOptions, TextModel } from "../../../www/vitrine.js" */

const PROMPT = "Once upon a time";

/** Which of some sentences on forms hold. @param {"cpu" | "webgpu"} device */
export async function forms(device) {
  const engine = await engineOn(device);
  const model = /** @type {TextModel} */ (await engine.load("storyteller"));
  const greedy = { temperature: 0, maxTokens: 60 };
  const held = (/** @type {GenerateOptions} */ options) => model.generate(PROMPT, { ...greedy, ...options }).text();
  const schema = {
    type: "object",
    properties: { animal: { enum: ["fox", "bear"] }, legs: { type: "integer", minimum: 2, maximum: 4 }, home: { type: "string", maxLength: 12 } },
    required: ["animal", "legs", "home"],
    additionalProperties: false,
  };
  const before = await held({ maxTokens: 12 });
  const stream = model.generate(PROMPT, { ...greedy, schema });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const json = chunks.map(({ text }) => text).join("");
  const animal = JSON.parse(json);
  const compact = await held({ schema, schemaFormat: { whitespace: "compact", keyOrder: ["home"] } });
  const date = await held({ regex: /^\d{4}-[A-F]{2}$/i });
  const nest = await held({ grammar: 'root ::= "[" (root | "x")? "]"' });
  const word = await held({ choice: ["a fox", "a bear"] });
  const unlikely = await held({ grammar: "start: /[xz]{3}/", temperature: 1.4, seed: 3 });
  const stopped = await held({ schema, stop: ["imal"] });
  const exploded = await said(held({ grammar: 'root ::= ("a"{2000}){2000}' }));
  const after = await held({ maxTokens: 12 });
  return {
    "JSON is of its schema": ["fox", "bear"].includes(animal.animal) && animal.legs >= 2 && animal.legs <= 4 && animal.home.length <= 12,
    "what had to come was not computed": chunks.some(({ forced }) => forced) && (stream.summary?.forcedTokens ?? 0) > 4,
    "a whole text says so": stream.summary?.finishReason === "stop",
    "spaces and keys are as asked": compact.startsWith('{"home":"') && !compact.includes('", "') && Object.keys(JSON.parse(compact)).join() === "home,animal,legs",
    "a RegExp holds with its flags": /^\d{4}-[A-F]{2}$/i.test(date),
    "GBNF holds": /^\[*x?\]*$/.test(nest) && nest.length >= 2,
    "a choice is one of it": ["a fox", "a bear"].includes(word),
    "what is drawn holds too": /^[xz]{3}$/.test(unlikely),
    "a schema that contradicts itself is refused": (await said(held({ schema: { type: "integer", minimum: 5, maximum: 3 } }))).includes("schema can be met by no text"),
    "two forms are refused": (await said(held({ regex: "a", choice: ["a"] }))).includes("regex and choice both say"),
    "a wrong type is refused by name": (await said(held({ schema: /** @type {any} */ ("{}") }))).includes("schema") && (await said(held({ regex: /a/g }))).includes("flag g"),
    "a grammar that explodes is refused while it is followed": exploded.startsWith("bad-argument: grammar takes more computing"),
    "a stop within what must come ends the text": stopped === '{"an',
    "the next text is free": after === before,
  };
}

/** A text that is held, by this page's own module; and one that is free before and after an engine finds none where it was told. */
export async function onDemand() {
  const { Engine } = await import("/vitrine.js");
  const engine = await Engine.create({ device: "cpu" });
  const model = /** @type {TextModel} */ (await engine.load("storyteller"));
  const held = await model.generate(PROMPT, { choice: ["yes", "no"] }).text();
  await engine.close();
  const without = await Engine.create({ device: "cpu", constraints: "/nowhere/constraints_bg.wasm" });
  const other = /** @type {TextModel} */ (await without.load("/fixtures/tiny_llama.gguf"));
  const free = () => other.generate("a b", { maxTokens: 4, temperature: 0 }).text();
  const before = await free();
  const lost = await said(other.generate("a", { regex: "a" }).text());
  return { held, before, lost, after: await free() };
}

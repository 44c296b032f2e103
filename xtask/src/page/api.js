// @ts-check
import { code, engineOn } from "./common.js";

/** @typedef {import("./common.js").Device} Device */

/** The first model of the catalogue, on a device. @param {Device} device */
async function opened(device) {
  const engine = await engineOn(device);
  const [{ id }] = await engine.catalog();
  return { engine, id, model: await engine.load(id) };
}

/** @param {{ device: Device, file: string, tokens: number }} args */
export async function greedy({ device, file, tokens }) {
  const engine = await engineOn(device);
  const model = await engine.load(file);
  return await model.generate("", { maxTokens: tokens, temperature: 0 }).text();
}

/** @param {Device} device */
export async function storyteller(device) {
  const { model } = await opened(device);
  const { cases } = await (await fetch("/fixtures/storyteller_greedy.json")).json();
  const off = [];
  for (const { prompt_ids, greedy, top_after_prompt, top_last } of cases) {
    for (const [ids, top] of [[prompt_ids, top_after_prompt], [[...prompt_ids, ...greedy.slice(0, -1)], top_last]]) {
      const told = new Map();
      for await (const { token, logprob, alternatives } of model.generate(ids, { maxTokens: 1, temperature: 0, alternatives: 20 })) {
        for (const each of [{ token, logprob }, ...alternatives]) told.set(each.token, each.logprob);
      }
      for (const { token, logit } of top) off.push(Math.abs(told.get(token) - told.get(top[0].token) - (logit - top[0].logit)));
    }
  }
  return { compared: off.length, most: Math.max(...off) };
}

/** @param {Device} device */
export async function seeds(device) {
  const { model } = await opened(device);
  const write = (/** @type {number} */ seed) => model.generate("Once", { maxTokens: 24, temperature: 1, seed }).text();
  return [await write(7), await write(7), await write(8)];
}

/** @param {Device} device */
export async function agreement(device) {
  const { model } = await opened(device);
  const prompt = "Once upon a time";
  const next = await model.next(prompt, { k: 5 });
  const stream = model.generate(prompt, { maxTokens: 1, temperature: 0, alternatives: 5 });
  const { value: first } = await stream.next();
  await stream.return();
  const score = await model.score(prompt + first.text);
  const tokens = (await model.tokenize(prompt + first.text)).length;
  return { next, first, scored: score.tokens.at(-1), perplexity: score.perplexity, tokens, count: score.tokens.length };
}

/** @param {string} text */
export async function roundTrip(text) {
  const { model } = await opened("cpu");
  const ids = await model.tokenize(text, { addSpecialTokens: false });
  return [await model.detokenize(ids), ids.constructor.name];
}

/** @param {{ file: string, texts: string[] }} args */
export async function tokenizer({ file, texts }) {
  const engine = await engineOn("cpu");
  const tokenizer = await engine.tokenizer(file);
  const all = [];
  for (const text of texts) all.push([...(await tokenizer.encode(text, { addSpecialTokens: false }))]);
  return all;
}

/** @param {Device} device */
export async function abort(device) {
  const { model } = await opened(device);
  const expected = await model.generate("A", { maxTokens: 8, temperature: 0 }).text();
  const abort = new AbortController();
  let tokens = 0;
  const writing = async () => {
    const prompt = "One winter day, a fox was out in the snow.";
    for await (const _ of model.generate(prompt, { maxTokens: 400, temperature: 0, signal: abort.signal })) {
      if (++tokens === 3) abort.abort();
    }
  };
  const outcome = await code(writing());
  const before = new AbortController();
  before.abort();
  const early = await code(model.generate("Once", { signal: before.signal }).text());
  return { outcome, early, tokens, same: expected === (await model.generate("A", { maxTokens: 8, temperature: 0 }).text()) };
}

export async function leaveEarly() {
  const { model } = await opened("cpu");
  for await (const _ of model.generate("Once", { maxTokens: 500 })) break;
  return await model.generate("Once", { maxTokens: 5 }).text();
}

export async function takeTurns() {
  const { model } = await opened("cpu");
  const write = (/** @type {string} */ prompt) => model.generate(prompt, { maxTokens: 16, temperature: 0 }).text();
  const alone = [await write("The cat"), await write("A boy")];
  const together = await Promise.all([write("The cat"), write("A boy")]);
  return alone.map((text, at) => text === together[at]);
}

/** @param {Device} device */
export async function unload(device) {
  const { engine, id, model } = await opened(device);
  /** @type {Promise<void> | undefined} */
  let unloading;
  let tokens = 0;
  const writing = async () => {
    for await (const _ of model.generate("One winter day, a fox was out in the snow.", { maxTokens: 400, temperature: 0 })) {
      if (++tokens === 2) unloading = model.unload();
    }
  };
  const outcome = await code(writing());
  await unloading;
  await model.unload();
  const after = await code(model.tokenize("a"));
  const fresh = await engine.load(id);
  return { outcome, after, text: await fresh.generate("Once", { maxTokens: 5, temperature: 0 }).text() };
}

export async function closeEngine() {
  const { engine, id, model } = await opened("cpu");
  await engine.close();
  await engine.close();
  const codes = [await code(model.generate("a").text()), await code(engine.load(id)), await code(engine.tokenizer(id))];
  const another = await engineOn("cpu");
  const fresh = await another.load(id);
  return { codes, text: await fresh.generate("Once", { maxTokens: 5, temperature: 0 }).text() };
}

export async function abortedOpening() {
  const { Engine } = await import("/vitrine.js");
  /** @type {string[]} */
  const unheard = [];
  addEventListener("unhandledrejection", ({ reason }) => unheard.push(String(reason)));
  const late = new AbortController();
  const seen = [await code(Engine.create({ device: "cpu", signal: AbortSignal.abort() }))];
  const opening = code(Engine.create({ device: "cpu", signal: late.signal }));
  late.abort();
  seen.push(await opening);
  const engine = await Engine.create({ device: "cpu" });
  seen.push(await code(engine.load("/fixtures/tiny_llama.gguf", { signal: AbortSignal.abort() })));
  await new Promise((resolve) => setTimeout(resolve, 300));
  return { seen, unheard };
}

export async function wrongArguments() {
  const { Engine } = await import("/vitrine.js");
  const { engine, model } = await opened("cpu");
  return [
    // @ts-expect-error no device
    await code(Engine.create({ device: "tpu" })),
    // @ts-expect-error no source
    await code(engine.load(17)),
    await code(engine.load("")),
    await code(engine.load("no-such-model")),
    // @ts-expect-error no prompt
    await code(model.generate(17).text()),
    await code(model.generate("a", { temperature: -1 }).text()),
    await code(model.generate("a", { temperature: NaN }).text()),
    await code(model.generate("a", { topP: 7 }).text()),
    await code(model.generate("a", { maxTokens: -5 }).text()),
    await code(model.detokenize([4294967295])),
    await code(model.generate([1, 4294967295]).text()),
    await code(model.next("a", { k: -1 })),
  ];
}

export async function oddText() {
  const { model } = await opened("cpu");
  const odd = ["\uD800", "a\uDFFFb", "\u0000", "🦊🏳️‍🌈", "ا\u0301\u200F", "\r\n\t ", "﷽".repeat(20)];
  const counts = [];
  for (const text of odd) {
    counts.push((await model.tokenize(text)).length);
    await model.generate(text, { maxTokens: 2 }).text();
  }
  return counts;
}

export async function muchText() {
  const { model } = await opened("cpu");
  const text = "The old house stood by the sea. ".repeat(32768);
  const ids = await model.tokenize(text);
  const refused = await code(model.generate(text, { maxTokens: 2 }).text());
  return { tokens: ids.length, refused, after: await model.generate("Once", { maxTokens: 3 }).text() };
}

export async function stopStrings() {
  const { model } = await opened("cpu");
  const whole = await model.generate("Once upon a time", { maxTokens: 60, temperature: 0 }).text();
  const stop = whole.slice(20, 27);
  const stream = model.generate("Once upon a time", { maxTokens: 60, temperature: 0, stop: ["never there", stop] });
  const text = await stream.text();
  return { whole, stop, text, reason: stream.summary?.finishReason };
}

/** @param {Device} device */
export async function statistics(device) {
  const { model } = await opened(device);
  await model.generate("Once upon a time", { maxTokens: 20, temperature: 0 }).text();
  return { ...model.stats, parts: await model.profile() };
}

export async function openai() {
  const engine = await engineOn("cpu");
  const model = await engine.load("/fixtures/tiny_llama.gguf");
  const request = { model, messages: [{ role: "user", content: "Hello" }], max_tokens: 6, temperature: 0 };
  if (!model.info.chat) return { code: await code(engine.chat.completions.create(request)) };
  const whole = await engine.chat.completions.create(request);
  let streamed = "";
  for await (const chunk of await engine.chat.completions.create({ ...request, stream: true })) {
    streamed += chunk.choices[0].delta.content ?? "";
  }
  return { whole, streamed };
}

// @ts-check
import { code, engineOn, said } from "./common.js";

/** @import { Chunk, GenerateOptions, TextModel } from "../../../www/vitrine.js" */

const PROMPT = "Once upon a time there was a little fox";

/** @param {TextModel} model @param {GenerateOptions} options */
const written = async (model, options) => {
  const chunks = [];
  for await (const chunk of model.generate(PROMPT, options)) chunks.push(chunk);
  return chunks;
};

/** @param {{ text: string }[]} chunks */
const text = (chunks) => chunks.map((chunk) => chunk.text).join("");

/** Which of many sentences on sampling hold. @param {"cpu" | "webgpu"} device */
export async function sampling(device) {
  const engine = await engineOn(device);
  const model = /** @type {TextModel} */ (await engine.load("storyteller"));
  const greedy = { temperature: 0, maxTokens: 24 };
  const drawn = { temperature: 0.9, seed: 5, maxTokens: 24 };
  const plain = text(await written(model, greedy));
  const word = /\w{4,}/.exec(plain)?.[0] ?? "";
  const banned = text(await written(model, { ...greedy, ban: word }));
  const [first] = await model.next(PROMPT, { k: 1 });
  const held = await written(model, { ...greedy, logitBias: { [first.token]: -100 } });
  const many = { ...drawn, topNSigma: 3, topK: 30, typicalP: 0.97, topP: 0.95, minP: 0.01, xtc: { probability: 0.3, threshold: 0.15 }, dynamicTemperature: { range: 0.4 } };
  const traced = await written(model, { ...many, presencePenalty: 0.3, penaltyWindow: 16, trace: true, alternatives: 8 });
  const untraced = await written(model, { ...many, presencePenalty: 0.3, penaltyWindow: 16 });
  const considered = traced.flatMap(({ trace }) => trace?.candidates ?? []);
  const mirostat = await written(model, { ...drawn, mirostat: { tau: 2 }, minTokens: 24 });
  const dry = await written(model, { ...greedy, dry: { multiplier: 5, allowed: 1 } });
  const again = text(await written(model, greedy));
  return {
    "a banned word stays away": word.length > 3 && plain.includes(word) && !banned.includes(word) && banned.length > 20,
    "a banned token stays away": held.every(({ token }) => token !== first.token),
    "a trace changes nothing": text(traced) === text(untraced),
    "a trace names the filters that dropped": considered.some(({ droppedBy }) => droppedBy === "topP" || droppedBy === "topK"),
    "what was dropped has no probability": considered.every(({ droppedBy, probability }) => (droppedBy === undefined) === probability > 0),
    "what was drawn is told": traced.every(({ token, drawnLogprob }) => token === undefined || (drawnLogprob ?? 1) <= 0),
    "mirostat writes": mirostat.filter(({ token }) => token !== undefined).length === 24,
    "dry writes": text(dry).length > 20,
    "nothing of it is left": again === plain,
  };
}

/** Which of some sentences on draft models hold: the storyteller in eight bits, its copy in four guessing. @param {"cpu" | "webgpu"} device */
export async function drafts(device) {
  const engine = await engineOn(device);
  const [model, draft, other] = /** @type {TextModel[]} */ (
    await Promise.all(["/models/storyteller/storyteller-q8_0.gguf", "/models/storyteller/storyteller-q4_0.gguf", "/fixtures/tiny_llama.gguf"].map((address) => engine.load(address)))
  );
  const greedy = { temperature: 0, maxTokens: 24 };
  const drawn = { temperature: 0.9, seed: 5, maxTokens: 24 };
  const stream = model.generate(PROMPT, { ...greedy, draft });
  const guessed = await stream.text();
  const { draftedTokens = 0, acceptedTokens = 0 } = stream.summary ?? {};
  // Each guesses for the other at once.
  const both = await Promise.all([model.generate(PROMPT, { ...drawn, draft }).text(), draft.generate(PROMPT, { ...drawn, draft: model }).text()]);
  const refused = (/** @type {any} */ options) => said(model.generate(PROMPT, { ...greedy, ...options }).text());
  const seen = {
    "the text is the same": guessed === text(await written(model, greedy)) && guessed.length > 20,
    "guesses are counted": draftedTokens > 0 && acceptedTokens > 0 && acceptedTokens <= draftedTokens,
    "two that guess for each other take their turns": both[0] === text(await written(model, drawn)) && both[1] === text(await written(draft, drawn)),
    "other tokens are refused": (await refused({ draft: other })).includes("other tokens"),
    "the model itself is refused": (await refused({ draft: model })).includes("the model itself"),
    "two kinds of guesses are refused": (await refused({ draft, promptLookup: 4 })).includes("promptLookup"),
    "what is no model is refused": (await refused({ draft: "storyteller" })).includes("draft must be"),
  };
  await draft.unload();
  return { ...seen, "one that was unloaded is refused": (await code(model.generate(PROMPT, { ...greedy, draft }).text())) === "closed" };
}

/** Which of some sentences on beams hold. @param {"cpu" | "webgpu"} device */
export async function beams(device) {
  const engine = await engineOn(device);
  const model = /** @type {TextModel} */ (await engine.load("/fixtures/tiny_llama.gguf"));
  const options = { beams: 4, maxTokens: 12, returned: 4, trace: true };
  const found = await model.beams("a b", options);
  const [alone] = await model.beams("a b", { beams: 1, maxTokens: 12 });
  const greedy = await model.generate("a b", { temperature: 0, maxTokens: 12 }).text();
  const refused = await said(model.beams("a b", { beams: 1e6 }));
  const misnamed = await said(model.beams("a b", /** @type {any} */ ({ num_beams: 2 })));
  const controller = new AbortController();
  controller.abort();
  return {
    "best first": found.length === 4 && found.every((beam, at) => at === 0 || beam.score <= found[at - 1].score),
    "every step is told": found.steps?.length === 12 && found.steps[0].filter(({ beam }) => beam !== undefined).length === 4,
    "more beams find nothing less likely": found[0].score >= alone.score - 1e-4,
    "one beam is greedy": alone.text === greedy,
    "a million beams are refused": refused.includes("beams is 1000000") && misnamed.includes("it is called beams there"),
    "an abort ends it": (await code(model.beams("a b", { ...options, signal: controller.signal }))) === "aborted",
  };
}

/** Which of some sentences on several texts at once hold. @param {"cpu" | "webgpu"} device */
export async function samples(device) {
  const engine = await engineOn(device);
  const model = /** @type {TextModel} */ (await engine.load("storyteller"));
  const options = { temperature: 0.9, seed: 4294967294, maxTokens: 20, stop: "zebra" };
  const stream = model.generate(PROMPT, { ...options, n: 4 });
  /** @type {Chunk[]} */
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const texts = Array.from({ length: 4 }, (_, at) => text(chunks.filter(({ index }) => index === at)));
  /** @type {string[]} */
  const alone = [];
  for (const seed of [4294967294, 4294967295, 0, 1]) alone.push(await model.generate(PROMPT, { ...options, seed }).text());
  const summed = stream.summary?.samples?.reduce((sum, { generatedTokens }) => sum + generatedTokens, 0);
  const choice = ["a red fox", "two blue birds"];
  const held = await model.generate(PROMPT, { n: 2, maxTokens: 40, choice }).texts();
  const early = model.generate(PROMPT, { ...options, n: 4 });
  for await (const { index } of early) if (index === 3) break;
  const controller = new AbortController();
  const aborted = async () => {
    for await (const { index } of model.generate(PROMPT, { ...options, n: 4, signal: controller.signal })) if (index === 2) controller.abort();
  };
  const answer = await engine.chat.completions.create({ model, messages: [{ role: "user", content: "a fox" }], n: 3, max_tokens: 12, seed: 7 }).catch((error) => error.message);
  const tool = { name: "look", description: "Looks.", parameters: { type: "object", properties: {} } };
  return {
    "each is what its seed writes alone": texts.every((each, at) => each === alone[at]) && new Set(texts).size > 1,
    "tokens of all come in turns": chunks.slice(0, 4).map(({ index }) => index).join() === "0,1,2,3",
    "each end is told": stream.summary?.samples?.length === 4 && stream.summary.samples.every(({ finishReason, seed }, at) => finishReason && seed === (4294967294 + at) % 2 ** 32),
    "all are counted": summed === stream.summary?.generatedTokens && (summed ?? 0) > 40,
    "texts come together": (await model.generate(PROMPT, { ...options, n: 4 }).texts()).join("|") === alone.join("|"),
    "each is held to a form": held.length === 2 && held.every((each) => choice.includes(each)),
    "leaving ends all": early.summary?.samples?.length === 4,
    "an abort ends all": (await code(aborted())) === "aborted",
    "the model goes on": (await model.generate(PROMPT, options).text()) === alone[0],
    "one text of several is refused": (await said(model.generate(PROMPT, { ...options, n: 2 }).text())).includes("texts()"),
    "none and a million are refused": (await said(model.generate("a", { n: 0 }).texts())).includes("n is 0") && (await said(model.generate("a", { n: 1e6 }).texts())).includes("n is 1000000"),
    "with tools it is refused": (await said(model.chat([{ role: "user", content: "a" }], { n: 2, tools: [tool] }).texts())).includes("n is 2"),
    "an answer of a conversation is one": (await said(model.conversation().send("a", /** @type {any} */ ({ n: 2 })).text())).includes("Fork it"),
    "an OpenAI-shaped request has its answers": answer?.choices?.length === 3 && answer.usage.completion_tokens > 3 ? true : JSON.stringify(answer),
  };
}

/** Which of some sentences on contrastive search and on strategies side by side hold. @param {"cpu" | "webgpu"} device */
export async function compared(device) {
  const engine = await engineOn(device);
  const model = /** @type {TextModel} */ (await engine.load("storyteller"));
  const maxTokens = 16;
  const contrastive = { alpha: 0.6, k: 4 };
  const alone = {
    greedy: await model.generate(PROMPT, { temperature: 0, maxTokens }).text(),
    beams: (await model.beams(PROMPT, { beams: 3, maxTokens }))[0].text,
    nucleus: await model.generate(PROMPT, { temperature: 0.9, topP: 0.9, seed: 3, maxTokens }).text(),
    contrastive: await model.generate(PROMPT, { contrastive, maxTokens }).text(),
  };
  const ways = [{ temperature: 0, maxTokens }, { beams: 3, maxTokens }, { name: "nucleus", temperature: 0.9, topP: 0.9, seed: 3, maxTokens }, { contrastive, maxTokens }];
  const results = await model.compare(PROMPT, ways).results();
  /** @type {string[]} */
  const streamed = ["", "", "", ""];
  /** @type {number[]} */
  const order = [];
  for await (const { index, text } of model.compare(PROMPT, ways)) {
    streamed[index] += text;
    order.push(index);
  }
  const refused = async (/** @type {any} */ options) => said(model.generate(PROMPT, { contrastive: {}, ...options }).text());
  const early = model.compare(PROMPT, ways);
  for await (const { index } of early) if (index === 0) break;
  const controller = new AbortController();
  controller.abort();
  return {
    "each is what it is alone": results.map(({ name, text }) => `${name}: ${text}`).join("|") === Object.entries(alone).map(([name, text]) => `${name}: ${text}`).join("|"),
    "they differ": new Set(Object.values(alone)).size >= 3,
    "they come one after another": streamed.join("|") === Object.values(alone).join("|") && order.every((index, at) => at === 0 || index >= order[at - 1]),
    "each end is told": results.every(({ finishReason, tokens }) => finishReason === "length" && tokens.length === maxTokens),
    "a temperature is refused": (await refused({ temperature: 0.7 })).includes("temperature does not go with contrastive"),
    "a form and several texts are refused": (await refused({ choice: ["a"] })).includes("choice does not go") && (await refused({ n: 2 })).includes("n does not go"),
    "odd numbers are refused": (await refused({ contrastive: { alpha: 2 } })).includes("contrastive.alpha is 2") && (await refused({ contrastive: { k: 1e6 } })).includes("contrastive.k is 1000000"),
    "its name elsewhere is known": (await said(model.generate(PROMPT, /** @type {any} */ ({ penalty_alpha: 0.6 })).text())).includes("it is called contrastive there"),
    "a strategy that cannot be is refused": (await said(model.compare(PROMPT, /** @type {any} */ ([{ bems: 3 }])).results())).includes('"bems" is no option'),
    "no strategies are refused": (await said(model.compare(PROMPT, []).results())).includes("compare takes an array"),
    "an abort ends it": (await code(model.compare(PROMPT, ways, { signal: controller.signal }).results())) === "aborted",
    "the model goes on": (await model.generate(PROMPT, { temperature: 0, maxTokens }).text()) === alone.greedy,
  };
}

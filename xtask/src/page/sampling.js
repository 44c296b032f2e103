// @ts-check
import { code, engineOn, said } from "./common.js";

/** @import { GenerateOptions, TextModel } from "../../../www/vitrine.js" */

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

// @ts-check
import { engineOn } from "./common.js";

/** @import { DeviceInfo } from "../../../www/vitrine.js" */

/** @typedef {{ done: number, result?: object, error?: string }} Seen What the test outside watches. */

/** @param {() => Promise<object>} work */
function watched(work) {
  const seen = /** @type {Seen} */ ({ done: 0 });
  Object.assign(globalThis, { seen });
  work().then(
    (result) => (seen.result = result),
    (error) => (seen.error = `${error.code}: ${error.message}`),
  );
  return seen;
}

/** An engine on the GPU, and the devices that took its place. */
async function engineThatTells() {
  const { Engine } = await import("/vitrine.js");
  /** @type {DeviceInfo[]} */
  const told = [];
  const engine = await Engine.create({ device: "webgpu", onDeviceLost: (device) => told.push(device) });
  if (engine.device.kind !== "webgpu") throw new Error(`computed by ${JSON.stringify(engine.device)}`);
  return { engine, told };
}

const GREEDY = { temperature: 0, maxTokens: 120 };

/** A story whose GPU is taken away meanwhile; `seen.done` are its tokens. */
export async function tells() {
  const { engine, told } = await engineThatTells();
  const model = await engine.load("storyteller");
  const cpu = await (await engineOn("cpu")).load("storyteller");
  const expected = await cpu.generate("Once upon a time", GREEDY).text();
  const seen = watched(async () => {
    const stream = model.generate("Once upon a time", GREEDY);
    let text = "";
    for await (const chunk of stream) {
      text += chunk.text;
      seen.done += 1;
    }
    // A second one, on whatever is left.
    const again = await model.generate("The end of", { ...GREEDY, maxTokens: 8 }).text();
    const { finishReason, generatedTokens } = stream.summary ?? {};
    return { text, expected, finishReason, generatedTokens, told: told.map(({ kind }) => kind), device: engine.device.kind, info: model.info.device.kind, again };
  });
}

/** A picture whose GPU is taken away meanwhile; `seen.done` are its steps. */
export async function paints() {
  const { engine, told } = await engineThatTells();
  const model = await engine.load("illustrator");
  const wish = { prompt: "a red fox in the snow", steps: 6, seed: 5, preview: true };
  /** @param {() => void} took */
  const painted = async (took) => {
    const stream = model.generate(wish);
    const steps = [];
    let last;
    for await (const step of stream) {
      steps.push(step.step);
      last = step.images[0];
      took();
    }
    const { data } = last ?? new ImageData(1, 1);
    return { steps, data: [...data] };
  };
  const whole = await painted(() => {});
  const seen = watched(async () => {
    const { steps, data } = await painted(() => (seen.done += 1));
    const off = data.reduce((most, value, at) => Math.max(most, Math.abs(value - whole.data[at])), 0);
    return { steps, off, told: told.map(({ kind }) => kind), device: engine.device.kind };
  });
}

/**
 * Texts written otherwise than one token of one text at a time, whose GPU is taken away meanwhile; `seen.done` are the tokens of all. They were written whole
 * before, and are written once more behind it.
 * @param {"several" | "contrastive" | "draft"} which
 */
export async function otherWays(which) {
  const { engine, told } = await engineThatTells();
  const [model, draft] = await Promise.all(["q8_0", "q4_0"].map((type) => engine.load(`/models/storyteller/storyteller-${type}.gguf`)));
  const drawn = { maxTokens: 24, temperature: 0.8, seed: 5 };
  const ways = { several: { ...drawn, n: 4 }, contrastive: { contrastive: { alpha: 0.6, k: 4 }, maxTokens: 24 }, draft: { ...drawn, maxTokens: 60, draft } };
  const written = async (took = () => {}) => {
    const stream = model.generate("Once upon a time", ways[which]);
    /** @type {number[][]} */
    const texts = [];
    for await (const { token, index = 0 } of stream) {
      if (token === undefined) continue;
      (texts[index] ??= []).push(token);
      took();
    }
    return { texts, drafted: stream.summary?.draftedTokens ?? 0 };
  };
  const whole = await written();
  const seen = watched(async () => {
    const broken = await written(() => (seen.done += 1));
    // A draft model is there again, as the model is.
    const again = await written();
    const drafted = [whole, again].map(({ drafted }) => drafted);
    return { whole: whole.texts, broken: broken.texts, again: again.texts, drafted, told: told.map(({ kind }) => kind) };
  });
}

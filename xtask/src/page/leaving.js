// @ts-check
import { code, engineOn } from "./common.js";

export async function words() {
  const engine = await engineOn("cpu");
  const model = await engine.load("storyteller");
  const left = model.generate("Once upon a time", { maxTokens: 400, seed: 5 });
  for await (const chunk of left) if (chunk.text.includes(" ")) break;
  const stats = model.stats;
  const abort = new AbortController();
  const aborted = model.generate("Once upon a time", { maxTokens: 400, seed: 6, signal: abort.signal });
  const aborting = async () => {
    for await (const _ of aborted) abort.abort();
  };
  const ended = await code(aborting());
  await model.next("Once");
  const never = model.generate("Once", { maxTokens: 4 });
  await never.return();
  const whole = model.generate("Once", { maxTokens: 4, seed: 7 });
  await whole.text();
  return { left: left.summary, stats, aborted: aborted.summary, code: ended, never: never.summary ?? null, whole: whole.summary };
}

export async function steps() {
  const engine = await engineOn("cpu");
  const model = await engine.load("illustrator");
  const left = model.generate({ prompt: "a fox, quixotically blue", steps: 50, seed: 5, preview: true });
  let taken = 0;
  for await (const _ of left) if (++taken === 3) break;
  return { left: left.summary ?? null, taken, stats: model.stats };
}

/** Moments at random, the same each time: a generator of Lehmer's. */
function moments() {
  let state = 20261201;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

const PROMPT = "Once upon a time";
const GREEDY = { maxTokens: 60, temperature: 0 };

/** A hundred texts, aborted at any moment: what came of each, whether it is the beginning of the whole one, and whether that comes still. */
export async function aborts() {
  const engine = await engineOn("cpu");
  const model = await engine.load("storyteller");
  const begun = performance.now();
  const whole = await model.generate(PROMPT, GREEDY).text();
  const took = performance.now() - begun;
  const random = moments();
  const codes = new Set();
  let [broken, least, most] = [0, whole.length, 0];
  for (let run = 0; run < 100; run++) {
    const abort = new AbortController();
    setTimeout(() => abort.abort(), random() * took);
    let text = "";
    const stream = model.generate(PROMPT, { ...GREEDY, signal: abort.signal });
    const read = async () => {
      for await (const chunk of stream) text += chunk.text;
    };
    codes.add(await code(read()));
    if (!whole.startsWith(text)) broken += 1;
    [least, most] = [Math.min(least, text.length), Math.max(most, text.length)];
  }
  return { codes: [...codes].toSorted(), broken, least, most, length: whole.length, again: (await model.generate(PROMPT, GREEDY).text()) === whole };
}

/** Bytes of the module's memory behind the first and behind the last of a hundred texts that were left at any moment. */
export async function memory() {
  /** @type {typeof import("../../../www/wasm-face.js")} */
  const glue = await import(/** @type {string} */ ("/pkg/vitrine.js"));
  const { memory } = /** @type {{ memory: WebAssembly.Memory }} */ (await glue.default({ module_or_path: "/pkg/vitrine_bg.wasm" }));
  const engine = await glue.Engine.open("cpu");
  const blob = await (await fetch("/models/storyteller/storyteller-q4_0.gguf")).blob();
  const model = /** @type {import("../../../www/wasm-face.js").Model} */ (await engine.load([{ name: "storyteller.gguf", blob }], { cache: false }, new glue.Cancel(), () => {}));
  const random = moments();
  const sizes = [];
  for (let run = 0; run < 100; run++) {
    const generation = model.generate(PROMPT, GREEDY);
    const tokens = Math.floor(random() * 20);
    for (let token = 0; token < tokens; token++) await generation.next();
    const pending = generation.next();
    generation.cancel();
    await pending.catch(() => {});
    generation.free();
    sizes.push(memory.buffer.byteLength);
  }
  return { early: sizes[9], late: sizes[99] };
}

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

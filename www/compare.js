/** Ways to go on from one beginning, side by side: one after another on the device, which computes the beginning once. */

import { VitrineError } from "./errors.js";
import { check, isRecord, shown } from "./options.js";

/** @import * as Face from "./vitrine.js" */

/** @param {Face.Strategy} way */
const usualName = (way) => ("beams" in way ? "beams" : way.contrastive ? "contrastive" : way.temperature === 0 ? "greedy" : "sampling");

/**
 * The ways as they were meant, each looked at before anything is computed.
 * @param {unknown} given
 */
function strategies(given) {
  if (!Array.isArray(given) || given.length === 0) throw new VitrineError("bad-argument", `compare takes an array of strategies like { name: "greedy", temperature: 0 }, not ${shown(given)}.`);
  return given.map((way) => {
    if (!isRecord(way)) throw new VitrineError("bad-argument", `A strategy is an object of options like { name: "greedy", temperature: 0 }, not ${shown(way)}.`);
    const { name = usualName(/** @type {any} */ (way)), ...options } = way;
    if (typeof name !== "string") throw new VitrineError("bad-argument", `The name of a strategy is a string, not ${shown(name)}.`);
    if ("n" in options || "signal" in options) throw new VitrineError("bad-argument", `A strategy writes one text, and the signal is compare's: leave ${"n" in options ? "n" : "signal"} out of "${name}".`);
    if ("beams" in options) return { name, beams: check("beams", options) };
    return { name, generate: check("generate", options) };
  });
}

/**
 * @param {Pick<Face.TextModel, "generate" | "beams">} model
 * @param {string} prompt
 * @param {unknown} given
 * @param {AbortSignal | undefined} signal
 * @returns {Face.Comparison}
 */
export function comparison(model, prompt, given, signal) {
  /** @type {Face.Compared[]} */
  const results = [];
  async function* run() {
    for (const [index, way] of strategies(given).entries()) {
      const { name } = way;
      if (way.beams) {
        const [{ text, tokens, finishReason }] = await model.beams(prompt, { ...way.beams, signal });
        yield { index, name, text, piece: text, alternatives: [] };
        results.push({ name, text, tokens, finishReason });
        continue;
      }
      const stream = model.generate(prompt, { ...way.generate, signal });
      let text = "";
      /** @type {number[]} */
      const tokens = [];
      for await (const chunk of stream) {
        text += chunk.text;
        if (chunk.token !== undefined) tokens.push(chunk.token);
        yield { ...chunk, index, name };
      }
      results.push({ name, text, tokens, finishReason: stream.summary?.finishReason });
    }
  }
  return Object.assign(run(), {
    /** @this {Face.Comparison} */
    async results() {
      for await (const _ of this);
      return results;
    },
  });
}

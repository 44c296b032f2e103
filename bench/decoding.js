/**
 * How else texts are written, each beside the plain way: the same texts, whatever way. Who measures takes turns (`cargo xtask bench`).
 *
 * @typedef {{ seconds: number, texts: number[][], drafted: number, accepted: number }} Written
 * @typedef {(run: number) => Promise<Written>} Way
 */

const TEXTS = 8;
const TOKENS = 40;
const GUESSES = 8;

const PROMPT = "Once upon a time there was a little fox. One day";
/** Behind itself it goes on as it did before. */
const STORY = "The little fox ran to the sea and saw a boat. The boat was red and had a small white sail. The fox jumped in and went away. ";
/** Nearly all tokens go on with it, and none must come; as benches/engine/text.rs has it. */
export const FORM = { regex: '[^"\\\\]+' };

/** @returns {Promise<Written>} */
async function timed(stream) {
  const start = performance.now();
  const texts = [];
  for await (const { token, index = 0 } of stream) if (token !== undefined) (texts[index] ??= []).push(token);
  const { draftedTokens: drafted, acceptedTokens: accepted } = stream.summary;
  return { seconds: (performance.now() - start) / 1e3, texts, drafted, accepted };
}

/**
 * Pairs of ways by name, the plain one second.
 *
 * @param {object} model
 * @param {object} draft another model of the same tokens, or the same once more
 * @returns {Record<string, [Way, Way]>}
 */
export function waysOf(model, draft) {
  const greedy = (prompt, options) => timed(model.generate(prompt, { maxTokens: TOKENS, temperature: 0, ...options }));
  const drawn = (run, options) => timed(model.generate(PROMPT, { maxTokens: TOKENS, minTokens: TOKENS, temperature: 1, seed: 100 * run, ...options }));
  const apart = async (run) => {
    const all = { seconds: 0, texts: [], drafted: 0, accepted: 0 };
    for (let at = 0; at < TEXTS; at++) {
      const { seconds, texts } = await drawn(run, { seed: 100 * run + at });
      all.seconds += seconds;
      all.texts.push(...texts);
    }
    return all;
  };
  const quoting = (options) => greedy(STORY.repeat(3), { maxTokens: 2 * TOKENS, minTokens: 2 * TOKENS, ...options });
  return {
    batch: [(run) => drawn(run, { n: TEXTS }), apart],
    lookUp: [() => quoting({ promptLookup: GUESSES }), () => quoting({})],
    draft: [() => greedy(PROMPT, { draft }), () => greedy(PROMPT, {})],
    held: [() => greedy(PROMPT, FORM), () => greedy(PROMPT, {})],
  };
}

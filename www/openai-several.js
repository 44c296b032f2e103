/** Several answers of one generation, each as a stream of its own: one step computes a token of all of them. */

/** @import * as Face from "./vitrine.js" */
/** @import { Stream } from "./openai-answer.js" */

/**
 * Chunks of others that come meanwhile wait for their reader. What came of an answer is known once all have ended, so that is when each ends.
 * @param {Face.TextStream} stream of `n` texts
 * @param {number} n
 * @returns {Stream[]}
 */
export function several(stream, n) {
  /** @type {Face.Chunk[][]} */
  const waiting = Array.from({ length: n }, () => []);
  let done = false;
  const next = async () => {
    const step = await stream.next();
    if (step.done) done = true;
    else waiting[step.value.index ?? 0].push(step.value);
  };
  return waiting.map((chunks, at) => ({
    get summary() {
      return stream.summary && { ...stream.summary, ...stream.summary.samples?.[at] };
    },
    async *[Symbol.asyncIterator]() {
      try {
        while (chunks.length > 0 || !done) {
          const chunk = chunks.shift();
          if (chunk) yield chunk;
          else await next();
        }
      } finally {
        if (!done) await stream.return();
      }
    },
  }));
}

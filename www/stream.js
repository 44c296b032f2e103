/**
 * A generation or a painting as an async iterator. The worker may run a little ahead of the reader (`AHEAD` tokens or steps), no further; leaving
 * the loop, aborting, unloading or forgetting the iterator cancels it.
 */

import { VitrineError, aborted } from "./errors.js";

/** @import { Chunk, GenerationSummary, PaintStep, PaintStream, PaintSummary, TextStream } from "./vitrine.js" */

/** Tokens or steps that the worker may make before the reader takes them; worker.js starts with the same credit. */
export const AHEAD = 32;

/**
 * What lives as long as the generation does; the public iterator holds it, never the other way round, so that a forgotten
 * iterator can be collected.
 * @template C what comes, piece by piece
 * @template S what is told at the end
 */
class State {
  /** @type {C[]} */
  chunks = [];
  /** @type {{ resolve: (result: IteratorResult<C, undefined>) => void, reject: (error: VitrineError) => void }[]} */
  waiting = [];
  /** @type {VitrineError | undefined} */
  error;
  /** @type {S | undefined} */
  summary;
  started = false;
  ended = false;
  left = false;
  /** Consumed since the last grant of credit. */
  taken = 0;
  /** @type {() => void} */
  cancel = () => {};
  /** @type {(count: number) => void} */
  credit = () => {};
  /** @type {(() => void)[]} */
  onEnd = [];

  /** @param {C} chunk */
  push(chunk) {
    if (this.left) return;
    const waiter = this.waiting.shift();
    if (waiter) waiter.resolve(this.#take(chunk));
    else this.chunks.push(chunk);
  }

  /** @param {C} value @returns {IteratorResult<C, undefined>} */
  #take(value) {
    this.taken += 1;
    if (this.taken >= AHEAD / 2) {
      this.credit(this.taken);
      this.taken = 0;
    }
    return { done: false, value };
  }

  /** @param {VitrineError} [error] */
  end(error) {
    if (this.ended) return;
    this.ended = true;
    this.error = this.left ? undefined : error;
    for (const waiter of this.waiting.splice(0)) {
      if (this.error) waiter.reject(this.error);
      else waiter.resolve({ done: true, value: undefined });
      this.error = undefined;
    }
    for (const done of this.onEnd.splice(0)) done();
  }

  /** @returns {Promise<IteratorResult<C, undefined>>} */
  next() {
    const chunk = this.chunks.shift();
    if (chunk) return Promise.resolve(this.#take(chunk));
    if (this.ended || this.left) {
      const error = this.error;
      this.error = undefined;
      return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
    }
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }
}

/** @type {FinalizationRegistry<State<any, any>>} */
const forgotten = new FinalizationRegistry((state) => {
  if (!state.ended) state.cancel();
});

/**
 * @template C
 * @template S
 */
class Stream {
  /** @type {State<C, S>} */
  #state = new State();
  #start;

  /** @param {(state: State<C, S>) => void} start sends the call off; it fills in `cancel` and `credit` */
  constructor(start) {
    this.#start = start;
    forgotten.register(this, this.#state);
  }

  get summary() {
    return this.#state.summary;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @returns {Promise<IteratorResult<C, undefined>>} */
  next() {
    if (!this.#state.started) {
      this.#state.started = true;
      this.#start(this.#state);
    }
    return this.#state.next();
  }

  /** @returns {Promise<IteratorResult<C, undefined>>} */
  async return() {
    const state = this.#state;
    state.left = true;
    state.chunks = [];
    for (const waiter of state.waiting.splice(0)) waiter.resolve({ done: true, value: undefined });
    if (state.started && !state.ended) {
      const end = new Promise((resolve) => state.onEnd.push(() => resolve(undefined)));
      state.cancel();
      await end;
    }
    state.started = true;
    state.ended = true;
    return { done: true, value: undefined };
  }
}

/** @extends {Stream<Chunk, GenerationSummary>} @implements {TextStream} */
export class Words extends Stream {
  async text() {
    let text = "";
    for await (const chunk of this) {
      if (chunk.index !== undefined) throw new VitrineError("bad-argument", "There are several texts in this stream, for n is above 1: take texts(), or the index of each chunk.");
      text += chunk.text;
    }
    return text;
  }

  async texts() {
    /** @type {string[]} */
    const texts = [];
    for await (const { index = 0, text } of this) texts[index] = (texts[index] ?? "") + text;
    // One that ended at once has no chunk.
    return Array.from({ length: this.summary?.samples?.length ?? 1 }, (_, at) => texts[at] ?? "");
  }
}

/** @extends {Stream<PaintStep, PaintSummary>} @implements {PaintStream} */
export class Steps extends Stream {
  async picture() {
    /** @type {ImageData | undefined} */
    let picture;
    for await (const step of this) picture = step.image;
    if (!picture) throw new VitrineError("aborted", "The painting was left before it was finished. Paint again.");
    return picture;
  }
}

/**
 * How a worker's call becomes a stream: what its constructor takes.
 * @template C
 * @template S
 * @param {() => { host: import("./host.js").Host, args: object }} prepare may throw: the first `next()` then rejects
 * @param {string} op
 * @param {AbortSignal | undefined} signal
 * @param {(value: any) => void} onDone gets what the worker reports at the end
 * @param {(event: any) => C} shape makes of an event what the reader gets
 * @returns {(state: State<C, S>) => void}
 */
export function streamCall(prepare, op, signal, onDone, shape) {
  return (state) => {
    if (signal?.aborted) return state.end(aborted(signal));
    try {
      const { host, args } = prepare();
      const abort = () => {
        host.abort(id);
        if (!signal) return;
        // The reader hears of it at once, and gets nothing that was made before; the worker ends at its next token.
        state.chunks = [];
        state.end(aborted(signal));
      };
      const settled = () => signal?.removeEventListener("abort", abort);
      const id = host.open(op, args, {
        onEvent: (event) => state.push(shape(event)),
        onEnd: (value) => {
          settled();
          state.summary = value.summary;
          onDone(value);
          state.end();
        },
        onError: (error, left) => {
          settled();
          if (left) {
            state.summary = left.summary;
            onDone(left);
          }
          state.end(error);
        },
      });
      state.cancel = () => host.abort(id);
      state.credit = (count) => host.credit(id, count);
      signal?.addEventListener("abort", abort, { once: true });
    } catch (error) {
      state.end(/** @type {VitrineError} */ (error));
    }
  };
}

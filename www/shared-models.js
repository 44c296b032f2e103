/**
 * The worker's models: one that several callers asked for from the same address is loaded and held once, and each model does
 * one thing at a time, in the order of asking.
 */

/** @import { Progress } from "./vitrine.js" */
/** @typedef {import("./wasm-face.js").Loaded} Held */
/** @typedef {(signal: AbortSignal, progress: (progress: Progress) => void) => Promise<Held>} Load */

/** A model, loaded or on its way, and those who hold it. */
class Entry {
  #abort = new AbortController();
  /** Callers that wait for the load, and their progress. @type {Set<(progress: Progress) => void>} */
  waiting = new Set();
  holders = 0;
  /** The last turn taken. @type {Promise<unknown>} */
  last = Promise.resolve();
  /** @type {Promise<Held>} */
  model;
  /** Where it is loaded once more. @type {Promise<Held> | undefined} */
  renewal;
  #load;

  /** @param {Load} load */
  constructor(load) {
    this.#load = load;
    this.model = this.#begin();
  }

  #begin() {
    return this.#load(this.#abort.signal, (progress) => {
      for (const tell of this.waiting) tell(progress);
    });
  }

  /** The model once more, from where it came, after its device went away. Where that fails it may be tried again. */
  async renew() {
    const renewed = this.#begin();
    const model = await renewed;
    this.model = renewed;
    return model;
  }

  /** Nobody wants it any more. */
  async drop() {
    this.#abort.abort();
    await this.renewal?.catch(() => undefined);
    const model = await this.model.catch(() => undefined);
    await this.last;
    model?.free();
  }
}

export class SharedModels {
  #next = 1;
  /** @type {Map<string, Entry>} */
  #byKey = new Map();
  /** @type {Map<number, { entry: Entry, model: Held, calls: Map<AbortController, Promise<unknown>> }>} */
  #held = new Map();
  #lost;

  /** @param {(model: Held) => Promise<void>} lost is told of each model whose device went away, before it is loaded once more */
  constructor(lost) {
    this.#lost = lost;
  }

  /**
   * @param {string | undefined} key what makes two loads the same; nothing for files, which are never shared
   * @param {Load} load
   * @param {AbortSignal} signal
   * @param {(progress: Progress) => void} progress
   */
  async acquire(key, load, signal, progress) {
    let entry = key === undefined ? undefined : this.#byKey.get(key);
    if (!entry) {
      entry = new Entry(load);
      if (key !== undefined) this.#byKey.set(key, entry);
    }
    const mine = entry;
    mine.waiting.add(progress);
    mine.holders += 1;
    try {
      const model = await unlessAborted(mine.model, signal);
      const handle = this.#next++;
      this.#held.set(handle, { entry: mine, model, calls: new Map() });
      return { handle, model };
    } catch (error) {
      await this.#letGo(mine);
      throw error;
    } finally {
      mine.waiting.delete(progress);
    }
  }

  /** @param {number} handle */
  get(handle) {
    return this.#find(handle).model;
  }

  /** The model of a handle anew, whose device went away. @param {number} handle */
  renewed(handle) {
    return this.#renew(this.#find(handle).entry);
  }

  /** A model anew, for all who hold it; who asks meanwhile waits with the first, who may have left. @param {Entry} entry */
  #renew(entry) {
    entry.renewal ??= this.#replace(entry).finally(() => (entry.renewal = undefined));
    return entry.renewal;
  }

  /** @param {Entry} entry */
  async #replace(entry) {
    const lost = await entry.model;
    await this.#lost(lost);
    const model = await entry.renew();
    for (const held of this.#held.values()) if (held.entry === entry) held.model = model;
    lost.free();
    return model;
  }

  /** Ends what this holder has under way, then frees the model if it was the last one. @param {number} handle */
  async release(handle) {
    const held = this.#held.get(handle);
    if (!held) return;
    this.#held.delete(handle);
    for (const abort of held.calls.keys()) abort.abort({ code: "closed", message: "The model was unloaded. Load it again with engine.load()." });
    await Promise.allSettled(held.calls.values());
    await this.#letGo(held.entry);
  }

  /**
   * Does something with a model when all that were before are done.
   * @template T
   * @param {number} handle
   * @param {AbortSignal} signal
   * @param {(model: Held, signal: AbortSignal, renew: () => Promise<Held>) => Promise<T>} work `renew` gives the model anew where its device went away
   * @returns {Promise<T>}
   */
  async turn(handle, signal, work) {
    const held = this.#find(handle);
    const { entry, calls } = held;
    const abort = new AbortController();
    const forward = () => abort.abort(signal.reason);
    signal.addEventListener("abort", forward, { once: true });
    if (signal.aborted) forward();
    const before = entry.last;
    const turn = (async () => {
      await unlessAborted(before, abort.signal);
      try {
        return await work(held.model, abort.signal, () => unlessAborted(this.#renew(entry), abort.signal));
      } catch (error) {
        // Whatever the cancelled work says, the reason is why it ended.
        throw abort.signal.aborted ? abort.signal.reason : error;
      }
    })();
    entry.last = Promise.allSettled([before, turn]).then(() => {});
    calls.set(abort, turn);
    try {
      return await turn;
    } finally {
      calls.delete(abort);
      signal.removeEventListener("abort", forward);
    }
  }

  /** @param {number} handle */
  #find(handle) {
    const held = this.#held.get(handle);
    if (!held) throw { code: "closed", message: "This model is closed. Load it again with engine.load()." };
    return held;
  }

  /** @param {Entry} entry */
  async #letGo(entry) {
    entry.holders -= 1;
    if (entry.holders > 0) return;
    for (const [key, each] of this.#byKey) if (each === entry) this.#byKey.delete(key);
    await entry.drop();
  }
}

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/**
 * The one worker of a page: opens the engine, keeps its models, answers calls. The messages are described in host.js.
 *
 * Promises: every call is answered once; an abort is heard between any two tokens; models that several callers loaded from one
 * address are held once; a fault of the engine's own is reported as `{ crash }`, after which the page throws this worker away.
 */

import { readCatalog, resolveSource } from "./catalog.js";
import { SharedModels } from "./shared-models.js";

/** @import * as Wasm from "./wasm-face.js" */
/** @typedef {{ code: string, message: string }} Failure */

/** Tokens made before the page takes the first; the page grants more (stream.js). */
const AHEAD = 32;

/** @type {Wasm.Face | undefined} */
let wasm;
let nextHandle = 1;
/** @type {Map<number, { engine: Promise<Wasm.Engine>, kind: string }>} */
const engines = new Map();
/** @type {Map<string, Promise<Wasm.Engine>>} */
const engineOf = new Map();
const models = new SharedModels();
/** @type {Map<number, Wasm.Tokenizer>} */
const tokenizers = new Map();
/** @type {Map<number, { abort: AbortController, credit: number, wake: () => void }>} */
const running = new Map();

/** @type {Record<string, (args: any, call: Call) => Promise<unknown>>} */
const operations = {
  async open({ wasm: address, device }) {
    wasm ??= await start(address);
    const { Engine } = wasm;
    const opened = engineOf.get(device) ?? Engine.open(device);
    engineOf.set(device, opened);
    opened.catch(() => engineOf.delete(device));
    const engine = nextHandle++;
    const info = (await opened).device();
    engines.set(engine, { engine: opened, kind: device });
    return { engine, device: info };
  },

  async close({ engine }) {
    engines.delete(engine);
  },

  async catalog() {
    return (await readCatalog()).models;
  },

  async load({ engine, source, options }, call) {
    const face = started();
    const { key, files, sha256 } = await resolveSource(source);
    const opened = await engineFor(engine);
    const cache = key === undefined ? undefined : JSON.stringify([engines.get(engine)?.kind, key, options]);
    const load = async (/** @type {AbortSignal} */ signal, /** @type {(progress: object) => void} */ progress) => {
      const cancel = new face.Cancel();
      const stop = () => cancel.cancel();
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
      try {
        return await opened.load(files, { ...options, sha256: options.sha256 ?? sha256 }, cancel, progress);
      } finally {
        signal.removeEventListener("abort", stop);
        cancel.free();
      }
    };
    const held = await models.acquire(cache, load, call.signal, (progress) => call.event(progress));
    return { model: held.handle, info: held.model.info(), stats: held.model.stats() };
  },

  async unload({ model }) {
    await models.release(model);
  },

  generate: (args, call) => run(args, call, (model) => model.generate(args.prompt, args.options)),
  chat: (args, call) => run(args, call, (model) => model.chat(args.messages, args.options)),
  tokenize: async ({ model, text, addSpecialTokens }) => models.get(model).tokenize(text, addSpecialTokens),
  detokenize: async ({ model, tokens }) => models.get(model).detokenize(tokens),
  score: ({ model, text }, call) => models.turn(model, call.signal, (held) => held.score(text)),
  next: ({ model, text, k }, call) => models.turn(model, call.signal, (held) => held.next(text, k)),

  async tokenizer({ engine, source, options }, call) {
    const face = started();
    const { files, sha256 } = await resolveSource(source);
    const opened = await engineFor(engine);
    const cancel = new face.Cancel();
    const stop = () => cancel.cancel();
    call.signal.addEventListener("abort", stop, { once: true });
    try {
      const tokenizer = await opened.tokenizer(files, { ...options, sha256 }, cancel);
      const handle = nextHandle++;
      tokenizers.set(handle, tokenizer);
      return { tokenizer: handle, info: tokenizer.info() };
    } finally {
      call.signal.removeEventListener("abort", stop);
      cancel.free();
    }
  },

  encode: async ({ tokenizer, text, addSpecialTokens }) => tokenizerFor(tokenizer).encode(text, addSpecialTokens),
  decode: async ({ tokenizer, tokens, skipSpecialTokens }) => tokenizerFor(tokenizer).decode(tokens, skipSpecialTokens),

  async freeTokenizer({ tokenizer }) {
    tokenizers.get(tokenizer)?.free();
    tokenizers.delete(tokenizer);
  },

  cacheList: () => started().cacheList(),
  cacheDelete: ({ address }) => started().cacheDelete(address),
  async cacheUsage() {
    const entries = await started().cacheList();
    const { usage = 0, quota = 0 } = (await navigator.storage?.estimate?.()) ?? {};
    return { bytes: entries.reduce((sum, entry) => sum + entry.bytes, 0), used: usage, quota };
  },
};

/** One call on its way. */
class Call {
  #id;

  /** @param {number} id @param {AbortSignal} signal */
  constructor(id, signal) {
    this.#id = id;
    this.signal = signal;
  }

  /** @param {unknown} event */
  event(event) {
    postMessage({ id: this.#id, event });
  }

  /** Waits until the page has room for another event, or the signal fires. @param {AbortSignal} signal */
  async credit(signal) {
    const state = running.get(this.#id);
    if (!state) return;
    const wake = () => state.wake();
    signal.addEventListener("abort", wake, { once: true });
    while (state.credit <= 0 && !signal.aborted) await new Promise((resolve) => (state.wake = () => resolve(undefined)));
    signal.removeEventListener("abort", wake);
    state.credit -= 1;
  }
}

/**
 * Runs a generation when its turn comes.
 * @param {{ model: number }} args
 * @param {Call} call
 * @param {(model: Wasm.Model) => Promise<Wasm.Generation>} begin
 */
function run(args, call, begin) {
  return models.turn(args.model, call.signal, async (model, signal) => {
    const generation = await begin(model);
    const stop = () => generation.cancel();
    signal.addEventListener("abort", stop, { once: true });
    try {
      for (;;) {
        await call.credit(signal);
        if (signal.aborted) throw signal.reason;
        const chunk = await generation.next();
        if (chunk === undefined) break;
        call.event(chunk);
        await breathe();
      }
      return { summary: generation.summary(), stats: model.stats() };
    } finally {
      signal.removeEventListener("abort", stop);
      generation.free();
    }
  });
}

/** Lets waiting messages in: a task of its own, since a promise alone would not. */
const breathe = (() => {
  const { port1, port2 } = new MessageChannel();
  /** @type {(() => void)[]} */
  const waiting = [];
  port1.onmessage = () => waiting.shift()?.();
  return () =>
    new Promise((resolve) => {
      waiting.push(() => resolve(undefined));
      port2.postMessage(undefined);
    });
})();

/** @param {string} address @returns {Promise<Wasm.Face>} */
async function start(address) {
  const glue = address.replace(/_bg\.wasm(?=$|[?#])/, ".js");
  try {
    const face = await import(glue);
    await face.default({ module_or_path: address });
    return face;
  } catch (error) {
    throw {
      code: "network",
      message: `Vitrine's engine could not be fetched from ${address}. Check that the folder pkg/ is served beside vitrine.js. (${error})`,
    };
  }
}

/** @returns {Wasm.Face} */
function started() {
  if (!wasm) throw { code: "closed", message: "The engine is not open. Create one with Engine.create()." };
  return wasm;
}

/** @param {number} handle */
function engineFor(handle) {
  const open = engines.get(handle);
  if (!open) throw { code: "closed", message: "This engine is closed. Create another with Engine.create()." };
  return open.engine;
}

/** @param {number} handle */
function tokenizerFor(handle) {
  const tokenizer = tokenizers.get(handle);
  if (!tokenizer) throw { code: "closed", message: "This tokenizer was freed. Load it again with engine.tokenizer()." };
  return tokenizer;
}

/** @param {any} message */
async function answer({ id, op, args }) {
  const abort = new AbortController();
  running.set(id, { abort, credit: AHEAD, wake: () => {} });
  try {
    const value = await operations[op](args, new Call(id, abort.signal));
    postMessage({ id, value });
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) return crash(error);
    postMessage({ id, error: failureOf(error) });
  } finally {
    running.delete(id);
  }
}

/** @param {unknown} error @returns {Failure} */
function failureOf(error) {
  if (typeof error === "object" && error !== null && "code" in error && typeof error.code === "string" && "message" in error) {
    return { code: error.code, message: String(error.message) };
  }
  return { code: "internal", message: `Vitrine met a fault of its own: ${error}. Load the model again.` };
}

/** @param {unknown} error */
function crash(error) {
  const panic = /** @type {{ vitrinePanic?: string }} */ (globalThis).vitrinePanic;
  postMessage({ crash: panic ?? String(error) });
}

self.addEventListener("error", (event) => {
  event.preventDefault();
  crash(event.message);
});
self.addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof WebAssembly.RuntimeError) {
    event.preventDefault();
    crash(event.reason);
  }
});

self.onmessage = ({ data }) => {
  if ("abort" in data) {
    const call = running.get(data.abort);
    call?.abort.abort({ code: "aborted", message: "The call was aborted. Call again to start anew." });
  } else if ("credit" in data) {
    const call = running.get(data.credit);
    if (!call) return;
    call.credit += data.count;
    call.wake();
  } else {
    answer(data);
  }
};

postMessage({ ready: true });

/**
 * The one worker of a page: opens the engine, keeps its models, answers calls. The messages are described in host.js.
 *
 * Promises: every call is answered once; an abort is heard while a model computes (it gives way to messages every few milliseconds); models that several callers loaded from one
 * address are held once; a fault of the engine's own is reported as `{ crash }`, after which the page throws this worker away.
 */

import { catalogEntries, keptOf, placeCatalog, resolveSource } from "./catalog.js";
import { formFor } from "./constraints.js";
import { find } from "./find.js";
import { placeHub } from "./hub.js";
import { noteOpened, openedModels } from "./opened.js";
import * as ownGlue from "./pkg/vitrine.js";
import { watchPolicy, whyNot } from "./reach.js";
import { SharedModels } from "./shared-models.js";

/** @import * as Wasm from "./wasm-face.js" */
/** @import * as Values from "./values.js" */
/** @import { Addresses } from "./addresses.js" */
/** @import { Progress } from "./vitrine.js" */
/** @import { Held } from "./shared-models.js" */
/** @typedef {typeof import("./wasm-face.js")} Face */
/** @typedef {{ code: string, message: string }} Failure */

/** How often one call may lose its device and go on on another: what kills a device each time would go on for ever. */
const MOST_LOSSES = 3;
/** How long to wait before each time that a browser is asked for a device in place of a lost one. */
const PAUSES_MS = [0, 200, 600, 1500];
/** Tokens made before the page takes the first; the page grants more (stream.js). */
const AHEAD = 32;

watchPolicy();

/** @type {Face | undefined} */
let wasm;
/** @type {Promise<Face> | undefined} */
let starting;
/** Where the module lies that holds texts to a form. */
let constraints = "";
let nextHandle = 1;
/** The engines of the page, each a wish for a device, as JSON. @type {Map<number, string>} */
const engines = new Map();
/** One opened engine for each wish. @type {Map<string, Promise<Wasm.Engine>>} */
const opened = new Map();
/** Wishes whose device went away. @type {Set<string>} */
const bereft = new Set();
/** Engines whose device went away. @type {WeakSet<Wasm.Engine>} */
const gone = new WeakSet();
/** The engine that each model computes on. @type {WeakMap<Held, Wasm.Engine>} */
const homes = new WeakMap();
const models = new SharedModels(async (model) => forgetDevice(homes.get(model)));
/** Bytes of weights of a type that an engine reads in a second. @type {WeakMap<Wasm.Engine, Map<string, Promise<number>>>} */
const speeds = new WeakMap();
/** @type {Map<number, Wasm.Tokenizer>} */
const tokenizers = new Map();
/** @type {Map<number, { abort: AbortController, credit: number, wake: () => void }>} */
const running = new Map();

/** @type {Record<string, (args: any, call: Call) => Promise<unknown>>} */
const operations = {
  async open({ addresses, device, as, subgroups }) {
    placeCatalog(addresses);
    placeHub(addresses.hub);
    constraints = addresses.constraints;
    starting ??= start(addresses);
    wasm = await starting.catch((error) => {
      starting = undefined;
      throw error;
    });
    const wish = JSON.stringify([device, as, subgroups]);
    const found = (await openDevice(wish)).device();
    const engine = nextHandle++;
    engines.set(engine, wish);
    return { engine, device: found };
  },

  async close({ engine }) {
    engines.delete(engine);
  },

  catalog: () => catalogEntries(),

  async load({ engine, source, options: { sha256, ...options } }, call) {
    const { key, files, quantization, again } = await resolveSource(source);
    options.quantization ??= quantization;
    if (sha256 !== undefined) {
      if (files.length !== 1 || !("address" in files[0])) {
        throw { code: "bad-argument", message: "sha256 goes with one file at an address. Leave it out for files at hand and for parts." };
      }
      files[0].sha256 = sha256;
    }
    const wish = wishOf(engine);
    const same = key === undefined ? undefined : JSON.stringify([wish, key, sha256, options]);
    const load = (/** @type {AbortSignal} */ signal, /** @type {(progress: Progress) => void} */ progress) =>
      onDevice(wish, async (device) => {
        const speed = speedometer();
        const model = await cancellable(signal, (cancel) => device.load(files, options, cancel, (step) => progress({ ...step, speed: speed(step) })));
        homes.set(model, device);
        return model;
      });
    const held = await models.acquire(same, load, call.signal, (progress) => call.event(progress));
    const addresses = files.flatMap((file) => ("address" in file ? [file.address] : []));
    if (options.cache && again && addresses.length === files.length) await noteOpened(again, held.model.info(), addresses.map(started().cacheKey));
    return { model: held.handle, info: held.model.info(), stats: held.model.stats(), device: homes.get(held.model)?.device() };
  },

  async find({ engine, query, options }, call) {
    const on = await engineFor(engine);
    const known = speeds.get(on) ?? new Map();
    speeds.set(on, known);
    const speed = (/** @type {string} */ type) => {
      // Others may wait for it too, so that no signal of one ends it.
      const measured = known.get(type) ?? cancellable(new AbortController().signal, (cancel) => on.speed(type, cancel));
      known.set(type, measured);
      measured.catch(() => known.delete(type));
      return measured;
    };
    return find(query, options, { engine: on, device: on.device(), speed, signal: call.signal });
  },

  opened: async () => openedModels(await started().cacheList()),

  async unload({ model }) {
    await models.release(model);
  },

  /** A method of a model's that answers at once. */
  call: async ({ model, method, args }) => invoke(models.get(model), method, args),

  /** One that computes, when the model's turn comes. */
  compute: ({ model, method, args }, call) =>
    models.turn(model, call.signal, async (held, signal, renew) => {
      for (let losses = 0; ; losses += 1) {
        try {
          const value = await cancellable(signal, async (cancel) => invoke(held, method, [...args, cancel]));
          return { value, stats: held.stats() };
        } catch (error) {
          if (!isLost(error) || losses === MOST_LOSSES) throw error;
          held = await renew();
        }
      }
    }),

  /** One that begins what comes piece by piece. */
  stream: ({ model, method, args, draft }, call) =>
    run(model, call, async (held) => {
      const form = "pieces" in held ? await formFor(held, args[1], constraints) : undefined;
      if (draft !== undefined) return invoke(held, method, [...args, form, /** @type {Wasm.Model} */ (await present(draft)).asDraft()]);
      return invoke(held, method, form ? [...args, form] : args);
    }),

  async tokenizer({ engine, source, options }, call) {
    const { files } = await resolveSource(source);
    const device = await engineFor(engine);
    const tokenizer = await cancellable(call.signal, (cancel) => device.tokenizer(files, options, cancel));
    const handle = nextHandle++;
    tokenizers.set(handle, tokenizer);
    return { tokenizer: handle, info: tokenizer.info() };
  },

  encode: async ({ tokenizer, text, add, parse }) => tokenizerFor(tokenizer).encode(text, add, parse),
  decode: async ({ tokenizer, tokens, skipSpecialTokens }) => tokenizerFor(tokenizer).decode(tokens, skipSpecialTokens),

  async freeTokenizer({ tokenizer }) {
    tokenizers.get(tokenizer)?.free();
    tokenizers.delete(tokenizer);
  },

  cacheList: () => started().cacheList(),

  /** Everything, addresses exactly as they are kept, or what a source has brought; gives how many files went. */
  async cacheDelete({ address, files, source }) {
    const { cacheList, cacheDelete } = started();
    const kept = (await cacheList()).map((each) => each.address);
    const addresses = source ? await keptOf(source, kept) : (files ?? [address]);
    for (const each of addresses) await cacheDelete(each);
    return kept.length - (await cacheList()).length;
  },

  cacheUsage: () => started().cacheUsage(),
};

/** One call on its way. */
class Call {
  #id;
  /** What it came to before it was left or failed, where something did. @type {{ summary: object, stats: object } | undefined} */
  left;

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
 * @param {Held} model
 * @param {string} method
 * @param {any[]} args
 */
function invoke(model, method, args) {
  return /** @type {any} */ (model)[method](...args);
}

/**
 * Runs a generation or a painting when its turn comes.
 * @param {number} model
 * @param {Call} call
 * @param {(model: Held) => Promise<Wasm.Generation | Wasm.Painting>} begin
 */
function run(model, call, begin) {
  return models.turn(model, call.signal, async (held, signal, renew) => {
    const generation = await begin(held);
    const stop = () => generation.cancel();
    signal.addEventListener("abort", stop, { once: true });
    let losses = 0;
    const next = async () => {
      for (;;) {
        try {
          return await generation.next();
        } catch (error) {
          if (!isLost(error) || losses === MOST_LOSSES) throw error;
          losses += 1;
          held = await renew();
          await generation.moveTo(/** @type {any} */ (held));
        }
      }
    };
    try {
      for (;;) {
        await call.credit(signal);
        if (signal.aborted) throw signal.reason;
        const chunk = await next();
        if (chunk === undefined) break;
        call.event(chunk);
      }
      // A generation that was cancelled while it waited for the device ends like any other; the signal knows why it did.
      if (signal.aborted) throw signal.reason;
      return { summary: generation.summary(), stats: held.stats() };
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) throw error;
      // It hears of its end, and what it came to is told all the same.
      generation.cancel();
      await generation.next().catch(() => {});
      call.left = { summary: generation.summary(), stats: held.stats() };
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
      generation.free();
    }
  });
}

/** @param {Addresses} addresses @returns {Promise<Face>} */
async function start({ glue, wasm: address }) {
  try {
    const face = glue ? await import(/* webpackIgnore: true */ /* @vite-ignore */ glue) : ownGlue;
    await face.default({ module_or_path: address });
    return face;
  } catch (error) {
    const { code, sentence } = await whyNot(address, ["wasm-eval"]);
    const why = code === "there" ? `It needs WebAssembly with SIMD, and a pkg/vitrine.js of the same build. (${error})` : sentence;
    throw { code: "network", message: `Vitrine's engine could not be started from ${address}. ${why}` };
  }
}

/** @returns {Face} */
function started() {
  if (!wasm) throw { code: "closed", message: "The engine is not open. Create one with Engine.create()." };
  return wasm;
}

/** @param {number} handle */
const engineFor = (handle) => openDevice(wishOf(handle));

/** @param {number} handle */
function wishOf(handle) {
  const wish = engines.get(handle);
  if (!wish) throw { code: "closed", message: "This engine is closed. Create another with Engine.create()." };
  return wish;
}

/** The engine on this device: the one that is open, or a new one where there was none or it was lost. @param {string} wish */
function openDevice(wish) {
  const [device, as, subgroups] = JSON.parse(wish);
  const open = opened.get(wish) ?? (bereft.has(wish) ? openAnew(wish) : started().Engine.open(device, as, subgroups));
  opened.set(wish, open);
  open.catch(() => opened.delete(wish));
  return open;
}

/**
 * Another device in place of one that went away: a browser may need a moment for it, and where it gives none the CPU takes over, whatever was wished.
 * @param {string} wish
 */
async function openAnew(wish) {
  const [device, as, subgroups] = JSON.parse(wish);
  const { Engine } = started();
  let found;
  for (const pause of PAUSES_MS) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    found?.free();
    found = await Engine.open(device, as, subgroups).catch(() => undefined);
    if (found?.device().kind === "webgpu") break;
  }
  const engine = found ?? (await Engine.open("cpu", undefined, undefined));
  bereft.delete(wish);
  const whose = [...engines].flatMap(([handle, each]) => (each === wish ? [handle] : []));
  postMessage({ moved: { engines: whose, device: engine.device() } });
  return engine;
}

/** A model that is no call's own: anew where its device went away, which nobody noticed who computed with it. @param {number} handle */
async function present(handle) {
  const model = models.get(handle);
  const home = homes.get(model);
  return home && gone.has(home) ? models.renewed(handle) : model;
}

/** The next that asks for this engine's device opens another. @param {Wasm.Engine | undefined} engine */
async function forgetDevice(engine) {
  if (engine) gone.add(engine);
  for (const [wish, open] of opened) {
    if ((await open.catch(() => undefined)) === engine && opened.get(wish) === open) {
      opened.delete(wish);
      bereft.add(wish);
    }
  }
}

/** @param {unknown} error */
const isLost = (error) => typeof error === "object" && error !== null && "code" in error && error.code === "device-lost";

/**
 * Work on a device, once more on another where it goes away.
 * @template T
 * @param {string} wish
 * @param {(engine: Wasm.Engine) => Promise<T>} work
 */
async function onDevice(wish, work) {
  for (let losses = 0; ; losses += 1) {
    const engine = await openDevice(wish);
    try {
      return await work(engine);
    } catch (error) {
      if (!isLost(error) || losses === MOST_LOSSES) throw error;
      await forgetDevice(engine);
    }
  }
}

/**
 * Work that the signal ends.
 * @template T
 * @param {AbortSignal} signal
 * @param {(cancel: Wasm.Cancel) => Promise<T>} work
 */
async function cancellable(signal, work) {
  const cancel = new (started().Cancel)();
  const stop = () => cancel.cancel();
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await work(cancel);
  } finally {
    signal.removeEventListener("abort", stop);
    cancel.free();
  }
}

/** Bytes a second over the last second of a download. @returns {(step: Values.Step) => number} */
function speedometer() {
  /** @type {[number, number][]} */
  const seen = [];
  return ({ phase, loaded }) => {
    if (phase !== "download") return 0;
    const now = performance.now();
    seen.push([now, loaded]);
    while (seen.length > 2 && now - seen[0][0] > 1000) seen.shift();
    const [since, before] = seen[0];
    return now > since ? (1000 * (loaded - before)) / (now - since) : 0;
  };
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
  const call = new Call(id, abort.signal);
  try {
    const value = await operations[op](args, call);
    postMessage({ id, value });
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) return crash(error);
    const failure = hinted(await explained(failureOf(error)), args.source);
    postMessage({ id, error: failure, left: call.left });
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

/**
 * A failure without an answer, with what the browser keeps from whoever only fetches: that a policy forbids it, that a server lets no other origin read.
 * @param {Failure} failure
 * @returns {Promise<Failure>}
 */
async function explained({ code, message }) {
  const [address] = /\bhttps?:\/\/[^\s;,]+[^\s;,.:]/.exec(message) ?? [];
  if (code !== "network" || !address || /\bHTTP \d/.test(message)) return { code, message };
  const why = await whyNot(address);
  const isNews = ["policy", "closed"].includes(why.code) && !message.includes(why.sentence);
  return { code, message: isNews ? `${message.replace(/\.?$/, ".")} ${why.sentence}` : message };
}

/**
 * `owner/repo` is an address of the page's own site; whoever meant the hub's is told how to write it.
 * @param {Failure} failure
 * @param {{ address?: string } | undefined} source
 * @returns {Failure}
 */
function hinted({ code, message }, source) {
  const [, repository, file] = /^(?:huggingface\.co\/)?([\w-][\w.-]*\/[\w.-]+)(\/.+)?$/.exec(source?.address ?? "") ?? [];
  const isFile = !file && /\.(gguf|safetensors|bin|ckpt|pth?|npz|json)$/i.test(repository ?? "");
  if (!repository || isFile || code !== "network" || !/\bHTTP 404\b|web page/.test(message)) return { code, message };
  return { code, message: `${message.replace(/\.?$/, ".")} If the hub's ${repository} is meant, write hf://${repository}${file ?? ""}.` };
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

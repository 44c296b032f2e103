/**
 * Where the parts of this copy of Vitrine lie. The files are written out as `new URL("./name", import.meta.url)` and the worker as
 * `new Worker(new URL(…))`, for in these forms alone do bundlers see what belongs to a module and carry it along.
 */

import { VitrineError } from "./errors.js";
import { HUB } from "./hub.js";

/** @import { EngineOptions } from "./vitrine.js" */

/**
 * @typedef {{ url: string, type: WorkerType, named?: boolean }} WorkerPlace a bundler may have made a classic script of the module; `named` where the page
 *   said which
 * @typedef {{ worker: WorkerPlace, glue?: string, wasm: string, constraints: string, catalog: string, named: boolean, models: Record<string, string>, hub: string }} Addresses
 *   `glue` where it is not the worker's own; `constraints` the `.wasm` that is loaded when a text is first held to a form; `named` where the page said which catalogue; `models` those of the catalogue that a bundler may have moved, by their names there; `hub` without a slash at the end
 */

/** The models that come along and their worlds, by their names in models/catalog.json. @type {Record<string, () => URL>} */
const MODELS = {
  "storyteller/storyteller-q8_0.gguf": () => new URL("./models/storyteller/storyteller-q8_0.gguf", import.meta.url),
  "storyteller/storyteller-q4_0.gguf": () => new URL("./models/storyteller/storyteller-q4_0.gguf", import.meta.url),
  "illustrator/illustrator-q8_0.gguf": () => new URL("./models/illustrator/illustrator-q8_0.gguf", import.meta.url),
  "faces-vae/faces-vae.safetensors": () => new URL("./models/faces-vae/faces-vae.safetensors", import.meta.url),
  "storyteller/world.json": () => new URL("./models/storyteller/world.json", import.meta.url),
  "illustrator/world.json": () => new URL("./models/illustrator/world.json", import.meta.url),
  "faces-gan/faces-gan.safetensors": () => new URL("./models/faces-gan/faces-gan.safetensors", import.meta.url),
};

/**
 * What an engine's options say, from the page's own address on; what they leave out lies beside the worker that they name, else where this
 * module has it.
 * @param {EngineOptions} options
 * @returns {Addresses}
 */
export function addresses({ worker, glue, wasm, constraints, catalog, hub = HUB }) {
  if (typeof Worker === "undefined") {
    throw new VitrineError("bad-argument", "Vitrine computes in a worker, and there is none here: create the engine in a browser, not on the server.");
  }
  const base = globalThis.document?.baseURI ?? globalThis.location.href;
  const said = {
    glue: glue && at(glue, base, "glue"),
    wasm: wasm && at(wasm, base, "wasm"),
    constraints: constraints && at(constraints, base, "constraints"),
    catalog: catalog && at(catalog, base, "catalog"),
  };
  const own = worker ? besides(at(worker, base, "worker"), said) : asBuilt();
  return {
    worker: own.worker,
    glue: said.glue,
    wasm: said.wasm ?? own.wasm,
    constraints: said.constraints ?? own.constraints,
    catalog: said.catalog ?? own.catalog,
    named: said.catalog !== undefined,
    models: said.catalog ? {} : own.models,
    hub: ofTheWeb(at(hub, base, "hub"), "hub").replace(/\/+$/, ""),
  };
}

/** What lies where in a copy of Vitrine, from its worker on. */
const BESIDE = { wasm: "pkg/vitrine_bg.wasm", constraints: "pkg/constraints_bg.wasm", catalog: "models/catalog.json" };

/**
 * A whole copy of Vitrine, as it came, around a worker. Beside one that is held in memory lies nothing: what is not said is missing.
 * @param {string} worker
 * @param {{ [option in keyof typeof BESIDE]?: string }} said
 * @returns {Omit<Addresses, "named" | "hub">}
 */
function besides(worker, said) {
  const [held] = /^(blob|data):/.exec(worker) ?? [];
  const missing = /** @type {(keyof typeof BESIDE)[]} */ (Object.keys(BESIDE)).find((option) => said[option] === undefined);
  if (held && missing) throw new VitrineError("bad-argument", `worker is a ${held} address, beside which nothing lies: say where ${missing} is, too.`);
  const place = (/** @type {keyof typeof BESIDE} */ option) => said[option] ?? new URL(BESIDE[option], worker).href;
  return { worker: { url: worker, type: "module", named: true }, wasm: place("wasm"), constraints: place("constraints"), catalog: place("catalog"), models: {} };
}

/** @returns {Omit<Addresses, "named" | "hub">} */
function asBuilt() {
  try {
    return {
      worker: ownWorker(),
      wasm: new URL("./pkg/vitrine_bg.wasm", import.meta.url).href,
      constraints: new URL("./pkg/constraints_bg.wasm", import.meta.url).href,
      catalog: new URL("./models/catalog.json", import.meta.url).href,
      models: Object.fromEntries(Object.entries(MODELS).map(([name, url]) => [name, url().href])),
    };
  } catch (cause) {
    const message =
      "This bundle cannot tell where Vitrine's other files are, for it does not know its own address. Bundle to ES modules, or say where they are: Engine.create({ worker: \"…/worker.js\" }).";
    throw new VitrineError("bad-argument", message, { cause });
  }
}

/**
 * The worker is asked for in the one form that bundlers know, and what would have been started is taken down instead: its address stands nowhere
 * else, and one of another origin must be started in another way.
 * @returns {WorkerPlace}
 */
function ownWorker() {
  const browsers = globalThis.Worker;
  /** @type {WorkerPlace[]} */
  const asked = [];
  const note = function (/** @type {string | URL} */ url, /** @type {WorkerOptions} */ { type = "classic" } = {}) {
    asked.push({ url: String(url), type });
  };
  globalThis.Worker = /** @type {any} */ (note);
  try {
    new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  } finally {
    globalThis.Worker = browsers;
  }
  return asked[0];
}

/** @param {string | URL} address @param {string} base @param {string} option */
function at(address, base, option) {
  try {
    return new URL(address, base).href;
  } catch {
    throw new VitrineError("bad-argument", `${option} is no address: ${JSON.stringify(String(address))}. Give one as it would stand in a link of this page.`);
  }
}

/** @param {string} address @param {string} option */
function ofTheWeb(address, option) {
  if (/^https?:/.test(address)) return address;
  throw new VitrineError("bad-argument", `${option} is ${address}, but must be the address of a server: https://….`);
}

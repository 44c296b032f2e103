/**
 * The one engine that the page and all its widgets share, opened when first asked for: one for each device where widgets name several, in
 * the same worker. `?device=` in the address insists on a device, whatever a widget says; `?as=hardware` and `?subgroups=off` change what
 * WebGPU is taken for, so that what one reader saw can be seen by another; `?hub=https://…` asks a mirror of the hub.
 */

import { Engine } from "./vitrine.js";

/** @import { DeviceInfo, EngineOptions } from "./vitrine.js" */

/** @type {Map<string, Promise<import("./vitrine.js").Engine>>} */
const engines = new Map();

/** @type {Set<(device: DeviceInfo) => void>} */
const listeners = new Set();

/** Tells of a device that took the place of one that went away. @param {(device: DeviceInfo) => void} listener */
export function onDeviceLost(listener) {
  listeners.add(listener);
}

/** @type {EngineOptions} */
let further = {};

/** Options of the engines that are opened from now on: where their files lie, for one. @param {EngineOptions} options */
export function setPageOptions(options) {
  further = options;
}

/** @param {"auto" | "cpu" | "webgpu"} [device] that a widget names */
export function pageEngine(device) {
  const asked = { ...further, ...wanted() };
  // What WebGPU is taken for is nothing to a widget that never takes it.
  const options = device === "cpu" && asked.device === undefined ? { ...further, device } : { device, ...asked };
  const key = JSON.stringify(options);
  const engine =
    engines.get(key) ??
    Engine.create({ ...options, onDeviceLost: (other) => listeners.forEach((listener) => listener(other)) }).catch((error) => {
      engines.delete(key);
      throw error;
    });
  engines.set(key, engine);
  return engine;
}

/** The words that an address may hold, and what they mean. */
const WORDS = {
  device: { auto: "auto", cpu: "cpu", webgpu: "webgpu" },
  as: { hardware: "hardware", software: "software" },
  subgroups: { on: true, off: false },
};

/** What the address asks for. A widget's host may mean something of its own by other words. @returns {EngineOptions} */
function wanted() {
  /** @type {Record<string, unknown>} */
  const options = {};
  const hub = new URLSearchParams(globalThis.location?.search).get("hub");
  if (hub && /^https?:\/\//.test(hub)) options.hub = hub;
  for (const [name, word, meanings] of words()) if (Object.hasOwn(meanings, word)) options[name] = meanings[word];
  return options;
}

/** A sentence for each word of the address that means nothing. */
export function unknownWords() {
  return words().flatMap(([name, word, meanings]) =>
    Object.hasOwn(meanings, word) ? [] : [`?${name}=${word} means nothing: it is ${Object.keys(meanings).join(" or ")}.`],
  );
}

/** @returns {[string, string, Record<string, unknown>][]} */
function words() {
  const address = new URLSearchParams(globalThis.location?.search);
  return Object.entries(WORDS).flatMap(([name, meanings]) => address.getAll(name).map((word) => [name, word, meanings]));
}

/** How a widget comes by its model: one of a kind that it can show, or a sentence for a reader. */

import { WidgetError, codeOf, unknownName, wrongKind } from "./faults.js";

/** @import { Engine, LoadOptions, Model, ModelKind, Progress } from "../vitrine.js" */

/** The page's engine. Its modules come when the first widget is near the screen. @param {"auto" | "cpu" | "webgpu" | undefined} device @returns {Promise<Engine>} */
export async function openEngine(device) {
  const { pageEngine } = await import("../engine.js").catch((cause) => {
    throw new WidgetError("network", "What computes the model could not be fetched. Load the page again in a moment.", String(cause), cause);
  });
  return pageEngine(device);
}

/**
 * @template {Model} M
 * @typedef {{
 *   name: string,
 *   device: "auto" | "cpu" | "webgpu" | undefined,
 *   kinds: readonly ModelKind[],
 *   unfit: (info: M["info"]) => string | undefined,
 *   onProgress: (progress: Progress) => void,
 *   signal: AbortSignal,
 *   quantization?: LoadOptions["quantization"],
 * }} Wish `unfit`: why a model of the right kind will not do
 */

/**
 * The model of this name or address. Whoever gets it unloads it; where the signal fires it is unloaded here.
 * @template {Model} M
 * @param {Wish<M>} wish
 * @returns {Promise<M>}
 */
export async function fetchModel(wish) {
  const { name, kinds, unfit, onProgress, signal, quantization } = wish;
  const { loaded: model, catalog } = await known(wish, (engine) => /** @type {Promise<M>} */ (engine.load(name, { signal, onProgress, quantization })));
  try {
    signal.throwIfAborted();
    const { info } = model;
    if (!takes(kinds, info.kind)) throw wrongKind(info.name || name, info.kind, kinds, catalog);
    const fault = unfit(info);
    if (fault !== undefined) throw new WidgetError("bad-argument", fault);
    return model;
  } catch (error) {
    model.unload();
    throw error;
  }
}

/** Its tokenizer alone, which is much less to fetch where it has a file of its own. @param {Wish<any>} wish */
export async function fetchTokenizer(wish) {
  const { name, signal } = wish;
  const { loaded: tokenizer } = await known(wish, (engine) => engine.tokenizer(name, { signal }));
  return { tokenizer, unload: () => tokenizer.free() };
}

/**
 * What the engine loads by this name, and the catalogue where that was asked.
 * @template T
 * @param {Wish<any>} wish
 * @param {(engine: Engine) => Promise<T>} load
 */
async function known({ name, device, kinds, signal }, load) {
  const engine = await openEngine(device);
  const isName = !/[/:]/.test(name);
  const catalog = isName ? await engine.catalog() : [];
  signal.throwIfAborted();
  // What the catalogue knows to be of another kind need not be fetched.
  const entry = catalog.find(({ id }) => id === name);
  if (entry && !takes(kinds, entry.kind)) throw wrongKind(entry.name, entry.kind, kinds, catalog);
  const loaded = await load(engine).catch((error) => {
    throw isName && !entry && codeOf(error) === "bad-argument" ? unknownName(name, kinds, catalog, error) : error;
  });
  return { loaded, catalog };
}

/** @param {readonly ModelKind[]} kinds @param {string} kind */
function takes(kinds, kind) {
  return kinds.some((each) => each === kind);
}

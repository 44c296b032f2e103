/** How a widget comes by its model: one of a kind that it can show, or a sentence for a reader. */

import { pageEngine } from "../engine.js";
import { WidgetError, codeOf, unknownName, wrongKind } from "./faults.js";

/** @import { Model, ModelKind, Progress } from "../vitrine.js" */

/**
 * The model of this name or address. Whoever gets it unloads it; where the signal fires it is unloaded here.
 * @template {Model} M
 * @param {{
 *   name: string,
 *   device: "auto" | "cpu" | "webgpu" | undefined,
 *   kinds: readonly ModelKind[],
 *   unfit: (info: M["info"]) => string | undefined,
 *   onProgress: (progress: Progress) => void,
 *   signal: AbortSignal,
 * }} wish `unfit`: why a model of the right kind will not do
 * @returns {Promise<M>}
 */
export async function fetchModel({ name, device, kinds, unfit, onProgress, signal }) {
  const engine = await pageEngine(device);
  const isName = !/[/:]/.test(name);
  const catalog = isName ? await engine.catalog() : [];
  signal.throwIfAborted();
  // What the catalogue knows to be of another kind need not be fetched.
  const entry = catalog.find(({ id }) => id === name);
  if (entry && !takes(kinds, entry.kind)) throw wrongKind(entry.name, entry.kind, kinds, catalog);
  const loading = /** @type {Promise<M>} */ (engine.load(name, { signal, onProgress }));
  const model = await loading.catch((error) => {
    throw isName && !entry && codeOf(error) === "bad-argument" ? unknownName(name, kinds, catalog, error) : error;
  });
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

/** @param {readonly ModelKind[]} kinds @param {string} kind */
function takes(kinds, kind) {
  return kinds.some((each) => each === kind);
}

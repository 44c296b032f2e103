/**
 * The models that were opened here before, as far as their files are kept. Runs in the worker.
 *
 * What a model is stands beside its files in the browser's storage, a record each in a cache of their own: written whole or not, by several tabs at once.
 */

/** @import { CacheEntry, OpenedModel } from "./vitrine.js" */
/** @typedef {{ kind: OpenedModel["kind"], name?: string, architecture?: string, quantization?: string, parameters?: number, factor?: number, decodes?: boolean }} Known of any kind of model */

const STORE = "vitrine-opened";

/**
 * Takes down that a model was opened. A browser that keeps nothing is no failure of the load.
 * @param {OpenedModel["source"]} source
 * @param {Known} info
 * @param {string[]} files what its files are kept by
 */
export async function noteOpened(source, info, files) {
  const { kind, name = "", architecture = "", quantization = "", parameters = 0, factor, decodes } = info;
  const record = { source, kind, name, architecture, quantization, parameters, factor, decodes, files, openedAt: Date.now() };
  try {
    await (await caches.open(STORE)).put(addressOf(source), new Response(JSON.stringify(record)));
  } catch {
    // Nor is there a list then that it would be missing from.
  }
}

/**
 * Those whose files are all kept, the latest first.
 * @param {CacheEntry[]} kept
 * @returns {Promise<OpenedModel[]>}
 */
export async function openedModels(kept) {
  const sizes = new Map(kept.flatMap(({ address, bytes, complete }) => (complete ? [[address, bytes]] : [])));
  /** @type {OpenedModel[]} */
  const opened = [];
  if (!globalThis.caches || kept.length === 0) return opened;
  const store = await caches.open(STORE);
  for (const request of await store.keys()) {
    const record = await (await store.match(request))?.json();
    const bytes = record.files.reduce((/** @type {number} */ sum, /** @type {string} */ file) => sum + (sizes.get(file) ?? NaN), 0);
    if (bytes > 0) opened.push({ ...record, bytes });
    else await store.delete(request);
  }
  return opened.toSorted((a, b) => b.openedAt - a.openedAt);
}

/** A record is found by an address that leads nowhere. @param {OpenedModel["source"]} source */
function addressOf(source) {
  return `https://vitrine.invalid/${encodeURIComponent(typeof source === "string" ? source : JSON.stringify(source))}`;
}

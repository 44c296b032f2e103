/** The models that come with this copy of Vitrine, and how a source becomes files to read. Runs in the worker. */

import { asFile, placedOnHub } from "./hub.js";
import { whyNot } from "./reach.js";
import { broughtBy, filesAt } from "./sources.js";

/** @import * as Wasm from "./wasm-face.js" */
/** @import { CatalogEntry, OpenedModel } from "./vitrine.js" */
/** @typedef {{ address: string, base?: string } | { blob: Blob, name: string }} OneFile */
/** @typedef {OneFile | { parts: OneFile[] } | { files: [string, OneFile][] }} Source as vitrine.js describes it */

/** @typedef {{ catalog: string, named?: boolean, models: Record<string, string> }} Place where the catalogue lies, and those of its models that lie elsewhere than it says */

/** @type {Place} */
let place;

/** @param {Place} addresses */
export function placeCatalog(addresses) {
  place = addresses;
}

/** @type {Promise<{ models: CatalogEntry[] }> | undefined} */
let catalog;

/** The catalogue; a failure is forgotten, so that the next call tries again. */
function readCatalog() {
  catalog ??= fetchCatalog().catch((error) => {
    catalog = undefined;
    throw error;
  });
  return catalog;
}

/** @returns {Promise<{ models: CatalogEntry[] }>} */
async function fetchCatalog() {
  /** @type {Response | undefined} */
  let response;
  try {
    response = await fetch(place.catalog, { cache: "no-cache" });
  } catch {
    // No answer at all: said below, as a refusal is.
  }
  if (response?.status === 404) {
    // A copy of Vitrine without models of its own is complete: it reads files and addresses.
    if (!place.named) return { models: [] };
    throw noCatalog("it answers 404");
  }
  if (!response?.ok) {
    const { sentence } = await whyNot(place.catalog);
    throw { code: "network", message: `The list of models could not be read from ${place.catalog}. ${sentence || "Try again."} A file of your own opens without it.` };
  }
  const text = await response.text();
  if (text.trim() === "") throw noCatalog("the file is empty");
  if (/^\s*<(!doctype|html)/i.test(text)) throw noCatalog("a web page answers in its place");
  const listed = parsed(text);
  if (!Array.isArray(listed?.models)) throw noCatalog('it holds no { "models": [ … ] }');
  const odd = listed.models.findIndex((/** @type {any} */ entry) => typeof entry?.id !== "string" || typeof entry.file !== "string");
  if (odd >= 0) throw noCatalog(`number ${odd + 1} of its models has no "id" or no "file"`);
  return listed;
}

/** An entry names what is no address. @param {string} id @param {string} file */
function nowhere(id, file) {
  return { code: "bad-argument", message: `The list of models at ${where()} says that "${id}" lies at "${file}", and from there on that is no address. Write https://… or hf://….` };
}

/** @param {string} text @returns {any} nothing where it is no JSON */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Where the catalogue lies, for a sentence: a `data:` address holds all of it. */
function where() {
  return place.catalog.length > 200 ? `${place.catalog.slice(0, 200)}…` : place.catalog;
}

/** What lies where the catalogue should is none. @param {string} why */
function noCatalog(why) {
  const next = place.named ? "Give the address of a list of models as catalog, or leave it out." : "Put models/catalog.json there again.";
  const message = `There is no list of models at ${where()}: ${why}. ${next} A file of your own opens without it.`;
  return { code: place.named ? "bad-argument" : "corrupt-file", message };
}

/** The catalogue's entries, as a page gets them. @returns {Promise<CatalogEntry[]>} */
export async function catalogEntries() {
  const { models } = await readCatalog();
  return models.map((entry) => ({ ...entry, ...besideIt("world", entry.world), ...besideIt("terms", entry.terms) }));
}

/** What an entry names beside its files, as an address. @param {string} key @param {unknown} named @returns {Record<string, string | undefined>} */
function besideIt(key, named) {
  return typeof named === "string" ? { [key]: placed(named) } : {};
}

/** Where a file lies that the catalogue names. @param {string} file */
function placed(file) {
  return place.models[file] ?? tryParse(file, place.catalog)?.href;
}

/**
 * The files of a source, and the key by which two loads of it are the same (none for files at hand).
 * @param {Source} source
 * @returns {Promise<Resolved & { again?: OpenedModel["source"] }>} `quantization` where the catalogue wants one; `again` is what opens it once more,
 *   without a network too: a name of the catalogue or an address where that leads to the files by itself, else all of them
 */
export async function resolveSource(source) {
  const { entry, ...resolved } = await filesOfSource(source);
  const files = resolved.files.map((file) => ("address" in file ? { ...file, address: placedOnHub(file.address) } : file));
  const address = "address" in source && source.address.startsWith("hf://") && /\.gguf$/i.test(source.address) ? source.address : undefined;
  const addresses = files.flatMap((file) => ("address" in file ? [[file.name, file.address]] : []));
  const listed = addresses.length === 1 ? addresses[0][1] : { files: Object.fromEntries(addresses) };
  // What a repository holds only the hub says.
  const named = entry && (files.length === 1 || !entry.file.startsWith("hf://")) ? entry.id : undefined;
  return { ...resolved, files, again: named ?? address ?? listed };
}

/** @typedef {{ key: string | undefined, files: Wasm.SourceFile[], quantization?: string }} Resolved */

/** @param {Source} source @returns {Promise<Resolved & { entry?: CatalogEntry }>} */
async function filesOfSource(source) {
  if ("parts" in source) return bundle(source.parts.map((part, at) => ["name" in part && part.name ? part.name : `part-${at + 1}.gguf`, part]));
  if ("files" in source) return bundle(source.files);
  if ("blob" in source) return { key: undefined, files: [{ name: source.name || "model", blob: source.blob }] };
  const { address, entry } = await addressOf(source);
  // What another has published: a file or a whole repository, stored as the catalogue says unless the caller says otherwise.
  if (!entry || address.startsWith("hf://")) return { ...(await fetched(address, entry)), quantization: entry?.quantization, entry };
  const several = filesOf(entry);
  if (several.length > 1) return { key: several.map((file) => file.address).join(" "), files: several, quantization: entry.quantization, entry };
  return { key: address, files: [{ name: nameOf(address), address, size: entry.bytes, sha256: entry.sha256 }], entry };
}

/**
 * Which of these kept addresses a load of a source has brought.
 * @param {{ address: string, base?: string }} source
 * @param {string[]} kept
 */
export async function keptOf(source, kept) {
  const { address, entry } = await addressOf(source);
  const several = entry ? filesOf(entry).map((file) => file.address) : [];
  return several.length > 1 ? several : broughtBy(address, kept);
}

/** The files of a model of the catalogue that lists several, by their names from the weights' folder on. @param {CatalogEntry} entry */
function filesOf({ id, file, files = [] }) {
  if (files.length < 2) return [];
  const folder = file.slice(0, file.lastIndexOf("/") + 1);
  return files.map(({ path = "", url = path, bytes, sha256 }) => {
    const address = placed(url);
    if (!url || !address) throw nowhere(id, url);
    return { name: url.startsWith(folder) ? url.slice(folder.length) : nameOf(url), address, size: bytes, sha256 };
  });
}

/**
 * What an address or an id of the catalogue leads to.
 * @param {{ address: string, base?: string }} source
 * @returns {Promise<{ address: string, entry?: CatalogEntry }>}
 */
async function addressOf(source) {
  if (!/[/:]/.test(source.address)) {
    const { models } = await readCatalog();
    const entry = models.find(({ id }) => id === source.address);
    if (entry) {
      const address = placed(entry.file);
      if (address) return { address, entry };
      throw nowhere(entry.id, entry.file);
    }
    if (!/\.(gguf|safetensors|bin|ckpt|pth?|npz|json)$/i.test(source.address)) {
      const known = models.map(({ id }) => `"${id}"`).join(", ") || "none";
      throw {
        code: "bad-argument",
        message: `There is no model called "${source.address}" here (known: ${known}). Give one of these, a file, https://…, hf://owner/repo or hf://owner/repo/file.gguf.`,
      };
    }
  }
  return { address: absolute(source) };
}

/**
 * What is at an address: a file, or the files of a folder or a repository.
 * @param {string} address
 * @param {{ bytes?: number, sha256?: string }} [known] of a single file
 */
async function fetched(address, known) {
  const several = await filesAt(address);
  if (several) return bundle(several.map(([name, file]) => [name, { address: file }]));
  return { key: address, files: [{ name: nameOf(address), address, size: known?.bytes, sha256: known?.sha256 }] };
}

/** @param {[string, OneFile][]} named */
function bundle(named) {
  const files = named.map(([name, file]) => ("blob" in file ? { name, blob: file.blob } : { name, address: absolute(file) }));
  const addresses = files.map((file) => ("address" in file ? file.address : undefined));
  return { key: addresses.includes(undefined) ? undefined : addresses.join(" "), files };
}

/** @param {{ address: string, base?: string }} source */
function absolute({ address: given, base }) {
  const address = asFile(given);
  if (address.startsWith("hf://")) return address;
  const url = tryParse(address, base);
  if (!url || !["http:", "https:", "blob:", "data:"].includes(url.protocol)) {
    throw { code: "bad-argument", message: `"${address}" is no address that a model can come from. Write https://… or hf://owner/repo/file.gguf.` };
  }
  return url.href;
}

/** @param {string} address @param {string} [base] */
function tryParse(address, base) {
  try {
    return new URL(address, base);
  } catch {
    return null;
  }
}

/** @param {string} address */
function nameOf(address) {
  // Of the hub's addresses every character is the file's.
  const path = address.startsWith("hf://") ? address : address.split(/[?#]/)[0];
  return path.split("/").pop() || "model";
}

/**
 * The files of a model of several, from the address of one of them: a folder of diffusers by its `model_index.json`, weights in parts by a part or by
 * their index, a repository of the hub by `hf://owner/repo[@revision]`. Runs in the worker.
 */

import { askHub, escaped, fetched, hubAddress, hubPlace, partsOfAddress } from "./hub.js";
import { BESIDE, OLDER, PARTS, TEXTS, filesOfIndex, indexesAmong, modelFiles, partsOf } from "./pipeline.js";

/** How long a server may take to say whether it has a file. */
const PATIENCE_MS = 10_000;

/**
 * The files of a model, by an address that names several or one of several; none where it names one alone.
 * @param {string} address
 * @returns {Promise<[string, string][] | undefined>} names from the folder on, and addresses
 */
export async function filesAt(address) {
  return (await pipelineAt(address)) ?? (await repositoryOf(address)) ?? (await partsAt(address));
}

/**
 * Of the addresses that are kept those which a load of this one brings: what is known by names alone, for nobody is asked.
 * @param {string} address
 * @param {string[]} kept
 * @returns {string[]}
 */
export function broughtBy(address, kept) {
  const { repository, revision, file } = partsOfAddress(address);
  const hub = repository && (!file || file === "model_index.json") ? `${hubPlace()}/${repository}/resolve/${escaped(revision)}/` : undefined;
  if (hub) return kept.filter((each) => each.startsWith(hub));
  const { href } = new URL(fetched(address));
  const [, folder, name = ""] = /^(https?:[^?#]*\/)([^/?#]*)/.exec(href) ?? [];
  const paths = new Set(brought(name));
  const index = /^(.+?)(\.\w+)?\.(safetensors|bin)\.index(\.\w+)?\.json$/.exec(name);
  const isMine = (/** @type {string} */ path) => {
    if (name === "model_index.json") return TEXTS.includes(path) || PARTS.some((part) => path.startsWith(`${part}/`));
    return paths.has(path) || (index !== null && path.startsWith(`${index[1]}`) && path.endsWith(`.${index[3]}`) && partsOf(path).length > 1);
  };
  const mine = kept.filter((each) => folder && each.startsWith(folder) && isMine(each.slice(folder.length).split("?")[0]));
  // As it is kept it lacks what signs it: the store knows it by both.
  return [...new Set([...mine, href])];
}

/** What comes with a file of this name, and lies beside it. @param {string} name */
function brought(name) {
  const parts = partsOf(name);
  return [...parts, ...((parts.length > 1 && !/\.gguf$/i.test(name)) || /\.index(\.\w+)?\.json$/.test(name) ? [...BESIDE, ...OLDER] : [])];
}

/**
 * A folder of diffusers. A server lists no folder, so each spelling of a part's weights is asked for.
 * @param {string} address
 * @returns {Promise<[string, string][] | undefined>}
 */
async function pipelineAt(address) {
  const [, folder, query = ""] = /^(https?:.*\/)model_index\.json(\?[^#]*)?(?:#.*)?$/.exec(address) ?? [];
  if (!folder) return undefined;
  const named = partsIn(await textAt(address));
  const weights = named.map(async (part) => {
    const [stem, older] = part.startsWith("text_encoder") ? ["model", "pytorch_model"] : ["diffusion_pytorch_model", "diffusion_pytorch_model"];
    const ends = [".fp16.safetensors", ".safetensors", ".safetensors.index.fp16.json", ".safetensors.index.json"];
    for (const name of [...ends.map((end) => stem + end), `${older}.fp16.bin`, `${older}.bin`]) {
      const path = `${part}/${name}`;
      if (await exists(folder + path + query)) return path.endsWith(".json") ? filesOfIndex(path, await textAt(folder + path + query)) : [path];
    }
    throw { code: "network", message: `${folder}${part}/ holds no ${stem}.safetensors and no ${older}.bin. Give the address of a folder of diffusers with its weights in it.` };
  });
  const texts = TEXTS.map(async (path) => (path === "model_index.json" || (await exists(folder + path + query)) ? [path] : []));
  const found = await Promise.all([...weights, ...texts]);
  return [...found.flat(), ...named.map((part) => `${part}/config.json`)].map((path) => [path, folder + path + query]);
}

/** The parts that a `model_index.json` names; the second encoder is no other model's than XL's. @param {string} text */
function partsIn(text) {
  try {
    const index = JSON.parse(text);
    return PARTS.filter((part) => part !== "text_encoder_2" || index[part]?.[0]);
  } catch {
    // What is no index is said when it is read.
    return PARTS.filter((part) => part !== "text_encoder_2");
  }
}

/**
 * Weights in parts: GGUF, which need nothing else, or those of `transformers` with what lies beside them.
 * @param {string} address of any part, or of the index
 * @returns {Promise<[string, string][] | undefined>}
 */
async function partsAt(address) {
  const [, folder, name, query = ""] = (address.startsWith("hf://") ? /^(.*\/)([^/]+)$/s : /^([^?#]*\/)([^/?#]+)(\?[^#]*)?/).exec(address) ?? [];
  if (!folder) return undefined;
  const at = (/** @type {string} */ path) => folder + path + query;
  const index = /\.(safetensors|bin)\.index(\.\w+)?\.json$/.test(name);
  // An index has the files' own names, an address is written as addresses are.
  const parts = index ? filesOfIndex(name, await textAt(at(name))) : partsOf(name);
  if (parts.length === 1 && !index) return undefined;
  /** @type {[string, string][]} */
  const files = parts.map((part) => [part, at(index ? encodeURIComponent(part) : part)]);
  if (/\.gguf$/i.test(name)) return files;
  const found = async (/** @type {string[]} */ paths) => (await Promise.all(paths.map(async (path) => ((await exists(at(path))) ? [path] : [])))).flat();
  const beside = await found(BESIDE);
  if (!beside.includes("tokenizer.json")) beside.push(...(await found(OLDER)));
  return [...files, ...beside.map((path) => /** @type {[string, string]} */ ([path, at(path)]))];
}

/**
 * The files of a repository of the hub.
 * @param {string} address
 * @returns {Promise<[string, string][] | undefined>}
 */
async function repositoryOf(address) {
  const { repository, revision, file } = partsOfAddress(address);
  if (!repository || (file && file !== "model_index.json")) return undefined;
  const { siblings } = await askHub(`/api/models/${repository}/revision/${escaped(revision)}`, repository);
  const paths = siblings.map((/** @type {{ rfilename: string }} */ file) => file.rfilename);
  const at = (/** @type {string} */ path) => hubAddress(repository, path, revision);
  const indexed = await Promise.all(indexesAmong(paths).map(async (path) => /** @type {[string, string[]]} */ ([path, filesOfIndex(path, await textAt(at(path)))])));
  return modelFiles(paths, address, new Map(indexed)).map((path) => [path, at(path)]);
}

/** A small text. @param {string} address */
async function textAt(address) {
  const response = await fetch(fetched(address)).catch(() => undefined);
  if (response?.ok && !isPage(response)) return response.text();
  const status = response ? `answers ${response.status}${response.ok ? " with a web page" : ""}` : "does not answer";
  throw { code: "network", message: `${address} ${status}. Check the address and the connection.` };
}

/**
 * Whether a file is there. HEAD is refused, compressed or left without an answer by too many servers: a GET of one byte is not.
 * @param {string} address
 */
async function exists(address) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PATIENCE_MS);
  try {
    const response = await fetch(fetched(address), { headers: { Range: "bytes=0-0" }, signal: abort.signal });
    return response.ok && !isPage(response);
  } catch {
    // A server that lets other sites read its files often does not let them read that one is absent.
    return false;
  } finally {
    clearTimeout(timer);
    // Whoever ignores the range sends the whole.
    abort.abort();
  }
}

/** Servers of applications answer with their page where there is no file. @param {Response} response */
function isPage(response) {
  return /^\s*(text\/html|application\/xhtml)/i.test(response.headers.get("content-type") ?? "");
}

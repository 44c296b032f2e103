/**
 * The files of a model of several, from the address of one of them: a folder of diffusers by its `model_index.json`, weights in parts by a part or by
 * their index, a repository of the hub by `hf://owner/repo[@revision]`. Runs in the worker.
 */

import { askHub, escaped, fetched, hubAddress, hubPlace, partsOfAddress } from "./hub.js";
import { BESIDE, OLDER, PARTS, TEXTS, filesOfIndex, indexesAmong, modelFiles, partsOf } from "./pipeline.js";

/** How long a server may take to say whether it has a file. */
const PATIENCE_MS = 10_000;
/** Between two questions to a server that stumbles. */
const PAUSES_MS = [300, 1000, 2500];
/** Bytes of a file that tell whether it is what its name says. */
const LOOKED_AT = 64;

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
  return [...parts, ...(/\.(safetensors|bin)$|\.index(\.\w+)?\.json$/.test(name) ? [...BESIDE, ...OLDER] : [])];
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
  if (parts.length === 1 && !index && !(await isOfTransformers(name, at))) return undefined;
  /** @type {[string, string][]} */
  const files = parts.map((part) => [part, at(index ? encodeURIComponent(part) : part)]);
  if (/\.gguf$/i.test(name)) return files;
  const found = async (/** @type {string[]} */ paths) => (await Promise.all(paths.map(async (path) => ((await exists(at(path))) ? [path] : [])))).flat();
  const beside = await found(BESIDE);
  if (!beside.includes("tokenizer.json")) beside.push(...(await found(OLDER)));
  return [...files, ...beside.map((path) => /** @type {[string, string]} */ ([path, at(path)]))];
}

/**
 * Whether weights in one file have a `config.json` of transformers beside them, without which they cannot be read.
 * @param {string} name
 * @param {(path: string) => string} at
 */
async function isOfTransformers(name, at) {
  if (!/\.(safetensors|bin)$/.test(name) || !(await exists(at("config.json")))) return false;
  try {
    return "model_type" in JSON.parse(await textAt(at("config.json")));
  } catch {
    return false;
  }
}

/**
 * The files of a repository of the hub.
 * @param {string} address
 * @returns {Promise<[string, string][] | undefined>}
 */
async function repositoryOf(address) {
  const { repository, revision, file } = partsOfAddress(address);
  if (!repository || (file && file !== "model_index.json")) return undefined;
  if (repository.includes(":")) {
    throw { code: "bad-argument", message: `${address} names a quantisation by a colon, which is not read here. Give the repository, or a file of it: hf://${repository.split(":")[0]}/….gguf.` };
  }
  const { siblings } = await askHub(`/api/models/${repository}/revision/${escaped(revision)}`, repository);
  const paths = siblings.map((/** @type {{ rfilename: string }} */ file) => file.rfilename);
  const at = (/** @type {string} */ path) => hubAddress(repository, path, revision);
  const indexed = await Promise.all(indexesAmong(paths).map(async (path) => /** @type {[string, string[]]} */ ([path, filesOfIndex(path, await textAt(at(path)))])));
  return modelFiles(paths, address, new Map(indexed)).map((path) => [path, at(path)]);
}

/** A small text. @param {string} address */
async function textAt(address) {
  let response = await fetch(fetched(address)).catch(() => undefined);
  for (const pause of PAUSES_MS) {
    if (response && !isBusy(response.status)) break;
    await new Promise((resolve) => setTimeout(resolve, pause));
    response = await fetch(fetched(address)).catch(() => undefined);
  }
  if (response?.ok && !isPage(response)) return response.text();
  const status = response ? `answers ${response.status}${response.ok ? " with a web page" : ""}` : "does not answer";
  throw { code: "network", message: `${address} ${status}. Check the address and the connection.` };
}

/**
 * Whether a file is there. HEAD is refused, compressed or left without an answer by too many servers: a GET of a few bytes is not. A server that is busy or stumbles is asked again:
 * that a file is absent is believed where the server says so, for a model without it is another model.
 *
 * Errors: `network` where a server goes on to stumble.
 * @param {string} address
 */
async function exists(address) {
  for (const pause of [...PAUSES_MS, undefined]) {
    const answer = await lookAt(address);
    if (typeof answer === "boolean") return answer;
    if (pause === undefined) throw { code: "network", message: `${address} ${answer}, and whether the model has this file is not known. Try again in a while.` };
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  return false;
}

/** Whether a file is there, or what its server does instead of saying so. @param {string} address @returns {Promise<boolean | string>} */
async function lookAt(address) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PATIENCE_MS);
  try {
    const response = await fetch(fetched(address), { headers: { Range: `bytes=0-${LOOKED_AT - 1}` }, signal: abort.signal });
    if (isBusy(response.status)) return `answers ${response.status}`;
    if (!response.ok || isPage(response)) return false;
    return isWhatItsNameSays(address, await beginningOf(response));
  } catch {
    // A server that lets other sites read its files often does not let them read that one is absent; one that never answers has it no more.
    return false;
  } finally {
    clearTimeout(timer);
    // Whoever ignores the range sends the whole.
    abort.abort();
  }
}

/** Of answers that say nothing of the file. @param {number} status */
const isBusy = (status) => status >= 500 || [408, 425, 429].includes(status);

/** The first bytes of what comes. @param {Response} response */
async function beginningOf(response) {
  const reader = response.body?.getReader();
  const bytes = [];
  while (reader && bytes.length < LOOKED_AT) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes.push(...value.subarray(0, LOOKED_AT));
  }
  return bytes;
}

/** Servers answer with a page or a sentence where there is no file, and call it anything. @param {string} address @param {number[]} bytes its beginning */
function isWhatItsNameSays(address, bytes) {
  if (bytes.length === 0) return true;
  const [, ending] = /\.(\w+)(?:[?#].*)?$/.exec(address) ?? [];
  const text = String.fromCharCode(...bytes).replace(/^\u00ef\u00bb\u00bf/, "").trimStart();
  if (/^<(!doctype|html|\?xml)/i.test(text)) return false;
  // It is there, and what stands in its place is named when it is read.
  if (/^version https:\/\/(git-lfs|hawser)\.github\.com\/spec\//.test(text)) return true;
  if (ending === "json") return /^[[{]/.test(text);
  // The length of a header, and its first brace.
  if (ending === "safetensors") return bytes.length < 9 || bytes[8] === 0x7b;
  return true;
}

/** Servers of applications answer with their page where there is no file. @param {Response} response */
function isPage(response) {
  return /^\s*(text\/html|application\/xhtml)/i.test(response.headers.get("content-type") ?? "");
}

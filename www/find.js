/**
 * What the hub has that runs here. Runs in the worker; asks the hub when it is called and never else.
 *
 * ```text
 * query ── search ──▶ repositories ── names and sizes ──▶ the best file ── its first bytes ──▶ what it is, takes and gives
 * ```
 */

import { askHub, fetched, firstBytes, hubAddress, hubPlace } from "./hub.js";
import { ggufsAmong, modelFiles } from "./pipeline.js";

/** @import * as Wasm from "./wasm-face.js" */
/** @import * as Values from "./values.js" */
/** @import { DeviceInfo, FindOptions, FoundModel, ModelKind } from "./vitrine.js" */
/** @typedef {{ rfilename: string, size?: number, lfs?: { size: number } }} Sibling */
/**
 * What the hub says of a repository.
 * @typedef {{
 *   id: string, siblings?: Sibling[], gated?: boolean | string, tags?: string[], downloads?: number, cardData?: { license?: string, license_name?: string },
 *   gguf?: { total?: number }, safetensors?: { total?: number },
 * }} About
 */
/** @typedef {{ path: string, size: number }} Listed */
/** @typedef {{ files: Listed[], source: string, quantization: string | null, runs: boolean, bytes: number }} Candidate one way to have a repository's model */
/**
 * What computes, and how fast it reads weights of a type.
 * @typedef {{ engine: Wasm.Engine, device: DeviceInfo, speed: (type: string) => Promise<number>, signal: AbortSignal }} Place
 */

/** Repositories that are looked at where nobody says how many, and at one time. */
const USUAL = 8;
const AT_ONCE = 4;
/**
 * What is read of a file at first, and as far as its header goes on: a GGUF's list of weights stands behind its vocabulary, whose length is known when its
 * end is. By so little at a time that of 5 to 10 MB not much more is fetched. The last is the longest header that is read.
 */
const BEGINNINGS = [256 << 10, ...Array.from({ length: 8 }, (_, i) => (i + 1) * (2 << 20))];
const LONGEST_HEADER = BEGINNINGS[BEGINNINGS.length - 1];
/** What WebAssembly can address. */
const WASM_BYTES = 2 ** 32;
/** What browsers say at most of a machine's memory: there may be more. */
const MOST_TOLD = 8 * 2 ** 30;
/** `owner/repo`, as it stands in addresses of the hub as well. */
const REPOSITORY = /^(?:hf:\/\/|https?:\/\/(?:www\.)?(?:huggingface\.co|hf\.co)\/)?([\w-][\w.-]*\/[\w.-]+?)\/?(?:\/(?:tree|blob|resolve)\/.*)?$/;

/** Which of the hub's tags such models have. @type {Record<ModelKind | "any", Record<string, string>[]>} */
const SEARCHES = {
  any: [{ filter: "gguf" }, { filter: "safetensors" }],
  text: [{ filter: "gguf" }, { filter: "safetensors" }],
  encoder: [{ filter: "safetensors", pipeline_tag: "feature-extraction" }, { filter: "safetensors", pipeline_tag: "sentence-similarity" }, { filter: "safetensors", pipeline_tag: "fill-mask" }, { filter: "gguf" }],
  image: [{ filter: "diffusers", pipeline_tag: "text-to-image" }],
  autoencoder: [{ filter: "diffusers" }, { filter: "safetensors", pipeline_tag: "unconditional-image-generation" }],
  generator: [{ filter: "safetensors" }],
}; // prettier-ignore

/**
 * The models of repositories that the words find, those first that run and fit; or that of the one repository that they name.
 * @param {string} query
 * @param {Omit<FindOptions, "signal">} options
 * @param {Place} place
 * @returns {Promise<FoundModel[]>}
 */
export async function find(query, { kind, maxBytes, limit = USUAL }, place) {
  const [, named] = REPOSITORY.exec(query.trim()) ?? [];
  const repositories = named ? [named] : await search(query, kind, limit, place.signal);
  const found = await severalAtOnce(repositories, async (repository) => {
    const about = await described(repository, named !== undefined, place.signal);
    return typeof about === "string" ? unread({ id: repository }, about) : look(about, maxBytes, place);
  });
  const asked = found.flatMap((model) => (model && (!kind || !model.kind || model.kind === kind) ? [model] : []));
  const rank = (/** @type {FoundModel} */ { runs, fits }) => (runs ? (fits === false ? 1 : 0) : 2);
  return asked.toSorted((a, b) => rank(a) - rank(b));
}

/**
 * Names of repositories, the most downloaded of each list in turn.
 * @param {string} query
 * @param {ModelKind | undefined} kind
 * @param {number} limit
 * @param {AbortSignal} signal
 */
async function search(query, kind, limit, signal) {
  const lists = await Promise.all(
    SEARCHES[kind ?? "any"].map((filter) => {
      const asked = new URLSearchParams({ search: query.trim(), ...filter, sort: "downloads", direction: "-1", limit: String(limit) });
      return askHub(`/api/models?${asked}`, `“${query.trim()}”`, signal);
    }),
  );
  const names = lists.map((list) => (Array.isArray(list) ? list.map(({ id }) => String(id)) : []));
  const longest = Math.max(...names.map(({ length }) => length));
  const inTurn = Array.from({ length: longest }, (_, at) => names.flatMap((list) => list.slice(at, at + 1))).flat();
  return [...new Set(inTurn)].slice(0, limit);
}

/**
 * What the hub says of a repository with the sizes of its files; of one among several, why it says nothing.
 * @param {string} repository
 * @param {boolean} alone
 * @param {AbortSignal} signal
 * @returns {Promise<About | string>}
 */
async function described(repository, alone, signal) {
  try {
    return { id: repository, ...(await askHub(`/api/models/${repository}?blobs=true`, repository, signal)) };
  } catch (error) {
    if (alone || !isOfOne(error)) throw error;
    return error.message;
  }
}

/** Whether it is a repository's own failing; else the hub gives nothing of the others either. @param {any} error @returns {error is { message: string }} */
function isOfOne(error) {
  return error?.code !== undefined && error.code !== "aborted" && !/answers (429|5\d\d)|does not answer|is no hub/.test(error.message);
}

/**
 * What a repository has to offer; nothing where all of it is larger than asked for.
 * @param {About} about
 * @param {number | undefined} maxBytes
 * @param {Place} place
 * @returns {Promise<FoundModel | undefined>}
 */
async function look(about, maxBytes, place) {
  const room = roomOf(place.device);
  /** @type {Candidate[]} */
  let candidates;
  try {
    candidates = candidatesOf(about, room, place.engine);
  } catch (error) {
    return unread(about, /** @type {{ message: string }} */ (error).message);
  }
  const small = candidates.filter(({ bytes }) => maxBytes === undefined || bytes <= maxBytes);
  const [best, ...others] = small;
  // What does not run is no reason to pass over what would, were it smaller.
  if (!best || (!best.runs && candidates.some(({ runs }) => runs))) return undefined;
  const file = (/** @type {Candidate} */ { source, quantization, bytes }) => ({ source, quantization, bytes });
  const model = { ...unread(about, ""), ...file(best), files: best.files.map(({ path }) => path), others: others.filter(({ runs }) => runs).map(file) };
  if (about.gated) {
    return { ...model, why: `Its owner wants to know who takes it: log in at ${model.page}, agree there, download ${best.files.length > 1 ? "its files" : best.files[0].path}, and open what came here.` };
  }
  try {
    const outlook = await outlookOf(about.id, best.files, place);
    if (!outlook) return { ...model, why: `${best.files[0].path} does not say in its first ${LONGEST_HEADER} bytes what it is. Download it and open it here.` };
    return { ...model, ...(await told(model, outlook, room, place)) };
  } catch (error) {
    if (!isOfOne(error)) throw error;
    return { ...model, why: error.message };
  }
}

/**
 * What a model is, takes and gives.
 * @param {FoundModel} model
 * @param {Values.Outlook} outlook
 * @param {number | null} room
 * @param {Place} place
 * @returns {Promise<Partial<FoundModel>>}
 */
async function told(model, outlook, room, { device, speed }) {
  const { kind, architecture, weights, caches, stored, storedAs } = outlook;
  // A device that could not be measured computes all the same, or a load says why not.
  const pace = kind === "text" && storedAs ? await speed(storedAs).then((bytes) => bytes / stored, () => null) : null;
  return {
    runs: true,
    why: undefined,
    kind,
    architecture,
    quantization: outlook.quantization ?? model.quantization,
    quantizationBy: outlook.weighed ? "file" : (outlook.quantization ?? model.quantization) ? "name" : null,
    parameters: outlook.parameters ?? model.parameters,
    contextLength: outlook.contextLength ?? null,
    factor: outlook.factor ?? null,
    decodes: outlook.decodes ?? null,
    memory: { weights, caches, room },
    fits: fitting(weights + caches, room, device),
    tokensPerSecond: pace === null ? null : Number(pace.toPrecision(2)),
  };
}

/** What nobody has looked into. @param {About} about @param {string} why @returns {FoundModel} */
function unread({ id, gated, tags = [], downloads = 0, cardData, gguf, safetensors }, why) {
  const license = cardData?.license_name ?? cardData?.license ?? tags.find((tag) => tag.startsWith("license:"))?.slice("license:".length);
  return {
    source: `hf://${id}`,
    repository: id,
    page: `${hubPlace()}/${id}`,
    runs: false,
    why,
    kind: null,
    architecture: null,
    quantization: null,
    quantizationBy: null,
    bytes: null,
    files: [],
    parameters: gguf?.total ?? safetensors?.total ?? null,
    contextLength: null,
    factor: null,
    decodes: null,
    license: typeof license === "string" ? license : null,
    gated: Boolean(gated),
    memory: null,
    fits: null,
    tokensPerSecond: null,
    downloads,
    others: [],
  };
}

/**
 * The ways to have a repository's model, the best first: its GGUFs, else what `hf://owner/repo` would load.
 * @param {About} about
 * @param {number | null} room
 * @param {Wasm.Engine} engine
 * @returns {Candidate[]}
 */
function candidatesOf({ id, siblings = [] }, room, engine) {
  const sizes = new Map(siblings.map(({ rfilename, size, lfs }) => [rfilename, lfs?.size ?? size ?? 0]));
  const paths = [...sizes.keys()];
  const listed = (/** @type {string[]} */ files) => files.map((path) => ({ path, size: sizes.get(path) ?? 0 }));
  const bytesOf = (/** @type {Listed[]} */ files) => files.reduce((sum, { size }) => sum + size, 0);
  const models = ggufsAmong(paths).map((files) => listed(files.toSorted()));
  if (models.length === 0 || paths.includes("model_index.json")) {
    const files = listed(modelFiles(paths, `hf://${id}`));
    return [{ files, source: `hf://${id}`, quantization: null, runs: true, bytes: bytesOf(files) }];
  }
  /** @type {Values.Ranked[]} */
  const ranked = engine.rankFiles(models.map((files) => ({ name: files[0].path, bytes: bytesOf(files) })), room ?? undefined);
  return ranked.map(({ index, quantization, runs }) => {
    const files = models[index];
    return { files, source: hubAddress(id, files[0].path), quantization: quantization ?? null, runs, bytes: bytesOf(files) };
  });
}

/**
 * What files are, by as few bytes of them as say it: nothing where those that are read do not.
 * @param {string} repository
 * @param {Listed[]} files
 * @param {Place} place
 * @returns {Promise<Values.Outlook | undefined>}
 */
async function outlookOf(repository, files, { engine, signal }) {
  const weights = files.filter(({ path }) => !/\.(json|jinja|txt)$/.test(path));
  const inParts = files.some(({ path }) => path === "model_index.json");
  const texts = files.filter(({ path }) => path === (inParts ? "model_index.json" : "config.json"));
  const at = (/** @type {string} */ path) => fetched(hubAddress(repository, path));
  const begun = (/** @type {Listed} */ { path, size }, /** @type {Uint8Array} */ bytes) => ({ name: path, size, bytes });
  const whole = await Promise.all(texts.map(async (file) => begun(file, await firstBytes(at(file.path), file.size || BEGINNINGS[1], signal))));
  if (inParts) return engine.outlook([...whole, ...weights.map((file) => begun(file, new Uint8Array()))]);
  if (!/\.gguf$/i.test(weights[0]?.path ?? "")) {
    const headers = await Promise.all(weights.map(async (file) => begun(file, await header(at(file.path), signal))));
    return engine.outlook([...whole, ...headers]);
  }
  return outlookOfGguf(weights, at, begun, { engine, signal });
}

/**
 * The same of a GGUF, or of its parts: its header is read as far as it goes, and where no more of it is to be had, what was read before says what it can.
 * @param {Listed[]} parts
 * @param {(path: string) => string} at
 * @param {(file: Listed, bytes: Uint8Array) => Wasm.Beginning} begun
 * @param {{ engine: Wasm.Engine, signal: AbortSignal }} place
 */
async function outlookOfGguf([first, ...rest], at, begun, { engine, signal }) {
  /** @type {Values.Outlook | undefined} */
  let outlook;
  /** @type {Uint8Array} */
  let bytes = new Uint8Array();
  // The vocabulary stands in the first alone.
  const others = await Promise.all(rest.map(async (file) => begun(file, await firstBytes(at(file.path), Math.min(BEGINNINGS[0], file.size), signal).catch(() => new Uint8Array()))));
  for (const count of BEGINNINGS) {
    const end = Math.min(count, first.size);
    try {
      bytes = await firstBytes(at(first.path), end, signal, bytes);
    } catch (error) {
      if (outlook && !signal.aborted) return outlook;
      throw error;
    }
    outlook = (await engine.outlook([begun(first, bytes), ...others])) ?? outlook;
    if (outlook?.weighed || bytes.length < end || end === first.size) break;
  }
  return outlook;
}

/** The header of safetensors: its length in eight bytes, then so many. Of other files what is read at first. @param {string} address @param {AbortSignal} signal */
async function header(address, signal) {
  const first = await firstBytes(address, BEGINNINGS[0], signal);
  if (first.length < BEGINNINGS[0]) return first;
  const length = Number(new DataView(first.buffer).getBigUint64(0, true)) + 8;
  return length > first.length && length <= LONGEST_HEADER ? firstBytes(address, length, signal) : first;
}

/** Bytes that a model may take: what WebAssembly can address where the CPU computes, and no more than the machine is said to have. @param {DeviceInfo} device */
function roomOf(device) {
  const { deviceMemory } = /** @type {{ deviceMemory?: number }} */ (/** @type {unknown} */ (navigator));
  const told = deviceMemory ? deviceMemory * 2 ** 30 : null;
  return device.kind === "cpu" ? Math.min(WASM_BYTES, told ?? WASM_BYTES) : told;
}

/** Whether it fits; nothing where nobody says how much room there is. @param {number} taken @param {number | null} room @param {DeviceInfo} device */
function fitting(taken, room, device) {
  if (room === null) return null;
  if (taken <= room) return true;
  return device.kind !== "cpu" && room >= MOST_TOLD ? null : false;
}

/**
 * Does it for each, some at one time, and keeps their order.
 * @template T, R
 * @param {T[]} all
 * @param {(each: T) => Promise<R>} work
 * @returns {Promise<R[]>}
 */
async function severalAtOnce(all, work) {
  /** @type {R[]} */
  const done = [];
  let next = 0;
  const row = async () => {
    while (next < all.length) {
      const at = next++;
      try {
        done[at] = await work(all[at]);
      } catch (error) {
        // Whoever was refused does not go on asking.
        next = all.length;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, row));
  return done;
}

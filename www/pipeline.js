/**
 * Which files of a folder or of a hub's repository are the model: by their names, as `transformers`, `diffusers` and llama.cpp give them. What lies
 * beside them is passed over: copies in other formats and precisions, adapters, projectors, what a training left. `src/weights/members.rs` goes by the
 * same rules where files are given one by one.
 */

/** Parts that paint; safety checkers and the like are left where they are. Stable Diffusion XL alone has the second encoder. */
export const PARTS = ["unet", "text_encoder", "text_encoder_2", "vae"];
export const TEXTS = [
  "model_index.json", "scheduler/scheduler_config.json", "tokenizer/tokenizer.json", "tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/tokenizer_config.json", "tokenizer/special_tokens_map.json",
  "tokenizer_2/tokenizer.json", "tokenizer_2/vocab.json", "tokenizer_2/merges.txt", "tokenizer_2/tokenizer_config.json", "tokenizer_2/special_tokens_map.json",
]; // prettier-ignore
/** What the weights of a model of texts are nothing without, and what more is read where it is there. */
export const BESIDE = [
  "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "chat_template.json",
  // How an encoder's rows become an embedding.
  "modules.json", "1_Pooling/config.json", "sentence_bert_config.json",
]; // prettier-ignore
/** Where a vocabulary was published before there was a `tokenizer.json`, and what is read with it: of no use where there is one. */
export const OLDER = [
  "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "spm.model", "source.spm", "vocab.json", "merges.txt", "vocab.txt",
  "rwkv_vocab_v20230424.txt",
  "special_tokens_map.json", "added_tokens.json",
]; // prettier-ignore

/** PyTorch's own files of weights; what else ends in `.bin` is another's, or what a training left. */
const PYTORCH = /(^|\/)(diffusion_)?pytorch_model[^/]*\.bin$/;
/** Precisions that stand in a name, the one to take first: half precision is enough, and half of the bytes. */
const VARIANTS = ["fp16", undefined, "bf16", "fp32"];
/** `FOLDER/STEM[.VARIANT][-PART-of-PARTS][.VARIANT].FORMAT` */
const WEIGHTS = /^((?:.*\/)?)(.+?)(?:\.(fp16|bf16|fp32))?(?:-(\d+)-of-(\d+))?(?:\.(fp16|bf16|fp32))?\.(safetensors|bin)$/;
/** `FOLDER/STEM[.VARIANT].FORMAT.index[.VARIANT].json` */
const INDEX = /^((?:.*\/)?)(.+?)(?:\.(fp16|bf16|fp32))?\.(safetensors|bin)\.index(?:\.(fp16|bf16|fp32))?\.json$/;
const GGUF = /^(.*?)(?:-(\d+)-of-(\d+))?\.gguf$/i;
/** What changes another model and is none. */
const ADAPTER = /(^|\/)(adapter_model|pytorch_lora_weights)[^/]*\.(safetensors|bin)$/;
/** What is no part of a model, or another spelling of it that is not read where there is a first. */
const STRAY =
  /(^|\/)(adapter_model|pytorch_lora_weights|ggml-adapter|training_args|optimizer|scheduler|scaler|rng_state|random_states|zero_pp_rank|imatrix|openvino|mm_projector|consolidated)[^/]*$|(mmproj|non_ema)[^/]*$/i;

/** @typedef {{ files: string[], missing?: string, witness: string, indexed: boolean, rank: number[] }} Weights one way to have a model's weights: a file, or parts */
/** @typedef {Map<string, string[]>} Indexed what each `*.index.json` names, from where the paths begin */

/**
 * The one model among a repository's files.
 * @param {string[]} paths
 * @param {string} [address] for the words of an error
 * @param {Indexed} [indexed] what those of `indexesAmong` say; the parts' own numbers say the same where they are named as usual
 */
export function modelFiles(paths, address = "this folder", indexed = new Map()) {
  if (paths.includes("model_index.json")) return pipelineFiles(paths, indexed);
  const top = paths.filter((path) => !path.includes("/"));
  const gguf = ggufAmong(paths);
  if (gguf.length === 1 && !weightsIn(top).some((path) => path.endsWith(".safetensors"))) return whole(gguf[0]);
  const families = [...familiesAmong(top, indexed)];
  const usual = families.filter(([family]) => family === "model" || family === "diffusion_pytorch_model");
  const [, weights] = usual[0] ?? (families.length === 1 ? families[0] : []);
  const beside = paths.includes("tokenizer.json") ? BESIDE : [...BESIDE, ...OLDER];
  if (weights) return [...whole(weights), ...paths.filter((path) => beside.includes(path) || /^additional_chat_templates\/[^/]+\.jinja$/.test(path))];
  const several = [...gguf, ...families.map(([, weights]) => weights)];
  const choice = several.slice(0, 6).map(({ files }) => `${address.replace(/\/$/, "")}/${files[0]}`).join(", "); // prettier-ignore
  if (choice) throw { code: "bad-argument", message: `${address} holds several models. Choose one: ${choice}.` };
  const adapter = paths.find((path) => ADAPTER.test(path));
  if (adapter) {
    throw {
      code: "unsupported-model",
      message: `${address} holds an adapter (${adapter}), which changes another model. Merge it into that model (with PEFT: merge_and_unload()) and load what is saved then.`,
    };
  }
  throw { code: "bad-argument", message: `${address} holds no GGUF, no safetensors and no weights of PyTorch's. Choose another repository.` };
}

/**
 * The files of a folder of diffusers among all that lie in it.
 * @param {string[]} paths from the folder on
 * @param {Indexed} [indexed]
 */
export function pipelineFiles(paths, indexed = new Map()) {
  const parts = PARTS.flatMap((part) => {
    const own = paths.filter((path) => path.startsWith(`${part}/`));
    const families = [...familiesAmong(own, indexed)];
    const [, weights] = families.find(([family]) => /^(.*\/)?(model|diffusion_pytorch_model)$/.test(family)) ?? families[0] ?? [];
    return [...(weights ? whole(weights) : []), ...own.filter((path) => path === `${part}/config.json`)];
  });
  return [...TEXTS.filter((path) => paths.includes(path)), ...parts];
}

/** The indexes that say which files are the model, to be read for `modelFiles`. @param {string[]} paths */
export function indexesAmong(paths) {
  const folders = paths.includes("model_index.json") ? PARTS.map((part) => `${part}/`) : [""];
  return paths.filter((path) => folders.includes(INDEX.exec(path)?.[1] ?? "none"));
}

/**
 * What an index names, from where its own path begins.
 * @param {string} path of the index
 * @param {string} text what it holds
 */
export function filesOfIndex(path, text) {
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  try {
    const names = Object.values(JSON.parse(text).weight_map);
    if (names.length > 0 && names.every((name) => typeof name === "string")) return [...new Set(names)].map((name) => folder + name);
  } catch {
    // Said below, as of an index that names nothing.
  }
  throw { code: "corrupt-file", message: `${path} does not say in which file each weight lies. Fetch it again, or leave it out.` };
}

/**
 * All parts of a file's model, by the name or the address of one of them.
 * @param {string} name
 * @returns {string[]} the name alone where it is not one of several
 */
export function partsOf(name) {
  const [, start, digits, middle, count, end] = /^(.*-)(\d+)(-of-(\d+))((?:\.\w+)+)$/s.exec(name) ?? [];
  // More parts than anyone makes are a name that only looks so.
  if (!digits || Number(count) < 1 || Number(count) > 1000) return [name];
  return Array.from({ length: Number(count) }, (_, at) => `${start}${String(at + 1).padStart(digits.length, "0")}${middle}${end}`);
}

/** Files of weights that may be the model. @param {string[]} paths */
function weightsIn(paths) {
  const all = paths.filter((path) => path.endsWith(".safetensors") || PYTORCH.test(path));
  const own = all.filter((path) => !STRAY.test(path));
  return own.length > 0 ? own : all.filter((path) => !ADAPTER.test(path));
}

/**
 * The weights of each model among files, the best way to have them. The two spellings of `transformers` are one.
 * @param {string[]} paths
 * @param {Indexed} indexed
 * @returns {Map<string, Weights>}
 */
function familiesAmong(paths, indexed) {
  /** @type {Map<string, Map<string, Weights>>} */
  const families = new Map();
  /** @param {string} folder @param {string} stem @param {string} key */
  const at = (folder, stem, key) => {
    const family = folder + (stem === "pytorch_model" ? "model" : stem);
    const ways = families.get(family) ?? new Map();
    families.set(family, ways);
    return { ways, way: ways.get(key) };
  };
  for (const path of weightsIn(paths)) {
    const [, folder, stem, early, , count, late, format] = WEIGHTS.exec(path) ?? [];
    const variant = early ?? late;
    const key = [format, variant, count].join();
    const { ways, way } = at(folder, stem, key);
    if (way) way.files.push(path);
    else ways.set(key, { files: [path], witness: path, indexed: false, rank: rank(format, variant, count ? 2 : 1) });
  }
  for (const ways of families.values()) for (const way of ways.values()) way.missing = gap(way.files);
  for (const path of paths) {
    const [, folder, stem, early, format, late] = INDEX.exec(path) ?? [];
    if (!format) continue;
    const variant = early ?? late;
    const own = rank(format, variant, 0);
    const { ways } = at(folder, stem, "");
    // Without its text the parts of its name tell the same.
    const numbered = [...ways.values()].find((way) => way.rank[2] === 2 && way.rank[0] === own[0] && way.rank[1] === own[1]);
    const named = indexed.get(path) ?? (numbered ? partsOf(numbered.files[0]) : []);
    const files = named.filter((file) => paths.includes(file));
    // One that speaks of nothing that is there was left behind by another layout of the same weights.
    if (files.length > 0 || (named.length > 0 && ways.size === 0)) ways.set(path, { files, missing: named.find((file) => !paths.includes(file)), witness: path, indexed: true, rank: own });
  }
  return new Map([...families].flatMap(([family, ways]) => (ways.size > 0 ? [[family, best([...ways.values()])]] : [])));
}

/** @param {string} format @param {string | undefined} variant @param {number} layout */
function rank(format, variant, layout) {
  return [format === "safetensors" ? 0 : 1, VARIANTS.indexOf(variant), layout];
}

/** What an index names comes before other copies, though it be not whole: then what is missing is said. @param {Weights[]} ways */
function best(ways) {
  const sorted = ways.toSorted((a, b) => a.rank[0] - b.rank[0] || a.rank[1] - b.rank[1] || a.rank[2] - b.rank[2]);
  return sorted.find((way) => way.indexed || !way.missing) ?? sorted[0];
}

/** The GGUFs among a repository's files, each with all of its parts; those that lack one are passed over. @param {string[]} paths @returns {string[][]} */
export function ggufsAmong(paths) {
  return ggufAmong(paths).flatMap(({ files, missing }) => (missing ? [] : [files]));
}

/** @param {string[]} paths @returns {Weights[]} */
function ggufAmong(paths) {
  /** @type {Map<string, Weights>} */
  const models = new Map();
  for (const path of paths.filter((path) => GGUF.test(path) && !STRAY.test(path))) {
    const [, stem, , count] = GGUF.exec(path) ?? [];
    const model = models.get(`${stem} ${count}`) ?? { files: [], witness: path, indexed: false, rank: [] };
    model.files.push(path);
    models.set(`${stem} ${count}`, model);
  }
  for (const model of models.values()) model.missing = gap(model.files);
  return [...models.values()];
}

/** The first part that is not among its kin. @param {string[]} files */
function gap(files) {
  const there = new Set(files);
  return partsOf(files[0]).find((part) => !there.has(part));
}

/** @param {Weights} weights */
function whole({ files, missing, witness }) {
  if (missing) throw { code: "bad-argument", message: `${missing} is missing: ${witness} speaks of it. Give all parts of the model.` };
  return files;
}

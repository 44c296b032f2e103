/**
 * Models of many files: which of a folder or of a hub's repository are the model. A folder at an address is named by its `model_index.json`, a
 * repository by `hf://owner/repo`.
 */

/** Parts that paint; safety checkers and the like are left where they are. */
const PARTS = ["unet", "text_encoder", "vae"];
const TEXTS = [
  "model_index.json", "scheduler/scheduler_config.json", "tokenizer/tokenizer.json", "tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/tokenizer_config.json", "tokenizer/special_tokens_map.json",
]; // prettier-ignore

/** PyTorch's own files of weights; what else ends in `.bin` is another's, or what a training left. */
const PYTORCH = /(^|\/)(diffusion_)?pytorch_model[^/]*\.bin$/;

/**
 * The weights among the files of a model or of one part of it: safetensors, or PyTorch's own files where there are none; of their variants the
 * half-precision one.
 * @param {string[]} paths
 */
function weightsAmong(paths) {
  const all = paths.filter((path) => !path.includes("non_ema"));
  const safetensors = all.filter((path) => path.endsWith(".safetensors"));
  const weights = safetensors.length > 0 ? safetensors : all.filter((path) => PYTORCH.test(path));
  const half = weights.filter((path) => path.includes(".fp16."));
  return half.length > 0 ? half : weights;
}

/**
 * The model's files among those of its folder.
 * @param {string[]} paths from the folder on
 */
export function pipelineFiles(paths) {
  const parts = PARTS.flatMap((part) => {
    const own = paths.filter((path) => path.startsWith(`${part}/`));
    return [...weightsAmong(own), ...own.filter((path) => path === `${part}/config.json`)];
  });
  return [...TEXTS.filter((path) => paths.includes(path)), ...parts];
}

/**
 * The files of a folder of diffusers at an address, by its `model_index.json`; none where the address is another file's. A server lists no folder, so each
 * variant of a part's weights is asked for.
 * @param {string} address
 * @returns {Promise<[string, string][] | undefined>} names from the folder on, and addresses
 */
export async function folderOf(address) {
  const [, folder] = /^(https?:.*\/)model_index\.json(?:[?#].*)?$/.exec(address) ?? [];
  if (!folder) return undefined;
  const variants = PARTS.map(async (part) => {
    const [stem, older] = part === "text_encoder" ? ["model", "pytorch_model"] : ["diffusion_pytorch_model", "diffusion_pytorch_model"];
    const names = [`${stem}.fp16.safetensors`, `${stem}.safetensors`, `${older}.fp16.bin`, `${older}.bin`].map((name) => `${part}/${name}`);
    for (const name of names) if (await exists(folder + name)) return name;
    throw { code: "network", message: `${folder}${part}/ holds no ${stem}.safetensors and no ${older}.bin. Give the address of a folder of diffusers with its weights in it.` };
  });
  const texts = TEXTS.map(async (path) => (path === "model_index.json" || (await exists(folder + path)) ? [path] : []));
  const paths = [...(await Promise.all(variants)), ...(await Promise.all(texts)).flat(), ...PARTS.map((part) => `${part}/config.json`)];
  return paths.map((path) => [path, folder + path]);
}

/** @param {string} address */
async function exists(address) {
  try {
    return (await fetch(address, { method: "HEAD" })).ok;
  } catch {
    return false;
  }
}

/**
 * The files of a repository of the hub; none where the address names a file.
 * @param {string} address
 * @returns {Promise<[string, string][] | undefined>}
 */
export async function repositoryOf(address) {
  const [, repository, revision = "main"] = /^hf:\/\/([^/@]+\/[^/@]+)(?:@([^/]+))?\/?$/.exec(address) ?? [];
  if (!repository) return undefined;
  const asked = `https://huggingface.co/api/models/${repository}/revision/${revision}`;
  const response = await fetch(asked).catch(() => undefined);
  if (!response?.ok) {
    const status = response ? `answers ${response.status}` : "does not answer";
    throw { code: "network", message: `The hub ${status} for ${repository}. Check the name and the connection; a repository behind a login cannot be read.` };
  }
  const { siblings } = await response.json();
  const paths = siblings.map((/** @type {{ rfilename: string }} */ file) => file.rfilename);
  return modelFiles(paths, address).map((path) => [path, `hf://${repository}@${revision}/${path}`]);
}

/**
 * The one model among a repository's files.
 * @param {string[]} paths
 * @param {string} address for the words of an error
 */
export function modelFiles(paths, address) {
  if (paths.includes("model_index.json")) return pipelineFiles(paths);
  const top = paths.filter((path) => !path.includes("/"));
  const weights = weightsAmong(top);
  const gguf = paths.filter((path) => path.endsWith(".gguf"));
  if (gguf.length === 1 && weights.every((path) => PYTORCH.test(path))) return gguf;
  if (weights.length > 0) return [...weights, ...top.filter((path) => /^(tokenizer|tokenizer_config|config)\.json$/.test(path))];
  const choice = gguf.slice(0, 6).map((path) => `${address.replace(/\/$/, "")}/${path}`).join(", ");
  throw {
    code: "bad-argument",
    message: choice ? `${address} holds several models. Choose one: ${choice}.` : `${address} holds no GGUF, no safetensors and no weights of PyTorch's. Choose another repository.`,
  };
}

/**
 * Models of many files: which of a folder or of a hub's repository are the model. A folder at an address is named by its `model_index.json`, a
 * repository by `hf://owner/repo`.
 */

/** Parts that paint; safety checkers and the like are left where they are. */
const PARTS = ["unet", "text_encoder", "vae"];
const TEXTS = [
  "model_index.json", "scheduler/scheduler_config.json", "tokenizer/tokenizer.json", "tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/tokenizer_config.json", "tokenizer/special_tokens_map.json",
]; // prettier-ignore

/**
 * The model's files among those of its folder: of the variants of a part's weights the half-precision one, and safetensors alone.
 * @param {string[]} paths from the folder on
 */
export function pipelineFiles(paths) {
  const weights = PARTS.flatMap((part) => {
    const own = paths.filter((path) => path.startsWith(`${part}/`) && path.endsWith(".safetensors") && !path.includes("non_ema"));
    const half = own.filter((path) => path.includes(".fp16."));
    const whole = own.filter((path) => !path.includes(".fp16."));
    return [...(half.length > 0 ? half : whole), ...paths.filter((path) => path === `${part}/config.json`)];
  });
  return [...TEXTS.filter((path) => paths.includes(path)), ...weights];
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
  const stems = { unet: "diffusion_pytorch_model", text_encoder: "model", vae: "diffusion_pytorch_model" };
  const variants = Object.entries(stems).map(async ([part, stem]) => {
    const names = [`${part}/${stem}.fp16.safetensors`, `${part}/${stem}.safetensors`];
    for (const name of names) if (await exists(folder + name)) return name;
    throw { code: "network", message: `${folder}${part}/ holds no ${stem}.safetensors. Give the address of a folder of diffusers with safetensors in it.` };
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
  const safetensors = top.filter((path) => path.endsWith(".safetensors"));
  if (safetensors.length > 0) return [...safetensors, ...top.filter((path) => /^(tokenizer|tokenizer_config|config)\.json$/.test(path))];
  const gguf = paths.filter((path) => path.endsWith(".gguf"));
  if (gguf.length === 1) return gguf;
  const choice = gguf.slice(0, 6).map((path) => `${address.replace(/\/$/, "")}/${path}`).join(", ");
  throw {
    code: "bad-argument",
    message: choice ? `${address} holds several models. Choose one: ${choice}.` : `${address} holds no GGUF and no safetensors. Choose another repository.`,
  };
}

// @ts-check
import { blob, engineOn, said } from "../common.js";

/** @typedef {import("/vitrine.js").Engine} Engine */
/** @typedef {import("/vitrine.js").Source} Source */

/** What a model writes on from a prompt at temperature 0. @param {Engine} engine @param {Source} source @param {string} prompt */
async function greedy(engine, source, prompt) {
  const model = await engine.load(source);
  return model.generate(prompt, { temperature: 0 }).text();
}

/** The files of a folder by their names. @param {string} folder @param {string[]} names */
async function take(folder, names) {
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await blob(folder + name)])));
}

export async function parts() {
  const { modelFiles } = await import("/pipeline.js");
  const engine = await engineOn("cpu");
  const folder = "/cases/08-gguf-in-parts/";
  const names = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
  const files = await take(folder, [...names, "expected.txt"]);
  const [first, second] = names.map((name) => files[name]);
  const texts = [];
  for (const source of [folder + names[0], `${folder}${names[1]}?download=1`, { files }, { parts: [second, first] }]) {
    texts.push(await greedy(engine, source, "\n"));
  }
  const chosen = modelFiles([...names, "README.md"], "hf://o/r");
  return { texts, chosen, alone: await said(engine.load(new File([first], names[0]))) };
}

export async function strays() {
  const { modelFiles } = await import("/pipeline.js");
  const engine = await engineOn("cpu");
  const folder = "/cases/09-stray-weights/";
  const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  const weights = ["adapter_model.safetensors", "config.json", ...shards, "model.safetensors", "model.safetensors.index.json"];
  const paths = [...weights, "tokenizer.json", "tokenizer_config.json"];
  const chosen = modelFiles(["README.md", ...paths], "hf://o/r");
  const all = await take(folder, paths);
  const texts = [];
  const sources = [
    await take(folder, chosen),
    { ...all, "README.md": new Blob(["# A model"]) },
    `${folder}model.safetensors.index.json`,
    folder + shards[0],
  ];
  for (const source of sources) texts.push(await greedy(engine, source, "h"));
  const { [shards[1]]: _, ...rest } = all;
  const listed = async () => modelFiles(["README.md", ...paths.filter((path) => path !== shards[1])], "hf://o/r");
  const adapter = { "adapter_model.safetensors": all["adapter_model.safetensors"], "config.json": all["config.json"] };
  return {
    texts,
    chosen,
    missing: [await said(engine.load(rest)), await said(listed())],
    adapter: await said(engine.load(adapter)),
  };
}

export async function pointer() {
  const engine = await engineOn("cpu");
  const address = "/cases/28-lfs-pointer/model.gguf";
  const refused = [await said(engine.load(address)), await said(engine.load(new File([await blob(address)], "model.gguf")))];
  return { said: refused, kept: await engine.cache.list() };
}

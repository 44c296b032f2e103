// @ts-check
import { code, engineOn, said } from "./common.js";

/** An engine on the CPU whose hub is this one. @param {string} hub */
async function onHub(hub) {
  const { Engine } = await import("/vitrine.js");
  return Engine.create({ device: "cpu", hub });
}

/** Whether a number is one and above 0. @param {number | null | undefined} value */
const some = (value) => typeof value === "number" && value > 0;

/** What the hub has for some words, each repository in few of them. @param {string} hub */
export async function results(hub) {
  const engine = await onHub(hub);
  const found = await engine.find("house", { limit: 20 });
  const told = found.map(({ repository, runs, kind, architecture, quantization, bytes, source, license, gated, fits }) => {
    return { repository, runs, kind, architecture, quantization, bytes, source, license, gated, fits };
  });
  const one = (/** @type {string} */ name) => found.find(({ repository }) => repository === `house/${name}`);
  const { memory, tokensPerSecond, others, files, parameters, contextLength } = one("large-GGUF") ?? {};
  const seen = {
    told,
    large: { others: others?.map(({ source, quantization }) => `${quantization} ${source}`), files, parameters, contextLength },
    memory: [some(memory?.weights), some(memory?.caches), some(memory?.room)],
    speed: some(tokensPerSecond),
    whys: Object.fromEntries(found.flatMap(({ repository, why }) => (why ? [[repository, why]] : []))),
  };
  await engine.close();
  return seen;
}

/** What is known of each, and whether by its own list of weights. @param {string} hub */
export async function weighed(hub) {
  const engine = await onHub(hub);
  const repositories = ["house/large-GGUF", "house/liar-GGUF", "house/qwen"];
  const known = async (/** @type {string} */ repository) => {
    const [{ quantization, quantizationBy, parameters, memory }] = await engine.find(repository);
    return [repository, [quantization, quantizationBy, parameters, some(memory?.weights)]];
  };
  const seen = Object.fromEntries(await Promise.all(repositories.map(known)));
  await engine.close();
  return seen;
}

/** Which repositories each wish finds, and by which quantisation. @param {string} hub */
export async function wishes(hub) {
  const engine = await onHub(hub);
  /** @param {string} query @param {import("/vitrine.js").FindOptions} [options] */
  const names = async (query, options) => (await engine.find(query, options)).map(({ repository, quantization }) => `${repository.split("/")[1]} ${quantization}`);
  const seen = {
    few: await names("house", { limit: 2 }),
    small: await names("large", { maxBytes: 600e6 }),
    none: await names("house/tiny-GGUF", { maxBytes: 1000 }),
    encoders: await names("house", { kind: "encoder" }),
    painters: await names("house", { kind: "image" }),
    address: await names("https://huggingface.co/house/qwen/tree/main"),
  };
  await engine.close();
  return seen;
}

/** How each of these fails. @param {{ hub: string, site: string }} args */
export async function failures({ hub, site }) {
  const engine = await onHub(hub);
  const dead = await onHub("http://127.0.0.1:1");
  const none = await onHub(`${site}/fault/html`);
  const abort = new AbortController();
  const slow = code(engine.find("slow", { signal: abort.signal }));
  setTimeout(() => abort.abort(), 300);
  const seen = {
    missing: await said(engine.find("house/nothing")),
    busy: await said(engine.find("busy")),
    silent: await said(dead.find("tiny")),
    page: await said(none.find("tiny")),
    aborted: await slow,
    again: (await engine.find("house/tiny-GGUF")).length,
    empty: await said(engine.find("  ")),
    limit: await said(engine.find("tiny", { limit: 99 })),
    gated: await said(engine.load("hf://house/gated-GGUF/gated-Q8_0.gguf")),
    repository: await said(engine.load("hf://house/nothing")),
  };
  for (const each of [engine, dead, none]) await each.close();
  return seen;
}

/** Loads what was found: a GGUF and a repository of safetensors; lists what was opened, and forgets it. @param {string} hub */
export async function opening(hub) {
  const engine = await onHub(hub);
  /** @type {string[]} */
  const texts = [];
  for (const repository of ["house/tiny-GGUF", "house/qwen"]) {
    const [{ source }] = await engine.find(repository);
    const model = await engine.load(source);
    texts.push(`${model.info.architecture} ${(await model.generate("a", { maxTokens: 3, temperature: 0 }).text()).length > 0}`);
    await model.unload();
  }
  const unkept = await engine.load("/fixtures/tiny_gpt2.gguf", { cache: false });
  await unkept.unload();
  const opened = await engine.opened();
  const list = opened.map(({ source, architecture, bytes, files }) => [typeof source === "string" ? source : Object.keys(source.files).toSorted(), architecture, bytes, files.length]);
  // Without the hub's word, by what was noted alone.
  const alone = await engineOn("cpu");
  const again = await alone.load(opened[0].source);
  const from = again.info.architecture;
  await alone.close();
  const gone = await engine.cache.delete(opened[1]);
  const left = (await engine.opened()).map(({ architecture }) => architecture);
  await engine.cache.delete();
  const seen = { texts, list, from, gone, left, end: (await engine.opened()).length };
  await engine.close();
  return seen;
}

/** What lies in the lists of the page. @param {string} list */
export function listed(list) {
  return [...document.querySelectorAll(`${list} > li`)].map((each) => each.textContent.replace(/\s+/g, " "));
}

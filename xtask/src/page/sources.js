// @ts-check
import { bytes, code, drop, element, engineOn, said } from "./common.js";

/** @typedef {import("./common.js").Device} Device */
/** @typedef {import("/vitrine.js").Engine} Engine */
/** @typedef {import("/vitrine.js").Source} Source */
/** @typedef {import("/vitrine.js").TextModel} TextModel */

/** @param {TextModel} model */
const writes = (model) => model.generate("", { maxTokens: 6, temperature: 0 }).text();

/** @param {string} file */
export async function badAddresses(file) {
  const engine = await engineOn("cpu");
  /** @type {Record<string, string>} */
  const codes = {};
  for (const path of ["status/404/model.gguf", "status/500/model.gguf", "html/model.gguf", `cut${file}`]) {
    codes[path.split("/")[0] + path.split("/")[1]] = await code(engine.load(`/fault/${path}`));
  }
  codes.nobody = await code(engine.load("http://127.0.0.1:9/model.gguf"));
  codes.scheme = await code(engine.load("ftp://example.org/model.gguf"));
  codes.after = await code(engine.load(file));
  return codes;
}

/** @param {string} file */
export async function oddServers(file) {
  const engine = await engineOn("cpu");
  const texts = [];
  for (const way of ["", "/fault/redirect", "/fault/no-range"]) texts.push(await writes(await engine.load(way + file)));
  return texts;
}

/** @param {string} file */
export async function stalled(file) {
  const engine = await engineOn("cpu");
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 1500);
  const stalled = await code(engine.load(`/fault/stall${file}`, { signal: abort.signal }));
  return { stalled, after: await writes(await engine.load(file)) };
}

/** @param {{ device: Device, file: string }} args */
export async function abortLoad({ device, file }) {
  const engine = await engineOn(device);
  const codes = [];
  for (let round = 0; round < 3; round++) {
    const { signal, onProgress } = aborting();
    codes.push(await code(engine.load(`/fault/slow${file}`, { signal, cache: false, onProgress })));
  }
  const model = await engine.load(file);
  const alone = model.stats.deviceBytes;
  return { codes, text: await writes(model), alone };
}

/** Ends a load after a third of its bytes. */
function aborting() {
  const abort = new AbortController();
  const onProgress = (/** @type {import("/vitrine.js").Progress} */ { loaded, total }) => {
    if (loaded > total / 3) abort.abort();
  };
  return { signal: abort.signal, onProgress };
}

/** @param {string} file */
export async function twoLoads(file) {
  const engine = await engineOn("cpu");
  const [{ id }] = await engine.catalog();
  const [one, other, same] = await Promise.all([engine.load(id), engine.load(file), engine.load(file)]);
  const texts = await Promise.all([writes(one), writes(other), writes(same)]);
  await other.unload();
  return { texts, still: await writes(same) };
}

/** Bytes of no meaning behind a first one, always the same. @param {number} first */
function noise(first) {
  let state = 1;
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24;
  return Uint8Array.from({ length: 5000 }, (_, at) => (at ? next() : first));
}

/** Files that are wrong in one way each. @param {{ device: Device, file: string }} args */
export async function damage({ device, file }) {
  const engine = await engineOn(device);
  const whole = new Uint8Array(await bytes(file));
  const changed = (/** @type {(view: DataView, copy: Uint8Array) => void} */ change) => {
    const copy = whole.slice();
    change(new DataView(copy.buffer), copy);
    return copy;
  };
  const architecture = new TextDecoder("latin1").decode(whole).indexOf("llama");
  const bad = {
    empty: new Uint8Array(0),
    short: whole.slice(0, 20),
    half: whole.slice(0, whole.length >> 1),
    magic: changed((view) => view.setUint32(0, 0x12345678)),
    version: changed((view) => view.setUint32(4, 99, true)),
    tensors: changed((view) => view.setBigUint64(8, 1n << 60n, true)),
    metadata: changed((view) => view.setBigUint64(16, 1n << 60n, true)),
    architecture: changed((_, copy) => copy.set(new TextEncoder().encode("zzzzz"), architecture)),
    noise: noise(0x00),
    textual: noise(0x7b),
  };
  /** @type {Record<string, string>} */
  const codes = {};
  for (const [name, file] of Object.entries(bad)) codes[name] = await code(engine.load(file));
  codes.after = await code(engine.load(whole));
  return codes;
}

/** @param {string} file */
export async function bytesAndBlobs(file) {
  const engine = await engineOn("cpu");
  const buffer = await bytes(file);
  /** @type {Source[]} */
  const sources = [
    file,
    new URL(file, location.href),
    buffer,
    new Uint8Array(buffer),
    new Blob([buffer]),
    new File([buffer], "some.gguf"),
    { "model.gguf": new Blob([buffer]) },
  ];
  const texts = [];
  for (const source of sources) texts.push(await writes(await engine.load(source)));
  return texts;
}

/** Where the bytes of a load came from. @param {Engine} engine @param {string} file */
async function origins(engine, file) {
  /** @type {Set<string>} */
  const seen = new Set();
  const model = await engine.load(file, { onProgress: ({ from }) => seen.add(from) });
  const { architecture } = model.info;
  await model.unload();
  return { architecture, from: [...seen] };
}

/** @param {string} file */
export async function cache(file) {
  const engine = await engineOn("cpu");
  const from = async () => (await origins(engine, file)).from;
  const [first, second] = [await from(), await from()];
  const list = await engine.cache.list();
  await engine.cache.delete();
  return { first, second, kept: list.map(({ address }) => address), left: (await engine.cache.list()).length, third: await from() };
}

/** @param {string} file */
export async function forgotten(file) {
  const engine = await engineOn("cpu");
  const load = async (/** @type {string} */ source) => (await engine.load(source)).unload();
  const count = async () => (await engine.cache.list()).length;
  await load(file);
  const refused = new Set();
  const nothings = [5, true, null, undefined, ["x"], {}, { address: 5 }, Symbol.iterator, () => 1, "no-such-model", "ftp://x.org/a.gguf"];
  for (const which of nothings) refused.add(await code(engine.cache.delete(/** @type {string} */ (which))));
  const counts = [await count(), await engine.cache.delete("/no/such.gguf")];
  const names = [() => file, () => new URL(`${file}#x`, location.href), async () => (await engine.cache.list())[0]];
  for (const which of names) {
    await load(file);
    counts.push(await engine.cache.delete(await which()));
  }
  await load("faces-gan");
  counts.push(await engine.cache.delete("faces-gan"));
  const folder = "/fixtures/tiny_sd/model_index.json";
  await load(file);
  const before = await count();
  await load(folder);
  const all = await count();
  const gone = await engine.cache.delete(folder);
  const left = await count();
  return { refused: [...refused], counts, folder: all - before === gone && gone > 5, left, everything: await engine.cache.delete() };
}

/** Which of some addresses each of others brought. */
export async function brought() {
  const { broughtBy } = await import("/sources.js");
  const hub = "https://huggingface.co/o/r/resolve/";
  const kept = [
    `${hub}main/a.gguf`,
    `${hub}main/unet/b.bin`,
    `${hub}refs%2Fpr%2F1/a.gguf`,
    "https://x.org/m-00001-of-00002.safetensors",
    "https://x.org/m-00002-of-00002.safetensors",
    "https://x.org/m.safetensors.index.json",
    "https://x.org/config.json",
    "https://x.org/n-00001-of-00002.safetensors",
    "https://x.org/d/m-00001-of-00002.safetensors",
  ];
  const addresses = [
    "hf://o/r",
    "hf://o/r@refs/pr/1",
    "hf://o/r/a.gguf",
    "https://x.org/m-00002-of-00002.safetensors",
    "https://x.org/m.safetensors.index.json",
  ];
  return addresses.map((address) => broughtBy(address, kept).map((each) => kept.indexOf(each)).sort().join());
}

/** @param {string} address */
export async function chosen(address) {
  const engine = await engineOn("cpu");
  const named = async (/** @type {string} */ name, path = "") => {
    const file = new File([await bytes(`/fixtures/tiny_qwen3/${name}`)], name);
    Object.defineProperty(file, "webkitRelativePath", { value: path && path + name });
    return file;
  };
  const folder = async (path = "") => Promise.all(["config.json", "model.safetensors", "tokenizer.json"].map((name) => named(name, path)));
  const list = (/** @type {File[]} */ files) => {
    const transfer = new DataTransfer();
    for (const file of files) transfer.items.add(file);
    return transfer.files;
  };
  const gguf = new File([await bytes(address)], "my.gguf");
  const texts = [];
  for (const source of [list(await folder()), await folder(), await folder("a/b/"), { files: list(await folder()) }, list([gguf]), [gguf]]) {
    const model = await engine.load(source);
    texts.push(model.info.architecture);
    await model.unload();
  }
  // @ts-expect-error a blob has no name
  const unnamed = await said(engine.load([gguf, new Blob([])]));
  return { texts, refused: [await said(engine.load(list([]))), await said(engine.load([gguf, gguf])), unnamed] };
}

/** @param {string[]} catalogs */
export async function noCatalogue(catalogs) {
  const { Engine } = await import("/vitrine.js");
  const seen = [];
  for (const catalog of catalogs) {
    const engine = await Engine.create({ device: "cpu", catalog });
    const { error } = await (await engine.openai.fetch("http://vitrine/v1/models")).json();
    seen.push([await said(engine.catalog()), await said(engine.load("storyteller")), `${error?.code}: ${error?.message}`]);
    await engine.close();
  }
  const catalog = 'data:application/json,{"models":[{"id":"mine","file":"a.gguf"}]}';
  const engine = await Engine.create({ device: "cpu", catalog });
  return { seen, nowhere: await said(engine.load("mine")) };
}

/** @param {string} folder */
export async function severalFiles(folder) {
  const { Engine } = await import("/vitrine.js");
  const names = ["model.safetensors", "config.json", "tokenizer.json"];
  const digest = async (/** @type {string} */ address) =>
    [...new Uint8Array(await crypto.subtle.digest("SHA-256", await bytes(address)))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  /** @type {{ url: string, bytes: number, sha256: string }[]} */
  const files = [];
  for (const name of names) {
    const url = new URL(`${folder}/${name}`, location.href).href;
    files.push({ url, bytes: (await bytes(url)).byteLength, sha256: await digest(url) });
  }
  const entry = (/** @type {string} */ id, /** @type {object[]} */ files) => ({ id, file: `${location.origin}${folder}/model.safetensors`, files, terms: `${location.origin}/terms.html` });
  const damaged = files.map((file, at) => (at === 2 ? { ...file, sha256: "ab".repeat(32) } : file));
  // Parts of a pipeline have files of one name.
  const parts = ["text_encoder/config.json", "text_encoder/model.safetensors", "tokenizer/merges.txt", "tokenizer/vocab.json", "scheduler/scheduler_config.json"];
  const halves = ["unet", "vae"].flatMap((part) => [`${part}/config.json`, `${part}/diffusion_pytorch_model.safetensors`]);
  const index = `${location.origin}/fixtures/pipeline/model_index.json`;
  const pipeline = { id: "pipeline", file: index, files: ["model_index.json", ...parts, ...halves].map((name) => ({ url: new URL(name, index).href })) };
  const models = [entry("mine", files), entry("wrong", damaged), entry("nowhere", [{ path: "a" }, { path: "b" }]), pipeline];
  const engine = await Engine.create({ device: "cpu", catalog: `data:application/json,${encodeURIComponent(JSON.stringify({ models }))}` });
  const [{ terms }] = await engine.catalog();
  const wrong = await code(engine.load("wrong"));
  await engine.cache.delete();
  const model = await engine.load("mine", { kind: "text" });
  const { architecture } = model.info;
  const plain = await engine.load({ files: Object.fromEntries(names.map((name, at) => [name, files[at].url])) });
  const same = (await writes(model)) === (await writes(/** @type {TextModel} */ (plain)));
  const kept = (await engine.cache.list()).length;
  const gone = await engine.cache.delete("mine");
  const left = (await engine.cache.list()).length;
  const { kind } = (await engine.load("pipeline", { kind: "image" })).info;
  return { architecture, same, kept, gone, left, wrong, kind, terms: new URL(terms ?? "").pathname, nowhere: await code(engine.load("nowhere")) };
}

/** @param {string[]} addresses */
export async function ownerAndRepository(addresses) {
  const engine = await engineOn("cpu");
  const seen = [];
  for (const address of addresses) seen.push(await said(engine.load(address)));
  seen.push(await said(engine.tokenizer(addresses[0])));
  return seen;
}

/** @param {string} file */
export async function checksum(file) {
  const engine = await engineOn("cpu");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await bytes(file)));
  const right = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return {
    wrong: await code(engine.load(file, { sha256: "ab".repeat(32) })),
    right: await code(engine.load(file, { sha256: right })),
  };
}

export async function listings() {
  const { modelFiles } = await import("/pipeline.js");
  const choose = (/** @type {string[]} */ paths, /** @type {Map<string, string[]>} */ index) => {
    try {
      return { files: modelFiles(paths, "hf://o/r", index) };
    } catch (error) {
      const { code, message } = /** @type {import("/vitrine.js").VitrineError} */ (error);
      return { code, message };
    }
  };
  /** @type {{ of: string, paths: string[], index?: Record<string, string[]>, files?: string[], refused: string[] }[]} */
  const listings = await (await fetch("/fixtures/listings.json")).json();
  const wrong = [];
  for (const { of, paths, index = {}, files, refused } of listings) {
    const indexes = [new Map(Object.entries(index))];
    const parts = Object.values(index).flat();
    // Where parts are numbered as usual, their names alone tell what the index says.
    if (parts.every((path) => (!files || paths.includes(path)) && /-of-/.test(path))) indexes.push(new Map());
    for (const each of indexes) {
      const chosen = choose(paths, each);
      const right = files
        ? JSON.stringify(chosen.files) === JSON.stringify(files)
        : chosen.code && refused.every((words) => chosen.message.includes(words));
      if (!right) wrong.push([of, chosen]);
    }
  }
  return { count: listings.length, wrong };
}

/** Name and address. @param {import("../../../www/wasm-face.js").SourceFile[]} files */
const described = (files) => files.map((file) => `${file.name} ${"address" in file && file.address}`);

/** What the hub is asked for, played here, and which files an address of it names. @param {string[]} addresses */
export async function hub(addresses) {
  const { resolveSource } = await import("/catalog.js");
  const network = fetch;
  const shards = ["my shard #1.safetensors", "100%.safetensors"];
  const paths = ["README.md", "config.json", "model.safetensors", "model.safetensors.index.json", "tokenizer.json", ...shards];
  const map = { a: shards[0], b: shards[1], c: shards[0] };
  const seen = [];
  for (const address of addresses) {
    /** @type {string[]} */
    const asked = [];
    globalThis.fetch = async (input, options) => {
      const address = String(input);
      if (!address.startsWith("https://huggingface.co/")) return network(input, options);
      asked.push((new Headers(options?.headers).get("Range") ?? "") + address);
      if (address.endsWith(".index.json")) return new Response(JSON.stringify({ weight_map: map }));
      if (address.includes("/resolve/")) {
        return new Response("", { status: /tokenizer_config|template|generation/.test(address) ? 404 : 206 });
      }
      return new Response(JSON.stringify({ siblings: paths.map((rfilename) => ({ rfilename })) }));
    };
    const { files } = await resolveSource({ address });
    seen.push({ asked: asked.slice(0, 2), files: described(files) });
  }
  globalThis.fetch = network;
  return seen;
}

/** The files of each address. @param {string[]} addresses */
export async function addresses(addresses) {
  const { resolveSource } = await import("/catalog.js");
  const seen = addresses.map(async (address) => [address, described((await resolveSource({ address })).files)]);
  return Object.fromEntries(await Promise.all(seen));
}

export async function folders() {
  const engine = await engineOn("cpu");
  /** @type {Record<string, string>} */
  const kinds = {};
  for (const way of ["spa", "head/405", "head/hang", "no-range"]) {
    const begun = performance.now();
    /** @type {import("/vitrine.js").Model} */
    const model = await engine.load(`/fault/${way}/fixtures/tiny_sd/model_index.json`, { cache: false });
    kinds[way] = model.info.kind + (performance.now() - begun > 20000 ? ", late" : "");
    await model.unload();
  }
  return {
    kinds,
    absent: await code(engine.load("/fault/spa/fixtures/nothing/model_index.json")),
    page: await code(engine.load("/fault/spa/nothing.gguf")),
  };
}

/** @param {string} file */
export async function noHead(file) {
  const engine = await engineOn("cpu");
  /** @type {Record<string, { from: string, late: boolean }[]>} */
  const seen = {};
  for (const way of ["405", "403", "501", "gzip", "hang"]) {
    const load = async () => {
      const begun = performance.now();
      const { from } = await origins(engine, `/fault/head/${way}${file}`);
      return { from: from.join(), late: performance.now() - begun > 3000 };
    };
    seen[way] = [await load(), await load()];
  }
  return seen;
}

/** What a folder of diffusers is taken for where its server stumbles. */
export async function stumbles() {
  const engine = await engineOn("cpu");
  const taken = async (/** @type {string} */ way) => {
    const model = /** @type {import("/vitrine.js").ImageModel} */ (await engine.load(`${way}/fixtures/pipeline/model_index.json`, { cache: false }));
    const { scheduler, parameters } = model.info;
    await model.unload();
    return [scheduler, parameters];
  };
  return {
    plain: await taken(""),
    again: await taken("/fault/stumble/scheduler_config.json"),
    vague: await taken("/fault/vague"),
    busy: await said(taken("/fault/busy/scheduler_config.json")),
    pointers: [await said(taken("/fault/lfs/tokenizer_config.json")), await said(taken("/fault/lfs/diffusion_pytorch_model.safetensors"))],
  };
}

/** Which files come with one of weights, and which address is meant by what a reader pastes. */
export async function beside() {
  const { resolveSource } = await import("/catalog.js");
  const { asFile } = await import("/hub.js");
  const names = async (/** @type {string} */ address) => (await resolveSource({ address: new URL(address, location.href).href })).files.map(({ name }) => name);
  const pasted = ["hf://o/r@v2/q/x.gguf", "hf://o/r@v2/q/x.gguf?download=true", "hf://o/r/resolve/v2/q/x.gguf", "hf://o/r/blob/v2/q/x.gguf", "huggingface.co/o/r/blob/v2/q/x.gguf?download=true", "hf.co/o/r/resolve/v2/q/x.gguf"];
  return {
    whole: await names("/fixtures/tiny_qwen3/model.safetensors"),
    alone: await names("/models/faces-vae/faces-vae.safetensors").then((names) => names.map((name) => name.replace("faces-vae", "model"))),
    pasted: Object.fromEntries(pasted.map((each) => [each, asFile(each)])),
  };
}

export async function edited() {
  const engine = await engineOn("cpu");
  const load = async () => {
    const { architecture, from } = await origins(engine, "/fault/edited/fixtures/tiny_llama.gguf?then=fixtures/tiny_qwen3.gguf");
    return [architecture, ...from].join(" ");
  };
  const seen = [await load(), await load()];
  document.cookie = "edited=1; path=/";
  seen.push(await load(), await load());
  return { seen, kept: (await engine.cache.list()).length };
}

/** Drops files on the page: some of a model's, by their addresses, and texts. @param {{ model: string[], texts: string[] }} args */
export async function dropFolder({ model, texts }) {
  const name = (/** @type {string} */ address) => address.split("/").at(-1) ?? "";
  const files = await Promise.all(model.map(async (address) => new File([await bytes(address)], name(address))));
  drop([...files, ...texts.map((name) => new File(["# A text"], name))]);
}

/** Drops what lies at an address on the page. @param {{ address: string, name: string }} args */
export async function dropBytes({ address, name }) {
  drop([new File([await bytes(address)], name)]);
}

/** An input that takes whole folders, hidden files and all. */
export function anyFolder() {
  const input = document.createElement("input");
  Object.assign(input, { type: "file", id: "any-folder", webkitdirectory: true });
  element("main", HTMLElement).prepend(input);
}

/** Drops the folder that was chosen there. */
export function dropChosen() {
  const input = element("#any-folder", HTMLInputElement);
  drop([...(input.files ?? [])]);
  input.remove();
}

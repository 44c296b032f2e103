// @ts-check
import { blob, engineOn, filesOf, said } from "./common.js";

/** @typedef {[call: () => unknown, ...words: string[]]} Case a call, and what it must be refused with, in this order */

/** One model of each kind, small, of no type: they are called in every wrong way. @returns {Promise<Record<string, any>>} */
async function opened() {
  const { Engine } = await import("/vitrine.js");
  const engine = await engineOn("cpu");
  /** @type {any} */
  const text = await engine.load("/fixtures/tiny_llama.gguf");
  /** @type {any} */
  const image = await engine.load("/fixtures/pipeline/model_index.json");
  const vae = await engine.load("faces-vae");
  const tokenizer = await engine.tokenizer("/fixtures/tiny_llama.gguf");
  return {
    Engine,
    engine,
    text,
    image,
    vae,
    tokenizer,
    user: [{ role: "user", content: "a" }],
    generate: (/** @type {unknown} */ options) => text.generate("a", options).text(),
    paint: (/** @type {object} */ options) => image.generate({ prompt: "a", ...options }).picture(),
    load: (/** @type {any} */ options) => engine.load("/fixtures/tiny_llama.gguf", options),
  };
}

/** What each call is refused with. @param {Case[]} cases */
async function refusals(cases) {
  const all = [];
  for (const [call, ...words] of cases) all.push({ call: String(call), words, said: await said((async () => call())()) });
  return all;
}

export async function unknown() {
  const { Engine, engine, text, vae, tokenizer, user, generate, paint, load } = await opened();
  const typo = { signall: 1 };
  const signal = ['"signall"', "signal?"];
  const latent = new Float32Array(vae.info.latentChannels);
  return refusals([
    [() => generate({ max_tokens: 3 }), '"max_tokens"', "maxTokens"],
    [() => generate({ max_new_tokens: 3 }), '"max_new_tokens"', "maxTokens"],
    [() => generate({ top_k: 3 }), '"top_k"', "topK"],
    [() => generate({ repeat_penalty: 1.1 }), '"repeat_penalty"', "repetitionPenalty"],
    [() => generate({ min_new_tokens: 3 }), '"min_new_tokens"', "minTokens"],
    [() => generate({ repeat_last_n: 64 }), '"repeat_last_n"', "penaltyWindow"],
    [() => generate({ bad_words: ["a"] }), '"bad_words"', "ban"],
    [() => generate({ xtc: { treshold: 0.2 } }), "xtc must be an object with probability and threshold", "treshold", "threshold?"],
    [() => generate({ use_cache: true }), '"use_cache"', "always kept"],
    [() => generate(Object.create({ max_tokens: 3 })), '"max_tokens"', "maxTokens"],
    [() => paint({ callback: 1 }), '"callback"', "a stream already"],
    [() => generate({ do_sample: true }), '"do_sample"', "temperature"],
    [() => generate({ temprature: 1 }), '"temprature"', "Did you mean temperature"],
    [() => generate({ n_ctx: 64 }), '"n_ctx"', "contextLength", "engine.load"],
    [() => generate({ constructor: 1 }), '"constructor"', "It takes", "maxTokens"],
    [() => generate({ xyz: null }), '"xyz"', "It takes"],
    [() => engine.find("a", { max_size: 3 }), '"max_size"', "maxBytes"],
    [() => engine.find("a", typo), ...signal],
    [() => text.chat(user, { enable_thinking: true }).text(), '"enable_thinking"', "thinking"],
    [() => paint({ num_inference_steps: 3 }), '"num_inference_steps"', "steps"],
    [() => paint({ negative_prompt: "b" }), '"negative_prompt"', "negativePrompt"],
    [() => paint({ guidance_scale: 3 }), '"guidance_scale"', "guidance"],
    [() => paint({ cfg_scale: 3 }), '"cfg_scale"', "guidance"],
    [() => paint({ sampler_name: "euler" }), '"sampler_name"', "scheduler"],
    [() => load({ dtype: "q4" }), '"dtype"', "quantization"],
    [() => load({ n_ctx: 64 }), '"n_ctx"', "contextLength"],
    [() => load({ progress_callback: 1 }), '"progress_callback"', "onProgress"],
    [() => load({ revision: "main" }), '"revision"', "hf://owner/repo@revision/file"],
    [() => Engine.create({ devise: "cpu" }), '"devise"', "device"],
    [() => text.tokenize("a", { addSpecial: true }), '"addSpecial"', "addSpecialTokens"],
    [() => text.tokenize(user, { addSpecialTokens: true }), '"addSpecialTokens"', "a text"],
    [() => text.next("a", { top_k: 3 }), '"top_k"', "called k"],
    [() => tokenizer.encode("a", { add_special_tokens: true }), "addSpecialTokens"],
    [() => tokenizer.decode([1], { skip_special_tokens: true }), "skipSpecialTokens"],
    [() => text.detokenize([1], typo), ...signal],
    [() => text.score("a", typo), ...signal],
    [() => text.profile(typo), ...signal],
    [() => text.conversation({ sistem: "a" }), '"sistem"', "system?"],
    [() => text.conversation({ options: { temprature: 1 } }), '"temprature"', "temperature"],
    [() => text.conversation().save(typo), ...signal],
    [() => text.restore(new Blob(), typo), ...signal],
    [() => engine.tokenizer("/fixtures/tiny_llama.gguf", typo), ...signal],
    [() => vae.decode(latent, [1, latent.length], typo), ...signal],
    [() => vae.encode(new ImageData(64, 64), typo), ...signal],
  ]);
}

export async function wrongTypes() {
  const { Engine, text, image, tokenizer, user, generate, paint, load } = await opened();
  return refusals([
    [() => generate({ temperature: "0.8" }), 'temperature must be a number, not the string "0.8"'],
    [() => generate({ temperature: NaN }), "temperature must be a number, not NaN"],
    [() => generate({ maxTokens: Infinity }), "maxTokens must be a whole number, not Infinity"],
    [() => generate({ maxTokens: 2.5 }), "maxTokens must be a whole number, not 2.5"],
    [() => generate({ seed: 7n }), "seed must be a whole number, not the bigint 7"],
    [() => generate({ stop: ["a", 1] }), "stop must be a string or an array of strings", "1"],
    [() => generate({ overflow: "wrap" }), 'overflow must be "error" or "slide"', "wrap"],
    [() => generate({ signal: {} }), "signal must be an AbortSignal"],
    [() => generate(() => 1), "options", "maxTokens", "a function"],
    [() => generate(5), "options", "not 5"],
    [() => generate(new Map([["maxTokens", 3]])), "options", "maxTokens", "a Map"],
    [() => text.score("a", AbortSignal.timeout(9)), "{ signal", "an AbortSignal"],
    [() => paint({ steps: "four" }), 'steps must be a whole number, not the string "four"'],
    [() => paint({ preview: 0 }), "preview must be true or false, not 0"],
    [() => paint({ scheduler: ["ddim"] }), "scheduler must be a string"],
    [() => paint({ prompt: 5 }), "prompt must be a string, not 5"],
    [() => image.generate("a fox").picture(), '{ prompt: "a fox" }'],
    [() => image.generate().picture(), "prompt must be a string"],
    [() => load({ quantization: "q17" }), 'quantization must be "keep"', '"q4_0"', "q17"],
    [() => load({ kind: "sculpture" }), 'kind must be "text"', "sculpture"],
    [() => load({ contextLength: 1.5 }), "contextLength must be a whole number, not 1.5"],
    [() => load({ contextLength: -1 }), "contextLength"],
    [() => load({ onProgress: true }), "onProgress must be a function, not true"],
    [() => load({ cache: "no" }), "cache must be true or false"],
    [() => Engine.create({ device: "tpu" }), 'device must be "auto", "webgpu" or "cpu"'],
    [() => text.next("a", { k: "ten" }), "k must be a whole number"],
    [() => text.profile({ steps: 0.5 }), "steps must be a whole number"],
    [() => text.tokenize("a", { addSpecialTokens: 1 }), "addSpecialTokens must be true or false"],
    [() => text.detokenize([1, 2.5]), "number 2 of them is 2.5"],
    [() => text.detokenize("abc"), "Tokens are an array of their ids", '"abc"'],
    [() => tokenizer.decode("abc"), "Tokens are an array of their ids", '"abc"'],
    [() => text.generate(user).text(), "A prompt is", "model.chat(messages)"],
    [() => text.chat([, user[0]]).text(), "messages[0]", "undefined"],
    [() => text.conversation({ overflow: "wrap" }), 'overflow must be "error", "drop-turns" or "slide"', "wrap"],
    [() => text.conversation({ template: 5 }), "template must be the name of a prompt template", "5"],
    [() => text.conversation({ slots: { a: "b" } }), "slots", "template"],
    [() => text.chat(user, { continueFinalMessage: true }).text(), "continueFinalMessage", '"user"'],
    [() => text.tokenize(user, { continueFinalMessage: true }), "continueFinalMessage", '"user"'],
  ]);
}

export async function otherKinds() {
  const { engine, text, generate, paint } = await opened();
  return refusals([
    [() => generate({ guidance: 3 }), '"guidance"', "an image model's generate"],
    [() => generate({ thinking: false }), '"thinking"', "chat"],
    [() => paint({ temperature: 1 }), '"temperature"', "a language model's generate"],
    [() => paint({ strength: 0.5 }), "strength", "init"],
    [() => text.tokenize("a", { thinking: false }), '"thinking"', "chat"],
    [() => engine.load("/fixtures/pipeline/model_index.json", { contextLength: 64 }), "contextLength", "language models"],
    [() => engine.load("faces-vae", { contextLength: 64 }), "contextLength", "language models"],
  ]);
}

export async function sources() {
  const { engine } = await opened();
  const tiny = "/fixtures/tiny_llama.gguf";
  return refusals([
    [() => engine.load({ parts: [tiny], kind: "text" }), "parts", '"kind"', "second argument"],
    [() => engine.load({ files: { "model.gguf": tiny }, quantization: "q8_0" }), "files", '"quantization"', "second argument"],
    [() => engine.load({ parts: [] }), "parts is empty"],
    [() => engine.load({ parts: [17] }), "Part 1", "17"],
    [() => engine.load({ files: {} }), "no files"],
    [() => engine.load({ files: { "a.gguf": 17 } }), '"a.gguf"', "17"],
    [() => engine.load({ "a.gguf": null }), '"a.gguf"', "null"],
    [() => engine.load({ parts: "x" }), "parts is an array", '"x"'],
    [() => engine.load({ files: 5 }), "files is an object", "5"],
    [() => engine.load({ files: "a.gguf" }), "files is an object", '"a.gguf"'],
    [() => engine.load({ model: "x" }), '"model" is no such name', "engine.load(source, options)"],
    [() => engine.load({ source: "x", device: "cpu" }), '"source" is no such name'],
    [() => engine.load({ path: "/a.gguf" }), '"path" is no such name'],
    [() => engine.load(Promise.resolve("x")), "a Promise", "Await it"],
    [() => engine.load(new Response("x")), "a Response", "await response.blob()"],
    [() => engine.load(new Response("x").body), "a ReadableStream", "new Response(stream).blob()"],
    [() => engine.load(new Map([["a.gguf", "x"]])), "a Map", "Object.fromEntries(map)"],
    [() => engine.load(["a.gguf"]), "the array", "{ parts: […] }"],
  ]);
}

/** The same of calls with options and with nulls beside them. */
export async function nulls() {
  const { Engine, engine, text, image, user } = await opened();
  const all = (/** @type {string[]} */ ...names) => Object.fromEntries(names.map((name) => [name, null]));
  const asked = { maxTokens: 5, temperature: 0 };
  const plain = await text.generate("a", asked).text();
  const inherited = await text.generate("a", Object.create(asked)).text();
  const sampling = all("topK", "topP", "minP", "repetitionPenalty", "seed", "stop", "alternatives", "overflow", "signal");
  const same = await text.generate("a", { ...sampling, ...asked, undefinedHere: undefined }).text();
  const wish = { prompt: "the fox", seed: 3, steps: 2 };
  const pixels = async (/** @type {object} */ more) => [...(await image.generate({ ...wish, ...more }).picture()).data].join();
  const painted = await pixels({});
  const picture = all("negativePrompt", "guidance", "scheduler", "width", "height", "count", "init", "mask", "strength", "preview", "signal");
  const again = await pixels(picture);
  const load = all("onProgress", "kind", "quantization", "contextLength", "sha256", "cache", "signal");
  await (await engine.load("/fixtures/tiny_llama.gguf", load)).unload();
  await (await Engine.create(all("device", "cache", "wasm"))).close();
  return {
    text: plain === same && plain === inherited && plain.length > 0,
    picture: painted === again,
    calls: [
      (await text.tokenize("a", null)).length,
      (await text.next("a", { k: null })).length,
      (await text.detokenize([5], null)) !== undefined,
      (await text.tokenize(user, { thinking: null }).catch(() => [0])).length > 0,
    ],
  };
}

/** The options of each call that the page knows, beside those that the Rust structs know. */
export async function sameNames() {
  const { CALLING, OPTIONS } = await import("/options.js");
  /** @type {any} */
  const wasm = await import("/pkg/vitrine.js");
  await wasm.default({ module_or_path: "/pkg/vitrine_bg.wasm" });
  const engine = await wasm.Engine.open("cpu");
  const load = async (/** @type {Record<string, string>} */ addresses) => {
    const files = Object.entries(addresses).map(async ([name, address]) => ({ name, blob: await blob(address) }));
    return engine.load(await Promise.all(files), { cache: false }, new wasm.Cancel(), () => {});
  };
  const text = await load({ "tiny_llama.gguf": "/fixtures/tiny_llama.gguf" });
  const parts = ["unet", "vae"].flatMap((part) => [`${part}/config.json`, `${part}/diffusion_pytorch_model.safetensors`]);
  const tokenizer = ["tokenizer/vocab.json", "tokenizer/merges.txt"];
  const encoder = ["text_encoder/config.json", "text_encoder/model.safetensors"];
  const names = ["model_index.json", "scheduler/scheduler_config.json", ...tokenizer, ...encoder, ...parts];
  const image = await load(filesOf("/fixtures/pipeline", names));
  // An option that nobody has brings the names that there are.
  const known = async (/** @type {(options: object) => unknown} */ call) => {
    try {
      await call({ "?": 1 });
    } catch (error) {
      const { message } = /** @type {{ message: string }} */ (error);
      return [...message.matchAll(/`(\w+)`/g)].map(([, name]) => name).sort();
    }
    return ["nothing was refused"];
  };
  const page = (/** @type {keyof typeof OPTIONS} */ call, /** @type {string[]} */ ...here) =>
    Object.keys(OPTIONS[call]).filter((name) => !["signal", ...here].includes(name)).sort();
  const user = [{ role: "user", content: "a" }];
  return [
    [page("chat", "draft", ...CALLING), await known((o) => text.generate("a", o))],
    [page("beams"), await known((o) => text.beams("a", o, new wasm.Cancel()))],
    [page("paint", "init", "mask"), await known((o) => image.paint({ prompt: "a", ...o }))],
    [page("tokenizeChat"), await known((o) => text.tokenizeChat(user, o))],
    [page("load", "onProgress", "sha256"), await known((o) => engine.load([], { cache: false, ...o }, new wasm.Cancel(), () => {}))],
    [page("generate").concat(page("tokenizeChat")).sort(), page("chat", ...CALLING)],
  ];
}

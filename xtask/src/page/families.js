// @ts-check
import { bytes, code, engineOn, filesOf, tokensOf } from "./common.js";

/** @typedef {import("./common.js").Device} Device */
/** @typedef {import("/vitrine.js").Message} Message */
/** @typedef {import("/vitrine.js").TokenizeChatOptions} TokenizeChatOptions */

const NAMES = ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"];

/** @param {{ device: Device, family: string, prompt: string }} args */
export async function families({ device, family, prompt }) {
  const engine = await engineOn(device);
  const folder = `/fixtures/tiny_${family}`;
  const written = [];
  for (const source of [`${folder}.gguf`, { files: filesOf(folder, NAMES) }]) {
    const model = await engine.load(source);
    const tokens = await tokensOf(model.generate(prompt, { maxTokens: 64, temperature: 0 }));
    written.push({ tokens, architecture: model.info.architecture, device: model.info.device.kind });
    await model.unload();
  }
  return written;
}

/**
 * Families whose fixtures hold no tokenizer: one whose words are numbers stands in, and no mark ends a text.
 * @param {{ device: Device, asked: { family: string, prompt: number[], steps: number }[] }} args
 */
export async function numbered({ device, asked }) {
  const engine = await engineOn(device);
  const blob = (/** @type {unknown} */ json) => new Blob([JSON.stringify(json)]);
  const written = [];
  for (const { family, prompt, steps } of asked) {
    const folder = `/fixtures/families/${family}`;
    const config = await (await fetch(`${folder}/config.json`)).json();
    const vocab = Object.fromEntries(Array.from({ length: config.vocab_size }, (_, id) => [String(id), id]));
    const tokenizer = { version: "1.0", added_tokens: [], model: { type: "WordLevel", vocab, unk_token: "0" } };
    const files = {
      "model.safetensors": new URL(`${folder}/model.safetensors`, location.href),
      "config.json": blob({ ...config, eos_token_id: null }),
      "tokenizer.json": blob(tokenizer),
    };
    const model = await engine.load({ files }, { kind: "text" });
    const tokens = await tokensOf(model.generate(prompt, { maxTokens: steps, temperature: 0 }));
    written.push({ tokens, architecture: model.info.architecture, device: model.info.device.kind });
    await model.unload();
  }
  return written;
}

const ENCODER = ["model.safetensors", "config.json", "tokenizer.json"];
const SENTENCES = [...ENCODER, "modules.json", "1_Pooling/config.json"];

/** @param {Float32Array[]} embeddings */
const plain = (embeddings) => embeddings.map((embedding) => Array.from(embedding));

/** @param {{ device: Device, family: string, texts: string[], masked: string }} args */
export async function encoders({ device, family, texts, masked }) {
  const engine = await engineOn(device);
  /** @param {string} head @param {string[]} [names] */
  const load = (head, names = ENCODER) =>
    engine.load({ files: filesOf(`/fixtures/encoders/${family}/${head}`, names) }, { kind: "encoder" });
  const sentences = await load("embed", SENTENCES);
  const fills = await load("fill");
  const classes = await load("classify");
  const tokens = await load("tokens");
  const classify = async (/** @type {string} */ text) => {
    const found = await classes.classify(text);
    return classes.info.labels?.map((label) => found.find((each) => each.label === label)?.probability);
  };
  return {
    kind: sentences.info.kind,
    device: sentences.info.device.kind,
    embed: plain(await sentences.embed(texts)),
    max: plain(await sentences.embed(texts, { pooling: "max", normalize: false })),
    classify: await Promise.all(texts.map(classify)),
    fill: (await fills.fill(masked, { k: 5 })).map((mask) => ({
      tokens: mask.map(({ token }) => token),
      logprobs: mask.map(({ logprob }) => logprob),
    })),
    tokens: (await tokens.classify(texts[1])).map(({ label }) => label),
  };
}

/** A small encoder whose tensors lie on both sides of 2^31 and of 2^32 bytes, with nothing between them. @param {{ texts: string[] }} args */
export async function huge({ texts }) {
  const engine = await engineOn("cpu");
  const folder = "/fixtures/encoders/bert/embed";
  const whole = await bytes(`${folder}/model.safetensors`);
  const length = Number(new DataView(whole).getBigUint64(0, true));
  /** @type {Record<string, { data_offsets: [number, number] }>} */
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(whole, 8, length)));
  delete header.__metadata__;
  const nothing = new Blob([new Uint8Array(1 << 26)]);
  const tensors = Object.values(header).sort((a, b) => a.data_offsets[0] - b.data_offsets[0]);
  /** @type {BlobPart[]} */
  const parts = [];
  let at = 0;
  for (const [i, tensor] of tensors.entries()) {
    if (i === 4 || i === 20) {
      parts.push(...new Array(32).fill(nothing));
      at += 32 * nothing.size;
    }
    const [start, end] = tensor.data_offsets;
    parts.push(whole.slice(8 + length + start, 8 + length + end));
    tensor.data_offsets = [at, at + end - start];
    at += end - start;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const count = new DataView(new ArrayBuffer(8));
  count.setBigUint64(0, BigInt(text.length), true);
  const file = new File([count.buffer, text, ...parts], "model.safetensors");
  const files = { ...filesOf(folder, SENTENCES), "model.safetensors": file };
  const encoder = await engine.load({ files }, { kind: "encoder" });
  return { bytes: file.size, embed: plain(await encoder.embed(texts)) };
}

export async function refusals() {
  const engine = await engineOn("cpu");
  const files = filesOf("/fixtures/encoders/bert/embed", SENTENCES);
  const encoder = await engine.load({ files }, { kind: "encoder" });
  const gru = await engine.load({ files: filesOf("/fixtures/texts/gru", ["model.safetensors", "config.json"]) }, { kind: "text" });
  const said = (/** @type {Promise<unknown>} */ promise) => promise.then(() => "nothing", (error) => error.message);
  return Promise.all([
    said(encoder.fill("a [MASK]")),
    said(encoder.classify("a fox")),
    said(encoder.embed("fox ".repeat(50))),
    // @ts-expect-error no way to pool
    said(encoder.embed("a", { pooling: "middle" })),
    // @ts-expect-error what others call it
    said(encoder.embed("a", { dim: 3 })),
    said(engine.load({ files }, { contextLength: 64 })),
    // @ts-expect-error no text
    said(encoder.embed(["a", {}])),
    said(gru.generate("a fox", { decoderPrompt: "a" }).text()),
  ]);
}

/** @param {{ device: Device, name: string, files: string[], prompt: string }} args */
export async function texts({ device, name, files, prompt }) {
  const engine = await engineOn(device);
  const model = await engine.load({ files: filesOf(`/fixtures/texts/${name}`, files) }, { kind: "text" });
  return { tokens: await tokensOf(model.generate(prompt, { maxTokens: 64, temperature: 0 })), device: model.info.device.kind };
}

export async function quantised() {
  const engine = await engineOn("cpu");
  const files = filesOf("/fixtures/tiny_qwen3", NAMES);
  /** @type {Record<string, { logprob: number, bytes: number }>} */
  const seen = {};
  for (const quantization of /** @type {const} */ (["keep", "q8_0", "q4_0"])) {
    const model = await engine.load({ files }, { quantization });
    const { logprob } = await model.score("the license of this software");
    seen[quantization] = { logprob, bytes: model.stats.deviceBytes };
    await model.unload();
  }
  return seen;
}

export async function thinking() {
  const engine = await engineOn("cpu");
  const model = await engine.load("/fixtures/tiny_qwen3.gguf");
  const messages = [{ role: "user", content: "license" }];
  const opened = async (/** @type {TokenizeChatOptions} */ options) =>
    (await model.detokenize(await model.tokenize(messages, options))).split("assistant\n").at(-1);
  const first = await model.chat(messages, { maxTokens: 4, temperature: 0, thinking: false }).text();
  const tokens = await model.tokenize(messages, { thinking: false });
  const same = await model.generate(tokens, { maxTokens: 4, temperature: 0 }).text();
  // @ts-expect-error neither true nor false
  const deeply = await code(model.chat(messages, { thinking: "deeply" }).text());
  return [await opened({}), await opened({ thinking: true }), await opened({ thinking: false }), first === same, deeply];
}

/** @param {string} template */
export async function given(template) {
  const engine = await engineOn("cpu");
  const files = filesOf("/fixtures/tiny_qwen3", NAMES);
  const model = await engine.load({ files: { ...files, "chat_template.jinja": new Blob([template]) } });
  // Of any shape, wrong ones too.
  const told = async (/** @type {any} */ messages, /** @type {any} */ options = undefined) =>
    model.detokenize(await model.tokenize(messages, options));
  const refused = (/** @type {unknown} */ messages, /** @type {unknown} */ options = undefined) => code(told(messages, options));
  const user = { role: "user", content: "a" };
  /** @type {Message} */
  const circle = { role: "user", content: "a" };
  circle.again = circle;
  const extra = { z: 1.5, a: [true, null, undefined], gone: undefined };
  return [
    await told([{ name: "n", role: "user", content: [{ type: "text", text: "x" }], extra }]),
    await told([{ role: "assistant", content: null, tool_calls: [] }], {
      tools: [{ name: "f" }],
      documents: [{ text: "d" }],
      templateOptions: { date: 3 },
    }),
    [
      await refused([{ ...user, content: 5 }]),
      await refused([{ ...user, at: new Date() }]),
      await refused([{ ...user, n: NaN }]),
      await refused([circle]),
      await refused([{ content: "a" }]),
      await refused(["a"]),
    ],
    [
      await refused([user], { tools: {} }),
      await refused([user], { tools: ["f"] }),
      await refused([user], { templateOptions: { messages: [] } }),
      await refused([user], { templateOptions: "x" }),
    ],
  ];
}

/** @param {string[]} templates */
export async function hostile(templates) {
  const engine = await engineOn("cpu");
  const files = filesOf("/fixtures/tiny_qwen3", NAMES);
  const codes = [];
  for (const template of templates) {
    const model = await engine.load({ files: { ...files, "chat_template.jinja": new Blob([template]) } });
    codes.push(await code(model.tokenize([{ role: "user", content: "a" }])));
    await model.generate("license", { maxTokens: 2 }).text();
    await model.unload();
  }
  return codes;
}

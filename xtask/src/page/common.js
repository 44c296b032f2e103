// @ts-check
/** What the scripts of several tests share; each gets it put before its own text. */

/** @typedef {"cpu" | "webgpu"} Device */

/** An engine that computes on this device. @param {Device} device */
export async function engineOn(device) {
  const { Engine } = await import("/vitrine.js");
  const engine = await Engine.create({ device });
  if (engine.device.kind !== device) throw new Error(`computed by ${JSON.stringify(engine.device)}`);
  return engine;
}

/** The code of the error that some work ends with; "none" where it ends well. @param {Promise<unknown>} work @returns {Promise<string>} */
export function code(work) {
  return work.then(
    () => "none",
    (error) => error.code ?? String(error),
  );
}

/** The code and the sentence of the error that some work ends with; "nothing" where it ends well. @param {Promise<unknown>} work @returns {Promise<string>} */
export function said(work) {
  return work.then(
    () => "nothing",
    ({ code, message }) => `${code}: ${message}`,
  );
}

/** The addresses of a folder's files by their names. @param {string} folder @param {string[]} names @returns {Record<string, string>} */
export function filesOf(folder, names) {
  return Object.fromEntries(names.map((name) => [name, `${folder}/${name}`]));
}

/** @param {import("/vitrine.js").TextStream} stream */
export async function tokensOf(stream) {
  const tokens = [];
  for await (const { token } of stream) if (token !== undefined) tokens.push(token);
  return tokens;
}

/** @param {string} address */
export async function bytes(address) {
  return (await fetch(address)).arrayBuffer();
}

/** @param {string} address */
export async function blob(address) {
  return (await fetch(address)).blob();
}

/**
 * A file of tensors (safetensors), each by its name as 32-bit numbers.
 * @param {string} address
 * @returns {Promise<(name: string) => Float32Array<ArrayBuffer>>}
 */
export async function tensors(address) {
  const buffer = await bytes(address);
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  return (name) => {
    const [from, to] = header[name].data_offsets;
    const data = buffer.slice(8 + length + from, 8 + length + to);
    return header[name].dtype === "F16" ? Float32Array.from(new Float16Array(data)) : new Float32Array(data);
  };
}

/**
 * The ratio of the range to the mean error of `a` against `b`, in dB.
 * @param {ArrayLike<number>} a
 * @param {ArrayLike<number>} b
 * @param {number} range
 */
export function psnr(a, b, range) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return 10 * Math.log10((range ** 2 * a.length) / sum);
}

/** A model that takes down which conversations it is given. @param {import("/vitrine.js").TextModel} model */
export function listening(model) {
  /** @type {import("/vitrine.js").Messages[]} */
  const heard = [];
  /** @type {Pick<import("/vitrine.js").TextModel, "info" | "chat">} */
  const listener = {
    info: model.info,
    chat(messages, options) {
      heard.push(messages);
      return model.chat(messages, options);
    },
  };
  return { heard, listener: /** @type {import("/vitrine.js").TextModel} */ (listener) };
}

/**
 * @template {Element} E
 * @param {string} selector
 * @param {new () => E} type
 * @returns {E}
 */
export function element(selector, type) {
  const found = document.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`there is no ${type.name} ${selector}`);
  return found;
}

/** Drops files on the page, as the hand would: enter, over, drop. @param {File[]} files */
export function drop(files) {
  const transfer = new DataTransfer();
  for (const file of files) transfer.items.add(file);
  for (const type of ["dragenter", "dragover", "drop"]) {
    element("main", HTMLElement).dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}

/** The characters that stand for the bytes in a byte-level vocabulary, byte by byte. */
function byteLetters() {
  const plain = (/** @type {number} */ byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(plain(byte) ? byte : next++));
}

/** A text in pieces that occur once each, in it and in `used`. @param {string} text @param {Set<string>} used */
function pieces(text, used) {
  /** @type {string[]} */
  const found = [];
  for (let from = 0; from < text.length; ) {
    let to = from + 3;
    while (to < text.length && used.has(text.slice(from, to))) to += 1;
    // The last piece is whatever is left, and unlike all others.
    if (to >= text.length || text.length - to < 3) to = text.length;
    let piece = text.slice(from, to);
    while (used.has(piece) && found.length > 0) piece = found.pop() + piece;
    used.add(piece);
    found.push(piece);
    from = to;
  }
  return found;
}

const NUMBERS = 128;

/**
 * The files of a model that knows texts by heart: a Llama of one layer that adds nothing, so that a token leads to the next one alone. `scripts` are its
 * answers by the mark that the template ends with; `marks` are spelled by hidden tokens.
 * @param {string} template
 * @param {Record<string, string>} scripts
 * @param {string[]} [marks]
 */
export function scripted(template, scripts, marks = []) {
  const hidden = ["<s>", "<|end|>", ...Object.keys(scripts), ...marks];
  const used = new Set([...byteLetters(), ...hidden]);
  const isMark = new RegExp(`(${marks.map((mark) => mark.replace(/[^\w]/g, "\\$&")).join("|") || "$^"})`);
  const spoken = Object.entries(scripts).map(([after, text]) => [after, ...text.split(isMark).flatMap((part) => (marks.includes(part) ? [part] : pieces(part, used))), "<|end|>"]);
  const shown = spoken.flat().filter((piece) => !hidden.includes(piece));
  const added = [...hidden, ...shown];
  const ids = new Map(added.map((piece, at) => [piece, 256 + at]));
  const id = (/** @type {string} */ piece) => ids.get(piece) ?? 0;
  const size = 256 + added.length;
  // A token's own direction: signs by a generator of Lehmer's, so that no two are alike.
  let state = 7;
  const embedding = Float32Array.from({ length: size * NUMBERS }, () => ((state = (state * 48271) % 2147483647) & 1024 ? 1 : -1));
  const head = new Float32Array(size * NUMBERS);
  for (const script of spoken) {
    for (let at = 1; at < script.length; at++) {
      for (let n = 0; n < NUMBERS; n++) head[id(script[at]) * NUMBERS + n] += embedding[id(script[at - 1]) * NUMBERS + n];
    }
  }
  const layer = "model.layers.0";
  const square = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"];
  /** @type {[string, number[], Float32Array][]} */
  const all = [
    ["model.embed_tokens.weight", [size, NUMBERS], embedding],
    ["lm_head.weight", [size, NUMBERS], head],
    ...[`${layer}.input_layernorm`, `${layer}.post_attention_layernorm`, "model.norm"].map((name) => /** @type {[string, number[], Float32Array]} */ ([`${name}.weight`, [NUMBERS], new Float32Array(NUMBERS).fill(1)])),
    ...square.map((name) => /** @type {[string, number[], Float32Array]} */ ([`${layer}.${name}.weight`, [NUMBERS, NUMBERS], new Float32Array(NUMBERS * NUMBERS)])),
  ];
  const config = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_size: NUMBERS,
    intermediate_size: NUMBERS,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    num_key_value_heads: 2,
    vocab_size: size,
    max_position_embeddings: 4096,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: false,
    bos_token_id: id("<s>"),
    eos_token_id: id("<|end|>"),
  };
  const letters = byteLetters();
  // What the model says is no mark: no text that it reads is made of it.
  const spelled = (/** @type {string} */ piece) => Array.from(new TextEncoder().encode(piece), (byte) => letters[byte]).join("");
  const level = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  const tokenizer = {
    version: "1.0",
    added_tokens: hidden.map((content, at) => ({ id: 256 + at, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })),
    normalizer: null,
    pre_tokenizer: level,
    post_processor: null,
    decoder: level,
    model: { type: "BPE", dropout: null, unk_token: null, vocab: Object.fromEntries([...letters, ...hidden, ...shown.map(spelled)].map((piece, at) => [piece, at])), merges: [] },
  };
  const settings = { bos_token: "<s>", eos_token: "<|end|>", add_bos_token: false, chat_template: template };
  const json = (/** @type {object} */ value) => new Blob([JSON.stringify(value)]);
  return { "model.safetensors": safetensors(all), "config.json": json(config), "tokenizer.json": json(tokenizer), "tokenizer_config.json": json(settings) };
}

/** @param {[string, number[], Float32Array][]} all */
function safetensors(all) {
  let at = 0;
  const header = Object.fromEntries(all.map(([name, shape, { byteLength }]) => [name, { dtype: "F32", shape, data_offsets: [at, (at += byteLength)] }]));
  const text = JSON.stringify(header);
  const padded = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(padded.length), true);
  return new Blob([length, padded, ...all.map(([, , data]) => /** @type {Float32Array<ArrayBuffer>} */ (data))]);
}

/** @param {number} ms */
export function sleepFor(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits a minute at most until it is so. @param {() => unknown} what */
export async function comesTrue(what) {
  for (let i = 0; i < 1200; i++) {
    if (what()) return;
    await sleepFor(50);
  }
  throw new Error(`never so: ${what}`);
}

/** Puts this into the page, and defines what it needs, else all that there is; its widgets. @param {string} html @param {...any} tags @returns {Promise<any[]>} */
export async function mountWidgets(html, ...tags) {
  document.body.innerHTML = html;
  const { define } = await import("/widgets.js");
  await define(...tags);
  return [...document.body.querySelectorAll("*")].filter(({ localName }) => localName.startsWith("vitrine-"));
}

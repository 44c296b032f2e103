/**
 * The published face. Types and the meaning of every option: vitrine.d.ts. Everything heavy happens in worker.js; this file
 * checks arguments, names what goes over, and hands back what comes.
 */

import { addresses } from "./addresses.js";
import { comparison } from "./compare.js";
import { Talk } from "./conversation.js";
import { describe, fileOf, meant } from "./describe.js";
import { VitrineError, aborted, closed } from "./errors.js";
import { Host } from "./host.js";
import { conversation, templated, text } from "./messages.js";
import { openai } from "./openai-engine.js";
import { CALLING, check, isRecord, shown } from "./options.js";
import { Steps, Words, streamCall } from "./stream.js";
import { readsTools } from "./tool-formats.js";
import { ToolWords, rounds } from "./tool-rounds.js";
import { spelledOut } from "./tool-words.js";

export { VitrineError } from "./errors.js";
export { keptConversations } from "./kept-conversations.js";
export { promptTemplates } from "./prompt-templates.js";

/** @import * as Face from "./vitrine.js" */
/** @import * as Wasm from "./wasm-face.js" */
/** @import { Origin } from "./openai-engine.js" */
/** @typedef {{ host: Host, engine: number }} Session */

/** What `await using` calls at the end of a block; a browser without it calls nothing by this name. @type {typeof Symbol.asyncDispose} */
const DISPOSE = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");

/** @implements {Face.Engine} */
class OpenEngine {
  #options;
  #addresses;
  /** @type {Session | undefined} */
  #session;
  /** @type {Promise<Session> | undefined} */
  #opening;
  #closed = false;
  /** What must be closed with the engine; models with what they came from. @type {Map<LoadedModel<any, any> | LoadedTokenizer, Origin>} */
  #loaded = new Map();
  /** @type {Face.Serving[]} */
  #serving = [];
  /** @type {Face.DeviceInfo | undefined} */
  #device;

  /** @param {Face.EngineOptions} options */
  constructor(options) {
    this.#options = options;
    this.#addresses = addresses(options);
    /** @type {Face.ModelCache} */
    this.cache = {
      list: () => this.#ask("cacheList", {}),
      delete: async (...which) => this.#ask("cacheDelete", which.length === 0 ? {} : meant(which[0])),
      usage: () => this.#ask("cacheUsage", {}),
    };
    const { completions, fetch, serve } = openai(this, () => this.#models());
    this.chat = { completions };
    this.openai = {
      fetch,
      serve: async (/** @type {Face.ServeOptions} */ options) => {
        if (this.#closed) throw closed("engine");
        const serving = await serve(check("serve", options));
        this.#serving.push(serving);
        return serving;
      },
    };
  }

  get device() {
    return /** @type {Face.DeviceInfo} */ (this.#device);
  }

  /** @param {AbortSignal} [signal] @returns {Promise<Session>} */
  async open(signal) {
    if (this.#closed) throw closed("engine");
    if (signal?.aborted) throw aborted(signal);
    if (this.#session && !this.#session.host.failure) return this.#session;
    this.#opening ??= this.#start().finally(() => (this.#opening = undefined));
    return withSignal(this.#opening, signal);
  }

  async #start() {
    const host = Host.acquire(this.#addresses);
    try {
      const { device: wanted = "auto", as, subgroups } = this.#options;
      const { engine, device } = await host.call("open", { addresses: this.#addresses, device: wanted, as, subgroups });
      this.#device = device;
      this.#session = { host, engine };
      host.moved.set(engine, (other) => {
        this.#device = other;
        for (const model of this.#loaded.keys()) if (model instanceof LoadedModel) model.moved(other);
        this.#options.onDeviceLost?.(other);
      });
      if (this.#closed) throw closed("engine");
      return this.#session;
    } catch (error) {
      host.release();
      throw error;
    }
  }

  /** The models that can be called. */
  #models() {
    return [...this.#loaded].flatMap(([model, origin]) => (model instanceof LoadedModel && model.alive ? [{ ...origin, model: /** @type {any} */ (model) }] : []));
  }

  /** @param {string} op @param {object} args */
  async #ask(op, args) {
    const { host, engine } = await this.open();
    return host.call(op, { engine, ...args });
  }

  /** @returns {Promise<Face.CatalogEntry[]>} */
  catalog() {
    return this.#ask("catalog", {});
  }

  /**
   * @param {string} query
   * @param {Face.FindOptions} [options]
   * @returns {Promise<Face.FoundModel[]>}
   */
  async find(query, options) {
    const { signal, ...asked } = check("find", options);
    const words = text(query, "query").trim();
    if (words === "") throw new VitrineError("bad-argument", "There is nothing to look for: give some words, or the name of a repository, owner/repo.");
    for (const [name, most] of /** @type {const} */ ([["maxBytes", Infinity], ["limit", 50]])) {
      const value = asked[name];
      if (value !== undefined && !(value >= 1 && value <= most)) throw new VitrineError("bad-argument", `${name} is ${value}, but must be at least 1${most < Infinity ? ` and at most ${most}` : ""}.`);
    }
    const { host, engine } = await this.open(signal);
    return host.call("find", { engine, query: words, options: asked }, { signal });
  }

  /** @returns {Promise<Face.OpenedModel[]>} */
  opened() {
    return this.#ask("opened", {});
  }

  /**
   * @param {Face.Source} source
   * @param {Face.LoadOptions} [options]
   * @returns {Promise<any>} a `TextModel`, an `ImageModel` or an `Autoencoder`: see the overloads in vitrine.d.ts
   */
  async load(source, options) {
    const { signal, onProgress, ...asked } = check("load", options);
    const described = describe(source);
    const { host, engine } = await this.open(signal);
    const args = { engine, source: described, options: { ...asked, cache: asked.cache ?? this.#options.cache ?? true } };
    const value = await host.call("load", args, { signal, onEvent: onProgress, onLate: (late) => give(host, "unload", { model: late.model }) });
    if (this.#closed) {
      give(host, "unload", { model: value.model });
      throw closed("engine");
    }
    this.#device = value.device;
    const kinds = { text: LoadedTextModel, encoder: LoadedEncoder, image: LoadedImageModel, autoencoder: LoadedAutoencoder, generator: LoadedAutoencoder };
    const model = new kinds[/** @type {Face.ModelKind} */ (value.info.kind)](host, value, () => this.#loaded.delete(model));
    this.#loaded.set(model, typeof source === "string" || source instanceof URL ? { address: String(source).trim() } : { file: fileOf(described) });
    return model;
  }

  /**
   * @param {Face.Source} source
   * @param {Face.CallOptions} [options]
   * @returns {Promise<Face.Tokenizer>}
   */
  async tokenizer(source, options) {
    const { signal } = check("tokenizer", options);
    const described = describe(source);
    const { host, engine } = await this.open(signal);
    const args = { engine, source: described, options: { cache: this.#options.cache ?? true } };
    const value = await host.call("tokenizer", args, { signal, onLate: (late) => give(host, "freeTokenizer", { tokenizer: late.tokenizer }) });
    if (this.#closed) {
      give(host, "freeTokenizer", { tokenizer: value.tokenizer });
      throw closed("engine");
    }
    const tokenizer = new LoadedTokenizer(host, value, () => this.#loaded.delete(tokenizer));
    this.#loaded.set(tokenizer, {});
    return tokenizer;
  }

  async close() {
    if (this.#closed) return;
    this.#closed = true;
    for (const serving of this.#serving) serving.stop();
    const session = this.#session;
    this.#session = undefined;
    if (!session) return;
    await Promise.allSettled([...this.#loaded.keys()].map((each) => each.close()));
    session.host.moved.delete(session.engine);
    if (!session.host.failure) await session.host.call("close", { engine: session.engine }).catch(() => {});
    session.host.release();
  }

  async [DISPOSE]() {
    await this.close();
  }
}

/**
 * The arguments of a method of the worker's, less the flag that ends it.
 * @template F
 * @typedef {F extends (...args: infer A) => any ? (A extends [...infer B, Wasm.Cancel] ? B : A) : never} Args
 */

/**
 * What comes of it.
 * @template F
 * @typedef {F extends (...args: any) => infer R ? Awaited<R> : never} Value
 */

/**
 * A model that the worker holds for the page.
 * @template {{ info(): any, stats(): any }} W as the worker knows it
 */
class LoadedModel {
  #host;
  #model;
  #forget;
  #closed = false;

  /**
   * @param {Host} host
   * @param {{ model: number, info: Value<W["info"]>, stats: Value<W["stats"]> }} value
   * @param {() => void} forget
   */
  constructor(host, value, forget) {
    this.#host = host;
    this.#model = value.model;
    this.#forget = forget;
    this.info = Object.freeze(value.info);
    this.stats = value.stats;
  }

  get alive() {
    return !this.#closed && !this.#host.failure;
  }

  /** Another device took the place of its own. @param {Face.DeviceInfo} device */
  moved(device) {
    this.info = Object.freeze({ ...this.info, device });
  }

  /**
   * Calls a method that answers at once.
   * @template {keyof W} M
   * @param {M} method
   * @param {Args<W[M]>} args
   * @param {AbortSignal} [signal]
   * @returns {Promise<Value<W[M]>>}
   */
  async call(method, args, signal) {
    return this.#open().call("call", { model: this.#model, method, args }, { signal });
  }

  /**
   * Calls one that computes, when the model's turn comes.
   * @template {keyof W} M
   * @param {M} method
   * @param {Args<W[M]>} args
   * @param {AbortSignal} [signal]
   * @returns {Promise<Value<W[M]>>}
   */
  async compute(method, args, signal) {
    const { value, stats } = await this.#open().call("compute", { model: this.#model, method, args }, { signal });
    this.stats = stats;
    return value;
  }

  /**
   * What a stream begins with.
   * @template {keyof W} M
   * @param {M} method
   * @param {() => Args<W[M]>} args
   * @param {AbortSignal | undefined} signal
   * @param {(event: any) => any} [shape]
   * @param {unknown} [draft] a model that guesses for this one
   */
  stream(method, args, signal, shape = (event) => event, draft = undefined) {
    const prepare = () => ({ host: this.#open(), args: { model: this.#model, method, args: args(), draft: draft === undefined ? undefined : this.#guesser(draft) } });
    return streamCall(prepare, "stream", signal, (value) => (this.stats = value.stats), shape);
  }

  /** What the worker knows another of its models by. @param {unknown} draft @returns {number} */
  #guesser(draft) {
    const isOurs = typeof draft === "object" && draft !== null && #host in draft && draft.#host === this.#host;
    if (!isOurs) throw new VitrineError("bad-argument", "draft must be a language model of this page. Load it with engine.load, or leave it out.");
    if (draft.#closed) throw new VitrineError("closed", "The draft model was unloaded. Load it again with engine.load(), or leave draft out.");
    return draft.#model;
  }

  #open() {
    if (this.#closed) throw closed("model");
    if (this.#host.failure) throw lost("model", this.#host.failure);
    return this.#host;
  }

  async close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget();
    if (!this.#host.failure) await this.#host.call("unload", { model: this.#model }).catch(() => {});
  }

  unload() {
    return this.close();
  }

  async [DISPOSE]() {
    await this.close();
  }
}

/** A regular expression as Rust's `regex` spells it. @param {string | RegExp | undefined} regex */
function expression(regex) {
  if (!(regex instanceof RegExp)) return regex;
  const { source, flags } = regex;
  const [other] = flags.replace(/[isuv]/g, "");
  if (other) throw new VitrineError("bad-argument", `regex has the flag ${other}, which says nothing of a whole text. Leave it out: i and s alone change what a text may be.`);
  const kept = flags.replace(/[uv]/g, "");
  return kept ? `(?${kept})(?:${source.replace(/^\^|\$$/g, "")})` : source;
}

/** @extends {LoadedModel<Wasm.Model>} @implements {Face.TextModel} */
class LoadedTextModel extends LoadedModel {
  /**
   * What cannot be is told when the stream is first read.
   * @template {"generate" | "chat"} M
   * @param {M} method
   * @param {() => Parameters<Wasm.Model[M]>[0]} input
   * @param {Face.ChatOptions | undefined} options
   */
  #words(method, input, options) {
    const { asked, fault } = begun(method, options);
    const { signal, draft, ...rest } = asked;
    const whole = () => {
      if (fault) throw fault;
      const { tools, documents, templateOptions, schema } = rest;
      const stop = typeof rest.stop === "string" ? [rest.stop] : rest.stop;
      const asData = templated({ tools, documents, templateOptions, schema });
      const told = { ...rest, ...asData, regex: expression(rest.regex), stop: stop?.map((each) => text(each, "stop")) };
      return /** @type {Args<Wasm.Model[M]>} */ ([input(), told]);
    };
    return new Words(this.stream(method, whole, signal, undefined, draft));
  }

  /** @param {string | ArrayLike<number>} prompt @param {Face.GenerateOptions} [options] */
  generate(prompt, options) {
    return this.#words("generate", () => (typeof prompt === "string" ? text(prompt, "prompt") : ids(prompt, "A prompt is a string or an array of token ids")), options);
  }

  /** @param {Face.Message[]} messages @param {Face.ChatOptions} [options] @returns {Face.TextStream} */
  chat(messages, options) {
    const { asked, fault } = begun("chat", options, plainly);
    if (fault) return new Words((state) => state.end(fault));
    const answered = (/** @type {Face.Message[]} */ turns, /** @type {Face.ChatOptions} */ told) => this.#words("chat", () => conversation(turns, told), told);
    if (!calls(asked)) return answered(messages, asked);
    if ((asked.n ?? 1) !== 1) return new Words((state) => state.end(new VitrineError("bad-argument", `n is ${asked.n}, but a chat with tools goes on with one text. Leave n out, or the tools.`)));
    const model = { info: this.info, tokenize: this.tokenize.bind(this), generate: this.generate.bind(this), chat: answered };
    return new ToolWords(rounds(model, () => conversation(messages, asked), asked));
  }

  /**
   * @param {string | Face.Message[]} input
   * @param {Face.EncodeOptions | Face.TokenizeChatOptions} [options]
   * @returns {Promise<Uint32Array>}
   */
  async tokenize(input, options) {
    if (Array.isArray(input)) {
      const { tools, documents, templateOptions, signal, ...told } = check("tokenizeChat", options);
      const turns = conversation(input, told);
      return this.call("tokenizeChat", this.#framed(turns, { ...told, ...templated({ tools, documents, templateOptions }) }), signal);
    }
    const { addSpecialTokens: add = true, parseSpecialTokens: parse = false, signal } = check("tokenize", options);
    return this.call("tokenize", [text(input, "text"), add, parse], signal);
  }

  /** @param {ArrayLike<number>} tokens @param {Face.DecodeOptions} [options] @returns {Promise<string>} */
  async detokenize(tokens, options) {
    const { skipSpecialTokens: skip = true, signal } = check("detokenize", options);
    return this.call("detokenize", [ids(tokens), skip], signal);
  }

  /**
   * Messages and options as the model's template takes them: where it knows of no tools, they are told in words.
   * @param {Face.Message[]} turns
   * @param {Face.TemplateOptions} options
   * @returns {[Face.Message[], Face.TemplateOptions]}
   */
  #framed(turns, options) {
    const { tools = [], ...rest } = options;
    return tools.length === 0 || readsTools(this.info.chatTemplate) ? [turns, options] : [spelledOut(turns, tools), rest];
  }

  /** @param {string} input @param {Face.CallOptions} [options] @returns {Promise<Face.Score>} */
  async score(input, options) {
    const { signal } = check("score", options);
    return this.compute("score", [text(input, "text")], signal);
  }

  /** @param {string} input @param {Face.NextOptions} [options] */
  async next(input, options) {
    const { k = 10, signal } = check("next", options);
    return this.compute("next", [text(input, "text"), k], signal);
  }

  /** @param {string} prompt @param {Face.BeamOptions} [options] @returns {Promise<Face.Beams>} */
  async beams(prompt, options) {
    const { signal, ...rest } = check("beams", options);
    const { beams, steps } = await this.compute("beams", [text(prompt, "prompt"), rest], signal);
    return rest.trace ? Object.assign(beams, { steps }) : beams;
  }

  /** @param {string} prompt @param {readonly Face.Strategy[]} strategies @param {Face.CallOptions} [options] @returns {Face.Comparison} */
  compare(prompt, strategies, options) {
    return comparison(this, text(prompt, "prompt"), strategies, check("compare", options).signal);
  }

  /** @param {Face.ConversationOptions} [options] */
  conversation(options) {
    return Talk.begin(this, this.#save, options);
  }

  /** @type {import("./conversation.js").Save} */
  #save = (messages, options, kept, signal) => this.compute("save", [...this.#framed(messages, options), kept], signal);

  /** @param {Blob} file @param {Face.RestoreOptions} [options] @returns {Promise<Face.Conversation>} */
  async restore(file, options) {
    const { otherModel = false, tools, signal } = check("restore", options);
    if (!(file instanceof Blob)) throw new VitrineError("bad-argument", `restore takes the Blob or the File that save() made, not ${shown(file)}.`);
    const bytes = await file.arrayBuffer().catch((cause) => {
      throw new VitrineError("storage", "The saved conversation could not be read: its file was moved, changed or is too large. Choose it again.", { cause });
    });
    return Talk.restored(this, this.#save, await this.compute("restore", [new Uint8Array(bytes), otherModel], signal), tools);
  }

  /** @param {Face.ProfileOptions} [options] @returns {Promise<Face.StepPart[]>} */
  async profile(options) {
    const { steps = 4, signal } = check("profile", options);
    if (steps < 1 || steps > 1000) throw new VitrineError("bad-argument", `steps is ${steps}, but must be a whole number from 1 to 1000.`);
    return this.compute("profile", [steps], signal);
  }
}

/** @extends {LoadedModel<Wasm.Encoder>} @implements {Face.Encoder} */
class LoadedEncoder extends LoadedModel {
  /** @param {string | (string | Uint32Array)[]} texts @param {Face.EmbedOptions} [options] @returns {Promise<Float32Array[]>} */
  async embed(texts, options) {
    const { signal, ...rest } = check("embed", options);
    const all = typeof texts === "string" ? [texts] : texts;
    if (!Array.isArray(all)) throw new VitrineError("bad-argument", `embed takes a text or an array of them, not ${shown(texts)}.`);
    return this.compute("embed", [all.map((each, index) => textOrIds(each, `texts[${index}]`)), rest], signal);
  }

  /** @param {string | ArrayLike<number>} input @param {Face.FillOptions} [options] */
  async fill(input, options) {
    const { k = 10, signal } = check("fill", options);
    return this.compute("fill", [textOrIds(input, "text"), k], signal);
  }

  /** @param {string | ArrayLike<number>} input @param {Face.ClassifyOptions} [options] @returns {Promise<Face.Labelling[]>} */
  async classify(input, options) {
    const { pair, truncate = false, signal } = check("classify", options);
    return this.compute("classify", [textOrIds(input, "text"), pair, truncate], signal);
  }

  /** @param {string} input @param {Face.EncodeOptions} [options] @returns {Promise<Uint32Array>} */
  async tokenize(input, options) {
    const { addSpecialTokens: add = true, parseSpecialTokens: parse = false, signal } = check("tokenize", options);
    return this.call("tokenize", [text(input, "text"), add, parse], signal);
  }

  /** @param {ArrayLike<number>} tokens @param {Face.DecodeOptions} [options] @returns {Promise<string>} */
  async detokenize(tokens, options) {
    const { skipSpecialTokens: skip = true, signal } = check("detokenize", options);
    return this.call("detokenize", [ids(tokens), skip], signal);
  }
}

/** @extends {LoadedModel<Wasm.ImageModel>} @implements {Face.ImageModel} */
class LoadedImageModel extends LoadedModel {
  /** @param {Face.ImageOptions} options */
  generate(options) {
    const { asked, fault } = begun("paint", options);
    const { signal, init, mask, ...rest } = asked;
    return new Steps((state) => {
      const begin = async () => {
        if (fault) throw fault;
        const whole = { ...rest, prompt: text(rest.prompt, "prompt") };
        if (whole.negativePrompt !== undefined) whole.negativePrompt = text(whole.negativePrompt, "negativePrompt");
        const pictures = [await pixelsOf(init, "init"), await pixelsOf(mask, "mask")];
        // Whoever left while the pictures were read wants none.
        if (state.left) return state.end();
        this.stream("paint", () => [whole, pictures[0], pictures[1]], signal, painted)(state);
      };
      begin().catch((error) => state.end(error));
    });
  }
}

/** @extends {LoadedModel<Wasm.Autoencoder>} @implements {Face.Autoencoder} */
class LoadedAutoencoder extends LoadedModel {
  /** @param {Float32Array} latent @param {number[]} shape @param {Face.DecodeLatentOptions} [options] */
  async decode(latent, shape, options) {
    const { label, signal } = check("decodeLatent", options);
    if (label !== undefined && !(label >= 0 && label < 2 ** 31)) throw new VitrineError("bad-argument", `The label ${label} is none. Give one from 0 on.`);
    if (!(latent instanceof Float32Array)) throw new VitrineError("bad-argument", `The latent is a Float32Array, not ${shown(latent)}.`);
    if (!Array.isArray(shape) || !shape.every((side) => Number.isInteger(side) && side >= 0 && side < 2 ** 31)) {
      throw new VitrineError("bad-argument", "The latent's shape is an array of whole numbers, like [1, 4, 64, 64].");
    }
    const { width, height, data } = await this.compute("decodeLatent", [latent, shape, label], signal);
    return new ImageData(data, width, height);
  }

  /** @param {Face.PictureSource} picture @param {Face.CallOptions} [options] @returns {Promise<{ latent: Float32Array, shape: number[] }>} */
  async encode(picture, options) {
    const { signal } = check("encodePicture", options);
    if (picture === undefined || picture === null) throw new VitrineError("bad-argument", "There is no picture. Give ImageData, an ImageBitmap or a Blob.");
    const pixels = /** @type {Wasm.Pixels} */ (await pixelsOf(picture, "picture"));
    return this.compute("encodePicture", [pixels], signal);
  }
}

/** @implements {Face.Tokenizer} */
class LoadedTokenizer {
  #host;
  #tokenizer;
  #forget;
  #closed = false;

  /**
   * @param {Host} host
   * @param {{ tokenizer: number, info: Face.TokenizerInfo }} value
   * @param {() => void} forget
   */
  constructor(host, value, forget) {
    this.#host = host;
    this.#tokenizer = value.tokenizer;
    this.#forget = forget;
    /** @type {Face.TokenizerInfo} */
    this.info = Object.freeze(value.info);
  }

  /** @param {string} op @param {object} args @param {AbortSignal} [signal] */
  async #ask(op, args, signal) {
    if (this.#closed) throw closed("tokenizer");
    if (this.#host.failure) throw lost("tokenizer", this.#host.failure);
    return this.#host.call(op, { tokenizer: this.#tokenizer, ...args }, { signal });
  }

  /** @param {string} input @param {Face.EncodeOptions} [options] @returns {Promise<Uint32Array>} */
  async tokenize(input, options) {
    const { addSpecialTokens: add = true, parseSpecialTokens: parse = false, signal } = check("tokenize", options);
    return this.#ask("encode", { text: text(input, "text"), add, parse }, signal);
  }

  /** @param {ArrayLike<number>} tokens @param {Face.DecodeOptions} [options] @returns {Promise<string>} */
  async detokenize(tokens, options) {
    const { skipSpecialTokens = true, signal } = check("detokenize", options);
    return this.#ask("decode", { tokens: ids(tokens), skipSpecialTokens }, signal);
  }

  /** @param {string} input @param {Face.EncodeOptions} [options] */
  encode(input, options) {
    return this.tokenize(input, options);
  }

  /** @param {ArrayLike<number>} tokens @param {Face.DecodeOptions} [options] */
  decode(tokens, options) {
    return this.detokenize(tokens, options);
  }

  async close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget();
    if (!this.#host.failure) await this.#host.call("freeTokenizer", { tokenizer: this.#tokenizer }).catch(() => {});
  }

  free() {
    return this.close();
  }

  async [DISPOSE]() {
    await this.close();
  }
}

export const Engine = Object.freeze({
  /**
   * @param {Face.EngineOptions & Face.CallOptions} [options]
   * @returns {Promise<Face.Engine>}
   */
  async create(options) {
    const { signal, ...asked } = check("create", options);
    if (typeof WebAssembly === "undefined") {
      throw new VitrineError("bad-argument", "This browser has no WebAssembly, or it is switched off (in a lockdown mode, for instance). Switch it on, or open the page in another browser.");
    }
    const engine = new OpenEngine(asked);
    try {
      await engine.open(signal);
    } catch (error) {
      engine.close();
      throw error;
    }
    return engine;
  },
});

/**
 * @param {"model" | "tokenizer"} what
 * @param {VitrineError} failure
 */
function lost(what, failure) {
  return new VitrineError("closed", `This ${what} went down with the engine. Load it again: the engine restarts by itself.`, {
    cause: failure,
  });
}

/** @param {Host} host @param {string} op @param {object} args */
function give(host, op, args) {
  host.call(op, args).catch(() => {});
}

/**
 * The options of a stream, or the fault in them: a stream tells of it when it is first read.
 * @template {keyof import("./options.js").Calls} C
 * @param {C} name
 * @param {unknown} options
 * @param {(asked: Partial<import("./options.js").Calls[C]>) => Partial<import("./options.js").Calls[C]>} [further] looks further
 */
function begun(name, options, further = (asked) => asked) {
  try {
    return { asked: further(check(name, options)) };
  } catch (fault) {
    return { asked: {}, fault };
  }
}

/** Whether the tools of a chat may be called. @param {Face.ChatOptions} options */
function calls({ tools = [], toolChoice }) {
  return tools.length > 0 && toolChoice !== "none";
}

/**
 * The options of a chat; of one that calls nothing, because it has no tools or may not call them, without those about calls.
 * @param {Face.ChatOptions} options
 * @returns {Face.ChatOptions}
 */
function plainly(options) {
  if (calls(options)) return options;
  const { tools, toolChoice, ...rest } = options;
  const idle = CALLING.find((name) => name in rest) ?? (typeof toolChoice === "object" || toolChoice === "required" ? "toolChoice" : undefined);
  if (idle && toolChoice !== "none") throw new VitrineError("bad-argument", `${idle} is about the calls of tools, and there are none. Give tools, or leave it out.`);
  const others = Object.entries(rest).filter(([name]) => !CALLING.some((each) => each === name));
  return { ...Object.fromEntries(others), ...(toolChoice === "none" ? {} : { tools }) };
}

/** @param {unknown} value @param {string} name */
function textOrIds(value, name) {
  return typeof value === "string" ? text(value, name) : ids(value, `${name} is a string or an array of token ids`);
}

/** @param {unknown} value @param {string} [must] what it is */
function ids(value, must = "Tokens are an array of their ids") {
  if (typeof value !== "string" && typeof value === "object" && value !== null && "length" in value && typeof value.length === "number") {
    const numbers = Array.from(/** @type {ArrayLike<number>} */ (value));
    const odd = numbers.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= 2 ** 32);
    if (odd < 0) return Uint32Array.from(numbers);
    if (isRecord(numbers[odd]) && "role" in numbers[odd]) throw new VitrineError("bad-argument", `${must}. A conversation is answered by chat: model.chat(messages).`);
    throw new VitrineError("bad-argument", `Token ids are whole numbers from 0 up; number ${odd + 1} of them is ${shown(numbers[odd])}.`);
  }
  throw new VitrineError("bad-argument", `${must}, not ${shown(value)}.`);
}

/**
 * A step as the reader gets it.
 * @param {import("./wasm-face.js").PaintedStep} event
 * @returns {Face.PaintStep}
 */
function painted({ pictures, ...step }) {
  const images = pictures.map(({ width, height, data }) => new ImageData(data, width, height));
  return { ...step, images, image: images[0] };
}

/**
 * What a picture holds, as it goes to the worker.
 * @param {Face.PictureSource | undefined} picture
 * @param {string} name
 */
async function pixelsOf(picture, name) {
  if (picture === undefined) return undefined;
  if (picture instanceof ImageData) return { width: picture.width, height: picture.height, data: picture.data };
  if (!(picture instanceof Blob || picture instanceof ImageBitmap)) {
    throw new VitrineError("bad-argument", `${name} is ImageData, an ImageBitmap or a Blob, not ${shown(picture)}.`);
  }
  const bitmap = await createImageBitmap(picture).catch((cause) => {
    throw new VitrineError("bad-argument", `${name} is no picture that this browser can read. Give a PNG, a JPEG or another image.`, { cause });
  });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  if (!context) throw new VitrineError("out-of-memory", `There is no room to read ${name}. Give a smaller picture.`);
  context.drawImage(bitmap, 0, 0);
  const { width, height, data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  bitmap.close();
  return { width, height, data };
}

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
function withSignal(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(aborted(signal));
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

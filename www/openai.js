/**
 * `engine.chat.completions.create` and `engine.openai.fetch`: the OpenAI shape on top of `chat` and `generate`. What a request may hold:
 * openai-request.js; the routes: openai-fetch.js.
 */

import { VitrineError } from "./errors.js";
import { fetchOf, nonce } from "./openai-fetch.js";
import { Refused, chatRequest, renamed, signalOf, textRequest } from "./openai-request.js";
import { isRecord, shown } from "./options.js";

/** @import * as Face from "./vitrine.js" */
/** @import { Told } from "./openai-request.js" */
/** @typedef {{ id: string, created: number, model: string }} Head */
/** @typedef {{ address?: string, file?: string }} Origin the address or the id that a model was loaded by, or what its file is called */
/** @typedef {Origin & { model: Face.Model }} Loaded a model that the engine holds */

/**
 * What differs between the two kinds of completions.
 * @typedef {{
 *   prefix: string,
 *   object: string,
 *   piece: string,
 *   choice: (text: string, logprobs: Face.Chunk[] | null) => object,
 *   first: object | null,
 *   delta: (text: string | null, logprobs: Face.Chunk[] | null) => object,
 * }} Shape
 */

/** Where neither the request nor the model's context bounds an answer. */
const UNBOUNDED_TOKENS = 2048;

/** @type {Shape} */
const CHAT = {
  prefix: "chatcmpl",
  object: "chat.completion",
  piece: "chat.completion.chunk",
  choice: (content, chunks) => ({ message: { role: "assistant", content, refusal: null }, logprobs: chatLogprobs(chunks) }),
  first: { delta: { role: "assistant", content: "", refusal: null }, logprobs: null },
  delta: (content, chunks) => ({ delta: content === null ? {} : { content }, logprobs: chatLogprobs(chunks) }),
};

/** @type {Shape} */
const TEXT = {
  prefix: "cmpl",
  object: "text_completion",
  piece: "text_completion",
  choice: (text, chunks) => ({ text, logprobs: textLogprobs(chunks) }),
  first: null,
  delta: (text, chunks) => ({ text: text ?? "", logprobs: textLogprobs(chunks) }),
};

/**
 * @param {Pick<Face.Engine, "load" | "catalog">} engine
 * @param {() => Loaded[]} loaded the models that are loaded now
 */
export function openai(engine, loaded) {
  /** The ids of the catalogue, where there is one. */
  const known = async () => new Map((await engine.catalog()).map(({ id, kind }) => [id, kind]));

  /** The model of this name among those that are loaded: no file's name hides one of the catalogue. @param {string} name */
  const heldBy = async (name) => {
    const all = loaded();
    const addressed = all.find(({ address }) => address === name);
    if (addressed) return addressed.model;
    const [filed] = all.filter(({ file }) => file === name);
    const called = all.filter(({ model }) => model.info.name === name);
    const held = filed ?? (called.length === 1 ? called[0] : undefined);
    return held && !(await known().catch(() => new Map())).has(name) ? held.model : undefined;
  };

  /** The model of this name. One that is loaded for a request stays until the engine closes. @param {string} name @param {AbortSignal} [signal] @returns {Promise<Face.Model>} */
  const load = async (name, signal) => {
    const held = await heldBy(name);
    if (held) return held;
    try {
      return await engine.load(name, { signal });
    } catch (error) {
      throw error instanceof VitrineError && error.code === "bad-argument" ? new Refused(error.message, "model", "model_not_found", 404, error) : error;
    }
  };

  /** @param {unknown} wanted @param {AbortSignal} [signal] @returns {Promise<Face.TextModel>} */
  const modelFor = async (wanted, signal) => {
    if (typeof wanted !== "string" && !(typeof wanted === "object" && wanted !== null && "info" in wanted)) {
      throw new Refused(`model must be a name, an address or a loaded model, not ${shown(wanted)}.`, "model", wanted === undefined ? "missing_required_parameter" : "invalid_type");
    }
    const model = typeof wanted === "string" ? await load(wanted, signal) : /** @type {Face.Model} */ (wanted);
    if (model.info.kind === "text") return /** @type {Face.TextModel} */ (model);
    throw new Refused(`${model.info.name} is no language model, so it completes nothing. Name one that is.`, "model", "model_not_supported");
  };

  /**
   * @param {Shape} shape
   * @param {{ model: unknown, options: Face.ChatOptions, told: Told }} asked
   * @param {object} request as it was written
   * @param {AbortSignal | undefined} signal
   * @param {(model: Face.TextModel, options: Face.ChatOptions) => Face.TextStream} begin
   * @returns {Promise<any>}
   */
  const complete = async (shape, { model: wanted, options, told }, request, signal, begin) => {
    const model = await modelFor(wanted, signal);
    // An answer without a limit ends with the context, as it does with OpenAI.
    const stream = begin(model, { ...options, maxTokens: options.maxTokens ?? model.info.contextLength ?? UNBOUNDED_TOKENS, signal });
    const head = {
      id: `${shape.prefix}-${nonce()}`,
      created: Math.floor(Date.now() / 1000),
      model: typeof wanted === "string" ? wanted : model.info.name,
    };
    return told.stream ? pieces(shape, stream, head, told, request) : whole(shape, stream, head, told, request);
  };

  /** @param {any} request @param {unknown} [options] @returns {Promise<any>} */
  const create = async (request, options) => {
    const { signal: own, ...rest } = isRecord(request) ? request : {};
    const signal = signalOf(options, own);
    const { messages, ...asked } = chatRequest(isRecord(request) ? rest : request);
    return complete(CHAT, asked, rest, signal, (model, told) => model.chat(messages, told));
  };

  /** @param {any} request @param {AbortSignal} signal */
  const createText = async (request, signal) => {
    const { prompt, ...asked } = textRequest(request);
    return complete(TEXT, asked, request, signal, (model, options) => model.generate(prompt, options));
  };

  const created = Math.floor(Date.now() / 1000);
  /** The language models that can be named: the catalogue's, and those that are loaded. */
  const models = async () => {
    const kinds = await known();
    const listed = [...kinds].flatMap(([id, kind]) => (kind === "text" ? [id] : []));
    const held = loaded().flatMap(({ address, file, model }) => (model.info.kind !== "text" || (!address && kinds.has(file ?? model.info.name)) ? [] : [address ?? file ?? model.info.name]));
    return [...new Set([...listed, ...held])].map((id) => ({ id, object: "model", created, owned_by: "vitrine" }));
  };

  return {
    completions: /** @type {Face.ChatCompletions} */ ({ create }),
    fetch: fetchOf({ chat: (request, signal) => create(request, { signal }), text: createText, models }),
  };
}

/**
 * Nothing but errors comes before the first token.
 * @param {Shape} shape
 * @param {Face.TextStream} stream
 * @param {Head} head
 * @param {Told} told
 * @param {object} request
 */
async function* pieces(shape, stream, head, told, request) {
  const base = { id: head.id, object: shape.piece, created: head.created, model: head.model };
  const usage = told.usage ? { usage: null } : {};
  const piece = (/** @type {object} */ choice, /** @type {string | null} */ reason = null) => ({ ...base, choices: [{ index: 0, ...choice, finish_reason: reason }], ...usage });
  let begun = false;
  try {
    for await (const chunk of stream) {
      if (!begun && shape.first) yield piece(shape.first);
      begun = true;
      yield piece(shape.delta(chunk.text, told.logprobs ? [chunk] : null));
    }
  } catch (error) {
    throw renamed(error, request);
  }
  if (!begun && shape.first) yield piece(shape.first);
  yield piece(shape.delta(null, null), reasonOf(stream));
  if (told.usage) yield { ...base, choices: [], usage: usageOf(stream) };
}

/**
 * @param {Shape} shape
 * @param {Face.TextStream} stream
 * @param {Head} head
 * @param {Told} told
 * @param {object} request
 */
async function whole(shape, stream, head, told, request) {
  /** @type {Face.Chunk[]} */
  const chunks = [];
  try {
    for await (const chunk of stream) chunks.push(chunk);
  } catch (error) {
    throw renamed(error, request);
  }
  const text = chunks.map((chunk) => chunk.text).join("");
  const choice = { index: 0, ...shape.choice(text, told.logprobs ? chunks : null), finish_reason: reasonOf(stream) };
  return { id: head.id, object: shape.object, created: head.created, model: head.model, choices: [choice], usage: usageOf(stream) };
}

/** @param {Face.TextStream} stream @returns {Face.ChatFinishReason} */
function reasonOf(stream) {
  const reason = stream.summary?.finishReason;
  return reason === "length" || reason === "context" ? "length" : "stop";
}

/** @param {Face.TextStream} stream @returns {Face.ChatUsage} */
function usageOf(stream) {
  const { promptTokens = 0, generatedTokens = 0, reusedTokens = 0 } = stream.summary ?? {};
  return {
    prompt_tokens: promptTokens,
    completion_tokens: generatedTokens,
    total_tokens: promptTokens + generatedTokens,
    prompt_tokens_details: { cached_tokens: reusedTokens },
  };
}

const utf8 = new TextEncoder();

/** One entry for a token, none for text that was only held back. @param {Face.Chunk[] | null} chunks @returns {Face.ChatLogprobs | null} */
function chatLogprobs(chunks) {
  if (!chunks) return null;
  const entry = (/** @type {string} */ token, /** @type {number} */ logprob) => ({ token, logprob, bytes: [...utf8.encode(token)] });
  const content = chunks.flatMap(({ piece, logprob, alternatives }) =>
    logprob === undefined ? [] : [{ ...entry(piece, logprob), top_logprobs: alternatives.map((each) => entry(each.text, each.logprob)) }],
  );
  return { content, refusal: null };
}

/** The same in the older shape. @param {Face.Chunk[] | null} chunks */
function textLogprobs(chunks) {
  if (!chunks) return null;
  const known = chunks.filter(({ logprob }) => logprob !== undefined);
  let at = 0;
  return {
    tokens: known.map(({ piece }) => piece),
    token_logprobs: known.map(({ logprob }) => logprob),
    top_logprobs: known.map(({ alternatives }) => Object.fromEntries(alternatives.map(({ text, logprob }) => [text, logprob]))),
    text_offset: known.map(({ piece }) => (at += piece.length) - piece.length),
  };
}

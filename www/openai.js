/** `engine.chat.completions.create`: the OpenAI shape on top of `chat`. */

import { VitrineError } from "./errors.js";

/** @import * as Face from "./vitrine.js" */

const KNOWN = new Set([
  "model", "messages", "stream", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p",
  "repetition_penalty", "seed", "stop", "logprobs", "top_logprobs", "n", "signal",
]); // prettier-ignore

/**
 * @param {Pick<Face.Engine, "load">} engine
 * @returns {Face.ChatCompletions}
 */
export function completions(engine) {
  /** Models that were named by a string; they stay until the engine closes. @type {Map<string, Promise<Face.TextModel>>} */
  const named = new Map();

  /** @param {string} name @param {AbortSignal} [signal] */
  const load = (name, signal) => {
    const known = named.get(name);
    if (known) return known;
    const loading = engine.load(name, { signal });
    named.set(name, loading);
    loading.catch(() => named.delete(name));
    return loading;
  };

  /** @param {Face.ChatCompletionRequest} request @returns {Promise<any>} */
  const create = async (request) => {
    for (const field of Object.keys(request)) {
      if (!KNOWN.has(field)) throw new VitrineError("bad-argument", `Vitrine knows no field "${field}"; leave it out.`);
    }
    if (request.n !== undefined && request.n !== 1) throw new VitrineError("bad-argument", "n is 1: ask again for another answer.");
    const model = typeof request.model === "string" ? await load(request.model, request.signal) : request.model;
    const head = {
      // Not randomUUID, which a page over plain http is without.
      id: `chatcmpl-${Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")}`,
      created: Math.floor(Date.now() / 1000),
      model: typeof request.model === "string" ? request.model : model.info.name,
    };
    const stream = model.chat(request.messages, {
      maxTokens: request.max_completion_tokens ?? request.max_tokens,
      temperature: request.temperature,
      topP: request.top_p,
      topK: request.top_k,
      minP: request.min_p,
      repetitionPenalty: request.repetition_penalty,
      seed: request.seed,
      stop: request.stop,
      alternatives: request.logprobs ? (request.top_logprobs ?? 0) : 0,
      signal: request.signal,
    });
    return request.stream ? chunks(stream, head, request) : whole(stream, head, request);
  };
  return { create };
}

/** @typedef {{ id: string, created: number, model: string }} Head */

/**
 * @param {Face.TextStream} stream
 * @param {Head} head
 * @param {Face.ChatCompletionRequest} request
 * @returns {AsyncGenerator<Face.ChatCompletionChunk, void, undefined>}
 */
async function* chunks(stream, head, request) {
  const base = { ...head, object: /** @type {const} */ ("chat.completion.chunk") };
  yield { ...base, choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null, logprobs: null }] };
  for await (const chunk of stream) {
    const logprobs = request.logprobs ? { content: logprobOf(chunk) } : null;
    yield { ...base, choices: [{ index: 0, delta: { content: chunk.text }, finish_reason: null, logprobs }] };
  }
  yield { ...base, choices: [{ index: 0, delta: {}, finish_reason: reasonOf(stream), logprobs: null }], usage: usageOf(stream) };
}

/**
 * @param {Face.TextStream} stream
 * @param {Head} head
 * @param {Face.ChatCompletionRequest} request
 * @returns {Promise<Face.ChatCompletion>}
 */
async function whole(stream, head, request) {
  let content = "";
  /** @type {Face.ChatLogprobs["content"]} */
  const logprobs = [];
  for await (const chunk of stream) {
    content += chunk.text;
    if (request.logprobs) logprobs.push(...logprobOf(chunk));
  }
  return {
    ...head,
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content },
        finish_reason: reasonOf(stream),
        logprobs: request.logprobs ? { content: logprobs } : null,
      },
    ],
    usage: usageOf(stream),
  };
}

/** @param {Face.TextStream} stream @returns {Face.ChatFinishReason} */
function reasonOf(stream) {
  const reason = stream.summary?.finishReason;
  return reason === "length" || reason === "context" ? "length" : "stop";
}

/** @param {Face.TextStream} stream @returns {Face.ChatUsage} */
function usageOf(stream) {
  const { promptTokens = 0, generatedTokens: tokens = 0 } = stream.summary ?? {};
  return { prompt_tokens: promptTokens, completion_tokens: tokens, total_tokens: promptTokens + tokens };
}

const utf8 = new TextEncoder();

/** One entry for a token, none for text that was only held back. @param {Face.Chunk} chunk @returns {Face.ChatLogprobs["content"]} */
function logprobOf({ token, piece, logprob, alternatives }) {
  if (token === undefined || logprob === undefined) return [];
  const top = alternatives.map((each) => ({ token: each.text, logprob: each.logprob, bytes: [...utf8.encode(each.text)] }));
  return [{ token: piece, logprob, bytes: [...utf8.encode(piece)], top_logprobs: top }];
}

/**
 * The answers of OpenAI's shape: what a model's streams say, whole or piece by piece, in the fields of their API reference.
 */

import { Thoughts } from "./thoughts.js";
import { renamed } from "./openai-fields.js";

/** @import * as Face from "./vitrine.js" */
/** @import { Told } from "./openai-request.js" */
/** @typedef {{ id: string, created: number, model: string }} Head */

/**
 * A step of an answer: what it adds to each of its parts. `chunks` are what log-probabilities are told of.
 * @typedef {{ content: string, reasoning: string, calls: Face.ChatToolCall[], chunks: Seen[] }} Part
 */

/** A token, generated or of the prompt; the first of all has no log-probability. @typedef {{ piece: string, logprob?: number | null, alternatives: Face.Alternative[] }} Seen */

/** @typedef {AsyncIterable<Face.Chunk> & { readonly summary: Partial<Face.GenerationSummary> | undefined }} Stream */

/**
 * One way to answer: what stands before it, the stream, and whether it begins inside thoughts that the prompt opened.
 * @typedef {{ before: Part[], stream: Stream, thinks: boolean }} Attempt
 */

/** The ways to answer each prompt, each begun when its turn comes. @typedef {(() => Promise<Attempt>)[][]} Attempts */

/**
 * What differs between the two kinds of completions.
 * @typedef {{
 *   prefix: string,
 *   object: string,
 *   piece: string,
 *   thoughts: boolean,
 *   choice: (part: Part, told: Told) => object,
 *   first: object | null,
 *   delta: (part: Part | null, told: Told, calls: number) => object,
 * }} Shape
 */

/** @type {Shape} */
export const CHAT = {
  prefix: "chatcmpl",
  object: "chat.completion",
  piece: "chat.completion.chunk",
  thoughts: true,
  choice: ({ content, reasoning, calls, chunks }, told) => ({
    message: {
      role: "assistant",
      content: content === "" && calls.length > 0 ? null : content,
      refusal: null,
      ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    },
    logprobs: told.logprobs ? chatLogprobs(chunks, told.top) : null,
  }),
  first: { delta: { role: "assistant", content: "", refusal: null }, logprobs: null },
  delta: (part, told, calls) => ({
    delta: part
      ? {
          ...(part.content === "" && (part.reasoning !== "" || part.calls.length > 0) ? {} : { content: part.content }),
          ...(part.reasoning === "" ? {} : { reasoning_content: part.reasoning }),
          ...(part.calls.length > 0 ? { tool_calls: part.calls.map((call, at) => ({ index: calls + at, ...call })) } : {}),
        }
      : {},
    logprobs: part && told.logprobs ? chatLogprobs(part.chunks, told.top) : null,
  }),
};

/** @type {Shape} */
export const TEXT = {
  prefix: "cmpl",
  object: "text_completion",
  piece: "text_completion",
  thoughts: false,
  choice: ({ content, chunks }, told) => ({ text: content, logprobs: told.logprobs ? textLogprobs(chunks) : null }),
  first: null,
  delta: (part, told) => ({ text: part?.content ?? "", logprobs: part && told.logprobs ? textLogprobs(part.chunks) : null }),
};

/** What the answers to a request took, all together. */
class Usage {
  #prompt = 0;
  #cached = 0;
  #completion = 0;
  #reasoning = 0;

  /** @param {Stream} stream @param {boolean} again whether its prompt was counted before @param {number} reasoning */
  add(stream, again, reasoning) {
    const { promptTokens = 0, generatedTokens = 0, reusedTokens = 0 } = stream.summary ?? {};
    if (!again) {
      this.#prompt += promptTokens;
      this.#cached += reusedTokens;
    }
    this.#completion += generatedTokens;
    this.#reasoning += reasoning;
  }

  /** @returns {Face.ChatUsage} */
  told() {
    return {
      prompt_tokens: this.#prompt,
      completion_tokens: this.#completion,
      total_tokens: this.#prompt + this.#completion,
      prompt_tokens_details: { cached_tokens: this.#cached },
      completion_tokens_details: { reasoning_tokens: this.#reasoning },
    };
  }
}

/**
 * What an attempt says, step by step. It counts the tokens of thoughts and the calls.
 * @param {Attempt} attempt
 * @param {Shape} shape
 * @param {{ reasoning: number, calls: number }} counted
 * @returns {AsyncGenerator<Part, void, undefined>}
 */
async function* said({ before, stream, thinks }, shape, counted) {
  yield* before;
  const thoughts = shape.thoughts ? new Thoughts(thinks) : undefined;
  for await (const chunk of stream) {
    const { content, reasoning } = thoughts?.push(chunk) ?? { content: chunk.text, reasoning: "" };
    if (thoughts?.open && chunk.token !== undefined) counted.reasoning += 1;
    const { calls, words } = calledIn(chunk);
    yield { content: content + words, reasoning, calls, chunks: chunk.logprob === undefined ? [] : [chunk] };
  }
  const rest = thoughts?.finish();
  if (rest && (rest.content !== "" || rest.reasoning !== "")) yield { ...rest, calls: [], chunks: [] };
}

/**
 * The calls of a chunk. Whether they fit is the caller's to see, as it is with OpenAI; what cannot be read as a call of any function is content.
 * @param {Face.Chunk} chunk
 */
function calledIn({ calls = [], faults = [] }) {
  const shaped = (/** @type {string} */ id, /** @type {string} */ name, /** @type {string} */ given) => ({ id, type: /** @type {const} */ ("function"), function: { name, arguments: given } });
  const fine = calls.map((call) => shaped(call.id, call.name, JSON.stringify(call.arguments)));
  const others = faults.flatMap(({ id, name, arguments: given, written = "" }) => (id && name ? [shaped(id, name, given === undefined ? written : JSON.stringify(given))] : []));
  const words = faults.map(({ name, written = "" }) => (name ? "" : written)).join("");
  return { calls: [...fine, ...others], words };
}

/**
 * Nothing but errors comes before the first token. The choices come one after the other: one generation runs at a time.
 * @param {Shape} shape
 * @param {Attempts} attempts
 * @param {Head} head
 * @param {Told} told
 * @param {object} request as it was written
 */
export async function* pieces(shape, attempts, head, told, request) {
  const base = { id: head.id, object: shape.piece, created: head.created, model: head.model };
  const extra = told.usage ? { usage: null } : {};
  const usage = new Usage();
  let index = 0;
  for (const attempt of attempts.flatMap((group) => group.map((begin, at) => ({ begin, again: at > 0 })))) {
    const piece = (/** @type {object} */ choice, /** @type {string | null} */ reason = null) => ({ ...base, choices: [{ index, ...choice, finish_reason: reason }], ...extra });
    const counted = { reasoning: 0, calls: 0 };
    let begun = false;
    try {
      const begins = await attempt.begin();
      for await (const part of said(begins, shape, counted)) {
        if (!begun && shape.first) yield piece(shape.first);
        begun = true;
        yield piece(shape.delta(part, told, counted.calls));
        counted.calls += part.calls.length;
      }
      if (!begun && shape.first) yield piece(shape.first);
      usage.add(begins.stream, attempt.again, counted.reasoning);
      yield piece(shape.delta(null, told, counted.calls), reasonOf(begins.stream, counted.calls));
    } catch (error) {
      throw renamed(error, request);
    }
    index += 1;
  }
  if (told.usage) yield { ...base, choices: [], usage: usage.told() };
}

/**
 * @param {Shape} shape
 * @param {Attempts} attempts
 * @param {Head} head
 * @param {Told} told
 * @param {object} request as it was written
 */
export async function whole(shape, attempts, head, told, request) {
  const usage = new Usage();
  const choices = [];
  for (const group of attempts) {
    const answers = [];
    for (const begin of group) {
      try {
        const counted = { reasoning: 0, calls: 0 };
        const attempt = await begin();
        /** @type {Part[]} */
        const parts = [];
        for await (const part of said(attempt, shape, counted)) parts.push(part);
        usage.add(attempt.stream, answers.length > 0, counted.reasoning);
        const part = joined(parts);
        const score = mean(joined(parts.slice(attempt.before.length)).chunks);
        answers.push({ score, choice: shape.choice(part, told), reason: reasonOf(attempt.stream, part.calls.length) });
      } catch (error) {
        throw renamed(error, request);
      }
    }
    if (answers.length > told.n) answers.sort((a, b) => b.score - a.score);
    for (const { choice, reason } of answers.slice(0, told.n)) choices.push({ index: choices.length, ...choice, finish_reason: reason });
  }
  return { id: head.id, object: shape.object, created: head.created, model: head.model, choices, usage: usage.told() };
}

/** @param {Part[]} parts @returns {Part} */
function joined(parts) {
  const text = (/** @type {"content" | "reasoning"} */ name) => parts.map((part) => part[name]).join("");
  return { content: text("content"), reasoning: text("reasoning"), calls: parts.flatMap(({ calls }) => calls), chunks: parts.flatMap(({ chunks }) => chunks) };
}

/** The mean log-probability of what was generated, by which `best_of` chooses. @param {Seen[]} chunks */
function mean(chunks) {
  return chunks.reduce((sum, { logprob }) => sum + (logprob ?? 0), 0) / Math.max(chunks.length, 1);
}

/** @param {Stream} stream @param {number} calls @returns {Face.ChatFinishReason} */
function reasonOf(stream, calls) {
  const reason = stream.summary?.finishReason;
  if (reason === "length" || reason === "context") return "length";
  return calls > 0 ? "tool_calls" : "stop";
}

const utf8 = new TextEncoder();

/** One entry for a token, none for text that was only held back. @param {Seen[]} chunks @param {number} top how many others are told @returns {Face.ChatLogprobs} */
function chatLogprobs(chunks, top) {
  const entry = (/** @type {string} */ token, /** @type {number} */ logprob) => ({ token, logprob, bytes: [...utf8.encode(token)] });
  const content = chunks.map(({ piece, logprob, alternatives }) => ({
    ...entry(piece, logprob ?? 0),
    top_logprobs: alternatives.slice(0, top).map((each) => entry(each.text, each.logprob)),
  }));
  return { content, refusal: null };
}

/** The same in the older shape. @param {Seen[]} chunks */
function textLogprobs(chunks) {
  let at = 0;
  return {
    tokens: chunks.map(({ piece }) => piece),
    token_logprobs: chunks.map(({ logprob }) => logprob ?? null),
    top_logprobs: chunks.map(({ alternatives }) => Object.fromEntries(alternatives.map(({ text, logprob }) => [text, logprob]))),
    text_offset: chunks.map(({ piece }) => (at += piece.length) - piece.length),
  };
}

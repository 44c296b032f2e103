/**
 * `engine.chat.completions.create` and `engine.openai.fetch`: the OpenAI shape on top of `chat`, `generate` and `embed`. What a request may
 * hold: openai-request.js; what is answered: openai-answer.js; the routes: openai-fetch.js.
 */

import { VitrineError } from "./errors.js";
import { CHAT, TEXT, pieces, whole } from "./openai-answer.js";
import { embeddings } from "./openai-embeddings.js";
import { fetchOf, nonce } from "./openai-fetch.js";
import { Refused } from "./openai-fields.js";
import { chatRequest, signalOf, textRequest } from "./openai-request.js";
import { serve } from "./openai-serve.js";
import { several } from "./openai-several.js";
import { isRecord, shown } from "./options.js";
import { opensThoughts } from "./thoughts.js";

/** @import * as Face from "./vitrine.js" */
/** @import { Attempt, Part, Shape } from "./openai-answer.js" */
/** @import { Told } from "./openai-request.js" */
/** @typedef {{ address?: string, file?: string }} Origin the address or the id that a model was loaded by, or what its file is called */
/** @typedef {Origin & { model: Face.Model }} Loaded a model that the engine holds */

/** Where neither the request nor the model's context bounds an answer. */
const UNBOUNDED_TOKENS = 2048;
/** The kinds of models that can be named. */
const KINDS = ["text", "encoder"];

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

  /** @param {unknown} wanted @param {AbortSignal} [signal] @returns {Promise<Face.Model>} */
  const modelOf = async (wanted, signal) => {
    if (typeof wanted === "string") return load(wanted, signal);
    if (typeof wanted === "object" && wanted !== null && "info" in wanted) return /** @type {Face.Model} */ (wanted);
    throw new Refused(`model must be a name, an address or a loaded model, not ${shown(wanted)}.`, "model", wanted === undefined ? "missing_required_parameter" : "invalid_type");
  };

  /** @param {unknown} wanted @param {AbortSignal} [signal] @returns {Promise<Face.TextModel>} */
  const textModelOf = async (wanted, signal) => {
    const model = await modelOf(wanted, signal);
    if (model.info.kind === "text") return /** @type {Face.TextModel} */ (model);
    throw new Refused(`${model.info.name} is no language model, so it completes nothing. Name one that is.`, "model", "model_not_supported");
  };

  /**
   * @template {Face.GenerateOptions} O
   * @param {Shape} shape
   * @param {{ model: unknown, options: O, told: Told }} asked
   * @param {object} request as it was written
   * @param {AbortSignal | undefined} signal
   * @param {((model: Face.TextModel, options: O) => Promise<Attempt>)[]} prompts
   * @returns {Promise<any>}
   */
  const complete = async (shape, { model: wanted, options, told }, request, signal, prompts) => {
    const model = await textModelOf(wanted, signal);
    // An answer without a limit ends with the context, as it does with OpenAI.
    const whatever = { ...options, maxTokens: options.maxTokens ?? model.info.contextLength ?? UNBOUNDED_TOKENS, signal };
    // Each of several answers has a seed of its own, by which it can be had again.
    const first = options.seed ?? (told.tries > 1 ? crypto.getRandomValues(new Uint16Array(1))[0] : undefined);
    const seeds = Array.from({ length: told.tries }, (_, at) => (first === undefined ? undefined : (first + at) % 2 ** 32));
    const attempts = prompts.map((begin) => (atOnce(whatever, told) ? together(() => begin(model, { ...whatever, seed: first, n: told.tries }), told.tries) : seeds.map((seed) => () => begin(model, { ...whatever, seed }))));
    const head = {
      id: `${shape.prefix}-${nonce()}`,
      created: Math.floor(Date.now() / 1000),
      model: typeof wanted === "string" ? wanted : model.info.name,
    };
    return (told.stream ? pieces : whole)(shape, attempts, head, told, request);
  };

  /** @param {any} request @param {unknown} [options] @returns {Promise<any>} */
  const create = async (request, options) => {
    const { signal: own, ...rest } = isRecord(request) ? request : {};
    const signal = signalOf(options, own);
    const { messages, ...asked } = chatRequest(isRecord(request) ? rest : request);
    return complete(CHAT, asked, rest, signal, [async (model, told) => ({ before: [], stream: model.chat(messages, told), thinks: await thinks(model, messages, told) })]);
  };

  /** @param {any} request @param {AbortSignal} signal */
  const createText = async (request, signal) => {
    const { prompts, ...asked } = textRequest(request);
    return complete(TEXT, asked, request, signal, prompts.map((prompt) => async (model, options) => gone(model, prompt, options, asked.told)));
  };

  const created = Math.floor(Date.now() / 1000);
  /** The language models and encoders that can be named: the catalogue's, and those that are loaded. */
  const models = async () => {
    const kinds = await known();
    const listed = [...kinds].flatMap(([id, kind]) => (KINDS.includes(kind) ? [id] : []));
    const held = loaded().flatMap(({ address, file, model }) => (!KINDS.includes(model.info.kind) || (!address && kinds.has(file ?? model.info.name)) ? [] : [address ?? file ?? model.info.name]));
    return [...new Set([...listed, ...held])].map((id) => ({ id, object: "model", created, owned_by: "vitrine" }));
  };

  const answer = fetchOf({
    "chat/completions": (request, signal) => create(request, { signal }),
    completions: createText,
    embeddings: (request, signal) => embeddings(request, signal, modelOf),
    models,
  });
  return {
    completions: /** @type {Face.ChatCompletions} */ ({ create }),
    fetch: answer,
    serve: (/** @type {Face.ServeOptions} */ options) => serve(answer, options),
  };
}

/** Whether several answers can come of one generation: calls of tools make a conversation of each. @param {Face.ChatOptions} options @param {Told} told */
const atOnce = ({ tools = [], toolChoice, maxTokens }, { tries }) => tries > 1 && maxTokens !== 0 && (tools.length === 0 || toolChoice === "none");

/**
 * Attempts that are begun with the first of them.
 * @param {() => Promise<Attempt>} begin
 * @param {number} tries
 */
function together(begin, tries) {
  /** @type {Promise<Attempt[]> | undefined} */
  let begun;
  const all = async () => {
    const { stream, ...rest } = await begin();
    return several(/** @type {Face.TextStream} */ (stream), tries).map((each) => ({ ...rest, stream: each }));
  };
  return Array.from({ length: tries }, (_, at) => async () => (await (begun ??= all()))[at]);
}

/**
 * Whether the prompt of a conversation opens the thoughts itself.
 * @param {Face.TextModel} model
 * @param {Face.Message[]} messages
 * @param {Face.ChatOptions} options
 */
async function thinks(model, messages, { tools, toolChoice = "auto", schema, thinking, templateOptions, signal }) {
  // What is held to a schema from its first token on is no thought.
  if (schema !== undefined || !model.info.chatTemplate?.includes("<think>") || typeof toolChoice === "object" || toolChoice === "required") return false;
  return opensThoughts(model, await model.tokenize(messages, { tools: toolChoice === "none" ? undefined : tools, thinking, templateOptions, signal }), signal);
}

/**
 * A prompt that is gone on with. Where it is asked for, it stands before what comes, with its tokens' log-probabilities.
 * @param {Face.TextModel} model
 * @param {string | number[]} prompt
 * @param {Face.GenerateOptions} options
 * @param {Told} told
 * @returns {Promise<Attempt>}
 */
async function gone(model, prompt, options, { echo, logprobs }) {
  const { signal } = options;
  /** @type {Part[]} */
  const before = [];
  if (echo) {
    const content = typeof prompt === "string" ? prompt : await model.detokenize(prompt, { signal });
    const tokens = logprobs ? (await model.score(content, { signal })).tokens : [];
    before.push({ content, reasoning: "", calls: [], chunks: tokens.map(({ text, logprob = null }) => ({ piece: text, logprob, alternatives: [] })) });
  }
  if (options.maxTokens !== 0) return { before, stream: model.generate(prompt, options), thinks: false };
  const promptTokens = (typeof prompt === "string" ? await model.tokenize(prompt, { signal }) : prompt).length;
  return { before, stream: nothing(promptTokens), thinks: false };
}

/** What comes where no token is asked for. @param {number} promptTokens @returns {Attempt["stream"]} */
function nothing(promptTokens) {
  return { summary: { promptTokens, finishReason: "length" }, async *[Symbol.asyncIterator]() {} };
}

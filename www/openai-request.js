/**
 * A request of OpenAI's shape, as messages and options of ours. The fields are those of their API reference (and five that servers of open
 * models add). What asks for nothing passes; what would change the answer and cannot be done is refused by name.
 */

import { Refused, fieldsOf, only, passed, typed, valid } from "./openai-fields.js";
import { messagesOf } from "./openai-messages.js";
import { abortSignal, biases, flag, isRecord, number, record, shown, string, strings, whole } from "./options.js";

/** @import * as Face from "./vitrine.js" */
/** @import { Rule } from "./openai-fields.js" */

/** How many seeds there are. */
const SEEDS = 2 ** 32;
/** More answers than anyone waits for. */
const MOST_ANSWERS = 128;

/** @param {any} value */
const empty = (value) => typeof value === "object" && Object.keys(value).length === 0;
const never = () => false;
const count = valid((value) => Number.isInteger(value) && value >= 1 && value <= MOST_ANSWERS, `must be a whole number from 1 to ${MOST_ANSWERS}`);

/** Fields of both kinds of completions. */
const both = {
  model: passed,
  stream: typed(flag),
  /** @type {Rule} */
  stream_options(value) {
    const known = ["include_usage", "include_obfuscation"];
    const fits = typeof value === "object" && Object.entries(value).every(([name, each]) => known.includes(name) && (each === null || flag(each) === undefined));
    return fits ? undefined : { reason: "invalid_value", sentence: "must be an object like { include_usage: true }" };
  },
  max_tokens: typed(whole),
  temperature: typed(number),
  top_p: typed(number),
  top_k: typed(whole),
  min_p: typed(number),
  repetition_penalty: typed(number),
  seed: typed(whole),
  stop: typed(strings),
  n: count,
  presence_penalty: typed(number),
  frequency_penalty: typed(number),
  logit_bias: typed(biases),
  user: passed,
};

/** How much a model thinks: here it does, or does not. */
const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh"];

/** @type {{ [Name in Exclude<keyof Face.ChatCompletionRequest, "signal">]-?: Rule }} */
const CHAT = {
  ...both,
  messages: passed,
  max_completion_tokens: typed(whole),
  logprobs: typed(flag),
  top_logprobs: typed(whole),
  chat_template_kwargs: typed(record),
  reasoning_effort: valid((value) => EFFORTS.includes(value), `must be one of ${EFFORTS.map((each) => `"${each}"`).join(", ")}`),
  thinking: valid((value) => thinkingOf(value) !== undefined, 'must be { type: "enabled" } or { type: "disabled" }'),
  response_format: valid((value) => formOf(value) !== undefined, 'must be { type: "text" }, { type: "json_object" } or { type: "json_schema", json_schema: { name, schema } }'),
  tools: valid((value) => Array.isArray(value) && value.every(isFunction), 'must be an array of { type: "function", function: { name, description, parameters } }'),
  functions: only(empty, "is the old name of tools: give them by that"),
  tool_choice: valid(
    (value) => isAllowed(value) || choiceOf(value) !== undefined,
    'must be "none", "auto", "required", { type: "function", function: { name } } or { type: "allowed_tools", allowed_tools: { mode, tools } }',
  ),
  function_call: only((value) => value === "none" || value === "auto", "is the old name of tool_choice: give it by that"),
  parallel_tool_calls: typed(flag),
  tool_format: typed(string),
  modalities: only((value) => Array.isArray(value) && value.every((each) => each === "text"), 'must be ["text"]: the answer is text alone'),
  audio: only(never, "cannot be served: the answer is text alone"),
  verbosity: only((value) => value === "medium", 'must be "medium": no model here was trained for others'),
  web_search_options: only(never, "cannot be served: nothing leaves this page"),
  moderation: only(never, "cannot be served: nobody here reads along"),
  prediction: passed,
  metadata: passed,
  store: passed,
  service_tier: passed,
  prompt_cache_key: passed,
  prompt_cache_options: passed,
  prompt_cache_retention: passed,
  safety_identifier: passed,
};

/** @type {Record<string, Rule>} */
const TEXT = {
  ...both,
  prompt: passed,
  logprobs: typed(whole),
  best_of: count,
  echo: typed(flag),
  suffix: only((value) => value === "", "cannot be served: a text goes on at its end alone"),
};

/** @type {Record<string, Rule>} */
const EMBEDDINGS = {
  model: passed,
  input: passed,
  encoding_format: only((value) => value === "float" || value === "base64", 'must be "float" or "base64"'),
  dimensions: typed(whole),
  user: passed,
};

/**
 * What the answer tells beside the text (of each token in a chat `top` others), and how many answers there are: `n` of `tries`, the likeliest where there are more.
 * @typedef {{ stream: boolean, usage: boolean, logprobs: boolean, top: number, n: number, tries: number, echo: boolean }} Told
 */

/**
 * What a request asks of a model's `chat`.
 * @param {unknown} request without its signal
 * @returns {{ model: unknown, messages: Face.Message[], options: Face.ChatOptions, told: Told }}
 */
export function chatRequest(request) {
  const fields = fieldsOf(request, CHAT, "{ model, messages }");
  const { max_tokens: limit, max_completion_tokens: most = limit, top_logprobs: top } = fields;
  if (limit !== undefined && limit !== most) {
    throw new Refused("max_tokens is the old name of max_completion_tokens: give one of them.", "max_tokens", "invalid_value");
  }
  if (top && !fields.logprobs) throw new Refused("top_logprobs goes with logprobs: true.", "top_logprobs", "invalid_value");
  const { tools, tool_choice } = allowedOf(fields);
  const { enable_thinking, ...templateOptions } = fields.chat_template_kwargs ?? {};
  const options = { ...optionsOf({ ...fields, max_tokens: most }), alternatives: fields.logprobs ? Math.max(top ?? 0, 1) : undefined, thinking: thought(fields, enable_thinking), templateOptions, ...callingOf({ ...fields, tools, tool_choice }), ...formOf(fields.response_format ?? TEXT_ALONE) };
  if (options.schema !== undefined && options.tools && options.toolChoice !== "none") {
    throw new Refused('response_format goes with tools only where tool_choice is "none": a text of a schema holds no calls.', "response_format", "unsupported_value");
  }
  return { model: fields.model, messages: messagesOf(fields.messages), options, told: { ...toldOf(fields), top: top ?? 0 } };
}

const TEXT_ALONE = { type: "text" };

/** What an answer is held to: nothing, some object, or a schema. @param {any} format @returns {{ schema?: object } | undefined} */
function formOf(format) {
  if (format?.type === "text") return {};
  const schema = format?.type === "json_schema" && isRecord(format.json_schema) ? (format.json_schema.schema ?? { type: "object" }) : format?.type === "json_object" ? { type: "object" } : undefined;
  return isRecord(schema) ? { schema } : undefined;
}

/** @param {any} tool */
function isFunction(tool) {
  return tool?.type === "function" && typeof tool.function?.name === "string";
}

/** Which calls a request allows. @param {any} choice @returns {Face.ChatOptions["toolChoice"]} */
function choiceOf(choice) {
  if (["none", "auto", "required"].includes(choice)) return choice;
  return isFunction(choice) ? { name: choice.function.name } : undefined;
}

/** Whether a choice is between some of the functions. @param {any} choice */
function isAllowed(choice) {
  const { mode, tools } = (choice?.type === "allowed_tools" && choice.allowed_tools) || {};
  return ["auto", "required"].includes(mode) && Array.isArray(tools) && tools.length > 0 && tools.every(isFunction);
}

/** The functions that may be called, where the choice is between some of them, and how. @param {any} fields */
function allowedOf({ tools, tool_choice: choice }) {
  if (!isAllowed(choice)) return { tools, tool_choice: choice };
  const { mode, tools: named } = choice.allowed_tools;
  const known = (tools ?? []).map((/** @type {any} */ tool) => tool.function.name);
  const names = named.map((/** @type {any} */ tool) => tool.function.name);
  const missing = names.find((/** @type {string} */ name) => !known.includes(name));
  if (missing !== undefined) throw new Refused(`tool_choice allows ${missing}, and there is no such function among tools.`, "tool_choice", "invalid_value");
  return { tools: tools.filter((/** @type {any} */ tool) => names.includes(tool.function.name)), tool_choice: mode };
}

/** What a request says of calls. Whether an answer obeys a schema strictly is nothing that a model is told. @param {any} fields @returns {Face.ChatOptions} */
function callingOf({ tools = [], tool_choice = "auto", parallel_tool_calls, tool_format }) {
  const toolChoice = choiceOf(tool_choice);
  if (tools.length === 0) {
    if (toolChoice !== "none" && toolChoice !== "auto") throw new Refused("tool_choice goes with tools.", "tool_choice", "invalid_value");
    return {};
  }
  const told = tools.map((/** @type {any} */ { function: { strict: _, ...declared } }) => ({ type: "function", function: declared }));
  return { tools: told, toolChoice, parallelToolCalls: parallel_tool_calls, toolFormat: tool_format };
}

/** Whether a field of the kind that some servers of open models have asks for thoughts. @param {any} value */
function thinkingOf(value) {
  const said = isRecord(value) ? value.type : value;
  return said === true || said === "enabled" ? true : said === false || said === "disabled" ? false : undefined;
}

/**
 * Whether the model thinks, where the request says so: by one name, or by several that agree.
 * @param {any} fields
 * @param {any} enabled
 */
function thought({ reasoning_effort: effort, thinking }, enabled) {
  const said = [
    ["chat_template_kwargs.enable_thinking", enabled],
    ["reasoning_effort", effort === undefined ? undefined : effort !== "none"],
    ["thinking", thinkingOf(thinking)],
  ].filter(([, value]) => value !== undefined && value !== null);
  const [first, other] = [said[0], said.find(([, value]) => value !== said[0][1])];
  if (other) throw new Refused(`${other[0]} and ${first[0]} say different things of whether the model thinks: give one of them.`, other[0], "invalid_value");
  return first?.[1];
}

/**
 * What a request asks of a model's `generate`: some prompts, each gone on with by itself.
 * @param {unknown} request without its signal
 * @returns {{ model: unknown, prompts: (string | number[])[], options: Face.GenerateOptions, told: Told }}
 */
export function textRequest(request) {
  const fields = fieldsOf(request, TEXT, "{ model, prompt }");
  const prompts = textsOf(fields.prompt ?? "", "prompt");
  const told = toldOf(fields);
  const { n, stream, echo } = told;
  const tries = fields.best_of ?? n;
  if (tries < n) throw new Refused(`best_of must be at least n, which is ${n}.`, "best_of", "invalid_value");
  if (stream && tries > n) throw new Refused("best_of goes with stream: false: which answer is best is known at the end.", "best_of", "invalid_value");
  if (echo && fields.logprobs > 0) throw new Refused("logprobs must be 0 with echo: of a prompt's tokens no others are told.", "logprobs", "unsupported_value");
  if (fields.max_tokens === 0 && !echo) throw new Refused("max_tokens must be at least 1, or 0 with echo: true.", "max_tokens", "invalid_value");
  return { model: fields.model, prompts, options: { ...optionsOf(fields), alternatives: fields.logprobs }, told: { ...told, tries } };
}

/**
 * What a request asks of an encoder's `embed`.
 * @param {unknown} request
 * @returns {{ model: unknown, inputs: (string | number[])[], dimensions: number | undefined, base64: boolean }}
 */
export function embeddingsRequest(request) {
  const fields = fieldsOf(request, EMBEDDINGS, "{ model, input }");
  if (fields.input === undefined) throw new Refused("input must be a text, an array of texts, or the ids of one or of several.", "input", "missing_required_parameter");
  const inputs = textsOf(fields.input, "input");
  if (inputs.some((input) => input.length === 0)) throw new Refused("input must hold no empty text.", "input", "invalid_value");
  return { model: fields.model, inputs, dimensions: fields.dimensions, base64: fields.encoding_format === "base64" };
}

/** One text or several, each a string or its ids. @param {any} value @param {string} name @returns {(string | number[])[]} */
function textsOf(value, name) {
  const isIds = (/** @type {any} */ each) => Array.isArray(each) && each.every(Number.isInteger);
  const all = typeof value === "string" || (isIds(value) && value.length > 0) ? [value] : value;
  if (!Array.isArray(all) || all.length === 0 || !all.every((each) => typeof each === "string" || isIds(each))) {
    throw new Refused(`${name} must be a text, an array of texts, or the ids of one or of several, not ${shown(value)}.`, name, "invalid_value");
  }
  return all;
}

/** @param {any} fields @returns {Told} */
function toldOf({ stream = false, stream_options, logprobs, n = 1, echo = false }) {
  if (stream_options !== undefined && !stream) throw new Refused("stream_options goes with stream: true.", "stream_options", "invalid_value");
  return { stream, usage: stream_options?.include_usage ?? false, logprobs: logprobs !== undefined && logprobs !== false, top: 0, n, tries: n, echo };
}

/** @param {any} fields */
function optionsOf({ max_tokens, temperature, top_p, top_k, min_p, repetition_penalty, presence_penalty, frequency_penalty, logit_bias, seed, stop }) {
  return {
    maxTokens: max_tokens,
    temperature,
    topP: top_p,
    topK: top_k,
    minP: min_p,
    repetitionPenalty: repetition_penalty,
    presencePenalty: presence_penalty,
    frequencyPenalty: frequency_penalty,
    logitBias: logit_bias,
    // Any number that theirs may be gives one of ours.
    seed: seed === undefined ? undefined : ((seed % SEEDS) + SEEDS) % SEEDS,
    stop,
  };
}

/** What OpenAI's client takes for its way over a network. */
const NETWORK = ["headers", "query", "path", "method", "body", "timeout", "maxRetries", "idempotencyKey", "fetchOptions", "httpAgent", "defaultBaseURL"];

/**
 * What ends a request: the signal of its options, or the one that it brings itself.
 * @param {unknown} options OpenAI's second argument
 * @param {unknown} own
 * @returns {AbortSignal | undefined}
 */
export function signalOf(options, own) {
  const given = options ?? {};
  if (!isRecord(given)) throw new Refused(`The options of a request are an object like { signal }, not ${shown(given)}.`, null, "invalid_type");
  for (const [name, value] of Object.entries(given)) {
    if (name === "signal" || value === undefined || value === null) continue;
    const why = NETWORK.includes(name) ? "it is about the network, and the answer comes from this page; leave it out" : "there is signal alone";
    throw new Refused(`"${name}" is no option of a request here: ${why}.`, name, "unknown_parameter");
  }
  const signals = [given.signal, own].filter((signal) => signal !== undefined && signal !== null);
  for (const signal of signals) {
    if (abortSignal(signal)) throw new Refused(`signal must be an AbortSignal, not ${shown(signal)}.`, "signal", "invalid_type");
  }
  return signals.length > 1 ? AbortSignal.any(/** @type {AbortSignal[]} */ (signals)) : /** @type {AbortSignal | undefined} */ (signals[0]);
}

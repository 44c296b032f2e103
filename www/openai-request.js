/**
 * A request of OpenAI's shape, as messages and options of ours. The fields are those of their API reference (and four that servers of open
 * models add). What asks for nothing passes; what would change the answer and cannot be done is refused by name.
 */

import { VitrineError } from "./errors.js";
import { abortSignal, flag, isRecord, nearest, number, record, shown, string, strings, whole } from "./options.js";

/** @import * as Face from "./vitrine.js" */
/** @typedef {{ reason: string, sentence: string }} Fault */
/** @typedef {(value: any) => Fault | undefined} Rule */

/** A refusal with what OpenAI's clients read of it: the field, a word for the reason, and a status. Its `code` is "bad-argument", as everywhere. */
export class Refused extends VitrineError {
  /** @param {string} message @param {string | null} param @param {string} reason @param {number} [status] @param {unknown} [cause] */
  constructor(message, param, reason, status = 400, cause) {
    super("bad-argument", message, { cause });
    this.param = param;
    this.reason = reason;
    this.status = status;
  }
}

/** @param {import("./options.js").Kind} kind @returns {Rule} */
const typed = (kind) => (value) => {
  const must = kind(value);
  return must === undefined ? undefined : { reason: "invalid_type", sentence: `must be ${must}, not ${shown(value)}` };
};

/** What only a server of OpenAI's has a use for: it changes no answer. @type {Rule} */
const passed = () => undefined;

/**
 * @param {(value: any) => boolean} fits the values that ask for nothing
 * @param {string} sentence
 * @returns {Rule}
 */
const only = (fits, sentence) => (value) => (fits(value) ? undefined : { reason: "unsupported_value", sentence });

/** @param {any} value */
const empty = (value) => typeof value === "object" && Object.keys(value).length === 0;
const never = () => false;
const noTools = only(empty, "cannot be served in this shape: Vitrine reads no calls out of an answer; leave it out");
const noToolChoice = only((value) => value === "none" || value === "auto", 'must be "none" or "auto": Vitrine reads no calls out of an answer');
const noPenalty = only((value) => value === 0, "must be 0 in this shape, which takes repetition_penalty alone; a model's own generate and chat take presencePenalty and frequencyPenalty");

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
  n: only((value) => value === 1, "must be 1: ask again for another answer"),
  presence_penalty: noPenalty,
  frequency_penalty: noPenalty,
  logit_bias: only(empty, "must be empty in this shape; a model's own generate and chat take logitBias"),
  user: passed,
};

/** @type {{ [Name in Exclude<keyof Face.ChatCompletionRequest, "signal">]-?: Rule }} */
const CHAT = {
  ...both,
  messages: passed,
  max_completion_tokens: typed(whole),
  logprobs: typed(flag),
  top_logprobs: typed(whole),
  chat_template_kwargs: typed(record),
  reasoning_effort: only((value) => value === "none", 'must be "none"; whether a model thinks, chat_template_kwargs: { enable_thinking: true } says'),
  response_format: only((value) => value?.type === "text", 'must be { type: "text" }: Vitrine holds an answer to no schema'),
  tools: noTools,
  functions: noTools,
  tool_choice: noToolChoice,
  function_call: noToolChoice,
  parallel_tool_calls: passed,
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
  best_of: both.n,
  echo: only((value) => value === false, "must be false: the prompt is not given back"),
  suffix: only((value) => value === "", "cannot be served: a text goes on at its end alone"),
};

/** What a request may call the options whose ranges are checked where they are used. @type {Record<string, string[]>} */
const NAMES = {
  maxTokens: ["max_completion_tokens", "max_tokens"],
  topP: ["top_p"],
  topK: ["top_k"],
  minP: ["min_p"],
  repetitionPenalty: ["repetition_penalty"],
  alternatives: ["top_logprobs", "logprobs"],
};

/**
 * The fields that ask for something, without the nullish ones.
 * @param {unknown} request
 * @param {Record<string, Rule>} rules
 * @returns {any}
 */
function fieldsOf(request, rules) {
  if (!isRecord(request)) {
    const like = rules === CHAT ? "{ model, messages }" : "{ model, prompt }";
    throw new Refused(`The body of the request must be an object like ${like}, not ${shown(request)}.`, null, "invalid_type");
  }
  const fields = Object.entries(request).filter(([, value]) => value !== undefined && value !== null);
  for (const [name, value] of fields) {
    if (!Object.hasOwn(rules, name)) {
      const near = nearest(name, Object.keys(rules));
      throw new Refused(`Unknown field "${name}": ${near ? `did you mean ${near}?` : "Vitrine has none of this name; leave it out."}`, name, "unknown_parameter");
    }
    const fault = rules[name](value);
    if (fault) throw new Refused(`${name} ${fault.sentence}.`, name, fault.reason);
  }
  return Object.fromEntries(fields);
}

/**
 * What a request asks of a model's `chat`.
 * @param {unknown} request without its signal
 * @returns {{ model: unknown, messages: Face.Message[], options: Face.ChatOptions, told: Told }}
 */
export function chatRequest(request) {
  const fields = fieldsOf(request, CHAT);
  const { max_tokens: limit, max_completion_tokens: most = limit, top_logprobs: top } = fields;
  if (limit !== undefined && limit !== most) {
    throw new Refused("max_tokens is the old name of max_completion_tokens: give one of them.", "max_tokens", "invalid_value");
  }
  if (top && !fields.logprobs) throw new Refused("top_logprobs goes with logprobs: true.", "top_logprobs", "invalid_value");
  const { enable_thinking = fields.reasoning_effort === "none" ? false : undefined, ...templateOptions } = fields.chat_template_kwargs ?? {};
  const options = { ...optionsOf({ ...fields, max_tokens: most }), alternatives: top, thinking: enable_thinking, templateOptions };
  return { model: fields.model, messages: messagesOf(fields.messages), options, told: toldOf(fields) };
}

/**
 * What a request asks of a model's `generate`.
 * @param {unknown} request without its signal
 * @returns {{ model: unknown, prompt: string | number[], options: Face.GenerateOptions, told: Told }}
 */
export function textRequest(request) {
  const fields = fieldsOf(request, TEXT);
  const { prompt = "" } = fields;
  // One prompt may stand in an array.
  const one = Array.isArray(prompt) && prompt.length === 1 && typeof prompt[0] !== "number" ? prompt[0] : prompt;
  if (typeof one !== "string" && !(Array.isArray(one) && one.every((each) => typeof each === "number"))) {
    throw new Refused("prompt must be one text or the ids of one: ask again for another.", "prompt", "invalid_value");
  }
  return { model: fields.model, prompt: one, options: { ...optionsOf(fields), alternatives: fields.logprobs }, told: toldOf(fields) };
}

/**
 * What the answer tells beside the text.
 * @typedef {{ stream: boolean, usage: boolean, logprobs: boolean }} Told
 */

/** @param {any} fields @returns {Told} */
function toldOf({ stream = false, stream_options, logprobs }) {
  if (stream_options !== undefined && !stream) throw new Refused("stream_options goes with stream: true.", "stream_options", "invalid_value");
  return { stream, usage: stream_options?.include_usage ?? false, logprobs: logprobs !== undefined && logprobs !== false };
}

/** @param {any} fields */
function optionsOf({ max_tokens, temperature, top_p, top_k, min_p, repetition_penalty, seed, stop }) {
  return { maxTokens: max_tokens, temperature, topP: top_p, topK: top_k, minP: min_p, repetitionPenalty: repetition_penalty, seed, stop };
}

/**
 * The messages as a template takes them: "developer" is "system", as llama.cpp's server has it; parts of text are one text; no content is no
 * text; the arguments of a call are what their JSON says. What is null is absent; all else stays.
 * @param {unknown} messages
 * @returns {Face.Message[]}
 */
function messagesOf(messages) {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new Refused("messages must be an array of at least one { role, content }.", "messages", messages === undefined ? "missing_required_parameter" : "invalid_type");
  }
  return messages.map((message, at) => {
    const here = `messages[${at}]`;
    if (typeof message?.role !== "string") throw new Refused(`${here} must be an object like { role: "user", content: "…" }.`, `${here}.role`, "invalid_type");
    const { role, content, tool_calls: calls, ...rest } = message;
    const given = Object.entries(rest).filter(([, value]) => value !== undefined && value !== null);
    return {
      ...Object.fromEntries(given),
      ...(Array.isArray(calls) && calls.length > 0 ? { tool_calls: calls.map(called) } : {}),
      role: role === "developer" ? "system" : role,
      content: wordsOf(content ?? "", `${here}.content`),
    };
  });
}

/** @param {unknown} content @param {string} here @returns {string} */
function wordsOf(content, here) {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw new Refused(`${here} must be a string or an array of parts, not ${shown(content)}.`, here, "invalid_type");
  const parts = content.map((part, at) => {
    const words = part?.type === "text" ? part.text : part?.type === "refusal" ? part.refusal : undefined;
    if (string(words) === undefined) return words;
    const kind = typeof part?.type === "string" ? `a part of the type "${part.type}"` : shown(part);
    throw new Refused(`${here}[${at}] is ${kind}; a language model reads { type: "text", text } alone.`, `${here}[${at}]`, "invalid_value");
  });
  return parts.join("");
}

/** A call with its arguments as an object, which templates expect; OpenAI sends their JSON. @param {any} call */
function called(call) {
  if (typeof call?.function?.arguments !== "string") return call;
  try {
    return { ...call, function: { ...call.function, arguments: JSON.parse(call.function.arguments) } };
  } catch {
    return call;
  }
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

/** What a chat template was told, by the name that the request has for it. @type {[RegExp, string][]} */
const TEMPLATE = [
  [/\bthinking \(as enable_thinking\)|^thinking\b/, "chat_template_kwargs.enable_thinking"],
  [/\btemplateOptions\b/, "chat_template_kwargs"],
];

/** What is wrong with an option, by the name that the request has for it. @param {unknown} error @param {any} request as it was written */
export function renamed(error, request) {
  // The other way out is none of this shape's.
  if (error instanceof VitrineError && error.code === "context-overflow") return new VitrineError(error.code, error.message.replace(/, or pass overflow: "slide"/, ""), { cause: error });
  if (!(error instanceof VitrineError) || error.code !== "bad-argument" || error instanceof Refused) return error;
  const said = TEMPLATE.reduce((message, [ours, theirs]) => message.replace(ours, theirs), error.message);
  const [told] = /\bchat_template_kwargs(\.\w+)*/.exec(said) ?? [];
  if (told) return new Refused(said, told, "invalid_value", 400, error);
  const option = /^\w+/.exec(error.message)?.[0] ?? "";
  const field = (Object.hasOwn(NAMES, option) ? NAMES[option] : [option]).find((name) => Object.hasOwn(request, name) && request[name] !== null);
  if (field === undefined) return error;
  return new Refused(field + error.message.slice(option.length), field, "invalid_value", 400, error);
}

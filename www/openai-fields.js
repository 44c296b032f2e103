/**
 * How fields of a request of OpenAI's shape are looked at, and how what is wrong with one is told: in the words and by the names of whoever wrote it.
 */

import { VitrineError } from "./errors.js";
import { nearest } from "./nearest.js";
import { isRecord, shown } from "./options.js";

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
export const typed = (kind) => (value) => {
  const must = kind(value);
  return must === undefined ? undefined : { reason: "invalid_type", sentence: `must be ${must}, not ${shown(value)}` };
};

/** What only a server of OpenAI's has a use for: it changes no answer. @type {Rule} */
export const passed = () => undefined;

/**
 * @param {(value: any) => boolean} fits the values that ask for nothing
 * @param {string} sentence
 * @returns {Rule}
 */
export const only = (fits, sentence) => (value) => (fits(value) ? undefined : { reason: "unsupported_value", sentence });

/**
 * @param {(value: any) => boolean} fits
 * @param {string} sentence
 * @returns {Rule}
 */
export const valid = (fits, sentence) => (value) => (fits(value) ? undefined : { reason: "invalid_value", sentence: `${sentence}, not ${shown(value)}` });

/**
 * The fields that ask for something, without the nullish ones.
 * @param {unknown} request
 * @param {Record<string, Rule>} rules
 * @param {string} like an example of a request
 * @returns {any}
 */
export function fieldsOf(request, rules, like) {
  if (!isRecord(request)) throw new Refused(`The body of the request must be an object like ${like}, not ${shown(request)}.`, null, "invalid_type");
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

/** What a request may call the options whose ranges are checked where they are used. @type {Record<string, string[]>} */
const NAMES = {
  maxTokens: ["max_completion_tokens", "max_tokens"],
  topP: ["top_p"],
  topK: ["top_k"],
  minP: ["min_p"],
  repetitionPenalty: ["repetition_penalty"],
  presencePenalty: ["presence_penalty"],
  frequencyPenalty: ["frequency_penalty"],
  logitBias: ["logit_bias"],
  alternatives: ["top_logprobs", "logprobs"],
  toolChoice: ["tool_choice"],
  schema: ["response_format"],
};

/** What a chat template was told, by the name that the request has for it. @type {[RegExp, string[]][]} */
const TEMPLATE = [
  [/\bthinking \(as enable_thinking\)|^thinking\b/, ["reasoning_effort", "thinking", "chat_template_kwargs.enable_thinking"]],
  [/\btemplateOptions\b/, ["chat_template_kwargs"]],
  [/\btoolFormat\b/, ["tool_format"]],
];

/** What of a request is wrong where our sentence names no option of ours. @type {[RegExp, string[]][]} */
const PARTS = [
  [/^Token ids are |^the token id /, ["prompt", "input"]],
  [/^Two tools are called |^A call of /, ["tools"]],
];

/** What is wrong with an option, by the name that the request has for it. @param {unknown} error @param {any} request as it was written */
export function renamed(error, request) {
  // The other way out is none of this shape's.
  if (error instanceof VitrineError && error.code === "context-overflow") return new VitrineError(error.code, error.message.replace(/, or pass overflow: "slide"/, ""), { cause: error });
  if (!(error instanceof VitrineError) || error.code !== "bad-argument" || error instanceof Refused) return error;
  const given = (/** @type {string} */ name) => Object.hasOwn(request, name) && request[name] !== null && request[name] !== undefined;
  for (const [ours, names] of TEMPLATE) {
    if (!ours.test(error.message)) continue;
    const theirs = names.find(given) ?? names[names.length - 1];
    const said = error.message.replace(ours, theirs);
    const [told = theirs] = /\bchat_template_kwargs(\.\w+)*/.exec(said) ?? [];
    return new Refused(said, told, "invalid_value", 400, error);
  }
  const part = PARTS.find(([said]) => said.test(error.message))?.[1].find(given);
  if (part !== undefined) return new Refused(error.message, part, "invalid_value", 400, error);
  const option = /^\w+/.exec(error.message)?.[0] ?? "";
  const field = (Object.hasOwn(NAMES, option) ? NAMES[option] : [option]).find(given);
  if (field === undefined) return error;
  return new Refused(field + error.message.slice(option.length), field, "invalid_value", 400, error);
}

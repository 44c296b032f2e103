/** Texts, messages and what goes with them, as they may cross to the worker: checked in the words of whoever wrote them. */

import { VitrineError } from "./errors.js";
import { isRecord, shown } from "./options.js";
import { declared } from "./tools.js";

/** @import * as Face from "./vitrine.js" */

/**
 * A string that UTF-8 can hold: lone surrogates become U+FFFD.
 * @param {unknown} value
 * @param {string} name
 */
export function text(value, name) {
  if (typeof value !== "string") throw new VitrineError("bad-argument", `${name} must be a string, not ${shown(value)}.`);
  return value.replace(/[\uD800-\uDFFF]/gu, "\uFFFD");
}

/**
 * Messages with all that they hold: templates read more than a role and a content.
 * @param {Face.Message[]} messages
 * @param {Face.TemplateOptions} [options]
 */
export function conversation(messages, options) {
  if (!Array.isArray(messages)) throw new VitrineError("bad-argument", "A conversation is an array of { role, content }.");
  const role = messages.at(-1)?.role;
  if (options?.continueFinalMessage && typeof role === "string" && role !== "assistant") {
    throw new VitrineError("bad-argument", `continueFinalMessage is true, but the last message is one of "${role}". End the conversation with words of the assistant to go on from them, or leave it out.`);
  }
  // A hole is a message that is not there.
  return Array.from(messages, (message, index) => {
    const name = `messages[${index}]`;
    if (!isRecord(message)) throw new VitrineError("bad-argument", `${name} is { role, content }, not ${shown(message)}.`);
    text(message.role, `${name}.role`);
    const { content } = message;
    if (!(content === undefined || content === null || typeof content === "string" || (Array.isArray(content) && content.every(isRecord)))) {
      throw new VitrineError("bad-argument", `${name}.content is a string, a list of parts like { type: "text", text }, or null, not ${shown(content)}.`);
    }
    return plain(message, name);
  });
}

/**
 * What a chat template is told beside the messages.
 * @param {Pick<Face.TemplateOptions, "tools" | "documents" | "templateOptions">} options
 */
export function templated({ tools, ...others }) {
  const options = { tools: tools?.map((tool) => declared({ ...tool })), ...others };
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, value === undefined ? undefined : plain(value, name)]));
}

/** Deeper than any message or schema. */
const DEEPEST = 100;

/**
 * A copy of a value that JSON can say, with its keys in their order; what is undefined is left out, as JSON does.
 * @param {unknown} value
 * @param {string} name
 * @param {number} [depth]
 * @returns {unknown}
 */
export function plain(value, name, depth = 0) {
  if (depth > DEEPEST) throw new VitrineError("bad-argument", `${name.slice(0, 80)}… is nested more than ${DEEPEST} deep, or holds itself.`);
  if (typeof value === "string") return text(value, name);
  if (value === null || typeof value === "boolean" || Number.isFinite(value)) return value;
  if (Array.isArray(value)) return Array.from(value, (each, index) => plain(each ?? null, `${name}[${index}]`, depth + 1));
  if (!isRecord(value)) throw new VitrineError("bad-argument", `${name} is ${shown(value)}, which JSON cannot say. Give texts, numbers, booleans, null, arrays and plain objects.`);
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(entries.map(([key, each]) => [text(key, name), plain(each, `${name}.${key}`, depth + 1)]));
}

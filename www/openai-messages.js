/** Messages of OpenAI's shape as a model's chat template takes them. */

import { Refused } from "./openai-fields.js";
import { shown, string } from "./options.js";

/** @import * as Face from "./vitrine.js" */

/**
 * The messages as a template takes them: "developer" is "system", as llama.cpp's server has it; parts of text are one text; no content is no
 * text; the arguments of a call are what their JSON says. What is null is absent; all else stays.
 * @param {unknown} messages
 * @returns {Face.Message[]}
 */
export function messagesOf(messages) {
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

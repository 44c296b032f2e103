/**
 * Functions for models whose chat templates know of none: they are told in a system message, and calls and their results are turns of words. The
 * form is Hermes's, which many small models met.
 */

/** @import { Message } from "./vitrine.js" */

/**
 * The conversation as such a template can show it.
 * @param {Message[]} messages
 * @param {Record<string, unknown>[]} tools as a template would take them
 * @returns {Message[]}
 */
export function spelledOut(messages, tools) {
  const [first, ...rest] = messages;
  const hasSystem = first?.role === "system" && (typeof first.content === "string" || !first.content);
  const told = instruction(tools);
  const system = { role: "system", content: hasSystem && first.content ? `${first.content}\n\n${told}` : told };
  return [system, ...turns(hasSystem ? rest : messages)];
}

/** Calls and results in words; results that stand together are one turn. @param {Message[]} messages */
function turns(messages) {
  /** @type {Message[]} */
  const turns = [];
  messages.forEach((message, at) => {
    const last = turns[turns.length - 1];
    if (message.role !== "tool") turns.push(turn(message));
    else if (messages[at - 1]?.role === "tool") last.content += `\n${result(message)}`;
    else turns.push({ role: "user", content: result(message) });
  });
  return turns;
}

/** @param {Message} message */
function result({ content }) {
  return `<tool_response>\n${content ?? ""}\n</tool_response>`;
}

/** @param {Record<string, unknown>[]} tools */
function instruction(tools) {
  const signatures = tools.map((tool) => JSON.stringify(tool.function ?? tool));
  return [
    "You can call functions. These are there, each with a JSON Schema of its parameters:",
    "<tools>",
    ...signatures,
    "</tools>",
    "To call one, write its name and its arguments as JSON between these marks, and nothing after them:",
    "<tool_call>",
    '{"name": "the function", "arguments": {"a parameter": "its value"}}',
    "</tool_call>",
    "The result is told to you in the next turn. Answer in plain words where no function is needed.",
  ].join("\n");
}

/** @param {Message} message @returns {Message} */
function turn(message) {
  const { tool_calls: calls, ...rest } = message;
  if (!Array.isArray(calls) || calls.length === 0) return message;
  const written = calls.map(({ function: { name, arguments: given } }) => `<tool_call>\n${JSON.stringify({ name, arguments: given })}\n</tool_call>`);
  return { ...rest, content: [rest.content, ...written].filter((part) => typeof part === "string" && part !== "").join("\n") };
}

/**
 * How families of models write calls of functions.
 *
 * Which one a model writes its chat template says, for that shows the model its own earlier calls. What stands inside the marks is read alike
 * (tool-reader.js): JSON objects, lists of them, or calls as Python spells them.
 */

/** @import { ToolFormat } from "./vitrine.js" */

/**
 * @typedef {{ sign: RegExp, open: string[], close: string[], bare: boolean, begin: string, key?: "arguments" | "parameters" }} Format `sign` is what a
 *   template of it holds; `open` and `close` are the marks round calls; `bare` says whether an answer may be a call without any; `begin` is what
 *   stands before the first call, and `key` what its arguments are called, where it is an object.
 */

/** @type {Record<ToolFormat, Format>} */
export const FORMATS = {
  // LFM2 writes Python's calls between marks of its own.
  lfm2: { sign: /<\|tool_call_start\|>/, open: ["<|tool_call_start|>"], close: ["<|tool_call_end|>"], bare: false, begin: "<|tool_call_start|>[" },
  // Granite 3, and Phi-4 mini, which closes the list with a mark too.
  granite: { sign: /<\|tool_call\|>/, open: ["<|tool_call|>"], close: ["<|/tool_call|>"], bare: false, begin: "<|tool_call|>[", key: "arguments" },
  // Mistral: a list of JSON behind one mark; later tokenizers have a mark for each name and one for its arguments.
  mistral: { sign: /\[TOOL_CALLS\]/, open: ["[TOOL_CALLS]"], close: [], bare: false, begin: "[TOOL_CALLS][", key: "arguments" },
  // Hermes, Qwen 2.5 and 3, SmolLM3; SmolLM2 with a list in one pair of marks.
  hermes: { sign: /<tool_call>/, open: ["<tool_call>"], close: ["</tool_call>"], bare: false, begin: "<tool_call>\n", key: "arguments" },
  // Llama 3.1 to 4: the answer is the call, with a mark before it or none, in JSON or as Python spells it.
  llama: { sign: /<\|python_tag\|>|<\|python_start\|>|"parameters": /, open: ["<|python_tag|>", "<|python_start|>"], close: ["<|python_end|>"], bare: true, begin: "", key: "parameters" },
};

/** Marks inside a call that a vocabulary may hide. */
export const INNER = ["[ARGS]", "[CALL_ID]"];

/** Whether a template shows the functions that a model may call. @param {string | undefined} template */
export function readsTools(template) {
  return template?.includes("tools") ?? false;
}

/** The format that a template's model writes, where it can be told. @param {string | undefined} template @returns {ToolFormat | undefined} */
export function formatOf(template) {
  if (template === undefined) return undefined;
  // A model that no template tells of functions is told in words, in this form.
  if (!readsTools(template)) return "hermes";
  const names = /** @type {ToolFormat[]} */ (Object.keys(FORMATS));
  return names.find((name) => FORMATS[name].sign.test(template));
}

/** The forms that a text can be held to, as attributes write them, and what is said of one that cannot be. */

import { WidgetError, told } from "./faults.js";

/** @import { Attribute } from "./attributes.js" */
/** @typedef {"schema" | "regex" | "choice" | "grammar"} KindOfForm */

/** What each is called, and what may be wrong with it. @type {Record<KindOfForm, { called: string, slip: string }>} */
export const kindsOfForm = {
  schema: { called: "a JSON Schema", slip: "look for a word that JSON Schema does not have, or one that cannot be followed while a text is written" },
  regex: { called: "a regular expression", slip: "look for a bracket that is not closed, or a sign such as * ? + with nothing before it" },
  choice: { called: "one of these", slip: "look for one that is empty" },
  grammar: { called: "a grammar", slip: "look for a rule that is named and not there, or a quote that is not closed" },
};

/** A JSON Schema, as JSON. @returns {Attribute<object | boolean>} */
export function schema() {
  const read = (/** @type {string} */ raw) => {
    const value = parsed(raw);
    return (typeof value === "object" && value !== null && !Array.isArray(value)) || typeof value === "boolean" ? value : undefined;
  };
  return { fallback: undefined, read, allowed: "a JSON Schema, such as {\"type\": \"integer\"}", write: jsonOrWords, entry: { type: "words" } };
}

/** @param {string} fallback @returns {Attribute<string>} */
export function expression(fallback) {
  return { fallback, read: (raw) => raw || undefined, allowed: "a regular expression", write: (value) => (value instanceof RegExp ? inRust(value) : String(value)), entry: { type: "words" } };
}

/** Texts, one a line, or a list in JSON, where spaces at their ends count. @returns {Attribute<string[]>} */
export function chosen() {
  const read = (/** @type {string} */ raw) => {
    const isList = raw.trim().startsWith("[");
    const all = isList ? parsed(raw) : raw.split("\n").map((line) => line.trim()).filter(Boolean);
    return Array.isArray(all) && all.length > 0 && all.every((each) => typeof each === "string") ? all : undefined;
  };
  return { fallback: undefined, read, allowed: "texts, each on a line of its own, or a list in JSON, such as [\"yes\", \"no\"]", write: jsonOrWords, entry: { type: "words" } };
}

/** @returns {Attribute<string>} */
export function grammar() {
  return { fallback: undefined, read: (raw) => (raw.trim() === "" ? undefined : raw), allowed: "a grammar in GBNF or Lark's notation", entry: { type: "words" } };
}

/**
 * What the engine finds wrong with a form, for a reader; its own sentence stands in the details.
 * @param {KindOfForm} kind
 * @param {unknown} thrown
 */
export function refused(kind, thrown) {
  if (thrown instanceof WidgetError) return thrown;
  const { message } = told(thrown);
  // What else may be wrong (a prompt that is too long, an option) says so itself.
  if (!message.startsWith(kind)) return thrown;
  const { called, slip } = kindsOfForm[kind];
  const sentence = /met by no text|no (text|JSON) that ends/.test(message)
    ? "No text can be of this form: it contradicts itself, or never ends."
    : /more computing/.test(message)
      ? "This form takes too much computing. Ask for something simpler, with shorter repetitions."
      : `The form cannot be followed as ${called}: ${slip}.`;
  return new WidgetError("bad-argument", sentence, message, thrown);
}

/** @param {RegExp} expression */
function inRust({ flags, source }) {
  return flags === "" ? source : `(?${flags}:${source})`;
}

/** @param {string} raw @returns {unknown} */
function parsed(raw) {
  try {
    return JSON.parse(raw);
  } catch {
    return undefined;
  }
}

/** @param {unknown} value */
function jsonOrWords(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/**
 * Whether arguments fit the JSON Schema of a function's parameters: the words of it that tools use (types, properties, lists, choices, bounds,
 * references inside the schema). Words that are none of these ask for nothing here.
 */

import { isRecord, shown } from "./options.js";

/** Deeper than any call. */
const DEEPEST = 64;

/** @type {Record<string, (value: any) => boolean>} */
const TYPES = {
  string: (value) => typeof value === "string",
  number: Number.isFinite,
  integer: Number.isInteger,
  boolean: (value) => typeof value === "boolean",
  object: isRecord,
  array: Array.isArray,
  null: (value) => value === null,
};

/** Bounds by what they are held against. @type {[string, (value: any) => number | undefined, (size: number, bound: number) => boolean, string][]} */
const BOUNDS = [
  ["minimum", numberOf, (size, bound) => size >= bound, "must be at least"],
  ["maximum", numberOf, (size, bound) => size <= bound, "must be at most"],
  ["exclusiveMinimum", numberOf, (size, bound) => size > bound, "must be above"],
  ["exclusiveMaximum", numberOf, (size, bound) => size < bound, "must be below"],
  ["minLength", lengthOf, (size, bound) => size >= bound, "must have a length of at least"],
  ["maxLength", lengthOf, (size, bound) => size <= bound, "must have a length of at most"],
  ["minItems", countOf, (size, bound) => size >= bound, "must have at least so many items:"],
  ["maxItems", countOf, (size, bound) => size <= bound, "must have at most so many items:"],
];

/** @param {any} value */
function numberOf(value) {
  return typeof value === "number" ? value : undefined;
}

/** @param {any} value */
function lengthOf(value) {
  return typeof value === "string" ? [...value].length : undefined;
}

/** @param {any} value */
function countOf(value) {
  return Array.isArray(value) ? value.length : undefined;
}

/**
 * What is wrong with a value, in a sentence that a model can read; undefined where it fits.
 * @param {any} schema
 * @param {any} value
 * @param {string} name what the value is called
 * @param {any} [root] what references lead into
 * @param {number} [depth]
 * @returns {string | undefined}
 */
export function misfit(schema, value, name, root = schema, depth = 0) {
  if (schema === false) return `${name} must be left out`;
  if (!isRecord(schema)) return undefined;
  if (depth > DEEPEST) return `${name} is nested too deep`;
  const inner = (/** @type {any} */ part, /** @type {any} */ member, /** @type {string} */ called) => misfit(part, member, called, root, depth + 1);
  if (typeof schema.$ref === "string") {
    const wrong = inner(referred(root, schema.$ref), value, name);
    if (wrong) return wrong;
  }
  const types = [schema.type ?? []].flat().filter((type) => Object.hasOwn(TYPES, String(type)));
  if (types.length > 0 && !types.some((type) => TYPES[String(type)](value))) return `${name} must be of the type ${types.join(" or ")}, not ${shown(value)}`;
  const same = (/** @type {unknown} */ each) => JSON.stringify(each) === JSON.stringify(value);
  if (Array.isArray(schema.enum) && !schema.enum.some(same)) return `${name} must be one of ${schema.enum.map((each) => JSON.stringify(each)).join(", ")}, not ${shown(value)}`;
  if ("const" in schema && !same(schema.const)) return `${name} must be ${JSON.stringify(schema.const)}, not ${shown(value)}`;
  for (const [word, measure, fits, sentence] of BOUNDS) {
    const [bound, size] = [schema[word], measure(value)];
    if (typeof bound === "number" && size !== undefined && !fits(size, bound)) return `${name} ${sentence} ${bound}, not ${size}`;
  }
  if (typeof schema.pattern === "string" && typeof value === "string" && !matches(schema.pattern, value)) return `${name} must match ${schema.pattern}, not ${shown(value)}`;
  for (const part of list(schema.allOf)) {
    const wrong = inner(part, value, name);
    if (wrong) return wrong;
  }
  for (const choices of [list(schema.anyOf), list(schema.oneOf)]) {
    const wrongs = choices.map((part) => inner(part, value, name));
    if (choices.length > 0 && wrongs.every((wrong) => wrong !== undefined)) return wrongs[0];
  }
  if (isRecord(value)) return members(schema, value, name, inner);
  if (!Array.isArray(value)) return undefined;
  for (const [at, item] of value.entries()) {
    const wrong = inner(schema.items, item, `${name}[${at}]`);
    if (wrong) return wrong;
  }
  return undefined;
}

/**
 * @param {Record<string, any>} schema of an object
 * @param {Record<string, unknown>} value
 * @param {string} name
 * @param {(schema: any, value: any, name: string) => string | undefined} inner
 */
function members(schema, value, name, inner) {
  const known = isRecord(schema.properties) ? schema.properties : {};
  const missing = list(schema.required).find((each) => !Object.hasOwn(value, String(each)));
  if (missing !== undefined) return `${name} must have ${missing}`;
  for (const [key, member] of Object.entries(value)) {
    const called = `${name}.${key}`;
    if (!Object.hasOwn(known, key) && schema.additionalProperties === false) return `${name} must not have ${key}; it has ${Object.keys(known).join(", ") || "no members"}`;
    const wrong = inner(Object.hasOwn(known, key) ? known[key] : schema.additionalProperties, member, called);
    if (wrong) return wrong;
  }
  return undefined;
}

/** @param {unknown} value @returns {any[]} */
function list(value) {
  return Array.isArray(value) ? value : [];
}

/** A pattern that is none asks for nothing. @param {string} pattern @param {string} value */
function matches(pattern, value) {
  try {
    return new RegExp(pattern, "u").test(value);
  } catch {
    return true;
  }
}

/** The part of a schema that `#/$defs/name` names. @param {any} root @param {string} reference */
function referred(root, reference) {
  if (!reference.startsWith("#")) return undefined;
  const path = reference.slice(1).split("/").slice(1);
  return path.reduce((part, key) => part?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], root);
}

/**
 * A call that must come: its beginning, which stands at the end of the prompt, and the schema of what follows. So a call comes that can be read and
 * fits, however small the model is.
 */

import { isRecord } from "./options.js";
import { FORMATS } from "./tool-formats.js";

/** @import { ToolFormat } from "./vitrine.js" */

/** Deeper than any parameters. */
const DEEPEST = 32;
/** The words of a schema that a text can be held to as they are. What others ask for is looked at when the call is there. */
const PLAIN = ["type", "enum", "const", "required", "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
/** Where schemas are kept by names, to be referred to. */
const KEPT = ["$defs", "definitions"];
/** What a regular expression that a text is held to may not have: looking around, and references back. */
const BEYOND = /\(\?[=!<]|\\[1-9bBk]/;

/**
 * How a call of one of these functions begins, and the schema of the rest, where it is JSON.
 * @param {ToolFormat} format
 * @param {{ name: string, parameters: any }[]} tools that may be called
 * @param {string} template
 * @returns {{ prefix: string, schema?: object }}
 */
export function forcedCall(format, tools, template) {
  const { begin, key } = FORMATS[format];
  const [first, ...others] = tools;
  // Behind a name its arguments follow; where there are several names the model writes one.
  if (format === "mistral" && template.includes("[ARGS]")) {
    return others.length > 0 ? { prefix: "[TOOL_CALLS]" } : { prefix: `[TOOL_CALLS]${first.name}[ARGS]`, schema: followed(first.parameters, "#") };
  }
  if (key === undefined) return { prefix: others.length > 0 ? begin : `${begin}${first.name}(` };
  const calls = tools.map(({ name, parameters }, at) => ({
    type: "object",
    properties: { name: { const: name }, [key]: followed(parameters, `#${others.length > 0 ? `/anyOf/${at}` : ""}/properties/${key}`) },
    required: ["name", key],
    additionalProperties: false,
  }));
  return { prefix: begin, schema: others.length > 0 ? { anyOf: calls } : calls[0] };
}

/**
 * A schema with what a text can be held to, and with no properties but those that are named.
 * @param {any} schema
 * @param {string} place where it will stand, as references name it
 * @returns {any}
 */
function followed(schema, place) {
  const isObject = isRecord(schema) && (schema.type === "object" || (schema.type === undefined && isRecord(schema.properties)));
  if (!isObject) return { type: "object", properties: {}, additionalProperties: false };
  const { $defs, definitions } = schema;
  const kept = Object.entries({ $defs, definitions }).flatMap(([name, schemas]) => (isRecord(schemas) ? [[name, each(schemas, (part) => reduced(part, place, 0))]] : []));
  return { properties: {}, additionalProperties: false, ...reduced(schema, place, 0), type: "object", ...Object.fromEntries(kept) };
}

/** @param {Record<string, any>} schemas @param {(schema: any) => any} work */
function each(schemas, work) {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, work(schema)]));
}

/** @param {any} schema @param {string} place of the parameters @param {number} depth @returns {any} */
function reduced(schema, place, depth) {
  if (!isRecord(schema) || depth > DEEPEST) return schema !== false;
  const inner = (/** @type {any} */ part) => reduced(part, place, depth + 1);
  const { $ref, properties, items, prefixItems, pattern, additionalProperties } = schema;
  const [, kept] = typeof $ref === "string" ? (/^#\/([^/]+)\/[^/]+$/.exec($ref) ?? []) : [];
  // Beside a reference the words of one schema alone are followed.
  if (KEPT.includes(kept)) return { $ref: place + /** @type {string} */ ($ref).slice(1) };
  const plain = Object.entries(schema).filter(([word]) => PLAIN.includes(word));
  const ways = schema.anyOf ?? schema.oneOf;
  return {
    ...Object.fromEntries(plain),
    ...(typeof pattern === "string" && !BEYOND.test(pattern) ? { pattern } : {}),
    ...(Array.isArray(ways) ? { anyOf: ways.map(inner) } : {}),
    ...(items === undefined ? {} : { items: inner(items) }),
    ...(Array.isArray(prefixItems) ? { prefixItems: prefixItems.map(inner) } : {}),
    ...(isRecord(properties) ? { properties: each(properties, inner), additionalProperties: isRecord(additionalProperties) ? inner(additionalProperties) : false } : {}),
  };
}

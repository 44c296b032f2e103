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
    return others.length > 0 ? { prefix: "[TOOL_CALLS]" } : { prefix: `[TOOL_CALLS]${first.name}[ARGS]`, schema: followed(first.parameters) };
  }
  if (key === undefined) return { prefix: others.length > 0 ? begin : `${begin}${first.name}(` };
  const calls = tools.map(({ name, parameters }) => ({
    type: "object",
    properties: { name: { const: name }, [key]: followed(parameters) },
    required: ["name", key],
    additionalProperties: false,
  }));
  return { prefix: begin, schema: others.length > 0 ? { anyOf: calls } : calls[0] };
}

/**
 * A schema with what a text can be held to, and with no properties but those that are named.
 * @param {any} schema
 * @returns {any}
 */
function followed(schema) {
  const parameters = reduced(schema, 0);
  return isRecord(parameters) && parameters.type === "object" ? parameters : { type: "object", properties: {}, additionalProperties: false };
}

/** @param {any} schema @param {number} depth @returns {any} */
function reduced(schema, depth) {
  if (!isRecord(schema) || depth > DEEPEST) return true;
  const inner = (/** @type {any} */ part) => reduced(part, depth + 1);
  const plain = Object.entries(schema).filter(([word]) => PLAIN.includes(word));
  const ways = schema.anyOf ?? schema.oneOf;
  const { properties, items } = schema;
  return {
    ...Object.fromEntries(plain),
    ...(Array.isArray(ways) ? { anyOf: ways.map(inner) } : {}),
    ...(items === undefined ? {} : { items: inner(items) }),
    ...(isRecord(properties)
      ? { properties: Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, inner(each)])), additionalProperties: isRecord(schema.additionalProperties) ? inner(schema.additionalProperties) : false }
      : {}),
  };
}

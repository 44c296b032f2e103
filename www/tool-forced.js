/**
 * A call that must come: its beginning, which stands at the end of the prompt, and the schema of what follows. So a call comes that can be read and
 * fits, however small the model is.
 */

import { VitrineError } from "./errors.js";
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

/** What the arguments of later Mistrals stand behind. */
const ARGUMENTS = "[ARGS]";
/** A name that Python can give a value. */
const WORD = /^\w+$/;
/** Values that Python spells otherwise than JSON; within lists and objects they come as JSON has them, which is read alike. @type {Record<string, string>} */
const SPELLED = { boolean: '"True" | "False"', null: '"None"' };

/** @typedef {{ name: string, parameters: any }} Callable */

/**
 * How a call of one of these functions begins, and the schema or the grammar of the rest.
 *
 * Errors: `bad-argument` where Python cannot spell a parameter that is required.
 * @param {ToolFormat} format
 * @param {Callable[]} tools that may be called
 * @param {string} template
 * @param {(text: string) => Promise<ArrayLike<number>>} tokensOf with marks as tokens, where they are some
 * @returns {Promise<{ prefix: string, schema?: object, grammar?: string }>}
 */
export async function forcedCall(format, tools, template, tokensOf) {
  const { begin, key } = FORMATS[format];
  const [first, ...others] = tools;
  // Behind a name its arguments follow; where there are several names the model writes one.
  if (format === "mistral" && template.includes(ARGUMENTS)) {
    if (others.length === 0) return { prefix: `[TOOL_CALLS]${first.name}${ARGUMENTS}`, schema: followed(first.parameters, "#") };
    return { prefix: "[TOOL_CALLS]", grammar: namedCalls(tools, await tokensOf(ARGUMENTS)) };
  }
  if (key === undefined) return { prefix: begin, grammar: pythonCalls(tools) };
  const calls = tools.map(({ name, parameters }, at) => ({
    type: "object",
    properties: { name: { const: name }, [key]: followed(parameters, `#${others.length > 0 ? `/anyOf/${at}` : ""}/properties/${key}`) },
    required: ["name", key],
    additionalProperties: false,
  }));
  return { prefix: begin, schema: others.length > 0 ? { anyOf: calls } : calls[0] };
}

/** A rule for each call, in Lark's notation. @param {Callable[]} tools @param {(tool: Callable, at: number) => string[]} rules of `call_0` and so on */
function grammarOf(tools, rules) {
  return [`start: ${tools.map((_, at) => `call_${at}`).join(" | ")}`, ...tools.flatMap(rules)].join("\n");
}

/** Names with an object of arguments behind a mark. @param {Callable[]} tools @param {ArrayLike<number>} mark */
function namedCalls(tools, mark) {
  // A vocabulary without the mark spells it.
  const between = mark.length === 1 ? `<[${mark[0]}]>` : quoted(ARGUMENTS);
  return grammarOf(tools, ({ name, parameters }, at) => [
    `call_${at}: ${quoted(name)} ${between} arguments_${at}`,
    `arguments_${at}: %json ${JSON.stringify(followed(parameters, "#"))}`,
  ]);
}

/** Calls as Python spells them, up to the end of their list: arguments by name, in the order of the parameters. @param {Callable[]} tools */
function pythonCalls(tools) {
  return grammarOf(tools, ({ name, parameters }, at) => {
    const { properties, required = [], $defs, definitions } = followed(parameters, "#");
    for (const each of required) {
      if (WORD.test(each) && Object.hasOwn(properties, each)) continue;
      const why = Object.hasOwn(properties, each) ? "is no name that Python has for an argument" : "is described by none of its properties";
      throw new VitrineError("bad-argument", `A call of ${name} cannot be held to its parameters: ${each} is required, and ${why}. Call it otherwise, or require it not.`);
    }
    const named = Object.entries(properties).filter(([each]) => WORD.test(each));
    const last = named.length - 1;
    // `first_` where no argument stands before, `more_` where one does.
    const rules = named.flatMap(([each, value], next) => {
      const go = (/** @type {string} */ rule) => (next < last ? ` ${rule}_${at}_${next + 1}` : "");
      const skip = (/** @type {string} */ rule) => (required.includes(each) ? "" : ` |${go(rule)}`);
      return [
        `first_${at}_${next}: name_${at}_${next}${go("more")}${skip("first")}`,
        `more_${at}_${next}: ", " name_${at}_${next}${go("more")}${skip("more")}`,
        `name_${at}_${next}: ${quoted(`${each}=`)} value_${at}_${next}`,
        `value_${at}_${next}: ${valueOf(value, { $defs, definitions })}`,
      ];
    });
    return [`call_${at}: ${quoted(`${name}(`)}${named.length > 0 ? ` first_${at}_0` : ""} ")]"`, ...rules];
  });
}

/** @param {any} schema @param {object} kept what it may refer to */
function valueOf(schema, kept) {
  const words = isRecord(schema) ? Object.keys(schema) : [];
  const spelled = words.length === 1 && typeof schema.type === "string" ? SPELLED[schema.type] : undefined;
  return spelled ?? `%json ${JSON.stringify({ ...(isRecord(schema) ? schema : {}), ...kept })}`;
}

/** A string of Lark's. @param {string} text */
const quoted = (text) => JSON.stringify(text);

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

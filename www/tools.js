/**
 * Functions that a model may call: as a chat template takes them, and whether a call that the model wrote is one of them.
 */

import { VitrineError } from "./errors.js";
import { nearest } from "./nearest.js";
import { isRecord } from "./options.js";
import { misfit } from "./tool-schema.js";

/** @import * as Face from "./vitrine.js" */
/** @import { Written } from "./tool-reader.js" */
/** @typedef {{ name: string, parameters: any, run: Face.Tool["run"] }} Known what is known here of a function */

/** What is quoted of a call that cannot be read. */
const QUOTED = 200;

/**
 * A tool as templates read it, `{ type: "function", function: { name, description, parameters } }`; what is of another shape stays as it is.
 * @param {Record<string, unknown> | Face.Tool} tool
 * @returns {Record<string, unknown>}
 */
export function declared(tool) {
  /** @type {Record<string, unknown>} */
  const { run, ...rest } = { ...tool };
  if (typeof rest.name !== "string" || !(run || isRecord(rest.parameters))) return rest;
  const { name, description, parameters = { type: "object", properties: {} } } = rest;
  return { type: "function", function: { name, description, parameters } };
}

/** The functions of a chat, with what runs them. Either all of them are run here, or none is. */
export class Tools {
  #known;
  /** As the template takes them. */
  declared;

  /** @param {Record<string, any>[]} tools */
  constructor(tools) {
    this.declared = tools.map(declared);
    /** @type {Known[]} */
    this.#known = this.declared.map((tool, at) => {
      const { name, parameters } = /** @type {any} */ (isRecord(tool.function) ? tool.function : tool);
      if (typeof name !== "string" || name === "") throw new VitrineError("bad-argument", `tools[${at}] has no name; a tool is { name, description, parameters, run }.`);
      const { run } = tools[at];
      if (run !== undefined && typeof run !== "function") throw new VitrineError("bad-argument", `tools[${at}].run is no function; leave it out to run its calls yourself.`);
      return { name, parameters, run };
    });
    const names = this.#known.map(({ name }) => name);
    const twice = names.find((name, at) => names.indexOf(name) < at);
    if (twice !== undefined) throw new VitrineError("bad-argument", `Two tools are called ${twice}. Give each a name of its own.`);
    const without = this.#known.find(({ run }) => !run);
    if (this.runs && without) throw new VitrineError("bad-argument", `The tool ${without.name} has no run, and others have: give every tool one, or none.`);
  }

  /** Whether calls are run here. */
  get runs() {
    return this.#known.some(({ run }) => run);
  }

  get all() {
    return this.#known;
  }

  get names() {
    return this.#known.map(({ name }) => name);
  }

  /** @param {string | undefined} name */
  find(name) {
    return this.#known.find((each) => each.name === name);
  }

  /**
   * What a written call is: one that can be made, or a fault that the model can be told of.
   * @param {Written} written
   * @returns {{ call: Face.ToolCall, fault?: undefined } | { call?: undefined, fault: Face.ToolFault }}
   */
  judge(written) {
    const { name, positional = [], broken } = written;
    const id = callId();
    const fault = (/** @type {Face.ToolFault["code"]} */ code, /** @type {string} */ message, /** @type {unknown} */ given = undefined) => ({
      fault: { code, id, name, arguments: given, written: written.written, message },
    });
    if (broken !== undefined || name === undefined) {
      const quoted = written.written.length > QUOTED ? `${written.written.slice(0, QUOTED)}…` : written.written;
      return fault("unreadable", `The call ${quoted} cannot be read: ${broken ?? "it has no name"}. Write it again.`);
    }
    const known = this.find(name);
    const properties = isRecord(known?.parameters?.properties) ? Object.keys(known.parameters.properties) : [];
    const placed = positional.map((value, at) => /** @type {[string, unknown]} */ ([properties[at] ?? `${at}`, value]));
    const given = isRecord(written.arguments) ? { ...Object.fromEntries(placed), ...written.arguments } : written.arguments;
    if (!known) {
      const near = nearest(name, this.names);
      return fault("unknown-tool", `There is no function ${name}${near ? `; did you mean ${near}?` : "."} There are ${this.names.join(", ")}.`, given);
    }
    if (!isRecord(given)) return fault("bad-arguments", `The arguments of ${name} must be an object by the names of its parameters.`, given);
    const wrong = misfit(known.parameters, given, "arguments");
    if (wrong) return fault("bad-arguments", `The call of ${name} does not fit: ${wrong}.`, given);
    return { call: { id, name, arguments: given } };
  }
}

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/** Nine letters and digits: Mistral's templates take no other. */
function callId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(9)), (byte) => LETTERS[byte % LETTERS.length]).join("");
}

/**
 * The turns by which a conversation goes on behind calls: the assistant's, and what each call came to.
 * @param {string} content
 * @param {(Face.ToolCall | Face.ToolFault)[]} calls
 * @returns {Face.Message}
 */
export function callingTurn(content, calls) {
  if (calls.length === 0) return { role: "assistant", content };
  const called = calls.map(({ id, name, arguments: given }) => ({ id, type: "function", function: { name: name ?? "unreadable", arguments: isRecord(given) ? given : {} } }));
  return { role: "assistant", content, tool_calls: called };
}

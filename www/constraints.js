/**
 * What holds a text to a schema, a regular expression, a grammar or a choice: the module `constraints`, loaded when a text is first held to
 * something. Used by worker.js alone.
 */

import init, { Vocabulary } from "./pkg/constraints.js";
import { whyNot } from "./reach.js";

/** @import * as Wasm from "./wasm-face.js" */
/** @typedef {import("./pkg/constraints.js").Matcher} Held */

/** The options that say what a text is, one at a time, and how its JSON is written. */
const NAMES = /** @type {const} */ (["schema", "regex", "grammar", "choice", "schemaFormat"]);

/** @type {Promise<unknown> | undefined} */
let starting;
/** The tokens of each model, sorted. @type {WeakMap<Wasm.Model, Vocabulary>} */
const sorted = new WeakMap();

/**
 * What holds each text of these options, with a matcher of its own; `undefined` where they hold it to nothing.
 * @param {Wasm.Model} model
 * @param {any} options
 * @param {string} address of the module
 * @returns {Promise<Wasm.Form | undefined>}
 */
export async function formFor(model, options, address) {
  const asked = Object.fromEntries(NAMES.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])));
  if (Object.keys(asked).length === 0) return undefined;
  starting ??= start(address);
  await starting.catch((error) => {
    starting = undefined;
    throw error;
  });
  const make = () => guarded(model, () => follower(model, (sorted.get(model) ?? sort(model)).matcher(JSON.stringify(asked))));
  // What cannot be is told at once.
  /** @type {Wasm.Matcher | undefined} */
  let first = make();
  const follow = () => {
    const matcher = first ?? make();
    first = undefined;
    return matcher;
  };
  return { follow };
}

/** @param {Wasm.Model} model */
function sort(model) {
  const { bytes, ends, marks, end } = model.pieces();
  const vocabulary = new Vocabulary(bytes, ends, marks, end);
  sorted.set(model, vocabulary);
  return vocabulary;
}

/** @param {Wasm.Model} model @param {Held} held @returns {Wasm.Matcher} */
function follower(model, held) {
  return {
    mask: () => guarded(model, () => held.mask()),
    take: (token) => guarded(model, () => held.take(token)),
    forced: () => guarded(model, () => held.forced()),
    accepts: (tokens) => guarded(model, () => held.accepts(tokens)),
    get isComplete() {
      return held.isComplete;
    },
  };
}

/**
 * A trap in that module ends the call, and not the engine: what it had is let go, and the next call begins afresh.
 * @template T
 * @param {Wasm.Model} model
 * @param {() => T} work
 */
function guarded(model, work) {
  try {
    return work();
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) {
      sorted.delete(model);
      throw refusal("What the text is held to takes more computing than there is memory for. Ask for something simpler, with shorter repetitions.");
    }
    throw refusal(/** @type {Error} */ (error).message);
  }
}

/** An error that can be read by the engine, which asks while it writes, as well as by the worker. @param {string} message */
function refusal(message) {
  return Object.assign(new Error(message), { code: "bad-argument" });
}

/** @param {string} address */
async function start(address) {
  try {
    await init({ module_or_path: address });
  } catch (error) {
    const { code, sentence } = await whyNot(address, ["wasm-eval"]);
    const why = code === "there" ? `It must be of the same build as the rest. (${error})` : sentence;
    throw { code: "network", message: `What holds a text to a form could not be started from ${address}. ${why} Generating without it goes on.` };
  }
}

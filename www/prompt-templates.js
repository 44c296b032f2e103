/**
 * Prompt templates: a question's frame with slots, examples that stand before it, and how to reason, under a name and a version. Plain JSON, kept in the browser's storage.
 */

import { VitrineError } from "./errors.js";
import { text } from "./messages.js";
import { nearest } from "./nearest.js";
import { isRecord, shown } from "./options.js";

/** @import * as Face from "./vitrine.js" */

const STORE = "vitrine-prompt-templates";
const FORMAT = 1;
/** A slot: `{{name}}`. */
const SLOT = /\{\{\s*([\p{L}_][\p{L}\p{N}_-]*)\s*\}\}/gu;
/** The slot that a template's own `reasoning` fills. */
const REASONING = "reasoning";
const FIELDS = ["name", "version", "about", "system", "examples", "reasoning", "prompt", "slots"];

/** @param {string} sentence */
const refused = (sentence) => new VitrineError("bad-argument", sentence);

/**
 * A template that can be, as plain data.
 *
 * Errors: `bad-argument` that names the field, or the slot that is in no text.
 * @param {unknown} given
 * @returns {Face.PromptTemplate}
 */
export function defined(given) {
  if (!isRecord(given)) throw refused(`A prompt template is an object like { name: "qa", version: 1, prompt: "… {{question}} …" }, not ${shown(given)}.`);
  const odd = Object.keys(given).find((field) => !FIELDS.includes(field));
  if (odd !== undefined) {
    const near = nearest(odd, FIELDS);
    throw refused(`A prompt template has no field "${odd}".${near ? ` Did you mean ${near}?` : ` It has ${FIELDS.join(", ")}.`}`);
  }
  const { version, examples = [], slots = {} } = given;
  const name = text(given.name, "name").trim();
  if (name === "") throw refused("The prompt template has no name. Give it one.");
  if (!Number.isInteger(version) || /** @type {number} */ (version) < 1) throw refused(`The version of the prompt template "${name}" is a whole number from 1, not ${shown(version)}.`);
  const optional = (/** @type {string} */ field) => (given[field] === undefined || given[field] === null ? undefined : text(given[field], field));
  if (!Array.isArray(examples)) throw refused(`examples is an array of { user, assistant }, not ${shown(examples)}.`);
  const turns = examples.map((example, index) => {
    if (!isRecord(example)) throw refused(`examples[${index}] is { user, assistant }, not ${shown(example)}.`);
    const { user, assistant, ...rest } = example;
    const [more] = Object.keys(rest);
    if (more !== undefined) throw refused(`examples[${index}] is { user, assistant }, without "${more}".`);
    return { user: text(user, `examples[${index}].user`), assistant: text(assistant, `examples[${index}].assistant`) };
  });
  if (!isRecord(slots) || !Object.values(slots).every((value) => value === null || typeof value === "string")) {
    throw refused(`slots are texts by name that fill a slot where nothing is given, or null, not ${shown(slots)}.`);
  }
  /** @type {Face.PromptTemplate} */
  const template = { name, version: /** @type {number} */ (version), prompt: text(given.prompt, "prompt") };
  const [about, system, reasoning] = ["about", "system", REASONING].map(optional);
  if (about !== undefined) template.about = about;
  if (system !== undefined) template.system = system;
  if (turns.length > 0) template.examples = turns;
  if (reasoning !== undefined) template.reasoning = reasoning;
  if (Object.keys(slots).length > 0) template.slots = /** @type {Record<string, string | null>} */ ({ ...slots });
  const used = slotsIn(template);
  const unused = [...Object.keys(slots), ...(reasoning === undefined ? [] : [REASONING])].find((slot) => !used.includes(slot));
  if (unused !== undefined) throw refused(`No text of the prompt template "${name}" has the slot {{${unused}}}. Put it where it belongs, or leave it out.`);
  return template;
}

/** The names of all slots, in their order. @param {Face.PromptTemplate} template */
function slotsIn({ system = "", examples = [], prompt }) {
  const texts = [system, ...examples.flatMap(({ user, assistant }) => [user, assistant]), prompt];
  return [...new Set(texts.flatMap((each) => [...each.matchAll(SLOT)].map(([, name]) => name)))];
}

/** The slots that the question alone has. @param {Face.PromptTemplate} template */
export function questionSlots(template) {
  const before = slotsIn({ ...template, prompt: "" });
  return slotsIn(template).filter((slot) => !before.includes(slot));
}

/** What fills the slots before a caller says. @param {Face.PromptTemplate} template @returns {Record<string, string>} */
function usual({ slots = {}, reasoning }) {
  const given = Object.entries(slots).flatMap(([name, value]) => (value === null ? [] : [[name, value]]));
  return Object.fromEntries([...given, ...(reasoning === undefined ? [] : [[REASONING, reasoning]])]);
}

/** The slots that nothing fills yet. @param {Face.PromptTemplate} template @param {Record<string, string>} [given] */
export function openSlots(template, given = {}) {
  const filled = { ...usual(template), ...given };
  return slotsIn(template).filter((slot) => !Object.hasOwn(filled, slot));
}

/**
 * The turns of a template with its slots filled; the last is the question.
 *
 * Errors: `bad-argument` that names a slot which is missing or unknown.
 * @param {Face.PromptTemplate} template
 * @param {Record<string, string>} [given]
 * @param {string[]} [left] slots that stay as they are
 * @returns {Face.Message[]}
 */
export function applied(template, given = {}, left = []) {
  const { name, system, examples = [], prompt } = template;
  const known = slotsIn(template);
  if (!isRecord(given)) throw refused(`The slots of "${name}" are texts by name, like { ${known[0] ?? "question"}: "…" }, not ${shown(given)}.`);
  const unknown = Object.keys(given).find((slot) => !known.includes(slot));
  if (unknown !== undefined) {
    const near = nearest(unknown, known);
    throw refused(`The prompt template "${name}" has no slot "${unknown}".${near ? ` Did you mean ${near}?` : ` It has ${known.join(", ") || "none"}.`}`);
  }
  const missing = openSlots(template, given).filter((slot) => !left.includes(slot));
  if (missing.length > 0) throw refused(`The prompt template "${name}" needs the slot${missing.length > 1 ? "s" : ""} ${missing.join(", ")}.`);
  const values = { ...usual(template), ...given };
  const fill = (/** @type {string} */ words) =>
    words.replace(SLOT, (whole, /** @type {string} */ slot) => (Object.hasOwn(values, slot) ? text(values[slot], `the slot ${slot}`) : whole));
  return [
    ...(system === undefined ? [] : [{ role: "system", content: fill(system) }]),
    ...examples.flatMap(({ user, assistant }) => [
      { role: "user", content: fill(user) },
      { role: "assistant", content: fill(assistant) },
    ]),
    { role: "user", content: fill(prompt) },
  ];
}

/** @type {Face.PromptTemplates} */
const shelf = {
  define(given) {
    const template = defined(given);
    keep(added(kept(), template));
    return template;
  },

  list: () => kept(),

  get(name, version) {
    const named = kept().filter((each) => each.name === name);
    const found = version === undefined ? named.at(-1) : named.find((each) => each.version === version);
    if (found) return found;
    const versions = named.map((each) => each.version).join(", ");
    const names = [...new Set(kept().map((each) => each.name))].join(", ");
    throw refused(named.length > 0 ? `The prompt template "${name}" has no version ${version}; it has ${versions}.` : `There is no prompt template "${name}". There is ${names || "none yet"}.`);
  },

  delete(name, version) {
    const before = kept();
    const after = before.filter((each) => each.name !== name || (version !== undefined && each.version !== version));
    if (after.length < before.length) keep(after);
    return before.length - after.length;
  },

  apply(template, slots) {
    return applied(typeof template === "string" ? shelf.get(template) : defined(template), slots);
  },

  export: (...names) => {
    const wanted = names.length === 0 ? kept() : names.flatMap((name) => kept().filter((each) => each.name === shelf.get(name).name));
    return JSON.stringify({ format: FORMAT, templates: wanted }, null, 2);
  },

  import(json) {
    const templates = read(text(json, "json"), (why) => refused(`This is no export of prompt templates: ${why}. Give what promptTemplates.export() wrote.`));
    // All of them or none.
    keep(templates.reduce(added, kept()));
    return templates;
  },
};

export const promptTemplates = Object.freeze(shelf);

/** With one more, the versions of a name in their order. @param {Face.PromptTemplate[]} templates @param {Face.PromptTemplate} template */
function added(templates, template) {
  const same = templates.find(({ name, version }) => name === template.name && version === template.version);
  if (!same) return [...templates, template].toSorted((a, b) => a.name.localeCompare(b.name) || a.version - b.version);
  if (JSON.stringify(same) === JSON.stringify(template)) return templates;
  const next = Math.max(...templates.filter(({ name }) => name === template.name).map(({ version }) => version)) + 1;
  throw refused(`The prompt template "${template.name}" has another version ${template.version} already. Give this one version ${next}, or delete the other.`);
}

/**
 * @param {string} json
 * @param {(why: string) => VitrineError} fault
 * @returns {Face.PromptTemplate[]}
 */
function read(json, fault) {
  /** @type {unknown} */
  let held;
  try {
    held = JSON.parse(json);
  } catch (error) {
    throw fault(`it is no JSON (${error})`);
  }
  if (!isRecord(held) || !Array.isArray(held.templates)) throw fault("it has no templates");
  if (held.format !== FORMAT) throw fault(`it is of format ${shown(held.format)}, and ${FORMAT} is read here`);
  return held.templates.map(defined);
}

/** What the browser keeps; asked each time, for another tab may have changed it. */
function kept() {
  const json = stored((storage) => storage.getItem(STORE));
  return json === null ? [] : read(json, (why) => new VitrineError("storage", `The kept prompt templates cannot be read: ${why}. Remove "${STORE}" from the site's storage.`));
}

/** @param {Face.PromptTemplate[]} templates */
function keep(templates) {
  stored((storage) => storage.setItem(STORE, JSON.stringify({ format: FORMAT, templates })));
}

/**
 * @template T
 * @param {(storage: Storage) => T} work
 * @returns {T}
 */
function stored(work) {
  try {
    return work(localStorage);
  } catch (cause) {
    const full = cause instanceof DOMException && cause.name === "QuotaExceededError";
    const why = full ? "The browser's storage is full: delete prompt templates, or what else the site keeps" : "The browser keeps nothing for this page: allow it, or give templates as objects";
    throw new VitrineError("storage", `${why}. What was kept before is as it was.`, { cause });
  }
}

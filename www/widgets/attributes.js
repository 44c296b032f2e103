/** What a widget's attributes may hold: how each is read, what stands in for one that is left out, and the property that reflects it. */

import { nearest } from "../nearest.js";

/**
 * @template [T=any]
 * @typedef {object} Attribute
 * @property {T | undefined} fallback where the attribute is left out
 * @property {(raw: string) => T | undefined} read nothing where it does not make sense
 * @property {string} allowed what would: "must be …"
 * @property {(value: unknown) => string} [write] what the attribute holds where its property is set; else words, of a list with spaces between them
 * @property {Entry} entry how a form asks for it
 */

/** @typedef {{ type: "words" | "address" | "flag" | "list" } | { type: "number", min: number, max: number, step: number | "any" } | { type: "choice", choices: string[] }} Entry */

/** @param {string} fallback @returns {Attribute<string>} any words, none too */
export function words(fallback) {
  return { fallback, read: (raw) => raw, allowed: "words", entry: { type: "words" } };
}

/** @param {string} fallback @returns {Attribute<string>} */
export function source(fallback) {
  return { fallback, read: (raw) => raw.trim() || undefined, allowed: "the name or the address of a model", entry: { type: "address" } };
}

/** @param {number} least @param {number} most @param {number} [fallback] @returns {Attribute<number>} */
export function number(least, most, fallback) {
  const read = (/** @type {string} */ raw) => within(/^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(raw) ? Number(raw) : NaN, least, most);
  return { fallback, read, allowed: `a number from ${least} to ${most}`, entry: { type: "number", min: least, max: most, step: "any" } };
}

/** @param {number} least @param {number} most @param {number} [fallback] @returns {Attribute<number>} */
export function whole(least, most, fallback) {
  const read = (/** @type {string} */ raw) => within(/^\s*[+-]?\d+\s*$/.test(raw) ? Number(raw) : NaN, least, most);
  return { fallback, read, allowed: `a whole number from ${least} to ${most}`, entry: { type: "number", min: least, max: most, step: 1 } };
}

/** @param {string[]} choices @param {string} [fallback] @returns {Attribute<string>} */
export function oneOf(choices, fallback) {
  return { fallback, read: (raw) => choices.find((choice) => choice === raw.trim()), allowed: choices.map((choice) => `"${choice}"`).join(" or "), entry: { type: "choice", choices } };
}

/** Something that is so or is not: the attribute alone, as in HTML. @returns {Attribute<boolean>} */
export function flag() {
  const meanings = new Map([["", true], ["true", true], ["false", false]]);
  return { fallback: false, read: (raw) => meanings.get(raw.trim()), allowed: "written without a value, or left out", entry: { type: "flag" } };
}

/** Numbers with spaces between them. @param {number} least @param {number} most @param {number[]} fallback @returns {Attribute<number[]>} */
export function numbers(least, most, fallback) {
  const one = number(least, most);
  const read = (/** @type {string} */ raw) => {
    const all = raw.trim().split(/\s+/).map((each) => one.read(each));
    return all.length <= 8 && !all.includes(undefined) ? /** @type {number[]} */ (all) : undefined;
  };
  return { fallback, read, allowed: `up to eight numbers from ${least} to ${most}, with spaces between them`, entry: { type: "list" } };
}

/** Some of these words, each once, with spaces between them. @param {string[]} choices @param {string[]} fallback @returns {Attribute<string[]>} */
export function someOf(choices, fallback) {
  const read = (/** @type {string} */ raw) => {
    const all = raw.trim().split(/\s+/);
    return all.every((each, at) => choices.includes(each) && all.indexOf(each) === at) ? all : undefined;
  };
  return { fallback, read, allowed: `some of ${choices.join(", ")}, with spaces between them`, entry: { type: "list" } };
}

/** What a property's value is in HTML. @param {unknown} value */
export const written = (value) => (Array.isArray(value) ? value.join(" ") : String(value));

/** @param {number} value @param {number} least @param {number} most */
function within(value, least, most) {
  return value >= least && value <= most ? value : undefined;
}

/** The property that reflects an attribute: `max-tokens` is `maxTokens`. @param {string} name */
export function propertyOf(name) {
  return name.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase());
}

/**
 * Gives a class of elements the properties that reflect its attributes. As in HTML, a property whose attribute is missing or makes no sense
 * has the fallback's value; setting it to null or undefined takes the attribute away.
 * @param {HTMLElement} prototype
 * @param {Record<string, Attribute>} attributes
 */
export function reflect(prototype, attributes) {
  for (const [name, { fallback, read, write = written }] of Object.entries(attributes)) {
    Object.defineProperty(prototype, propertyOf(name), {
      configurable: true,
      enumerable: true,
      /** @this {HTMLElement} */
      get() {
        const raw = this.getAttribute(name);
        return (raw === null ? undefined : read(raw)) ?? fallback;
      },
      /** @this {HTMLElement} @param {unknown} value */
      set(value) {
        if (value === null || value === undefined) this.removeAttribute(name);
        else this.setAttribute(name, write(value));
      },
    });
  }
}

/** Names that frameworks put on any element. */
const FOREIGN = /^(data-|aria-|on|_|v-|x-|ng-|hx-|item|xml)|[:@.[(*#]/;
/** Names that HTML allows on any element; most have a property called after them, which is found when first asked for. */
const global = new Set(["class", "is", "exportparts", "xmlns"]);

/** Strange attributes that the console has heard of. @type {Set<string>} */
const named = new Set();

/**
 * Names in the console, once each, the attributes of an element that mean nothing there: neither its own nor HTML's nor a framework's.
 * @param {HTMLElement} element
 * @param {Record<string, Attribute>} attributes
 */
export function nameStrangers(element, attributes) {
  if (!global.has("id")) for (const property in HTMLElement.prototype) global.add(property.toLowerCase());
  const tag = element.localName;
  for (const name of element.getAttributeNames()) {
    if (name in attributes || global.has(name) || FOREIGN.test(name) || named.has(`${tag} ${name}`)) continue;
    named.add(`${tag} ${name}`);
    const meant = nearest(name, Object.keys(attributes));
    console.warn(`<${tag}> has no attribute ${name}.${meant ? ` ${meant} is meant?` : ` It has ${Object.keys(attributes).join(", ")}.`}`);
  }
}

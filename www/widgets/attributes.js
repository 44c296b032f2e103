/** What a widget's attributes may hold: how each is read, what stands in for one that is left out, and the property that reflects it. */

/**
 * @template [T=any]
 * @typedef {object} Attribute
 * @property {T | undefined} fallback where the attribute is left out
 * @property {(raw: string) => T | undefined} read nothing where it does not make sense
 * @property {string} allowed what would: "must be …"
 */

/** @param {string} fallback @returns {Attribute<string>} any words, none too */
export function words(fallback) {
  return { fallback, read: (raw) => raw, allowed: "words" };
}

/** @param {string} fallback @returns {Attribute<string>} */
export function source(fallback) {
  return { fallback, read: (raw) => raw.trim() || undefined, allowed: "the name or the address of a model" };
}

/** @param {number} least @param {number} most @param {number} [fallback] @returns {Attribute<number>} */
export function number(least, most, fallback) {
  const read = (/** @type {string} */ raw) => within(/^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(raw) ? Number(raw) : NaN, least, most);
  return { fallback, read, allowed: `a number from ${least} to ${most}` };
}

/** @param {number} least @param {number} most @param {number} [fallback] @returns {Attribute<number>} */
export function whole(least, most, fallback) {
  const read = (/** @type {string} */ raw) => within(/^\s*[+-]?\d+\s*$/.test(raw) ? Number(raw) : NaN, least, most);
  return { fallback, read, allowed: `a whole number from ${least} to ${most}` };
}

/** @param {string[]} choices @param {string} [fallback] @returns {Attribute<string>} */
export function oneOf(choices, fallback) {
  return { fallback, read: (raw) => choices.find((choice) => choice === raw.trim()), allowed: choices.map((choice) => `"${choice}"`).join(" or ") };
}

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
  for (const [name, { fallback, read }] of Object.entries(attributes)) {
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
        else this.setAttribute(name, String(value));
      },
    });
  }
}

/** Names that frameworks put on any element. */
const FOREIGN = /^(data-|aria-|on|_|v-|x-|ng-|hx-|item|xml)|[:@.[(*#]/;
/** Names that HTML allows on any element; most have a property called after them, which is found when first asked for. */
const global = new Set(["class", "is", "exportparts", "xmlns"]);

/**
 * The attributes of an element that mean nothing there: neither its own nor HTML's nor a framework's.
 * @param {HTMLElement} element
 * @param {Record<string, Attribute>} attributes
 */
export function strangers(element, attributes) {
  if (!global.has("id")) for (const property in HTMLElement.prototype) global.add(property.toLowerCase());
  return element.getAttributeNames().filter((name) => !(name in attributes) && !global.has(name) && !FOREIGN.test(name));
}

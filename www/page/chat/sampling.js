/** How a conversation is answered: what it says of sampling stays with it, and where it says nothing the model's own files decide. */

import { element, make } from "../dom.js";
import { Seed } from "../seed.js";
import { slider } from "../slider.js";

/** @import { SamplingDefaults } from "../../vitrine.js" */
/** @import { Scale } from "../slider.js" */
/** @import { Sampling } from "./conversation.js" */
/** @typedef {Exclude<keyof Sampling, "seed">} Name */

/** Tokens of an answer where nothing else is said. */
const LENGTH = 512;

const share = (/** @type {number} */ value) => (value >= 1 ? "all" : `${Math.round(value * 100)} %`);
const two = (/** @type {number} */ value) => value.toFixed(2);

/** @type {(Scale & { option: Name })[]} */
const SCALES = [
  {
    id: "temperature", option: "temperature", name: "Temperature", min: 0, max: 2, step: 0.05, start: 0.8, show: two,
    words: "How daring the draw is. 0 always takes the likeliest word; above 1 it grows wild.",
  },
  {
    id: "top-p", option: "topP", name: "Top-p", min: 0.05, max: 1, step: 0.01, start: 0.95, show: share,
    words: "Draw only among the likeliest words that together reach this share.",
  },
  {
    id: "top-k", option: "topK", name: "Top-k", min: 0, max: 200, step: 1, start: 40, show: (k) => (k === 0 ? "all" : String(k)),
    words: "Draw only among so many of the likeliest words.",
  },
  {
    id: "min-p", option: "minP", name: "Min-p", min: 0, max: 0.5, step: 0.01, start: 0.05, show: two,
    words: "Leave out words far less likely than the likeliest one: this share of it or less.",
  },
  {
    id: "length", option: "maxTokens", name: "Length", min: 16, max: 4096, step: 16, start: LENGTH, show: (n) => `${n} tokens`,
    words: "An answer pauses after so many; “Go on” takes up from there.",
  },
]; // prettier-ignore

export class SamplingPanel extends EventTarget {
  /** @type {Map<Name, HTMLInputElement>} */
  #inputs = new Map();
  #seed;
  #own = make("button", { type: "button", id: "own-sampling", "data-test": "own-sampling", class: "plain", "data-heir": "#temperature" }, "As the model asks");
  /** What this conversation says itself. @type {Sampling} */
  #said = {};
  /** @type {SamplingDefaults | undefined} */
  #defaults;

  constructor() {
    super();
    this.#seed = new Seed("The same seed and settings give the same answer again. Left empty, each answer is new.", undefined, () => this.#change("seed", this.#seed.value));
    const rows = SCALES.map((scale) => {
      const { row, input } = slider(scale, undefined);
      input.addEventListener("change", () => this.#change(scale.option, Number(input.value)));
      this.#inputs.set(scale.option, input);
      return row;
    });
    this.#own.addEventListener("click", () => {
      this.show({});
      this.dispatchEvent(new Event("change"));
    });
    element("settings", HTMLElement).append(...rows, this.#seed.row, this.#own);
  }

  /** @param {Sampling} said */
  show(said) {
    this.#said = { ...said };
    for (const { option, start } of SCALES) {
      const input = /** @type {HTMLInputElement} */ (this.#inputs.get(option));
      const own = option === "maxTokens" ? start : this.#defaults?.[option];
      input.value = String(said[option] ?? own ?? start);
      // It says itself what it stands at.
      input.dispatchEvent(new Event("input"));
    }
    this.#seed.value = said.seed;
    this.#own.disabled = Object.keys(said).length === 0;
  }

  /** What the model's files ask for. @param {SamplingDefaults} defaults */
  set defaults(defaults) {
    this.#defaults = defaults;
    this.show(this.#said);
  }

  get said() {
    return { ...this.#said };
  }

  /** Whether they can be used; the field that cannot says why. */
  check() {
    return this.#seed.check();
  }

  /** Tells which seed the last answer had. @param {number} seed */
  set used(seed) {
    this.#seed.used = seed;
  }

  /** @param {keyof Sampling} option @param {number | undefined} value */
  #change(option, value) {
    if (value === undefined) delete this.#said[option];
    else this.#said[option] = value;
    this.#own.disabled = Object.keys(this.#said).length === 0;
    this.dispatchEvent(new Event("change"));
  }
}

/** The options of a call. @param {Sampling} sampling */
export function optionsOf(sampling) {
  return { maxTokens: LENGTH, ...sampling };
}

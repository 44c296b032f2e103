/** The settings: built from one table, remembered between visits. */

import { element, make } from "./dom.js";
import { keep, readStored } from "./stored-settings.js";
import { Seed } from "./seed.js";
import { slider } from "./slider.js";

/** @import { GenerateOptions } from "../vitrine.js" */

/** @import { Scale } from "./slider.js" */
/** @typedef {Scale & { option: "temperature" | "topK" | "topP" | "minP" | "repetitionPenalty" | "maxTokens", more?: boolean }} Setting */

const two = (/** @type {number} */ value) => value.toFixed(2);
const share = (/** @type {number} */ value) => (value >= 1 ? "all" : `${Math.round(value * 100)} %`);

/** @type {Setting[]} */
const SETTINGS = [
  {
    id: "temperature", option: "temperature", name: "Temperature", min: 0, max: 2, step: 0.05, start: 0.8, show: two,
    words: "How daring the draw is. 0 always takes the likeliest word; above 1 it grows wild.",
  },
  {
    id: "top-k", option: "topK", name: "Top-k", min: 0, max: 200, step: 1, start: 40, show: (k) => (k === 0 ? "all" : String(k)),
    words: "Draw only among so many of the likeliest words.",
  },
  {
    id: "top-p", option: "topP", name: "Top-p", min: 0.05, max: 1, step: 0.01, start: 0.95, show: share,
    words: "Draw only among the likeliest words that together reach this share.",
  },
  {
    id: "length", option: "maxTokens", name: "Length", min: 10, max: 500, step: 10, start: 200, show: (n) => `${n} tokens`,
    words: "Pause after so many; “Go on” takes up from there.",
  },
  {
    id: "min-p", option: "minP", name: "Min-p", min: 0, max: 0.5, step: 0.01, start: 0, show: two, more: true,
    words: "Leave out words far less likely than the likeliest one: this share of it or less.",
  },
  {
    id: "repetition", option: "repetitionPenalty", name: "Repetition", min: 1, max: 2, step: 0.05, start: 1, show: two, more: true,
    words: "Above 1, words that were used before become less likely.",
  },
]; // prettier-ignore

const MOODS = [
  { name: "Careful", temperature: 0.4, "top-k": 20, "top-p": 0.9 },
  { name: "Balanced", temperature: 0.8, "top-k": 40, "top-p": 0.95 },
  { name: "Daring", temperature: 1.25, "top-k": 0, "top-p": 1 },
];

const STORE = "vitrine.settings";

export class Settings {
  /** @type {Map<string, HTMLInputElement>} */
  #inputs = new Map();
  #seed;
  /** @type {HTMLButtonElement[]} */
  #moods = [];

  constructor() {
    const kept = readStored(STORE);
    this.#seed = new Seed("The same seed and settings write the same story again. Left empty, each story is new.", kept.seed, () => this.#save());
    const main = SETTINGS.filter(({ more }) => !more).map((setting) => this.#row(setting, kept));
    const more = SETTINGS.filter(({ more }) => more).map((setting) => this.#row(setting, kept));
    this.#moods = MOODS.map(({ name, ...values }) => {
      const button = make("button", { type: "button", "data-mood": name.toLowerCase() }, name);
      button.addEventListener("click", () => this.#set(values));
      return button;
    });
    element("settings", HTMLElement).append(
      make("div", { class: "moods", role: "group", "aria-label": "Moods" }, ...this.#moods),
      ...main,
      this.#seed.row,
      make("details", { class: "more" }, make("summary", {}, "More"), ...more),
    );
    this.#mark();
  }

  /** @returns {GenerateOptions} */
  get options() {
    /** @type {GenerateOptions} */
    const options = {};
    for (const { id, option } of SETTINGS) options[option] = Number(this.#inputs.get(id)?.value);
    if (this.#seed.value !== undefined) options.seed = this.#seed.value;
    return options;
  }

  /** Whether they can be used; the field that cannot says why. */
  check() {
    return this.#seed.check();
  }

  /** Tells which seed the last story had, so that it can be kept. @param {number} seed */
  set used(seed) {
    this.#seed.used = seed;
  }

  /** @param {Setting} setting @param {Record<string, unknown>} kept */
  #row(setting, kept) {
    const { row, input } = slider(setting, kept[setting.id]);
    input.addEventListener("input", () => {
      this.#mark();
      this.#save();
    });
    this.#inputs.set(setting.id, input);
    return row;
  }

  /** @param {Record<string, number>} values */
  #set(values) {
    for (const [id, value] of Object.entries(values)) {
      const input = this.#inputs.get(id);
      if (!input) continue;
      input.value = String(value);
      input.dispatchEvent(new Event("input"));
    }
  }

  /** Shows which mood the settings are, if any. */
  #mark() {
    MOODS.forEach(({ name: _, ...values }, at) => {
      const same = Object.entries(values).every(([id, value]) => Number(this.#inputs.get(id)?.value) === value);
      this.#moods[at]?.setAttribute("aria-pressed", String(same));
    });
  }

  #save() {
    const { seed } = this.options;
    const values = Object.fromEntries([...this.#inputs].map(([id, input]) => [id, Number(input.value)]));
    keep(STORE, seed === undefined ? values : { ...values, seed });
  }
}

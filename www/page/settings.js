/** The settings: built from one table, remembered between visits. */

import { element, make } from "./dom.js";

/** @import { GenerateOptions } from "../vitrine.js" */

/**
 * @typedef {{
 *   id: string, option: "temperature" | "topK" | "topP" | "minP" | "repetitionPenalty" | "maxTokens", name: string, words: string,
 *   min: number, max: number, step: number, start: number, show: (value: number) => string, more?: boolean,
 * }} Setting
 */

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
  #seed = make("input", { type: "number", id: "seed", "data-test": "seed", min: "0", max: "4294967295", step: "1", placeholder: "any" });
  #keep = make("button", { type: "button", id: "keep-seed", "data-test": "keep-seed", class: "plain", hidden: "" });
  /** @type {HTMLButtonElement[]} */
  #moods = [];
  /** @type {number | undefined} */
  #used;

  constructor() {
    const kept = read();
    const main = SETTINGS.filter(({ more }) => !more).map((setting) => this.#row(setting, kept));
    const more = SETTINGS.filter(({ more }) => more).map((setting) => this.#row(setting, kept));
    this.#moods = MOODS.map(({ name, ...values }) => {
      const button = make("button", { type: "button", "data-mood": name.toLowerCase() }, name);
      button.addEventListener("click", () => this.#set(values));
      return button;
    });
    this.#seed.addEventListener("change", () => this.#save());
    this.#keep.addEventListener("click", () => {
      this.#seed.value = String(this.#used ?? "");
      this.#keep.hidden = true;
      this.#save();
    });
    if (typeof kept.seed === "number") this.#seed.value = String(kept.seed);
    const seed = make(
      "div",
      { class: "setting" },
      make("div", { class: "row" }, make("label", { for: "seed" }, "Seed"), this.#seed),
      make("small", { id: "seed-words" }, "The same seed and settings write the same story again. Left empty, each story is new. ", this.#keep),
    );
    this.#seed.setAttribute("aria-describedby", "seed-words");
    element("settings", HTMLElement).append(
      make("div", { class: "moods", role: "group", "aria-label": "Moods" }, ...this.#moods),
      ...main,
      seed,
      make("details", { class: "more" }, make("summary", {}, "More"), ...more),
    );
    this.#mark();
  }

  /** @returns {GenerateOptions} */
  get options() {
    /** @type {GenerateOptions} */
    const options = {};
    for (const { id, option } of SETTINGS) options[option] = Number(this.#inputs.get(id)?.value);
    const seed = this.#seed.value.trim();
    if (seed !== "") options.seed = Number(seed) >>> 0;
    return options;
  }

  /** Tells which seed the last story had, so that it can be kept. @param {number} seed */
  set used(seed) {
    this.#used = seed;
    this.#keep.textContent = `Keep ${seed}`;
    this.#keep.hidden = this.#seed.value.trim() !== "";
  }

  /** @param {Setting} setting @param {Record<string, unknown>} kept */
  #row({ id, name, words, min, max, step, start, show }, kept) {
    const value = Number(typeof kept[id] === "number" ? kept[id] : start);
    const input = make("input", { type: "range", id, "data-test": id, min: String(min), max: String(max), step: String(step), "aria-describedby": `${id}-words` });
    input.value = String(value);
    const output = make("output", { for: id });
    const tell = () => {
      output.textContent = show(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", () => {
      tell();
      this.#mark();
      this.#save();
    });
    tell();
    this.#inputs.set(id, input);
    return make(
      "div",
      { class: "setting" },
      make("div", { class: "row" }, make("label", { for: id }, name), output),
      input,
      make("small", { id: `${id}-words` }, words),
    );
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
    try {
      localStorage.setItem(STORE, JSON.stringify(seed === undefined ? values : { ...values, seed }));
    } catch {
      // A browser that keeps nothing for this page: the settings then last as long as the visit.
    }
  }
}

/** @returns {Record<string, unknown>} */
function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORE) ?? "{}");
    return typeof kept === "object" && kept !== null ? kept : {};
  } catch {
    return {};
  }
}

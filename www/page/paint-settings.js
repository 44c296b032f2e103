/** How a picture is painted: the settings of the page for pictures, fitted to the model in use and remembered between visits. */

import { element, make } from "./dom.js";
import { keep, readStored } from "./stored-settings.js";
import { Seed } from "./seed.js";
import { slider } from "./slider.js";

/** @import { ImageModelInfo, ImageOptions, SchedulerName } from "../vitrine.js" */

const STORE = "vitrine.paint";

/** @type {Record<SchedulerName, string>} */
const SCHEDULERS = {
  ddpm: "DDPM",
  ddim: "DDIM",
  pndm: "PNDM",
  euler: "Euler",
  "euler-ancestral": "Euler ancestral",
  heun: "Heun",
  lms: "LMS",
  kdpm2: "KDPM2",
  "kdpm2-ancestral": "KDPM2 ancestral",
  deis: "DEIS",
  "dpm++-2m": "DPM++ 2M",
  "dpm++-2m-karras": "DPM++ 2M Karras",
  "dpm++-2m-sde": "DPM++ 2M SDE",
  "dpm++-2s": "DPM++ 2S",
  "dpm++-sde": "DPM++ SDE",
  unipc: "UniPC",
  lcm: "LCM",
  tcd: "TCD",
  "edm-euler": "EDM, Euler",
  "edm-dpm++-2m": "EDM, DPM++ 2M",
  "flow-euler": "Flow, Euler",
};

const SCALES = {
  steps: {
    id: "steps", name: "Steps", min: 1, max: 50, step: 1, start: 12, show: (/** @type {number} */ n) => String(n),
    words: "From noise to the picture in so many steps; more are slower and finer.",
  },
  guidance: {
    id: "guidance", name: "Guidance", min: 1, max: 15, step: 0.5, start: 4, show: (/** @type {number} */ g) => (g === 1 ? "none" : g.toFixed(1)),
    words: "How closely the words are followed. Too much makes colours glare.",
  },
  strength: {
    id: "strength", name: "Strength", min: 0.05, max: 1, step: 0.05, start: 0.75, show: (/** @type {number} */ s) => `${Math.round(s * 100)} %`,
    words: "How much of the picture you begin from may change.",
  },
}; // prettier-ignore

/** Sides offered beside the model's own. */
const FACTORS = [0.5, 0.75, 1, 1.5, 2];
/** Pictures at once. */
const COUNTS = ["1", "2", "4"];

export class PaintSettings {
  #steps;
  #guidance;
  #strength;
  #negative = make("input", { type: "text", id: "negative", "data-test": "negative", autocomplete: "off", "aria-describedby": "negative-words" });
  #scheduler = make("select", { id: "scheduler", "data-test": "scheduler", "aria-describedby": "scheduler-words" });
  #size = make("select", { id: "size", "data-test": "size", "aria-describedby": "size-words" });
  #count = make("select", { id: "pictures", "data-test": "pictures", "aria-describedby": "pictures-words" });
  #seed;

  constructor() {
    const kept = readStored(STORE);
    const save = () => this.#save();
    this.#steps = slider(SCALES.steps, kept.steps);
    this.#guidance = slider(SCALES.guidance, kept.guidance);
    this.#strength = slider(SCALES.strength, kept.strength);
    this.#seed = new Seed("The same seed, words and settings paint the same picture again. Left empty, each is new.", kept.seed, save);
    if (typeof kept.negative === "string") this.#negative.value = kept.negative;
    this.#strength.row.hidden = true;
    const rows = [
      this.#steps.row,
      this.#guidance.row,
      this.#strength.row,
      field(this.#negative, "Leave out", "Words for what the picture should not show; they need some guidance."),
      this.#seed.row,
    ];
    this.#count.append(...COUNTS.map((count) => make("option", { value: count }, count)));
    const more = [
      field(this.#count, "Pictures", "So many at once, each from noise of its own."),
      field(this.#size, "Size", "Pixels. Sizes that the model was not made for come out stranger."),
      field(this.#scheduler, "Scheduler", "The way from noise to the picture. Heun, KDPM2 and DPM++ SDE take twice as long a step."),
    ];
    element("settings", HTMLElement).append(...rows, make("details", { class: "more" }, make("summary", {}, "More"), ...more));
    for (const input of [this.#steps.input, this.#guidance.input, this.#strength.input, this.#negative]) input.addEventListener("change", save);
  }

  /** Offers what the model can do; its own defaults where the reader chose nothing yet. @param {ImageModelInfo} info */
  fit(info) {
    const kept = readStored(STORE);
    if (kept.steps === undefined) set(this.#steps.input, info.steps);
    if (kept.guidance === undefined) set(this.#guidance.input, info.guidance);
    const side = (/** @type {number} */ pixels, /** @type {number} */ factor) =>
      Math.max(1, Math.round((pixels * factor) / info.sizeMultiple)) * info.sizeMultiple;
    const factors = info.fixedSize ? [1] : FACTORS;
    const pairs = factors.map((factor) => [side(info.width, factor), side(info.height, factor)]);
    const sizes = pairs.filter((pair) => Math.max(...pair) <= info.largest).map((pair) => pair.join("×"));
    this.#size.replaceChildren(...[...new Set(sizes)].map((size) => make("option", { value: size }, size)));
    this.#size.value = `${info.width}×${info.height}`;
    this.#scheduler.replaceChildren(...info.schedulers.map((name) => make("option", { value: name }, SCHEDULERS[name] ?? name)));
    this.#scheduler.value = info.scheduler;
  }

  /** Whether there is a picture to begin from, which alone makes use of the strength. @param {boolean} beginning */
  set beginning(beginning) {
    this.#strength.row.hidden = !beginning;
  }

  /** What to leave out, which takes guidance. */
  get #unwanted() {
    return this.#guidance.input.value === "1" ? "" : this.#negative.value.trim();
  }

  /** The strength, but of the steps one at least. */
  get #share() {
    const least = (1 + 1e-9) / Number(this.#steps.input.value);
    return Math.min(1, Math.max(least, Number(this.#strength.input.value)));
  }

  /** @returns {Omit<ImageOptions, "prompt">} */
  get options() {
    const [width, height] = this.#size.value.split("×").map(Number);
    return {
      steps: Number(this.#steps.input.value),
      guidance: Number(this.#guidance.input.value),
      ...(this.#strength.row.hidden ? {} : { strength: this.#share }),
      ...(this.#unwanted === "" ? {} : { negativePrompt: this.#unwanted }),
      ...(this.#seed.value === undefined ? {} : { seed: this.#seed.value }),
      scheduler: /** @type {SchedulerName} */ (this.#scheduler.value),
      width,
      height,
      ...(this.#count.value === "1" ? {} : { count: Number(this.#count.value) }),
    };
  }

  /** Whether they can be used; the field that cannot says why. */
  check() {
    return this.#seed.check();
  }

  /**
   * Takes over the settings of a picture; what they do not name stays. Its seed is lent for one picture.
   * @param {Record<string, unknown>} settings
   * @returns {string[]} those that this model cannot do
   */
  take(settings) {
    const { steps, guidance, strength, negativePrompt, seed, scheduler, width, height, count } = settings;
    if (typeof steps === "number") set(this.#steps.input, steps);
    if (typeof guidance === "number") set(this.#guidance.input, guidance);
    if (typeof strength === "number") set(this.#strength.input, strength);
    if (typeof seed === "number") this.#seed.lend(seed);
    this.#negative.value = typeof negativePrompt === "string" ? negativePrompt : "";
    const missing = [];
    if (scheduler !== undefined && !choose(this.#scheduler, String(scheduler))) missing.push(`the scheduler ${SCHEDULERS[/** @type {SchedulerName} */ (scheduler)] ?? scheduler}`);
    if (width !== undefined && !choose(this.#size, `${width}×${height}`)) missing.push(`the size ${width}×${height}`);
    choose(this.#count, String(count ?? 1));
    this.#save();
    return missing;
  }

  /** Tells which seed the last picture had. @param {number} seed */
  set used(seed) {
    this.#seed.used = seed;
  }

  #save() {
    const { steps, guidance } = this.options;
    keep(STORE, { steps, guidance, seed: this.#seed.kept, strength: Number(this.#strength.input.value), negative: this.#negative.value });
  }
}

/** @param {HTMLInputElement} input @param {number} value */
function set(input, value) {
  input.value = String(value);
  input.dispatchEvent(new Event("input"));
}

/** Chooses what is offered, and else leaves the choice. @param {HTMLSelectElement} select @param {string} value */
function choose(select, value) {
  const offered = [...select.options].some((option) => option.value === value);
  if (offered) select.value = value;
  return offered;
}

/** @param {HTMLInputElement | HTMLSelectElement} control @param {string} name @param {string} words */
function field(control, name, words) {
  const head = make("div", { class: "row" }, make("label", { for: control.id }, name), control);
  return make("div", { class: "setting" }, head, make("small", { id: `${control.id}-words` }, words));
}

/** The seed: a number to keep, or nothing for a new one each time. */

import { make } from "./dom.js";

export class Seed {
  #input = make("input", { type: "number", id: "seed", "data-test": "seed", min: "0", max: "4294967295", step: "1", placeholder: "any" });
  #keep = make("button", { type: "button", id: "keep-seed", "data-test": "keep-seed", class: "plain", hidden: "" });
  /** @type {number | undefined} */
  #used;
  /** Whether the seed that stands there is meant for one time alone. */
  #once = false;
  /** The whole row. @type {HTMLElement} */
  row;

  /**
   * @param {string} words what the seed does here
   * @param {unknown} kept that of the last visit
   * @param {() => void} changed
   */
  constructor(words, kept, changed) {
    this.#input.setAttribute("aria-describedby", "seed-words");
    if (typeof kept === "number") this.#input.value = String(kept);
    this.#keep.setAttribute("data-heir", "#seed");
    this.#input.addEventListener("change", () => {
      this.#once = false;
      this.#keep.hidden = true;
      changed();
    });
    this.#keep.addEventListener("click", () => {
      this.value = this.#used;
      changed();
    });
    this.row = make(
      "div",
      { class: "setting" },
      make("div", { class: "row" }, make("label", { for: "seed" }, "Seed"), this.#input),
      make("small", { id: "seed-words" }, `${words} `, this.#keep),
    );
  }

  /** @returns {number | undefined} */
  get value() {
    const seed = this.#input.value.trim();
    return seed === "" ? undefined : Number(seed) >>> 0;
  }

  set value(seed) {
    this.#input.value = seed === undefined ? "" : String(seed);
    this.#once = false;
    this.#keep.hidden = true;
  }

  /** The seed that is to last. @returns {number | undefined} */
  get kept() {
    return this.#once ? undefined : this.value;
  }

  /** A seed for the next time alone, which the reader may keep. @param {number} seed */
  lend(seed) {
    this.value = seed;
    this.#once = true;
    this.#used = seed;
    this.#keep.textContent = `Keep ${seed} for more than once`;
    this.#keep.hidden = false;
  }

  /** Tells which seed was used last, so that it can be kept. @param {number} seed */
  set used(seed) {
    if (this.#once) this.value = undefined;
    this.#used = seed;
    this.#keep.textContent = `Keep ${seed}`;
    this.#keep.hidden = this.value !== undefined;
  }
}

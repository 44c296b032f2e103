/** The seed: a number to keep, or nothing for a new one each time. */

import { make } from "./dom.js";

export class Seed {
  #input = make("input", { type: "number", id: "seed", "data-test": "seed", min: "0", max: "4294967295", step: "1", placeholder: "any" });
  #keep = make("button", { type: "button", id: "keep-seed", "data-test": "keep-seed", class: "plain", hidden: "" });
  /** @type {number | undefined} */
  #used;
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
    this.#input.addEventListener("change", changed);
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
    this.#keep.hidden = true;
  }

  /** Tells which seed was used last, so that it can be kept. @param {number} seed */
  set used(seed) {
    this.#used = seed;
    this.#keep.textContent = `Keep ${seed}`;
    this.#keep.hidden = this.value !== undefined;
  }
}

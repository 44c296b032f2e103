/** The seed: a number to keep, or nothing for a new one each time. */

import { make } from "./dom.js";

export class Seed {
  #input = make("input", { type: "number", id: "seed", "data-test": "seed", min: "0", max: "4294967295", step: "1", placeholder: "any" });
  #fault = make("small", { id: "seed-fault", class: "fault", role: "alert", hidden: "" });
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
    this.#input.setAttribute("aria-describedby", "seed-words seed-fault");
    if (typeof kept === "number") this.#input.value = String(kept);
    this.#keep.setAttribute("data-heir", "#seed");
    this.#input.addEventListener("input", () => this.#isSeed && this.#tell());
    this.#input.addEventListener("change", () => {
      this.#tell();
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
      this.#fault,
      make("small", { id: "seed-words" }, `${words} `, this.#keep),
    );
  }

  /** Nothing where none is given, or what is given is none: see {@link check}. @returns {number | undefined} */
  get value() {
    return this.#input.value === "" || !this.#isSeed ? undefined : Number(this.#input.value);
  }

  set value(seed) {
    this.#input.value = seed === undefined ? "" : String(seed);
    this.#tell();
    this.#once = false;
    this.#keep.hidden = true;
  }

  /** Whether what stands there can be used. Where it cannot, the field says so and takes the focus. */
  check() {
    this.#tell();
    if (!this.#isSeed) this.#input.focus();
    return this.#isSeed;
  }

  get #isSeed() {
    // What the browser cannot read as a number it gives as no words at all.
    const { value, validity } = this.#input;
    const seed = Number(value);
    return !validity.badInput && Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32;
  }

  /** Says beside the field what it takes, where it holds something else. */
  #tell() {
    this.#fault.hidden = this.#isSeed;
    this.#fault.textContent = this.#isSeed ? "" : "A seed is a whole number from 0 to 4294967295. Leave it empty for a new one each time.";
    if (this.#isSeed) this.#input.removeAttribute("aria-invalid");
    else this.#input.setAttribute("aria-invalid", "true");
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

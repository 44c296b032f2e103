/** The numbers of a latent: a slider for each, and which two of them the plane shows. Says what was moved by the events "move" and "plane". */

import { element, make } from "./dom.js";
import { REACH } from "./plane.js";
import { slider } from "./slider.js";

/** What a catalogue says of an axis. @typedef {{ name: string, low?: string, high?: string }} Axis */

/** More sliders than this help nobody: what lies beyond is drawn by chance. */
const MOST = 12;

export class LatentSliders extends EventTarget {
  #across = element("across", HTMLSelectElement);
  #up = element("up", HTMLSelectElement);
  #rows = element("axes", HTMLElement);
  /** @type {HTMLInputElement[]} */
  #inputs = [];
  /** @type {Axis[]} */
  #axes = [];
  /** @type {Float32Array} */
  #latent = new Float32Array(0);
  /** While sliders are moved by the page. */
  #quiet = false;

  constructor() {
    super();
    for (const select of [this.#across, this.#up]) select.addEventListener("change", () => this.dispatchEvent(new Event("plane")));
  }

  /** Makes sliders for a model. @param {number} size @param {Axis[]} axes those that have a name @param {number[]} start the two that the plane shows first */
  begin(size, axes, [across, up] = [0, 1]) {
    this.#latent = new Float32Array(size);
    this.#axes = Array.from({ length: Math.min(size, MOST) }, (_, i) => axes[i] ?? { name: `Number ${i + 1}` });
    for (const [select, start] of /** @type {const} */ ([[this.#across, across], [this.#up, Math.min(up, size - 1)]])) {
      select.replaceChildren(...this.#axes.map(({ name }, i) => make("option", { value: String(i) }, name)));
      select.value = String(start);
    }
    const made = this.#axes.map(({ name, low = "less", high = "more" }, i) =>
      slider({ id: `axis-${i}`, name, words: `${low} … ${high}`, min: -REACH, max: REACH, step: 0.01, start: 0, show: signed }, undefined),
    );
    this.#inputs = made.map(({ input }) => input);
    this.#inputs.forEach((input, i) =>
      input.addEventListener("input", () => {
        if (this.#quiet) return;
        this.#latent[i] = Number(input.value);
        this.dispatchEvent(new CustomEvent("move", { detail: i }));
      }),
    );
    this.#rows.replaceChildren(...made.map(({ row }) => row));
  }

  /** The numbers as they are. @returns {Float32Array} */
  get latent() {
    return this.#latent.slice();
  }

  set latent(latent) {
    this.#latent.set(latent.subarray(0, this.#latent.length));
    this.#inputs.forEach((input, i) => this.#show(input, i));
  }

  /** The axes of the plane, across and up. */
  get plane() {
    return [Number(this.#across.value), Number(this.#up.value)];
  }

  /** Sets two numbers. @param {number} x @param {number} y */
  place(x, y) {
    const [across, up] = this.plane;
    for (const [i, value] of [[across, x], [up, y]]) {
      this.#latent[i] = value;
      this.#show(this.#inputs[i], i);
    }
  }

  /** The two numbers of the plane in words. */
  get words() {
    return [...new Set(this.plane)].map((i) => `${this.#axes[i]?.name} ${signed(this.#latent[i])}`).join(", ");
  }

  /** @param {HTMLInputElement} input @param {number} i */
  #show(input, i) {
    // The slider says its value in words by itself. What lies beyond its ends stays in the latent all the same.
    this.#quiet = true;
    input.value = String(this.#latent[i]);
    input.dispatchEvent(new Event("input"));
    this.#quiet = false;
  }
}

/** @param {number} value */
function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
}

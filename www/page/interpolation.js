/** The way between two places of a latent: a row of pictures on the straight line between them. Says by "chosen" which was pressed. */

import { drawn } from "./small-picture.js";
import { element, make } from "./dom.js";

const PICTURES = 9;
const WALK_MS = 2600;

export class Interpolation extends EventTarget {
  #row = element("way", HTMLElement);
  #decode;
  /** Counts the ways: only the latest is painted. */
  #count = 0;
  /** The picture of the way that was chosen last. */
  #stop = -1;
  /** @type {Float32Array} */
  from = new Float32Array(0);
  /** @type {Float32Array} */
  to = new Float32Array(0);

  /** @param {(latent: Float32Array) => Promise<ImageData>} decode */
  constructor(decode) {
    super();
    this.#decode = decode;
  }

  get ready() {
    return this.from.length > 0 && this.from.length === this.to.length;
  }

  /** Shows the way from one place to another. @param {Float32Array} from @param {Float32Array} to */
  async between(from, to) {
    const mine = ++this.#count;
    this.from = from;
    this.to = to;
    if (!this.ready) return;
    const canvases = Array.from({ length: PICTURES }, () => make("canvas"));
    const buttons = canvases.map((canvas, i) => {
      const button = make("button", { type: "button", "data-step": String(i), "aria-label": `Picture ${i + 1} of ${PICTURES} on the way` }, canvas);
      button.addEventListener("click", () => this.#choose(i));
      return button;
    });
    this.#row.replaceChildren(...buttons);
    this.#stop = -1;
    for (const [i, canvas] of canvases.entries()) {
      const picture = await this.#decode(this.#at(i / (PICTURES - 1)));
      if (mine !== this.#count) return;
      drawn(canvas, picture);
    }
  }

  /** To the next picture of the way; after the last it begins again. */
  step() {
    this.#choose((this.#stop + 1) % PICTURES);
  }

  /** @param {number} stop */
  #choose(stop) {
    this.dispatchEvent(new CustomEvent("chosen", { detail: this.#at(stop / (PICTURES - 1)) }));
    this.#stop = stop;
    this.#row.children[stop]?.setAttribute("aria-current", "step");
  }

  /** None of its pictures is shown any more. */
  leave() {
    this.#row.children[this.#stop]?.removeAttribute("aria-current");
    this.#stop = -1;
  }

  /** Places on the way, one a frame, slow at both ends. */
  async *steps() {
    const begun = performance.now();
    for (let share = 0; share < 1; ) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      share = Math.min(1, (performance.now() - begun) / WALK_MS);
      yield this.#at(share * share * (3 - 2 * share));
    }
  }

  /** @param {number} share */
  #at(share) {
    return this.from.map((value, i) => value + share * (this.to[i] - value));
  }
}

/** The picture under the glass: as it comes out of the noise, and every step of the way to look back at. */

import { element, make } from "./dom.js";

/** @import { PaintStep } from "../vitrine.js" */

export class Easel {
  #canvas = element("picture", HTMLCanvasElement);
  #empty = element("no-picture", HTMLElement);
  #film = element("film", HTMLElement);
  /** @type {ImageData | undefined} */
  #shown;
  #words = "";

  /** What is shown now. */
  get picture() {
    return this.#shown;
  }

  /** A clean canvas for what these words describe. @param {string} words */
  begin(words) {
    this.#words = words;
    this.#film.replaceChildren();
    this.#canvas.classList.add("painting");
  }

  /** @param {PaintStep} step */
  step({ step, steps, image, final }) {
    if (!image) return;
    this.#show(image, final ? this.#words : `${this.#words}, after ${step} of ${steps} steps`);
    const frame = make("button", { type: "button", "data-step": String(step), "aria-label": `Step ${step} of ${steps}`, "aria-pressed": "true" }, thumbnail(image));
    frame.addEventListener("click", () => {
      this.#show(image, `${this.#words}, after ${step} of ${steps} steps`);
      this.#mark(frame);
    });
    this.#film.append(frame);
    this.#mark(frame);
    this.#film.scrollLeft = this.#film.scrollWidth;
  }

  end() {
    this.#canvas.classList.remove("painting");
  }

  /** A picture of before, without its steps. @param {ImageData} image @param {string} words */
  hang(image, words) {
    this.#words = words;
    this.#film.replaceChildren();
    this.#show(image, words);
  }

  /** @param {ImageData} image @param {string} words */
  #show(image, words) {
    this.#shown = image;
    this.#canvas.width = image.width;
    this.#canvas.height = image.height;
    this.#canvas.getContext("2d")?.putImageData(image, 0, 0);
    this.#canvas.setAttribute("aria-label", words === "" ? "The picture" : words);
    this.#canvas.hidden = false;
    this.#empty.hidden = true;
  }

  /** @param {HTMLElement} shown */
  #mark(shown) {
    for (const frame of this.#film.children) frame.setAttribute("aria-pressed", String(frame === shown));
  }
}

/** @param {ImageData} image */
function thumbnail(image) {
  const canvas = make("canvas", { width: String(image.width), height: String(image.height), "aria-hidden": "true" });
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}

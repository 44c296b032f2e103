/** The picture under the glass: as it comes out of the noise, and every step of the way to look back at. */

import { element, make } from "./dom.js";

/** @import { PaintStep } from "../vitrine.js" */

/** Wider pictures are never enlarged, and their pixels are not meant to be seen. */
const CRISP = 256;

export class PictureView {
  #canvas = element("picture", HTMLCanvasElement);
  #frame = element("frame", HTMLElement);
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
  step({ step, steps, image, images, final }) {
    if (!image) return;
    const first = this.#still(image, `Step ${step} of ${steps}`, final ? this.#words : `${this.#words}, after ${step} of ${steps} steps`);
    // The other pictures of a batch are shown when they are finished.
    const others = final ? images.slice(1) : [];
    others.forEach((other, at) => this.#still(other, `Picture ${at + 2} of ${images.length}`, `${this.#words}, picture ${at + 2} of ${images.length}`));
    first.click();
    // While it grows, its end is in sight; then its beginning, where the noise is. What is shown stays in sight by itself.
    this.#film.scrollLeft = final ? 0 : this.#film.scrollWidth;
  }

  /** Another picture on the film. @param {ImageData} image @param {string} label @param {string} words */
  #still(image, label, words) {
    const frame = make("button", { type: "button", "aria-label": label, "aria-pressed": "false" }, thumbnail(image));
    frame.addEventListener("click", () => {
      this.#show(image, words);
      this.#mark(frame);
    });
    this.#film.append(frame);
    return frame;
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
    // How far it is enlarged: see paint.css.
    this.#frame.style.setProperty("--width", String(image.width));
    this.#frame.classList.toggle("crisp", image.width <= CRISP);
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

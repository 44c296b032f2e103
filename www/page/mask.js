/** The mask: where a picture may change. Painted over the picture with a pointer, or with the arrow keys and the space bar. */

import { element } from "./dom.js";

/** The brush, as a share of the picture's side. */
const BRUSH = 0.16;
/** How far an arrow key moves it. */
const STRIDE = BRUSH / 2;

export class Mask extends EventTarget {
  #canvas = element("mask", HTMLCanvasElement);
  #context;
  #painted = false;
  /** Where the keyboard's brush stands, in shares of the sides. */
  #at = { x: 0.5, y: 0.5 };

  constructor() {
    super();
    const context = this.#canvas.getContext("2d");
    if (!context) throw new Error("this browser draws no pictures here");
    this.#context = context;
    this.#canvas.addEventListener("pointerdown", (event) => {
      this.#canvas.setPointerCapture(event.pointerId);
      this.#follow(event);
    });
    this.#canvas.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) this.#follow(event);
    });
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  get open() {
    return !this.#canvas.hidden;
  }

  /**
   * Opens an empty mask over a picture of these sides, or one that is painted already; or closes it.
   * @param {{ width: number, height: number } | undefined} picture
   * @param {ImageData} [painted] white where the picture may change
   */
  show(picture, painted) {
    this.#canvas.hidden = picture === undefined;
    if (picture) {
      this.#canvas.width = picture.width;
      this.#canvas.height = picture.height;
      this.#at = { x: 0.5, y: 0.5 };
      this.#showBrush();
      this.#canvas.focus();
    }
    this.clear();
    if (!painted) return;
    const brushed = new ImageData(painted.data.slice(), painted.width, painted.height);
    for (let at = 0; at < brushed.data.length; at += 4) brushed.data[at + 3] = painted.data[at];
    this.#context.putImageData(brushed, 0, 0);
    this.#painted = true;
    this.dispatchEvent(new Event("change"));
  }

  /** Asks for a brush where nothing was brushed. */
  focus() {
    this.#canvas.focus();
  }

  clear() {
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#painted = false;
    this.dispatchEvent(new Event("change"));
  }

  /** White where it was painted, black elsewhere; nothing where it is closed or empty. @returns {ImageData | undefined} */
  get image() {
    if (!this.open || !this.#painted) return undefined;
    const { width, height } = this.#canvas;
    const image = this.#context.getImageData(0, 0, width, height);
    for (let at = 0; at < image.data.length; at += 4) {
      const white = image.data[at + 3] >= 128 ? 255 : 0;
      image.data.fill(white, at, at + 3);
      image.data[at + 3] = 255;
    }
    return image;
  }

  /** @param {PointerEvent} event */
  #follow(event) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    this.#dab((event.clientX - left) / width, (event.clientY - top) / height);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] }[event.key];
    if (!move) return;
    event.preventDefault();
    const inside = (/** @type {number} */ share) => Math.min(1, Math.max(0, share));
    this.#at = { x: inside(this.#at.x + move[0] * STRIDE), y: inside(this.#at.y + move[1] * STRIDE) };
    this.#showBrush();
    if (event.key === " " || event.shiftKey) this.#dab(this.#at.x, this.#at.y);
  }

  /** Where the keyboard's brush is: a ring in paint.css. */
  #showBrush() {
    this.#canvas.style.setProperty("--x", `${100 * this.#at.x}%`);
    this.#canvas.style.setProperty("--y", `${100 * this.#at.y}%`);
  }

  /** @param {number} x @param {number} y shares of the sides */
  #dab(x, y) {
    const { width, height } = this.#canvas;
    this.#context.fillStyle = "#fff";
    this.#context.beginPath();
    this.#context.arc(x * width, y * height, (BRUSH / 2) * Math.max(width, height), 0, 2 * Math.PI);
    this.#context.fill();
    this.#painted = true;
    this.dispatchEvent(new Event("change"));
  }
}

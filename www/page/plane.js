/**
 * A plane to walk in: two numbers of a latent, the pictures of its places in the background, a marker where the walker is. Follows a pointer, and
 * arrow keys (with Shift five steps at once; Home goes to the middle). Says where it was led by an event "walk".
 */

import { element } from "./dom.js";

/** Numbers go from minus this to this: of a hundred places that training drew, one lies beyond. */
export const REACH = 2.5;
const SIDE = 9;
const STEP = 0.1;

export class Plane extends EventTarget {
  #canvas = element("plane", HTMLCanvasElement);
  #marker = element("marker", HTMLElement);
  #x = 0;
  #y = 0;

  constructor() {
    super();
    const canvas = this.#canvas;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#follow(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) this.#follow(event);
    });
    canvas.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (event.ctrlKey || event.metaKey || event.altKey || (!way && event.key !== "Home")) return;
      event.preventDefault();
      const step = event.shiftKey ? 5 * STEP : STEP;
      if (way) this.#walk(this.#x + step * way[0], this.#y + step * way[1]);
      else this.#walk(0, 0);
    });
  }

  get x() {
    return this.#x;
  }

  get y() {
    return this.#y;
  }

  /** Puts the marker somewhere, without an event. @param {number} x @param {number} y */
  show(x, y) {
    this.#x = x;
    this.#y = y;
    const share = (/** @type {number} */ value) => `${(50 * (Math.max(-REACH, Math.min(REACH, value)) / REACH + 1)).toFixed(2)}%`;
    this.#marker.style.left = share(x);
    this.#marker.style.bottom = share(y);
  }

  /** The places that have a picture, from the marker outwards. @returns {{ x: number, y: number, column: number, row: number }[]} */
  places() {
    const at = (/** @type {number} */ index) => ((2 * index + 1) / SIDE - 1) * REACH;
    const all = Array.from({ length: SIDE * SIDE }, (_, i) => ({ x: at(i % SIDE), y: -at(Math.floor(i / SIDE)), column: i % SIDE, row: Math.floor(i / SIDE) }));
    const far = (/** @type {{ x: number, y: number }} */ place) => Math.hypot(place.x - this.#x, place.y - this.#y);
    return all.sort((a, b) => far(a) - far(b));
  }

  /** New pictures will come; the old ones stay until then. */
  begin() {
    this.#canvas.dataset.tiles = "0";
  }

  /** @param {{ column: number, row: number }} place @param {ImageData} picture */
  tile({ column, row }, picture) {
    const { width, height } = picture;
    const canvas = this.#canvas;
    if (canvas.width !== SIDE * width || canvas.height !== SIDE * height) {
      canvas.width = SIDE * width;
      canvas.height = SIDE * height;
    }
    canvas.getContext("2d")?.putImageData(picture, column * width, row * height);
    canvas.dataset.tiles = String(Number(canvas.dataset.tiles) + 1);
  }

  /** @param {PointerEvent} event */
  #follow({ clientX, clientY }) {
    const box = this.#canvas.getBoundingClientRect();
    this.#walk(((clientX - box.left) / box.width) * 2 * REACH - REACH, REACH - ((clientY - box.top) / box.height) * 2 * REACH);
  }

  /** @param {number} x @param {number} y */
  #walk(x, y) {
    const inside = (/** @type {number} */ value) => Math.round(Math.max(-REACH, Math.min(REACH, value)) * 100) / 100;
    this.show(inside(x), inside(y));
    this.dispatchEvent(new Event("walk"));
  }
}

/**
 * `<vitrine-latent model="faces-vae" across="0" up="5">`: a picture made of a few numbers. Dragging over it, or the arrow keys, turns two of them; the button
 * draws all by chance.
 */

import { make } from "../page/dom.js";
import { whole } from "./attributes.js";
import { show } from "./canvas.js";
import { WidgetError } from "./faults.js";
import { Widget, shared } from "./widget.js";

/** @import { Autoencoder, AutoencoderInfo } from "../vitrine.js" */

const REACH = 2.5;

/** @extends {Widget<Autoencoder>} */
export class VitrineLatent extends Widget {
  static kinds = /** @type {const} */ (["autoencoder", "generator"]);
  static verb = "Somewhere else";
  static look = "canvas { cursor: move; touch-action: none; }";
  static attributes = { ...shared("faces-vae"), across: whole(0, 65535, 0), up: whole(0, 65535, 1), label: whole(0, 65535, 0) };

  /** The picture of the numbers, once it is made. @type {ImageData | undefined} */
  picture;
  #latent = new Float32Array(0);
  /** What makes the picture, while it is made. @type {Promise<void> | undefined} */
  #drawing;
  #changed = false;

  /** The numbers; empty before the model is there. */
  get latent() {
    return this.#latent.slice();
  }

  parts() {
    const canvas = make("canvas", {
      class: "picture",
      part: "picture",
      role: "application",
      "aria-roledescription": "picture to walk in",
      "aria-label": "No picture yet",
      tabindex: "0",
      width: "64",
      height: "64",
    });
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      const scale = (2 * REACH) / canvas.getBoundingClientRect().width;
      this.#turn(event.movementX * scale, -event.movementY * scale).catch(() => {});
    });
    canvas.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.#turn(0.25 * way[0], 0.25 * way[1]).catch(() => {});
    });
    return [canvas];
  }

  /** @param {string} name */
  changed(name) {
    // The old model's numbers mean nothing to a new one.
    if (name === "model") this.#latent = new Float32Array(0);
    if (name === "label" && this.#latent.length > 0) this.show().catch(() => {});
  }

  /** @param {AutoencoderInfo} info */
  unfit({ decodes, factor, latentChannels: size, classes }) {
    if (!decodes) return "This model reads pictures but makes none; here one is needed that makes pictures of a few numbers.";
    if (factor !== 0) return "The pictures of this model are made of too many numbers to walk in; here one is needed that makes them of a few.";
    for (const name of ["across", "up"]) {
      const axis = this.value(name);
      if (axis >= size) return `This part of the page is not set up right: ${name} is “${axis}”, but this model's numbers are 0 to ${size - 1}.`;
    }
    if (this.hasAttribute("across") && this.getAttribute("across") === this.getAttribute("up")) {
      return `This part of the page is not set up right: across and up are both “${this.value("up")}”, but each turns a number of its own.`;
    }
    const label = this.value("label");
    if (classes === undefined && this.hasAttribute("label")) {
      return `This part of the page is not set up right: label is “${label}”, but this model knows no classes; leave it out.`;
    }
    if (classes !== undefined && label >= classes) {
      return `This part of the page is not set up right: label is “${label}”, but this model's classes are 0 to ${classes - 1}.`;
    }
    return undefined;
  }

  /** @param {Autoencoder} model */
  loaded({ info: { latentChannels: size } }) {
    if (this.#latent.length === 0) this.#latent = new Float32Array(size);
    this.show().catch(() => {});
  }

  get outcome() {
    return { latent: this.latent, picture: this.picture };
  }

  act() {
    return this.show(this.#latent.map(() => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())));
  }

  /** Makes the picture of these numbers; without any, of those that are there. Resolves with the picture. @param {ArrayLike<number>} [latent] */
  async show(latent) {
    if (latent) {
      const numbers = Float32Array.from(latent);
      if (!numbers.every(Number.isFinite)) throw new WidgetError("bad-argument", "The numbers of a picture are finite numbers.");
      this.#latent = numbers;
    }
    this.#changed = true;
    this.#drawing ??= this.#draw().finally(() => (this.#drawing = undefined));
    await this.#drawing;
    return this.picture;
  }

  /** Makes pictures until the numbers stand still. */
  #draw() {
    const canvas = /** @type {HTMLCanvasElement} */ (this.inner("picture"));
    return this.work(
      async (model, signal) => {
        const size = model.info.latentChannels;
        while (this.#changed) {
          this.#changed = false;
          const latent = this.latent;
          if (latent.length !== size) {
            this.#latent = new Float32Array(size);
            throw new WidgetError("bad-argument", `A picture of this model is made of ${size} numbers, not of ${latent.length}.`);
          }
          const label = model.info.classes === undefined ? undefined : this.value("label");
          const picture = await model.decode(latent, [1, size], { label, signal });
          show(canvas, picture, `The picture of ${Array.from(latent, (value) => value.toFixed(1)).join(", ")}`);
          this.picture = picture;
        }
      },
      { brief: true },
    );
  }

  /** @param {number} x @param {number} y */
  async #turn(x, y) {
    const [across, up] = [this.value("across"), this.value("up")];
    for (const [axis, by] of [[across, x], [up, y]]) {
      if (axis in this.#latent) this.#latent[axis] = Math.max(-REACH, Math.min(REACH, this.#latent[axis] + by));
    }
    await this.show();
  }
}

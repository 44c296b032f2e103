/**
 * `<vitrine-latent model="faces-vae" across="0" up="5">`: a picture made of a few numbers. Dragging over it, or the arrow keys, turns two of them; the button
 * draws all by chance.
 */

import { Widget } from "./widget.js";

/** @import { Autoencoder } from "../vitrine.js" */

const REACH = 2.5;

/** @extends {Widget<Autoencoder>} */
export class VitrineLatent extends Widget {
  static observedAttributes = ["across", "up", "model"];

  #latent = new Float32Array(0);
  #drawing = false;
  #changed = false;

  get standard() {
    return { model: "faces-vae", verb: "Somewhere else" };
  }

  get parts() {
    return `<style>canvas { display: block; width: min(100%, 20rem); margin: 0 auto; background: light-dark(#fffefa, #1a2420); cursor: move; touch-action: none; }</style>
      <canvas class="picture" role="application" aria-roledescription="picture to walk in" aria-label="No picture yet" tabindex="0" width="64" height="64"></canvas>`;
  }

  drawn() {
    const canvas = this.inner("picture");
    canvas.onpointerdown = (event) => canvas.setPointerCapture(event.pointerId);
    canvas.onpointermove = (event) => {
      if (!canvas.hasPointerCapture(event.pointerId)) return;
      const scale = (2 * REACH) / canvas.getBoundingClientRect().width;
      this.#turn(event.movementX * scale, -event.movementY * scale);
    };
    canvas.onkeydown = (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.#turn(0.25 * way[0], 0.25 * way[1]);
    };
    this.addEventListener("ready", () => this.show(), { once: true });
  }

  act() {
    return this.show(this.#latent.map(() => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())));
  }

  /** Makes the picture of these numbers; without any, of those that are there. @param {ArrayLike<number>} [latent] */
  async show(latent) {
    if (latent) this.#latent = Float32Array.from(latent);
    this.#changed = true;
    if (this.#drawing) return;
    this.#drawing = true;
    const canvas = /** @type {HTMLCanvasElement} */ (this.inner("picture"));
    await this.work(async (model, signal) => {
      const size = model.info.latentChannels;
      while (this.#changed) {
        this.#changed = false;
        if (this.#latent.length !== size) this.#latent = new Float32Array(size);
        const picture = await model.decode(this.#latent.slice(), [1, size], { signal });
        canvas.width = picture.width;
        canvas.height = picture.height;
        canvas.getContext("2d")?.putImageData(picture, 0, 0);
        canvas.setAttribute("aria-label", `The picture of ${Array.from(this.#latent, (value) => value.toFixed(1)).join(", ")}`);
      }
    }, true);
    this.#drawing = false;
  }

  /** @param {number} x @param {number} y */
  #turn(x, y) {
    const [across, up] = [this.number("across") ?? 0, this.number("up") ?? 1];
    for (const [axis, by] of [[across, x], [up, y]]) {
      if (axis in this.#latent) this.#latent[axis] = Math.max(-REACH, Math.min(REACH, this.#latent[axis] + by));
    }
    this.show();
  }
}

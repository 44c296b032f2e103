/**
 * `<vitrine-denoise prompt="a fox in the snow" steps="12" seed="7">`: a picture that comes out of noise, and every step of it to go back to.
 */

import { make } from "../page/dom.js";
import { unpainted } from "../page/world.js";
import { number, whole } from "./attributes.js";
import { show } from "./canvas.js";
import { SLIDERS } from "./look.js";
import { pace } from "./pace.js";
import { Worded, worded } from "./worded.js";

/** @import { ImageModel } from "../vitrine.js" */

/** @extends {Worded<ImageModel>} */
export class VitrineDenoise extends Worded {
  static kinds = /** @type {const} */ (["image"]);
  static verb = "Paint";
  static label = "What to paint";
  static look = `${SLIDERS} .scrub { width: min(100%, 20rem); margin: .6em auto .8em; font-size: .85em; line-height: 1.4; } .scrub label { display: flex; justify-content: space-between; }`;
  static attributes = {
    ...worded("illustrator", "a fox in the snow"),
    steps: whole(1, 100),
    guidance: number(0, 50),
    seed: whole(0, 2 ** 32 - 1),
    pace: pace(),
  };

  /** What each step came to. @type {ImageData[]} */
  pictures = [];
  #painted = "";

  parts() {
    const canvas = make("canvas", { class: "picture", part: "picture", role: "img", "aria-label": "No picture yet", width: "64", height: "64" });
    const scrub = make("input", { class: "step", id: "step", part: "step", type: "range", min: "1", max: "1", step: "1", value: "1", disabled: "" });
    scrub.addEventListener("input", () => this.#showStep(scrub.valueAsNumber));
    const label = make("label", { for: "step" }, make("span", {}, "Step"), make("output", { class: "which", for: "step" }, "none yet"));
    return [canvas, make("div", { class: "scrub", lang: "en" }, label, scrub), make("div", { class: "words", part: "text" }, this.field()), this.unread()];
  }

  get outcome() {
    return { prompt: this.words, pictures: this.pictures };
  }

  act() {
    return this.paint();
  }

  /** Paints the words. Resolves with the pictures of all steps. */
  async paint() {
    await this.work(async (model, signal) => {
      const [steps, guidance] = ["steps", "guidance"].map((name) => this.value(name));
      const [prompt, seed] = [this.words, this.begin()];
      const world = this.world();
      this.pictures = [];
      this.#painted = prompt;
      this.tellUnread([]);
      const stream = model.generate({ prompt, steps, guidance, seed, signal });
      for await (const step of stream) {
        if (!(await this.paced(signal))) return;
        if (!step.image) continue;
        this.pictures.push(step.image);
        this.#scrub.max = String(this.pictures.length);
        this.#scrub.disabled = false;
        this.#scrub.value = String(this.pictures.length);
        this.#showStep(this.pictures.length, step.steps);
      }
      if (stream.summary) this.tellUnread(unpainted(prompt, stream.summary, await world));
    });
    return this.pictures;
  }

  get #scrub() {
    return /** @type {HTMLInputElement} */ (this.inner("step"));
  }

  /** @param {number} step from 1 @param {number} [of] */
  #showStep(step, of = this.pictures.length) {
    const picture = this.pictures[step - 1];
    if (!picture) return;
    const which = `${step} of ${of}`;
    show(/** @type {HTMLCanvasElement} */ (this.inner("picture")), picture, `${this.#painted}, after step ${which}`);
    this.inner("which").textContent = which;
    this.#scrub.setAttribute("aria-valuetext", `step ${which}`);
  }
}

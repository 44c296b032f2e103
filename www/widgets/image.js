/**
 * `<vitrine-image model="illustrator" prompt="a fox in the snow" steps="12" guidance="4" seed="7">`: words, and a button that paints them.
 * Without a seed each picture is new; `start-image` is the address of a picture to begin from.
 */

import { make } from "../page/dom.js";
import { unpainted } from "../page/world.js";
import { number, source, whole } from "./attributes.js";
import { show, startImage } from "./canvas.js";
import { pace } from "./pace.js";
import { Worded, worded } from "./worded.js";

/** @import { ImageModel, ImageModelInfo } from "../vitrine.js" */

/** @extends {Worded<ImageModel>} */
export class VitrineImage extends Worded {
  static kinds = /** @type {const} */ (["image"]);
  static verb = "Paint";
  static label = "What to paint";
  static look = "canvas { margin-bottom: .8em; }";
  static attributes = {
    ...worded("illustrator", "a fox in the snow"),
    steps: whole(1, 1000),
    guidance: number(0, 50),
    seed: whole(0, 2 ** 32 - 1),
    "start-image": { ...source(""), fallback: undefined, allowed: "the address of a picture" },
    strength: number(0.01, 1),
    pace: pace(),
  };

  /** The picture, once it is finished. @type {ImageData | undefined} */
  picture;

  parts() {
    const canvas = make("canvas", { class: "picture", part: "picture", role: "img", "aria-label": "No picture yet", width: "64", height: "64" });
    return [canvas, make("div", { class: "words" }, this.field()), this.unread()];
  }

  /** @param {ImageModelInfo} info */
  unfit({ takesPictures }) {
    if (this.hasAttribute("strength") && !this.hasAttribute("start-image")) return "This part of the page is not set up right: strength says how much of a start-image may change, and there is none.";
    return this.hasAttribute("start-image") && !takesPictures ? "This model cannot begin from a picture; here one is needed that can, or no start-image." : undefined;
  }

  /** A picture is found from the page that it is named in; one that only this page holds stays here. */
  present() {
    const values = super.present();
    const from = values["start-image"] === undefined ? undefined : new URL(String(values["start-image"]), this.baseURI);
    const known = from && from.protocol !== "blob:";
    return { ...values, "start-image": known ? from.href : undefined, strength: known ? values.strength : undefined };
  }

  get outcome() {
    return { prompt: this.words, picture: this.picture };
  }

  act() {
    return this.paint();
  }

  /** Paints the words; a second call ends the first. Resolves with the picture when it is finished, with nothing where it was stopped. */
  async paint() {
    const canvas = /** @type {HTMLCanvasElement} */ (this.inner("picture"));
    this.picture = undefined;
    await this.work(async (model, signal) => {
      const prompt = this.words;
      const [steps, guidance, strength, from] = ["steps", "guidance", "strength", "start-image"].map((name) => this.value(name));
      const seed = this.begin();
      this.tellUnread([]);
      const world = this.world();
      const init = from === undefined ? undefined : await startImage(new URL(from, this.baseURI), signal);
      const stream = model.generate({ prompt, steps, guidance, seed, init, strength, signal });
      for await (const step of stream) {
        if (!(await this.paced(signal))) break;
        this.say(step.final ? "" : `Step ${step.step} of ${step.steps}`);
        if (!step.image) continue;
        show(canvas, step.image, step.final ? prompt : `${prompt}, after ${step.step} of ${step.steps} steps`);
        if (step.final) this.picture = step.image;
      }
      if (stream.summary) this.tellUnread(unpainted(prompt, stream.summary, await world));
    });
    return this.picture;
  }
}

/**
 * `<vitrine-image model="illustrator" prompt="a fox in the snow" steps="12" guidance="4" seed="7">`: words, and a button that paints them.
 * Without a seed each picture is new.
 */

import { make } from "../page/dom.js";
import { unpainted } from "../page/world.js";
import { number, whole, words } from "./attributes.js";
import { shared } from "./widget.js";
import { Worded } from "./worded.js";

/** @import { ImageModel } from "../vitrine.js" */

/** @extends {Worded<ImageModel>} */
export class VitrineImage extends Worded {
  static kinds = /** @type {const} */ (["image"]);
  static verb = "Paint";
  static label = "What to paint";
  static look = "canvas { margin-bottom: .8em; }";
  static attributes = {
    ...shared("illustrator"),
    prompt: words("a fox in the snow"),
    steps: whole(1, 1000),
    guidance: number(0, 50),
    seed: whole(0, 2 ** 32 - 1),
  };

  /** The picture, once it is finished. @type {ImageData | undefined} */
  picture;

  parts() {
    const canvas = make("canvas", { class: "picture", role: "img", "aria-label": "No picture yet", width: "64", height: "64" });
    return [canvas, make("div", { class: "words" }, this.field()), this.unread()];
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
      const [steps, guidance, seed] = ["steps", "guidance", "seed"].map((name) => this.value(name));
      this.tellUnread([]);
      const world = this.world();
      const stream = model.generate({ prompt, steps, guidance, seed, signal });
      for await (const step of stream) {
        this.say(step.final ? "" : `Step ${step.step} of ${step.steps}`);
        if (!step.image) continue;
        canvas.width = step.image.width;
        canvas.height = step.image.height;
        canvas.getContext("2d")?.putImageData(step.image, 0, 0);
        canvas.setAttribute("aria-label", step.final ? prompt : `${prompt}, after ${step.step} of ${step.steps} steps`);
        if (step.final) this.picture = step.image;
      }
      if (stream.summary) this.tellUnread(unpainted(prompt, stream.summary, await world));
    });
    return this.picture;
  }
}

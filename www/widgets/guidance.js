/**
 * `<vitrine-guidance prompt="a fox in the snow" scales="1 2 4 8" seed="7">`: one seed, painted once for each guidance scale, in a row.
 */

import { make } from "../page/dom.js";
import { unpainted } from "../page/world.js";
import { numbers, whole } from "./attributes.js";
import { show } from "./canvas.js";
import { pace } from "./pace.js";
import { Worded, worded } from "./worded.js";

/** @import { ImageModel } from "../vitrine.js" */

/** @extends {Worded<ImageModel>} */
export class VitrineGuidance extends Worded {
  static kinds = /** @type {const} */ (["image"]);
  static verb = "Paint";
  static label = "What to paint";
  static look = `
    .pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(7em, 100%), 1fr)); gap: .8em; margin: 0 0 .8em; padding: 0; list-style: none; }
    figure { margin: 0; }
    figcaption { margin-top: .3em; font-size: .85em; line-height: 1.4; text-align: center; color: var(--_soft); }`;
  static attributes = {
    ...worded("illustrator", "a fox in the snow"),
    scales: numbers(0, 50, [1, 2, 4, 8]),
    steps: whole(1, 1000),
    seed: whole(0, 2 ** 32 - 1),
    pace: pace(),
  };

  /** The finished pictures, in the order of the scales. @type {ImageData[]} */
  pictures = [];

  parts() {
    return [make("ul", { class: "pictures", part: "pictures", lang: "en" }), make("div", { class: "words", part: "text" }, this.field()), this.unread()];
  }

  /** @param {string} name */
  changed(name) {
    super.changed(name);
    if (name === "scales") this.#clear();
  }

  get outcome() {
    return { prompt: this.words, pictures: this.pictures };
  }

  act() {
    return this.paint();
  }

  /** Paints them one after another. Resolves with the pictures. */
  async paint() {
    await this.work(async (model, signal) => {
      const [scales, steps] = ["scales", "steps"].map((name) => this.value(name));
      const [prompt, seed] = [this.words, this.begin()];
      const world = this.world();
      const canvases = this.#clear();
      this.tellUnread([]);
      for (const [at, guidance] of scales.entries()) {
        const stream = model.generate({ prompt, steps, guidance, seed, signal });
        for await (const step of stream) {
          if (!(await this.paced(signal))) return;
          this.say(step.final ? "" : `Picture ${at + 1} of ${scales.length}, step ${step.step} of ${step.steps}`);
          if (step.image) show(canvases[at], step.image, `${prompt}, at guidance ${guidance}${step.final ? "" : `, after ${step.step} of ${step.steps} steps`}`);
          if (step.final && step.image) this.pictures = [...this.pictures, step.image];
        }
        if (at === 0 && stream.summary) this.tellUnread(unpainted(prompt, stream.summary, await world));
      }
    });
    return this.pictures;
  }

  #clear() {
    this.pictures = [];
    /** @type {number[]} */
    const scales = this.setting("scales");
    const canvases = scales.map(() => make("canvas", { part: "picture", role: "img", "aria-label": "No picture yet", width: "64", height: "64" }));
    const items = canvases.map((canvas, at) => make("li", {}, make("figure", {}, canvas, make("figcaption", {}, `guidance ${scales[at]}${scales[at] <= 1 ? " (none)" : ""}`))));
    this.inner("pictures").replaceChildren(...items);
    return canvases;
  }
}

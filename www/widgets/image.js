/**
 * `<vitrine-image model="illustrator" prompt="a fox in the snow" steps="12" guidance="4" seed="7">`: words, and a button that paints them.
 * Without a seed each picture is new.
 */

import { Widget } from "./widget.js";

/** @import { ImageModel } from "../vitrine.js" */

/** @extends {Widget<ImageModel>} */
export class VitrineImage extends Widget {
  static observedAttributes = ["prompt", "model"];

  get standard() {
    return { model: "illustrator", verb: "Paint" };
  }

  get parts() {
    return `<style>canvas { display: block; width: min(100%, 20rem); margin: 0 auto .8em; background: light-dark(#fffefa, #1a2420); }</style>
      <canvas class="picture" role="img" width="64" height="64"></canvas>
      <div class="words"><span class="own" contenteditable="plaintext-only" role="textbox" aria-label="What to paint" spellcheck="false"></span></div>`;
  }

  drawn() {
    this.inner("own").textContent = this.getAttribute("prompt") ?? "a fox in the snow";
    this.inner("picture").setAttribute("aria-label", "No picture yet");
  }

  act() {
    return this.paint();
  }

  /** Paints the words; a second call ends the first. Resolves with the picture when it is finished. */
  async paint() {
    const canvas = /** @type {HTMLCanvasElement} */ (this.inner("picture"));
    /** @type {ImageData | undefined} */
    let picture;
    await this.work(async (model, signal) => {
      const prompt = this.inner("own").textContent ?? "";
      const [steps, guidance, seed] = ["steps", "guidance", "seed"].map((name) => this.number(name));
      for await (const step of model.generate({ prompt, steps, guidance, seed, signal })) {
        this.say(step.final ? "" : `Step ${step.step} of ${step.steps}`);
        if (!step.image) continue;
        canvas.width = step.image.width;
        canvas.height = step.image.height;
        canvas.getContext("2d")?.putImageData(step.image, 0, 0);
        canvas.setAttribute("aria-label", step.final ? prompt : `${prompt}, after ${step.step} of ${step.steps} steps`);
        if (step.final) picture = step.image;
      }
    });
    return picture;
  }
}

/**
 * `<vitrine-text model="storyteller" prompt="One winter day, a fox" max-tokens="60" temperature="0.8">`: a beginning, and a button that lets the
 * model go on.
 */

import { Widget } from "./widget.js";

/** @import { TextModel } from "../vitrine.js" */

/** @extends {Widget<TextModel>} */
export class VitrineText extends Widget {
  static observedAttributes = ["prompt", "model"];

  get standard() {
    return { model: "storyteller", verb: "Write" };
  }

  get parts() {
    return `<div class="text"><span class="own" contenteditable="plaintext-only" role="textbox" aria-label="The beginning" spellcheck="false"></span><span class="story" role="log" aria-live="off"></span></div>`;
  }

  drawn() {
    this.inner("own").textContent = this.getAttribute("prompt") ?? "One winter day, a fox";
  }

  act() {
    return this.write();
  }

  /** Writes on from the prompt; a second call ends the first. Resolves with the text when the model is done. */
  async write() {
    const story = this.inner("story");
    await this.work(async (model, signal) => {
      story.textContent = "";
      const options = { maxTokens: this.number("max-tokens") ?? 120, temperature: this.number("temperature") ?? 0.8, signal };
      for await (const { text } of model.generate(this.inner("own").textContent ?? "", options)) story.append(text);
    });
    return story.textContent ?? "";
  }
}

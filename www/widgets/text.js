/**
 * `<vitrine-text model="storyteller" prompt="One winter day, a fox" max-tokens="60" temperature="0.8" seed="7">`: a beginning, and a button that
 * lets the model go on. Without a seed each story is new.
 */

import { make } from "../page/dom.js";
import { outside } from "../page/world.js";
import { number, whole, words } from "./attributes.js";
import { shared } from "./widget.js";
import { Worded } from "./worded.js";

/** @import { TextModel } from "../vitrine.js" */

/** @extends {Worded<TextModel>} */
export class VitrineText extends Worded {
  static kinds = /** @type {const} */ (["text"]);
  static verb = "Write";
  static label = "The beginning";
  static look = ".text { white-space: pre-wrap; overflow-wrap: anywhere; min-height: 3em; }";
  static attributes = {
    ...shared("storyteller"),
    prompt: words("One winter day, a fox"),
    "max-tokens": whole(1, 1_000_000, 120),
    temperature: number(0, 10, 0.8),
    seed: whole(0, 2 ** 32 - 1),
  };

  parts() {
    return [make("div", { class: "text" }, this.field(), make("span", { class: "story", role: "log", "aria-label": "The story" })), this.unread()];
  }

  /** @param {string} name */
  changed(name) {
    super.changed(name);
    if (name !== "prompt") return;
    // What was written went on from other words.
    this.stop();
    this.inner("story").textContent = "";
  }

  /** What the model has written. */
  get text() {
    return this.inner("story").textContent ?? "";
  }

  get outcome() {
    return { prompt: this.words, text: this.text };
  }

  act() {
    return this.write();
  }

  /** Writes on from the words; a second call ends the first. Resolves with the text when the model is done. */
  async write() {
    const story = this.inner("story");
    await this.work(async (model, signal) => {
      const [maxTokens, temperature, seed] = ["max-tokens", "temperature", "seed"].map((name) => this.value(name));
      const { words } = this;
      story.textContent = "";
      this.tellUnread([]);
      story.setAttribute("aria-busy", "true");
      try {
        const world = this.world();
        for await (const { text } of model.generate(words, { maxTokens, temperature, seed, signal })) story.append(text);
        const small = await world;
        // A beginning stands there as the reader wrote it: nothing in it is asked for.
        if (small && !signal.aborted) this.tellUnread(outside(words, { ...small, adjectives: new Map() }));
      } finally {
        story.removeAttribute("aria-busy");
      }
    });
    return this.text;
  }
}

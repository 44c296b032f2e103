/**
 * `<vitrine-text model="storyteller" prompt="One winter day, a fox" max-tokens="60" temperature="0.8" seed="7">`: a beginning, and a button that
 * lets the model go on. Without a seed each story is new. At a slow pace it shows what each token was drawn from.
 */

import { make } from "../page/dom.js";
import { outside } from "../page/world.js";
import { number, whole } from "./attributes.js";
import { candidateTable } from "./candidates.js";
import { TABLE } from "./look.js";
import { pace } from "./pace.js";
import { Worded, worded } from "./worded.js";

/** @import { TextModel } from "../vitrine.js" */

/** @extends {Worded<TextModel>} */
export class VitrineText extends Worded {
  static kinds = /** @type {const} */ (["text"]);
  static verb = "Write";
  static label = "The beginning";
  static look = ".text { white-space: pre-wrap; overflow-wrap: anywhere; min-height: 3em; }" + TABLE;
  static attributes = {
    ...worded("storyteller", "One winter day, a fox"),
    "max-tokens": whole(1, 1_000_000, 120),
    temperature: number(0, 10, 0.8),
    seed: whole(0, 2 ** 32 - 1),
    pace: pace(),
  };

  parts() {
    const story = make("span", { class: "story", part: "story", dir: "auto", role: "log", "aria-label": "The story" });
    return [make("div", { class: "text", part: "text" }, this.field(), story), make("div", { class: "drawn", lang: "en" }), this.unread()];
  }

  /** @param {string} name */
  changed(name) {
    super.changed(name);
    if (name !== "prompt") return;
    // What was written went on from other words.
    this.stop();
    this.inner("story").textContent = "";
    this.inner("drawn").replaceChildren();
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
      const [maxTokens, temperature, pace] = ["max-tokens", "temperature", "pace"].map((name) => this.value(name));
      const seed = this.begin();
      const { words } = this;
      const watched = pace === "fast" ? {} : { alternatives: 6, trace: true };
      const drawn = this.inner("drawn");
      drawn.replaceChildren();
      story.textContent = "";
      this.tellUnread([]);
      story.setAttribute("aria-busy", "true");
      try {
        const world = this.world();
        for await (const { text, token, trace } of model.generate(words, { maxTokens, temperature, seed, signal, ...watched })) {
          if (trace) drawn.replaceChildren(candidateTable(trace, { taken: token, caption: "What this token was drawn from" }));
          if (!(await this.paced(signal))) break;
          story.append(text);
        }
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

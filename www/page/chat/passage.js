/** A model's words as they grow, and the thoughts before them folded away. */

import { make } from "../dom.js";
import { thoughtsAndWords } from "./conversation.js";
import { Prose } from "./prose.js";

export class Passage {
  #words = make("div", { class: "words" });
  #thoughts = make("div", { class: "thoughts-text" });
  #summary = make("summary");
  #fold = make("details", { class: "thoughts", hidden: "" }, this.#summary, this.#thoughts);
  /** @type {Prose | undefined} */
  #prose;
  /** What of the words is shown. */
  #shown = "";
  /** The whole text as it was shown when it was finished. @type {string | undefined} */
  #finished;

  /** What a message shows of it, in this order. */
  get elements() {
    return [this.#fold, this.#words];
  }

  get words() {
    return this.#words;
  }

  /** Shows what came since. @param {string} text the whole of it @param {boolean} more whether more will come */
  grow(text, more) {
    if (!more && this.#finished === text) return;
    const { thoughts, words, thinking } = thoughtsAndWords(text);
    // What may become the mark of thoughts waits.
    if (more && words.trim() !== "" && "<think>".startsWith(words.trim())) return;
    this.#fold.hidden = thoughts === "";
    this.#summary.textContent = thinking && more ? "Thinking…" : "What it thought before";
    if (this.#thoughts.textContent !== thoughts) this.#thoughts.textContent = thoughts;
    // What is shown stays; only where it is another text by now it is made anew.
    if (!this.#prose || !words.startsWith(this.#shown)) {
      this.#prose?.end();
      this.#words.replaceChildren();
      this.#prose = new Prose(this.#words);
      this.#shown = "";
    }
    this.#prose.write(words.slice(this.#shown.length));
    this.#shown = words;
    this.#finished = more ? undefined : text;
    if (more) return;
    this.#prose.end();
    // Gone on with, it is read anew: what ended it is perhaps no end.
    this.#prose = undefined;
  }
}

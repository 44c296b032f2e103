/** The line that says which of a reader's words lie outside the model's world, with the words that it knows a click away. */

import { element, make } from "./dom.js";

export class Unread {
  #line = element("unread", HTMLElement);
  #vocabulary = element("vocabulary", HTMLDetailsElement);

  /** @param {string[]} sentences none hide the line */
  tell(sentences) {
    this.#line.hidden = sentences.length === 0;
    this.#line.replaceChildren(sentences.join(" "));
    if (sentences.length === 0 || this.#vocabulary.hidden) return;
    const show = make("button", { type: "button", class: "plain" }, "See the words it knows");
    show.addEventListener("click", () => {
      this.#vocabulary.open = true;
      this.#vocabulary.querySelector("summary")?.focus();
      this.#vocabulary.scrollIntoView({ block: "nearest" });
    });
    this.#line.append(" ", show);
  }
}

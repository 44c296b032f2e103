/** The answers to one question side by side, each with what it took; one of them is shown in the conversation. */

import { element, make } from "../dom.js";
import { thoughtsAndWords } from "./conversation.js";
import { figuresInWords } from "./message.js";
import { Prose } from "./prose.js";

/** @import { Message } from "./conversation.js" */

export class Comparison {
  #dialog = element("comparison", HTMLDialogElement);
  #answers = element("answers", HTMLElement);

  constructor() {
    element("comparison-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
  }

  /**
   * @param {Message[]} answers
   * @param {Message} shown that which the conversation shows
   * @param {(answer: Message) => void} take
   */
  open(answers, shown, take) {
    this.#answers.replaceChildren(...answers.map((answer, at) => this.#column(answer, `${at + 1} of ${answers.length}`, answer === shown, take)));
    this.#dialog.showModal();
  }

  /** @param {Message} answer @param {string} place @param {boolean} here @param {(answer: Message) => void} take */
  #column(answer, place, here, take) {
    const words = make("div", { class: "words" });
    const prose = new Prose(words);
    prose.write(thoughtsAndWords(answer.text).words);
    prose.end();
    const button = make("button", { type: "button" }, here ? "Shown" : "Show this one");
    button.disabled = here;
    if (!here) button.setAttribute("aria-label", `Show this one, ${place}`);
    button.addEventListener("click", () => {
      this.#dialog.close();
      take(answer);
    });
    const head = make("h3", { class: "who" }, `${place} · ${answer.model ?? "The model"}`);
    return make("article", { class: "answer", tabindex: "0", "aria-label": `Answer ${place}` }, head, words, make("p", { class: "figures" }, figuresInWords(answer)), button);
  }
}

/** The answers to one question side by side, each with what it took; one of them is shown in the conversation. */

import { element, make } from "../dom.js";
import { figuresInWords } from "./message.js";
import { Passage } from "./passage.js";
import { StepView } from "./step.js";

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
    const steps = (answer.steps ?? []).map((step) => {
      const view = new StepView();
      view.show(step, false);
      return view.element;
    });
    const passage = new Passage();
    passage.grow(answer.text, false);
    const button = make("button", { type: "button" }, here ? "Shown" : "Show this one");
    button.disabled = here;
    if (!here) button.setAttribute("aria-label", `Show this one, ${place}`);
    button.addEventListener("click", () => {
      this.#dialog.close();
      take(answer);
    });
    const head = make("h3", { class: "who" }, `${place} · ${answer.model ?? "The model"}`);
    return make("article", { class: "answer", tabindex: "0", "aria-label": `Answer ${place}` }, head, ...steps, ...passage.elements, make("p", { class: "figures" }, figuresInWords(answer)), button);
  }
}

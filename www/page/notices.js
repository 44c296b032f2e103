/** What went wrong, told kindly, with the next step. */

import { VitrineError } from "../vitrine.js";
import { element } from "./dom.js";

/** @type {Record<string, string>} */
const TITLES = {
  "unsupported-model": "This model is of a kind that Vitrine does not run yet",
  "corrupt-file": "The file is damaged",
  "out-of-memory": "There is not enough memory",
  "device-lost": "The graphics processor went away",
  "device-faulty": "The graphics processor computes wrong numbers",
  network: "The address could not be read",
  "bad-argument": "That does not work",
  "context-overflow": "The story has outgrown what the model can look back on",
  storage: "The browser's storage could not be used",
  "invalid-graph": "This model does not fit together",
};

export class Notices {
  #box = element("error", HTMLElement);
  #action = element("error-action", HTMLButtonElement);
  /** @type {(() => void) | undefined} */
  #act;

  constructor() {
    element("error-close", HTMLButtonElement).addEventListener("click", () => this.close());
    this.#action.addEventListener("click", () => {
      const act = this.#act;
      this.close();
      act?.();
    });
  }

  /**
   * @param {unknown} error
   * @param {{ label: string, act: () => void }} [next] a button with the next step
   */
  show(error, next) {
    const { code, message } =
      error instanceof VitrineError ? error : { code: "internal", message: error instanceof Error ? error.message : String(error) };
    // Whoever aborts knows about it.
    if (code === "aborted") return;
    this.#box.dataset.code = code;
    this.tell(TITLES[code] ?? "Something broke inside Vitrine", sentence(message), next);
  }

  /**
   * Something worth knowing that is no error, or the words of one.
   * @param {string} title
   * @param {string} text
   * @param {{ label: string, act: () => void }} [next]
   */
  tell(title, text, next) {
    this.#part("error-title").textContent = title;
    this.#part("error-text").textContent = text;
    this.#act = next?.act;
    this.#action.textContent = next?.label ?? "";
    this.#action.hidden = !next;
    this.#box.hidden = false;
  }

  close() {
    this.#box.hidden = true;
    delete this.#box.dataset.code;
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.#box.querySelector(`.${name}`));
  }
}

/** With a capital and a full stop, as a reader expects. @param {string} message */
function sentence(message) {
  const text = message.trim();
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?…)]$/.test(text) ? "" : ".");
}

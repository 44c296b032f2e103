/** What went wrong, told kindly, with the next step; for whoever helps, the exact words behind a button. */

import { causeOf } from "../causes.js";
import { VitrineError } from "../vitrine.js";
import { element } from "./dom.js";
import { copyAtClick } from "./take-out.js";

/** @type {Record<string, string>} */
const TITLES = {
  "unsupported-model": "This model is of a kind that Vitrine does not run yet",
  "corrupt-file": "The file is damaged",
  "out-of-memory": "There is not enough memory",
  "device-lost": "The graphics processor went away",
  "device-faulty": "The graphics processor does not do what it should",
  network: "The model could not be fetched",
  "bad-argument": "That does not work",
  "context-overflow": "The story has outgrown what the model can look back on",
  storage: "The browser's storage could not be used",
  "invalid-graph": "This model does not fit together",
};

/** What each cause means to a reader. @type {Record<import("../causes.js").Cause, string>} */
const ANSWERS = {
  absent: "There is nothing at that address. Look whether it is spelled right: a file of the hub reads hf://owner/repo/model.gguf.",
  private: "That address is not open to everybody. Log in there, download the file, and open it here.",
  busy: "That server is busy or broken at the moment. Try again in a few minutes.",
  repository: "The hub shows no repository of this name to everybody. Look whether it is spelled right: hf://owner/repo.",
  page: "There is a web page at that address, and no model. Give the address of the file itself.",
  closed: "That server does not let other pages read its files. Download the file and open it here.",
  policy: "The rules that this page came with (its Content-Security-Policy) forbid it. Whoever put the page here can allow it: the details say what.",
  old: "What computes here did not start. It needs WebAssembly with SIMD, which browsers have had for years: try a newer one.",
  silent: "Nothing answered. The connection may be down, or that server does not let other pages read its files: then download the file and open it here.",
};

/** Whose exact words help more than the sentence alone. */
const DETAILED = ["network", "internal", "storage", "device-lost", "device-faulty", "corrupt-file", "unsupported-model", "invalid-graph"];

export class Notices {
  #box = element("error", HTMLElement);
  #action = element("error-action", HTMLButtonElement);
  #details = element("error-details", HTMLDetailsElement);
  /** @type {(() => void) | undefined} */
  #act;
  /** What had the focus before the notice. @type {Element | null} */
  #before = null;

  constructor() {
    element("error-close", HTMLButtonElement).addEventListener("click", () => this.close());
    this.#action.addEventListener("click", () => {
      const act = this.#act;
      this.close();
      act?.();
    });
    const details = () => this.#part("error-technical").innerText;
    copyAtClick(element("error-copy", HTMLButtonElement), details, "Not copied: select them by hand");
    this.#box.addEventListener("focusin", ({ relatedTarget }) => {
      if (relatedTarget instanceof Element && !this.#box.contains(relatedTarget)) this.#before = relatedTarget;
    });
    this.#box.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.close();
    });
  }

  /**
   * @param {unknown} error
   * @param {{ label: string, act: () => void }} [next] a button with the next step
   * @param {string} [address] what was asked for
   */
  show(error, next, address = "") {
    const { code, message } =
      error instanceof VitrineError ? error : { code: "internal", message: error instanceof Error ? error.message : String(error) };
    // Whoever aborts knows about it.
    if (code === "aborted") return;
    const [, unknown] = /^There is no model called "(.+)" here/.exec(message) ?? [];
    const kind = unknown
      ? `There is no model called “${unknown}” here. Choose one of those that come with the page, open a file, or give an address: https://… or hf://owner/repo/model.gguf.`
      : sentence(message);
    this.tell(TITLES[code] ?? "Something broke inside Vitrine", code === "network" ? plainly(message) : kind, next);
    this.#box.dataset.code = code;
    if (!DETAILED.includes(code) && !unknown) return;
    this.#details.hidden = false;
    const lines = [code, message, address && !message.includes(address) ? address : "", `at ${location.href}`, navigator.userAgent];
    this.#part("error-technical").replaceChildren(lines.filter(Boolean).join("\n"));
  }

  /**
   * Something worth knowing that is no error, or the words of one.
   * @param {string} title
   * @param {string} text
   * @param {{ label: string, act: () => void }} [next]
   */
  tell(title, text, next) {
    delete this.#box.dataset.code;
    this.#part("error-title").textContent = title;
    this.#part("error-text").textContent = text;
    this.#act = next?.act;
    this.#action.textContent = next?.label ?? "";
    this.#action.hidden = !next;
    this.#details.hidden = true;
    this.#details.open = false;
    this.#box.hidden = false;
  }

  /** The focus goes back to where it was. */
  close() {
    const inside = this.#box.contains(document.activeElement);
    this.#box.hidden = true;
    delete this.#box.dataset.code;
    if (inside && this.#before instanceof HTMLElement && this.#before.checkVisibility()) this.#before.focus({ preventScroll: true });
    this.#before = null;
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.#box.querySelector(`.${name}`));
  }
}

/** What a failed request means to a reader. @param {string} message */
function plainly(message) {
  if (!navigator.onLine) return "This browser is not connected to the network. The models that were opened here before, and files of your own, need none.";
  const cause = causeOf(message);
  if (cause) return ANSWERS[cause];
  return message.includes("://") ? "It could not be fetched. Look at the address and the connection, or open a file of your own." : sentence(message);
}

/** With a capital and a full stop, as a reader expects; an address, a file or an option that it begins with stays as it is written. @param {string} message */
export function sentence(message) {
  const text = message.trim();
  const isName = /^\S+[.:/_]\S|^\S*[a-z][A-Z]/.test(text);
  return (isName ? text : text.charAt(0).toUpperCase() + text.slice(1)) + (/[.!?…)]$/.test(text) ? "" : ".");
}

/** Where the reader writes: the field, the files that go along, how much of the context is taken, and the two buttons. What stands there outlasts a reload. */

import { element } from "../dom.js";
import { keepInTab, keptInTab } from "../stored-settings.js";

/** @import { Attachments } from "./attachments.js" */

const DRAFT = "vitrine.chat.draft";

/** Events: `send`, `stop`, `change`, `files` with what was chosen or pasted, and `before` where the reader wants the message before this one. */
export class Composer extends EventTarget {
  #prompt = element("prompt", HTMLTextAreaElement);
  #send = element("send", HTMLButtonElement);
  #stop = element("stop", HTMLButtonElement);
  #count = element("count", HTMLOutputElement);
  #attachments;

  /** @param {Attachments} attachments */
  constructor(attachments) {
    super();
    this.#attachments = attachments;
    const form = element("composer", HTMLFormElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#tell("send");
    });
    this.#stop.addEventListener("click", () => this.#tell("stop"));
    this.#prompt.addEventListener("input", () => this.#changed());
    this.#prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.altKey && !event.isComposing) {
        event.preventDefault();
        if (!event.repeat) this.#tell("send");
      } else if (event.key === "ArrowUp" && this.#prompt.value === "") {
        event.preventDefault();
        this.#tell("before");
      }
    });
    this.#prompt.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0) return;
      event.preventDefault();
      this.dispatchEvent(new CustomEvent("files", { detail: files }));
    });
    const input = element("attach", HTMLInputElement);
    input.addEventListener("change", () => {
      this.dispatchEvent(new CustomEvent("files", { detail: [...(input.files ?? [])] }));
      input.value = "";
    });
    attachments.addEventListener("change", () => this.#changed());
    const { text = "", files = [] } = /** @type {{ text?: string, files?: [] }} */ (keptInTab(DRAFT) ?? {});
    this.#prompt.value = text;
    if (files.length > 0) attachments.files = files;
  }

  get draft() {
    return { text: this.#prompt.value.trim(), files: this.#attachments.files };
  }

  set text(/** @type {string} */ text) {
    this.#prompt.value = text;
    this.#changed();
    this.focus();
  }

  clear() {
    this.#prompt.value = "";
    // It says itself that it has changed.
    this.#attachments.clear();
  }

  focus() {
    this.#prompt.focus({ preventScroll: true });
  }

  /** @param {{ busy: boolean, ready: boolean, story: boolean }} now `story`: whether what is written becomes a part of one text */
  show({ busy, ready, story }) {
    this.#send.hidden = busy;
    this.#stop.hidden = !busy;
    this.#send.disabled = !ready;
    this.#prompt.placeholder = story ? "Begin a text, or write on…" : "Write a message…";
  }

  /** Tells what the model would be given. @param {number | undefined} tokens @param {number | undefined} context */
  count(tokens, context) {
    const over = tokens !== undefined && context !== undefined && tokens >= context ? tokens - context + 1 : 0;
    this.#count.classList.toggle("over", over > 0);
    if (tokens === undefined || tokens === 0) this.#count.value = "";
    else if (context === undefined) this.#count.value = `${tokens.toLocaleString("en")} tokens`;
    else this.#count.value = `${tokens.toLocaleString("en")} of ${context.toLocaleString("en")} tokens${over > 0 ? `: ${over.toLocaleString("en")} too many` : ""}`;
  }

  #changed() {
    // For browsers that do not fit a field to its text themselves.
    this.#prompt.rows = Math.min(8, this.#prompt.value.split("\n").length);
    keepInTab(DRAFT, { text: this.#prompt.value, files: this.#attachments.files });
    this.#tell("change");
  }

  /** @param {string} what */
  #tell(what) {
    this.dispatchEvent(new Event(what));
  }
}

/** One message as it is shown: its words, its thoughts folded away, its files, what can be done with it, and what it took. */

import { bytesInWords, make } from "../dom.js";
import { copyAtClick } from "../take-out.js";
import { Passage } from "./passage.js";
import { StepView } from "./step.js";
import { saidIn } from "./steps.js";

/** @import { Message } from "./conversation.js" */
/** What can be asked of a message: `step` shows the sibling so many places further. @typedef {{ edit(text: string): void, again(): void, goOn(): void, makeRoom(): void, step(by: number): void, compare(): void }} Acts */
/** Where it stands among its siblings, from 1; and whether nothing is shown behind it. @typedef {{ at: number, of: number, last: boolean }} Place */

/** Why an answer stands there unfinished. @type {Partial<Record<NonNullable<Message["finish"]>, string>>} */
const CUT = {
  length: "It paused at the length that is set.",
  context: "The model's context is full: it looks back no further.",
  aborted: "Stopped.",
};

export class MessageView {
  #message;
  #acts;
  /** What stands before the answer itself. @type {StepView[]} */
  #steps = [];
  #before = make("div", { class: "steps" });
  #passage = new Passage();
  #words = this.#passage.words;
  #cut = make("p", { class: "cut", hidden: "" });
  #goOn = make("button", { type: "button", class: "plain", "data-act": "go-on" });
  #figures = make("p", { class: "figures" });
  #buttons = make("div", { class: "acts", role: "group" });
  #places = make("div", { class: "places", role: "group", hidden: "" });
  /** What it looked like when it was drawn last. */
  #drawn = "";
  element;

  /** @param {Message} message @param {Acts} acts @param {boolean} story whether it is a piece of one text, rather than a message to somebody */
  constructor(message, acts, story) {
    this.#message = message;
    this.#acts = acts;
    const { id, role } = message;
    const who = role === "user" ? "You" : (message.model ?? "The model");
    this.#goOn.addEventListener("click", () => (this.#message.finish === "context" ? acts.makeRoom() : acts.goOn()));
    const foot = make("div", { class: "message-foot" }, this.#places, this.#buttons, this.#figures);
    this.element = make(
      "article",
      { class: "message", "data-id": id, "data-role": role, tabindex: "-1", "data-heir": "#prompt" },
      make("h3", { class: story && role === "user" ? "unseen" : "who" }, who),
      ...(message.files ?? []).map(fileOf),
      this.#before,
      ...this.#passage.elements,
      this.#cut,
      foot,
    );
    this.#fill(who);
  }

  /** @param {string} who */
  #fill(who) {
    this.#buttons.setAttribute("aria-label", `What to do with this message of ${who}`);
    const copy = make("button", { type: "button", class: "plain" }, "Copy");
    copyAtClick(copy, () => (this.#message.role === "user" ? this.#message.text : saidIn(this.#message)), "Not copied");
    const { role } = this.#message;
    const other = make("button", { type: "button", class: "plain", "data-act": role === "user" ? "edit" : "again" }, role === "user" ? "Edit" : "Again");
    other.addEventListener("click", () => (role === "user" ? this.edit() : this.#acts.again()));
    if (role === "assistant") other.title = "Answer anew; this answer stays beside the new one";
    this.#buttons.append(copy, other);
  }

  get message() {
    return this.#message;
  }

  /**
   * Shows it as it is now.
   * @param {Message} message
   * @param {Place} place
   * @param {boolean} writing whether it is being written here
   * @param {boolean} free whether anything can be done with it
   */
  show(message, place, writing, free) {
    this.#message = message;
    const state = JSON.stringify([message.text.length, message.steps?.length, message.changed, place, writing, free]);
    if (state === this.#drawn) return;
    this.#drawn = state;
    this.element.classList.toggle("writing", writing);
    this.#showPlace(place, free);
    for (const button of this.#buttons.querySelectorAll("button")) if (button.dataset.act) button.disabled = !free;
    if (message.role === "user") {
      this.#words.textContent = message.text;
      this.#words.hidden = message.text === "";
      this.#showCut(place.last && free ? "Not answered yet." : undefined, "Answer it", free);
      return;
    }
    this.grow(writing);
    const next = message.finish === "context" ? "Leave out the earliest and go on" : "Go on";
    this.#showCut(writing ? undefined : [message.fault, CUT[message.finish ?? "aborted"]].filter(Boolean).join(" ") || undefined, next, free);
    this.#figures.textContent = writing ? "" : figuresInWords(message);
  }

  /** Why nothing more stands there, and the way on. @param {string | undefined} why @param {string} next @param {boolean} free */
  #showCut(why, next, free) {
    this.#cut.hidden = why === undefined;
    this.#goOn.textContent = next;
    this.#goOn.disabled = !free;
    this.#cut.replaceChildren(...(why === undefined ? [] : [why, " ", this.#goOn]));
  }

  /** Shows what came since. @param {boolean} more whether more will come */
  grow(more) {
    const { steps = [], text } = this.#message;
    steps.forEach((step, at) => {
      this.#steps[at] ??= new StepView();
      this.#steps[at].show(step, more && at === steps.length - 1);
    });
    if (this.#before.childElementCount < steps.length) this.#before.append(...this.#steps.slice(this.#before.childElementCount).map(({ element }) => element));
    this.#passage.grow(text, more);
  }

  /** The words as they are read aloud. */
  get spoken() {
    return [...this.#steps.map(({ spoken }) => spoken), this.#words.innerText].join("\n");
  }

  /** Opens the reader's own message for editing; what comes of it is another branch. @param {string} [text] what stands in the field */
  edit(text = this.#message.text) {
    const field = make("textarea", { class: "edit-field", rows: "2", "aria-label": "Your message, to be sent once more. Escape leaves it as it was." });
    const send = make("button", { type: "submit", class: "primary" }, "Send");
    const cancel = make("button", { type: "button", class: "plain" }, "Leave it");
    const form = make("form", { class: "edit" }, field, make("div", { class: "acts" }, send, cancel));
    const foot = /** @type {HTMLElement} */ (this.element.querySelector(".message-foot"));
    const close = () => {
      form.replaceWith(this.#words);
      foot.hidden = false;
      this.#buttons.querySelector("button")?.focus({ preventScroll: true });
    };
    field.value = text;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const edited = field.value.trim();
      if (edited === "" && !this.#message.files?.length) return field.focus();
      close();
      this.#acts.edit(edited);
    });
    cancel.addEventListener("click", close);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        close();
      } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    this.#words.replaceWith(form);
    foot.hidden = true;
    field.focus();
  }

  /** @param {boolean} free */
  #comparing(free) {
    const button = make("button", { type: "button", class: "plain", "data-act": "compare" }, "Side by side");
    button.disabled = !free;
    button.addEventListener("click", () => this.#acts.compare());
    return button;
  }

  /** @param {Place} place @param {boolean} free */
  #showPlace({ at, of }, free) {
    this.#places.hidden = of < 2;
    if (of < 2) return;
    const had = this.#places.contains(document.activeElement) ? document.activeElement?.getAttribute("data-step") : undefined;
    const arrow = (/** @type {number} */ by, /** @type {string} */ sign, /** @type {string} */ label) => {
      const button = make("button", { type: "button", class: "plain", "data-step": String(by), "aria-label": label }, sign);
      button.disabled = !free || at + by < 1 || at + by > of;
      button.addEventListener("click", () => this.#acts.step(by));
      return button;
    };
    const kind = this.#message.role === "user" ? "version" : "answer";
    this.#places.setAttribute("aria-label", `Other ${kind}s`);
    this.#places.replaceChildren(arrow(-1, "‹", `The ${kind} before`), make("span", { class: "place" }, `${at} of ${of}`), arrow(1, "›", `The next ${kind}`));
    if (kind === "answer") this.#places.append(this.#comparing(free));
    /** @type {HTMLElement | null} */
    const again = this.#places.querySelector(`[data-step="${had}"]:not(:disabled), [data-step]:not(:disabled)`);
    if (had) again?.focus({ preventScroll: true });
  }
}

/** @param {import("./conversation.js").Attachment} file */
function fileOf({ name, text }) {
  const size = bytesInWords(new Blob([text]).size);
  return make("details", { class: "file-told" }, make("summary", {}, `${name}, ${size}`), make("pre", { tabindex: "0", "aria-label": name }, text));
}

/** @param {Message} message */
export function figuresInWords({ figures }) {
  if (!figures) return "";
  const { generatedTokens, tokensPerSecond, firstTokenMs } = figures;
  const speed = tokensPerSecond.toFixed(tokensPerSecond < 10 ? 1 : 0);
  const first = firstTokenMs < 1000 ? `${firstTokenMs.toFixed(0)}\u00a0ms` : `${(firstTokenMs / 1000).toFixed(1)}\u00a0s`;
  return [`${generatedTokens} token${generatedTokens === 1 ? "" : "s"}`, generatedTokens > 1 ? `${speed} tokens/s` : "", `first after ${first}`].filter(Boolean).join(" · ");
}

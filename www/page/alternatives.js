/**
 * The popover of a token: what else it might have been, with bars as long as the probabilities. Opens under the mouse, at the
 * keyboard's focus, or at a tap; a choice is reported as a `choose` event.
 */

import { element, make, percent } from "./dom.js";

/** @import { Alternative } from "../vitrine.js" */
/** @import { Story, Token } from "./story.js" */

const OPEN_MS = 90;
const CLOSE_MS = 280;

export class Alternatives extends EventTarget {
  #box = element("alternatives", HTMLElement);
  #page = element("story", HTMLElement);
  #story;
  /** @type {number | undefined} */
  #timer;
  /** @type {HTMLElement | undefined} */
  #anchor;
  /** Where the mouse was last, and whether the last event found it elsewhere. @type {[number, number] | undefined} */
  #mouse;
  #moved = false;

  /** @param {Story} story */
  constructor(story) {
    super();
    this.#story = story;
    const token = (/** @type {EventTarget | null} */ target) =>
      target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest(".token")) : null;
    // A mouse that moves: a text that grows or scrolls under a resting one is over it too, and WebKit calls that a move.
    document.addEventListener(
      "pointermove",
      ({ screenX, screenY }) => {
        this.#moved = this.#mouse !== undefined && (this.#mouse[0] !== screenX || this.#mouse[1] !== screenY);
        this.#mouse = [screenX, screenY];
      },
      true,
    );
    this.#page.addEventListener("pointermove", ({ target, pointerType }) => {
      const span = token(target);
      if (!span || pointerType !== "mouse" || !this.#moved) return;
      if (this.isOpen && span === this.#anchor) clearTimeout(this.#timer);
      else this.#later(OPEN_MS, () => this.open(span));
    });
    this.#page.addEventListener("pointerout", ({ pointerType }) => {
      if (pointerType === "mouse") this.#later(CLOSE_MS, () => this.close());
    });
    this.#box.addEventListener("pointerenter", () => clearTimeout(this.#timer));
    this.#box.addEventListener("pointerleave", () => {
      if (!this.#box.contains(document.activeElement)) this.#later(CLOSE_MS, () => this.close());
    });
    this.#page.addEventListener("click", ({ target }) => {
      const span = token(target);
      if (span) this.#story.focus(Number(span.dataset.index));
    });
    this.#page.addEventListener("focusin", ({ target }) => {
      const span = token(target);
      if (span) this.open(span);
    });
    for (const part of [this.#page, this.#box]) {
      part.addEventListener("focusout", ({ relatedTarget }) => {
        const inside = relatedTarget instanceof Element && (this.#box.contains(relatedTarget) || token(relatedTarget) !== null);
        if (!inside) this.#later(CLOSE_MS, () => this.close());
      });
    }
    this.#page.addEventListener("keydown", (event) => {
      if (event.target !== this.#anchor || !["Enter", " ", "ArrowDown"].includes(event.key)) return;
      event.preventDefault();
      this.#box.querySelector("button")?.focus();
    });
    this.#box.addEventListener("keydown", (event) => this.#walk(event));
    document.addEventListener("pointerdown", ({ target }) => {
      if (target instanceof Node && !this.#box.contains(target) && !this.#page.contains(target)) this.close();
    });
  }

  get isOpen() {
    return !this.#box.hidden;
  }

  /** @param {HTMLElement} span */
  open(span) {
    clearTimeout(this.#timer);
    const index = Number(span.dataset.index);
    const token = this.#story.tokens[index];
    if (!token) return;
    this.#anchor?.classList.remove("open");
    this.#anchor = span;
    span.classList.add("open");
    this.#box.replaceChildren(...this.#contents(token, index));
    this.#box.hidden = false;
    this.#place(span);
  }

  close() {
    clearTimeout(this.#timer);
    this.#anchor?.classList.remove("open");
    this.#anchor = undefined;
    this.#box.hidden = true;
  }

  /** @param {Token} token @param {number} index */
  #contents({ token, text, logprob, alternatives }, index) {
    const list = alternatives.some((each) => each.token === token) ? alternatives : [...alternatives, { token, text, logprob }];
    const rank = list.findIndex((each) => each.token === token);
    const first = alternatives.length > 0 && rank === 0;
    const share = percent(Math.exp(logprob));
    if (list.length < 2) return [make("p", {}, `Drawn with a probability of ${share}.${alternatives.length > 0 ? " Nothing else came into question." : ""}`)];
    const certain = first && share.startsWith(">");
    const head = make("p", {}, certain ? "Hardly anything else could stand here. The next were:" : first ? "The likeliest word here was taken. Others were:" : "It might have been:");
    const items = list.map((each) => {
      const chosen = each.token === token;
      const share = Math.exp(each.logprob);
      const button = make("button", { type: "button", "data-alternative": String(each.token), class: chosen ? "chosen" : "" });
      button.style.setProperty("--share", share.toFixed(4));
      button.append(make("span", { class: "word" }, ...visible(each.text)), make("span", { class: "share" }, percent(share)));
      const spoken = [each.text.trim() ? "" : "a space or line break", chosen ? "chosen" : ""].filter(Boolean).join(", ");
      button.append(make("span", { class: "unseen" }, spoken));
      button.addEventListener("click", () => this.#choose(index, each, chosen));
      return make("li", {}, button);
    });
    return [head, make("ol", {}, ...items)];
  }

  /** @param {number} index @param {Alternative} alternative @param {boolean} chosen */
  #choose(index, alternative, chosen) {
    this.close();
    if (chosen) this.#story.focus(index);
    else this.dispatchEvent(new CustomEvent("choose", { detail: { index, alternative } }));
  }

  /** Below the token where there is room, else above. @param {HTMLElement} span */
  #place(span) {
    const at = span.getClientRects()[0] ?? span.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.#box;
    const left = Math.min(Math.max(12, at.left - 12), document.documentElement.clientWidth - width - 12);
    const below = at.bottom + 8;
    const top = below + height > innerHeight && at.top - height - 8 > 0 ? at.top - height - 8 : below;
    this.#box.style.left = `${left + scrollX}px`;
    this.#box.style.top = `${top + scrollY}px`;
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    const buttons = [...this.#box.querySelectorAll("button")];
    const at = buttons.findIndex((button) => button === document.activeElement);
    const back = () => this.#story.focus(Number(this.#anchor?.dataset.index));
    if (event.key === "ArrowDown") buttons[Math.min(at + 1, buttons.length - 1)]?.focus();
    else if (event.key === "ArrowUp") at > 0 ? buttons[at - 1].focus() : back();
    else if (event.key === "Escape") back();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} delay @param {() => void} act */
  #later(delay, act) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, delay);
  }
}

/** @type {Record<string, string>} */
const SIGNS = { " ": "·", "\n": "↵", "\t": "⇥" };

/** A token's text with its spaces and line breaks made visible. @param {string} text @returns {(Node | string)[]} */
function visible(text) {
  return text.split(/([ \n\t])/).map((part) => (part in SIGNS ? make("span", { class: "mute", "aria-hidden": "true" }, SIGNS[part]) : part));
}

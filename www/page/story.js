/**
 * The writing surface: the reader's own words and the tokens that the model put after them. A textarea while the reader edits, a
 * text of tokens while the model writes and after. Every change can be undone.
 */

import { element, make, percent } from "./dom.js";

/** @import { Chunk } from "../vitrine.js" */
/** @typedef {{ own: string, tokens: Chunk[], editing: boolean }} Version */

/** Versions that undo remembers. */
const MEMORY = 50;
/** The surprise (in nats) that gets the full tint: a token of a probability of about 1 in 400. */
const FULL_SURPRISE = 6;

export class Story extends EventTarget {
  #prompt = element("prompt", HTMLTextAreaElement);
  #page = element("story", HTMLElement);
  #announcer = element("announcer", HTMLElement);
  /** @type {Chunk[]} */
  #tokens = [];
  #editing = true;
  /** @type {Version[]} */
  #past = [];
  /** What was written and not yet announced. */
  #unsaid = "";

  constructor() {
    super();
    this.#prompt.addEventListener("input", () => this.#changed());
    this.#page.addEventListener("click", ({ target }) => {
      if (target instanceof HTMLElement && target.classList.contains("own") && !getSelection()?.toString()) this.dispatchEvent(new Event("edit"));
    });
    this.#page.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** The reader's words. */
  get own() {
    return this.#prompt.value;
  }

  get tokens() {
    return this.#tokens;
  }

  get editing() {
    return this.#editing;
  }

  get text() {
    return this.own + this.#tokens.map(({ text }) => text).join("");
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  /** Remembers the present, to come back to it with `undo`. */
  remember() {
    this.#past.push({ own: this.own, tokens: [...this.#tokens], editing: this.#editing });
    if (this.#past.length > MEMORY) this.#past.shift();
  }

  undo() {
    const before = this.#past.pop();
    if (before) this.#show(before);
  }

  clear() {
    this.#show({ own: "", tokens: [], editing: true });
    this.#prompt.focus();
  }

  /** All that stands there becomes the reader's own words. */
  edit() {
    this.#show({ own: this.text, tokens: [], editing: true });
    this.#prompt.focus();
    this.#prompt.setSelectionRange(this.own.length, this.own.length);
  }

  /** @param {string} own */
  begin(own) {
    this.#show({ own, tokens: [], editing: true });
    this.#prompt.focus();
  }

  /** From textarea to tokens. */
  read() {
    if (this.#editing) this.#show({ own: this.own, tokens: this.#tokens, editing: false });
  }

  /** Keeps the first `count` tokens and puts another after them. @param {number} count @param {Chunk} token */
  turn(count, token) {
    this.#show({ own: this.own, tokens: [...this.#tokens.slice(0, count), token], editing: false });
  }

  /** @param {Chunk} token */
  append(token) {
    this.#tokens.push(token);
    this.#page.append(this.#span(token, this.#tokens.length - 1));
    this.#unsaid += token.text;
    this.#say(false);
    this.#changed();
    this.#follow();
  }

  /** @param {boolean} writing */
  set writing(writing) {
    this.#page.classList.toggle("writing", writing);
    if (!writing) this.#say(true);
  }

  /** @param {number} index */
  focus(index) {
    const span = this.#page.querySelectorAll(".token")[index];
    if (!(span instanceof HTMLElement)) return;
    for (const other of this.#page.querySelectorAll('.token[tabindex="0"]')) other.setAttribute("tabindex", "-1");
    const token = this.#tokens[index];
    span.tabIndex = 0;
    span.setAttribute("role", "button");
    span.setAttribute("aria-haspopup", "dialog");
    span.setAttribute("aria-label", `${token.text.trim() || "space"}, ${percent(Math.exp(token.logprob))}`);
    span.focus();
  }

  /** @param {Version} version */
  #show({ own, tokens, editing }) {
    this.#prompt.value = own;
    this.#tokens = [...tokens];
    this.#editing = editing;
    this.#unsaid = "";
    this.#page.replaceChildren(make("span", { class: "own" }, own), ...tokens.map((token, index) => this.#span(token, index)));
    this.#prompt.hidden = !editing;
    this.#page.hidden = editing;
    this.#changed();
  }

  /** @param {Chunk} token @param {number} index */
  #span({ text, token, logprob }, index) {
    const span = make("span", {
      class: "token",
      tabindex: index === 0 ? "0" : "-1",
      "data-index": String(index),
      "data-token": String(token),
      "data-probability": Math.exp(logprob).toFixed(4),
    });
    span.style.setProperty("--surprise", Math.min(1, Math.max(0, -logprob / FULL_SURPRISE)).toFixed(3));
    span.textContent = text;
    return span;
  }

  /** Arrow keys go from token to token. @param {KeyboardEvent} event */
  #walk(event) {
    const at = Number(event.target instanceof HTMLElement ? event.target.dataset.index : undefined);
    if (!Number.isInteger(at) || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.#tokens.length - 1;
    /** @type {Record<string, number>} */
    const goals = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last };
    if (!(event.key in goals)) return;
    event.preventDefault();
    const step = event.key === "ArrowLeft" || event.key === "End" ? -1 : 1;
    let goal = Math.min(last, Math.max(0, goals[event.key]));
    // A token that holds only part of a character shows nothing and cannot be rested on.
    while (this.#tokens[goal] && this.#tokens[goal].text === "") goal += step;
    if (this.#tokens[goal]) this.focus(goal);
  }

  /** Announces whole sentences; the rest too when nothing more will come. @param {boolean} all */
  #say(all) {
    const end = all ? this.#unsaid.length : (/^[\s\S]*[.!?…]["'”’)\]]*\s/.exec(this.#unsaid)?.[0].length ?? 0);
    const sentence = this.#unsaid.slice(0, end).trim();
    this.#unsaid = this.#unsaid.slice(end);
    if (!sentence) return;
    this.#announcer.append(make("p", {}, sentence));
    if (this.#announcer.childElementCount > 20) this.#announcer.firstElementChild?.remove();
  }

  /** Keeps the end in view while it grows, unless the reader has scrolled away from it. */
  #follow() {
    const end = this.#page.lastElementChild?.getBoundingClientRect();
    if (!end) return;
    const room = innerHeight - 96;
    if (end.bottom > room && end.bottom < room + 120) scrollBy({ top: end.bottom - room, behavior: "instant" });
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * The writing surface: the reader's own words and the tokens that the model put after them. A textarea while the reader edits, a
 * text of tokens while the model writes and after. Every change can be undone.
 */

import { element, make, percent, soon } from "./dom.js";

/** @import { Alternative, Chunk } from "../vitrine.js" */
/** A token as the page shows it. @typedef {Alternative & { alternatives: Alternative[] }} Token */
/** `ended`: whether the model itself ended the text. @typedef {{ own: string, tokens: Token[], editing: boolean, answering: boolean, author: string, ended: boolean }} Version */

/** Versions that undo remembers. */
const MEMORY = 50;
/** The surprise (in nats) that gets the full tint: a token of a probability of about 1 in 400. */
const FULL_SURPRISE = 6;

export class Story extends EventTarget {
  #prompt = element("prompt", HTMLTextAreaElement);
  #page = element("story", HTMLElement);
  #announcer = element("announcer", HTMLElement);
  /** @type {Token[]} */
  #tokens = [];
  #editing = true;
  /** Whether the tokens answer the reader's words, rather than go on from them. */
  #answering = false;
  /** The model that wrote the tokens. */
  #author = "";
  #ended = false;
  /** @type {Version[]} */
  #past = [];
  /** What was written and not yet announced. */
  #unsaid = "";
  /** Tokens that wait for the next frame. */
  #fresh = document.createDocumentFragment();

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

  get answering() {
    return this.#answering;
  }

  set answering(answering) {
    if (answering !== this.#answering) this.#show({ ...this.#version(), answering });
  }

  get text() {
    if (this.#tokens.length === 0) return this.own;
    return this.own + this.#gap() + this.#tokens.map(({ text }) => text).join("");
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  /** Remembers the present, to come back to it with `undo`. */
  remember() {
    this.#past.push(this.#version());
    if (this.#past.length > MEMORY) this.#past.shift();
  }

  undo() {
    const before = this.#past.pop();
    if (before) this.#show(before);
  }

  /** All that makes it, to be kept. */
  get present() {
    return this.#version();
  }

  set present(version) {
    this.#show(version);
  }

  clear() {
    this.begin("");
  }

  /** All that stands there becomes the reader's own words; an answer goes, and its question stays to be changed. */
  edit() {
    this.begin(this.#answering ? this.own : this.text);
    this.#prompt.setSelectionRange(this.own.length, this.own.length);
  }

  /** @param {string} own */
  begin(own) {
    this.#show({ ...this.#version(), own, tokens: [], editing: true, ended: false });
    this.#prompt.focus();
  }

  /** The beginning stays, and what the model made of it goes. */
  retell() {
    this.#show({ ...this.#version(), tokens: [], editing: false, ended: false });
  }

  /**
   * From textarea to tokens, for this model to write. Another model's tokens mean nothing to it: what they say becomes the
   * reader's words, and an answer is given anew.
   * @param {string} author what the model is called, the same for every copy of it
   */
  read(author) {
    const version = this.#version();
    if (version.tokens.length > 0 && version.author !== author) {
      version.own = version.answering ? version.own : this.text;
      version.tokens = [];
      version.ended = false;
    }
    if (version.editing || version.author !== author) this.#show({ ...version, editing: false, author });
  }

  /** Keeps the first `count` tokens and puts another after them. @param {number} count @param {Token} token */
  turn(count, token) {
    this.#show({ ...this.#version(), tokens: [...this.#tokens.slice(0, count), token], editing: false, ended: false });
  }

  /** Puts a token at the end; it is seen with the next frame. @param {Chunk} chunk */
  append({ token, text, logprob = 0, alternatives }) {
    const last = this.#tokens.at(-1);
    if (token !== undefined) {
      const next = { token, text, logprob, alternatives };
      this.#tokens.push(next);
      this.#fresh.append(this.#span(next, this.#tokens.length - 1));
    } else if (last) {
      // Text that was held back, for half a character or the beginning of a stop string, belongs to the last token.
      this.#flush();
      last.text += text;
      this.#page.lastElementChild?.lastElementChild?.append(text);
    }
    this.#unsaid += text;
    soon(this.#flush);
  }

  /** Shows what was appended. A frame may bring many tokens: laying the page out for each would be slower than the model. */
  #flush = () => {
    if (!this.#fresh.hasChildNodes()) return;
    this.#page.append(this.#fresh);
    this.#say(false);
    this.#follow();
    this.#changed();
  };

  /** @param {boolean} writing */
  set writing(writing) {
    this.#page.classList.toggle("writing", writing);
    if (writing) this.#page.classList.remove("ended");
    if (writing) return;
    this.#flush();
    this.#say(true);
  }

  get ended() {
    return this.#ended;
  }

  set ended(/** @type {boolean} */ ended) {
    this.#ended = ended;
    this.#page.classList.toggle("ended", ended);
    if (ended) this.announce("The story has ended.");
    this.#changed();
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

  /** @returns {Version} */
  #version() {
    return { own: this.own, tokens: [...this.#tokens], editing: this.#editing, answering: this.#answering, author: this.#author, ended: this.#ended };
  }

  /** What stands between a question and its answer. */
  #gap() {
    return this.#answering ? "\n\n" : "";
  }

  /** @param {Version} version */
  #show({ own, tokens, editing, answering, author, ended }) {
    this.#prompt.value = own;
    this.#tokens = [...tokens];
    this.#editing = editing;
    this.#answering = answering;
    this.#author = author;
    this.#ended = ended;
    this.#unsaid = "";
    this.#fresh.replaceChildren();
    this.#page.classList.toggle("ended", ended);
    this.#page.replaceChildren(make("span", { class: "own" }, own), this.#gap(), ...tokens.map((token, index) => this.#span(token, index)));
    this.#prompt.hidden = !editing;
    this.#page.hidden = editing;
    this.#changed();
  }

  /** @param {Token} token @param {number} index */
  #span({ text, token, logprob }, index) {
    const span = make("span", {
      class: "token",
      tabindex: index === 0 ? "0" : "-1",
      "data-index": String(index),
      "data-token": String(token),
      "data-probability": Math.exp(logprob).toFixed(4),
    });
    span.style.setProperty("--surprise", Math.min(1, Math.max(0, -logprob / FULL_SURPRISE)).toFixed(3));
    // The space before a word is the token's too, but stays untinted: a line may break there.
    const [, space, word] = /** @type {RegExpExecArray} */ (/^(\s*)([\s\S]*)$/.exec(text));
    span.append(space, make("span", { class: "word" }, word));
    return span;
  }

  /** Arrow keys go from token to token. @param {KeyboardEvent} event */
  #walk(event) {
    // Of the page as a whole the first word is next, and the last one before.
    const ends = event.target === this.#page ? (event.key === "ArrowLeft" || event.key === "End" ? this.#tokens.length : -1) : undefined;
    const at = ends ?? Number(event.target instanceof HTMLElement ? event.target.dataset.index : undefined);
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
    if (sentence) this.announce(sentence);
  }

  /** Tells something to whoever listens. @param {string} sentence */
  announce(sentence) {
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

/** What widgets share that begin with words of the reader's: a place to type them in, where Enter begins and Shift+Enter makes a new line. */

import { make } from "../page/dom.js";
import { readWorld } from "../page/world.js";
import { flag, source, words } from "./attributes.js";
import { lead, leaderOf } from "./links.js";
import { openEngine } from "./load.js";
import { Widget, shared } from "./widget.js";

/** @import { Model } from "../vitrine.js" */
/** @import { World } from "../page/world.js" */
/** @import { Attribute } from "./attributes.js" */
/** @import { Told } from "./links.js" */

/** Attributes of all that begin with words. @param {string} model @param {string} prompt @returns {Record<string, Attribute>} */
export const worded = (model, prompt) => ({ ...shared(model), prompt: words(prompt), locked: flag(), "linked-to": { ...source(""), allowed: "the id of another widget" } });

/**
 * The words are those of `prompt`, or what stands between the tags, until the reader types others.
 * @template {Model} M
 * @extends {Widget<M>}
 */
export class Worded extends Widget {
  /** What the field is for, to those who do not see it. */
  static label = "";

  #typed = false;
  /** The seed that the leader begins with, while this follows it. @type {number | undefined} */
  #lent;
  /** The seed that it began with last. @type {number | undefined} */
  #began;

  /** The words as they stand there now. */
  get words() {
    const own = this.inner("own");
    return this.#typed ? typed(own) : (own.textContent ?? "");
  }

  set words(words) {
    this.inner("own").textContent = words;
    this.#typed = false;
    this.#tellWords();
  }

  #tellWords() {
    this.worded();
    lead(this, { words: this.words });
  }

  /** The words are others than before. */
  worded() {}

  /** @param {Told} told */
  hear({ words, begins, stops }) {
    if (words !== undefined && words !== this.words) this.words = words;
    if (stops) this.stop();
    if (!begins) return;
    this.#lent = begins.seed;
    this.act().catch(() => {});
  }

  /** A follower that comes later takes what its leader has by then. */
  loaded() {
    const leader = leaderOf(this);
    if (leader instanceof Worded) this.words = leader.words;
  }

  stop() {
    super.stop();
    lead(this, { stops: true });
  }

  /** Begins, and those that follow with it. @returns {number} the seed: that of the attribute, of the leader, or a new one */
  begin() {
    const seed = this.setting("seed") ?? (this.hasAttribute("linked-to") ? this.#lent : undefined) ?? crypto.getRandomValues(new Uint32Array(1))[0];
    this.#began = seed;
    lead(this, { words: this.words, begins: { seed } });
    return seed;
  }

  /** One that follows stands alone elsewhere, with what it has of its leader. @returns {Record<string, unknown>} */
  present() {
    const seed = this.setting("seed") ?? this.#began;
    return { ...super.present(), prompt: this.words, seed, "linked-to": undefined };
  }

  /** The place to type in. What stands between the tags is not shown itself. */
  field() {
    const { label } = /** @type {typeof Worded} */ (this.constructor);
    const own = wordField(label, () => {
      if (!this.isWorking) this.act().catch(() => {});
    });
    own.addEventListener("input", () => {
      this.#typed = true;
      this.#tellWords();
    });
    // The parser may bring them after the element, and in pieces.
    let given = this.#given;
    new MutationObserver(() => {
      if (this.hasAttribute("prompt") || this.#given === given) return;
      if (this.words === given) this.words = this.#given;
      given = this.#given;
    }).observe(this, { childList: true, characterData: true, subtree: true });
    return own;
  }

  /** The line under the result for {@link tellUnread}. */
  unread() {
    return make("p", { class: "unread", part: "unread", role: "status", lang: "en", hidden: "" });
  }

  /** Names what of the words says nothing to the model. @param {string[]} sentences none hide the line */
  tellUnread(sentences) {
    const line = /** @type {HTMLElement | null} */ (this.inner("unread"));
    // Some have none: to them no word is strange.
    if (!line) return;
    line.hidden = sentences.length === 0;
    line.textContent = sentences.join(" ");
  }

  /** The small world of the model, where it has one. @returns {Promise<World | undefined>} */
  async world() {
    try {
      const [model, device] = ["model", "device"].map((name) => this.value(name));
      const catalog = await (await openEngine(device)).catalog();
      return await readWorld(catalog.find(({ id }) => id === model));
    } catch {
      // Without a catalogue nothing is known of any.
      return undefined;
    }
  }

  /** @param {string} name */
  changed(name) {
    if (name === "prompt") this.words = this.#given;
    if (name === "prompt" || name === "model") this.tellUnread([]);
    if (name !== "locked" && name !== "linked-to") return;
    const [own, locked] = [this.inner("own"), this.hasAttribute("linked-to") || this.setting("locked")];
    if (locked) own.removeAttribute("contenteditable");
    else own.setAttribute("contenteditable", "plaintext-only");
    own.setAttribute("aria-readonly", String(locked));
  }

  get #given() {
    // Between the tags lines break and are indented as the page's author likes, as everywhere in HTML.
    const words = [...this.childNodes].filter((node) => !(node instanceof Element && node.slot));
    const between = words.map((node) => node.textContent).join("").trim().replace(/[ \t\r]*\n\s*/g, " ");
    return this.getAttribute("prompt") ?? (between || this.value("prompt"));
  }
}

/** A place to type in, where Enter begins and Shift+Enter makes a new line. @param {string} label @param {() => void} begin */
export function wordField(label, begin) {
  const own = make("span", {
    class: "own",
    part: "words",
    dir: "auto",
    contenteditable: "plaintext-only",
    role: "textbox",
    "aria-multiline": "true",
    "aria-label": label,
    spellcheck: "false",
    tabindex: "0",
  });
  own.addEventListener("keydown", (event) => {
    // As on the pages.
    const insists = event.ctrlKey || event.metaKey;
    if (event.key !== "Enter" || event.isComposing || (event.altKey && !insists)) return;
    event.preventDefault();
    if (!event.shiftKey || insists) begin();
    else if (own.isContentEditable) own.ownerDocument.execCommand("insertLineBreak");
  });
  return own;
}

/** The text of an element that was typed into: browsers keep some new lines as elements, and one more at the end, without which the last would not show. @param {HTMLElement} own */
export function typed(own) {
  const text = [...own.childNodes].map((node) => (node.nodeName === "BR" ? "\n" : (node.textContent ?? ""))).join("");
  return text.replace(/\n$/, "");
}

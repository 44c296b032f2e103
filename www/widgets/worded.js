/** What widgets share that begin with words of the reader's: a place to type them in, where Enter begins and Shift+Enter makes a new line. */

import { pageEngine } from "../engine.js";
import { make } from "../page/dom.js";
import { readWorld } from "../page/world.js";
import { Widget } from "./widget.js";

/** @import { Model } from "../vitrine.js" */
/** @import { World } from "../page/world.js" */

/**
 * The words are those of `prompt`, or what stands between the tags, until the reader types others.
 * @template {Model} M
 * @extends {Widget<M>}
 */
export class Worded extends Widget {
  /** What the field is for, to those who do not see it. */
  static label = "";

  #typed = false;

  /** The words as they stand there now. */
  get words() {
    const own = this.inner("own");
    return this.#typed ? typed(own) : (own.textContent ?? "");
  }

  set words(words) {
    this.inner("own").textContent = words;
    this.#typed = false;
  }

  /** The place to type in. What stands between the tags is not shown itself. */
  field() {
    const { label } = /** @type {typeof Worded} */ (this.constructor);
    const own = make("span", {
      class: "own",
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
      if (event.shiftKey && !insists) own.ownerDocument.execCommand("insertLineBreak");
      else if (!this.isWorking) this.act().catch(() => {});
    });
    // A letter is a word's here, whatever it means to the slides or the notebook around.
    for (const kind of ["keydown", "keypress", "keyup"]) {
      this.addEventListener(kind, (event) => {
        if (event.composedPath()[0] === own && !(/** @type {KeyboardEvent} */ (event).ctrlKey || /** @type {KeyboardEvent} */ (event).metaKey)) event.stopPropagation();
      });
    }
    own.addEventListener("input", () => (this.#typed = true));
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
    return make("p", { class: "unread", role: "status", hidden: "" });
  }

  /** Names what of the words says nothing to the model. @param {string[]} sentences none hide the line */
  tellUnread(sentences) {
    const line = this.inner("unread");
    line.hidden = sentences.length === 0;
    line.textContent = sentences.join(" ");
  }

  /** The small world of the model, where it has one. @returns {Promise<World | undefined>} */
  async world() {
    try {
      const [model, device] = ["model", "device"].map((name) => this.value(name));
      const catalog = await (await pageEngine(device)).catalog();
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
  }

  get #given() {
    // Between the tags lines break and are indented as the page's author likes, as everywhere in HTML.
    const between = this.textContent?.trim().replace(/[ \t\r]*\n\s*/g, " ");
    return this.getAttribute("prompt") ?? (between || this.value("prompt"));
  }
}

/** The text of an element that was typed into: browsers keep some new lines as elements, and one more at the end, without which the last would not show. @param {HTMLElement} own */
function typed(own) {
  const text = [...own.childNodes].map((node) => (node.nodeName === "BR" ? "\n" : (node.textContent ?? ""))).join("");
  return text.replace(/\n$/, "");
}

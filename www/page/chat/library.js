/** The list of conversations: searched, opened, renamed, deleted and brought back. */

import { element, make } from "../dom.js";

/** @import { Conversation } from "./conversation.js" */
/** @import { Conversations } from "./conversations.js" */

/** Characters around what a search has found. */
const AROUND = 34;

export class Library extends EventTarget {
  #list = element("conversations", HTMLElement);
  #search = element("search", HTMLInputElement);
  #found = element("found", HTMLElement);
  #undoLine = element("undo-line", HTMLElement);
  #undoWords = element("undo-words", HTMLElement);
  #title = element("title", HTMLElement);
  #newTitle = element("new-title", HTMLInputElement);
  #menu = element("conversation-acts", HTMLDetailsElement);
  #conversations;
  /** @type {(() => Promise<void>) | undefined} */
  #undo;

  /** @param {Conversations} conversations */
  constructor(conversations) {
    super();
    this.#conversations = conversations;
    this.#search.addEventListener("input", () => this.show());
    element("rename", HTMLButtonElement).addEventListener("click", () => this.#beginRenaming());
    this.#menu.addEventListener("click", ({ target }) => target instanceof HTMLButtonElement && (this.#menu.open = false));
    this.#menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.#menu.open) return;
      event.stopPropagation();
      this.#menu.open = false;
      this.#menu.querySelector("summary")?.focus();
    });
    document.addEventListener("pointerdown", ({ target }) => {
      if (target instanceof Node && !this.#menu.contains(target)) this.#menu.open = false;
    });
    this.#newTitle.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) this.#endRenaming(true);
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#endRenaming(false);
    });
    this.#newTitle.addEventListener("blur", () => this.#endRenaming(true));
    element("delete", HTMLButtonElement).addEventListener("click", () => this.#delete());
    element("undo", HTMLButtonElement).addEventListener("click", async () => {
      this.#undoLine.hidden = true;
      await this.#undo?.();
    });
    this.#list.addEventListener("click", ({ target }) => {
      const item = target instanceof Element ? target.closest("li") : null;
      if (!item?.dataset.id) return;
      this.#conversations.show(item.dataset.id);
      this.dispatchEvent(new Event("opened"));
    });
    conversations.addEventListener("list", () => this.show());
    conversations.addEventListener("shown", () => this.show());
  }

  show() {
    const { list, shown } = this.#conversations;
    const words = this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = list.flatMap((conversation) => {
      const place = placeOf(conversation, words);
      return place === undefined ? [] : [{ conversation, place }];
    });
    this.#found.textContent = words.length === 0 ? "" : found.length === 0 ? "Nothing like that." : `${found.length} of ${list.length}`;
    const focused = this.#list.contains(document.activeElement) ? document.activeElement?.closest("li")?.dataset.id : undefined;
    this.#list.replaceChildren(
      ...found.map(({ conversation, place }) => {
        const here = conversation === shown;
        const open = make("button", { type: "button", ...(here ? { "aria-current": "true" } : {}) }, make("span", { class: "name" }, titleOf(conversation)));
        open.append(make("span", { class: "small" }, place || whenInWords(conversation.changed)));
        return make("li", { "data-id": conversation.id }, open);
      }),
    );
    if (focused) /** @type {HTMLElement | null} */ (this.#list.querySelector(`[data-id="${CSS.escape(focused)}"] button`))?.focus({ preventScroll: true });
    const known = list.includes(shown);
    this.#title.textContent = known ? titleOf(shown) : "New conversation";
    this.#menu.hidden = !known || !this.#newTitle.hidden;
  }

  focusSearch() {
    this.#search.focus();
    this.#search.select();
  }

  #beginRenaming() {
    this.#newTitle.value = titleOf(this.#conversations.shown);
    this.#newTitle.hidden = false;
    this.#title.hidden = this.#menu.hidden = true;
    this.#newTitle.focus();
    this.#newTitle.select();
  }

  /** @param {boolean} take */
  #endRenaming(take) {
    if (this.#newTitle.hidden) return;
    const title = this.#newTitle.value.trim();
    const { shown } = this.#conversations;
    if (take && title && title !== titleOf(shown)) {
      Object.assign(shown, { title, named: true });
      this.#conversations.touch(shown);
    }
    this.#title.hidden = this.#menu.hidden = false;
    this.#newTitle.hidden = true;
    this.show();
    this.#menu.querySelector("summary")?.focus({ preventScroll: true });
  }

  async #delete() {
    const { shown } = this.#conversations;
    this.#undoWords.textContent = `“${titleOf(shown)}” is deleted.`;
    this.#undo = await this.#conversations.forget(shown);
    this.#undoLine.hidden = false;
    this.dispatchEvent(new Event("deleted"));
  }
}

/** @param {Conversation} conversation */
export function titleOf({ title }) {
  return title || "Without a title";
}

/**
 * Where a conversation has all of some words: the text around the first of them, where it is not in the title.
 * @param {Conversation} conversation
 * @param {string[]} words in small letters
 */
function placeOf(conversation, words) {
  if (words.length === 0) return "";
  const title = titleOf(conversation).toLowerCase();
  const written = conversation.messages.map(({ steps = [], text }) => [...steps.map((step) => step.text), text].join("\n"));
  const texts = written.map((text) => text.toLowerCase());
  if (!words.every((word) => title.includes(word) || texts.some((text) => text.includes(word)))) return undefined;
  const outside = words.find((word) => !title.includes(word));
  if (outside === undefined) return "";
  const index = texts.findIndex((text) => text.includes(outside));
  const at = texts[index].indexOf(outside);
  const from = Math.max(0, at - AROUND);
  return `${from > 0 ? "…" : ""}${written[index].slice(from, at + outside.length + AROUND).trim()}…`;
}

/** @param {number} time */
function whenInWords(time) {
  const then = new Date(time);
  const today = new Date();
  if (then.toDateString() === today.toDateString()) return then.toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit" });
  return then.toLocaleDateString("en", { day: "numeric", month: "long", ...(then.getFullYear() === today.getFullYear() ? {} : { year: "numeric" }) });
}

/** The messages of a conversation, from the root to the leaf that is shown; the end stays in view while it grows, unless the reader has scrolled away. */

import { element, make, soon } from "../dom.js";
import { pathTo, siblingsOf } from "./conversation.js";
import { MessageView } from "./message.js";

/** @import { Acts } from "./message.js" */
/** @import { Conversation, Message } from "./conversation.js" */

/** Pixels from the end within which the reader is at the end. */
const NEAR = 60;

export class Thread {
  #box = element("messages", HTMLElement);
  #scroll = element("scroll", HTMLElement);
  #toEnd = element("to-end", HTMLButtonElement);
  #left = make("p", { class: "left-out", role: "note" }, "The model is no longer given what stands above: it did not fit into its context.");
  #acts;
  /** @type {Map<string, MessageView>} */
  #views = new Map();
  /** Whose messages are shown. */
  #id = "";
  #follows = true;

  /** @param {(message: Message) => Acts} acts */
  constructor(acts) {
    this.#acts = acts;
    this.#scroll.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#scroll;
      this.#follows = scrollHeight - scrollTop - clientHeight < NEAR;
      this.#toEnd.hidden = this.#follows;
    });
    this.#toEnd.addEventListener("click", () => this.toEnd());
    // What stands below may grow.
    new ResizeObserver(() => this.follow()).observe(this.#scroll);
  }

  /**
   * @param {Conversation} conversation
   * @param {{ writing?: Message, free: boolean, story: boolean }} state the message that is being written, whether anything else can be done, whether it is all one text
   */
  show(conversation, { writing, free, story }) {
    const path = pathTo(conversation);
    if (this.#id !== conversation.id) {
      this.#views.clear();
      this.#box.replaceChildren();
      this.#id = conversation.id;
      this.#follows = true;
    }
    this.#box.classList.toggle("story", story);
    const first = path.findIndex(({ id }) => id === conversation.from);
    const wanted = path.flatMap((message, at) => {
      let view = this.#views.get(message.id);
      if (!view) this.#views.set(message.id, (view = new MessageView(message, this.#acts(message), story)));
      const siblings = siblingsOf(conversation, message);
      const place = { at: siblings.indexOf(message) + 1, of: siblings.length, last: at === path.length - 1 };
      view.show(message, place, message === writing, free);
      return at === first && first > 0 ? [this.#left, view.element] : [view.element];
    });
    // What is in its place stays there: an element that is moved loses the focus and its scroll.
    wanted.forEach((each, at) => this.#box.children[at] === each || this.#box.insertBefore(each, this.#box.children[at] ?? null));
    for (const rest of [...this.#box.children].slice(wanted.length)) rest.remove();
    this.follow();
  }

  /** @param {string} id */
  view(id) {
    return this.#views.get(id);
  }

  follow() {
    soon(this.#keepEnd);
  }

  toEnd() {
    this.#follows = true;
    this.#keepEnd();
  }

  #keepEnd = () => {
    // What stands there before the first message is read from its beginning.
    if (this.#follows && this.#box.hasChildNodes()) this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.#toEnd.hidden = this.#follows || this.#scroll.scrollHeight <= this.#scroll.clientHeight;
  };
}

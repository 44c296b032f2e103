/**
 * All conversations, and which of them is shown. What changes is kept after a moment; what another tab keeps is taken over. Where the browser cannot keep
 * anything, everything stays in the page, and whoever listens is told.
 */

import { merged, newConversation, pathTo } from "./conversation.js";
import { Store } from "./store.js";
import { Tabs } from "./tabs.js";

/** @import { Conversation } from "./conversation.js" */
/** @import { News } from "./tabs.js" */

/** How long a change may go unkept. */
const KEEP_MS = 600;

/**
 * Events: `list` (something in the list is another), `shown` (another conversation is shown), `grown` (another tab wrote in that which is shown), `lost` (another tab has deleted it), `kept`, `unkept`
 * with the error, and `personas`.
 */
export class Conversations extends EventTarget {
  #store = new Store();
  #tabs = new Tabs();
  /** @type {Map<string, Conversation>} */
  #all = new Map();
  #shown = newConversation();
  /** Those that wait to be kept. @type {Set<Conversation>} */
  #waiting = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  constructor() {
    super();
    this.#tabs.addEventListener("news", (event) => this.#hear(/** @type {CustomEvent<News>} */ (event).detail));
    // The last moments of a page that are sure to come.
    addEventListener("pagehide", () => this.keepNow());
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && this.keepNow());
    addEventListener("hashchange", () => this.show(location.hash.slice(1)));
  }

  /** Reads what is kept, and shows the conversation that the page's address names. */
  async start() {
    try {
      for (const conversation of await this.#store.conversations()) this.#all.set(conversation.id, conversation);
    } catch (error) {
      this.#failed(error);
    }
    this.#tell("list");
    this.show(location.hash.slice(1));
  }

  get shown() {
    return this.#shown;
  }

  /** The latest first. */
  get list() {
    return [...this.#all.values()].sort((a, b) => b.changed - a.changed);
  }

  /** Shows a conversation; one that there is none of is a new one. @param {string} [id] */
  show(id) {
    this.#shown = this.#all.get(id ?? "") ?? newConversation();
    const known = this.#all.has(this.#shown.id);
    history.replaceState(null, "", known ? `#${this.#shown.id}` : location.pathname + location.search);
    this.#tell("shown");
  }

  /** Something of it has changed that is worth a place at the head of the list. @param {Conversation} conversation */
  touch(conversation) {
    conversation.changed = Date.now();
    this.keepSoon(conversation);
    this.#tell("list");
  }

  /** Keeps a conversation after a moment; one without messages is none yet. @param {Conversation} conversation */
  keepSoon(conversation) {
    if (conversation.messages.length === 0) return;
    const isNew = !this.#all.has(conversation.id);
    this.#all.set(conversation.id, conversation);
    this.#waiting.add(conversation);
    this.#timer ??= setTimeout(() => this.keepNow(), KEEP_MS);
    if (!isNew) return;
    if (conversation === this.#shown) history.replaceState(null, "", `#${conversation.id}`);
    this.#tell("list");
  }

  /** Keeps at once what waits. */
  async keepNow() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const conversation of waiting) {
      try {
        const kept = await this.#store.keep(conversation);
        this.#take(conversation, kept);
        this.#tabs.tell({ what: "kept", id: conversation.id });
        this.#tell("kept");
      } catch (error) {
        // The next change tries again.
        this.#waiting.add(conversation);
        this.#failed(error);
      }
    }
  }

  /** Deletes one, and gives what brings it back. @param {Conversation} conversation */
  async forget(conversation) {
    this.#waiting.delete(conversation);
    this.#all.delete(conversation.id);
    if (conversation === this.#shown) this.show();
    this.#tell("list");
    try {
      await this.#store.forget(conversation.id);
      this.#tabs.tell({ what: "forgotten", id: conversation.id });
      // There is room again, perhaps.
      if (this.#waiting.size > 0) await this.keepNow();
    } catch (error) {
      this.#failed(error);
    }
    return () => {
      this.keepSoon(conversation);
      this.show(conversation.id);
      return this.keepNow();
    };
  }

  /** Takes conversations in, those that are here already made one with what comes. @param {Conversation[]} conversations */
  async takeIn(conversations) {
    for (const conversation of conversations) {
      const known = this.#all.get(conversation.id);
      if (known) this.#take(known, merged(known, conversation));
      this.keepSoon(known ?? conversation);
    }
    await this.keepNow();
  }

  /** As `Tabs.alone`. @param {Conversation} conversation @param {() => Promise<void>} act */
  alone(conversation, act) {
    return this.#tabs.alone(conversation.id, act);
  }

  /** @returns {Promise<import("./personas.js").Persona[]>} */
  async personas() {
    return this.#store.personas().catch(() => []);
  }

  /** @param {import("./personas.js").Persona} persona */
  async keepPersona(persona) {
    await this.#store.keepPersona(persona).catch((error) => this.#failed(error));
    this.#tabs.tell({ what: "personas" });
  }

  /** @param {string} name */
  async forgetPersona(name) {
    await this.#store.forgetPersona(name).catch((error) => this.#failed(error));
    this.#tabs.tell({ what: "personas" });
  }

  /** @param {News} news */
  async #hear(news) {
    if (news.what === "personas") return this.#tell("personas");
    const { what, id } = news;
    const mine = this.#all.get(id);
    if (what === "forgotten") {
      this.#all.delete(id);
      if (mine) this.#waiting.delete(mine);
      if (mine === this.#shown) this.#tell("lost");
      return this.#tell("list");
    }
    const kept = await this.#store.conversation(id).catch(() => undefined);
    if (!kept) return undefined;
    if (mine) this.#take(mine, merged(mine, kept), kept.leaf);
    else this.#all.set(id, kept);
    this.#tell("list");
    if (mine === this.#shown) this.#tell("grown");
    return undefined;
  }

  /**
   * Makes a conversation what it is by now, in its place.
   * @param {Conversation} conversation
   * @param {Conversation} whole
   * @param {string | null} [leaf] what another tab shows: it is followed where it goes on from what is shown here
   */
  #take(conversation, whole, leaf = null) {
    const shown = conversation.leaf;
    // What came meanwhile, after the copy was made, is not lost over it.
    Object.assign(conversation, merged(conversation, whole));
    conversation.leaf = leaf && pathTo(conversation, leaf).some(({ id }) => id === shown) ? leaf : shown;
  }

  /** @param {unknown} error */
  #failed(error) {
    this.dispatchEvent(new CustomEvent("unkept", { detail: error }));
  }

  /** @param {string} what */
  #tell(what) {
    this.dispatchEvent(new Event(what));
  }
}

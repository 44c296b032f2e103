/** Several tabs with the same conversations: each tells the others what it has kept, and only one at a time lets a conversation be answered. */

/** @typedef {{ what: "kept" | "forgotten", id: string } | { what: "personas" }} News */

export class Tabs extends EventTarget {
  #channel = new BroadcastChannel("vitrine-chat");

  constructor() {
    super();
    this.#channel.onmessage = ({ data }) => this.dispatchEvent(new CustomEvent("news", { detail: data }));
  }

  /** @param {News} news */
  tell(news) {
    this.#channel.postMessage(news);
  }

  /**
   * Does something that no other tab may do to this conversation meanwhile.
   * @param {string} id
   * @param {() => Promise<void>} act
   * @returns {Promise<boolean>} false where another tab is at it
   */
  async alone(id, act) {
    // Browsers that know no locks, and pages that came over plain http, go without: what both write is made one all the same.
    if (!navigator.locks) return act().then(() => true);
    /** Whether it was this tab's turn; nothing where the browser gives locks to nobody here: a frame without an origin. @type {boolean | undefined} */
    let free;
    try {
      return await navigator.locks.request(`vitrine-chat ${id}`, { ifAvailable: true }, async (lock) => {
        free = lock !== null;
        if (free) await act();
        return free;
      });
    } catch (error) {
      if (free !== undefined) throw error;
      return act().then(() => true);
    }
  }
}

/**
 * Conversations in the browser's storage, by name. One page at a time has one open; what is kept changes as a whole or not at all.
 *
 * Each is a record in a cache of their own: writing one replaces it at once, and where there is no room for the new one the old one stays.
 */

import { VitrineError } from "./errors.js";
import { check, shown } from "./options.js";

/** @import * as Face from "./vitrine.js" */

const STORE = "vitrine-conversations";
const SAVED_AT = "saved-at";
const BYTES = "bytes";

/** @implements {Face.KeptConversation} */
class Kept {
  #name;
  #release;
  #closed = false;

  /** @param {string} name @param {() => Promise<void>} release */
  constructor(name, release) {
    this.#name = name;
    this.#release = release;
  }

  get name() {
    return this.#name;
  }

  /** @param {Face.TextModel} model @param {Face.RestoreOptions} [options] */
  async load(model, options) {
    check("restore", options);
    this.#open();
    const file = await stored(async (store) => (await store.match(addressOf(this.#name)))?.blob());
    return file && model.restore(file, options);
  }

  /** @param {Face.Conversation} talk @param {Face.CallOptions} [options] */
  async save(talk, options) {
    this.#open();
    const file = await talk.save(options);
    // Closed meanwhile, it may be another page's.
    this.#open();
    const headers = { [SAVED_AT]: String(Date.now()), [BYTES]: String(file.size) };
    await stored((store) => store.put(addressOf(this.#name), new Response(file, { headers })));
  }

  async close() {
    this.#closed = true;
    await this.#release();
  }

  #open() {
    if (this.#closed) throw new VitrineError("closed", `The kept conversation "${this.#name}" is closed here. Open it again with keptConversations.open().`);
  }
}

/** @type {Face.KeptConversations} */
const shelf = {
  async list() {
    return stored(async (store) => {
      const records = await Promise.all((await store.keys()).map(async (request) => ({ request, response: await store.match(request) })));
      const told = records.flatMap(({ request, response }) => {
        const [savedAt, bytes] = [SAVED_AT, BYTES].map((header) => Number(response?.headers.get(header)));
        return response ? [{ name: decodeURIComponent(new URL(request.url).pathname.slice(1)), bytes, savedAt }] : [];
      });
      return told.toSorted((a, b) => b.savedAt - a.savedAt);
    });
  },

  async open(name) {
    const own = named(name);
    return new Kept(own, await claimed(own));
  },

  async delete(name) {
    const own = named(name);
    const release = await claimed(own);
    return stored((store) => store.delete(addressOf(own))).finally(release);
  },
};

export const keptConversations = Object.freeze(shelf);

/** @param {unknown} name */
function named(name) {
  if (typeof name !== "string" || name.trim() === "") throw new VitrineError("bad-argument", `A conversation is kept under a name that is a text and not empty, not ${shown(name)}.`);
  return name.replace(/[\uD800-\uDFFF]/gu, "\uFFFD");
}

/** A record is found by an address that leads nowhere. @param {string} name */
const addressOf = (name) => `https://vitrine.invalid/${encodeURIComponent(name)}`;

/**
 * The name for this page alone, until what comes back is called or the page goes; what that gives is over when another may have it.
 * @param {string} name
 * @returns {Promise<() => Promise<void>>}
 */
async function claimed(name) {
  if (!globalThis.navigator?.locks) throw keepsNothing();
  return new Promise((resolve, reject) => {
    const held = navigator.locks.request(`${STORE} ${name}`, { ifAvailable: true }, (lock) => {
      if (!lock) throw new VitrineError("storage", `The conversation "${name}" is open in another tab, or was opened twice in this one. Close it there, or keep this one under another name.`);
      return new Promise((release) => resolve(() => (release(undefined), held)));
    });
    held.catch((error) => reject(error instanceof VitrineError ? error : keepsNothing(error)));
  });
}

/**
 * @template T
 * @param {(store: Cache) => Promise<T>} work
 * @returns {Promise<T>}
 */
async function stored(work) {
  if (!globalThis.caches) throw keepsNothing();
  try {
    return await work(await caches.open(STORE));
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "QuotaExceededError") {
      throw new VitrineError("storage", "The browser's storage is full, and what was kept before is as it was. Delete kept conversations or models, or take the file that save() gives.", { cause });
    }
    throw keepsNothing(cause);
  }
}

/** @param {unknown} [cause] */
function keepsNothing(cause) {
  return new VitrineError("storage", "The browser keeps nothing for this page: it was told not to, or the page came over plain http. Take the file that save() gives.", { cause });
}

/**
 * Conversations and personas, kept in the browser (IndexedDB). A conversation is kept as one record; what another tab has kept of it meanwhile is made one
 * with it in the same transaction, so that neither loses a message.
 */

import { merged } from "./conversation.js";

/** @import { Conversation } from "./conversation.js" */
/** @import { Persona } from "./personas.js" */

const DATABASE = "vitrine-chat";

export class Store {
  /** @type {Promise<IDBDatabase> | undefined} */
  #opening;

  /** @returns {Promise<Conversation[]>} */
  conversations() {
    return this.#do("conversations", "readonly", (store) => store.getAll());
  }

  /** @param {string} id @returns {Promise<Conversation | undefined>} */
  conversation(id) {
    return this.#do("conversations", "readonly", (store) => store.get(id));
  }

  /**
   * @param {Conversation} conversation
   * @returns {Promise<Conversation>} as it is kept now
   */
  async keep(conversation) {
    let kept = conversation;
    await this.#do("conversations", "readwrite", (store) => {
      const known = store.get(conversation.id);
      known.onsuccess = () => {
        if (known.result) kept = merged(conversation, known.result);
        store.put(kept);
      };
      return known;
    });
    return kept;
  }

  /** @param {string} id */
  async forget(id) {
    await this.#do("conversations", "readwrite", (store) => store.delete(id));
  }

  /** @returns {Promise<Persona[]>} */
  personas() {
    return this.#do("personas", "readonly", (store) => store.getAll());
  }

  /** @param {Persona} persona */
  async keepPersona(persona) {
    await this.#do("personas", "readwrite", (store) => store.put(persona));
  }

  /** @param {string} name */
  async forgetPersona(name) {
    await this.#do("personas", "readwrite", (store) => store.delete(name));
  }

  /**
   * Does one thing in a transaction of its own, and waits until that is written.
   * @template T
   * @param {"conversations" | "personas"} name
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest<T>} act
   * @returns {Promise<T>}
   */
  async #do(name, mode, act) {
    const database = await this.#open();
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(name, mode);
      const request = act(transaction.objectStore(name));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error ?? request.error);
    });
  }

  #open() {
    this.#opening ??= openDatabase(() => (this.#opening = undefined)).catch((error) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }
}

/** @param {() => void} closed told where it has to be opened again @returns {Promise<IDBDatabase>} */
function openDatabase(closed) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore("conversations", { keyPath: "id" });
      opening.result.createObjectStore("personas", { keyPath: "name" });
    };
    opening.onsuccess = () => {
      const database = opening.result;
      database.onversionchange = () => (database.close(), closed());
      database.onclose = closed;
      resolve(database);
    };
    opening.onerror = () => reject(opening.error);
  });
}

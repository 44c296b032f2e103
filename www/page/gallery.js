/**
 * The pictures of this and earlier visits, each a PNG that holds its own settings, in the browser's database. A browser that keeps none
 * (a private window) shows those of this visit.
 */

import { settingsOfPng } from "../png.js";
import { element, make } from "./dom.js";

/** Pictures that are kept; the oldest go first. */
const MOST = 60;
const STORE = "pictures";

/** @typedef {{ id: number, file: Blob }} Kept */

export class Gallery extends EventTarget {
  #section = element("gallery-section", HTMLElement);
  #list = element("gallery", HTMLElement);
  /** @type {Promise<IDBDatabase | undefined>} */
  #database = open();

  /** Hangs what earlier visits left. */
  async start() {
    for (const kept of await this.#all()) await this.#hang(kept);
  }

  /** @param {Blob} file a PNG with its settings */
  async add(file) {
    const id = Date.now() + Math.random();
    await this.#write((store) => store.put({ id, file }));
    await this.#hang({ id, file });
    while (this.#list.children.length > MOST) await this.#remove(/** @type {HTMLElement} */ (this.#list.lastElementChild));
  }

  /** @param {Kept} kept */
  async #hang({ id, file }) {
    const settings = (await settingsOfPng(file)) ?? {};
    const words = typeof settings.prompt === "string" && settings.prompt !== "" ? settings.prompt : "A picture without words";
    const address = URL.createObjectURL(file);
    const figure = make("figure", { "data-id": String(id) });
    const act = (/** @type {string} */ name, /** @type {string} */ label) => {
      const button = make("button", { type: "button", class: "plain", "data-act": name }, label);
      button.addEventListener("click", () => this.dispatchEvent(new CustomEvent(name, { detail: { file, settings, words } })));
      return button;
    };
    const remove = make("button", { type: "button", class: "plain", "data-act": "remove", "aria-label": `Remove “${words}”` }, "Remove");
    remove.addEventListener("click", () => this.#remove(figure));
    const download = make("a", { href: address, download: `${fileName(words)}.png`, "data-act": "download" }, "Download");
    const facts = ["steps", "guidance", "seed", "scheduler"].filter((name) => settings[name] !== undefined).map((name) => `${name} ${settings[name]}`);
    figure.append(
      make("img", { src: address, alt: words, loading: "lazy" }),
      make("figcaption", {}, make("p", {}, words), make("p", { class: "facts" }, facts.join(" · "))),
      make("div", { class: "acts" }, act("again", "Use its settings"), act("from", "Begin from it"), download, remove),
    );
    this.#list.prepend(figure);
    this.#section.hidden = false;
  }

  /** @param {HTMLElement} figure */
  async #remove(figure) {
    const image = figure.querySelector("img");
    if (image) URL.revokeObjectURL(image.src);
    figure.remove();
    this.#section.hidden = this.#list.children.length === 0;
    await this.#write((store) => store.delete(Number(figure.dataset.id)));
  }

  /** @returns {Promise<Kept[]>} */
  async #all() {
    const database = await this.#database;
    if (!database) return [];
    return done(database.transaction(STORE).objectStore(STORE).getAll()).catch(() => []);
  }

  /** @param {(store: IDBObjectStore) => IDBRequest} change */
  async #write(change) {
    const database = await this.#database;
    // A full disk loses the copy for later visits, not the picture at hand.
    if (database) await done(change(database.transaction(STORE, "readwrite").objectStore(STORE))).catch(() => {});
  }
}

/** @returns {Promise<IDBDatabase | undefined>} */
async function open() {
  try {
    const request = indexedDB.open("vitrine.gallery", 1);
    request.addEventListener("upgradeneeded", () => request.result.createObjectStore(STORE, { keyPath: "id" }));
    return await done(request);
  } catch {
    return undefined;
  }
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function done(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}

/** @param {string} words */
function fileName(words) {
  return words.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "").slice(0, 60) || "picture"; // prettier-ignore
}

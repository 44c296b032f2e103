/**
 * The pictures of this and earlier visits, each a PNG that holds its own settings, in the browser's database. A browser that keeps none
 * (a private window) shows those of this visit.
 */

import { settingsOfPng } from "../png.js";
import { element, make } from "./dom.js";
import { fileName } from "./take-out.js";

/** Pictures that are kept; the oldest go first. */
const MOST = 60;
const STORE = "pictures";
/** Pixels of a side that a picture needs here at the most; one that is smaller is enlarged by paint.css. */
const SIDE = 352;
/** Larger pictures to begin from are not kept with what came of them. */
const MOST_BYTES = 4 << 20;

/** What a picture was made from: another to begin from, and where that might change. @typedef {{ init?: Blob, mask?: Blob }} Made */
/** @typedef {{ id: number, file: Blob } & Made} Kept */

export class Gallery extends EventTarget {
  #section = element("gallery-section", HTMLElement);
  #list = element("gallery", HTMLElement);
  #unkept = element("gallery-unkept", HTMLElement);
  /** @type {Promise<IDBDatabase | undefined>} */
  #database = open();

  /** Hangs what earlier visits left. */
  async start() {
    for (const kept of await this.#all()) await this.#hang(kept);
  }

  /** @param {Blob} file a PNG with its settings @param {Made} [made] */
  async add(file, { init, mask } = {}) {
    const small = init && init.size <= MOST_BYTES;
    const kept = { id: Date.now() + Math.random(), file, ...(small ? { init, ...(mask ? { mask } : {}) } : {}) };
    this.#unkept.hidden = await this.#write((store) => store.put(kept));
    await this.#hang(kept);
    while (this.#list.children.length > MOST) await this.#remove(/** @type {HTMLElement} */ (this.#list.lastElementChild));
  }

  /** @param {Kept} kept */
  async #hang({ id, file, init, mask }) {
    const settings = (await settingsOfPng(file)) ?? {};
    const words = typeof settings.prompt === "string" && settings.prompt !== "" ? settings.prompt : "A picture without words";
    const address = URL.createObjectURL(file);
    const figure = make("figure", { "data-id": String(id) });
    const act = (/** @type {string} */ name, /** @type {string} */ label) => {
      const button = make("button", { type: "button", class: "plain", "data-act": name }, label);
      button.addEventListener("click", () => this.dispatchEvent(new CustomEvent(name, { detail: { file, settings, words, init, mask } })));
      return button;
    };
    const remove = make("button", { type: "button", class: "plain", "data-act": "remove", "aria-label": `Remove “${words}”` }, "Remove");
    remove.addEventListener("click", () => this.#remove(figure));
    const download = make("a", { href: address, download: `${fileName(words) || "picture"}.png`, "data-act": "download" }, "Download");
    const facts = ["steps", "guidance", "seed", "scheduler"].filter((name) => settings[name] !== undefined).map((name) => `${name} ${settings[name]}`);
    figure.append(
      make("div", { class: "mount" }, await thumbnail(file, words)),
      make("figcaption", {}, make("p", {}, words), make("p", { class: "facts" }, facts.join(" · "))),
      make("div", { class: "acts" }, act("again", "Use its settings"), act("from", "Begin from it"), download, remove),
    );
    this.#list.prepend(figure);
    this.#section.hidden = false;
  }

  /** @param {HTMLElement} figure */
  async #remove(figure) {
    const link = figure.querySelector("a");
    if (link) URL.revokeObjectURL(link.href);
    const next = figure.nextElementSibling ?? figure.previousElementSibling;
    const focused = figure.contains(document.activeElement);
    figure.remove();
    const heir = next?.querySelector("[data-act=remove]");
    if (focused && heir instanceof HTMLElement) heir.focus();
    this.#section.hidden = this.#list.children.length === 0;
    await this.#write((store) => store.delete(Number(figure.dataset.id)));
  }

  /** @returns {Promise<Kept[]>} */
  async #all() {
    const database = await this.#database;
    if (!database) return [];
    return done(database.transaction(STORE).objectStore(STORE).getAll()).catch(() => []);
  }

  /** Whether it was kept: a full disk loses the copy for later visits, not the picture at hand. @param {(store: IDBObjectStore) => IDBRequest} change */
  async #write(change) {
    const database = await this.#database;
    if (!database) return false;
    try {
      const transaction = database.transaction(STORE, "readwrite");
      const whole = new Promise((resolve, reject) => {
        transaction.addEventListener("complete", resolve);
        transaction.addEventListener("abort", () => reject(transaction.error));
      });
      await done(change(transaction.objectStore(STORE)));
      await whole;
      return true;
    } catch {
      return false;
    }
  }
}

/** On a canvas: a policy that lets a page show its own files alone has nothing against it. @param {Blob} file @param {string} words */
async function thumbnail(file, words) {
  const canvas = make("canvas", { role: "img", "aria-label": words });
  const bitmap = await createImageBitmap(file).catch(() => undefined);
  if (!bitmap) return canvas;
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(scale * side)));
  canvas.style.setProperty("--width", String(canvas.width));
  canvas.classList.toggle("crisp", canvas.width <= SIDE / 2);
  const context = canvas.getContext("2d");
  if (context) context.imageSmoothingQuality = "high";
  context?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas;
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

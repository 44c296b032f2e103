/** Choosing a model: the catalogue, a file, an address; and how its loading goes. One model is in use; it stays until another is ready. */

import { pageEngine } from "../engine.js";
import { asVitrineError } from "../errors.js";
import { VitrineError } from "../vitrine.js";
import { filesOfIndex, indexesAmong, modelFiles } from "../pipeline.js";
import { bytesInWords, countInWords, element, make } from "./dom.js";
import { filesBelow, folderOf, pathOf } from "./folders.js";

/** @import { CatalogEntry, FoundModel, Model, OpenedModel, Progress, Source } from "../vitrine.js" */
/** @typedef {{ factor?: number | null, decodes?: boolean | null, encoderDecoder?: boolean }} Known what may be known of a model before it is opened, and is then */

/**
 * What a page shows: models of one kind, or of several.
 * @template {Model} M
 * @typedef {{
 *   kind: M["info"]["kind"] | M["info"]["kind"][],
 *   facts: (info: M["info"]) => string[],
 *   none: string,
 *   lists?: (entry: CatalogEntry) => boolean,
 *   other: (kind: string) => string,
 *   unfit?: (known: Known) => string | undefined,
 *   take?: (files: File[]) => boolean,
 * }} Show `facts` are the kind's own, `none` is said while there is no model, `lists` leaves entries of the catalogue out, `other` of a model of another kind, `unfit` of one that
 * the page has no use for although it is of its kind; `take` is the page's own use of
 * dropped files, which are then no model
 */

/** @template {Model} M */
export class Models extends EventTarget {
  #list = element("model-select", HTMLElement);
  #name = element("model-name", HTMLElement);
  #facts = element("model-facts", HTMLElement);
  #words = element("model-words", HTMLElement);
  #licence = element("model-licence", HTMLElement);
  #loading = element("loading", HTMLElement);
  #bar = element("progress", HTMLElement);
  #fill = element("progress-fill", HTMLElement);
  #line = element("progress-text", HTMLElement);
  #address = element("address", HTMLInputElement);
  /** @type {CatalogEntry[]} */
  #catalog = [];
  /** @type {AbortController | undefined} */
  #abort;
  /** What was asked for last. @type {{ source: Source, options: { name?: string, remember?: boolean } } | undefined} */
  #last;
  /** @type {Show<M>} */
  #show;
  /** @type {M | undefined} */
  model;
  /** The catalogue's entry of the model in use, if it has one. @type {CatalogEntry | undefined} */
  entry;

  /** @param {Show<M>} show */
  constructor(show) {
    super();
    this.#show = show;
    element("cancel-load", HTMLButtonElement).addEventListener("click", () => this.#abort?.abort());
    const input = element("file-input", HTMLInputElement);
    input.addEventListener("change", () => {
      this.openFiles([...(input.files ?? [])]);
      input.value = "";
    });
    const folder = document.getElementById("folder-input");
    if (folder instanceof HTMLInputElement) {
      folder.addEventListener("change", () => {
        this.openFiles([...(folder.files ?? [])]);
        folder.value = "";
      });
    }
    element("address-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const address = this.#address.value.trim();
      if (address) this.load(address, { remember: true });
    });
    this.#takeDrops(element("drop", HTMLElement));
  }

  /** Reads the catalogue and loads the model that the address names, or the first. @param {string | null} wanted */
  async start(wanted) {
    const engine = await pageEngine();
    try {
      this.#catalog = (await engine.catalog()).filter((entry) => this.#shows(entry.kind) && (this.#show.lists?.(entry) ?? true));
    } finally {
      this.#list.replaceChildren(...this.#catalog.map((entry) => this.#card(entry)));
    }
    const first = wanted ?? this.#catalog[0]?.id;
    if (first) await this.load(first);
    else this.#empty();
  }

  /**
   * @param {Source} source
   * @param {{ name?: string, remember?: boolean }} [options] `remember` puts the source into the page's own address
   */
  async load(source, { name, remember = false } = {}) {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#last = { source, options: { name, remember } };
    const entry = this.#catalog.find(({ id }) => id === source);
    const called = name ?? entry?.name ?? (typeof source === "string" ? lastPart(source) : "a model");
    this.#begin(called);
    try {
      const engine = await pageEngine();
      /** @type {Model} */
      const loaded = await engine.load(source, { signal: abort.signal, onProgress: (progress) => this.#progress(progress) });
      const { kind } = loaded.info;
      const unfit = this.#shows(kind) ? this.unfit(loaded.info) : this.#show.other(kind);
      if (abort.signal.aborted || unfit) await loaded.unload();
      if (abort.signal.aborted) return;
      if (unfit) throw new VitrineError("bad-argument", unfit);
      const model = /** @type {M} */ (loaded);
      const before = this.model;
      this.model = model;
      this.entry = entry;
      this.#label(called);
      if (remember && typeof source === "string") rememberAddress(source);
      this.dispatchEvent(new Event("ready"));
      await before?.unload();
    } catch (error) {
      if (this.#abort !== abort) return;
      this.model ? this.#label(this.#name.dataset.name ?? "") : this.#empty();
      this.dispatchEvent(new CustomEvent("failed", { detail: { error, retry: () => this.reload(), address: typeof source === "string" ? source : "" } }));
    } finally {
      if (this.#abort === abort) {
        this.#abort = undefined;
        this.#loading.hidden = true;
        this.dispatchEvent(new Event("settled"));
      }
    }
  }

  /** The model in use once more, after it was lost. */
  async reload() {
    if (this.#last) await this.load(this.#last.source, this.#last.options);
  }

  /** One file, the files of one model, or a folder with a model in it. @param {File[]} files */
  async openFiles(files) {
    if (files.length === 0 || this.#show.take?.(files)) return;
    const folder = folderOf(files);
    try {
      if (folder) this.load(await modelIn(folder, files), { name: folder });
      else if (files.length === 1) this.load(files[0], { name: files[0].name });
      else this.load({ files: Object.fromEntries(files.map((file) => [file.name, file])) }, { name: (files.find(isWeights) ?? files[0]).name });
    } catch (error) {
      this.dispatchEvent(new CustomEvent("failed", { detail: { error: asVitrineError(error), retry: () => this.openFiles(files) } }));
    }
  }

  /** Whether the page shows such models, and this one not in its catalogue. @param {OpenedModel} opened */
  lists(opened) {
    return this.#shows(opened.kind) && !this.unfit(opened) && !this.#catalog.some(({ id }) => id === opened.source);
  }

  /** Why the page has no use for a model although it is of its kind, in a sentence; nothing where it has. @param {M["info"] | FoundModel | OpenedModel} known */
  unfit(known) {
    return this.#show.unfit?.(/** @type {Known} */ (known));
  }

  /** @param {string} kind */
  #shows(kind) {
    return [this.#show.kind].flat().some((shown) => shown === kind);
  }

  get busy() {
    return this.#abort !== undefined;
  }

  /** @param {CatalogEntry} entry */
  #card(entry) {
    const facts = [`${countInWords(entry.parameters)} parameters`, entry.bytes ? bytesInWords(entry.bytes) : "", entry.license].filter(Boolean).join(" · ");
    const card = make(
      "button",
      { type: "button", "data-model": entry.id, "aria-pressed": "false" },
      make("span", { class: "name" }, entry.name),
      make("span", { class: "small" }, entry.description),
      make("span", { class: "small" }, facts),
    );
    card.addEventListener("click", () => this.load(entry.id, { remember: true }));
    return card;
  }

  /** @param {string} called */
  #begin(called) {
    this.#name.textContent = called;
    this.#facts.textContent = "";
    this.#words.textContent = "";
    this.#licence.replaceChildren();
    this.#loading.hidden = false;
    this.#line.textContent = "Opening…";
    this.#bar.classList.add("unknown");
    this.#bar.removeAttribute("aria-valuenow");
    this.dispatchEvent(new Event("loading"));
  }

  /** @param {Progress} progress */
  #progress({ phase, loaded, total, speed, from }) {
    const part = total > 0 ? Math.min(1, loaded / total) : undefined;
    this.#bar.classList.toggle("unknown", part === undefined);
    this.#fill.style.setProperty("--part", String(part ?? 0));
    if (part === undefined) this.#bar.removeAttribute("aria-valuenow");
    else this.#bar.setAttribute("aria-valuenow", String(Math.round(part * 100)));
    const amount = total > 0 ? `${bytesInWords(loaded)} of ${bytesInWords(total)}` : bytesInWords(loaded);
    const where = { network: "from the network", cache: "from this browser's store", memory: "from your file" }[from];
    const words = {
      download: [amount, speed > 0 ? `${bytesInWords(speed)}/s` : "", where].filter(Boolean).join(" · "),
      compile: "Preparing to compute…",
    };
    this.#line.textContent = words[phase];
    this.#bar.setAttribute("aria-valuetext", words[phase]);
  }

  /** @param {string} called */
  #label(called) {
    const { model, entry } = this;
    if (!model) return;
    const { info } = model;
    this.#name.textContent = called;
    this.#name.dataset.name = called;
    const facts = [
      info.parameters ? `${countInWords(info.parameters)} parameters` : "",
      info.quantization,
      info.architecture,
      ...this.#show.facts(info),
      bytesInWords(entry?.bytes ?? info.weightBytes),
    ];
    this.#facts.textContent = facts.filter(Boolean).join(" · ");
    this.#words.textContent = entry?.description ?? "";
    this.#licence.replaceChildren(...licenceOf(entry));
    for (const card of this.#list.querySelectorAll("button")) card.setAttribute("aria-pressed", String(card.dataset.model === entry?.id));
  }

  #empty() {
    this.#name.textContent = "No model yet";
    this.#facts.textContent = this.#show.none;
    this.#words.textContent = "";
    this.#licence.replaceChildren();
    element("chooser", HTMLDetailsElement).open = true;
  }

  /** Files dropped anywhere. @param {HTMLElement} veil */
  #takeDrops(veil) {
    const carries = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
    addEventListener("dragover", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      veil.hidden = false;
    });
    addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) veil.hidden = true;
    });
    addEventListener("drop", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      veil.hidden = true;
      const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry());
      if (entries.some((entry) => entry?.isDirectory)) filesBelow(entries).then((files) => this.openFiles(files));
      else this.openFiles([...(event.dataTransfer?.files ?? [])]);
    });
  }
}

/** Under which licence a model is shown, and where its terms stand. @param {CatalogEntry | undefined} entry @returns {(Node | string)[]} */
function licenceOf(entry) {
  if (!entry?.license) return [];
  const told = `Licence: ${entry.license}`;
  if (!entry.terms) return [told];
  const named = entry.terms.startsWith(location.origin) ? "its text" : entry.terms;
  return [`${told} · `, make("a", { href: entry.terms, rel: "license noopener", target: "_blank" }, named)];
}

/** The model among the files of a folder. @param {string} folder @param {File[]} files */
async function modelIn(folder, files) {
  const byPath = new Map(files.map((file) => [pathOf(file), file]));
  const paths = [...byPath.keys()];
  const indexed = await Promise.all(
    indexesAmong(paths).map(async (path) => /** @type {[string, string[]]} */ ([path, filesOfIndex(path, (await byPath.get(path)?.text()) ?? "")])),
  );
  const chosen = modelFiles(paths, folder, new Map(indexed)).map((path) => /** @type {[string, File]} */ ([path, byPath.get(path)]));
  return { files: Object.fromEntries(chosen) };
}

/** @param {File} file */
function isWeights(file) {
  return /\.(gguf|safetensors|bin|pth?|ckpt|npz)$/i.test(file.name);
}

/** @param {string} address */
function lastPart(address) {
  return address.split(/[?#]/)[0].split("/").pop() || address;
}

/** @param {string} source */
function rememberAddress(source) {
  const here = new URL(location.href);
  here.searchParams.set("model", source);
  history.replaceState(null, "", here);
}

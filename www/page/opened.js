/**
 * The models that were opened here before and are kept in the browser's storage: listed with their size, opened and forgotten, without a network too. The
 * list is put at the end of the chooser.
 */

import { pageEngine } from "../engine.js";
import { bytesInWords, element, make } from "./dom.js";

/** @import { OpenedModel } from "../vitrine.js" */
/** @typedef {(source: OpenedModel["source"], options: { name: string, remember: boolean }) => void} Open */

export class Opened {
  #list = make("ul", { id: "opened-list", "data-test": "opened-list", class: "models", "data-heir": "#chooser summary" });
  #section = make("section", { id: "opened", "data-test": "opened", "aria-labelledby": "opened-title", hidden: "" }, make("h3", { id: "opened-title" }, "Opened before"), this.#list);
  #shows;
  #open;

  /** @param {(model: OpenedModel) => boolean} shows whether the page lists it @param {Open} open */
  constructor(shows, open) {
    this.#shows = shows;
    this.#open = open;
    element("chooser", HTMLDetailsElement).append(this.#section);
  }

  /** Looks again what there is. */
  async refresh() {
    const engine = await pageEngine();
    // A browser that keeps nothing has nothing to list.
    const opened = await engine.opened().catch(() => []);
    this.#show(opened.filter(this.#shows));
  }

  /** @param {OpenedModel[]} models */
  #show(models) {
    this.#section.hidden = models.length === 0;
    this.#list.replaceChildren(...models.map((model) => this.#item(model)));
  }

  /** @param {OpenedModel} model */
  #item(model) {
    const name = nameOf(model);
    const open = make("button", { type: "button", "aria-label": `Open ${name}` }, "Open");
    const forget = make("button", { type: "button", class: "plain", "aria-label": `Forget ${name}` }, "Forget");
    open.addEventListener("click", () => this.#open(model.source, { name, remember: true }));
    forget.addEventListener("click", () => this.#forget(model));
    const facts = [model.architecture, model.quantization, bytesInWords(model.bytes)].filter(Boolean).join(" · ");
    return make("li", { class: "found" }, make("p", { class: "name" }, name), make("p", { class: "small" }, facts), make("div", { class: "acts" }, open, forget));
  }

  /** @param {OpenedModel} model */
  async #forget(model) {
    const engine = await pageEngine();
    await engine.cache.delete(model).catch(() => {});
    await this.refresh();
  }
}

/** By its repository where it has one, and by its file. @param {OpenedModel} model */
function nameOf({ source, files, name }) {
  const address = typeof source === "string" ? source : (files.find((file) => /\.(gguf|safetensors|bin|pth?|ckpt|npz)$/i.test(file)) ?? files[0]);
  const file = decodeURIComponent(address.split(/[?#]/)[0].split("/").pop() ?? "") || name;
  const [, repository] = /^hf:\/\/[^/]+\/([^/@]+)/.exec(address) ?? /^https?:\/\/.+\/([^/]+)\/resolve\/[^/]+\//.exec(address) ?? [];
  return repository ? `${repository}, ${file}` : file;
}

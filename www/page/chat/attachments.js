/** Text files that go along with the next message: a chip each, with its size in tokens. */

import { element, make } from "../dom.js";

/** @import { Attachment } from "./conversation.js" */

/** Larger than any context of a model that runs here. */
const MOST_BYTES = 4_000_000;

export class Attachments extends EventTarget {
  #list = element("attached", HTMLElement);
  /** @type {(Attachment & { tokens?: number })[]} */
  #files = [];
  #count;

  /** @param {(text: string) => Promise<number | undefined>} count how many tokens a text is to the model in use */
  constructor(count) {
    super();
    this.#count = count;
  }

  /** @returns {Attachment[]} */
  get files() {
    return this.#files.map(({ name, text }) => ({ name, text }));
  }

  /** Takes them all off. */
  clear() {
    this.#files = [];
    this.#show();
  }

  /** @param {Attachment[]} files */
  set files(files) {
    this.#files = [...files];
    this.#show();
    this.recount();
  }

  /**
   * @param {File[]} files
   * @returns {Promise<string[]>} a sentence for each that cannot be taken
   */
  async add(files) {
    /** @type {string[]} */
    const refused = [];
    for (const file of files) {
      const text = file.size > MOST_BYTES ? undefined : await textOf(file);
      if (text === undefined) refused.push(file.size > MOST_BYTES ? `“${file.name}” is larger than any model here could read.` : `“${file.name}” is no text (UTF-8): a text, a table or source code can go along.`);
      else if (text.trim() === "") refused.push(`“${file.name}” is empty.`);
      else this.#files.push({ name: file.name, text });
    }
    this.#show();
    await this.recount();
    return refused;
  }

  /** Counts them as the model in use reads them. */
  async recount() {
    for (const file of this.#files) file.tokens = await this.#count(file.text);
    this.#show();
  }

  #show() {
    this.#list.replaceChildren(
      ...this.#files.map((file) => {
        const off = make("button", { type: "button", class: "plain", "aria-label": `Leave ${file.name} out` }, "×");
        off.addEventListener("click", () => {
          this.#files.splice(this.#files.indexOf(file), 1);
          this.#show();
        });
        const tokens = file.tokens === undefined ? "" : `, ${file.tokens.toLocaleString("en")} tokens`;
        return make("li", { class: "chip" }, make("span", {}, `${file.name}${tokens}`), off);
      }),
    );
    this.dispatchEvent(new Event("change"));
  }
}

/** Whether files are texts by their names, and none of a model. @param {File[]} files */
export function areTexts(files) {
  return files.length > 0 && files.every(({ name }) => /\.(txt|md|markdown|csv|tsv|json|ya?ml|toml|xml|html?|css|m?[jt]sx?|rs|py|rb|go|java|kt|c|h|cc|cpp|hpp|cs|swift|php|pl|lua|r|jl|sh|sql|tex|bib|log|ini|diff|patch)$/i.test(name));
}

/** Its text, where it is one. @param {File} file */
async function textOf(file) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    return text.includes("\0") ? undefined : text.replaceAll("\r\n", "\n");
  } catch {
    return undefined;
  }
}

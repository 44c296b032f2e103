/**
 * `<vitrine-tokens model="storyteller" prompt="The fox ran">`: words as a model's tokenizer cuts them, each token in a colour and with its number. Two models beside each other:
 * a second one with `linked-to`.
 */

import { make, soon } from "../page/dom.js";
import { visible } from "./candidates.js";
import { fetchTokenizer } from "./load.js";
import { PIECES } from "./look.js";
import { Worded, worded } from "./worded.js";

/** @import { Tokenizer } from "../vitrine.js" */
/** @import { Wish } from "./load.js" */

/** More are counted, and not shown. */
const SHOWN = 400;

/** @extends {Worded<any>} */
export class VitrineTokens extends Worded {
  static kinds = /** @type {const} */ (["text"]);
  static label = "The words";
  static look = PIECES;
  static attributes = worded("storyteller", "The little fox could not sleep.");

  /** The tokens, once they are there. @type {{ token: number, text: string }[]} */
  tokens = [];
  /** Texts of tokens, by their numbers. @type {Map<number, string>} */
  #texts = new Map();
  #cut = () => void this.show().catch(() => {});

  parts() {
    return [
      make("div", { class: "text", part: "text" }, this.field()),
      make("ol", { class: "pieces numbered", part: "tokens", "aria-label": "Tokens", translate: "no", hidden: "" }),
      make("p", { class: "sum", part: "sum", role: "status", lang: "en" }),
    ];
  }

  /** @param {Wish<any>} wish */
  bring(wish) {
    return fetchTokenizer(wish);
  }

  /** @param {string} name */
  changed(name) {
    super.changed(name);
    if (name === "model") this.#texts.clear();
  }

  loaded() {
    super.loaded();
    if (!this.isWorking) this.#cut();
  }

  worded() {
    if (this.tokens.length > 0) soon(this.#cut);
  }

  act() {
    return this.show();
  }

  get outcome() {
    return { prompt: this.words, tokens: this.tokens };
  }

  /** Cuts the words. Resolves with the tokens. */
  async show() {
    await this.work(
      async ({ tokenizer }, signal) => {
        const { words } = this;
        const ids = [...(await tokenizer.encode(words, { addSpecialTokens: false, signal }))];
        await Promise.all([...new Set(ids)].map((id) => this.#read(tokenizer, id)));
        signal.throwIfAborted();
        this.tokens = ids.map((token) => ({ token, text: this.#texts.get(token) ?? "" }));
        const items = this.tokens.slice(0, SHOWN).map(({ token, text }, at) =>
          make("li", { class: `piece hue-${at % 5}`, part: "token" }, make("span", { class: "word", dir: "auto" }, ...visible(text)), make("small", {}, String(token))),
        );
        const pieces = this.inner("pieces");
        pieces.replaceChildren(...items);
        pieces.hidden = ids.length === 0;
        const [characters, more] = [[...words].length, ids.length - SHOWN];
        this.inner("sum").textContent =
          `${ids.length} token${ids.length === 1 ? "" : "s"} for ${characters} character${characters === 1 ? "" : "s"}, of a vocabulary of ${tokenizer.info.vocabulary.toLocaleString("en")}.` +
          (more > 0 ? ` The first ${SHOWN} are shown.` : "");
      },
      { brief: true },
    );
    return this.tokens;
  }

  /** Finds out what a token says in the middle of a text: some tokenizers leave out a space where one begins. @param {Tokenizer} tokenizer @param {number} id */
  async #read(tokenizer, id) {
    if (this.#texts.has(id)) return;
    const [one, two] = await Promise.all([[id], [id, id]].map((ids) => tokenizer.decode(ids, { skipSpecialTokens: false })));
    this.#texts.set(id, two.slice(one.length));
  }
}

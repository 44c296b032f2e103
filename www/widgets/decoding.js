/**
 * `<vitrine-decoding prompt="One winter day" ways="greedy beams nucleus contrastive">`: one beginning, gone on with in several ways, and how the beams of a beam search went.
 */

import { make } from "../page/dom.js";
import { number, someOf, whole } from "./attributes.js";
import { beamTable } from "./beams.js";
import { PIECES, TABLE } from "./look.js";
import { pace } from "./pace.js";
import { Worded, worded } from "./worded.js";

/** @import { Strategy, TextModel } from "../vitrine.js" */

/** What each way does, for a reader. @type {Record<string, [name: string, does: string]>} */
const WAYS = {
  greedy: ["Greedy", "always the likeliest token"],
  beams: ["Beam search", "the likeliest text as a whole, among a few that are followed at once"],
  nucleus: ["Nucleus", "drawn by chance among the likeliest that together reach top-p"],
  contrastive: ["Contrastive", "a likely token that is unlike what stands before it"],
};

/** @extends {Worded<TextModel>} */
export class VitrineDecoding extends Worded {
  static kinds = /** @type {const} */ (["text"]);
  static verb = "Write";
  static label = "The beginning";
  static look = `${PIECES}${TABLE}
    dl { margin: .8em 0 0; }
    dt { margin-top: .6em; font-size: .85em; line-height: 1.4; color: var(--_soft); }
    dt b { color: var(--_ink); }
    dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; min-height: 1.6em; }
    .scroll { overflow-x: auto; }`;
  static attributes = {
    ...worded("storyteller", "One winter day, a fox"),
    ways: someOf(Object.keys(WAYS), Object.keys(WAYS)),
    "max-tokens": whole(1, 1000, 40),
    beams: whole(2, 8, 3),
    "top-p": number(0.05, 1, 0.9),
    temperature: number(0.05, 10, 1),
    alpha: number(0.01, 1, 0.6),
    seed: whole(0, 2 ** 32 - 1),
    pace: pace(),
  };

  /** What each way wrote. @type {Record<string, string>} */
  texts = {};

  parts() {
    return [make("div", { class: "text", part: "text" }, this.field()), make("dl", { class: "ways", part: "ways" }), make("div", { class: "tree", lang: "en" }), this.unread()];
  }

  /** @param {string} name */
  changed(name) {
    super.changed(name);
    if (name === "ways") this.#clear();
  }

  worded() {
    this.stop();
    this.#clear();
  }

  get outcome() {
    return { prompt: this.words, texts: { ...this.texts } };
  }

  act() {
    return this.write();
  }

  /** Writes in all the ways, one after another. Resolves with the texts. */
  async write() {
    await this.work(async (model, signal) => {
      const [ways, maxTokens, beams, topP, temperature, alpha] = ["ways", "max-tokens", "beams", "top-p", "temperature", "alpha"].map((name) => this.value(name));
      const seed = this.begin();
      const { words } = this;
      this.#clear();
      /** @type {Record<string, Strategy>} */
      const all = {
        greedy: { maxTokens, temperature: 0 },
        nucleus: { maxTokens, temperature, topP, topK: 0, minP: 0, seed },
        contrastive: { maxTokens, contrastive: { alpha, k: 4 } },
      };
      const asked = ways.filter((/** @type {string} */ way) => way in all);
      const strategies = asked.map((/** @type {string} */ name) => ({ name, ...all[name] }));
      this.inner("ways").setAttribute("aria-busy", "true");
      try {
        if (strategies.length > 0) {
          for await (const { name, text } of model.compare(words, strategies, { signal })) {
            if (!(await this.paced(signal))) return;
            this.#tell(name, text);
          }
        }
        if (!ways.includes("beams")) return;
        const found = await model.beams(words, { beams, maxTokens, trace: true, signal });
        signal.throwIfAborted();
        this.#tell("beams", found[0].text);
        this.inner("tree").replaceChildren(
          make("details", {}, make("summary", {}, "How the beams went"), make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Beams, step by step" }, beamTable(found, beams))),
        );
      } finally {
        this.inner("ways").removeAttribute("aria-busy");
      }
    });
    return this.texts;
  }

  /** @param {string} way @param {string} text */
  #tell(way, text) {
    this.texts[way] = (this.texts[way] ?? "") + text;
    this.inner(`way-${way}`).textContent = this.texts[way].trimStart();
  }

  #clear() {
    this.texts = {};
    /** @type {string[]} */
    const ways = this.setting("ways");
    const rows = ways.map((way) => {
      const [name, does] = WAYS[way];
      return [make("dt", { lang: "en" }, make("b", {}, name), `: ${does}`), make("dd", { class: `way-${way}`, part: "story", dir: "auto" })];
    });
    this.inner("ways").replaceChildren(...rows.flat());
    this.inner("tree").replaceChildren();
  }
}

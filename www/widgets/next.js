/**
 * `<vitrine-next model="storyteller" prompt="Once upon a" temperature="0.8" top-k="40" top-p="0.95" min-p="0.05">`: what may come next, and which filter removes what. A
 * token that is picked, or drawn, goes to the end of the text; pressing one there goes back to before it, and the way that was left is kept.
 */

import { make, soon } from "../page/dom.js";
import { number, whole } from "./attributes.js";
import { candidateTable, filtersInWords, visible } from "./candidates.js";
import { PIECES, SLIDERS, TABLE } from "./look.js";
import { setSlider, sliderValue, sliders } from "./sliders.js";
import { Worded, worded } from "./worded.js";

/** @import { TextModel, Trace } from "../vitrine.js" */
/** @typedef {{ token: number, text: string }} Picked */

/** How many ways that were left are kept. */
const KEPT = 6;

/** @type {import("./sliders.js").Scale[]} */
const SCALES = [
  { name: "temperature", label: "Temperature", min: 0, max: 2, step: 0.05, show: (value) => (value === 0 ? "0, the likeliest" : value.toFixed(2)) },
  { name: "top-k", label: "Top-k", min: 0, max: 100, step: 1, show: (value) => (value === 0 ? "off" : String(value)) },
  { name: "top-p", label: "Top-p", min: 0.05, max: 1, step: 0.01, show: (value) => (value === 1 ? "off" : value.toFixed(2)) },
  { name: "min-p", label: "Min-p", min: 0, max: 0.5, step: 0.01, show: (value) => (value === 0 ? "off" : value.toFixed(2)) },
];

/** @extends {Worded<TextModel>} */
export class VitrineNext extends Worded {
  static kinds = /** @type {const} */ (["text"]);
  static verb = "Draw one";
  static label = "The text so far";
  static look = PIECES + TABLE + SLIDERS;
  static attributes = {
    ...worded("storyteller", "One winter day, a fox"),
    temperature: number(0, 2, 0.8),
    "top-k": whole(0, 100, 40),
    "top-p": number(0.05, 1, 0.95),
    "min-p": number(0, 0.5, 0.05),
    candidates: whole(2, 40, 8),
    seed: whole(0, 2 ** 32 - 1),
  };

  /** What was picked or drawn behind the words. @type {Picked[]} */
  #picked = [];
  /** Ways that were left. @type {Picked[][]} */
  #left = [];
  /** What may come next. @type {Trace | undefined} */
  trace;
  #again = () => void this.look().catch(() => {});

  present() {
    const moved = SCALES.map(({ name }) => [name, sliderValue(this.inner(`slide-${name}`))]);
    return { ...super.present(), prompt: this.text, ...Object.fromEntries(moved) };
  }

  parts() {
    return [
      make("div", { class: "text", part: "text" }, this.field(), make("span", { class: "story", part: "story", dir: "auto" })),
      make("div", { class: "left", part: "branches", lang: "en", hidden: "" }),
      sliders(SCALES, () => soon(this.#again)),
      make("div", { class: "candidates", lang: "en" }),
      make("p", { class: "sum", part: "sum", role: "status", lang: "en" }),
    ];
  }

  /** @param {string} name */
  changed(name) {
    super.changed(name);
    if (SCALES.some((scale) => scale.name === name)) setSlider(this.inner(`slide-${name}`), this.setting(name));
    if (name === "model") this.#picked = this.#left = [];
    if (name !== "prompt" && this.trace) soon(this.#again);
  }

  loaded() {
    super.loaded();
    if (!this.isWorking) this.#again();
  }

  worded() {
    this.#picked = this.#left = [];
    if (this.trace) soon(this.#again);
  }

  /** The words with what was picked. */
  get text() {
    return this.words + this.#picked.map(({ text }) => text).join("");
  }

  get outcome() {
    return { prompt: this.words, text: this.text };
  }

  act() {
    return this.draw();
  }

  /** Draws the next token by what the filters leave. Resolves with the text. */
  async draw() {
    let ended = false;
    await this.#compute(async (model, signal) => {
      const chunk = await this.#step(model, signal, { seed: this.begin() });
      ended = chunk === undefined;
      if (chunk) this.#picked = [...this.#picked, { token: chunk.token, text: chunk.piece }];
    });
    if (ended) this.inner("sum").textContent = "The model drew the end: the text is over. Pick another token to go on.";
    return this.text;
  }

  /** Puts a token behind the text. @param {Picked} candidate */
  async pick({ token, text }) {
    this.#picked = [...this.#picked, { token, text }];
    await this.look();
  }

  /** Shows what may come next. */
  look() {
    return this.#compute(async () => {});
  }

  /** @param {number} count of the picked tokens that stay */
  async #back(count) {
    const way = this.#picked;
    this.#left = [way, ...this.#left.filter((each) => !isBeginning(each, way))].slice(0, KEPT);
    this.#picked = way.slice(0, count);
    await this.look();
    this.focus();
  }

  /** @param {(model: TextModel, signal: AbortSignal) => Promise<void>} first */
  #compute(first) {
    return this.work(
      async (model, signal) => {
        await first(model, signal);
        const chunk = await this.#step(model, signal);
        // Where the end comes first, what would come if it might not.
        const { trace } = chunk ?? (await this.#step(model, signal, { minTokens: 1 })) ?? {};
        signal.throwIfAborted();
        this.trace = trace;
        this.#show(trace, !chunk);
      },
      { brief: true },
    );
  }

  /** The token that comes next, none where the text ends. @param {TextModel} model @param {AbortSignal} signal @param {{ seed?: number, minTokens?: number }} [more] */
  async #step(model, signal, { seed = 0, minTokens = 0 } = {}) {
    const [temperature, topK, topP, minP] = SCALES.map(({ name }) => sliderValue(this.inner(`slide-${name}`)));
    const ids = [...(await model.tokenize(this.words, { signal })), ...this.#picked.map(({ token }) => token)];
    const options = { maxTokens: 1, minTokens, temperature, topK, topP, minP, seed, alternatives: this.value("candidates"), trace: true, signal };
    for await (const { token, piece, trace } of model.generate(ids, options)) if (trace && token !== undefined) return { token, piece, trace };
    return undefined;
  }

  /** @param {Trace | undefined} trace @param {boolean} ends */
  #show(trace, ends) {
    const pieces = this.#picked.map(({ text }, at) => {
      const piece = make("button", { type: "button", class: `piece pick hue-${at % 5}`, title: "Back to before this token" }, ...visible(text));
      piece.addEventListener("click", () => this.#back(at).catch(() => {}));
      return piece;
    });
    this.inner("story").replaceChildren(...pieces);
    const left = this.inner("left");
    left.hidden = this.#left.length === 0;
    const ways = this.#left.map((way) => {
      const button = make("button", { type: "button", class: "pick plain" }, make("span", { dir: "auto", translate: "no" }, `…${way.map(({ text }) => text).join("")}`));
      button.addEventListener("click", () => {
        this.#left = this.#left.filter((each) => each !== way);
        if (this.#picked.length > 0 && !isBeginning(this.#picked, way)) this.#left = [this.#picked, ...this.#left].slice(0, KEPT);
        this.#picked = way;
        this.look().catch(() => {});
      });
      return make("li", {}, button);
    });
    left.replaceChildren(make("p", {}, "Ways that you left:"), make("ul", {}, ...ways));
    const pick = (/** @type {Picked} */ candidate) => void this.pick(candidate).catch(() => {});
    const caption = "What may come next. Press a token to go on with it.";
    this.inner("candidates").replaceChildren(...(trace ? [candidateTable(trace, { caption, pick })] : []));
    this.inner("sum").textContent = `${ends ? "Here the model ends the text; these would come if it might not. " : ""}${trace ? filtersInWords(trace) : ""}`;
  }
}

/** Whether a way is the beginning of another, or all of it. @param {Picked[]} way @param {Picked[]} other */
function isBeginning(way, other) {
  return way.every(({ token }, at) => other[at]?.token === token);
}

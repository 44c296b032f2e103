/**
 * `<vitrine-score prompt="The fox ran." other="The fox telephone.">`: how surprising a model finds a text, token by token; with `other`, two texts beside each
 * other, and which of them it finds likelier.
 */

import { make, percent } from "../page/dom.js";
import { words } from "./attributes.js";
import { visible } from "./candidates.js";
import { PIECES, TABLE } from "./look.js";
import { Worded, typed, wordField, worded } from "./worded.js";

/** @import { Score, TextModel } from "../vitrine.js" */

/** @extends {Worded<TextModel>} */
export class VitrineScore extends Worded {
  static kinds = /** @type {const} */ (["text"]);
  static verb = "How surprising?";
  static label = "The text";
  static look = `${PIECES}${TABLE}
    .piece { display: inline; padding: .1em .12em; background: color-mix(in srgb, var(--_alert) calc(45% * var(--surprise, 0)), transparent); box-decoration-break: clone; }
    .scored { margin: .5em 0 0; line-height: 2; overflow-wrap: anywhere; }
    .text + .scored { margin-top: .5em; }
    .second { margin-top: 1em; padding-top: 1em; border-top: 1px dotted var(--_line); }
    .verdict { margin: .8em 0 0; font-weight: 700; }`;
  static attributes = { ...worded("storyteller", "The fox ran into the forest."), other: words("") };

  /** What each text is found to be, once it was asked for. @type {Score[]} */
  scores = [];

  parts() {
    const other = wordField("The other text", () => {
      if (!this.isWorking) this.act().catch(() => {});
    });
    other.classList.replace("own", "other");
    other.addEventListener("input", () => this.worded());
    const result = (/** @type {string} */ name) => make("div", { class: name, part: "result", lang: "en" });
    return [
      make("div", { class: "text", part: "text" }, this.field()),
      result("first-result"),
      make("div", { class: "second", hidden: "" }, make("div", { class: "text", part: "text" }, other), result("second-result")),
      make("p", { class: "verdict", part: "sum", role: "status", lang: "en", hidden: "" }),
      this.unread(),
    ];
  }

  /** @param {string} name */
  changed(name) {
    super.changed(name);
    if (name === "other") {
      this.inner("second").hidden = !this.hasAttribute("other");
      this.inner("other").textContent = this.value("other");
      this.worded();
    }
    if (name === "model") this.worded();
    if (name === "locked" || name === "linked-to") {
      const own = this.inner("own");
      for (const each of ["contenteditable", "aria-readonly"]) {
        const value = own.getAttribute(each);
        if (value === null) this.inner("other").removeAttribute(each);
        else this.inner("other").setAttribute(each, value);
      }
    }
  }

  /** What was found is of other words. */
  worded() {
    this.scores = [];
    for (const name of ["first-result", "second-result"]) this.inner(name).replaceChildren();
    this.inner("verdict").hidden = true;
  }

  get outcome() {
    return { prompt: this.words, scores: this.scores };
  }

  act() {
    return this.score();
  }

  /** Asks the model. Resolves with what it finds of each text. */
  async score() {
    await this.work(async (model, signal) => {
      this.begin();
      const texts = [this.words, ...(this.hasAttribute("other") ? [typed(this.inner("other"))] : [])];
      const scores = [];
      for (const text of texts) scores.push(await model.score(text, { signal }));
      signal.throwIfAborted();
      this.scores = scores;
      scores.forEach((score, at) => this.inner(["first-result", "second-result"][at]).replaceChildren(...found(score, texts[at])));
      const verdict = this.inner("verdict");
      verdict.hidden = scores.length < 2;
      if (scores.length === 2) verdict.textContent = compared(scores[0], scores[1]);
    });
    return this.scores;
  }
}

/** Bits of surprise. @param {number} logprob */
const bits = (logprob) => -logprob / Math.LN2;

/** @param {Score} score @param {string} words */
function found({ tokens: all, perplexity, logprob }, words) {
  // The mark that some models begin each text with is none of the reader's words.
  const tokens = all[0]?.logprob === undefined && !words.startsWith(all[0]?.text) ? all.slice(1) : all;
  const pieces = tokens.map(({ text, logprob }) => {
    const piece = make("span", { class: "piece", part: "token", dir: "auto" }, ...visible(text));
    // Twelve bits, one of four thousand, are as deep as it gets.
    piece.style.setProperty("--surprise", logprob === undefined ? "0" : Math.min(1, bits(logprob) / 12).toFixed(3));
    // Where it may be broken: the spaces are signs.
    return [make("wbr"), piece];
  });
  const rows = tokens.map(({ text, logprob }) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, make("span", { dir: "auto", translate: "no" }, ...visible(text))),
      make("td", { class: "number" }, logprob === undefined ? "not asked: nothing stands before it" : percent(Math.exp(logprob))),
      make("td", { class: "number" }, logprob === undefined ? "" : bits(logprob).toFixed(1)),
    ),
  );
  const head = make("tr", {}, ...["Token", "Probability", "Bits"].map((name, at) => make("th", { scope: "col", class: at > 0 ? "number" : "" }, name)));
  const table = make("table", { part: "table" }, make("caption", {}, "How likely each token was, behind those before it"), make("thead", {}, head), make("tbody", {}, ...rows));
  const unsure = `Perplexity ${perplexity.toFixed(1)}: at each token the model was as unsure as among ${perplexity < 10 ? perplexity.toFixed(1) : Math.round(perplexity).toLocaleString("en")} that are all alike. Together ${bits(logprob).toFixed(1)} bits.`;
  return [
    make("p", { class: "scored", translate: "no" }, ...pieces.flat()),
    make("p", { class: "sum", part: "sum", role: "status" }, unsure),
    make("details", {}, make("summary", {}, "All tokens as a table"), table),
  ];
}

/** @param {Score} first @param {Score} second */
function compared(first, second) {
  const [a, b] = [first.perplexity, second.perplexity];
  const numbers = `(perplexity ${a.toFixed(1)} and ${b.toFixed(1)})`;
  if (Math.abs(a - b) < 0.05) return `To the model both are as likely, token by token ${numbers}.`;
  return `To the model the ${a < b ? "first" : "second"} is the likelier text, token by token ${numbers}.`;
}

/**
 * `<vitrine-schema regex=" found a (key|star) in the (snow|attic)\." prompt="One winter day, a fox">`: a text that is held to a form, one of `schema`, `regex`, `choice` and
 * `grammar`, and what that form forbade at each token. A token that is pressed shows what it was drawn from; the arrow keys go from one to the next.
 */

import { make } from "../page/dom.js";
import { number, whole } from "./attributes.js";
import { candidateTable, visible } from "./candidates.js";
import { WidgetError, codeOf } from "./faults.js";
import { chosen, expression, grammar, kindsOfForm, refused, schema } from "./forms.js";
import { PIECES, TABLE } from "./look.js";
import { pace } from "./pace.js";
import { Worded, typed, wordField, worded } from "./worded.js";

/** @import { FinishReason, GenerateOptions, TextModel, Trace } from "../vitrine.js" */
/** @import { Attribute } from "./attributes.js" */
/** @import { KindOfForm } from "./forms.js" */

/**
 * A token, whether the form left no other way, and whether it removed what the model found likeliest.
 * @typedef {{ token: number, text: string, forced: boolean, bent: boolean, left: number, trace: Trace }} Held
 */

/** What is said of a token besides its text. @param {Held} held */
const mark = ({ forced, bent }) => (forced ? "forced" : bent ? "bent" : "");
/** @type {Record<string, string>} */
const MARKS = { forced: ", had to come", bent: ", not the model's first choice: that was forbidden" };

/** Why a text ended before it was whole. @type {Record<string, string>} */
const CUT = { length: "as many tokens are there as were asked for", context: "the model can look back on no more", aborted: "it was stopped" };

/** @extends {Worded<TextModel>} */
export class VitrineSchema extends Worded {
  static kinds = /** @type {const} */ (["text"]);
  static verb = "Write";
  static label = "The beginning";
  static look = `${PIECES}${TABLE}
    .held { margin: 0 0 .8em; font-size: .85em; line-height: 1.5; color: var(--_soft); }
    .form { display: block; padding: .3em .5em; background: var(--_card); color: var(--_ink); font-family: ui-monospace, monospace; tab-size: 2; }
    .tokens { line-height: 1.9; }
    button.token { display: inline-block; min-height: 24px; min-width: 24px; margin: 1px 1px 1px 0; padding: 0 .2em; border: 0; border-bottom: 3px solid transparent; background: var(--_card); color: var(--_ink);
      line-height: 1.4; max-width: 100%; overflow-wrap: anywhere; white-space: pre-wrap; }
    button.token.forced { border-bottom: 3px dotted var(--_line); color: var(--_soft); }
    button.token.bent { border-bottom-color: var(--_alert); }
    button.token[aria-pressed="true"] { outline: 2px solid var(--_accent); outline-offset: -1px; }
    .key { display: flex; flex-wrap: wrap; gap: .2em 1.2em; margin: .6em 0 0; padding: 0; list-style: none; font-size: .85em; line-height: 1.5; color: var(--_soft); }
    .key span { display: inline-block; padding: 0 .3em; border-bottom: 3px dotted var(--_line); background: var(--_card); }
    .key .bent { border-bottom: 3px solid var(--_alert); color: var(--_ink); }
    @media (forced-colors: active) { button.token { border: 1px solid ButtonBorder; } button.token.forced { border-style: dotted; } }`;
  /** @type {Record<string, Attribute>} */
  static attributes = {
    ...worded("storyteller", "One winter day, a fox"),
    schema: schema(),
    regex: expression(" found a (key|lantern|star|teapot) in the (snow|forest|attic|castle)\\."),
    choice: chosen(),
    grammar: grammar(),
    "max-tokens": whole(1, 1000, 80),
    temperature: number(0, 10, 0.8),
    candidates: whole(2, 20, 8),
    seed: whole(0, 2 ** 32 - 1),
    pace: pace(),
  };

  /** What was written. @type {Held[]} */
  tokens = [];
  /** How many tokens the model knows. */
  #vocabulary = 0;
  /** Which text is shown: one that was begun anew, or cleared, is another. @type {symbol | undefined} */
  #run;

  parts() {
    const form = wordField("The form", () => {
      if (!this.isWorking) this.act().catch(() => {});
    });
    form.classList.replace("own", "form");
    for (const [name, value] of Object.entries({ part: "form", dir: "ltr", translate: "no" })) form.setAttribute(name, value);
    form.addEventListener("input", () => this.worded());
    const tokens = make("span", { class: "tokens", part: "story", role: "toolbar", "aria-label": "The text, token by token", dir: "auto", translate: "no", hidden: "" });
    tokens.addEventListener("keydown", (event) => this.#turn(event));
    const key = make(
      "ul",
      { class: "key", lang: "en", hidden: "" },
      make("li", {}, make("span", {}, "dotted"), " had to come: the form left one way"),
      make("li", {}, make("span", { class: "bent" }, "underlined"), " the form forbade what the model found likeliest"),
    );
    return [
      make("div", { class: "held" }, make("span", { class: "kind", lang: "en" }), form),
      make("div", { class: "text", part: "text" }, this.field(), tokens),
      make("p", { class: "sum", part: "sum", role: "status", lang: "en" }),
      key,
      make("div", { class: "candidates", lang: "en" }),
      this.unread(),
    ];
  }

  /** @param {string} name */
  value(name) {
    const value = super.value(name);
    const other = this.#said().find((each) => each !== name);
    if (other && this.#said().some((each) => each === name)) {
      throw new WidgetError("bad-argument", `This part of the page is not set up right: ${name} and ${other} both say what the text is; leave one of them out.`);
    }
    return value;
  }

  /** @param {string} name */
  changed(name) {
    super.changed(name);
    if (name in kindsOfForm) {
      const kind = this.#kind;
      this.inner("kind").textContent = `Held to ${kindsOfForm[kind].called}:`;
      this.inner("form").textContent = this.getAttribute(kind) ?? VitrineSchema.attributes[kind].fallback ?? "";
    }
    if (name in kindsOfForm || name === "model") this.worded();
    if (name !== "locked" && name !== "linked-to") return;
    const own = this.inner("own");
    for (const each of ["contenteditable", "aria-readonly"]) {
      const value = own.getAttribute(each);
      if (value === null) this.inner("form").removeAttribute(each);
      else this.inner("form").setAttribute(each, value);
    }
  }

  /** The form as it stands there now. */
  present() {
    const kind = this.#kind;
    return { ...super.present(), [kind]: VitrineSchema.attributes[kind].read(typed(this.inner("form"))) };
  }

  /** What was written went on from other words, or was held to another form. */
  worded() {
    this.stop();
    this.#clear();
  }

  /** What the model has written. */
  get text() {
    return this.tokens.map(({ text }) => text).join("");
  }

  get outcome() {
    return { prompt: this.words, text: this.text, tokens: this.tokens };
  }

  act() {
    return this.write();
  }

  /** Writes a text of the form; a second call ends the first. Resolves with the text. */
  async write() {
    await this.work(async (model, signal) => {
      const [maxTokens, temperature, alternatives] = ["max-tokens", "temperature", "candidates"].map((name) => this.value(name));
      const [kind, form] = this.#form();
      const seed = this.begin();
      const { words } = this;
      this.#clear();
      const run = Symbol("run");
      this.#run = run;
      this.#vocabulary = model.info.vocabulary;
      /** @type {FinishReason | undefined} */
      let reason;
      let parted = -1;
      const tokens = this.inner("tokens");
      tokens.setAttribute("aria-busy", "true");
      try {
        const options = { maxTokens, temperature, seed, signal, [kind]: form };
        const unwatched = await unasked(model, words, options);
        const stream = model.generate(words, { ...options, alternatives, trace: true });
        for await (const { token, piece, trace } of stream) {
          if (token === undefined || !trace) continue;
          if (!(await this.paced(signal))) break;
          this.#add(held(token, piece, trace, unwatched.isForced(this.text, piece), this.#vocabulary));
          if (this.value("pace") !== "fast") this.#open(this.tokens.length - 1);
        }
        reason = stream.summary?.finishReason;
        parted = this.tokens.findIndex((_, at) => !unwatched.text.startsWith(this.tokens.slice(0, at + 1).map(({ text }) => text).join("")));
      } catch (error) {
        throw codeOf(error) === "bad-argument" && !signal.aborted ? refused(kind, error) : error;
      } finally {
        // Another text may stand there by now, or none.
        if (this.#run === run) {
          tokens.removeAttribute("aria-busy");
          this.#conclude(signal.aborted ? "aborted" : reason, parted);
        }
      }
    });
    return this.text;
  }

  /** The forms that the attributes name. @returns {KindOfForm[]} */
  #said() {
    return /** @type {KindOfForm[]} */ (Object.keys(kindsOfForm)).filter((each) => this.hasAttribute(each));
  }

  get #kind() {
    return this.#said()[0] ?? "regex";
  }

  /** The form as it stands there now. @returns {[KindOfForm, unknown]} */
  #form() {
    const kind = this.#kind;
    const { read, allowed } = VitrineSchema.attributes[kind];
    const form = read(typed(this.inner("form")));
    if (form === undefined) throw new WidgetError("bad-argument", `The form cannot be read: it must be ${allowed}.`);
    return [kind, form];
  }

  /** @param {Held} held */
  #add(held) {
    const at = this.tokens.length;
    this.tokens = [...this.tokens, held];
    const kind = mark(held);
    const button = make(
      "button",
      { type: "button", class: `token ${kind}`, part: "token", "aria-pressed": "false", tabindex: at === 0 ? "0" : "-1" },
      ...visible(held.text),
      ...(kind ? [make("span", { class: "unseen" }, MARKS[kind])] : []),
    );
    button.addEventListener("click", () => this.#open(at));
    this.inner("tokens").append(button);
    for (const part of ["tokens", "key"]) this.inner(part).hidden = false;
  }

  /** Shows what a token was drawn from. @param {number} at */
  #open(at) {
    const { token, trace, left, forced } = this.tokens[at];
    this.#buttons.forEach((button, each) => {
      button.setAttribute("aria-pressed", String(each === at));
      button.tabIndex = each === at ? 0 : -1;
    });
    const many = `The form left ${left.toLocaleString("en")} of ${this.#vocabulary.toLocaleString("en")} tokens`;
    const why = forced && left > 1 ? ", all of them pieces of the one text that could come" : "";
    this.inner("candidates").replaceChildren(candidateTable(trace, { taken: token, caption: `Token ${at + 1}. ${many}${why}. “Ruled out” is what it forbade.` }));
  }

  /** @returns {HTMLElement[]} */
  get #buttons() {
    return /** @type {HTMLElement[]} */ ([...this.inner("tokens").children]);
  }

  /** @param {KeyboardEvent} event */
  #turn(event) {
    const buttons = this.#buttons;
    const at = buttons.indexOf(/** @type {HTMLElement} */ (event.target));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || to === undefined || !buttons[to]) return;
    event.preventDefault();
    this.#open(to);
    buttons[to].focus();
  }

  /** @param {FinishReason | undefined} reason @param {number} parted the first token that is not in the text that was written unwatched, or -1 */
  #conclude(reason, parted) {
    if (this.tokens.length === 0) return;
    const count = (/** @type {(held: Held) => boolean} */ which) => this.tokens.filter(which).length;
    const [all, forced, bent] = [this.tokens.length, count(({ forced }) => forced), count((held) => mark(held) === "bent")];
    const cut = CUT[reason ?? ""];
    this.inner("sum").textContent =
      `${all} token${all === 1 ? "" : "s"}: ${forced} had to come, and at ${bent} the form forbade what the model found likeliest. ` +
      (cut ? `The text is cut off (${cut}), so it is not yet of the form.` : "Press a token for what it was drawn from.") +
      (parted >= 0 ? ` From token ${parted + 1} on, more may have had to come than is marked.` : "");
    const first = this.tokens.findIndex((held) => mark(held) === "bent");
    this.#open(Math.max(0, first));
  }

  #clear() {
    this.tokens = [];
    this.#run = undefined;
    const tokens = this.inner("tokens");
    tokens.removeAttribute("aria-busy");
    tokens.replaceChildren();
    tokens.hidden = this.inner("key").hidden = true;
    this.inner("sum").textContent = "";
    this.inner("candidates").replaceChildren();
  }
}

/**
 * Which tokens of a text had to come. Where each step is to be told of, the model is asked for all of them; so the same text is written once unwatched, and what it was not asked for there
 * had to come here too, as long as both say the same.
 * @param {TextModel} model
 * @param {string} words
 * @param {GenerateOptions} options
 */
async function unasked(model, words, options) {
  /** @type {[from: number, to: number][]} */
  const spans = [];
  let text = "";
  for await (const { piece, forced } of model.generate(words, options)) {
    const [from, to] = [text.length, text.length + piece.length];
    text += piece;
    if (!forced) continue;
    // Forced tokens that follow each other are one span.
    const last = spans.at(-1);
    if (last?.[1] === from) last[1] = to;
    else spans.push([from, to]);
  }
  const isForced = (/** @type {string} */ before, /** @type {string} */ piece) => {
    const [from, to] = [before.length, before.length + piece.length];
    return text.startsWith(before + piece) && spans.some((span) => span[0] <= from && to <= span[1]);
  };
  return { text, isForced };
}

/** @param {number} token @param {string} text @param {Trace} trace @param {boolean} unasked @param {number} vocabulary @returns {Held} */
function held(token, text, trace, unasked, vocabulary) {
  const left = trace.filters.find(([name]) => name === "ban")?.[1] ?? vocabulary;
  return { token, text, trace, left, forced: unasked || left === 1, bent: trace.candidates[0]?.droppedBy === "ban" };
}

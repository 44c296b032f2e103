/**
 * `<vitrine-quant model="storyteller storyteller-q4_0" prompt="One winter day, a fox">`: the same weights in several forms, each loaded, measured and let go of in its turn: bytes on the
 * device, bits a weight, the perplexity of a text, and the likeliest way on from the words, with the place where it first differs from that of the form with the most bits. With `forms`, a model whose file
 * is not quantised is made so while it loads.
 */

import { bytesInWords, make } from "../page/dom.js";
import { someOf, source, whole, words } from "./attributes.js";
import { WidgetError } from "./faults.js";
import { fetchModel, openEngine } from "./load.js";
import { TABLE } from "./look.js";
import { Worded, worded } from "./worded.js";

/** @import { LoadOptions, ModelInfo, TextModel } from "../vitrine.js" */
/** @import { Wish } from "./load.js" */
/** @typedef {NonNullable<LoadOptions["quantization"]>} Form */

/**
 * @typedef {{ model: string, form: Form, name: string, deviceBytes: number, bits: number, perplexity: number, text: string, tokens: { token: number, text: string }[] }} Measured
 * `name`: for readers; `bits`: of a weight
 */

/** Forms that weights are given while they load, and the bits of one: a block of 32 weights has a scale of 16 bits. @type {Record<string, number>} */
const MADE = { f16: 16, q8_0: 8 + 16 / 32, q4_0: 4 + 16 / 32 };
const FORMS = ["keep", ...Object.keys(MADE)];
/** What is not quantised. */
const PLAIN = /^B?F\d+$/i;
/** Models in all forms: more is more waiting than a page of prose is worth. */
const MOST = 8;

/** @extends {Worded<any>} */
export class VitrineQuant extends Worded {
  static kinds = /** @type {const} */ (["text"]);
  static verb = "Compare";
  static label = "The beginning";
  static look = `${TABLE}
    .text { white-space: pre-wrap; overflow-wrap: anywhere; }
    th small { display: block; color: var(--_soft); font-size: 1em; }
    tr.best th { font-weight: 700; }
    tr.best small { font-weight: 400; }
    thead th { vertical-align: bottom; overflow-wrap: normal; }
    @media (max-width: 22em) { th[scope="row"] { overflow-wrap: anywhere; min-width: 6.5em; } table { font-size: .68em; } }
    dl { margin: .8em 0 0; }
    dt { margin-top: .6em; font-size: .85em; line-height: 1.4; color: var(--_soft); }
    dt b { color: var(--_ink); }
    dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
    mark { background: none; color: inherit; text-decoration: underline 2px var(--_alert); text-underline-offset: .2em; }
    .unseen { white-space: normal; }`;
  static attributes = {
    ...worded("storyteller storyteller-q4_0", "One winter day, a fox was out in the snow."),
    model: { ...source("storyteller storyteller-q4_0"), allowed: "names or addresses of models, with spaces between them" },
    forms: someOf(FORMS, ["keep"]),
    text: words(""),
    "max-tokens": whole(1, 1000, 40),
  };

  /** What was measured, in the order of the attributes. @type {Measured[]} */
  results = [];

  parts() {
    return [
      make("div", { class: "text", part: "text" }, this.field()),
      make("div", { class: "measures", lang: "en" }),
      make("dl", { class: "ways", part: "ways" }),
      make("p", { class: "unseen sum", part: "sum", role: "status", lang: "en" }),
    ];
  }

  /** Nothing is loaded before it is asked for: each form comes in its turn. @param {Wish<any>} wish */
  async bring({ device }) {
    await openEngine(device);
    return { unload() {} };
  }

  /** @param {string} name */
  changed(name) {
    super.changed(name);
    if (["model", "forms", "text", "max-tokens"].includes(name)) this.worded();
  }

  /** What was measured is of other words. */
  worded() {
    this.stop();
    this.#clear();
  }

  get outcome() {
    return { prompt: this.words, results: this.results };
  }

  act() {
    return this.compare();
  }

  /** Loads each form and measures it; a second call ends the first. Resolves with what was measured. */
  async compare() {
    await this.work(async (_, signal) => {
      const [device, maxTokens] = ["device", "max-tokens"].map((name) => this.value(name));
      const all = this.#all();
      this.begin();
      const { words } = this;
      const text = this.value("text") || words;
      this.#clear();
      for (const [at, { name, form }] of all.entries()) {
        const nth = all.length > 1 ? ` ${at + 1} of ${all.length}` : "";
        this.say(`Loading form${nth}…`);
        /** @type {Wish<TextModel>} */
        const wish = { name, device, kinds: VitrineQuant.kinds, unfit: (info) => unmade(info, form), onProgress: () => {}, signal, quantization: form };
        const model = await fetchModel(wish);
        try {
          this.say(`Measuring form${nth}…`);
          this.results = [...this.results, await measured(model, { name, form, words, text, maxTokens, signal })];
        } finally {
          await model.unload();
        }
        if (signal.aborted) return;
        this.#show(text);
      }
      this.say("");
      this.inner("sum").textContent = `${all.length} form${all.length === 1 ? " is" : "s are"} measured.`;
    });
    return this.results;
  }

  /** Every model in every form. Errors: `bad-argument`, too many. */
  #all() {
    const [model, forms] = ["model", "forms"].map((name) => this.value(name));
    /** @type {string[]} */
    const names = [...new Set(model.split(/\s+/))];
    const all = names.flatMap((name) => forms.map((/** @type {Form} */ form) => ({ name, form })));
    if (all.length > MOST) {
      throw new WidgetError("bad-argument", `This part of the page is not set up right: ${names.length} models in ${forms.length} forms are more than ${MOST} to compare; name fewer.`);
    }
    return all;
  }

  /** @param {string} text whose perplexity was measured */
  #show(text) {
    const { results } = this;
    const best = bestOf(results);
    const rows = results.map((each) =>
      make(
        "tr",
        { class: each === best ? "best" : "" },
        make("th", { scope: "row" }, each.name, make("small", {}, stored(each))),
        make("td", { class: "number" }, bytesInWords(each.deviceBytes)),
        make("td", { class: "number" }, each.bits.toFixed(1)),
        make("td", { class: "number" }, each.perplexity.toFixed(2)),
      ),
    );
    const head = ["Form", "On the device", "Bits a weight", "Perplexity"].map((name, at) => make("th", { scope: "col", class: at > 0 ? "number" : "" }, name));
    const caption = make("caption", {}, "On the device: weights, caches and plans. Perplexity: the less, the surer the model of “", make("span", { dir: "auto" }, text), "”");
    this.inner("measures").replaceChildren(make("table", { part: "table" }, caption, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
    const ways = results.map((each) => {
      const from = differsFrom(each, best);
      const [same, other] = [each.tokens.slice(0, from), each.tokens.slice(from)].map((tokens) => tokens.map(({ text }) => text).join(""));
      const says =
        each === best
          ? "what the others are compared with"
          : from === undefined
            ? `the same, all ${each.tokens.length} tokens`
            : `other from token ${from + 1} on`;
      const rest = from === undefined ? [] : [make("span", { class: "unseen", lang: "en" }, " From here on otherwise: "), make("mark", {}, other || "∅")];
      return [make("dt", { lang: "en" }, make("b", {}, `${each.name}, ${stored(each)}`), `: ${says}`), make("dd", { part: "story", dir: "auto" }, same.trimStart(), ...rest)];
    });
    this.inner("ways").replaceChildren(...ways.flat());
  }

  #clear() {
    this.results = [];
    for (const name of ["measures", "ways", "sum"]) this.inner(name).replaceChildren();
  }
}

/**
 * @param {TextModel} model
 * @param {{ name: string, form: Form, words: string, text: string, maxTokens: number, signal: AbortSignal }} asked
 * @returns {Promise<Measured>}
 */
async function measured(model, { name, form, words, text, maxTokens, signal }) {
  const { info } = model;
  const { deviceBytes } = model.stats;
  const { perplexity } = await model.score(text, { signal });
  const tokens = [];
  for await (const { token, piece } of model.generate(words, { temperature: 0, maxTokens, signal })) if (token !== undefined) tokens.push({ token, text: piece });
  const bits = MADE[form] ?? (8 * info.weightBytes) / info.parameters;
  const called = /[/:]/.test(name) ? info.name : name;
  return { model: name, form, name: `${called} ${form === "keep" ? info.quantization : form.toUpperCase()}`, deviceBytes, bits, perplexity, text: tokens.map(({ text }) => text).join(""), tokens };
}

/** Why a model cannot be given a form: what is quantised already stays as it is. @param {ModelInfo} info @param {Form} form */
function unmade({ name, quantization }, form) {
  if (!form.startsWith("q") || PLAIN.test(quantization)) return undefined;
  return `The weights of “${name}” are ${quantization} in their file already and cannot be made ${form}. This part of the page needs a model whose weights are F16 or F32, or no forms.`;
}

/** @param {Measured} measured */
const stored = ({ form }) => (form === "keep" ? "as its file has it" : "made so while it loads");

/** The form with the most bits, the first of several. @param {Measured[]} results */
function bestOf(results) {
  return results.reduce((best, each) => (each.bits > best.bits ? each : best));
}

/** The first token that is another; none where all are the same. @param {Measured} one @param {Measured} other */
function differsFrom({ tokens }, { tokens: others }) {
  const at = tokens.findIndex(({ text }, at) => others[at]?.text !== text);
  return at >= 0 ? at : tokens.length < others.length ? tokens.length : undefined;
}

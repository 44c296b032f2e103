/**
 * Looking for a model on the hub: the hub is asked when the reader presses the button, and what it has is listed with what is to be known before it is
 * opened. The form and the lists are put at the end of the chooser.
 */

import { causeOf } from "../causes.js";
import { pageEngine } from "../engine.js";
import { VitrineError } from "../vitrine.js";
import { bytesInWords, countInWords, element, make } from "./dom.js";
import { sentence } from "./notices.js";

/** @import { FoundFile, FoundModel, ModelKind } from "../vitrine.js" */
/** @typedef {(source: string, options: { name: string, remember: boolean }) => void} Open */

const SILENT = "The hub does not answer. The connection may be down; what was opened before, and files of your own, need none.";

export class Find {
  #query = make("input", {
    id: "find",
    "data-test": "find",
    type: "search",
    enterkeyhint: "search",
    autocapitalize: "off",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: "200",
    "aria-describedby": "find-help",
  });
  #button = make("button", { id: "find-go", "data-test": "find-go" }, "Search the hub");
  #status = make("p", { id: "find-status", "data-test": "find-status", class: "small", role: "status" });
  #results = make("ul", { id: "find-results", "data-test": "find-results", class: "models", "aria-label": "What the hub has" });
  #kind;
  #open;
  #unfit;
  /** @type {AbortController | undefined} */
  #abort;

  /**
   * @param {ModelKind} kind what the page shows
   * @param {string} example words that find such models
   * @param {Open} open
   * @param {(model: FoundModel) => string | undefined} [unfit] why the page has no use for a model that runs
   */
  constructor(kind, example, open, unfit = () => undefined) {
    this.#kind = kind;
    this.#open = open;
    this.#unfit = unfit;
    this.#query.placeholder = example;
    const form = make(
      "form",
      { id: "find-form", class: "address", role: "search", "aria-label": "Models on the Hugging Face hub" },
      make("label", { for: "find" }, "or look for one on the Hugging Face hub"),
      make("div", {}, this.#query, this.#button),
      make("p", { id: "find-help", class: "small" }, "Your words go to huggingface.co when you press the button, and not before."),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#abort) this.#abort.abort();
      else if (this.#query.value.trim()) this.#ask(this.#query.value.trim());
    });
    element("chooser", HTMLDetailsElement).append(form, this.#status, this.#results);
  }

  /** @param {string} query */
  async #ask(query) {
    const abort = new AbortController();
    this.#abort = abort;
    this.#button.textContent = "Stop";
    this.#results.replaceChildren();
    this.#status.textContent = "Asking the hub…";
    try {
      const engine = await pageEngine();
      const all = await engine.find(query, { kind: this.#kind, signal: abort.signal });
      const found = all.map((model) => this.#fitting(model)).toSorted((a, b) => Number(b.runs) - Number(a.runs));
      this.#results.replaceChildren(...found.map((model) => this.#item(model)));
      this.#status.textContent = counted(found, query);
    } catch (error) {
      this.#status.textContent = abort.signal.aborted ? "Stopped." : plainly(error);
    } finally {
      this.#abort = undefined;
      this.#button.textContent = "Search the hub";
    }
  }

  /** What runs and is of no use to the page is to it as what does not run. @param {FoundModel} model */
  #fitting(model) {
    const why = model.runs ? this.#unfit(model) : undefined;
    return why === undefined ? model : { ...model, runs: false, why };
  }

  /** @param {FoundModel} model */
  #item(model) {
    const { repository, page, runs, why, license } = model;
    const link = make("a", { href: page, rel: "external noopener", target: "_blank" }, repository);
    const item = make("li", { class: "found", "data-repository": repository, "data-runs": String(runs) }, make("p", { class: "name" }, link));
    const facts = [...(runs ? factsOf(model) : []), license ? `licence: ${license}` : "no licence named"];
    item.append(make("p", { class: "small" }, facts.join(" · ")));
    if (!runs) {
      item.append(make("p", { class: "small" }, sentence(why ?? "")));
      return item;
    }
    const files = [model, ...model.others];
    const choice = make("select", { "aria-label": `File of ${repository}` }, ...files.map((file, at) => make("option", { value: String(at) }, fileInWords(file))));
    const button = make("button", { type: "button", "aria-label": `Open ${repository}` }, "Open");
    button.addEventListener("click", () => this.#open(files[Number(choice.value)].source, { name: repository.split("/")[1], remember: true }));
    item.append(make("div", { class: "acts" }, ...(files.length > 1 ? [choice] : []), button));
    return item;
  }
}

/** @param {FoundModel} model */
function factsOf({ architecture, quantization, quantizationBy, parameters, bytes, memory, fits, tokensPerSecond }) {
  const taken = memory ? memory.weights + memory.caches : 0;
  const room = { true: "which fits", false: "more than there is here", null: "whether it fits is not known" }[String(fits)];
  return [
    architecture,
    parameters ? `${countInWords(parameters)} parameters` : "",
    quantization && quantizationBy === "name" ? `${quantization} by its name` : quantization,
    bytes ? `${bytesInWords(bytes)} to fetch` : "",
    taken ? `takes ${bytesInWords(taken)}, ${room}` : "",
    tokensPerSecond === null ? "" : `roughly ${tokensPerSecond.toLocaleString("en")} tokens a second`,
  ].filter(Boolean);
}

/** @param {FoundFile} file */
function fileInWords({ source, quantization, bytes }) {
  return [quantization ?? source.split("/").pop(), bytes ? bytesInWords(bytes) : ""].filter(Boolean).join(", ");
}

/** @param {FoundModel[]} found @param {string} query */
function counted(found, query) {
  const run = found.filter(({ runs }) => runs).length;
  if (found.length === 0) return `The hub has nothing for “${query}” that could run here. Try fewer or other words.`;
  const others = found.length - run;
  const rest = others > 0 ? `, ${others} other${others > 1 ? "s do" : " does"} not` : "";
  return `${run} of these run${run === 1 ? "s" : ""} here${rest}. Speeds are estimates.`;
}

/** @param {unknown} error */
function plainly(error) {
  if (!navigator.onLine) return "This browser is not connected to the network. What was opened before, and files of your own, need none.";
  if (!(error instanceof VitrineError)) return String(error);
  const cause = causeOf(error.message);
  if (cause === "silent") return SILENT;
  if (cause === "policy") return "The rules that this page came with (its Content-Security-Policy) forbid it to ask the hub.";
  return sentence(error.message);
}

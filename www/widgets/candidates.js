/** A table of what a token was drawn from: how likely each was to the model, what filters left of it, and which of them removed it. */

import { make, percent } from "../page/dom.js";

/** @import { Considered, FilterName, Trace } from "../vitrine.js" */

/** What each filter is called where it removed something. @type {Record<FilterName, string>} */
const FILTERS = {
  ban: "ruled out",
  topNSigma: "top-n-sigma",
  topK: "top-k",
  typicalP: "typical-p",
  topP: "top-p",
  minP: "min-p",
  xtc: "XTC",
  mirostat: "mirostat",
  temperature: "temperature 0",
};

/**
 * @param {Trace} trace
 * @param {{ taken?: number, caption: string, pick?: (candidate: Considered) => void }} more `pick`: words become buttons that take them
 */
export function candidateTable({ candidates }, { taken, caption, pick }) {
  const rows = candidates.map((each) => {
    const { text, token, logprob, probability, droppedBy } = each;
    const share = make("span", { class: "bar", "aria-hidden": "true" });
    share.style.setProperty("--share", Math.exp(logprob).toFixed(4));
    const word = make("span", { class: "word", part: "token", dir: "auto", translate: "no" }, ...visible(text));
    const name = pick ? make("button", { type: "button", class: "pick plain", "data-token": String(token) }, word) : word;
    if (pick) name.addEventListener("click", () => pick(each));
    const kinds = [droppedBy ? "dropped" : "", token === taken ? "taken" : ""].filter(Boolean).join(" ");
    return make(
      "tr",
      { class: kinds },
      make("th", { scope: "row" }, name, ...(token === taken ? [make("span", { class: "unseen" }, ", taken")] : [])),
      make("td", { class: "bars" }, share),
      make("td", { class: "number" }, percent(Math.exp(logprob))),
      make("td", { class: `number${droppedBy ? " why" : ""}` }, droppedBy ? `removed: ${FILTERS[droppedBy]}` : percent(probability)),
    );
  });
  const head = make(
    "tr",
    {},
    make("th", { scope: "col" }, "Token"),
    make("td", { class: "bars" }),
    make("th", { scope: "col", class: "number" }, "Model"),
    make("th", { scope: "col", class: "number" }, "Left to draw from"),
  );
  return make("table", { part: "table" }, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...rows));
}

/** How many tokens each filter that is on left, in a sentence. @param {Trace} trace */
export function filtersInWords({ filters }) {
  if (filters.length === 0) return "No filter is on: every token may be drawn.";
  return `Left of all tokens: ${filters.map(([name, left]) => `${left.toLocaleString("en")} after ${FILTERS[name]}`).join(", ")}.`;
}

/** @type {Record<string, string>} */
const SIGNS = { " ": "·", "\n": "↵", "\t": "⇥" };

/** A token's text with its spaces and line breaks made visible; those who do not see it hear what it is made of. @param {string} text @returns {(Node | string)[]} */
export function visible(text) {
  const shown = text === "" ? ["∅"] : text.split(/([ \n\t])/).filter(Boolean);
  const parts = shown.map((part) => (part in SIGNS || part === "∅" ? make("span", { class: "mute", "aria-hidden": "true" }, SIGNS[part] ?? part) : part));
  return text.trim() === "" ? [...parts, make("span", { class: "unseen" }, text === "" ? "the end" : "a space or line break")] : parts;
}

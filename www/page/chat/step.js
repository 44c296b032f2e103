/** A step on the way to an answer as it is shown: its words, and a card for each call. */

import { make } from "../dom.js";
import { Passage } from "./passage.js";
import { TOOLS } from "./tools.js";

/** @import { Call, Step } from "./conversation.js" */

export class StepView {
  #passage = new Passage();
  #cards = make("div", { class: "calls" });
  /** What the cards showed last. */
  #drawn = "";
  element = make("div", { class: "step" }, ...this.#passage.elements, this.#cards);

  /** @param {Step} step @param {boolean} more whether more will come */
  show({ text, calls }, more) {
    this.#passage.grow(text, more);
    const state = JSON.stringify([calls, more]);
    if (state === this.#drawn) return;
    this.#drawn = state;
    this.#cards.replaceChildren(...calls.map((call) => cardOf(call, more)));
  }

  /** As it is read aloud. */
  get spoken() {
    return this.element.innerText;
  }
}

/** @param {Call} call @param {boolean} more */
function cardOf(call, more) {
  const { name, given, result, fault } = call;
  const title = TOOLS.find((tool) => tool.name === name)?.title;
  const state = fault !== undefined ? "fault" : result !== undefined ? "done" : "running";
  // Where nothing runs here, another tab is at it, or was when it went.
  const words = { running: more ? "Running…" : "Not finished", done: "Done", fault: "Failed" }[state];
  const head = make("p", { class: "call-head" }, make("span", { class: "call-name" }, title ? `${title} · ` : "", make("code", {}, name)), make("span", { class: "call-state" }, words));
  const rows = make("dl", {}, ...argumentsOf(given));
  if (fault !== undefined) rows.append(row("Fault", fault, "call-fault"));
  else if (result !== undefined) rows.append(row("Result", result, "call-result"));
  return make("div", { class: "call", role: "group", "data-state": state, "aria-label": `Call of ${title ?? name}` }, head, rows);
}

/** A row for each argument; what could not be read, as it was written. @param {unknown} given */
function argumentsOf(given) {
  if (typeof given !== "object" || given === null) return given === undefined ? [] : [row("Written", String(given))];
  return Object.entries(given).map(([name, value]) => row(name, typeof value === "string" ? value : JSON.stringify(value)));
}

/** @param {string} name @param {string} value @param {string} [kind] */
function row(name, value, kind) {
  return make("div", kind ? { class: kind } : {}, make("dt", {}, name), make("dd", {}, value));
}

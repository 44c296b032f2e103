/** Which functions of the page a conversation's model may call. */

import { element, make } from "../dom.js";
import { TOOLS } from "./tools.js";

/** What a conversation says of them. @typedef {{ tools: string[], mustCall: boolean }} Allowed */

export class ToolPanel extends EventTarget {
  #switches = TOOLS.map(({ name, title, words }) => ({ name, ...row(`tool-${name}`, title, words) }));
  #must = row("must-call", "Begin with a call", "Small models seldom call anything by themselves.");
  #note = make("p", { class: "small", role: "status" });

  constructor() {
    super();
    element("tools", HTMLElement).append(...this.#switches.map(({ label }) => label), this.#must.label, this.#note);
    for (const { input } of [...this.#switches, this.#must]) {
      input.addEventListener("change", () => {
        this.#mark();
        this.dispatchEvent(new Event("change"));
      });
    }
    this.#mark();
  }

  /** What a conversation has. @param {Partial<Allowed>} said */
  show({ tools = [], mustCall = false }) {
    for (const { name, input } of this.#switches) input.checked = tools.includes(name);
    this.#must.input.checked = mustCall;
    this.#mark();
  }

  /** @returns {Allowed} */
  get said() {
    return { tools: this.#switches.filter(({ input }) => input.checked).map(({ name }) => name), mustCall: this.#must.input.checked };
  }

  /** Whether the model in use can be told of any. @param {boolean} can */
  set possible(can) {
    for (const { input } of this.#switches) input.disabled = !can;
    this.#note.textContent = can ? "" : "This model calls nothing: it has learnt no conversations, or nobody knows how it writes calls.";
    this.#mark();
  }

  #mark() {
    this.#must.input.disabled = !this.#switches.some(({ input }) => input.checked && !input.disabled);
  }
}

/** @param {string} id @param {string} title @param {string} words */
function row(id, title, words) {
  const input = make("input", { type: "checkbox", role: "switch", id, "data-test": id, "aria-describedby": `${id}-words` });
  const label = make("label", { class: "switch tool" }, input, make("span", {}, title, make("span", { class: "small", id: `${id}-words` }, words)));
  return { input, label };
}

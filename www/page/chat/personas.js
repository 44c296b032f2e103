/** What a model is told before a conversation: a few texts that come with the page, and those that the reader keeps by a name. */

import { element, make } from "../dom.js";

/** @typedef {{ name: string, system: string }} Persona */

/** Short: small models keep to a few plain sentences. @type {Persona[]} */
const OURS = [
  { name: "Plain helper", system: "You are a helpful assistant. Answer in a few clear sentences. If you do not know something, say so." },
  { name: "Patient teacher", system: "You explain things to a curious twelve-year-old. Use short sentences, everyday words and one example." },
  { name: "Editor", system: "You improve texts. Give back the reader's text with mistakes corrected and clumsy sentences made plain. Change nothing else." },
  { name: "Summariser", system: "You sum up what the reader gives you in three to five bullet points. Add nothing that is not there." },
  { name: "Storyteller", system: "You tell short stories that begin at once, show what happens, and come to an end." },
];

const NONE = "";

export class Personas extends EventTarget {
  #choice = make("select", { id: "persona", "data-test": "persona", "aria-label": "Persona" });
  #system = make("textarea", { id: "system", "data-test": "system", rows: "3", "aria-label": "System prompt: what the model is told before this conversation", placeholder: "Nothing" });
  #name = make("input", { type: "text", id: "persona-name", "data-test": "persona-name", maxlength: "60", placeholder: "A name", "aria-label": "Name to keep it by", autocomplete: "off" });
  #save = make("button", { id: "save-persona", "data-test": "save-persona" }, "Keep as persona");
  #forget = make("button", { type: "button", id: "forget-persona", "data-test": "forget-persona", class: "plain", "data-heir": "#persona" }, "Forget it");
  #note = make("p", { class: "small", role: "status" });
  /** @type {Persona[]} */
  #kept = [];

  constructor() {
    super();
    const form = make("form", { class: "keep-persona" }, this.#name, this.#save, this.#forget);
    element("told", HTMLElement).append(this.#choice, this.#system, form, this.#note);
    this.#choice.addEventListener("change", () => {
      const { system } = this.#named(this.#choice.value) ?? { system: "" };
      this.#system.value = system;
      this.#mark();
      this.#changed();
    });
    this.#system.addEventListener("input", () => {
      this.#mark();
      this.#changed();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#name.value.trim() || this.#choice.value;
      if (name === "" || this.#system.value.trim() === "") {
        this.#note.textContent = name === "" ? "Give it a name first." : "There is nothing to keep yet.";
        (name === "" ? this.#name : this.#system).focus();
        return;
      }
      this.#name.value = "";
      this.dispatchEvent(new CustomEvent("keep", { detail: { name, system: this.#system.value.trim() } }));
    });
    this.#forget.addEventListener("click", () => this.dispatchEvent(new CustomEvent("forget", { detail: this.#choice.value })));
    this.kept = [];
  }

  /** Those that the reader keeps; one called as one of ours stands in its place. @param {Persona[]} kept */
  set kept(kept) {
    this.#kept = kept;
    const chosen = this.#choice.value;
    const names = [...new Set([...OURS, ...kept].map(({ name }) => name))];
    this.#choice.replaceChildren(make("option", { value: NONE }, "No persona"), ...names.map((name) => make("option", { value: name }, name)));
    this.#choice.value = names.includes(chosen) ? chosen : NONE;
    this.#mark();
  }

  get kept() {
    return this.#kept;
  }

  /** What a conversation has. @param {{ persona: string, system: string }} told */
  show({ persona, system }) {
    this.#choice.value = this.#named(persona) ? persona : NONE;
    this.#system.value = system;
    this.#mark();
  }

  get persona() {
    return this.#choice.value;
  }

  get system() {
    return this.#system.value;
  }

  /** Shows one, and takes it. @param {string} name */
  choose(name) {
    this.#choice.value = name;
    this.#mark();
    this.#changed();
  }

  /** Whether the model in use can be told anything first. @param {boolean} can */
  set possible(can) {
    this.#choice.disabled = this.#system.disabled = this.#name.disabled = this.#save.disabled = !can;
    this.#note.textContent = can ? "" : "This model takes no such words: its chat template has no place for them, or it has none.";
  }

  /** @param {string} name */
  #named(name) {
    return this.#kept.find((each) => each.name === name) ?? OURS.find((each) => each.name === name);
  }

  /** What can be kept and forgotten. */
  #mark() {
    const { value } = this.#choice;
    this.#forget.hidden = !this.#kept.some(({ name }) => name === value);
    const persona = this.#named(value);
    this.#note.textContent = persona && persona.system !== this.#system.value.trim() ? `Changed from “${value}”, for this conversation alone.` : "";
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

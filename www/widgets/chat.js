/**
 * `<vitrine-chat model="storyteller" prompt="Tell me a story about a fox." system="…">`: a conversation with a model that answers. What is sent and answered stays above the field.
 */

import { make } from "../page/dom.js";
import { number, whole, words } from "./attributes.js";
import { pace } from "./pace.js";
import { Worded, worded } from "./worded.js";

/** @import { Conversation, ModelInfo, TextModel } from "../vitrine.js" */

/** @extends {Worded<TextModel>} */
export class VitrineChat extends Worded {
  static kinds = /** @type {const} */ (["text"]);
  static verb = "Send";
  static label = "Your message";
  static look = `
    .turns { display: grid; gap: .6em; max-height: 24em; overflow-y: auto; }
    .turns:not(:empty) { margin-bottom: .8em; }
    .turn { margin: 0; max-width: 90%; padding: .4em .8em; border: 1px solid var(--_line); border-radius: .6em; white-space: pre-wrap; overflow-wrap: anywhere; }
    .turn.yours { justify-self: end; background: var(--_card); color: var(--_accent); }
    .again { margin-top: .6em; font-size: .85em; }`;
  static attributes = {
    ...worded("storyteller", "Tell me a story about a fox."),
    system: words(""),
    "max-tokens": whole(1, 1_000_000, 256),
    temperature: number(0, 10, 0.8),
    seed: whole(0, 2 ** 32 - 1),
    pace: pace(),
  };

  /** @type {Conversation | undefined} */
  #talk;
  /** The model that the conversation is with. @type {TextModel | undefined} */
  #partner;

  parts() {
    const again = make("button", { class: "again plain", part: "again", type: "button", lang: "en", hidden: "" }, "Start over");
    again.addEventListener("click", () => {
      this.clear();
      this.focus();
    });
    const turns = make("div", { class: "turns", part: "turns", role: "log", "aria-label": "The conversation", tabindex: "0" });
    return [turns, make("div", { class: "words", part: "text" }, this.field()), again, this.unread()];
  }

  /** @param {string} name */
  changed(name) {
    super.changed(name);
    if (name === "model" || name === "system") this.clear();
  }

  /** @param {ModelInfo} info */
  unfit({ chat, chatProblem }) {
    return chat ? undefined : `This model goes on with a text and answers nothing; here one is needed that was made for conversations.${chatProblem ? ` (${chatProblem})` : ""}`;
  }

  /** The turns so far, as `model.chat` takes them. */
  get messages() {
    return [...(this.#talk?.messages ?? [])];
  }

  get outcome() {
    return { messages: this.messages };
  }

  act() {
    return this.send();
  }

  /** Forgets all turns. */
  clear() {
    this.stop();
    this.#talk = this.#partner = undefined;
    this.inner("turns").replaceChildren();
    this.inner("again").hidden = true;
  }

  /** Sends the words. Resolves with the answer. */
  async send() {
    let answer = "";
    await this.work(async (model, signal) => {
      const { words } = this;
      if (words.trim() === "") return this.say("Write something first.");
      const [system, maxTokens, temperature] = ["system", "max-tokens", "temperature"].map((name) => this.value(name));
      const seed = this.begin();
      // A model that was loaded anew goes on with the turns that are there.
      if (!this.#talk || this.#partner !== model) {
        this.#talk = model.conversation({ ...(this.#talk ? { messages: this.messages } : { system: system || undefined }), overflow: "drop-turns" });
      }
      this.#partner = model;
      this.inner("again").hidden = false;
      this.#turn("yours", "You").textContent = words;
      const [turns, turn] = [this.inner("turns"), this.#turn("its", "The model")];
      turn.setAttribute("aria-busy", "true");
      try {
        for await (const { text } of this.#talk.send(words, { maxTokens, temperature, seed, signal })) {
          // What was read is part of the conversation: it is shown, whatever comes next.
          turn.append(text);
          turns.scrollTop = turns.scrollHeight;
          if (!(await this.paced(signal))) break;
        }
        if (!this.hasAttribute("linked-to") && !this.setting("locked")) this.words = "";
      } finally {
        turn.removeAttribute("aria-busy");
        answer = turn.textContent ?? "";
      }
    });
    return answer;
  }

  /** @param {string} whose @param {string} name */
  #turn(whose, name) {
    const said = make("span", { dir: "auto" });
    const turn = make("p", { class: `turn ${whose}`, part: "turn" }, make("span", { class: "unseen", lang: "en" }, `${name}: `), said);
    this.inner("turns").append(turn);
    return said;
  }
}

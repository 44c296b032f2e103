/** The buttons that take conversations out of the page and bring them back. */

import { element } from "../dom.js";
import { titleOf } from "./library.js";
import { jsonOf, markdownOf, saveFile, takenFrom } from "./transfer.js";

/** @import { Notices } from "../notices.js" */
/** @import { Conversations } from "./conversations.js" */
/** @import { Personas } from "./personas.js" */

export class Exchange {
  #conversations;
  #personas;
  #notices;
  #announce;

  /** @param {Conversations} conversations @param {Personas} personas @param {Notices} notices @param {(words: string) => void} announce */
  constructor(conversations, personas, notices, announce) {
    this.#conversations = conversations;
    this.#personas = personas;
    this.#notices = notices;
    this.#announce = announce;
    const press = (/** @type {string} */ id, /** @type {() => void} */ act) => element(id, HTMLButtonElement).addEventListener("click", act);
    press("export-markdown", () => saveFile(markdownOf(conversations.shown), titleOf(conversations.shown), "md"));
    press("export-json", () => this.exportShown());
    press("export-all", () => saveFile(jsonOf({ conversations: conversations.list, personas: personas.kept }), "conversations", "json"));
    const input = element("import", HTMLInputElement);
    input.addEventListener("change", async () => {
      const files = [...(input.files ?? [])];
      input.value = "";
      for (const file of files) await this.#import(file);
    });
  }

  /** The conversation that is shown, with all its branches. */
  exportShown() {
    const { shown } = this.#conversations;
    saveFile(jsonOf({ conversations: [shown], personas: [] }), titleOf(shown), "json");
  }

  /** @param {File} file */
  async #import(file) {
    try {
      const { conversations, personas } = takenFrom(await file.text());
      await this.#conversations.takeIn(conversations);
      for (const persona of personas) await this.#conversations.keepPersona(persona);
      this.#personas.kept = await this.#conversations.personas();
      if (conversations.length > 0) this.#conversations.show(conversations[0].id);
      this.#announce(`${conversations.length} conversation${conversations.length === 1 ? " is" : "s are"} here again.`);
    } catch (error) {
      this.#notices.tell("That could not be imported", `“${file.name}” was not read: ${error instanceof Error ? error.message : error}. Nothing has changed.`);
    }
  }
}

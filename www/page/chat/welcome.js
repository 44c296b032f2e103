/** What stands where no message is yet: what the model in use can do and what it cannot, and words to begin with. */

import { bytesInWords, element, make } from "../dom.js";

/** @import { CatalogEntry, TextModel } from "../../vitrine.js" */
/** @typedef {{ begin(words: string): void, use(id: string): void }} Acts */

export class Welcome {
  #box = element("welcome", HTMLElement);
  #acts;

  /** @param {Acts} acts */
  constructor(acts) {
    this.#acts = acts;
  }

  /**
   * @param {{ model?: TextModel, entry?: CatalogEntry, name: string, busy: boolean, catalog: CatalogEntry[] }} now
   */
  show({ model, entry, name, busy, catalog }) {
    if (!model) {
      const words = busy ? "The model is on its way. You can write already." : "There is no model yet: open a file, or fetch one by its address.";
      return this.#box.replaceChildren(mark(), make("p", { class: "lead" }, words));
    }
    const { chat, chatProblem } = model.info;
    const tells = entry?.beginnings?.length ? "Ask for a story." : `What would you like to say to ${name}?`;
    const lead = chat ? tells : `${name} has learnt no conversations. It goes on with a text: begin one, and it writes what may come next.`;
    const parts = [mark(), make("p", { class: "lead" }, lead)];
    if (chatProblem) parts.push(make("p", { class: "small" }, `Its files bring a chat template that cannot be read: ${chatProblem}`));
    if (entry?.goodAt) parts.push(make("p", { class: "small" }, make("strong", {}, "Good at: "), lower(String(entry.goodAt))));
    if (entry?.badAt) parts.push(make("p", { class: "small" }, make("strong", {}, "Bad at: "), lower(String(entry.badAt))));
    const words = (chat ? entry?.prompts : entry?.beginnings) ?? [];
    if (words.length > 0) parts.push(make("div", { class: "examples", role: "group", "aria-label": "Words to begin with" }, ...words.slice(0, 4).map((each) => this.#example(each))));
    // The house's own is a teller of stories; what converses may lie beside it.
    const better = entry?.beginnings?.length ? catalog.find((each) => each.chat && each.id !== entry.id && !each.beginnings?.length && !each.file.includes("://")) : undefined;
    if (better) parts.push(this.#offer(better));
    return this.#box.replaceChildren(...parts);
  }

  set hidden(/** @type {boolean} */ hidden) {
    this.#box.hidden = hidden;
  }

  /** @param {string} words */
  #example(words) {
    const button = make("button", { type: "button" }, words);
    button.addEventListener("click", () => this.#acts.begin(words));
    return button;
  }

  /** @param {CatalogEntry} entry */
  #offer({ id, name, bytes }) {
    const use = make("button", { type: "button", "data-use": id }, `Use ${name}${bytes ? `, ${bytesInWords(bytes)}` : ""}`);
    use.addEventListener("click", () => this.#acts.use(id));
    return make("p", { class: "offer" }, "To converse about other things there is a model beside it. ", use);
  }
}

function mark() {
  const box = make("div", { class: "welcome-mark", "aria-hidden": "true" });
  const picture = document.querySelector(".masthead .mark")?.cloneNode(true);
  if (picture) box.append(picture);
  return box;
}

/** @param {string} sentence */
function lower(sentence) {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}

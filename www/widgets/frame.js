/** What stands around a widget's own parts: a picture that stands in for them until the model is there and on paper, and a caption. */

import { make } from "../page/dom.js";

/** Where the page's own picture goes: `<img slot="picture">`. */
export function standIn() {
  return make("slot", { name: "picture", class: "standin", part: "standin" });
}

/** The line below: the attribute's words, or `<… slot="caption">`. */
export function captionLine() {
  const slot = make("slot", { name: "caption" });
  const line = make("p", { class: "caption", part: "caption", hidden: "" }, slot);
  slot.addEventListener("slotchange", () => unfold(line, slot));
  return line;
}

/** @param {HTMLElement} line @param {string} words of the attribute */
export function showCaption(line, words) {
  const slot = /** @type {HTMLSlotElement} */ (line.firstElementChild);
  slot.textContent = words;
  unfold(line, slot);
}

/** Words of a slot of its own are such a change as well: nothing may be written here. @param {HTMLElement} line @param {HTMLSlotElement} slot */
function unfold(line, slot) {
  line.hidden = slot.textContent === "" && slot.assignedNodes().length === 0;
}

/** The row below the parts, in our own language whatever the page's is. @param {HTMLButtonElement} button @param {HTMLButtonElement} stop */
export function foot(button, stop) {
  return [
    make("div", { class: "row", part: "controls", lang: "en" }, button, stop, make("span", { class: "said", part: "status", role: "status" })),
    make("details", { class: "more", hidden: "", lang: "en" }, make("summary", {}, "Details"), make("p", { class: "details" })),
  ];
}

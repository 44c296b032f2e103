/** Says where something cannot be kept: it stays in the page, and the reader is told once what to do, and by a line for as long as it is so. */

import { element } from "../dom.js";

/** @import { Notices } from "../notices.js" */
/** @import { Conversations } from "./conversations.js" */

const FULL =
  "The browser has no room left: what is new here is not kept. Delete conversations, or forget models under “Show another model”, and it is kept at once; or export it.";
const NOTHING = "This browser keeps nothing for this page: what is new here goes with the tab. Export it to have it longer.";

/** @param {Conversations} conversations @param {Notices} notices @param {() => void} takeOut */
export function tellUnkept(conversations, notices, takeOut) {
  const line = element("unkept", HTMLElement);
  conversations.addEventListener("kept", () => (line.hidden = true));
  conversations.addEventListener("unkept", (event) => {
    const { detail: error } = /** @type {CustomEvent<unknown>} */ (event);
    const full = error instanceof DOMException && error.name === "QuotaExceededError";
    const first = line.hidden;
    line.hidden = false;
    line.textContent = full ? FULL : NOTHING;
    // Where there is nothing yet that could be lost, the line is enough.
    if (!first || conversations.shown.messages.length === 0) return;
    notices.tell(full ? "There is no room left to keep this" : "Nothing can be kept here", line.textContent, { label: "Export this conversation", act: takeOut });
    element("error", HTMLElement).dataset.code = "storage";
  });
}

/** Lines to copy, with the button that does it. */

import { make } from "./dom.js";

/**
 * @param {string} what it is called
 * @param {() => string} text
 * @param {...HTMLElement} more buttons beside its own
 */
export function copyable(what, text, ...more) {
  const code = make("code", {});
  const said = make("span", { role: "status" });
  const button = make("button", { type: "button", class: "plain", "aria-label": `Copy: ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    said.textContent = await copied(text(), code);
  });
  const show = () => {
    code.textContent = text();
    said.textContent = "";
  };
  show();
  return { box: make("div", { class: "code" }, make("pre", {}, code), make("p", {}, button, ...more, said)), said, show };
}

/** Puts a text on the clipboard, or, where there is none, selects what shows it. Resolves with what to say. @param {string} text @param {Node} shown */
export async function copied(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return "Copied.";
  } catch {
    getSelection()?.selectAllChildren(shown);
    return "The browser gives this page no clipboard: it is selected, copy it by hand.";
  }
}

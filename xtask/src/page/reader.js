// @ts-check
import { element } from "./common.js";

/** What the page notes for a later script. */
const page = /** @type {typeof globalThis & { lengths: number[] }} */ (globalThis);

/** Notes how long the story is whenever it changes. */
export function noteLengths() {
  const story = element("#story", HTMLElement);
  page.lengths = [];
  new MutationObserver(() => page.lengths.push(story.innerText.length)).observe(story, { childList: true, subtree: true, characterData: true });
}

/** Presses the button that stops as soon as there are so many tokens. @param {number} tokens */
export function stopAt(tokens) {
  const story = element("#story", HTMLElement);
  const stopping = new MutationObserver((_, observer) => {
    if (story.querySelectorAll(".token").length < tokens) return;
    observer.disconnect();
    element("#stop", HTMLButtonElement).click();
  });
  stopping.observe(story, { childList: true });
}

/** Makes every new token cost the page a few milliseconds. */
export function slowDown() {
  const waste = () => {
    const end = performance.now() + 40;
    while (performance.now() < end);
  };
  new MutationObserver(waste).observe(element("#story", HTMLElement), { childList: true });
}

/** As percentages, as the page tells them. @param {number[]} probabilities */
export async function percentages(probabilities) {
  const { percent } = await import("/page/dom.js");
  return probabilities.map(percent);
}

/** Sets a control as the reader's hand would: the value, then the events. @param {{ selector: string, value: string }} args */
export function set({ selector, value }) {
  const control = /** @type {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} */ (element(selector, HTMLElement));
  control.value = value;
  for (const type of ["input", "change"]) control.dispatchEvent(new Event(type, { bubbles: true }));
}

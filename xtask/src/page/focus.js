// @ts-check
import { element } from "./common.js";

/** What has the focus, by what tells it apart; "" where that is nothing that can have it. */
export async function focused() {
  // The browser lets go of what it hid with the next frame.
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const at = document.activeElement;
  if (!(at instanceof HTMLElement) || at === document.body || !at.checkVisibility() || at.matches(":disabled")) return "";
  return at.id || at.dataset.act || at.dataset.index || at.className || at.tagName;
}

/** Calls the frames of the film those of the picture before. */
export function ageFilm() {
  /** @type {NodeListOf<HTMLElement>} */
  const frames = document.querySelectorAll("#film button");
  for (const frame of frames) frame.dataset.old = "";
}

/** Presses the button that stops by the keyboard, as soon as there is something to stop. */
export function pressStop() {
  const stopping = new MutationObserver((_, observer) => {
    observer.disconnect();
    const stop = element("#stop", HTMLButtonElement);
    stop.focus();
    stop.click();
  });
  stopping.observe(element("#story", HTMLElement), { childList: true });
}

/** Fills an address in and goes to the button that fetches it. @param {string} address */
export function fillIn(address) {
  element("#chooser", HTMLDetailsElement).open = true;
  element("#address", HTMLInputElement).value = address;
  element("#fetch", HTMLButtonElement).focus();
}

/** A text taken out of the page: to the clipboard, or as a file. */

import { make } from "./dom.js";

/** Whether it is in the clipboard now. @param {string} text */
async function copyText(text) {
  try {
    // Absent where the page came over plain http.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByHand(text);
  }
}

/** How long a button says what it did. */
const SAID_MS = 2500;

/**
 * Has a button copy a text at each click, and say for a moment how that went.
 * @param {HTMLButtonElement} button
 * @param {() => string} text
 * @param {string} failed what it says where the browser does not let it be copied
 * @param {(copied: boolean) => void} [heard]
 */
export function copyAtClick(button, text, failed, heard) {
  const label = button.textContent;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  button.addEventListener("click", async () => {
    const copied = await copyText(text());
    button.textContent = copied ? "Copied" : failed;
    heard?.(copied);
    // Only the last click's moment ends.
    clearTimeout(timer);
    timer = setTimeout(() => (button.textContent = label), SAID_MS);
  });
}

/** The old way: a text that is selected for a moment. @param {string} text */
function copyByHand(text) {
  const before = document.activeElement;
  const area = make("textarea", { class: "unseen", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  area.remove();
  return copied;
}

/** @param {string} text @param {string} words what the file is named by */
export function saveText(text, words) {
  const address = URL.createObjectURL(new Blob([text, "\n"], { type: "text/plain;charset=utf-8" }));
  make("a", { href: address, download: `${fileName(words) || "story"}.txt` }).click();
  // The browser reads it after this click.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Words as a file's name, in any script. @param {string} words */
export function fileName(words) {
  return words.normalize("NFC").toLowerCase().replaceAll(/[^\p{L}\p{M}\p{N}]+/gu, "-").slice(0, 60).replaceAll(/^-|-$/g, ""); // prettier-ignore
}

// @ts-check

/** Fills the store of this origin to the last byte, the story's own place included. */
export function fill() {
  localStorage.removeItem("vitrine.story");
  for (let size = 1 << 22; size > 8; size >>= 1) {
    try {
      for (let i = 0; ; i++) localStorage.setItem(`full-${size}-${i}`, "x".repeat(size));
    } catch {
      // Half of that may still fit.
    }
  }
}

/** Takes it out again. */
export function empty() {
  for (const key of Object.keys(localStorage)) if (key.startsWith("full-")) localStorage.removeItem(key);
}

/** Has every store refuse to be touched. */
export function refuseStores() {
  for (const store of ["localStorage", "sessionStorage"]) {
    Object.defineProperty(window, store, {
      get() {
        throw new DOMException("refused", "SecurityError");
      },
    });
  }
}

/** Leaves this where stories are kept. @param {string} story */
export function keep(story) {
  for (const store of [localStorage, sessionStorage]) store.setItem("vitrine.story", story);
}

/** What the page notes for a later script. */
const page = /** @type {typeof globalThis & { saved: { name: string, address: string } }} */ (globalThis);

/** Takes files that are saved down, where the browser would keep them. */
export function catchSaved() {
  HTMLAnchorElement.prototype.click = function () {
    page.saved = { name: this.download, address: this.href };
  };
}

export async function saved() {
  const { name, address } = page.saved;
  return { name, text: await (await fetch(address)).text() };
}

/** The rooms on both sides of the thread: beside it where there is space, over it where there is not, one at a time then. */

import { element } from "../dom.js";

/** @typedef {"library" | "panel"} Room */

export class Rooms {
  #rooms = { library: element("library", HTMLElement), panel: element("panel", HTMLElement) };
  #thread = /** @type {HTMLElement} */ (document.querySelector(".thread"));
  #buttons = { library: element("show-library", HTMLButtonElement), panel: element("show-panel", HTMLButtonElement) };

  constructor() {
    for (const name of /** @type {Room[]} */ (["library", "panel"])) {
      this.#buttons[name].addEventListener("click", () => (this.#isOpen(name) ? this.close() : this.open(name)));
      this.#rooms[name].querySelector(".close")?.addEventListener("click", () => this.close());
    }
    addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.close()) return;
      event.stopImmediatePropagation();
    });
    document.addEventListener("pointerdown", ({ target }) => {
      if (target instanceof Element && !target.closest(".room, #error")) this.close();
    });
  }

  /** @param {Room} name */
  open(name) {
    this.close();
    if (!this.#buttons[name].checkVisibility()) return;
    this.#rooms[name].dataset.open = "";
    this.#buttons[name].setAttribute("aria-expanded", "true");
    this.#thread.inert = true;
    /** @type {HTMLElement | null} */ (this.#rooms[name].querySelector(".close"))?.focus({ preventScroll: true });
  }

  /** Closes what lies over the thread; whether anything did. */
  close() {
    const open = /** @type {Room[]} */ (["library", "panel"]).filter((name) => this.#isOpen(name));
    this.#thread.inert = false;
    for (const name of open) {
      const inside = this.#rooms[name].contains(document.activeElement);
      delete this.#rooms[name].dataset.open;
      this.#buttons[name].setAttribute("aria-expanded", "false");
      if (inside) this.#buttons[name].focus({ preventScroll: true });
    }
    return open.length > 0;
  }

  /** @param {Room} name */
  #isOpen(name) {
    return "open" in this.#rooms[name].dataset;
  }
}

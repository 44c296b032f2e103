/** How fast a widget goes on: as fast as it can, slowly enough to watch, or one step for each press; and not at all while it is far from the screen. */

import { oneOf } from "./attributes.js";

/** Between two steps of a slow widget, in milliseconds. */
const SLOW_MS = 450;

/** The attribute of widgets that work step by step. */
export const pace = () => oneOf(["fast", "slow", "step"], "fast");

/** Whether an element is near the window, and who waits for it to be. */
export class Sight {
  near = false;
  #came = new EventTarget();

  /**
   * @param {Element} element
   * @param {AbortSignal} signal ends it
   * @param {() => void} seen when it comes near for the first time
   */
  constructor(element, signal, seen) {
    let met = false;
    const observer = new IntersectionObserver(
      (entries) => {
        this.near = entries[entries.length - 1].isIntersecting;
        if (!this.near) return;
        this.#came.dispatchEvent(new Event("near"));
        if (!met) seen();
        met = true;
      },
      { rootMargin: "400px" },
    );
    observer.observe(element);
    signal.addEventListener("abort", () => observer.disconnect(), { once: true });
  }

  /** Waits until the element is near, or the signal fires. @param {AbortSignal} signal */
  async until(signal) {
    while (!this.near && !signal.aborted) await heard(this.#came, "near", signal);
  }
}

/** Waits between two steps. */
export class Steps extends EventTarget {
  /** Whether the next step waits for a press. */
  awaited = false;

  /** @param {"slow" | "step"} pace @param {AbortSignal} signal */
  async next(pace, signal) {
    if (pace === "slow") return heard(this, "press", signal, SLOW_MS);
    this.awaited = true;
    this.dispatchEvent(new Event("awaited"));
    await heard(this, "press", signal);
    this.awaited = false;
    this.dispatchEvent(new Event("awaited"));
  }

  /** The reader asks for the next step. */
  press() {
    this.dispatchEvent(new Event("press"));
  }
}

/** Resolves when the event comes, the signal fires, or so many milliseconds are over. @param {EventTarget} target @param {string} name @param {AbortSignal} signal @param {number} [ms] @returns {Promise<void>} */
function heard(target, name, signal, ms) {
  return new Promise((resolve) => {
    const timer = ms === undefined ? undefined : setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      target.removeEventListener(name, end);
      signal.removeEventListener("abort", end);
      resolve();
    }
    if (signal.aborted) return end();
    target.addEventListener(name, end);
    signal.addEventListener("abort", end);
  });
}

/** Widgets that go together: one leads, and those that name it by `linked-to` have its words, its seed, its beginning and its end. */

import { WidgetError } from "./faults.js";

/**
 * What a leader tells: its words as they are now; that it begins, with which seed; that it stops.
 * @typedef {{ words?: string, begins?: { seed: number | undefined }, stops?: true }} Told
 */

/** @type {Set<{ widget: Element, hear: (told: Told) => void }>} */
const followers = new Set();

/** Hears what the leader of this widget tells, as long as the signal has not fired. @param {Element} widget @param {(told: Told) => void} hear @param {AbortSignal} signal */
export function follow(widget, hear, signal) {
  const follower = { widget, hear };
  followers.add(follower);
  signal.addEventListener("abort", () => followers.delete(follower), { once: true });
}

/** Tells all that follow. @param {Element} leader @param {Told} told */
export function lead(leader, told) {
  if (leader.id === "") return;
  for (const { widget, hear } of [...followers]) if (leaderOf(widget) === leader && !inCircle(widget)) hear(told);
}

/** The element that this one names, in the same document or shadow root. @param {Element} widget @returns {Element | null} */
export function leaderOf(widget) {
  const id = widget.getAttribute("linked-to")?.trim();
  const root = widget.getRootNode();
  return id && "getElementById" in root ? /** @type {Document} */ (root).getElementById(id) : null;
}

/** Errors: `bad-argument` where it names no widget, or one that follows it in turn. @param {Element} widget */
export function checkLink(widget) {
  const id = widget.getAttribute("linked-to");
  if (id === null) return;
  const fault = (/** @type {string} */ sentence) => new WidgetError("bad-argument", `This part of the page is not set up right: linked-to is “${id}”, but ${sentence}.`);
  const leader = leaderOf(widget);
  if (!leader?.localName.startsWith("vitrine-")) throw fault("no widget here has that id");
  if (inCircle(widget)) throw fault("that one follows this one");
}

/** @param {Element} widget */
function inCircle(widget) {
  const seen = new Set([widget]);
  for (let at = leaderOf(widget); at; at = leaderOf(at)) {
    if (seen.has(at)) return true;
    seen.add(at);
  }
  return false;
}

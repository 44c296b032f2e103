// @ts-check
import { element } from "./common.js";

/** @typedef {import("../../../www/widgets.js").Widgets} Widgets */

/**
 * What axe-core says, which the page has by now.
 * @typedef {{ id: string, impact: string, help: string, nodes: { target: string[], failureSummary: string }[] }} Violation
 * @typedef {{ run(context: Document, options: object): Promise<{ violations: Violation[], passes: object[] }> }} Axe
 */

/** What it finds fault with in the document as it is now, open shadow roots included. */
export async function faults() {
  const { axe } = /** @type {typeof globalThis & { axe: Axe }} */ (globalThis);
  const finite = document.getAnimations().filter(({ effect }) => effect?.getTiming().iterations !== Infinity);
  await Promise.all(finite.map(({ finished }) => finished.catch(() => {})));
  const { violations, passes } = await axe.run(document, { resultTypes: ["violations"] });
  const told = violations.map(({ id, impact, help, nodes }) => {
    const places = nodes.map(({ target, failureSummary }) => `${target.join(" ")} ${failureSummary}`);
    return `${id} (${impact}): ${help}: ${places.join("; ")}`;
  });
  return { passes: passes.length, violations: told };
}

/** Opens all that opens, or closes it. @param {boolean} open */
export function unfold(open) {
  for (const each of document.querySelectorAll("details")) each.open = open && each.id !== "error-details";
}

/** Waits until every kind of widget on the page has answered, and all that opens in them is open. */
export async function answered() {
  const { define } = await import("/widgets.js");
  await define();
  /** @template {keyof Widgets} T @param {string} id @param {T} _tag @returns {Widgets[T]} */
  const widget = (id, _tag) => {
    const found = /** @type {any} */ (element(id, HTMLElement));
    // One that is far from the window waits.
    found.scrollIntoView({ block: "center" });
    return found;
  };
  await widget("#second", "vitrine-text").write();
  await widget("#third", "vitrine-image").paint();
  await widget("#cut", "vitrine-tokens").show();
  const next = widget("#next", "vitrine-next");
  for (let i = 0; i < 3; i++) await next.draw();
  /** @type {HTMLElement} */ (next.shadowRoot?.querySelector(".story button")).click();
  await widget("#ways", "vitrine-decoding").write();
  await widget("#score", "vitrine-score").score();
  await widget("#scales", "vitrine-guidance").paint();
  await widget("#steps", "vitrine-denoise").paint();
  await widget("#talk", "vitrine-chat").send();
  widget("#slowly", "vitrine-text").write().catch(() => {});
  for (const { shadowRoot } of document.querySelectorAll("main *")) {
    for (const each of shadowRoot?.querySelectorAll("details") ?? []) each.open = true;
  }
}

// @ts-check
import { element } from "./common.js";

/** @typedef {import("../../../www/widgets.js").VitrineText} VitrineText */
/** @typedef {import("../../../www/widgets.js").VitrineImage} VitrineImage */

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

/** Waits for a text and a picture of two widgets. */
export async function answered() {
  const writing = /** @type {VitrineText} */ (element("#second", HTMLElement));
  const painting = /** @type {VitrineImage} */ (element("#third", HTMLElement));
  await Promise.all([writing.write(), painting.paint()]);
}

// @ts-check
import { element } from "./common.js";

/** Whether a step of the film is within sight. @param {string} frame its selector */
export function inSight(frame) {
  const box = element(frame, HTMLElement).getBoundingClientRect();
  const film = element("#film", HTMLElement).getBoundingClientRect();
  return box.left >= film.left - 1 && box.right <= film.right + 1;
}

/** What a canvas shows. @param {string} selector */
function pixels(selector) {
  const canvas = element(selector, HTMLCanvasElement);
  const data = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data;
  if (!data) throw new Error(`${selector} shows nothing`);
  return data;
}

/** The mean difference between the first step and the last, from 0 to 255. */
export function apart() {
  const [first, last] = [pixels("#film button canvas"), pixels("#film button:last-child canvas")];
  return first.reduce((sum, value, at) => sum + Math.abs(value - last[at]), 0) / first.length;
}

/** How much larger each canvas is drawn than it is, and how. @param {string[]} selectors */
export function scales(selectors) {
  return selectors.map((selector) => {
    const canvas = element(selector, HTMLCanvasElement);
    return { scale: canvas.getBoundingClientRect().width / canvas.width, drawn: getComputedStyle(canvas).imageRendering };
  });
}

/** The same of the picture of a walk, by its style alone. */
export function walkScale() {
  const canvas = element("#picture", HTMLCanvasElement);
  return parseFloat(getComputedStyle(canvas).width) / canvas.width;
}

/** Leaves a picture in the gallery as a visit left it that kept less, by another model. */
export async function keepLess() {
  const { pngWithSettings } = await import("/png.js");
  const settings = { prompt: "a fox", steps: 3, strength: 0.5, scheduler: "lms", width: 640, height: 640, seed: 5, model: "sd-turbo" };
  const file = await pngWithSettings(new ImageData(64, 64), settings);
  const request = indexedDB.open("vitrine.gallery", 1);
  await new Promise((resolve) => (request.onsuccess = resolve));
  const database = request.result;
  const put = database.transaction("pictures", "readwrite").objectStore("pictures").put({ id: 1, file });
  await new Promise((resolve) => (put.onsuccess = resolve));
  database.close();
}

/** How many values there are in the first picture of the gallery. */
export function values() {
  return new Set(pixels("#gallery canvas")).size;
}

/** What the page notes for a later script. */
const page = /** @type {typeof globalThis & { forbidden: string[][], states?: (string | undefined)[] }} */ (globalThis);

/** Notes what a policy forbids. */
export function noteForbidden() {
  page.forbidden = [];
  addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile }) => {
    page.forbidden.push([violatedDirective, blockedURI, sourceFile]);
  });
}

/** Notes the states of the page. */
export function noteStates() {
  const note = () => (page.states = [...(page.states ?? []), document.body.dataset.state]);
  new MutationObserver(note).observe(document.body, { attributeFilter: ["data-state"] });
}

/** Whether the seed is called wrong and has the focus, and what is said of it. */
export function saidOfSeed() {
  const field = element("#seed", HTMLInputElement);
  const [, fault] = field.getAttribute("aria-describedby")?.split(" ") ?? [];
  const said = element(`#${fault}`, HTMLElement);
  return [field.ariaInvalid, document.activeElement === field, said.checkVisibility() && said.textContent];
}

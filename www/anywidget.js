/**
 * The elements of widgets.js as a module for anywidget's front end (https://anywidget.dev/en/afm), so for Jupyter, marimo and MyST: `render({ model, el })` puts one into
 * a cell and returns what takes it out again.
 *
 * The model's traits: `tag`, the element's name; `attributes`, its attributes by name (true: there, without a value; null or false: not there);
 * `outcome`, what came of the work (written here: a text as it is, numbers as an array, a picture as a PNG's bytes); `state`, "loading", "ready", "working" or
 * "failed"; `error`, the sentence that the reader sees. A message `{ call: "write", args: [] }` calls a method of the element.
 */

import { setPageOptions } from "./engine.js";
import { nearest } from "./nearest.js";
import { define } from "./widgets.js";

export { define, setPageOptions };

/**
 * A model as anywidget's front ends have it.
 * @typedef {{
 *   get(name: string): any,
 *   set(name: string, value: unknown): void,
 *   save_changes(): void,
 *   on(event: string, listener: (...told: any[]) => void): void,
 *   off(event: string, listener?: (...told: any[]) => void): void,
 * }} AnyModel
 */

/** A document without such traits has a widget all the same. @param {AnyModel} model @param {Record<string, unknown>} traits */
function tell(model, traits) {
  for (const [name, value] of Object.entries(traits)) model.set(name, value);
  model.save_changes();
}

/** @param {{ model: AnyModel, el: HTMLElement }} cell */
async function render({ model, el }) {
  const tag = model.get("tag") ?? "vitrine-text";
  try {
    await define(tag);
  } catch (error) {
    const sentence = /** @type {Error} */ (error).message;
    el.textContent = sentence;
    tell(model, { state: "failed", error: sentence });
    return;
  }
  const element = /** @type {any} */ (document.createElement(tag));
  const dress = () => {
    const wanted = Object.entries(model.get("attributes") ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== false);
    const strange = wanted.find(([name]) => !isKnown(element, name));
    if (strange) tell(model, { state: "failed", error: strangeness(element, strange[0]) });
    setAttributes(element, wanted.filter(([name]) => isKnown(element, name)));
  };
  const ready = () => tell(model, { state: "ready", error: "" });
  const failed = (/** @type {ErrorEvent} */ { message }) => tell(model, { state: "failed", error: message });
  const done = async (/** @type {CustomEvent<Record<string, unknown>>} */ { detail }) => {
    const told = await Promise.all(Object.entries(detail).map(async ([name, value]) => [name, await plain(value)]));
    tell(model, { outcome: Object.fromEntries(told), state: "ready", error: "" });
  };
  const heard = (/** @type {{ call?: unknown, args?: unknown[] }} */ { call, args = [] } = {}) => {
    if (typeof call !== "string") return;
    if (typeof element[call] !== "function") return tell(model, { error: `<${tag}> has no method ${call}.` });
    tell(model, { state: "working", error: "" });
    // What fails is told by the element's event.
    Promise.resolve(element[call](...args)).catch(() => {});
  };
  element.addEventListener("ready", ready);
  element.addEventListener("error", failed);
  element.addEventListener("done", done);
  model.on("change:attributes", dress);
  model.on("msg:custom", heard);
  dress();
  el.append(element);
  return () => {
    model.off("change:attributes", dress);
    model.off("msg:custom", heard);
    for (const [event, listener] of /** @type {[string, any][]} */ ([["ready", ready], ["error", failed], ["done", done]])) element.removeEventListener(event, listener);
    element.remove();
  };
}

/** What its class names, and what any element may have. @param {HTMLElement} element @param {string} name */
function isKnown(element, name) {
  return attributesOf(element).includes(name) || /^(id|class|style|title|lang|dir|part|slot|role|tabindex|hidden|(aria|data)-.+)$/.test(name);
}

/** @param {HTMLElement} element @returns {string[]} */
function attributesOf(element) {
  return Object.keys(/** @type {any} */ (element.constructor).attributes);
}

/** @param {HTMLElement} element @param {string} name */
function strangeness(element, name) {
  const known = attributesOf(element);
  const near = nearest(name, known);
  return `<${element.localName}> has no attribute ${name}. ${near ? `Did you mean ${near}?` : `It has ${known.join(", ")}.`}`;
}

/** These attributes, and no others. @param {HTMLElement} element @param {[string, unknown][]} wanted */
function setAttributes(element, wanted) {
  for (const name of element.getAttributeNames()) if (!wanted.some(([each]) => each === name)) element.removeAttribute(name);
  for (const [name, value] of wanted) element.setAttribute(name, value === true ? "" : String(value));
}

/** A value as a kernel takes it. @param {unknown} value */
async function plain(value) {
  if (value instanceof ImageData) return png(value);
  return ArrayBuffer.isView(value) ? Array.from(/** @type {Float32Array} */ (value)) : value ?? null;
}

/** @param {ImageData} picture */
async function png(picture) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d")?.putImageData(picture, 0, 0);
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return blob ? new DataView(await blob.arrayBuffer()) : null;
}

export default { render };

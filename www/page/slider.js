/** A setting that is a number on a scale: its name, its value in words, a slider, and a line that explains it. */

import { make } from "./dom.js";

/** @typedef {{ id: string, name: string, words: string, min: number, max: number, step: number, start: number, show: (value: number) => string }} Scale */

/**
 * @param {Scale} scale
 * @param {unknown} kept the value of the last visit, if there was one
 * @returns {{ row: HTMLElement, input: HTMLInputElement }}
 */
export function slider({ id, name, words, min, max, step, start, show }, kept) {
  const input = make("input", {
    type: "range",
    id,
    "data-test": id,
    min: String(min),
    max: String(max),
    step: String(step),
    "aria-describedby": `${id}-words`,
  });
  const output = make("output", { for: id });
  const tell = () => {
    output.value = show(Number(input.value));
    input.setAttribute("aria-valuetext", output.value);
  };
  input.value = String(typeof kept === "number" && kept >= min && kept <= max ? kept : start);
  input.addEventListener("input", tell);
  tell();
  const head = make("div", { class: "row" }, make("label", { for: id }, name), output);
  return { row: make("div", { class: "setting" }, head, input, make("small", { id: `${id}-words` }, words)), input };
}

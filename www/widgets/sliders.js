/** Sliders of a widget: each stands for one of its attributes, and moving it changes nothing in the page's HTML. */

import { make } from "../page/dom.js";

/** @typedef {{ name: string, label: string, min: number, max: number, step: number, show?: (value: number) => string }} Scale `name`: of the attribute */

/**
 * @param {Scale[]} scales
 * @param {() => void} changed
 */
export function sliders(scales, changed) {
  const rows = scales.map(({ name, label, min, max, step, show = String }) => {
    const input = make("input", { type: "range", class: `slide-${name}`, id: name, min: String(min), max: String(max), step: String(step) });
    const output = make("output", { for: name });
    const tell = () => {
      output.value = show(input.valueAsNumber);
      input.setAttribute("aria-valuetext", output.value);
    };
    input.addEventListener("input", () => {
      tell();
      changed();
    });
    input.addEventListener("set", tell);
    return make("div", {}, make("label", { for: name }, make("span", {}, label), output), input);
  });
  return make("div", { class: "settings", part: "settings", lang: "en" }, ...rows);
}

/** Puts a slider where it belongs. @param {HTMLElement} input @param {number} value */
export function setSlider(input, value) {
  if (input instanceof HTMLInputElement) input.value = String(value);
  input.dispatchEvent(new Event("set"));
}

/** @param {HTMLElement} input */
export function sliderValue(input) {
  return input instanceof HTMLInputElement ? input.valueAsNumber : NaN;
}

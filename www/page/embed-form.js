/** A form for a widget's attributes, made from what its class says of them. */

import { ATTRIBUTES } from "./embed-words.js";
import { make } from "./dom.js";

/** @import { Attribute } from "../widgets/attributes.js" */

/**
 * A field. What is typed goes to the widget as it is, which says what makes no sense.
 * @param {string} name
 * @param {Attribute} attribute
 * @param {string | null} raw what the attribute holds
 * @param {string[]} proposals for an address
 * @param {(raw: string | null) => void} set
 */
export function field(name, { entry, fallback, allowed }, raw, proposals, set) {
  const id = `field-${name}`;
  const hint = make("small", { id: `${id}-hint` }, [ATTRIBUTES[name], entry.type === "number" || entry.type === "list" ? `${allowed[0].toUpperCase()}${allowed.slice(1)}.` : ""].filter(Boolean).join(" "));
  const common = { id, "aria-describedby": hint.id };
  const label = make("label", { for: id }, make("code", {}, name));
  if (entry.type === "flag") {
    const box = make("input", { ...common, type: "checkbox" });
    box.checked = raw !== null && raw !== "false";
    box.addEventListener("change", () => set(box.checked ? "" : null));
    return make("p", { class: "field flag" }, box, label, hint);
  }
  const standsIn = fallback === undefined ? "" : Array.isArray(fallback) ? fallback.join(" ") : String(fallback);
  if (entry.type === "choice") {
    const select = make("select", common);
    const none = make("option", { value: "" }, standsIn === "" ? "left out" : `left out (${standsIn})`);
    select.append(none, ...entry.choices.map((choice) => make("option", { value: choice }, choice)));
    select.value = entry.choices.includes(raw ?? "") ? String(raw) : "";
    select.addEventListener("change", () => set(select.value || null));
    return make("p", { class: "field" }, label, select, hint);
  }
  if (entry.type === "words") {
    const area = make("textarea", { ...common, rows: "2", placeholder: standsIn });
    area.value = raw ?? "";
    area.addEventListener("input", () => set(area.value === "" ? null : area.value));
    return make("p", { class: "field" }, label, area, hint);
  }
  const input = make("input", { ...common, type: "text", placeholder: standsIn || "left out", spellcheck: "false", autocomplete: "off" });
  if (entry.type === "number") input.inputMode = "decimal";
  input.value = raw ?? "";
  const list = make("datalist", { id: `${id}-list` }, ...proposals.map((value) => make("option", { value })));
  if (proposals.length > 0) input.setAttribute("list", list.id);
  // Each letter of an address would be another model.
  input.addEventListener(entry.type === "address" ? "change" : "input", () => set(input.value.trim() === "" ? null : input.value));
  return make("p", { class: "field" }, label, input, ...(proposals.length > 0 ? [list] : []), hint);
}

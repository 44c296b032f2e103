/** What a reader takes along of a widget: the HTML that makes it as it stands now, and a link that opens it so on the page that sets widgets up. */

import { make } from "../page/dom.js";
import { written } from "./attributes.js";

/** @import { Attribute } from "./attributes.js" */

/** Longer links are cut or refused on their way, by mail and by servers. */
const LONGEST = 8000;

/** Where this module is, if it still lies in a copy of the site: what a build has moved does not know where its neighbours are. */
const HERE = import.meta.url;
const IN_PLACE = /^https?:.*\/widgets\/share\.js$/.test(HERE);

/**
 * The attributes that say these values, in their order, without those that say what is so without them.
 * @param {Record<string, Attribute>} attributes
 * @param {Record<string, unknown>} values
 * @returns {[name: string, value: string][]}
 */
export function told(attributes, values) {
  return Object.entries(attributes).flatMap(([name, { fallback, write = written }]) => {
    const value = values[name];
    const same = value === undefined || value === false || JSON.stringify(value) === JSON.stringify(fallback);
    return same ? [] : [/** @type {[string, string]} */ ([name, value === true ? "" : write(value)])];
  });
}

/** The HTML of an element and of the script that it needs. @param {string} tag @param {[string, string][]} attributes */
export function snippet(tag, attributes) {
  const script = IN_PLACE ? address("widgets.js").href : "vitrine/widgets.js";
  const inner = attributes.map(([name, value]) => (value === "" && name !== "prompt" ? ` ${name}` : ` ${name}="${escaped(value)}"`));
  return `<script type="module" src="${escaped(script)}"></script>\n<${tag}${inner.join("")}></${tag}>`;
}

/** The link to the page that shows the element; none where it would be too long, or where that page is not known. @param {string} tag @param {[string, string][]} attributes */
export function link(tag, attributes) {
  if (!IN_PLACE) return undefined;
  const page = address("embed.html");
  page.hash = stateInWords(tag, attributes);
  return page.href.length > LONGEST ? undefined : page.href;
}

/** An element as it stands in an address behind `#`. @param {string} tag @param {[string, string][]} attributes */
export function stateInWords(tag, attributes) {
  const words = new URLSearchParams(attributes.map(([name, value]) => [name, value.toWellFormed?.() ?? value])).toString();
  return words === "" ? tag : `${tag}?${words}`;
}

/** Files of the copy that this module is of. @param {string} name */
function address(name) {
  return new URL(`../${name}`, HERE);
}

/** @param {string} value */
function escaped(value) {
  /** @type {Record<string, string>} */
  const names = { "&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;", "\n": "&#10;", "\r": "&#13;" };
  return value.replace(/[&"<>\n\r]/g, (letter) => names[letter]);
}

/**
 * The row with the two buttons, and what comes of them.
 * @param {() => string} html
 * @param {() => string | undefined} url
 */
export function shareRow(html, url) {
  const said = make("span", { class: "shared", role: "status" });
  const copy = make("button", { type: "button", class: "plain", part: "copy" }, "Copy HTML");
  const copyLink = make("button", { type: "button", class: "plain", part: "copy-link" }, "Copy link");
  const byHand = make("textarea", { class: "by-hand", readonly: "", rows: "4", hidden: "", "aria-label": "What to copy", spellcheck: "false" });
  copyLink.hidden = !IN_PLACE;
  const take = async (/** @type {string | undefined} */ text, /** @type {string} */ what) => {
    byHand.hidden = true;
    if (text === undefined) {
      said.textContent = "This is too long for a link. Copy the HTML instead.";
      return;
    }
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = `${what} copied.`;
    } catch {
      // No clipboard over plain http, nor in a frame that was not given one.
      said.textContent = "The browser gives this page no clipboard. Copy it from here:";
      byHand.value = text;
      byHand.hidden = false;
      byHand.select();
    }
  };
  copy.addEventListener("click", () => take(html(), "HTML"));
  copyLink.addEventListener("click", () => take(url(), "Link"));
  return make("div", { class: "row share", part: "share", lang: "en", hidden: "" }, copy, copyLink, said, byHand);
}

/** Small and quiet, below everything else. */
export const SHARE = `
  .share { font-size: .8em; }
  .shared { color: var(--_soft); }
  .by-hand { flex: 1 1 100%; min-width: 0; padding: .4em; border: 1px solid var(--_line); background: var(--_card); color: inherit; font: .9em/1.4 monospace; }
`;

/** Formulas in Markdown: `$…$`, `$$…$$`, `\(…\)`, `\[…\]`, drawn by the browser itself from MathML. What makes that of TeX is fetched with the first formula. */

import { make } from "../dom.js";

/** @import { TokenizerExtension } from "../../vendor/marked.js" */
/** @typedef {typeof import("../../vendor/temml.js").default} Temml */

/** A formula in its own line; a paragraph may end where it begins. @type {TokenizerExtension} */
const block = {
  name: "mathsBlock",
  level: "block",
  start: (text) => found(text, /(^|\n) {0,3}(\$\$|\\\[)/),
  tokenizer(text) {
    const [raw, inDollars, inBrackets] = /^ {0,3}(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])[ \t]*(?:\n|$)/.exec(text) ?? [];
    return raw === undefined ? undefined : { type: "maths", raw, text: (inDollars ?? inBrackets).trim(), display: true };
  },
};

/** As Pandoc has it: no space inside the dollars, no digit behind them, so that prices stay prices. @type {TokenizerExtension} */
const inline = {
  name: "maths",
  level: "inline",
  start: (text) => found(text, /\$|\\[([]/),
  tokenizer(text) {
    const [raw, display, plain, round, square] =
      /^(?:\$\$([^$]+?)\$\$|\$(?!\s)((?:\\.|[^$\\\n])+?)(?<!\s)\$(?!\w)|\\\(([\s\S]+?)\\\)|\\\[([\s\S]+?)\\\])/.exec(text) ?? [];
    if (raw === undefined) return undefined;
    return { type: "maths", raw, text: (display ?? plain ?? round ?? square).trim(), display: display !== undefined || square !== undefined };
  },
};

export const MATHS = [block, inline];

/** @type {Temml | undefined} */
let temml;
/** @type {Promise<unknown> | undefined} */
let coming;

/** An element that shows a formula; until it can be drawn, and where it is none, its source. @param {string} tex @param {boolean} display */
export function formula(tex, display) {
  const shown = make("span", { class: display ? "maths display" : "maths", "data-tex": tex }, make("code", {}, tex));
  if (display) shown.tabIndex = 0;
  if (temml) draw(temml, shown, tex, display);
  else load().then(() => temml && draw(temml, shown, tex, display));
  return shown;
}

async function load() {
  coming ??= import("../../vendor/temml.js").then(
    (module) => (temml = module.default),
    // Without a connection, and never kept: the source is shown, and the next formula tries again.
    () => (coming = undefined),
  );
  await coming;
}

/** @param {Temml} temml @param {HTMLElement} into @param {string} tex @param {boolean} display */
function draw(temml, into, tex, display) {
  const before = [...into.childNodes];
  try {
    // No commands that name addresses, classes or ids; nothing larger than the page, no macro without end.
    temml.render(tex, into, { displayMode: display, throwOnError: true, trust: false, maxSize: [20, 20], maxExpand: 200 });
  } catch {
    into.replaceChildren(...before);
  }
}

/** @param {string} text @param {RegExp} what */
function found(text, what) {
  const at = text.search(what);
  return at < 0 ? undefined : at;
}

/**
 * Markdown as elements. No text becomes HTML anywhere: marked gives tokens, and each kind that is known here is made as an element of its own, so that
 * nothing of what a model writes can become a script, a style or a frame. Tags are shown as they are written. Links lead to `https:`, `http:` and
 * `mailto:` alone; a picture is a link to it, for whoever shows one tells its server so.
 */

import { Marked } from "../../vendor/marked.js";
import { make } from "../dom.js";
import { copyAtClick } from "../take-out.js";
import { MATHS, formula } from "./maths.js";

/** @import { Token, TokenizerExtension } from "../../vendor/marked.js" */
/** @typedef {{ tokens: Token[] }} Cell */
/** @typedef {{ tokens: Token[] }} Item */

/** Tags that mean no more than how a few characters stand. @type {TokenizerExtension} */
const set = {
  name: "set",
  level: "inline",
  start: (text) => {
    const at = text.search(/<(?:br|sub|sup|kbd|mark|u)\b/i);
    return at < 0 ? undefined : at;
  },
  tokenizer(text) {
    const [line] = /^<br *\/?>/i.exec(text) ?? [];
    if (line) return { type: "br", raw: line };
    const [raw, tag, inside] = /^<(sub|sup|kbd|mark|u)>([^<\n]*)<\/\1>/i.exec(text) ?? [];
    return raw === undefined ? undefined : { type: "set", raw, tag: tag.toLowerCase(), tokens: this.lexer.inlineTokens(inside) };
  },
};

const nothing = () => undefined;
const marked = new Marked({ gfm: true, breaks: true });
// What is no tag is text.
marked.use({ extensions: [...MATHS, set], tokenizer: { html: nothing, tag: nothing } });

/** The blocks of a text. @param {string} text */
export function blocksOf(text) {
  return marked.lexer(text);
}

/** @param {Token[]} tokens @returns {Node[]} */
export function elementsOf(tokens) {
  const made = tokens.flatMap((token) => (BLOCKS[token.type] ?? unknown)(token));
  return made.map((each) => (typeof each === "string" ? document.createTextNode(each) : each));
}

/** @type {Record<string, (token: Token) => (Node | string)[]>} */
const BLOCKS = {
  space: () => [],
  def: () => [],
  hr: () => [make("hr")],
  heading: ({ depth, tokens }) => [make(/** @type {"h3"} */ (`h${Math.min(6, Number(depth) + 2)}`), {}, ...inline(tokens))],
  paragraph: ({ tokens }) => [make("p", {}, ...inline(tokens))],
  // A paragraph of a list that stands close together.
  text: (token) => inline(token.tokens ?? [token]),
  checkbox: ({ checked }) => [checked ? "☑ " : "☐ "],
  blockquote: ({ tokens = [] }) => [make("blockquote", {}, ...elementsOf(tokens))],
  list: (token) => [listOf(token)],
  table: (token) => [tableOf(token)],
  code: ({ text = "", lang }) => [codeOf(text, typeof lang === "string" ? lang : "")],
  maths: ({ text = "", display }) => [formula(text, display === true)],
};

/** @type {Record<string, (token: Token) => (Node | string)[]>} */
const INLINE = {
  text: ({ text = "", tokens }) => (tokens ? inline(tokens) : [plain(text)]),
  escape: ({ text = "" }) => [text],
  strong: ({ tokens }) => [make("strong", {}, ...inline(tokens))],
  em: ({ tokens }) => [make("em", {}, ...inline(tokens))],
  del: ({ tokens }) => [make("del", {}, ...inline(tokens))],
  set: ({ tag, tokens }) => [make(/** @type {"sub"} */ (tag), {}, ...inline(tokens))],
  codespan: ({ text = "" }) => [make("code", {}, text)],
  br: () => [make("br")],
  checkbox: BLOCKS.checkbox,
  link: ({ href, tokens }) => linkTo(String(href), inline(tokens)),
  image: ({ href, text = "" }) => linkTo(String(href), [`picture: ${text || String(href)}`]),
  maths: BLOCKS.maths,
};

/** @param {Token[]} [tokens] @returns {(Node | string)[]} */
function inline(tokens = []) {
  return tokens.flatMap((token) => (INLINE[token.type] ?? unknown)(token));
}

/** What is not known here is shown as it is written. @param {Token} token */
function unknown({ raw }) {
  return [raw];
}

/** @param {Token} list */
function listOf({ ordered, start, items }) {
  const made = ordered ? make("ol", start === 1 ? {} : { start: String(start) }) : make("ul");
  made.append(.../** @type {Item[]} */ (items).map(({ tokens }) => make("li", {}, ...elementsOf(tokens))));
  return made;
}

/** In a box of its own, which scrolls where it is wider than the page. @param {Token} table */
function tableOf({ header, rows, align }) {
  const ways = /** @type {(string | null)[]} */ (align);
  const row = (/** @type {Cell[]} */ cells, /** @type {"th" | "td"} */ tag) =>
    make("tr", {}, ...cells.map(({ tokens }, at) => make(tag, ways[at] ? { class: ways[at] } : {}, ...inline(tokens))));
  const body = /** @type {Cell[][]} */ (rows).map((cells) => row(cells, "td"));
  const made = make("table", {}, make("thead", {}, row(/** @type {Cell[]} */ (header), "th")), make("tbody", {}, ...body));
  return make("div", { class: "table", role: "region", "aria-label": "Table", tabindex: "0" }, made);
}

/** @param {string} text @param {string} language */
function codeOf(text, language) {
  const code = make("code", {}, text);
  const copy = make("button", { type: "button", class: "plain copy" }, "Copy");
  copyAtClick(copy, () => code.textContent ?? "", "Not copied");
  const named = language.split(/\s/)[0];
  const head = make("figcaption", {}, make("span", {}, named || "text"), copy);
  return make("figure", { class: "code" }, head, make("pre", { tabindex: "0", "aria-label": named ? `Code, ${named}` : "Code" }, code));
}

/** @param {string} address @param {(Node | string)[]} words */
function linkTo(address, words) {
  const url = URL.parse(address);
  // An address of a kind that is not followed is told all the same.
  if (!url || !["https:", "http:", "mailto:"].includes(url.protocol)) return words.some((word) => textOf(word) === address) ? words : [...words, ` (${address})`];
  return [make("a", { href: url.href, rel: "external noopener noreferrer nofollow", target: "_blank", title: url.href }, ...words)];
}

/** @param {Node | string} word */
function textOf(word) {
  return typeof word === "string" ? word : word.textContent;
}

/** Text with its character references (`&amp;`) read. @param {string} text */
function plain(text) {
  return text.replaceAll(/&(?:#x?[\da-f]{1,6}|[a-z][a-z\d]{1,30});/gi, (reference) => new DOMParser().parseFromString(reference, "text/html").body.textContent ?? reference);
}

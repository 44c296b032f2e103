/**
 * The small world of a model that was made for this page, and what of a reader's words lies outside it: for the pages and the widgets. The catalogue names
 * a file (`world`) that training/make_worlds.py wrote: its languages, the words it met, and which adjectives go with which nouns.
 */

import { languageName, languageOf, wordsOf } from "./languages.js";

/** @import { CatalogEntry, PaintSummary } from "../vitrine.js" */
/**
 * `words` in the order of the alphabet, absent where the model's file says them itself; `adjectives` of each noun; `idle` adjectives are read and change nothing.
 * @typedef {{ languages: string[], words: string[], adjectives: Map<string, string[]>, idle: string[] }} World
 */

const split = (/** @type {unknown} */ words) => (typeof words === "string" && words !== "" ? words.split(" ") : []);

/** The world of a model of the catalogue; none where it names none, or where the file cannot be had: the page is complete without. @param {CatalogEntry | undefined} entry @returns {Promise<World | undefined>} */
export async function readWorld(entry) {
  if (typeof entry?.world !== "string") return undefined;
  try {
    const response = await fetch(entry.world);
    if (!response.ok) return undefined;
    const { languages, words, adjectives, idle } = await response.json();
    const of = Object.entries(adjectives ?? {}).map(([noun, each]) => /** @type {[string, string[]]} */ ([noun, split(each)]));
    return { languages: languages ?? [], words: split(words), adjectives: new Map(of), idle: split(idle) };
  } catch {
    return undefined;
  }
}

/**
 * What of these words is outside, each said in a sentence.
 * @param {string} text
 * @param {World} world
 * @param {string[]} [unknown] words that the model itself reported; else they are looked for in the world's own list
 * @returns {string[]}
 */
export function outside(text, world, unknown) {
  const language = languageOf(text);
  if (language && world.languages.length > 0 && !world.languages.includes(language)) {
    const known = world.languages.map(languageName).join(" and ");
    return [`This looks like ${languageName(language)}. It learned ${known} alone, and hardly a word of this says anything to it.`];
  }
  const strange = [...new Set(unknown ?? strangers(text, world.words))];
  const said = strange.length > 0 ? [`It never met ${listed(strange.slice(0, 8))}${strange.length > 8 ? " and other words here" : ""}.`] : [];
  return [...said, ...unjoined(text, world)];
}

/**
 * What of these words had no part in a picture, each said in a sentence.
 * @param {string} text
 * @param {PaintSummary} summary
 * @param {World} [world]
 */
export function unpainted(text, { cut, unknown = [], literal = [] }, world = { languages: [], words: [], adjectives: new Map(), idle: [] }) {
  return [
    ...(literal.length > 0 ? [`It read ${literal.map((word) => `“${word}”`).join(", ")} as plain words: it knows no such marks.`] : []),
    ...(cut ? [`It reads no more at once; “${cut}” was left out.`] : []),
    ...outside(text, world, unknown),
  ];
}

/** Words that it never met. A name in the middle of a sentence may be any. @param {string} text @param {string[]} known */
function strangers(text, known) {
  if (known.length === 0) return [];
  const met = new Set(known);
  const names = new Set(wordsOf([...text.matchAll(/(?<![.!?:"“”]\s*|^\s*)(?<!\p{L})\p{Lu}[\p{L}\p{M}'’-]*/gu)].join(" ")));
  return [...new Set(wordsOf(text))].filter((word) => word.length > 1 && !names.has(word) && !stems(word).some((stem) => met.has(stem)));
}

/** A word, and what it may be a form of. @param {string} word */
function stems(word) {
  const stem = word.replace(/'s?$/, "");
  const forms = [stem, ...stem.split("-").filter((part, _, parts) => parts.length > 1 && part)];
  for (const [ending, ...instead] of ENDINGS) {
    if (stem.endsWith(ending) && stem.length > ending.length + 1) forms.push(...instead.map((end) => stem.slice(0, -ending.length) + end));
  }
  // "stopped", "running"
  const doubled = /^(.+?)([b-df-hj-np-tv-z])\2(ed|ing|er|est)$/.exec(stem);
  if (doubled) forms.push(doubled[1] + doubled[2]);
  return forms;
}

/** Endings of English words, and what stands there in the word that they are made of. */
const ENDINGS = [["ies", "y"], ["ves", "f", "fe"], ["es", ""], ["s", ""], ["ied", "y"], ["ed", "", "e"], ["ing", "", "e"], ["ier", "y"], ["er", "", "e"], ["iest", "y"], ["est", "", "e"], ["ily", "y"], ["ly", ""]]; // prettier-ignore

/** Adjectives that it knows, and not of what they stand before. @param {string} text @param {World} world */
function unjoined(text, { adjectives, idle }) {
  const all = new Set([...[...adjectives.values()].flat(), ...idle]);
  const words = wordsOf(text);
  /** @type {Set<string>} */
  const said = new Set();
  for (const [at, adjective] of words.entries()) {
    if (!all.has(adjective)) continue;
    // Between an adjective and its noun stand only other adjectives.
    let next = at + 1;
    while (next < words.length - 1 && all.has(words[next]) && !adjectives.has(words[next])) next++;
    const pair = [2, 1].map((count) => words.slice(next, next + count).join(" ")).map((noun) => stems(noun).find((stem) => adjectives.has(stem)));
    const noun = pair.find((each) => each !== undefined);
    if (!noun) continue;
    const own = /** @type {string[]} */ (adjectives.get(noun));
    if (idle.includes(adjective)) said.add(`“${adjective}” it reads, but it changes nothing.`);
    else if (!own.includes(adjective)) said.add(`It knows no ${adjective} ${noun}${own.length > 0 ? ` (only ${listed(own, "or")} ones)` : ""}.`);
  }
  return [...said];
}

/** @param {string[]} words @param {string} [last] the word before the last */
function listed(words, last = "and") {
  const quoted = words.map((word) => `“${word}”`);
  return quoted.length < 2 ? quoted.join("") : `${quoted.slice(0, -1).join(", ")} ${last} ${quoted.at(-1)}`;
}

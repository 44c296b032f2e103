/**
 * The story, kept through a reload and after the tab is closed. Each tab has its own (`sessionStorage`); a new tab takes up the story of the one
 * that was left last (`localStorage`). Numbers are packed: the words that might have been are many.
 */

import { keep, keepInTab, keptInTab, readStored } from "./stored-settings.js";

/** @import { Alternative } from "../vitrine.js" */
/** @import { Token, Version } from "./story.js" */
/** @typedef {[token: number, text: string, logprob: number]} Packed */

const STORE = "vitrine.story";

/** The story that this tab had, or else the one that was left last. @returns {Version | undefined} */
export function keptStory() {
  return unpacked(keptInTab(STORE)) ?? unpacked(readStored(STORE));
}

/**
 * @param {Version} version
 * @returns {"kept" | "tab" | "nowhere"} for good, as long as the tab is open, or not at all
 */
export function keepStory(version) {
  const { own, answering, author, editing, ended } = version;
  const whole = { own, answering, author, editing, ended, tokens: version.tokens.map((token) => [...packed(token), token.alternatives.map(packed)]) };
  // The browser's store is small. Rather the words without what else they might have been than no words.
  const bare = { ...whole, tokens: version.tokens.map((token) => [...packed(token), []]) };
  const inTab = keepInTab(STORE, whole) || keepInTab(STORE, bare);
  if (keep(STORE, whole) || keep(STORE, bare)) return "kept";
  return inTab ? "tab" : "nowhere";
}

/** @param {Alternative} token @returns {Packed} */
function packed({ token, text, logprob }) {
  return [token, text, Number(Math.max(-1e3, logprob).toFixed(5))];
}

/** What was kept, where it is whole: another version of the page, or another program, may have written it. @param {any} kept @returns {Version | undefined} */
function unpacked(kept) {
  if (typeof kept?.own !== "string" || typeof kept.author !== "string" || !Array.isArray(kept.tokens)) return undefined;
  /** @type {Token[]} */
  const tokens = [];
  for (const each of kept.tokens) {
    const others = each?.[3];
    if (!isPacked(each) || !Array.isArray(others) || !others.every(isPacked)) return undefined;
    tokens.push({ ...alternative(each), alternatives: others.map(alternative) });
  }
  const flag = (/** @type {string} */ name) => kept[name] === true;
  return { own: kept.own, author: kept.author, tokens, editing: flag("editing") || tokens.length === 0, answering: flag("answering"), ended: flag("ended") };
}

/** @param {any} each @returns {each is Packed} */
function isPacked(each) {
  return Array.isArray(each) && Number.isInteger(each[0]) && typeof each[1] === "string" && typeof each[2] === "number";
}

/** @param {Packed} packed @returns {Alternative} */
function alternative([token, text, logprob]) {
  return { token, text, logprob };
}

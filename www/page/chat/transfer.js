/** Conversations taken out of the page and brought back: one as Markdown to be read, one or all as JSON to be kept. */

import { make } from "../dom.js";
import { fileName } from "../take-out.js";
import { isConversation, pathTo, thoughtsAndWords, withFiles } from "./conversation.js";
import { written } from "./steps.js";

/** @import { Conversation, Message } from "./conversation.js" */
/** @import { Persona } from "./personas.js" */
/** @typedef {{ conversations: Conversation[], personas: Persona[] }} Taken */

const FORMAT = "vitrine-chat";
const VERSION = 1;

/** What is shown of a conversation, for readers. @param {Conversation} conversation */
export function markdownOf(conversation) {
  const parts = pathTo(conversation).map((message) => {
    const words = message.role === "user" ? withFiles(message) : answerOf(message);
    return `## ${message.role === "user" ? "You" : (message.model ?? "The model")}\n\n${words.trim()}\n`;
  });
  const told = conversation.system.trim() ? [`> ${conversation.system.trim().replaceAll("\n", "\n> ")}\n`] : [];
  return [`# ${conversation.title || "Conversation"}\n`, ...told, ...parts].join("\n");
}

/** @param {Message} message */
function answerOf({ steps = [], text }) {
  const before = steps.flatMap((step) => [thoughtsAndWords(step.text).words.trim(), ...step.calls.map((call) => `> \`${written(call)}\` → ${call.fault ?? call.result ?? "…"}`)]);
  return [...before, thoughtsAndWords(text).words].filter(Boolean).join("\n\n");
}

/** All of them with all their branches, and the personas. @param {Taken} taken */
export function jsonOf({ conversations, personas }) {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, conversations, personas }, null, 1)}\n`;
}

/**
 * What such a file holds.
 * @param {string} text
 * @returns {Taken}
 */
export function takenFrom(text) {
  /** @type {any} */
  let told;
  try {
    told = JSON.parse(text);
  } catch {
    throw new Error("it is no JSON");
  }
  if (told?.format !== FORMAT) throw new Error("it holds no conversations of this page");
  if (told.version !== VERSION) throw new Error("a later version of this page wrote it");
  const { conversations, personas = [] } = told;
  if (!Array.isArray(conversations) || !Array.isArray(personas)) throw new Error("it holds no list of conversations");
  const odd = conversations.findIndex((each) => !isConversation(each));
  if (odd >= 0) throw new Error(`number ${odd + 1} of its conversations is not whole`);
  if (!personas.every((each) => typeof each?.name === "string" && typeof each.system === "string")) throw new Error("one of its personas is not whole");
  return { conversations, personas };
}

/**
 * @param {string} text
 * @param {string} words what the file is named by
 * @param {"md" | "json"} ending
 */
export function saveFile(text, words, ending) {
  const type = ending === "json" ? "application/json" : "text/markdown;charset=utf-8";
  const address = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: address, download: `${fileName(words) || "conversation"}.${ending}` }).click();
  // The browser reads it after this click.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

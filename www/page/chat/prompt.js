/** What a model is given of a conversation: messages through its chat template, or, where it has none, the text so far. And how many tokens that is. */

import { formatOf } from "../../tool-formats.js";
import { pathTo, withFiles } from "./conversation.js";
import { answerTurns } from "./steps.js";
import { toolsNamed } from "./tools.js";

/** @import { ChatOptions, GenerateOptions, Message as Turn, TextModel, TextStream } from "../../vitrine.js" */
/** @import { Attachment, Conversation, Message } from "./conversation.js" */
/** What a model's chat template can do, found by asking it. @typedef {{ chat: boolean, system: boolean, thinking: boolean, tools: boolean }} Abilities */
/** A message that is not sent yet. @typedef {{ text: string, files: Attachment[] }} Draft */

/** @param {TextModel} model @returns {Promise<Abilities>} */
export async function abilitiesOf(model) {
  const { chat, chatTemplate } = model.info;
  /** @param {Turn[]} messages @param {import("../../vitrine.js").TokenizeChatOptions} [options] */
  const takes = (messages, options) => model.tokenize(messages, options).then(() => true, () => false);
  const question = { role: "user", content: "?" };
  return {
    chat,
    system: chat && (await takes([{ role: "system", content: "!" }, question])),
    thinking: chat && (await takes([question], { thinking: true })),
    tools: chat && formatOf(chatTemplate) !== undefined,
  };
}

/** The messages that the model is given: from where they fit into its context. @param {Conversation} conversation @param {string | null} [to] */
export function given(conversation, to) {
  const path = pathTo(conversation, to);
  const first = path.findIndex(({ id }) => id === conversation.from);
  return path.slice(Math.max(0, first));
}

/**
 * @param {Conversation} conversation
 * @param {Abilities} abilities
 * @param {Message[]} messages
 * @param {Message} [open] the last of them, where it is gone on with
 * @returns {Turn[]}
 */
function turns({ system }, abilities, messages, open) {
  // Models were trained on conversations without the thoughts behind earlier answers.
  const told = messages.flatMap((message) => (message.role === "user" ? [{ role: "user", content: withFiles(message) }] : answerTurns(message, message === open)));
  return system.trim() && abilities.system ? [{ role: "system", content: system.trim() }, ...told] : told;
}

/** All that was written, one after the other. @param {Message[]} messages */
function textSoFar(messages) {
  return messages.map((message) => (message.role === "user" ? withFiles(message) : message.text)).reduce((text, next) => text + (text === "" || /\s$/.test(text) || /^[\s.,;:!?]/.test(next) ? "" : " ") + next, "");
}

/**
 * Lets a model write what comes next: an answer to the last message, or more of it where that is the model's own.
 * @param {TextModel} model
 * @param {Abilities} abilities
 * @param {Conversation} conversation
 * @param {Message[]} messages
 * @param {ChatOptions} options
 * @returns {TextStream}
 */
export function write(model, abilities, conversation, messages, options) {
  const last = messages.at(-1);
  if (!abilities.chat) return model.generate(textSoFar(messages), /** @type {GenerateOptions} */ (options));
  const open = last?.role === "assistant" ? last : undefined;
  const told = turns(conversation, abilities, messages, open);
  // Behind what a call came to, an answer begins.
  const goesOn = told.at(-1)?.role === "assistant";
  const tools = toolsOf(conversation, abilities);
  return model.chat(told, {
    ...options,
    ...(abilities.thinking && !open ? { thinking: conversation.thinks } : {}),
    ...(goesOn ? { continueFinalMessage: true } : {}),
    ...(tools ? { tools, ...(conversation.mustCall && !open ? { toolChoice: "required" } : {}) } : {}),
  });
}

/** The functions that the model is told of, if any. @param {Conversation} conversation @param {Abilities} abilities */
function toolsOf({ tools }, abilities) {
  const named = abilities.tools ? toolsNamed(tools) : [];
  return named.length > 0 ? named : undefined;
}

/**
 * How many tokens the model would be given.
 * @param {TextModel} model
 * @param {Abilities} abilities
 * @param {Conversation} conversation
 * @param {Message[]} messages
 * @param {Draft} [draft] that comes behind them
 */
export async function countTokens(model, abilities, conversation, messages, draft) {
  const next = draft && (draft.text || draft.files.length > 0) ? [/** @type {Message} */ ({ role: "user", ...draft })] : [];
  const all = [...messages, ...next];
  if (!abilities.chat) return (await model.tokenize(textSoFar(all))).length;
  const told = turns(conversation, abilities, all);
  const tools = toolsOf(conversation, abilities);
  const framed = { ...(abilities.thinking ? { thinking: conversation.thinks } : {}), ...(tools ? { tools } : {}) };
  return told.length === 0 ? 0 : (await model.tokenize(told, framed)).length;
}

/**
 * The earliest question from which on a conversation leaves a quarter of the context for an answer; nothing where there is none behind the first.
 * @param {TextModel} model
 * @param {Abilities} abilities
 * @param {Conversation} conversation
 * @param {Draft} [draft] that comes behind it
 */
export async function firstThatFits(model, abilities, conversation, draft) {
  const messages = given(conversation);
  const room = ((model.info.contextLength ?? Infinity) * 3) / 4;
  for (const [at, message] of messages.entries()) {
    if (at > 0 && message.role === "user" && (await countTokens(model, abilities, conversation, messages.slice(at), draft)) <= room) return message;
  }
  return undefined;
}

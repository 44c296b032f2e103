/**
 * A conversation: messages as a tree, of which one way from the root to a leaf is shown. Nothing that was written is taken out of the tree: what is edited or
 * answered anew becomes a sibling. So two copies of one conversation can always be made one.
 */

/** @import { FinishReason } from "../../vitrine.js" */

/** A text file that goes along with a message. @typedef {{ name: string, text: string }} Attachment */
/** What an answer took. @typedef {{ promptTokens: number, reusedTokens: number, generatedTokens: number, firstTokenMs: number, tokensPerSecond: number, seed: number }} Figures */
/**
 * A call of a function of the page's, as the model wrote it. `result` is what the model was told, `fault` what was wrong, in words for the reader.
 * @typedef {{ id: string, name: string, given?: unknown, result?: string, fault?: string }} Call
 */
/** What a model wrote before it called something, and what it called. @typedef {{ text: string, calls: Call[] }} Step */
/**
 * @typedef {object} Message
 * @property {string} id
 * @property {string | null} parent
 * @property {"user" | "assistant"} role
 * @property {string} text as it was written, thoughts included
 * @property {Step[]} [steps] what came before `text`, in this order
 * @property {string} [fault] what went wrong with calls that should have been
 * @property {Attachment[]} [files]
 * @property {number} created in milliseconds since 1970, as `changed` is
 * @property {number} changed
 * @property {string} [model] what the model that wrote it is called
 * @property {FinishReason} [finish] how it ended; absent while it is written
 * @property {Figures} [figures]
 */

/** What `GenerateOptions` call them; where one is left out, the model decides. @typedef {{ temperature?: number, topP?: number, topK?: number, minP?: number, maxTokens?: number, seed?: number }} Sampling */
/**
 * @typedef {object} Conversation
 * @property {string} id
 * @property {string} title
 * @property {boolean} named whether the reader gave it its title
 * @property {number} created
 * @property {number} changed
 * @property {string} system what the model is told before everything
 * @property {string} persona the name of what that was taken from
 * @property {Sampling} sampling
 * @property {boolean} thinks whether a model that can think before it answers does so
 * @property {string[]} [tools] the names of the page's functions that the model may call
 * @property {boolean} [mustCall] whether each answer begins with a call
 * @property {Message[]} messages in the order in which they were made
 * @property {string | null} leaf the last message that is shown
 * @property {string | null} from the first message that the model is given: those before it did not fit into its context
 */

/** The longest title that is made of a message. */
const TITLE = 60;

/** @returns {Conversation} */
export function newConversation() {
  const now = Date.now();
  return {
    id: newId(), title: "", named: false, created: now, changed: now,
    system: "", persona: "", sampling: {}, thinks: false, messages: [], leaf: null, from: null,
  }; // prettier-ignore
}

/** Of 128 random bits; pages that came over plain http have no `randomUUID`. */
function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Puts a message behind another, and shows it.
 * @param {Conversation} conversation
 * @param {string | null} parent
 * @param {Pick<Message, "role" | "text" | "files" | "model">} what
 */
export function addMessage(conversation, parent, what) {
  const now = Date.now();
  const message = { id: newId(), parent, created: now, changed: now, ...what };
  conversation.messages.push(message);
  conversation.leaf = message.id;
  if (!conversation.named && what.role === "user" && parent === null) conversation.title = titleOf(what.text || what.files?.[0]?.name || "");
  return message;
}

/** @param {string} text */
function titleOf(text) {
  const line = text.trim().split(/\n/)[0];
  if (line.length <= TITLE) return line;
  const cut = line.slice(0, TITLE);
  return `${cut.slice(0, Math.max(cut.lastIndexOf(" "), TITLE / 2))}…`;
}

/** The messages from the root to one of them. @param {Conversation} conversation @param {string | null} [to] */
export function pathTo({ messages, leaf }, to = leaf) {
  const byId = new Map(messages.map((message) => [message.id, message]));
  /** @type {Message[]} */
  const path = [];
  for (let at = byId.get(to ?? ""); at && !path.includes(at); at = byId.get(at.parent ?? "")) path.push(at);
  return path.reverse();
}

/** Those that stand in the same place, in the order in which they were made. @param {Conversation} conversation @param {Message} message */
export function siblingsOf({ messages }, { parent, role }) {
  return messages.filter((each) => each.parent === parent && each.role === role);
}

/** Shows the branch that goes through a message: to the end of what was written there last. @param {Conversation} conversation @param {Message} message */
export function showBranch(conversation, message) {
  let leaf = message;
  for (let next = lastChild(conversation, leaf); next; next = lastChild(conversation, leaf)) leaf = next;
  conversation.leaf = leaf.id;
}

/** @param {Conversation} conversation @param {Message} message */
function lastChild({ messages }, { id }) {
  return messages.findLast(({ parent }) => parent === id);
}

/**
 * One conversation of two copies of it: every message of both, as it was changed last; what else it is as the later copy has it.
 * @param {Conversation} mine
 * @param {Conversation} other
 * @returns {Conversation}
 */
export function merged(mine, other) {
  const messages = new Map(mine.messages.map((message) => [message.id, message]));
  for (const message of other.messages) {
    const known = messages.get(message.id);
    if (!known || known.changed < message.changed) messages.set(message.id, message);
  }
  const later = mine.changed >= other.changed ? mine : other;
  return { ...later, leaf: mine.leaf ?? other.leaf, messages: [...messages.values()].sort((a, b) => a.created - b.created) };
}

/** The thoughts of a model that writes them down, and what it says. @param {string} text */
export function thoughtsAndWords(text) {
  const begun = /^\s*<think>([\s\S]*?)(?:(<\/think>)\s*|$)/.exec(text);
  if (begun) return { thoughts: begun[1].trim(), words: text.slice(begun[0].length), thinking: begun[2] === undefined };
  // Where the template itself has begun the thoughts, only their end is written.
  const at = text.indexOf("</think>");
  if (at < 0) return { thoughts: "", words: text, thinking: false };
  return { thoughts: text.slice(0, at).trim(), words: text.slice(at + 8).trimStart(), thinking: false };
}

/** A message with its files as the model is given it. @param {Pick<Message, "text" | "files">} message */
export function withFiles({ text, files = [] }) {
  const told = files.map(({ name, text: inside }) => {
    const longest = Math.max(2, ...(inside.match(/`+/g) ?? []).map(({ length }) => length));
    const fence = "`".repeat(longest + 1);
    return `File “${name}”:\n${fence}\n${inside}${inside.endsWith("\n") ? "" : "\n"}${fence}\n`;
  });
  return [...told, text].filter(Boolean).join("\n");
}

/** Whether it is what another version of the page, or another program, may have written of a conversation. @param {any} told @returns {told is Conversation} */
export function isConversation(told) {
  const strings = ["id", "title", "system", "persona"].every((name) => typeof told?.[name] === "string");
  const numbers = ["created", "changed"].every((name) => Number.isFinite(told?.[name]));
  const named = (/** @type {unknown} */ value) => value === null || typeof value === "string";
  const whole = strings && numbers && typeof told.named === "boolean" && typeof told.thinks === "boolean" && named(told.leaf) && named(told.from);
  const calls = (told.tools === undefined || (Array.isArray(told.tools) && told.tools.every((/** @type {unknown} */ name) => typeof name === "string"))) && ["undefined", "boolean"].includes(typeof told.mustCall);
  return whole && calls && isSampling(told.sampling) && Array.isArray(told.messages) && told.messages.every(isMessage);
}

const SAMPLING = ["temperature", "topP", "topK", "minP", "maxTokens", "seed"];

/** @param {any} told */
function isSampling(told) {
  return typeof told === "object" && told !== null && Object.entries(told).every(([name, value]) => SAMPLING.includes(name) && Number.isFinite(value));
}

/** @param {any} told */
function isMessage(told) {
  const strings = typeof told?.id === "string" && typeof told.text === "string" && (told.parent === null || typeof told.parent === "string");
  const files = told?.files === undefined || (Array.isArray(told.files) && told.files.every((/** @type {any} */ file) => typeof file?.name === "string" && typeof file.text === "string"));
  const fault = told?.fault === undefined || typeof told.fault === "string";
  const steps = told?.steps === undefined || (Array.isArray(told.steps) && told.steps.every(isStep));
  return strings && files && fault && steps && ["user", "assistant"].includes(told.role) && Number.isFinite(told.created) && Number.isFinite(told.changed);
}

/** @param {any} told */
function isStep(told) {
  const perhaps = (/** @type {unknown} */ value) => value === undefined || typeof value === "string";
  const isCall = (/** @type {any} */ call) => typeof call?.id === "string" && typeof call.name === "string" && perhaps(call.result) && perhaps(call.fault);
  return typeof told?.text === "string" && Array.isArray(told.calls) && told.calls.every(isCall);
}

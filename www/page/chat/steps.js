/** What a model does on the way to an answer: words, then calls of the page's functions, and so on until it answers. */

import { callingTurn } from "../../tools.js";
import { thoughtsAndWords } from "./conversation.js";

/** @import { Chunk, Message as Turn } from "../../vitrine.js" */
/** @import { Call, Message, Step } from "./conversation.js" */

/** Puts the chunks of one stream into a message. */
export class StepReader {
  #message;
  /** The step whose calls have not all come to something. @type {Step | undefined} */
  #open;

  /** @param {Message} message */
  constructor(message) {
    this.#message = message;
  }

  /** @param {Chunk} chunk */
  read({ text, calls = [], faults = [], results }) {
    const message = this.#message;
    message.text += text;
    for (const { id, name, arguments: given } of calls) this.#step().calls.push({ id, name, given });
    for (const { code, id, name, arguments: given, written, message: fault } of faults) {
      const known = id === undefined ? undefined : this.#open?.calls.find((call) => call.id === id);
      if (known) known.fault = fault;
      // What cannot be called the model is told at once.
      else if (id !== undefined) this.#step().calls.push({ id, name: name ?? "unreadable", given: given ?? written, fault, result: `Error: ${fault}` });
      else if (code === "too-many-rounds") this.#refuse("It was not run: the model calls again and again. Ask it otherwise, or go on.");
      else message.fault = fault;
    }
    if (!results) return;
    for (const { id, content } of results) Object.assign(this.#step().calls.find((call) => call.id === id) ?? {}, { result: content });
    // Words behind a call belong to it.
    this.#step().text += message.text;
    message.text = "";
    this.#open = undefined;
  }

  /** Nothing more will come: what was called and came to nothing says so. */
  end() {
    this.#refuse("It was not finished.");
  }

  #step() {
    if (this.#open) return this.#open;
    const { text } = this.#message;
    this.#message.text = "";
    this.#open = { text, calls: [] };
    (this.#message.steps ??= []).push(this.#open);
    return this.#open;
  }

  /** @param {string} fault */
  #refuse(fault) {
    for (const call of this.#open?.calls ?? []) if (call.result === undefined) call.fault ??= fault;
    this.#open = undefined;
  }
}

/** An answer as the turns that a model is given. @param {Message} message @param {boolean} open whether it is gone on with, so that its thoughts belong to it */
export function answerTurns({ steps = [], text }, open) {
  /** @type {Turn[]} */
  const turns = [];
  let words = "";
  for (const { text: before, calls } of steps) {
    const said = thoughtsAndWords(before).words;
    // A call that came to nothing is none to the model.
    const made = calls.flatMap(({ id, name, given, result }) => (result === undefined ? [] : [{ id, name, arguments: given, content: result }]));
    if (made.length === 0) words += said;
    else {
      turns.push(callingTurn(words + said, /** @type {import("../../vitrine.js").ToolCall[]} */ (made)));
      turns.push(...made.map(({ id, name, content }) => ({ role: "tool", tool_call_id: id, name, content })));
      words = "";
    }
  }
  const content = words + (open ? text : thoughtsAndWords(text).words);
  return content === "" && turns.length > 0 ? turns : [...turns, { role: "assistant", content }];
}

/** All that an answer says, without its thoughts and its calls. @param {Pick<Message, "steps" | "text">} message */
export function saidIn({ steps = [], text }) {
  return [...steps.map((step) => step.text), text].map((each) => thoughtsAndWords(each).words).filter(Boolean).join("\n\n");
}

/** A call as it would be written in a program. @param {Call} call */
export function written({ name, given }) {
  return typeof given === "string" ? given : `${name}(${JSON.stringify(given ?? {})})`;
}

/**
 * A conversation with a model: its turns, which of them the model is shown, and an answer at a time.
 *
 * What was computed of earlier turns lies with the model (src/text/session/texts.rs): this file says what the next prompt is, and nothing about caches.
 */

import { VitrineError } from "./errors.js";
import { conversation as checked, plain, templated, text } from "./messages.js";
import { check, isRecord, shown } from "./options.js";
import { applied, defined, openSlots, promptTemplates, questionSlots } from "./prompt-templates.js";
import { Tools, declared } from "./tools.js";

/** @import * as Face from "./vitrine.js" */

/**
 * What a saved conversation keeps, as JSON.
 * @typedef {{
 *   messages: Face.Message[],
 *   fixed: number,
 *   dropped: number,
 *   overflow: NonNullable<Face.ConversationOptions["overflow"]>,
 *   options: Face.ChatOptions,
 *   runs: boolean,
 *   seed: number,
 *   answers: number,
 *   template?: Face.PromptTemplate,
 *   slots?: Record<string, string>,
 * }} Kept `fixed` messages at the beginning never leave; behind them `dropped` are not shown to the model; `runs` says that calls of the tools are run
 *   in the page; `seed` and the count of answers make the next seed
 */

/** @typedef {(messages: Face.Message[], options: Face.TemplateOptions, kept: string, signal?: AbortSignal) => Promise<Uint8Array<ArrayBuffer>>} Save */

/** @typedef {NonNullable<Face.ChatOptions["tools"]>} Given tools as a page gives them, with what runs them */
/** What is read: a chat with tools tells the turns that are whole by now. @typedef {Face.TextStream & { turns?: Face.Message[] }} Stream */

/** Tokens of an answer where nobody says, as `generate` has it. */
const USUAL_TOKENS = 256;

/** @implements {Face.Conversation} */
export class Talk {
  #model;
  #save;
  #kept;
  /** With the functions, which nothing that is saved can hold. */
  #tools;
  /** @type {Answer | undefined} */
  #answer;

  /** @param {Face.TextModel} model @param {Save} save @param {Kept} kept @param {Given} [tools] */
  constructor(model, save, kept, tools) {
    this.#model = model;
    this.#save = save;
    this.#kept = kept;
    this.#tools = tools;
  }

  /** @param {Face.TextModel} model @param {Save} save @param {Face.ConversationOptions} [given] */
  static begin(model, save, given) {
    const { system, messages = [], tools, template, slots, overflow = "error", options, seed = random() } = check("conversation", given);
    if (seed < 0 || seed >= 2 ** 32) throw refused(`seed is ${seed}, but must be from 0 to 4294967295.`);
    const { signal, draft, seed: own, overflow: other, n, ...rest } = check("chat", options);
    for (const [name, value] of Object.entries({ signal, draft, seed: own, overflow: other })) {
      if (value !== undefined) throw refused(`${name} is no option of all answers: ${name === "signal" || name === "draft" ? "give it to send" : "it stands beside options, not in it"}.`);
    }
    if (n !== undefined) throw refused(ONE_ANSWER);
    const callable = tools ?? rest.tools;
    const about = { ...rest, ...templated({ tools: callable, documents: rest.documents, templateOptions: rest.templateOptions }) };
    const framed = template === undefined ? undefined : typeof template === "string" ? promptTemplates.get(template) : defined(template);
    if (slots !== undefined && !framed) throw refused("slots are a template's; give a template with them.");
    const filled = /** @type {Record<string, string> | undefined} */ (slots);
    const first = framed ? applied(framed, filled, questionSlots(framed)).slice(0, -1) : [];
    if (system !== undefined) {
      if (first[0]?.role === "system") throw refused("system and the template both say how to answer; give one of them.");
      first.unshift({ role: "system", content: text(system, "system") });
    }
    const all = [...first, .../** @type {Face.Message[]} */ (checked(/** @type {Face.Message[]} */ (messages)))];
    if (first.some(({ role }) => role === "system") && all.slice(first.length).some(({ role }) => role === "system")) {
      throw refused("messages hold a system message, and system or the template is another; give one of them.");
    }
    let fixed = first.length;
    while (all[fixed]?.role === "system") fixed += 1;
    const runs = run(callable);
    return new Talk(model, save, { messages: all, fixed, dropped: 0, overflow, options: about, runs, seed, answers: 0, template: framed, slots: filled }, callable);
  }

  /** Of a saved one. @param {Face.TextModel} model @param {Save} save @param {string} json @param {Given} [tools] */
  static restored(model, save, json, tools) {
    const kept = JSON.parse(json);
    const counts = isRecord(kept) && [kept.fixed, kept.dropped, kept.seed, kept.answers].every((count) => Number.isInteger(count) && /** @type {number} */ (count) >= 0);
    if (!counts || !Array.isArray(kept.messages)) {
      throw new VitrineError("corrupt-file", "This file was saved by something else than a conversation of vitrine.js. Give a file that a conversation's save() made.");
    }
    const whole = { .../** @type {Kept} */ (/** @type {unknown} */ (kept)), messages: /** @type {Face.Message[]} */ (checked(kept.messages)) };
    if (!tools && whole.runs) {
      const { names } = new Tools(whole.options.tools ?? []);
      throw refused(`The page ran ${names.join(", ")} for this conversation, and no file holds functions. Give them to restore as tools, or tools: [] to go on without any.`);
    }
    return tools ? new Talk(model, save, { ...whole, options: { ...whole.options, ...templated({ tools }) }, runs: run(tools) }, tools) : new Talk(model, save, whole);
  }

  get messages() {
    return structuredClone(this.#kept.messages);
  }

  get dropped() {
    return this.#kept.dropped;
  }

  get answering() {
    return this.#answer !== undefined;
  }

  /** @param {Face.Sent} input @param {Face.ChatOptions} [options] */
  send(input, options) {
    return this.#begin(options, () => {
      this.#kept.messages.push(...this.#turns(input));
    });
  }

  /** @param {Face.ChatOptions} [options] */
  regenerate(options) {
    return this.#begin(options, () => {
      const { messages, fixed } = this.#kept;
      const asked = messages.findLastIndex(({ role }, index) => role === "user" && index >= fixed);
      if (asked < 0) throw refused("Nothing was asked yet, so there is no answer to give anew. Call send first.");
      messages.splice(asked + 1);
    });
  }

  /** @param {Face.ChatOptions} [options] */
  continue(options) {
    return this.#begin(options, () => {
      if (this.#kept.messages.at(-1)?.role !== "assistant") throw refused("The last message is not an answer, so none can be gone on with. Call send or regenerate.");
      return true;
    });
  }

  /** @param {number} at @param {string | Face.MessagePart[]} content */
  edit(at, content) {
    this.#idle("edited");
    const { messages, fixed, dropped } = this.#kept;
    const message = messages[at];
    if (!message) throw refused(`There is no message ${at}; the messages are 0 to ${messages.length - 1}.`);
    const [edited] = checked([{ ...message, content: /** @type {any} */ (content) }]);
    const left = messages.splice(at, messages.length, /** @type {Face.Message} */ (edited)).slice(1);
    this.#kept.fixed = Math.min(fixed, messages.length);
    // What is edited is meant to be seen.
    if (at < fixed + dropped) this.#kept.dropped = 0;
    return left;
  }

  /** @param {number} [at] */
  fork(at) {
    const { messages, fixed, dropped } = this.#kept;
    const end = at ?? messages.length;
    if (!Number.isInteger(end) || end < 0 || end > messages.length) throw refused(`A fork begins with 0 to ${messages.length} of the messages, not ${shown(at)}.`);
    const kept = {
      ...structuredClone(this.#kept),
      messages: structuredClone(messages.slice(0, end)),
      fixed: Math.min(fixed, end),
      dropped: end < fixed + dropped ? 0 : dropped,
    };
    return new Talk(this.#model, this.#save, kept, this.#tools);
  }

  async stop() {
    await this.#answer?.return();
  }

  /** @param {Face.CallOptions} [options] */
  async save(options) {
    const { signal } = check("save", options);
    this.#idle("saved");
    const bytes = await this.#save(this.#visible(), this.#frame(this.#usual), JSON.stringify(this.#kept), signal);
    return new Blob([bytes], { type: "application/octet-stream" });
  }

  /** @param {string} what */
  #idle(what) {
    if (this.#answer) throw refused(`An answer is under way, and the conversation cannot be ${what} meanwhile. Wait for its end, or call stop().`);
  }

  /** What is said, as messages. @param {unknown} input @returns {Face.Message[]} */
  #turns(input) {
    const { template, slots = {} } = this.#kept;
    const whole = [input].flat();
    if (whole.length > 0 && whole.every((each) => isRecord(each) && typeof each.role === "string")) return /** @type {Face.Message[]} */ (checked(/** @type {Face.Message[]} */ (whole)));
    if (template) {
      const open = openSlots(template, slots);
      if (typeof input === "string" && open.length !== 1) {
        throw refused(`The template "${template.name}" has ${open.length === 0 ? "no slot" : `the slots ${open.join(", ")}`} to fill; send an object of texts by the names of slots.`);
      }
      if (typeof input !== "string" && !isRecord(input)) throw refused(`The template "${template.name}" is filled with a text or with texts by the names of slots, not with ${shown(input)}.`);
      const given = typeof input === "string" ? { [open[0]]: input } : input;
      return applied(template, { ...slots, .../** @type {Record<string, string>} */ (given) }).slice(-1);
    }
    if (typeof input !== "string" && !Array.isArray(input)) throw refused(`send takes a text, a list of parts like { type: "text", text }, or messages, not ${shown(input)}.`);
    return /** @type {Face.Message[]} */ (checked([{ role: "user", content: input }]));
  }

  /**
   * An answer to what `change` makes of the messages, which is made at once; what cannot be is told when the stream is first read. `change` may say that the last message
   * is gone on with.
   * @param {Face.ChatOptions | undefined} options
   * @param {() => true | void} change
   */
  #begin(options, change) {
    /** @type {unknown} */
    let fault;
    /** The message that grows. @type {Face.Message | undefined} */
    let open;
    /** How many of the stream's turns stand among the messages. */
    let taken = 0;
    /** @type {Partial<Face.ChatOptions>} */
    let asked = {};
    try {
      this.#idle("gone on with");
      asked = check("chat", options);
      if (asked.n !== undefined) throw refused(ONE_ANSWER);
      if (change()) open = this.#kept.messages.at(-1);
    } catch (error) {
      fault = error;
    }
    const answer = new Answer(
      async () => {
        if (fault) throw fault;
        const left = await this.#makeRoom(asked);
        const { overflow, seed, answers } = this.#kept;
        this.#kept.answers += 1;
        /** @type {Face.ChatOptions} */
        const whole = { seed: mixed(seed, answers), overflow: overflow === "slide" ? "slide" : "error", ...this.#usual, ...asked };
        return { stream: this.#model.chat(this.#visible(), whole), left };
      },
      (said, turns) => {
        const { messages } = this.#kept;
        const grown = () => (open ??= messages[messages.push({ role: "assistant", content: "" }) - 1]);
        if (said !== "") append(grown(), said);
        for (const [at, turn] of turns.entries()) {
          if (at < taken) continue;
          if (turn.role !== "assistant") messages.push(structuredClone(turn));
          // Calls that the page runs stand there with what they came to, or not at all.
          else if (turn.tool_calls && run(asked.tools ?? this.#tools) && turns[at + 1]?.role !== "tool") return;
          else if (turn.tool_calls) Object.assign(grown(), structuredClone({ tool_calls: turn.tool_calls }));
          open = undefined;
          taken = at + 1;
        }
      },
      () => {
        if (this.#answer === answer) this.#answer = undefined;
      },
    );
    if (!fault) this.#answer = answer;
    return answer;
  }

  /** What the model is shown. */
  #visible() {
    const { messages, fixed, dropped } = this.#kept;
    return [...messages.slice(0, fixed), ...messages.slice(fixed + dropped)];
  }

  /** The options of all answers. @returns {Face.ChatOptions} */
  get #usual() {
    return { ...this.#kept.options, ...(this.#tools ? { tools: this.#tools } : {}) };
  }

  /** What of the options frames the messages. @param {Face.ChatOptions} options */
  #frame({ thinking, tools, toolChoice, documents, templateOptions, continueFinalMessage, parseSpecialTokens }) {
    const told = toolChoice === "none" ? undefined : tools?.map(declared);
    return /** @type {Face.TemplateOptions} */ (plain({ thinking, tools: told, documents, templateOptions, continueFinalMessage, parseSpecialTokens }, "options"));
  }

  /**
   * Whole turns leave, the oldest first, where the prompt leaves an answer no room: until half of the context is free, or the last turn stands alone. Room is `maxTokens`, at
   * most a quarter of the context.
   * @param {Face.ChatOptions} asked
   * @returns {Promise<Face.Message[]>} those that left
   */
  async #makeRoom(asked) {
    const context = this.#model.info.contextLength;
    const kept = this.#kept;
    if (kept.overflow !== "drop-turns" || context === undefined) return [];
    const whole = { ...this.#usual, ...asked };
    const taken = async () => (await this.#model.tokenize(this.#visible(), { ...this.#frame(whole), signal: asked.signal })).length;
    if ((await taken()) + Math.min(whole.maxTokens ?? USUAL_TOKENS, Math.floor(context / 4)) <= context) return [];
    const before = kept.fixed + kept.dropped;
    for (;;) {
      const from = kept.fixed + kept.dropped;
      const next = kept.messages.findIndex(({ role }, index) => index > from && role === "user");
      if (next < 0 || ((await taken()) <= context / 2 && from > before)) break;
      kept.dropped = next - kept.fixed;
    }
    return structuredClone(kept.messages.slice(before, kept.fixed + kept.dropped));
  }
}

/** An answer as a stream; what is read of it becomes part of the conversation. @implements {Face.AnswerStream} */
class Answer {
  #begin;
  #said;
  #done;
  /** @type {Promise<{ stream: Stream, left: Face.Message[] }> | undefined} */
  #begun;
  /** @type {{ stream: Stream, left: Face.Message[] } | undefined} */
  #running;
  #over = false;

  /**
   * @param {() => Promise<{ stream: Stream, left: Face.Message[] }>} begin
   * @param {(text: string, turns: Face.Message[]) => void} said
   * @param {() => void} done
   */
  constructor(begin, said, done) {
    this.#begin = begin;
    this.#said = said;
    this.#done = done;
  }

  /** @returns {Face.AnswerSummary | undefined} */
  get summary() {
    const summary = this.#running?.stream.summary;
    return summary && { ...summary, dropped: this.#running?.left ?? [] };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @returns {Promise<IteratorResult<Face.Chunk, undefined>>} */
  async next() {
    if (this.#over) return { done: true, value: undefined };
    this.#begun ??= this.#begin();
    try {
      this.#running = await this.#begun;
      const { stream } = this.#running;
      const step = await stream.next();
      if (!this.#over) this.#said(step.value?.text ?? "", stream.turns ?? []);
      if (step.done) this.#end();
      return step;
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  /** @returns {Promise<IteratorResult<Face.Chunk, undefined>>} */
  async return() {
    if (!this.#over) {
      this.#running ??= await this.#begun?.catch(() => undefined);
      await this.#running?.stream.return();
      this.#end();
    }
    return { done: true, value: undefined };
  }

  async text() {
    let text = "";
    for await (const chunk of this) text += chunk.text;
    return text;
  }

  async texts() {
    return [await this.text()];
  }

  #end() {
    if (this.#over) return;
    this.#over = true;
    this.#done();
  }
}

/** Puts a text behind what a message holds. @param {Face.Message} message @param {string} said */
function append(message, said) {
  const { content } = message;
  const part = Array.isArray(content) ? content.findLast((part) => typeof part.text === "string") : undefined;
  if (part) part.text += said;
  else message.content = (content ?? "") + said;
}

/** Whether the page runs the calls of these tools. @param {Given} [tools] */
const run = (tools = []) => tools.some((tool) => typeof tool.run === "function");

/** @param {string} sentence */
const refused = (sentence) => new VitrineError("bad-argument", sentence);

const ONE_ANSWER = "n is no option of an answer: a conversation goes on with one. Fork it for others, or call chat with its messages.";

const random = () => crypto.getRandomValues(new Uint32Array(1))[0];

/** The seed of an answer: that of the conversation, and how many answers were begun before (the finalizer of MurmurHash3). @param {number} seed @param {number} answers */
function mixed(seed, answers) {
  let bits = (seed + Math.imul(answers, 0x9e3779b9)) >>> 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

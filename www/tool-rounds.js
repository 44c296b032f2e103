/**
 * A chat that calls functions, as one stream: the model writes, its calls are told as soon as they are whole, functions of the page's run, what
 * they come to goes back to the model, and so on until there is an answer.
 */

import { VitrineError, aborted } from "./errors.js";
import { opensThoughts } from "./thoughts.js";
import { forcedCall } from "./tool-forced.js";
import { FORMATS, formatOf, readsTools } from "./tool-formats.js";
import { CallReader } from "./tool-reader.js";
import { spelledOut } from "./tool-words.js";
import { Tools, callingTurn } from "./tools.js";

/** @import * as Face from "./vitrine.js" */

const MOST_ROUNDS = 5;
const TOOL_TIMEOUT_MS = 30_000;
/** The options that hold a whole answer to a form. */
const FORMS = /** @type {const} */ (["schema", "regex", "grammar", "choice"]);
/** The longest that a timer can wait for. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * What of a model the rounds need: its `chat` and `generate` without tools of the page's own.
 * @typedef {Pick<Face.TextModel, "info" | "tokenize" | "generate" | "chat">} Plain
 */

/** @typedef {{ left: boolean, stream: Face.TextStream | undefined, abort: AbortController, summary: Face.GenerationSummary | undefined, turns: Face.Message[] }} Control */

/** @implements {Face.TextStream} */
export class ToolWords {
  /** @type {Control} */
  #control = { left: false, stream: undefined, abort: new AbortController(), summary: undefined, turns: [] };
  #steps;

  /** @param {(control: Control) => AsyncGenerator<Face.Chunk, void, undefined>} rounds */
  constructor(rounds) {
    this.#steps = rounds(this.#control);
  }

  get summary() {
    return this.#control.summary;
  }

  /** The turns that are whole by now; what was read since belongs to the next. */
  get turns() {
    return this.#control.turns;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @returns {Promise<IteratorResult<Face.Chunk, undefined>>} */
  async next() {
    try {
      const { done, value } = await this.#steps.next();
      if (!done && !this.#control.left) return { done: false, value };
    } catch (error) {
      if (!this.#control.left) throw error;
    }
    return { done: true, value: undefined };
  }

  /** @returns {Promise<IteratorResult<Face.Chunk, undefined>>} */
  async return() {
    const control = this.#control;
    control.left = true;
    control.abort.abort();
    await control.stream?.return();
    await this.#steps.return().catch(() => {});
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
}

/**
 * What a chat with tools is asked, looked through.
 *
 * Errors: `bad-argument` where a tool has no name or two share one, where an option does not go with these tools, or where nobody can tell how the
 * model writes calls.
 * @param {Plain} model
 * @param {Face.ChatOptions} options
 */
async function plan(model, { tools: given = [], toolChoice = "auto", toolFormat, parallelToolCalls = true, maxRounds, toolTimeout, signal, ...rest }) {
  const wrong = (/** @type {string} */ sentence) => new VitrineError("bad-argument", sentence);
  const tools = new Tools(given);
  const template = model.info.chatTemplate;
  for (const [name, value] of Object.entries({ maxRounds, toolTimeout })) {
    if (value === undefined) continue;
    if (!tools.runs) throw wrong(`${name} is for tools that are run here, and none of these has a run. Leave it out.`);
    if (!(value >= 1 && value <= LONGEST_MS)) throw wrong(`${name} is ${value}, but must be a whole number from 1${name === "toolTimeout" ? ", in milliseconds" : ""}.`);
  }
  const form = FORMS.find((name) => rest[name] !== undefined);
  if (form) throw wrong(`${form} goes with no tools that may be called: a text of one form holds no calls. Leave it out, or give toolChoice: "none".`);
  const wanted = typeof toolChoice === "object" ? toolChoice.name : undefined;
  if (wanted !== undefined && !tools.find(wanted)) throw wrong(`toolChoice names ${wanted}, and there is no such tool. There are ${tools.names.join(", ")}.`);
  const format = toolFormat ?? formatOf(template);
  if (!format) throw wrong(`This model's chat template shows tools, but not how it writes calls of them. Give toolFormat: one of ${Object.keys(FORMATS).join(", ")}.`);
  const may = wanted === undefined ? tools.all : tools.all.filter(({ name }) => name === wanted);
  return {
    tools,
    may,
    // A model whose template knows of no tools is told of them in words.
    spells: !readsTools(template),
    format,
    forced: wanted !== undefined || toolChoice === "required" ? await forcedCall(format, may, template ?? "", (text) => model.tokenize(text, { addSpecialTokens: false, parseSpecialTokens: true, signal })) : undefined,
    parallel: parallelToolCalls,
    maxRounds: tools.runs ? (maxRounds ?? MOST_ROUNDS) : 1,
    toolTimeout: toolTimeout ?? TOOL_TIMEOUT_MS,
    signal,
    rest,
  };
}

/** @typedef {Awaited<ReturnType<typeof plan>>} Plan */

/**
 * @param {Plain} model
 * @param {() => Face.Message[]} conversation
 * @param {Face.ChatOptions} options with tools
 * @returns {(control: Control) => AsyncGenerator<Face.Chunk, void, undefined>}
 */
export function rounds(model, conversation, options) {
  return async function* (control) {
    const asked = await plan(model, options);
    const messages = conversation();
    const { tools, signal, maxRounds } = asked;
    /** @type {Required<Pick<Face.GenerationSummary, "calls" | "faults" | "messages">>} */
    const told = { calls: [], faults: [], messages: control.turns };
    /** @type {Face.GenerationSummary | undefined} */
    let summed;
    for (let round = 1; ; round++) {
      const { stream, reader } = await begin(model, [...messages, ...told.messages], asked, round > 1);
      control.stream = stream;
      if (control.left) return;
      const turn = { text: "", calls: /** @type {(Face.ToolCall | Face.ToolFault)[]} */ ([]) };
      try {
        for await (const chunk of read(stream, reader, asked, turn, told)) yield chunk;
      } catch (error) {
        throw round === 1 && asked.forced ? unheld(error, asked.may) : error;
      } finally {
        summed = added(summed, stream.summary, round);
        // One call was wanted, and ended the answer.
        if (summed && !asked.parallel && turn.calls.length > 0) summed.finishReason = "stop";
        control.summary = summed && { ...summed, ...told };
      }
      if (control.left) return;
      const made = turn.calls.filter((each) => !("code" in each));
      if (asked.forced && round === 1 && turn.calls.length === 0) {
        const fault = { code: /** @type {const} */ ("missing-call"), message: "A call was asked for, and the model wrote none that is whole." };
        told.faults.push(fault);
        yield { ...EMPTY, faults: [fault] };
      }
      told.messages.push(callingTurn(turn.text, turn.calls));
      if (turn.calls.length === 0 || !tools.runs) return;
      if (round >= maxRounds) {
        const fault = { code: /** @type {const} */ ("too-many-rounds"), message: `The model was asked ${maxRounds} times and calls again. Raise maxRounds, or ask it otherwise.` };
        told.faults.push(fault);
        yield { ...EMPTY, faults: [fault] };
        return;
      }
      const results = await ended(Promise.all(turn.calls.map((call) => result(call, asked, control))), [signal, control.abort.signal]);
      const failed = results.flatMap(({ fault }) => fault ?? []);
      told.faults.push(...failed);
      told.messages.push(...results.map(({ id, name, content }) => ({ role: "tool", tool_call_id: id, name, content })));
      yield { ...EMPTY, results: results.filter(({ id }) => made.some((call) => call.id === id)).map(({ fault: _, ...each }) => each), ...(failed.length > 0 ? { faults: failed } : {}) };
    }
  };
}

/**
 * What a call cannot be held to, in words of the functions that it may be of.
 * @param {unknown} error
 * @param {{ name: string }[]} may
 */
function unheld(error, may) {
  if (!(error instanceof VitrineError) || error.code !== "bad-argument" || !/^(schema|grammar) /.test(error.message)) return error;
  const names = may.map(({ name }) => name).join(" or ");
  return new VitrineError("bad-argument", `A call of ${names} cannot be held to its parameters: ${error.message}`, { cause: error });
}

/** A chunk without a token. @type {Face.Chunk} */
const EMPTY = { text: "", piece: "", alternatives: [] };

/**
 * One answer of the model's. Where a call must come, its beginning stands at the end of the prompt.
 * @param {Plain} model
 * @param {Face.Message[]} messages
 * @param {Plan} asked
 * @param {boolean} again whether it was asked before, so that it need not call
 */
async function begin(model, messages, { tools, spells, format, forced, signal, rest }, again) {
  const { thinking, documents, templateOptions, continueFinalMessage, parseSpecialTokens, ...generating } = rest;
  const template = { thinking, documents, templateOptions, continueFinalMessage, parseSpecialTokens, signal };
  const conversation = spells ? spelledOut(messages, tools.declared) : messages;
  const told = { ...template, ...(spells ? {} : { tools: tools.declared }) };
  const known = (/** @type {string | undefined} */ name) => tools.find(name) !== undefined;
  const ids = await model.tokenize(conversation, told);
  if (again || !forced) {
    const reader = new CallReader(format, await opensThoughts(model, ids, signal), known);
    return { reader, stream: model.chat(conversation, { ...generating, ...told }) };
  }
  const { prefix, ...form } = forced;
  const begun = await model.tokenize(prefix, { addSpecialTokens: false, parseSpecialTokens: true, signal });
  const reader = new CallReader(format, false, known);
  reader.push(prefix);
  return { reader, stream: model.generate([...ids, ...begun], { ...generating, ...form, signal }) };
}

/**
 * The chunks of one answer, with its calls in place of their words.
 * @param {Face.TextStream} stream
 * @param {CallReader} reader
 * @param {Plan} asked
 * @param {{ text: string, calls: (Face.ToolCall | Face.ToolFault)[] }} turn is filled
 * @param {Required<Pick<Face.GenerationSummary, "calls" | "faults">>} told is added to
 * @returns {AsyncGenerator<Face.Chunk, void, undefined>}
 */
async function* read(stream, reader, { tools, parallel }, turn, told) {
  const step = (/** @type {Face.Chunk} */ chunk, /** @type {ReturnType<CallReader["push"]>} */ divided) => {
    turn.text += divided.text;
    const judged = (parallel ? divided.calls : divided.calls.slice(0, 1 - turn.calls.length)).map((written) => tools.judge(written));
    const calls = judged.flatMap(({ call }) => call ?? []);
    const faults = judged.flatMap(({ fault }) => fault ?? []);
    turn.calls.push(...judged.map(({ call, fault }) => call ?? fault));
    told.calls.push(...calls);
    told.faults.push(...faults);
    return { ...chunk, text: divided.text, ...(calls.length > 0 ? { calls } : {}), ...(faults.length > 0 ? { faults } : {}) };
  };
  for await (const chunk of stream) {
    yield step(chunk, reader.read(chunk));
    // One call alone was wanted.
    if (!parallel && turn.calls.length > 0) {
      await stream.return();
      return;
    }
  }
  const rest = step(EMPTY, reader.finish());
  if (rest.text !== "" || rest.calls || rest.faults) yield rest;
}

/**
 * What a call comes to. A function that throws or takes too long gives the model a text that says so, and the page a fault.
 * @param {Face.ToolCall | Face.ToolFault} call
 * @param {Plan} asked
 * @param {Control} control
 * @returns {Promise<Face.ToolResult & { fault?: Face.ToolFault }>}
 */
async function result(call, { tools, toolTimeout, signal }, { abort }) {
  const { id = "", name = "unreadable" } = call;
  if ("code" in call) return { id, name, content: `Error: ${call.message}` };
  const late = AbortSignal.timeout(toolTimeout);
  const signals = [late, abort.signal, ...(signal ? [signal] : [])];
  const failed = (/** @type {"tool-failed" | "tool-timeout"} */ code, /** @type {string} */ message, /** @type {unknown} */ cause) => ({
    id,
    name,
    content: `Error: ${message}`,
    fault: { code, id, name, arguments: call.arguments, message, cause },
  });
  try {
    const value = await ended(Promise.resolve(tools.find(name)?.run?.(call.arguments, { signal: AbortSignal.any(signals) })), signals);
    return { id, name, content: typeof value === "string" ? value : (JSON.stringify(value) ?? "null"), value };
  } catch (error) {
    if (late.aborted) return failed("tool-timeout", `${name} did not answer within ${toolTimeout} ms.`, error);
    return failed("tool-failed", `${name} failed: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

/**
 * A promise that is not waited for once one of these signals fires.
 * @template T
 * @param {Promise<T>} promise
 * @param {(AbortSignal | undefined)[]} signals
 * @returns {Promise<T>}
 */
function ended(promise, signals) {
  return new Promise((resolve, reject) => {
    const any = AbortSignal.any(signals.filter((signal) => signal !== undefined));
    const stop = () => reject(aborted(any));
    if (any.aborted) stop();
    any.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => any.removeEventListener("abort", stop));
  });
}

/**
 * What all rounds took together; speeds are the last one's.
 * @param {Face.GenerationSummary | undefined} before
 * @param {Face.GenerationSummary | undefined} now
 * @param {number} rounds
 * @returns {Face.GenerationSummary | undefined}
 */
function added(before, now, rounds) {
  if (!before || !now) return now ? { ...now, rounds } : before;
  const sum = (/** @type {"promptTokens" | "reusedTokens" | "generatedTokens" | "draftedTokens" | "acceptedTokens"} */ name) => before[name] + now[name];
  return {
    ...now,
    promptTokens: sum("promptTokens"),
    reusedTokens: sum("reusedTokens"),
    generatedTokens: sum("generatedTokens"),
    draftedTokens: sum("draftedTokens"),
    acceptedTokens: sum("acceptedTokens"),
    firstTokenMs: before.firstTokenMs,
    seed: before.seed,
    rounds,
  };
}

/**
 * An answer that may call functions, divided while it comes: what is text, and what is a call. A call is told as soon as it is whole, and no part
 * of its marks is ever text. Thoughts (`<think>`) call nothing.
 */

import { FORMATS, INNER } from "./tool-formats.js";
import { extent, literal, pythonArguments } from "./tool-literals.js";
import { isRecord } from "./options.js";

/** @import { ToolFormat } from "./vitrine.js" */

/** A call as it was written: of one that could not be read, what of it is known. @typedef {{ written: string, name?: string, arguments?: unknown, positional?: unknown[], broken?: string }} Written */

const THOUGHTS = ["<think>", "</think>"];
/** A call of Python's behind the bracket of a list, as far as it has come; a list of objects. */
const LIST_OF_CALLS = /^\[\s*(?:$|\{|[A-Za-z_][\w.]*\s*(?:$|\())/;
const NAME = /^[A-Za-z_][\w.-]*/;
/** What stands between a name and its arguments: nothing, or the marks that later Mistrals write. */
const BEFORE_ARGUMENTS = /^\s*(?:\[CALL_ID\][\w-]*)?(?:\[ARGS\])?\s*/;

export class CallReader {
  #format;
  #held = "";
  /** Whether text, the beginning of an answer, or calls come next. @type {"beginning" | "text" | "calls"} */
  #place;
  #thinking;

  #known;
  /** Whether calls were just closed: the space behind them is no text. */
  #behind = false;

  /**
   * @param {ToolFormat} format
   * @param {boolean} thinking whether the answer begins inside thoughts
   * @param {(name: string | undefined) => boolean} known whether there is a function of this name
   */
  constructor(format, thinking, known) {
    this.#format = FORMATS[format];
    this.#known = known;
    this.#thinking = thinking;
    this.#place = this.#format.bare && !thinking ? "beginning" : "text";
  }

  /** What a chunk adds; a mark that its text hides counts where calls have it. @param {{ text: string, piece: string, mark?: boolean }} chunk */
  read({ text, piece, mark }) {
    const { open, close } = this.#format;
    const counts = mark && [...open, ...close, ...INNER, ...THOUGHTS].includes(piece);
    return this.push(counts ? text + piece : text);
  }

  /** @param {string} text @returns {{ text: string, calls: Written[] }} */
  push(text) {
    this.#held += text;
    return this.#divide(false);
  }

  /** The answer is over: what was held back is told, calls that are not whole among it. */
  finish() {
    return this.#divide(true);
  }

  /** @param {boolean} over @returns {{ text: string, calls: Written[] }} */
  #divide(over) {
    let text = "";
    /** @type {Written[]} */
    const calls = [];
    for (;;) {
      const before = this.#held.length;
      const place = this.#place;
      if (place === "text") text += this.#text(over);
      else calls.push(...(place === "beginning" ? this.#beginning(over) : this.#calls(over)));
      if (this.#held === "" || (this.#held.length === before && this.#place === place)) return { text, calls };
    }
  }

  /** Text up to the next mark; of a call's the space before it goes too. @param {boolean} over */
  #text(over) {
    if (this.#behind) this.#held = this.#held.trimStart();
    this.#behind &&= this.#held === "";
    const marks = this.#thinking ? [THOUGHTS[1]] : [...this.#format.open, THOUGHTS[0]];
    const next = first(this.#held, marks);
    if (!next) return this.#take(over ? this.#held.length : this.#held.length - undecided(this.#held, marks));
    const { at, mark } = next;
    if (THOUGHTS.includes(mark)) {
      this.#thinking = mark === THOUGHTS[0];
      if (!this.#thinking && this.#format.bare) this.#place = "beginning";
      return this.#take(at + mark.length);
    }
    const text = this.#take(at).trimEnd();
    this.#take(mark.length);
    this.#place = "calls";
    return text;
  }

  /** Where an answer may be a call without marks. @param {boolean} over @returns {Written[]} */
  #beginning(over) {
    // Calls without marks may stand one behind the other.
    const begun = this.#held.replace(this.#behind ? /^[\s;,]+/ : /^\s+/, "");
    const marks = [...this.#format.open, ...THOUGHTS];
    if (!over && (begun === "" || marks.some((mark) => mark !== begun && mark.startsWith(begun)))) return [];
    const isList = LIST_OF_CALLS.test(begun);
    if (!(begun.startsWith("{") || isList)) {
      this.#place = "text";
      return [];
    }
    const whole = extent(begun, 0);
    if (!whole && !over) return [];
    const written = begun.slice(0, whole?.end);
    const calls = whole ? (isList ? listed(written) : [object(written)]) : [{ written, name: named(written, ""), broken: "it is not whole" }];
    // An answer may be an object or a list that is no call.
    if (calls.length === 0 || calls.some(({ broken, name }) => broken !== undefined && !this.#known(name))) {
      this.#place = "text";
      return [];
    }
    this.#held = begun.slice(written.length);
    this.#behind = true;
    return calls;
  }

  /** Behind a mark that opens calls. @param {boolean} over @returns {Written[]} */
  #calls(over) {
    const { open, close } = this.#format;
    this.#held = this.#held.replace(/^[\s,;\]]+/, "");
    const closed = close.find((mark) => this.#held.startsWith(mark));
    if (closed !== undefined) {
      this.#take(closed.length);
      this.#behind = true;
      this.#place = "text";
      return [];
    }
    const again = open.find((mark) => this.#held.startsWith(mark));
    if (again !== undefined) {
      this.#take(again.length);
      return [];
    }
    if (this.#held === "" || (!over && [...open, ...close].some((mark) => mark.startsWith(this.#held)))) return [];
    if (this.#held.startsWith("[")) {
      this.#take(1);
      return [];
    }
    const [name = ""] = NAME.exec(this.#held) ?? [];
    const behind = this.#held.slice(name.length);
    const from = name.length + (name === "" ? 0 : (BEFORE_ARGUMENTS.exec(behind)?.[0].length ?? 0));
    const next = this.#held[from];
    if (!over && name !== "" && (next === undefined || (next === "[" && INNER.some((mark) => mark.startsWith(this.#held.slice(from)))))) return [];
    if (next === "{" || (next === "(" && name !== "")) {
      const whole = extent(this.#held, from, close);
      if (!whole && !over) return [];
      const written = this.#take(whole?.end ?? this.#held.length);
      if (!whole || whole.broken) return [{ written, name: named(written, name), broken: "it is not whole" }];
      return [next === "(" ? called(written, name, from) : name === "" ? object(written) : spelled(written, name, from)];
    }
    // Nothing that a call begins with: all of it up to the end of the calls.
    const end = first(this.#held, close);
    if (!end && !over) return [];
    return [{ written: this.#take(end?.at ?? this.#held.length).trimEnd(), broken: "it is no call" }];
  }

  /** @param {number} count */
  #take(count) {
    const taken = this.#held.slice(0, count);
    this.#held = this.#held.slice(count);
    return taken;
  }
}

/** The first of some marks in a text. @param {string} text @param {string[]} marks */
function first(text, marks) {
  const found = marks.map((mark) => ({ at: text.indexOf(mark), mark })).filter(({ at }) => at >= 0);
  return found.sort((a, b) => a.at - b.at)[0];
}

/** How much of a text's end may belong to a mark that is still coming: its beginning, and the space before it. @param {string} text @param {string[]} marks */
function undecided(text, marks) {
  const longest = Math.max(...marks.map((mark) => mark.length - 1));
  let count = Math.min(longest, text.length);
  while (count > 0 && !marks.some((mark) => mark.startsWith(text.slice(text.length - count)))) count -= 1;
  const rest = text.slice(0, text.length - count);
  return count + rest.length - rest.trimEnd().length;
}

/** A list of calls without marks: objects, or Python's. @param {string} written @returns {Written[]} */
function listed(written) {
  const inner = written.slice(1, -1);
  /** @type {Written[]} */
  const calls = [];
  for (let at = 0; ; ) {
    at += /^[\s,]*/.exec(inner.slice(at))?.[0].length ?? 0;
    if (at >= inner.length) return calls;
    const [name = ""] = NAME.exec(inner.slice(at)) ?? [];
    const end = extent(inner, at + name.length)?.end;
    if (end === undefined || end <= at + name.length) return [];
    const each = inner.slice(at, end);
    calls.push(name === "" ? object(each) : called(each, name, name.length));
    at = end;
  }
}

/** A call as an object: its name, and its arguments by any name that models have for them. @param {string} written @returns {Written} */
function object(written) {
  try {
    const value = literal(written);
    const call = isRecord(value) && isRecord(value.function) ? value.function : value;
    if (!isRecord(call) || typeof call.name !== "string") return { written, broken: "it has no name" };
    const given = call.arguments ?? call.parameters;
    if (given === undefined && Object.keys(call).some((key) => key !== "name" && key !== "type" && key !== "id")) return { written, name: call.name, broken: "it has no arguments" };
    return { written, name: call.name, arguments: typeof given === "string" ? literal(given) : (given ?? {}) };
  } catch (error) {
    return { written, name: named(written, ""), broken: reasonOf(error) };
  }
}

/** A name with an object of arguments. @param {string} written @param {string} name @param {number} from @returns {Written} */
function spelled(written, name, from) {
  try {
    return { written, name, arguments: literal(written.slice(from)) };
  } catch (error) {
    return { written, name, broken: reasonOf(error) };
  }
}

/** A call as Python spells it; Llama's own functions are called by `.call`. @param {string} written @param {string} name @param {number} from @returns {Written} */
function called(written, name, from) {
  const plain = name.replace(/\.call$/, "");
  try {
    const { positional, named: given } = pythonArguments(written.slice(from));
    return { written, name: plain, arguments: given, positional };
  } catch (error) {
    return { written, name: plain, broken: reasonOf(error) };
  }
}

/** The name in a call that cannot be read. @param {string} written @param {string} name that stands before it */
function named(written, name) {
  return (name === "" ? /["']name["']\s*:\s*["']([^"']+)["']/.exec(written)?.[1] : name) || undefined;
}

/** @param {unknown} error */
function reasonOf(error) {
  return error instanceof Error ? error.message : String(error);
}

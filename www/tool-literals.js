/** Values as JSON and as Python write them, and where they end in a text that is still coming. */

const OPENING = "{[(";
const CLOSING = "}])";

/**
 * Where the value that begins here with a bracket ends: behind its last bracket; undefined while it is not whole. Brackets inside strings are none.
 * @param {string} text
 * @param {number} from
 * @param {string[]} [marks] that no value goes on behind, outside of strings
 * @returns {{ end: number, broken: boolean } | undefined}
 */
export function extent(text, from, marks = []) {
  let depth = 0;
  let quote = "";
  for (let at = from; at < text.length; at++) {
    const letter = text[at];
    if (quote !== "") {
      if (letter === "\\") at += 1;
      else if (letter === quote) quote = "";
    } else if (letter === '"' || letter === "'") {
      quote = letter;
    } else if (OPENING.includes(letter)) {
      depth += 1;
    } else if (CLOSING.includes(letter)) {
      depth -= 1;
      if (depth === 0) return { end: at + 1, broken: false };
    } else if (marks.some((mark) => text.startsWith(mark, at))) {
      return { end: at, broken: true };
    }
  }
  return undefined;
}

/** A value in JSON, or as Python writes one. @param {string} text @returns {unknown} @throws {SyntaxError} where it is neither */
export function literal(text) {
  try {
    return JSON.parse(text);
  } catch {
    const reader = new Python(text);
    const value = reader.value();
    reader.end();
    return value;
  }
}

/**
 * The arguments of a call as Python spells it: `(1, city="Bern")`.
 * @param {string} text with its brackets
 * @returns {{ positional: unknown[], named: Record<string, unknown> }}
 * @throws {SyntaxError}
 */
export function pythonArguments(text) {
  const reader = new Python(text);
  const all = reader.arguments();
  reader.end();
  return all;
}

/** @type {Record<string, unknown>} */
const WORDS = { True: true, False: false, None: null, true: true, false: false, null: null };
/** @type {Record<string, string>} */
const ESCAPES = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", 0: "\0", "\n": "" };

/** Reads Python's literals (of JSON's kinds) from a text. */
class Python {
  #text;
  #at = 0;

  /** @param {string} text */
  constructor(text) {
    this.#text = text;
  }

  /** @returns {unknown} */
  value() {
    const letter = this.#peek();
    if (letter === '"' || letter === "'") return this.#string();
    if (letter === "[") return this.#list("[", "]");
    if (letter === "(") return this.#list("(", ")");
    if (letter === "{") return this.#record();
    const [word] = this.#match(/[\w.+-]+/y);
    if (Object.hasOwn(WORDS, word)) return WORDS[word];
    const number = Number(word.replace(/(?<=\d)_(?=\d)/g, ""));
    if (!Number.isFinite(number) || !/\d/.test(word)) throw new SyntaxError(`"${word}" is no value`);
    return number;
  }

  /** @returns {{ positional: unknown[], named: Record<string, unknown> }} */
  arguments() {
    /** @type {unknown[]} */
    const positional = [];
    /** @type {Record<string, unknown>} */
    const named = {};
    this.#each("(", ")", () => {
      this.#peek();
      const name = /(\w+)\s*=(?!=)\s*/y;
      name.lastIndex = this.#at;
      const found = name.exec(this.#text);
      if (!found) return void positional.push(this.value());
      this.#at = name.lastIndex;
      set(named, found[1], this.value());
    });
    return { positional, named };
  }

  end() {
    if (this.#peek() !== "") throw new SyntaxError(`"${this.#text.slice(this.#at, this.#at + 20)}" follows the value`);
  }

  /** The next letter that is no space. */
  #peek() {
    this.#match(/\s*/y);
    return this.#text[this.#at] ?? "";
  }

  /** @param {RegExp} pattern sticky */
  #match(pattern) {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (!found) throw new SyntaxError(`"${this.#text.slice(this.#at, this.#at + 20)}" is no value`);
    this.#at = pattern.lastIndex;
    return found;
  }

  /** @param {string} open @param {string} close @param {() => void} item */
  #each(open, close, item) {
    this.#take(open);
    while (this.#peek() !== close) {
      item();
      if (this.#peek() !== close) this.#take(",");
    }
    this.#take(close);
  }

  /** @param {string} letter */
  #take(letter) {
    if (this.#peek() !== letter) throw new SyntaxError(`"${letter}" is missing before "${this.#text.slice(this.#at, this.#at + 20)}"`);
    this.#at += 1;
  }

  /** @param {string} open @param {string} close */
  #list(open, close) {
    /** @type {unknown[]} */
    const list = [];
    this.#each(open, close, () => list.push(this.value()));
    return list;
  }

  #record() {
    /** @type {Record<string, unknown>} */
    const record = {};
    this.#each("{", "}", () => {
      const key = this.value();
      this.#take(":");
      set(record, String(key), this.value());
    });
    return record;
  }

  #string() {
    const [, double, single] = this.#match(/"((?:[^"\\]|\\[^])*)"|'((?:[^'\\]|\\[^])*)'/y);
    return (double ?? single).replace(/\\(?:u([\da-fA-F]{4})|x([\da-fA-F]{2})|([^]))/g, (_, wide, byte, letter) => {
      if (wide ?? byte) return String.fromCharCode(Number.parseInt(wide ?? byte, 16));
      return ESCAPES[letter] ?? letter;
    });
  }
}

/** A member whatever its name is, `__proto__` too. @param {Record<string, unknown>} record @param {string} name @param {unknown} value */
function set(record, name, value) {
  Object.defineProperty(record, name, { value, writable: true, enumerable: true, configurable: true });
}

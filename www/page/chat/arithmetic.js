/** What an expression such as `2 * (3 + 4)^2` comes to. Nothing in it is run: it is read letter by letter, and what is no arithmetic is refused. */

/** Parts of an expression inside each other, at most. */
const DEEPEST = 200;

/** @type {Record<string, number>} */
const CONSTANTS = { pi: Math.PI, e: Math.E };
/** @type {Record<string, (...values: number[]) => number>} */
const FUNCTIONS = {
  sqrt: Math.sqrt, abs: Math.abs, round: Math.round, floor: Math.floor, ceil: Math.ceil, exp: Math.exp, ln: Math.log, log: Math.log10, log2: Math.log2,
  sin: Math.sin, cos: Math.cos, tan: Math.tan, min: Math.min, max: Math.max,
}; // prettier-ignore
const MANY = ["min", "max"];
/** Signs that are written otherwise too. @type {Record<string, string>} */
const SIGNS = { "×": "*", "·": "*", "÷": "/", ":": "/", "−": "-", "–": "-", "**": "^" };
const PART = /\s*(?:(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)|([A-Za-zπ]\w*)|(\*\*|[-+*/^%(),×·÷:−–]))/y;

/**
 * Errors: a sentence that says what cannot be read, or has no value.
 * @param {string} expression
 */
export function calculated(expression) {
  const parts = partsOf(expression);
  let at = 0;
  let depth = 0;
  const next = () => parts[at];
  const taken = (/** @type {string} */ sign) => (next() === sign ? ((at += 1), true) : false);
  const close = () => {
    if (!taken(")")) throw new Error("A bracket is not closed.");
  };

  const sum = () => {
    if (++depth > DEEPEST) throw new Error("The expression has too many brackets inside each other.");
    let value = product();
    while (next() === "+" || next() === "-") value += taken("+") ? product() : ((at += 1), -product());
    depth -= 1;
    return value;
  };
  const product = () => {
    let value = signed();
    for (;;) {
      if (taken("*")) value *= signed();
      else if (taken("/")) value = divided(value, signed());
      else if (taken("%")) value = begins(next()) ? value % nonzero(signed()) : value / 100;
      // 2(3 + 4), 2 pi
      else if (next() === "(" || isName(next())) value *= signed();
      else return value;
    }
  };
  /** @returns {number} */
  const signed = () => {
    if (++depth > DEEPEST) throw new Error("The expression has too many signs behind each other.");
    const value = taken("-") ? -signed() : taken("+") ? signed() : power();
    depth -= 1;
    return value;
  };
  const power = () => {
    const base = atom();
    return taken("^") ? base ** signed() : base;
  };
  const atom = () => {
    const part = next();
    if (part === undefined) throw new Error("The expression ends where a number should follow.");
    at += 1;
    if (typeof part === "number") return part;
    if (part === "(") {
      const value = sum();
      close();
      return value;
    }
    if (!isName(part)) throw new Error(`A number should stand where “${part}” is.`);
    const name = part === "π" ? "pi" : part.toLowerCase();
    if (Object.hasOwn(CONSTANTS, name)) return CONSTANTS[name];
    if (!Object.hasOwn(FUNCTIONS, name)) throw new Error(`There is no “${part}”. There are ${[...Object.keys(FUNCTIONS), ...Object.keys(CONSTANTS)].join(", ")}.`);
    if (!taken("(")) throw new Error(`Behind ${name} its number stands in brackets.`);
    const values = [sum()];
    while (taken(",")) values.push(sum());
    close();
    if (values.length > 1 && !MANY.includes(name)) throw new Error(`${name} takes one number, not ${values.length}.`);
    return FUNCTIONS[name](...values);
  };

  if (parts.length === 0) throw new Error("There is nothing to calculate.");
  const value = sum();
  if (at < parts.length) throw new Error(`Behind a whole expression stands “${parts[at]}”.`);
  if (!Number.isFinite(value)) throw new Error(Number.isNaN(value) ? "It has no value among the real numbers." : "It is larger than any number here.");
  // What binary fractions add behind the fifteenth digit is no part of it.
  return Number(value.toPrecision(15));
}

/** @param {string} expression @returns {(number | string)[]} */
function partsOf(expression) {
  /** @type {(number | string)[]} */
  const parts = [];
  const text = expression.trimEnd();
  for (PART.lastIndex = 0; PART.lastIndex < text.length; ) {
    const from = PART.lastIndex;
    const found = PART.exec(text);
    if (!found) throw new Error(`“${text.slice(from).trim().slice(0, 20)}” is no arithmetic.`);
    const [, number, name, sign] = found;
    parts.push(number !== undefined ? Number(number) : (name ?? SIGNS[sign] ?? sign));
  }
  return parts;
}

/** @param {number | string | undefined} part @returns {part is string} */
const isName = (part) => typeof part === "string" && /^[A-Za-zπ]/.test(part);
/** Whether a number may begin with it. @param {number | string | undefined} part */
const begins = (part) => typeof part === "number" || part === "(" || isName(part);

/** @param {number} value */
function nonzero(value) {
  if (value === 0) throw new Error("Nothing can be divided by zero.");
  return value;
}

/** @param {number} value @param {number} by */
const divided = (value, by) => value / nonzero(by);

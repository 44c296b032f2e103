/** Thoughts apart from the answer: what stands between `<think>` and `</think>` at its beginning. */

const OPEN = "<think>";
const CLOSE = "</think>";

/** Divides a stream of chunks. Where a prompt already opened the thoughts, an answer begins inside them. */
export class Thoughts {
  /** @type {"before" | "inside" | "behind" | "answer"} */
  #place;
  #held = "";

  /** @param {boolean} inside */
  constructor(inside) {
    this.#place = inside ? "inside" : "before";
  }

  /** Whether the thoughts have not ended yet. */
  get open() {
    return this.#place === "inside";
  }

  /**
   * Takes what comes and gives what is certainly thought, and what is certainly answer. A mark that `text` hides counts as its words.
   * @param {{ text: string, piece: string, mark?: boolean }} chunk
   */
  push({ text, piece, mark }) {
    this.#held += text;
    if (mark && (piece === OPEN || piece === CLOSE)) this.#held += piece;
    return this.#divide();
  }

  /** What was held back. */
  finish() {
    const rest = this.#held;
    this.#held = "";
    return this.#place === "inside" ? { content: "", reasoning: rest } : { content: this.#place === "behind" ? "" : rest, reasoning: "" };
  }

  #divide() {
    let content = "";
    let reasoning = "";
    if (this.#place === "before") {
      const words = this.#held.trimStart();
      if (words.startsWith(OPEN)) {
        this.#place = "inside";
        this.#held = words.slice(OPEN.length).replace(/^\n/, "");
      } else if (words !== "" && !OPEN.startsWith(words)) {
        this.#place = "answer";
      }
    }
    if (this.#place === "inside") {
      const end = this.#held.indexOf(CLOSE);
      if (end >= 0) {
        reasoning = this.#held.slice(0, end).trimEnd();
        this.#held = this.#held.slice(end + CLOSE.length);
        this.#place = "behind";
      } else {
        // Space at the end goes away with the mark, if one follows; so does what may be its beginning.
        const [tail] = /\s*(?:<(?:\/(?:t(?:h(?:i(?:n(?:k)?)?)?)?)?)?)?$/.exec(this.#held) ?? [""];
        reasoning = this.#held.slice(0, this.#held.length - tail.length);
        this.#held = tail;
      }
    }
    if (this.#place === "behind") {
      this.#held = this.#held.trimStart();
      if (this.#held !== "") this.#place = "answer";
    }
    if (this.#place === "answer") {
      content = this.#held;
      this.#held = "";
    }
    return { content, reasoning };
  }
}

/**
 * Whether a prompt already opens the thoughts, so that the answer begins inside them.
 * @param {Pick<import("./vitrine.js").TextModel, "info" | "tokenize">} model
 * @param {ArrayLike<number>} prompt
 * @param {AbortSignal} [signal]
 */
export async function opensThoughts(model, prompt, signal) {
  if (!model.info.chatTemplate?.includes(OPEN)) return false;
  const marks = await Promise.all([OPEN, `${OPEN}\n`].map((mark) => model.tokenize(mark, { addSpecialTokens: false, parseSpecialTokens: true, signal })));
  return marks.some((mark) => mark.every((id, at) => prompt[prompt.length - mark.length + at] === id));
}

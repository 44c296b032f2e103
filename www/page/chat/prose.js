/**
 * A text in Markdown that grows, as elements that stay: what is finished is never touched again, what still grows is patched. A block is finished when
 * another begins behind it, so that each piece of a long text is read a few times only, whatever is behind it.
 */

import { soon } from "../dom.js";
import { blocksOf, elementsOf } from "./markdown.js";

/** A code block that is not closed yet: its text, its last line as far as it is there, and what closes it. @typedef {{ code: Node, line: string, close: RegExp }} Fence */

export class Prose {
  #box;
  /** What belongs to no finished block. */
  #tail = "";
  /** How many of the box's children are finished. */
  #finished = 0;
  /** What came since the last frame. */
  #fresh = "";
  #growing = true;
  /** Whether the box may be another's by now. */
  #over = false;
  /** @type {Fence | undefined} */
  #fence;

  /** @param {HTMLElement} box that holds nothing else */
  constructor(box) {
    this.#box = box;
  }

  /** Puts more behind it, to be seen with the next frame. @param {string} text */
  write(text) {
    this.#fresh += text;
    soon(this.#show);
  }

  /** Nothing more will come. */
  end() {
    this.#growing = false;
    this.#show();
    this.#over = true;
  }

  #show = () => {
    if (this.#over) return;
    const fresh = this.#fresh;
    this.#fresh = "";
    this.#tail += fresh;
    if (this.#growing && this.#fence && this.#extend(this.#fence, fresh)) return;
    this.#fence = undefined;
    const blocks = blocksOf(this.#growing ? completed(this.#tail) : this.#tail);
    const last = this.#growing ? blocks.findLastIndex(({ type }) => type !== "space") : blocks.length;
    const done = blocks.slice(0, Math.max(0, last));
    const growing = blocks.slice(done.length);
    const elements = elementsOf(done);
    const open = elementsOf(growing);
    become(this.#box, this.#finished, [...elements, ...open]);
    this.#finished += elements.length;
    this.#tail = this.#tail.slice(done.reduce((sum, { raw }) => sum + raw.length, 0));
    if (growing.length === 1 && growing[0].type === "code") this.#open();
  };

  /** Remembers the code block that has just begun, where it is one between fences. */
  #open() {
    const [, fence] = /^ {0,3}(`{3,}|~{3,})[^\n]*\n/.exec(this.#tail) ?? [];
    const code = this.#box.lastElementChild?.querySelector("code")?.firstChild;
    if (!fence || !code) return;
    const close = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`, "m");
    const body = this.#tail.slice(this.#tail.indexOf("\n") + 1);
    if (close.test(body)) return;
    // marked leaves the last line's end out.
    code.nodeValue = body;
    this.#fence = { code, line: body.slice(body.lastIndexOf("\n") + 1), close };
  }

  /** Puts more into an open code block; false where that is closed by it. @param {Fence} fence @param {string} fresh */
  #extend(fence, fresh) {
    const lines = fence.line + fresh;
    if (fence.close.test(lines)) return false;
    fence.line = lines.slice(lines.lastIndexOf("\n") + 1);
    /** @type {Text} */ (fence.code).appendData(fresh);
    return true;
  }
}

/** A text that is shown while it grows, as it will look once what it began is closed: emphasis, code, a link, a table of which only the head is there. @param {string} text */
function completed(text) {
  const at = text.lastIndexOf("\n\n") + 1;
  const last = text.slice(at);
  if (/^ {0,3}(```|~~~)/m.test(text)) return text;
  const [, head] = /^\s*(\|[^\n]+)(?:\n[|\-: ]*)?$/.exec(last) ?? [];
  if (head !== undefined) {
    const columns = Math.max(1, head.replace(/\|\s*$/, "").split("|").length - 1);
    return `${text.slice(0, at)}\n${head.trimEnd().replace(/\|?$/, "|")}\n${"|-".repeat(columns)}|`;
  }
  const bare = last.replaceAll(/`[^`\n]*`/g, "");
  if ((bare.match(/`/g)?.length ?? 0) % 2 === 1) return `${text}\``;
  if ((bare.match(/\*\*/g)?.length ?? 0) % 2 === 1) return /\*$/.test(text) ? text.replace(/\*+$/, "") : `${text}**`;
  return text.replace(/!?\[([^\]\n]*)\](\([^)\n]*)?$/, "$1");
}

/** Makes the children from `first` on what `wanted` are, and keeps those that are so already. @param {Node} box @param {number} first @param {Node[]} wanted */
function become(box, first, wanted) {
  const there = [...box.childNodes].slice(first);
  wanted.forEach((node, at) => {
    const old = there[at];
    if (!old) box.appendChild(node);
    else if (!patched(old, node)) box.replaceChild(node, old);
  });
  for (const old of there.slice(wanted.length)) old.remove();
}

/** Whether an element could be made what another is. @param {ChildNode} old @param {Node} fresh */
function patched(old, fresh) {
  if (old.nodeName !== fresh.nodeName) return false;
  if (!(old instanceof Element) || !(fresh instanceof Element)) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return true;
  }
  const same = old.attributes.length === fresh.attributes.length && [...fresh.attributes].every(({ name, value }) => old.getAttribute(name) === value);
  if (!same) return false;
  // A formula of the same source is the same; a button may say what it did.
  if (!old.hasAttribute("data-tex") && old.nodeName !== "BUTTON") become(old, 0, [...fresh.childNodes]);
  return true;
}

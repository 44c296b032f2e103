/** Elements by their id, with the type that the page relies on. */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

/**
 * A new element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** @param {number} bytes */
export function bytesInWords(bytes) {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${Math.ceil(bytes / 1e3)} kB`;
}

/** @param {number} count */
export function countInWords(count) {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)} billion`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} million`;
  return count.toLocaleString("en");
}

/** As much as is true after rounding: nothing that was drawn is certain, and nothing impossible. @param {number} probability 0 to 1 */
export function percent(probability) {
  const share = probability * 100;
  if (share < 0.1) return "< 0.1 %";
  if (share > 99.9) return "> 99.9 %";
  return `${share < 9.95 || share >= 99.5 ? share.toFixed(1) : Math.round(share)} %`;
}

/** @type {Set<() => void>} */
const waiting = new Set();

/** Does something once before the next frame, however often it is asked for; in a hidden tab, where no frames come, a little later. @param {() => void} act */
export function soon(act) {
  if (waiting.has(act)) return;
  waiting.add(act);
  const run = () => {
    waiting.delete(act);
    act();
  };
  if (document.hidden) setTimeout(run, 100);
  else requestAnimationFrame(run);
}

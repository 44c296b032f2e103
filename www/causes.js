/** Why nothing came over the network, by the words of a `network` error: what a reader is told differs by it. */

/**
 * `policy`: a page's own policy forbids it; `closed`: a server lets no other origin read; `old`: the browser lacks what computes; `absent`, `private`,
 * `busy`: what a server answers; `repository`: the hub shows none of this name; `page`: a web page answers instead; `silent`: nothing answers.
 * @typedef {"policy" | "closed" | "old" | "absent" | "private" | "busy" | "repository" | "page" | "silent"} Cause
 */

/** @type {[Cause, RegExp][]} */
const SIGNS = [
  ["policy", /Content-Security-Policy of this page forbids|may start no worker/],
  ["closed", /Access-Control-Allow-Origin/],
  ["old", /needs WebAssembly with SIMD/],
  ["repository", /\bThe hub answers 4(01|04|10)\b/],
  ["absent", /\b(HTTP|answers) (404|410)\b/],
  ["private", /\b(HTTP|answers) (401|403|407|451)\b/],
  ["busy", /\b(HTTP|answers) (408|425|429|5\d\d)\b/],
  ["page", /web page|html/i],
  ["silent", /no answer|does not answer|failed to fetch|networkerror|load failed/i],
];

/** @param {string} message @returns {Cause | undefined} nothing where it is none of these */
export function causeOf(message) {
  return SIGNS.find(([, sign]) => sign.test(message))?.[0];
}

/**
 * Why something was not to be had, in a sentence that is true: what the page's Content-Security-Policy forbids, what the server answers. Both sides
 * of the worker ask.
 */

/** @typedef {{ directive: string, blocked: string }} Refusal a directive, and the address or the kind of thing that it kept out */

/** What the policy of this page, or of this worker, refused since it is watched. @type {Refusal[]} */
const refusals = [];
let isWatched = false;

/** Takes down from now on what the policy refuses. */
export function watchPolicy() {
  if (isWatched) return;
  isWatched = true;
  globalThis.addEventListener("securitypolicyviolation", (event) => {
    const { effectiveDirective: directive, blockedURI: blocked, disposition } = event;
    if (disposition === "enforce") addRefusal({ directive, blocked });
  });
}

/** @param {Refusal} refusal of this page's, or of a worker's that inherits its policy */
export function addRefusal(refusal) {
  if (!refusals.some(({ directive, blocked }) => directive === refusal.directive && blocked === refusal.blocked)) refusals.push(refusal);
}

/** @typedef {{ code: "policy" | "absent" | "closed" | "there", sentence: string, type?: string }} Reason `type` of what is there, as its server calls it */

/**
 * Why an address could not be used: it is not there, it is closed to this page, or a policy keeps it out; else it is there as it should be.
 * @param {string} address
 * @param {string[]} [kinds] what else a policy may have kept out: "blob", "wasm-eval"
 * @returns {Promise<Reason>}
 */
export async function whyNot(address, kinds = []) {
  // What a policy refuses is told a moment after the refusal.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const { origin } = new URL(address);
  const mine = refusals.filter(
    ({ directive, blocked }) => kinds.includes(blocked) || address.startsWith(blocked) || (directive === "worker-src" && blocked.startsWith(origin)),
  );
  if (mine.length === 0) return whatAnswers(address);
  const source = origin === globalThis.origin ? "'self'" : origin;
  const sources = /** @type {Record<string, string>} */ ({ blob: workerSources(address), "wasm-eval": "'wasm-unsafe-eval'" });
  const allow = mine.map(({ directive, blocked }) => `${sources[blocked] ?? source} in ${directive.replace("-elem", "")}`);
  return { code: "policy", sentence: `The Content-Security-Policy of this page forbids it: allow ${[...new Set(allow)].join(", ")}.` };
}

/** What a policy must allow for a worker: one of another origin comes through a `blob:`, and some browsers want leave for both. @param {string} address */
export function workerSources(address) {
  const { origin } = new URL(address);
  return origin === globalThis.origin ? "'self'" : `blob: and ${origin}`;
}

/** @param {string} address @returns {Promise<Reason>} */
async function whatAnswers(address) {
  try {
    const response = await fetch(address, { cache: "no-cache" });
    response.body?.cancel();
    if (!response.ok) return { code: "absent", sentence: `It answers ${response.status}.` };
    const type = response.headers.get("content-type") ?? "nothing in particular";
    return type.startsWith("text/html") ? { code: "absent", sentence: "A web page answers in its place." } : { code: "there", sentence: "", type };
  } catch {
    const answers = await fetch(address, { mode: "no-cors", cache: "no-cache" }).then(() => true, () => false);
    // WebKit tells a worker nothing of what a policy refuses it.
    if (!answers) return { code: "absent", sentence: "There is no answer: the connection failed, or a Content-Security-Policy lacks it in connect-src." };
    return { code: "closed", sentence: `Its server keeps it from pages of ${globalThis.origin}: it must answer with Access-Control-Allow-Origin.` };
  }
}

/**
 * Whether a module, or one that it imports, greets as a worker of Vitrine's does. Where there is no answer nobody knows, and it may.
 * @param {string} url
 * @param {Set<string>} [seen] modules that were looked at
 * @returns {Promise<boolean>}
 */
export async function greets(url, seen = new Set()) {
  if (seen.has(url)) return false;
  seen.add(url);
  try {
    const code = (await (await fetch(url)).text()).replace(/\/\*[^]*?\*\//g, "");
    if (/postMessage\(\s*\{\s*["']?ready["']?\s*:/.test(code)) return true;
    const imports = [...code.matchAll(/\b(?:from|import)\s*["']((?:\.{0,2}\/|https?:)[^"']+)["']/g)].map(([, name]) => new URL(name, url).href);
    return (await Promise.all(imports.map((each) => greets(each, seen)))).includes(true);
  } catch {
    return true;
  }
}

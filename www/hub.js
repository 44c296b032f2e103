/** Where the hub lies, and how its addresses are written. Both sides of the worker ask; `src/weights/address.rs` reads `hf://` alike. */

/** The hub that `hf://` means where nobody names another. */
export const HUB = "https://huggingface.co";
/** `hf://owner/repo[@revision][/file]`: the hub's own revisions hold slashes, those of others are written %2F, as in `src/weights/address.rs`. */
const ADDRESS = /^hf:\/\/([^/@]+\/[^/@]+)(?:@(refs\/(?:pr|convert)\/[^/]+|[^/]+))?(?:\/(.*))?$/s;

let hub = HUB;

/** @param {string} address of the hub or a mirror of it */
export function placeHub(address) {
  hub = address.replace(/\/+$/, "");
}

/** Where the hub lies, without a slash at the end. */
export const hubPlace = () => hub;

/**
 * The parts of an `hf://` address; none of another.
 * @param {string} address
 * @returns {{ repository?: string, revision: string, file?: string }}
 */
export function partsOfAddress(address) {
  const [, repository, revision = "main", file] = ADDRESS.exec(address) ?? [];
  return { repository, revision, file };
}

/**
 * An address of the hub as a reader may have copied it from there, as one that leads to the file: pages of files (`/blob/`), what an address bar holds behind
 * `hf://`, and names without `https://`. Any other is left as it is.
 * @param {string} address
 */
export function asFile(address) {
  const [, behind] = /^(?:hf:\/\/)?(?:huggingface\.co|hf\.co)\/(.+)$/s.exec(address) ?? [];
  const pasted = behind ? `hf://${behind}` : address;
  const [, repository, revision, file] = /^hf:\/\/([^/@]+\/[^/@]+)\/(?:resolve|blob|raw)\/(refs\/(?:pr|convert)\/[^/]+|[^/]+)\/(.+)$/s.exec(pasted) ?? [];
  // Behind the question mark stands how a browser is to save it.
  const plain = (/** @type {string} */ path) => path.replace(/\?download=(true|1)$/, "");
  if (repository) return `hf://${repository}${revision === "main" ? "" : `@${revision}`}/${plain(file)}`;
  return pasted.startsWith("hf://") ? plain(pasted) : address;
}

/** The address to fetch, as `resolve_address` of `src/weights/address.rs` has it. @param {string} address */
export function fetched(address) {
  const { repository, revision, file } = partsOfAddress(address);
  return repository && file ? `${hub}/${repository}/resolve/${escaped(revision)}/${file.split("/").map(escaped).join("/")}` : address;
}

/** An address as the engine is to have it, which knows the hub itself and none of its mirrors. @param {string} address */
export function placedOnHub(address) {
  return hub === HUB ? address : fetched(address);
}

/** A file of a repository. @param {string} repository @param {string} path @param {string} [revision] */
export function hubAddress(repository, path, revision) {
  return `hf://${repository}${revision ? `@${escaped(revision)}` : ""}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** One part of a path; `%2F` and the like in it stand. @param {string} part */
export function escaped(part) {
  return encodeURIComponent(part).replace(/%25([0-9a-f]{2})/gi, "%$1");
}

/**
 * What the hub's interface answers, as JSON.
 * @param {string} path behind the hub's address
 * @param {string} about what is asked after, for the words of an error
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function askHub(path, about, signal) {
  const address = `${hub}${path}`;
  const answer = await ask(address, { signal });
  if (!answer) throw silence(address);
  if (!answer.ok) throw refusal(answer, about);
  const text = await answer.text();
  try {
    return JSON.parse(text);
  } catch {
    throw network(`What answers at ${address} is no hub. Give the address of Hugging Face's hub or of a mirror as hub, or leave it out.`);
  }
}

/**
 * The first bytes of a file, `count` where it has so many: servers that do not know of ranges are read no further.
 * @param {string} address
 * @param {number} count
 * @param {AbortSignal} [signal]
 * @param {Uint8Array} [known] those that are there already, and are not asked for again
 * @returns {Promise<Uint8Array>}
 */
export async function firstBytes(address, count, signal, known = new Uint8Array()) {
  const answer = await ask(address, { signal, headers: { Range: `bytes=${known.length}-${count - 1}` } });
  if (!answer) throw silence(address);
  if (!answer.ok || !answer.body) throw refusal(answer, address);
  const reader = answer.body.getReader();
  const bytes = new Uint8Array(count);
  // Who answers with all of the file begins with its first byte.
  let have = answer.status === 206 ? known.length : 0;
  bytes.set(known.subarray(0, have));
  try {
    while (have < count) {
      const { done, value } = await reader.read();
      if (done) break;
      const part = value.subarray(0, count - have);
      bytes.set(part, have);
      have += part.length;
    }
    await reader.cancel();
  } catch {
    throw signal?.aborted ? signal.reason : silence(address);
  }
  return bytes.subarray(0, have);
}

/** @param {string} address @param {RequestInit} how @returns {Promise<Response | undefined>} nothing where there is no answer */
async function ask(address, how) {
  try {
    return await fetch(address, how);
  } catch {
    if (how.signal?.aborted) throw how.signal.reason;
    return undefined;
  }
}

/** @param {string} address */
function silence(address) {
  return network(`The hub does not answer at ${address}. Check the connection: what was opened before, and files of your own, need none.`);
}

/** @param {Response} answer @param {string} about */
function refusal({ status, headers }, about) {
  const said = `The hub answers ${status} for ${about}`;
  if (status === 429) return network(`${said}: it was asked too often from here. Ask again in ${waitIn(headers)}.`);
  if (status === 403) return network(`${said}: it is not open to everybody. Log in there, download the file, and open it here.`);
  if (status >= 500) return network(`${said}: it is busy or broken. Ask again in a few minutes.`);
  return network(`${said}: it shows nothing of this name to everybody. Look whether it is spelled right; what is private cannot be read from here.`);
}

/** @param {string} message */
function network(message) {
  return { code: "network", message };
}

/** How long to wait, in words: `Retry-After` (RFC 9110), or what is left of the hub's own window (`RateLimit: "api";r=0;t=55`). @param {Headers} headers */
function waitIn(headers) {
  const after = headers.get("retry-after");
  const [, left] = /\bt=(\d+)/.exec(headers.get("ratelimit") ?? "") ?? [];
  const seconds = after === null ? Number(left) : Number.isNaN(Number(after)) ? Math.ceil((Date.parse(after) - Date.now()) / 1000) : Number(after);
  if (!(seconds > 0)) return "five minutes";
  return seconds > 120 ? `${Math.ceil(seconds / 60)} minutes` : `${seconds} second${seconds === 1 ? "" : "s"}`;
}

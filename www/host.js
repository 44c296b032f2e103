/**
 * The page's side of the worker: calls with ids, events on the way, aborts, and what happens when the worker dies.
 *
 * To the worker:   { id, op, args } · { abort: id } · { credit: id, count }
 * From the worker: { ready } · { id, value } · { id, error: { code, message }, left? } · { id, event } · { moved: { engines, device } } · { crash: message }
 * From the door before a worker of another origin: { lost: message, refusals }
 *
 * Promises: every call settles, a crash included; an aborted call rejects at once, and what the worker had already made for it
 * is given back.
 */

import { VitrineError, aborted, asVitrineError } from "./errors.js";
import { addRefusal, greets, watchPolicy, whyNot, workerSources } from "./reach.js";

/** @import { Addresses, WorkerPlace } from "./addresses.js" */

/**
 * @typedef {{
 *   resolve: (value: any) => void,
 *   reject: (error: VitrineError, left?: any) => void,
 *   onEvent?: (event: any) => void,
 *   onLate?: (value: any) => void,
 *   late: boolean,
 * }} Call
 */

/** How long a worker may be silent before its script is looked at, and a script that does not look like it after that. */
const SILENCE_MS = 2000;
const GRACE_MS = 8000;

/** One host for each set of addresses: so one for a page, in all but strange cases. @type {Map<string, Host>} */
const hosts = new Map();

export class Host {
  /** @type {Worker} */
  #worker;
  #key;
  #place;
  #next = 1;
  #users = 0;
  #ready = false;
  /** @type {Map<number, Call>} */
  #calls = new Map();
  /** Who is told that an engine's device went away and another took its place. @type {Map<number, (device: any) => void>} */
  moved = new Map();
  /** Why the worker is gone, once it is. @type {VitrineError | undefined} */
  failure;

  /**
   * The living host for these addresses, with one user more.
   * @param {Addresses} addresses
   */
  static acquire(addresses) {
    const key = JSON.stringify(addresses);
    const host = hosts.get(key) ?? new Host(key, addresses);
    hosts.set(key, host);
    host.#users += 1;
    return host;
  }

  /** @param {string} key @param {Addresses} addresses */
  constructor(key, { worker }) {
    this.#key = key;
    this.#place = worker;
    watchPolicy();
    try {
      this.#worker = startWorker(worker);
    } catch (error) {
      const policy = `: a Content-Security-Policy must allow ${workerSources(worker.url)} in worker-src, and require no trusted types`;
      throw new VitrineError("network", `This page may start no worker from ${worker.url}, and Vitrine computes in one${policy}. (${error})`, { cause: error });
    }
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onmessageerror = () => this.#die(new VitrineError("internal", "A message from the worker could not be read. Load the model again."));
    this.#worker.onerror = (event) => {
      event.preventDefault();
      if (this.#ready) this.#die(crash(event.message));
      else this.#lose(event.message);
    };
    if (worker.named) this.#await();
  }

  /** One user fewer; the last one ends the worker. */
  release() {
    this.#users -= 1;
    if (this.#users === 0) this.#die(new VitrineError("closed", "The engine was closed. Create another with Engine.create()."));
  }

  /**
   * @param {string} op
   * @param {object} args cloned, not moved
   * @param {{ signal?: AbortSignal, onEvent?: (event: any) => void, onLate?: (value: any) => void }} [options]
   *   `onLate` gets a value that came after the caller had aborted, to give it back
   * @returns {Promise<any>}
   */
  call(op, args, options = {}) {
    const { signal, onEvent, onLate } = options;
    if (this.failure) return Promise.reject(this.failure);
    if (signal?.aborted) return Promise.reject(aborted(signal));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const abort = () => {
        const call = this.#calls.get(id);
        if (!call || !signal) return;
        call.late = true;
        this.#worker.postMessage({ abort: id });
        reject(aborted(signal));
      };
      const settled = () => signal?.removeEventListener("abort", abort);
      this.#calls.set(id, {
        resolve: (value) => (settled(), resolve(value)),
        reject: (error) => (settled(), reject(error)),
        onEvent,
        onLate,
        late: false,
      });
      signal?.addEventListener("abort", abort, { once: true });
      try {
        this.#worker.postMessage({ id, op, args });
      } catch (error) {
        this.#calls.delete(id);
        settled();
        reject(new VitrineError("bad-argument", "An argument cannot be sent to the worker: pass plain data, a Blob or an ArrayBuffer.", { cause: error }));
      }
    });
  }

  /**
   * A call whose events are a stream of their own: gives its id, to grant credit or abort by.
   * @param {string} op
   * @param {object} args
   * @param {{ onEvent: (event: any) => void, onEnd: (value: any) => void, onError: (error: VitrineError, left?: any) => void }} handlers
   *   `left` is what `onEnd` would have got, as far as it had come
   */
  open(op, args, handlers) {
    const id = this.#next++;
    if (this.failure) {
      handlers.onError(this.failure);
      return id;
    }
    this.#calls.set(id, { resolve: handlers.onEnd, reject: handlers.onError, onEvent: handlers.onEvent, late: false });
    try {
      this.#worker.postMessage({ id, op, args });
    } catch (error) {
      this.#calls.delete(id);
      handlers.onError(new VitrineError("bad-argument", "An option cannot be sent to the worker: pass plain data.", { cause: error }));
    }
    return id;
  }

  /** @param {number} id */
  abort(id) {
    if (!this.failure) this.#worker.postMessage({ abort: id });
  }

  /**
   * @param {number} id
   * @param {number} count events that were consumed
   */
  credit(id, count) {
    if (!this.failure) this.#worker.postMessage({ credit: id, count });
  }

  /** @param {any} message */
  #receive(message) {
    if ("lost" in message) {
      message.refusals.forEach(addRefusal);
      return void this.#lose(message.lost);
    }
    this.#ready = true;
    if ("crash" in message) return this.#die(crash(message.crash));
    if ("moved" in message) return message.moved.engines.forEach((/** @type {number} */ engine) => this.moved.get(engine)?.(message.moved.device));
    const call = this.#calls.get(message.id);
    if (!call) return;
    if ("event" in message) {
      if (!call.late) call.onEvent?.(message.event);
      return;
    }
    this.#calls.delete(message.id);
    if ("error" in message) call.reject(asVitrineError(message.error), message.left);
    else if (call.late) call.onLate?.(message.value);
    else call.resolve(message.value);
  }

  /** Another script than a worker of Vitrine's may run without a fault, and say nothing for ever. However slow a network is, a worker's own is waited for. */
  async #await() {
    const { url } = this.#place;
    const isSilent = async (/** @type {number} */ ms) => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      return !this.#ready && !this.failure;
    };
    if (!(await isSilent(SILENCE_MS)) || (await greets(url)) || !(await isSilent(GRACE_MS))) return;
    this.#die(new VitrineError("bad-argument", `worker is ${url}, and what lies there is another script than Vitrine's worker. Give the address of worker.js in a whole copy of Vitrine.`));
  }

  /** The worker does not start: says why. @param {string} told by the browser, mostly nothing */
  async #lose(told) {
    const { url } = this.#place;
    const { code, sentence, type } = await whyNot(url, ["blob"]);
    const isolated = globalThis.crossOriginIsolated ? ", and that it comes with the Cross-Origin-Embedder-Policy of this page" : "";
    const next = {
      policy: "",
      closed: "",
      absent: url.includes("/.vite/deps/")
        ? ' Vite took Vitrine apart before serving it: add "vitrine" to optimizeDeps.exclude.'
        : " Where a bundler left it behind, say where it is: Engine.create({ worker }), or put it there with pkg/ and models/.",
      there: /(java|ecma)script/.test(type ?? "")
        ? `It is there: see that the modules that it imports are too, pkg/vitrine.js among them${isolated}.${told ? ` (${told})` : ""}`
        : `It is there, but served as ${type}: browsers run text/javascript alone.`,
    };
    this.#die(new VitrineError("network", `Vitrine's worker could not be started from ${url}. ${sentence}${next[code]}`));
  }

  /** @param {VitrineError} failure */
  #die(failure) {
    if (this.failure) return;
    this.failure = failure;
    if (hosts.get(this.#key) === this) hosts.delete(this.#key);
    this.#worker.terminate();
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.reject(failure);
  }
}

/** @param {string} [message] */
function crash(message) {
  return new VitrineError(
    "internal",
    `Vitrine's engine stopped because of a fault of its own${message ? ` (${message.trim()})` : ""}. Load the model again: the engine restarts by itself.`,
  );
}

/**
 * A worker, from another origin too: there a door of this page's own imports it. The door is no module, for a frame of an opaque origin starts none from
 * a `blob:`; what is said to it before the worker is there waits.
 * @param {WorkerPlace} place
 */
function startWorker({ url, type }) {
  if (new URL(url).origin === globalThis.origin) return new Worker(url, { type, name: "vitrine" });
  const lines = `
    const early = [], refusals = [];
    onmessage = (event) => early.push(event);
    addEventListener("securitypolicyviolation", ({ effectiveDirective: directive, blockedURI: blocked }) => refusals.push({ directive, blocked }));
    const lost = (error) => setTimeout(() => postMessage({ lost: String(error), refusals }), 50);
    import(${JSON.stringify(url)}).then(() => early.forEach((event) => onmessage(event)), lost);`;
  const door = URL.createObjectURL(new Blob([lines], { type: "text/javascript" }));
  const worker = new Worker(door, { name: "vitrine" });
  setTimeout(() => URL.revokeObjectURL(door), 10_000);
  return worker;
}

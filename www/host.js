/**
 * The page's side of the worker: calls with ids, events on the way, aborts, and what happens when the worker dies.
 *
 * To the worker:   { id, op, args } · { abort: id } · { credit: id, count }
 * From the worker: { ready } · { id, value } · { id, error: { code, message } } · { id, event } · { crash: message }
 *
 * Promises: every call settles, a crash included; an aborted call rejects at once, and what the worker had already made for it
 * is given back.
 */

import { VitrineError, aborted, asVitrineError } from "./errors.js";

/**
 * @typedef {{
 *   resolve: (value: any) => void,
 *   reject: (error: VitrineError) => void,
 *   onEvent?: (event: any) => void,
 *   onLate?: (value: any) => void,
 *   late: boolean,
 * }} Call
 */

/** One host for each `.wasm` address: so one for a page, in all but strange cases. @type {Map<string, Host>} */
const hosts = new Map();

export class Host {
  /** @type {Worker} */
  #worker;
  #wasm;
  #next = 1;
  #users = 0;
  #ready = false;
  /** @type {Map<number, Call>} */
  #calls = new Map();
  /** Why the worker is gone, once it is. @type {VitrineError | undefined} */
  failure;

  /**
   * The living host for this `.wasm`, with one user more.
   * @param {string} wasm
   */
  static acquire(wasm) {
    const host = hosts.get(wasm) ?? new Host(wasm);
    hosts.set(wasm, host);
    host.#users += 1;
    return host;
  }

  /** @param {string} wasm */
  constructor(wasm) {
    if (typeof Worker === "undefined") {
      throw new VitrineError("bad-argument", "Vitrine computes in a worker, and there is none here: create the engine in a browser, not on the server.");
    }
    this.#wasm = wasm;
    this.#worker = startWorker(new URL("./worker.js", import.meta.url));
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onmessageerror = () => this.#die(new VitrineError("internal", "A message from the worker could not be read. Load the model again."));
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#die(
        this.#ready
          ? crash(event.message)
          : new VitrineError("network", "Vitrine's worker.js could not be loaded. Check that it lies beside vitrine.js and is served as JavaScript."),
      );
    };
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
   * @param {{ onEvent: (event: any) => void, onEnd: (value: any) => void, onError: (error: VitrineError) => void }} handlers
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
    this.#ready = true;
    if ("crash" in message) return this.#die(crash(message.crash));
    const call = this.#calls.get(message.id);
    if (!call) return;
    if ("event" in message) {
      if (!call.late) call.onEvent?.(message.event);
      return;
    }
    this.#calls.delete(message.id);
    if ("error" in message) call.reject(asVitrineError(message.error));
    else if (call.late) call.onLate?.(message.value);
    else call.resolve(message.value);
  }

  /** @param {VitrineError} failure */
  #die(failure) {
    if (this.failure) return;
    this.failure = failure;
    if (hosts.get(this.#wasm) === this) hosts.delete(this.#wasm);
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
 * A module worker, from another origin too: there a one-line module of our own imports it.
 * @param {URL} url
 */
function startWorker(url) {
  const own = globalThis.location;
  if (!own || url.origin === own.origin) return new Worker(url, { type: "module", name: "vitrine" });
  const door = URL.createObjectURL(new Blob([`import ${JSON.stringify(url.href)};`], { type: "text/javascript" }));
  try {
    return new Worker(door, { type: "module", name: "vitrine" });
  } finally {
    setTimeout(() => URL.revokeObjectURL(door), 10_000);
  }
}

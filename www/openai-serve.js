/**
 * A page that answers `/v1/…` of its site: the service worker (openai-route.js) hands it the requests of whatever script of the origin makes them.
 *
 * The page holds a lock, whose name tells the worker that it serves and whose end tells that it is gone. Which window that is the worker asks all.
 *
 * To every window: { to: the lock's name } with a port
 * Over the port, to the page: { url, method, body }, once · "pull" for a piece · "cancel"
 * From the page: { here } · { status, headers } · { piece } · { done } · { failed }
 */

import { VitrineError } from "./errors.js";
import { nonce } from "./openai-fetch.js";
import { SERVING } from "./openai-route.js";

/** @import * as Face from "./vitrine.js" */

/** Not written where it is used: bundlers would make an asset of it, and a service worker's address says what it is for. */
const SCRIPT = "./sw.js";

/**
 * @param {typeof fetch} answer
 * @param {Face.ServeOptions} [options]
 * @returns {Promise<Face.Serving>}
 */
export async function serve(answer, { serviceWorker = new URL(SCRIPT, import.meta.url) } = {}) {
  const container = globalThis.navigator?.serviceWorker;
  if (!container || !navigator.locks) {
    throw new VitrineError("bad-argument", "This page can serve nothing: a service worker needs a page of https or of this machine. engine.openai.fetch answers here without one.");
  }
  const scope = await active(container, new URL(serviceWorker, location.href));
  const name = SERVING + nonce();
  const abort = new AbortController();
  const listener = (/** @type {MessageEvent} */ event) => {
    if (event.data?.to === name && event.ports[0]) pass(answer, event.ports[0], abort.signal);
  };
  container.addEventListener("message", listener);
  container.startMessages();
  const stop = () => {
    container.removeEventListener("message", listener);
    abort.abort();
  };
  // Held until the page is gone or serves no more.
  await new Promise((resolve) => {
    navigator.locks.request(name, () => {
      resolve(undefined);
      return new Promise((release) => abort.signal.addEventListener("abort", release, { once: true }));
    });
  });
  return { baseURL: new URL("v1", scope).href, stop };
}

/**
 * Waits until a service worker runs, and, where it is new, until it answers for this page too.
 * @param {ServiceWorkerContainer} container
 * @param {URL} script
 */
async function active(container, script) {
  const registration = await container.register(script, { type: "module" }).catch((cause) => {
    throw new VitrineError("network", `The service worker ${script} could not be started, and without one nothing is served. Put sw.js of Vitrine there, or say where it is: engine.openai.serve({ serviceWorker }). (${cause})`, { cause });
  });
  const isNew = !registration.active;
  const worker = registration.installing ?? registration.waiting ?? registration.active;
  while (worker && worker.state !== "activated" && worker.state !== "redundant") {
    await new Promise((resolve) => worker.addEventListener("statechange", resolve, { once: true }));
  }
  if (!registration.active) throw new VitrineError("network", `The service worker ${script} did not become active. Reload the page.`);
  if (isNew && !container.controller && location.href.startsWith(registration.scope)) {
    await new Promise((resolve) => container.addEventListener("controllerchange", resolve, { once: true }));
  }
  return registration.scope;
}

/**
 * Answers the one request that comes over this port.
 * @param {typeof fetch} answer
 * @param {MessagePort} port
 * @param {AbortSignal} stopped
 */
function pass(answer, port, stopped) {
  const abort = new AbortController();
  /** @type {ReadableStreamDefaultReader<Uint8Array> | undefined} */
  let reader;
  const end = (/** @type {object | undefined} */ last) => {
    if (last) port.postMessage(last);
    abort.abort();
    port.close();
  };
  const begin = async (/** @type {{ url: string, method: string, body?: string }} */ { url, method, body }) => {
    const response = await answer(url, { method, body, signal: AbortSignal.any([abort.signal, stopped]) });
    reader = response.body?.getReader();
    port.postMessage({ status: response.status, headers: [...response.headers] });
  };
  const next = async () => {
    const piece = await reader?.read();
    if (piece && !piece.done) port.postMessage({ piece: piece.value });
    else end({ done: true });
  };
  port.onmessage = async ({ data }) => {
    try {
      if (data === "pull") await next();
      else if (data !== "cancel") await begin(data);
      else {
        await reader?.cancel();
        end(undefined);
      }
    } catch (error) {
      end({ failed: stopped.aborted ? "The page that answered serves no more. Ask again while another does." : String(error) });
    }
  };
  port.postMessage({ here: true });
}

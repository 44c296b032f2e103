/**
 * `/v1/…` of the site, in the service worker: a page that offers itself (openai-serve.js, which describes the messages) answers. Nothing of a request
 * goes to the network, whether there is such a page or none.
 */

/** What the names of the locks of pages that serve begin with. */
export const SERVING = "vitrine-openai:";

/**
 * What of a service worker's world is needed.
 * @typedef {{ postMessage(message: unknown, transfer: Transferable[]): void }} Client
 * @typedef {{ matchAll(which: { type: "window", includeUncontrolled: boolean }): Promise<Client[]> }} Clients
 * @typedef {{ request: Request, waitUntil(promise: Promise<unknown>): void }} Asked
 */

const GONE = "The page that answered was closed. Ask again while a page of Vitrine's is open.";
const NONE = "No open page serves this address. Open a page that calls engine.openai.serve(), and ask again.";

/** How long a page may take to say that it is there: one that the browser put to sleep says nothing. */
const SILENCE_MS = 5000;

/** @param {Asked} asked @param {Clients} clients @returns {Promise<Response>} */
export async function served({ request, waitUntil }, clients) {
  const page = await servingPage(clients);
  if (!page) return refused(NONE);
  const { name, port } = page;
  const { url, method } = request;
  const body = method === "GET" || method === "HEAD" ? undefined : await request.text();
  const over = new AbortController();
  const { promise: head, resolve: begin } = Promise.withResolvers();
  /** @type {ReadableStreamDefaultController<Uint8Array> | undefined} */
  let pieces;
  const end = (/** @type {string | undefined} */ fault) => {
    if (over.signal.aborted) return;
    over.abort();
    if (!pieces) return begin(refused(fault ?? GONE));
    if (fault) pieces.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(shaped(fault))}\n\n`));
    pieces.close();
  };
  const cancel = () => {
    port.postMessage("cancel");
    begin(Response.error());
    // Not within the call: WebKit's worker answers nothing more where a lock is given up while a stream is cancelled.
    setTimeout(() => over.abort());
  };
  port.onmessage = ({ data }) => {
    if (over.signal.aborted) return;
    if (data.status) {
      const stream = new ReadableStream({
        start: (controller) => void (pieces = controller),
        pull: () => port.postMessage("pull"),
        cancel,
      });
      begin(new Response(stream, { status: data.status, headers: data.headers }));
    } else if (data.piece) {
      pieces?.enqueue(data.piece);
    } else {
      end(data.failed);
    }
  };
  request.signal.addEventListener("abort", cancel, { once: true });
  // The lock is free once the page is gone.
  navigator.locks.request(name, { signal: over.signal }, () => end(GONE)).catch(() => {});
  port.postMessage({ url, method, body });
  // Without it a worker that waits for a slow answer would be put to sleep.
  waitUntil(new Promise((resolve) => over.signal.addEventListener("abort", resolve, { once: true })));
  return head;
}

/** The name of a page that serves, and a port to it. @param {Clients} clients */
async function servingPage(clients) {
  const { held = [] } = await navigator.locks.query();
  const names = held.flatMap(({ name }) => (name?.startsWith(SERVING) ? [name] : []));
  for (const name of names) {
    const windows = await clients.matchAll({ type: "window", includeUncontrolled: true });
    const over = new AbortController();
    /** @type {MessagePort | undefined} */
    const port = await new Promise((resolve) => {
      for (const client of windows) {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => resolve(port1);
        client.postMessage({ to: name }, [port2]);
      }
      navigator.locks.request(name, { signal: over.signal }, () => resolve(undefined)).catch(() => {});
      setTimeout(() => resolve(undefined), SILENCE_MS);
    });
    over.abort();
    if (port) return { name, port };
  }
  return undefined;
}

/** @param {string} message */
function shaped(message) {
  return { error: { message, type: "server_error", param: null, code: "closed" } };
}

/** @param {string} message */
function refused(message) {
  return new Response(JSON.stringify(shaped(message)), { status: 503, headers: { "content-type": "application/json", "x-should-retry": "false" } });
}

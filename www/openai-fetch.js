/**
 * A `fetch` that answers as OpenAI's server would, without a network: `new OpenAI({ baseURL: "http://vitrine/v1", fetch: engine.openai.fetch, … })`.
 * Bodies, statuses, errors and server-sent events follow their API reference.
 */

import { VitrineError } from "./errors.js";
import { Refused } from "./openai-fields.js";

/**
 * What the routes lead to: what is posted to each, and the list of models.
 * @typedef {(request: any, signal: AbortSignal) => Promise<any>} Posted
 * @typedef {Record<"chat/completions" | "completions" | "embeddings", Posted> & { models: () => Promise<{ id: string }[]> }} Service
 */

/** @type {{ [Code in import("./vitrine.js").ErrorCode]?: number }} */
const STATUS = { "bad-argument": 400, "context-overflow": 400, "unsupported-model": 400, "corrupt-file": 400, network: 502, "device-lost": 503, closed: 503 };

/** @param {Service} service @returns {typeof fetch} */
export function fetchOf(service) {
  return async (input, init) => {
    const request = new Request(input, init);
    const { signal } = request;
    try {
      return await answer(service, request);
    } catch (error) {
      // Whoever gave up gets what every fetch gives.
      if (signal.aborted) throw signal.reason;
      return failed(error);
    }
  };
}

/** @param {Service} service @param {Request} request @returns {Promise<Response>} */
async function answer(service, request) {
  const { method, signal } = request;
  const path = new URL(request.url).pathname.replace(/\/+$/, "");
  const [, route, id] = /\/(chat\/completions|completions|embeddings|models)(?:\/([^/]+))?$/.exec(path) ?? [];
  if (!route || (id !== undefined && route !== "models")) {
    throw new Refused(`Unknown request URL: ${method} ${path}. Vitrine answers /v1/chat/completions, /v1/completions, /v1/embeddings and /v1/models.`, null, "unknown_url", 404);
  }
  const wanted = route === "models" ? "GET" : "POST";
  if (method !== wanted) throw new Refused(`Not allowed to ${method} on ${path}: ${wanted} it.`, null, "method_not_supported", 405);
  if (route === "models") return json(await list(service, id));
  const asked = await request.json().catch((cause) => {
    throw new Refused("The body of the request is no JSON that can be read.", null, "invalid_json", 400, cause);
  });
  const answered = await service[/** @type {Exclude<keyof Service, "models">} */ (route)](asked, signal);
  return Symbol.asyncIterator in answered ? await events(answered, signal) : json(answered);
}

/** @param {Service} service @param {string} [id] */
async function list(service, id) {
  const data = await service.models();
  if (id === undefined) return { object: "list", data };
  const name = decoded(id);
  const model = data.find((each) => each.id === name);
  if (!model) throw new Refused(`There is no model "${name}" here. GET /v1/models lists those that there are.`, "model", "model_not_found", 404);
  return model;
}

/** A part of an address as it was meant; as it stands, where it was not written by the rules. @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * Server-sent events. The first piece is awaited here, so that what cannot be answered at all has a status of its own.
 * @param {AsyncGenerator<object, void, undefined>} pieces
 * @param {AbortSignal} signal
 */
async function events(pieces, signal) {
  const utf8 = new TextEncoder();
  const event = (/** @type {unknown} */ data) => utf8.encode(`data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`);
  let next = await pieces.next();
  const body = new ReadableStream({
    async pull(controller) {
      try {
        if (next.done) {
          controller.enqueue(event("[DONE]"));
          controller.close();
          return;
        }
        controller.enqueue(event(next.value));
        next = await pieces.next();
      } catch (error) {
        if (signal.aborted) return controller.error(signal.reason);
        controller.enqueue(event(shapeOf(error)));
        controller.close();
      }
    },
    async cancel() {
      await pieces.return();
    },
  });
  return new Response(body, { headers: headers("text/event-stream; charset=utf-8") });
}

/** What no other has. Not randomUUID, which a page over plain http is without. */
export function nonce() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} type */
function headers(type) {
  // A request that failed here fails again: nobody else was in its way.
  return { "content-type": type, "x-request-id": `req_${nonce()}`, "x-should-retry": "false" };
}

/** @param {unknown} value @param {number} [status] */
function json(value, status = 200) {
  return new Response(JSON.stringify(value), { status, headers: headers("application/json") });
}

/** @param {unknown} error */
function failed(error) {
  return json(shapeOf(error), statusOf(error));
}

/** @param {unknown} error */
function statusOf(error) {
  if (error instanceof Refused) return error.status;
  return (error instanceof VitrineError && STATUS[error.code]) || 500;
}

/** `{ error: { message, type, param, code } }`. @param {unknown} error */
function shapeOf(error) {
  const message = error instanceof Error ? error.message : String(error);
  const type = statusOf(error) < 500 ? "invalid_request_error" : "server_error";
  const param = error instanceof Refused ? error.param : null;
  const own = error instanceof VitrineError ? error.code : "internal";
  const code = error instanceof Refused ? error.reason : own === "context-overflow" ? "context_length_exceeded" : own;
  return { error: { message, type, param, code } };
}

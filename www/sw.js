/**
 * Keeps the pages and their first models for days without a connection.
 *
 * The network comes first, always: what the server has now is what the page gets, and a copy is kept; only where there is no
 * answer does the copy serve. So an update is never hidden behind an old copy. Needs no special headers, sets none.
 */

import { served } from "./openai-route.js";

const CACHE = "vitrine";

const SHELL = [
  "./",
  "chat.html",
  "paint.html",
  "walk.html",
  "widgets.html",
  "embed.html",
  "style.css",
  "models.css",
  "story.css",
  "chat.css",
  "messages.css",
  "paint.css",
  "walk.css",
  "embed.css",
  "icon.svg",
  "site.webmanifest",
  "page.js",
  "chat.js",
  "paint.js",
  "walk.js",
  "embed.js",
  "page/chat/answering.js",
  "page/chat/arithmetic.js",
  "page/chat/attachments.js",
  "page/chat/comparison.js",
  "page/chat/composer.js",
  "page/chat/conversation.js",
  "page/chat/conversations.js",
  "page/chat/exchange.js",
  "page/chat/library.js",
  "page/chat/markdown.js",
  "page/chat/maths.js",
  "page/chat/message.js",
  "page/chat/passage.js",
  "page/chat/personas.js",
  "page/chat/prompt.js",
  "page/chat/prose.js",
  "page/chat/rooms.js",
  "page/chat/sampling.js",
  "page/chat/step.js",
  "page/chat/steps.js",
  "page/chat/store.js",
  "page/chat/tabs.js",
  "page/chat/thread.js",
  "page/chat/tool-panel.js",
  "page/chat/tools.js",
  "page/chat/transfer.js",
  "page/chat/unkept.js",
  "page/chat/welcome.js",
  "page/alternatives.js",
  "page/latent-sliders.js",
  "page/copyable.js",
  "page/device.js",
  "page/dom.js",
  "page/embed-form.js",
  "page/embed-recipes.js",
  "page/embed-words.js",
  "page/picture-view.js",
  "page/find.js",
  "page/focus.js",
  "page/folders.js",
  "page/gallery.js",
  "page/stored-settings.js",
  "page/kept-story.js",
  "page/languages.js",
  "page/mask.js",
  "page/models.js",
  "page/notices.js",
  "page/opened.js",
  "page/offline.js",
  "page/paint-settings.js",
  "page/plane.js",
  "page/seed.js",
  "page/settings.js",
  "page/slider.js",
  "page/small-picture.js",
  "page/started.js",
  "page/story.js",
  "page/take-out.js",
  "page/unread.js",
  "page/interpolation.js",
  "page/world.js",
  "addresses.js",
  "anywidget.js",
  "conversation.js",
  "describe.js",
  "engine.js",
  "errors.js",
  "find.js",
  "host.js",
  "hub.js",
  "kept-conversations.js",
  "messages.js",
  "nearest.js",
  "openai.js",
  "openai-engine.js",
  "openai-answer.js",
  "openai-embeddings.js",
  "openai-fetch.js",
  "openai-fields.js",
  "openai-messages.js",
  "openai-request.js",
  "openai-route.js",
  "openai-serve.js",
  "openai-several.js",
  "opened.js",
  "options.js",
  "pipeline.js",
  "png.js",
  "prompt-templates.js",
  "reach.js",
  "stream.js",
  "thoughts.js",
  "tool-forced.js",
  "tool-formats.js",
  "tool-literals.js",
  "tool-reader.js",
  "tool-rounds.js",
  "tool-schema.js",
  "tool-words.js",
  "tools.js",
  "vitrine.js",
  "widgets.js",
  "widgets/attributes.js",
  "widgets/beams.js",
  "widgets/candidates.js",
  "widgets/canvas.js",
  "widgets/chat.js",
  "widgets/decoding.js",
  "widgets/denoise.js",
  "widgets/faults.js",
  "widgets/forms.js",
  "widgets/frame.js",
  "widgets/guidance.js",
  "widgets/image.js",
  "widgets/latent.js",
  "widgets/links.js",
  "widgets/load.js",
  "widgets/look.js",
  "widgets/next.js",
  "widgets/pace.js",
  "widgets/quant.js",
  "widgets/schema.js",
  "widgets/score.js",
  "widgets/share.js",
  "widgets/sliders.js",
  "widgets/text.js",
  "widgets/tokens.js",
  "widgets/widget.js",
  "widgets/worded.js",
  "vendor/marked.js",
  "vendor/temml.js",
  "worker.js",
  "catalog.js",
  "compare.js",
  "constraints.js",
  "causes.js",
  "shared-models.js",
  "sources.js",
  "pkg/constraints.js",
  "pkg/vitrine.js",
  "pkg/vitrine_bg.wasm",
];

/** @typedef {Event & { waitUntil(promise: Promise<unknown>): void }} Extendable */
/** @typedef {Extendable & { request: Request, respondWith(answer: Promise<Response>): void }} Fetching */

const worker = /** @type {{ registration: ServiceWorkerRegistration, skipWaiting(): Promise<void>, clients: import("./openai-route.js").Clients & { claim(): Promise<void> } } & EventTarget} */ (
  /** @type {unknown} */ (self)
);
const scope = worker.registration.scope;
/** Where pages answer in OpenAI's shape. */
const answered = new URL("v1/", scope).href;

worker.addEventListener("install", (event) => {
  /** @type {Extendable} */ (event).waitUntil(keepShell().then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (event) => {
  /** @type {Extendable} */ (event).waitUntil(worker.clients.claim());
});

worker.addEventListener("fetch", (event) => {
  const fetching = /** @type {Fetching} */ (event);
  const { request } = fetching;
  if (request.url.startsWith(answered)) fetching.respondWith(served({ request, waitUntil: (promise) => fetching.waitUntil(promise) }, worker.clients));
  else if (request.method === "GET" && request.url.startsWith(scope)) fetching.respondWith(answer(fetching));
});

async function keepShell() {
  const cache = await caches.open(CACHE);
  const glue = new URL("pkg/vitrine.js", scope);
  // Besides itself the glue imports a few lines that the crate brings along, in files named by their content.
  const snippets = (await (await fetch(glue)).text()).matchAll(/["'](\.\/snippets\/[^"']+)["']/g);
  // Each once: the cache refuses a list with the same address twice.
  const addresses = new Set([...SHELL.map((path) => new URL(path, scope).href), ...[...snippets].map(([, path]) => new URL(path, glue).href)]);
  await cache.addAll([...addresses].map((address) => new Request(address, { cache: "no-cache" })));
  // The models are worth having, but the page is complete without them.
  await keepFirstModels(cache).catch(() => {});
}

/** What each page opens with. @param {Cache} cache */
async function keepFirstModels(cache) {
  const address = new URL("models/catalog.json", scope);
  await cache.add(address);
  const { models } = await (await cache.match(address))?.json();
  for (const wanted of ["text", "image", "autoencoder", "generator"]) {
    const first = models.find((/** @type {{ kind: string }} */ { kind }) => kind === wanted);
    for (const file of [first?.file, first?.world]) if (file) await cache.add(new URL(file, address));
  }
}

/** @param {Fetching} fetching */
async function answer(fetching) {
  const { request } = fetching;
  try {
    const response = await fetch(request);
    // A part of a file is never kept as if it were the whole. Until the copy is read, so that both are, the worker may not be put to sleep.
    if (response.status === 200 && response.type === "basic") fetching.waitUntil(keep(request, response.clone()));
    return response;
  } catch (error) {
    const kept = request.mode === "navigate" ? await keptPage(request.url) : await caches.match(request, { ignoreVary: true });
    if (!kept) throw error;
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "");
    return range ? slice(kept, Number(range[1]), range[2] === "" ? Infinity : Number(range[2])) : kept;
  }
}

/** @param {Request} request @param {Response} response */
async function keep(request, response) {
  const cache = await caches.open(CACHE);
  const key = request.mode === "navigate" ? pageAddress(request.url) : request.url;
  await cache.put(key, response).catch(() => {});
}

/** A page has one address, whatever was asked of it and whether its folder's index was named. @param {string} address */
function pageAddress(address) {
  return address.split(/[?#]/)[0].replace(/\/index\.html?$/, "/");
}

/** The kept page of an address; servers leave out `.html` too, and some add a slash. @param {string} address */
async function keptPage(address) {
  const page = pageAddress(address);
  const plain = page.replace(/\/$/, "");
  const names = [page, `${plain}.html`, `${plain}/`];
  for (const name of names) {
    const kept = await caches.match(name, { ignoreVary: true });
    // Its own addresses are read from where it lies, not from a folder of its name.
    if (kept && name.endsWith(".html") && page.endsWith("/")) return Response.redirect(name + new URL(address).search);
    // What came by a redirection is refused as the answer to a reader who navigates.
    if (kept) return kept.redirected ? new Response(await kept.blob(), { headers: kept.headers }) : kept;
  }
  return undefined;
}

/** A part of what is kept, as a server with ranges would send it. @param {Response} kept @param {number} first @param {number} last */
async function slice(kept, first, last) {
  const whole = await kept.blob();
  const end = Math.min(last, whole.size - 1);
  if (first > end) return new Response(null, { status: 416, headers: { "Content-Range": `bytes */${whole.size}` } });
  return new Response(whole.slice(first, end + 1), {
    status: 206,
    headers: {
      "Content-Range": `bytes ${first}-${end}/${whole.size}`,
      "Content-Length": String(end + 1 - first),
      "Content-Type": kept.headers.get("Content-Type") ?? "application/octet-stream",
    },
  });
}

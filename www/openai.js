/**
 * OpenAI's shape over the engine that a page shares, which opens with the first request: a `fetch` for clients of OpenAI's servers, and
 * `chat.completions.create`. docs/openai.md says what a request may hold. Importing this on a server does nothing.
 */

import { pageEngine } from "./engine.js";

/** @import { ChatCompletions } from "./vitrine.js" */

/** @type {typeof globalThis.fetch} */
export const fetch = async (input, init) => (await pageEngine()).openai.fetch(input, init);

export const chat = {
  completions: /** @type {ChatCompletions} */ ({
    create: async (/** @type {any} */ request, /** @type {any} */ options) => (await pageEngine()).chat.completions.create(request, options),
  }),
};

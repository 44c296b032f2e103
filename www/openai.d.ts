/**
 * OpenAI's shape over the engine that a page shares, which opens with the first request:
 *
 * ```js
 * import { fetch } from "vitrine/openai";
 * const client = new OpenAI({ apiKey: "none", baseURL: "http://vitrine/v1", fetch, dangerouslyAllowBrowser: true });
 * ```
 */

import type { ChatCompletions } from "./vitrine.js";

/** Answers what is asked of an OpenAI-shaped server, in the page: `engine.openai.fetch`. */
export const fetch: typeof globalThis.fetch;
/** `engine.chat`. */
export const chat: { readonly completions: ChatCompletions };

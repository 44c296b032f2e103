// @ts-check
import { engineOn, tokensOf } from "./common.js";

/** @typedef {import("./common.js").Device} Device */
/** @typedef {import("/vitrine.js").Message} Message */
/** @typedef {{ texts: { text: string }[], chats: { messages: Message[] }[], scored: { text: string }, greedy: { prompt_ids: number[] } }} Told */

/** @param {{ device: Device, name: string, steps: number, score: boolean, told: Told }} args */
export async function written({ device, name, steps, score, told }) {
  const engine = await engineOn(device);
  // What was fetched is no part of the types.
  const model = await engine.load(name, { kind: "text" });
  const texts = [];
  for (const { text } of told.texts) texts.push([...(await model.tokenize(text, { addSpecialTokens: false }))]);
  const chats = [];
  for (const { messages } of told.chats) chats.push([...(await model.tokenize(messages))]);
  const scored = score ? await model.score(told.scored.text) : undefined;
  const logprobs = scored?.tokens.slice(1).map(({ logprob }) => logprob);
  const tokens = await tokensOf(model.generate(told.greedy.prompt_ids, { maxTokens: steps, temperature: 0 }));
  const { decodeTokensPerSecond: speed } = model.stats;
  return { texts, chats, logprobs, tokens, speed, device: model.info.device.kind };
}

/** A real model that must call a function, and answers from what it came to. @param {string} name */
export async function calls(name) {
  const engine = await engineOn("cpu");
  const model = await engine.load(name, { kind: "text" });
  const parameters = { type: "object", properties: { city: { type: "string", maxLength: 20 } }, required: ["city"] };
  /** @type {unknown[]} */
  const asked = [];
  /** @param {unknown} args */
  const run = (args) => {
    asked.push(args);
    return "sunny, 20 degrees";
  };
  const tools = [{ name: "weather", description: "Tells the weather in a city", parameters, run }];
  const stream = model.chat([{ role: "user", content: "How is the weather in Paris?" }], { tools, toolChoice: "required", temperature: 0, maxTokens: 60, maxRounds: 2 });
  const text = await stream.text();
  return { asked, text, faults: stream.summary?.faults?.map(({ code }) => code), rounds: stream.summary?.rounds };
}

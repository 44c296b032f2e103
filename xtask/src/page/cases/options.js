// @ts-check
import { engineOn, listening, said } from "../common.js";

/** @typedef {import("/vitrine.js").ChatCompletionRequest} Request */

export async function contents() {
  /** @type {Request[]} */
  const requests = await (await fetch("/cases/13-openai-content/requests.json")).json();
  const engine = await engineOn("cpu");
  const model = await engine.load("storyteller");
  const { heard, listener } = listening(model);
  const last = () => heard[heard.length - 1];
  const out = [];
  for (const { messages } of requests) {
    try {
      const { usage } = await engine.chat.completions.create({ model: listener, messages, max_tokens: 1, temperature: 0 });
      out.push({ messages: last(), whole: usage.prompt_tokens === (await model.tokenize(last())).length });
    } catch (error) {
      const { code, message } = /** @type {import("/vitrine.js").VitrineError} */ (error);
      out.push({ code, message });
    }
  }
  const story = (await model.tokenize([{ role: "user", content: "Tell a story." }])).join();
  return { out, story: story === (await model.tokenize(out[0].messages ?? [])).join() };
}

export async function neutral() {
  /** @type {any[]} */
  const requests = await (await fetch("/cases/14-openai-neutral-fields/requests.json")).json();
  const engine = await engineOn("cpu");
  const model = await engine.load("storyteller");
  const asked = { model, messages: [{ role: "user", content: "Tell a story about a fox." }], max_tokens: 4, temperature: 0 };
  /** @type {{ create(request: object): Promise<any> }} */
  const completions = engine.chat.completions;
  const plain = (await completions.create(asked)).choices[0].message.content;
  const out = [];
  const more = [{ tools: undefined }, { user: undefined }, { noSuchField: undefined }, { n: 1, stop: null, metadata: { a: "b" } }];
  for (const fields of [...requests, ...more]) {
    const answer = await completions.create({ ...asked, ...fields });
    out.push(fields.stream ? await streamed(answer) : answer.choices[0].message.content);
  }
  // Refused when the case was written, and served since.
  const { choices } = await completions.create({ ...asked, n: 2, frequency_penalty: 0.5 });
  return { plain, out, served: choices.length };
}

/** The text of a stream that brings its usage in the last chunk alone; the chunks of another. @param {AsyncIterable<any>} answer */
async function streamed(answer) {
  let text = "";
  const chunks = [];
  for await (const chunk of answer) {
    chunks.push(chunk);
    text += chunk.choices[0]?.delta.content ?? "";
  }
  const last = chunks.pop();
  const isWhole = last.choices.length === 0 && last.usage.total_tokens > 4 && chunks.every(({ usage }) => usage === null);
  return isWhole ? text : JSON.stringify(chunks);
}

/** What each call of the file is refused with, as it stands there. */
export async function unknown() {
  const { Engine } = await import("/vitrine.js");
  const file = await (await fetch("/cases/32-unknown-options/calls.js")).text();
  const engine = await engineOn("cpu");
  const model = await engine.load("/fixtures/tiny_llama.gguf");
  const Async = /** @type {FunctionConstructor} */ ((async () => {}).constructor);
  const out = [];
  for (const line of file.split("\n").filter((line) => line.startsWith("await "))) {
    const call = new Async("Engine", "engine", "model", line);
    out.push([line, await said(call(Engine, engine, model))]);
  }
  return out;
}

// @ts-check
import { bytes, engineOn, filesOf, listening } from "./common.js";

/** @typedef {import("/vitrine.js").ChatCompletionRequest} Request */
/** @typedef {import("/vitrine.js").ChatCompletionMessage} Message */

const MESSAGES = [{ role: "user", content: "Tell a story about a fox." }];
const ASKED = { model: "storyteller", messages: MESSAGES, max_tokens: 6, temperature: 0 };

/** OpenAI's own client; its package brings types for Node.js alone. */
async function client() {
  /** @type {any} */
  const openai = await import(new URL("/npm/openai/index.mjs", location.href).href);
  const engine = await engineOn("cpu");
  const { fetch } = engine.openai;
  const client = new openai.default({ apiKey: "none", baseURL: "http://vitrine/v1", fetch, dangerouslyAllowBrowser: true });
  return { openai, engine, client };
}

export async function answered() {
  const { engine, client: { chat } } = await client();
  const model = await engine.load("storyteller");
  const own = model.chat(MESSAGES, { maxTokens: 6, temperature: 0 });
  const text = await own.text();
  const whole = await chat.completions.create(ASKED);
  const chunks = [];
  const asked = { ...ASKED, stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await chat.completions.create(asked)) chunks.push(chunk);
  const plain = [];
  for await (const chunk of await chat.completions.create({ ...ASKED, stream: true })) plain.push(chunk);
  const helper = chat.completions.stream(ASKED);
  let heard = "";
  helper.on("content", (/** @type {string} */ delta) => (heard += delta));
  const final = await helper.finalChatCompletion();
  // Without a limit an answer ends where the model ends it, or with the context: not after a default's 256 tokens.
  const free = await chat.completions.create({ ...ASKED, max_tokens: null, seed: 1 });
  return {
    text,
    prompt: own.summary?.promptTokens,
    whole,
    chunks,
    plain,
    heard,
    final: final.choices[0],
    free: free.choices[0].finish_reason,
    device: model.info.device.kind,
  };
}

export async function ended() {
  const { openai, engine, client: { chat } } = await client();
  const model = await engine.load("storyteller");
  const long = { ...ASKED, max_tokens: 400 };
  const streamed = await chat.completions.create({ ...long, stream: true });
  let chunks = 0;
  for await (const _ of streamed) if (++chunks === 3) streamed.controller.abort();
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 30);
  const begun = performance.now();
  const whole = await chat.completions.create(long, { signal: abort.signal }).then(
    () => "nothing",
    (/** @type {unknown} */ error) => error instanceof openai.APIUserAbortError,
  );
  let left = 0;
  for await (const _ of await chat.completions.create({ ...long, stream: true })) if (++left === 3) break;
  // The model is free again at once.
  const text = await model.generate("A", { maxTokens: 3, temperature: 0 }).text();
  return { chunks, whole, left, text, waited: performance.now() - begun };
}

/** What OpenAI's client throws at each of these changes of a request, and at other calls. @param {object[]} changes */
export async function errors(changes) {
  const { openai, engine, client: { chat, completions, embeddings, models, moderations } } = await client();
  const kinds = { "bad request": openai.BadRequestError, "not found": openai.NotFoundError, api: openai.APIError };
  const thrown = async (/** @type {() => Promise<unknown>} */ call) => {
    try {
      await call();
      return ["nothing"];
    } catch (caught) {
      const error = /** @type {any} */ (caught);
      const kind = Object.entries(kinds).find(([, type]) => error instanceof type);
      return [kind?.[0] ?? String(error), error.status, error.code, error.param, error.type, error.message];
    }
  };
  const all = [];
  for (const more of changes) all.push(await thrown(() => chat.completions.create({ ...ASKED, ...more })));
  all.push(await thrown(() => embeddings.create({ model: "storyteller", input: "a" })));
  all.push(await thrown(() => embeddings.create({ model: "/fixtures/encoders/bert.gguf", input: "a", dimensions: 9999 })));
  all.push(await thrown(() => embeddings.create({ model: "/fixtures/encoders/bert.gguf", input: "a ".repeat(2000) })));
  all.push(await thrown(() => embeddings.create({ model: "/fixtures/encoders/bert.gguf", input: [] })));
  all.push(await thrown(() => completions.create({ model: "storyteller", prompt: "a", n: 2, best_of: 1 })));
  all.push(await thrown(() => completions.create({ model: "storyteller", prompt: "a", best_of: 2, stream: true })));
  all.push(await thrown(() => completions.create({ model: "storyteller", prompt: "a", suffix: "b" })));
  all.push(await thrown(() => completions.create({ model: "storyteller", prompt: [["a"]] })));
  all.push(await thrown(() => completions.create({ model: "storyteller", prompt: [5, -6] })));
  all.push(await thrown(() => completions.create({ model: "storyteller", prompt: [9999999] })));
  all.push(await thrown(() => moderations.create({ input: "a" })));
  all.push(await thrown(() => models.retrieve("no-such-model")));
  all.push(await thrown(() => models.delete("storyteller")));
  const raw = await engine.openai.fetch("http://vitrine/v1/chat/completions", { method: "POST", body: "{" });
  all.push(["raw", raw.status, (await raw.json()).error.code]);
  return all;
}

export async function models() {
  const { engine, client: { completions, models } } = await client();
  const opened = await engine.load("/fixtures/tiny_llama.gguf");
  const file = await engine.load(new Blob([await bytes("/fixtures/tiny_gpt2.gguf")]));
  const ids = async () => {
    const ids = [];
    for await (const { id } of models.list()) ids.push(id);
    return ids;
  };
  const listed = await ids();
  const one = await models.retrieve("/fixtures/tiny_llama.gguf");
  const asked = { max_tokens: 4, temperature: 0 };
  const completed = await completions.create({ ...asked, model: "/fixtures/tiny_llama.gguf", prompt: "One", logprobs: 2 });
  const own = await opened.generate("One", { maxTokens: 4, temperature: 0 }).text();
  let streamed = "";
  for await (const chunk of await completions.create({ ...asked, model: file.info.name, prompt: ["One"], stream: true })) {
    streamed += chunk.choices[0].text;
  }
  const named = await file.generate("One", { maxTokens: 4, temperature: 0 }).text();
  await opened.unload();
  return { listed, one, completed, own, streamed, named, name: file.info.name, after: await ids() };
}

export async function logprobs() {
  const engine = await engineOn("cpu");
  const { completions } = engine.chat;
  const model = await engine.load("storyteller");
  const asked = { model, messages: MESSAGES, temperature: 0 };
  const answer = await completions.create({ ...asked, max_tokens: 5, logprobs: true, top_logprobs: 3 });
  const none = await completions.create({ ...asked, max_tokens: 1 });
  const own = [];
  for await (const { piece, logprob, alternatives } of model.chat(MESSAGES, { maxTokens: 5, temperature: 0, alternatives: 3 })) {
    if (logprob !== undefined) own.push([piece, logprob, alternatives.length]);
  }
  const form = { type: "json_schema", json_schema: { name: "so", schema: { const: "yes, it is so" } } };
  const held = await completions.create({ ...asked, max_tokens: 40, logprobs: true, response_format: /** @type {any} */ (form) });
  const tokens = held.choices[0].logprobs?.content ?? [];
  const drawn = async (/** @type {number} */ seed) => (await completions.create({ ...asked, temperature: 1, max_tokens: 6, seed })).choices[0].message.content;
  return {
    content: answer.choices[0].logprobs?.content,
    own,
    none: none.choices[0].logprobs,
    held: {
      text: JSON.parse(held.choices[0].message.content ?? ""),
      tokens: JSON.parse(tokens.map(({ token }) => token).join("")),
      count: tokens.length,
      spent: held.usage.completion_tokens,
      others: tokens.flatMap(({ top_logprobs: top }) => top).length,
    },
    seeds: (await drawn(-1)) === (await drawn(2 ** 32 - 1)) && (await drawn(3)) === (await drawn(2 ** 32 + 3)),
  };
}

/** A template that shows all that it sees. */
const TEMPLATE =
  "{% for m in messages %}<{{ m.role }}|{{ m.content }}|{{ m.reasoning_content }}|{{ m.name }}|{{ m.tool_call_id }}|{{ m.tool_calls | tojson if m.tool_calls else '' }}{{ '|refusal' if 'refusal' in m else '' }}>{% endfor %}";

/** What the template of the tiny Qwen's words sees of these conversations. @param {Message[][]} conversations */
export async function messages(conversations) {
  const engine = await engineOn("cpu");
  const folder = "/fixtures/tiny_qwen3";
  const settings = { ...(await (await fetch(`${folder}/tokenizer_config.json`)).json()), chat_template: TEMPLATE };
  const files = filesOf(folder, ["model.safetensors", "config.json", "tokenizer.json"]);
  const model = await engine.load({ files: { ...files, "tokenizer_config.json": new Blob([JSON.stringify(settings)]) } });
  const { heard, listener } = listening(model);
  const out = [];
  for (const messages of conversations) {
    const { usage } = await engine.chat.completions.create({ model: listener, messages, max_tokens: 1, temperature: 0 });
    const ids = await model.tokenize(heard[heard.length - 1]);
    out.push([await model.detokenize(ids), usage.prompt_tokens === ids.length]);
  }
  return out;
}

/** What requests of other shapes, among them these changes of a good one, are refused with. @param {object[]} changes */
export async function ownWords(changes) {
  const engine = await engineOn("cpu");
  const model = await engine.load("storyteller");
  /** @type {any} what follows is of any shape */
  const asked = { model, messages: MESSAGES, max_tokens: 2, temperature: 0 };
  const said = async (/** @type {() => Promise<unknown>} */ work) => {
    try {
      await work();
      return "nothing";
    } catch (caught) {
      const error = /** @type {any} */ (caught);
      return `${error.code} ${error.param ?? ""}: ${error.message}`;
    }
  };
  /** @type {{ create(request: any, options?: any): Promise<import("/vitrine.js").ChatCompletion> }} */
  const { create } = engine.chat.completions;
  const abort = new AbortController();
  const long = said(() => create({ ...asked, max_tokens: 400 }, { signal: abort.signal }));
  setTimeout(() => abort.abort(), 50);
  const refused = [await long];
  for (const options of [{ signal: 5 }, { timeout: 5 }, { headers: {} }, { max_tokens: 5 }, "x"]) {
    refused.push(await said(() => create(asked, options)));
  }
  for (const request of ["x", [], null]) refused.push(await said(() => create(request)));
  const sent = await engine.openai.fetch("http://vitrine/v1/chat/completions", { method: "POST", body: JSON.stringify("x") });
  refused.push((await sent.json()).error.message);
  for (const more of changes) refused.push(await said(() => create({ ...asked, ...more })));
  refused.push(await said(() => create({ ...asked, chat_template_kwargs: { when: new Map() } })));
  const none = await create({ ...asked, top_logprobs: 0 }, { signal: null, timeout: null });
  return { refused, none: none.choices[0].logprobs };
}

export async function fileNames() {
  const engine = await engineOn("cpu");
  const file = await bytes("/fixtures/tiny_llama.gguf");
  const mine = await engine.load(new File([file], "my.gguf"));
  const named = mine.info.name;
  const first = async (/** @type {string} */ model) => {
    const body = JSON.stringify({ model, prompt: "One", max_tokens: 4, temperature: 0 });
    const { choices } = await (await engine.openai.fetch("http://vitrine/v1/completions", { method: "POST", body })).json();
    return choices?.[0].text ?? "nothing";
  };
  const own = await mine.generate("One", { maxTokens: 4, temperature: 0 }).text();
  const found = [await first("my.gguf"), await first(named)];
  await engine.load(new File([file], "storyteller"));
  const { data } = await (await engine.openai.fetch("http://vitrine/v1/models")).json();
  const listed = data.map((/** @type {{ id: string }} */ { id }) => id);
  const story = await first("storyteller");
  return { own, found, listed, hidden: story === own, ambiguous: await first(named) };
}

/** Several answers to one request, whole and in a stream, and what each is alone. */
export async function several() {
  const { engine, client: { chat, completions } } = await client();
  const model = await engine.load("storyteller");
  const asked = { ...ASKED, temperature: 1, seed: 11 };
  const alone = [];
  for (const seed of [11, 12, 13]) alone.push(await model.chat(MESSAGES, { maxTokens: 6, temperature: 1, seed }).text());
  const whole = await chat.completions.create({ ...asked, n: 3 });
  const streamed = ["", "", ""];
  const reasons = [];
  let usage;
  for await (const chunk of await chat.completions.create({ ...asked, n: 3, stream: true, stream_options: { include_usage: true } })) {
    for (const { index, delta, finish_reason: reason } of chunk.choices) {
      streamed[index] += delta.content ?? "";
      if (reason) reasons.push([index, reason]);
    }
    usage = chunk.usage ?? usage;
  }
  const unseeded = await chat.completions.create({ ...ASKED, temperature: 1, n: 4 });
  const prompts = ["One day", "A fox"];
  const texts = { model: "storyteller", max_tokens: 5, temperature: 1, seed: 3 };
  const both = await completions.create({ ...texts, prompt: prompts, n: 2 });
  const each = [];
  for (const prompt of prompts) for (const seed of [3, 4]) each.push(await model.generate(prompt, { maxTokens: 5, temperature: 1, seed }).text());
  return {
    alone,
    whole: whole.choices.map((/** @type {any} */ { index, message }) => [index, message.content]),
    usage: [whole.usage, usage],
    streamed,
    reasons,
    unseeded: unseeded.choices.map((/** @type {any} */ { message }) => message.content),
    both: both.choices.map((/** @type {any} */ { index, text }) => [index, text]),
    each,
  };
}

/** The likeliest of some texts, and a prompt that is given back with its tokens' log-probabilities. */
export async function likeliest() {
  const { engine, client: { completions } } = await client();
  const model = await engine.load("storyteller");
  const asked = { model: "storyteller", prompt: "One day", max_tokens: 6, temperature: 1.5, seed: 5 };
  const means = [];
  for (const seed of [5, 6, 7, 8]) {
    const logprobs = [];
    let text = "";
    for await (const chunk of model.generate("One day", { maxTokens: 6, temperature: 1.5, seed })) {
      text += chunk.text;
      if (chunk.logprob !== undefined) logprobs.push(chunk.logprob);
    }
    means.push({ text, mean: logprobs.reduce((sum, each) => sum + each, 0) / logprobs.length });
  }
  means.sort((a, b) => b.mean - a.mean);
  const best = await completions.create({ ...asked, n: 2, best_of: 4 });
  const ids = [...(await model.tokenize("One day"))];
  const echoed = await completions.create({ ...asked, temperature: 0, prompt: ids, echo: true, logprobs: 0 });
  const scored = await completions.create({ ...asked, max_tokens: 0, echo: true, logprobs: 0 });
  const { tokens } = await model.score("One day");
  return {
    best: best.choices.map((/** @type {any} */ { text }) => text),
    spent: best.usage.completion_tokens,
    means: means.map(({ text }) => text),
    echoed: echoed.choices[0],
    scored: scored.choices[0],
    usage: scored.usage,
    own: tokens.map(({ text, logprob }) => [text, logprob ?? null]),
    plain: await model.generate("One day", { maxTokens: 6, temperature: 0 }).text(),
  };
}

/** Penalties and biases do what the model's own options do. */
export async function penalties() {
  const { engine, client: { chat } } = await client();
  const model = await engine.load("storyteller");
  const asked = { ...ASKED, max_tokens: 24 };
  const content = async (/** @type {object} */ more) => (await chat.completions.create({ ...asked, ...more })).choices[0].message.content;
  const own = (/** @type {object} */ more) => model.chat(MESSAGES, { maxTokens: 24, temperature: 0, ...more }).text();
  const [first] = await model.tokenize(await own({ maxTokens: 1 }), { addSpecialTokens: false });
  return {
    plain: await content({}),
    served: [await content({ presence_penalty: 2 }), await content({ frequency_penalty: 1.5 }), await content({ logit_bias: { [first]: -100 } })],
    own: [await own({ presencePenalty: 2 }), await own({ frequencyPenalty: 1.5 }), await own({ logitBias: { [first]: -100 } })],
  };
}

export async function embedded() {
  const { openai, engine, client: { embeddings, models } } = await client();
  const name = "/fixtures/encoders/bert.gguf";
  const encoder = /** @type {import("/vitrine.js").Encoder} */ (await engine.load(name));
  const [first, second] = await encoder.embed(["license", "a fox"]);
  const floats = await embeddings.create({ model: name, input: ["license", "a fox"], encoding_format: "float" });
  // Left out, their client asks for base64 and reads it.
  const packed = await embeddings.create({ model: name, input: "license" });
  const short = await embeddings.create({ model: name, input: "license", dimensions: 4, encoding_format: "float" });
  const ids = await embeddings.create({ model: name, input: [2, 5, 3], encoding_format: "float" });
  const [own] = await encoder.embed([Uint32Array.of(2, 5, 3)]);
  const [shorter] = await encoder.embed(["license"], { dimensions: 4 });
  const near = (/** @type {number[]} */ a, /** @type {Float32Array} */ b) => a.length === b.length && a.every((each, at) => Math.abs(each - b[at]) < 1e-6);
  const listed = [];
  for await (const { id } of models.list()) listed.push(id);
  const abort = new AbortController();
  abort.abort();
  const left = await embeddings.create({ model: name, input: "license" }, { signal: abort.signal }).then(() => false, (/** @type {unknown} */ error) => error instanceof openai.APIUserAbortError);
  return {
    near: [near(floats.data[0].embedding, first), near(floats.data[1].embedding, second), near(packed.data[0].embedding, first), near(short.data[0].embedding, shorter), near(ids.data[0].embedding, own)],
    shape: [floats.object, floats.data.map((/** @type {any} */ { object, index }) => [object, index]), floats.model],
    usage: ids.usage,
    listed: listed.includes(name),
    left,
  };
}

/** Requests of plain scripts to the site's own `/v1/`, answered by the page that serves. */
export async function served() {
  const engine = await engineOn("cpu");
  const model = await engine.load("storyteller");
  const serving = await engine.openai.serve();
  const post = (/** @type {object} */ body, /** @type {AbortSignal} */ signal = new AbortController().signal) =>
    fetch("/v1/chat/completions", { method: "POST", headers: { authorization: "Bearer none" }, body: JSON.stringify(body), signal });
  const own = await model.chat(MESSAGES, { maxTokens: 6, temperature: 0 }).text();
  const whole = await (await post(ASKED)).json();
  const streamed = await post({ ...ASKED, stream: true });
  const type = streamed.headers.get("content-type");
  const events = (await streamed.text()).split("\n\n").filter(Boolean).map((event) => event.slice("data: ".length));
  const text = events.slice(0, -1).map((event) => JSON.parse(event).choices[0].delta.content ?? "").join("");
  const wrong = await post({ ...ASKED, model: "no-such-model" });
  const { data } = await (await fetch("/v1/models")).json();
  const listed = data.some((/** @type {{ id: string }} */ { id }) => id === "storyteller");
  // Whoever cancels a stream, or gives up before an answer has begun, sets the model free.
  const long = { ...ASKED, max_tokens: 1500, logit_bias: Object.fromEntries([...(await model.tokenize("")), 0, 1, 2].map((id) => [id, -100])) };
  const reader = (await post({ ...long, stream: true })).body?.getReader();
  await reader?.read();
  await reader?.cancel();
  const free = async () => {
    const begun = performance.now();
    await model.generate("A", { maxTokens: 1 }).text();
    return performance.now() - begun;
  };
  const waited = [await free()];
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 100);
  const given = await post(long, abort.signal).then(() => "nothing", (error) => error.name);
  // By now the page has heard of the request, whether or not of its end.
  await new Promise((resolve) => setTimeout(resolve, 500));
  waited.push(await free());
  // A frame of the site asks too.
  const frame = await framed();
  const theirs = await frame.ask("return (await (await fetch('/v1/models')).json()).object");
  serving.stop();
  const nobody = await post(ASKED);
  return {
    own, whole: whole.choices[0].message.content, text, type, done: events[events.length - 1], listed, given, waited, theirs,
    wrong: [wrong.status, (await wrong.json()).error.code],
    nobody: [nobody.status, (await nobody.json()).error],
    base: serving.baseURL === new URL("/v1", location.href).href,
  };
}

/** A frame of the site with scripts of its own. */
async function framed() {
  const frame = document.createElement("iframe");
  frame.src = "/fault/blank";
  document.body.append(frame);
  await new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
  const view = /** @type {any} */ (frame.contentWindow);
  const Async = view.eval("(async () => {}).constructor");
  return { frame, ask: (/** @type {string} */ script) => new Async(script)() };
}

/** Pages that serve and are closed: another answers, and what was under way ends with an error. */
export async function closed() {
  const script = `
    const { Engine } = await import("/vitrine.js");
    const engine = await Engine.create({ device: "cpu" });
    await engine.load("storyteller");
    await engine.openai.serve();
    return "serves";`;
  const first = await framed();
  const serves = [await first.ask(script)];
  const body = JSON.stringify({ ...ASKED, max_tokens: 100, n: 100, stream: true });
  const reader = (await fetch("/v1/chat/completions", { method: "POST", body })).body?.getReader();
  if (!reader) throw new Error("no stream came");
  await reader.read();
  first.frame.remove();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    rest += new TextDecoder().decode(value);
  }
  const last = rest.trim().split("\n\n").pop() ?? "";
  const [second, third] = [await framed(), await framed()];
  serves.push(await second.ask(script), await third.ask(script));
  third.frame.remove();
  const other = await (await fetch("/v1/models")).json();
  second.frame.remove();
  // The browser takes its time to see that a page is gone.
  let status = 0;
  for (let turn = 0; turn < 50 && status !== 503; turn++) {
    status = (await fetch("/v1/models")).status;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { serves, last, other: other.object, status };
}

// @ts-check
import { engineOn, scripted } from "./common.js";

/** @typedef {import("/vitrine.js").Engine} Engine */

/** It shows tools, and ends with what the model is to say: plain words, thoughts, a call, or the answer behind a result. */
const TEMPLATE = `{% for tool in tools or [] %}<tool_call>{{ tool | tojson }}{% endfor %}
{%- for m in messages %}<{{ m.role }}>{{ m.content }}{% for call in m.tool_calls or [] %}{{ call | tojson }}{% endfor %}{% endfor %}
{%- if enable_thinking %}<|thinks|>{% elif tools and messages[-1].role == 'tool' %}<|told|>{% elif tools %}<|asked|>{% else %}<|plain|>{% endif %}`;

const SCRIPTS = {
  "<|plain|>": "Plain words, one by one.",
  "<|thinks|>": "<think>\nHm, well.\n</think>\n\nYes.",
  "<|asked|>": '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>',
  "<|told|>": "It is sunny in Bern.",
};

const PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const QUESTION = [{ role: "user", content: "How is the weather?" }];
const ENCODER = "/fixtures/encoders/bert.gguf";
/** What the storyteller's answer is held to. */
const BEAST = {
  type: "object",
  properties: { animal: { enum: ["fox", "bear"] }, legs: { type: "integer", minimum: 2, maximum: 4 } },
  required: ["animal", "legs"],
  additionalProperties: false,
};
const LONG = "Tell a story about a fox.";

/** The engine, the name of a model that knows these texts by heart, and what a text embeds as. */
async function prepared() {
  const engine = await engineOn("cpu");
  const model = await engine.load({ files: scripted(TEMPLATE, SCRIPTS) }, { kind: "text" });
  await engine.load("storyteller");
  const encoder = await engine.load(ENCODER, { kind: "encoder" });
  const [own] = await encoder.embed(["license"]);
  const near = (/** @type {ArrayLike<number>} */ vector) => vector.length === own.length && own.every((each, at) => Math.abs(each - vector[at]) < 1e-6);
  return { engine, name: model.info.name, near };
}

/** What an abort after 50 ms makes of some work. @param {(signal: AbortSignal) => Promise<unknown>} work */
async function cut(work) {
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 50);
  return work(abort.signal).then(() => "nothing", (/** @type {any} */ error) => (/abort/i.test(`${error.name} ${error.message}`) ? "aborted" : String(error)));
}

/** @param {string} folder */
export async function openai(folder) {
  /** @type {any} */
  const { default: OpenAI, BadRequestError } = await import(`${folder}/openai.js`);
  const { engine, name, near } = await prepared();
  const { chat, embeddings } = new OpenAI({ apiKey: "none", baseURL: "http://vitrine/v1", fetch: engine.openai.fetch, dangerouslyAllowBrowser: true });
  const asked = { model: name, messages: QUESTION, temperature: 0 };
  const declared = { type: "function", function: { name: "weather", parameters: PARAMETERS, strict: true } };
  const plain = await chat.completions.create(asked);
  let streamed = "";
  for await (const { choices } of await chat.completions.create({ ...asked, stream: true })) streamed += choices[0].delta.content ?? "";
  const called = await chat.completions.create({ ...asked, tools: [declared] });
  /** @type {any[]} */
  const deltas = [];
  let reason = "";
  for await (const { choices } of await chat.completions.create({ ...asked, tools: [declared], stream: true })) {
    deltas.push(...(choices[0].delta.tool_calls ?? []));
    reason = choices[0].finish_reason ?? reason;
  }
  /** @type {unknown[]} */
  const ran = [];
  const weather = { ...declared.function, parse: JSON.parse, function: (/** @type {unknown} */ args) => (ran.push(args), "sunny") };
  const runner = chat.completions.runTools({ ...asked, stream: true, tools: [{ type: "function", function: weather }] });
  const answer = await runner.finalContent();
  const thought = await chat.completions.create({ ...asked, reasoning_effort: "low" });
  const { data } = await embeddings.create({ model: ENCODER, input: ["license"] });
  const wrong = await chat.completions.create({ ...asked, temperature: 99 }).catch((/** @type {any} */ error) => [error instanceof BadRequestError, error.status, error.param]);
  const fox = [{ role: "user", content: LONG }];
  const format = { type: "json_schema", json_schema: { name: "beast", strict: true, schema: BEAST } };
  const held = await chat.completions.create({ model: "storyteller", messages: fox, response_format: format });
  return {
    beast: JSON.parse(held.choices[0].message.content),
    plain: plain.choices[0].message.content,
    streamed,
    calls: called.choices[0].message.tool_calls.map((/** @type {any} */ { function: { name, arguments: given } }) => [name, JSON.parse(given)]),
    answer,
    ran,
    thought: [thought.choices[0].message.reasoning_content, thought.choices[0].message.content],
    embedded: near(data[0].embedding),
    wrong,
    aborted: await cut((signal) => chat.completions.create({ model: "storyteller", messages: fox, n: 50 }, { signal })),
    own: [called.choices[0].finish_reason, called.choices[0].message.content, reason, deltas.length, deltas[0]?.index, thought.usage.completion_tokens_details.reasoning_tokens > 0],
  };
}

/** @param {string} folder */
export async function langchain(folder) {
  /** @type {any} */
  const { ChatOpenAI, OpenAIEmbeddings, HumanMessage, ToolMessage } = await import(`${folder}/langchain.js`);
  const { engine, name, near } = await prepared();
  const configuration = { baseURL: "http://vitrine/v1", fetch: engine.openai.fetch, dangerouslyAllowBrowser: true };
  const common = { apiKey: "none", configuration, maxRetries: 0 };
  const chat = new ChatOpenAI({ ...common, model: name, temperature: 0 });
  const [question] = QUESTION;
  const plain = await chat.invoke([new HumanMessage(question.content)]);
  let streamed = "";
  for await (const chunk of await chat.stream([new HumanMessage(question.content)])) streamed += chunk.content;
  const bound = chat.bindTools([{ type: "function", function: { name: "weather", description: "The weather", parameters: PARAMETERS } }]);
  const turns = [new HumanMessage(question.content)];
  const called = await bound.invoke(turns);
  turns.push(called);
  /** @type {unknown[]} */
  const ran = [];
  for (const call of called.tool_calls) {
    ran.push(call.args);
    turns.push(new ToolMessage({ content: "sunny", tool_call_id: call.id, name: call.name }));
  }
  const answer = await bound.invoke(turns);
  let gathered;
  for await (const chunk of await bound.stream(turns.slice(0, 1))) gathered = gathered ? gathered.concat(chunk) : chunk;
  const vectors = await new OpenAIEmbeddings({ ...common, model: ENCODER }).embedDocuments(["license"]);
  const wrong = await new ChatOpenAI({ ...common, model: name, temperature: 99 }).invoke("a").catch((/** @type {any} */ error) => [true, error.status, error.param]);
  const teller = new ChatOpenAI({ ...common, model: "storyteller", n: 50 });
  const structured = new ChatOpenAI({ ...common, model: "storyteller" }).withStructuredOutput({ title: "beast", ...BEAST }, { method: "jsonSchema", name: "beast" });
  return {
    beast: await structured.invoke(LONG),
    plain: plain.content,
    streamed,
    calls: called.tool_calls.map((/** @type {any} */ { name, args }) => [name, args]),
    answer: answer.content,
    ran,
    embedded: near(vectors[0]),
    wrong,
    aborted: await cut((signal) => teller.invoke(LONG, { signal })),
    own: gathered.tool_calls.map((/** @type {any} */ { name, args }) => [name, args]),
  };
}

/** @param {string} folder */
export async function vercel(folder) {
  /** @type {any} */
  const { createOpenAICompatible, embedMany, Output, generateText, jsonSchema, stepCountIs, streamText, tool } = await import(`${folder}/vercel.js`);
  const { engine, name, near } = await prepared();
  const provider = createOpenAICompatible({ name: "vitrine", baseURL: "http://vitrine/v1", fetch: engine.openai.fetch, includeUsage: true, supportsStructuredOutputs: true });
  const asked = { model: provider.chatModel(name), messages: QUESTION, temperature: 0, maxRetries: 0 };
  const plain = await generateText(asked);
  let streamed = "";
  for await (const part of streamText(asked).textStream) streamed += part;
  /** @type {unknown[]} */
  const ran = [];
  const weather = tool({ description: "The weather", inputSchema: jsonSchema(PARAMETERS), execute: async (/** @type {unknown} */ args) => (ran.push(args), "sunny") });
  const answered = await generateText({ ...asked, tools: { weather }, stopWhen: stepCountIs(3) });
  const calls = answered.steps[0].toolCalls.map((/** @type {any} */ { toolName, input }) => [toolName, input]);
  let own = "";
  for await (const part of streamText({ ...asked, tools: { weather }, stopWhen: stepCountIs(3) }).textStream) own += part;
  const thought = await generateText({ ...asked, providerOptions: { vitrine: { reasoningEffort: "low" } } });
  const { embeddings } = await embedMany({ model: (provider.embeddingModel ?? provider.textEmbeddingModel)(ENCODER), values: ["license"], maxRetries: 0 });
  const wrong = await generateText({ ...asked, temperature: 99 }).catch((/** @type {any} */ error) => [error.name === "AI_APICallError", error.statusCode, error.data?.error?.param ?? JSON.parse(error.responseBody).error.param]);
  const teller = { model: provider.chatModel("storyteller"), prompt: LONG, maxRetries: 0, providerOptions: { vitrine: { n: 50 } } };
  const { output } = await generateText({ model: teller.model, prompt: LONG, maxRetries: 0, output: Output.object({ schema: jsonSchema(BEAST) }) });
  return {
    beast: output,
    plain: plain.text,
    streamed,
    calls,
    answer: answered.text,
    ran: ran.slice(0, 1),
    thought: [thought.reasoningText, thought.text],
    embedded: near(embeddings[0]),
    wrong,
    aborted: await cut((signal) => generateText({ ...teller, abortSignal: signal })),
    own,
  };
}

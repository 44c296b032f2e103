// @ts-check
import { engineOn, said, scripted } from "./common.js";

/** @typedef {import("/vitrine.js").ChatOptions} ChatOptions */
/** @typedef {{ format: import("/vitrine.js").ToolFormat, answer: string, thinking?: boolean }} Answer */

/** What each answer is divided into: at once, and letter by letter, where no text may ever be taken back. @param {Answer[]} answers */
export async function divided(answers) {
  const { CallReader } = await import("/tool-reader.js");
  const known = (/** @type {string | undefined} */ name) => ["f", "weather", "add"].includes(name ?? "");
  const short = (/** @type {{ name?: string, arguments?: unknown, positional?: unknown[], broken?: string }[]} */ calls) =>
    calls.map(({ name = null, arguments: given = null, positional = [], broken }) => (broken === undefined ? [name, given, ...positional] : [name, "broken"]));
  return answers.map(({ format, answer, thinking = false }) => {
    const at = (/** @type {number} */ size) => {
      const reader = new CallReader(format, thinking, known);
      const parts = [];
      for (let from = 0; from < answer.length; from += size) parts.push(reader.push(answer.slice(from, from + size)));
      parts.push(reader.finish());
      const early = parts.slice(0, -1).flatMap(({ calls }) => calls).length;
      return { text: parts.map(({ text }) => text).join(""), calls: short(parts.flatMap(({ calls }) => calls)), early };
    };
    const all = [answer.length, 1, 2, 3, 7].map(at);
    const [{ text, calls, early }] = all.slice(1);
    return { text, calls, early, same: all.every((each) => each.text === text && JSON.stringify(each.calls) === JSON.stringify(calls)) };
  });
}

/** What a schema says of these values. @param {[object, unknown][]} pairs */
export async function misfits(pairs) {
  const { misfit } = await import("/tool-schema.js");
  return pairs.map(([schema, value]) => misfit(schema, value, "it") ?? null);
}

/** In the manner of Qwen's: it shows tools, calls and results, and ends with how many results there were. */
const HERMES = `{% if tools %}{% for tool in tools %}<tool>{{ tool | tojson }}</tool>{% endfor %}{% endif %}
{%- for m in messages %}<{{ m.role }}>{{ m.content }}
{%- for call in m.tool_calls or [] %}<tool_call>{{ call.function.name }} {{ call.function.arguments | tojson }}</tool_call>{% endfor %}
{%- endfor %}{% if add_generation_prompt %}{{ '<|round' ~ (messages | selectattr('role', 'equalto', 'tool') | list | length) ~ '|>' }}{% endif %}`;

const WEATHER = {
  name: "weather",
  description: "The weather in a city",
  parameters: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } }, required: ["city"] },
};
const ASKED = [{ role: "user", content: "How is the weather?" }];

/** @param {string} template @param {Record<string, string>} scripts @param {string[]} [marks] */
async function modelOf(template, scripts, marks) {
  const engine = await engineOn("cpu");
  return { engine, model: await engine.load({ files: scripted(template, scripts, marks) }, { kind: "text" }) };
}

/** @param {import("/vitrine.js").TextStream} stream */
async function seen(stream) {
  let text = "";
  /** @type {any[]} */
  const steps = [];
  for await (const chunk of stream) {
    text += chunk.text;
    const { calls, faults, results } = chunk;
    if (calls || faults || results) steps.push({ calls, faults, results });
  }
  return { text, steps, summary: stream.summary };
}

/** A model that calls two functions at once, is told what came of it, and answers. */
export async function answered() {
  const { model } = await modelOf(HERMES, {
    "<|round0|>": 'I look.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>\n<tool_call>\n{"name": "weather", "arguments": {"city": "Basel", "days": 2}}\n</tool_call>',
    "<|round2|>": "Bern is sunny, and so is Basel.",
  });
  let running = 0;
  let most = 0;
  /** @type {unknown[]} */
  const asked = [];
  /** @param {{ city: string }} args @param {{ signal: AbortSignal }} context */
  const run = async (args, { signal }) => {
    asked.push([args, signal instanceof AbortSignal]);
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 20));
    running -= 1;
    return args.city === "Bern" ? "sunny" : { sky: "sunny" };
  };
  const ran = await seen(model.chat(ASKED, { tools: [{ ...WEATHER, run }], temperature: 0 }));
  // Without a run the calls are the caller's, who goes on by the turns that the summary gives.
  const told = await seen(model.chat(ASKED, { tools: [WEATHER], temperature: 0 }));
  const turns = [...ASKED, ...(told.summary?.messages ?? [])];
  const results = (told.summary?.calls ?? []).map(({ id, name }) => ({ role: "tool", tool_call_id: id, name, content: "sunny" }));
  const byHand = await model.chat([...turns, ...results], { tools: [WEATHER], temperature: 0 }).text();
  const prompt = await model.detokenize(await model.tokenize([...turns, ...results], { tools: [WEATHER] }));
  return { ran, most, asked, told, byHand, prompt, format: model.info.chatTemplate === HERMES };
}

/** Everything that can go wrong with calls, round by round. */
export async function faults() {
  const { model } = await modelOf(HERMES, {
    "<|round0|>": '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"\n</tool_call>',
    "<|round1|>": '<tool_call>\n{"name": "wether", "arguments": {"city": "Chur"}}\n</tool_call>',
    "<|round2|>": '<tool_call>\n{"name": "weather", "arguments": {"town": "Thun"}}\n</tool_call>',
    "<|round3|>": '<tool_call>\n{"name": "weather", "arguments": {"city": "fails"}}\n</tool_call>',
    "<|round4|>": '<tool_call>\n{"name": "weather", "arguments": {"city": "sleeps"}}\n</tool_call>',
    "<|round5|>": "I give up.",
  });
  let late = false;
  /** @param {{ city: string }} args @param {{ signal: AbortSignal }} context */
  const run = ({ city }, { signal }) => {
    if (city === "fails") throw new Error("no such station");
    return new Promise(() => signal.addEventListener("abort", () => (late = true)));
  };
  const tools = [{ ...WEATHER, run }];
  const all = await seen(model.chat(ASKED, { tools, temperature: 0, maxRounds: 6, toolTimeout: 50 }));
  const few = await seen(model.chat(ASKED, { tools, temperature: 0, maxRounds: 2 }));
  return { all, few, late };
}

/** Leaving and aborting while a function runs, and what cannot be asked. */
export async function ended() {
  const { model } = await modelOf(HERMES, { "<|round0|>": '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>', "<|round1|>": "Never said." });
  let stopped = 0;
  /** @type {() => void} */
  let begun = () => {};
  /** @param {unknown} _ @param {{ signal: AbortSignal }} context */
  const run = (_, { signal }) => {
    signal.addEventListener("abort", () => (stopped += 1));
    begun();
    return new Promise(() => {});
  };
  const tools = [{ ...WEATHER, run }];
  const abort = new AbortController();
  const running = new Promise((resolve) => (begun = () => resolve(undefined)));
  const aborted = said(model.chat(ASKED, { tools, temperature: 0, signal: abort.signal }).text());
  await running;
  abort.abort();
  const left = model.chat(ASKED, { tools, temperature: 0 });
  const runningAgain = new Promise((resolve) => (begun = () => resolve(undefined)));
  const pending = (async () => {
    for (;;) if ((await left.next()).done) return "done";
  })();
  await runningAgain;
  await left.return();
  const free = await model.chat(ASKED, { temperature: 0, maxTokens: 3 }).text();
  const refused = [];
  /** @type {any[]} */
  const wrong = [
    { tools: [{ description: "nameless" }] },
    { tools: [WEATHER, WEATHER] },
    { tools: [{ ...WEATHER, run }, { ...WEATHER, name: "other" }] },
    { tools: [{ ...WEATHER, run: 5 }] },
    { tools: [WEATHER], maxRounds: 2 },
    { tools, maxRounds: 0 },
    { tools: [WEATHER], toolChoice: { name: "forecast" } },
    { toolChoice: "required" },
    { toolTimeout: 5 },
    { tools, toolChoice: "always" },
    { tools, toolFormat: "xml" },
  ];
  for (const options of wrong) refused.push(await said(model.chat(ASKED, options).text()));
  return { aborted: await aborted, stopped, pending: await pending, free, refused };
}

/** A call that must come, one that may not, one alone, and marks that the text hides. */
export async function forced() {
  const { model: silent } = await modelOf(HERMES, { "<|round0|>": "No call." });
  const parameters = {
    type: "object",
    properties: { city: { enum: ["Zug", "Ulm"] }, days: { type: "integer", minimum: 1, maximum: 3 }, note: { type: "string", pattern: "^[ab]{1,3}$" } },
    required: ["city", "days"],
  };
  const [weather, add] = [{ ...WEATHER, parameters }, { name: "add", parameters: { type: "object", properties: { a: { $ref: "#/$defs/a" } }, required: ["a"], $defs: { a: { enum: [17] } } } }];
  const called = async (/** @type {ChatOptions} */ options) => {
    const { text, summary } = await seen(silent.chat(ASKED, { tools: [weather, add], temperature: 0, ...options }));
    const calls = summary?.calls?.map(({ name, arguments: { city, days } }) => [name, city === "Zug" || city === "Ulm", Number(days) >= 1 && Number(days) <= 3]);
    return [text, calls, summary?.faults?.map(({ code }) => code)];
  };
  /** @type {import("/vitrine.js").ToolFormat[]} */
  const formats = ["hermes", "llama", "mistral", "granite", "lfm2"];
  const named = [];
  for (const toolFormat of formats) named.push(await called({ toolFormat, toolChoice: { name: "weather" }, maxTokens: 128 }));
  const choices = [await called({}), await called({ toolChoice: "none" })];
  const required = await seen(silent.chat(ASKED, { tools: [weather, add], toolChoice: "required", temperature: 0, maxTokens: 128 }));
  const referred = await seen(silent.chat(ASKED, { tools: [weather, add], toolChoice: { name: "add" }, temperature: 0, maxTokens: 128 }));
  const endless = { name: "add", parameters: { type: "object", properties: { a: { $ref: "#/$defs/a" } }, required: ["a"], $defs: { a: { type: "array", minItems: 1, items: { $ref: "#/$defs/a" } } } } };
  const never = await said(silent.chat(ASKED, { tools: [endless], toolChoice: "required", maxTokens: 8 }).text());
  const parts = { type: "object", properties: { wet: { type: "boolean" }, "at-home": { type: "string" }, at: { $ref: "#/$defs/at" } }, required: ["at"], $defs: { at: { type: "array", items: { enum: [1, 2] }, minItems: 2, maxItems: 2 } } };
  const spelled = await seen(silent.chat(ASKED, { tools: [{ name: "pair", parameters: parts }, { name: "pairs", parameters: parts }], toolFormat: "lfm2", toolChoice: "required", temperature: 0, maxTokens: 128 }));
  const unnamed = { name: "add", parameters: { type: "object", properties: { "a-b": { type: "integer" } }, required: ["a-b"] } };
  const unspelled = await said(silent.chat(ASKED, { tools: [unnamed], toolFormat: "lfm2", toolChoice: "required" }).text());
  const two = '<tool_call>\n{"name": "weather", "arguments": {"city": "Ulm", "days": 1}}\n</tool_call><tool_call>\n{"name": "weather", "arguments": {"city": "Zug", "days": 2}}</tool_call>';
  const { model: eager } = await modelOf(HERMES, { "<|round0|>": two });
  const alone = await seen(eager.chat(ASKED, { tools: [weather], temperature: 0, parallelToolCalls: false }));
  const held = await said(eager.chat(ASKED, { tools: [weather], choice: ["yes", "no"] }).text());
  const marks = ["[TOOL_CALLS]", "[ARGS]"];
  const template = `{# [TOOL_CALLS] #}{{ tools | tojson }}<|ask|>`;
  const { model } = await modelOf(template, { "<|ask|>": 'So:\n[TOOL_CALLS]weather[ARGS]{"city": "Genf"}' }, marks);
  const mistral = await seen(model.chat(ASKED, { tools: [WEATHER], temperature: 0 }));
  const raw = await seen(model.chat(ASKED, { temperature: 0 }));
  // Later Mistrals write a name, a mark and an object; without the mark among a vocabulary's it is spelled.
  const behind = [];
  for (const known of [marks, []]) {
    const { model: named } = await modelOf(template, { "<|ask|>": "No call." }, known);
    const { summary } = await seen(named.chat(ASKED, { tools: [weather, add], toolChoice: "required", temperature: 0, maxTokens: 128 }));
    behind.push([summary?.calls?.length, summary?.faults?.length]);
  }
  const hidden = [];
  for await (const { mark, piece } of model.chat(ASKED, { temperature: 0 })) if (mark) hidden.push(piece);
  return {
    named,
    choices,
    required: required.summary?.calls?.length,
    referred: referred.summary?.calls?.map(({ name, arguments: given }) => [name, given]),
    never,
    spelled: spelled.summary?.calls?.map(({ name, arguments: { at, wet, ...others } }) => [name.startsWith("pair"), at, wet === undefined || typeof wet === "boolean", others]),
    unspelled,
    behind,
    alone: [alone.summary?.calls?.map(({ arguments: given }) => given.city), alone.summary?.finishReason],
    held,
    mistral: [mistral.text, mistral.summary?.calls?.map(({ name, arguments: given }) => [name, given])], raw: raw.text,
    hidden,
  };
}

/** A template that knows of no tools: they are told in words. */
export async function spelled() {
  const template = `{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{{ '<|again|>' if 'tool_response' in messages[-1].content else '<|first|>' }}`;
  const { model } = await modelOf(template, { "<|first|>": '<tool_call>{"name": "weather", "arguments": {"city": "Bern"}}</tool_call>', "<|again|>": "It is sunny." });
  const tools = [{ ...WEATHER, run: () => "sunny" }];
  const messages = [{ role: "system", content: "Be brief." }, ...ASKED];
  const { text, summary } = await seen(model.chat(messages, { tools, temperature: 0 }));
  const turns = await model.detokenize(await model.tokenize([...messages, ...(summary?.messages ?? [])], { tools, continueFinalMessage: false }));
  return { text, rounds: summary?.rounds, turns };
}

/** The text of an answer, and what it took. @param {import("/vitrine.js").TextStream} stream */
async function told(stream) {
  const text = await stream.text();
  return { text, ...stream.summary };
}

/** Functions of the page's, run on the way to an answer: what stands among the messages, and what is saved of it. */
export async function conversed() {
  const called = 'I look.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>';
  const scripts = { "<|round0|>": called, "<|round1|>": "It is sunny." };
  const { model } = await modelOf(HERMES, scripts);
  const greedy = { temperature: 0 };
  const tools = [{ ...WEATHER, run: () => ({ sky: "sunny" }) }];
  const begin = (/** @type {object} */ more) => model.conversation({ system: "Be brief.", tools, options: greedy, ...more });
  const talk = begin({});
  /** What stood there after each chunk that was more than text. @type {object[]} */
  const grown = [];
  const first = talk.send("How is the weather in Bern?");
  let text = "";
  for await (const chunk of first) {
    text += chunk.text;
    if (chunk.calls || chunk.results) grown.push({ results: chunk.results?.map(({ content }) => content), messages: talk.messages.length });
  }
  const messages = talk.messages;
  const fork = talk.fork();
  const second = await told(talk.send("Is that so?"));
  const forked = await told(fork.send("Is that so?"));
  await talk.regenerate().text();
  const anew = talk.messages.map(({ role }) => role);

  // A function that never ends leaves with the answer, and its call with it.
  const hanging = begin({ tools: [{ ...WEATHER, run: () => new Promise(() => {}) }] });
  for await (const { calls } of hanging.send("How is the weather?")) if (calls) break;
  const left = hanging.messages;
  const failing = begin({ tools: [{ ...WEATHER, run: () => { throw new Error("no such station"); } }] }); // prettier-ignore
  const failed = await told(failing.send("How is the weather?"));
  const once = begin({ options: { ...greedy, maxRounds: 1 } });
  const few = await told(once.send("How is the weather?"));
  // What the page runs itself, it sends.
  const byHand = begin({ tools: [WEATHER] });
  await byHand.send("How is the weather?").text();
  const [call] = /** @type {any} */ (byHand.messages.at(-1)).tool_calls;
  const handed = await told(byHand.send({ role: "tool", tool_call_id: call.id, name: "weather", content: "sunny" }));

  const file = await talk.save();
  const without = await said(model.restore(file));
  // Another copy of the model, that has computed nothing yet.
  const again = await (await modelOf(HERMES, scripts)).model.restore(file, { tools });
  const restored = { messages: again.messages, answer: await told(again.send("And now?")), unsaved: await told(talk.send("And now?")) };
  const none = await model.restore(file, { tools: [] });
  const toolless = await told(none.send("And now?"));

  // A template that knows of no tools: what the model holds of the text is saved with the words that tell of them.
  const engine = await engineOn("cpu");
  const options = { maxTokens: 12 };
  const spelled = (await engine.load("storyteller")).conversation({ tools: [WEATHER], options });
  await spelled.send("A fox in the snow.").text();
  const kept = await spelled.save();
  const unsaved = await told(spelled.send("And then?"));
  const back = await told((await (await engine.load("storyteller", { contextLength: 500 })).restore(kept)).send("And then?"));
  return { text, summary: first.summary, grown, messages, second, forked, anew, left, failed, failing: failing.messages, few, once: once.messages, handed, byHand: byHand.messages, without, restored, toolless, unsaved, back };
}

// @ts-check
import { code, engineOn, said } from "./common.js";

/** @typedef {import("/vitrine.js").Conversation} Conversation */
/** @typedef {import("/vitrine.js").AnswerStream} AnswerStream */

const KEPT = "conversation-of-a-test";

/** The text of an answer, and what it took. @param {AnswerStream} stream */
async function told(stream) {
  const text = await stream.text();
  return { text, ...stream.summary };
}

/** The question behind a saved conversation: long enough to be read in pieces, whose size follows the clock. */
const NEXT = "And then, when the snow was gone and the sun came up again, what did the fox and the bird find under the old tree by the river?";

/** The same of an answer to it, with every number that was told of its tokens. @param {Conversation} talk */
async function toldExactly(talk) {
  const stream = talk.send(NEXT, { alternatives: 3 });
  let text = "";
  const numbers = [];
  for await (const chunk of stream) {
    text += chunk.text;
    numbers.push(chunk.token, chunk.logprob, chunk.drawnLogprob, ...chunk.alternatives.map(({ logprob }) => logprob));
  }
  return { text, numbers, ...stream.summary };
}

export async function inTurns() {
  const engine = await engineOn("cpu");
  const model = await engine.load("storyteller");
  const begin = (/** @type {string} */ system) => model.conversation({ system, options: { maxTokens: 20, temperature: 0 } });
  const talks = [begin("Tell stories."), begin("Answer in short words.")];
  /** @type {object[]} */
  const turns = [];
  for (const words of ["A fox in the snow.", "And then?", "What did the bird say?"]) {
    for (const [index, talk] of talks.entries()) {
      const answer = await told(talk.send(words));
      // Another copy of the model, that has computed nothing yet.
      const fresh = await engine.load("storyteller", { contextLength: 500 - turns.length });
      const anew = await fresh.chat(talk.messages.slice(0, -1), { maxTokens: 20, temperature: 0 }).text();
      await fresh.unload();
      turns.push({ index, answer, anew });
    }
  }
  return { turns, messages: talks.map((talk) => talk.messages) };
}

export async function changes() {
  const engine = await engineOn("cpu");
  const model = await engine.load("storyteller");
  const talk = model.conversation({ seed: 5, options: { maxTokens: 24 } });
  const first = await told(talk.send("A fox in the snow."));
  const fork = talk.fork();
  const again = await told(talk.regenerate());
  const longer = await told(talk.continue({ maxTokens: 8 }));
  const joined = talk.messages.at(-1)?.content;
  await talk.send("And then?").text();
  const left = talk.edit(0, "A bird in a tree.");
  const edited = talk.messages;
  const answered = await told(talk.regenerate());
  // The same seed and the same turns draw the same.
  const twin = model.conversation({ seed: 5, options: { maxTokens: 24 } });
  const same = await told(twin.send("A fox in the snow."));

  // Left, stopped, aborted and refused answers leave as much as was read, and a conversation that goes on.
  const long = { maxTokens: 200, minTokens: 200 };
  const ended = [];
  for (const way of ["left", "stopped", "aborted"]) {
    const one = model.conversation({ seed: 1 });
    const abort = new AbortController();
    const stream = one.send("A fox in the snow.", { ...long, signal: abort.signal });
    const busy = [await said(one.send("more").text()), await said(one.save()), one.answering];
    let read = "";
    let end = "ended";
    try {
      for await (const chunk of stream) {
        read += chunk.text;
        if (read.length < 30) continue;
        if (way === "left") break;
        if (way === "stopped") await one.stop();
        else abort.abort();
      }
    } catch (error) {
      end = /** @type {any} */ (error).code;
    }
    const messages = one.messages;
    const after = await told(one.send("And then?", { maxTokens: 4 }));
    ended.push({ way, busy, read, end, messages, answering: one.answering, after, turns: one.messages.length });
  }
  const never = model.conversation();
  never.send("Nobody reads the answer.");
  await never.stop();
  const odd = {
    nothing: await said(model.conversation().regenerate().text()),
    unanswered: await said(never.continue().text()),
    wrong: await said(never.send(/** @type {any} */ (5)).text()),
    option: await said(never.send("a", /** @type {any} */ ({ temprature: 1 })).text()),
    at: await said((async () => never.edit(7, "x"))()),
    kept: never.messages,
    sent: await (async () => {
      const tool = model.conversation();
      await tool.send([{ role: "user", content: "a" }, { role: "tool", content: "b", name: "f" }], { maxTokens: 1 }).text();
      await tool.send({ role: "user", content: "c" }, { maxTokens: 1 }).text();
      return tool.messages.flatMap(({ role, name }) => (role === "assistant" ? [] : [`${role} ${name}`]));
    })(),
    two: await said((async () => model.conversation({ system: "a", messages: [{ role: "system", content: "b" }] }))()),
    signal: await said((async () => model.conversation({ options: /** @type {any} */ ({ signal: new AbortController().signal }) }))()),
    range: await code(never.send("a", { temperature: 99 }).text()),
  };
  return { first, forked: fork.messages, again, longer, joined, left, edited, answered, same, ended, odd };
}

/** Whole turns leave where the context is full; without that rule the answer is refused. */
export async function outgrown() {
  const engine = await engineOn("cpu");
  const model = await engine.load("storyteller", { contextLength: 160 });
  const asked = { maxTokens: 16, temperature: 0 };
  const talk = model.conversation({ system: "Tell stories.", overflow: "drop-turns", options: asked });
  const steps = [];
  for (let turn = 0; turn < 8; turn++) {
    const answer = await told(talk.send(`Number ${turn}: what did the fox and the bird do in the snow?`));
    steps.push({ answer, dropped: talk.dropped, prompt: answer.promptTokens });
  }
  const strict = model.conversation({ messages: talk.messages, options: asked });
  const refused = await said(strict.send("And then?").text());
  const slid = model.conversation({ messages: talk.messages, overflow: "slide", options: asked });
  return { steps, messages: talk.messages, refused, kept: strict.messages.length, slid: await told(slid.send("And then?")) };
}

/** @param {string} device */
export async function saves(device) {
  const engine = await engineOn(/** @type {any} */ (device));
  const model = await engine.load("storyteller");
  const talk = model.conversation({ system: "Tell stories.", options: { maxTokens: 16 } });
  await talk.send("A fox in the snow.").text();
  const file = await talk.save();
  await (await caches.open(KEPT)).put("/saved", new Response(file));
  const unsaved = await toldExactly(talk);
  return { bytes: file.size, text: unsaved.text, numbers: unsaved.numbers, reused: unsaved.reusedTokens, prompt: unsaved.promptTokens, seed: unsaved.seed };
}

/** In a page that knows nothing of the first. @param {string} device */
export async function restores(device) {
  const engine = await engineOn(/** @type {any} */ (device));
  const model = await engine.load("storyteller");
  const file = await (await (await caches.open(KEPT)).match("/saved"))?.blob();
  if (!file) throw new Error("nothing was kept");
  const talk = await model.restore(file);
  const first = talk.messages;
  const restored = await toldExactly(talk);
  const other = await engine.load("/fixtures/tiny_qwen3.gguf");
  const bytes = new Uint8Array(await file.arrayBuffer());
  const damaged = bytes.slice();
  damaged[bytes.length >> 1] ^= 4;
  const refused = {
    other: await said(other.restore(file)),
    damaged: await said(model.restore(new Blob([damaged]))),
    cut: await said(model.restore(new Blob([bytes.slice(0, -1)]))),
    none: await said(model.restore(new Blob(["GGUF"]))),
    noBlob: await said(model.restore(/** @type {any} */ (bytes))),
    unknown: await said(model.restore(file, /** @type {any} */ ({ force: true }))),
  };
  const taken = await other.restore(file, { otherModel: true });
  const words = taken.messages;
  await taken.send("b", { maxTokens: 2 }).text();
  await caches.delete(KEPT);
  return {
    first,
    text: restored.text,
    numbers: restored.numbers,
    reused: restored.reusedTokens,
    prompt: restored.promptTokens,
    seed: restored.seed,
    refused,
    words,
    after: (await told(talk.send("And then?", { maxTokens: 3 }))).generatedTokens,
  };
}

const NAME = "the sky / a fox";

/** @returns {Promise<import("/vitrine.js").TextModel>} */
async function storyteller() {
  return (await engineOn("cpu")).load("storyteller");
}

/** In another document of the site, as another tab is one. @param {string} name */
async function elsewhere(name) {
  const frame = document.createElement("iframe");
  frame.src = location.href;
  await new Promise((resolve) => {
    frame.onload = resolve;
    document.body.append(frame);
  });
  /** @type {any} */
  const inside = frame.contentWindow;
  const store = await inside.eval('import("/vitrine.js")').then((/** @type {any} */ face) => face.keptConversations);
  const seen = { open: await said(store.open(name).then((/** @type {any} */ kept) => kept.close())), delete: await said(store.delete(name)), list: (await store.list()).length };
  frame.remove();
  return seen;
}

export async function keeps() {
  const { keptConversations } = await import("/vitrine.js");
  const model = await storyteller();
  const kept = await keptConversations.open(NAME);
  const nothing = await kept.load(model);
  const talk = model.conversation({ options: { maxTokens: 6 } });
  await talk.send("A fox in the snow.").text();
  await kept.save(talk);
  const twice = await said(keptConversations.open(NAME));
  const other = await elsewhere(NAME);
  const listed = await keptConversations.list();
  await kept.close();
  const after = await elsewhere("another");
  const closed = await said(kept.save(talk));
  return { nothing: nothing === undefined, twice, other, after, listed, closed, unnamed: await said(keptConversations.open(" ")), messages: talk.messages };
}

/** Saves a longer one where there is no room left. */
export async function keepsInVain() {
  const { keptConversations } = await import("/vitrine.js");
  const model = await storyteller();
  const kept = await keptConversations.open(NAME);
  const talk = await kept.load(model);
  if (!talk) throw new Error("nothing was kept");
  await talk.send("And then?").text();
  const full = await said(kept.save(talk));
  const length = talk.messages.length;
  await kept.close();
  return { full, length };
}

export async function keptStill() {
  const { keptConversations } = await import("/vitrine.js");
  const kept = await keptConversations.open(NAME);
  const talk = await kept.load(await storyteller());
  await kept.close();
  const deleted = [await keptConversations.delete(NAME), await keptConversations.delete(NAME)];
  return { messages: talk?.messages, deleted, left: (await keptConversations.list()).length };
}

const TEMPLATE = {
  name: "qa",
  version: 1,
  about: "Questions about a topic.",
  system: "You know all about {{topic}}.",
  examples: [{ user: "Q: what is {{topic}}?", assistant: "A: {{ reasoning }} A thing." }],
  reasoning: "Let me think.",
  prompt: "Q: {{question}} ({{tone}})",
  slots: { tone: "short", topic: null },
};

export async function templates() {
  const { promptTemplates } = await import("/vitrine.js");
  localStorage.clear();
  const thrown = (/** @type {() => unknown} */ call) => said((async () => call())());
  promptTemplates.define(TEMPLATE);
  promptTemplates.define({ ...TEMPLATE, version: 3, prompt: "{{topic}} {{tone}}: {{question}}" });
  promptTemplates.define({ name: "a", version: 1, prompt: "{{x}}" });
  const listed = promptTemplates.list().map(({ name, version }) => `${name} ${version}`);
  const filled = promptTemplates.apply(TEMPLATE, { topic: "{{tone}} foxes", question: "Why?" });
  const plain = promptTemplates.apply(TEMPLATE, { topic: "foxes", question: "Why?", reasoning: "" });
  const exported = promptTemplates.export("qa");
  const deleted = [promptTemplates.delete("qa", 1), promptTemplates.delete("qa"), promptTemplates.delete("qa")];
  const imported = promptTemplates.import(exported).length;
  const refused = {
    missing: await thrown(() => promptTemplates.apply("qa", { topic: "foxes" })),
    unknown: await thrown(() => promptTemplates.apply("qa", { topic: "foxes", qestion: "Why?" })),
    unused: await thrown(() => promptTemplates.define({ ...TEMPLATE, version: 4, slots: { voice: null } })),
    silent: await thrown(() => promptTemplates.define({ name: "b", version: 1, prompt: "x", reasoning: "y" })),
    field: await thrown(() => promptTemplates.define(/** @type {any} */ ({ name: "b", version: 1, promt: "x" }))),
    again: await thrown(() => promptTemplates.define({ ...TEMPLATE, prompt: "{{topic}} {{tone}}" })),
    version: await thrown(() => promptTemplates.get("qa", 2)),
    name: await thrown(() => promptTemplates.get("qb")),
    json: await thrown(() => promptTemplates.import("{")),
    half: await thrown(() => promptTemplates.import(JSON.stringify({ format: 1, templates: [{ name: "c", version: 1, prompt: "x" }, { name: "d" }] }))),
    format: await thrown(() => promptTemplates.import(JSON.stringify({ format: 2, templates: [] }))),
  };
  // A full disk.
  localStorage.setItem("filler", "x".repeat(5_000_000));
  const full = await thrown(() => promptTemplates.define({ name: "large", version: 1, prompt: "x".repeat(500_000) }));
  localStorage.removeItem("filler");
  const kept = promptTemplates.list().map(({ name, version }) => `${name} ${version}`);

  const engine = await engineOn("cpu");
  const model = await engine.load("storyteller");
  const talk = model.conversation({ template: "qa", slots: { topic: "foxes" }, options: { maxTokens: 4, temperature: 0 } });
  await talk.send("Why?").text();
  await talk.send({ question: "When?", tone: "long" }).text();
  const wrong = await said(talk.send({ tone: "long" }).text());
  return { listed, filled, plain, deleted, imported, refused, full, kept, messages: talk.messages, wrong };
}

/** What another page of the site sees of them. */
export async function otherPage() {
  const { promptTemplates } = await import("/vitrine.js");
  return promptTemplates.list().map(({ name, version }) => `${name} ${version}`);
}

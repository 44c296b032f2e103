// @ts-check
import { drop, element, scripted } from "./common.js";

/** @typedef {import("../../../www/page/chat/conversation.js").Conversation} Conversation */
/** @typedef {{ role: string, text: string, place: string, cut: string, figures: string, who: string }} Shown */

const ASKED = "Tell me a story about a fox who finds a lantern in the snow.";

/** Waits until something is so. @param {() => unknown} so @param {string} what */
async function until(so, what) {
  const end = performance.now() + 30_000;
  while (!so()) {
    if (performance.now() > end) throw new Error(`${what}: it is still not so; ${document.body.dataset.state}; ${element("#error", HTMLElement).innerText}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** @param {string} selector */
function click(selector) {
  element(selector, HTMLElement).click();
}

/** @param {string} selector @param {string} value */
function put(selector, value) {
  const control = /** @type {HTMLInputElement} */ (element(selector, HTMLElement));
  control.value = value;
  for (const type of ["input", "change"]) control.dispatchEvent(new Event(type, { bubbles: true }));
}

/** @param {string} selector @param {string} key @param {KeyboardEventInit} [more] */
function key(selector, key, more) {
  element(selector, HTMLElement).dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
}

/** @returns {Shown[]} */
function shown() {
  return [...document.querySelectorAll(".message")].map((each) => {
    const part = (/** @type {string} */ name) => /** @type {HTMLElement | null} */ (each.querySelector(name))?.innerText.trim() ?? "";
    return { role: String(/** @type {HTMLElement} */ (each).dataset.role), text: part(":scope > .words"), place: part(".place"), cut: part(".cut"), figures: part(".figures"), who: part("h3") };
  });
}

const settled = () => until(() => document.body.dataset.state === "ready", "an answer");

/** Sends a message by Enter and waits for the answer. @param {string} text */
async function say(text) {
  const before = shown().length;
  put("#prompt", text);
  key("#prompt", "Enter");
  await until(() => shown().length > before || !element("#error", HTMLElement).hidden, `an answer to ${text}`);
  await settled();
}

/** Makes every new token cost the page a few milliseconds. */
function slowly() {
  const observer = new MutationObserver(() => {
    const end = performance.now() + 30;
    while (performance.now() < end);
  });
  observer.observe(element("#messages", HTMLElement), { childList: true, subtree: true, characterData: true });
  return () => observer.disconnect();
}

/** What is kept of all conversations. @returns {Promise<Conversation[]>} */
async function kept() {
  const { Store } = await import("/page/chat/store.js");
  return new Store().conversations();
}

/** Has the next file that the page hands out read instead. */
function handedOut() {
  const { createObjectURL } = URL;
  return new Promise((/** @type {(text: Promise<string>) => void} */ resolve) => {
    URL.createObjectURL = (/** @type {Blob} */ blob) => {
      URL.createObjectURL = createObjectURL;
      resolve(blob.text());
      return createObjectURL(blob);
    };
  });
}

/** @param {string} selector @param {File[]} files */
function choose(selector, files) {
  const transfer = new DataTransfer();
  for (const file of files) transfer.items.add(file);
  const input = element(selector, HTMLInputElement);
  input.files = transfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

/** Asks, stops the answer, goes on with it. */
export async function walk() {
  put("#seed", "11");
  const quick = slowly();
  put("#prompt", ASKED);
  key("#prompt", "Enter");
  await until(() => (shown()[1]?.text.length ?? 0) > 30, "words");
  const aloud = element("#announcer", HTMLElement).innerText;
  key("#prompt", "Escape");
  await settled();
  quick();
  const [asked, stopped] = shown();
  /** @type {HTMLElement} */ (document.querySelector(".message .cut button")).click();
  await until(() => document.body.dataset.state === "writing", "more");
  await settled();
  await until(() => document.querySelector("#count")?.textContent, "the count");
  const whole = shown();
  const said = element("#announcer", HTMLElement).innerText;
  return { asked, stopped, whole, aloud, said, title: element("#title", HTMLElement).innerText, count: element("#count", HTMLElement).innerText, draft: element("#prompt", HTMLTextAreaElement).value };
}

/** What stands there. */
export function standing() {
  const list = [...document.querySelectorAll("#conversations .name")].map(({ textContent }) => textContent);
  return { messages: shown(), list, title: element("#title", HTMLElement).innerText, state: document.body.dataset.state, elsewhere: element("#elsewhere", HTMLElement).innerText };
}

/** Answers again, edits, and goes back to the branches before. */
export async function branches() {
  await say(ASKED);
  const first = shown();
  click('[data-role="assistant"] [data-act="again"]');
  await until(() => document.body.dataset.state === "writing", "another answer");
  await settled();
  const second = shown();
  click('[data-role="assistant"] [data-step="-1"]');
  const back = shown();
  click('[data-role="user"] [data-act="edit"]');
  const field = element(".edit-field", HTMLTextAreaElement);
  const offered = field.value;
  field.value = "Write a sad story about a robot.";
  key(".edit-field", "Enter");
  await until(() => document.body.dataset.state === "writing", "an answer to what was edited");
  await settled();
  const edited = shown();
  click('[data-role="user"] [data-step="-1"]');
  const before = shown();
  const focused = document.activeElement?.getAttribute("data-step");
  click('[data-role="assistant"] [data-act="compare"]');
  const compared = [...document.querySelectorAll("#answers .words")].map((each) => /** @type {HTMLElement} */ (each).innerText.trim());
  click("#answers button:enabled");
  const taken = { text: shown()[1].text, open: /** @type {HTMLDialogElement} */ (document.querySelector("#comparison")).open };
  return { first, second, back, offered, edited, before, focused, compared, taken, kept: (await kept())[0].messages.length };
}

/** Several conversations: searched, renamed, deleted, brought back. */
export async function library() {
  const list = () => [...document.querySelectorAll("#conversations .name")].map((each) => each.textContent);
  put("#length", "16");
  await say("A story about an owl and a teapot.");
  click("#new");
  put("#length", "16");
  await say("A story about a whale by the sea.");
  const both = list();
  put("#search", "TEAPOT");
  const byText = list();
  put("#search", "nowhere at all");
  const none = element("#found", HTMLElement).innerText;
  put("#search", "");
  click("#rename");
  put("#new-title", "  The great whale ");
  key("#new-title", "Enter");
  const renamed = list();
  const title = element("#title", HTMLElement).innerText;
  click("#rename");
  put("#new-title", "Nothing of the kind");
  key("#new-title", "Escape");
  const left = element("#title", HTMLElement).innerText;
  click("#delete");
  await until(() => !element("#undo-line", HTMLElement).hidden, "the undo");
  const deleted = list();
  const gone = (await kept()).length;
  click("#undo");
  await until(() => list().length === 2, "the deleted one");
  const undone = { list: list(), messages: shown().length, kept: (await kept()).length };
  click("#conversations li:last-child button");
  const other = shown()[0].text;
  return { both, byText, none, renamed, title, left, deleted, gone, undone, other };
}

/** Out as Markdown and as JSON, away, and back in. */
export async function transfer() {
  put("#persona", "Editor");
  put("#persona-name", "My own");
  put("#system", "You tell stories.");
  click("#save-persona");
  await until(() => /** @type {HTMLSelectElement} */ (document.querySelector("#persona")).value === "My own", "the persona");
  put("#temperature", "0.5");
  await say(ASKED);
  click('[data-role="assistant"] [data-act="again"]');
  await until(() => document.body.dataset.state === "writing", "another answer");
  await settled();
  const before = shown();
  let text = handedOut();
  click("#export-markdown");
  const markdown = await (await text);
  text = handedOut();
  click("#export-all");
  const json = await (await text);
  click("#delete");
  await until(() => document.querySelectorAll("#conversations li").length === 0, "an empty list");
  choose("#import", [new File(["{ no json"], "odd.json"), new File(['{"format":"vitrine-chat","version":1,"conversations":[{"id":"x"}]}'], "cut.json")]);
  await until(() => element("#error", HTMLElement).innerText.includes("cut.json"), "a refusal");
  const refused = { text: element("#error", HTMLElement).innerText, list: document.querySelectorAll("#conversations li").length };
  choose("#import", [new File([json], "all.json")]);
  await until(() => shown().length === 2, "what was imported");
  const settings = { temperature: /** @type {HTMLInputElement} */ (document.querySelector("#temperature")).value, system: /** @type {HTMLTextAreaElement} */ (document.querySelector("#system")).value, persona: /** @type {HTMLSelectElement} */ (document.querySelector("#persona")).value };
  return { before, after: shown(), markdown, personas: JSON.parse(json).personas, conversations: JSON.parse(json).conversations.length, settings, refused };
}

/** Settings go with their conversation. */
export async function settings() {
  const now = () => ({ temperature: value("#temperature"), length: value("#length"), seed: value("#seed"), system: value("#system"), persona: value("#persona") });
  const value = (/** @type {string} */ selector) => /** @type {HTMLInputElement} */ (document.querySelector(selector)).value;
  const defaults = now();
  put("#temperature", "0");
  put("#length", "32");
  put("#persona", "Patient teacher");
  await say("A story about a whale.");
  const first = now();
  const cut = shown()[1].cut;
  click('[data-role="assistant"] [data-act="again"]');
  await until(() => !element("#error", HTMLElement).hidden, "that it would be the same");
  const same = element("#error", HTMLElement).innerText;
  click("#error-close");
  click("#new");
  const fresh = now();
  click("#conversations li button");
  const back = now();
  click("#own-sampling");
  const own = now();
  return { defaults, first, cut, same, fresh, back, own };
}

/** Files that go along: one that fits, one that does not, one that is no text. */
export async function files() {
  drop([new File(["The owl found a teapot.\n"], "notes.txt")]);
  await until(() => element("#attached", HTMLElement).innerText.includes("tokens"), "the chip");
  const chip = element("#attached", HTMLElement).innerText;
  await say("Tell me a story about this.");
  const file = element(".file-told summary", HTMLElement).innerText;
  const given = (await kept())[0].messages[0].files;
  choose("#attach", [new File(["The owl found a teapot. ".repeat(200)], "long.md"), new File([new Uint8Array([0, 255, 254, 1])], "picture.bin")]);
  await until(() => !element("#error", HTMLElement).hidden, "what is no text");
  const odd = element("#error", HTMLElement).innerText;
  click("#error-close");
  await until(() => element("#count", HTMLElement).innerText.includes("too many"), "the numbers");
  const count = element("#count", HTMLElement).innerText;
  put("#prompt", "And this?");
  key("#prompt", "Enter");
  await until(() => !element("#error", HTMLElement).hidden, "that it is too long");
  const long = { text: element("#error", HTMLElement).innerText, code: element("#error", HTMLElement).dataset.code, draft: /** @type {HTMLTextAreaElement} */ (document.querySelector("#prompt")).value, messages: shown().length };
  click("#attached button");
  await until(() => element("#attached", HTMLElement).childElementCount === 0, "no chip");
  return { chip, file, given, odd, count, long };
}

/** A conversation that grows out of its context: told by numbers, and gone on with without its beginning. */
export async function overflow() {
  put("#length", "512");
  let rounds = 0;
  for (; rounds < 8 && element("#error", HTMLElement).hidden; rounds += 1) await say(`Tell me a long story about a bear who finds key number ${rounds} in the castle.`);
  const code = element("#error", HTMLElement).dataset.code;
  const told = element("#error", HTMLElement).innerText;
  const before = shown().length;
  click("#error-action");
  await until(() => document.querySelector(".left-out") && shown().length > before, "the line and an answer");
  await settled();
  return { rounds, code, told, before, after: shown().length, last: shown().at(-1)?.text ?? "" };
}

/** An answer that fills the context, and goes on once the earliest messages are left out. */
export async function filled() {
  const now = Date.now();
  const message = (/** @type {string} */ id, /** @type {string | null} */ parent, /** @type {string} */ role, /** @type {string} */ text) => ({ id, parent, role, text, created: now, changed: now, finish: "eos" });
  const messages = [message("a", null, "user", "A story about an owl."), message("b", "a", "assistant", "The owl found a teapot. ".repeat(62))];
  const conversation = { id: "long", title: "Long", named: true, created: now, changed: now, system: "", persona: "", sampling: { seed: 3 }, thinks: false, messages, leaf: "b", from: null };
  choose("#import", [new File([JSON.stringify({ format: "vitrine-chat", version: 1, conversations: [conversation] })], "long.json")]);
  await until(() => shown().length === 2, "the conversation");
  await say("Tell me a story about a fox who finds a lantern.");
  const cut = shown()[3];
  click('[data-id]:last-child [data-act="go-on"]');
  await until(() => document.querySelector(".left-out") && (shown()[3]?.text.length ?? 0) > cut.text.length, "more of it");
  await settled();
  return { cut, whole: shown()[3] };
}

/** A conversation with thoughts in it, from a file. */
export async function thoughts() {
  const now = Date.now();
  const message = (/** @type {string} */ id, /** @type {string | null} */ parent, /** @type {string} */ role, /** @type {string} */ text) => ({ id, parent, role, text, created: now, changed: now, finish: "eos" });
  const conversation = {
    id: "thinking", title: "Thoughts", named: true, created: now, changed: now, system: "", persona: "", sampling: {}, thinks: false, leaf: "d", from: null,
    messages: [
      message("a", null, "user", "How many?"), message("b", "a", "assistant", "<think>\nI count: **one**, two.\n</think>\n\nTwo of *them*."),
      message("c", "b", "user", "Sure?"), message("d", "c", "assistant", "It was begun before.\n</think>\nQuite sure."),
    ],
  }; // prettier-ignore
  choose("#import", [new File([JSON.stringify({ format: "vitrine-chat", version: 1, conversations: [conversation] })], "thoughts.json")]);
  await until(() => shown().length === 4, "the conversation");
  const folds = [...document.querySelectorAll('[data-role="assistant"] .thoughts')].map((each) => {
    const fold = /** @type {HTMLDetailsElement} */ (each);
    const { open, hidden } = fold;
    fold.open = true;
    return { open, hidden, text: fold.innerText };
  });
  const { thoughtsAndWords } = await import("/page/chat/conversation.js");
  const growing = ["<thi", "<think>", "<think>so", "<think>so</think>", "<think>so</think>\n\nYes"].map((text) => thoughtsAndWords(text));
  return { words: shown().map(({ text }) => text), folds, growing };
}

/** A question that stands there without an answer, as one that was stopped before its first word. */
export async function unanswered() {
  const now = Date.now();
  const asked = { id: "q", parent: null, role: "user", text: "A story about a whale.", created: now, changed: now };
  const conversation = { id: "open", title: "Open", named: true, created: now, changed: now, system: "", persona: "", sampling: { maxTokens: 32 }, thinks: false, messages: [asked], leaf: "q", from: null };
  choose("#import", [new File([JSON.stringify({ format: "vitrine-chat", version: 1, conversations: [conversation] })], "open.json")]);
  await until(() => shown().length === 1, "the conversation");
  const [before] = shown();
  click('[data-act="go-on"]');
  await until(() => shown().length === 2 && shown()[1].text !== "", "an answer");
  await settled();
  return { before, after: shown() };
}

/** A model whose template can think, and one that has no template. */
export async function abilities() {
  const row = () => !element("#thinks-row", HTMLElement).hidden;
  const load = async (/** @type {string} */ name, /** @type {string} */ lead) => {
    const file = new File([await (await fetch(`/fixtures/${name}.gguf`)).blob()], `${name}.gguf`);
    choose("#file-input", [file]);
    await until(() => element("#welcome", HTMLElement).innerText.includes(lead), name);
  };
  const before = row();
  await load("tiny_qwen3", "to tiny_qwen3");
  const thinks = row();
  const told = /** @type {HTMLTextAreaElement} */ (document.querySelector("#system")).disabled;
  // Whoever wants thoughts is heard: Qwen 3's template writes empty ones for who does not.
  put("#prompt", "How many?");
  const count = () => Number.parseInt(element("#count", HTMLElement).innerText, 10);
  await until(() => count() > 0, "the count");
  const without = count();
  click("#thinks");
  await until(() => count() !== without, "another count");
  const spared = without - count();
  put("#length", "16");
  key("#prompt", "Enter");
  await until(() => shown().length === 2 || !element("#error", HTMLElement).hidden, "an answer");
  await settled();
  const thought = { messages: shown().length, thinks: (await kept())[0]?.thinks ?? null };
  click("#new");
  await load("tiny_gpt2", "learnt no conversations");
  put("#length", "16");
  put("#temperature", "0");
  const lead = element("#welcome", HTMLElement).innerText;
  await say("Once upon a time");
  const first = shown();
  key("#prompt", "Enter");
  await until(() => document.body.dataset.state === "writing" || (shown()[1].text.length ?? 0) > first[1].text.length, "more of it");
  await settled();
  return { before, thinks, spared, thought, told, lead, first, more: shown(), system: /** @type {HTMLTextAreaElement} */ (document.querySelector("#system")).disabled, note: element("#told", HTMLElement).innerText };
}

/** In the manner of Qwen's; it ends with how many questions and results there were. */
const CALLING = `{% if tools %}{% for tool in tools %}<tool>{{ tool | tojson }}</tool>{% endfor %}{% endif %}
{%- for m in messages %}<{{ m.role }}>{{ m.content }}
{%- for call in m.tool_calls or [] %}<tool_call>{{ call.function.name }} {{ call.function.arguments | tojson }}</tool_call>{% endfor %}
{%- endfor %}{% if add_generation_prompt %}{{ '<|' ~ (messages | selectattr('role', 'equalto', 'user') | list | length) ~ '.' ~ (messages | selectattr('role', 'equalto', 'tool') | list | length) ~ '|>' }}{% endif %}`;

/** @param {string} name @param {object} given */
const call = (name, given) => `<tool_call>\n${JSON.stringify({ name, arguments: given })}\n</tool_call>`;

/** A model that knows by heart what to call. */
async function caller() {
  const files = scripted(CALLING, {
    "<|1.0|>": `Let me see.\n${call("calculate", { expression: "12 * (3 + 4)" })}\n${call("calendar", { date: "2026-02-28", until: "2026-03-01" })}`,
    "<|1.2|>": "It is **84**, a day later.",
    "<|2.2|>": call("calculate", { expression: "1 / 0" }),
    "<|2.3|>": call("calculat", { expression: "1" }),
    "<|2.4|>": "That cannot be.",
    "<|3.4|>": "Quite sure.",
  });
  choose("#file-input", Object.entries(files).map(([name, blob]) => new File([blob], name)));
  await until(() => element("#welcome", HTMLElement).innerText.includes("What would you like"), "the model");
}

/** The cards of a message, row by row. @param {Element | undefined} message */
function cards(message) {
  return [...(message?.querySelectorAll(".call") ?? [])].map((card) => ({
    state: /** @type {HTMLElement} */ (card).dataset.state,
    name: card.querySelector("code")?.textContent,
    rows: [...card.querySelectorAll("dl > div")].map((row) => [...row.children].map(({ textContent }) => textContent)),
  }));
}

/** Functions of the page, called on the way to an answer: their cards, their faults, and what is kept of them. */
export async function calls() {
  await caller();
  const count = () => Number.parseInt(element("#count", HTMLElement).innerText.replaceAll(",", ""), 10);
  put("#temperature", "0");
  put("#prompt", "How many?");
  await until(() => count() > 0, "the count");
  const without = count();
  const idle = /** @type {HTMLInputElement} */ (document.querySelector("#must-call")).disabled;
  for (const name of ["calculate", "calendar"]) click(`#tool-${name}`);
  await until(() => count() > without, "the tools in the count");
  await say("How many?");
  const last = () => [...document.querySelectorAll(".message")].at(-1);
  const first = { cards: cards(last()), words: [...(last()?.querySelectorAll(".words") ?? [])].map((each) => /** @type {HTMLElement} */ (each).innerText.trim()), bold: last()?.querySelector("strong")?.textContent };
  const aloud = element("#announcer", HTMLElement).innerText;
  await say("And otherwise?");
  const second = { cards: cards(last()), text: shown().at(-1)?.text };
  await say("Sure?");
  const third = shown().at(-1)?.text;
  const text = handedOut();
  click("#export-markdown");
  const markdown = await (await text);
  await until(() => location.hash.length > 10, "that it is kept");
  await new Promise((resolve) => setTimeout(resolve, 700));
  const [{ tools, mustCall, messages }] = await kept();
  put("#search", "see");
  const found = document.querySelectorAll("#conversations li").length;
  put("#search", "");
  click("#new");
  const fresh = [...document.querySelectorAll("#tools input")].map((input) => /** @type {HTMLInputElement} */ (input).checked);
  return { idle, first, aloud, second, third, markdown, kept: { tools, mustCall, messages: messages.length }, found, fresh };
}

/** What stands there of calls after a reload, without the model. */
export function cardsStanding() {
  return [...document.querySelectorAll('.message[data-role="assistant"]')].flatMap((message) => cards(message));
}

/** A model that calls nothing by itself, and is made to. */
export async function mustCall() {
  put("#length", "64");
  click("#tool-clock");
  click("#must-call");
  await say("What time is it?");
  return { cards: cards(document.querySelectorAll(".message")[1]), error: element("#error", HTMLElement).innerText };
}

/** What expressions come to. @param {string[]} expressions */
export async function arithmetic(expressions) {
  const { calculated } = await import("/page/chat/arithmetic.js");
  return expressions.map((each) => {
    try {
      return calculated(each);
    } catch (error) {
      return String(error);
    }
  });
}

/** What the other functions say, and refuse. */
export async function functions() {
  const { toolsNamed } = await import("/page/chat/tools.js");
  const run = async (/** @type {string} */ name, /** @type {object} */ args) => {
    try {
      return await toolsNamed([name])[0].run?.(args, { signal: new AbortController().signal });
    } catch (error) {
      return String(error);
    }
  };
  // Nine hours before Greenwich, all the year.
  const day = new Date(Date.now() + 9 * 3_600_000).toISOString();
  return {
    tokyo: await run("clock", { timeZone: "Asia/Tokyo" }),
    day,
    nowhere: await run("clock", { timeZone: "Mars/Olympus" }),
    leap: await run("calendar", { date: "2028-02-28", until: "2028-03-01" }),
    before: await run("calendar", { date: "2026-05-17", until: "2026-05-16" }),
    moon: await run("calendar", { date: "1969-07-20" }),
    none: await run("calendar", { date: "2026-02-30" }),
  };
}

/** Says something, and waits until it is kept. @param {string} text */
export async function tell(text) {
  put("#length", "48");
  await say(text);
  await new Promise((resolve) => setTimeout(resolve, 100));
  return shown();
}

/** Asks for a short answer of the likeliest words. @param {string} text */
export async function askGreedily(text) {
  put("#temperature", "0");
  return tell(text);
}

/** Begins a long answer and leaves it running. @param {string} text */
export async function beginSlowly(text) {
  slowly();
  put("#length", "512");
  put("#prompt", text);
  key("#prompt", "Enter");
  await until(() => document.body.dataset.state === "writing" && (shown().at(-1)?.text.length ?? 0) > 5, "words");
}

/** What happens where another tab is answering. @param {string} text */
export async function tryHere(text) {
  put("#prompt", text);
  key("#prompt", "Enter");
  await until(() => element("#elsewhere", HTMLElement).innerText !== "", "that another tab is at it");
  click('[data-role="user"] [data-act="edit"]');
  const field = element(".edit-field", HTMLTextAreaElement);
  field.value = "Something else.";
  key(".edit-field", "Enter");
  await until(() => document.querySelector(".edit-field") && document.querySelector(".edit-field") !== field, "the edit once more");
  const edit = element(".edit-field", HTMLTextAreaElement).value;
  key(".edit-field", "Escape");
  // What the other tab writes comes here, in its own time.
  await until(() => shown().length >= 4, "the other tab's turns");
  return { edit, messages: shown().length, elsewhere: element("#elsewhere", HTMLElement).innerText, draft: /** @type {HTMLTextAreaElement} */ (document.querySelector("#prompt")).value };
}

/** Writes until nothing more can be kept, then makes room. */
export async function full() {
  await say("A story about an owl.");
  await until(() => !element("#unkept", HTMLElement).hidden, "that it is not kept");
  const told = element("#unkept", HTMLElement).innerText;
  const notice = element("#error", HTMLElement).innerText;
  const text = handedOut();
  click("#error-action");
  const exported = JSON.parse(await (await text)).conversations[0].messages.length;
  return { told, notice, exported, messages: shown() };
}

/** Whether everything is kept again, after the next change. */
export async function room() {
  await say("And one about a bear.");
  await until(() => element("#unkept", HTMLElement).hidden, "that it is kept again");
  return { kept: (await kept()).map(({ messages }) => messages.length), messages: shown().length };
}

/** A conversation with something of everything in it, from a file. */
export async function sampler() {
  const now = Date.now();
  /** @type {{ id: string, parent: string | null, role: string, text: string, created: number, changed: number, finish?: string, model?: string, files?: object[], figures?: object, steps?: object[] }[]} */
  const messages = [];
  const add = (/** @type {string} */ id, /** @type {string | null} */ parent, /** @type {string} */ role, /** @type {string} */ text, more = {}) => messages.push({ id, parent, role, text, created: now + messages.length, changed: now, ...more });
  const figures = { promptTokens: 40, reusedTokens: 20, generatedTokens: 143, firstTokenMs: 62, tokensPerSecond: 38.4, seed: 7 };
  add("a", null, "user", "How far does a stone fall in two seconds? Show it as a formula, a table and in Python.", { files: [{ name: "notes.md", text: "# Falling\n\ng is 9.81 m/s²" }] });
  add("x", "a", "assistant", "Some other answer.", { finish: "eos", model: "Another model" });
  add("b", "a", "assistant", `<think>g is about 9.81.</think>\n\nA stone falls $d = \\tfrac{1}{2} g t^2$, which is **19.6 m** after two seconds:\n\n$$ d = \\frac{1}{2} \\cdot 9.81 \\cdot 2^2 = 19.62 $$\n\n| seconds | metres | what it is as long as, with some words that make this table a wide one |\n|--:|--:|---|\n| 1 | 4.9 | a small van |\n| 2 | 19.6 | a lorry with its trailer |\n\n\`\`\`python\ndef fall(t, g=9.81):\n    """How far a stone falls in t seconds, in metres, where nothing but gravity pulls at it."""\n    return g * t ** 2 / 2\n\`\`\`\n\n1. Let go of it.\n2. Listen. See [the article](https://example.org/fall).`, { finish: "length", model: "Storyteller", figures });
  add("c", "b", "user", "And on the moon?");
  const steps = [
    {
      text: "Let me calculate.",
      calls: [
        { id: "1", name: "calculate", given: { expression: "0.5 * 1.62 * 2^2" }, result: "3.24" },
        { id: "2", name: "calculate", given: { expression: "1.62 / 0" }, result: "Error: calculate failed", fault: "calculate failed: Nothing can be divided by zero." },
      ],
    },
  ];
  add("d", "c", "assistant", "There it falls six times more slowly: 3.2 m.", { steps, finish: "eos", model: "Storyteller", figures });
  const conversation = { id: "sampler", title: "A stone that falls, and a title so long that it has to be cut somewhere", named: true, created: now, changed: now, system: "Answer shortly.", persona: "", sampling: {}, thinks: false, leaf: "d", from: "c", messages };
  choose("#import", [new File([JSON.stringify({ format: "vitrine-chat", version: 1, conversations: [conversation] })], "sampler.json")]);
  await until(() => shown().length === 4 && document.querySelector("math"), "the conversation");
  choose("#attach", [new File(["a,b\n1,2\n"], "table-with-a-rather-long-name-of-its-own.csv")]);
  await until(() => element("#attached", HTMLElement).innerText.includes("tokens"), "the chip");
}

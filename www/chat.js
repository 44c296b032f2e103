/** The page for conversations: puts the list, the thread, the composer, the model and the settings together. */

import { pageEngine } from "./engine.js";
import { VitrineError } from "./errors.js";
import { Answering } from "./page/chat/answering.js";
import { Attachments, areTexts } from "./page/chat/attachments.js";
import { Comparison } from "./page/chat/comparison.js";
import { Composer } from "./page/chat/composer.js";
import { addMessage, pathTo, showBranch, siblingsOf } from "./page/chat/conversation.js";
import { Conversations } from "./page/chat/conversations.js";
import { Exchange } from "./page/chat/exchange.js";
import { Library, titleOf } from "./page/chat/library.js";
import { Personas } from "./page/chat/personas.js";
import { abilitiesOf, countTokens, firstThatFits, given } from "./page/chat/prompt.js";
import { Rooms } from "./page/chat/rooms.js";
import { SamplingPanel } from "./page/chat/sampling.js";
import { Thread } from "./page/chat/thread.js";
import { ToolPanel } from "./page/chat/tool-panel.js";
import { tellUnkept } from "./page/chat/unkept.js";
import { Welcome } from "./page/chat/welcome.js";
import { showDevice, tellOfLosses } from "./page/device.js";
import { element, make } from "./page/dom.js";
import { Find } from "./page/find.js";
import { keepFocus } from "./page/focus.js";
import { Models } from "./page/models.js";
import { Notices } from "./page/notices.js";
import { keepOffline } from "./page/offline.js";
import { Opened } from "./page/opened.js";
import "./page/started.js";
import { keep, readStored } from "./page/stored-settings.js";

/** @import { CatalogEntry, ChatOptions, TextModel } from "./vitrine.js" */
/** @import { Writer } from "./page/chat/answering.js" */
/** @import { Attachment, Message } from "./page/chat/conversation.js" */

/** What of the page lasts from visit to visit beside the conversations. */
const STORE = "vitrine.chat";

const conversations = new Conversations();
const answering = new Answering();
const notices = new Notices();
tellOfLosses(notices);
/** @type {Models<TextModel>} */
const models = new Models({
  kind: "text",
  facts: ({ contextLength }) => [contextLength === undefined ? "remembers as much as its states hold" : `looks back ${contextLength.toLocaleString("en")} tokens`],
  none: "Open a GGUF file of a Llama, Qwen 3, SmolLM or Gemma 3, or fetch one by its address.",
  other: (kind) => (kind === "image" ? "This model paints. Open it on the page for pictures." : "This model writes no text."),
  unfit: ({ encoderDecoder }) => (encoderDecoder ? "This model reads one text and writes another: it goes on with no conversation." : undefined),
  take: (files) => areTexts(files) && (attach(files), true),
});
const attachments = new Attachments(async (text) => models.model && (await models.model.tokenize(text, { addSpecialTokens: false })).length);
const composer = new Composer(attachments);
const comparison = new Comparison();
const library = new Library(conversations);
const rooms = new Rooms();
const personas = new Personas();
const sampling = new SamplingPanel();
const thread = new Thread(actsOn);
const tools = new ToolPanel();
const welcome = new Welcome({ begin: (words) => (composer.text = words), use: (id) => models.load(id, { remember: true }) });
const thinks = element("thinks", HTMLInputElement);
const announcer = element("announcer", HTMLElement);
const elsewhere = element("elsewhere", HTMLElement);

/** The model in use, and what its template can do. @type {Writer | undefined} */
let writer;
/** @type {CatalogEntry[]} */
let catalog = [];
/** Whether the reader wants an answer as soon as there is a model. */
let wanted = false;
/** Whether the page has not yet come to look for a model. */
let opening = true;

/** Sends what stands in the composer. */
async function send() {
  const draft = composer.draft;
  const { shown } = conversations;
  const last = pathTo(shown).at(-1);
  if (answering.now || !sampling.check()) return;
  if (!writer) return awaitModel();
  wanted = false;
  if (draft.text === "" && draft.files.length === 0) {
    // Where it is all one text, there is always a way on.
    if (!writer.abilities.chat && last) await goOn(last);
    return;
  }
  if (await isTooLong(draft)) return;
  const current = writer;
  await begin(async () => {
    const asked = addMessage(shown, last?.id ?? null, { role: "user", text: draft.text, ...(draft.files.length > 0 ? { files: draft.files } : {}) });
    composer.clear();
    thread.toEnd();
    await answering.answer(current, shown, asked.id);
  });
}

/** Lets the model write where no other tab does; whether it did. @param {() => Promise<void>} act */
async function begin(act) {
  notices.close();
  const alone = await conversations.alone(conversations.shown, async () => {
    try {
      await act();
    } catch (error) {
      tell(error);
    }
  });
  elsewhere.hidden = alone;
  if (!alone) elsewhere.textContent = "Another tab is answering in this conversation, and its words come here too. Send yours when it has finished.";
  return alone;
}

/** @param {Message} message @param {ChatOptions} [more] */
async function answerAgain(message, more) {
  if (!writer) return awaitModel();
  if (answering.now || !sampling.check()) return;
  const { temperature = writer.model.info.sampling.temperature, topK = 0 } = conversations.shown.sampling;
  if (temperature === 0 || topK === 1) {
    return notices.tell("The same question gets the same answer", "At temperature 0 the likeliest word is always taken. Give it some temperature first.", { label: "Show the settings", act: () => rooms.open("panel") });
  }
  const current = writer;
  // A seed that was set would give the same answer; this one is to be another.
  await begin(() => answering.answer(current, conversations.shown, message.parent, { seed: undefined, ...more }));
}

/** @param {Message} message */
async function goOn(message) {
  if (!writer) return awaitModel();
  if (answering.now || !sampling.check()) return;
  const current = writer;
  const { shown } = conversations;
  // Behind the reader's own words an answer begins.
  await begin(() => (message.role === "user" ? answering.answer(current, shown, message.id) : answering.goOn(current, shown, message)));
}

/** @param {Message} message @param {string} text */
async function editMessage(message, text) {
  const { shown } = conversations;
  const { files } = message;
  const current = writer;
  const ask = async (/** @type {Writer} */ by) => {
    const asked = addMessage(shown, message.parent, { role: "user", text, ...(files ? { files } : {}) });
    await answering.answer(by, shown, asked.id);
  };
  const free = current && !answering.now && sampling.check();
  if (free && (await begin(() => ask(current)))) return;
  // What the reader wrote stays in the field.
  thread.view(message.id)?.edit(text);
  if (!current) awaitModel();
}

/** @param {Message} message */
function actsOn(message) {
  return {
    edit: (/** @type {string} */ text) => editMessage(message, text),
    again: () => answerAgain(message),
    goOn: () => goOn(message),
    makeRoom: () => makeRoom(message),
    compare() {
      const { shown } = conversations;
      comparison.open(siblingsOf(shown, message), message, (answer) => showSibling(answer, "compare"));
    },
    step(/** @type {number} */ by) {
      const { shown } = conversations;
      const siblings = siblingsOf(shown, message);
      const next = siblings[siblings.findIndex(({ id }) => id === message.id) + by];
      if (next) showSibling(next, String(by));
    },
  };
}

/** Shows another branch; the focus stays on the button that was pressed, of the message that came in its place. @param {Message} message @param {string} pressed */
function showSibling(message, pressed) {
  const { shown } = conversations;
  showBranch(shown, message);
  conversations.keepSoon(shown);
  update();
  const places = thread.view(message.id)?.element;
  const button = places?.querySelector(`[data-act="${pressed}"], [data-step="${pressed}"]:not(:disabled)`) ?? places?.querySelector("[data-step]:not(:disabled)");
  if (button instanceof HTMLElement) button.focus({ preventScroll: true });
}

/** Whoever is early is heard later; whoever has no model is led to one. */
function awaitModel() {
  wanted = models.busy || opening;
  if (wanted) return;
  const choose = () => {
    rooms.open("panel");
    element("chooser", HTMLDetailsElement).open = true;
    element("address", HTMLInputElement).focus();
  };
  notices.tell("There is no model yet", "Somebody has to answer: open a file, or fetch a model by its address.", { label: "Choose a model", act: choose });
}

/** Whether a draft does not fit into the model's context, and says so with numbers. @param {{ text: string, files: Attachment[] }} draft */
async function isTooLong(draft) {
  const { model, abilities } = /** @type {Writer} */ (writer);
  const { contextLength } = model.info;
  const { shown } = conversations;
  if (contextLength === undefined) return false;
  const tokens = await countTokens(model, abilities, shown, given(shown), draft).catch(() => 0);
  if (tokens < contextLength) return false;
  const alone = await countTokens(model, abilities, shown, [], draft).catch(() => Infinity);
  tellTooLong(tokens, contextLength, alone < contextLength ? async () => void ((await leaveOut(draft)) && (await send())) : undefined);
  return true;
}

/** @param {number} tokens @param {number} context @param {() => void} [leave] what makes room, where that can be */
function tellTooLong(tokens, context, leave) {
  const numbers = `These are ${tokens.toLocaleString("en")} tokens, and the model looks back on ${context.toLocaleString("en")}`;
  const next = leave
    ? "Leave the earliest messages out of what it is given (they stay here), begin a new conversation, or choose a model that looks back further."
    : "What you want to send does not fit by itself: shorten it, leave a file out, or choose a model that looks back further.";
  notices.tell("That is more than the model can look back on", `${numbers}. ${next}`, leave && { label: "Leave out the earliest", act: leave });
  element("error", HTMLElement).dataset.code = "context-overflow";
}

/**
 * Leaves as many of the earliest messages out of what the model is given as make room for what comes, and for an answer.
 * @param {{ text: string, files: Attachment[] }} [draft]
 */
async function leaveOut(draft) {
  const { model, abilities } = /** @type {Writer} */ (writer);
  const { shown } = conversations;
  const first = await firstThatFits(model, abilities, shown, draft);
  if (first) {
    shown.from = first.id;
    conversations.touch(shown);
    update();
    return true;
  }
  if (!draft) return false;
  // The draft alone: it becomes the first that is given.
  const asked = addMessage(shown, shown.leaf, { role: "user", text: draft.text, files: draft.files });
  shown.from = asked.id;
  conversations.touch(shown);
  composer.clear();
  update();
  await goOn(asked);
  return false;
}

/** Goes on with a message for which the context was too full. @param {Message} message */
async function makeRoom(message) {
  if (await leaveOut()) return goOn(message);
  const next = "Begin a new conversation, or choose a model that looks back further.";
  return notices.tell("There is nothing more to leave out", `This question and its answer fill the model's context by themselves. ${next}`);
}

/** @param {unknown} error */
function tell(error) {
  const code = error instanceof VitrineError ? error.code : undefined;
  if (code === "context-overflow") {
    const { shown } = conversations;
    const last = pathTo(shown).at(-1);
    const told = /** @type {Error} */ (error).message.replace(/, or pass overflow: "slide"/, "");
    const next = "Leave the earliest messages out of what it is given (they stay here), or begin a new conversation.";
    notices.tell("The model's context is full", `${told} ${next}`, last && { label: "Leave out the earliest", act: () => makeRoom(last) });
    element("error", HTMLElement).dataset.code = code;
  } else if (code === "device-lost" || code === "internal" || code === "closed") {
    notices.show(error, { label: "Load the model again", act: () => models.reload() });
  } else {
    notices.show(error);
  }
}

/** Shows what there is now, and what can be done. */
function update() {
  const { shown } = conversations;
  const { now } = answering;
  const here = now?.conversation === shown;
  const story = writer !== undefined && !writer.abilities.chat;
  thread.show(shown, { writing: here ? now.message : undefined, free: !now, story });
  welcome.hidden = shown.messages.length > 0;
  if (shown.messages.length === 0) welcome.show({ model: models.model, entry: models.entry, name: writer?.name ?? "", busy: models.busy || opening, catalog });
  composer.show({ busy: now !== undefined, ready: writer !== undefined, story });
  if (now && !here) {
    elsewhere.hidden = false;
    elsewhere.textContent = `The model still answers in “${titleOf(now.conversation)}”.`;
  }
  document.body.dataset.state = now ? "writing" : models.busy ? "loading" : writer ? "ready" : opening ? "opening" : "empty";
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let counting;

/** Tells how much of the context is taken, a moment after the last change. */
function recount() {
  clearTimeout(counting);
  counting = setTimeout(async () => {
    if (!writer || answering.now) return;
    const { model, abilities } = writer;
    const { shown } = conversations;
    const tokens = await countTokens(model, abilities, shown, given(shown), composer.draft).catch(() => undefined);
    composer.count(tokens, model.info.contextLength);
  }, 250);
}

/** @param {File[]} files */
async function attach(files) {
  const refused = await attachments.add(files);
  if (refused.length > 0) notices.tell("Not everything can go along", refused.join(" "));
}

/** Another conversation is shown: its settings come with it. */
function showConversation() {
  const { shown } = conversations;
  personas.show(shown);
  sampling.show(shown.sampling);
  tools.show(shown);
  thinks.checked = shown.thinks;
  elsewhere.hidden = true;
  update();
  recount();
}

function newConversation() {
  rooms.close();
  conversations.show();
  composer.focus();
}

async function useModel() {
  const { model, entry } = models;
  if (!model) return;
  // The model before is about to go.
  answering.stop();
  const name = entry?.name ?? (element("model-name", HTMLElement).dataset.name || model.info.name);
  const abilities = await abilitiesOf(model);
  if (models.model !== model) return;
  writer = { model, abilities, name };
  element("model-short", HTMLElement).textContent = name;
  element("thinks-row", HTMLElement).hidden = !abilities.thinking;
  personas.possible = abilities.system;
  tools.possible = abilities.tools;
  sampling.defaults = model.info.sampling;
  if (entry) keep(STORE, { ...readStored(STORE), model: entry.id });
  notices.close();
  showDevice();
  attachments.recount();
  update();
  recount();
  if (wanted) await send();
}

/** @param {string} words */
function announce(words) {
  announcer.append(make("p", {}, words));
  if (announcer.childElementCount > 10) announcer.firstElementChild?.remove();
}

async function start() {
  const asked = new URLSearchParams(location.search);
  try {
    await showDevice();
    catalog = await (await pageEngine()).catalog();
    const last = readStored(STORE).model;
    await models.start(asked.get("model") ?? (catalog.some(({ id }) => id === last) ? String(last) : null));
  } catch (error) {
    notices.show(error, asked.get("device") === "webgpu" ? { label: "Compute on the CPU", act: useCpu } : { label: "Try again", act: start });
  } finally {
    opening = false;
    update();
  }
}

function useCpu() {
  const here = new URL(location.href);
  here.searchParams.set("device", "cpu");
  location.assign(here);
}

composer.addEventListener("send", send);
composer.addEventListener("stop", () => answering.stop());
composer.addEventListener("change", recount);
composer.addEventListener("files", (event) => attach(/** @type {CustomEvent<File[]>} */ (event).detail));
composer.addEventListener("before", () => {
  const last = pathTo(conversations.shown).findLast(({ role }) => role === "user");
  if (last && !answering.now) thread.view(last.id)?.edit();
});

conversations.addEventListener("shown", showConversation);
conversations.addEventListener("grown", () => {
  // What another tab has written here it has also finished waiting for.
  if (!answering.now) elsewhere.hidden = true;
  update();
  recount();
});
conversations.addEventListener("lost", () => {
  const { shown } = conversations;
  const keepIt = () => (conversations.touch(shown), conversations.keepNow());
  notices.tell("Another tab has deleted this conversation", "It still stands here, and is gone when you leave it.", { label: "Keep it", act: keepIt });
});
conversations.addEventListener("personas", async () => (personas.kept = await conversations.personas()));

answering.addEventListener("begun", update);
answering.addEventListener("grown", () => {
  const { now } = answering;
  if (!now) return;
  conversations.keepSoon(now.conversation);
  if (now.conversation !== conversations.shown) return;
  thread.view(now.message.id)?.grow(true);
  thread.follow();
});
answering.addEventListener("ended", (event) => {
  const { conversation, message } = /** @type {CustomEvent<{ conversation: import("./page/chat/conversation.js").Conversation, message: Message }>} */ (event).detail;
  conversations.touch(conversation);
  conversations.keepNow();
  elsewhere.hidden = true;
  if (message.figures) sampling.used = message.figures.seed;
  update();
  recount();
  if (conversation === conversations.shown) announce(thread.view(message.id)?.spoken ?? "");
});

library.addEventListener("opened", () => (rooms.close(), composer.focus()));
library.addEventListener("deleted", () => composer.focus());
personas.addEventListener("change", () => {
  const { persona, system } = personas;
  Object.assign(conversations.shown, { persona, system });
  conversations.touch(conversations.shown);
  recount();
});
personas.addEventListener("keep", async (event) => {
  const persona = /** @type {CustomEvent<import("./page/chat/personas.js").Persona>} */ (event).detail;
  await conversations.keepPersona(persona);
  personas.kept = [...personas.kept.filter(({ name }) => name !== persona.name), persona];
  personas.choose(persona.name);
});
personas.addEventListener("forget", async (event) => {
  const name = /** @type {CustomEvent<string>} */ (event).detail;
  await conversations.forgetPersona(name);
  personas.kept = personas.kept.filter((each) => each.name !== name);
});
sampling.addEventListener("change", () => {
  conversations.shown.sampling = sampling.said;
  conversations.touch(conversations.shown);
});
tools.addEventListener("change", () => {
  Object.assign(conversations.shown, tools.said);
  conversations.touch(conversations.shown);
  recount();
});
thinks.addEventListener("change", () => {
  conversations.shown.thinks = thinks.checked;
  conversations.touch(conversations.shown);
  recount();
});

element("new", HTMLButtonElement).addEventListener("click", newConversation);
const exchange = new Exchange(conversations, personas, notices, announce);
tellUnkept(conversations, notices, () => exchange.exportShown());

models.addEventListener("loading", update);
models.addEventListener("settled", update);
new Find("text", "smollm2 instruct", (source, options) => models.load(source, options));
const opened = new Opened((model) => models.lists(model), (source, options) => models.load(source, options));
models.addEventListener("settled", () => opened.refresh());
models.addEventListener("ready", useModel);
models.addEventListener("failed", (event) => {
  const { error, retry, address } = /** @type {CustomEvent<{ error: Error, retry: () => void, address: string }>} */ (event).detail;
  const again = "code" in error && ["network", "device-lost", "internal", "storage"].includes(String(error.code));
  notices.show(error, again ? { label: "Try again", act: retry } : undefined, address);
});

addEventListener("keydown", (event) => {
  const command = event.ctrlKey || event.metaKey;
  if (event.key === "Escape") answering.stop();
  else if (command && !event.shiftKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    rooms.open("library");
    library.focusSearch();
  } else if (command && event.shiftKey && event.key.toLowerCase() === "o") {
    event.preventDefault();
    newConversation();
  }
});

keepFocus();
personas.kept = await conversations.personas();
await conversations.start();
await start();
await keepOffline();

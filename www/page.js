/** The page: puts the writing surface, the models, the settings and the instruments together. */

import { showDevice, tellOfLosses } from "./page/device.js";
import { VitrineError } from "./errors.js";
import { Alternatives } from "./page/alternatives.js";
import { element, make, soon } from "./page/dom.js";
import { Find } from "./page/find.js";
import { keepFocus } from "./page/focus.js";
import { keepStory, keptStory } from "./page/kept-story.js";
import { Models } from "./page/models.js";
import { Notices } from "./page/notices.js";
import { keepOffline } from "./page/offline.js";
import { Opened } from "./page/opened.js";
import { Settings } from "./page/settings.js";
import "./page/started.js";
import { Story } from "./page/story.js";
import { copyAtClick, saveText } from "./page/take-out.js";
import { Unread } from "./page/unread.js";
import { outside, readWorld } from "./page/world.js";

/** @import { Alternative, GenerateOptions, TextModel, TextStream } from "./vitrine.js" */

/** @import { World } from "./page/world.js" */

/** Words that might have been, told for each token. */
const ALTERNATIVES = 8;
/** How long a change may go unkept. */
const KEEP_MS = 800;

const story = new Story();
const alternatives = new Alternatives(story);
/** @type {Models<TextModel>} */
const models = new Models({
  kind: "text",
  facts: ({ contextLength, encoderDecoder }) => [
    contextLength === undefined
      ? "remembers as much as its states hold"
      : `${encoderDecoder ? "reads and writes" : "looks back"} ${contextLength.toLocaleString("en")} tokens`,
  ],
  none: "Open a GGUF file of a Llama, Qwen 3, GPT-2 or Gemma 3, or fetch one by its address.",
  other: (kind) => (kind === "image" ? "This model paints. Open it on the page for pictures." : "This model writes no text."),
});
const settings = new Settings();
const notices = new Notices();
tellOfLosses(notices);
const unread = new Unread();

const ids = ["write", "stop", "continue", "edit", "undo", "clear", "copy", "save", "another", "again"];
const buttons = Object.fromEntries(ids.map((id) => [id, element(id, HTMLButtonElement)]));
const prompt = element("prompt", HTMLTextAreaElement);
const ending = element("ending", HTMLElement);
const endingWords = element("ending-words", HTMLElement);
const unkept = element("unkept", HTMLElement);
const [speed, ttft, count] = ["speed", "ttft", "count"].map((id) => element(id, HTMLOutputElement));
const sheet = element("sheet", HTMLElement);
const examples = element("examples", HTMLElement);
const mode = element("mode", HTMLElement);

/** Words that ask for something, where others begin a text. */
const REQUEST =
  /^\s*(please (tell|write|make|give)|(can|could|would) you (please )?(tell|write|make|give)|i('d| would) like|(tell|write|give) (me|us|an?)|make up|an? ([a-z]+,? ){0,3}(story|tale) about)\b/i;

/** Whether the reader has said for this model whether it goes on or answers. */
let chosen = false;

/** Whether the reader wants to write as soon as there is a model. */
let wanted = false;

/** The world of the model in use, where it is a small one. @type {Promise<World | undefined>} */
let world = Promise.resolve(undefined);

/** The generation under way. @type {{ abort: AbortController, done: Promise<void> } | undefined} */
let writing;

/**
 * Lets the model go on from what stands there. One at a time: another that is under way is ended first.
 * @param {() => void} change what happens to the story before
 * @param {GenerateOptions} [more]
 */
async function write(change, more = {}) {
  await stop();
  const { model } = models;
  if (!model) return awaitModel();
  wanted = false;
  if (!settings.check()) return;
  notices.close();
  alternatives.close();
  story.remember();
  change();
  story.read(nameOf(model));
  if (story.tokens.length === 0) tellOutside(story.own);
  const abort = new AbortController();
  const current = { abort, done: Promise.resolve() };
  // Known before it begins, so that the page says "writing" from the first moment.
  writing = current;
  current.done = generate(model, abort.signal, more);
  await current.done;
}

/** Says which of these words the model never met; it writes all the same. @param {string} words */
async function tellOutside(words) {
  const small = await world;
  if (!small || words !== story.own) return unread.tell([]);
  // A beginning stands there as the reader wrote it; of a request the storyteller takes what it knows.
  unread.tell(outside(words, REQUEST.test(words) ? small : { ...small, adjectives: new Map() }));
}

/** The same for every copy of a model, on every visit. @param {TextModel} model */
function nameOf({ info }) {
  return JSON.stringify([models.entry?.id ?? info.name, info.architecture, info.parameters, info.vocabulary]);
}

/** Whoever is early is heard later; whoever has no model is led to one. */
function awaitModel() {
  wanted = models.busy || document.body.dataset.state === "opening";
  if (wanted) return;
  const choose = () => {
    element("chooser", HTMLDetailsElement).open = true;
    element("address", HTMLInputElement).focus();
  };
  notices.tell("There is no model yet", "Somebody has to write: open a file, or fetch a model by its address.", { label: "Choose a model", act: choose });
}

/** Goes on where there is a way on; a story that has ended has none. */
function goOn() {
  if (!story.ended) {
    write(() => {});
    return;
  }
  endingWords.textContent = "The story has ended: nothing comes after its last word. Turn it at another word, or";
  buttons.another.focus();
}

/** The same beginning once more. */
function tellAgain() {
  const { temperature, topK } = settings.options;
  if (temperature === 0 || topK === 1) {
    endingWords.textContent = "With these settings the same beginning always ends the same: give it some temperature first, or";
  } else {
    // A seed that was set tells the same story; this one is to be another.
    write(() => story.retell(), { seed: undefined });
  }
}

/** Another beginning that the model brings; the reader's own where it brings none. */
function tellAnother() {
  const others = beginnings().filter((each) => each !== story.own);
  const next = others[Math.floor(Math.random() * others.length)];
  if (next === undefined) alter(() => (story.remember(), story.clear()));
  else write(() => (story.begin(next), story.retell()));
}

/** @param {TextModel} model @param {AbortSignal} signal @param {GenerateOptions} more */
async function generate(model, signal, more) {
  story.writing = true;
  story.ended = false;
  update();
  const begun = performance.now();
  let first = 0;
  let last = 0;
  let tokens = 0;
  const showSpeed = () => {
    if (tokens > 1) speed.value = rate((tokens - 1) / ((last - first) / 1000));
  };
  /** @type {TextStream | undefined} */
  let stream;
  try {
    const prompt = await promptFor(model, signal);
    stream = model.generate(prompt, { ...settings.options, ...more, alternatives: ALTERNATIVES, signal });
    for await (const chunk of stream) {
      story.append(chunk);
      tokens += 1;
      last = performance.now();
      if (tokens === 1) {
        first = last;
        ttft.value = `${(first - begun).toFixed(0)} ms`;
      }
      soon(showSpeed);
    }
  } catch (error) {
    tell(error);
  } finally {
    story.writing = false;
    writing = undefined;
    if (stream?.summary) settings.used = stream.summary.seed;
    story.ended = stream?.summary?.finishReason === "eos";
    showSpeed();
    update();
  }
}

/**
 * The reader's words as text; as a question, or with tokens after them, all as ids, so that what was drawn is never cut up differently.
 * @param {TextModel} model
 * @param {AbortSignal} signal
 */
async function promptFor(model, signal) {
  if (story.tokens.length === 0 && !story.answering) return story.own;
  // Thoughts would be shown as a part of the answer.
  const own = story.answering
    ? await model.tokenize([{ role: "user", content: story.own }], { thinking: false, signal })
    : await model.tokenize(story.own, { signal });
  return [...own, ...story.tokens.map(({ token }) => token)];
}

async function stop() {
  const current = writing;
  current?.abort.abort();
  await current?.done;
}

/** @param {unknown} error */
function tell(error) {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "context-overflow" && error instanceof VitrineError) {
    // The button below is that option.
    const shorter = new VitrineError(code, error.message.replace(/, or pass overflow: "slide"/, ""), { cause: error });
    notices.show(shorter, { label: "Forget the beginning and go on", act: () => write(() => {}, { overflow: "slide" }) });
  } else if (code === "device-lost" || code === "internal" || code === "closed") {
    notices.show(error, { label: "Load the model again", act: () => models.reload() });
  } else {
    notices.show(error);
  }
}

/** @param {number} tokensPerSecond */
function rate(tokensPerSecond) {
  return `${tokensPerSecond.toFixed(tokensPerSecond < 10 ? 1 : 0)} tokens/s`;
}

/** Shows what can be done now. */
function update() {
  const busy = writing !== undefined;
  const { write, stop, continue: onward, edit, undo, clear, copy, save } = buttons;
  write.hidden = busy || !story.editing;
  write.disabled = !models.model;
  stop.hidden = !busy;
  onward.hidden = busy || story.editing;
  onward.disabled = !models.model;
  const over = story.ended && !busy && !story.editing;
  onward.classList.toggle("primary", !onward.hidden && !over);
  if (over && ending.hidden) endingWords.textContent = story.tokens.length > 0 ? "The story has ended." : "It had nothing to say to that.";
  ending.hidden = !over;
  edit.hidden = busy || story.editing;
  undo.disabled = !story.canUndo;
  clear.disabled = copy.disabled = save.disabled = story.text === "";
  examples.hidden = !(story.editing && story.own === "");
  count.value = story.tokens.length === 0 ? "–" : String(story.tokens.length);
  document.body.dataset.state = busy ? "writing" : models.busy ? "loading" : models.model ? "ready" : "empty";
}

/** Keeps the story as it stands, and says where that cannot be. */
function keepNow() {
  clearTimeout(keeping);
  keeping = undefined;
  const where = keepStory(story.present);
  unkept.hidden = where === "kept" || story.text === "";
  if (where === "tab") unkept.textContent = "This browser has no room for the story: it is kept until this tab is closed. Save it as a file to have it longer.";
  if (where === "nowhere") unkept.textContent = "This browser keeps nothing for this page: the story goes with it. Save it as a file to have it longer.";
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let keeping;

/** After the reader's change nothing goes on by itself. @param {() => void} change */
async function alter(change) {
  await stop();
  notices.close();
  alternatives.close();
  change();
  update();
}

/** Whether the model goes on or answers; only one with a chat template can do both. @param {boolean} answering */
function setMode(answering) {
  const can = models.model?.info.chat ?? false;
  mode.hidden = !can;
  story.answering = can && answering;
  for (const button of mode.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String((button.dataset.mode === "answer") === story.answering));
  }
  prompt.placeholder = story.answering ? "Ask for something here…" : "Begin a story here…";
  showExamples();
}

/** A request that stands where a beginning was awaited is answered, unless the reader wanted it otherwise. */
function heed() {
  if (!chosen && !story.answering && story.tokens.length === 0 && REQUEST.test(story.own)) setMode(true);
}

function beginnings() {
  return (story.answering ? models.entry?.prompts : models.entry?.beginnings) ?? [];
}

function showExamples() {
  examples.replaceChildren(
    ...beginnings()
      .slice(0, 5).map((prompt) => {
      const button = make("button", { type: "button" }, prompt);
      button.addEventListener("click", () => alter(() => (story.remember(), story.begin(prompt))));
      return button;
    }),
  );
}

/** The small world of a model that has one, one click away. */
async function showVocabulary() {
  world = readWorld(models.entry);
  const knows = Object.entries(models.entry?.knows ?? {});
  const vocabulary = element("vocabulary", HTMLDetailsElement);
  vocabulary.hidden = knows.length === 0;
  const list = vocabulary.querySelector(".vocabulary");
  list?.replaceChildren(...knows.map(([kind, words]) => paragraph(kind, words)));
  const { entry } = models;
  const words = (await world)?.words ?? [];
  if (entry === models.entry && words.length > 0) list?.append(paragraph("all words that it met", words));
}

/** @param {string} kind @param {string[]} words */
function paragraph(kind, words) {
  return make("p", {}, make("strong", {}, `${kind[0].toUpperCase()}${kind.slice(1)}: `), words.join(", "));
}

async function start() {
  const wanted = new URLSearchParams(location.search);
  try {
    await showDevice();
    await models.start(wanted.get("model"));
  } catch (error) {
    notices.show(error, wanted.get("device") === "webgpu" ? { label: "Compute on the CPU", act: useCpu } : { label: "Try again", act: start });
  } finally {
    update();
  }
}

function useCpu() {
  const here = new URL(location.href);
  here.searchParams.set("device", "cpu");
  location.assign(here);
}

buttons.write.addEventListener("click", () => write(heed));
buttons.continue.addEventListener("click", goOn);
buttons.another.addEventListener("click", tellAnother);
buttons.again.addEventListener("click", tellAgain);
copyAtClick(
  buttons.copy,
  () => story.text,
  "Not copied",
  (copied) => story.announce(copied ? "The story is copied." : "The browser did not let it be copied. Save it as a file."),
);
buttons.save.addEventListener("click", () => saveText(story.text, story.own.trim() || story.text.trim()));
buttons.stop.addEventListener("click", stop);
buttons.edit.addEventListener("click", () => alter(() => (story.remember(), story.edit())));
buttons.undo.addEventListener("click", () => alter(() => (story.undo(), setMode(story.answering))));
buttons.clear.addEventListener("click", () => alter(() => (story.remember(), story.clear())));
story.addEventListener("edit", () => writing === undefined && alter(() => (story.remember(), story.edit())));
story.addEventListener("change", () => {
  update();
  keeping ??= setTimeout(keepNow, KEEP_MS);
});
// The last moments of a page that are sure to come.
addEventListener("pagehide", keepNow);
document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && keepNow());

alternatives.addEventListener("choose", (event) => {
  const { index, alternative } = /** @type {CustomEvent<{ index: number, alternative: Alternative }>} */ (event).detail;
  write(() => story.turn(index, { ...alternative, alternatives: story.tokens[index].alternatives }));
});

mode.addEventListener("click", ({ target }) => {
  if (!(target instanceof HTMLElement) || !target.dataset.mode) return;
  const answering = target.dataset.mode === "answer";
  chosen = true;
  if (answering === story.answering) return;
  alter(() => {
    story.remember();
    // What was written in one way is no beginning for the other.
    if (!story.editing) story.begin(story.own);
    setMode(answering);
  });
});
models.addEventListener("loading", update);
models.addEventListener("settled", update);
new Find("text", "smollm2 instruct", (source, options) => models.load(source, options));
const opened = new Opened((model) => models.lists(model), (source, options) => models.load(source, options));
models.addEventListener("settled", () => opened.refresh());
models.addEventListener("ready", async () => {
  notices.close();
  await showDevice();
  chosen = false;
  // A model that brings no beginnings was made to answer; what stood there before goes on as it was.
  setMode(restored ? story.answering : !models.entry?.beginnings?.length);
  restored = false;
  unread.tell([]);
  showVocabulary();
  update();
  if (wanted) await write(heed);
});
models.addEventListener("failed", (event) => {
  const { error, retry, address } = /** @type {CustomEvent<{ error: Error, retry: () => void, address: string }>} */ (event).detail;
  const again = "code" in error && ["network", "device-lost", "internal", "storage"].includes(String(error.code));
  notices.show(error, again ? { label: "Try again", act: retry } : undefined, address);
});

element("tint", HTMLInputElement).addEventListener("change", ({ target }) => {
  sheet.classList.toggle("tinted", target instanceof HTMLInputElement && target.checked);
});

addEventListener("keydown", (event) => {
  const begins = event.key === "Enter" && !event.isComposing && (event.ctrlKey || event.metaKey || (event.target === prompt && !event.shiftKey && !event.altKey));
  if (begins) {
    event.preventDefault();
    if (!writing && !event.repeat) story.editing ? write(heed) : goOn();
  } else if (event.key === "Escape") {
    if (alternatives.isOpen) alternatives.close();
    else stop();
  }
});

keepFocus();
const before = keptStory();
/** Whether what stands there is from before this page was opened. */
let restored = before !== undefined && (before.own !== "" || before.tokens.length > 0);
if (before && restored) story.present = before;

await start();
await keepOffline();

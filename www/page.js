/** The page: puts the writing surface, the models, the settings and the instruments together. */

import { showDevice } from "./page/device.js";
import { Alternatives } from "./page/alternatives.js";
import { element, make, soon } from "./page/dom.js";
import { Models } from "./page/models.js";
import { Notices } from "./page/notices.js";
import { keepOffline } from "./page/offline.js";
import { Settings } from "./page/settings.js";
import { Story } from "./page/story.js";

/** @import { Alternative, GenerateOptions, TextModel, TextStream } from "./vitrine.js" */

/** Words that might have been, told for each token. */
const ALTERNATIVES = 8;

const story = new Story();
const alternatives = new Alternatives(story);
/** @type {Models<TextModel>} */
const models = new Models({
  kind: "text",
  facts: (info) => [`looks back ${info.contextLength.toLocaleString("en")} tokens`],
  none: "Open a GGUF file of a Llama, Qwen 3, GPT-2 or Gemma 3, or fetch one by its address.",
  other: (kind) => (kind === "image" ? "This model paints. Open it on the page for pictures." : "This model writes no text."),
});
const settings = new Settings();
const notices = new Notices();

const buttons = Object.fromEntries(["write", "stop", "continue", "edit", "undo", "clear"].map((id) => [id, element(id, HTMLButtonElement)]));
const [speed, ttft, count] = ["speed", "ttft", "count"].map((id) => element(id, HTMLOutputElement));
const sheet = element("sheet", HTMLElement);
const examples = element("examples", HTMLElement);
const mode = element("mode", HTMLElement);

/** Words that ask for something, where others begin a text. */
const REQUEST =
  /^\s*(please (tell|write|make|give)|(can|could|would) you (please )?(tell|write|make|give)|i('d| would) like|(tell|write|give) (me|us|an?)|make up|an? ([a-z]+,? ){0,3}(story|tale) about)\b/i;

/** Whether the reader has said for this model whether it goes on or answers. */
let chosen = false;

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
  if (!model) return;
  notices.close();
  alternatives.close();
  story.remember();
  change();
  story.read(model);
  const abort = new AbortController();
  const current = { abort, done: Promise.resolve() };
  // Known before it begins, so that the page says "writing" from the first moment.
  writing = current;
  current.done = generate(model, abort.signal, more);
  await current.done;
}

/** @param {TextModel} model @param {AbortSignal} signal @param {GenerateOptions} more */
async function generate(model, signal, more) {
  story.writing = true;
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
  const own = await model.tokenize(story.answering ? [{ role: "user", content: story.own }] : story.own, { thinking: false, signal });
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
  if (code === "context-overflow") {
    notices.show(error, { label: "Forget the beginning and go on", act: () => write(() => {}, { overflow: "slide" }) });
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
  const { write, stop, continue: goOn, edit, undo, clear } = buttons;
  write.hidden = busy || !story.editing;
  write.disabled = !models.model;
  stop.hidden = !busy;
  goOn.hidden = busy || story.editing;
  goOn.disabled = !models.model;
  goOn.classList.toggle("primary", !goOn.hidden);
  edit.hidden = busy || story.editing;
  undo.disabled = !story.canUndo;
  clear.disabled = story.text === "";
  examples.hidden = !(story.editing && story.own === "");
  count.value = story.tokens.length === 0 ? "–" : String(story.tokens.length);
  document.body.dataset.state = busy ? "writing" : models.busy ? "loading" : models.model ? "ready" : "empty";
}

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
  element("prompt", HTMLTextAreaElement).placeholder = story.answering ? "Ask for something here…" : "Begin a story here…";
  showExamples();
}

/** A request that stands where a beginning was awaited is answered, unless the reader wanted it otherwise. */
function heed() {
  if (!chosen && !story.answering && story.tokens.length === 0 && REQUEST.test(story.own)) setMode(true);
}

function showExamples() {
  const prompts = (story.answering ? models.entry?.prompts : models.entry?.beginnings) ?? [];
  examples.replaceChildren(
    ...prompts.slice(0, 5).map((prompt) => {
      const button = make("button", { type: "button" }, prompt);
      button.addEventListener("click", () => alter(() => (story.remember(), story.begin(prompt))));
      return button;
    }),
  );
}

/** The small world of a model that has one, one click away. */
function showVocabulary() {
  const knows = Object.entries(models.entry?.knows ?? {});
  const vocabulary = element("vocabulary", HTMLDetailsElement);
  vocabulary.hidden = knows.length === 0;
  vocabulary
    .querySelector(".vocabulary")
    ?.replaceChildren(...knows.map(([kind, words]) => make("p", {}, make("strong", {}, `${kind[0].toUpperCase()}${kind.slice(1)}: `), words.join(", "))));
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
buttons.continue.addEventListener("click", () => write(() => {}));
buttons.stop.addEventListener("click", stop);
buttons.edit.addEventListener("click", () => alter(() => (story.remember(), story.edit())));
buttons.undo.addEventListener("click", () => alter(() => (story.undo(), setMode(story.answering))));
buttons.clear.addEventListener("click", () => alter(() => (story.remember(), story.clear())));
story.addEventListener("edit", () => writing === undefined && alter(() => (story.remember(), story.edit())));
story.addEventListener("change", update);

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
models.addEventListener("ready", async () => {
  notices.close();
  await showDevice();
  showVocabulary();
  chosen = false;
  // A model that brings no beginnings was made to answer.
  setMode(!models.entry?.beginnings?.length);
  update();
});
models.addEventListener("failed", (event) => {
  const { error, retry } = /** @type {CustomEvent<{ error: Error, retry: () => void }>} */ (event).detail;
  const again = "code" in error && ["network", "device-lost", "internal", "storage"].includes(String(error.code));
  notices.show(error, again ? { label: "Try again", act: retry } : undefined);
});

element("tint", HTMLInputElement).addEventListener("change", ({ target }) => {
  sheet.classList.toggle("tinted", target instanceof HTMLInputElement && target.checked);
});

addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (!writing) write(heed);
  } else if (event.key === "Escape") {
    if (alternatives.isOpen) alternatives.close();
    else stop();
  }
});

await start();
await keepOffline();

/** The page for pictures: puts the picture, the models, the settings, the mask and the gallery together. */

import { showDevice, tellOfLosses } from "./page/device.js";
import { element, make } from "./page/dom.js";
import { PictureView } from "./page/picture-view.js";
import { Find } from "./page/find.js";
import { keepFocus } from "./page/focus.js";
import { Gallery } from "./page/gallery.js";
import { Mask } from "./page/mask.js";
import { Models } from "./page/models.js";
import { Notices } from "./page/notices.js";
import { keepOffline } from "./page/offline.js";
import { Opened } from "./page/opened.js";
import { PaintSettings } from "./page/paint-settings.js";
import { drawn, framed, pictureFile, wholePicture } from "./page/small-picture.js";
import "./page/started.js";
import { Unread } from "./page/unread.js";
import { readWorld, unpainted } from "./page/world.js";
import { pngWithSettings, settingsOfPng } from "./png.js";

/** @import { ImageModel, PaintStream } from "./vitrine.js" */
/** @import { Made } from "./page/gallery.js" */
/** @import { World } from "./page/world.js" */

const MASK_HELP = "Paint over what should change, then press Paint; Esc leaves it. By keyboard: arrow keys move the brush, space puts it down.";

const view = new PictureView();
const gallery = new Gallery();
const mask = new Mask();
const notices = new Notices();
tellOfLosses(notices);
const settings = new PaintSettings();
/** @type {Models<ImageModel>} */
const models = new Models({
  kind: "image",
  facts: (info) => [`paints ${info.width}×${info.height} pixels`],
  none: "Open a text-to-image model, or fetch one by its address.",
  other: (kind) => (kind === "text" ? "This model writes. Open it on the page for stories." : "This model paints nothing by itself: it belongs to another."),
  take: (files) => {
    const picture = files.find((file) => file.type.startsWith("image/"));
    if (picture) beginFrom(picture, picture.name);
    return picture !== undefined;
  },
});

const prompt = element("prompt", HTMLTextAreaElement);
const examples = element("examples", HTMLElement);
const beginning = element("beginning", HTMLElement);
const buttons = Object.fromEntries(["paint", "stop", "repaint", "clear-mask"].map((id) => [id, element(id, HTMLButtonElement)]));
const [speed, decode, count] = ["speed", "decode", "count"].map((id) => element(id, HTMLOutputElement));
const announcer = element("announcer", HTMLElement);
const maskHelp = element("mask-help", HTMLElement);
const unread = new Unread();
const vocabulary = element("vocabulary", HTMLDetailsElement);

/** Whether the reader wants to paint as soon as there is a model. */
let wanted = false;
/** The world of the model in use, where it is a small one. @type {Promise<World | undefined>} */
let world = Promise.resolve(undefined);
/** The painting under way. @type {{ abort: AbortController, done: Promise<void> } | undefined} */
let painting;
/** The picture to begin from. @type {{ picture: Blob, words: string } | undefined} */
let start;

/** One at a time: another that is under way is ended first. */
async function paint() {
  await stop();
  const { model } = models;
  if (!model) return awaitModel();
  wanted = false;
  if (!settings.check()) return;
  if (mask.open && !mask.image) return askForBrush();
  notices.close();
  unread.tell([]);
  const abort = new AbortController();
  const current = { abort, done: Promise.resolve() };
  painting = current;
  update();
  current.done = generate(model, abort.signal);
  await current.done;
}

/** Whoever is early is heard later; whoever has no model is led to one. */
function awaitModel() {
  wanted = models.busy || document.body.dataset.state === "opening";
  if (wanted) return;
  const choose = () => {
    element("chooser", HTMLDetailsElement).open = true;
    element("address", HTMLInputElement).focus();
  };
  notices.tell("There is no model yet", "Somebody has to paint: open a file, or fetch a model by its address.", { label: "Choose a model", act: choose });
}

/** A part is to change, and nobody said which. */
function askForBrush() {
  maskHelp.replaceChildren("Nothing is brushed yet. ", MASK_HELP);
  maskHelp.classList.add("asking");
  mask.focus();
  // On a phone it stands behind the controls, which stay at the bottom of the window.
  maskHelp.scrollIntoView({ block: "center" });
}

/** @param {ImageModel} model @param {AbortSignal} signal */
async function generate(model, signal) {
  const asked = { prompt: prompt.value.trim(), ...settings.options };
  /** @type {PaintStream | undefined} */
  let stream;
  try {
    const init = mask.open && view.picture ? await pictureFile(view.picture) : start?.picture;
    const stencil = mask.image;
    /** @type {Made} */
    const made = { ...(init ? { init } : {}), ...(stencil ? { mask: await pictureFile(stencil) } : {}) };
    if (mask.open) mask.show(undefined);
    view.begin(asked.prompt);
    update();
    stream = model.generate({ ...asked, ...(init ? { init } : {}), ...(stencil ? { mask: stencil } : {}), signal });
    for await (const step of stream) {
      view.step(step);
      speed.value = duration(step.stepMs);
      if (step.image) decode.value = duration(step.decodeMs);
      count.value = `${step.step} of ${step.steps}`;
      if (!step.final || !step.image) continue;
      settings.used = step.seed;
      announcer.textContent = `The picture is finished: ${asked.prompt || "no words"}.`;
      const facts = { ...asked, model: nameOf(model), ...(made.init ? { init: true } : {}), ...(made.mask ? { mask: true } : {}) };
      for (const [at, image] of step.images.entries()) {
        await gallery.add(await pngWithSettings(image, { ...facts, count: 1, seed: (step.seed + at) % 2 ** 32 }), made);
      }
    }
    if (stream.summary) unread.tell(unpainted(asked.prompt, stream.summary, await world));
  } catch (error) {
    tell(error);
  } finally {
    painting = undefined;
    view.end();
    update();
  }
}

async function stop() {
  const current = painting;
  current?.abort.abort();
  await current?.done;
}

/** @param {unknown} error */
function tell(error) {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const lost = code === "device-lost" || code === "internal" || code === "closed";
  notices.show(error, lost ? { label: "Load the model again", act: () => models.reload() } : undefined);
}

/** @param {ImageModel} model */
function nameOf(model) {
  return models.entry?.id ?? model.info.name;
}

/** @param {number} milliseconds */
function duration(milliseconds) {
  return milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** A picture to begin from, or none. @param {Blob | undefined} picture @param {string} words */
async function beginFrom(picture, words) {
  start = picture && { picture, words };
  beginning.hidden = !start;
  settings.beginning = start !== undefined;
  beginning.replaceChildren();
  if (!picture) return;
  const forget = make("button", { type: "button", class: "plain", id: "forget", "data-test": "forget", "data-heir": "#init-input" }, "Begin from noise again");
  forget.addEventListener("click", () => beginFrom(undefined, ""));
  const shown = make("canvas", { role: "img", "aria-label": words });
  beginning.append(shown, make("p", {}, "Beginning from this picture. ", forget));
  try {
    drawn(shown, await framed(picture, 128));
  } catch {
    if (start?.picture === picture) beginFrom(undefined, "");
    notices.tell("That is no picture", "The browser could not read it. Give a PNG, JPEG, WebP or SVG.");
    return;
  }
  // A picture that was painted here brings the words and settings it was painted with.
  const made = await settingsOfPng(picture);
  if (made && typeof made.prompt === "string" && prompt.value.trim() === "") prompt.value = made.prompt;
}

/** Shows what can be done now. */
function update() {
  const busy = painting !== undefined;
  const can = models.model?.info.takesPictures ?? false;
  buttons.paint.hidden = busy;
  buttons.paint.disabled = !models.model;
  buttons.stop.hidden = !busy;
  buttons.repaint.hidden = !can || busy || !view.picture;
  buttons.repaint.setAttribute("aria-pressed", String(mask.open));
  buttons["clear-mask"].hidden = !mask.open;
  maskHelp.hidden = !mask.open;
  element("init-label", HTMLElement).hidden = !can;
  settings.beginning = start !== undefined || mask.open;
  document.body.dataset.state = busy ? "painting" : models.busy ? "loading" : models.model ? "ready" : "empty";
}

function showExamples() {
  examples.replaceChildren(
    ...(models.entry?.prompts ?? []).slice(0, 6).map((words) => {
      const button = make("button", { type: "button" }, words);
      button.addEventListener("click", () => {
        prompt.value = words;
        paint();
      });
      return button;
    }),
  );
}

async function open() {
  try {
    await showDevice();
    await models.start(new URLSearchParams(location.search).get("model"));
  } catch (error) {
    notices.show(error, { label: "Try again", act: open });
  } finally {
    update();
  }
}

buttons.paint.addEventListener("click", paint);
buttons.stop.addEventListener("click", stop);
buttons.repaint.addEventListener("click", () => {
  mask.show(mask.open ? undefined : view.picture);
  update();
});
mask.addEventListener("change", () => {
  maskHelp.replaceChildren(MASK_HELP);
  maskHelp.classList.remove("asking");
});

/** Leaves the mask, and the picture as it is. */
function leaveMask() {
  mask.show(undefined);
  update();
  buttons.repaint.focus();
}

buttons["clear-mask"].addEventListener("click", () => mask.clear());
const chosen = element("init-input", HTMLInputElement);
chosen.addEventListener("change", () => {
  const [picture] = chosen.files ?? [];
  if (picture) beginFrom(picture, picture.name);
  chosen.value = "";
});

/** Brings back all that a picture was made with, and says what of it is not to be had. @param {Record<string, unknown>} of @param {Made} made */
async function restore(of, made) {
  const { model } = models;
  if (typeof of.prompt === "string") prompt.value = of.prompt;
  const missing = settings.take(of);
  if (mask.open) mask.show(undefined);
  await beginFrom(undefined, "");
  const can = model?.info.takesPictures ?? false;
  const [init, stencil] = await Promise.all([made.init, made.mask].map((file) => (file && can ? wholePicture(file) : undefined)));
  if (init && stencil) {
    view.hang(init, "The picture that it began from");
    mask.show(init, stencil);
  } else if (made.init && init) {
    await beginFrom(made.init, "The picture that it began from");
  } else if (of.init || of.strength !== undefined) {
    missing.push("the picture that it began from, which was not kept or is nothing to this model");
  }
  if (model && typeof of.model === "string" && of.model !== nameOf(model)) missing.push(`its painter, ${of.model}`);
  update();
  if (!mask.open) prompt.focus();
  if (missing.length > 0) notices.tell("Not all of it comes back", `The next picture will be another, for these are missing: ${missing.join("; ")}.`);
}

gallery.addEventListener("again", (event) => {
  const { settings: of, ...made } = /** @type {CustomEvent<{ settings: Record<string, unknown> } & Made>} */ (event).detail;
  restore(of, made).catch(tell);
});
gallery.addEventListener("from", (event) => {
  const { file, words } = /** @type {CustomEvent<{ file: Blob, words: string }>} */ (event).detail;
  beginFrom(file, words);
  prompt.focus();
});

models.addEventListener("loading", update);
models.addEventListener("settled", update);
new Find("image", "stable diffusion", (source, options) => models.load(source, options));
const opened = new Opened((model) => models.lists(model), (source, options) => models.load(source, options));
models.addEventListener("settled", () => opened.refresh());
models.addEventListener("ready", async () => {
  notices.close();
  await showDevice();
  if (models.model) {
    const { info } = models.model;
    settings.fit(info);
    vocabulary.hidden = info.words.length === 0;
    vocabulary.querySelector(".vocabulary")?.replaceChildren(info.words.join(", "));
  }
  world = readWorld(models.entry);
  unread.tell([]);
  showExamples();
  update();
  if (wanted) await paint();
});
models.addEventListener("failed", (event) => {
  const { error, retry, address } = /** @type {CustomEvent<{ error: Error, retry: () => void, address: string }>} */ (event).detail;
  const again = "code" in error && ["network", "device-lost", "internal", "storage"].includes(String(error.code));
  notices.show(error, again ? { label: "Try again", act: retry } : undefined, address);
});

addEventListener("keydown", (event) => {
  const begins = event.key === "Enter" && !event.isComposing && (event.ctrlKey || event.metaKey || (event.target === prompt && !event.shiftKey && !event.altKey));
  if (begins) {
    event.preventDefault();
    if (!painting && !event.repeat) paint();
  } else if (event.key === "Escape") {
    if (!painting && mask.open) leaveMask();
    else stop();
  }
});

keepFocus();
await open();
await gallery.start();
await keepOffline();

/** The page for pictures: puts the easel, the models, the settings, the mask and the gallery together. */

import { showDevice } from "./page/device.js";
import { element, make } from "./page/dom.js";
import { Easel } from "./page/easel.js";
import { Gallery } from "./page/gallery.js";
import { Mask } from "./page/mask.js";
import { Models } from "./page/models.js";
import { Notices } from "./page/notices.js";
import { keepOffline } from "./page/offline.js";
import { PaintSettings } from "./page/paint-settings.js";
import { pngWithSettings, settingsOfPng } from "./png.js";

/** @import { ImageModel, PaintStream, PaintSummary } from "./vitrine.js" */

const easel = new Easel();
const gallery = new Gallery();
const mask = new Mask();
const notices = new Notices();
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
const unread = element("unread", HTMLElement);
const vocabulary = element("vocabulary", HTMLDetailsElement);

/** The painting under way. @type {{ abort: AbortController, done: Promise<void> } | undefined} */
let painting;
/** The picture to begin from. @type {{ picture: Blob, words: string } | undefined} */
let start;

/** One at a time: another that is under way is ended first. */
async function paint() {
  await stop();
  const { model } = models;
  if (!model) return;
  notices.close();
  unread.hidden = true;
  const abort = new AbortController();
  const current = { abort, done: Promise.resolve() };
  painting = current;
  current.done = generate(model, abort.signal);
  await current.done;
}

/** @param {ImageModel} model @param {AbortSignal} signal */
async function generate(model, signal) {
  const wanted = { prompt: prompt.value.trim(), ...settings.options };
  /** @type {PaintStream | undefined} */
  let stream;
  try {
    const init = mask.open && easel.picture ? await createImageBitmap(easel.picture) : start?.picture;
    const stencil = mask.image;
    if (mask.open) mask.show(undefined);
    easel.begin(wanted.prompt);
    update();
    stream = model.generate({ ...wanted, ...(init ? { init } : {}), ...(stencil ? { mask: stencil } : {}), signal });
    for await (const step of stream) {
      easel.step(step);
      speed.value = duration(step.stepMs);
      if (step.image) decode.value = duration(step.decodeMs);
      count.value = `${step.step} of ${step.steps}`;
      if (!step.final || !step.image) continue;
      settings.used = step.seed;
      announcer.textContent = `The picture is finished: ${wanted.prompt || "no words"}.`;
      const called = models.entry?.id ?? model.info.name;
      for (const [at, image] of step.images.entries()) {
        await gallery.add(await pngWithSettings(image, { ...wanted, count: 1, seed: (step.seed + at) % 2 ** 32, model: called }));
      }
    }
    if (stream.summary) tellUnread(stream.summary);
  } catch (error) {
    tell(error);
  } finally {
    painting = undefined;
    easel.end();
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

/** Says which words had no part in the picture. @param {PaintSummary} summary */
function tellUnread({ cut, unknown = [], literal = [] }) {
  const list = (/** @type {string[]} */ words) => words.map((word) => `“${word}”`).join(", ");
  const quoted = list(unknown);
  unread.replaceChildren();
  if (literal.length > 0) unread.append(`It read ${list(literal)} as plain words: it knows no such marks. `);
  if (cut) unread.append(`It reads no more at once; “${cut}” was left out. `);
  if (unknown.length > 0) {
    const show = make("button", { type: "button", class: "plain" }, "See the words it knows");
    show.addEventListener("click", () => {
      vocabulary.open = true;
      vocabulary.querySelector("summary")?.focus();
      vocabulary.scrollIntoView({ block: "nearest" });
    });
    unread.append(`It never met ${quoted} and painted without. `, show);
  }
  unread.hidden = !cut && unknown.length === 0 && literal.length === 0;
}

/** @param {number} milliseconds */
function duration(milliseconds) {
  return milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** A picture to begin from, or none. @param {Blob | undefined} picture @param {string} words */
async function beginFrom(picture, words) {
  const old = beginning.querySelector("img");
  if (old) URL.revokeObjectURL(old.src);
  start = picture && { picture, words };
  beginning.hidden = !start;
  settings.beginning = start !== undefined;
  beginning.replaceChildren();
  if (!picture) return;
  const forget = make("button", { type: "button", class: "plain", id: "forget", "data-test": "forget" }, "Begin from noise again");
  forget.addEventListener("click", () => beginFrom(undefined, ""));
  beginning.append(make("img", { src: URL.createObjectURL(picture), alt: words }), make("p", {}, "Beginning from this picture. ", forget));
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
  buttons.repaint.hidden = !can || busy || !easel.picture;
  buttons.repaint.setAttribute("aria-pressed", String(mask.open));
  buttons["clear-mask"].hidden = !mask.open;
  element("mask-help", HTMLElement).hidden = !mask.open;
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
  mask.show(mask.open ? undefined : easel.picture);
  update();
});
buttons["clear-mask"].addEventListener("click", () => mask.clear());
const chosen = element("init-input", HTMLInputElement);
chosen.addEventListener("change", () => {
  const [picture] = chosen.files ?? [];
  if (picture) beginFrom(picture, picture.name);
  chosen.value = "";
});

gallery.addEventListener("again", (event) => {
  const { settings: of } = /** @type {CustomEvent<{ settings: Record<string, unknown> }>} */ (event).detail;
  if (typeof of.prompt === "string") prompt.value = of.prompt;
  settings.options = of;
  prompt.focus();
});
gallery.addEventListener("from", (event) => {
  const { file, words } = /** @type {CustomEvent<{ file: Blob, words: string }>} */ (event).detail;
  beginFrom(file, words);
  prompt.focus();
});

models.addEventListener("loading", update);
models.addEventListener("settled", update);
models.addEventListener("ready", async () => {
  notices.close();
  await showDevice();
  if (models.model) {
    const { info } = models.model;
    settings.fit(info);
    vocabulary.hidden = info.words.length === 0;
    vocabulary.querySelector(".vocabulary")?.replaceChildren(info.words.join(", "));
  }
  showExamples();
  update();
});
models.addEventListener("failed", (event) => {
  const { error, retry } = /** @type {CustomEvent<{ error: Error, retry: () => void }>} */ (event).detail;
  const again = "code" in error && ["network", "device-lost", "internal", "storage"].includes(String(error.code));
  notices.show(error, again ? { label: "Try again", act: retry } : undefined);
});

addEventListener("keydown", (event) => {
  const confirmed = event.key === "Enter" && !event.shiftKey && (event.target === prompt || event.ctrlKey || event.metaKey);
  if (confirmed && !event.isComposing) {
    event.preventDefault();
    if (!painting) paint();
  } else if (event.key === "Escape") stop();
});

await open();
await gallery.start();
await keepOffline();

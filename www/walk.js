/** The page for walking: puts the plane, the numbers, the way between two faces, the encoder and the models together. */

import { showDevice, tellOfLosses } from "./page/device.js";
import { LatentSliders } from "./page/latent-sliders.js";
import { element, make } from "./page/dom.js";
import { Find } from "./page/find.js";
import { keepFocus } from "./page/focus.js";
import { Models } from "./page/models.js";
import { Notices } from "./page/notices.js";
import { keepOffline } from "./page/offline.js";
import { Opened } from "./page/opened.js";
import { Plane } from "./page/plane.js";
import { difference, drawn, framed, glyph } from "./page/small-picture.js";
import "./page/started.js";
import { Interpolation } from "./page/interpolation.js";

/** @import { Autoencoder } from "./vitrine.js" */
/** @import { Axis } from "./page/latent-sliders.js" */

/** What the reader's system draws by itself, to show to an encoder. */
const GLYPHS = ["😀", "😢", "😮", "😠", "😴", "😍"];

const plane = new Plane();
const sliders = new LatentSliders();
const notices = new Notices();
tellOfLosses(notices);
const interpolation = new Interpolation(decode);
/** @type {Models<Autoencoder>} */
const models = new Models({
  kind: ["autoencoder", "generator"],
  facts: (info) => [`${info.latentChannels} numbers a picture`],
  none: "Open a model that makes pictures of a few numbers, or fetch one by its address.",
  other: (kind) => `This model ${kind === "text" ? "writes" : "paints"}. Open it on the page for ${kind === "text" ? "stories" : "pictures"}.`,
  unfit: ({ decodes, factor }) => (decodes !== false && !factor ? undefined : "This autoencoder's latent is itself a small picture, too many numbers to walk in. Give one whose latent is a vector."),
  lists: (entry) => entry.axes !== undefined,
  take: (files) => {
    const picture = files.find((file) => file.type.startsWith("image/"));
    if (picture) showFile(picture);
    return picture !== undefined;
  },
});

const buttons = Object.fromEntries(["chance", "middle", "from", "to", "go"].map((id) => [id, element(id, HTMLButtonElement)]));
const [decodeTime, encodeTime, likeness] = ["decode", "encoded", "likeness"].map((id) => element(id, HTMLOutputElement));
const [picture, given] = ["picture", "given"].map((id) => element(id, HTMLCanvasElement));
const givenFigure = element("given-figure", HTMLElement);
const announcer = element("announcer", HTMLElement);

/** Sides of the model's pictures. */
let side = 64;
/** Whether a picture is being made, and whether the numbers changed meanwhile. */
let drawing = false;
let changed = false;
/** Counts the backgrounds of the plane: only the latest is painted on. */
let ground = 0;
/** Counts the goals of the walk, so that a new one ends it. */
let goal = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let quiet;

/** @param {Float32Array} latent */
async function decode(latent) {
  const { model } = models;
  if (!model) throw new Error("no model is open");
  // Of a model with labels the first class is shown.
  return model.decode(latent, [1, latent.length], { label: model.info.classes === undefined ? undefined : 0 });
}

/** Makes the picture of the place; while one is made the next waits, and only the latest of those is made. */
async function redraw() {
  changed = true;
  if (drawing) return;
  drawing = true;
  try {
    while (changed && models.model) {
      changed = false;
      drawn(picture, await decode(sliders.latent));
      decodeTime.value = duration(models.model?.stats.decodeMs);
    }
  } catch (error) {
    tell(error);
  } finally {
    drawing = false;
  }
  picture.setAttribute("aria-label", `The face at ${sliders.words}`);
  clearTimeout(quiet);
  quiet = setTimeout(() => (announcer.textContent = sliders.words), 700);
}

/** Paints the plane's background anew: the pictures of its places, the other numbers as they are. */
async function repaint() {
  const mine = ++ground;
  plane.begin();
  const [across, up] = sliders.plane;
  try {
    for (const place of plane.places()) {
      if (mine !== ground || !models.model) return;
      const latent = sliders.latent;
      latent[across] = place.x;
      latent[up] = place.y;
      const tile = await decode(latent);
      if (mine === ground) plane.tile(place, tile);
    }
  } catch (error) {
    if (mine === ground) tell(error);
  }
}

/** Goes to a place at once. @param {Float32Array} latent @param {boolean} [background] whether other numbers than the plane's may have changed */
function goTo(latent, background = true) {
  sliders.latent = latent;
  showPlace();
  if (background) repaint();
  return redraw();
}

function showPlace() {
  const { latent } = sliders;
  const [across, up] = sliders.plane;
  plane.show(latent[across], latent[up]);
}

/** The picture shown is no longer of what an encoder was given. */
function forgetGiven() {
  goal++;
  interpolation.leave();
  givenFigure.hidden = true;
  likeness.value = "–";
}

/** Numbers as the models drew them while they learned. @param {number} size */
function byChance(size) {
  return Float32Array.from({ length: size }, () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
}

/** Shows a picture to the encoder, and goes where it says. @param {ImageData} seen */
async function encode(seen) {
  const { model } = models;
  if (!model?.info.encodes) {
    notices.tell("This model has no way back", "It makes pictures of numbers, and no numbers of pictures. Choose the autoencoder for that.");
    return;
  }
  notices.close();
  try {
    const { latent } = await model.encode(seen);
    encodeTime.value = duration(model.stats.decodeMs);
    forgetGiven();
    drawn(given, seen);
    givenFigure.hidden = false;
    await goTo(latent);
    likeness.value = `${difference(seen, await decode(latent)).toFixed(1)} dB`;
    announcer.textContent = `The picture was encoded: ${sliders.words}.`;
  } catch (error) {
    tell(error);
  }
}

/** @param {Blob} file */
async function showFile(file) {
  try {
    await encode(await framed(file, side));
  } catch {
    notices.tell("That is no picture", "The browser could not read it. Give a PNG, JPEG, WebP or SVG.");
  }
}

/** @param {unknown} error */
function tell(error) {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  // A model that gave way to another leaves work behind that nobody waits for.
  if (code === "closed") return;
  notices.show(error, code === "device-lost" || code === "internal" ? { label: "Load the model again", act: () => models.reload() } : undefined);
}

/** @param {number | undefined} milliseconds */
function duration(milliseconds) {
  return milliseconds === undefined ? "–" : `${milliseconds < 10 ? milliseconds.toFixed(1) : milliseconds.toFixed(0)} ms`;
}

function update() {
  const { model } = models;
  for (const id of ["chance", "middle", "from", "to"]) buttons[id].disabled = !model;
  buttons.go.disabled = !model || !interpolation.ready;
  element("encode", HTMLElement).hidden = !model?.info.encodes;
  document.body.dataset.state = models.busy ? "loading" : model ? "ready" : "empty";
}

/** What a new model begins with: the middle, and a way from one end of its first axis to the other. */
async function beginWith() {
  const { model, entry } = models;
  if (!model) return;
  const size = model.info.latentChannels;
  sliders.begin(size, /** @type {Axis[]} */ (entry?.axes ?? []), /** @type {number[] | undefined} */ (entry?.plane));
  forgetGiven();
  decodeTime.value = encodeTime.value = "–";
  const start = entry?.start;
  await goTo(Array.isArray(start) ? Float32Array.from(start) : new Float32Array(size));
  side = picture.width;
  const end = (/** @type {number} */ value) => Object.assign(sliders.latent, { 0: value });
  await interpolation.between(end(-2), end(2));
  update();
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

plane.addEventListener("walk", () => {
  forgetGiven();
  sliders.place(plane.x, plane.y);
  redraw();
});
sliders.addEventListener("move", (event) => {
  forgetGiven();
  showPlace();
  if (!sliders.plane.includes(/** @type {CustomEvent<number>} */ (event).detail)) repaint();
  redraw();
});
sliders.addEventListener("plane", () => {
  showPlace();
  repaint();
});
interpolation.addEventListener("chosen", (event) => {
  forgetGiven();
  goTo(/** @type {CustomEvent<Float32Array>} */ (event).detail);
});

buttons.chance.addEventListener("click", () => {
  forgetGiven();
  goTo(byChance(sliders.latent.length));
});
buttons.middle.addEventListener("click", () => {
  forgetGiven();
  goTo(new Float32Array(sliders.latent.length));
});
buttons.from.addEventListener("click", () => interpolation.between(sliders.latent, interpolation.to).then(update, tell));
buttons.to.addEventListener("click", () => interpolation.between(interpolation.from, sliders.latent).then(update, tell));
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const nameWalk = () => (buttons.go.textContent = calm.matches ? "Step along the way" : "Walk the way");
calm.addEventListener("change", nameWalk);
nameWalk();
buttons.go.addEventListener("click", async () => {
  // Whoever wants nothing to move goes the way picture by picture.
  if (calm.matches) return interpolation.step();
  forgetGiven();
  const mine = goal;
  for await (const latent of interpolation.steps()) {
    if (mine !== goal) return;
    sliders.latent = latent;
    showPlace();
    await redraw();
  }
  if (mine === goal) repaint();
});

element("glyphs", HTMLElement).append(
  ...GLYPHS.map((sign) => {
    const button = make("button", { type: "button", "data-glyph": sign, "aria-label": `Show it ${sign}` }, sign);
    button.addEventListener("click", () => encode(glyph(sign, side)));
    return button;
  }),
);
const chosen = element("picture-input", HTMLInputElement);
chosen.addEventListener("change", () => {
  const [file] = chosen.files ?? [];
  if (file) showFile(file);
  chosen.value = "";
});

models.addEventListener("loading", update);
models.addEventListener("settled", update);
new Find("autoencoder", "vae faces", (source, options) => models.load(source, options), (model) => models.unfit(model));
const opened = new Opened((model) => models.lists(model), (source, options) => models.load(source, options));
models.addEventListener("settled", () => opened.refresh());
models.addEventListener("ready", () => {
  notices.close();
  update();
  beginWith().catch(tell);
});
models.addEventListener("failed", (event) => {
  const { error, retry, address } = /** @type {CustomEvent<{ error: Error, retry: () => void, address: string }>} */ (event).detail;
  const again = "code" in error && ["network", "device-lost", "internal", "storage"].includes(String(error.code));
  notices.show(error, again ? { label: "Try again", act: retry } : undefined, address);
});

keepFocus();
await open();
await keepOffline();

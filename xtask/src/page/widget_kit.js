// @ts-check
import { comesTrue, element, mountWidgets, sleepFor } from "./common.js";

/** @typedef {import("../../../www/widgets.js").VitrineText} VitrineText */
/** @typedef {import("../../../www/widgets.js").VitrineImage} VitrineImage */

/** @param {any} widget @param {string} name */
const text = (widget, name) => widget.inner(name).textContent;

/** A page with one widget, far below the window: which scripts it loads, and their bytes, as they are and compressed as hosts send them. */
export async function weighed() {
  document.body.innerHTML = '<vitrine-text style="margin-top: 5000px" prompt="A fox"></vitrine-text>';
  await import("/widgets.js");
  await customElements.whenDefined("vitrine-text");
  await sleepFor(300);
  const scripts = performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => name.endsWith(".js"));
  let [plain, compressed] = [0, 0];
  for (const script of scripts) {
    const body = await (await fetch(script)).arrayBuffer();
    plain += body.byteLength;
    compressed += (await new Response(new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer()).byteLength;
  }
  const others = ["image", "latent", "next", "chat", "tokens"].filter((name) => scripts.some((script) => script.endsWith(`/widgets/${name}.js`)));
  return { plain, compressed, others, engine: scripts.filter((script) => /\/(vitrine|engine|worker)\.js$/.test(script)), words: element("vitrine-text", HTMLElement).shadowRoot?.querySelector(".own")?.textContent };
}

/** Where elements of a name that nobody asked for yet are found. */
export async function discovered() {
  const { define } = await import("/widgets.js");
  const outer = document.createElement("div");
  const root = outer.attachShadow({ mode: "open" });
  const inner = document.createElement("section");
  root.append(inner);
  document.body.append(outer);
  await sleepFor(100);
  const before = ["vitrine-tokens", "vitrine-score", "vitrine-next"].filter((tag) => customElements.get(tag));
  // In the page, deep in what is put in at once; in a shadow root that was there; in one that comes with its host.
  document.body.insertAdjacentHTML("beforeend", "<p><i><vitrine-tokens></vitrine-tokens></i></p>");
  inner.innerHTML = "<vitrine-score></vitrine-score>";
  const host = document.createElement("div");
  host.attachShadow({ mode: "open" }).innerHTML = "<vitrine-next></vitrine-next>";
  inner.append(host);
  await comesTrue(() => ["vitrine-tokens", "vitrine-score", "vitrine-next"].every((tag) => customElements.get(tag)));
  const strange = await define(/** @type {any} */ ("vitrine-nothing")).catch(({ code }) => code);
  document.body.replaceChildren();
  return { before, strange };
}

/** One that leads and one that follows: their words, texts, buttons, and what happens to them. */
export async function linked() {
  /** @type {VitrineText[]} */
  const [first, second] = await mountWidgets(
    '<vitrine-text id="one" prompt="A fox" max-tokens="30" temperature="0.9"></vitrine-text><vitrine-text linked-to="one" prompt="Other" max-tokens="30" temperature="0.9"></vitrine-text>',
    "vitrine-text",
  );
  await comesTrue(() => !first.button.disabled && !second.button.disabled);
  const atFirst = [second.words, second.button.hidden, second.inner("own").hasAttribute("contenteditable"), second.inner("own").ariaReadOnly];
  const own = first.inner("own");
  own.textContent = "An owl";
  own.dispatchEvent(new InputEvent("input"));
  const typed = second.words;
  const ends = [first, second].map((each) => new Promise((resolve) => each.addEventListener("done", resolve, { once: true })));
  await first.write();
  await Promise.all(ends);
  // One seed, one temperature: one text.
  const same = first.text === second.text && first.text.length > 20;
  second.temperature = 0;
  const again = [first, second].map((each) => new Promise((resolve) => each.addEventListener("done", resolve, { once: true })));
  await first.write();
  await Promise.all(again);
  const other = first.text !== second.text;
  first.maxTokens = second.maxTokens = 400;
  const ended = /** @type {Promise<CustomEvent>} */ (new Promise((resolve) => second.addEventListener("done", /** @type {any} */ (resolve), { once: true })));
  first.write().catch(() => {});
  await comesTrue(() => second.isWorking);
  first.stop();
  const stopped = (await ended).detail.stopped;
  second.remove();
  await sleepFor(20);
  first.words = "Alone";
  return { atFirst, typed, same, other, stopped, gone: second.words };
}

/** What is said of links that lead nowhere, and in circles. */
export async function mislinked() {
  const said = [];
  for (const html of [
    '<vitrine-text linked-to="nobody"></vitrine-text>',
    '<p id="prose"></p><vitrine-text linked-to="prose"></vitrine-text>',
    '<vitrine-text id="self" linked-to="self"></vitrine-text>',
    '<vitrine-text id="a" linked-to="b"></vitrine-text><vitrine-text id="b" linked-to="a"></vitrine-text>',
  ]) {
    const [widget] = await mountWidgets(html, "vitrine-text");
    await comesTrue(() => widget.inner("said").classList.contains("fault"));
    said.push(text(widget, "said"));
  }
  return said;
}

/** A text at each pace: how long twelve tokens take, what is shown meanwhile, and who makes a step. */
export async function paced() {
  /** @type {VitrineText[]} */
  const [widget] = await mountWidgets('<vitrine-text prompt="One winter day, a fox" max-tokens="6" temperature="0.8" seed="4"></vitrine-text>', "vitrine-text");
  const quick = await widget.write();
  const shownFast = widget.inner("drawn").childElementCount;
  widget.pace = "slow";
  const start = performance.now();
  const slow = await widget.write();
  const slowly = performance.now() - start;
  widget.pace = "step";
  const written = widget.write();
  const steps = [];
  const stop = /** @type {HTMLButtonElement} */ (widget.inner("stop"));
  for (let i = 0; i < 3; i++) {
    await comesTrue(() => widget.button.textContent === "Next step");
    await sleepFor(150);
    const rows = widget.inner("drawn").querySelectorAll("tbody tr").length;
    const taken = widget.inner("drawn").querySelector(".taken .word")?.textContent?.replace("·", " ") ?? "none";
    const before = widget.text;
    widget.button.click();
    await comesTrue(() => widget.text !== before);
    steps.push([rows >= 6, widget.text === before + taken]);
  }
  await comesTrue(() => !stop.hidden);
  stop.click();
  const part = await written;
  return { same: slow === quick, slowly: slowly > 2000, shownFast, steps, part: quick.startsWith(part) && part.length < quick.length, after: [stop.hidden, widget.button.textContent] };
}

/** A slow text that is scrolled away waits until it is back. */
export async function scrolledAway() {
  const [widget] = await mountWidgets('<vitrine-text prompt="A fox" max-tokens="300" pace="slow"></vitrine-text><div style="height: 9000px"></div>', "vitrine-text");
  await comesTrue(() => !widget.button.disabled);
  const written = widget.write();
  await comesTrue(() => widget.text.length > 5);
  scrollTo(0, 8000);
  await sleepFor(1500);
  const held = widget.text;
  await sleepFor(1500);
  const rested = widget.text === held && widget.isWorking;
  scrollTo(0, 0);
  await comesTrue(() => widget.text.length > held.length);
  widget.stop();
  await written;
  return { rested };
}

/** What stands around a widget: captions, a picture that stands in, the theme, what a page can style, locked words. */
export async function framed() {
  const [widget, slotted, plain] = await mountWidgets(
    `<style>.mine::part(button) { background: rgb(1, 2, 3); } .mine { --vitrine-ground: rgb(4, 5, 6); }</style>
     <vitrine-image class="mine" prompt="a fox" steps="2" caption="A fox." theme="dark" locked><img slot="picture" alt="A fox, drawn"></vitrine-image>
     <vitrine-image prompt="a fox" theme="light">a bear<i slot="caption">Two <b>words</b></i></vitrine-image><vitrine-image>a  deer
       at night<img slot="picture" alt="A deer"></vitrine-image>`,
    "vitrine-image",
  );
  const shown = (/** @type {HTMLElement} */ each) => each.checkVisibility();
  const img = /** @type {HTMLElement} */ (widget.firstElementChild);
  const waiting = [shown(img), text(widget, "caption"), shown(widget.inner("caption")), shown(slotted.inner("caption")), shown(plain.inner("caption"))];
  await comesTrue(() => [widget, slotted, plain].every(({ button }) => !button.disabled));
  const ready = [shown(img), widget.inner("standin").classList.contains("wanted")];
  await widget.paint();
  const painted = [shown(img), widget.inner("standin").classList.contains("wanted")];
  const scheme = [widget, slotted].map((each) => getComputedStyle(each).colorScheme);
  const styled = [getComputedStyle(widget.button).backgroundColor, getComputedStyle(widget).backgroundColor];
  const own = widget.inner("own");
  const locked = [own.isContentEditable, own.getAttribute("aria-readonly"), slotted.inner("own").isContentEditable];
  widget.locked = null;
  widget.caption = null;
  return { waiting, ready, painted, scheme, styled, locked, unlocked: [own.isContentEditable, shown(widget.inner("caption"))], words: [widget.words, slotted.words, plain.words] };
}

/** A picture that begins from another, and what is said where that is not there, or nothing is to be changed. */
export async function begun() {
  const canvas = new OffscreenCanvas(64, 64);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "rgb(220, 30, 30)";
  context.fillRect(0, 0, 64, 64);
  const address = URL.createObjectURL(await canvas.convertToBlob());
  /** @type {VitrineImage[]} */
  const [widget] = await mountWidgets('<vitrine-image prompt="a fox in the snow" steps="10" seed="3" strength="0.1"></vitrine-image>', "vitrine-image");
  await comesTrue(() => widget.inner("said").classList.contains("fault"));
  const alone = text(widget, "said");
  widget.setAttribute("start-image", "/fault/status/404/a.png");
  const missing = await widget.paint().catch(({ message }) => message);
  widget.startImage = address;
  const red = (/** @type {ImageData | undefined} */ picture) => {
    let sum = 0;
    for (let i = 0; picture && i < picture.data.length; i += 4) sum += picture.data[i] - picture.data[i + 1];
    return sum / 4096;
  };
  const from = red(await widget.paint());
  widget.startImage = widget.strength = null;
  return { alone, missing, redder: from > 60 && from - red(await widget.paint()) > 50 };
}

// @ts-check
import { element } from "./common.js";

/** @typedef {import("../../../www/widgets.js").Widget} Widget */
/** @typedef {import("../../../www/widgets.js").VitrineText} VitrineText */
/** @typedef {import("../../../www/widgets.js").VitrineImage} VitrineImage */
/** @typedef {import("../../../www/widgets.js").VitrineLatent} VitrineLatent */

/**
 * What widgets do: loads and `ready` of each, the models that the worker holds for them, the sentences of their errors, the observers that watch.
 * @typedef {{ loads: number, readonly held: Set<number>, ready: Map<EventTarget, number>, errors: string[], watched: Set<IntersectionObserver> }} Count
 */

/** The page, with what one script leaves there for another. */
const page = /** @type {typeof globalThis & { count: Count, [left: string]: any }} */ (globalThis);

/** Counts from now on. */
export function startCounting() {
  /** @type {[Set<number>, Set<number>]} */
  const [loaded, unloaded] = [new Set(), new Set()];
  const count = {
    loads: 0,
    get held() {
      return loaded.difference(unloaded);
    },
    ready: new Map(),
    /** @type {string[]} */
    errors: [],
    watched: new Set(),
  };
  page.count = count;
  const [heard, asked] = [new WeakSet(), new Set()];
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (/** @type {any} */ message, /** @type {any} */ ...rest) {
    if (!heard.has(this)) {
      heard.add(this);
      this.addEventListener("message", ({ data }) => {
        if ("value" in data && asked.delete(data.id)) loaded.add(data.value.model);
      });
    }
    if (message.op === "load") {
      count.loads += 1;
      asked.add(message.id);
    }
    if (message.op === "unload") unloaded.add(message.args.model);
    return postMessage.call(this, message, ...rest);
  };
  const { dispatchEvent } = EventTarget.prototype;
  EventTarget.prototype.dispatchEvent = function (event) {
    if (event.type === "ready") count.ready.set(this, (count.ready.get(this) ?? 0) + 1);
    if (event.type === "error" && event instanceof ErrorEvent) count.errors.push(event.message);
    return dispatchEvent.call(this, event);
  };
  const { observe, disconnect } = IntersectionObserver.prototype;
  IntersectionObserver.prototype.observe = function (target) {
    count.watched.add(this);
    return observe.call(this, target);
  };
  IntersectionObserver.prototype.disconnect = function () {
    count.watched.delete(this);
    return disconnect.call(this);
  };
}

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits for a minute until it is so. @param {() => unknown} what @param {() => unknown} [of] what an error tells beside it */
async function until(what, of = () => "") {
  for (let i = 0; i < 1200; i++) {
    if (what()) return;
    await pause(50);
  }
  throw new Error(`never so: ${what} ${of()}`);
}

/** What a widget is made of. @param {Widget} widget @param {string} name */
function part(widget, name) {
  return /** @type {HTMLElement} */ (widget.shadowRoot?.querySelector(`.${name}`));
}

/** @param {Widget} widget @param {string} name */
const text = (widget, name) => part(widget, name).textContent;

/** @param {Widget} widget */
const isReady = (widget) => (page.count.ready.get(widget) ?? 0) > 0;

/** The elements of the page's body, all of them widgets. @returns {any[]} */
const widgets = () => [...document.body.children];

/** Puts this into the page; the first element there. @param {string} html @returns {any} */
function put(html) {
  document.body.innerHTML = html;
  return document.body.firstChild;
}

/** Defines the widgets, and has what computes at hand. */
export async function define() {
  const { define } = await import("/widgets.js");
  await define("vitrine-text", "vitrine-image", "vitrine-latent");
  await import("/engine.js");
}

/** A widget that is not in the page. @returns {VitrineText} */
const made = () => document.createElement("vitrine-text");

/** @template {Node} N @param {N} node */
function append(node) {
  document.body.append(node);
  return node;
}

/** The first element of a document. @param {string} html */
function parsed(html) {
  return /** @type {Node} */ (new DOMParser().parseFromString(html, "text/html").body.firstChild);
}

/** Ways for one widget to come into the page once its class is there; each gives the element. @type {Record<string, () => any>} */
const WAYS = {
  "innerHTML, prompt first": () => put('<vitrine-text prompt="A fox" model="storyteller"></vitrine-text>'),
  "innerHTML, model first": () => put('<vitrine-text model="storyteller" prompt="A fox"></vitrine-text>'),
  "innerHTML, one attribute alone": () => put('<vitrine-text prompt="A fox"></vitrine-text>'),
  "innerHTML, words between the tags": () => put("<vitrine-text>A fox</vitrine-text>"),
  "createElement, attributes, append": () => {
    const widget = made();
    widget.setAttribute("prompt", "A fox");
    widget.setAttribute("model", "storyteller");
    return append(widget);
  },
  "createElement, append, attributes": () => {
    const widget = append(made());
    widget.setAttribute("model", "storyteller");
    widget.setAttribute("prompt", "A fox");
    return widget;
  },
  "a constructor and properties": () => {
    /** @type {any} */
    const Text = customElements.get("vitrine-text");
    const widget = new Text();
    widget.prompt = "A fox";
    widget.model = "storyteller";
    return append(widget);
  },
  cloneNode: () => {
    const first = made();
    first.setAttribute("model", "storyteller");
    first.setAttribute("prompt", "A fox");
    return append(first.cloneNode(true));
  },
  "a template": () => {
    const template = document.createElement("template");
    template.innerHTML = '<p><vitrine-text prompt="A fox" model="storyteller"></vitrine-text></p>';
    append(template.content.cloneNode(true));
    return document.querySelector("p > *");
  },
  importNode: () => append(document.importNode(parsed('<vitrine-text model="storyteller" prompt="A fox"></vitrine-text>'), true)),
  adoptNode: () => append(document.adoptNode(parsed('<vitrine-text prompt="A fox" model="storyteller"></vitrine-text>'))),
  "another shadow root": () => {
    const root = append(document.createElement("div")).attachShadow({ mode: "open" });
    root.innerHTML = '<vitrine-text prompt="A fox" model="storyteller"></vitrine-text>';
    return root.firstChild;
  },
  "the document of a frame": () => {
    const frame = append(document.createElement("iframe"));
    const widget = made();
    widget.setAttribute("prompt", "A fox");
    frame.contentDocument?.body.append(widget);
    return widget;
  },
};

export async function ways() {
  return Object.keys(WAYS);
}

/** What a widget is that comes into the page in this way, and what it leaves. @param {string} way */
export async function comes(way) {
  const { count } = page;
  await define();
  const before = count.loads;
  const widget = WAYS[way]();
  await until(() => isReady(widget), () => text(widget, "said"));
  await pause(20);
  const seen = {
    loads: count.loads - before,
    ready: count.ready.get(widget),
    held: count.held.size,
    buttons: widget.shadowRoot.querySelectorAll("button.act").length,
    words: text(widget, "own"),
    display: widget.ownerDocument.defaultView.getComputedStyle(widget).display,
  };
  const root = widget.getRootNode();
  widget.remove();
  if (root instanceof ShadowRoot) root.host.remove();
  document.body.replaceChildren();
  await until(() => count.held.size === 0);
  return { ...seen, watched: count.watched.size };
}

/** The parser itself, with the class known beforehand: it makes the element before its attributes' values and its words are there. */
export async function written() {
  const { count } = page;
  const before = count.loads;
  document.open();
  document.write("<!doctype html><title>Written</title><vitrine-latent up=5 across=0 model=faces-vae></vitrine-latent><vitrine-text>A ");
  await pause(50);
  document.write("fox</vitrine-text>");
  document.close();
  const all = widgets();
  await until(() => all.length === 2 && all.every(isReady));
  return { loads: count.loads - before, ready: all.map((each) => count.ready.get(each)), words: all[1].words };
}

export async function takenOver() {
  const { count } = page;
  put(
    '<vitrine-text prompt="A fox" model="storyteller"></vitrine-text><vitrine-text model="storyteller" prompt="A fox"></vitrine-text><vitrine-text></vitrine-text><vitrine-latent up="5"></vitrine-latent><vitrine-image steps="3" prompt="a fox"></vitrine-image>',
  );
  /** @type {any} */
  const early = append(made());
  Object.assign(early, { prompt: "An owl", maxTokens: 7, seed: 3, temperature: 0 });
  await define();
  const all = widgets();
  await until(() => all.every(isReady));
  const { prompt, maxTokens, seed, temperature, words } = early;
  const again = early.cloneNode();
  early.temperature = null;
  early.seed = undefined;
  const attributes = (/** @type {Element} */ { attributes }) => [...attributes].map(({ name, value }) => `${name}=${value}`).join(" ");
  const seen = {
    loads: count.loads,
    ready: all.map((each) => count.ready.get(each)),
    held: count.held.size,
    early: { prompt, maxTokens, seed, temperature, words },
    cloned: attributes(again),
    left: early.getAttributeNames().join(" "),
    standard: [early.temperature, early.seed ?? "none"],
  };
  document.body.replaceChildren();
  await until(() => count.held.size === 0);
  return seen;
}

export async function moved() {
  const { count } = page;
  await define();
  put('<div id=there><i></i></div><iframe></iframe><vitrine-text prompt="Once" max-tokens="400" seed="5"></vitrine-text>');
  const [there, frame, widget] = widgets();
  /** @type {{ text: string, stopped: boolean }[]} */
  const stories = [];
  await until(() => isReady(widget));
  part(widget, "own").textContent = "A fox sat by the sea";
  widget.addEventListener("done", (/** @type {CustomEvent} */ { detail }) => stories.push(detail));
  const written = widget.write();
  const grown = async () => {
    const { length } = widget.text;
    // A story is over in half a second.
    while (widget.isWorking && widget.text.length <= length) await pause(1);
    return widget.isWorking;
  };
  const steps = [await grown()];
  there.append(widget);
  steps.push(await grown());
  there.insertBefore(widget, there.firstChild);
  steps.push(await grown());
  document.body.moveBefore(widget, there);
  steps.push(await grown());
  widget.remove();
  await Promise.resolve();
  append(widget);
  steps.push(await grown());
  frame.contentDocument.body.append(widget);
  const framed = frame.contentWindow.getComputedStyle(widget).display;
  steps.push(await grown());
  append(widget);
  const text = await written;
  const whole = widget.text === text && stories.length === 1 && stories[0].text === text && !stories[0].stopped;
  return {
    steps,
    whole,
    long: text.length > 100,
    words: widget.words,
    framed,
    display: getComputedStyle(widget).display,
    loads: count.loads,
    ready: count.ready.get(widget),
    held: count.held.size,
  };
}

export async function movedPicture() {
  put("<div></div><vitrine-latent></vitrine-latent>");
  const [there, widget] = widgets();
  await until(() => widget.picture);
  await widget.show([1, 0, -1, 0, 1, 0, -1, 0]);
  const canvas = /** @type {HTMLCanvasElement} */ (part(widget, "picture"));
  const drawn = () => canvas.getContext("2d")?.getImageData(0, 0, 64, 64).data.join();
  const before = drawn();
  there.append(widget);
  await pause(100);
  return { same: drawn() === before, label: canvas.getAttribute("aria-label"), ready: page.count.ready.get(widget) };
}

export async function gone() {
  const { count } = page;
  await define();
  const make = () => put('<vitrine-text prompt="Once" max-tokens="400"></vitrine-text>');
  const away = async (/** @type {Widget} */ widget) => {
    widget.remove();
    await until(() => count.held.size === 0);
    await pause(300);
    return [count.held.size, count.watched.size, text(widget, "said")];
  };
  const loading = make();
  await until(() => count.loads === 1);
  const whileLoading = await away(loading);
  const ready = make();
  await until(() => isReady(ready));
  const whenReady = await away(ready);
  const writing = make();
  await until(() => isReady(writing));
  part(writing, "own").textContent = "A fox";
  const written = writing.write();
  await until(() => writing.text.length > 20);
  const whileWriting = await away(writing);
  const story = await written;
  append(writing);
  await until(() => count.ready.get(writing) === 2);
  const kept = writing.text === story && story.length > 20;
  const back = { words: writing.words, kept, button: writing.button.textContent, held: count.held.size, loads: count.loads };
  const far = make();
  far.style.marginTop = "9000px";
  await pause(300);
  const whenFar = [count.loads, ...(await away(far))];
  const alone = await writing.write.call(far).catch((/** @type {{ code: string }} */ { code }) => code);
  page.gone = Object.entries({ loading, ready, writing, far }).map(([name, widget]) => [name, new WeakRef(widget)]);
  document.body.replaceChildren();
  count.ready.clear();
  await until(() => count.held.size === 0);
  await pause(100);
  return { whileLoading, whenReady, whileWriting, back, whenFar, alone };
}

/** Which of those that are gone are still in memory. */
export async function remembered() {
  await pause(100);
  /** @type {[string, WeakRef<Widget>][]} */
  const gone = page.gone;
  return gone.map(([name, widget]) => (widget.deref() ? name : "")).join("");
}

export async function changed() {
  const { count } = page;
  await define();
  const widget = put('<vitrine-text model="storyteller" prompt="Once" max-tokens="400"></vitrine-text>');
  await until(() => isReady(widget));
  const own = part(widget, "own");
  own.textContent = "typed";
  widget.setAttribute("prompt", "Once");
  widget.setAttribute("max-tokens", "300");
  widget.setAttribute("model", "storyteller");
  widget.removeAttribute("model");
  await pause(50);
  const untouched = [own.textContent, count.loads];
  const written = widget.write();
  await until(() => widget.text.length > 20);
  widget.model = "no-such-model";
  widget.model = "storyteller-q4_0";
  widget.device = "cpu";
  const story = await written;
  await until(() => count.ready.get(widget) === 2);
  await pause(50);
  const reloaded = [own.textContent, widget.text === story, count.loads, count.held.size, count.errors.length];
  const more = widget.write();
  await until(() => widget.text !== story && widget.text.length > 20);
  widget.prompt = "Far away";
  await more;
  await pause(50);
  return { untouched, reloaded, prompted: [own.textContent, widget.text, widget.isWorking, widget.button.textContent, count.loads] };
}

/** What is said where this cannot be shown. @param {string} html */
export async function said(html) {
  const { count } = page;
  await define();
  count.errors.length = 0;
  const widget = put(html);
  const { promise, resolve } = Promise.withResolvers();
  widget.addEventListener("error", resolve);
  const { error } = await promise;
  const more = /** @type {HTMLDetailsElement} */ (part(widget, "more"));
  const closed = more.hidden || !more.open;
  return {
    said: text(widget, "said"),
    details: more.hidden ? "" : text(widget, "details"),
    closed,
    errors: count.errors,
    told: [error.message, error.details ?? ""],
    code: error.code,
    held: count.held.size,
    button: [widget.button.textContent, widget.button.disabled],
  };
}

export async function mendedName() {
  const widget = put('<vitrine-text model="storyteler"></vitrine-text>');
  await until(() => page.count.errors.length > 0 && text(widget, "said").includes("storyteler"));
  widget.model = "storyteller";
  await until(() => isReady(widget));
  return [text(widget, "said"), part(widget, "more").hidden, widget.button.disabled];
}

/** @param {string} model */
export async function keptOut(model) {
  startCounting();
  await define();
  const widget = made();
  widget.model = model;
  append(widget);
  await until(() => page.count.errors.length > 0);
  return [text(widget, "said"), widget.button.disabled, text(widget, "details")];
}

export async function strangeWords() {
  await define();
  put("<main><h1>Widgets</h1><vitrine-text max-tokens=5></vitrine-text><vitrine-image steps=2></vitrine-image></main>");
  const [, writing, painting] = /** @type {[Element, VitrineText, VitrineImage]} */ ([...element("main", HTMLElement).children]);
  const line = (/** @type {Widget} */ widget) => (part(widget, "unread").hidden ? "" : text(widget, "unread"));
  const seen = [];
  for (const prompt of ["One winter day, a fox met a telephone", "Der Fuchs ist in dem Wald und der Bär", "One winter day, a green fox"]) {
    writing.prompt = prompt;
    await pause(10);
    const before = line(writing);
    await writing.write();
    seen.push(before + line(writing));
  }
  for (const prompt of ["a zeppelin and a zeppelin", "a fox in the snow"]) {
    painting.prompt = prompt;
    await pause(10);
    const before = line(painting);
    await painting.paint();
    seen.push(before + line(painting));
  }
  painting.prompt = "a zeppelin";
  await painting.paint();
  writing.prompt = "a telephone";
  await writing.write();
  return seen;
}

/** What a widget says of an attribute. @param {[kind: string, name: string, value: string]} attribute */
export async function attribute([kind, name, value]) {
  const { count } = page;
  await define();
  count.errors.length = 0;
  const widget = /** @type {Widget} */ (document.createElement(`vitrine-${kind}`));
  widget.setAttribute(name, value);
  append(widget);
  await pause(150);
  const seen = [text(widget, "said"), count.errors.length, count.loads];
  widget.remove();
  await pause(10);
  return seen;
}

export async function mendedAttribute() {
  const widget = put('<vitrine-text temperature="warm" max-tokens="5"></vitrine-text>');
  await pause(150);
  widget.temperature = 1;
  await until(() => isReady(widget));
  const clean = text(widget, "said");
  widget.setAttribute("max-tokens", "many");
  await pause(20);
  const refused = await widget.write().catch((/** @type {Error} */ { message }) => message);
  const same = refused === text(widget, "said");
  widget.maxTokens = 4;
  return [clean, same, refused.includes("many"), (await widget.write()).length > 0, page.count.loads];
}

/** What the console hears of strange attributes, and of those that any element may have. */
export async function strangeAttributes() {
  /** @type {string[]} */
  const warned = [];
  console.warn = (text) => warned.push(text);
  for (let i = 0; i < 2; i++) {
    put(
      '<vitrine-text id=a class=b style="" title=c lang=en dir=ltr hidden slot=d part=e tabindex=0 role=group aria-label=f data-g=h onclick="" contenteditable=false v-cloak _ngcontent-x="" max_tokens=5 maxtokens=5 promt=x steps=3></vitrine-text>',
    );
    await pause(20);
  }
  return warned;
}

/** What is said where the server is gone, and what once the browser knows. */
export async function withoutNetwork() {
  const { errors } = page.count;
  const widget = put("<vitrine-text></vitrine-text>");
  await until(() => errors.length > 0);
  const first = [text(widget, "said"), widget.button.textContent, part(widget, "more").hidden];
  Object.defineProperty(navigator, "onLine", { value: false, configurable: true });
  widget.button.focus();
  widget.button.click();
  await until(() => errors.length > 1);
  return [...first, text(widget, "said"), document.activeElement === widget];
}

export async function withoutWebAssembly() {
  Reflect.deleteProperty(window, "WebAssembly");
  await define();
  const widget = put("<vitrine-text></vitrine-text>");
  await until(() => page.count.errors.length > 0);
  return [text(widget, "said"), await widget.write().catch((/** @type {{ code: string }} */ { code }) => code)];
}

/** What a worker imports: it knows no elements, as a server that renders pages does not. */
export async function inAWorker() {
  const names = "(all) => postMessage(Object.keys(all).sort().join(' '))";
  const script = `import('${location.origin}/widgets.js').then(${names}, (error) => postMessage(String(error)))`;
  const worker = new Worker(URL.createObjectURL(new Blob([script])));
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
  });
}

/** A server's imitation of a document: no workers, nothing that says what is seen, no style sheets of one's own. */
export async function imitated() {
  const { count } = page;
  const { Worker } = window;
  Reflect.deleteProperty(window, "IntersectionObserver");
  Reflect.deleteProperty(window, "Worker");
  Reflect.deleteProperty(ShadowRoot.prototype, "adoptedStyleSheets");
  await define();
  const widget = put('<vitrine-text prompt="A fox"></vitrine-text>');
  await pause(100);
  const quiet = [text(widget, "own"), text(widget, "said"), count.errors.length];
  widget.remove();
  await pause(10);
  // An old browser: it has workers.
  window.Worker = Worker;
  append(widget);
  await until(() => isReady(widget));
  widget.remove();
  await until(() => count.held.size === 0);
  return quiet;
}

/** How a widget looks where it and its page have each colour scheme. */
export async function light() {
  await define();
  const widget = /** @type {Widget} */ (document.querySelector("vitrine-text") ?? put("<vitrine-text></vitrine-text>"));
  const look = () => {
    const ground = getComputedStyle(widget).backgroundColor;
    const ink = getComputedStyle(widget.button).color;
    if (ground === "rgb(248, 250, 247)" && ink === "rgb(251, 253, 251)") return "light";
    return ground === "rgb(20, 28, 25)" && ink === "rgb(12, 21, 18)" ? "dark" : ground;
  };
  const seen = [look()];
  const root = document.documentElement.style;
  for (const scheme of ["light", "dark", "light dark"]) {
    root.colorScheme = scheme;
    seen.push(look());
  }
  root.colorScheme = "light";
  widget.style.colorScheme = "dark";
  seen.push(look());
  widget.style.colorScheme = "";
  root.colorScheme = "";
  return seen;
}

/** Whether one writes, and how all others look. */
export async function looks() {
  const first = element("#first", HTMLElement);
  const written = (await /** @type {VitrineText} */ (first).write()).length > 20;
  const names = /** @type {const} */ (["display", "padding", "border", "backgroundColor", "color", "font", "marginTop", "minHeight", "width", "height"]);
  const others = [...document.querySelectorAll("vitrine-text, vitrine-image, vitrine-latent")].slice(1);
  const all = others.flatMap((each) => [each, ...(each.shadowRoot?.querySelectorAll("*") ?? [])]);
  const inline = all.filter((each) => each.hasAttribute("style") || each.localName === "style").length;
  return { written, inline, looks: all.map((each) => names.map((name) => getComputedStyle(each)[name]).join(" ")) };
}

export async function ofTheCase() {
  const widget = /** @type {VitrineText} */ (element("vitrine-text", HTMLElement));
  const { display, padding } = getComputedStyle(widget);
  widget.maxTokens = 20;
  return { display, padding, words: widget.words, written: (await widget.write()).length > 10 };
}

/** Two widgets, the first of which has the focus. */
export async function startTyping() {
  await define();
  put('<vitrine-text prompt="A fox" max-tokens="300" seed="1"></vitrine-text><vitrine-image prompt="a fox" steps="2"></vitrine-image>');
  const all = widgets();
  page.dones = [];
  await until(() => all.every(isReady));
  for (const each of all) each.addEventListener("done", (/** @type {CustomEvent} */ { detail }) => page.dones.push(detail));
  all[0].focus();
}

export function typed() {
  const [writing] = widgets();
  return [writing.words, writing.isWorking, page.dones.length];
}

export async function writes() {
  const [writing] = widgets();
  await until(() => writing.text.length > 10);
}

export async function stopped() {
  const { dones } = page;
  await until(() => dones.length > 0);
  await pause(100);
  const [writing] = widgets();
  return [dones.length, dones[0].stopped, dones[0].prompt, dones[0].text === writing.text, writing.shadowRoot.activeElement.className];
}

/** Begins and stops with the button, and goes to the other widget. */
export async function pressed() {
  const [writing, painting] = widgets();
  const seen = () => [writing.button.textContent, writing.shadowRoot.activeElement === writing.button];
  writing.button.focus();
  writing.button.click();
  await until(() => writing.text.length > 10);
  const during = seen();
  writing.button.click();
  await until(() => page.dones.length > 1);
  const after = seen();
  painting.focus();
  return [...during, ...after];
}

export async function painted() {
  const { dones } = page;
  await until(() => dones.length > 2);
  const [, painting] = widgets();
  return [dones[2].prompt, dones[2].picture?.width, dones[2].stopped, painting.shadowRoot.activeElement.className];
}

export async function seed() {
  await define();
  /** @type {VitrineText} */
  const widget = put('<vitrine-text prompt="Once upon a time" max-tokens="40" temperature="1.5" seed="7"></vitrine-text>');
  const [first, second] = [await widget.write(), await widget.write()];
  widget.seed = 8;
  const third = await widget.write();
  widget.removeAttribute("seed");
  const [fourth, fifth] = [await widget.write(), await widget.write()];
  const long = [first, third, fourth].every(({ length }) => length > 20);
  return { same: first === second, other: first !== third, fresh: fourth !== fifth, long };
}

export async function walks() {
  const { count } = page;
  await define();
  /** @type {VitrineLatent} */
  const widget = put('<vitrine-latent across="8"></vitrine-latent>');
  await until(() => count.errors.length > 0);
  const [refused] = count.errors;
  const held = count.held.size;
  widget.across = 7;
  await until(() => widget.picture);
  const wrong = await widget.show([1, 2]).catch(({ message }) => message);
  const strange = await widget.show(Array(8).fill(NaN)).catch(({ code }) => code);
  const picture = await widget.show(Array(8).fill(1));
  return { refused, held, wrong, strange, latent: [...widget.latent], sides: [picture?.width, picture?.height], loads: count.loads };
}

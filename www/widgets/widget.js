/**
 * What all widgets share: a shadow root in the house's look, one engine for the page, and a model that is loaded when the widget comes
 * near the screen and unloaded when it leaves the page. A new widget says what it takes (`kinds`, `attributes`), what it is made of (`parts`) and
 * what its button does (`verb`, `act`); see text.js. Importing this on a server does nothing.
 *
 * Promises: it mounts once, in whatever order attributes, parser and upgrade come; a widget that is moved keeps all that it holds and does,
 * one that is gone by the end of the task holds nothing. docs/widgets.md tells authors of attributes and events.
 */

import { make } from "../page/dom.js";
import { flag, nameStrangers, oneOf, propertyOf, reflect, source, words } from "./attributes.js";
import { WidgetError, codeOf, mayMend, told } from "./faults.js";
import { captionLine, foot, showCaption, standIn } from "./frame.js";
import { checkLink, follow } from "./links.js";
import { fetchModel } from "./load.js";
import { LOOK, dress } from "./look.js";
import { Sight, Steps } from "./pace.js";
import { SHARE, link, shareRow, snippet, told as toldBy } from "./share.js";

/** @import { Model, ModelKind, Progress } from "../vitrine.js" */
/** @import { Attribute } from "./attributes.js" */
/** @import { Told } from "./links.js" */
/** @import { Wish } from "./load.js" */

/** A server that renders pages knows no elements. */
const Base = globalThis.HTMLElement ?? /** @type {typeof HTMLElement} */ (/** @type {unknown} */ (class {}));

/** Attributes of all widgets; each says which model it shows where the page names none. @param {string} model @returns {Record<string, Attribute>} */
export const shared = (model) => ({
  model: source(model),
  device: oneOf(["auto", "cpu", "webgpu"]),
  caption: words(""),
  theme: oneOf(["auto", "light", "dark"], "auto"),
  share: flag(),
});

/** @template {Model} M */
export class Widget extends Base {
  /** The kinds of models that it takes. @type {readonly ModelKind[]} */
  static kinds = [];
  /** What its button says. */
  static verb = "";
  /** What it looks like besides the look of all. */
  static look = "";
  /** @type {Record<string, Attribute>} */
  static attributes = {};

  static get observedAttributes() {
    return Object.keys(this.attributes);
  }

  /** Makes an element of it; a page that has one of this name keeps that. @param {string} tag */
  static define(tag) {
    if (!globalThis.customElements || customElements.get(tag)) return;
    reflect(this.prototype, this.attributes);
    customElements.define(tag, this);
  }

  #root = this.attachShadow?.({ mode: "open" });
  #button = /** @type {HTMLButtonElement | undefined} */ (undefined);
  /** Ends when the element leaves the page. @type {AbortController | undefined} */
  #life;
  /** The model, here or on its way, and what was asked for. @type {{ wanted: string, abort: AbortController, model: Promise<M> } | undefined} */
  #hold;
  /** Whether the attributes make sense. */
  #fine = true;
  /** Whether a model was wanted since the element came into the page. */
  #asked = false;
  /** Whether its load failed and may be tried again. */
  #failed = false;
  /** @type {AbortController | undefined} */
  #working;
  /** Whether what is under way is worth a stop. */
  #stoppable = false;
  #settling = false;
  /** @type {Sight | undefined} */
  #sight;
  /** Whether it was near the screen when the work began. */
  #wasNear = false;
  #steps = new Steps();

  constructor() {
    super();
    // What was set before there was a class to hear it.
    for (const name of Object.keys(this.#class.attributes)) {
      const property = propertyOf(name);
      if (!Object.hasOwn(this, property)) continue;
      const value = Reflect.get(this, property);
      Reflect.deleteProperty(this, property);
      Reflect.set(this, property, value);
    }
  }

  /** The widget's own parts. They are asked for once. @returns {Node[]} */
  parts() {
    return [];
  }

  /** What the button does. @returns {Promise<unknown>} */
  async act() {
    return undefined;
  }

  /** An attribute is another than before. @param {string} _name */
  changed(_name) {}

  /** The model is there. @param {M} _model */
  loaded(_model) {}

  /** The widget that this one is linked to tells something. @param {Told} _told */
  hear(_told) {}

  /** Brings the model. @param {Wish<M>} wish @returns {Promise<M>} */
  bring(wish) {
    return fetchModel(wish);
  }

  /** Why a model of the right kind cannot be shown all the same. @param {M["info"]} _info @returns {string | undefined} */
  unfit(_info) {
    return undefined;
  }

  /** What has come of the work, for the event `done`. @returns {object} */
  get outcome() {
    return {};
  }

  /** What its attributes would have to say for an element of its own to be as this one is now. @returns {Record<string, unknown>} */
  present() {
    const values = Object.fromEntries(Object.keys(this.#class.attributes).map((name) => [name, this.setting(name)]));
    // A path leads elsewhere from another page.
    const whole = (/** @type {string} */ name) => (name.includes("/") && !/^[a-z][a-z\d+.-]*:/i.test(name) ? new URL(name, this.baseURI).href : name);
    if (typeof values.model === "string") values.model = values.model.split(" ").map(whole).join(" ");
    return values;
  }

  /** The HTML that makes it as it is now. */
  snippet() {
    return snippet(this.localName, toldBy(this.#class.attributes, this.present()));
  }

  /** A link to the page that shows it as it is now; none where that would be too long. */
  link() {
    return link(this.localName, toldBy(this.#class.attributes, this.present()));
  }

  connectedCallback() {
    if (!this.#root || !this.#isHere) return;
    dress(this.#root, [LOOK, SHARE, this.#class.look]);
    this.#build();
    if (this.#life) return;
    const life = new AbortController();
    this.#life = life;
    this.#inspect();
    follow(this, (told) => this.hear(told), life.signal);
    if (!globalThis.IntersectionObserver) {
      // An old browser loads at once; what is no browser at all has no worker either.
      this.#asked = Boolean(globalThis.Worker);
      if (this.#asked && this.#fine) this.#load().catch(() => {});
      return;
    }
    this.#sight = new Sight(this, life.signal, () => {
      this.#asked = true;
      if (this.#fine) this.#load().catch(() => {});
    });
  }

  disconnectedCallback() {
    // What is put back within the task was moved. A document without a window shows nothing: whoever was taken there is gone.
    setTimeout(() => {
      if (!this.#isHere) this.#end();
    });
  }

  /** Of `moveBefore`: there is nothing to do, and it is said so that nothing is done. */
  connectedMoveCallback() {}

  /** @param {string} name @param {string | null} before @param {string | null} now */
  attributeChangedCallback(name, before, now) {
    if (before === now) return;
    if (this.#button) this.#changed(name);
    if (!this.#life || this.#settling) return;
    this.#settling = true;
    // Attributes come one by one; whoever changes several means all of them.
    queueMicrotask(() => {
      this.#settling = false;
      this.#settle();
    });
  }

  /** To the first part that takes the focus. @param {FocusOptions} [options] */
  focus(options) {
    const first = this.#root?.querySelector("[contenteditable], [tabindex], input:enabled, button:enabled:not([hidden])");
    if (first instanceof HTMLElement) first.focus(options);
  }

  /**
   * What an attribute says, or what stands in for it.
   * Errors: `bad-argument` that names the attribute, what it holds and what it may hold.
   * @param {string} name
   */
  value(name) {
    const { fallback, read, allowed } = this.#class.attributes[name];
    const raw = this.getAttribute(name);
    if (raw === null) return fallback;
    const value = read(raw);
    if (value === undefined) throw new WidgetError("bad-argument", `This part of the page is not set up right: ${name} is “${raw}”, but must be ${allowed}.`);
    return value;
  }

  /** What the property of an attribute says: what stands in for one that makes no sense, too. @param {string} name @returns {any} */
  setting(name) {
    return Reflect.get(/** @type {object} */ (this), propertyOf(name));
  }

  /**
   * Does something with the model, once it is there; a second call ends the first. What fails is said in the widget, and rejects.
   * @param {(model: M, signal: AbortSignal) => Promise<void>} work
   * @param {{ brief?: boolean }} [options] `brief`: too short for the button to offer a stop
   */
  async work(work, { brief = false } = {}) {
    this.#working?.abort();
    const working = new AbortController();
    const { signal } = working;
    this.#working = working;
    this.#wasNear = this.#sight?.near ?? false;
    this.#stoppable = !brief;
    this.#label();
    try {
      const model = await Promise.race([this.#load(), fired(signal)]);
      if (model && !signal.aborted) {
        this.say("");
        await this.#do(() => work(model, signal), signal);
      }
      if (model) this.#showStandIn(false, false);
      if (this.#working === working) this.dispatchEvent(new CustomEvent("done", { detail: { ...this.outcome, stopped: signal.aborted } }));
    } finally {
      if (this.#working === working) {
        this.#working = undefined;
        this.#label();
      }
    }
  }

  /**
   * Waits until the next step of the work may come: at the pace that the page asks for, and, should the widget have been scrolled away meanwhile, until it is near
   * again. Resolves with whether it is still wanted.
   * @param {AbortSignal} signal
   */
  async paced(signal) {
    const pace = "pace" in this.#class.attributes ? this.value("pace") : "fast";
    if (pace !== "fast") await this.#steps.next(pace, signal);
    if (this.#wasNear) await this.#sight?.until(signal);
    return !signal.aborted;
  }

  get isWorking() {
    return this.#working !== undefined;
  }

  /** Ends what is under way, if anything is. */
  stop() {
    this.#working?.abort();
  }

  /** @param {string} sentence @param {{ fault?: boolean, details?: string }} [more] */
  say(sentence, { fault = false, details = "" } = {}) {
    const said = this.inner("said");
    said.textContent = sentence;
    said.classList.toggle("fault", fault);
    const more = this.inner("more");
    if (details === "" && more.contains(this.#root.activeElement)) (this.button.disabled ? this : this.button).focus();
    more.hidden = details === "";
    this.inner("details").textContent = details;
  }

  /** @param {string} name */
  inner(name) {
    this.#build();
    return /** @type {HTMLElement} */ (this.#root.querySelector(`.${name}`));
  }

  get button() {
    this.#build();
    return /** @type {HTMLButtonElement} */ (this.#button);
  }

  get #class() {
    return /** @type {typeof Widget} */ (this.constructor);
  }

  /** Whether it stands in a page that somebody can see. */
  get #isHere() {
    return this.isConnected && this.ownerDocument.defaultView !== null;
  }

  /** Makes the parts, the first time that they are wanted. */
  #build() {
    if (this.#button) return;
    const button = make("button", { type: "button", class: "act", part: "button", disabled: "" }, this.#class.verb);
    const stop = make("button", { type: "button", class: "stop plain", part: "stop", hidden: "" }, "Stop");
    this.#button = button;
    button.addEventListener("click", () => this.#press());
    stop.addEventListener("click", () => {
      button.focus();
      this.stop();
    });
    this.#steps.addEventListener("awaited", () => this.#label());
    this.#root.append(standIn(), ...this.parts(), captionLine(), ...foot(button, stop), shareRow(() => this.snippet(), () => this.link()));
    this.#root.addEventListener("keydown", (event) => {
      if ("key" in event && event.key === "Escape") this.stop();
    });
    for (const kind of ["keydown", "keypress", "keyup"]) this.#root.addEventListener(kind, keepLetters);
    for (const name of this.#class.observedAttributes) this.#changed(name);
    this.#showStandIn(true, true);
    this.#label();
  }

  /** @param {string} name */
  #changed(name) {
    if (name === "caption") showCaption(this.inner("caption"), this.getAttribute(name) ?? "");
    if (name === "linked-to") this.#label();
    if (name === "share") this.inner("share").hidden = !this.setting(name);
    this.changed(name);
  }

  /** The page's own picture. @param {boolean} onScreen @param {boolean} onPaper */
  #showStandIn(onScreen, onPaper) {
    const slot = this.inner("standin");
    slot.hidden = !onScreen;
    slot.classList.toggle("wanted", onPaper);
  }

  #press() {
    if (this.#steps.awaited) this.#steps.press();
    else if (this.#working && this.#stoppable) this.stop();
    // What went wrong is said by then.
    else (this.#failed ? this.#load() : this.act()).catch(() => {});
  }

  #label() {
    const { verb } = this.#class;
    const { awaited } = this.#steps;
    const { button } = this;
    button.textContent = awaited ? "Next step" : this.#working && this.#stoppable ? "Stop" : this.#failed ? "Try again" : verb;
    // Some work by themselves, and those that follow have their leader's button.
    button.hidden = !awaited && !this.#failed && (verb === "" || this.hasAttribute("linked-to"));
    this.inner("stop").hidden = !awaited;
  }

  /** Nothing is held any more, and nothing goes on. What was written and painted stays, should the widget be put back. */
  #end() {
    this.#life?.abort();
    this.#life = this.#sight = undefined;
    const working = this.#working;
    this.#working = undefined;
    working?.abort();
    this.#letGo();
    this.#failed = this.#asked = false;
    if (this.#button) {
      this.#label();
      this.say("");
    }
  }

  #letGo() {
    const hold = this.#hold;
    this.#hold = undefined;
    hold?.abort.abort();
    hold?.model.then(
      (model) => model.unload(),
      () => {},
    );
  }

  /** Attributes changed: another model is loaded, once; what failed by them is tried again. */
  #settle() {
    if (!this.#life) return;
    this.#inspect();
    if (this.#hold && this.#hold.wanted !== this.#wanted) {
      this.stop();
      this.#letGo();
    }
    if (!this.#hold && this.#asked && this.#fine) this.#load().catch(() => {});
  }

  /** Says which attributes make no sense, and, in the console, which mean nothing here. */
  #inspect() {
    const { attributes } = this.#class;
    nameStrangers(this, attributes);
    this.#fine = true;
    try {
      for (const name of Object.keys(attributes)) this.value(name);
      if (this.inner("said").classList.contains("fault")) this.say("");
    } catch (error) {
      this.#fine = false;
      this.#fail(error, false);
    }
  }

  /** What is to be loaded, as the attributes say it. */
  get #wanted() {
    const [model, device] = ["model", "device"].map((name) => this.getAttribute(name)?.trim() ?? this.#class.attributes[name].fallback);
    return JSON.stringify([model, device]);
  }

  /** The model; it is fetched the first time. @returns {Promise<M>} */
  #load() {
    if (!this.#life) return Promise.reject(new WidgetError("bad-argument", `This <${this.localName}> stands in no page. Put it into one first.`));
    if (this.#hold) return this.#hold.model;
    this.#asked = true;
    const abort = new AbortController();
    const model = this.#fetch(abort.signal).catch((error) => {
      throw told(error);
    });
    const hold = { wanted: this.#wanted, abort, model };
    this.#hold = hold;
    hold.model.then(
      (model) => {
        if (this.#hold !== hold) return;
        this.#failed = false;
        this.button.disabled = false;
        this.#label();
        this.say("");
        this.#showStandIn(false, true);
        this.dispatchEvent(new Event("ready"));
        this.loaded(model);
      },
      (error) => {
        if (this.#hold !== hold) return;
        this.#hold = undefined;
        const again = mayMend(error);
        // A button that holds the focus keeps it.
        this.button.disabled = !again && this.#root.activeElement !== this.button;
        this.#fail(error, again);
      },
    );
    return hold.model;
  }

  /** @param {AbortSignal} signal @returns {Promise<M>} */
  async #fetch(signal) {
    // All attributes, so that none is found to make no sense when the model is there.
    const [name, device] = ["model", "device", ...this.#class.observedAttributes].map((each) => this.value(each));
    this.say("Loading the model…");
    const onProgress = (/** @type {Progress} */ { loaded, total }) => {
      // In tenths, for a screen reader says each of them.
      const tenths = total > 0 ? Math.floor((10 * loaded) / total) : 0;
      const sentence = tenths > 0 ? `Loading the model, ${10 * tenths} %` : "Loading the model…";
      if (!signal.aborted && this.inner("said").textContent !== sentence) this.say(sentence);
    };
    checkLink(this);
    return this.bring({ name, device, kinds: this.#class.kinds, unfit: (info) => this.unfit(info), onProgress, signal });
  }

  /** @param {() => Promise<void>} work @param {AbortSignal} signal */
  async #do(work, signal) {
    try {
      await work();
    } catch (thrown) {
      if (signal.aborted) return;
      const error = told(thrown);
      // The model is lost, or may be: the next try loads it anew.
      const lost = ["closed", "device-lost", "internal"].includes(codeOf(error));
      if (lost) this.#letGo();
      this.#fail(error, lost);
      throw error;
    }
  }

  /** @param {unknown} thrown @param {boolean} failed whether there is no model to go on with, and another try may bring it */
  #fail(thrown, failed) {
    this.#failed = failed;
    const error = told(thrown);
    const { message, details } = error;
    this.#label();
    this.say(message, { fault: true, details });
    // Whoever has just made the element is about to listen.
    queueMicrotask(() => this.dispatchEvent(new ErrorEvent("error", { error, message })));
  }
}

/** @param {AbortSignal} signal @returns {Promise<undefined>} */
function fired(signal) {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(undefined), { once: true }));
}

/** A letter that is typed here is a word's, whatever it means to the slides or the notebook around. @param {Event} event */
function keepLetters(event) {
  const { ctrlKey, metaKey, target } = /** @type {KeyboardEvent} */ (event);
  const types = target instanceof HTMLElement && (target.isContentEditable || /^(input|textarea|select)$/.test(target.localName));
  if (types && !ctrlKey && !metaKey) event.stopPropagation();
}

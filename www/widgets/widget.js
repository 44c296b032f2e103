/**
 * What all widgets share: a shadow root in the house's look, one engine for the page, and a model that is loaded when the widget comes
 * near the screen and unloaded when it leaves the page. Importing this on a server does nothing.
 */

import { pageEngine } from "../engine.js";

/** @import { Model } from "../vitrine.js" */

/** A server that renders pages knows no elements. */
const Base = globalThis.HTMLElement ?? /** @type {typeof HTMLElement} */ (/** @type {unknown} */ (class {}));

const STYLE = `
  :host { display: block; margin: 1em 0; padding: 1em 1.2em; border: 1px solid light-dark(#8ea39a, #42564e); background: light-dark(#f8faf7, #141c19);
    color: light-dark(#17211e, #e4ebe6); color-scheme: light dark; font: 1.1em/1.6 "Iowan Old Style", "Palatino Linotype", Palatino, P052, Georgia, serif; }
  :host([hidden]) { display: none; }
  [contenteditable] { outline: none; color: light-dark(#1d5a4e, #7cc7b4); }
  [contenteditable]:focus-visible { box-shadow: 0 1px 0 currentColor; }
  .text { white-space: pre-wrap; overflow-wrap: break-word; min-height: 3em; }
  .row { display: flex; gap: .6em; align-items: center; margin-top: .8em; }
  button { font: inherit; min-height: 2.4em; padding: .1em 1em; border: 1px solid light-dark(#1d5a4e, #7cc7b4); border-radius: 2px; cursor: pointer;
    background: light-dark(#1d5a4e, #7cc7b4); color: light-dark(#fbfdfb, #0c1512); }
  button:disabled { opacity: .5; cursor: default; }
  :focus-visible { outline: 2px solid light-dark(#a53620, #f08d70); outline-offset: 2px; }
  .said { font-size: .85em; color: light-dark(#53625c, #9aaba3); }
`;

/** @template {Model} M */
export class Widget extends Base {
  #root = this.attachShadow?.({ mode: "open" });
  /** @type {M | undefined} */
  #model;
  /** Fires when the element leaves the page. @type {AbortController | undefined} */
  #life;
  /** @type {AbortController | undefined} */
  #working;

  /** The model that is shown where the page names none, and what the button says. @type {{ model: string, verb: string }} */
  get standard() {
    throw new Error("a widget says what it shows");
  }

  /** The widget's own parts, as HTML. */
  get parts() {
    return "";
  }

  connectedCallback() {
    const life = new AbortController();
    this.#life = life;
    this.#root.innerHTML = `<style>${STYLE}</style>${this.parts}
      <div class="row"><button type="button" disabled>${this.standard.verb}</button><span class="said" role="status"></span></div>`;
    this.button.addEventListener("click", () => (this.#working && this.button.textContent === "Stop" ? this.#working.abort() : this.act()));
    this.drawn();
    const near = new IntersectionObserver(
      (entries) => {
        if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
        near.disconnect();
        this.#load(life.signal);
      },
      { rootMargin: "400px" },
    );
    near.observe(this);
    life.signal.addEventListener("abort", () => near.disconnect());
  }

  disconnectedCallback() {
    this.#life?.abort();
    this.#working?.abort();
    this.#model?.unload();
    this.#model = undefined;
    this.#root?.replaceChildren();
  }

  /** @param {string} name @param {string | null} before @param {string | null} now */
  attributeChangedCallback(name, before, now) {
    if (!this.isConnected || before === now) return;
    if (name !== "model") return this.drawn();
    this.disconnectedCallback();
    this.connectedCallback();
  }

  /** The parts are there: fills them in. */
  drawn() {}

  /** What the button does. @returns {Promise<unknown>} */
  async act() {
    return undefined;
  }

  /**
   * Does something with the model, once it is there; a second call ends the first. What fails is said in the widget.
   * @param {(model: M, signal: AbortSignal) => Promise<void>} work
   * @param {boolean} [brief] too short for the button to offer a stop
   */
  async work(work, brief = false) {
    const model = this.#model;
    if (!model) return;
    this.#working?.abort();
    const working = new AbortController();
    this.#working = working;
    if (!brief) this.button.textContent = "Stop";
    this.say("");
    try {
      await work(model, working.signal);
    } catch (error) {
      if (!working.signal.aborted) this.say(error instanceof Error ? error.message : String(error));
    } finally {
      if (this.#working === working) {
        this.#working = undefined;
        if (this.isConnected) this.button.textContent = this.standard.verb;
      }
    }
  }

  /** @param {AbortSignal} signal */
  async #load(signal) {
    this.say("Loading the model…");
    try {
      const engine = await pageEngine();
      /** @type {M} */
      const model = await engine.load(this.getAttribute("model") ?? this.standard.model, {
        signal,
        onProgress: ({ loaded, total }) => this.say(total > 0 ? `Loading the model, ${Math.round((100 * loaded) / total)} %` : "Loading the model…"),
      });
      if (signal.aborted) return void model.unload();
      this.#model = model;
      this.button.disabled = false;
      this.say("");
      this.dispatchEvent(new Event("ready"));
    } catch (error) {
      if (!signal.aborted) this.say(error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {string} sentence */
  say(sentence) {
    if (this.isConnected) this.inner("said").textContent = sentence;
  }

  /** A number that an attribute gives. @param {string} name */
  number(name) {
    const value = Number.parseFloat(this.getAttribute(name) ?? "");
    return Number.isFinite(value) ? value : undefined;
  }

  /** @param {string} name */
  inner(name) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(`.${name}`));
  }

  get button() {
    return /** @type {HTMLButtonElement} */ (this.#root.querySelector(".row button"));
  }
}

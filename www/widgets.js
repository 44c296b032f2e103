/**
 * Widgets for course notes. `<vitrine-text model="storyteller" prompt="Once upon a time" max-tokens="60" temperature="0.8">` shows a
 * beginning with a button that lets the model go on. All widgets of a page share its one engine and one copy of a model.
 *
 * The model is loaded when the widget comes near the screen; writing pauses when the tab is hidden or the widget leaves the page; everything
 * is freed in `disconnectedCallback`. Importing this on a server does nothing.
 */

import { pageEngine } from "./engine.js";

/** @import { TextModel } from "./vitrine.js" */

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

export class VitrineText extends Base {
  static observedAttributes = ["prompt", "model"];

  #root = this.attachShadow?.({ mode: "open" });
  /** @type {TextModel | undefined} */
  #model;
  /** Fires when the element leaves the page. @type {AbortController | undefined} */
  #life;
  /** @type {AbortController | undefined} */
  #writing;

  connectedCallback() {
    const life = new AbortController();
    this.#life = life;
    this.#draw();
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
    this.#writing?.abort();
    this.#model?.unload();
    this.#model = undefined;
    this.#root?.replaceChildren();
  }

  /** @param {string} name @param {string | null} before @param {string | null} now */
  attributeChangedCallback(name, before, now) {
    if (!this.isConnected || before === now) return;
    if (name === "prompt") this.#part("own").textContent = now ?? "";
    else {
      this.disconnectedCallback();
      this.connectedCallback();
    }
  }

  /** Writes on from the prompt; a second call ends the first. Resolves with the text when the model is done. */
  async write() {
    const model = this.#model;
    if (!model) return "";
    this.#writing?.abort();
    const writing = new AbortController();
    this.#writing = writing;
    const story = this.#part("story");
    const button = this.#button();
    story.textContent = "";
    button.textContent = "Stop";
    this.#say("");
    try {
      const options = { maxTokens: this.#number("max-tokens", 120), temperature: this.#number("temperature", 0.8), signal: writing.signal };
      for await (const { text } of model.generate(this.#part("own").textContent ?? "", options)) story.append(text);
    } catch (error) {
      if (!writing.signal.aborted) this.#say(error instanceof Error ? error.message : String(error));
    } finally {
      if (this.#writing === writing) {
        this.#writing = undefined;
        if (this.isConnected) this.#button().textContent = "Write";
      }
    }
    return story.textContent ?? "";
  }

  /** @param {AbortSignal} signal */
  async #load(signal) {
    this.#say("Loading the model…");
    try {
      const engine = await pageEngine();
      const model = await engine.load(this.getAttribute("model") ?? "storyteller", {
        signal,
        onProgress: ({ loaded, total }) => this.#say(total > 0 ? `Loading the model, ${Math.round((100 * loaded) / total)} %` : "Loading the model…"),
      });
      if (signal.aborted) return void model.unload();
      this.#model = model;
      this.#button().disabled = false;
      this.#say("");
      this.dispatchEvent(new Event("ready"));
    } catch (error) {
      if (!signal.aborted) this.#say(error instanceof Error ? error.message : String(error));
    }
  }

  #draw() {
    this.#root.innerHTML = `<style>${STYLE}</style>
      <div class="text"><span class="own" contenteditable="plaintext-only" role="textbox" aria-label="The beginning" spellcheck="false"></span><span class="story" role="log" aria-live="off"></span></div>
      <div class="row"><button type="button" disabled>Write</button><span class="said" role="status"></span></div>`;
    this.#part("own").textContent = this.getAttribute("prompt") ?? "Once upon a time";
    this.#button().addEventListener("click", () => (this.#writing ? this.#writing.abort() : this.write()));
  }

  /** @param {string} sentence */
  #say(sentence) {
    if (this.isConnected) this.#part("said").textContent = sentence;
  }

  /** @param {string} name @param {number} otherwise */
  #number(name, otherwise) {
    const value = Number.parseFloat(this.getAttribute(name) ?? "");
    return Number.isFinite(value) ? value : otherwise;
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(`.${name}`));
  }

  #button() {
    return /** @type {HTMLButtonElement} */ (this.#root.querySelector("button"));
  }
}

globalThis.customElements?.define("vitrine-text", VitrineText);

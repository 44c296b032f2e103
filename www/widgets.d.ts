/**
 * Elements for a page of prose. `import "./widgets.js"` (or a script element with `type="module"`) defines them; on a server it does nothing.
 *
 * Every property below reflects the attribute of its name (`maxTokens`: `max-tokens`); set before the element is defined, it is kept. One that is
 * left out, or null, has the value given here as its default. An attribute that makes no sense is said in the widget and in its `error` event.
 *
 * Events, none of which bubbles: `ready` when a model is loaded (once for each load), `done` when a text or picture is finished or was
 * stopped, `error` with what went wrong.
 */

import type { Autoencoder, AutoencoderInfo, ImageModel, Model, ModelKind, TextModel, VitrineError } from "./vitrine.js";

/** Of `error`: `message`, and that of `error`, is the sentence that the reader sees; `error.details` what stands behind "Details", where something does. */
export type WidgetErrorEvent = ErrorEvent & { readonly error: VitrineError & { readonly details?: string } };

export interface WidgetEventMap<Outcome> {
  ready: Event;
  done: CustomEvent<Outcome & { stopped: boolean }>;
  error: WidgetErrorEvent;
}

/** What all widgets are. A class of your own extends it as widgets/text.js does, and is defined by `define`. */
export abstract class Widget<M extends Model = Model, Outcome extends object = object> extends HTMLElement {
  static readonly kinds: readonly ModelKind[];
  static readonly verb: string;
  static readonly look: string;
  static readonly attributes: Record<string, { fallback: unknown; read: (raw: string) => unknown; allowed: string }>;
  static define(tag: string): void;

  /** A catalogue id, an address, or `hf://owner/repo/file.gguf`. */
  model: string;
  /** "auto" (the default), "cpu" or "webgpu". */
  device: "auto" | "cpu" | "webgpu" | undefined;
  readonly button: HTMLButtonElement;
  readonly isWorking: boolean;

  /** The value of an attribute; throws a `VitrineError` where it makes no sense. */
  value(name: string): any;
  /** Ends what is under way. */
  stop(): void;

  /** For classes of your own. */
  parts(): Node[];
  act(): Promise<unknown>;
  changed(name: string): void;
  loaded(model: M): void;
  unfit(info: M["info"]): string | undefined;
  get outcome(): Outcome;
  work(work: (model: M, signal: AbortSignal) => Promise<void>, options?: { brief?: boolean }): Promise<void>;
  say(sentence: string, more?: { fault?: boolean; details?: string }): void;
  inner(name: string): HTMLElement;

  addEventListener<Name extends keyof WidgetEventMap<Outcome>>(
    name: Name,
    listener: (this: this, event: WidgetEventMap<Outcome>[Name]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(name: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}

/** `<vitrine-text>`: a beginning, and a button that lets a language model go on. */
export class VitrineText extends Widget<TextModel, { prompt: string; text: string }> {
  /** The beginning (the default: what stands between the tags, else "One winter day, a fox"). Setting another one takes what was typed and written away. */
  prompt: string;
  /** At most so many tokens, from 1 (the default: 120). */
  maxTokens: number;
  /** From 0, always the likeliest token, to 10 (the default: 0.8). */
  temperature: number;
  /** A whole number from 0 to 2³² − 1; a new one each time when left out. */
  get seed(): number | undefined;
  set seed(seed: number | null | undefined);
  /** The beginning as it stands there, with what the reader typed. No attribute reflects it. */
  words: string;
  /** What the model has written. */
  readonly text: string;
  /** Writes on from the words; a second call ends the first. Resolves with the text; with what is there of it where it was stopped. */
  write(): Promise<string>;
}

/** `<vitrine-image>`: words, and a button that paints them. */
export class VitrineImage extends Widget<ImageModel, { prompt: string; picture: ImageData | undefined }> {
  /** What to paint (the default: what stands between the tags, else "a fox in the snow"). */
  prompt: string;
  /** Denoising steps, from 1 to 1000 (the default: the model's own). */
  get steps(): number | undefined;
  set steps(steps: number | null | undefined);
  /** From 0 to 50 (the default: the model's own). */
  get guidance(): number | undefined;
  set guidance(guidance: number | null | undefined);
  /** As of `<vitrine-text>`. */
  get seed(): number | undefined;
  set seed(seed: number | null | undefined);
  words: string;
  /** The finished picture, if there is one. */
  readonly picture: ImageData | undefined;
  /** Paints the words; a second call ends the first. Resolves with the picture, with nothing where it was stopped. */
  paint(): Promise<ImageData | undefined>;
}

/** `<vitrine-latent>`: a picture of a few numbers, two of which dragging and the arrow keys turn. */
export class VitrineLatent extends Widget<Autoencoder, { latent: Float32Array; picture: ImageData | undefined }> {
  /** Which number goes from left to right, and which from below to above, from 0 (the defaults: 0 and 1). */
  across: number;
  up: number;
  /** Which class of pictures, where the model was trained with labels (the default: 0). */
  label: number;
  /** The numbers; empty before the model is there. */
  readonly latent: Float32Array;
  readonly picture: ImageData | undefined;
  /** Makes the picture of these numbers; without any, of those that are there. */
  show(latent?: ArrayLike<number>): Promise<ImageData | undefined>;
  unfit(info: AutoencoderInfo): string | undefined;
}

declare global {
  interface HTMLElementTagNameMap {
    "vitrine-text": VitrineText;
    "vitrine-image": VitrineImage;
    "vitrine-latent": VitrineLatent;
  }
}

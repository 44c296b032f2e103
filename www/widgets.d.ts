/**
 * Elements for a page of prose. `import "./widgets.js"` (or a script element with `type="module"`) defines each when the first of its name is in a document or an open
 * shadow root, and `define` at once; on a server it does nothing.
 *
 * Every property below reflects the attribute of its name (`maxTokens`: `max-tokens`); set before the element is defined, it is kept. One that is
 * left out, or null, has the value given here as its default. An attribute that makes no sense is said in the widget and in its `error` event.
 *
 * Events, none of which bubbles: `ready` when a model is loaded (once for each load), `done` when a text or picture is finished or was
 * stopped, `error` with what went wrong.
 */

import type { Autoencoder, AutoencoderInfo, ImageModel, Message, Model, ModelKind, Score, TextModel, Trace, VitrineError } from "./vitrine.js";

/** Of `error`: `message`, and that of `error`, is the sentence that the reader sees; `error.details` what stands behind "Details", where something does. */
export type WidgetErrorEvent = ErrorEvent & { readonly error: VitrineError & { readonly details?: string } };

export interface WidgetEventMap<Outcome> {
  ready: Event;
  done: CustomEvent<Outcome & { stopped: boolean }>;
  error: WidgetErrorEvent;
}

/** How a form asks for an attribute. */
export type Entry = { type: "words" | "address" | "flag" | "list" } | { type: "number"; min: number; max: number; step: number | "any" } | { type: "choice"; choices: string[] };

/** What all widgets are. A class of your own extends it as widgets/text.js does, and is defined by `define`. */
export abstract class Widget<M extends Model = Model, Outcome extends object = object> extends HTMLElement {
  static readonly kinds: readonly ModelKind[];
  static readonly verb: string;
  static readonly look: string;
  static readonly attributes: Record<string, { fallback: unknown; read: (raw: string) => unknown; allowed: string; entry: Entry }>;
  static define(tag: string): void;

  /** A catalogue id, an address, or `hf://owner/repo/file.gguf`. */
  model: string;
  /** "auto" (the default), "cpu" or "webgpu". */
  device: "auto" | "cpu" | "webgpu" | undefined;
  /** A line below (the default: none; `<p slot="caption">` takes its place). */
  caption: string;
  /** Light, dark, or what `color-scheme` is where the widget stands ("auto", the default). */
  theme: "auto" | "light" | "dark";
  readonly button: HTMLButtonElement;
  readonly isWorking: boolean;

  /** The value of an attribute; throws a `VitrineError` where it makes no sense. */
  value(name: string): any;
  /** The same, but what stands in for an attribute that makes no sense. */
  setting(name: string): any;
  /** Whether two small buttons below copy its HTML and a link to it. */
  share: boolean;
  /** The HTML that makes it as it is now: the words as typed, the seed that was drawn last, the sliders; without what is so by default. */
  snippet(): string;
  /** A link to embed.html that shows it as it is now; none where it would be longer than 8000 characters, or where a build has moved the modules. */
  link(): string | undefined;
  /** What its attributes would have to say for that. */
  present(): Record<string, unknown>;
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
  /** Waits until the next step may come (`pace`; near the screen); whether it is still wanted. */
  paced(signal: AbortSignal): Promise<boolean>;
  say(sentence: string, more?: { fault?: boolean; details?: string }): void;
  inner(name: string): HTMLElement;

  addEventListener<Name extends keyof WidgetEventMap<Outcome>>(
    name: Name,
    listener: (this: this, event: WidgetEventMap<Outcome>[Name]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(name: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}

/** What widgets share that begin with words. */
export interface Worded<M extends Model = Model, Outcome extends object = object> extends Widget<M, Outcome> {
  /** The words to begin with (the default: what stands between the tags, else words of ours). Setting others takes what was typed and written away. */
  prompt: string;
  /** Whether the reader cannot change the words. */
  locked: boolean;
  /** The id of another widget, whose words, seed, beginning and end are this one's too. */
  linkedTo: string;
  /** The words as they stand there, with what the reader typed. No attribute reflects it. */
  words: string;
}

/** Of those that draw by chance. */
export interface Seeded {
  /** A whole number from 0 to 2³² − 1; a new one each time when left out. */
  get seed(): number | undefined;
  set seed(seed: number | null | undefined);
}

/** Of those that go step by step. */
export interface Paced {
  /** As fast as it goes (the default), slowly enough to watch, or one step for each press. */
  pace: "fast" | "slow" | "step";
}

/** `<vitrine-text>`: a beginning, and a button that lets a language model go on. */
export interface VitrineText extends Worded<TextModel, { prompt: string; text: string }>, Seeded, Paced {
  /** At most so many tokens, from 1 (the default: 120). */
  maxTokens: number;
  /** From 0, always the likeliest token, to 10 (the default: 0.8). */
  temperature: number;
  /** What the model has written. */
  readonly text: string;
  /** Writes on from the words; a second call ends the first. Resolves with the text; with what is there of it where it was stopped. */
  write(): Promise<string>;
}

/** `<vitrine-chat>`: a conversation with a model that answers. */
export interface VitrineChat extends Worded<TextModel, { messages: Message[] }>, Seeded, Paced {
  /** How the model should answer: the first message. */
  system: string;
  /** At most so many tokens an answer (the default: 256). */
  maxTokens: number;
  temperature: number;
  readonly messages: Message[];
  /** Sends the words. Resolves with the answer. */
  send(): Promise<string>;
  /** Forgets all turns. */
  clear(): void;
}

/** `<vitrine-tokens>`: words as a model's tokenizer cuts them. */
export interface VitrineTokens extends Worded<any, { prompt: string; tokens: { token: number; text: string }[] }> {
  readonly tokens: { token: number; text: string }[];
  /** Cuts the words, as typing them does. */
  show(): Promise<{ token: number; text: string }[]>;
}

/** `<vitrine-next>`: what may come next, and which filter removes what. */
export interface VitrineNext extends Worded<TextModel, { prompt: string; text: string }>, Seeded {
  /** Where its sliders stand at first: 0 to 2 (0.8); 0 to 100 (40); 0.05 to 1 (0.95); 0 to 0.5 (0.05). */
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  /** How many tokens are shown, 2 to 40 (8). */
  candidates: number;
  readonly trace: Trace | undefined;
  /** The words with what was picked and drawn. */
  readonly text: string;
  /** Draws a token. Resolves with the text. */
  draw(): Promise<string>;
  /** Puts a token behind the text. */
  pick(candidate: { token: number; text: string }): Promise<void>;
}

/** `<vitrine-score>`: how surprising a model finds one text, or two. */
export interface VitrineScore extends Worded<TextModel, { prompt: string; scores: Score[] }> {
  /** A second text; none when the attribute is left out. */
  other: string;
  readonly scores: Score[];
  score(): Promise<Score[]>;
}

/** `<vitrine-decoding>`: one beginning, gone on with in several ways. */
export interface VitrineDecoding extends Worded<TextModel, { prompt: string; texts: Record<string, string> }>, Seeded, Paced {
  /** Some of "greedy", "beams", "nucleus", "contrastive" (the default: all). The attribute has spaces between them. */
  get ways(): string[];
  set ways(ways: string[] | string | null | undefined);
  maxTokens: number;
  /** 2 to 8 (3). */
  beams: number;
  topP: number;
  temperature: number;
  alpha: number;
  readonly texts: Record<string, string>;
  write(): Promise<Record<string, string>>;
}

/** A token that was held to a form: whether it had to come; whether the form forbade what the model found likeliest; how many tokens it left; what the token was drawn from. */
export interface HeldToken {
  token: number;
  text: string;
  forced: boolean;
  bent: boolean;
  left: number;
  trace: Trace;
}

/** `<vitrine-schema>`: a text that is held to a form, and what the form forbade. */
export interface VitrineSchema extends Worded<TextModel, { prompt: string; text: string; tokens: HeldToken[] }>, Seeded, Paced {
  /** The form, one of these four. The attributes of schema and choice are JSON, of choice lines too. */
  get schema(): object | boolean | undefined;
  set schema(schema: object | boolean | string | null | undefined);
  get choice(): string[] | undefined;
  set choice(choice: string[] | string | null | undefined);
  get regex(): string;
  set regex(regex: string | RegExp | null | undefined);
  get grammar(): string | undefined;
  set grammar(grammar: string | null | undefined);
  /** At most so many tokens, from 1 (80). */
  maxTokens: number;
  /** From 0 to 10 (0.8). */
  temperature: number;
  /** How many tokens each table has, 2 to 20 (8). */
  candidates: number;
  readonly tokens: HeldToken[];
  readonly text: string;
  /** Writes a text of the form. */
  write(): Promise<string>;
}

/** A model in one form: bytes on the device, bits of a weight, the perplexity of the text, and the likeliest way on. */
export interface MeasuredForm {
  model: string;
  form: "keep" | "f16" | "q8_0" | "q4_0";
  name: string;
  deviceBytes: number;
  bits: number;
  perplexity: number;
  text: string;
  tokens: { token: number; text: string }[];
}

/** `<vitrine-quant>`: the same weights in several forms. `model` may name several, with spaces between them. */
export interface VitrineQuant extends Worded<any, { prompt: string; results: MeasuredForm[] }> {
  /** Some of "keep", "f16", "q8_0", "q4_0" (the default: "keep"): what each model's weights are made while they load. */
  get forms(): MeasuredForm["form"][];
  set forms(forms: MeasuredForm["form"][] | string | null | undefined);
  /** The text whose perplexity is measured; the words when left out. */
  text: string;
  /** Of the way on (40). */
  maxTokens: number;
  readonly results: MeasuredForm[];
  /** Loads each form, measures it and lets it go. */
  compare(): Promise<MeasuredForm[]>;
}

/** `<vitrine-image>`: words, and a button that paints them. */
export interface VitrineImage extends Worded<ImageModel, { prompt: string; picture: ImageData | undefined }>, Seeded, Paced {
  /** Denoising steps, from 1 to 1000 (the default: the model's own). */
  get steps(): number | undefined;
  set steps(steps: number | null | undefined);
  /** From 0 to 50 (the default: the model's own). */
  get guidance(): number | undefined;
  set guidance(guidance: number | null | undefined);
  /** The address of a picture to begin from, and how much of it may change, to 1. */
  get startImage(): string | undefined;
  set startImage(address: string | null | undefined);
  get strength(): number | undefined;
  set strength(strength: number | null | undefined);
  /** The finished picture, if there is one. */
  readonly picture: ImageData | undefined;
  /** Paints the words; a second call ends the first. Resolves with the picture, with nothing where it was stopped. */
  paint(): Promise<ImageData | undefined>;
}

/** `<vitrine-denoise>`: a picture that comes out of noise, and every step of it to go back to. */
export interface VitrineDenoise extends Worded<ImageModel, { prompt: string; pictures: ImageData[] }>, Seeded, Paced {
  get steps(): number | undefined;
  set steps(steps: number | null | undefined);
  get guidance(): number | undefined;
  set guidance(guidance: number | null | undefined);
  /** What each step came to. */
  readonly pictures: ImageData[];
  paint(): Promise<ImageData[]>;
}

/** `<vitrine-guidance>`: one seed, painted once for each guidance scale. */
export interface VitrineGuidance extends Worded<ImageModel, { prompt: string; pictures: ImageData[] }>, Seeded, Paced {
  /** Up to eight, from 0 to 50 (1 2 4 8). The attribute has spaces between them. */
  get scales(): number[];
  set scales(scales: number[] | string | null | undefined);
  get steps(): number | undefined;
  set steps(steps: number | null | undefined);
  readonly pictures: ImageData[];
  paint(): Promise<ImageData[]>;
}

/** `<vitrine-latent>`: a picture of a few numbers, two of which dragging and the arrow keys turn. */
export interface VitrineLatent extends Widget<Autoencoder, { latent: Float32Array; picture: ImageData | undefined }> {
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

/** The widgets by the names of their elements. */
export interface Widgets {
  "vitrine-chat": VitrineChat;
  "vitrine-decoding": VitrineDecoding;
  "vitrine-denoise": VitrineDenoise;
  "vitrine-guidance": VitrineGuidance;
  "vitrine-image": VitrineImage;
  "vitrine-latent": VitrineLatent;
  "vitrine-next": VitrineNext;
  "vitrine-quant": VitrineQuant;
  "vitrine-schema": VitrineSchema;
  "vitrine-score": VitrineScore;
  "vitrine-text": VitrineText;
  "vitrine-tokens": VitrineTokens;
}

/** Their names. */
export const TAGS: readonly string[];

/**
 * Defines widgets by their elements' names, all of them where none is named; resolves with their classes. Needed where one is made elsewhere than in the page's document and open
 * shadow roots, or its methods are wanted at once. Errors: `bad-argument`, a name that no widget has.
 */
export function define<Tag extends keyof Widgets>(...tags: Tag[]): Promise<(new () => Widgets[Tag])[]>;

declare global {
  interface HTMLElementTagNameMap extends Widgets {}
}

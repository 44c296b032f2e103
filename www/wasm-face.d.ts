/** What the worker calls: the face of `src/web`, written by `cargo xtask build`. Whatever fails throws, or rejects with, `{ code, message }`. */

import type {
    BeamOptions, ChatOptions, EmbedOptions, GenerateOptions, ImageOptions, Message, TemplateOptions,
} from "./vitrine.js";
import type {
    Alternative, AutoencoderInfo, CacheEntry, CacheUsage, DeviceInfo, EncoderInfo, EncoderStats, FoundBeams, ImageModelInfo, ImageModelStats, Labelling, Listed, ModelInfo, ModelStats, Next,
    Outlook, PaintedRows, PaintSummary, Ranked, SampleEvent, SamplesSummary, Score, Step, StepPart, TokenizerInfo,
} from "./values.js";

/** Bytes by address, with what is known of them beforehand, or at hand; `name` tells `tokenizer.json` from weights. */
export type SourceFile = { name: string; address: string; size?: number; sha256?: string } | { name: string; blob: Blob };

export type LoadOptions = { kind?: string; quantization?: string; contextLength?: number; cache: boolean };

/** A model's tokens: the bytes of all one behind another, where each ends, which are marks that readers do not see, and one that ends a text. */
export type Pieces = { bytes: Uint8Array; ends: Uint32Array; marks: Uint8Array; end: number };

/** Follows a text token by token: which may come next (a bit each), and the bytes that must. */
export type Matcher = { mask(): Uint32Array; take(token: number): void; forced(): Uint8Array; accepts(tokens: Uint32Array): number; readonly isComplete: boolean };

/** Makes a matcher for each text. */
export type Form = { follow(): Matcher };

/** A picture on its way: what `ImageData` holds. */
export type Pixels = { width: number; height: number; data: Uint8ClampedArray<ArrayBuffer> };

/** The options as they cross. */
export type BeamRequest = Omit<BeamOptions, "signal">;

/** The options as they cross: pictures go beside them. */
export type PaintOptions = Omit<ImageOptions, "signal" | "init" | "mask">;

/** The options as they cross. */
export type EmbedRequest = Omit<EmbedOptions, "signal">;

/** A step as it crosses. */
export type PaintedStep = PaintedRows & { pictures: Pixels[] };

/** A file as far as it was fetched. */
export type Beginning = { name: string; size: number; bytes: Uint8Array };

export type Latent = { latent: Float32Array; shape: number[] };

/** A model of any kind. */
export type Loaded = Model | Encoder | ImageModel | Autoencoder;

/**
 * A loaded autoencoder or generator.
 */
export class Autoencoder {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The picture of a latent of `shape`, of the class `label` where the model was trained with labels.
     */
    decodeLatent(latent: Float32Array, shape: number[], label: number | null | undefined, cancel: Cancel): Promise<Pixels>;
    /**
     * The latent of a picture.
     */
    encodePicture(picture: Pixels, cancel: Cancel): Promise<Latent>;
    info(): AutoencoderInfo;
    stats(): ImageModelStats;
}

/**
 * Ends a call from outside.
 */
export class Cancel {
    free(): void;
    [Symbol.dispose](): void;
    cancel(): void;
    constructor();
}

/**
 * A model that guesses for another. Freeing it closes nothing.
 */
export class Draft {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
}

/**
 * A loaded encoder.
 */
export class Encoder {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Labels of a text, of two together, or of tokens.
     */
    classify(text: string | Uint32Array, pair: string | null | undefined, truncate: boolean, cancel: Cancel): Promise<Labelling[]>;
    detokenize(tokens: Uint32Array | number[], skip_special: boolean): string;
    /**
     * An embedding of each text.
     */
    embed(texts: (string | Uint32Array)[], options: EmbedRequest, cancel: Cancel): Promise<Float32Array[]>;
    /**
     * For each mask the likeliest tokens.
     */
    fill(text: string | Uint32Array, k: number, cancel: Cancel): Promise<Next[][]>;
    info(): EncoderInfo;
    stats(): EncoderStats;
    tokenize(text: string, add_special: boolean, parse_special: boolean): Uint32Array;
}

/**
 * A device to load models on.
 */
export class Engine {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    device(): DeviceInfo;
    /**
     * Loads a model from `files`, telling `progress` of every step.
     */
    load(files: SourceFile[], options: LoadOptions, cancel: Cancel, progress: (step: Step) => void): Promise<Loaded>;
    /**
     * `device` is `"auto"`, `"webgpu"` or `"cpu"`; WebGPU is taken for `"hardware"` or `"software"`, with or without subgroups.
     */
    static open(device: string, taken_for?: string | null, subgroups?: boolean | null): Promise<Engine>;
    /**
     * What files are, by their first bytes; nothing where more of the first one is needed.
     */
    outlook(files: Beginning[]): Promise<Outlook | undefined>;
    /**
     * GGUFs of one model, the best first for a device with so many bytes of room.
     */
    rankFiles(files: Listed[], room?: number | null): Ranked[];
    /**
     * Bytes a second of a file's weights, most of which have the type of this name ([`Outlook::stored_as`]).
     */
    speed(dtype: string, cancel: Cancel): Promise<number>;
    /**
     * A tokenizer alone, from a GGUF, a `tokenizer.json`, SentencePiece's file, `vocab.json` with `merges.txt`, a `vocab.txt`, or RWKV's `rwkv_vocab_v20230424.txt`.
     */
    tokenizer(files: SourceFile[], options: LoadOptions, cancel: Cancel): Promise<Tokenizer>;
}

/**
 * A generation that is pulled chunk by chunk, of one text or of several. Freeing it ends it.
 */
export class Generation {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The `next` under way ends at once, with text that was held back or `undefined`.
     */
    cancel(): void;
    /**
     * Goes on with the same model on another device, after `next` said "device-lost".
     */
    moveTo(model: Model): Promise<void>;
    /**
     * `undefined` at the end.
     */
    next(): Promise<SampleEvent | undefined>;
    /**
     * As far as it has come.
     */
    summary(): SamplesSummary;
}

/**
 * A loaded image model.
 */
export class ImageModel {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    info(): ImageModelInfo;
    /**
     * Begins a painting.
     */
    paint(options: PaintOptions, init?: Pixels, mask?: Pixels): Painting;
    stats(): ImageModelStats;
}

/**
 * A loaded language model.
 */
export class Model {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Itself, to guess for another model.
     */
    asDraft(): Draft;
    /**
     * The likeliest texts behind a prompt as wholes, best first, and the steps of the search where they were asked for.
     */
    beams(prompt: string, options: BeamRequest, cancel: Cancel): Promise<FoundBeams>;
    /**
     * Answers a conversation.
     */
    chat(messages: Message[], options: ChatOptions, form?: Form | null, draft?: Draft | null): Generation;
    detokenize(tokens: Uint32Array | number[], skip_special: boolean): string;
    /**
     * Goes on from a text or from token ids.
     */
    generate(prompt: string | Uint32Array, options: GenerateOptions, form?: Form | null, draft?: Draft | null): Generation;
    info(): ModelInfo;
    /**
     * The `k` likeliest tokens after a text, likeliest first.
     */
    next(text: string, k: number, cancel: Cancel): Promise<Next[]>;
    /**
     * The model's tokens, as what holds a text to a form sorts them.
     */
    pieces(): Pieces;
    /**
     * Where the time of a decode step goes, the longest part first.
     */
    profile(steps: number, cancel: Cancel): Promise<StepPart[]>;
    /**
     * What the page kept of a saved conversation, whose computed states are brought back.
     */
    restore(file: Uint8Array | number[], other_model: boolean, cancel: Cancel): Promise<string>;
    /**
     * A conversation as a file, with what the page keeps of it.
     */
    save(messages: Message[], options: TemplateOptions, page: string, cancel: Cancel): Promise<Uint8Array<ArrayBuffer>>;
    /**
     * How likely each token of a text is after those before it.
     */
    score(text: string, cancel: Cancel): Promise<Score>;
    stats(): ModelStats;
    /**
     * The ids of a conversation, as [`Self::chat`] would give them to the model.
     */
    tokenizeChat(messages: Message[], options: TemplateOptions): Uint32Array;
    tokenize(text: string, add_special: boolean, parse_special: boolean): Uint32Array;
}

/**
 * A painting that is pulled step by step. Freeing it ends it.
 */
export class Painting {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The `next` under way ends at once, with the code "aborted".
     */
    cancel(): void;
    /**
     * Goes on with the same model on another device, after `next` said "device-lost".
     */
    moveTo(model: ImageModel): Promise<void>;
    /**
     * `undefined` at the end.
     */
    next(): Promise<PaintedStep | undefined>;
    /**
     * As far as it has come.
     */
    summary(): PaintSummary;
}

/**
 * Turns text into token ids and back.
 */
export class Tokenizer {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The text of `tokens`; marks (`<|end|>` and the like) are left out, or spelled out.
     */
    decode(tokens: Uint32Array | number[], skip_special: boolean): string;
    encode(text: string, add_special: boolean, parse_special: boolean): Uint32Array;
    info(): TokenizerInfo;
}

/**
 * Forgets one address, or everything.
 */
export function cacheDelete(address?: string | null): Promise<void>;

/**
 * What an address is kept by: in full, without what signs it.
 */
export function cacheKey(address: string): string;

export function cacheList(): Promise<CacheEntry[]>;

/**
 * Bytes of Vitrine's own, of the whole origin, and those that it may take.
 */
export function cacheUsage(): Promise<CacheUsage>;

/**
 * Runs once, when the module is loaded.
 */
export function start(): void;

export default function init(options: { module_or_path: string | URL }): Promise<unknown>;

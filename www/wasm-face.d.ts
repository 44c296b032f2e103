/**
 * What the worker calls: the wasm-bindgen face of `src/web`, as `pkg/vitrine.js` exports it. Written by hand so that the
 * JavaScript can be checked before the crate is built.
 *
 * Every method that fails throws, or rejects with, `{ code, message }`. Every object must be freed.
 */

import type { AutoencoderInfo, CacheEntry, ChatOptions, Chunk, DeviceInfo, GenerateOptions, GenerationSummary, ImageModelInfo, ImageModelStats, ImageOptions, Message, ModelInfo, ModelStats, PaintStep, PaintSummary, Progress, Score, StepPart, TemplateOptions, TokenizerInfo, Alternative } from "./vitrine.js";

/** Bytes by address, with what is known of them beforehand, or at hand; `name` tells `tokenizer.json` from weights. */
export type SourceFile = { name: string; address: string; size?: number; sha256?: string } | { name: string; blob: Blob };

/** How far a load has come; worker.js adds the speed. */
export type Step = Omit<Progress, "speed">;

export interface Cancel {
  cancel(): void;
  free(): void;
}

export interface Engine {
  device(): DeviceInfo;
  load(
    files: SourceFile[],
    options: { kind?: string; quantization?: string; contextLength?: number; cache: boolean },
    cancel: Cancel,
    progress: (step: Step) => void,
  ): Promise<Model | ImageModel | Autoencoder>;
  tokenizer(files: SourceFile[], options: { cache: boolean }, cancel: Cancel): Promise<Tokenizer>;
  free(): void;
}

export interface Model {
  info(): ModelInfo;
  stats(): ModelStats;
  generate(prompt: string | Uint32Array, options: GenerateOptions): Generation;
  chat(messages: Message[], options: ChatOptions): Generation;
  tokenize(text: string, addSpecialTokens: boolean, parseSpecialTokens: boolean): Uint32Array;
  tokenizeChat(messages: Message[], options: TemplateOptions): Uint32Array;
  detokenize(tokens: Uint32Array): string;
  score(text: string, cancel: Cancel): Promise<Score>;
  next(text: string, k: number, cancel: Cancel): Promise<(Alternative & { probability: number })[]>;
  profile(steps: number, cancel: Cancel): Promise<StepPart[]>;
  free(): void;
}

export interface Generation {
  /** `undefined` at the end. */
  next(): Promise<Chunk | undefined>;
  /** The `next` under way ends at once, with text that was held back or `undefined`. */
  cancel(): void;
  summary(): GenerationSummary;
  free(): void;
}

/** A picture on its way: what `ImageData` holds. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8ClampedArray<ArrayBuffer>;
}

/** The options as they cross: pictures go beside them. */
export type PaintOptions = Omit<ImageOptions, "signal" | "init" | "mask">;

export interface ImageModel {
  info(): ImageModelInfo;
  stats(): ImageModelStats;
  paint(options: PaintOptions, init?: Pixels, mask?: Pixels): Painting;
  free(): void;
}

export interface Autoencoder {
  info(): AutoencoderInfo;
  stats(): ImageModelStats;
  decodeLatent(latent: Float32Array, shape: number[], cancel: Cancel): Promise<Pixels>;
  encodePicture(picture: Pixels, cancel: Cancel): Promise<{ latent: Float32Array; shape: number[] }>;
  free(): void;
}

/** A step as it crosses. */
export type PaintedStep = Omit<PaintStep, "image" | "images"> & { pictures: Pixels[] };

export interface Painting {
  /** `undefined` at the end. */
  next(): Promise<PaintedStep | undefined>;
  /** The `next` under way ends at once, with the code "aborted". */
  cancel(): void;
  summary(): PaintSummary;
  free(): void;
}

export interface Tokenizer {
  info(): TokenizerInfo;
  encode(text: string, addSpecialTokens: boolean, parseSpecialTokens: boolean): Uint32Array;
  decode(tokens: Uint32Array, skipSpecialTokens: boolean): string;
  free(): void;
}

export interface Face {
  default(options: { module_or_path: string }): Promise<unknown>;
  Engine: { open(device: string, as?: string, subgroups?: boolean): Promise<Engine> };
  Cancel: new () => Cancel;
  cacheList(): Promise<CacheEntry[]>;
  cacheDelete(address?: string): Promise<void>;
  cacheUsage(): Promise<{ bytes: number; used: number; quota: number }>;
}

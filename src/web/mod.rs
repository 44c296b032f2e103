//! The wasm-bindgen face, used by `www/worker.js` alone: the only room that knows JavaScript.
//!
//! `Engine` opens a device and loads, `Model` writes, `Encoder` embeds, fills and classifies, `Generation` gives chunks one by one, `ImageModel` paints, `Painting` gives steps one by
//! one, `Autoencoder` decodes and encodes, `Tokenizer` stands alone, `Cancel` stops a call. What crosses has the types of `www/values.d.ts` and those
//! of [`TYPES`]; `cargo xtask build` writes what wasm-bindgen makes of both into `www/wasm-face.d.ts`.
//!
//! Uses `text`, `image` and `weights`. Promises: every failure is thrown as `{ code, message }`; a panic leaves its message in
//! `globalThis.vitrinePanic` before the module traps.

mod cache;
mod cancel;
mod device;
mod engine;
mod files;
mod js;
mod matcher;
mod models;
pub mod opfs;
mod outlook;
pub mod sources;
mod tokenizer;

use wasm_bindgen::prelude::wasm_bindgen;

/// The types that the methods here name.
#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
import type {
  BeamOptions, ChatOptions, EmbedOptions, GenerateOptions, ImageOptions, Message, TemplateOptions,
} from "../vitrine.js";
import type {
  Alternative, AutoencoderInfo, CacheEntry, CacheUsage, DeviceInfo, EncoderInfo, EncoderStats, FoundBeams, ImageModelInfo, ImageModelStats, Labelling, Listed, ModelInfo, ModelStats, Next,
  Outlook, PaintedRows, PaintSummary, Ranked, SampleEvent, SamplesSummary, Score, Step, StepPart, TokenizerInfo,
} from "../values.js";

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
"#;

/// Runs once, when the module is loaded.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| {
        console_error_panic_hook::hook(panic);
        // The worker tells the page in these words why everything ended. Where even this fails, it says less.
        let _ = js_sys::Reflect::set(&js_sys::global(), &"vitrinePanic".into(), &panic.to_string().into());
    }));
}

/** The values that cross between the module and the page, written by `cargo xtask build` from the types of the crate. */

/** What runs the model and why that was chosen. */
export interface DeviceInfo {
  /** `"webgpu"` or `"cpu"`. */
  kind: "webgpu" | "cpu";
  /** The adapter's own name, or the CPU kernels in use. */
  name: string;
  /** A sentence: why this device. */
  reason: string;
  /** A GPU made of software (SwiftShader, llvmpipe). */
  software: boolean;
  subgroups: boolean;
  f16: boolean;
  /** Largest buffer and largest binding in bytes; 0 on the CPU. */
  maxBufferBytes: number;
  maxBindingBytes: number;
}

/** What runs alike in every layer, taken together. */
export interface StepPart {
  /** What runs, and in which part of the model: `"matvec @ attention"`. */
  part: string;
  /** How often a step runs it. */
  runs: number;
  /** Milliseconds that all of its runs in one step take. */
  ms: number;
}

/** A model in a few words. */
export interface FileSummary {
  /** `general.name`, or the file's. */
  name: string;
  parameters: number;
  /** The type that most of the weights have. */
  quantization: string;
  /** Bytes of the weights in the file. */
  weightBytes: number;
}

/** A token that the model knows, what it says, and how likely it was. */
export interface Alternative {
  token: number;
  text: string;
  /** Natural logarithm of the model's own probability, before temperature and filters. */
  logprob: number;
}

/**
 * A filter by its option: `"ban"` is any bias that rules a token out, `"temperature"` the choice of the likeliest; `"topNSigma"`, `"topK"`, `"typicalP"`,
 * `"topP"`, `"minP"`, `"xtc"` and `"mirostat"` are themselves.
 */
export type FilterName = "ban" | "temperature" | "topNSigma" | "topK" | "typicalP" | "topP" | "minP" | "xtc" | "mirostat";

/** A token that might have come, and what became of it. */
export interface Considered {
  token: number;
  text: string;
  /** As `Alternative.logprob`. */
  logprob: number;
  /** In what the token was drawn from, after temperature and filters; 0 for one that was dropped. */
  probability: number;
  /** The option whose filter dropped it. */
  droppedBy?: FilterName;
}

/** What the filters left of the tokens that might have come. */
export interface Trace {
  /** The likeliest, likeliest first; last the chosen one, where it is not among them. */
  candidates: Considered[];
  /** Each filter that is on, in order, by its option's name, and how many tokens it left. */
  filters: [FilterName, number][];
}

/** A step of a generation. */
export interface TokenEvent {
  /** What can be shown now. Empty while characters or a possible stop string are incomplete. */
  text: string;
  /** The token, and what it says by itself. The last chunk may hold only text that was held back: it then has no token. */
  token?: number;
  /** What the token itself says; see `Alternative.logprob` for the number, which no one asked for where it is `forced`. */
  piece: string;
  /** Whether it is a mark that readers do not see, so that `piece` alone tells of it. */
  mark?: true;
  /** As in `Alternative`; absent where the token is `forced`. */
  logprob?: number;
  /**
   * Natural logarithm of its probability in what it was drawn from, after temperature and filters; 0 where the likeliest is taken or nothing else
   * could come.
   */
  drawnLogprob?: number;
  /** The likeliest tokens at this place, likeliest first; empty unless asked for. */
  alternatives: Alternative[];
  /** Where it was asked for. */
  trace?: Trace;
  /** What the text is held to let nothing else come, and the model was not asked. Where `alternatives` or `trace` are asked for, it always is. */
  forced?: true;
}

/**
 * Why a generation ended.
 * - "eos": The model ended the text.
 * - "stop": A stop string was met, or the text is all that it is held to.
 * - "length": As many tokens are there as were asked for.
 * - "context": The context is full.
 * - "aborted": The caller's signal fired.
 */
export type FinishReason = "eos" | "stop" | "length" | "context" | "aborted";

/** A step of one of the texts. */
export interface SampleEvent extends TokenEvent {
  /** Which text, where there are several. */
  index?: number;
}

/** What came of one of the texts. */
export interface SampleSummary {
  seed: number;
  generatedTokens: number;
  /** Missing while it is written. */
  finishReason?: FinishReason;
}

/** What a model is. */
export interface ModelInfo {
  /** `"text"`. */
  kind: "text";
  name: string;
  architecture: string;
  parameters: number;
  /** The type that most of the weights have. */
  quantization: string;
  /** Bytes of the weights in the file. */
  weightBytes: number;
  vocabulary: number;
  layers: number;
  width: number;
  /** Tokens that the context holds here; none of a recurrent model, whose states have one size whatever they met. */
  contextLength?: number;
  /** Tokens that the model was made for. */
  trainedContextLength?: number;
  /** Whether it reads its prompt as a whole and writes another text (T5, BART, Marian, Pegasus); else it goes on from the prompt. */
  encoderDecoder: boolean;
  /** Whether its files bring a chat template that can be read. */
  chat: boolean;
  /** Why not, where they bring one that cannot: `chat` says the same. Texts can be gone on with all the same. */
  chatProblem?: string;
  /** The source of the template that writes a conversation with tools, which is the one without them where there is no other. */
  chatTemplate?: string;
  /** How the model is sampled where `GenerateOptions` leaves it open. */
  sampling: SamplingDefaults;
  device: DeviceInfo;
}

/** What a generation took. */
export interface GenerationStats {
  promptTokens: number;
  /** Of these, how many were in the cache already. */
  reusedTokens: number;
  generatedTokens: number;
  /** Tokens that were awaited with no step queued behind them, so that a GPU then stood still; on the CPU none. */
  waits: number;
  /** The seed that was given or drawn. */
  seed: number;
  /** Tokens that were guessed, by prompt look-up or by a draft model, and how many of them were right. */
  draftedTokens: number;
  acceptedTokens: number;
  /** Tokens that had to come, and were not computed one by one. */
  forcedTokens: number;
  /** From the call to the first token. */
  firstTokenMs: number;
  /** Prompt tokens that were computed, a second. */
  prefillTokensPerSecond: number;
  /** Tokens after the first, a second. */
  decodeTokensPerSecond: number;
}

/** The sampling of a model where a caller leaves it open; see `GenerateOptions` for what each means. */
export interface SamplingDefaults {
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  repetitionPenalty: number;
  /** Who says so: `"generation_config.json"`, `"gguf"`, or `"vitrine"` where the files are silent. */
  from: "generation_config.json" | "gguf" | "vitrine";
}

/** A token of a scored text. */
export interface ScoredToken {
  token: number;
  text: string;
  /** Missing of the first token: nothing stands before it. */
  logprob?: number;
}

/** How likely the model finds a text. */
export interface Score {
  /** Every token of the text with its log-probability; the first of all has none. */
  tokens: ScoredToken[];
  /** The sum of the log-probabilities. */
  logprob: number;
  /** `exp` of the negated mean log-probability; 1 where there is nothing to score. */
  perplexity: number;
}

/** A text that was found. */
export interface Beam {
  text: string;
  /** Without the one that ended it. */
  tokens: number[];
  /** Its log-probability, the end's included, over its length to the power of the length penalty. */
  score: number;
  finishReason: FinishReason;
}

/** A way to go on that a step weighed. */
export interface BeamBranch {
  /** The beam that it goes on from, by its place in the step before; 0 in the first. */
  parent: number;
  token: number;
  text: string;
  /** The log-probability of the text with it, less what `diversity` costs. */
  score: number;
  /** Its place among the beams of the next step, if it is one. */
  beam?: number;
  /** Whether a text ends here that counts among the best so far. */
  ended: boolean;
}

/** What a search found, and where it was asked for each of its steps: the branches that were weighed, the likeliest of each group first. */
export interface FoundBeams {
  beams: Beam[];
  steps: BeamBranch[][];
}

/** What an encoder is. */
export interface EncoderInfo extends FileSummary {
  /** `"encoder"`. */
  kind: "encoder";
  architecture: string;
  vocabulary: number;
  layers: number;
  /** Numbers of an embedding. */
  width: number;
  /** Tokens of a text at most. */
  contextLength: number;
  /** How rows become an embedding, and whether it is made as long as 1, where `EmbedOptions` leave it open: as the files say (sentence-transformers' `1_Pooling` and `modules.json`, a GGUF's `pooling_type`), else the mean, made so. */
  pooling: Pooling;
  normalize: boolean;
  /** Whether it fills masks, and the mask's token as a text is to have it. */
  fills: boolean;
  mask?: string;
  /** What `classify` tells apart, where the file has a head for it. */
  labels?: string[];
  /** Whether the labels are each token's; else the text's. */
  classifiesTokens: boolean;
  device: DeviceInfo;
}

/** How the rows of a text become one embedding. */
export type Pooling = "mean" | "first" | "last" | "max";

/** A label and how likely it is. */
export interface Labelling {
  label: string;
  probability: number;
  /** What it is said of, where labels are each token's. */
  token?: number;
  text?: string;
}

/** What an encoder took. */
export interface EncoderStats {
  loadMs: number;
  /** Bytes on the device: weights and plans. */
  deviceBytes: number;
  /** Tokens of the last text. */
  tokens: number;
  tokensPerSecond: number;
}

/** What a model took; what no generation has measured yet is left out. */
export interface ModelStats {
  loadMs: number;
  /** Weights, caches and plans. */
  deviceBytes: number;
  /** What a decode step costs on the GPU. */
  dispatchesPerStep: number;
  passesPerStep: number;
  submitsPerStep: number;
  /** Of the latest generation. A wait is a token that was awaited with no step queued behind it, so that the GPU then stood still. */
  waitsPerToken?: number;
  timeToFirstTokenMs?: number;
  prefillTokensPerSecond?: number;
  decodeTokensPerSecond?: number;
}

/** A token and how likely it is in its place. */
export interface Next {
  token: number;
  text: string;
  logprob: number;
  probability: number;
}

/** What came of a generation. */
export interface SamplesSummary extends GenerationStats {
  /** Of the text, or of several the same of all; nothing while one is written. */
  finishReason?: FinishReason;
  /** Of each text where `n` is above 1; what stands beside is of all together. */
  samples?: SampleSummary[];
}

/**
 * Ways from noise to a picture, by the names of their papers and of k-diffusion. Those of Heun, KDPM2 and DPM++ SDE ask the denoiser twice a step, PNDM
 * twice in its first. "ddpm", "euler-ancestral", "kdpm2-ancestral", "dpm++-2m-sde", "dpm++-sde", "lcm" and "tcd" (eta 0.3) draw noise on the way, all of it
 * from the seed. A model's own (the `scheduler` of its info) runs with every setting of its files, and another with
 * what diffusers' `from_config` takes over.
 */
export type SchedulerName = "ddpm" | "ddim" | "pndm" | "euler" | "euler-ancestral" | "heun" | "lms" | "kdpm2" | "kdpm2-ancestral" | "deis" | "dpm++-2m" | "dpm++-2m-karras" | "dpm++-2m-sde" | "dpm++-2s" | "dpm++-sde" | "unipc" | "lcm" | "tcd" | "edm-euler" | "edm-dpm++-2m" | "flow-euler";

/** What a model is. */
export interface ImageModelInfo extends FileSummary {
  /** `"image"`. */
  kind: "image";
  architecture: string;
  /** What it paints where nothing is asked for. */
  width: number;
  height: number;
  /** Sides must be multiples of this, up to `largest`; with `fixedSize` there is but one size. */
  sizeMultiple: number;
  largest: number;
  /** Whether it paints no other size than its own. */
  fixedSize: boolean;
  steps: number;
  guidance: number;
  scheduler: SchedulerName;
  schedulers: SchedulerName[];
  /** Whether the autoencoder can encode: pictures to begin from, masks. */
  takesPictures: boolean;
  /** The words that the model knows, where they are few; empty where it reads any. */
  words: string[];
  device: DeviceInfo;
}

/** What a painting took. */
export interface PaintSummary {
  seed: number;
  steps: number;
  totalMs: number;
  /** Words at the end of the prompt that the model cannot read at once, if there are any. */
  cut?: string;
  /** Words of the prompt that the model never met; they are passed over. */
  unknown?: string[];
  /** Marks of the prompts that stand for more than their words elsewhere, and were read as words: `(word:1.2)` where it cannot be weighted, `[a|b]`, `BREAK` … */
  literal?: string[];
}

/** What an autoencoder is. */
export interface AutoencoderInfo extends FileSummary {
  /** `"autoencoder"` or `"generator"`. */
  kind: "autoencoder" | "generator";
  architecture: string;
  latentChannels: number;
  /** Pixels of a side for each pixel of the latent's; 0 where a latent is a vector. */
  factor: number;
  encodes: boolean;
  decodes: boolean;
  /** How many labels a picture may be asked for by, from 0 on; missing where it is made of the latent alone. */
  classes?: number;
  device: DeviceInfo;
}

/** What a model took; what no painting has measured yet is left out. */
export interface ImageModelStats {
  loadMs: number;
  deviceBytes: number;
  dispatchesPerStep: number;
  submitsPerStep: number;
  msPerStep?: number;
  decodeMs?: number;
}

/** A step without its pictures. */
export interface PaintedRows {
  /** From 1 to `steps`. */
  step: number;
  steps: number;
  /** Whether these are the finished pictures. */
  final: boolean;
  /** The seed that was given or drawn. */
  seed: number;
  /** Milliseconds that the step took, and that its picture took. */
  stepMs: number;
  decodeMs: number;
}

/** Where bytes come from, as the page tells it; the slowest of several. */
export type Origin = "memory" | "cache" | "network";

/** How far a load has come. */
export interface Step {
  /** `"download"` or `"compile"`. */
  phase: "download" | "compile";
  /** Bytes so far, and of the whole; `total` is 0 where the server does not say. */
  loaded: number;
  total: number;
  /** Where the bytes come from. */
  from: Origin;
}

/** What a tokenizer is. */
export interface TokenizerInfo {
  /** What it was read from: `"gguf"`, `"tokenizer.json"`, `"sentencepiece"`, `"merges.txt"`, `"vocab.txt"` or `"rwkv_vocab_v20230424.txt"`. */
  kind: "gguf" | "tokenizer.json" | "sentencepiece" | "merges.txt" | "vocab.txt" | "rwkv_vocab_v20230424.txt";
  vocabulary: number;
  bos?: number;
  eos?: number;
  chat: boolean;
}

/** What the bytes of an entry are. */
export interface CacheRecord {
  /** The address it came from, without the parameters that sign it (`X-Amz-…`, `Signature` and what is signed with it, `token`): it is kept by this. */
  address: string;
  /** Of the whole file, in bytes. */
  size: number;
  /** What the server called this state of the file (its `ETag`, `Last-Modified` or both). */
  version?: string;
  /** All bytes are there. */
  complete: boolean;
  /** In hexadecimal, where the bytes were checked against one. */
  sha256?: string;
}

/** An entry as a page lists it. */
export interface CacheEntry extends CacheRecord {
  /** Bytes that are there. */
  bytes: number;
}

/** Bytes in use and allowed. */
export interface CacheUsage {
  /** Kept by Vitrine. */
  bytes: number;
  /** Used by the whole origin, and what the browser allows it; 0 where it does not say. */
  used: number;
  quota: number;
}

/** What a model is, and what it would take. */
export interface Outlook {
  /** `"text"`, `"encoder"`, `"image"`, `"autoencoder"` or `"generator"`. */
  kind: "text" | "encoder" | "image" | "autoencoder" | "generator";
  architecture: string;
  /** Numbers of all weights, where every one was looked at. */
  parameters?: number;
  /** As names of files have it where such a name told it, or says the same as the weights; else the type that most of the weights have. */
  quantization?: string;
  /** Whether the list of its weights was read; else its name says how they are stored, if anything does. */
  weighed: boolean;
  /** The type that most of the weights have, where it is known. */
  storedAs?: string;
  /** Tokens that the model was made for. */
  contextLength?: number;
  /** Bytes of the weights in their files. */
  stored: number;
  /** Bytes on the device. */
  weights: number;
  /** Those of the caches, with room for as many tokens as where a caller does not say. */
  caches: number;
  /** Of an autoencoder or a generator: pixels of a side for each of the latent's, 0 where that is a vector, and whether it decodes. */
  factor?: number;
  decodes?: boolean;
}

/** A file of a listing, or several that are one model's parts, by the name of the first. */
export interface Listed {
  name: string;
  /** Of all parts. */
  bytes: number;
}

/** What is to be said of one of them. */
export interface Ranked {
  /** Which of those that were given. */
  index: number;
  quantization?: string;
  /** Whether weights stored so are computed here. */
  runs: boolean;
  /** Bytes of its weights on a device. */
  weights: number;
}

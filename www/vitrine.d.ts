/// <reference lib="esnext.disposable" />

/**
 * Vitrine: small generative models inside a web page, on WebGPU and on the CPU.
 *
 * ```js
 * import { Engine } from "./vitrine.js";
 * const engine = await Engine.create();
 * const llm = await engine.load("storyteller");
 * for await (const { text } of llm.generate("One winter day, a fox")) show(text);
 * ```
 *
 * Importing this module touches neither `window` nor `document`: it may run on a server that renders pages.
 */

import type {
  Alternative, AutoencoderInfo, Beam, BeamBranch, CacheEntry, CacheUsage, DeviceInfo, EncoderInfo, EncoderStats, FinishReason, ImageModelInfo, ImageModelStats, Labelling,
  ModelInfo, ModelStats, Next, PaintedRows, PaintSummary, Pooling, SampleEvent, SamplesSummary, SchedulerName, Score, Step, StepPart, TokenizerInfo,
} from "./values.js";

export type {
  Alternative, AutoencoderInfo, Beam, BeamBranch, CacheEntry, Considered, DeviceInfo, EncoderInfo, EncoderStats, FilterName, FinishReason, GenerationStats, ImageModelInfo,
  ImageModelStats, Labelling, ModelInfo, ModelStats, Next, PaintSummary, Pooling, SampleSummary, SamplingDefaults, SchedulerName, Score, StepPart, TokenizerInfo, Trace,
} from "./values.js";

/** What went wrong, as a word that never changes its meaning. */
export type ErrorCode =
  | "unsupported-model"
  | "corrupt-file"
  | "out-of-memory"
  | "device-lost"
  | "aborted"
  | "network"
  | "bad-argument"
  | "device-faulty"
  | "context-overflow"
  | "storage"
  | "closed"
  | "invalid-graph"
  | "internal";

/** The one error that Vitrine throws: a stable `code`, and a sentence that says what to do. */
export class VitrineError extends Error {
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown });
  readonly name: "VitrineError";
  readonly code: ErrorCode;
}

export interface EngineOptions {
  /** "auto" (the default) takes WebGPU where it is real hardware and the CPU elsewhere; the others insist. */
  device?: "auto" | "webgpu" | "cpu";
  /**
   * What WebGPU's adapter is taken for, whatever it is made of: `"hardware"` runs the kernels that a graphics card gets on an adapter made of
   * software too, so that what a reader sees elsewhere can be seen here. Left out, the adapter says so itself.
   */
  as?: "hardware" | "software";
  /** `false` keeps WebGPU's kernels from using subgroups. Left out, they do where the adapter has them and they are found to work. */
  subgroups?: boolean;
  /**
   * The address of `worker.js` in a whole copy of Vitrine, where bundling left it behind; the `.wasm`, the catalogue and its models are then
   * looked for around it. Relative addresses are relative to the page, here and below.
   */
  worker?: string | URL;
  /** The `.wasm`, if not in `pkg/` beside the worker. */
  wasm?: string | URL;
  /** The glue of that `.wasm`, where it is another build than the one that came along. */
  glue?: string | URL;
  /**
   * Another catalogue than `models/catalog.json`. Its files lie where it says, from its own address on. One that is absent or no catalogue is
   * `bad-argument` when it is first read.
   */
  catalog?: string | URL;
  /** The `.wasm` that is loaded when a text is first held to a form, if not `constraints_bg.wasm` in `pkg/` beside the worker. */
  constraints?: string | URL;
  /** Where `hf://` leads and what `find` asks: a mirror of Hugging Face's hub (the default: https://huggingface.co). */
  hub?: string | URL;
  /** Whether downloads are kept in the browser's storage (the default: yes). */
  cache?: boolean;
  /**
   * Told once when the device went away (a crash, a driver that started anew) and another took its place: the GPU again, or the CPU where the browser gives
   * none. Models come back from where they came, texts and pictures under way go on where they were; nothing needs to be done.
   */
  onDeviceLost?: (device: DeviceInfo) => void;
}

/** One thing that holds bytes: an address, a catalogue id, or the bytes themselves. */
export type FileSource = string | URL | Blob | ArrayBuffer | ArrayBufferView;

/**
 * A model: a catalogue id, `https://…`, `hf://owner/repo/file.gguf`, `hf://owner/repo`, a `File`, a `Blob`,
 * an `ArrayBuffer`; `parts`, the pieces of one split GGUF; files by name (`{ "model.gguf": file, "tokenizer.json": other }`); or files as they were
 * chosen (`input.files`, an array of `File`), by their own names, below the folder that holds them all.
 *
 * A revision of a repository stands behind `@`: `hf://owner/repo@v2/file.gguf`, `hf://owner/repo@refs/pr/7`; slashes of others than the hub's own
 * `refs/pr/…` and `refs/convert/…` are written `%2F`.
 *
 * Of a model in parts the address of any part is enough, or that of its `*.index.json`. Of a repository, a folder or files by name what belongs to
 * the model is taken: the files that an index names, else safetensors before PyTorch's and half precision before others; adapters, projectors, what a
 * training left and texts are passed over. A part that is not there is `bad-argument` and named.
 *
 * A folder of diffusers: the address of its `model_index.json`, `hf://owner/repo`, or its files by name (`"unet/config.json"` …). A
 * single-file checkpoint holds no vocabulary, so its `tokenizer.json` is given with it.
 *
 * Weights are GGUF, safetensors, or state dicts as PyTorch 1.6 and later saves them (`.bin`, `.pt`, `.pth`, `.ckpt`). Older pickles,
 * whole modules and compressed archives are `unsupported-model`; files that are cut or do not add up are `corrupt-file`.
 */
export type Source = FileSource | { parts: FileSource[] } | { files: Record<string, FileSource> | FileList | File[] } | NamedFiles | FileList | File[];
export interface NamedFiles {
  [name: string]: FileSource;
}

/** How far a load has come. */
export interface Progress extends Step {
  /** Bytes a second over the last second or so; 0 where that means nothing. */
  speed: number;
}

/**
 * What every call takes. An option that a call does not know, that is of the wrong type or that does not apply to this kind of model is refused
 * with `bad-argument`; `null` means left out.
 */
export interface CallOptions {
  signal?: AbortSignal;
}

/** Language models; encoders of text; text-to-image models; autoencoders (or half of one); generators that make a picture of a latent alone (GANs). */
export type ModelKind = "text" | "encoder" | "image" | "autoencoder" | "generator";

export interface LoadOptions extends CallOptions {
  onProgress?: (progress: Progress) => void;
  /** What the file holds; read from the file when it is left out. */
  kind?: ModelKind;
  /** How the weights are stored on the device: "keep", as the file has them (the default), or made so while they load. What is quantised already stays as it is. */
  quantization?: "keep" | "f16" | "q8_0" | "q4_0";
  /** Tokens that a language model may look back on; its own limit, within reason, when left out. */
  contextLength?: number;
  /** The SHA-256, in hexadecimal, of the file at an address; checked before the model is used. Catalogue entries bring their own. */
  sha256?: string;
  /** Overrides the engine's `cache` for this load. */
  cache?: boolean;
}

export interface FindOptions extends CallOptions {
  /** Models of this kind alone. */
  kind?: ModelKind;
  /** None that is a larger download. */
  maxBytes?: number;
  /** How many repositories are looked at, 1 to 50 (the default: 8). */
  limit?: number;
}

/** A file of a repository, or several that are one model: what `engine.load` takes, how its weights are stored, and the bytes that it brings. */
export interface FoundFile {
  source: string;
  /** As names of files have it (`"Q4_K_M"`), else the type that most of the weights have; null where it is not known. */
  quantization: string | null;
  bytes: number | null;
}

/**
 * A repository's model, by the file that is best here: of small models eight bits (up to 400 MB), of others four, of those that the device has room for.
 *
 * A GGUF's metadata is looked at, of safetensors all headers and the configuration: no weight is fetched. A load looks at more, and has the last word.
 */
export interface FoundModel extends FoundFile {
  repository: string;
  /** The address of its page at the hub. */
  page: string;
  /** Whether it can be loaded here. */
  runs: boolean;
  /** Why not, in a sentence that says what to do: an architecture or a quantisation that is not computed, a login that is asked for. */
  why?: string;
  kind: ModelKind | null;
  /** As `general.architecture` of a GGUF spells it; a pipeline's class. */
  architecture: string | null;
  files: string[];
  /** Whether its own list of weights says how they are stored, or its name alone: the list of a GGUF stands behind its vocabulary, where not every server lets one read. */
  quantizationBy: "file" | "name" | null;
  parameters: number | null;
  /** Tokens that it was made for. */
  contextLength: number | null;
  /** Of an autoencoder or a generator, as its `info` will have them. */
  factor: number | null;
  decodes: boolean | null;
  license: string | null;
  /** Whether its owner wants to know who takes it: then it is downloaded behind a login and opened as a file. */
  gated: boolean;
  /**
   * Bytes on the device: weights in the form that it computes with, caches of the usual context. `room` is what they are compared with: on the CPU the 4 GiB
   * that WebAssembly can address, everywhere what the browser says of the machine's memory; null where it says nothing.
   */
  memory: { weights: number; caches: number; room: number | null } | null;
  /** Null where nobody says how much room there is; browsers do not tell a graphics card's memory. */
  fits: boolean | null;
  /** An estimate for language models: the weights of this type that the device was measured to read in a second, over those that a token needs, which are all. */
  tokensPerSecond: number | null;
  downloads: number;
  /** The repository's other files that run, the next best first. */
  others: FoundFile[];
}

/** A model that was opened here before and whose files are kept. */
export interface OpenedModel {
  /** What `engine.load` takes, without a network too. */
  source: string | { files: Record<string, string> };
  kind: ModelKind;
  name: string;
  architecture: string;
  quantization: string;
  parameters: number;
  /** Of an autoencoder or a generator, as its `info` had them. */
  factor?: number;
  decodes?: boolean;
  /** Kept in the browser's storage. */
  bytes: number;
  /** The addresses that its files are kept by; `cache.delete` of this entry forgets them. */
  files: string[];
  /** When it was opened last, in milliseconds since 1970. */
  openedAt: number;
}

/** For `chat` and for `tokenize` of a conversation: what the model's chat template is told beside the messages. */
export interface TemplateOptions {
  /**
   * Whether a model that can think before it answers does so. Left out, its chat template decides; where that never asks (Qwen 3's does),
   * `true` is refused.
   */
  thinking?: boolean;
  /**
   * Functions that the model may call; the template writes them as the model learnt to read them. One of another shape than {@link Tool} reaches it as
   * it is (`{ type: "function", function: { name, description, parameters } }`). Where the template knows of none, a system message tells of them.
   */
  tools?: (Tool | Record<string, unknown>)[];
  /** Texts to answer from, where the template knows of such: `{ title, text }`. */
  documents?: Record<string, unknown>[];
  /** Further variables that the template reads, by their names there. */
  templateOptions?: Record<string, unknown>;
  /**
   * Whether a conversation that ends with words of the assistant is answered by going on from them (the default: yes; the stream holds what
   * comes after them). False lets the assistant answer anew; true is refused where the last words are another's.
   */
  continueFinalMessage?: boolean;
  /** Whether marks such as `<|im_end|>` inside messages become the tokens that they name (the default: no). Never for a stranger's words. */
  parseSpecialTokens?: boolean;
}

/** A function that a model may call. */
export interface Tool {
  name: string;
  /** What it does, in words for the model. */
  description?: string;
  /** A JSON Schema of its arguments, which is an object; a call that does not fit is a fault. */
  parameters?: Record<string, unknown>;
  /**
   * Computes what a call comes to, as a text or as anything that JSON can say. With it the calls of `chat` are run and the model goes on from their
   * results; give it to all tools or to none. The signal fires when the chat ends or `toolTimeout` is over.
   */
  run?: (args: any, context: { signal: AbortSignal }) => unknown;
}

/** How a model writes calls. docs/tools.md shows each. */
export type ToolFormat = "hermes" | "llama" | "mistral" | "granite" | "lfm2";

/** For `chat` with `tools`. */
export interface CallingOptions {
  /** Whether the model may call ("auto", the default), must ("required"), must call this one, or may not ("none": then it hears of none). */
  toolChoice?: "auto" | "none" | "required" | { name: string };
  /** How the model writes calls (the default: as its chat template shows). */
  toolFormat?: ToolFormat;
  /** Whether an answer may hold several calls, which then run at once (the default: yes); else it ends behind the first. */
  parallelToolCalls?: boolean;
  /** How often the model is asked at most, where tools have a `run` (the default: 5). */
  maxRounds?: number;
  /** Milliseconds that a `run` may take (the default: 30000). */
  toolTimeout?: number;
}

/** A call that can be made: of a tool that is there, with arguments that fit its schema. */
export interface ToolCall {
  /** Nine letters and digits. */
  id: string;
  name: string;
  arguments: Record<string, unknown>;
}

/** What is wrong with a call, or with what it came to. Nothing is thrown: the model is told of it too. */
export interface ToolFault {
  /** "missing-call": one was asked for; "too-many-rounds": `maxRounds` are over, and the last calls were not run. The others are about one call. */
  code: "unreadable" | "unknown-tool" | "bad-arguments" | "tool-failed" | "tool-timeout" | "missing-call" | "too-many-rounds";
  /** A sentence for the page and for the model. */
  message: string;
  id?: string;
  name?: string;
  /** As far as they could be read. */
  arguments?: unknown;
  /** The call as the model wrote it. */
  written?: string;
  /** What a `run` threw. */
  cause?: unknown;
}

/** What a `run` came to, and as the model reads it. */
export interface ToolResult {
  id: string;
  name: string;
  content: string;
  value?: unknown;
}

/** Where temperature, top-k, top-p, min-p and the repetition penalty are left out, the model's files decide: see `ModelInfo.sampling`. */
export interface GenerateOptions extends CallOptions {
  /** At most so many tokens (the default: 256). */
  maxTokens?: number;
  /** Before so many tokens no token ends the text (the default: 0). */
  minTokens?: number;
  /** 0 always takes the likeliest token (the default: 0.8). */
  temperature?: number;
  /** A temperature within `range` (0.5) on both sides of `temperature`: higher where the model is less sure, by the power `exponent` (1) of the entropy (arXiv 2403.14541). */
  dynamicTemperature?: { range?: number; exponent?: number };
  /** Only tokens whose logits are at most so many standard deviations below the largest (arXiv 2411.07641); 0 for all (the default). */
  topNSigma?: number;
  /** Only the k likeliest; 0 for all (the default: 40). */
  topK?: number;
  /** Only tokens about as surprising as is to be expected, which together exceed this probability (arXiv 2202.00666); 1 for all (the default). */
  typicalP?: number;
  /** Only the likeliest tokens that together reach this probability; 1 for all (the default: 0.95). */
  topP?: number;
  /** Drops tokens less likely than this share of the likeliest; 0 for none (the default: 0.05). */
  minP?: number;
  /** Exclude top choices: now and then (`probability`, 0.5) drops all tokens that reach `threshold` (0.1) but the least likely of them. */
  xtc?: { probability?: number; threshold?: number };
  /** Holds the surprise of the text at `tau` bits a token (5), corrected at the rate `eta` (0.1), in place of all filters above (arXiv 2007.14966, version 2). */
  mirostat?: { tau?: number; eta?: number };
  /** Above 1 makes tokens that were there before less likely (the default: 1, none; arXiv 1909.05858). */
  repetitionPenalty?: number;
  /** Taken from the logit of every token that was there before (the default: 0). */
  presencePenalty?: number;
  /** Taken from a token's logit for each time that it was there (the default: 0). */
  frequencyPenalty?: number;
  /** How many of the last tokens these three penalties look at, the prompt's too (the default: all). */
  penaltyWindow?: number;
  /** Don't repeat yourself: a token that would go on with a run of n tokens that was there before loses `multiplier` (0.8) · `base` (1.75) ^ (n − `allowed` (2)); runs end at `breakers` (line ends, `:`, `"`, `*`). */
  dry?: { multiplier?: number; base?: number; allowed?: number; breakers?: string[] };
  /** Added to the logits of tokens, by their ids: from -100, which bans a token, to 100. */
  logitBias?: Record<number, number>;
  /** Words that the text does not have, wherever its tokens begin and end. */
  ban?: string | string[];
  /** The same seed gives the same tokens on the same device. A new one each time when left out. */
  seed?: number;
  /**
   * So many texts are written, of which number i (`index` of its chunks) is what a call with the seed `seed` + i writes (the default: 1; up to 128). The prompt is computed once, and
   * one step computes a token of each of as many texts as the context has room for, each of `maxTokens`; the others come after them. Texts that are held to a form or
   * use `promptLookup`, and those of recurrent models, are written one after another. Not with tools that are called.
   */
  n?: number;
  /** Ends before any of these strings would appear; a mark such as `<|im_end|>`, which is never shown, may be one or part of one. */
  stop?: string | string[];
  /** How many other tokens to tell of for each (the default: 0). */
  alternatives?: number;
  /** Whether each chunk tells what the filters left of the likeliest tokens: as many as `alternatives`, or 10. */
  trace?: boolean;
  /** At most so many tokens are guessed at once from what stood behind the same words before, and confirmed in one step; the text is the same (the default: 0, none; up to 15). docs/sampling.md says what it gains. */
  promptLookup?: number;
  /**
   * Contrastive search (arXiv 2202.06417): of the `k` (4; 2 to 64) likeliest tokens the one whose probability, less `alpha` (0.6; above 0, to 1) times how much the text with it is like
   * what stands before it, is the largest. Nothing is drawn: not with a temperature, filters, `trace`, `n`, `promptLookup` and forms. The candidates share the model's context, each as much.
   */
  contrastive?: { alpha?: number; k?: number };
  /** A smaller model with the same tokens on the same device: it guesses several tokens, which this one confirms in one step; the text is the same. Guessing rests where it does not pay. */
  draft?: TextModel;
  /** When text outgrows the context: "error" (the default), or "slide" to forget the oldest tokens. */
  overflow?: "error" | "slide";
  /** The text is JSON of this JSON Schema (draft 2020-12; `true` for any). docs/constraints.md says which keywords are followed. */
  schema?: object | boolean;
  /** The text as a whole matches this regular expression: Rust's syntax, no look-around. Of a `RegExp` the flags i and s count. */
  regex?: string | RegExp;
  /** The text is one of this grammar, in Lark's notation (from `start`) or GBNF (from `root`). */
  grammar?: string;
  /** The text is one of these. */
  choice?: string[];
  /**
   * How JSON is written under a `schema`. `whitespace`: `"spaced"` (the default, `{"a": 1, "b": 2}`), `"compact"` (`{"a":1,"b":2}`) or `"flexible"` (as the model likes).
   * `keyOrder`: `"schema"` (the default), `"sorted"`, or names that come first wherever an object has them.
   */
  schemaFormat?: { whitespace?: "spaced" | "compact" | "flexible"; keyOrder?: "schema" | "sorted" | string[] };
  /** What the written text begins with, of a model that reads its prompt and writes another text (`info.encoderDecoder`); others refuse it. */
  decoderPrompt?: string;
}

export interface ChatOptions extends GenerateOptions, TemplateOptions, CallingOptions {}

/** One step of a generation. */
export interface Chunk extends SampleEvent {
  /** Of a chat with tools: calls that became whole here, what is wrong with others, and what those that were run came to. `text` holds none of them. */
  calls?: ToolCall[];
  faults?: ToolFault[];
  results?: ToolResult[];
}

/** What came of a generation. */
export interface GenerationSummary extends SamplesSummary {
  /** Of a chat with tools: how often the model was asked; tokens are those of all rounds. */
  rounds?: number;
  calls?: ToolCall[];
  faults?: ToolFault[];
  /** The turns to put behind the conversation: the assistant's, and the results of calls that were run. */
  messages?: Message[];
}

/** An async iterable of chunks. Nothing runs before the first `next()`; leaving a `for await` early cancels it. */
export interface TextStream extends AsyncIterableIterator<Chunk> {
  /** Set once the stream has ended; of one that was left early, as far as it came. */
  readonly summary: GenerationSummary | undefined;
  /** Cancels, and waits until the model is free again. */
  return(): Promise<IteratorResult<Chunk, undefined>>;
  /** Everything that is left, as one string. Refused where `n` is above 1. */
  text(): Promise<string>;
  /** The same of each of `n` texts. */
  texts(): Promise<string[]>;
}

/** One turn. Its fields reach the model's chat template as they are, in their order: `tool_calls`, `name`, `reasoning_content` … */
export interface Message {
  role: "system" | "user" | "assistant" | "tool" | (string & {});
  content?: string | MessagePart[] | null;
  [field: string]: unknown;
}

/** Turns in their order, whatever type a page has for them. */
export type Messages = readonly (Message | { role: string; content?: unknown })[];

export interface MessagePart {
  type?: "text" | (string & {});
  text?: string;
  [field: string]: unknown;
}

export interface BeamOptions extends CallOptions {
  /** How many texts are followed at once: 1 to 64 (the default: 4). They share the model's context, each as much. */
  beams?: number;
  /** Groups of beams that search by themselves: a divisor of `beams` (the default: 1; arXiv 1610.02424). */
  groups?: number;
  /** What a group loses for a token for each beam of the groups before it that took it in the same step: 0 to 100 (the default: 0). */
  diversity?: number;
  /** At most so many tokens (the default: what there is room for, 256 at most). */
  maxTokens?: number;
  /** A text's score is its log-probability over its length to this power: above 0 longer texts are favoured (the default: 1). */
  lengthPenalty?: number;
  /** Ends where as many texts have ended as there are beams (true), where none of the others is likely to become better (false, the default), or where none can ("never"). */
  earlyStopping?: boolean | "never";
  /** How many texts come back: 1 to `beams` (the default: 1). */
  returned?: number;
  /** Whether `steps` come with them. */
  trace?: boolean;
}

/** Best first; with `trace` the branches that each step weighed, those of a group together, likeliest first. */
export type Beams = Beam[] & { steps?: BeamBranch[][] };

/** A way to write: a generation, or a beam search where `beams` is set. Its name is "greedy", "sampling", "contrastive" or "beams" where it has none. */
export type Strategy = { name?: string } & (Omit<GenerateOptions, "signal" | "n"> | (Omit<BeamOptions, "signal"> & { beams: number }));

/** A piece of one of the texts: by `index` and `name` of its strategy. Of a beam search there is one, its best text. */
export type ComparedChunk = Chunk & { index: number; name: string };

/** What came of a strategy. */
export interface Compared {
  name: string;
  text: string;
  tokens: number[];
  finishReason?: FinishReason;
}

/** The texts as they come. Nothing runs before the first `next()`; leaving a `for await` early ends it. */
export interface Comparison extends AsyncIterableIterator<ComparedChunk> {
  /** Runs to the end, and gives the text of each strategy. */
  results(): Promise<Compared[]>;
}

export interface NextOptions extends CallOptions {
  /** How many (the default: 10). */
  k?: number;
}

export interface ProfileOptions extends CallOptions {
  /** Steps to take, 1 to 1000 (the default: 4). */
  steps?: number;
}

/** What a conversation begins with. */
export interface ConversationOptions {
  /** How the model should answer: the first message. */
  system?: string;
  /** Turns that were there before. */
  messages?: Messages;
  /** As in `ChatOptions`: what those that have a `run` come to stands among the messages behind their calls. */
  tools?: (Tool | Record<string, unknown>)[];
  /** A prompt template, or the name of a kept one: its system message and examples come first, and it frames what is sent. */
  template?: PromptTemplate | string;
  /** What fills slots of the template once for all. */
  slots?: Record<string, string>;
  /**
   * When the turns outgrow the context: "error" (the default) refuses the next answer; "drop-turns" shows the model fewer of them; "slide" is that of `GenerateOptions`.
   * With "drop-turns", where the prompt leaves no room for `maxTokens` (at most a quarter of the context), the oldest turns leave as wholes, and the template is applied again, until
   * half of the context is free or the last turn stands alone. The system message and a template's examples never leave.
   */
  overflow?: "error" | "drop-turns" | "slide";
  /** Each answer draws with a seed of its own that follows from this one (a new one each time when left out). */
  seed?: number;
  /** For all answers; what `send` is given goes before. */
  options?: Omit<ChatOptions, "signal" | "seed" | "overflow" | "n">;
}

/** What came of an answer. */
export interface AnswerSummary extends GenerationSummary {
  /** Messages that left for it, as `overflow: "drop-turns"` says; they stay in `messages`. */
  dropped: Message[];
}

/** An answer. What is read of it becomes part of the conversation, of one that is left early or fails as much as was read. */
export interface AnswerStream extends TextStream {
  readonly summary: AnswerSummary | undefined;
}

/** A text; parts; with a template, texts by the names of slots; or whole messages, such as what a tool gave (`{ role: "tool", … }`). */
export type Sent = string | MessagePart[] | Record<string, string> | Message | Message[];

/**
 * Turns with a model, one answer at a time. Several conversations of one model take turns: what was computed of each is kept beside the others (on the device, the last used longest),
 * and so is a beginning that they share.
 */
export interface Conversation {
  /** All turns, with as much of an answer under way as was read: copies. */
  readonly messages: Message[];
  /** How many messages behind the first (system, examples) the model is shown no longer. */
  readonly dropped: number;
  /** Whether an answer is under way: from `send` until its stream has ended or was left. */
  readonly answering: boolean;
  /**
   * Says something and answers it. With a template a text fills the one slot that nothing fills yet. What was sent stays among the messages, whatever comes of the answer. Refused while
   * an answer is under way.
   */
  send(input: Sent, options?: Omit<ChatOptions, "n">): AnswerStream;
  /** Answers the last question once more; the answer that was there leaves (`fork` first, to keep it). */
  regenerate(options?: Omit<ChatOptions, "n">): AnswerStream;
  /** Goes on with the last answer where it ended. */
  continue(options?: Omit<ChatOptions, "n">): AnswerStream;
  /** Changes message `at`; those behind it leave, and come back as the value. Call `regenerate` to have it answered. */
  edit(at: number, content: string | MessagePart[]): Message[];
  /** Another conversation that begins with the first `at` messages (the default: all). */
  fork(at?: number): Conversation;
  /** Leaves the answer under way, and waits until the model is free. */
  stop(): Promise<void>;
  /**
   * A file of the turns and of what the model computed of them, for `restore`; docs/conversations.md describes it. Refused while an answer is under way.
   */
  save(options?: CallOptions): Promise<Blob>;
}

export interface RestoreOptions extends CallOptions {
  /** Takes the turns of a conversation with another model, or one too long for this context, and computes them anew (the default: it is refused). */
  otherModel?: boolean;
  /** In the place of those that the conversation had: no file holds functions, and one that had some is refused without. */
  tools?: (Tool | Record<string, unknown>)[];
}

/** A name in the browser's storage that this page alone holds. */
export interface KeptConversation {
  readonly name: string;
  /** What is kept under the name, restored; undefined where nothing is. */
  load(model: TextModel, options?: RestoreOptions): Promise<Conversation | undefined>;
  /** Keeps it in the place of what was there; where there is no room (`storage`) that stays. */
  save(talk: Conversation, options?: CallOptions): Promise<void>;
  /** Lets another page have it, as soon as the promise is kept. */
  close(): Promise<void>;
}

/** Conversations in the browser's storage of this site. */
export interface KeptConversations {
  /** The last saved first. */
  list(): Promise<{ name: string; bytes: number; savedAt: number }[]>;
  /** Claims a name, kept or new; `storage` where another tab has it open. A page that goes lets it go. */
  open(name: string): Promise<KeptConversation>;
  /** Gives whether there was one; `storage` where it is open. */
  delete(name: string): Promise<boolean>;
}
export const keptConversations: KeptConversations;

/** A frame for questions. Texts hold slots, `{{name}}`. */
export interface PromptTemplate {
  name: string;
  /** From 1; what is kept under a name and a version does not change. */
  version: number;
  /** What it is for. */
  about?: string;
  system?: string;
  /** Turns that stand before the first question (few-shot). */
  examples?: { user: string; assistant: string }[];
  /** How to reason before the answer (chain of thought): fills the slot `{{reasoning}}`, which a caller may fill otherwise. */
  reasoning?: string;
  /** The question with its frame. */
  prompt: string;
  /** What fills a slot where a caller says nothing; null where one must. */
  slots?: Record<string, string | null>;
}

/** The prompt templates of this site, in the browser's storage. All of its tabs see the same. */
export interface PromptTemplates {
  /** Checks and keeps one. Another under the same name and version is refused. */
  define(template: PromptTemplate): PromptTemplate;
  /** By name, then by version. */
  list(): PromptTemplate[];
  /** The latest version, or this one. */
  get(name: string, version?: number): PromptTemplate;
  /** One version, or all; gives how many were there. */
  delete(name: string, version?: number): number;
  /** The turns of a template, or of a kept one's latest version, with its slots filled; the last is the question. A slot that is missing or unknown is refused by its name. */
  apply(template: PromptTemplate | string, slots?: Record<string, string>): Message[];
  /** All versions of these, or of all, as JSON. */
  export(...names: string[]): string;
  /** Keeps what `export` wrote: all of it, or nothing where one of them is refused. */
  import(json: string): PromptTemplate[];
}
export const promptTemplates: PromptTemplates;

/** A language model. One generation runs at a time; others wait their turn. */
export interface TextModel {
  readonly info: ModelInfo;
  /** The latest figures. */
  readonly stats: ModelStats;
  /** Goes on from a text (`""`: from the beginning-of-text token) or from token ids. */
  generate(prompt: string | ArrayLike<number>, options?: GenerateOptions): TextStream;
  /**
   * Answers a conversation, through the model's own chat template. With `tools` the stream tells of calls; where the tools have a `run`, they are run and
   * the model goes on until it answers.
   */
  chat(messages: Messages, options?: ChatOptions): TextStream;
  /** Turns that are kept, gone on with, forked, edited and saved. Nothing is computed before its first answer is read. */
  conversation(options?: ConversationOptions): Conversation;
  /**
   * A saved conversation, which goes on as if it had never been saved: to the bit on the same device. One of another model, or of other weights, is `bad-argument`; a damaged or cut
   * file is `corrupt-file`.
   */
  restore(file: Blob, options?: RestoreOptions): Promise<Conversation>;
  /** The ids of a text. */
  tokenize(text: string, options?: EncodeOptions): Promise<Uint32Array>;
  /** The ids of a conversation, as `chat` would give them to the model. */
  tokenize(messages: Messages, options?: TokenizeChatOptions): Promise<Uint32Array>;
  detokenize(tokens: ArrayLike<number>, options?: DecodeOptions): Promise<string>;
  /** How likely the model finds a text, token by token. */
  score(text: string, options?: CallOptions): Promise<Score>;
  /** The k likeliest next tokens, likeliest first. */
  next(text: string, options?: NextOptions): Promise<(Alternative & { probability: number })[]>;
  /** The likeliest texts behind a prompt as wholes, as transformers' beam search finds them; a model that reads one text and writes another reads the prompt. Recurrent models refuse. */
  beams(prompt: string, options?: BeamOptions): Promise<Beams>;
  /** Several ways to go on from one beginning, one after another; what is alike in them is computed once. */
  compare(prompt: string, strategies: readonly Strategy[], options?: CallOptions): Comparison;
  /**
   * Where the time of a decode step goes, the longest part first: the mean of some steps behind the latest text.
   * For measuring; a GPU must be able to take timestamps (`bad-argument` otherwise).
   */
  profile(options?: ProfileOptions): Promise<StepPart[]>;
  /** Frees the model; `await using` does so at the end of a block. Generations under way end with the code "closed". Calling it again does nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  /** @deprecated `close`, by an earlier name */
  unload(): Promise<void>;
}

/** Anything that holds a picture. */
export type PictureSource = ImageData | ImageBitmap | Blob;

export interface ImageOptions extends CallOptions {
  /**
   * What to paint; "" paints anything. Where the text encoder is CLIP's, brackets weigh words as in AUTOMATIC1111's web UI: `(word)`, `((word))`, `[word]`,
   * `(word:1.4)`, and `\(` for a bracket that is one.
   */
  prompt: string;
  /** What not to paint; only with a guidance above 1. */
  negativePrompt?: string;
  /** How closely the prompt is followed (classifier-free guidance, arXiv 2207.12598); 1 and less are none. The model's own default when left out. */
  guidance?: number;
  /** Denoising steps, from 1 (the default: the model's own). */
  steps?: number;
  /** One of the model's `info.schedulers` (the default: its own). */
  scheduler?: SchedulerName;
  /** The same seed paints the same picture on the same device. A new one each time when left out. */
  seed?: number;
  /** Pixels, multiples of `info.sizeMultiple` (the default: what the model was made for). */
  width?: number;
  height?: number;
  /** Pictures at once, with seeds `seed`, `seed + 1` … (the default: 1). */
  count?: number;
  /** A picture to begin from; it is brought to the wanted size. */
  init?: PictureSource;
  /** How much of `init` may change, above 0 to 1 (the default: 0.75): this share of the steps, rounded down, and of them at least one. Only with `init`. */
  strength?: number;
  /** Where `init` may change: white and opaque pixels are painted anew, the others stay. Of the picture's size. */
  mask?: PictureSource;
  /** Whether every step brings a picture of how far it is (the default: yes). */
  preview?: boolean;
}

/** A denoising step, and the picture as far as it has come. */
export interface PaintStep extends PaintedRows {
  /** The first picture; none where `preview` is off and the step is not the last. */
  image?: ImageData;
  /** All of them (`count`). */
  images: ImageData[];
}

/** An async iterable of steps. Nothing runs before the first `next()`; leaving a `for await` early cancels it. */
export interface PaintStream extends AsyncIterableIterator<PaintStep> {
  /** Set once the stream has ended; of one that was left early, as far as it came. */
  readonly summary: PaintSummary | undefined;
  /** Cancels, and waits until the model is free again. */
  return(): Promise<IteratorResult<PaintStep, undefined>>;
  /** The finished picture alone. */
  picture(): Promise<ImageData>;
}

/** A text-to-image model. One painting runs at a time; others wait their turn. */
export interface ImageModel {
  readonly info: ImageModelInfo;
  readonly stats: ImageModelStats;
  generate(options: ImageOptions): PaintStream;
  /** As of a {@link TextModel}. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  /** @deprecated `close`, by an earlier name */
  unload(): Promise<void>;
}

export interface DecodeLatentOptions extends CallOptions {
  /** Which class of pictures, from 0 on: needed by a model whose `info` has `classes`, refused by any other. */
  label?: number;
}

export interface EmbedOptions extends CallOptions {
  /** How a text's rows become one (the default: as the files say). */
  pooling?: Pooling;
  /** Whether embeddings are made as long as 1 (the default: as the files say). */
  normalize?: boolean;
  /** So many numbers, the first ones, of a model that was trained for it (arXiv 2205.13147). */
  dimensions?: number;
  /** Whether texts that are too long lose their end; else they are refused (`context-overflow`). */
  truncate?: boolean;
}

export interface FillOptions extends CallOptions {
  /** How many tokens for each mask (the default: 10). */
  k?: number;
}

export interface ClassifyOptions extends CallOptions {
  /** A second text that is read together with the first: the answer to a question, what may follow from a premise. */
  pair?: string;
  /** Whether a text that is too long loses its end (of two, the longer one first); else it is refused. */
  truncate?: boolean;
}

/** An encoder of text: BERT and its kin, sentence-transformers. */
export interface Encoder {
  readonly info: EncoderInfo;
  readonly stats: EncoderStats;
  /** One embedding a text; one for a text alone, too. A text may be given as its ids, marks included. */
  embed(texts: string | (string | Uint32Array)[], options?: EmbedOptions): Promise<Float32Array[]>;
  /** For each mask (`info.mask`) in a text the likeliest tokens, likeliest first. */
  fill(text: string | ArrayLike<number>, options?: FillOptions): Promise<Next[][]>;
  /** The labels of a text, likeliest first; or the likeliest label of each token (`info.classifiesTokens`). */
  classify(text: string | ArrayLike<number>, options?: ClassifyOptions): Promise<Labelling[]>;
  /** The ids of a text, as `embed` would give them to the model. */
  tokenize(text: string, options?: EncodeOptions): Promise<Uint32Array>;
  detokenize(tokens: ArrayLike<number>, options?: DecodeOptions): Promise<string>;
  /** As of a {@link TextModel}. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  /** @deprecated `close`, by an earlier name */
  unload(): Promise<void>;
}

/** An autoencoder or one of its halves, or a generator (which decodes alone). */
export interface Autoencoder {
  readonly info: AutoencoderInfo;
  /** `decodeMs`, dispatches and submits are those of the latest call. */
  readonly stats: ImageModelStats;
  /** A latent, row-major, of `shape` `[1, channels, height, width]` (NCHW; `[1, size]` where it is a vector), as the file's own decoder takes it. */
  decode(latent: Float32Array, shape: number[], options?: DecodeLatentOptions): Promise<ImageData>;
  /** A picture whose sides are multiples of `info.factor` (where that is 0: as large as the pictures that it decodes); the latent is the distribution's mean. */
  encode(picture: PictureSource, options?: CallOptions): Promise<{ latent: Float32Array; shape: number[] }>;
  /** As of a {@link TextModel}. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  /** @deprecated `close`, by an earlier name */
  unload(): Promise<void>;
}

export type Model = TextModel | Encoder | ImageModel | Autoencoder;

export interface EncodeOptions extends CallOptions {
  /** Whether beginning-of-text and the like are added (the default: yes, as the file says). */
  addSpecialTokens?: boolean;
  /** Whether marks such as `<|im_start|>` in the text become the tokens that they name (the default: no). Never for a stranger's words. */
  parseSpecialTokens?: boolean;
}

/** Which special tokens a conversation gets, its template says. */
export interface TokenizeChatOptions extends CallOptions, TemplateOptions {}

export interface DecodeOptions extends CallOptions {
  /** Whether marks such as `<|im_end|>` are left out of the text (the default: yes). */
  skipSpecialTokens?: boolean;
}

/** A tokenizer alone. */
export interface Tokenizer {
  readonly info: TokenizerInfo;
  tokenize(text: string, options?: EncodeOptions): Promise<Uint32Array>;
  detokenize(tokens: ArrayLike<number>, options?: DecodeOptions): Promise<string>;
  /** As of a {@link TextModel}. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  /** @deprecated `tokenize`, by an earlier name */
  encode(text: string, options?: EncodeOptions): Promise<Uint32Array>;
  /** @deprecated `detokenize`, by an earlier name */
  decode(tokens: ArrayLike<number>, options?: DecodeOptions): Promise<string>;
  /** @deprecated `close`, by an earlier name */
  free(): Promise<void>;
}

/**
 * Downloads kept in the browser's storage. What is kept of an address is used while its server says that it is the same file, by `ETag`, by
 * `Last-Modified`, or by the size where it never names either; or while no answer comes. Files with a known SHA-256 need no word of the server.
 */
export interface ModelCache {
  list(): Promise<CacheEntry[]>;
  /** Forgets everything. Says how many files went, here and below. */
  delete(): Promise<number>;
  /**
   * Forgets what `load` of an address or a catalogue id keeps (relative addresses, `hf://owner/repo` and one part for all parts mean what they mean
   * there), one entry of the list, or one of `engine.opened()`. 0 where nothing is kept of it.
   */
  delete(which: string | URL | CacheEntry | OpenedModel): Promise<number>;
  /** Bytes that Vitrine keeps, and what the browser says of its quota. */
  usage(): Promise<CacheUsage>;
}

export interface CatalogEntry {
  id: string;
  name: string;
  description: string;
  kind: string;
  /** The weights: relative to the catalogue, or an address. */
  file: string;
  /** All its files, read together, where they are several: `path` relative to the catalogue, or `url` an address. */
  files?: { path?: string; url?: string; bytes?: number; sha256?: string }[];
  /** Left out where it is not known exactly. */
  bytes?: number;
  sha256?: string;
  /** How its weights are stored unless `load` says otherwise. */
  quantization?: LoadOptions["quantization"];
  parameters: number;
  license: string;
  /** The address of its licence or of the terms of its use, where the catalogue names one. */
  terms?: string;
  /** Requests to make of a model that answers, and beginnings for one that goes on. */
  prompts?: string[];
  beginnings?: string[];
  /** Of a latent that is a vector: what its numbers mean, and which two a plane shows first. */
  axes?: { name: string; low: string; high: string }[];
  plane?: number[];
  /** The small world that a model was trained on: its words by kind ("characters", "things", "places" …). */
  knows?: Record<string, string[]>;
  /** The address of a file with every word that such a model met in training, and which adjectives it knows of which nouns. */
  world?: string;
  [detail: string]: unknown;
}

/** A message of OpenAI's shape. What it holds beyond this reaches the model's chat template too; what is null is absent. */
export interface ChatCompletionMessage {
  /** "developer" is "system". */
  role: "system" | "developer" | "user" | "assistant" | "tool" | (string & {});
  /** Parts of text are one text; others (pictures, sounds, files) are refused. */
  content?: string | null | readonly ({ type: "text"; text: string } | { type: "refusal"; refusal: string })[];
  name?: string;
  tool_calls?: readonly object[] | null;
  tool_call_id?: string;
  refusal?: string | null;
  reasoning_content?: string | null;
}

/**
 * The OpenAI-shaped request. Null and undefined are absent. Fields that change nothing here pass; what would change the answer and cannot be
 * done, and fields that nobody knows, are refused by name.
 */
export interface ChatCompletionRequest {
  /**
   * A source string (loaded once and kept until the engine closes), the file's name of a loaded model, the name in its file where only one has it, or a
   * loaded model.
   */
  model: string | TextModel;
  messages: readonly ChatCompletionMessage[];
  stream?: boolean | null;
  /** Only with `stream`. With `include_usage` a last chunk without choices brings the usage, and all others bring `usage: null`. */
  stream_options?: { include_usage?: boolean | null; include_obfuscation?: boolean | null } | null;
  /** At most so many tokens; to the end of the context when left out. */
  max_completion_tokens?: number | null;
  /** The old name of `max_completion_tokens`. */
  max_tokens?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  /** Not OpenAI's, nor are the next three: as `topK`, `minP`, `repetitionPenalty` and `templateOptions` of {@link ChatOptions}. */
  top_k?: number | null;
  min_p?: number | null;
  repetition_penalty?: number | null;
  chat_template_kwargs?: Record<string, unknown> | null;
  /** Any whole number; those that differ by a multiple of 2^32 are one. */
  seed?: number | null;
  stop?: string | readonly string[] | null;
  /** Of every token, also of those that what the answer is held to left no choice about: what the model itself gave it. */
  logprobs?: boolean | null;
  top_logprobs?: number | null;
  /** Whether a model that can think does so: "none" is `enable_thinking: false`, all others are true. Refused where the model cannot. */
  reasoning_effort?: "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | null;
  /** Not OpenAI's: the same, as other servers have it. */
  thinking?: boolean | { type: "enabled" | "disabled" } | null;
  /** So many answers, each with a seed of its own: `seed`, `seed + 1` … They are written one after the other. */
  n?: number | null;
  presence_penalty?: number | null;
  frequency_penalty?: number | null;
  /** By the ids of the model's own tokens, -100 to 100. */
  logit_bias?: Record<string, number> | null;
  /** Functions that the model may call. A call that must come is held to its schema; whether the arguments of others fit is for the caller to see. `strict` changes nothing. */
  tools?: readonly { type: "function"; function: { name: string; description?: string; parameters?: Record<string, unknown>; strict?: boolean | null } }[] | null;
  /** "allowed_tools": of the others the model does not hear. */
  tool_choice?:
    | "none"
    | "auto"
    | "required"
    | { type: "function"; function: { name: string } }
    | { type: "allowed_tools"; allowed_tools: { mode: "auto" | "required"; tools: readonly { type: "function"; function: { name: string } }[] } }
    | null;
  parallel_tool_calls?: boolean | null;
  /** Not OpenAI's: `toolFormat`. */
  tool_format?: ToolFormat | null;
  /** As `schema`: the answer is such JSON, if it is not cut off; `strict` changes nothing. It goes with `tools` where `tool_choice` is "none". */
  response_format?:
    | { type: "text" | "json_object" }
    | { type: "json_schema"; json_schema: { name?: string; description?: string; schema?: object; strict?: boolean | null } }
    | null;
  /** Neutral values of what Vitrine does not do. */
  functions?: readonly [] | null;
  function_call?: "none" | "auto" | null;
  modalities?: readonly "text"[] | null;
  verbosity?: "medium" | null;
  audio?: null;
  web_search_options?: null;
  moderation?: null;
  /** What only a server has a use for; nothing is sent or kept. */
  prediction?: object | null;
  user?: string | null;
  metadata?: object | null;
  store?: boolean | null;
  service_tier?: string | null;
  prompt_cache_key?: string | null;
  prompt_cache_options?: object | null;
  prompt_cache_retention?: string | null;
  safety_identifier?: string | null;
  /** Or in the second argument, as OpenAI's client has it. */
  signal?: AbortSignal | null;
}

export interface ChatLogprobs {
  content: {
    token: string;
    logprob: number;
    bytes: number[];
    top_logprobs: { token: string; logprob: number; bytes: number[] }[];
  }[];
  refusal: null;
}
/** A call of a function as OpenAI has it: its arguments as JSON. */
export interface ChatToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}
export type ChatFinishReason = "stop" | "length" | "tool_calls";
export interface ChatUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  /** Of the prompt's tokens, those that were in the model's cache from before. */
  prompt_tokens_details: { cached_tokens: number };
  completion_tokens_details: { reasoning_tokens: number };
}
export interface ChatCompletion {
  id: string;
  object: "chat.completion";
  created: number;
  model: string;
  choices: {
    index: number;
    /** No content beside calls. `reasoning_content` is what stood between `<think>` and `</think>`, as servers of open models have it. */
    message: { role: "assistant"; content: string | null; refusal: null; reasoning_content?: string; tool_calls?: ChatToolCall[] };
    finish_reason: ChatFinishReason;
    logprobs: ChatLogprobs | null;
  }[];
  usage: ChatUsage;
}
export interface ChatCompletionChunk {
  id: string;
  object: "chat.completion.chunk";
  created: number;
  model: string;
  /** One; none in the last chunk where `stream_options.include_usage` was asked for. */
  choices: {
    index: number;
    /** A call comes whole: `index` is its place among the message's. */
    delta: { role?: "assistant"; content?: string; refusal?: null; reasoning_content?: string; tool_calls?: (ChatToolCall & { index: number })[] };
    finish_reason: ChatFinishReason | null;
    logprobs: ChatLogprobs | null;
  }[];
  usage?: ChatUsage | null;
}

/** Of what OpenAI's client takes beside a request, what does not concern the network. */
export interface ChatRequestOptions {
  signal?: AbortSignal | null;
}

export interface ChatCompletions {
  create(request: ChatCompletionRequest & { stream: true }, options?: ChatRequestOptions): Promise<AsyncIterable<ChatCompletionChunk>>;
  create(request: ChatCompletionRequest & { stream?: false }, options?: ChatRequestOptions): Promise<ChatCompletion>;
  create(request: ChatCompletionRequest, options?: ChatRequestOptions): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>>;
}

/**
 * What the ids of the catalogue stand for. A page with a catalogue of its own can declare its ids here too
 * (`declare module "vitrine" { interface CatalogModels { mine: ImageModel } }`).
 */
export interface CatalogModels {
  storyteller: TextModel;
  "storyteller-q4_0": TextModel;
  "smollm2-135m-instruct": TextModel;
  "smollm2-135m-instruct-q8": TextModel;
  "smollm2-360m-instruct": TextModel;
  "tinyllama-1.1b-chat": TextModel;
  "qwen3-0.6b": TextModel;
  "gemma-3-270m-it": TextModel;
  distilgpt2: TextModel;
  illustrator: ImageModel;
  "sd-turbo": ImageModel;
  "lcm-dreamshaper-v7": ImageModel;
  "tiny-sd": ImageModel;
  "faces-vae": Autoencoder;
  "faces-gan": Autoencoder;
  taesd: Autoencoder;
}

export interface ServeOptions {
  /** The address of `sw.js` in a whole copy of Vitrine (the default: beside `vitrine.js`). */
  serviceWorker?: string | URL;
}

/** A page that answers for its site. */
export interface Serving {
  /** What OpenAI's client takes as `baseURL`, in any page of the service worker's scope. */
  readonly baseURL: string;
  /** Serves no more; answers that are under way end with an error. So does `engine.close()`. */
  stop(): void;
}

/** The door to everything. All engines of a page share one worker. */
export interface Engine {
  /** What computes, and why. Another may take its place: `onDeviceLost`. */
  readonly device: DeviceInfo;
  readonly cache: ModelCache;
  readonly chat: { readonly completions: ChatCompletions };
  /**
   * For OpenAI's own client, without a network: `new OpenAI({ apiKey: "none", baseURL: "http://vitrine/v1", fetch: engine.openai.fetch,
   * dangerouslyAllowBrowser: true })`. Answers `/chat/completions` and `/completions`, streamed or whole, `/embeddings`, and `/models` (the catalogue's language
   * models and encoders, and those that are loaded: by the address that they came from, or the file's own name, where no id of the catalogue is spelled so; a file without a
   * name by that which stands in it). Errors come in OpenAI's shape.
   */
  readonly openai: {
    readonly fetch: typeof fetch;
    /**
     * Answers `fetch("v1/…")` of every script in the scope of Vitrine's service worker (`sw.js`), which it starts where it does not run, as long as this
     * page is open. Of several pages that serve one answers; where none does the status is 503. Nothing goes to the network.
     *
     * Errors: `bad-argument` where a page can have no service worker (plain http, a frame without an origin), `network` where there is no `sw.js`.
     */
    serve(options?: ServeOptions): Promise<Serving>;
  };
  /** The models that come with this copy of Vitrine. */
  catalog(): Promise<CatalogEntry[]>;
  /**
   * What the hub's public search has for these words, or for the one repository `owner/repo`, and what of it runs here: those first that run and fit. Asks the
   * hub when it is called and never else.
   *
   * Errors: `network` where the hub does not answer, shows no such repository, or was asked too often (with the time to wait).
   */
  find(query: string, options?: FindOptions): Promise<FoundModel[]>;
  /** The models that were opened before and are kept, the latest first; needs no network. */
  opened(): Promise<OpenedModel[]>;
  load<Id extends keyof CatalogModels>(source: Id, options?: LoadOptions): Promise<CatalogModels[Id]>;
  load(source: Source, options: LoadOptions & { kind: "image" }): Promise<ImageModel>;
  load(source: Source, options: LoadOptions & { kind: "encoder" }): Promise<Encoder>;
  load(source: Source, options: LoadOptions & { kind: "autoencoder" | "generator" }): Promise<Autoencoder>;
  load(source: Source, options: LoadOptions & { kind: "text" }): Promise<TextModel>;
  /** The kind is read from the file, and stands in `info.kind`. */
  load<Kind extends Model = TextModel>(source: Source, options?: LoadOptions): Promise<Kind>;
  /** A tokenizer alone, from any GGUF (vocabulary-only ones too), a `tokenizer.json`, SentencePiece's file, `vocab.json` with `merges.txt`, a `vocab.txt`, or RWKV's `rwkv_vocab_v20230424.txt`. */
  tokenizer(source: Source, options?: CallOptions): Promise<Tokenizer>;
  /** Frees everything that this engine loaded; `await using` does so at the end of a block. Calling it again does nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export const Engine: {
  create(options?: EngineOptions & CallOptions): Promise<Engine>;
};

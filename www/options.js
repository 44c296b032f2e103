/**
 * The options of every call of the published face: the one place where a new one is named.
 *
 * vitrine.d.ts says what each of them means; `tsc` finds a name that only one of the two has. What the engine itself takes, the Rust
 * structs name once more, and a page test compares. Types are checked here, in the words of whoever wrote the call; the ranges of numbers
 * where they are used. `null` and `undefined` mean left out.
 */

import { VitrineError } from "./errors.js";
import { nearest, plain } from "./nearest.js";

/** @import * as Face from "./vitrine.js" */
/** @typedef {(value: any) => string | undefined} Kind says what the value must be, where it is something else */

/** @param {string} what @param {(value: any) => boolean} fits @returns {Kind} */
const kind = (what, fits) => (value) => (fits(value) ? undefined : what);

export const flag = kind("true or false", (value) => typeof value === "boolean");
export const number = kind("a number", Number.isFinite);
export const whole = kind("a whole number", Number.isInteger);
export const string = kind("a string", (value) => typeof value === "string");
export const strings = kind("a string or an array of strings", (value) => [value].flat().every((each) => typeof each === "string"));
const list = kind("an array of strings", (value) => Array.isArray(value) && value.every((each) => typeof each === "string"));
/** @param {unknown} value @returns {value is Record<string, unknown>} */
export const isRecord = (value) => Object.prototype.toString.call(value) === "[object Object]";
export const record = kind("an object", isRecord);
const records = kind("an array of objects", (value) => Array.isArray(value) && value.every(isRecord));
/** An object with some of these members. @param {Record<string, Kind>} members @returns {Kind} */
const members = (members) => {
  const like = `an object with ${listed(Object.keys(members), "and")}`;
  return (value) => {
    if (!isRecord(value)) return like;
    for (const [name, each] of Object.entries(value)) {
      if (!Object.hasOwn(members, name)) return `${like}, without ${name}${hint(name, Object.keys(members))}`;
      const must = each === undefined || each === null ? undefined : members[name](each);
      if (must !== undefined) return `${like}, of which ${name} is ${must}`;
    }
    return undefined;
  };
};
/** @param {string} name @param {string[]} known */
const hint = (name, known) => {
  const near = nearest(name, known);
  return near ? ` (did you mean ${near}?)` : "";
};
/** Numbers by the ids of tokens. @type {Kind} */
export const biases = (value) =>
  isRecord(value) && Object.entries(value).every(([id, bias]) => /^\d+$/.test(id) && typeof bias === "number" && !Number.isNaN(bias))
    ? undefined
    : "an object of numbers by token ids, like { 42: -5 }";
const listener = kind("a function", (value) => typeof value === "function");
const address = kind("an address: a string or a URL", (value) => typeof value === "string" || value instanceof URL);
export const abortSignal = kind("an AbortSignal", (value) => typeof value?.aborted === "boolean" && typeof value.addEventListener === "function");
/** Pictures are looked at where they are read. */
const picture = kind("", () => true);

/** @param {...string} words */
const word = (...words) => kind(listed(words.map((each) => `"${each}"`), "or"), (value) => words.includes(value));

/**
 * What every call may be asked.
 *
 * @typedef {{
 *   create: Face.EngineOptions & Face.CallOptions,
 *   load: Face.LoadOptions,
 *   find: Face.FindOptions,
 *   serve: Face.ServeOptions,
 *   tokenizer: Face.CallOptions,
 *   generate: Face.GenerateOptions,
 *   chat: Face.ChatOptions,
 *   tokenize: Face.EncodeOptions,
 *   tokenizeChat: Face.TokenizeChatOptions,
 *   detokenize: Face.DecodeOptions,
 *   score: Face.CallOptions,
 *   next: Face.NextOptions,
 *   beams: Face.BeamOptions,
 *   compare: Face.CallOptions,
 *   conversation: Face.ConversationOptions,
 *   save: Face.CallOptions,
 *   restore: Face.RestoreOptions,
 *   embed: Face.EmbedOptions,
 *   fill: Face.FillOptions,
 *   classify: Face.ClassifyOptions,
 *   paint: Face.ImageOptions,
 *   profile: Face.ProfileOptions,
 *   decodeLatent: Face.DecodeLatentOptions,
 *   encodePicture: Face.CallOptions,
 * }} Calls
 */

const call = { signal: abortSignal };
const kinds = word("text", "encoder", "image", "autoencoder", "generator");
const generate = {
  ...call,
  maxTokens: whole,
  minTokens: whole,
  temperature: number,
  dynamicTemperature: members({ range: number, exponent: number }),
  topNSigma: number,
  topK: whole,
  typicalP: number,
  topP: number,
  minP: number,
  xtc: members({ probability: number, threshold: number }),
  mirostat: members({ tau: number, eta: number }),
  repetitionPenalty: number,
  presencePenalty: number,
  frequencyPenalty: number,
  penaltyWindow: whole,
  dry: members({ multiplier: number, base: number, allowed: whole, breakers: list }),
  logitBias: biases,
  ban: strings,
  seed: whole,
  n: whole,
  stop: strings,
  alternatives: whole,
  trace: flag,
  promptLookup: whole,
  contrastive: members({ alpha: number, k: whole }),
  draft: kind("a language model that engine.load gave", (value) => typeof value?.generate === "function" && value.info?.vocabulary > 0),
  overflow: word("error", "slide"),
  schema: kind("a JSON Schema: an object, true or false", (value) => typeof value === "boolean" || isRecord(value)),
  regex: kind("a string or a RegExp", (value) => typeof value === "string" || value instanceof RegExp),
  grammar: string,
  choice: list,
  schemaFormat: members({
    whitespace: word("spaced", "compact", "flexible"),
    keyOrder: kind('"schema", "sorted" or an array of strings', (value) => value === "schema" || value === "sorted" || list(value) === undefined),
  }),
  decoderPrompt: string,
};
/** What a chat does with the calls of its tools: never told to the engine. */
const calling = {
  toolChoice: kind('"auto", "none", "required" or { name } of a tool', (value) => ["auto", "none", "required"].includes(value) || (isRecord(value) && typeof value.name === "string" && Object.keys(value).length === 1)),
  toolFormat: word("hermes", "llama", "mistral", "granite", "lfm2"),
  parallelToolCalls: flag,
  maxRounds: whole,
  toolTimeout: whole,
};
/** Their names. @type {(keyof Face.CallingOptions)[]} */
export const CALLING = /** @type {any} */ (Object.keys(calling));
const template = {
  thinking: flag,
  tools: records,
  documents: records,
  templateOptions: record,
  continueFinalMessage: flag,
  parseSpecialTokens: flag,
};

/** @type {{ [C in keyof Calls]: { [Name in keyof Required<Calls[C]>]: Kind } }} */
export const OPTIONS = {
  create: {
    ...call,
    device: word("auto", "webgpu", "cpu"),
    as: word("hardware", "software"),
    subgroups: flag,
    worker: address,
    wasm: address,
    glue: address,
    constraints: address,
    catalog: address,
    hub: address,
    cache: flag,
    onDeviceLost: listener,
  },
  load: {
    ...call,
    onProgress: listener,
    kind: kinds,
    quantization: word("keep", "f16", "q8_0", "q4_0"),
    contextLength: whole,
    sha256: string,
    cache: flag,
  },
  find: { ...call, kind: kinds, maxBytes: number, limit: whole },
  serve: { serviceWorker: address },
  tokenizer: call,
  generate,
  chat: { ...generate, ...template, ...calling },
  tokenize: { ...call, addSpecialTokens: flag, parseSpecialTokens: flag },
  tokenizeChat: { ...call, ...template },
  detokenize: { ...call, skipSpecialTokens: flag },
  score: call,
  next: { ...call, k: whole },
  beams: {
    ...call,
    beams: whole,
    groups: whole,
    diversity: number,
    maxTokens: whole,
    lengthPenalty: number,
    earlyStopping: kind('true, false or "never"', (value) => typeof value === "boolean" || value === "never"),
    returned: whole,
    trace: flag,
  },
  compare: call,
  conversation: {
    system: string,
    messages: kind("an array of { role, content }", Array.isArray),
    tools: records,
    template: kind("the name of a prompt template, or an object that is one", (value) => typeof value === "string" || isRecord(value)),
    slots: kind("an object of texts by the names of slots", (value) => isRecord(value) && Object.values(value).every((each) => typeof each === "string")),
    overflow: word("error", "drop-turns", "slide"),
    seed: whole,
    options: record,
  },
  save: call,
  restore: { ...call, otherModel: flag, tools: records },
  embed: { ...call, pooling: word("mean", "first", "last", "max"), normalize: flag, dimensions: whole, truncate: flag },
  fill: { ...call, k: whole },
  classify: { ...call, pair: string, truncate: flag },
  paint: {
    ...call,
    prompt: string,
    negativePrompt: string,
    guidance: number,
    steps: whole,
    scheduler: string,
    seed: whole,
    width: whole,
    height: whole,
    count: whole,
    init: picture,
    strength: number,
    mask: picture,
    preview: flag,
  },
  profile: { ...call, steps: whole },
  decodeLatent: { ...call, label: whole },
  encodePicture: call,
};

/** Each call as a reader knows it. @type {Record<keyof Calls, string>} */
const TITLES = {
  create: "Engine.create",
  load: "engine.load",
  find: "engine.find",
  serve: "engine.openai.serve",
  tokenizer: "engine.tokenizer",
  generate: "a language model's generate",
  chat: "a language model's chat",
  tokenize: "tokenize of a text",
  tokenizeChat: "tokenize of a conversation",
  detokenize: "detokenize",
  score: "score",
  next: "next",
  beams: "a language model's beams",
  compare: "a language model's compare",
  conversation: "a language model's conversation",
  save: "a conversation's save",
  restore: "a language model's restore",
  embed: "an encoder's embed",
  fill: "an encoder's fill",
  classify: "an encoder's classify",
  paint: "an image model's generate",
  profile: "profile",
  decodeLatent: "an autoencoder's decode",
  encodePicture: "an autoencoder's encode",
};

/**
 * What other libraries call it (transformers, diffusers, transformers.js, llama.cpp, web UIs, OpenAI), as {@link plain} writes it. A name that
 * differs from ours in underscores and capitals alone need not be here.
 * @type {{ [Name in { [C in keyof Calls]: keyof Calls[C] }[keyof Calls]]?: string }}
 */
const ELSEWHERE = {
  minTokens: "minnewtokens minlength minpredict",
  dynamicTemperature: "dynatemprange dynatemp dynamictemp",
  typicalP: "typical",
  topNSigma: "nsigma",
  xtc: "xtcprobability xtcthreshold",
  mirostat: "mirostattau mirostateta mirostatmode",
  presencePenalty: "presentpenalty penaltypresent",
  frequencyPenalty: "freqpenalty penaltyfreq",
  penaltyWindow: "repeatlastn penaltylastn repetitionpenaltyrange",
  dry: "drymultiplier drybase dryallowedlength drysequencebreakers",
  ban: "badwords badwordsids bannedstrings bannedtokens bannedphrases suppresstokens",
  contrastive: "penaltyalpha contrastivesearch",
  promptLookup: "promptlookupnumtokens ngramspeculation",
  draft: "draftmodel assistantmodel speculativemodel speculative modeldraft",
  trace: "nprobspresampling postsamplingprobs",
  maxTokens: "maxnewtokens maxcompletiontokens maxoutputtokens maxlength maxgenlen npredict numpredict",
  temperature: "temp",
  repetitionPenalty: "repeatpenalty penaltyrepeat",
  n: "numreturnsequences numsamples nsamples numcompletions candidatecount",
  seed: "randomseed manualseed generator rng noiseseed",
  stop: "stopsequences stopstrings stopsequence antiprompt",
  alternatives: "logprobs toplogprobs nprobs outputscores",
  overflow: "contextshift",
  decoderPrompt: "decoderinputtext decodertext forceddecodertext",
  thinking: "enablethinking think reasoning reasoningeffort",
  tools: "functions",
  toolChoice: "functioncall",
  parallelToolCalls: "parallelfunctioncalls",
  toolFormat: "toolcallparser toolparser",
  maxRounds: "maxsteps maxtoolroundtrips maxtoolrounds maxchatcompletions",
  templateOptions: "chattemplatekwargs templatekwargs chattemplateoptions",
  contextLength: "nctx numctx ctxsize contextsize contextwindow maxseqlen maxmodellen maxpositionembeddings modelmaxlength",
  quantization: "dtype torchdtype precision quant quantize quantized loadin8bit loadin4bit variant",
  device: "devicemap backend provider executionproviders ngpulayers gpulayers",
  hub: "endpoint hfendpoint huburl remotehost mirror",
  maxBytes: "maxsize sizelimit",
  limit: "maxresults",
  cache: "usebrowsercache cachedir",
  kind: "task modeltype pipelinetag",
  onProgress: "progresscallback progress progressbar",
  signal: "abortsignal abort abortcontroller controller",
  wasm: "wasmpath wasmpaths wasmurl",
  k: "topk n",
  beams: "numbeams beamsize beamwidth",
  groups: "numbeamgroups",
  diversity: "diversitypenalty",
  returned: "numreturnsequences nbest",
  pooling: "poolingmode poolingstrategy",
  normalize: "normalizeembeddings",
  dimensions: "dim dims truncatedim",
  truncate: "truncation",
  guidance: "guidancescale cfg cfgscale",
  steps: "numinferencesteps inferencesteps numsteps samplingsteps samplesteps ddimsteps",
  scheduler: "sampler samplername samplingmethod samplerindex",
  negativePrompt: "negative uncond",
  count: "numimagesperprompt numimages numsamples batchsize batchcount n",
  init: "image initimage inputimage initimages",
  strength: "denoisingstrength denoise promptstrength imagestrength",
  mask: "maskimage inpaintmask",
  preview: "previews",
  label: "labels classlabel classlabels classid class",
  addSpecialTokens: "addspecial addbos addbostoken",
  parseSpecialTokens: "parsespecial splitspecialtokens special",
  skipSpecialTokens: "skipspecial",
};

/** Names from elsewhere that no option of ours stands for, and what to do instead. @type {Record<string, string>} */
const INSTEAD = {
  usecache: "Keys and values of what was read are always kept for what follows; leave it out",
  callback: "What comes back is a stream already: for await (const step of …)",
  callbackonstepend: "What comes back is a stream already: for await (const step of …)",
  callbacksteps: "What comes back is a stream already: for await (const step of …)",
  callbackfunction: "What comes back is a stream already: for await (const step of …)",
  dosample: "Tokens are drawn where temperature is above 0; temperature: 0 always takes the likeliest",
  bestof: "Write several texts with n, and take the one whose chunks have the highest logprob",
  stream: "What comes back is a stream already: for await (const step of …)",
  streamer: "What comes back is a stream already: for await (const step of …)",
  revision: "It stands in the address: hf://owner/repo@revision/file",
  subfolder: "It stands in the address: hf://owner/repo/folder/file",
};

/**
 * What was asked, without what was left out.
 *
 * Errors: `bad-argument` that names an option which this call does not know, with the nearest that it does, or one of the wrong type.
 * @template {keyof Calls} C
 * @param {C} name
 * @param {unknown} given
 * @returns {Partial<Calls[C]>}
 */
export function check(name, given) {
  /** @type {any} */
  const asked = {};
  if (given === undefined || given === null) return asked;
  if (!isRecord(given)) {
    const example = name === "paint" ? '{ prompt: "a fox" }' : `{ ${Object.keys(OPTIONS[name])[1] ?? "signal"}: … }`;
    throw refused(`The options of ${TITLES[name]} are an object like ${example}, not ${shown(given)}.`);
  }
  /** @type {Record<string, Kind>} */
  const known = OPTIONS[name];
  // What an object inherits is asked as well, but not what all of them do.
  for (const option in given) {
    const value = given[option];
    if (value === undefined || (option in Object.prototype && !Object.hasOwn(given, option))) continue;
    if (!Object.hasOwn(known, option)) throw refused(unknown(name, option));
    if (value === null) continue;
    const must = known[option](value);
    if (must !== undefined) throw refused(`${option} must be ${must}, not ${shown(value)}.`);
    asked[option] = value;
  }
  return asked;
}

/** @param {string} sentence */
const refused = (sentence) => new VitrineError("bad-argument", sentence);

/** @param {keyof Calls} name @param {string} option */
function unknown(name, option) {
  const known = Object.keys(OPTIONS[name]);
  const here = `"${option}" is no option of ${TITLES[name]}`;
  const means = meanings(option);
  const right = known.find((each) => means.includes(each));
  if (right) return `${here}: it is called ${right} there.`;
  const instead = Object.hasOwn(INSTEAD, plain(option)) ? INSTEAD[plain(option)] : undefined;
  if (instead) return `${here}. ${instead}.`;
  const other = callOf(means);
  if (other) return `${here}: ${other.option === option ? "it" : other.option} is one of ${TITLES[other.name]}.`;
  const near = nearest(option, known);
  return near ? `${here}. Did you mean ${near}?` : `${here}. It takes ${listed(known, "and")}.`;
}

/** The options of ours that a name may stand for, the surest first. @param {string} option */
function meanings(option) {
  const written = plain(option);
  const all = Object.values(OPTIONS).flatMap((options) => Object.keys(options));
  const elsewhere = Object.entries(ELSEWHERE).flatMap(([ours, theirs]) => (theirs.split(" ").includes(written) ? [ours] : []));
  return [...new Set([...all.filter((ours) => plain(ours) === written), ...elsewhere])];
}

/** The first call that takes one of these options. @param {string[]} means */
function callOf(means) {
  const calls = /** @type {(keyof Calls)[]} */ (Object.keys(OPTIONS));
  for (const option of means) {
    const name = calls.find((each) => Object.hasOwn(OPTIONS[each], option));
    if (name) return { name, option };
  }
  return undefined;
}

/** @param {string[]} words @param {string} last */
function listed(words, last) {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} ${last} ${words[words.length - 1]}`;
}

/** A value as a sentence names it. @param {unknown} value @returns {string} */
export function shown(value) {
  if (typeof value === "string") return `the string "${value.length > 40 ? `${value.slice(0, 40)}…` : value}"`;
  if (typeof value === "bigint") return `the bigint ${value}`;
  if (Array.isArray(value)) return `the array [${value.slice(0, 3).map((each) => (Array.isArray(each) ? "…" : shown(each))).join(", ")}${value.length > 3 ? ", …" : ""}]`;
  if (typeof value === "object" && value !== null) {
    const kind = Object.prototype.toString.call(value).slice(8, -1);
    return `${/^[AEIO]/.test(kind) ? "an" : "a"} ${kind === "Object" ? "object" : kind}`;
  }
  return typeof value === "function" || typeof value === "symbol" ? `a ${typeof value}` : String(value);
}

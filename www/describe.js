/** What a page gives as a model, as the worker takes it: addresses, bytes, files by name. */

import { VitrineError } from "./errors.js";
import { isRecord, shown } from "./options.js";

/**
 * A source as the worker takes it: `{ address } | { blob, name } | { parts } | { files }`.
 * @param {unknown} source
 * @returns {object}
 */
export function describe(source) {
  const one = describeFile(source);
  if (one) return one;
  if (isFileList(source) || (Array.isArray(source) && source.some((each) => each instanceof File))) return chosenFiles([.../** @type {Iterable<unknown>} */ (source)]);
  if (!isRecord(source)) return refuse(source);
  const { parts, files } = source;
  if (Object.hasOwn(source, "parts")) {
    alone(source, "parts");
    if (!Array.isArray(parts)) throw new VitrineError("bad-argument", `parts is an array of the pieces of one file, in order, not ${shown(parts)}.`);
    if (parts.length === 0) throw new VitrineError("bad-argument", "parts is empty: give the pieces of one file, in order.");
    return { parts: parts.map((part, at) => describeFile(part) ?? refuse(part, `Part ${at + 1} of it`)) };
  }
  const inside = Object.hasOwn(source, "files");
  if (inside) alone(source, "files");
  if (inside && (isFileList(files) || Array.isArray(files))) return chosenFiles([.../** @type {Iterable<unknown>} */ (files)]);
  if (inside && !isRecord(files)) throw new VitrineError("bad-argument", `files is an object of files by name, { "model.gguf": file }, not ${shown(files)}.`);
  const named = Object.entries(inside ? /** @type {Record<string, unknown>} */ (files) : source);
  if (named.length === 0) throw new VitrineError("bad-argument", "There are no files: give the model's files by name, { files: { \"model.gguf\": file } }.");
  const described = named.map(([name, file]) => [name, describeFile(file) ?? refuse(file, `The file "${name}" of it`)]);
  // An object of options holds no names of files.
  if (!inside && !named.some(([name]) => name.includes("."))) {
    const [[name]] = named;
    throw new VitrineError("bad-argument", `An object is a model's files by name, and "${name}" is no such name. Give what it holds by itself: engine.load(source, options).`);
  }
  return { files: described };
}

/** @param {unknown} value @returns {value is FileList} of a frame, too */
function isFileList(value) {
  return Object.prototype.toString.call(value) === "[object FileList]";
}

/**
 * Files as they were chosen, by their own names: below the folder that holds them all where one was chosen.
 * @param {unknown[]} chosen
 * @returns {object}
 */
function chosenFiles(chosen) {
  if (chosen.length === 0) throw new VitrineError("bad-argument", "There are no files: none was chosen.");
  const files = chosen.map((file, at) => (file instanceof File ? file : refuse(file, `Number ${at + 1} of the files`)));
  if (files.length === 1) return /** @type {object} */ (describeFile(files[0]));
  const paths = files.map((file) => (file.webkitRelativePath || file.name).split("/"));
  const folders = paths.map((path) => path.slice(0, -1));
  const differ = folders[0].findIndex((folder, at) => folders.some((each) => each[at] !== folder));
  const names = paths.map((path) => path.slice(differ < 0 ? folders[0].length : differ).join("/"));
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new VitrineError("bad-argument", `Two of the files are called "${twice}". Give each by a name of its own: { files: { "model.gguf": file } }.`);
  return { files: files.map((file, at) => [names[at], describeFile(file)]) };
}

/** What stands beside `parts` or `files` belongs to no model. @param {object} source @param {string} name */
function alone(source, name) {
  const other = Object.keys(source).find((each) => each !== name);
  if (other !== undefined) {
    throw new VitrineError("bad-argument", `A source of ${name} has ${name} alone, not "${other}" too. Options go into the second argument: engine.load(source, options).`);
  }
}

/** @param {unknown} source */
function describeFile(source) {
  if (typeof source === "string" || source instanceof URL) {
    const address = String(source).trim();
    if (address === "") throw new VitrineError("bad-argument", "The address is empty: give a catalogue id, https://… or hf://owner/repo/file.gguf.");
    return { address, base: globalThis.document?.baseURI ?? globalThis.location?.href };
  }
  if (source instanceof Blob) return { blob: source, name: "name" in source ? String(source.name) : "" };
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    return { blob: new Blob([/** @type {ArrayBuffer | ArrayBufferView<ArrayBuffer>} */ (source)]), name: "" };
  }
  return undefined;
}

/** What is to be forgotten, as the worker takes it. @param {unknown} which */
export function meant(which) {
  if (typeof which === "string" || which instanceof URL) return { source: describeFile(which) };
  if (isRecord(which) && typeof which.address === "string") return { address: which.address };
  if (isRecord(which) && Array.isArray(which.files) && which.files.every((file) => typeof file === "string")) return { files: which.files };
  const takes = "cache.delete takes an address, a catalogue id or an entry of cache.list() or of engine.opened()";
  throw new VitrineError("bad-argument", `${takes}, not ${shown(which)}. Called without any argument it forgets everything.`);
}

/** @param {unknown} source @param {string} [part] @returns {never} */
function refuse(source, part) {
  const whole = "A model comes from a catalogue id, https://…, hf://…, a File, a Blob, an ArrayBuffer, { parts } or named files";
  const way = Object.entries(WAYS).find(([kind]) => Object.prototype.toString.call(source) === `[object ${kind}]`)?.[1];
  const next = way ? ` ${way}` : "";
  throw new VitrineError("bad-argument", `${whole}${part ? `. ${part} is` : ", not"} ${shown(source)}.${next}`);
}

/** From what is no source to what is one. @type {Record<string, string>} */
const WAYS = {
  Promise: "Await it first.",
  Response: "Give its bytes, await response.blob(), or its address, response.url.",
  Request: "Give its address, request.url.",
  ReadableStream: "Give its bytes, await new Response(stream).blob().",
  FileSystemFileHandle: "Give its file, await handle.getFile().",
  Map: "Give an object: Object.fromEntries(map).",
  FormData: "Give a file of it: data.get(name).",
  HTMLInputElement: "Give the files that were chosen with it: input.files.",
  Array: "Give the pieces of one file as { parts: […] }, and several files by their names: { files: { \"model.gguf\": … } }.",
};

/**
 * What the file of a model is called, where it has a name: of several that with the weights.
 * @param {{ name?: string, parts?: { name?: string }[], files?: [string, object][] }} source as {@link describe} gives it
 */
export function fileOf({ name, parts, files = [] }) {
  const paths = files.map(([path]) => path);
  const weights = paths.find((path) => /\.(gguf|safetensors|bin|pth?|ckpt|npz)$/i.test(path));
  return (name ?? parts?.[0].name ?? weights ?? paths[0])?.split("/").pop() || undefined;
}

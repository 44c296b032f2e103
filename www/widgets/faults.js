/** What went wrong, in a sentence for a reader; what the page's author needs to know stands behind "Details". */

import { VitrineError } from "../errors.js";

/** @import { CatalogEntry, ErrorCode, ModelKind } from "../vitrine.js" */

/** An error of a widget's own: its message is for a reader. */
export class WidgetError extends VitrineError {
  /** @param {ErrorCode} code @param {string} sentence @param {string} [details] @param {unknown} [cause] */
  constructor(code, sentence, details, cause) {
    super(code, sentence, { cause });
    this.details = details;
  }
}

/** Sentences for errors whose own would tell a reader little. @type {Partial<Record<ErrorCode, string>>} */
const SENTENCES = {
  "unsupported-model": "This model is of a kind that cannot run here.",
  "corrupt-file": "The model's file is damaged.",
  "out-of-memory": "There is not enough memory here for this model.",
  "device-lost": "The graphics processor went away. Try again.",
  "device-faulty": "The graphics processor does not do what it should.",
  "context-overflow": "The text has grown longer than this model can look back on. Begin with fewer words.",
  storage: "The browser's storage could not be used.",
  closed: "The model stopped. Try again.",
  "invalid-graph": "This model does not fit together.",
  internal: "Something broke. Try again.",
};

/** @param {unknown} error @returns {ErrorCode} */
export function codeOf(error) {
  return error instanceof VitrineError ? error.code : "internal";
}

/** @param {unknown} error @returns {{ sentence: string, details?: string }} */
export function told(error) {
  if (error instanceof WidgetError) return { sentence: error.message, details: error.details };
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  if (code === "network") {
    const offline = globalThis.navigator?.onLine === false;
    return {
      sentence: offline ? "There is no network, and the model is not on this device yet. Try again when there is." : "The model could not be fetched. Try again in a moment.",
      details: message,
    };
  }
  const sentence = SENTENCES[code];
  return sentence ? { sentence, details: message } : { sentence: message };
}

/** What models of each kind do. @type {Record<string, string>} */
const DOES = {
  text: "writes",
  image: "paints pictures",
  autoencoder: "makes pictures of a few numbers",
  generator: "makes pictures of a few numbers",
};

/**
 * @param {string} name
 * @param {string} kind of the model
 * @param {readonly ModelKind[]} kinds that the widget takes
 * @param {CatalogEntry[]} catalog
 */
export function wrongKind(name, kind, kinds, catalog) {
  const sentence = `“${name}” is a model that ${DOES[kind] ?? "does something else"}; here one is needed that ${DOES[kinds[0]]}.`;
  return new WidgetError("bad-argument", sentence, fitting(kinds, catalog));
}

/** @param {string} name @param {readonly ModelKind[]} kinds @param {CatalogEntry[]} catalog @param {unknown} cause */
export function unknownName(name, kinds, catalog, cause) {
  return new WidgetError("bad-argument", `The model “${name}” that this page asks for is not there.`, fitting(kinds, catalog), cause);
}

/** @param {readonly ModelKind[]} kinds @param {CatalogEntry[]} catalog */
function fitting(kinds, catalog) {
  const ids = catalog.filter(({ kind }) => kinds.some((each) => each === kind)).map(({ id }) => `model="${id}"`);
  return `For the page's author: this element takes ${ids.length > 0 ? `${ids.join(", ")}, or ` : ""}the address of such a model (https://…, hf://owner/repo/file.gguf).`;
}

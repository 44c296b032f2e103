/** What went wrong, in a sentence for a reader; what the page's author needs to know stands behind "Details". */

import { causeOf } from "../causes.js";
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

/** What keeps a model, or what computes it, from coming, where another try does not mend it. @type {{ [Cause in import("../causes.js").Cause]?: (what: string) => string }} */
const KEPT_OUT = {
  policy: () => "The rules of this page (its Content-Security-Policy) do not let it compute a model.",
  closed: (what) => `${what} lies on a server that does not let this page read it.`,
  old: () => "What computes the model did not start. It needs WebAssembly with SIMD: try a newer browser.",
  absent: (what) => `${what} is not where this page looks for it.`,
  private: (what) => `${what} lies where not everybody may read it.`,
  repository: () => "The hub shows no repository of this model to everybody.",
  page: (what) => `${what} is not where this page looks for it: a web page answers instead.`,
};

/** Errors of a load that another try does not mend. @type {Set<ErrorCode>} */
const LASTING = new Set(["bad-argument", "unsupported-model", "invalid-graph"]);

/** @param {unknown} error @returns {ErrorCode} */
export function codeOf(error) {
  return error instanceof VitrineError ? error.code : "internal";
}

/** An error as a widget tells it: its message is the reader's sentence, what it said before stands in its details. @param {unknown} error @returns {WidgetError} */
export function told(error) {
  if (error instanceof WidgetError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  const sentence = code === "network" ? unreached(message) : SENTENCES[code];
  return sentence ? new WidgetError(code, sentence, message, error) : new WidgetError(code, message, undefined, error);
}

/** Whether another try may bring a model that did not come. @param {unknown} error */
export function mayMend(error) {
  const { code, message, details = message } = told(error);
  const cause = code === "network" ? causeOf(details) : undefined;
  return !LASTING.has(code) && !(cause && KEPT_OUT[cause]);
}

/** @param {string} message */
function unreached(message) {
  const cause = causeOf(message);
  const lasting = cause && KEPT_OUT[cause];
  if (lasting) return lasting(/^Vitrine's (worker|engine)/.test(message) ? "What computes the model" : /^The list of models/.test(message) ? "The list of models" : "The model");
  if (globalThis.navigator?.onLine === false) return "There is no network, and the model is not on this device yet. Try again when there is.";
  return cause === "busy" ? "The model's server is busy or broken at the moment. Try again in a few minutes." : "The model could not be fetched. Try again in a moment.";
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

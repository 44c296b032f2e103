/** The one error of the house. May be imported anywhere, on a server too. */

/** @typedef {import("./vitrine.js").ErrorCode} ErrorCode */

export class VitrineError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message a sentence that says what happened and what to do next
   * @param {{ cause?: unknown }} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    /** @type {"VitrineError"} */
    this.name = "VitrineError";
    this.code = code;
  }
}

/**
 * The error that an aborted call ends with.
 * @param {AbortSignal} signal
 */
export function aborted(signal) {
  return new VitrineError("aborted", "The call was aborted. Call again to start anew.", { cause: signal.reason });
}

/** @param {"engine" | "model" | "tokenizer"} what */
export function closed(what) {
  const next = { engine: "Create another with Engine.create().", tokenizer: "Load it again with engine.tokenizer().", model: "Load it again with engine.load()." };
  return new VitrineError("closed", `This ${what} is closed. ${next[what]}`);
}

/**
 * Anything that was thrown, as a VitrineError.
 * @param {unknown} thrown
 */
export function asVitrineError(thrown) {
  if (thrown instanceof VitrineError) return thrown;
  if (typeof thrown === "object" && thrown !== null && "code" in thrown && "message" in thrown && typeof thrown.code === "string") {
    return new VitrineError(/** @type {ErrorCode} */ (thrown.code), String(thrown.message), { cause: thrown });
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new VitrineError("internal", `Vitrine met a fault of its own: ${message}. Load the model again.`, { cause: thrown });
}

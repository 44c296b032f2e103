/** `/embeddings` of OpenAI's shape, by an encoder. */

import { Refused, renamed } from "./openai-fields.js";
import { embeddingsRequest } from "./openai-request.js";

/** @import * as Face from "./vitrine.js" */

/**
 * @param {any} request
 * @param {AbortSignal} signal
 * @param {(wanted: unknown, signal: AbortSignal) => Promise<Face.Model>} modelOf the model that a request names
 */
export async function embeddings(request, signal, modelOf) {
  const { model: wanted, inputs, dimensions, base64 } = embeddingsRequest(request);
  const model = await modelOf(wanted, signal);
  if (model.info.kind !== "encoder") throw new Refused(`${model.info.name} is no encoder, so it embeds nothing. Name one that is.`, "model", "model_not_supported");
  const encoder = /** @type {Face.Encoder} */ (model);
  const data = [];
  let tokens = 0;
  for (const [index, input] of inputs.entries()) {
    try {
      const [vector] = await encoder.embed([typeof input === "string" ? input : Uint32Array.from(input)], { dimensions, signal });
      tokens += encoder.stats.tokens;
      data.push({ object: "embedding", index, embedding: base64 ? written(vector) : [...vector] });
    } catch (error) {
      throw renamed(error, request);
    }
  }
  return { object: "list", data, model: wanted, usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

/** The numbers' bytes, the lowest of each first, in base64. @param {Float32Array} vector */
function written(vector) {
  const bytes = new DataView(new ArrayBuffer(4 * vector.length));
  vector.forEach((value, at) => bytes.setFloat32(4 * at, value, true));
  return btoa(Array.from(new Uint8Array(bytes.buffer), (byte) => String.fromCharCode(byte)).join(""));
}

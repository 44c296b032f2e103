/** The one engine that the page and all its widgets share, opened when first asked for. `?device=` in the address insists on a device. */

import { Engine } from "./vitrine.js";

/** @type {Promise<import("./vitrine.js").Engine> | undefined} */
let engine;

export function pageEngine() {
  engine ??= Engine.create({ device: wanted() }).catch((error) => {
    engine = undefined;
    throw error;
  });
  return engine;
}

/** @returns {"auto" | "cpu" | "webgpu"} */
function wanted() {
  const device = new URLSearchParams(globalThis.location?.search).get("device");
  return device === "cpu" || device === "webgpu" ? device : "auto";
}

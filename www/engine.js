/**
 * The one engine that the page and all its widgets share, opened when first asked for: one for each device where widgets name several, in
 * the same worker. `?device=` in the address insists on a device, whatever a widget says.
 */

import { Engine } from "./vitrine.js";

/** @type {Map<string, Promise<import("./vitrine.js").Engine>>} */
const engines = new Map();

/** @param {"auto" | "cpu" | "webgpu"} [device] that a widget names */
export function pageEngine(device) {
  const options = { device: wanted() ?? device ?? "auto" };
  const key = JSON.stringify(options);
  const engine =
    engines.get(key) ??
    Engine.create(options).catch((error) => {
      engines.delete(key);
      throw error;
    });
  engines.set(key, engine);
  return engine;
}

/** @returns {"cpu" | "webgpu" | undefined} */
function wanted() {
  const device = new URLSearchParams(globalThis.location?.search).get("device");
  return device === "cpu" || device === "webgpu" ? device : undefined;
}

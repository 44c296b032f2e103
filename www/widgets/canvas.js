/** Pictures of widgets: on a canvas, and from an address of the page's. */

import { WidgetError } from "./faults.js";

/** Shows a picture, with words for those who do not see it. @param {HTMLCanvasElement} canvas @param {ImageData} picture @param {string} label */
export function show(canvas, picture, label) {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d")?.putImageData(picture, 0, 0);
  canvas.setAttribute("aria-label", label);
}

/** The picture that lies there. Errors: `network`, where it does not come. @param {URL} address @param {AbortSignal} signal */
export async function startImage(address, signal) {
  const failed = (/** @type {unknown} */ cause) => {
    signal.throwIfAborted();
    throw new WidgetError("network", "The picture to begin from could not be fetched.", `For the page's author: start-image is ${address.href}.`, cause);
  };
  const response = await fetch(address, { signal }).catch(failed);
  return response.ok ? response.blob() : failed(response.status);
}

/** Which device works for the page, and why. */

import { pageEngine, unknownWords } from "../engine.js";
import { element } from "./dom.js";

export async function showDevice() {
  const { device: info } = await pageEngine();
  const device = element("device", HTMLOutputElement);
  device.value = info.kind === "webgpu" ? `WebGPU, ${info.name}` : info.name;
  device.title = device.value;
  element("device-reason", HTMLElement).textContent = [info.reason, ...unknownWords()].join(" ");
}

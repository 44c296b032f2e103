/** Which device works for the page, and why. */

import { onDeviceLost, pageEngine, unknownWords } from "../engine.js";
import { element } from "./dom.js";

/** Says when another device took the place of one that went away. @param {import("./notices.js").Notices} notices */
export function tellOfLosses(notices) {
  onDeviceLost(({ kind }) => {
    showDevice();
    const where = kind === "webgpu" ? "It is back" : "The browser gives none now, so the CPU computes, which is slower";
    notices.tell("The graphics processor went away", `${where}. What was under way went on where it was, and nothing is lost.`);
  });
}

export async function showDevice() {
  const { device: info } = await pageEngine();
  const device = element("device", HTMLOutputElement);
  device.value = info.kind === "webgpu" ? `WebGPU, ${info.name}` : info.name;
  device.title = device.value;
  element("device-reason", HTMLElement).textContent = [info.reason, ...unknownWords()].join(" ");
}

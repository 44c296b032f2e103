// @ts-check
import { blob, element } from "./common.js";

/** What a canvas shows. @param {HTMLCanvasElement | OffscreenCanvas} canvas */
function pixels(canvas) {
  const context = /** @type {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D | null} */ (canvas.getContext("2d"));
  if (!context) throw new Error("this browser draws no pictures here");
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** The spread of the picture's brightness: a flat one has none. */
export function spread() {
  const { data } = pixels(element("#picture", HTMLCanvasElement));
  const light = [];
  for (let at = 0; at < data.length; at += 4) light.push((data[at] + data[at + 1] + data[at + 2]) / 3);
  const mean = light.reduce((a, b) => a + b) / light.length;
  return Math.sqrt(light.reduce((sum, each) => sum + (each - mean) ** 2, 0) / light.length);
}

/** The settings that the file of the first picture in the gallery tells. */
export async function settings() {
  const { settingsOfPng } = await import("/png.js");
  return await settingsOfPng(await blob(element("#gallery a", HTMLAnchorElement).href));
}

/** The picture at an address. @param {string} address */
async function load(address) {
  const bitmap = await createImageBitmap(await blob(address));
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  return pixels(canvas);
}

/**
 * The mean difference of the picture from the one at an address, from 0 to 255, between two shares of the width.
 * @param {{ before: string, from: number, to: number }} args
 */
export async function difference({ before, from, to }) {
  const [a, b] = [await load(before), await load(element("#picture", HTMLCanvasElement).toDataURL())];
  let [sum, count] = [0, 0];
  for (let row = 0; row < a.height; row++) {
    for (let column = 0; column < a.width; column++) {
      const x = (column + 0.5) / a.width;
      if (x < from || x >= to) continue;
      const at = 4 * (row * a.width + column);
      for (let c = 0; c < 3; c++) sum += Math.abs(a.data[at + c] - b.data[at + c]);
      count += 3;
    }
  }
  return sum / count;
}

/** Moves the brush of the keyboard, which begins in the middle, over the left half of the picture. */
export function brushLeft() {
  const mask = element("#mask", HTMLElement);
  const press = (/** @type {string} */ key, shiftKey = false) =>
    mask.dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey, bubbles: true, cancelable: true }));
  for (let i = 0; i < 14; i++) press("ArrowUp");
  for (let i = 0; i < 3; i++) press("ArrowLeft");
  for (let row = 0; row < 14; row++) {
    for (let i = 0; i < 8; i++) press(row % 2 ? "ArrowRight" : "ArrowLeft", true);
    press("ArrowDown", true);
  }
}

/** The sides of the picture that the widget paints. */
export async function painted() {
  const widget = /** @type {import("../../../www/widgets.js").VitrineImage} */ (element("#third", HTMLElement));
  widget.setAttribute("steps", "3");
  const picture = await widget.paint();
  return [picture?.width ?? 0, picture?.height ?? 0];
}

// @ts-check
import { element, engineOn, psnr, tensors } from "./common.js";

/** Drops the picture that is shown on the page, once the model is back in the middle. */
export async function dropPicture() {
  const canvas = element("#picture", HTMLCanvasElement);
  /** @type {Blob | null} */
  const picture = await new Promise((resolve) => canvas.toBlob(resolve));
  element("#middle", HTMLElement).click();
  const files = new DataTransfer();
  files.items.add(new File([picture ?? ""], "face.png", { type: "image/png" }));
  dispatchEvent(new DragEvent("drop", { dataTransfer: files, cancelable: true }));
}

/** The controls that have no name. */
export function nameless() {
  /** @type {NodeListOf<HTMLButtonElement | HTMLSelectElement | HTMLInputElement | HTMLCanvasElement>} */
  const controls = document.querySelectorAll("button, select, input, canvas[tabindex]");
  const name = (/** @type {HTMLElement & { labels?: NodeListOf<HTMLLabelElement> | null }} */ each) =>
    each.getAttribute("aria-label") ?? each.labels?.[0]?.textContent ?? each.textContent;
  return [...controls].filter((each) => each.offsetParent && !name(each).trim()).map((each) => each.id);
}

/** A picture's planes, from -1 to 1. @param {ImageData} picture */
function planes({ data }) {
  return Float32Array.from({ length: 3 * 4096 }, (_, i) => data[4 * (i % 4096) + Math.floor(i / 4096)] / 127.5 - 1);
}

/** A picture of such planes. @param {Float32Array} values */
function pictureOf(values) {
  const picture = new ImageData(64, 64);
  for (let i = 0; i < 4 * 4096; i++) {
    picture.data[i] = i % 4 === 3 ? 255 : Math.round(127.5 * values[(i % 4) * 4096 + Math.floor(i / 4)] + 127.5);
  }
  return picture;
}

/** How near both models of faces come to PyTorch, in dB. */
export async function agree() {
  const engine = await engineOn("cpu");
  /** @type {Record<string, number>} */
  const all = {};
  for (const quantization of /** @type {const} */ (["keep", "q8_0"])) {
    for (const name of /** @type {const} */ (["faces-vae", "faces-gan"])) {
      const model = await engine.load(name, { quantization });
      const expected = await tensors(`/fixtures/pictures/${name.replace("-", "_")}/expected.safetensors`);
      const made = await model.decode(expected("latent").slice(0, 8), [1, 8]);
      all[`${name} decodes, ${quantization}`] = psnr(planes(made), expected("decoded").slice(0, 3 * 4096), 2);
      if (model.info.encodes) {
        const { latent } = await model.encode(pictureOf(expected("picture")));
        all[`${name} encodes, ${quantization}`] = psnr(latent, expected("mean").slice(0, 8), 6);
      }
      await model.unload();
    }
  }
  return all;
}

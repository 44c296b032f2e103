/** Small pictures: onto a canvas, from a file or a letter, and how alike two are. */

/** What lies behind a picture that is not square or not opaque: the ground of a calm face. */
const GROUND = "rgb(190 215 215)";

/** @param {HTMLCanvasElement} canvas @param {ImageData} picture */
export function drawn(canvas, picture) {
  if (canvas.width !== picture.width) canvas.width = picture.width;
  if (canvas.height !== picture.height) canvas.height = picture.height;
  // It is enlarged by a whole number: see the style sheets.
  canvas.style.setProperty("--width", String(picture.width));
  canvas.getContext("2d")?.putImageData(picture, 0, 0);
}

/** The middle of a picture, cut square. Rejects what the browser cannot read. @param {Blob} file @param {number} side */
export async function framed(file, side) {
  // An SVG alone needs an element, and with it a policy that lets it have one (`img-src blob:`).
  const picture = await createImageBitmap(file).catch(() => drawing(file));
  const [width, height] = picture instanceof ImageBitmap ? [picture.width, picture.height] : [picture.naturalWidth, picture.naturalHeight];
  const least = Math.min(width, height) || side;
  const [left, top] = [(width - least) / 2, (height - least) / 2];
  return square(side, (context) => context.drawImage(picture, left, top, least, least, 0, 0, side, side));
}

/** @param {Blob} file */
async function drawing(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    return image;
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

/** All of a picture. @param {Blob} file @returns {Promise<ImageData>} */
export async function wholePicture(file) {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  if (!context) throw new Error("the browser draws nothing");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

/** A picture as a file. @param {ImageData} picture */
export async function pictureFile(picture) {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  canvas.getContext("2d")?.putImageData(picture, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}

/** A sign as the reader's system draws it. @param {string} sign @param {number} side */
export function glyph(sign, side) {
  return square(side, (context) => {
    context.font = `${0.62 * side}px "Noto Color Emoji", "Apple Color Emoji", "Segoe UI Emoji", sans-serif`;
    context.textAlign = "center";
    context.fillStyle = "black";
    const { actualBoundingBoxAscent: above, actualBoundingBoxDescent: below } = context.measureText(sign);
    context.fillText(sign, side / 2, 0.55 * side + (above - below) / 2);
  });
}

/** In decibels: the ratio of the range of colours to their mean difference. @param {ImageData} a @param {ImageData} b */
export function difference(a, b) {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) if (i % 4 !== 3) sum += (a.data[i] - b.data[i]) ** 2;
  return 10 * Math.log10((255 ** 2 * 0.75 * a.data.length) / Math.max(sum, 1));
}

/** @param {number} side @param {(context: CanvasRenderingContext2D) => void} draw */
function square(side, draw) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("the browser draws nothing");
  context.imageSmoothingQuality = "high";
  context.fillStyle = GROUND;
  context.fillRect(0, 0, side, side);
  draw(context);
  return context.getImageData(0, 0, side, side);
}

/**
 * Pictures as PNG files that remember how they were painted: the settings lie in an `iTXt` chunk called `vitrine`, as JSON (PNG specification,
 * section 11.3.3.4). Programs that do not know it pass it over.
 */

const KEYWORD = "vitrine";
const SIGNATURE = 8;

/**
 * @param {ImageData} image
 * @param {object} settings what JSON can say
 * @returns {Promise<Blob>}
 */
export async function pngWithSettings(image, settings) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser draws no pictures here");
  context.putImageData(image, 0, 0);
  const png = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
  // The header chunk comes first, always: the text goes right behind it.
  const header = chunks(png).next().value;
  const after = header ? header.end : SIGNATURE;
  return new Blob([png.subarray(0, after), textChunk(JSON.stringify(settings)), png.subarray(after)], { type: "image/png" });
}

/**
 * The settings of a picture that `pngWithSettings` made; nothing for any other file.
 * @param {Blob} file
 * @returns {Promise<Record<string, unknown> | undefined>}
 */
export async function settingsOfPng(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const [first, ...rest] = [0x89, 0x50, 0x4e, 0x47];
  if (bytes[0] !== first || rest.some((byte, at) => bytes[at + 1] !== byte)) return undefined;
  const start = [...new TextEncoder().encode(KEYWORD), 0, 0, 0, 0, 0];
  for (const { type, data } of chunks(bytes)) {
    if (type !== "iTXt" || start.some((byte, at) => data[at] !== byte)) continue;
    try {
      const settings = JSON.parse(new TextDecoder().decode(data.subarray(start.length)));
      return typeof settings === "object" && settings !== null ? settings : undefined;
    } catch {
      // A chunk of our name that another program wrote: no settings of ours.
      return undefined;
    }
  }
  return undefined;
}

/** The chunks of a PNG, as far as they are whole. @param {Uint8Array} png */
function* chunks(png) {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  let at = SIGNATURE;
  while (at + 12 <= png.length) {
    const length = view.getUint32(at);
    const end = at + 12 + length;
    if (end > png.length) return;
    yield { type: String.fromCharCode(...png.subarray(at + 4, at + 8)), data: png.subarray(at + 8, end - 4), end };
    at = end;
  }
}

/** An uncompressed `iTXt` chunk: keyword, 0, flags, no language, no translated keyword, UTF-8. @param {string} text */
function textChunk(text) {
  const body = new TextEncoder().encode(`iTXt${KEYWORD}\0\0\0\0\0${text}`);
  const chunk = new Uint8Array(body.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  view.setUint32(chunk.length - 4, crc32(body));
  return chunk;
}

/** The checksum of PNG and of Ethernet (ISO 3309), bit by bit: a few hundred bytes are nothing. @param {Uint8Array} bytes */
function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

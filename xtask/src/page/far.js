// @ts-check
import { blob, bytes, engineOn, said } from "./common.js";

/** @typedef {import("/vitrine.js").TextModel} TextModel */

/** Zeros between the bytes of a file. */
const HOLE = 2 ** 32 + 2 ** 20;

/** @param {TextModel} model */
const writes = (model) => model.generate("", { maxTokens: 6, temperature: 0 }).text();

/**
 * Where a GGUF's header holds its whole numbers and its tensors' sides and offsets.
 * @param {ArrayBuffer} buffer
 */
function places(buffer) {
  const view = new DataView(buffer);
  let at = 8;
  const u32 = () => ((at += 4), view.getUint32(at - 4, true));
  const u64 = () => ((at += 8), Number(view.getBigUint64(at - 8, true)));
  const text = () => {
    const length = u64();
    at += length;
    return new TextDecoder().decode(new Uint8Array(buffer, at - length, length));
  };
  const sizes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
  /** @param {number} kind */
  const skip = (kind) => {
    if (kind === 8) text();
    else if (kind === 9) for (let [member, count] = [u32(), u64()]; count > 0; count--) skip(member);
    else at += sizes[kind];
  };
  const [tensorCount, pairCount] = [u64(), u64()];
  /** @type {Record<string, number>} */
  const values = {};
  for (let i = 0; i < pairCount; i++) {
    const name = text();
    const kind = u32();
    values[name] = at;
    skip(kind);
  }
  const tensors = Array.from({ length: tensorCount }, () => {
    const name = text();
    const sides = Array.from({ length: u32() }, () => ((at += 8), at - 8));
    at += 4;
    return { name, sides, offsetAt: at, offset: u64() };
  });
  return { values, tensors, start: Math.ceil(at / 32) * 32 };
}

/** @typedef {{ at: number, value: number, bytes: 4 | 8 }} Change */

/**
 * The same file changed and with zeros in it: where a server makes it, and as one that is made here.
 * @param {string} file
 * @param {Change[]} changes
 * @param {number} at where the zeros begin
 * @param {number} length
 */
async function patched(file, changes, at, length) {
  const whole = new Uint8Array(await bytes(file));
  const view = new DataView(whole.buffer);
  const set = changes.map(({ at, value, bytes }) => {
    if (bytes === 4) view.setUint32(at, value, true);
    else view.setBigUint64(at, BigInt(value), true);
    return `${at}:${[...whole.subarray(at, at + bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  });
  const address = `/fault/patched${file}?set=${set.join(",")}&hole=${at}:${length}`;
  return { address, file: withHole(whole, at, length, "far.gguf") };
}

/** @param {Uint8Array<ArrayBuffer>} whole @param {number} at @param {number} length @param {string} name */
function withHole(whole, at, length, name) {
  const some = new Blob([new Uint8Array(2 ** 20)]);
  return new File([whole.subarray(0, at), ...Array(length / some.size).fill(some), whole.subarray(at)], name);
}

/** @param {string} file */
export async function beyond(file) {
  const engine = await engineOn("cpu");
  const { tensors, start } = places(await bytes(file));
  // The hole lies amid the tensors.
  const first = tensors[tensors.length >> 1].offset;
  const behind = tensors.filter(({ offset }) => offset >= first);
  const changes = behind.map(({ offsetAt, offset }) => ({ at: offsetAt, value: offset + HOLE, bytes: /** @type {8} */ (8) }));
  const far = await patched(file, changes, start + first, HOLE);
  const address = await engine.load(far.address, { cache: false });
  const hollow = await patched(file, changes.slice(1), start + first, HOLE);
  return {
    plain: await writes(await engine.load(file)),
    address: await writes(address),
    size: far.file.size,
    file: await writes(await engine.load(far.file)),
    hollow: await writes(await engine.load(hollow.file)),
  };
}

/** @param {string} folder */
export async function beyondInSafetensors(folder) {
  const engine = await engineOn("cpu");
  const texts = Object.fromEntries(await Promise.all(["config.json", "tokenizer.json"].map(async (name) => [name, await blob(`${folder}/${name}`)])));
  const whole = await bytes(`${folder}/model.safetensors`);
  const length = Number(new DataView(whole).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(whole, 8, length)));
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__");
  const starts = entries.map(([, { data_offsets }]) => data_offsets[0]).sort((a, b) => a - b);
  const first = starts[starts.length >> 1];
  for (const [, entry] of entries) if (entry.data_offsets[0] >= first) entry.data_offsets = entry.data_offsets.map((/** @type {number} */ at) => at + HOLE);
  const text = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, BigInt(text.length), true);
  const data = new Uint8Array(whole, 8 + length);
  const moved = new Uint8Array([...head, ...text, ...data]);
  const file = withHole(moved, 8 + text.length + first, HOLE, "model.safetensors");
  const load = (/** @type {Blob} */ model) => engine.load({ "model.safetensors": model, ...texts });
  return { plain: await writes(await load(new Blob([whole]))), file: await writes(await load(file)), size: file.size };
}

/** @param {string} file */
export async function tooLarge(file) {
  const engine = await engineOn("cpu");
  const whole = await bytes(file);
  const { values, tensors } = places(whole);
  // Sides 64 times as long, layers between them 1024 times; the tensors lie behind all that is there.
  /** @type {Change[]} */
  const changes = Object.entries({ embedding_length: 4096, feed_forward_length: 65536, "rope.dimension_count": 1024 }).map(([name, value]) => ({
    at: values[`llama.${name}`],
    value,
    bytes: /** @type {4} */ (4),
  }));
  const view = new DataView(whole);
  let [end, held] = [Math.max(...tensors.map(({ offset }) => offset)) + 256, 0];
  for (const { name, sides, offsetAt } of tensors) {
    const wide = /ffn_(gate|up)/.test(name) ? 1 : name.includes("ffn_down") ? 0 : -1;
    const values = sides.map((at, i) => {
      const side = Number(view.getBigUint64(at, true));
      return i === wide ? 65536 : side === 320 ? side : 64 * side;
    });
    changes.push(...sides.map((at, i) => ({ at, value: values[i], bytes: /** @type {8} */ (8) })), { at: offsetAt, value: end + held, bytes: 8 });
    held += values.reduce((product, side) => product * side, 4);
  }
  const large = await patched(file, changes, whole.byteLength, Math.ceil(held / 2 ** 20) * 2 ** 20);
  let loaded = 0;
  const onProgress = (/** @type {import("/vitrine.js").Progress} */ progress) => (loaded = Math.max(loaded, progress.loaded));
  return {
    address: await said(engine.load(large.address, { onProgress })),
    loaded,
    mebibytes: Math.ceil(held / 2 ** 20),
    file: await said(engine.load(large.file)),
    after: await writes(await engine.load(file)),
  };
}

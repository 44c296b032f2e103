// @ts-check
/** What the scripts of several tests share; each gets it put before its own text. */

/** @typedef {"cpu" | "webgpu"} Device */

/** An engine that computes on this device. @param {Device} device */
export async function engineOn(device) {
  const { Engine } = await import("/vitrine.js");
  const engine = await Engine.create({ device });
  if (engine.device.kind !== device) throw new Error(`computed by ${JSON.stringify(engine.device)}`);
  return engine;
}

/** The code of the error that some work ends with; "none" where it ends well. @param {Promise<unknown>} work @returns {Promise<string>} */
export function code(work) {
  return work.then(
    () => "none",
    (error) => error.code ?? String(error),
  );
}

/** The code and the sentence of the error that some work ends with; "nothing" where it ends well. @param {Promise<unknown>} work @returns {Promise<string>} */
export function said(work) {
  return work.then(
    () => "nothing",
    ({ code, message }) => `${code}: ${message}`,
  );
}

/** The addresses of a folder's files by their names. @param {string} folder @param {string[]} names @returns {Record<string, string>} */
export function filesOf(folder, names) {
  return Object.fromEntries(names.map((name) => [name, `${folder}/${name}`]));
}

/** @param {import("/vitrine.js").TextStream} stream */
export async function tokensOf(stream) {
  const tokens = [];
  for await (const { token } of stream) if (token !== undefined) tokens.push(token);
  return tokens;
}

/** @param {string} address */
export async function bytes(address) {
  return (await fetch(address)).arrayBuffer();
}

/** @param {string} address */
export async function blob(address) {
  return (await fetch(address)).blob();
}

/**
 * A file of tensors (safetensors), each by its name as 32-bit numbers.
 * @param {string} address
 * @returns {Promise<(name: string) => Float32Array<ArrayBuffer>>}
 */
export async function tensors(address) {
  const buffer = await bytes(address);
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  return (name) => {
    const [from, to] = header[name].data_offsets;
    const data = buffer.slice(8 + length + from, 8 + length + to);
    return header[name].dtype === "F16" ? Float32Array.from(new Float16Array(data)) : new Float32Array(data);
  };
}

/**
 * The ratio of the range to the mean error of `a` against `b`, in dB.
 * @param {ArrayLike<number>} a
 * @param {ArrayLike<number>} b
 * @param {number} range
 */
export function psnr(a, b, range) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return 10 * Math.log10((range ** 2 * a.length) / sum);
}

/** A model that takes down which conversations it is given. @param {import("/vitrine.js").TextModel} model */
export function listening(model) {
  /** @type {import("/vitrine.js").Messages[]} */
  const heard = [];
  /** @type {Pick<import("/vitrine.js").TextModel, "info" | "chat">} */
  const listener = {
    info: model.info,
    chat(messages, options) {
      heard.push(messages);
      return model.chat(messages, options);
    },
  };
  return { heard, listener: /** @type {import("/vitrine.js").TextModel} */ (listener) };
}

/**
 * @template {Element} E
 * @param {string} selector
 * @param {new () => E} type
 * @returns {E}
 */
export function element(selector, type) {
  const found = document.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`there is no ${type.name} ${selector}`);
  return found;
}

/** Drops files on the page, as the hand would: enter, over, drop. @param {File[]} files */
export function drop(files) {
  const transfer = new DataTransfer();
  for (const file of files) transfer.items.add(file);
  for (const type of ["dragenter", "dragover", "drop"]) {
    element("main", HTMLElement).dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}

// @ts-check
import { blob, code, engineOn, psnr, said, tensors } from "./common.js";

/** @typedef {import("./common.js").Device} Device */
/** @typedef {import("/vitrine.js").Engine} Engine */

/**
 * A small pipeline of diffusers, by the address of its index, then by its files; what it paints against what diffusers paints from the same noise.
 * @param {{ device: Device, folder: string, weights: string, textWeights: string, encoders: string[], wish: import("/vitrine.js").ImageOptions }} args
 */
export async function pipeline({ device, folder, weights, textWeights, encoders, wish }) {
  const wanted = (await tensors(`${folder}reference.safetensors`))("picture");
  const engine = await engineOn(device);
  const distance = (/** @type {ImageData | undefined} */ picture) => psnr(wanted, colours(picture), 1);
  /** @type {import("/vitrine.js").ImageModel} */
  const model = await engine.load(`${folder}model_index.json`);
  let [glances, steps] = [0, 0];
  let last;
  for await (const { image } of model.generate(wish)) {
    if (image) glances += 1;
    steps += 1;
    last = image;
  }
  const parts = ["unet", "vae"].flatMap((part) => [`${part}/config.json`, `${part}/${weights}`]);
  const text = encoders.flatMap((end) => [`tokenizer${end}/vocab.json`, `tokenizer${end}/merges.txt`, `text_encoder${end}/config.json`, `text_encoder${end}/${textWeights}`]);
  const names = ["model_index.json", "scheduler/scheduler_config.json", ...parts, ...text];
  const files = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await blob(folder + name)])));
  const again = await engine.load({ files }, { kind: "image", quantization: "q8_0" });
  const eight = await again.generate({ ...wish, preview: false }).picture();
  const less = Object.entries(files).filter(([name]) => !name.endsWith("vocab.json"));
  const lacking = await code(engine.load({ files: Object.fromEntries(less) }));
  const odd = await code(model.generate({ ...wish, width: 51 }).picture());
  return { info: model.info, stats: model.stats, glances, steps, whole: distance(last), eight: distance(eight), lacking, odd };
}

/** Red, green and blue of every pixel, from 0 to 1. @param {ImageData | undefined} picture */
function colours(picture) {
  return Float32Array.from(picture?.data ?? []).filter((_, at) => at % 4 < 3).map((value) => value / 255);
}

/** @param {Device} device */
export async function illustrator(device) {
  const wanted = (await tensors("/fixtures/illustrator.safetensors"))("painted").map((value) => Math.min(1, Math.max(-1, value)));
  const engine = await engineOn(device);
  const entry = (await engine.catalog()).find(({ kind }) => kind === "image");
  /** @type {import("/vitrine.js").ImageModel} */
  const model = await engine.load(entry?.id ?? "");
  const picture = await model.generate({ prompt: "a fox in the snow at night", negativePrompt: "rain", seed: 7, preview: false }).picture();
  const painted = colours(picture).map((value) => 2 * value - 1);
  return { device: model.info.device.kind, numbers: wanted.length, psnr: psnr(wanted, painted, 2) };
}

export async function repositories() {
  const { modelFiles } = await import("/pipeline.js");
  const choose = async (/** @type {string[]} */ paths) => modelFiles(paths, "hf://o/r");
  const pipeline = [
    "README.md",
    "model_index.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.bin",
    "safety_checker/model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "tokenizer/vocab.json",
  ];
  const pytorch = [
    "model_index.json",
    "unet/diffusion_pytorch_model.bin",
    "unet/diffusion_pytorch_model.non_ema.bin",
    "unet/optimizer.bin",
    "vae/diffusion_pytorch_model.bin",
    "vae/diffusion_pytorch_model.fp16.bin",
    "text_encoder/pytorch_model.bin",
    "text_encoder/model.safetensors",
    "safety_checker/pytorch_model.bin",
  ];
  return {
    pipeline: modelFiles(pipeline, ""),
    pytorch: modelFiles(pytorch, ""),
    text: modelFiles(["config.json", "model.safetensors", "pytorch_model.bin", "tokenizer.json", "onnx/model.onnx"], ""),
    one: modelFiles(["a.gguf", "README.md", "pytorch_model.bin"], ""),
    older: modelFiles(["config.json", "pytorch_model.bin", "training_args.bin", "tokenizer.json"], ""),
    two: await said(choose(["a.gguf", "b.gguf"])),
    none: await said(choose(["model.bin"])),
  };
}

export async function catalogued() {
  const { placeCatalog, resolveSource } = await import("/catalog.js");
  placeCatalog({ catalog: new URL("/models/catalog.json", location.href).href, models: {} });
  const network = fetch;
  /** @type {unknown[]} */
  const asked = [];
  const paths = [
    ".gitattributes",
    "README.md",
    "model_index.json",
    "feature_extractor/preprocessor_config.json",
    "safety_checker/config.json",
    "safety_checker/pytorch_model.bin",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/pytorch_model.bin",
    "tokenizer/merges.txt",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.bin",
    "vae/config.json",
    "vae/diffusion_pytorch_model.bin",
  ];
  globalThis.fetch = (address, options) => {
    if (!String(address).startsWith("https://huggingface.co/")) return network(address, options);
    asked.push(address);
    return Promise.resolve(new Response(JSON.stringify({ siblings: paths.map((rfilename) => ({ rfilename })) })));
  };
  const { files, quantization } = await resolveSource({ address: "tiny-sd" });
  return { asked, quantization, files: files.map((file) => `${file.name} ${"address" in file && file.address}`) };
}

const FOLDER = "/reference/vae/taef2/";
const SHAPE = [1, 32, 16, 16];

/** A latent of the reference, the picture that it decodes to and the one that it is encoded from, each a plane after the other. */
async function reference() {
  const tensor = await tensors(`${FOLDER}reference.safetensors`);
  const picture = (/** @type {string} */ name) => tensor(name).slice(0, 3 * 128 * 128);
  const decoded = picture("decoded").map((value) => Math.min(1, Math.max(0, value)));
  return { latent: tensor("latent").slice(0, 32 * 16 * 16), decoded, image: picture("image") };
}

/** A picture's planes, from 0 to 1. @param {ImageData} picture */
function planes({ data, width, height }) {
  const pixels = width * height;
  return Float32Array.from({ length: 3 * pixels }, (_, i) => data[4 * (i % pixels) + Math.floor(i / pixels)] / 255);
}

/**
 * Half of the trained autoencoder.
 * @param {Engine} engine
 * @param {"decoder" | "encoder"} half
 * @param {import("/vitrine.js").LoadOptions} [options]
 * @returns {Promise<import("/vitrine.js").Autoencoder>}
 */
function load(engine, half, options) {
  return engine.load(`${FOLDER}taef2_${half}.safetensors`, options);
}

export async function taef2() {
  const { latent, decoded, image } = await reference();
  const engine = await engineOn("cpu");
  const [decoder, encoder] = [await load(engine, "decoder"), await load(engine, "encoder")];
  const picture = await decoder.decode(latent, SHAPE);
  const given = new ImageData(128, 128);
  for (let i = 0; i < 128 * 128; i++) {
    for (let c = 0; c < 4; c++) given.data[4 * i + c] = c === 3 ? 255 : Math.round(255 * image[c * 128 * 128 + i]);
  }
  const encoded = await encoder.encode(given);
  const canvas = new OffscreenCanvas(128, 128);
  canvas.getContext("2d")?.putImageData(given, 0, 0);
  const again = await encoder.encode(await canvas.convertToBlob());
  return {
    info: [decoder.info, encoder.info],
    stats: decoder.stats,
    shape: encoded.shape,
    decode: psnr(planes(picture), decoded, 1),
    encode: psnr(encoded.latent, latent, 6),
    blob: psnr(again.latent, encoded.latent, 6),
  };
}

export async function bothDevices() {
  const decode = async (/** @type {Device} */ device) => {
    const model = await load(await engineOn(device), "decoder");
    const latent = Float32Array.from({ length: 32 * 64 }, (_, i) => 1.2 * Math.sin(i * 12.9898));
    return { data: (await model.decode(latent, [1, 32, 8, 8])).data, stats: model.stats, device: model.info.device.kind };
  };
  const [cpu, gpu] = [await decode("cpu"), await decode("webgpu")];
  const most = cpu.data.reduce((most, value, at) => Math.max(most, Math.abs(value - gpu.data[at])), 0);
  return { most, device: gpu.device, stats: gpu.stats };
}

export async function quantised() {
  const { latent, decoded } = await reference();
  const model = await load(await engineOn("cpu"), "decoder", { quantization: "q8_0" });
  return psnr(planes(await model.decode(latent, SHAPE)), decoded, 1);
}

export async function abort() {
  const { latent, decoded } = await reference();
  const model = await load(await engineOn("cpu"), "decoder");
  const large = new Float32Array(32 * 64 * 64);
  const abort = new AbortController();
  const work = code(model.decode(large, [1, 32, 64, 64], { signal: abort.signal }));
  await new Promise((resolve) => setTimeout(resolve, 100));
  abort.abort();
  const outcome = await work;
  const begun = performance.now();
  const after = psnr(planes(await model.decode(latent, SHAPE)), decoded, 1);
  const waited = performance.now() - begun;
  await model.unload();
  return { outcome, after, waited, unloaded: await code(model.decode(latent, SHAPE)) };
}

export async function refused() {
  const { latent } = await reference();
  const engine = await engineOn("cpu");
  const [decoder, encoder] = [await load(engine, "decoder"), await load(engine, "encoder")];
  return [
    await code(decoder.decode(latent, [1, 16, 16, 32])),
    await code(decoder.decode(latent, [1, 32, 16])),
    await code(decoder.decode(latent, [1, 32, 16, 17])),
    await code(decoder.decode(latent, [1, 32, 0, 0])),
    await code(decoder.decode(latent, [1, 32, 1e6, 1e6])),
    await code(decoder.decode(latent.map(() => NaN), SHAPE)),
    // @ts-expect-error an array
    await code(decoder.decode([...latent], SHAPE)),
    await code(encoder.decode(latent, SHAPE)),
    await code(decoder.encode(new ImageData(16, 16))),
    await code(encoder.encode(new ImageData(16, 17))),
    // @ts-expect-error no picture
    await code(encoder.encode()),
    await code(encoder.encode(new Blob(["no picture"]))),
    // @ts-expect-error no such kind
    await code(load(engine, "decoder", { kind: "sculpture" })),
    // @ts-expect-error no such quantization
    await code(load(engine, "decoder", { quantization: "q1" })),
  ];
}

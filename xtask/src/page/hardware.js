// @ts-check
import { engineOn, said, tokensOf } from "./common.js";

/** @typedef {import("/vitrine.js").EngineOptions} EngineOptions */

/** In a page that was opened with `?device=webgpu&as=hardware`: the same engine, for a second look with the API. */
async function engines() {
  const { Engine } = await import("/vitrine.js");
  const gpu = await Engine.create({ device: "webgpu", as: "hardware" });
  const { device } = gpu;
  if (device.kind !== "webgpu" || !device.subgroups || !device.reason.includes("taken for hardware")) throw new Error(JSON.stringify(device));
  return [await engineOn("cpu"), gpu];
}

export async function story() {
  const told = [];
  for (const engine of await engines()) {
    const model = await engine.load("storyteller");
    const tokens = await tokensOf(model.generate("One winter day, a fox", { maxTokens: 40, temperature: 0 }));
    told.push({ tokens, device: model.info.device });
  }
  return told;
}

export async function picture() {
  const pictures = [];
  for (const engine of await engines()) {
    const model = await engine.load("illustrator");
    const { data } = await model.generate({ prompt: "a fox in the snow", steps: 4, seed: 7, preview: false }).picture();
    pictures.push(data);
  }
  const [byCpu, byGpu] = pictures;
  let sum = 0;
  for (const [at, value] of byCpu.entries()) sum += (value - byGpu[at]) ** 2;
  const red = byCpu.filter((_, at) => at % 4 === 0);
  const spread = Math.max(...red) - Math.min(...red);
  return { psnr: Math.min(99, 10 * Math.log10((255 ** 2 * byCpu.length) / sum)), spread };
}

/**
 * What a compiler refuses: shaders whose code, or pipelines whose label, holds these words.
 * @typedef {{ words: string, pipelines: boolean }} Refusal
 */

/** Has the compiler of a worker refuse it. @param {Refusal} refusal */
function patch({ words, pipelines }) {
  const { createShaderModule, createComputePipeline } = GPUDevice.prototype;
  GPUDevice.prototype.createShaderModule = function (descriptor) {
    const isRefused = !pipelines && descriptor.code.includes(words);
    return createShaderModule.call(this, isRefused ? { ...descriptor, code: "no shader" } : descriptor);
  };
  GPUDevice.prototype.createComputePipeline = function (descriptor) {
    const isRefused = pipelines && descriptor.label?.includes(words);
    const compute = { module: descriptor.compute.module, entryPoint: "nowhere" };
    return createComputePipeline.call(this, isRefused ? { ...descriptor, compute } : descriptor);
  };
}

/** Has the workers that this page starts run `patch` before their own module. @param {Refusal} refusal */
function refuse(refusal) {
  const first = `data:text/javascript,${encodeURIComponent(`(${patch})(${JSON.stringify(refusal)})`)}`;
  globalThis.Worker = class extends Worker {
    /** @param {string | URL} url @param {WorkerOptions} [options] */
    constructor(url, options) {
      const both = `import ${JSON.stringify(first)}; import ${JSON.stringify(String(url))};`;
      super(URL.createObjectURL(new Blob([both], { type: "text/javascript" })), options);
    }
  };
}

/** @param {{ refusal: Refusal, options: EngineOptions }} args */
export async function refusing({ refusal, options }) {
  refuse(refusal);
  const { Engine } = await import("/vitrine.js");
  const told = [];
  const engine = await Engine.create(options);
  const before = engine.device;
  for (const each of [await engineOn("cpu"), engine]) {
    const model = await each.load("/fixtures/tiny_llama.gguf");
    const tokens = await tokensOf(model.generate("a", { maxTokens: 12, temperature: 0 }));
    told.push({ tokens, device: model.info.device });
  }
  return { cpu: told[0], engine: told[1], before, after: engine.device };
}

export async function insisting() {
  refuse({ words: "", pipelines: false });
  const engine = await engineOn("webgpu");
  return await said(engine.load("/fixtures/tiny_llama.gguf"));
}

export async function words() {
  const { Engine } = await import("/vitrine.js");
  const tries = [
    { as: "metal" },
    { as: 1 },
    { subgroups: "off" },
    { device: "cpu", as: "hardware" },
    { device: "cpu", subgroups: false },
  ];
  return Promise.all(tries.map((options) => said(Engine.create(/** @type {EngineOptions} */ (options)))));
}

export async function devices() {
  const { Engine } = await import("/vitrine.js");
  const open = async (/** @type {EngineOptions} */ options) => {
    const { kind, subgroups, software, reason } = (await Engine.create(options)).device;
    return { kind, subgroups, software, reason };
  };
  return [
    await open({ device: "webgpu" }),
    await open({ device: "webgpu", as: "hardware", subgroups: false }),
    await open({ as: "software" }),
    await open({ as: "hardware" }),
  ];
}

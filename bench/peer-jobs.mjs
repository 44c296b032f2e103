// Jobs for the peers' harness: each of the peers' jobs on a model that is there, and Vitrine's on the same work right after it, so that
// both meet the machine in the same mood. Copied beside the harness's own jobs.mjs by `cargo xtask bench --against peers`.
import { existsSync } from "node:fs";
import { jobs as all } from "./jobs.mjs";

const modes = { t1: "cpu", webgpu: "webgpu" };
// Vitrine's files of the shapes that onnxruntime-web is given as ONNX, and what is asked of them.
const below = (folder, ...names) => names.map((name) => ({ name, address: `${folder}/${name}` }));
const taesd = below("/models/taesd", "taesd_decoder.safetensors");
const vae = below("/models/vae", "config.json", "diffusion_pytorch_model.safetensors");
const sd = below(
  "/models/tiny-sd",
  ...["model_index.json", "scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt", "text_encoder/config.json"],
  ...["text_encoder/model.safetensors", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"],
  ...["vae/config.json", "vae/diffusion_pytorch_model.safetensors"],
);
const pictures = {
  taesd128: [taesd, { latent: 16 }],
  taesd512: [taesd, { latent: 64 }],
  vae256: [vae, { latent: 32 }],
  vae512: [vae, { latent: 64 }],
  unet64: [sd, { paint: 512 }],
};
const there = (address) => existsSync(`..${address}`);

/** What Vitrine is asked on the same work, or undefined where it cannot be compared. */
function ours(peer) {
  if (peer.peer === "wllama" && there(peer.job.model)) {
    const { model, prompts, pp, tg, reps, check } = peer.job;
    return { files: below(...model.split(/\/(?=[^/]*$)/)), prompts, pp, tg, reps, check };
  }
  const [files, asked] = pictures[peer.tag] ?? [];
  if (peer.peer !== "onnxruntime-web" || !files || ![peer.job.model, ...files.map(({ address }) => address)].every(there)) return undefined;
  return { files, ...asked, reps: peer.job.reps };
}

export const jobs = all.flatMap((peer) => {
  const device = modes[peer.mode];
  if (!device) return [];
  // On a software adapter transformers.js does not finish in seven minutes.
  if (peer.peer === "transformers.js") return device === "cpu" && there(`/models/${peer.job.model}`) ? [peer] : [];
  const job = ours(peer);
  if (!job) return [];
  const id = `vitrine${peer.id.slice(peer.id.indexOf("/"))}`;
  return [peer, { ...peer, id, peer: "vitrine", page: "/bench/measure.html", job: { vitrine: "/vitrine/vitrine.js", device, ...job } }];
});

// Jobs for the peers' harness: each of the peers' jobs on a language model, and Vitrine's on the same file right after it, so that
// both meet the machine in the same mood. Copied beside the harness's own jobs.mjs by `cargo xtask bench --against peers`.
import { existsSync } from "node:fs";
import { jobs as all } from "./jobs.mjs";

const modes = { t1: "cpu", webgpu: "webgpu" };

export const jobs = all.flatMap((peer) => {
  const device = modes[peer.mode];
  if (!device) return [];
  // On a software adapter transformers.js does not finish in seven minutes.
  if (peer.peer === "transformers.js") return device === "cpu" && existsSync(`../models/${peer.job.model}`) ? [peer] : [];
  if (peer.peer !== "wllama" || !existsSync(`..${peer.job.model}`)) return [];
  const { model, prompts, pp, tg, reps, check } = peer.job;
  const job = { vitrine: "/vitrine/vitrine.js", files: [model], prompts, device, pp, tg, reps, check };
  return [peer, { ...peer, id: peer.id.replace("wllama", "vitrine"), peer: "vitrine", page: "/bench/measure.html", job }];
});

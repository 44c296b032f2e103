"""Trains the illustrator's caption encoder and denoiser as a rectified flow over the latents of its autoencoder.

    python training/train_illustrator.py --minutes 60 [--resume | --start FILE.gguf]

Pictures are rendered and encoded once (`--pictures`); their captions are worded anew each time. One caption in eight is dropped, for classifier-free guidance. Times
are drawn from a logistic normal (arXiv 2403.03206). Muon for the matrices of the layers, AdamW for the rest; the shipped weights are
a moving average. The learning rate follows the clock.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from export_illustrator import read_file
from illustrator_model import SHAPE, Illustrator, ids_of, sample
from pictures.captions import all_words, caption
from pictures.render import render, sheet
from pictures.scene import Scene, some_scene
from train_storyteller import cpu_name, git_commit

SHOWN = [
    "a fox in the snow at night", "an owl in the forest", "two cats on the beach", "a whale in the sea at sunset", "a rocket in space", "a princess in the city in the rain",
    "three apples in a room", "a robot left of a lantern in the desert", "a dragon above a book in the mountains", "a panda under an umbrella in the meadow", "a tiny mouse on the sand",
    "a ghost in the house at night", "a penguin on the ice while it snows", "a big elephant in the grass", "a boat on the sea by day", "a unicorn among the planets",
]


def make_tokenizer() -> Tokenizer:
    """Word by word: 0 pads, 1 is any word that no caption holds."""
    words = ["[PAD]", "[UNK]", ","] + [w for w in all_words() if w not in (",",)]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def make_latents(model: Illustrator, count: int, seed: int, file: Path) -> tuple[torch.Tensor, list[Scene]]:
    """Pictures of `count` scenes as the denoiser sees them; kept in `file`. The scenes come from the seed alone."""
    rng = random.Random(seed)
    scenes, latents = [], []
    kept = torch.load(file, weights_only=True) if file.exists() else None
    if kept is not None and len(kept) != count:
        kept = None
    pending = []
    for i in range(count):
        scene = some_scene(rng)
        scenes.append(scene)
        chance = random.Random(f"{seed} {i}")
        if kept is not None:
            continue
        pending.append(render(chance, scene))
        if len(pending) == 128 or i == count - 1:
            x = torch.from_numpy(np.stack(pending)).permute(0, 3, 1, 2).float() / 127.5 - 1
            with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
                z = model.vae.encoder(x.contiguous(memory_format=torch.channels_last))
            latents.append(((z.float() - SHAPE_VAE["shift"]) * SHAPE_VAE["scale"]).contiguous().half())
            pending = []
    if kept is None:
        kept = torch.cat(latents)
        torch.save(kept, file)
    return kept, scenes


SHAPE_VAE = {"scale": 1.0, "shift": 0.0}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--minutes", type=float, default=60)
    p.add_argument("--batch", type=int, default=96)
    p.add_argument("--pictures", type=int, default=65536)
    p.add_argument("--muon-rate", type=float, default=0.02)
    p.add_argument("--adam-rate", type=float, default=2e-3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=2)
    p.add_argument("--resume", action="store_true")
    p.add_argument("--start", type=Path, help="begin with the weights of this GGUF, its autoencoder too")
    p.add_argument("--pairs", type=float, default=1.0, help="how often a picture of two subjects is drawn, against one of the others")
    p.add_argument("--compile", action="store_true", help="torch.compile, which takes a minute or two")
    p.add_argument("--out", type=Path, default=Path("training/work/illustrator"))
    p.add_argument("--log", type=Path, default=Path("training/runs/illustrator-v1.jsonl"))
    a = p.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    a.out.mkdir(parents=True, exist_ok=True)
    a.log.parent.mkdir(parents=True, exist_ok=True)
    log = a.log.open("a")
    say = lambda **words: (print(words, flush=True), log.write(json.dumps(words) + "\n"), log.flush())
    tokenizer = make_tokenizer()
    tokenizer.save(str(a.out / "tokenizer.json"))
    if tokenizer.get_vocab_size() > SHAPE.text.vocabulary:
        raise SystemExit(f"{tokenizer.get_vocab_size()} words, and the model knows {SHAPE.text.vocabulary}")
    model = Illustrator()
    if a.start:
        shipped, _, config = read_file(a.start)
        model.load_state_dict(shipped.state_dict())
        SHAPE_VAE.update(scale=config["vae"]["scale"], shift=config["vae"]["shift"])
    else:
        vae = torch.load(a.out / "vae-best.pt", weights_only=True)
        model.vae.load_state_dict(vae["vae"])
        SHAPE_VAE.update(scale=vae["scale"], shift=vae["shift"])
    model.vae.to(memory_format=torch.channels_last).requires_grad_(False)
    latents, scenes = make_latents(model, a.pictures, a.seed, a.out / "latents.pt")
    say(event="latents", count=len(latents), mean=round(float(latents.float().mean()), 3), std=round(float(latents.float().std()), 3))

    trained = {n: q for n, q in model.named_parameters() if not n.startswith("vae.")}
    is_matrix = lambda n, q: q.ndim == 2 and ("blocks." in n or "layers." in n)
    muon = torch.optim.Muon([q for n, q in trained.items() if is_matrix(n, q)], lr=a.muon_rate, weight_decay=0.02, momentum=0.95)
    adam = torch.optim.AdamW([q for n, q in trained.items() if not is_matrix(n, q)], lr=a.adam_rate, betas=(0.9, 0.98), weight_decay=0.0)
    mean = {n: q.detach().clone() for n, q in trained.items()}
    step, spent, file = 0, 0.0, a.out / "denoiser.pt"
    if a.resume and file.exists():
        kept = torch.load(file, weights_only=True)
        model.load_state_dict(kept["model"], strict=False), muon.load_state_dict(kept["muon"]), adam.load_state_dict(kept["adam"])
        mean, step, spent = kept["mean"], kept["step"], kept["spent"]
    say(event="start", run=a.log.stem, commit=git_commit(), date=time.strftime("%Y-%m-%d %H:%M:%S"), machine=cpu_name(), torch=torch.__version__, threads=a.threads, start=a.start.name if a.start else None, batch=a.batch, muon_rate=a.muon_rate, adam_rate=a.adam_rate, pairs=a.pairs, parameters=sum(q.numel() for q in trained.values()), step=step)
    rng, order = random.Random(a.seed + step), torch.Generator().manual_seed(a.seed + step)
    shown_ids, shown_noise = ids_of(tokenizer, SHOWN), torch.randn(len(SHOWN), *latents.shape[1:], generator=torch.Generator().manual_seed(5))
    drawn = torch.tensor([a.pairs if s.other else 1.0 for s in scenes])
    read, denoise = (torch.compile(model.text), torch.compile(model.denoiser)) if a.compile else (model.text, model.denoiser)
    begun, total, told = time.time() - spent, 0.0, time.time()

    def keep() -> None:
        torch.save({"model": {n: q.detach() for n, q in trained.items()}, "muon": muon.state_dict(), "adam": adam.state_dict(), "mean": mean, "step": step, "spent": time.time() - begun}, file)
        averaged = Illustrator()
        averaged.load_state_dict({**{f"vae.{n}": q for n, q in model.vae.state_dict().items()}, **mean})
        torch.save({"model": averaged.state_dict(), **SHAPE_VAE, "step": step}, a.out / "best.pt")
        z = sample(averaged.eval(), shown_ids, shown_noise, 12, 4.0)
        pictures = ((decode_scaled(averaged, z).clamp(-1, 1) + 1) * 127.5).byte().permute(0, 2, 3, 1).numpy()
        sheet(list(pictures), 4).save(a.out / "samples.png")

    def decode_scaled(m: Illustrator, z: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return m.vae.decoder(z / SHAPE_VAE["scale"] + SHAPE_VAE["shift"])

    while (share := (time.time() - begun) / (60 * a.minutes)) < 1:
        rate = min(1.0, (step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
        for optimiser, top in ((muon, a.muon_rate), (adam, a.adam_rate)):
            for group in optimiser.param_groups:
                group["lr"] = top * rate
        index = torch.multinomial(drawn, a.batch, replacement=True, generator=order)
        captions = ["" if rng.random() < 0.125 else caption(rng, scenes[i]) for i in index.tolist()]
        x, noise = latents[index].float(), torch.randn(a.batch, *latents.shape[1:], generator=order)
        t = torch.sigmoid(torch.randn(a.batch, generator=order))
        mixed = (1 - t)[:, None, None, None] * x + t[:, None, None, None] * noise
        with torch.autocast("cpu", dtype=torch.bfloat16):
            guess = denoise(mixed, t, read(ids_of(tokenizer, captions)))
        loss = (guess.float() - (noise - x)).square().mean()
        muon.zero_grad(set_to_none=True), adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 2.0)
        muon.step(), adam.step()
        step, total = step + 1, total + float(loss.detach())
        keep_share = min(0.999, 1 - 1 / (0.1 * step + 1))
        with torch.no_grad():
            torch._foreach_lerp_(list(mean.values()), list(trained.values()), 1 - keep_share)
        if step % 100 == 0:
            say(step=step, minutes=round((time.time() - begun) / 60, 2), loss=round(total / 100, 4))
            total = 0.0
        if time.time() - told > 240:
            told = time.time()
            keep()
    keep()
    say(event="end", step=step, pictures=step * a.batch, minutes=a.minutes)


if __name__ == "__main__":
    main()

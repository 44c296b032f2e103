"""Trains the illustrator's autoencoder on pictures that are rendered as it goes.

    python training/train_illustrator_vae.py --minutes 18
    python training/train_illustrator_vae.py --minutes 15 --decoder-only [--start training/work/illustrator/vae-best.pt]

Loss: absolute difference of pixels and of neighbouring pixels' differences (edges), and a pull of the latents towards 0. The decoder sees latents with a
little noise, so that it forgives the denoiser's small errors. The learning rate follows the clock down to 0. Ends with the latents' mean and spread, which the denoiser is trained on.
With `--decoder-only` the encoder stays as it is, and with it the latents: a decoder can be bettered while or after the denoiser is trained.
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

from illustrator_model import SHAPE, Vae
from pictures.render import render, sheet
from pictures.scene import some_scene
from train_storyteller import cpu_name, git_commit

NOISE = 0.1


def batch(rng: random.Random, count: int) -> torch.Tensor:
    """-> [count, 3, 64, 64] in -1...1, channels last."""
    pictures = np.stack([render(rng, some_scene(rng)) for _ in range(count)])
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)


def loss_of(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    across, down = (lambda p: p[..., 1:] - p[..., :-1]), (lambda p: p[..., 1:, :] - p[..., :-1, :])
    edges = (across(y) - across(x)).abs().mean() + (down(y) - down(x)).abs().mean()
    return (y - x).abs().mean() + 0.5 * edges + 0.5 * (y - x).square().mean()


@torch.no_grad()
def psnr(vae: Vae, x: torch.Tensor) -> float:
    y = vae.decoder(vae.encoder(x)).clamp(-1, 1)
    error = ((y - x) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * error.log10()).mean())


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--minutes", type=float, default=18)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--rate", type=float, default=2e-3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--resume", action="store_true")
    p.add_argument("--decoder-only", action="store_true", help="writes vae-decoder.pt, for export_illustrator.py --decoder")
    p.add_argument("--start", type=Path, default=Path("training/work/illustrator/vae-best.pt"), help="where --decoder-only begins")
    p.add_argument("--out", type=Path, default=Path("training/work/illustrator"))
    p.add_argument("--log", type=Path, default=Path("training/runs/illustrator-vae-v1.jsonl"))
    a = p.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    rng = random.Random(a.seed)
    a.out.mkdir(parents=True, exist_ok=True)
    a.log.parent.mkdir(parents=True, exist_ok=True)
    vae = Vae(SHAPE.vae).to(memory_format=torch.channels_last)
    start = torch.load(a.start, weights_only=True) if a.decoder_only else None
    if start:
        vae.load_state_dict(start["vae"])
        vae.encoder.requires_grad_(False)
    trained = [q for q in vae.parameters() if q.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=a.rate, betas=(0.9, 0.98), weight_decay=1e-3)
    mean = torch.optim.swa_utils.AveragedModel(vae, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995))
    step, spent, file = 0, 0.0, a.out / ("vae-tuning.pt" if start else "vae.pt")
    if a.resume and file.exists():
        kept = torch.load(file, weights_only=True)
        vae.load_state_dict(kept["vae"]), optimiser.load_state_dict(kept["optimiser"]), mean.load_state_dict(kept["mean"])
        step, spent = kept["step"], kept["spent"]
    test = batch(random.Random(12345), 128)
    log = a.log.open("a")
    say = lambda **words: (print(words, flush=True), log.write(json.dumps(words) + "\n"), log.flush())
    say(event="start", run=a.log.stem, commit=git_commit(), date=time.strftime("%Y-%m-%d %H:%M:%S"), machine=cpu_name(), torch=torch.__version__, threads=a.threads, parameters=sum(q.numel() for q in trained), decoder_only=a.decoder_only, step=step)
    begun, total, told = time.time() - spent, 0.0, time.time()
    while (share := (time.time() - begun) / (60 * a.minutes)) < 1:
        warm = min(1.0, (step + 1) / 100)
        for group in optimiser.param_groups:
            group["lr"] = a.rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
        x = batch(rng, a.batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z = vae.encoder(x)
            y = vae.decoder(z + NOISE * torch.randn_like(z))
        loss = loss_of(y.float(), x) + 1e-3 * z.float().square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        mean.update_parameters(vae)
        step, total = step + 1, total + float(loss.detach())
        if step % 100 == 0:
            say(step=step, minutes=round((time.time() - begun) / 60, 2), loss=round(total / 100, 4), psnr=round(psnr(mean.module, test), 2))
            total = 0.0
        if time.time() - told > 120:
            told = time.time()
            torch.save({"vae": vae.state_dict(), "optimiser": optimiser.state_dict(), "mean": mean.state_dict(), "step": step, "spent": time.time() - begun}, file)
    vae = mean.module.eval()
    with torch.no_grad():
        z = torch.cat([vae.encoder(batch(rng, 128)) for _ in range(8)])
        shown = test[:32]
        again = vae.decoder(vae.encoder(shown)).clamp(-1, 1)
    shift, scale = (start["shift"], start["scale"]) if start else (float(z.mean()), float(1 / z.std()))
    torch.save({"vae": vae.state_dict(), "scale": scale, "shift": shift}, a.out / ("vae-decoder.pt" if start else "vae-best.pt"))
    pixels = lambda t: [q for q in ((t + 1) * 127.5).byte().permute(0, 2, 3, 1).numpy()]
    pairs = [q for both in zip(pixels(shown), pixels(again)) for q in both]
    sheet(pairs, 8).save(a.out / "vae.png")
    say(event="end", step=step, minutes=a.minutes, psnr=round(psnr(vae, test), 2), scale=round(scale, 4), shift=round(shift, 4))


if __name__ == "__main__":
    main()

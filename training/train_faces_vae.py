"""Trains faces-vae: 64x64 faces to eight numbers and back.

    python training/train_faces_vae.py --plain --steps 5000 [--resume]
    python training/train_faces_vae.py --start training/work/faces/vae-plain.pt --steps 1500 --rate 1.5e-3 [--resume]

The first phase trains a decoder without a mapping, the second gives it one, and faces near the middle.

Loss: absolute and squared difference of pixels and of their neighbours' differences (edges), the divergence of the latent from a normal
distribution, and a nudge: the eight means are drawn to the eight knobs that the face was painted with, so that axis 1 smiles. Three faces in ten are
decoded from the knobs themselves, so that the decoder knows the places that the encoder never points at.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from faces.layers import LATENT, Vae, parameters, settle_norms
from faces.paint import paint, sheet, some_knobs
from faces.run import WORK, Faces, Log

DIVERGENCE, NUDGE, FROM_KNOBS = 3e-4, 1e-2, 0.3


def difference(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    across, down = (lambda p: p[..., 1:] - p[..., :-1]), (lambda p: p[..., 1:, :] - p[..., :-1, :])
    edges = (across(y) - across(x)).abs().mean() + (down(y) - down(x)).abs().mean()
    return (y - x).abs().mean() + 0.5 * edges + 0.5 * (y - x).square().mean()


@torch.no_grad()
def psnr(vae: Vae, x: torch.Tensor) -> float:
    error = ((vae.decoder(vae.encoder(x)[0]) - x) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * error.log10()).mean())


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--steps", type=int, default=5000)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--rate", type=float, default=3e-3)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--plain", action="store_true")
    p.add_argument("--start", type=Path)
    p.add_argument("--resume", action="store_true")
    p.add_argument("--log", type=Path, default=Path("training/runs/faces-vae-v1.jsonl"))
    a = p.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(1)
    vae = Vae(mapped=not a.plain)
    if a.start:
        parts = [{name.removeprefix(part): value for name, value in torch.load(a.start, weights_only=True)["vae"].items() if name.startswith(part)} for part in ("encoder.", "decoder.")]
        vae.encoder.load_state_dict(parts[0]), vae.decoder.take_over(parts[1])
    vae.to(memory_format=torch.channels_last)
    near = 0.0 if a.plain else 0.5
    mean = torch.optim.swa_utils.AveragedModel(vae, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998))
    optimiser = torch.optim.Adam(vae.parameters(), lr=a.rate, betas=(0.9, 0.98))
    step, file = 0, WORK / ("vae.pt" if a.plain else "vae-mapped.pt")
    WORK.mkdir(parents=True, exist_ok=True)
    if a.resume and file.exists():
        kept = torch.load(file, weights_only=True)
        vae.load_state_dict(kept["vae"]), mean.load_state_dict(kept["mean"]), optimiser.load_state_dict(kept["optimiser"])
        step = kept["step"]
    log = Log(a.log, parameters=parameters(vae), step=step, steps=a.steps, batch=a.batch, rate=a.rate, divergence=DIVERGENCE, nudge=NUDGE, from_knobs=FROM_KNOBS, near=near, start=str(a.start) if a.start else None)
    faces, total = Faces(seed=a.seed + step + (0 if a.plain else 100), near=near), torch.zeros(3)
    test = paint(some_knobs(torch.Generator().manual_seed(12345), 256))
    while step < a.steps:
        for group in optimiser.param_groups:
            group["lr"] = a.rate * min(1.0, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / a.steps)))
        x, knobs = faces.batch(a.batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mu, spread = (t.float() for t in vae.encoder(x))
            z = mu + torch.randn_like(mu) * (0.5 * spread).exp()
            y = vae.decoder(torch.where(torch.rand(len(z), 1) < FROM_KNOBS, knobs, z))
        divergence = 0.5 * (mu.square() + spread.exp() - 1 - spread).sum(1).mean()
        nudge = (mu - knobs).square().sum(1).mean()
        pixels = difference(y.float(), x)
        optimiser.zero_grad(set_to_none=True)
        (pixels + DIVERGENCE * divergence + NUDGE * nudge).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        mean.update_parameters(vae)
        step, total = step + 1, total + torch.tensor([float(pixels.detach()), float(divergence.detach()), float(nudge.detach())])
        if step % 250 == 0:
            pixels, divergence, nudge = (round(float(t) / 250, 4) for t in total)
            vae.eval()
            log.say(step=step, minutes=log.minutes(), pixels=pixels, divergence=divergence, nudge=nudge, psnr=round(psnr(vae, test), 2))
            vae.train()
            total.zero_()
            torch.save({"vae": vae.state_dict(), "mean": mean.state_dict(), "optimiser": optimiser.state_dict(), "step": step}, file)
    vae = mean.module
    settle_norms(vae.encoder, [faces.batch(256)[0] for _ in range(8)])
    with torch.no_grad():
        latents = []
        for _ in range(8):
            x, knobs = faces.batch(256)
            mu, spread = vae.encoder(x)
            latents.append(torch.where(torch.rand(256, 1) < FROM_KNOBS, knobs, mu + torch.randn_like(mu) * (0.5 * spread).exp()))
    settle_norms(vae.decoder, latents)
    torch.save({"vae": vae.state_dict()}, WORK / ("vae-plain.pt" if a.plain else "vae-best.pt"))
    with torch.no_grad():
        again = vae.decoder(vae.encoder(test[:20])[0])
        steps = torch.linspace(-2.4, 2.4, 10)
        walks = torch.cat([vae.decoder(steps[:, None] * torch.eye(LATENT)[axis]) for axis in range(LATENT)])
        some = vae.decoder(torch.randn(20, LATENT))
    sheet(torch.cat([test[:10], again[:10], test[10:20], again[10:], walks, some]), 10, WORK / "vae.png")
    log.say(event="end", step=step, minutes=log.minutes(), psnr=round(psnr(vae, test), 2))


if __name__ == "__main__":
    main()

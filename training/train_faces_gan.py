"""Trains faces-gan: eight random numbers to a face of 64x64 pixels that no painter painted.

    python training/train_faces_gan.py [--steps 1000] [--resume]

The generator begins as faces-vae's decoder, whose faces are right but soft, and from then on sees no painted face: only what the critic
says of its own. So a few minutes do what would take an hour from nothing. Hinge loss, spectral norm on the critic's layers, a fast critic
(twice the generator's rate) with a head start, an average of the generator's weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from faces.layers import LATENT, Critic, Generator, parameters, settle_norms
from faces.paint import sheet
from faces.run import WORK, Faces, Log, nearer

HEAD_START, NEAR = 150, 0.4


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--steps", type=int, default=1000)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--rate", type=float, default=2.5e-4)
    p.add_argument("--lead", type=float, default=2.0, help="the critic's rate over the generator's")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--resume", action="store_true")
    p.add_argument("--log", type=Path, default=Path("training/runs/faces-gan-v1.jsonl"))
    a = p.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(1)
    generator, critic = Generator(), Critic()
    start = torch.load(WORK / "vae-best.pt", weights_only=True)["vae"]
    generator.load_state_dict({name.removeprefix("decoder."): value for name, value in start.items() if name.startswith("decoder.")})
    for module in (generator, critic):
        module.to(memory_format=torch.channels_last)
    mean = torch.optim.swa_utils.AveragedModel(generator, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995))
    makes = torch.optim.Adam(generator.parameters(), lr=a.rate, betas=(0.5, 0.99))
    judges = torch.optim.Adam(critic.parameters(), lr=a.lead * a.rate, betas=(0.5, 0.99))
    parts = {"generator": generator, "critic": critic, "mean": mean, "makes": makes, "judges": judges}
    step, file = 0, WORK / "gan.pt"
    WORK.mkdir(parents=True, exist_ok=True)
    if a.resume and file.exists():
        kept = torch.load(file, weights_only=True)
        step = kept.pop("step")
        for name, state in kept.items():
            parts[name].load_state_dict(state)
    log = Log(a.log, parameters=parameters(generator), critic=parameters(critic), step=step, steps=a.steps, batch=a.batch, rate=a.rate)
    faces, total, shown = Faces(seed=a.seed + step, pool=8192, fresh=8, near=NEAR), torch.zeros(3), torch.randn(60, LATENT)
    while step < a.steps:
        fade = min(1.0, (step + 1) / 100, 2.5 * (1 - step / a.steps) + 0.02)
        makes.param_groups[0]["lr"], judges.param_groups[0]["lr"] = a.rate * fade, a.lead * a.rate * fade
        x, _ = faces.batch(a.batch)
        z = nearer(torch.randn(a.batch, LATENT), NEAR)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            made = generator(z)
            real, fake = critic(x).float(), critic(made.detach()).float()
        worth = (1 - real).relu().mean() + (1 + fake).relu().mean()
        judges.zero_grad(set_to_none=True)
        worth.backward()
        judges.step()
        if step >= HEAD_START:
            critic.requires_grad_(False)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = -critic(made).float().mean()
            makes.zero_grad(set_to_none=True)
            loss.backward()
            makes.step()
            critic.requires_grad_(True)
            mean.update_parameters(generator)
        step, total = step + 1, total + torch.stack([worth.detach(), real.detach().mean(), fake.detach().mean()])
        if step % 100 == 0:
            worth, real, fake = (round(float(t) / 100, 4) for t in total)
            log.say(step=step, minutes=log.minutes(), critic=worth, real=real, fake=fake)
            total.zero_()
            torch.save({**{name: part.state_dict() for name, part in parts.items()}, "step": step}, file)
        if step % 500 == 0:
            with torch.no_grad():
                sheet(generator(shown), 10, WORK / "gan-now.png")
    generator = mean.module
    settle_norms(generator, [nearer(torch.randn(256, LATENT), NEAR) for _ in range(8)])
    torch.save({"generator": generator.state_dict()}, WORK / "gan-best.pt")
    with torch.no_grad():
        sheet(generator(shown), 10, WORK / "gan.png")
    log.say(event="end", step=step, minutes=log.minutes())


if __name__ == "__main__":
    main()

"""Measures models/illustrator/illustrator-q8_0.gguf and writes training/reports/illustrator.{json,md,png}.

    python training/scene_reader.py --steps 1500
    python training/evaluate_illustrator.py [--captions 500] [--checkpoint training/work/illustrator/best.pt]

Captions name a subject and a ground that never met in training; `scene_reader.py`, trained on the renderer alone, judges what was painted. It is
first asked about real renders of the same captions, and about those that the autoencoder has passed on: nothing that is painted can be read better than these.
The weights are those of the shipped file, dequantised (or those of a checkpoint).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer

import scene_reader
from export_illustrator import MODEL, read_file
from illustrator_model import SAMPLER, Illustrator, decode, ids_of, sample
from pictures.captions import plain_caption
from pictures.render import sheet
from pictures.scene import held_out_scenes, some_scene
from smol_shapes import ROOT

GOALS = {"subject": 0.85, "ground": 0.95, "time and weather": 0.9, "count": 0.7, "relation": 0.7}
WORDS = ROOT / "training" / "reports" / "illustrator-notes.md"


def from_checkpoint(path: Path) -> tuple[Illustrator, Tokenizer, dict]:
    kept = torch.load(path, weights_only=True)
    model = Illustrator()
    model.load_state_dict(kept["model"])
    vae = {"scale": kept["scale"], "shift": kept["shift"]}
    return model.eval(), Tokenizer.from_file(str(path.parent / "tokenizer.json")), {"vae": vae, "sampler": SAMPLER, "steps": kept["step"]}


def paint(model: Illustrator, tokenizer: Tokenizer, config: dict, captions: list[str], steps: int, guidance: float, seed: int) -> torch.Tensor:
    """-> pictures [captions, 3, 64, 64] in −1…1."""
    s, out, chance = model.shape.denoiser, [], torch.Generator().manual_seed(seed)
    for at in range(0, len(captions), 50):
        some = captions[at : at + 50]
        noise = torch.randn(len(some), s.latent_channels, s.latent_size, s.latent_size, generator=chance)
        latents = sample(model, ids_of(tokenizer, some), noise, steps, guidance)
        out.append(decode(model, latents / config["vae"]["scale"] + config["vae"]["shift"]).clamp(-1, 1))
    return torch.cat(out)


def as_pixels(pictures: torch.Tensor) -> list:
    return list(((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())


@torch.no_grad()
def passed_on(model: Illustrator, pictures: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Pictures after the autoencoder, and its mean PSNR in dB."""
    again = model.vae.decoder(model.vae.encoder(pictures)).clamp(-1, 1)
    error = ((again - pictures) / 2).square().mean(dim=(1, 2, 3))
    return again, float((-10 * error.log10()).mean())


def table(result: dict) -> str:
    columns = ("renders", "autoencoder", "painted")
    lines = ["| what is right | renders, read | after the autoencoder | painted | of | goal |", "|---|---|---|---|---|---|"]
    for name, painted in result["painted"].items():
        shares = " | ".join(f"{result[c][name]['right']:.1%}" for c in columns)
        lines.append(f"| {name} | {shares} | {painted['of']} | {f'≥ {GOALS[name]:.0%}' if name in GOALS else ''} |")
    return "\n".join(lines)


def report(result: dict) -> str:
    others = "\n".join(f"| {o['steps']} | {o['guidance']:g} | " + " | ".join(f"{o['scores'][k]['right']:.1%}" for k in GOALS) + " |" for o in result["other_settings"])
    compared = f"""
## Other settings, on the first {result['other_of']} captions

| steps | guidance | {' | '.join(GOALS)} |
|---|---|{'---|' * len(GOALS)}
{others}
""" if others else ""
    notes = "\n" + WORDS.read_text(encoding="utf-8") if WORDS.exists() else ""
    return f"""# The illustrator, measured

`python training/evaluate_illustrator.py`: {result['captions']} captions whose subject and ground never met in training, {result['steps']} Euler steps, guidance {result['guidance']:g}.
The judge is a classifier trained on renders alone (`training/scene_reader.py`); its own errors stand in the first column.

{table(result)}

The autoencoder's PSNR on {result['psnr_of']} renders: {result['psnr']:.2f} dB (goal: ≥ 26 dB). {result['seconds_per_picture']:.2f} s a picture in PyTorch on the CPU.
{compared}
## Sixty-four samples, none left out

![Sixty-four pictures of the illustrator](illustrator.png)

Held-out captions, row by row: {'; '.join(result['sheet'])}.
{notes}"""


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", type=Path, default=MODEL)
    p.add_argument("--checkpoint", type=Path, help="measure this checkpoint instead of the shipped file")
    p.add_argument("--reader", type=Path, default=Path("training/work/illustrator/reader.pt"))
    p.add_argument("--captions", type=int, default=500)
    p.add_argument("--steps", type=int, default=SAMPLER["steps"])
    p.add_argument("--guidance", type=float, default=SAMPLER["guidance"])
    p.add_argument("--others", default="12:1,12:2.5,12:6,6:4,24:4", help="steps:guidance pairs to compare on the first captions; empty for none")
    p.add_argument("--others-of", type=int, default=100)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--out", type=Path, default=ROOT / "training" / "reports")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    model, tokenizer, config = from_checkpoint(a.checkpoint) if a.checkpoint else read_file(a.model)
    reader, scenes = scene_reader.load(a.reader), held_out_scenes(a.captions, 2026)
    captions = [plain_caption(s) for s in scenes]
    judge = lambda pictures, of: scene_reader.scores(scene_reader.read(reader, pictures), of)

    real, _, _ = scene_reader.batch(random.Random(7), scenes)
    chance = random.Random(8)
    known, _, _ = scene_reader.batch(chance, [some_scene(chance) for _ in range(256)])
    again, _ = passed_on(model, real)
    begun = time.time()
    painted = paint(model, tokenizer, config, captions, a.steps, a.guidance, 1)
    seconds = (time.time() - begun) / len(captions)
    result = {
        "model": a.model.name, "captions": len(captions), "steps": a.steps, "guidance": a.guidance, "training_steps": config.get("steps"),
        "psnr": round(passed_on(model, known)[1], 2), "psnr_of": len(known), "seconds_per_picture": round(seconds, 3),
        "renders": judge(real, scenes), "autoencoder": judge(again, scenes), "painted": judge(painted, scenes), "sheet": captions[:64],
        "other_of": a.others_of, "other_settings": [],
    }
    for pair in filter(None, a.others.split(",")):
        steps, guidance = int(pair.split(":")[0]), float(pair.split(":")[1])
        pictures = paint(model, tokenizer, config, captions[: a.others_of], steps, guidance, 1)
        result["other_settings"].append({"steps": steps, "guidance": guidance, "scores": judge(pictures, scenes[: a.others_of])})
    a.out.mkdir(parents=True, exist_ok=True)
    sheet(as_pixels(painted[:64]), 8).save(a.out / "illustrator.png", optimize=True)
    (a.out / "illustrator.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (a.out / "illustrator.md").write_text(report(result), encoding="utf-8")
    print(table(result), f"\nPSNR {result['psnr']} dB")


if __name__ == "__main__":
    main()

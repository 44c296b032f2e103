"""Writes models/faces-vae, models/faces-gan and their references in tests/fixtures/pictures, and measures both.

    python training/export_faces.py [--shipped]

With `--shipped` the weights are those of the files that there are, which come out again as they were: to measure them without having trained them.
Weights are stored in F16, the statistics of the norms in F32, under the names of `faces/layers.py`. The references are what PyTorch computes in F32
from the weights as they are stored. The generator is measured by what the VAE's encoder reads in its faces.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from faces.layers import LATENT, Generator, Vae, parameters
from faces.paint import HEADWEAR, KNOBS, headwear, paint, sheet, some_knobs
from faces.run import WORK

ROOT = Path(__file__).resolve().parent.parent


def read_shipped(name: str, module: torch.nn.Module) -> None:
    lacking, unknown = module.load_state_dict(load_file(ROOT / "models" / name / f"{name}.safetensors"), strict=False)
    if unknown or not all(key.endswith("num_batches_tracked") for key in lacking):
        raise SystemExit(f"{name}.safetensors is of another layout: it lacks {lacking} and has {unknown}")


def stored(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Its tensors as they go into the file; the module keeps their rounded values."""
    out = {}
    for name, value in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        convolution = value.dim() == 4
        out[name] = (value.half() if convolution else value.float()).contiguous()
        value.copy_(out[name].float())
    return out


def save(name: str, weights: dict, expected: dict) -> int:
    folder, fixture = ROOT / "models" / name, ROOT / "tests" / "fixtures" / "pictures" / name.replace("-", "_")
    for path in (folder, fixture):
        path.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / f"{name}.safetensors")
    # Pictures in F16: 72 dB, and a quarter of their numbers' bytes less to carry.
    save_file({k: (v.half() if v.dim() == 4 and v.shape[1] == 3 else v.float()).contiguous() for k, v in expected.items()}, fixture / "expected.safetensors")
    return (folder / f"{name}.safetensors").stat().st_size


def decibels(y: torch.Tensor, x: torch.Tensor) -> float:
    return float((-10 * ((y - x) / 2).square().mean(dim=(1, 2, 3)).log10()).mean())


def read_along(x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    """The correlation of each axis with its knob."""
    return {knob: round(float(torch.corrcoef(torch.stack([x[:, i], y[:, i]]))[0, 1]), 3) for i, knob in enumerate(KNOBS)}


def through(model, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([model(part) for part in x.split(256)])


def worn(knobs: torch.Tensor) -> torch.Tensor:
    """The numbers of `HEADWEAR`; one more for a bare head."""
    return torch.cat([torch.stack(headwear(knobs[:, 6], knobs[:, 7]), 1), torch.full((len(knobs), 1), 0.5)], 1).argmax(1)


def sharpness(x: torch.Tensor) -> float:
    """The mean difference of neighbouring pixels."""
    return round(float((x[..., 1:] - x[..., :-1]).abs().mean()), 4)


@torch.no_grad()
def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--shipped", action="store_true", help="measure the files in models/ instead of checkpoints")
    a = p.parse_args()
    torch.manual_seed(5)
    torch.set_num_threads(1)
    vae, generator = Vae().eval(), Generator().eval()
    if a.shipped:
        read_shipped("faces-vae", vae)
        read_shipped("faces-gan", generator)
    else:
        vae.load_state_dict(torch.load(WORK / "vae-best.pt", weights_only=True)["vae"])
        generator.load_state_dict(torch.load(WORK / "gan-best.pt", weights_only=True)["generator"])
    vae_weights, gan_weights = stored(vae), stored(generator)
    encode = lambda x: vae.encoder(x)[0]

    knobs = some_knobs(torch.Generator().manual_seed(99), 1024)
    pictures = (paint(knobs) + 1).mul(127.5).round() / 127.5 - 1
    means = through(encode, pictures)
    latent, given = torch.randn(2, LATENT), pictures[:2]
    expected = {"latent": latent[:, :, None, None], "decoded": vae.decoder(latent), "picture": given, "mean": encode(given)[:, :, None, None]}
    drawn = torch.randn(1024, LATENT)
    made = through(generator, drawn)
    seen = through(encode, made)
    shares = lambda of: dict(zip([*HEADWEAR, "nothing"], [round(float(v), 3) for v in torch.bincount(worn(of), minlength=len(HEADWEAR) + 1) / len(of)]))
    report = {
        "faces-vae": {
            "bytes": save("faces-vae", vae_weights, expected), "parameters": parameters(vae), "psnr": round(decibels(through(vae.decoder, means), pictures), 2),
            "psnr_decoded_from_knobs": round(decibels(through(vae.decoder, knobs), pictures), 2), "axis_against_knob": read_along(means, knobs),
            "headwear_read_right": round(float((worn(means) == worn(knobs)).float().mean()), 3),
        },
        "faces-gan": {
            "bytes": save("faces-gan", gan_weights, {"latent": latent[:, :, None, None], "decoded": generator(latent)}), "parameters": parameters(generator),
            "axis_against_what_the_vae_reads": read_along(drawn, seen), "wears": {"painted": shares(knobs), "gan": shares(seen)},
        },
        "sharpness": {"painted": sharpness(pictures), "vae": sharpness(through(vae.decoder, drawn)), "gan": sharpness(made)},
    }
    reports = ROOT / "training" / "reports"
    (reports / "faces.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))

    steps = torch.linspace(-2.2, 2.2, 10)
    walk = lambda model: torch.cat([model(steps[:, None] * torch.eye(LATENT)[axis]) for axis in range(LATENT)])
    plane = torch.stack([torch.tensor([x, y]) for y in steps.flip(0) for x in steps])
    both = torch.zeros(100, LATENT)
    both[:, 6:] = plane
    pairs = torch.cat([pictures[10:20], vae.decoder(means[10:20])])
    sheet(torch.cat([pairs, walk(vae.decoder), vae.decoder(torch.randn(30, LATENT)), vae.decoder(both)]), 10, reports / "faces-vae.png")
    sheet(torch.cat([generator(torch.randn(60, LATENT)), walk(generator)]), 10, reports / "faces-gan.png")


if __name__ == "__main__":
    main()

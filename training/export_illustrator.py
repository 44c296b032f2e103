"""Writes the trained illustrator as the one GGUF of docs/illustrator.md, and PyTorch's own numbers for fixed inputs.

    python training/export_illustrator.py [--references]

The references in tests/fixtures/illustrator.safetensors are computed from the weights as the file holds them (8 bits, widened again), so that what Rust makes of the
file can be compared closely; with `--references` they are all that is written. The catalog is written anew.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as T
from safetensors.torch import save_file
from tokenizers import Tokenizer

import house_noise
import make_catalog
from illustrator_model import SAMPLER, SHAPE, Illustrator, ids_of, sample
from smol_shapes import ROOT

MODEL = ROOT / "models" / "illustrator" / "illustrator-q8_0.gguf"
CAPTION, NEGATIVE, SEED = "a fox in the snow at night", "rain", 7


def as_rows(name: str, weight: torch.Tensor) -> np.ndarray:
    """Convolutions as `[out, height · width · in]`."""
    if weight.ndim == 4:
        order = (1, 2, 3, 0) if name == "denoiser.out.weight" else (0, 2, 3, 1)
        weight = weight.permute(order).reshape(weight.shape[order[0]], -1)
    return weight.detach().float().contiguous().numpy()


def from_rows(name: str, rows: np.ndarray, shape: torch.Size) -> torch.Tensor:
    """The inverse of `as_rows`."""
    again = torch.from_numpy(np.array(rows, dtype=np.float32))
    if len(shape) == 4:
        o, i, h, w = shape
        again = again.view(i, h, w, o).permute(3, 0, 1, 2) if name == "denoiser.out.weight" else again.view(o, h, w, i).permute(0, 3, 1, 2)
    return again.reshape(shape)


def as_stored(name: str, weight: torch.Tensor) -> tuple[np.ndarray, T]:
    """What the file holds of a weight, and its type."""
    rows = as_rows(name, weight)
    if rows.ndim == 1:
        return rows, T.F32
    kind = T.Q8_0 if rows.shape[1] % 32 == 0 else T.F16
    return gguf.quants.quantize(rows, kind), kind


def read_file(path: Path) -> tuple[Illustrator, Tokenizer, dict]:
    """The model with the weights of a file, widened; its tokenizer; its `vitrine.config`."""
    reader, model = gguf.GGUFReader(path), Illustrator()
    config = json.loads(reader.get_field("vitrine.config").contents())
    tokenizer = Tokenizer.from_str(reader.get_field("tokenizer.huggingface.json").contents())
    tensors = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    model.load_state_dict({n: from_rows(n, tensors[n], w.shape) for n, w in model.state_dict().items()})
    return model.eval(), tokenizer, config


def write_references(path: Path, fixture: Path) -> None:
    """Part by part for any numbers, and a whole painting from the noise that Vitrine draws for a seed."""
    model, tokenizer, config = read_file(path)
    ids = ids_of(tokenizer, [CAPTION, NEGATIVE])
    s, scale, shift = SHAPE.denoiser, config["vae"]["scale"], config["vae"]["shift"]
    noise = torch.randn(1, s.latent_channels, s.latent_size, s.latent_size, generator=torch.Generator().manual_seed(3))
    drawn = torch.from_numpy(house_noise.noise(SEED, s.latent_channels * s.latent_size**2)).reshape(1, s.latent_size, s.latent_size, s.latent_channels).permute(0, 3, 1, 2)

    def paint(noise: torch.Tensor) -> torch.Tensor:
        return sample(model, ids[:1], noise, SAMPLER["steps"], SAMPLER["guidance"], ids[1:])

    with torch.no_grad():
        context = model.text(ids)
        prediction = model.denoiser(noise, torch.tensor([0.75]), context[:1])
        latent = paint(noise)
        picture = model.vae.decoder(latent / scale + shift)
        encoded = model.vae.encoder(picture.clamp(-1, 1))
        painted = model.vae.decoder(paint(drawn) / scale + shift)
    rows = lambda x: x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]).contiguous()
    save_file({
        "ids": ids.float(), "noise": rows(noise), "context": context.reshape(-1, context.shape[-1]).contiguous(), "prediction": rows(prediction),
        "latent": rows(latent), "picture": rows(picture), "encoded": rows(encoded), "painted": rows(painted),
    }, fixture)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--work", type=Path, default=Path("training/work/illustrator"))
    p.add_argument("--decoder", type=Path, help="take the autoencoder's decoder from this file of train_illustrator_vae.py --decoder-only")
    p.add_argument("--out", type=Path, default=MODEL)
    p.add_argument("--fixture", type=Path, default=ROOT / "tests" / "fixtures" / "illustrator.safetensors")
    p.add_argument("--references", action="store_true", help="only write the references anew, from the file that there is")
    a = p.parse_args()
    if a.references:
        write_references(a.out, a.fixture)
        return
    kept = torch.load(a.work / "best.pt", weights_only=True)
    model = Illustrator()
    model.load_state_dict(kept["model"])
    if a.decoder:
        tuned = torch.load(a.decoder, weights_only=True)["vae"]
        model.vae.decoder.load_state_dict({n.removeprefix("decoder."): w for n, w in tuned.items() if n.startswith("decoder.")})
    tokenizer = Tokenizer.from_file(str(a.work / "tokenizer.json"))

    config = SHAPE.config(SAMPLER)
    config["vae"].update(scale=kept["scale"], shift=kept["shift"])
    a.out.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(a.out, "vitrine-illustrator")
    writer.add_name("Illustrator")
    writer.add_string("vitrine.config", json.dumps(config))
    writer.add_string("tokenizer.huggingface.json", tokenizer.to_str())
    for name, weight in model.state_dict().items():
        stored, kind = as_stored(name, weight)
        writer.add_tensor(name, stored, raw_dtype=kind)
    writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.write_tensors_to_file()
    writer.close()

    exact = model.state_dict()
    for name, weight in read_file(a.out)[0].state_dict().items():
        if float((weight - exact[name]).abs().max()) > 0.01 * float(exact[name].abs().max()) + 1e-6:
            raise SystemExit(f"{name} does not come back from the file as it went in")
    write_references(a.out, a.fixture)
    if a.out == MODEL:
        make_catalog.main()
    print(f"{a.out}: {a.out.stat().st_size:,} bytes; {a.fixture}: {a.fixture.stat().st_size:,} bytes; {sum(w.numel() for w in exact.values()):,} parameters")


if __name__ == "__main__":
    main()

"""State dicts as `torch.save` writes them, of every kind that models are published in, and the same tensors as safetensors.

    python make_pytorch_fixtures.py      # writes ../tests/fixtures/pytorch/
"""

from __future__ import annotations

import shutil
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file

OUT = Path(__file__).parent.parent / "tests/fixtures/pytorch"


class Callback:
    """What a training leaves in its checkpoints: an object of a class that no reader of weights knows."""

    def __init__(self) -> None:
        self.best, self.paths = 0.25, ["epoch=3.ckpt"]


def tensors() -> OrderedDict[str, torch.Tensor]:
    """Views of every kind. Numbers differ from place to place, so that one read elsewhere is seen."""
    draw = lambda *shape: torch.randn(shape, generator=generator)
    generator = torch.Generator().manual_seed(5)
    block = draw(12, 10)
    made = OrderedDict()
    made["plain.weight"] = draw(4, 6)
    made["plain.bias"] = draw(4).half()
    made["brain.weight"] = draw(3, 8).bfloat16()
    made["conv.weight"] = draw(5, 4, 3, 3).half().contiguous(memory_format=torch.channels_last)
    made["pixel.weight"] = draw(6, 4, 1, 1).half().contiguous(memory_format=torch.channels_last)
    made["turned.weight"] = draw(7, 5).half().t()
    made["turned.cube"] = draw(2, 3, 4).permute(1, 2, 0)
    made["block.rows"] = block[3:7]
    made["block.columns"] = block[:, 2:5]
    made["block.every_other"] = block[1::2, 9]
    made["tied.a"] = made["tied.b"] = draw(3, 4).half()
    made["scale"] = draw(1)[0]
    made["empty"] = torch.empty(0, 4)
    made["parameter"] = torch.nn.Parameter(draw(2, 2))
    made["position_ids"] = torch.arange(7).expand(1, -1)
    made["running"] = torch.tensor(3, dtype=torch.int64)
    made["mask"] = torch.ones(2, 2, dtype=torch.bool)
    made["double"] = draw(2).double()
    return made


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    made = tensors()
    wanted = {name: t.detach().clone(memory_format=torch.contiguous_format) for name, t in made.items()}
    save_file(wanted, OUT / "expected.safetensors")
    torch.save(made, OUT / "state.bin")
    made._metadata = OrderedDict({"": {"version": 1}})
    torch.save({"epoch": 3, "lr": 1e-4, "state_dict": made, "callbacks": {Callback: Callback()}, "best": None, "big": 1 << 80}, OUT / "training.ckpt")
    before = {"_use_new_zipfile_serialization": False}
    torch.save(made, OUT / "legacy.pt", **before)
    # With its source, as it stands on the machine that saves it.
    torch.serialization.get_source_lines_and_file = lambda what, *_: (["class Linear(Module):\n", "    ...\n"], 0, "linear.py")
    torch.save(torch.nn.Linear(2, 1), OUT / "legacy_module.pt", **before)
    torch.save(torch.nn.Linear(2, 1), OUT / "module.pt")
    torch.jit.script(torch.nn.Linear(2, 1)).save(OUT / "script.pt")
    torch.save({"weight": torch.ones(1).expand(300, 400)}, OUT / "expanded.pt")
    torch.save({"weight": torch.ones(4).to(torch.complex64)}, OUT / "complex.pt")
    for path in sorted(OUT.iterdir()):
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()

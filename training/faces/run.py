"""What the trainings of both face models share: faces without end, checkpoints, a log."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch

from faces.paint import paint, some_knobs

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from train_storyteller import cpu_name, git_commit  # noqa: E402

WORK = Path("training/work/faces")


class Faces:
    """A pool of painted faces; every batch drawn from it replaces its oldest few by new ones. A share of them lies `near` the middle, where eight
    normal numbers hardly ever lie together, but people walk."""

    def __init__(self, seed: int, pool: int = 24576, fresh: int = 4, near: float = 0.0) -> None:
        self.rng, self.fresh, self.at, self.near = torch.Generator().manual_seed(seed), fresh, 0, near
        parts = [self._new(256) for _ in range(pool // 256)]
        self.pictures, self.knobs = (torch.cat(p) for p in zip(*parts))

    def _new(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        knobs = nearer(some_knobs(self.rng, count), self.near, self.rng)
        return ((paint(knobs) + 1) * 127.5).round().byte(), knobs

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """-> pictures [count, 3, 64, 64] in -1 ... 1, knobs [count, 8]"""
        new, knobs = self._new(self.fresh)
        self.pictures[self.at : self.at + self.fresh], self.knobs[self.at : self.at + self.fresh] = new, knobs
        self.at = (self.at + self.fresh) % len(self.pictures)
        some = torch.randint(len(self.pictures), (count,), generator=self.rng)
        x = self.pictures[some].float() / 127.5 - 1
        return x.contiguous(memory_format=torch.channels_last), self.knobs[some]


def nearer(latents: torch.Tensor, share: float, rng: torch.Generator | None = None) -> torch.Tensor:
    """A share of the rows scaled towards the middle, each number by itself: so the axes come to be walked along too."""
    scale = torch.rand(latents.shape, generator=rng).square()
    return torch.where(torch.rand(len(latents), 1, generator=rng) < share, latents * scale, latents)


class Log:
    def __init__(self, path: Path, **start) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file, self.begun = path.open("a"), time.time()
        self.say(event="start", run=path.stem, commit=git_commit(), date=time.strftime("%Y-%m-%d %H:%M:%S"), machine=cpu_name(), torch=torch.__version__, threads=torch.get_num_threads(), **start)

    def say(self, **words) -> None:
        print(words, flush=True)
        self.file.write(json.dumps(words) + "\n")
        self.file.flush()

    def minutes(self) -> float:
        return round((time.time() - self.begun) / 60, 2)

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
    """A pool of painted faces; every batch drawn from it replaces its oldest few by new ones."""

    def __init__(self, seed: int, pool: int = 24576, fresh: int = 4) -> None:
        self.rng, self.fresh, self.at = torch.Generator().manual_seed(seed), fresh, 0
        parts = [self._new(256) for _ in range(pool // 256)]
        self.pictures, self.knobs = (torch.cat(p) for p in zip(*parts))

    def _new(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        knobs = some_knobs(self.rng, count)
        return ((paint(knobs) + 1) * 127.5).round().byte(), knobs

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """-> pictures [count, 3, 64, 64] in -1 ... 1, knobs [count, 8]"""
        new, knobs = self._new(self.fresh)
        self.pictures[self.at : self.at + self.fresh], self.knobs[self.at : self.at + self.fresh] = new, knobs
        self.at = (self.at + self.fresh) % len(self.pictures)
        some = torch.randint(len(self.pictures), (count,), generator=self.rng)
        x = self.pictures[some].float() / 127.5 - 1
        return x.contiguous(memory_format=torch.channels_last), self.knobs[some]


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

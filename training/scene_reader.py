"""The judge of the illustrator's evaluation: a small convolutional network that reads from a picture what its scene was.

    python training/scene_reader.py --steps 1500

Trained on the renderer's pictures alone (held-out pairs of subject and ground among them: it must know those), checked on renders that it
never saw. For each cell of an 8×8 grid it tells which subject has its middle there; for the picture ground, time, weather and how many.
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
import torch.nn.functional as F
from torch import nn

from pictures.render import render_with_places
from pictures.scene import Scene, held_out_scenes, some_scene
from pictures.world import GROUND_NAMES, NO_TIME, NO_WEATHER, SUBJECT_NAMES, TIME_NAMES, WEATHER_NAMES

NOTHING, CELLS, UNKNOWN = len(SUBJECT_NAMES), 8, -100
HEADS = {"ground": len(GROUND_NAMES), "time": len(TIME_NAMES), "weather": len(WEATHER_NAMES), "count": 3}


class Residual(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for norm, conv in zip(self.norms, self.convs):
            y = conv(F.relu(norm(y)))
        return x + y


class SceneReader(nn.Module):
    def __init__(self):
        super().__init__()
        down = lambda i, o: nn.Conv2d(i, o, 3, stride=2, padding=1)
        self.body = nn.Sequential(down(3, 32), nn.BatchNorm2d(32), nn.ReLU(), down(32, 64), Residual(64), down(64, 128), Residual(128), Residual(128), nn.BatchNorm2d(128), nn.ReLU())
        self.cells = nn.Conv2d(128, NOTHING + 1, 1)
        self.whole = nn.ModuleDict({name: nn.Linear(256, n) for name, n in HEADS.items()})

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Pictures [batch, 3, 64, 64] in −1…1 -> logits [batch, subjects + 1, 8, 8] and those of each head."""
        y = self.body(x)
        pooled = torch.cat((y.mean(dim=(2, 3)), y.amax(dim=(2, 3))), dim=1)
        return self.cells(y), {name: head(pooled) for name, head in self.whole.items()}


def targets(s: Scene, placed: list[tuple[str, float, float]]) -> tuple[np.ndarray, list[int]]:
    """The cells, and the heads' answers in their order; what a scene does not have (the weather in a room) is unknown."""
    cells = np.full((CELLS, CELLS), NOTHING)
    for subject, x, y in placed:
        cells[min(7, max(0, int(y / 8))), min(7, max(0, int(x / 8)))] = SUBJECT_NAMES.index(subject)
    hour = UNKNOWN if s.ground in NO_TIME else TIME_NAMES.index(s.time)
    weather = UNKNOWN if s.ground in NO_WEATHER else WEATHER_NAMES.index(s.weather)
    return cells, [GROUND_NAMES.index(s.ground), hour, weather, len(placed) - 1]


def batch(rng: random.Random, scenes: list[Scene]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    pictures, cells, heads = [], [], []
    for s in scenes:
        picture, placed = render_with_places(rng, s)
        c, h = targets(s, placed)
        pictures.append(picture), cells.append(c), heads.append(h)
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x, torch.from_numpy(np.stack(cells)), torch.tensor(heads)


def any_scene(rng: random.Random) -> Scene:
    return held_out_scenes(1, rng.getrandbits(32))[0] if rng.random() < 0.15 else some_scene(rng)


@torch.no_grad()
def read(reader: SceneReader, pictures: torch.Tensor) -> list[dict]:
    """What the reader sees in each picture: subjects by confidence with the middle of each, ground, time, weather, count."""
    cells, heads = reader.eval()(pictures)
    share = cells.softmax(dim=1)[:, :NOTHING].flatten(2)  # [batch, subjects, 64]
    best, where = share.max(dim=2)
    names = {"ground": GROUND_NAMES, "time": TIME_NAMES, "weather": WEATHER_NAMES, "count": [1, 2, 3]}
    out = []
    for i in range(len(pictures)):
        order = best[i].argsort(descending=True)[:4].tolist()
        middles = {}
        for k in order:
            weight = share[i, k] * (share[i, k] > 0.3 * best[i, k])
            at = torch.arange(64)
            middles[SUBJECT_NAMES[k]] = (float((weight * (at % 8)).sum() / weight.sum()), float((weight * (at // 8)).sum() / weight.sum()))
        out.append({"subjects": list(middles), "middles": middles, **{h: names[h][int(heads[h][i].argmax())] for h in HEADS}})
    return out


def related(seen: dict, s: Scene) -> bool:
    """Whether both are there, one left of (right of, above, under) the other."""
    if set(seen["subjects"][:2]) != {s.subject, s.other}:
        return False
    (x, y), (u, v) = seen["middles"][s.subject], seen["middles"][s.other]
    return {"left": x < u, "right": x > u, "above": y < v, "under": y > v}[s.relation]


def scores(seen: list[dict], scenes: list[Scene]) -> dict[str, dict]:
    """Share of right answers and how many were asked, for each thing that a caption says."""
    right: dict[str, list[bool]] = {k: [] for k in ("subject", "single subject", "both of a pair", "ground", "time", "weather", "time and weather", "count", "relation")}
    for r, s in zip(seen, scenes):
        wanted = set(s.subjects())
        there = set(r["subjects"][: len(wanted)]) == wanted
        right["subject"].append(there)
        right["both of a pair" if s.other else "single subject"].append(there)
        right["ground"].append(r["ground"] == s.ground)
        hour, weather = s.ground in NO_TIME or r["time"] == s.time, s.ground in NO_WEATHER or r["weather"] == s.weather
        if s.ground not in NO_TIME:
            right["time"].append(hour)
        if s.ground not in NO_WEATHER:
            right["weather"].append(weather)
        if s.ground not in NO_TIME:
            right["time and weather"].append(hour and weather)
        if not s.other:
            right["count"].append(r["count"] == s.count)
        if s.relation:
            right["relation"].append(related(r, s))
    return {k: {"right": round(sum(v) / len(v), 4), "of": len(v)} for k, v in right.items() if v}


def load(path: Path) -> SceneReader:
    reader = SceneReader()
    reader.load_state_dict(torch.load(path, weights_only=True))
    return reader.eval()


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--steps", type=int, default=1500)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seed", type=int, default=11)
    p.add_argument("--out", type=Path, default=Path("training/work/illustrator/reader.pt"))
    a = p.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    rng, reader = random.Random(a.seed), SceneReader()
    optimiser = torch.optim.AdamW(reader.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    weight = torch.ones(NOTHING + 1)
    weight[NOTHING] = 0.05
    begun, total = time.time(), 0.0
    for step in range(1, a.steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1.0, step / 50) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / a.steps)))
        x, cells, heads = batch(rng, [any_scene(rng) for _ in range(a.batch)])
        x = x + 0.08 * torch.randn_like(x)  # so that it does not lean on the last pixel of a drawing
        with torch.autocast("cpu", dtype=torch.bfloat16):
            seen, answers = reader.train()(x)
        loss = F.cross_entropy(seen.float(), cells, weight)
        loss = loss + sum(F.cross_entropy(answers[h].float(), heads[:, i], ignore_index=UNKNOWN) for i, h in enumerate(HEADS)) / 2
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        total += float(loss.detach())
        if step % 100 == 0:
            print({"step": step, "minutes": round((time.time() - begun) / 60, 2), "loss": round(total / 100, 4)}, flush=True)
            total = 0.0
    scenes = held_out_scenes(500, 99)
    x, _, _ = batch(random.Random(98), scenes)
    print(json.dumps(scores(read(reader, x), scenes)))
    a.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(reader.state_dict(), a.out)


if __name__ == "__main__":
    main()

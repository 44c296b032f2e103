"""Renders a scene to 64×64 RGB: the ground, the subjects' drawings in the light of the hour, the weather in front.

    python training/pictures/render.py --sheet training/work/illustrator/renders.png
"""

from __future__ import annotations

import argparse
import random
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pictures.captions import caption
from pictures.ground import PAINTERS, sky, weather_over
from pictures.scene import Scene, some_scene
from pictures.world import BY_NAME, FLYING

EMOJI = Path(__file__).resolve().parents[3] / "shared" / "reference" / "images" / "noto-emoji" / "png128"
EMOJI_LIGHT = {"day": (1.0, 1.0, 1.0), "sunset": (1.0, 0.84, 0.76), "night": (0.62, 0.66, 0.84)}


@lru_cache(maxsize=None)
def _drawing(subject: str) -> Image.Image:
    image = Image.open(EMOJI / BY_NAME[subject].file).convert("RGBA")
    return image.crop(image.getbbox())


@lru_cache(maxsize=4096)
def drawing(subject: str, size: int, time: str) -> Image.Image:
    """The subject's drawing, its longer side `size` pixels, lit."""
    image = _drawing(subject)
    scale = size / max(image.size)
    premultiplied = image.convert("RGBa").resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BOX if scale < 0.4 else Image.Resampling.BILINEAR)
    pixels = np.asarray(premultiplied.convert("RGBA")).astype(np.float32)
    pixels[..., :3] *= EMOJI_LIGHT[time]
    return Image.fromarray(pixels.astype(np.uint8))


def places(rng: random.Random, s: Scene) -> list[tuple[str, int, float, float]]:
    """(subject, size, middle x, foot y) for each drawing, at twice the size of a picture."""
    floating = s.ground == "space"
    foot = lambda who: rng.uniform(80, 110) if floating else rng.uniform(96, 116) - (rng.uniform(14, 34) if who in FLYING and rng.random() < 0.5 else 0)
    even = lambda size: int(size) // 4 * 4
    if s.other is None and s.count == 1:
        low, high = {"big": (92, 104), "small": (30, 38), None: (62, 80)}[s.size]
        size = even(rng.uniform(low, high))
        margin = size / 2 - 2
        y = foot(s.subject) if s.size != "big" else rng.uniform(114, 122)
        return [(s.subject, size, rng.uniform(margin, 128 - margin), max(y, size + 4))]
    if s.other is None:
        size = even(rng.uniform(52, 58) if s.count == 2 else rng.uniform(37, 41))
        slot, base = 128 / s.count, foot(s.subject)
        return [(s.subject, size, slot * (i + 0.5) + rng.uniform(-3, 3), max(size + 2, base + rng.uniform(-5, 5))) for i in range(s.count)]
    if s.relation in ("above", "under"):
        upper, lower = (s.subject, s.other) if s.relation == "above" else (s.other, s.subject)
        x = rng.uniform(34, 94)
        return [(upper, even(rng.uniform(48, 54)), x + rng.uniform(-6, 6), rng.uniform(55, 60)), (lower, even(rng.uniform(48, 56)), x + rng.uniform(-6, 6), rng.uniform(116, 122))]
    pair = [s.subject, s.other]
    if s.relation == "right" or (s.relation is None and rng.random() < 0.5):
        pair.reverse()
    base = foot("")
    return [(who, even(rng.uniform(48, 58)), x + rng.uniform(-3, 3), max(62, base + rng.uniform(-4, 4))) for who, x in zip(pair, (34, 94))]


def render_with_places(rng: random.Random, s: Scene) -> tuple[np.ndarray, list[tuple[str, float, float]]]:
    """-> u8 [64, 64, 3], and (subject, x, y) for the middle of each drawing, in pixels."""
    brush = sky(rng, s.time, s.weather)
    PAINTERS[s.ground](brush)
    time = "day" if s.ground == "space" else s.time
    placed = []
    for subject, size, x, y in places(rng, s):
        image = drawing(subject, size, time)
        brush.image.paste(image, (round(x - image.width / 2), round(y - image.height)), image)
        placed.append((subject, x / 2, (y - image.height / 2) / 2))
    weather_over(brush)
    return np.asarray(brush.image.reduce(2)), placed


def render(rng: random.Random, s: Scene) -> np.ndarray:
    """-> u8 [64, 64, 3]."""
    return render_with_places(rng, s)[0]


def sheet(pictures: list[np.ndarray], columns: int, scale: int = 2) -> Image.Image:
    side = pictures[0].shape[0] * scale + 4
    out = Image.new("RGB", (columns * side, -(-len(pictures) // columns) * side), (255, 255, 255))
    for i, p in enumerate(pictures):
        out.paste(Image.fromarray(p).resize((side - 4, side - 4), Image.Resampling.NEAREST), (i % columns * side + 2, i // columns * side + 2))
    return out


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sheet", type=Path, default=Path("training/work/illustrator/renders.png"))
    p.add_argument("--count", type=int, default=64)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    rng, pictures = random.Random(a.seed), []
    for _ in range(a.count):
        s = some_scene(rng)
        pictures.append(render(rng, s))
        print(caption(rng, s))
    a.sheet.parent.mkdir(parents=True, exist_ok=True)
    sheet(pictures, 8).save(a.sheet)


if __name__ == "__main__":
    main()

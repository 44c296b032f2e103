"""Paints emoji faces of 64x64 pixels from a few knobs, as many as one likes: what faces-vae and faces-gan learn from.

    python training/faces/paint.py --sheet training/work/faces/faces.png

A face is eight knobs, each drawn from a normal distribution of mean 0 and spread 1 (cut at 2.4). Everything follows them without a jump, so that
every way between two faces is one of faces: the last two are a plane with bare heads in its middle and a headwear in each direction. Shapes are
signed distances, with edges one pixel soft, painted over each other for a whole batch at once; 64 faces take 0.1 s on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

SIDE = 64
KNOBS = ("mood", "mouth", "eyes", "brows", "turn", "colour", "hat east", "hat north")
"""crying ... laughing; shut ... open; asleep ... wide; angry ... worried; looks left ... right; blue, green, yellow, orange, pink; the plane of headwear."""
HEADWEAR = ("glasses", "crown", "hair", "beanie", "party hat")
"""A fifth of the circle each, the first about the east, then counterclockwise."""

SKIN = torch.tensor([[96, 150, 235], [92, 200, 170], [255, 205, 60], [255, 160, 70], [250, 120, 140]]) / 255
GROUND = torch.tensor([[58, 74, 120], [120, 150, 190], [190, 215, 215], [250, 226, 190], [255, 206, 150]]) / 255
INK = torch.tensor([70, 38, 30]) / 255


def some_knobs(rng: torch.Generator, count: int) -> torch.Tensor:
    """-> [count, 8]"""
    return torch.randn(count, len(KNOBS), generator=rng).clamp(-2.4, 2.4)


def headwear(east: torch.Tensor, north: torch.Tensor) -> list[torch.Tensor]:
    """How much there is of each."""
    centres = (torch.arange(len(HEADWEAR)) / len(HEADWEAR) - 0.075) * 2 * torch.pi  # turned so that no axis runs along a border
    near = torch.softmax(30 * torch.cos(torch.atan2(north, east)[..., None] - centres), -1)
    return list((torch.sigmoid(12 * (east.hypot(north) - 0.8))[..., None] * near).unbind(-1))


def between(colours: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """The colour at -2 ... 2 of a row of five. -> [count, 3, 1, 1]"""
    place = (at + 2).clamp(0, 3.999)
    low, part = place.long(), (place - place.floor())[:, None]
    return (colours[low] * (1 - part) + colours[low + 1] * part)[:, :, None, None]


class Canvas:
    def __init__(self, ground: torch.Tensor) -> None:
        self.x = ground.expand(-1, 3, SIDE, SIDE).clone()

    def put(self, distance: torch.Tensor, colour: torch.Tensor, alpha: torch.Tensor | float = 1.0) -> None:
        """Where `distance` [count, SIDE, SIDE] is below 0."""
        cover = ((0.5 - distance * SIDE / 2).clamp(0, 1) * alpha)[:, None]
        colour = colour if colour.dim() == 4 else colour.view(1, 3, 1, 1)
        self.x += cover * (colour - self.x)


def rgb(*of: int) -> torch.Tensor:
    return torch.tensor(of) / 255


def ellipse(x: torch.Tensor, y: torch.Tensor, w, h) -> torch.Tensor:
    """Nearly a distance."""
    r = ((x / w).square() + (y / h).square()).sqrt()
    return (r - 1) * r / ((x / w / w).square() + (y / h / h).square()).sqrt().clamp_min(1e-4)


def bar(x: torch.Tensor, y: torch.Tensor, ax, ay, bx, by, thick) -> torch.Tensor:
    """A line from a to b with round ends."""
    px, py, dx, dy = x - ax, y - ay, bx - ax, by - ay
    along = ((px * dx + py * dy) / (dx * dx + dy * dy + 1e-9)).clamp(0, 1)
    return (px - along * dx).hypot(py - along * dy) - thick


def paint(knobs: torch.Tensor) -> torch.Tensor:
    """-> [count, 3, SIDE, SIDE] in -1 ... 1."""
    mood, mouth, eyes, brows, turn, colour, east, north = (k[:, None, None] for k in knobs.unbind(1))
    glasses, crown, hair, beanie, party = headwear(east, north)
    line = (torch.arange(SIDE) + 0.5) / SIDE * 2 - 1
    y, x = line[None, :, None], line[None, None, :]
    canvas = Canvas(between(GROUND, knobs[:, 0]))
    lean = 0.07 * turn
    x, y = x * lean.cos() + (y - 0.1) * lean.sin(), (y - 0.1) * lean.cos() - x * lean.sin()
    skin = between(SKIN, knobs[:, 5])

    canvas.put(ellipse(x, y + 0.08, 0.76, 0.78), rgb(104, 62, 44), hair)
    canvas.put(ellipse(x, y, 0.72, 0.72), skin * 0.72 + 0.02)
    canvas.put(ellipse(x + 0.02, y + 0.025, 0.665, 0.665), skin)
    light = (-((x + 0.25).square() + (y + 0.3).square()) / 0.25).exp() * 0.35
    canvas.put(ellipse(x, y, 0.66, 0.66), torch.ones(3), light)

    face = x - 0.095 * turn  # what turns with the head
    blush = torch.sigmoid(4 * (mood - 0.9)) * 0.6
    open_ = (0.5 + 0.42 * eyes).clamp(0.0, 1.35)
    for side in (-1, 1):
        near = 1 - side * 0.09 * turn
        ex, ey = face - side * 0.27, y + 0.1
        canvas.put(ellipse(ex - side * 0.14, y - 0.14, 0.13 * near, 0.09), rgb(255, 95, 95), blush)
        w, h = 0.135 * near, 0.02 + 0.155 * open_
        # A laugh and sleep bend the lids: the eye's middle moves up or down towards its edges.
        bend = (0.35 * torch.sigmoid(3 * (mood - 1.0)) - 0.12) * (1.3 - open_).clamp(0, 1) * 3.5
        by = ey - bend * (ex.square() - 0.01)
        canvas.put(ellipse(ex, by, w + 0.035, h + 0.03), INK)
        canvas.put(ellipse(ex, by, w, h - 0.012), torch.ones(3), (open_ * 4).clamp(0, 1))
        pupil = torch.maximum(ellipse(ex - 0.035 * turn, by, 0.085, 0.095), ellipse(ex, by, w, h))
        canvas.put(pupil, INK, (open_ * 4).clamp(0, 1))
        canvas.put(torch.maximum((ex - 0.035 * turn + 0.03).hypot(by + 0.035) - 0.026, ellipse(ex, by, w, h)), torch.ones(3), (open_ * 3 - 0.6).clamp(0, 1))
        slant = 0.06 * brows * side  # worried brows rise inwards
        top = y + 0.36 + 0.06 * open_
        canvas.put(bar(face - side * 0.27, top, -0.13, -slant, 0.13, slant, 0.034), INK)
        tear = torch.sigmoid(5 * (-0.8 - mood))
        length = 0.42 * torch.sigmoid(3 * (-1.1 - mood)) + 0.04
        canvas.put(bar(ex - side * 0.04, ey, 0, 0.17, 0, 0.17 + length, 0.062), rgb(120, 200, 255), tear)
        canvas.put(bar(ex - side * 0.04 + 0.02, ey, 0, 0.17, 0, 0.17 + length, 0.018), rgb(225, 245, 255), tear)

    # The mouth: between two parabolas, its corners up in a good mood.
    curve, wide = 0.15 * torch.tanh(0.9 * mood + 0.15), 0.27 + 0.045 * mood.abs() - 0.04 * mouth.clamp_min(0)
    gap = 0.02 + 0.17 * torch.sigmoid(2.2 * (mouth - 0.5))
    u, my = face / wide, y - 0.3
    arch = (1 - u.square()).clamp_min(0).sqrt()
    middle = curve * (0.5 - u.square()) * 1.15 + (0.03 - 0.05 * torch.tanh(-mood).clamp_min(0))
    high = middle - gap * arch * (1.0 - 0.8 * torch.tanh(mood).clamp_min(0))
    low = middle + gap * arch * (1.0 - 0.8 * torch.tanh(-mood).clamp_min(0))
    steep = (1 + (2 * curve * u / wide).square()).sqrt()
    inside = torch.maximum((high - my).maximum(my - low) / steep, face.abs() - wide)
    canvas.put(inside - 0.03, INK)
    canvas.put(torch.maximum(inside, ellipse(face, my - low - 0.01, wide * 0.6, 0.11)), rgb(235, 90, 95), (gap * 12 - 0.8).clamp(0, 1))
    teeth = torch.sigmoid(4 * (mood - 0.4))
    canvas.put(torch.maximum(inside, my - high - 0.055), torch.ones(3), (gap * 12 - 0.8).clamp(0, 1) * teeth)

    for side in (-1, 1):
        ring = ellipse(face - side * 0.28, y + 0.1, 0.22, 0.21).abs() - 0.022
        canvas.put(ring, rgb(40, 60, 130), glasses)
    canvas.put(bar(face, y + 0.12, -0.07, 0, 0.07, 0, 0.022), rgb(40, 60, 130), glasses)
    dome = torch.maximum(ellipse(x, y + 0.35, 0.66, 0.52), y + 0.42)
    canvas.put(dome, rgb(200, 50, 60), beanie)
    canvas.put((x.hypot(y + 0.86) - 0.1), rgb(255, 240, 235), beanie)
    canvas.put(bar(x, y + 0.46, -0.55, 0, 0.55, 0, 0.075), rgb(255, 240, 235), beanie)
    cone = torch.maximum((x.abs() * 2.0 - (y + 1.12)) / 2.24, y + 0.5)
    canvas.put(cone, rgb(120, 70, 200), party)
    canvas.put(torch.maximum(cone, (y + 0.1 * x + 0.76).abs() - 0.045), rgb(90, 225, 200), party)
    canvas.put(x.hypot(y + 1.0) - 0.085, rgb(255, 220, 90), party)
    points = 0.17 * ((x * 5.2).abs() % 2 - 1).abs()
    band = torch.maximum(torch.maximum(-(y + 0.74 + points - 0.02), y + 0.5) * 0.75, x.abs() - 0.42)
    canvas.put(band - 0.03, rgb(190, 120, 10), crown)
    canvas.put(band, rgb(255, 200, 30), crown)
    canvas.put(x.hypot(y + 0.58) - 0.05, rgb(220, 40, 80), crown)
    fringe = torch.maximum(ellipse(x, y, 0.7, 0.71), y + 0.46 - 0.1 * (face * 9).sin().abs())
    canvas.put(fringe, rgb(104, 62, 44), hair)
    return canvas.x.clamp(0, 1) * 2 - 1


def sheet(pictures: torch.Tensor, columns: int, path: Path, gap: int = 2) -> None:
    """Pictures [count, 3, h, w] in -1 ... 1 as one PNG."""
    from PIL import Image

    count, _, h, w = pictures.shape
    rows = -(-count // columns)
    page = torch.full((3, rows * (h + gap) + gap, columns * (w + gap) + gap), 1.0)
    for i, picture in enumerate(pictures):
        top, left = gap + i // columns * (h + gap), gap + i % columns * (w + gap)
        page[:, top : top + h, left : left + w] = picture.clamp(-1, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(((page + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()).save(path)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sheet", type=Path, default=Path("training/work/faces/faces.png"))
    a = p.parse_args()
    rng = torch.Generator().manual_seed(7)
    some = paint(some_knobs(rng, 60))
    rows = []
    for knob in range(len(KNOBS)):
        knobs = torch.zeros(10, len(KNOBS))
        knobs[:, knob] = torch.linspace(-2.4, 2.4, 10)
        if KNOBS[knob] == "mood":
            knobs[:, 1] = 0.6
        rows.append(paint(knobs))
    plane = torch.zeros(10, 10, len(KNOBS))
    plane[..., 6], plane[..., 7] = torch.linspace(-2.4, 2.4, 10), torch.linspace(2.4, -2.4, 10)[:, None]
    sheet(torch.cat([*rows, some, paint(plane.view(100, -1))]), 10, a.sheet)
    print(a.sheet)


if __name__ == "__main__":
    main()

"""Painted grounds at twice the size of a picture, with light by the time of day. Everything is drawn by chance within its kind."""

from __future__ import annotations

import random
from typing import Callable

import numpy as np
from PIL import Image, ImageDraw

SIDE = 128  # twice 64: halved at the end, which softens every edge
Colour = tuple[int, int, int]

SKIES = {"day": ((96, 170, 240), (200, 232, 250)), "sunset": ((98, 70, 150), (255, 160, 90)), "night": ((8, 10, 38), (42, 50, 104))}
LIGHT = {"day": (1.0, 1.0, 1.0), "sunset": (0.95, 0.70, 0.62), "night": (0.30, 0.36, 0.58)}


class Brush:
    """A picture being painted: its drawing board, its light and its chance."""

    def __init__(self, image: Image.Image, rng: random.Random, time: str, weather: str):
        self.image, self.rng, self.time, self.weather = image, rng, time, weather
        self.draw = ImageDraw.Draw(image)
        self.light = LIGHT[time]
        self.grey = 0.85 if weather != "clear" else 1.0

    def lit(self, colour: Colour, spread: int = 10) -> Colour:
        shade = self.rng.randint(-spread, spread)
        return tuple(max(0, min(255, int((c + shade) * l * self.grey))) for c, l in zip(colour, self.light))

    def hills(self, horizon: int, height: int, colour: Colour) -> None:
        """A soft line of hills down to the lower edge."""
        phase, waves, second = self.rng.uniform(0, 6.3), self.rng.uniform(0.02, 0.05), self.rng.uniform(0, 6.3)
        xs = np.arange(0, SIDE + 4, 4)
        ys = horizon + height * (0.7 * np.sin(xs * waves + phase) + 0.3 * np.sin(xs * waves * 2.3 + second))
        self.draw.polygon([(0, SIDE), *zip(xs.tolist(), ys.tolist()), (SIDE, SIDE)], fill=self.lit(colour))

    def disc(self, x: float, y: float, r: float, colour: Colour) -> None:
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def gradient(top: Colour, bottom: Colour, side: int = SIDE) -> Image.Image:
    rows = np.linspace(top, bottom, side)[:, None, :].repeat(side, axis=1)
    return Image.fromarray(rows.astype(np.uint8))


def sky(rng: random.Random, time: str, weather: str) -> Brush:
    top, bottom = SKIES[time]
    shift = rng.randint(-10, 10)
    grey = {"rain": 0.55, "snowfall": 0.35}.get(weather, 0.0)

    def mixed(c: Colour) -> Colour:
        mean = sum(c) / 3 * (0.85 if weather == "rain" else 1.0)
        return tuple(max(0, min(255, int(v * (1 - grey) + mean * grey) + shift)) for v in c)

    b = Brush(gradient(mixed(top), mixed(bottom)), rng, time, weather)
    x, y = rng.randint(14, SIDE - 14), rng.randint(12, 30)
    if time == "night":
        if weather == "clear":
            for _ in range(14):
                b.disc(rng.randint(0, SIDE), rng.randint(0, 64), 1.3, (225, 225, 250))
            b.disc(x, y, 10, (245, 240, 205))
            b.disc(x + 5, y - 3, 9, mixed((12, 15, 48)))
    elif weather == "clear":
        if time == "day":
            b.disc(x, y, 11, (255, 226, 90))
        else:
            b.disc(x, 54 + rng.randint(-6, 4), 14, (255, 214, 110))
    if weather != "clear" or (time == "day" and rng.random() < 0.5):
        cloud = (150, 155, 168) if weather == "rain" else (245, 248, 252)
        cloud = tuple(int(c * (l + 1) / 2) for c, l in zip(cloud, b.light))
        for _ in range(2 if weather == "clear" else 4):
            cx, cy = rng.randint(0, SIDE), rng.randint(6, 32)
            for dx in (-11, 0, 11):
                b.disc(cx + dx, cy + abs(dx) // 4, 9 if dx == 0 else 7, cloud)
    return b


def meadow(b: Brush) -> None:
    b.hills(70, 7, (120, 190, 90))
    b.hills(84, 5, (96, 178, 66))
    for _ in range(9):
        x, y = b.rng.randint(2, SIDE - 2), b.rng.randint(92, 124)
        b.disc(x, y, 2.2, b.lit(b.rng.choice(((250, 240, 240), (250, 210, 70), (235, 110, 150)))))


def forest(b: Brush) -> None:
    b.hills(78, 3, (58, 110, 60))
    for row, (base, height, colour) in enumerate(((84, 64, (34, 92, 60)), (94, 74, (44, 116, 64)))):
        x = b.rng.randint(-8, 6)
        while x < SIDE + 8:
            h, tone = height + b.rng.randint(-12, 8), b.lit(colour, 14)
            b.draw.rectangle((x - 2, base - 8, x + 2, base), fill=b.lit((96, 66, 44)))
            for k in range(3):
                top, wide = base - 8 - h * (k + 1.4) / 3.6, 13 - 3 * k
                b.draw.polygon(((x - wide, top + h / 2.4), (x, top - 2), (x + wide, top + h / 2.4)), fill=tone)
            x += b.rng.randint(20, 27) if row else b.rng.randint(15, 20)
    b.hills(96, 2, (66, 128, 58))


def beach(b: Brush) -> None:
    b.draw.rectangle((0, 62, SIDE, SIDE), fill=b.lit((52, 150, 205)))
    for _ in range(4):
        x, y = b.rng.randint(0, SIDE), b.rng.randint(66, 78)
        b.draw.line((x - 9, y, x + 9, y), fill=b.lit((130, 205, 235)), width=2)
    b.hills(82, 3, (245, 240, 225))
    b.hills(86, 3, (240, 214, 150))
    if b.rng.random() < 0.6:
        x = b.rng.choice((b.rng.randint(8, 24), b.rng.randint(SIDE - 24, SIDE - 8)))
        b.draw.line((x, 96, x + 3, 54), fill=b.lit((150, 104, 64)), width=5)
        for dx, dy in ((-20, 2), (-13, -10), (13, -10), (20, 2)):
            b.draw.line((x + 3, 54, x + 3 + dx, 54 + dy), fill=b.lit((60, 150, 70)), width=6)


def snow(b: Brush) -> None:
    b.hills(70, 7, (214, 228, 244))
    b.hills(84, 5, (240, 246, 252))
    for _ in range(b.rng.randint(1, 3)):
        x, base = b.rng.randint(6, SIDE - 6), b.rng.randint(76, 86)
        for k in range(3):
            b.draw.polygon(((x - 10 + 2 * k, base - 9 * k), (x, base - 9 * k - 14), (x + 10 - 2 * k, base - 9 * k)), fill=b.lit((150, 186, 190)))


def city(b: Brush) -> None:
    x = b.rng.randint(-10, 0)
    window = (255, 222, 120) if b.time != "day" else b.lit((150, 195, 225))
    while x < SIDE:
        w, top = b.rng.randint(17, 27), b.rng.randint(22, 56)
        b.draw.rectangle((x, top, x + w, 96), fill=b.lit(b.rng.choice(((150, 130, 140), (176, 120, 104), (126, 140, 166), (196, 180, 150)))))
        for wy in range(top + 5, 88, 11):
            for wx in range(x + 4, x + w - 4, 8):
                if b.rng.random() < 0.8:
                    b.draw.rectangle((wx, wy, wx + 3, wy + 5), fill=window)
        x += w + 2
    b.draw.rectangle((0, 94, SIDE, SIDE), fill=b.lit((112, 112, 122)))
    for x in range(b.rng.randint(-12, 0), SIDE, 28):
        b.draw.rectangle((x, 109, x + 13, 111), fill=b.lit((235, 235, 220)))


def sea(b: Brush) -> None:
    b.draw.rectangle((0, 66, SIDE, SIDE), fill=b.lit((44, 128, 196)))
    for y in range(70, SIDE, 11):
        tone, x = b.lit((96, 176, 226)), b.rng.randint(-16, 0)
        while x < SIDE:
            b.draw.arc((x, y, x + 18, y + 9), 200, 340, fill=tone, width=3)
            x += 22


def space(b: Brush) -> None:
    b.image.paste(gradient((14, 6, 36), (44, 16, 74)))
    for _ in range(32):
        b.disc(b.rng.randint(0, SIDE), b.rng.randint(0, SIDE), b.rng.choice((1.0, 1.6)), (235, 235, 255))
    for _ in range(b.rng.randint(1, 2)):
        x, y, r = b.rng.randint(8, SIDE - 8), b.rng.choice((b.rng.randint(6, 34), b.rng.randint(98, 122))), b.rng.randint(9, 17)
        colour = b.rng.choice(((226, 120, 80), (120, 170, 230), (216, 190, 120), (150, 210, 150)))
        if b.rng.random() < 0.5:
            b.draw.ellipse((x - r * 1.8, y - r * 0.45, x + r * 1.8, y + r * 0.45), outline=(235, 215, 170), width=3)
        b.disc(x, y, r, colour)


def desert(b: Brush) -> None:
    b.hills(68, 8, (232, 186, 110))
    b.hills(84, 6, (238, 200, 124))
    for _ in range(b.rng.randint(1, 2)):
        x, base, h, tone = b.rng.randint(8, SIDE - 8), b.rng.randint(82, 96), b.rng.randint(26, 38), b.lit((64, 140, 76))
        b.draw.line((x, base, x, base - h), fill=tone, width=7)
        for side in (-1, 1):
            y = base - h * b.rng.uniform(0.35, 0.6)
            b.draw.line((x, y, x + 10 * side, y, x + 10 * side, y - 12), fill=tone, width=5)


def room(b: Brush) -> None:
    indoor = {"day": (1.0, 1.0, 1.0), "sunset": (1.0, 0.86, 0.76), "night": (0.62, 0.56, 0.62)}[b.time]
    shade = lambda c: tuple(int(v * i) for v, i in zip(c, indoor))
    b.draw.rectangle((0, 0, SIDE, 92), fill=shade(b.rng.choice(((238, 214, 180), (226, 196, 196), (206, 220, 196), (200, 206, 228)))))
    b.draw.rectangle((0, 92, SIDE, SIDE), fill=shade((164, 112, 74)))
    b.draw.rectangle((0, 90, SIDE, 94), fill=shade((120, 80, 54)))
    x = b.rng.randint(6, SIDE - 46)
    top, bottom = SKIES[b.time]
    b.draw.rectangle((x - 3, 13, x + 39, 53), fill=shade((250, 246, 236)))
    b.image.paste(gradient(top, bottom, 37), (x, 15))
    if b.time == "night":
        b.disc(x + 10, 25, 4, (245, 240, 205))
    b.draw.rectangle((x + 17, 15, x + 19, 51), fill=shade((250, 246, 236)))
    b.draw.rectangle((x, 32, x + 36, 34), fill=shade((250, 246, 236)))
    if b.rng.random() < 0.7:
        b.draw.ellipse((24, 104, SIDE - 24, 122), fill=shade(b.rng.choice(((190, 70, 70), (80, 110, 170), (90, 150, 110)))))


def mountains(b: Brush) -> None:
    x = b.rng.randint(-20, 6)
    while x < SIDE + 20:
        top, half = b.rng.randint(14, 38), b.rng.randint(32, 44)
        b.draw.polygon(((x - half, 96), (x, top), (x + half, 96)), fill=b.lit((128, 124, 142), 12))
        cap = half * 0.3
        b.draw.polygon(((x - cap, top + 24.6), (x, top), (x + cap, top + 24.6), (x + cap / 3, top + 19), (x - cap / 3, top + 27)), fill=b.lit((244, 248, 252)))
        x += b.rng.randint(34, 48)
    b.hills(90, 4, (122, 140, 96))


PAINTERS: dict[str, Callable[[Brush], None]] = {f.__name__: f for f in (meadow, forest, beach, snow, city, sea, space, desert, room, mountains)}


def weather_over(b: Brush) -> None:
    """Rain or snowflakes in front of everything."""
    if b.weather == "rain":
        for _ in range(26):
            x, y = b.rng.randint(-4, SIDE), b.rng.randint(-6, SIDE)
            b.draw.line((x + 4, y, x, y + 13), fill=(176, 200, 232), width=2)
    elif b.weather == "snowfall":
        for _ in range(34):
            b.disc(b.rng.randint(0, SIDE), b.rng.randint(0, SIDE), b.rng.choice((1.8, 2.4)), (250, 252, 255))

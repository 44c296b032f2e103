"""A scene: who is where, when, in what weather, how many, how large. Drawn by chance, never a held-out pair unless asked for."""

from __future__ import annotations

import random
from dataclasses import dataclass

from pictures.world import CHARACTER_NAMES, GROUND_NAMES, NO_TIME, NO_WEATHER, SUBJECT_NAMES, THING_NAMES, held_out


@dataclass(frozen=True)
class Scene:
    ground: str
    time: str
    weather: str
    subject: str
    count: int = 1
    other: str | None = None
    relation: str | None = None
    size: str | None = None

    def subjects(self) -> list[str]:
        return [self.subject] + ([self.other] if self.other else [])


def some_time(rng: random.Random, ground: str) -> str:
    return "day" if ground in NO_TIME else rng.choice(("day", "day", "sunset", "night"))


def some_weather(rng: random.Random, ground: str) -> str:
    return "clear" if ground in NO_WEATHER else rng.choice(("clear", "clear", "clear", "rain", "snowfall"))


def some_scene(rng: random.Random) -> Scene:
    while True:
        ground = rng.choice(GROUND_NAMES)
        time, weather = some_time(rng, ground), some_weather(rng, ground)
        roll = rng.random()
        if roll < 0.64:
            subject = rng.choice(SUBJECT_NAMES)
            count = 1 if roll < 0.42 else 2 if roll < 0.54 else 3
            size = rng.choice(("big", "small")) if count == 1 and rng.random() < 0.22 else None
            scene = Scene(ground, time, weather, subject, count, size=size)
        else:
            subject = rng.choice(CHARACTER_NAMES)
            other = rng.choice(THING_NAMES if rng.random() < 0.65 else CHARACTER_NAMES)
            if other == subject:
                continue
            scene = Scene(ground, time, weather, subject, other=other, relation=rng.choice(("left", "right", "above", "under", None, None)))
        if not any(held_out(s, ground) for s in scene.subjects()):
            return scene


def held_out_scenes(count: int, seed: int) -> list[Scene]:
    """Scenes whose subject and ground training never shows together."""
    rng, out = random.Random(seed), []
    while len(out) < count:
        subject, ground = rng.choice(SUBJECT_NAMES), rng.choice(GROUND_NAMES)
        if not held_out(subject, ground):
            continue
        time, weather, roll = some_time(rng, ground), some_weather(rng, ground), rng.random()
        if roll < 0.5:
            out.append(Scene(ground, time, weather, subject))
        elif roll < 0.75:
            out.append(Scene(ground, time, weather, subject, rng.choice((2, 3))))
        else:
            other = rng.choice([t for t in THING_NAMES if t != subject])
            out.append(Scene(ground, time, weather, subject, other=other, relation=rng.choice(("left", "right", "above", "under"))))
    return out

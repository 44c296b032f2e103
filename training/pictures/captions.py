"""Words for a scene, in many ways: order, synonyms, what may be left out. All lower case, no punctuation but commas."""

from __future__ import annotations

import random

from pictures.scene import Scene
from pictures.world import BY_NAME, GROUND_ADJECTIVES, GROUND_PHRASES, TIME_PHRASES, WEATHER_PHRASES

NUMBERS = {2: ("two", "two", "a pair of", "2"), 3: ("three", "three", "3")}
SIZES = {"big": ("big", "large", "huge"), "small": ("small", "tiny", "little")}
PLAIN_ADJECTIVES = ("happy", "brave", "old", "clever", "lonely", "shiny", "funny")
RELATIONS = {
    "left": ("left of", "to the left of"), "right": ("right of", "to the right of"),
    "above": ("above", "over"), "under": ("under", "below", "beneath"),
    None: ("and", "and", "with", "next to", "beside"),
}


def article(words: str) -> str:
    return ("an " if words[0] in "aeiou" and not words.startswith("uni") else "a ") + words


def word_of(rng: random.Random, subject: str, many: bool) -> str:
    words = BY_NAME[subject].words
    word = words[0] if len(words) == 1 or rng.random() < 0.65 else rng.choice(words[1:])
    return word[1 if many else 0]


def who(rng: random.Random, s: Scene) -> str:
    if s.count > 1:
        return f"{rng.choice(NUMBERS[s.count])} {word_of(rng, s.subject, True)}"
    first = word_of(rng, s.subject, False)
    if s.size:
        first = f"{rng.choice(SIZES[s.size])} {first}"
    elif rng.random() < 0.08:
        first = f"{rng.choice(PLAIN_ADJECTIVES)} {first}"
    if s.other is None:
        return article(first)
    second = article(word_of(rng, s.other, False))
    if s.relation is None and rng.random() < 0.4:
        return f"{second} {rng.choice(('and', 'next to', 'with'))} {article(first)}"
    return f"{article(first)} {rng.choice(RELATIONS[s.relation])} {second}"


def caption(rng: random.Random, s: Scene) -> str:
    first = (lambda phrases: phrases[0] if rng.random() < 0.5 else rng.choice(phrases))
    ground, people = first(GROUND_PHRASES[s.ground]), who(rng, s)
    time = first(TIME_PHRASES[s.time]) if s.time != "day" or rng.random() < 0.35 else ""
    weather = first(WEATHER_PHRASES[s.weather]) if s.weather != "clear" else ""
    if s.ground == "space" and time:
        time = ""
    style = rng.random()
    if style < 0.62:
        tail = [p for p in (time, weather) if p]
        rng.shuffle(tail)
        words = " ".join([people, ground, *tail])
    elif style < 0.74:
        lead = [p for p in (time, weather) if p] or [ground]
        rest = [ground] if lead != [ground] else []
        words = " ".join([*lead, *rest]) + ", " + people
    elif style < 0.84:
        words = ", ".join(p for p in (people, ground, time, weather) if p)
    elif style < 0.92:
        kind = {"night": "night", "sunset": "evening", "day": "day"}[s.time] if s.time != "day" or rng.random() < 0.2 else ""
        words = f"a {' '.join(p for p in (GROUND_ADJECTIVES[s.ground], kind, 'scene') if p)} with {people}" + (f" {weather}" if weather else "")
    else:
        words = " ".join([rng.choice(("a picture of", "a drawing of", "an illustration of")), people, ground, *(p for p in (time, weather) if p)])
    return words


def plain_caption(s: Scene) -> str:
    """The caption of the evaluation: first words only."""
    if s.count == 1 and not s.other:
        parts = [article(s.subject)]
    elif s.count > 1:
        parts = [f"{NUMBERS[s.count][0]} {BY_NAME[s.subject].words[0][1]}"]
    else:
        parts = [f"{article(s.subject)} {RELATIONS[s.relation][-1 if s.relation in ('left', 'right') else 0]} {article(s.other)}"]
    parts.append(GROUND_PHRASES[s.ground][0])
    if s.time != "day":
        parts.append(TIME_PHRASES[s.time][0])
    if s.weather != "clear":
        parts.append(WEATHER_PHRASES[s.weather][0])
    return " ".join(parts)


def all_words() -> list[str]:
    """Every word that a caption can hold, in a fixed order: the tokenizer's vocabulary."""
    phrases = [p for table in (GROUND_PHRASES, TIME_PHRASES, WEATHER_PHRASES) for group in table.values() for p in group]
    phrases += [p for group in (*NUMBERS.values(), *SIZES.values(), *RELATIONS.values()) for p in group]
    phrases += [*PLAIN_ADJECTIVES, *GROUND_ADJECTIVES.values(), "night evening day scene with a an the , picture drawing illustration of one"]
    phrases += [w for s in BY_NAME.values() for pair in s.words for w in pair]
    return sorted({w for p in phrases for w in p.split()})

"""Says what is wrong with a story that somebody (a model) told: what is missing, what repeats, who is mixed up with whom.

Works on the text alone and on the lexicon. `python -m stories.check` (in training/) measures the checker itself: how many of the generator's
own stories it passes, and how many it still passes after one pronoun, one character or one name in them was changed.
"""

from __future__ import annotations

import re
from collections import Counter

from .lexicon import NAMES_HE, NAMES_SHE, load

NAMES = frozenset(NAMES_HE) | frozenset(NAMES_SHE)
PRONOUN = {c.noun.replace(" ", "-"): c.pronoun for c in load().characters}
FORMS = {"he": {"he", "him", "his", "himself"}, "she": {"she", "her", "herself"}}
ANY_FORM = re.compile(r"\b(he|him|his|himself|she|her|herself)\b", re.I)
# who may pass by in a plot without being introduced
PASSERS_BY = {"crow", "postman", "sparrow"}


def has(text: str, noun: str) -> bool:
    return re.search(rf"\b{re.escape(noun.removeprefix('the '))}(s|es)?\b", text.lower()) is not None


def loops(text: str) -> bool:
    """Does any run of six words come more than twice?"""
    words = re.findall(r"[\w']+", text.lower())
    grams = Counter(tuple(words[i : i + 6]) for i in range(len(words) - 5))
    return any(n > 2 for n in grams.values())


def clean(text: str) -> bool:
    """Plain characters, no runs of spaces, quotes that close."""
    return text.isascii() and "  " not in text and all(p.count('"') % 2 == 0 for p in text.split("\n\n"))


def pronouns(text: str) -> set[str]:
    return {kind for kind, forms in FORMS.items() for word in ANY_FORM.findall(text) if word.lower() in forms}


def faults(text: str, hero: str, pronoun: str, thing: str, name: str | None = None) -> list[str]:
    """What breaks the hold on who is who. An empty list is a consistent story."""
    out, hero = [], hero.replace(" ", "-")
    text = re.sub(rf"\b{re.escape(thing)}\b", "thing", text.replace("guinea pig", "guinea-pig").replace("Lily pads", "pads"))
    text = re.sub(r"like a wolf|[Bb]aker's boy", "", text)
    introduced = re.findall(r"\b[Aa]n? (?:[\w-]+ )?([\w-]+) (?:named|called) ([A-Z]\w+)", text)
    given = {n for _, n in introduced}
    if len(given) > 1 or len(introduced) > 1 or (name and given - {name}):
        out.append("more names than one")
    if {w for w in re.findall(r"\b[A-Z][a-z]+\b", text) if w in NAMES} - given - ({name} if name else set()):
        out.append("a name out of nowhere")
    bare = re.sub(r'"[^"]*"?', lambda m: '"' + "_" * (len(m.group()) - 2) + '"', text)
    nouns = "|".join(sorted((re.escape(n) for n in PRONOUN.keys() | {hero}), key=len, reverse=True))
    first = {hero: 0}
    for m in re.finditer(rf"\b[Aa]n? (?:[\w-]+ )?({nouns})\b", text):
        first.setdefault(m.group(1), m.start())
    for m in re.finditer(rf"\b[Tt]he (?:[\w-]+ )?({nouns})\b", bare):
        if m.start() < first.get(m.group(1), len(text)) and m.group(1) not in PASSERS_BY:
            out.append(f"the {m.group(1)} out of nowhere")
            first.setdefault(m.group(1), m.start())
    others = {n: at for n, at in first.items() if n != hero}
    alone = bare[: min(others.values(), default=len(bare))]
    if pronouns(alone) - {pronoun}:
        out.append("the hero's pronoun")
    kinds = {pronoun} | {PRONOUN.get(n, pronoun) for n in others}
    if pronouns(bare) - kinds:
        out.append("a pronoun of nobody")
    # "The owl ... she": a sentence that begins with somebody and names nobody else, before its first comma or "and"
    for sentence in re.split(r"(?<=[.!?])\s+", bare):
        m = re.match(rf"The (?:[\w-]+ )?({nouns})\b", sentence)
        if m and not any(re.search(rf"\b{re.escape(n)}\b", sentence) for n in first if n != m.group(1)):
            rest, right = sentence[m.end() :], pronoun if m.group(1) == hero else PRONOUN[m.group(1)]
            said = set(re.findall(r"\b(he|she|himself|herself|his)\b", rest))
            if re.search(r"(?<!to )(?<!beside )(?<!with )(?<!for )(?<!at )\bher (?!the |an? |to |and |with |in |from )[a-z]", rest):
                said.add("her")
            if said - FORMS[right]:
                out.append(f"the {m.group(1)}'s pronoun")
    return out


def main() -> None:
    import random

    from .tell import tell

    rng, count = random.Random(77), 2000
    passed = 0
    shown, caught = [], Counter()
    tried = Counter()
    for _ in range(count):
        s = tell(rng)
        found = faults(s.text, s.hero.noun, s.hero.pronoun, s.thing.noun)
        passed += not found
        if found and len(shown) < 12:
            shown.append((found, s.text))
        if found:
            continue
        places = [m for m in ANY_FORM.finditer(s.text)]
        if places:
            m = rng.choice(places)
            other = {"he": "she", "him": "her", "his": "her", "himself": "herself", "she": "he", "her": "his", "herself": "himself"}[m.group().lower()]
            tried["pronoun"] += 1
            caught["pronoun"] += bool(faults(s.text[: m.start()] + other + s.text[m.end() :], s.hero.noun, s.hero.pronoun, s.thing.noun))
        mentions = [m for m in re.finditer(rf"\b[Tt]he ({s.hero.noun}|{s.friend.noun})\b", s.text)]
        if mentions:
            m = rng.choice(mentions)
            stranger = rng.choice([n for n in PRONOUN if n not in (s.hero.noun, s.friend.noun)])
            tried["stranger"] += 1
            caught["stranger"] += bool(faults(s.text[: m.start(1)] + stranger + s.text[m.end(1) :], s.hero.noun, s.hero.pronoun, s.thing.noun))
        if s.name and s.text.count(s.name) > 1:
            tried["name"] += 1
            at = s.text.rindex(s.name)
            caught["name"] += bool(faults(s.text[:at] + rng.choice(sorted(NAMES - {s.name})) + s.text[at + len(s.name) :], s.hero.noun, s.hero.pronoun, s.thing.noun))
    for found, text in shown:
        print(found, "\n", text, "\n")
    print(f"passes {passed / count:.1%} of the generator's stories; of one change to a passing story it sees", {k: f"{caught[k] / tried[k]:.0%} of {tried[k]} ({k})" for k in tried})


if __name__ == "__main__":
    main()

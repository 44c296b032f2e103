"""What a chat can ask of the storyteller besides a story, each with a check: short, sad, funny, a title, a question, a picture line, go on, a name, the same again in another way.

An exam is a list of `Task`: the turns so far, and a function that says whether an answer is right. The stories in the turns are the generator's,
about heroes, things and places that never met in training.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pictures.captions import all_words

from .check import clean, has, loops
from .lexicon import NAMES_HE, NAMES_SHE, Thing, article, load
from .picture_words import GROUND_OF, hero_word
from .requests import Turn, held_out, request_for
from .tell import SENTENCE, Ask, Story, can_carry, fits, plots, tell


@dataclass(frozen=True)
class Task:
    kind: str
    turns: tuple[Turn, ...]
    right: Callable[[str], bool]


class Reader:
    """Naive Bayes over words: which of the generator's stories does a text read like? Trained on the generator, checked on it too.
    Its stories do not say of what kind they are, so that a text which only announces its tone does not pass for one that keeps it."""

    def __init__(self, kinds: dict[str, dict[str, str]], each: int, seed: int = 9):
        """`kinds` says for each label what is asked of the generator: {"sad": {"tone": "sad"}}."""
        rng = random.Random(seed)
        self.counts = {k: Counter() for k in kinds}
        self.size = {}
        for kind, asked in kinds.items():
            for _ in range(each):
                self.counts[kind].update(self.words(tell(rng, Ask(**asked, thing=thing_for(rng, asked.get("plot")), mood=0.0)).text))
            self.size[kind] = sum(self.counts[kind].values())
        self.known = len(set().union(*self.counts.values()))
        tries = [(k, tell(rng, Ask(**asked, thing=thing_for(rng, asked.get("plot")), mood=0.7)).text) for k, asked in kinds.items() for _ in range(max(1, 600 // len(kinds)))]
        self.accuracy = sum(self.kind(text) == k for k, text in tries) / len(tries)

    @staticmethod
    def words(text: str) -> set[str]:
        words = re.findall(r"[a-z']+", text.lower())
        return set(words) | {f"{a} {b}" for a, b in zip(words, words[1:])}

    def kind(self, text: str) -> str:
        words = self.words(text)
        score = {k: sum(math.log((c[w] + 0.5) / (self.size[k] + 0.5 * self.known)) for w in words) for k, c in self.counts.items()}
        return max(score, key=score.get)


def thing_for(rng: random.Random, plot: str | None = None) -> Thing:
    wanted = [p for p in plots() if p.name == plot]
    return rng.choice([t for t in load().things if (fits(wanted[0], t) if wanted else can_carry(t))])


def tone_reader() -> Reader:
    return Reader({t: {"tone": t} for t in ("sad", "funny", "kind")}, each=1500)


def plot_reader() -> Reader:
    return Reader({p.name: {"plot": p.name} for p in plots()}, each=80)


def unseen_story(rng: random.Random, **asked) -> Story:
    """A story about three that never met in training."""
    while True:
        hero, thing, place = rng.choice(load().characters), rng.choice(load().things), rng.choice(load().places)
        if held_out(hero.noun, thing.noun, place.noun) and can_carry(thing):
            return tell(rng, Ask(hero=hero, thing=thing, place=place, named=0.0, **asked))


def line(answer: str, words: int) -> bool:
    """One line of a few words."""
    return "\n" not in answer.strip() and 0 < len(answer.split()) <= words


def exam(each: int, seed: int) -> list[Task]:
    rng, reader = random.Random(seed), tone_reader()
    drawn = set(all_words())
    out: list[Task] = []

    def wish(s: Story, tone: str | None = None, short: bool = False, name: str | None = None) -> Turn:
        return "user", request_for(rng, s.hero, s.thing, s.place, None, name, "finds", tone, short, False)

    for _ in range(each):
        for tone in ("sad", "funny"):
            out.append(Task(tone, (wish(unseen_story(rng), tone),), lambda a, tone=tone: reader.kind(a) == tone))
        s = unseen_story(rng)
        out.append(Task("short", (wish(s, short=True),), lambda a: len(a.split()) <= 115))
        out.append(Task("not asked to be short", (wish(s),), lambda a: len(a.split()) > 115))
        s = unseen_story(rng)
        name = rng.choice(NAMES_SHE if s.hero.pronoun == "she" else NAMES_HE)
        out.append(Task("a name that was asked for", (wish(s, name=name),), lambda a, name=name: a.count(name) >= 3))
        s = unseen_story(rng)
        told = (wish(s), ("assistant", s.text))
        out.append(Task("title", (*told, ("user", rng.choice(("Give it a title.", "What should it be called?", "A title, please.")))), lambda a, s=s: line(a, 9) and (has(a, s.hero.noun) or has(a, s.thing.noun) or has(a, s.place.noun))))
        s = unseen_story(rng)
        told = (wish(s), ("assistant", s.text))
        out.append(Task("question: who", (*told, ("user", "Who is the story about?")), lambda a, s=s: line(a, 12) and has(a, s.hero.noun)))
        out.append(Task("question: where", (*told, ("user", "Where does the story happen?")), lambda a, s=s: line(a, 12) and s.place.phrase in a))
        out.append(Task("question: what", (*told, ("user", "Which thing matters in the story?")), lambda a, s=s: line(a, 12) and has(a, s.thing.noun)))
        s = unseen_story(rng)
        while s.place.noun not in GROUND_OF or not hero_word(s.hero.noun):
            s = unseen_story(rng)
        told = (wish(s), ("assistant", s.text))
        ask = ("user", rng.choice(("Describe the next picture in one line.", "What would a picture of it show?")))
        out.append(Task("picture: only words that the illustrator knows", (*told, ask), lambda a: line(a, 16) and set(a.split()) <= drawn))
        out.append(Task("picture: hero and ground", (*told, ask), lambda a, s=s: article(hero_word(s.hero.noun)) in a and GROUND_OF[s.place.noun] in a))
        for tone in ("sad", "funny"):
            s = unseen_story(rng, tone="kind")
            while len(s.text) > 900:
                s = unseen_story(rng, tone="kind")
            told = (wish(s), ("assistant", s.text))
            out.append(Task(f"make it {tone}", (*told, ("user", f"Make it {tone}.")), lambda a, s=s, tone=tone: reader.kind(a) == tone and has(a, s.hero.noun) and has(a, s.thing.noun)))
        s = unseen_story(rng)
        while not 700 < len(s.text) < 1000:
            s = unseen_story(rng)
        told = (wish(s), ("assistant", s.text), ("user", "Make it shorter."))
        both = lambda a, s=s: has(a, s.hero.noun) and has(a, s.thing.noun)
        out.append(Task("make it shorter: shorter", told, lambda a, s=s, both=both: both(a) and len(a.split()) < len(s.text.split())))
        out.append(Task("make it shorter: as short as a short one", told, lambda a, both=both: both(a) and len(a.split()) <= 115))
        s = unseen_story(rng)
        start = " ".join(SENTENCE.split(s.text.split("\n\n")[0])[:2])
        out.append(Task("go on", (("user", f"Go on with this story: {start}"),), lambda a, s=s: has(a, s.hero.noun) and clean(a) and not loops(a) and len(a.split()) > 30))
    return out


def openings() -> list[str]:
    """Beginnings without any request, as a visitor may type them."""
    plain = ["Once upon a time", "Once upon a time, there was", "One day", "Long ago", "The old man", "The fox", "In the forest", "There was a little girl", "It was a dark night", "A dragon", "Deep under the sea", "The king was sad", "My"]
    return plain * 4

"""Writes models/*/world.json: the languages and words that the house models met in training, and which adjectives go with which nouns there.

    python training/make_worlds.py --corpora ../shared/reference/corpora

The page reads them to say which of a reader's words lie outside a model's small world. A word counts as met where the storyteller's generator
writes it in one document of `RARE` at least, or the corpora hold it in `FEW` documents. The illustrator's words lie in its own file.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from pathlib import Path

from pictures.captions import PLAIN_ADJECTIVES, SIZES
from pictures.world import BY_NAME, GROUND_ADJECTIVES
from stories.lexicon import load
from stories.requests import conversation
from stories.tell import tell
from storyteller_data import bare_beginning, corpus_documents

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS, RARE, FEW = 12000, 5, 10
WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")


def words_of(documents) -> Counter:
    """In how many documents each word stands."""
    counts: Counter = Counter()
    for text in documents:
        counts.update({re.sub(r"'s?$", "", word) for word in WORD.findall(text.lower())})
    return counts


def generated(seed: int):
    """What the storyteller was taught by: one in four stands without a request."""
    rng = random.Random(seed)
    for _ in range(DOCUMENTS):
        yield tell(rng, bare_beginning(rng)).text if rng.random() < 0.25 else " ".join(text for _, text in conversation(rng))


def storyteller(corpora: Path) -> dict:
    world, texts = load(), corpus_documents(corpora)
    if not texts["tiny"] or not texts["tales"]:
        raise SystemExit(f"there are no corpora in {corpora}; without them the list would be another")
    met = {word for word, count in words_of(generated(7)).items() if count >= RARE}
    met |= {word for word, count in words_of(texts["tiny"] + texts["tales"]).items() if count >= FEW}
    met |= {word for noun in [*(c.noun for c in world.characters), *(t.noun for t in world.things), *(p.phrase for p in world.places)] for word in WORD.findall(noun)}
    adjectives = {**{c.noun: c.traits for c in world.characters}, **{t.noun: t.adjectives for t in world.things}}
    return {"languages": ["en"], "words": " ".join(sorted(met)), "adjectives": {noun: " ".join(sorted(each)) for noun, each in sorted(adjectives.items())}}


def illustrator() -> dict:
    """Its captions name sizes of what is painted, and colours of scenes alone; other adjectives stand there and no picture follows them."""
    sizes = " ".join(sorted(word for group in SIZES.values() for word in group))
    adjectives = {one: sizes for subject in BY_NAME.values() for one, _ in subject.words}
    scene = " ".join(sorted(GROUND_ADJECTIVES.values()))
    return {"languages": ["en"], "adjectives": dict(sorted(adjectives.items())) | {"scene": scene}, "idle": " ".join(PLAIN_ADJECTIVES)}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--corpora", type=Path, default=Path("../shared/reference/corpora"))
    a = p.parse_args()
    for name, world in (("storyteller", storyteller(a.corpora)), ("illustrator", illustrator())):
        # Above 4 KB: Vite makes `data:` addresses of smaller files, which strict policies forbid.
        text = json.dumps(world, indent=4, ensure_ascii=False) + "\n"
        assert len(text.encode()) > 4096
        (ROOT / "models" / name / "world.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Writes the storyteller's training data: tokenizer, packed rows, held-out requests.

    python training/storyteller_data.py --out training/work/storyteller --corpora ../shared/reference/corpora [--documents 64000]

The corpora (TinyStories, fairy tales) are optional; without them the data is what the generator writes.
A row holds 513 tokens of whole documents. `segments` keeps documents from seeing each other. `weights` is 0 where
there is nothing to learn (what the user says, padding, the step from one document to the next) and above 1 for the few tokens by which a wish is heard.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import random
import re
import time
from array import array
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from llama_gguf import read_tokenizer
from stories.lexicon import CHILDREN, PEOPLE
from stories.requests import conversation, held_out_requests, marked_conversation
from stories.tell import Ask, tell

BOS, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
BOS_ID, START_ID, END_ID = 0, 1, 2
ROW = 513
VOCABULARY = 3072
CHUNK = 4000
MARKED, FOLLOWING = 6, 3

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def clean(text: str) -> str | None:
    """Plain quotes and dashes, single spaces; None for a text that still holds characters out of ASCII."""
    for broken in ("â€™", "â€˜", "’", "‘"):
        text = text.replace(broken, "'")
    for broken in ("â€œ", "â€\x9d", "â€", "“", "”"):
        text = text.replace(broken, '"')
    text = re.sub(r"\s*(—|–|--)\s*", ", ", text).replace("…", "...").replace("_", "")
    text = re.sub(r" +([.,!?;])", r"\1", re.sub(r"[ \t]+", " ", text))
    text = re.sub(r" ?\n ?", "\n", re.sub(r"\n{3,}", "\n\n", text)).strip()
    return text if text.isascii() and text[-1:] in '.!?"' else None


def corpus_documents(folder: Path) -> dict[str, list[str]]:
    """TinyStories (with a held-out tenth) and fairy tales in pieces of up to 1,500 characters."""
    out: dict[str, list[str]] = {"tiny": [], "tiny_held_out": [], "tales": []}
    for part in ("train", "valid"):
        path = folder / "tinystories" / f"{part}.txt"
        if path.exists():
            text = path.read_text(encoding="utf-8")
            stories: list[str] = []
            if part == "train":
                current: list[str] = []
                for line in text.split("\n"):
                    if line.strip() and current and current[-1] != "" and stories is not None:
                        # stories follow each other without a blank line; paragraphs of one are set apart by one
                        stories.append("\n\n".join(x for x in current if x))
                        current = []
                    current.append(line.strip())
                stories.append("\n\n".join(x for x in current if x))
            else:
                start = ("Once upon a time", "One day,", "Once there", "There once")
                current = []
                for paragraph in text.split("\n\n"):
                    if paragraph.startswith(start) and not paragraph.startswith("One day") and current:
                        stories.append("\n\n".join(current))
                        current = []
                    current.append(paragraph.strip())
                stories.append("\n\n".join(current))
            for i, story in enumerate(s for s in stories if 150 < len(s) < 1700):
                out["tiny_held_out" if i % 10 == 9 else "tiny"].append(story)
    path = folder / "fairytales" / "stories.txt"
    if path.exists():
        piece = ""
        for paragraph in path.read_text(encoding="utf-8").split("\n"):
            if piece and len(piece) + len(paragraph) > 1500:
                out["tales"].append(piece)
                piece = ""
            if len(paragraph) < 1500:
                piece = f"{piece}\n\n{paragraph}".strip() if paragraph.strip() else piece
    return {kind: [text for text in map(clean, texts) if text] for kind, texts in out.items()}


def train_tokenizer(texts: list[str]) -> Tokenizer:
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=[BOS, START, END], show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    t.train_from_iterator(texts, trainer)
    return t


class Encoder:
    """Documents to token ids with a weight each."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self.ids = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
        self.user, self.assistant = [START_ID, *self.ids("user\n")], [START_ID, *self.ids("assistant\n")]
        self.newline = self.ids("\n")

    def plain(self, text: str) -> tuple[list[int], list[int]]:
        ids = [BOS_ID, *self.ids(text), END_ID]
        return ids, [0] + [1] * (len(ids) - 1)

    def chat(self, turns: list[tuple[str, str]], marks: tuple[str, ...] = ()) -> tuple[list[int], list[int]]:
        """What is marked, and answers after the first, are few tokens of all: they weigh more."""
        ids, weights = [BOS_ID], [0]
        for i, (role, text) in enumerate(turns):
            spelled = self.tokenizer.encode(text, add_special_tokens=False)
            head, body = (self.user if role == "user" else self.assistant), [*spelled.ids, END_ID]
            weight = 0 if role == "user" else FOLLOWING if i > 1 and "\n" not in text else 1
            worth = [weight] * len(body)
            for mark in marks if role == "assistant" else ():
                begin = text.find(mark)
                if begin >= 0:
                    for at, (_, end) in enumerate(spelled.offsets):
                        if begin < end <= begin + len(mark):
                            worth[at] = MARKED
            ids += head + body + self.newline
            weights += [0] * len(head) + worth + [0] * len(self.newline)
        return ids, weights


def pack(documents: list[tuple[list[int], list[int]]], row: int = ROW) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whole documents into rows: the longest that fits out of a window, then the next."""
    tokens, segments, weights = [], [], []
    window, source = [], iter(documents)
    while True:
        while len(window) < 96:
            nxt = next(source, None)
            if nxt is None:
                break
            if len(nxt[0]) <= row:
                window.append(nxt)
        if not window:
            break
        ids, seg, wei = [], [], []
        while True:
            fitting = [i for i, d in enumerate(window) if len(d[0]) <= row - len(ids)]
            if not fitting:
                break
            pick = fitting[0] if not ids else max(fitting, key=lambda i: len(window[i][0]))
            d = window.pop(pick)
            seg += [(seg[-1] + 1) if seg else 1] * len(d[0])
            ids += d[0]
            wei += d[1]
        padding = row - len(ids)
        tokens.append(ids + [BOS_ID] * padding)
        segments.append(seg + [0] * padding)
        weights.append(wei + [0] * padding)
    return np.array(tokens, np.uint16), np.array(segments, np.uint8), np.array(weights, np.uint8)


def bare_beginning(rng: random.Random) -> Ask:
    """What goes on without a request often has to keep a name, and begins in more ways than an answer does. Many begin like TinyStories, with
    a child: there are too few of those to learn to tell them well, and without these nothing else would follow such a beginning."""
    roll = rng.random()
    if roll < 0.25:
        hero = rng.choice(CHILDREN)
        return Ask(named=0.8, opening="open_child", hero=hero, name="Lily" if hero.pronoun == "she" and rng.random() < 0.4 else None)
    return Ask(named=0.5, opening="open_bare" if roll < 0.6 else "", hero=rng.choice(PEOPLE) if rng.random() < 0.15 else None)


def write_documents(job: tuple[int, int, float, str]) -> list[tuple[bytes, array, bytes]]:
    """Documents from one seed: (digest of the story, token ids, weights) each."""
    seed, count, plain, tokenizer_file = job
    rng, encoder, out = random.Random(seed), Encoder(Tokenizer.from_file(tokenizer_file)), []
    for _ in range(count):
        if rng.random() < plain:
            story = tell(rng, bare_beginning(rng))
            told = f"{story.title}\n\n{story.text}" if rng.random() < 0.25 else story.text
            ids, weights = encoder.plain(told)
        else:
            turns, marks = marked_conversation(rng)
            told = turns[1][1]
            ids, weights = encoder.chat(turns, marks)
        out.append((hashlib.blake2b(told.encode(), digest_size=8).digest(), array("H", ids), bytes(weights)))
    return out


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=Path, default=Path("training/work/storyteller"))
    p.add_argument("--corpora", type=Path, default=Path("../shared/reference/corpora"))
    p.add_argument("--documents", type=int, default=64000, help="documents that the generator writes")
    p.add_argument("--tiny", type=int, default=3000, help="TinyStories among the documents")
    p.add_argument("--tales", type=int, default=800, help="pieces of fairy tales among the documents")
    p.add_argument("--plain", type=float, default=0.22, help="share of the generated stories that stand without a request")
    p.add_argument("--tokenizer", type=Path, help="use the tokenizer of this GGUF instead of training one")
    p.add_argument("--distinct", action="store_true", help="leave out a story that was written before, to the letter")
    p.add_argument("--seed", type=int, default=4)
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    begin = time.time()
    rng = random.Random(a.seed)
    corpora = corpus_documents(a.corpora)
    print({k: len(v) for k, v in corpora.items()}, flush=True)

    tokenizer_file = a.out / "tokenizer.json"
    if a.tokenizer:
        read_tokenizer(a.tokenizer).save(str(tokenizer_file))
    if not tokenizer_file.exists():
        sample_rng = random.Random(a.seed + 1)
        texts = [text for _ in range(6000) for _, text in conversation(sample_rng)]
        train_tokenizer(texts + corpora["tiny"] + corpora["tales"][:300]).save(str(tokenizer_file))
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    encoder = Encoder(tokenizer)

    documents = [encoder.plain(text) for text in corpora["tiny"][: a.tiny]]
    documents += [encoder.plain(text) for text in rng.sample(corpora["tales"], min(len(corpora["tales"]), a.tales))]
    from_corpora = sum(len(d[0]) for d in documents)
    distinct: set[bytes] = set()
    chunks = [(a.seed * 100_000 + i, min(CHUNK, a.documents - at), a.plain, str(tokenizer_file)) for i, at in enumerate(range(0, a.documents, CHUNK))]
    with multiprocessing.Pool() as pool:
        for i, written in enumerate(pool.imap(write_documents, chunks)):
            for digest, ids, weights in written:
                if not a.distinct or digest not in distinct:
                    documents.append((ids, weights))
                distinct.add(digest)
            print(f"{min((i + 1) * CHUNK, a.documents)} documents, {time.time() - begin:.0f} s", flush=True)
    rng.shuffle(documents)
    tokens, segments, weights = pack(documents)
    np.savez(a.out / "train.npz", tokens=tokens, segments=segments, weights=weights)

    held_rng = random.Random(a.seed + 1000)
    held = [encoder.chat(conversation(held_rng)) for _ in range(600)]
    for name, docs in (("held_stories", held), ("held_tiny", [encoder.plain(t) for t in corpora["tiny_held_out"]])):
        t, s, w = pack(docs)
        np.savez(a.out / f"{name}.npz", tokens=t, segments=s, weights=w)
    (a.out / "requests.json").write_text(json.dumps(held_out_requests(500, a.seed + 2000), indent=0) + "\n", encoding="utf-8")
    total = sum(len(d[0]) for d in documents)
    summary = {
        "documents": len(documents), "tokens": total, "tokens_from_corpora": from_corpora, "distinct_generated": len(distinct), "generated": a.documents,
        "rows": len(tokens), "filled": round(total / tokens.size, 4), "vocabulary": tokenizer.get_vocab_size(), "seconds": round(time.time() - begin),
    }
    (a.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(summary)


if __name__ == "__main__":
    main()

"""Makes tests/fixtures/rwkv_tokenizer: a small vocabulary as RWKV's "World" is, and the ids that the package `rwkv` says of hard texts.

    python training/make_rwkv_tokenizer_fixtures.py

rwkv_vocab_v20230424.txt   a line a token: its id, the token as Python writes text or bytes, its length
vocabulary.gguf            the same as llama.cpp's converter writes it, with its name for a chat template
answers.json               a thousand texts; the ids of the first two hundred, and of the others a sum of those of ten at a time (as of tests/fixtures/sentencepiece)
"""

from __future__ import annotations

import json
import random

import gguf
from rwkv.rwkv_tokenizer import TRIE_TOKENIZER

from make_sentencepiece_fixtures import HARD, WORDS, sum_of, texts
from smol_shapes import ROOT

OUT = ROOT / "tests" / "fixtures" / "rwkv_tokenizer"
TEXTS, SHOWN, SIZE, ROWS = 1000, 200, 900, 960


def vocabulary() -> list[bytes]:
    """Every byte, and pieces of words and texts, cut between bytes too."""
    draw = random.Random(5)
    parts = [text.encode() for text in [*WORDS, *HARD] if text]
    found = {b"\n\n", b"  ", b"    ", b" " * 16, b"\t\t", b"\r\n", b" '", b'"', b"'\"", b"\\n", b"\\x", "\u3000".encode(), "語".encode()[:2], "語".encode()[1:]}
    while len(found) < SIZE - 256:
        source = draw.choice(parts)
        if draw.random() < 0.3:
            source = b" " + source
        begin = draw.randrange(len(source))
        found.add(source[begin : begin + draw.randint(2, 12)])
    return [bytes([byte]) for byte in range(256)] + sorted((token for token in found if len(token) > 1), key=lambda token: (len(token), token))


def literal(token: bytes) -> str:
    try:
        return repr(token.decode())
    except UnicodeDecodeError:
        return repr(token)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    tokens = vocabulary()
    path = OUT / "rwkv_vocab_v20230424.txt"
    path.write_text("".join(f"{id} {literal(token)} {len(token)}\n" for id, token in enumerate(tokens, 1)), encoding="utf-8")
    package = TRIE_TOKENIZER(str(path))

    spelled = [b"<s>", *(repr(token)[2:-1].encode() for token in tokens)]
    padding = [f"[PAD{id}]".encode() for id in range(len(spelled), ROWS)]
    w = gguf.GGUFWriter(str(OUT / "vocabulary.gguf"), "rwkv7")
    w.add_vocab_size(ROWS)
    w.add_tokenizer_model("rwkv")
    w.add_token_list(spelled + padding)
    w.add_token_types([gguf.TokenType.CONTROL, *[gguf.TokenType.NORMAL] * len(tokens), *[gguf.TokenType.UNUSED] * len(padding)])
    w.add_chat_template("rwkv-world")
    w.add_eot_token_id(1 + tokens.index(b"\n\n"))
    w.add_bos_token_id(0)
    w.add_eos_token_id(0)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()

    all = texts(TEXTS - len(HARD))
    ids = [package.encode(text) for text in all]
    assert len(all) == TEXTS and all == [package.decode(text) for text in ids]
    rest = ids[SHOWN:]
    answers = {
        "remake": "python training/make_rwkv_tokenizer_fixtures.py",
        "texts": all,
        "ids": ids[:SHOWN],
        "sums": [sum_of(rest[at : at + 10]) for at in range(0, len(rest), 10)],
    }
    (OUT / "answers.json").write_text(json.dumps(answers, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{len(tokens)} tokens, {sum(map(len, ids)) / sum(len(text.encode()) for text in all):.2f} tokens a byte, files {[f.stat().st_size for f in OUT.iterdir()]}")


if __name__ == "__main__":
    main()

"""Makes tests/fixtures/sentencepiece: tiny vocabularies in the files that lay beside weights before tokenizer.json, and the ids that SentencePiece's own
library, and transformers for what it adds and for byte-level BPE, say of hard texts.

    python training/make_sentencepiece_fixtures.py

NAME/          tokenizer.model, spiece.model, sentencepiece.bpe.model, source.spm with vocab.json, vocab.json with merges.txt, or vocab.txt; with the settings beside it
answers.json   texts, and for each folder the ids of each ("plain" are those of WordPiece; of "few" folders every fourth); texts whose marks are read;
               "more" texts, and for each folder a sum of the ids of ten at a time (FNV-1a of 32-bit words, a text's ids behind their count)

What transformers says of plain texts (words with single spaces) is held to the same ids here; of others its conversions differ from the library.
"""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import unicodedata

import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, BertTokenizer, CamembertTokenizer, LlamaTokenizer, MarianTokenizer, PegasusTokenizer, T5Tokenizer, XLMRobertaTokenizer

from smol_shapes import ROOT

OUT = ROOT / "tests" / "fixtures" / "sentencepiece"
WORDS = """the quick brown fox jumps over lazy dog and sleeps on a hill where birds sing of rain snow night day one two three don't it's well-known 1984 3.14 naïve café
Straße über señor fiancé déjà vu façade œuvre Привет мир как дела 你好 世界 日本語 テスト 안녕 세계 مرحبا नमस्ते hello Hello HELLO world e-mail x86 UTF-8 (yes) [no] {maybe}""".split()
HARD = [
    "", " ", "   ", "\n", "a", " a", "a ", "  a  b   c  ", "hello world", "Hello, world!\n\nA new line.\tTab", "\r\n\r\n", "the\u00a0fox\u3000jumps",
    "▁", "▁the▁fox", " ▁ ", "the ▁fox", "<s>", "</s>", "a <s> b </s> c <unk> <pad>", "<0x0A>", "<0x41>x", "[CLS] a [SEP]", "<extra_id_0> x", "<mask>", "<sep>", "a<sep>b <keep  me> c",
    "\U0001f999", "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308", "👍🏽👍", "你好世界", "日本語テスト", "\ud55c\uae00", "\u1112\u1161\u11ab\u1100\u1173\u11af", "नमस्ते", "مرحبا", "e\u0301 a\u0308o\u0302\u0323", "cafe\u0301",
    "Z\u0351\u036b\u0343\u036a\u0302\u0321alg\u0321\u0358o", "ﬁn ﬂow ①②½ ＡＢＣ１２３", "Ⅳ ㎏ ㌔", "x\u200by\ufeffz\u00adw", "\ufffd\ufffd", "\u0000a\u0001", "\u2028line\u2029par", "don't won't it's", "3.14159 1,000,000", "aaaaaaaaaaaaaaaaaaaaaaaa",
    "the the the", "thethethe", "THE FOX", "Straße STRASSE", "𝒽𝑒𝓁𝓁𝑜", "ǅ ǆ İi", "\t\tdef f(x):\n\t\treturn x**2  # ok", "https://example.org/a?b=c&d=%20", "…—–''\"\"", "\u202eabc\u202c", "ｱｲｳ ｶﾞ", "a\u0300\u0301\u0302", "   leading", "trailing   ",
]
MORE = 800
FEW = ["llama-legacy", "camembert", "pegasus", "bert-accents"]
PLAIN = ["the quick brown fox", "hello world and snow", "one two three birds sing", "café déjà vu", "Привет мир", "a hill of rain"]


def texts(count: int = 140) -> list[str]:
    """And what chance makes of their parts, so many."""
    draw = random.Random(7)
    parts = [*WORDS, *[text for text in HARD if text], *"▁ \n\t~^é́̈🦙語", "<s>", "  ", "\u00a0"]
    return HARD + ["".join(draw.choice(parts) + draw.choice(["", "", " ", "  "]) for _ in range(draw.randint(1, 6))) for _ in range(count)]


def sum_of(ids: list[list[int]]) -> int:
    total = 0xCBF29CE484222325
    for text in ids:
        for word in [len(text), *text]:
            total = (total ^ word) * 0x100000001B3 % (1 << 64)
    return total % (1 << 32)


def corpus() -> list[str]:
    draw = random.Random(3)
    syllables = [a + b for a in "bdfgklmnprst" for b in ("a", "e", "i", "o", "an", "er", "ing")]
    words = WORDS + ["".join(draw.choices(syllables, k=draw.randint(1, 3))) for _ in range(150)]
    return [" ".join(draw.choices(words, weights=[6] * 30 + [1] * (len(words) - 30), k=draw.randint(3, 9))) for _ in range(900)]


def rules() -> str:
    """NFKC of some hundred characters and sequences, and spaces and marks of nothing as SentencePiece's own rules have them: as a map of its own, since that of
    nmt_nfkc has 240 KB."""
    sources = [chr(c) for r in [(0xA0, 0x180), (0x1E00, 0x1E20), (0x2150, 0x2189), (0x2460, 0x2474), (0x3380, 0x33A0), (0xFB00, 0xFB07), (0xFF01, 0xFF60), (0xFF66, 0xFF9F)] for c in range(*r)]
    composed = [unicodedata.normalize("NFD", chr(c)) for c in range(0xC0, 0x180)] + ["\u1112\u1161\u11ab", "\u1112\u1161", "\u1100\u1173\u11af", "\uff76\uff9e", "o\u0302\u0323", "a\u0308\u0301"]
    made = {source: unicodedata.normalize("NFKC", source) for source in [*sources, *composed]}
    made |= {"\t": " ", "\n": " ", "\r": " ", "\u3000": " ", "\u2028": " ", "\u200b": " ", "\ufeff": "", "\u00ad": "", "\u0001": ""}
    line = lambda text: " ".join(f"{ord(c):X}" for c in text)  # noqa: E731
    return "".join(f"{line(source)}\t{line(target)}\n" for source, target in sorted(made.items()) if source != target)


def train(path, kind: str, size: int, **more) -> sentencepiece.SentencePieceProcessor:
    path.parent.mkdir(parents=True, exist_ok=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=model, model_type=kind, vocab_size=size, num_threads=1, minloglevel=2, character_coverage=0.98, **more
    )
    path.write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def settings(folder, **files) -> None:
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")


# What each is called, the marks that its vocabulary has, and the settings beside it.
BYTE_PAIRS = {
    "gpt2": ([], {"config": {"model_type": "gpt2", "vocab_size": 421}}),
    "opt": (["<s>", "<pad>", "</s>", "<unk>"], {"tokenizer_config": {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}, "added_tokens": {"<mask>": 424}}),
    "roberta": (
        ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        {"config": {"model_type": "roberta"}, "special_tokens_map": {"mask_token": {"content": "<mask>", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False}}},
    ),
    "bart": (
        ["<s>", "<pad>", "</s>", "<unk>"],
        {"tokenizer_config": {"tokenizer_class": "BartTokenizerFast", "add_prefix_space": True, "added_tokens_decoder": {"424": {"content": "<mask>", "lstrip": True, "rstrip": False, "single_word": False, "normalized": False, "special": True}}}},
    ),
    "qwen2": (
        [],
        {
            "tokenizer_config": {
                "tokenizer_class": "Qwen2Tokenizer", "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
                "added_tokens_decoder": {
                    str(420 + i): {"content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": not text.startswith("<t")}
                    for i, text in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>"])
                },
            }
        },
    ),
}


def byte_pairs(name: str, answers: dict, marked: dict) -> None:
    """`merges.txt` with `vocab.json`; ids are those of transformers, which knows no library behind it."""
    marks, files = BYTE_PAIRS[name]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_first = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=420 + len(marks), initial_alphabet=bytes_first, special_tokens=marks, show_progress=False))
    if name == "gpt2":
        vocabulary = made.get_vocab()
        made = Tokenizer(models.BPE(vocab=vocabulary | {"<|endoftext|>": len(vocabulary)}, merges=[tuple(pair) for pair in json.loads(made.to_str())["model"]["merges"]]))
    folder = OUT / name
    folder.mkdir()
    made.model.save(str(folder))
    settings(folder, **files)
    library = AutoTokenizer.from_pretrained(folder)
    answers[name] = lambda text: library(text, split_special_tokens=True)["input_ids"]
    texts = {"roberta": ["the <mask> fox", "<s>a  <mask>b</s>"], "bart": ["the <mask> fox", "a<pad> b"], "qwen2": ["<|im_start|>the fox<|im_end|> a<think> b<|endoftext|>", "cafe\u0301<|im_end|>"]}
    texts = texts.get(name, ["the</s> fox", "the<|endoftext|> <mask> fox"])
    marked[name] = [[text, library(text)["input_ids"]] for text in texts]


def agrees(name: str, tokenizer, ids) -> None:
    for text in PLAIN:
        assert tokenizer(text)["input_ids"] == ids(text), (name, text, tokenizer(text)["input_ids"], ids(text))


def main() -> None:
    if OUT.exists():
        shutil.rmtree(OUT)
    OUT.mkdir(parents=True)
    tsv = OUT / "rules.tsv"
    tsv.write_text(rules(), encoding="utf-8")
    # A vocabulary says in itself where its rules lay.
    os.chdir(OUT)
    own = {"normalization_rule_tsv": tsv.name}
    identity = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    llama = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}
    t5 = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    answers, marked = {}, {}

    # T5 with five sentinels, of which the first is the last.
    of = train(OUT / "t5" / "spiece.model", "unigram", 220, **t5, **own)
    settings(OUT / "t5", tokenizer_config={"tokenizer_class": "T5Tokenizer", "extra_ids": 5}, config={"model_type": "t5", "vocab_size": 256})
    answers["t5"] = lambda text, of=of: of.encode(text) + [1]
    made = T5Tokenizer.from_pretrained(OUT / "t5")
    agrees("t5", made, answers["t5"])
    sentinel = lambda i, of=of: of.get_piece_size() + 4 - i  # noqa: E731
    marked["t5"] = [["the <extra_id_0> fox</s><extra_id_4>", [*of.encode("the "), sentinel(0), *of.encode(" fox"), 1, sentinel(4), 1]]]

    # Unigrams with bytes, nothing put before a text, and tokens that a user defined.
    of = train(OUT / "bytes" / "tokenizer.model", "unigram", 420, byte_fallback=True, add_dummy_prefix=False, user_defined_symbols=["<sep>", "<keep  me>", "fox"], **llama, **identity)
    settings(OUT / "bytes", tokenizer_config={"add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"})
    answers["bytes"] = lambda text, of=of: [1, *of.encode(text)]

    # Llama: merges with bytes; chat marks that were added, one of them shown.
    of = train(OUT / "llama" / "tokenizer.model", "bpe", 420, byte_fallback=True, **llama, **identity)
    size = of.get_piece_size()
    settings(
        OUT / "llama",
        tokenizer_config={"tokenizer_class": "LlamaTokenizer", "legacy": False, "add_bos_token": True, "chat_template": "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"},
        special_tokens_map={"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}, "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]},
        added_tokens={"<|im_start|>": size, "<|im_end|>": size + 1, "<think>": size + 2},
    )
    answers["llama"] = lambda text, of=of: [1, *of.encode(text)]
    agrees("llama", LlamaTokenizer.from_pretrained(OUT / "llama"), answers["llama"])
    bare = sentencepiece.SentencePieceProcessor(model_proto=(OUT / "llama" / "tokenizer.model").read_bytes())
    prefix = bare.encode("▁the")
    assert prefix == bare.encode("the") or prefix[1:] == bare.encode("the")
    # Behind a mark nothing is put before a text: what the library makes of it behind a character, without that.
    behind = lambda text: bare.encode("~" + text)[len(bare.encode("~")) :]  # noqa: E731
    marked["llama"] = [["<s>hello<|im_start|>the fox<|im_end|> a", [1, 1, *behind("hello"), size, *behind("the fox"), size + 1, *behind(" a")]]]
    # The older way, where every text gets its space.
    shutil.copytree(OUT / "llama", OUT / "llama-legacy")
    settings(OUT / "llama-legacy", tokenizer_config={"tokenizer_class": "LlamaTokenizer", "legacy": True, "add_bos_token": False, "add_eos_token": True})
    answers["llama-legacy"] = lambda text, of=of: [*of.encode(text), 2]
    marked["llama-legacy"] = [["hello<|im_start|>the fox<|im_end|> a", [*bare.encode("hello"), size, *bare.encode("the fox"), size + 1, *bare.encode(" a"), 2]]]

    # Merges without bytes, with a normalizer; a lone file.
    of = train(OUT / "merges" / "tokenizer.model", "bpe", 220, **llama, **own)
    answers["merges"] = lambda text, of=of: of.encode(text)

    of = train(OUT / "xlm-roberta" / "sentencepiece.bpe.model", "unigram", 220, **llama, normalization_rule_name="identity")
    settings(OUT / "xlm-roberta", config={"model_type": "xlm-roberta"})
    fairseq = lambda ids: [id + 1 if id else 3 for id in ids]  # noqa: E731
    answers["xlm-roberta"] = lambda text, of=of: [0, *fairseq(of.encode(text)), 2]
    agrees("xlm-roberta", XLMRobertaTokenizer.from_pretrained(OUT / "xlm-roberta"), answers["xlm-roberta"])
    marked["xlm-roberta"] = [["the <mask> fox", [0, *fairseq(of.encode("the ")), of.get_piece_size() + 1, *fairseq(of.encode(" fox")), 2]]]

    (OUT / "camembert").mkdir()
    shutil.copy(OUT / "xlm-roberta" / "sentencepiece.bpe.model", OUT / "camembert")
    settings(OUT / "camembert", tokenizer_config={"tokenizer_class": "CamembertTokenizerFast"})
    answers["camembert"] = lambda text, of=of: [5, *[id + 4 if id else 3 for id in of.encode(text)], 6]

    of = train(OUT / "pegasus" / "spiece.model", "unigram", 220, **t5, normalization_rule_name="identity")
    settings(OUT / "pegasus", tokenizer_config={"tokenizer_class": "PegasusTokenizer", "offset": 103})
    answers["pegasus"] = lambda text, of=of: [*[id + 103 for id in of.encode(text)], 1]

    # Pieces of two languages with ids of their own, of which some are in no vocabulary.
    of = train(OUT / "marian" / "source.spm", "unigram", 220, **t5, **own)
    other = train(OUT / "marian" / "target.spm", "unigram", 180, **t5, normalization_rule_name="identity")
    pieces = [model.id_to_piece(id) for model in (of, other) for id in range(3, model.get_piece_size())]
    pieces = list(dict.fromkeys(["</s>", "<unk>", *sorted(pieces)[::-1], ">>fr<<", ">>de<<", "<pad>"]))
    vocabulary = {piece: id for id, piece in enumerate(piece for piece in pieces if piece not in ("▁rain", "z"))}
    settings(OUT / "marian", vocab=vocabulary, tokenizer_config={"source_lang": "en", "target_lang": "mul"}, config={"model_type": "marian"})
    made = MarianTokenizer.from_pretrained(OUT / "marian")
    made.punc_normalizer = lambda text: text
    answers["marian"] = lambda text, of=of: [*[vocabulary.get(piece, 1) for piece in of.encode(text, out_type=str)], 0]
    agrees("marian", made, answers["marian"])
    marked["marian"] = [[text, made(text)["input_ids"]] for text in [">>fr<< the fox", ">>de<<the fox >>fr<< a", ">>xx<< rain", "a >>fr<<"]]

    # WordPiece, with and without its ways of making texts alike.
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({c for word in WORDS for c in unicodedata.normalize("NFD", word)} | {"語", "é"})]
    words += ["##" + word for word in words[5:]] + ["the", "fox", "quick", "hello", "##lo", "wor", "##ld", "cafe", "café", "naive", "İ", "i"]
    for name, more in {"bert": {}, "bert-cased": {"do_lower_case": False, "strip_accents": False, "tokenize_chinese_chars": False}, "bert-accents": {"strip_accents": False}}.items():
        folder = OUT / name
        folder.mkdir()
        (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(words)) + "\n", encoding="utf-8")
        settings(folder, tokenizer_config={"tokenizer_class": "BertTokenizer"} | more)
        # Marks in a text are read by this, so that texts which hold some are kept for another place.
        made = BertTokenizer.from_pretrained(folder)
        answers[name] = lambda text, made=made: made(text)["input_ids"]
        marked[name] = [["the [MASK] fox [SEP] a", made("the [MASK] fox [SEP] a")["input_ids"]]]

    for name in BYTE_PAIRS:
        byte_pairs(name, answers, marked)
    tsv.unlink()

    given = texts()
    brackets = [text for text in given if not any(mark in text for mark in words[:5])]
    out = {"remake": "python training/make_sentencepiece_fixtures.py", "texts": given, "plain": brackets, "few": FEW, "ids": {}, "marked": marked}
    for name, ids in answers.items():
        of = brackets if name.startswith("bert") else given
        # Of those that differ from others in their numbers alone, a quarter.
        out["ids"][name] = [ids(text) for text in (of[::4] if name in FEW else of)]
    more = texts(140 + MORE)[len(given) :]
    out |= {"more": more, "sums": {}}
    for name, ids in answers.items():
        of = [text for text in more if not name.startswith("bert") or not any(mark in text for mark in words[:5])]
        out["sums"][name] = [sum_of([ids(text) for text in of[at : at + 10]]) for at in range(0, len(of), 10)]
    (OUT / "answers.json").write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    for path in sorted(OUT.rglob("*")):
        if path.is_file():
            print(path.relative_to(OUT), path.stat().st_size)


if __name__ == "__main__":
    main()

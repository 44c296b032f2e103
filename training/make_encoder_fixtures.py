"""Makes tests/fixtures/encoders: small random encoders of text with each head, and what transformers says of them.

    python training/make_encoder_fixtures.py [NAME...]

NAME/HEAD/   model.safetensors (f16 numbers), config.json, tokenizer.json as save_pretrained leaves them; of the base model with modules.json and 1_Pooling
model2vec*/  tables of tokens as model2vec's save_pretrained leaves them: with a row for each, with weights, with rows that tokens share, of eight bits
NAME.gguf    the base model as llama.cpp's converter writes it, of those that it knows
NAME-classify.gguf   the same with a head for labels of texts; of BERT with the layer before it, too, which that converter leaves out
t5encoder.gguf       the encoder of make_text_fixtures.py's T5, and one whose layers each have a table of distances
answers.json     embeddings, filled masks and labels of a few texts
"""

from __future__ import annotations

import copy
import json
import shutil
import sys

import gguf
import numpy as np
import torch
import transformers
from model2vec import StaticModel
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import nn

from smol_shapes import ROOT

OUT = ROOT / "tests" / "fixtures" / "encoders"
CHARACTERS = " abcdefghijklmnopqrstuvwxyz,.!"
TEXTS = ["a fox", "the quick brown fox jumps over the lazy dog, and sleeps.", "one two three four five six seven eight nine ten eleven twelve thirteen."]
PAIRS = [["a fox", "the dog sleeps."], ["the quick brown fox jumps over the lazy dog.", "does it, or does it not."]]
MASKED = "the qui[MASK]k brown f[MASK]x"
SIZES = {"vocab_size": 40, "num_hidden_layers": 3, "pad_token_id": 0}
CONFIGS = {
    "bert": ("Bert", transformers.BertConfig(**SIZES, hidden_size=36, num_attention_heads=3, intermediate_size=50, max_position_embeddings=90, hidden_act="gelu")),
    "distilbert": ("DistilBert", transformers.DistilBertConfig(vocab_size=40, n_layers=3, pad_token_id=0, dim=32, n_heads=2, hidden_dim=44, max_position_embeddings=90)),
    "roberta": ("Roberta", transformers.RobertaConfig(**(SIZES | {"pad_token_id": 1}), hidden_size=24, num_attention_heads=2, intermediate_size=40, max_position_embeddings=92, type_vocab_size=1)),
    "nomic_bert": ("NomicBert", transformers.NomicBertConfig(**SIZES, hidden_size=36, num_attention_heads=3, intermediate_size=52, max_position_embeddings=90)),
    "modernbert": (
        "ModernBert",
        transformers.ModernBertConfig(**SIZES, hidden_size=40, num_attention_heads=2, intermediate_size=28, max_position_embeddings=100, local_attention=16, global_attn_every_n_layers=3, classifier_pooling="mean", cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3),
    ),
}
HEADS = {"embed": "Model", "fill": "ForMaskedLM", "classify": "ForSequenceClassification", "tokens": "ForTokenClassification"}
LABELS = ["calm", "wild", "odd", "plain"]


def tokenizer(name: str = "bert") -> Tokenizer:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    made.pre_tokenizer = pre_tokenizers.Split(pattern="", behavior="isolated")
    made.decoder = decoders.Fuse()
    pair = "[CLS] $A [SEP] [SEP] $B [SEP]" if name == "roberta" else "[CLS] $A [SEP] $B:1 [SEP]:1"
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair=pair, special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return made


def draw(model: nn.Module, seed: int) -> None:
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1:
                values = 0.2 * torch.randn(p.shape) + (1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0)
            elif "embed" in name:
                values = 0.7 * torch.randn(p.shape)
            else:
                values = 1.5 * torch.randn(p.shape) / p.shape[-1] ** 0.5
            p.copy_(values.half().float())


def numbers(x: torch.Tensor) -> list[float]:
    return [float(f"{v:.6g}") for v in x.detach().flatten().tolist()]


def write(folder, model, made: Tokenizer) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    # A copy: halving would round the rotary frequencies, which no file holds, too.
    copy.deepcopy(model).half().save_pretrained(folder)
    made.save(str(folder / "tokenizer.json"), pretty=False)


def family(name: str) -> dict:
    stem, config = CONFIGS[name]
    made = tokenizer(name)
    ids = lambda text: torch.tensor([made.encode(text).ids])  # noqa: E731
    answers = {}
    for at, (head, end) in enumerate(HEADS.items()):
        own = type(config)(**config.to_diff_dict())
        if head in ("classify", "tokens"):
            own.id2label = dict(enumerate(LABELS))
            own.label2id = {label: i for i, label in enumerate(LABELS)}
        if name == "nomic_bert" and head == "classify":
            own.problem_type = "multi_label_classification"
        model = getattr(transformers, stem + end)(own).float().eval()
        draw(model, 100 + at)
        folder = OUT / name / head
        write(folder, model, made)
        with torch.no_grad():
            if head == "embed":
                (folder / "1_Pooling").mkdir()
                cls = name == "roberta"
                pooling = {"word_embedding_dimension": own.hidden_size, "pooling_mode_cls_token": cls, "pooling_mode_mean_tokens": not cls}
                (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling) + "\n")
                kinds = ["Transformer", "Pooling", "Normalize"]
                modules = [{"idx": i, "name": str(i), "path": "", "type": f"sentence_transformers.models.{kind}"} for i, kind in enumerate(kinds)]
                (folder / "modules.json").write_text(json.dumps(modules) + "\n")
                rows = [model(ids(text)).last_hidden_state[0] for text in TEXTS]
                answers["embed"] = [numbers(nn.functional.normalize(x[0] if cls else x.mean(0), dim=-1)) for x in rows]
                answers["max"] = [numbers(x.max(0).values) for x in rows]
                answers["last"] = [numbers(x[-1]) for x in rows]
                if name in ("bert", "nomic_bert", "modernbert"):
                    write_gguf(name, model, own, made)
            elif head == "fill":
                these = ids(MASKED)
                logits = model(these).logits[0]
                masks = (these[0] == 4).nonzero().flatten().tolist()
                answers["fill"] = [
                    {"tokens": top.indices.tolist(), "logprobs": numbers(top.values)} for top in (logits[row].double().log_softmax(-1).topk(5) for row in masks)
                ]
            elif head == "classify":
                squash = torch.sigmoid if own.problem_type else lambda x: x.softmax(-1)
                answers["classify"] = [numbers(squash(model(ids(text)).logits[0])) for text in TEXTS]
                pairs = [made.encode(*pair) for pair in PAIRS]
                kinds = [{"token_type_ids": torch.tensor([pair.type_ids])} if getattr(own, "type_vocab_size", 0) > 1 else {} for pair in pairs]
                answers["pairs"] = [numbers(squash(model(torch.tensor([pair.ids]), **more).logits[0])) for pair, more in zip(pairs, kinds)]
            else:
                logits = model(ids(TEXTS[1])).logits[0].softmax(-1)[1:-1]
                answers["tokens"] = {"labels": [LABELS[i] for i in logits.argmax(-1).tolist()], "probabilities": numbers(logits.max(-1).values)}
    print(name, {key: str(value)[:60] for key, value in answers.items()})
    return answers


def model2vec() -> dict:
    """Tokens that are unknown count for nothing; numbers as its library has them."""
    folder = OUT / "model2vec"
    if folder.exists():
        shutil.rmtree(folder)
    made = tokenizer()
    table = np.random.default_rng(5).normal(size=(made.get_vocab_size(), 24)).astype(np.float16)
    StaticModel(table, made, normalize=True).save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    texts = [*TEXTS, "Ω a 7 fox"]
    embed = lambda normalize: [numbers(torch.from_numpy(row.astype(np.float32))) for row in StaticModel(table.astype(np.float32), made, normalize=normalize).encode(texts)]  # noqa: E731
    return {"texts": texts, "embed": embed(True), "raw": embed(False)}


def write_gguf(name: str, model, config, made: Tokenizer, head: dict | None = None) -> None:
    architecture = {"nomic_bert": "nomic-bert", "modernbert": "modern-bert"}.get(name, "bert")
    out = gguf.GGUFWriter(str(OUT / (f"{name}-classify.gguf" if head else f"{name}.gguf")), architecture)
    out.add_context_length(config.max_position_embeddings - 2 * (name == "roberta"))
    out.add_embedding_length(config.hidden_size)
    out.add_feed_forward_length(getattr(config, "intermediate_size", None) or config.hidden_dim)
    out.add_block_count(config.num_hidden_layers)
    out.add_head_count(config.num_attention_heads)
    out.add_layer_norm_eps(config.norm_eps if name == "modernbert" else getattr(config, "layer_norm_eps", 1e-12))
    out.add_causal_attention(False)
    out.add_pooling_type(gguf.PoolingType.RANK if head else gguf.PoolingType.MEAN)
    if head:
        out.add_classifier_output_labels(LABELS)
    if name == "nomic_bert":
        out.add_rope_freq_base(config.rope_parameters["rope_theta"])
    if name == "modernbert":
        out.add_rope_freq_base(config.rope_parameters["full_attention"]["rope_theta"])
        out.add_key_value(f"{architecture}.rope.freq_base_swa", config.rope_parameters["sliding_attention"]["rope_theta"], gguf.GGUFValueType.FLOAT32)
        out.add_sliding_window(config.local_attention)
    words = made.get_vocab()
    words = sorted(words, key=words.get)
    types = [3 if word.startswith("[") else 1 for word in words]
    if name == "roberta":
        # Byte-level pairs, of which no text has the one that is merged.
        words = ["<pad>", "<unk>", "<s>", "</s>", "<mask>", *(word.replace(" ", "\u0120") for word in words[5:]), "qz"]
        out.add_tokenizer_model("gpt2")
        out.add_tokenizer_pre("gpt-2")
        out.add_token_list(words)
        out.add_token_types([*types, 1])
        out.add_token_merges(["q z"])
        out.add_add_bos_token(True), out.add_add_eos_token(True), out.add_eos_token_id(3)
    else:
        out.add_tokenizer_model("bert")
        # Its pieces are spelled with what begins a word, and ids are what the tests give.
        out.add_token_list([word if word.startswith("[") else "\u2581" + word for word in words])
        out.add_token_types(types)
    out.add_bos_token_id(2), out.add_sep_token_id(3), out.add_mask_token_id(4), out.add_unk_token_id(1), out.add_pad_token_id(0)
    state = {key: value.float().numpy() for key, value in model.state_dict().items()}
    layer = lambda i, part: f"blk.{i}.{part}"  # noqa: E731
    tensors = {}
    if name == "distilbert":
        tables = {"token_embd.weight": "embeddings.word_embeddings.weight", "position_embd.weight": "embeddings.position_embeddings.weight", "token_embd_norm.weight": "embeddings.LayerNorm.weight", "token_embd_norm.bias": "embeddings.LayerNorm.bias"}
        parts = {"attn_q": "attention.q_lin", "attn_k": "attention.k_lin", "attn_v": "attention.v_lin", "attn_output": "attention.out_lin", "attn_output_norm": "sa_layer_norm", "ffn_up": "ffn.lin1", "ffn_down": "ffn.lin2", "layer_output_norm": "output_layer_norm"}
        tensors = {key: state[of] for key, of in tables.items()}
        for i in range(config.num_hidden_layers):
            tensors |= {layer(i, f"{part}.{end}"): state[f"transformer.layer.{i}.{of}.{end}"] for part, of in parts.items() for end in ("weight", "bias")}
    elif name in ("bert", "roberta"):
        tables = {"token_embd.weight": "embeddings.word_embeddings.weight", "token_types.weight": "embeddings.token_type_embeddings.weight", "position_embd.weight": "embeddings.position_embeddings.weight", "token_embd_norm.weight": "embeddings.LayerNorm.weight", "token_embd_norm.bias": "embeddings.LayerNorm.bias"}
        parts = {"attn_q": "attention.self.query", "attn_k": "attention.self.key", "attn_v": "attention.self.value", "attn_output": "attention.output.dense", "attn_output_norm": "attention.output.LayerNorm", "ffn_up": "intermediate.dense", "ffn_down": "output.dense", "layer_output_norm": "output.LayerNorm"}
        tensors = {key: state[of] for key, of in tables.items()}
        if name == "roberta":
            tensors["position_embd.weight"] = tensors["position_embd.weight"][2:]
        for i in range(config.num_hidden_layers):
            tensors |= {layer(i, f"{part}.{end}"): state[f"encoder.layer.{i}.{of}.{end}"] for part, of in parts.items() for end in ("weight", "bias")}
    elif name == "nomic_bert":
        tables = {"token_embd.weight": "embeddings.word_embeddings.weight", "token_types.weight": "embeddings.token_type_embeddings.weight", "token_embd_norm.weight": "embeddings.LayerNorm.weight", "token_embd_norm.bias": "embeddings.LayerNorm.bias"}
        tensors = {key: state[of] for key, of in tables.items()}
        for i in range(config.num_hidden_layers):
            of = lambda part: state[f"layers.{i}.{part}"]  # noqa: B023, E731
            tensors[layer(i, "attn_qkv.weight")] = np.concatenate([of(f"self_attn.{x}_proj.weight") for x in "qkv"])
            named = {"attn_output": "self_attn.o_proj", "ffn_up": "mlp.up_proj", "ffn_gate": "mlp.gate_proj", "ffn_down": "mlp.down_proj", "attn_output_norm": "post_attention_layernorm", "layer_output_norm": "post_mlp_layernorm"}
            for part, own in named.items():
                for end in ("weight", "bias"):
                    if f"layers.{i}.{own}.{end}" in state:
                        tensors[layer(i, f"{part}.{end}")] = of(f"{own}.{end}")
    else:
        tensors = {"token_embd.weight": state["embeddings.tok_embeddings.weight"], "token_embd_norm.weight": state["embeddings.norm.weight"], "output_norm.weight": state["final_norm.weight"]}
        named = {"attn_norm": "attn_norm", "attn_qkv": "attn.Wqkv", "attn_output": "attn.Wo", "ffn_norm": "mlp_norm", "ffn_up": "mlp.Wi", "ffn_down": "mlp.Wo"}
        for i in range(config.num_hidden_layers):
            for part, own in named.items():
                if f"layers.{i}.{own}.weight" in state:
                    tensors[layer(i, f"{part}.weight")] = state[f"layers.{i}.{own}.weight"]
    for key, values in (tensors | (head or {})).items():
        out.add_tensor(key, np.ascontiguousarray(values, dtype=np.float32 if values.ndim == 1 else np.float16))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


# What llama.cpp calls the layers of a head.
HEAD_PARTS = {
    "bert": {"cls": "bert.pooler.dense", "cls.output": "classifier"},
    "roberta": {"cls": "classifier.dense", "cls.output": "classifier.out_proj"},
    "distilbert": {"cls": "pre_classifier", "cls.output": "classifier"},
    "modernbert": {"cls": "head.dense", "cls.norm": "head.norm", "cls.output": "classifier"},
}


def heads() -> None:
    """The models of families() with a head for texts, whose answers are the same."""
    for name, parts in HEAD_PARTS.items():
        model = getattr(transformers, CONFIGS[name][0] + HEADS["classify"]).from_pretrained(OUT / name / "classify").float()
        state = {key: value.float().numpy() for key, value in model.state_dict().items()}
        head = {f"{own}.{end}": state[f"{of}.{end}"] for own, of in parts.items() for end in ("weight", "bias") if f"{of}.{end}" in state}
        base = getattr(model, {"modernbert": "model"}.get(name, name))
        write_gguf(name, base, model.config, tokenizer(name), head)


def t5_encoders() -> dict:
    answers = {}
    for name, of, kind in (("t5encoder", "t5", transformers.T5EncoderModel), ("umt5encoder", "umt5", transformers.UMT5EncoderModel)):
        folder = OUT.parent / "texts" / of
        model = kind.from_pretrained(folder).float().eval()
        config = model.config
        for part in model.modules():
            # What a GGUF means.
            if hasattr(part, "relative_attention_max_distance"):
                part.relative_attention_max_distance = 128
        config.relative_attention_max_distance = 128
        made = Tokenizer.from_file(str(folder / "tokenizer.json"))
        ids = [made.encode(text).ids for text in TEXTS]
        with torch.no_grad():
            rows = [model(torch.tensor([each])).last_hidden_state[0] for each in ids]
        answers[name] = {"ids": ids, "embed": [numbers(nn.functional.normalize(x.mean(0), dim=-1)) for x in rows], "last": [numbers(x[-1]) for x in rows]}
        out = gguf.GGUFWriter(str(OUT / f"{name}.gguf"), "t5encoder")
        out.add_context_length(128)
        out.add_embedding_length(config.d_model)
        out.add_feed_forward_length(config.d_ff)
        out.add_block_count(config.num_layers)
        out.add_head_count(config.num_heads)
        out.add_key_length(config.d_kv)
        out.add_value_length(config.d_kv)
        out.add_layer_norm_rms_eps(config.layer_norm_epsilon)
        out.add_relative_attn_buckets_count(config.relative_attention_num_buckets)
        words = made.get_vocab()
        words = sorted(words, key=words.get)
        out.add_tokenizer_model("t5")
        out.add_tokenizer_pre("default")
        out.add_token_list([word.replace(" ", "\u2581") for word in words])
        out.add_token_scores([0.0 if id < 4 else -1.0 for id in range(len(words))])
        out.add_token_types([3, 3, 3, 2] + [1] * (len(words) - 4))
        out.add_add_space_prefix(False)
        out.add_remove_extra_whitespaces(False)
        out.add_bos_token_id(0), out.add_pad_token_id(1), out.add_eos_token_id(2), out.add_unk_token_id(3)
        out.add_add_bos_token(False), out.add_add_eos_token(True)
        names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5ENCODER, config.num_layers)
        for key, values in model.state_dict().items():
            if key.endswith("embed_tokens.weight"):
                continue
            own = names.get_name(key, try_suffixes=(".weight",))
            out.add_tensor(own, np.ascontiguousarray(values.numpy(), dtype=np.float32 if values.ndim == 1 or "rel_b" in own else np.float16))
        out.write_header_to_file()
        out.write_kv_data_to_file()
        out.write_tensors_to_file()
        out.close()
    return answers


def shrunk() -> dict:
    """What model2vec makes of tables with weights, with rows that tokens share, and of eight bits."""
    draw = np.random.default_rng(6)
    made = tokenizer()
    count, texts, answers = made.get_vocab_size(), [*TEXTS, "Ω a 7 fox"], {}
    table = draw.normal(size=(count, 24)).astype(np.float32)
    weights = draw.uniform(0.2, 2.0, size=count)
    kinds = {
        "weighted": {"vectors": table, "weights": weights},
        "shared": {"vectors": table[:11].astype(np.float16), "weights": weights.astype(np.float32), "token_mapping": draw.integers(0, 11, size=count)},
        "bytes": {"vectors": np.rint(table / np.abs(table).max() * 127).astype(np.int8)},
    }
    for name, parts in kinds.items():
        folder = OUT / f"model2vec-{name}"
        if folder.exists():
            shutil.rmtree(folder)
        model = StaticModel(**parts, tokenizer=made, normalize=True)
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        loaded = StaticModel.from_pretrained(folder)
        embed = lambda normalize: [numbers(torch.from_numpy(row.astype(np.float32))) for row in StaticModel(loaded.embedding, loaded.tokenizer, weights=loaded.weights, token_mapping=loaded.token_mapping, normalize=normalize).encode(texts)]  # noqa: B023, E731
        answers[name] = {"texts": texts, "embed": embed(True), "raw": embed(False)}
    return answers


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    made = tokenizer()
    answers = {"remake": "python training/make_encoder_fixtures.py", "texts": TEXTS, "ids": [made.encode(text).ids for text in TEXTS], "pairs": PAIRS, "masked": MASKED, "masked_ids": made.encode(MASKED).ids, "labels": LABELS}
    if sys.argv[1:]:
        answers |= json.loads((OUT / "answers.json").read_text(encoding="utf-8"))
    for name in sys.argv[1:] or [*CONFIGS, "model2vec", "shrunk", "heads", "t5"]:
        if name in CONFIGS:
            answers[name] = family(name)
        elif name == "model2vec":
            answers[name] = model2vec()
        elif name == "shrunk":
            answers[name] = shrunk()
        elif name == "t5":
            answers |= t5_encoders()
        else:
            heads()
    (OUT / "answers.json").write_text(json.dumps(answers) + "\n", encoding="utf-8")


main()

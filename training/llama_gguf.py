"""Writes Llama-family weights as GGUF and as a Hugging Face folder.

Weights come in as a dict of f32 numpy arrays under their `transformers` names. The rotary embedding
there pairs lane i with lane i + head_dim / 2; GGUF's `llama` pairs 2i with 2i + 1, so the rows of Q
and K are permuted on the way (`interleave_rope_rows`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import gguf
import numpy as np

from quants import QT, fallback, quantize


@dataclass(frozen=True)
class LlamaShape:
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    vocab_size: int
    max_position_embeddings: int
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5
    tie_word_embeddings: bool = True

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes in the order in which seeds are drawn and hashes are taken."""
        d, kv, f = self.hidden_size, self.num_key_value_heads * self.head_dim, self.intermediate_size
        out: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocab_size, d)}
        for i in range(self.num_hidden_layers):
            p = f"model.layers.{i}."
            out[p + "input_layernorm.weight"] = (d,)
            out[p + "self_attn.q_proj.weight"] = (d, d)
            out[p + "self_attn.k_proj.weight"] = (kv, d)
            out[p + "self_attn.v_proj.weight"] = (kv, d)
            out[p + "self_attn.o_proj.weight"] = (d, d)
            out[p + "post_attention_layernorm.weight"] = (d,)
            out[p + "mlp.gate_proj.weight"] = (f, d)
            out[p + "mlp.up_proj.weight"] = (f, d)
            out[p + "mlp.down_proj.weight"] = (d, f)
        out["model.norm.weight"] = (d,)
        if not self.tie_word_embeddings:
            out["lm_head.weight"] = (self.vocab_size, d)
        return out


GGUF_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    whole = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}
    if name in whole:
        return whole[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{GGUF_NAMES[rest.removesuffix('.weight')]}.weight"


def interleave_rope_rows(w: np.ndarray, heads: int) -> np.ndarray:
    """Half-split lanes -> interleaved lanes, per head. [heads * head_dim, n] -> the same shape."""
    half = w.shape[0] // heads // 2
    return np.ascontiguousarray(w.reshape(heads, 2, half, w.shape[1]).swapaxes(1, 2).reshape(w.shape))


def split_rope_rows(w: np.ndarray, heads: int) -> np.ndarray:
    """The inverse of `interleave_rope_rows`."""
    half = w.shape[0] // heads // 2
    return np.ascontiguousarray(w.reshape(heads, half, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape))


def _more_bits(layer: int, layers: int) -> bool:
    """The layers to which llama.cpp's medium mixes give six bits."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def tensor_type(name: str, shape: tuple[int, ...], scheme: str, layers: int) -> QT:
    """The type of one tensor in a file of `scheme` (f32, f16, q8_0, q4_0, q4_k_m), as llama.cpp chooses."""
    if len(shape) == 1:
        return QT.F32
    if scheme in ("f32", "f16", "q8_0"):
        return {"f32": QT.F32, "f16": QT.F16, "q8_0": QT.Q8_0}[scheme]
    if name in ("model.embed_tokens.weight", "lm_head.weight"):
        return fallback(QT.Q6_K, shape[1])
    if scheme == "q4_0":
        return QT.Q4_0
    layer = int(name.split(".")[2])
    six = ("v_proj" in name or "down_proj" in name) and _more_bits(layer, layers)
    return fallback(QT.Q6_K if six else QT.Q4_K, shape[1])


FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    "q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
    "q4_k_m": gguf.LlamaFileType.MOSTLY_Q4_K_M,
}


@dataclass(frozen=True)
class Vocabulary:
    """A byte-level BPE tokenizer as GGUF wants it; `json_text` is the `tokenizer.json` it comes from."""

    json_text: str
    bos: int
    eos: int
    unk: int
    chat_template: str | None = None
    pre: str = "smollm"
    add_bos: bool = False

    def tokens(self) -> tuple[list[str], list[gguf.TokenType], list[str]]:
        j = json.loads(self.json_text)
        table = j["model"]["vocab"]
        special = {t["content"] for t in j["added_tokens"] if t["special"]}
        names = [""] * len(table)
        for text, index in table.items():
            names[index] = text
        types = [gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in names]
        merges = [m if isinstance(m, str) else " ".join(m) for m in j["model"]["merges"]]
        return names, types, merges


def write_gguf(path: Path, name: str, shape: LlamaShape, weights: dict[str, np.ndarray], vocabulary: Vocabulary, scheme: str, about: dict[str, str] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    w = gguf.GGUFWriter(str(path), "llama")
    w.add_name(name)
    for key, value in (about or {}).items():
        w.add_string(key, value)
    w.add_context_length(shape.max_position_embeddings)
    w.add_embedding_length(shape.hidden_size)
    w.add_block_count(shape.num_hidden_layers)
    w.add_feed_forward_length(shape.intermediate_size)
    w.add_head_count(shape.num_attention_heads)
    w.add_head_count_kv(shape.num_key_value_heads)
    w.add_layer_norm_rms_eps(shape.rms_norm_eps)
    w.add_rope_freq_base(shape.rope_theta)
    w.add_rope_dimension_count(shape.head_dim)
    w.add_vocab_size(shape.vocab_size)
    w.add_file_type(FILE_TYPES[scheme])
    names, types, merges = vocabulary.tokens()
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(vocabulary.pre)
    w.add_token_list(names)
    w.add_token_types(types)
    w.add_token_merges(merges)
    w.add_bos_token_id(vocabulary.bos)
    w.add_eos_token_id(vocabulary.eos)
    w.add_unk_token_id(vocabulary.unk)
    w.add_add_bos_token(vocabulary.add_bos)
    w.add_add_space_prefix(False)
    if vocabulary.chat_template:
        w.add_chat_template(vocabulary.chat_template)
    for tensor, dims in shape.tensor_shapes().items():
        x = weights[tensor].astype(np.float32)
        if x.shape != dims:
            raise ValueError(f"{tensor}: shape {x.shape}, {dims} expected")
        if "q_proj" in tensor:
            x = interleave_rope_rows(x, shape.num_attention_heads)
        elif "k_proj" in tensor:
            x = interleave_rope_rows(x, shape.num_key_value_heads)
        kind = tensor_type(tensor, dims, scheme, shape.num_hidden_layers)
        if kind in (QT.F32, QT.F16):
            w.add_tensor(gguf_name(tensor), x.astype(np.float16 if kind == QT.F16 else np.float32))
        else:
            w.add_tensor(gguf_name(tensor), quantize(x, kind), raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def read_weights(path: Path, shape: LlamaShape) -> dict[str, np.ndarray]:
    """Dequantised f32 weights of a GGUF file under their `transformers` names, rope rows split again."""
    by_name = {t.name: t for t in gguf.GGUFReader(str(path)).tensors}
    out = {}
    for tensor, dims in shape.tensor_shapes().items():
        t = by_name[gguf_name(tensor)]
        x = gguf.dequantize(t.data, t.tensor_type).reshape(dims).astype(np.float32)
        if "q_proj" in tensor:
            x = split_rope_rows(x, shape.num_attention_heads)
        elif "k_proj" in tensor:
            x = split_rope_rows(x, shape.num_key_value_heads)
        out[tensor] = x
    return out


def hf_config(shape: LlamaShape, vocabulary: Vocabulary, dtype: str) -> dict:
    c = asdict(shape)
    c.update(
        architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", attention_bias=False, mlp_bias=False, head_dim=shape.head_dim,
        bos_token_id=vocabulary.bos, eos_token_id=vocabulary.eos, pad_token_id=None, torch_dtype=dtype, use_cache=True, rope_scaling=None,
        initializer_range=0.02, attention_dropout=0.0, pretraining_tp=1,
    )
    return c


def write_hf_folder(folder: Path, shape: LlamaShape, weights: dict[str, np.ndarray], vocabulary: Vocabulary, dtype: type = np.float16) -> None:
    """config.json, model.safetensors, tokenizer.json and their small companions, as `transformers` saves them."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: np.ascontiguousarray(v.astype(dtype)) for k, v in weights.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    label = {np.float16: "float16", np.float32: "float32"}[dtype]
    names = vocabulary.tokens()[0]
    special = {"bos_token": names[vocabulary.bos], "eos_token": names[vocabulary.eos], "unk_token": names[vocabulary.unk]}
    files = {
        "config.json": hf_config(shape, vocabulary, label),
        "generation_config.json": {"bos_token_id": vocabulary.bos, "eos_token_id": vocabulary.eos},
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": shape.max_position_embeddings, "clean_up_tokenization_spaces": False, **special}
        | ({"chat_template": vocabulary.chat_template} if vocabulary.chat_template else {}),
        "special_tokens_map.json": special,
    }
    for file, value in files.items():
        (folder / file).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").write_text(vocabulary.json_text, encoding="utf-8")


def weights_sha256(shape: LlamaShape, weights: dict[str, np.ndarray]) -> str:
    """SHA-256 over the little-endian f32 bytes of all tensors, in `tensor_shapes` order, half-split rope."""
    h = hashlib.sha256()
    for tensor in shape.tensor_shapes():
        h.update(np.ascontiguousarray(weights[tensor], dtype="<f4").tobytes())
    return h.hexdigest()


def torch_model(shape: LlamaShape, weights: dict[str, np.ndarray]):
    """A `transformers` LlamaForCausalLM in f32 with these weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    c = asdict(shape)
    theta = c.pop("rope_theta")
    config = LlamaConfig(**c, rope_parameters={"rope_type": "default", "rope_theta": theta}, bos_token_id=0, eos_token_id=0, pad_token_id=None, attn_implementation="eager")
    with torch.no_grad():
        model = LlamaForCausalLM(config).float().eval()
        missing = model.load_state_dict({k: torch.from_numpy(v.astype(np.float32)) for k, v in weights.items()}, strict=False)
    if missing.unexpected_keys or [k for k in missing.missing_keys if k != "lm_head.weight"]:
        raise ValueError(f"weights do not fit the model: {missing}")
    model.tie_weights()
    return model


def greedy(model, prompt: list[int], steps: int) -> dict:
    """Greedy continuation without a stop: tokens, the smallest lead of the first choice over the second, last logits."""
    import torch

    ids, cache, tokens, lead = torch.tensor([prompt]), None, [], float("inf")
    with torch.no_grad():
        for _ in range(steps):
            out = model(input_ids=ids, past_key_values=cache, use_cache=True)
            cache, logits = out.past_key_values, out.logits[0, -1]
            top = logits.topk(2).values
            lead = min(lead, float(top[0] - top[1]))
            tokens.append(int(logits.argmax()))
            ids = torch.tensor([[tokens[-1]]])
    return {"tokens": tokens, "smallest_lead": lead, "logits": logits.tolist()}


def read_shape(path: Path) -> LlamaShape:
    """The shape that a GGUF file of the `llama` architecture declares."""
    reader = gguf.GGUFReader(str(path))

    def value(key: str):
        return reader.fields[key].contents()

    return LlamaShape(
        value("llama.embedding_length"), value("llama.feed_forward_length"), value("llama.block_count"), value("llama.attention.head_count"), value("llama.attention.head_count_kv"),
        value("llama.vocab_size"), value("llama.context_length"), value("llama.rope.freq_base"), value("llama.attention.layer_norm_rms_epsilon"),
        tie_word_embeddings=all(t.name != "output.weight" for t in reader.tensors),
    )


def read_tokenizer(path: Path):
    """The byte-level BPE inside a GGUF file, as a `tokenizers` Tokenizer that knows its control tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    fields = gguf.GGUFReader(str(path)).fields
    names = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    t = Tokenizer(models.BPE({n: i for i, n in enumerate(names)}, merges))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(n, special=True, normalized=False) for n, kind in zip(names, types) if kind == gguf.TokenType.CONTROL])
    return t

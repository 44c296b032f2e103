"""Makes tests/fixtures/tiny_FAMILY*: small random models of each family, and what PyTorch says of them.

    python training/make_family_fixtures.py [FAMILY …]

tiny_FAMILY.gguf        f32, with llama.cpp's names for keys and tensors
tiny_FAMILY/            config.json as published models have it, model.safetensors (f16, the same weights exactly), tokenizer.json …
tiny_FAMILY.json        prompt ids, 64 greedy tokens, logits after the prompt and after the last token

Those of SMALL have no tokenizer, matrices in f16 in both files, and stand below tests/fixtures/families/.
"""

from __future__ import annotations

import copy
import functools
import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, Gemma2ForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig, GPT2Config, GPT2LMHeadModel, Qwen3Config, Qwen3ForCausalLM

from llama_gguf import Vocabulary, greedy, interleave_rope_rows
from smol_shapes import ROOT, SEED, SHAPES, licence_text, make_prompts, make_vocabulary, write_json

OUT = ROOT / "tests" / "fixtures"
PROMPT_TOKENS = 24
CHATML = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
TURNS = "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' + message.content | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"


def draw(model: torch.nn.Module, spread: float, seed: int, embedding: float = 0.1) -> None:
    """Fills every parameter from a seed: norms about their neutral value, all else about zero; rounded to f16. Gemma enlarges its embedding, which is drawn by a spread of its own."""
    rng = np.random.Generator(np.random.PCG64(seed))
    gemma = isinstance(model, (Gemma2ForCausalLM, Gemma3ForCausalLM))
    for name, parameter in model.named_parameters():
        x = rng.standard_normal(tuple(parameter.shape), dtype=np.float32)
        neutral = 1.0 if parameter.ndim == 1 and name.endswith("weight") and not gemma else 0.0
        x = neutral + (0.2 if parameter.ndim == 1 else embedding if gemma and "embed" in name else spread) * x
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(x.astype(np.float16).astype(np.float32)))


def own_weights(model: torch.nn.Module) -> dict[str, np.ndarray]:
    """Its weights by name, without the head that is the embedding."""
    return {name: p.detach().numpy() for name, p in model.named_parameters()}


def quiet_embedding(model: torch.nn.Module, tokens: list[str], special: set[str]) -> None:
    """Makes the rows of marks and of bytes outside ASCII small, so that greedy decoding writes text."""
    with torch.no_grad():
        table = model.get_input_embeddings().weight
        for index, text in enumerate(tokens):
            if text in special or not all(c in "\u0120\u010a\u2581" or 33 <= ord(c) <= 126 for c in text) or text.startswith("<0x"):
                table[index] = (table[index] * 0.01).half().float()


def write_gguf(family: str, arch: gguf.MODEL_ARCH, keys: dict, weights: dict[str, np.ndarray], layers: int, tokenizer: dict, turn, matrices=np.float32) -> None:
    """`turn(name, tensor)` gives a tensor as llama.cpp's converter stores it; `tokenizer` the keys below `tokenizer.`."""
    path = OUT / "families" / family / "model.gguf" if family in SMALL else OUT / f"tiny_{family}.gguf"
    w = gguf.GGUFWriter(str(path), gguf.MODEL_ARCH_NAMES[arch])
    w.add_name(f"tiny_{family}")
    w.add_file_type(gguf.LlamaFileType.ALL_F32 if matrices == np.float32 else gguf.LlamaFileType.MOSTLY_F16)
    for group, prefix in ((keys, f"{gguf.MODEL_ARCH_NAMES[arch]}."), (tokenizer, "tokenizer.")):
        for key, value in group.items():
            if isinstance(value, list):
                w.add_array(prefix + key, value)
            elif isinstance(value, bool):
                w.add_bool(prefix + key, value)
            elif isinstance(value, str):
                w.add_string(prefix + key, value)
            elif isinstance(value, float):
                w.add_float32(prefix + key, value)
            else:
                w.add_uint32(prefix + key, value)
    names = gguf.get_tensor_name_map(arch, layers)
    for name, x in weights.items():
        new = name if name.startswith("rope_factors") else names.get_name(name, try_suffixes=(".weight", ".bias"))
        if new is None:
            raise ValueError(f"llama.cpp has no name for {name}")
        w.add_tensor(new, np.ascontiguousarray(turn(name, x), dtype=matrices if x.ndim > 1 and not any(part in new for part in ("_norm", "ssm_a", "ssm_conv1d")) else np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def write_folder(family: str, config: dict, weights: dict[str, np.ndarray], tokenizer_json: str, settings: dict) -> None:
    folder = OUT / f"tiny_{family}"
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(x.astype(np.float16)) for name, x in weights.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    for file, value in (("config.json", config), ("tokenizer_config.json", settings)):
        (folder / file).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")


def write_answers(family: str, model: torch.nn.Module, prompt: str, ids: list[int]) -> None:
    first, run = greedy(model, ids, 1), greedy(model, ids, 64)
    write_json(
        OUT / f"tiny_{family}.json",
        {
            "about": "Greedy continuation by PyTorch transformers in f32. Remake: python training/make_family_fixtures.py",
            "prompt": prompt, "prompt_ids": ids, "greedy": run["tokens"], "smallest_lead": run["smallest_lead"],
            "logits_after_prompt": [round(v, 6) for v in first["logits"]], "logits_last": [round(v, 6) for v in run["logits"]],
        },
    )
    files = [OUT / f"tiny_{family}.gguf", *(OUT / f"tiny_{family}").iterdir()]
    print(f"{family}: {len(set(run['tokens']))} different tokens of 64, smallest lead {run['smallest_lead']:.4f}, files {[f.stat().st_size for f in files]}")


def byte_level(pre: str, vocabulary: Vocabulary, template: str | None) -> dict:
    """The keys of a byte-level vocabulary in a GGUF."""
    names, types, merges = vocabulary.tokens()
    keys = {
        "ggml.model": "gpt2", "ggml.pre": pre, "ggml.tokens": names, "ggml.token_type": [int(t) for t in types], "ggml.merges": merges,
        "ggml.bos_token_id": vocabulary.bos, "ggml.eos_token_id": vocabulary.eos, "ggml.add_bos_token": False,
    }
    return keys | ({"chat_template": template} if template else {})


def with_pre_tokenizer(vocabulary: Vocabulary, pre) -> Vocabulary:
    t = Tokenizer.from_str(vocabulary.json_text)
    t.pre_tokenizer = pre
    return Vocabulary(t.to_str(), vocabulary.bos, vocabulary.eos, vocabulary.unk)


def qwen3() -> None:
    torch.manual_seed(SEED)
    # How Qwen2 and Qwen3 cut text.
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    split = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    vocabulary = with_pre_tokenizer(make_vocabulary(SHAPES["tiny"]), split)
    config = Qwen3Config(
        vocab_size=320, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=256,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}, rms_norm_eps=1e-6, tie_word_embeddings=True, attention_bias=False, attn_implementation="eager", bos_token_id=0, eos_token_id=2,
    )
    model = Qwen3ForCausalLM(config).float().eval()
    draw(model, 0.3, SEED + 3)
    names, _, _ = vocabulary.tokens()
    quiet_embedding(model, names, {"<|endoftext|>", "<|im_start|>", "<|im_end|>"})
    weights = own_weights(model)
    keys = {
        "context_length": 256, "embedding_length": 48, "block_count": 2, "feed_forward_length": 64, "attention.head_count": 4, "attention.head_count_kv": 2, "attention.key_length": 16,
        "attention.value_length": 16, "rope.freq_base": 1000000.0, "attention.layer_norm_rms_epsilon": 1e-6,
    }
    tokenizer = byte_level("qwen2", Vocabulary(vocabulary.json_text, bos=0, eos=2, unk=0), CHATML)
    write_gguf("qwen3", gguf.MODEL_ARCH.QWEN3, keys, weights, 2, tokenizer, lambda _, x: x)
    published = {
        "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 0, "eos_token_id": 2, "head_dim": 16, "hidden_act": "silu", "hidden_size": 48,
        "initializer_range": 0.02, "intermediate_size": 64, "max_position_embeddings": 256, "max_window_layers": 2, "model_type": "qwen3", "num_attention_heads": 4, "num_hidden_layers": 2,
        "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000, "sliding_window": None, "tie_word_embeddings": True, "torch_dtype": "float16",
        "use_cache": True, "use_sliding_window": False, "vocab_size": 320,
    }
    settings = {"bos_token": None, "eos_token": "<|im_end|>", "add_bos_token": False, "chat_template": CHATML}
    write_folder("qwen3", published, weights, vocabulary.json_text, settings)
    prompt = make_prompts(vocabulary, (PROMPT_TOKENS,))[str(PROMPT_TOKENS)]
    write_answers("qwen3", model, prompt["text"], prompt["ids"])


def gpt2() -> None:
    torch.manual_seed(SEED)
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    vocabulary = with_pre_tokenizer(make_vocabulary(SHAPES["tiny"]), plain)
    config = GPT2Config(vocab_size=320, n_positions=128, n_embd=48, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0, attn_implementation="eager")
    model = GPT2LMHeadModel(config).float().eval()
    draw(model, 0.4, SEED + 3)
    names, _, _ = vocabulary.tokens()
    quiet_embedding(model, names, {"<|endoftext|>", "<|im_start|>", "<|im_end|>"})
    weights = own_weights(model)
    keys = {
        "context_length": 128, "embedding_length": 48, "feed_forward_length": 192, "block_count": 2, "attention.head_count": 4, "attention.layer_norm_epsilon": 1e-5,
    }
    conv1d = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
    tokenizer = byte_level("gpt-2", Vocabulary(vocabulary.json_text, bos=0, eos=0, unk=0), None)
    write_gguf("gpt2", gguf.MODEL_ARCH.GPT2, keys, weights, 2, tokenizer, lambda name, x: x.T if name.endswith(conv1d) else x)
    published = {
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1, "bos_token_id": 0, "embd_pdrop": 0.1, "eos_token_id": 0, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 128, "n_embd": 48, "n_head": 4, "n_layer": 2, "n_positions": 128, "resid_pdrop": 0.1, "vocab_size": 320,
    }
    # The published files of GPT-2 itself name their weights without the prefix, and hold the causal mask.
    files = {name.removeprefix("transformer."): x for name, x in weights.items()}
    files |= {f"h.{i}.attn.bias": np.tril(np.ones((1, 1, 8, 8), dtype=np.float32)) for i in range(2)}
    write_folder("gpt2", published, files, vocabulary.json_text, {"model_max_length": 128})
    prompt = make_prompts(vocabulary, (PROMPT_TOKENS,))[str(PROMPT_TOKENS)]
    write_answers("gpt2", model, prompt["text"], prompt["ids"])


def gemma_vocabulary(size: int) -> tuple[str, dict]:
    """A vocabulary in Gemma's manner: pieces with U+2581 for spaces, bytes for what has no piece. -> tokenizer.json, GGUF keys"""
    marks = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    own = ["\n\n", "<table>", "\u2581\u2581"]
    learned = Tokenizer(models.BPE())
    learned.normalizer = normalizers.Replace(" ", "\u2581")
    learned.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    trainer = trainers.BpeTrainer(vocab_size=size - len(marks) - 256, min_frequency=2, show_progress=False, limit_alphabet=60)
    learned.train_from_iterator([licence_text()] * 4, trainer)
    table = json.loads(learned.to_str())["model"]["vocab"]
    letters, words = [t for t in table if len(t) == 1], [t for t in table if len(t) > 1 and t not in own]
    words = words[: size - len(marks) - len(own) - 256 - len(letters)]
    tokens = marks + own + [f"<0x{b:02X}>" for b in range(256)] + words + letters
    ids = {t: i for i, t in enumerate(tokens)}
    merges = [[t[:at], t[at:]] for t in words for at in range(1, len(t)) if t[:at] in ids and t[at:] in ids]
    t = Tokenizer(models.BPE(vocab=ids, merges=[tuple(m) for m in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Replace(" ", "\u2581")
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    t.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", ids["<bos>"])])
    t.add_special_tokens([AddedToken(mark, normalized=False, special=True) for mark in marks])
    t.add_tokens([AddedToken(mark, normalized=False, special=False) for mark in own])
    kinds, scores = [], []
    for i, token in enumerate(tokens):
        kind = gguf.TokenType.UNKNOWN if token == "<unk>" else gguf.TokenType.CONTROL if token in marks else gguf.TokenType.USER_DEFINED if token in own else gguf.TokenType.BYTE if token.startswith("<0x") else gguf.TokenType.NORMAL
        kinds.append(int(kind))
        scores.append(-float(i) if kind == gguf.TokenType.NORMAL else 0.0)
    keys = {
        # The converter spells spaces of user-defined tokens as they are.
        "ggml.model": "llama", "ggml.pre": "default", "ggml.tokens": [t.replace("\u2581", " ") if t in own else t for t in tokens], "ggml.scores": scores, "ggml.token_type": kinds,
        "ggml.bos_token_id": 2, "ggml.eos_token_id": 1, "ggml.unknown_token_id": 3, "ggml.padding_token_id": 0, "ggml.add_bos_token": True, "ggml.add_eos_token": False, "ggml.add_space_prefix": False,
        "chat_template": TURNS,
    }
    return t.to_str(), keys


def gemma3() -> None:
    torch.manual_seed(SEED)
    json_text, tokenizer = gemma_vocabulary(384)
    layers, window = 7, 12
    kinds = ["full_attention" if (i + 1) % 6 == 0 else "sliding_attention" for i in range(layers)]
    rope = {"full_attention": {"rope_type": "default", "rope_theta": 1000000.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}
    config = Gemma3TextConfig(
        vocab_size=384, hidden_size=32, intermediate_size=40, num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=256, rms_norm_eps=1e-6,
        query_pre_attn_scalar=16, sliding_window=window, layer_types=kinds, rope_parameters=rope, tie_word_embeddings=True, hidden_activation="gelu_pytorch_tanh", attn_implementation="eager",
        bos_token_id=2, eos_token_id=1, pad_token_id=0, final_logit_softcapping=None, attn_logit_softcapping=None,
    )
    model = Gemma3ForCausalLM(config).float().eval()
    draw(model, 0.5, SEED + 5)
    t = Tokenizer.from_str(json_text)
    names = [t.id_to_token(i) for i in range(384)]
    quiet_embedding(model, names, {"<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "\n\n", "<table>"})
    weights = own_weights(model)
    keys = {
        "context_length": 256, "embedding_length": 32, "block_count": layers, "feed_forward_length": 40, "attention.head_count": 4, "attention.head_count_kv": 2, "attention.key_length": 16,
        "attention.value_length": 16, "attention.layer_norm_rms_epsilon": 1e-6, "attention.sliding_window": window, "rope.freq_base": 1000000.0,
    }
    write_gguf("gemma3", gguf.MODEL_ARCH.GEMMA3, keys, weights, layers, tokenizer, lambda name, x: x + 1.0 if "norm" in name else x)
    published = {
        "_sliding_window_pattern": 6, "architectures": ["Gemma3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "attn_logit_softcapping": None, "bos_token_id": 2, "eos_token_id": 1,
        "final_logit_softcapping": None, "head_dim": 16, "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 32, "initializer_range": 0.02, "intermediate_size": 40, "layer_types": kinds,
        "max_position_embeddings": 256, "model_type": "gemma3_text", "num_attention_heads": 4, "num_hidden_layers": layers, "num_key_value_heads": 2, "pad_token_id": 0, "query_pre_attn_scalar": 16,
        "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000.0, "rope_scaling": None, "rope_theta": 1000000.0, "sliding_window": window, "torch_dtype": "float16", "use_bidirectional_attention": False,
        "use_cache": True, "vocab_size": 384,
    }
    settings = {"bos_token": "<bos>", "eos_token": "<eos>", "add_bos_token": True, "chat_template": TURNS}
    write_folder("gemma3", published, weights, json_text, settings)
    text = licence_text()
    text = " ".join(text[text.index("Subject to the terms") :].split()[:9])
    write_answers("gemma3", model, text, t.encode(text).ids)


# What most of SMALL have in common, so that kernels are compiled once for all: heads of 12 numbers, in windows of 12.
HIDDEN, HEADS, VOCABULARY, CONTEXT, WINDOW = 36, 3, 80, 128, 12
SHAPE = {"vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": HEADS, "max_position_embeddings": CONTEXT}
GROUPED = SHAPE | {"num_key_value_heads": 1}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
LONG = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0, 1.1, 1.3], "long_factor": [1.0, 2.5, 6.0], "original_max_position_embeddings": 32, "partial_rotary_factor": 0.5}

# What makes a Qwen look back no further than a window in its second layer.
WINDOWS = {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1}

STATE_SPACE = {"vocab_size": VOCABULARY, "hidden_size": HIDDEN, "num_hidden_layers": 2, "state_size": 5, "expand": 2, "conv_kernel": 4, "time_step_rank": 4}

# By family: settings beside bos, eos and the like; GGUF keys beside those of sizes; what the converter permutes like a Llama's; the draw's spread.
SMALL = {
    "qwen2": (GROUPED | {"rope_parameters": ROPE | {"rope_theta": 1000000.0}, "tie_word_embeddings": True, "use_sliding_window": False}, {}, False, 0.35),
    "mistral": (GROUPED | {"rope_parameters": ROPE, "sliding_window": WINDOW, "tie_word_embeddings": False}, {"attention.sliding_window": WINDOW}, True, 0.35),
    "granite": (GROUPED | {"rope_parameters": ROPE, "embedding_multiplier": 3.0, "attention_multiplier": 0.4, "residual_multiplier": 0.7, "logits_scaling": 2.0, "tie_word_embeddings": True},
        {"embedding_scale": 3.0, "attention.scale": 0.4, "residual_scale": 0.7, "logit_scale": 2.0}, True, 0.35),
    "smollm3": (GROUPED | {"num_hidden_layers": 4, "rope_parameters": ROPE, "tie_word_embeddings": True, "no_rope_layers": [1, 1, 1, 0]}, {}, True, 0.3),
    "phi3": (GROUPED | {"rope_parameters": LONG, "original_max_position_embeddings": 32, "sliding_window": 50, "tie_word_embeddings": False},
        {"attention.sliding_window": 50, "rope.scaling.original_context_length": 32, "rope.scaling.attn_factor": 1.18321595661992, "rope.dimension_count": 6}, False, 0.35),
    "olmo2": (GROUPED | {"rope_parameters": ROPE, "tie_word_embeddings": False}, {}, False, 0.35),
    "gemma2": (GROUPED | {"num_hidden_layers": 3, "head_dim": 12, "rope_parameters": ROPE, "sliding_window": WINDOW, "query_pre_attn_scalar": 12, "attn_logit_softcapping": 8.0, "final_logit_softcapping": 15.0, "tie_word_embeddings": True},
        {"attention.sliding_window": WINDOW, "attn_logit_softcapping": 8.0, "final_logit_softcapping": 15.0}, False, 0.4),
    "stablelm": (GROUPED | {"rope_parameters": ROPE | {"partial_rotary_factor": 0.5}, "use_qkv_bias": True, "use_parallel_residual": True, "tie_word_embeddings": False},
        {"use_parallel_residual": True, "rope.dimension_count": 6}, False, 0.35),
    "gpt_neox": (SHAPE | {"rope_parameters": ROPE | {"partial_rotary_factor": 0.5}, "use_parallel_residual": True, "tie_word_embeddings": False}, {"use_parallel_residual": True, "rope.dimension_count": 6}, False, 0.3),
    "lfm2": (GROUPED | {"num_hidden_layers": 3, "rope_parameters": ROPE | {"rope_theta": 1000000.0}, "norm_eps": 1e-5, "tie_word_embeddings": True, "conv_L_cache": 3, "layer_types": ["conv", "full_attention", "conv"],
        "intermediate_size": 60, "block_multiple_of": 8, "block_auto_adjust_ff_dim": True}, {"shortconv.l_cache": 3, "attention.head_count_kv": [0, 1, 0], "feed_forward_length": 40}, False, 0.5),
    "opt": ({k: v for k, v in SHAPE.items() if k != "intermediate_size"} | {"ffn_dim": 40, "word_embed_proj_dim": HIDDEN, "tie_word_embeddings": True}, None, False, 0.7),
    "mamba": (STATE_SPACE | {"tie_word_embeddings": True}, {}, False, 0.5),
    "falcon_mamba": (STATE_SPACE | {"tie_word_embeddings": False}, {"ssm.dt_b_c_rms": True}, False, 0.5),
    # As StableLM 2 12B and OPT 350M differ from their kin.
    "stablelm_apart": (GROUPED | {"rope_parameters": ROPE | {"partial_rotary_factor": 0.5}, "qk_layernorm": True, "use_parallel_residual": True, "tie_word_embeddings": False}, {"rope.dimension_count": 6}, False, 0.35),
    "opt_behind": ({k: v for k, v in SHAPE.items() if k != "intermediate_size"} | {"ffn_dim": 40, "word_embed_proj_dim": 20, "do_layer_norm_before": False, "tie_word_embeddings": True}, None, False, 0.7),
}
NAMES_IN_GGUF = {"mistral": "llama", "gpt_neox": "gptneox", "stablelm_apart": "stablelm", "falcon_mamba": "mamba"}
# Of what a family's files are that transformers knows by another name.
MODEL_TYPES = {"stablelm_apart": "stablelm", "opt_behind": "opt"}

# Kinds of rotary scaling, as a config.json has them and as a GGUF does where it knows the kind. The text is longer than what each counts as its original context.
SCALINGS = {
    "linear": ({"rope_type": "linear", "factor": 4.0}, {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
    "dynamic": ({"rope_type": "dynamic", "factor": 2.0}, None),
    "llama3": ({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 40}, None),
    "yarn": ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "beta_fast": 4.0}, {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 32, "rope.scaling.yarn_beta_fast": 4.0}),
    "yarn of two mscales, not truncated": ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "beta_fast": 4.0, "beta_slow": 0.5, "mscale": 1.5, "mscale_all_dim": 0.5, "truncate": False}, None),
    "yarn with an attention factor": ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "attention_factor": 1.3}, None),
    "longrope": ({"rope_type": "longrope", "short_factor": [1.0, 1.0, 1.1, 1.2, 1.3, 1.4], "long_factor": [1.0, 1.5, 2.0, 3.0, 5.0, 8.0], "original_max_position_embeddings": 32, "factor": 4.0}, None),
}


def small_config(family: str, changes: dict):
    settings = SMALL[family][0] | {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2, "attn_implementation": "eager"} | changes
    return AutoConfig.for_model(MODEL_TYPES.get(family, family), **copy.deepcopy(settings))


def small_model(config, weights: dict | None = None) -> torch.nn.Module:
    model = AutoModelForCausalLM.from_config(config).float().eval()
    if weights:
        missing, unknown = model.load_state_dict({name: torch.from_numpy(x) for name, x in weights.items()}, strict=False)
        assert not unknown, unknown
        model.tie_weights()
    return model


def small_gguf(family: str, config, keys: dict, permuted: bool, weights: dict[str, np.ndarray]) -> None:
    """As llama.cpp's converters write it, but for a tokenizer."""
    name = NAMES_IN_GGUF.get(family, family)
    arch = next(a for a, n in gguf.MODEL_ARCH_NAMES.items() if n == name)
    layers = config.num_hidden_layers
    if family.endswith("mamba"):
        keys = {
            "context_length": 1 << 20, "embedding_length": HIDDEN, "feed_forward_length": 0, "attention.head_count": 0, "block_count": layers, "ssm.conv_kernel": config.conv_kernel,
            "ssm.inner_size": config.intermediate_size, "ssm.state_size": config.state_size, "ssm.time_step_rank": config.time_step_rank, "attention.layer_norm_rms_epsilon": config.layer_norm_epsilon,
        } | keys
        turns = {"A_log": lambda x: -np.exp(x), "conv1d.weight": lambda x: x[:, 0]}
        write_gguf(family, arch, keys, weights, layers, {}, lambda name, x: turns.get(name.split("mixer.")[-1], lambda x: x)(x), np.float16)
        return
    norm = "layer_norm_epsilon" if hasattr(config, "layer_norm_eps") else "layer_norm_rms_epsilon"
    keys = {
        "context_length": CONTEXT, "embedding_length": HIDDEN, "block_count": layers, "feed_forward_length": config.intermediate_size, "attention.head_count": HEADS,
        "attention.head_count_kv": getattr(config, "num_key_value_heads", HEADS), f"attention.{norm}": float(getattr(config, "layer_norm_eps", None) or getattr(config, "rms_norm_eps", None) or config.norm_eps),
        "rope.freq_base": float(config.rope_parameters["rope_theta"]),
    } | keys

    def turn(name: str, x: np.ndarray) -> np.ndarray:
        if family == "gemma2" and "norm" in name:
            return x + 1.0
        if permuted and name.endswith(("q_proj.weight", "k_proj.weight")):
            return interleave_rope_rows(x, HEADS if "q_proj" in name else config.num_key_value_heads)
        if name.endswith("conv.conv.weight"):
            return x[:, 0]
        if "query_key_value" in name:
            return x.reshape(HEADS, 3, HIDDEN // HEADS, -1).swapaxes(0, 1).reshape(x.shape)
        return x

    for norm in ("q_layernorm", "k_layernorm") if family == "stablelm_apart" else ():
        for prefix in (f"model.layers.{i}.self_attn.{norm}" for i in range(layers)):
            heads = [weights.pop(f"{prefix}.norms.{head}.weight") for head in range(HEADS if norm == "q_layernorm" else config.num_key_value_heads)]
            weights[f"{prefix}.weight"] = np.stack(heads)
    write_gguf(family, arch, keys, weights, layers, {}, turn, np.float16)


def greedy_afresh(model, prompt: list[int], steps: int) -> dict:
    """As `greedy`, each token from the whole text."""
    text, lead = list(prompt), float("inf")
    for _ in range(steps):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([text]), use_cache=False).logits[0, -1]
        top = logits.topk(2).values
        lead = min(lead, float(top[0] - top[1]))
        text.append(int(logits.argmax()))
    return {"tokens": text[len(prompt) :], "smallest_lead": lead, "logits": logits.tolist()}


def grown(model, prompt: list[int], steps: int) -> dict:
    """What `generate` goes on with past the length at which LongRoPE's divisors change, where it computes the whole text anew."""
    run = greedy_afresh(model, prompt, steps)
    assert run["smallest_lead"] >= 0.01, run["smallest_lead"]
    generated = model.generate(torch.tensor([prompt]), max_new_tokens=steps, do_sample=False, eos_token_id=None)
    assert generated[0].tolist() == prompt + run["tokens"]
    return {"prompt_ids": prompt, "greedy": run["tokens"], "smallest_lead": run["smallest_lead"]}


def small(family: str) -> None:
    settings, keys, permuted, spread = SMALL[family]
    (OUT / "families" / family).mkdir(parents=True, exist_ok=True)
    config = small_config(family, {})
    greedily = greedy_afresh if family.endswith("mamba") else greedy
    rng = np.random.Generator(np.random.PCG64(SEED))
    prompt = [int(id) for id in rng.integers(3, VOCABULARY, 40 if family == "phi3" else PROMPT_TOKENS)]
    for seed in range(SEED, SEED + 4000):
        model = small_model(config)
        draw(model, spread, seed, 0.08)
        first = greedily(model, prompt, 16)
        if first["smallest_lead"] < 0.01 or len(set(first["tokens"])) < 5:
            continue
        run = greedily(model, prompt, 64)
        if run["smallest_lead"] >= 0.01 and len(set(run["tokens"])) >= 12:
            break
    else:
        raise RuntimeError(f"{family}: no seed leads to 64 tokens of 12 kinds, each by 0.01")
    weights = own_weights(model)
    folder = OUT / "families" / family
    # Files keep the name that the head of a GPT-NeoX had in older versions.
    files = {name.replace("lm_head", "embed_out") if family == "gpt_neox" else name: np.ascontiguousarray(x.astype(np.float16)) for name, x in weights.items()}
    save_file(files, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(config.to_json_string(use_diff=True), encoding="utf-8")
    if keys is not None:
        tables = {f"rope_factors_{kind}.weight": np.array(config.rope_parameters[f"{kind}_factor"], dtype=np.float32) for kind in ("long", "short")} if family == "phi3" else {}
        small_gguf(family, config, keys, permuted, weights | tables)

    def answers(model, prompt: list[int], steps: int) -> dict:
        first, run = greedily(model, prompt, 1), greedily(model, prompt, steps)
        assert run["smallest_lead"] >= 0.01, run["smallest_lead"]
        rounded = {"logits_after_prompt": first["logits"], "logits_last": run["logits"]}
        return {"prompt_ids": prompt, "greedy": run["tokens"], "smallest_lead": run["smallest_lead"]} | {k: [round(v, 5) for v in x] for k, x in rounded.items()}

    about = {"about": "Greedy continuation by PyTorch transformers in f32. Remake: python training/make_family_fixtures.py"}
    write_json(folder / "answers.json", about | answers(model, prompt, 64))
    if family == "phi3":
        write_json(folder / "short.json", about | answers(model, prompt[:8], 16))
        write_json(folder / "grown.json", about | grown(model, prompt[:20], 40))
    if family == "qwen2":
        windowed = small_model(small_config(family, WINDOWS), weights)
        write_json(folder / "windowed.json", about | answers(windowed, prompt, 24))
    if family == "mistral":
        for i, (name, (rope, _)) in enumerate(SCALINGS.items()):
            scaled = small_model(small_config(family, {"rope_parameters": ROPE | rope, "sliding_window": None}), weights)
            begin = next(b for b in range(100) if greedy(scaled, [b + 3 - 3 * (b > 70), *prompt, *prompt[:12]], 24)["smallest_lead"] >= 0.01)
            text = [begin + 3 - 3 * (begin > 70), *prompt, *prompt[:12]]
            write_json(folder / f"scaling_{i}.json", {"name": name, "rope_parameters": ROPE | rope, "gguf": SCALINGS[name][1]} | answers(scaled, text, 24))
    sizes = {f.name: f.stat().st_size for f in folder.iterdir()}
    print(f"{family}: seed {seed}, {len(set(run['tokens']))} different tokens of 64, smallest lead {run['smallest_lead']:.4f}, files {sizes}")


if __name__ == "__main__":
    families = {"qwen3": qwen3, "gpt2": gpt2, "gemma3": gemma3} | {family: functools.partial(small, family) for family in SMALL}
    for family in sys.argv[1:] or families:
        families[family]()

//! Where each family's files keep the weights: as `transformers` saves them, with or without the base model's name before, and as GGUF has them.

use super::{EncoderConfig, Family};
use crate::models::{Form, Origin, Tensors};

/// What a table of tokens alone is called: by WordLlama, model2vec and sentence-transformers.
pub(super) const TABLES: [&str; 4] = ["embedding.weight", "embeddings", "embeddings.weight", "embedding"];

/// A weight's place in the file; where no name fits, the first that would.
pub(super) fn origin(config: &EncoderConfig, tensors: &dyn Tensors, weight: &str) -> Origin {
    let (stem, end) = weight.rsplit_once('.').unwrap_or((weight, ""));
    let candidates = candidates(config, stem, end);
    let found = candidates.iter().find_map(|(name, form)| {
        let full = [name.clone(), format!("{}{name}", config.family.prefix())];
        let full = full.into_iter().find(|name| tensors.tensor(name).is_some())?;
        Some(Origin { name: full, form: *form })
    });
    let (name, form) = candidates.into_iter().next().unwrap_or((weight.into(), Form::Whole));
    found.unwrap_or(Origin { name, form })
}

/// Names that a weight may have, and what the tensor there is to it.
fn candidates(config: &EncoderConfig, stem: &str, end: &str) -> Vec<(String, Form)> {
    let whole = |names: &[&str]| names.iter().map(|name| (format!("{name}.{end}"), Form::Whole)).collect::<Vec<_>>();
    if let Some((layer, part)) = stem.strip_prefix("layer.").and_then(|rest| rest.split_once('.')) {
        return layer_candidates(config, layer, part, end);
    }
    let family = config.family;
    // Names of the first published files, which come from TensorFlow.
    let old = if end == "weight" { "gamma" } else { "beta" };
    match stem {
        "word" => match family {
            Family::ModernBert => whole(&["embeddings.tok_embeddings", "token_embd"]),
            Family::Static => TABLES.map(|name| (name.into(), Form::Whole)).to_vec(),
            _ => whole(&["embeddings.word_embeddings", "token_embd"]),
        },
        "kind" => whole(&["embeddings.token_type_embeddings", "token_types"]),
        "position" => match family {
            // Two rows for pads stand before the first.
            Family::Roberta => vec![("embeddings.position_embeddings.weight".into(), Form::From { first: 2 })],
            _ => whole(&["embeddings.position_embeddings", "position_embd"]),
        },
        "embedding_norm" => {
            let mut names = whole(&["embeddings.LayerNorm", "embeddings.norm", "emb_ln", "token_embd_norm"]);
            names.push((format!("embeddings.LayerNorm.{old}"), Form::Whole));
            names
        }
        "final_norm" => whole(&["final_norm", "output_norm", "enc.output_norm"]),
        "pooler.dense" => whole(&["pooler.dense"]),
        "mlm.dense" => match family {
            Family::Roberta => whole(&["lm_head.dense"]),
            Family::DistilBert => whole(&["vocab_transform"]),
            Family::ModernBert if config.classifies_anything => vec![],
            Family::ModernBert => whole(&["head.dense"]),
            _ => whole(&["cls.predictions.transform.dense"]),
        },
        "mlm.norm" => match family {
            Family::Roberta => whole(&["lm_head.layer_norm"]),
            Family::DistilBert => whole(&["vocab_layer_norm"]),
            Family::ModernBert => whole(&["head.norm"]),
            _ => {
                let mut names = whole(&["cls.predictions.transform.LayerNorm", "cls.predictions.transform.layer_norm"]);
                names.push((format!("cls.predictions.transform.LayerNorm.{old}"), Form::Whole));
                names
            }
        },
        "mlm.decoder" => match family {
            Family::Roberta => whole(&["lm_head.decoder"]),
            Family::DistilBert => whole(&["vocab_projector"]),
            Family::ModernBert => whole(&["decoder"]),
            _ => whole(&["cls.predictions.decoder"]),
        },
        "mlm" => match family {
            Family::Roberta => whole(&["lm_head", "lm_head.decoder"]),
            Family::DistilBert => whole(&["vocab_projector"]),
            Family::ModernBert => whole(&["decoder"]),
            _ => whole(&["cls.predictions", "cls.predictions.decoder"]),
        },
        "classifier.dense" => match family {
            Family::DistilBert => whole(&["pre_classifier"]),
            Family::ModernBert => whole(&["head.dense", "cls"]),
            _ => whole(&["classifier.dense", "cls"]),
        },
        "classifier.norm" => whole(&["head.norm", "cls.norm"]),
        "classifier.out" => whole(&["classifier", "classifier.out_proj", "cls.output"]),
        _ => vec![],
    }
}

fn layer_candidates(config: &EncoderConfig, layer: &str, part: &str, end: &str) -> Vec<(String, Form)> {
    let old = if end == "weight" { "gamma" } else { "beta" };
    let bert = |name: &str| (format!("encoder.layer.{layer}.{name}.{end}"), Form::Whole);
    let distil = |name: &str| (format!("transformer.layer.{layer}.{name}.{end}"), Form::Whole);
    // Nomic's own files say `encoder.layers`, those that transformers writes may not.
    let nomic = |name: &str, form| {
        ["encoder.layers", "layers"].map(|stem| (format!("{stem}.{layer}.{name}.{end}"), form)).to_vec()
    };
    let modern = |name: &str, form| vec![(format!("layers.{layer}.{name}.{end}"), form)];
    let gguf = |name: &str, form| (format!("blk.{layer}.{name}.{end}"), form);
    let third = |which| Form::Part { which };
    if config.family == Family::T5 {
        let name = match part {
            "q" => "attn_q",
            "k" => "attn_k",
            "v" => "attn_v",
            "o" => "attn_o",
            "distances" => "attn_rel_b",
            "attention_norm" => "attn_norm",
            "gate" => "ffn_gate",
            "up" => "ffn_up",
            "down" => "ffn_down",
            _ => "ffn_norm",
        };
        return vec![(format!("enc.blk.{layer}.{name}.{end}"), Form::Whole)];
    }
    let mut names = match (config.family, part) {
        (Family::Bert | Family::Roberta, _) => match part {
            "q" => vec![bert("attention.self.query")],
            "k" => vec![bert("attention.self.key")],
            "v" => vec![bert("attention.self.value")],
            "o" => vec![bert("attention.output.dense")],
            "attention_norm" => vec![
                bert("attention.output.LayerNorm"),
                (format!("encoder.layer.{layer}.attention.output.LayerNorm.{old}"), Form::Whole),
            ],
            "up" => vec![bert("intermediate.dense")],
            "down" => vec![bert("output.dense")],
            "feed_forward_norm" => {
                vec![bert("output.LayerNorm"), (format!("encoder.layer.{layer}.output.LayerNorm.{old}"), Form::Whole)]
            }
            _ => vec![],
        },
        (Family::DistilBert, _) => match part {
            "q" => vec![distil("attention.q_lin")],
            "k" => vec![distil("attention.k_lin")],
            "v" => vec![distil("attention.v_lin")],
            "o" => vec![distil("attention.out_lin")],
            "attention_norm" => vec![distil("sa_layer_norm")],
            "up" => vec![distil("ffn.lin1")],
            "down" => vec![distil("ffn.lin2")],
            "feed_forward_norm" => vec![distil("output_layer_norm")],
            _ => vec![],
        },
        (Family::NomicBert, _) => {
            let both = |own: &str, form, other: &str| [nomic(own, form), nomic(other, Form::Whole)].concat();
            match part {
                "q" => both("attn.Wqkv", third(0), "self_attn.q_proj"),
                "k" => both("attn.Wqkv", third(1), "self_attn.k_proj"),
                "v" => both("attn.Wqkv", third(2), "self_attn.v_proj"),
                "o" => both("attn.out_proj", Form::Whole, "self_attn.o_proj"),
                "attention_norm" => both("norm1", Form::Whole, "post_attention_layernorm"),
                "up" => both("mlp.fc11", Form::Whole, "mlp.up_proj"),
                "gate" => both("mlp.fc12", Form::Whole, "mlp.gate_proj"),
                "down" => both("mlp.fc2", Form::Whole, "mlp.down_proj"),
                "feed_forward_norm" => both("norm2", Form::Whole, "post_mlp_layernorm"),
                _ => vec![],
            }
        }
        (Family::T5 | Family::Static, _) => vec![],
        (Family::ModernBert, _) => match part {
            "q" => modern("attn.Wqkv", third(0)),
            "k" => modern("attn.Wqkv", third(1)),
            "v" => modern("attn.Wqkv", third(2)),
            "o" => modern("attn.Wo", Form::Whole),
            "attention_norm" => modern("attn_norm", Form::Whole),
            "gate" => modern("mlp.Wi", third(0)),
            "up" => modern("mlp.Wi", third(1)),
            "down" => modern("mlp.Wo", Form::Whole),
            "feed_forward_norm" => modern("mlp_norm", Form::Whole),
            _ => vec![],
        },
    };
    let modern = config.family == Family::ModernBert;
    names.extend(match part {
        "q" => vec![gguf("attn_q", Form::Whole), gguf("attn_qkv", third(0))],
        "k" => vec![gguf("attn_k", Form::Whole), gguf("attn_qkv", third(1))],
        "v" => vec![gguf("attn_v", Form::Whole), gguf("attn_qkv", third(2))],
        "o" => vec![gguf("attn_output", Form::Whole)],
        "attention_norm" => vec![gguf(if modern { "attn_norm" } else { "attn_output_norm" }, Form::Whole)],
        "gate" if modern => vec![gguf("ffn_up", third(0))],
        "up" if modern => vec![gguf("ffn_up", third(1))],
        "gate" => vec![gguf("ffn_gate", Form::Whole)],
        "up" => vec![gguf("ffn_up", Form::Whole)],
        "down" => vec![gguf("ffn_down", Form::Whole)],
        "feed_forward_norm" => vec![gguf(if modern { "ffn_norm" } else { "layer_output_norm" }, Form::Whole)],
        _ => vec![],
    });
    names
}

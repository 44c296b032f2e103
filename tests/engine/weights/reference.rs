//! Real files.

use vitrine::{
    ErrorCode,
    weights::{PathSource, WeightFile},
};

use crate::common::{fixture, opened, reference};

fn values(file: &WeightFile, name: &str) -> Vec<f32> {
    pollster::block_on(file.read_f32(name)).unwrap()
}

/// The weights of a llama2.c file under their GGUF names, in its order.
fn llama2c(bytes: &[u8]) -> Vec<(String, Vec<f32>)> {
    let word = |i: usize| <[u8; 4]>::try_from(&bytes[i * 4..i * 4 + 4]).unwrap();
    let header: Vec<usize> = (0..7).map(|i| i32::from_le_bytes(word(i)) as usize).collect();
    let &[dim, hidden, layers, heads, kv_heads, vocabulary, _] = header.as_slice() else { unreachable!() };
    let kv = dim / heads * kv_heads;
    let mut at = 7;
    let mut weights = vec![];
    let mut take = |name: String, count: usize| {
        weights.push((name, (at..at + count).map(|i| f32::from_le_bytes(word(i))).collect()));
        at += count;
    };
    take("token_embd.weight".into(), vocabulary * dim);
    for (name, count) in [
        ("attn_norm", dim),
        ("attn_q", dim * dim),
        ("attn_k", kv * dim),
        ("attn_v", kv * dim),
        ("attn_output", dim * dim),
        ("ffn_norm", dim),
        ("ffn_gate", hidden * dim),
        ("ffn_down", hidden * dim),
        ("ffn_up", hidden * dim),
    ] {
        for layer in 0..layers {
            take(format!("blk.{layer}.{name}.weight"), count);
        }
    }
    take("output_norm.weight".into(), dim);
    weights
}

#[test]
fn a_gguf_in_f32_holds_llama2cs_weights_to_the_bit_and_its_quantised_sisters_come_near() {
    let Some(folder) = reference("llm/stories260K") else { return };
    let truth = llama2c(&std::fs::read(folder.join("stories260K.bin")).unwrap());
    let exact = opened(&[folder.join("stories260K-f32.gguf")]);
    assert_eq!(exact.tensors.len(), truth.len());
    // Half of a 127th of a block's largest value; in four bits a whole eighth, as its far end is cut off. Scales are f16.
    let near = [("stories260K-q8_0.gguf", 0.5 / 127.0 + 1.0 / 2048.0), ("stories260K-q4_0.gguf", 0.125 + 1.0 / 2048.0)];
    for (name, expected) in &truth {
        assert_eq!(&values(&exact, name), expected, "{name}");
    }
    for (file, step) in near {
        let file = opened(&[folder.join(file)]);
        let mut quantised = 0;
        for (name, expected) in &truth {
            let found = values(&file, name);
            assert_eq!(found.len(), expected.len());
            if !file.tensor(name).unwrap().dtype.is_quantised() {
                assert_eq!(&found, expected, "{name}");
                continue;
            }
            quantised += 1;
            for (found, expected) in found.chunks(32).zip(expected.chunks(32)) {
                let largest = expected.iter().fold(0_f32, |m, v| m.max(v.abs()));
                for (f, e) in found.iter().zip(expected) {
                    assert!((f - e).abs() <= largest * step + 1e-6, "{name}: {f} for {e}, block of {largest}");
                }
            }
        }
        assert!(quantised > 20);
    }
}

#[test]
fn files_of_a_vocabulary_alone_open_without_tensors() {
    for name in ["gpt-2", "llama-spm", "starcoder", "bert-bge", "deepseek-llm"] {
        let Some(path) = reference(&format!("tokenizers/ggml-vocab-{name}.gguf")) else { continue };
        let file = opened(&[path]);
        assert!(file.tensors.is_empty());
        assert!(file.metadata.require::<Vec<&str>>("tokenizer.ggml.tokens").unwrap().len() > 10_000, "{name}");
        assert!(!file.metadata.require::<Vec<i32>>("tokenizer.ggml.token_type").unwrap().is_empty());
    }
}

#[test]
fn a_real_safetensors_file_opens_with_its_shapes() {
    let Some(path) = reference("vae/taef2/taef2_decoder.safetensors") else { return };
    let file = opened(&[path]);
    assert!(file.tensors.len() > 20);
    for (name, tensor) in &file.tensors {
        let count: usize = tensor.shape.iter().product();
        assert_eq!(values(&file, name).len(), count, "{name}");
        assert!(values(&file, name).iter().all(|v| v.is_finite()), "{name}");
    }
}

#[test]
fn the_two_formats_of_one_model_hold_the_same_numbers() {
    let gguf = opened(&[fixture("tiny_llama.gguf")]);
    let safe = opened(&[fixture("tiny_llama/model.safetensors")]);
    assert_eq!(values(&gguf, "output_norm.weight"), values(&safe, "model.norm.weight"));
    assert_eq!(values(&gguf, "blk.0.ffn_down.weight"), values(&safe, "model.layers.0.mlp.down_proj.weight"));
}

#[test]
fn a_path_that_is_not_there_is_a_bad_argument() {
    let error = PathSource::open("no/such/model.gguf").unwrap_err();
    assert_eq!(error.code(), ErrorCode::BadArgument);
    assert!(error.to_string().contains("no/such/model.gguf"));
}

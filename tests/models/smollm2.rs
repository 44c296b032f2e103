//! Weights of SmolLM2-135M's exact shape: made here from a seed, and, where `VITRINE_BENCH_MODELS` names their folder,
//! those that `training/smol_shapes.py` makes.

use std::path::Path;

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QTensor, gguf_file},
};
use gguf_file::Value;

use super::{Running, agrees_with_candle};
use crate::common::{ids_in, json};

/// What the rows of each kind are stored as; `down` has rows of 1,536, the others of 576, which K blocks of 256 do
/// not fill.
struct Mix {
    embedding: GgmlDType,
    wide: GgmlDType,
    down: [GgmlDType; 2],
}

/// Numbers from a seed, about −1 … 1 (Vigna's xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / 8_388_608.0 - 1.0
    }

    fn tensor(&mut self, shape: &[usize], spread: f32, middle: f32, dtype: GgmlDType) -> QTensor {
        let n = shape.iter().product();
        let numbers: Vec<f32> = (0..n).map(|_| self.next() * spread + middle).collect();
        let tensor = Tensor::from_vec(numbers, shape, &Device::Cpu).expect("a tensor");
        QTensor::quantize(&tensor, dtype).expect("a quantised tensor")
    }
}

fn write(path: &Path, mix: &Mix) {
    let mut random = Random(0x5eed);
    let spread = 0.06;
    let mut tensors = vec![
        ("token_embd.weight".to_string(), random.tensor(&[49152, 576], spread, 0.0, mix.embedding)),
        ("output_norm.weight".to_string(), random.tensor(&[576], 0.1, 1.0, GgmlDType::F32)),
    ];
    for i in 0..30 {
        let mut put = |name: &str, shape: &[usize], dtype| {
            let (spread, middle) = if shape.len() == 1 { (0.1, 1.0) } else { (spread, 0.0) };
            tensors.push((format!("blk.{i}.{name}.weight"), random.tensor(shape, spread, middle, dtype)));
        };
        put("attn_norm", &[576], GgmlDType::F32);
        put("attn_q", &[576, 576], mix.wide);
        put("attn_k", &[192, 576], mix.wide);
        put("attn_v", &[192, 576], mix.wide);
        put("attn_output", &[576, 576], mix.wide);
        put("ffn_norm", &[576], GgmlDType::F32);
        put("ffn_gate", &[1536, 576], mix.wide);
        put("ffn_up", &[1536, 576], mix.wide);
        put("ffn_down", &[576, 1536], mix.down[i % 2]);
    }
    let metadata = [
        ("general.architecture", Value::String("llama".into())),
        ("llama.context_length", Value::U32(2048)),
        ("llama.embedding_length", Value::U32(576)),
        ("llama.block_count", Value::U32(30)),
        ("llama.feed_forward_length", Value::U32(1536)),
        ("llama.attention.head_count", Value::U32(9)),
        ("llama.attention.head_count_kv", Value::U32(3)),
        ("llama.rope.dimension_count", Value::U32(64)),
        ("llama.rope.freq_base", Value::F32(10_000.0)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
    ];
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(k, v)| (*k, v)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(k, v)| (k.as_str(), v)).collect();
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("a file"));
    gguf_file::write(&mut file, &metadata, &tensors).expect("a GGUF");
}

#[test]
fn a_llama_of_smollm2s_shape_agrees_with_candle_in_every_mix() {
    use GgmlDType::{Q4_0, Q4K, Q5_0, Q6K, Q8_0};
    let folder = tempfile::tempdir().expect("a folder");
    let mixes = [
        ("q8_0", Mix { embedding: Q8_0, wide: Q8_0, down: [Q8_0; 2] }),
        ("q4_0", Mix { embedding: Q8_0, wide: Q4_0, down: [Q4_0; 2] }),
        ("q4_k_m", Mix { embedding: Q8_0, wide: Q5_0, down: [Q4K, Q6K] }),
    ];
    let prompt = [1, 7000, 45, 49151, 0, 12345, 8, 777, 30_000, 256, 255];
    for (name, mix) in mixes {
        let path = folder.path().join(name);
        write(&path, &mix);
        agrees_with_candle(&path, &prompt, 0.999);
        std::fs::remove_file(&path).expect("room again");
    }
}

#[test]
fn the_bench_models_agree_with_candle_and_with_pytorch() {
    let Some(folder) = std::env::var_os("VITRINE_BENCH_MODELS") else {
        println!("needs-bench-models: smol135");
        return;
    };
    let folder = Path::new(&folder).join("smol135");
    let answers = json("smol135_greedy.json");
    let prompt = ids_in(&answers["prompt_ids"]);
    for kind in ["q8_0", "q4_0", "q4_k_m"] {
        agrees_with_candle(&folder.join(format!("smol135-{kind}.gguf")), &prompt, 0.999);
    }
    let mut model = Running::open(&[&folder.join("smol135-f32.gguf")]);
    assert_eq!(model.greedy(&prompt, 64), ids_in(&answers["greedy"]));
}

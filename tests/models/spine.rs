//! Models that are no decoders of text alone, each against what PyTorch computes from the same file (`training/make_spine_fixtures.py`), on every device: what
//! an encoder stores for a decoder, members of several lengths, states of recurrent layers, and how a decoder looks back. The tests in a browser run the same.

use std::rc::Rc;

use serde_json::Value;
use vitrine::{
    Cancel,
    backend::{Device, Plan, Resident},
    graph::{Graph, Pooling, Sampled, StepParams},
    models::{Encoder, EncoderDecoder, Recurrent, encoder::Task},
    weights::{MemorySource, Recipes, SharedSource, Storage, WeightFile},
};

use crate::common::{cosine, floats, ids_in, numbers_in};

/// A model's files and PyTorch's answers.
pub struct Fixture {
    config: &'static str,
    weights: &'static [u8],
    answers: &'static str,
}

macro_rules! fixture {
    ($name:literal) => {
        Fixture {
            config: include_str!(concat!("../fixtures/spine/", $name, "/config.json")),
            weights: include_bytes!(concat!("../fixtures/spine/", $name, "/model.safetensors")),
            answers: include_str!(concat!("../fixtures/spine/", $name, ".json")),
        }
    };
}

/// As T5 1.1 and Flan-T5 are made.
pub const GATED_T5: Fixture = fixture!("t5");
/// As the first T5 is made.
pub const PLAIN_T5: Fixture = fixture!("t5-relu");
const BERT: Fixture = fixture!("bert");
const CHARACTERS: Fixture = fixture!("charlstm");

impl Fixture {
    fn answers(&self) -> Value {
        serde_json::from_str(self.answers).expect("JSON")
    }

    fn config(&self) -> Value {
        serde_json::from_str(self.config).expect("JSON")
    }

    async fn file(&self) -> WeightFile {
        file("model.safetensors", self.weights.to_vec()).await
    }
}

async fn file(name: &str, bytes: Vec<u8>) -> WeightFile {
    let source = Rc::new(MemorySource::new(name, bytes)) as SharedSource;
    WeightFile::open_parts(vec![source]).await.expect("a file of weights")
}

/// The same direction, and no number further from PyTorch's than 5e-4 of the largest.
#[track_caller]
fn agrees(device: &Device, what: &str, got: &[f32], wanted: &[f32]) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    let largest = wanted.iter().fold(0f32, |m, v| m.max(v.abs()));
    let error = got.iter().zip(wanted).fold(0f32, |m, (got, wanted)| m.max((got - wanted).abs())) / largest;
    let (cosine, name) = (cosine(got, wanted), device.info().name);
    println!("{name}: {what}: cosine {cosine:.7}, error {error:.1e}");
    assert!(cosine >= 0.9999 && error <= 5e-4, "{name}: {what}: cosine {cosine}, error {error}");
}

async fn load(device: &Device, file: &WeightFile, graph: &Graph, recipes: &Recipes) -> Resident {
    let mut loader = device.begin(graph).await.expect("room");
    file.stream_with(graph, recipes, &mut loader, &mut |_, _| (), &Cancel::new()).await.expect("the weights go in");
    loader.finish().await.expect("all of them")
}

async fn compile(resident: &Resident, graph: vitrine::Result<Graph>) -> Plan {
    resident.compile(&graph.expect("a graph")).await.expect("a plan")
}

async fn step(plan: &mut Plan, params: StepParams, outputs: &[&str]) -> Vec<Vec<u32>> {
    plan.step(&params, outputs).expect("a step").await.expect("its outputs")
}

fn record(words: &[u32]) -> Sampled {
    Sampled::from_words(words).expect("a record")
}

/// PyTorch's greedy tokens, each about as likely as it says.
#[track_caller]
fn writes_as_pytorch_does(device: &Device, answers: &Value, got: &[Sampled]) {
    let name = device.info().name;
    let tokens: Vec<u32> = got.iter().map(|sampled| sampled.token).collect();
    assert_eq!(tokens, ids_in(&answers["greedy"]), "{name}");
    let wanted = numbers_in(&answers["logprobs"]);
    let error = got.iter().zip(&wanted).fold(0f32, |m, (got, wanted)| m.max((got.logprob - wanted).abs()));
    println!("{name}: {} tokens, log-probabilities off by {error:.1e}", tokens.len());
    assert!(error < 1e-3, "{name}: a log-probability is off by {error}");
}

async fn open_t5(device: &Device, fixture: &Fixture) -> (EncoderDecoder, Resident) {
    let file = fixture.file().await;
    let model = EncoderDecoder::find(&fixture.config(), &file, Storage::default()).expect("a T5").with_capacity(64);
    let resident = load(device, &file, &model.whole().expect("a graph"), model.recipes()).await;
    (model, resident)
}

/// An encoder's rows, the logits of its decoder and 40 tokens.
pub async fn t5_writes_what_it_writes_in_pytorch(device: &Device, fixture: &Fixture) {
    let answers = fixture.answers();
    let (model, resident) = open_t5(device, fixture).await;
    let ids_of = ids_in(&answers["ids"]);
    // A longer text before it, of which the memory keeps rows that are none of this one's.
    for text in [vec![7; 40], ids_of.clone()] {
        let mut encoder = compile(&resident, model.read(text.len())).await;
        encoder.write_input("ids", &text).expect("ids");
        encoder.write_input("lengths", &[text.len() as u32]).expect("a length");
        let hidden = step(&mut encoder, StepParams::default(), &["hidden"]).await;
        if text == ids_of {
            agrees(device, "encoder", &floats(&hidden[0]), &numbers_in(&answers["encoder_last_hidden_state"]));
        }
    }
    let mut decode = compile(&resident, model.decode()).await;
    let mut params = StepParams { memory: ids_of.len() as u32, ..StepParams::default() };
    resident.write_state("token", &[model.sizes().start.first]).expect("a token");
    let mut written = vec![];
    for position in 0..40 {
        params.position = position;
        let out = step(&mut decode, params, &["sampled", "logits"]).await;
        if position == 0 {
            agrees(device, "first logits", &floats(&out[1]), &numbers_in(&answers["first_logits"]));
        }
        written.push(record(&out[0]));
    }
    writes_as_pytorch_does(device, &answers, &written);

    // The same all at once: a start that is given goes on as it did.
    let given: Vec<u32> =
        [model.sizes().start.first].into_iter().chain(written.iter().map(|s| s.token)).take(20).collect();
    let mut prefill = compile(&resident, model.prefill(20)).await;
    prefill.write_input("ids", &given).expect("ids");
    (params.position, params.row) = (0, 19);
    let out = step(&mut prefill, params, &["sampled"]).await;
    let next = record(&out[0]);
    assert!(next.token == written[19].token && (next.logprob - written[19].logprob).abs() < 1e-3, "{next:?}");
}

/// The rows of each member of a padded batch, their mean as an embedding, and the pooler's.
pub async fn bert_reads_a_padded_batch_as_pytorch_does(device: &Device) {
    let answers = BERT.answers();
    let file = BERT.file().await;
    let model = Encoder::from_hugging_face(BERT.config, &file, Storage::default()).expect("a BERT");
    let width = model.config().width;
    let lengths = ids_in(&answers["lengths"]);
    let flat =
        |name: &str| -> Vec<u32> { answers[name].as_array().expect("members").iter().flat_map(ids_in).collect() };
    let words = flat("input_ids");
    let length = words.len() / lengths.len();
    let graph = model.graph(Task::Embed(Pooling::Mean), lengths.len(), length).expect("a graph");
    let resident = load(device, &file, &graph, model.recipes()).await;
    let mut plan = resident.compile(&graph).await.expect("a plan");
    for (name, words) in [("ids", &words), ("kinds", &flat("token_type_ids")), ("lengths", &lengths)] {
        plan.write_input(name, words).expect("numbers");
    }
    let out = step(&mut plan, StepParams::default(), &["hidden", "pooled", "pooler"]).await;
    let [hidden, pooled, pooler] = [0, 1, 2].map(|i| floats(&out[i]));
    for (member, count) in lengths.iter().enumerate() {
        let rows = &hidden[member * length * width..][..*count as usize * width];
        agrees(device, "rows", rows, &numbers_in(&answers["last_hidden_state"][member]));
        let mean = &pooled[member * width..][..width];
        let norm = mean.iter().map(|v| v * v).sum::<f32>().sqrt();
        let embedding: Vec<f32> = mean.iter().map(|v| v / norm).collect();
        agrees(device, "embedding", &embedding, &numbers_in(&answers["sentence_embedding"][member]));
        agrees(device, "pooler", &pooler[member * width..][..width], &numbers_in(&answers["pooler_output"][member]));
    }
}

async fn open_characters(device: &Device, file: &WeightFile) -> (Recurrent, Resident) {
    let model = Recurrent::find(file, Storage::default()).expect("a recurrent model");
    let resident = load(device, file, &model.decode().expect("a graph"), model.recipes()).await;
    (model, resident)
}

/// States after a prompt, and 40 characters.
pub async fn a_char_lstm_writes_what_it_writes_in_pytorch(device: &Device) {
    let answers = CHARACTERS.answers();
    let prompt = ids_in(&answers["prompt_ids"]);
    // In one piece, and in two.
    for cut in [0, 5] {
        let (model, resident) = open_characters(device, &CHARACTERS.file().await).await;
        let mut out = vec![];
        for part in [&prompt[..cut], &prompt[cut..]].into_iter().filter(|part| !part.is_empty()) {
            let mut prefill = compile(&resident, model.prefill(part.len())).await;
            prefill.write_input("ids", part).expect("ids");
            out = step(&mut prefill, StepParams::default(), &["sampled", "logits", "h.0", "h.1", "c.0", "c.1"]).await;
        }
        agrees(device, "logits", &floats(&out[1]), &numbers_in(&answers["logits_after_prompt"]));
        for (i, state) in ["h", "h", "c", "c"].into_iter().enumerate() {
            agrees(device, state, &floats(&out[2 + i]), &numbers_in(&answers[state][i % 2]));
        }
        let mut decode = compile(&resident, model.decode()).await;
        let mut written = vec![record(&out[0])];
        while written.len() < 40 {
            written.push(record(&step(&mut decode, StepParams::default(), &["sampled"]).await[0]));
        }
        writes_as_pytorch_does(device, &answers, &written);
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::collections::HashMap;

    use candle_core::{DType as CandleType, Device as CandleDevice, Module, Tensor};
    use candle_nn::{
        VarBuilder,
        rnn::{GRUConfig, RNN, gru},
    };
    use pollster::block_on;
    use vitrine::{
        ErrorCode,
        graph::Cell,
        models::{EncoderConfig, LanguageModel, encoder_decoder::t5::T5Config},
    };

    use super::*;
    use crate::common::{as_hardware, json, on_cpu, on_gpu, opened, safetensors, shipped};

    /// The CPU, and the GPU as it is and taking the paths of hardware.
    fn every_device() -> [Device; 4] {
        [on_cpu(), on_gpu(), as_hardware(true), as_hardware(false)]
    }

    /// A file of these tensors in F32.
    fn file_of(tensors: &HashMap<String, Tensor>) -> WeightFile {
        let numbers = |tensor: &Tensor| tensor.to_dtype(CandleType::F32)?.flatten_all()?.to_vec1::<f32>();
        let entry = |(name, tensor)| (String::as_str(name), Tensor::dims(tensor), numbers(tensor).expect("numbers"));
        let entries: Vec<_> = tensors.iter().map(entry).collect();
        block_on(file("model.safetensors", safetensors(&entries)))
    }

    #[test]
    fn a_gated_t5_writes_pytorchs_40_tokens() {
        every_device().iter().for_each(|device| block_on(t5_writes_what_it_writes_in_pytorch(device, &GATED_T5)));
    }

    #[test]
    fn a_plain_t5_writes_pytorchs_40_tokens() {
        every_device().iter().for_each(|device| block_on(t5_writes_what_it_writes_in_pytorch(device, &PLAIN_T5)));
    }

    #[test]
    fn a_padded_batch_through_bert_is_pytorchs() {
        every_device().iter().for_each(|device| block_on(bert_reads_a_padded_batch_as_pytorch_does(device)));
    }

    #[test]
    fn a_char_lstm_writes_pytorchs_40_characters() {
        every_device().iter().for_each(|device| block_on(a_char_lstm_writes_what_it_writes_in_pytorch(device)));
    }

    #[test]
    fn distances_are_in_the_buckets_of_pytorch() {
        let answers = GATED_T5.answers();
        let told = &answers["relative_buckets"];
        let size = |name: &str| told[name].as_u64().expect("a count") as usize;
        let config = T5Config::from_hugging_face(&GATED_T5.config()).expect("a configuration");
        let config = T5Config { buckets: size("num_buckets"), farthest: size("max_distance"), ..config };
        let first = told["first_position"].as_i64().expect("a distance") as isize;
        for (side, both_ways) in [("encoder", true), ("decoder", false)] {
            let wanted = ids_in(&told[side]);
            assert_eq!(wanted.len(), 281);
            let got: Vec<u32> = (first..).take(281).map(|distance| config.bucket(distance, both_ways)).collect();
            assert_eq!(got, wanted, "{side}");
        }
    }

    /// The rows of a tensor for the gates of a cell, from an LSTM's file.
    fn with_gates(cell: Cell) -> HashMap<String, Tensor> {
        let tensors = candle_core::safetensors::load_buffer(CHARACTERS.weights, &CandleDevice::Cpu).expect("tensors");
        let cut = |(name, tensor): (String, Tensor)| {
            let rows = tensor.dim(0).expect("rows");
            let kept = if name.starts_with("rnn.") { rows / 4 * cell.gates() } else { rows };
            (name, tensor.narrow(0, 0, kept).and_then(|t| t.contiguous()).expect("rows"))
        };
        tensors.into_iter().map(cut).collect()
    }

    /// The logits after the prompt by candle, from these tensors.
    fn by_candle(cell: Cell, tensors: &HashMap<String, Tensor>, prompt: &[u32]) -> candle_core::Result<Vec<f32>> {
        let (cpu, weights) = (CandleDevice::Cpu, |name: &str| &tensors[name]);
        let mut x = weights("encoder.weight").index_select(&Tensor::new(prompt, &cpu)?, 0)?;
        for i in 0..2 {
            if cell == Cell::Gru {
                // It knows one layer alone.
                let end = format!("_l{i}");
                let its = |name: &String| Some(format!("{}_l0", name.strip_prefix("rnn.")?.strip_suffix(&end)?));
                let its: HashMap<_, _> = tensors.iter().filter_map(|(name, t)| Some((its(name)?, t.clone()))).collect();
                let its = VarBuilder::from_tensors(its, CandleType::F32, &cpu);
                let layer = gru(x.dim(1)?, 48, GRUConfig::default(), its)?;
                x = layer.states_to_tensor(&layer.seq(&x.unsqueeze(0)?)?)?.reshape((prompt.len(), 48))?;
                continue;
            }
            let linear = |part: &str, x: &Tensor| {
                let bias = weights(&format!("rnn.bias_{part}_l{i}")).clone();
                candle_nn::Linear::new(weights(&format!("rnn.weight_{part}_l{i}")).clone(), Some(bias)).forward(x)
            };
            let (mut h, mut all) = (Tensor::zeros((1, 48), CandleType::F32, &cpu)?, vec![]);
            for r in 0..prompt.len() {
                h = (linear("ih", &x.narrow(0, r, 1)?)? + linear("hh", &h)?)?.tanh()?;
                all.push(h.clone());
            }
            x = Tensor::cat(&all, 0)?;
        }
        let last = x.narrow(0, prompt.len() - 1, 1)?;
        let head = candle_nn::Linear::new(weights("decoder.weight").clone(), Some(weights("decoder.bias").clone()));
        head.forward(&last)?.flatten_all()?.to_vec1()
    }

    #[test]
    fn a_model_of_characters_of_other_cells_agrees_with_candle() {
        let prompt = ids_in(&CHARACTERS.answers()["prompt_ids"]);
        for cell in [Cell::Gru, Cell::Tanh] {
            let tensors = with_gates(cell);
            let wanted = by_candle(cell, &tensors, &prompt).expect("candle's logits");
            let file = file_of(&tensors);
            for device in every_device() {
                let (model, resident) = block_on(open_characters(&device, &file));
                assert_eq!(model.config().cell, cell);
                let mut prefill = block_on(compile(&resident, model.prefill(prompt.len())));
                prefill.write_input("ids", &prompt).expect("ids");
                let out = block_on(step(&mut prefill, StepParams::default(), &["logits"]));
                agrees(&device, &format!("{cell:?}"), &floats(&out[0]), &wanted);
            }
        }
    }

    #[test]
    fn the_storyteller_looks_back_as_in_pytorch() {
        let answers = json("spine/storyteller_attentions.json");
        let file = opened(&[shipped("storyteller/storyteller-q8_0.gguf")]);
        let prompt = ids_in(&answers["prompt_ids"]);
        let (t, heads) = (prompt.len(), answers["heads"].as_u64().expect("a count") as usize);
        let capacity = 20;
        // As PyTorch has them: the CPU rounds what it multiplies by quantised weights.
        let model = LanguageModel::from_gguf(&file.metadata, &file, Storage::F32).expect("a model");
        let model = model.with_capacity(capacity);
        let layers = answers["attentions"].as_array().expect("layers");
        let names: Vec<String> = (0..layers.len()).map(|i| format!("attention.{i}")).collect();
        let outputs: Vec<&str> = names.iter().map(String::as_str).collect();
        for device in every_device() {
            let decode = model.decode().expect("a graph");
            let resident = block_on(load(&device, &file, &decode, model.recipes()));
            let mut plan = block_on(compile(&resident, model.score_with_attention(t)));
            plan.write_input("ids", &prompt).expect("ids");
            let out = block_on(step(&mut plan, StepParams::default(), &outputs));
            let mut worst = 0f32;
            for (layer, got) in layers.iter().zip(&out) {
                let got = floats(got);
                assert_eq!(got.len(), heads * t * capacity);
                for (h, queries) in layer.as_array().expect("heads").iter().enumerate() {
                    for (r, wanted) in queries.as_array().expect("queries").iter().enumerate() {
                        let got = &got[(h * t + r) * capacity..][..capacity];
                        let mut wanted = numbers_in(wanted);
                        assert_eq!(wanted.len(), r + 1);
                        wanted.resize(capacity, 0.0);
                        worst = got.iter().zip(&wanted).fold(worst, |m, (got, wanted)| m.max((got - wanted).abs()));
                    }
                }
            }
            println!("{}: attention off by {worst:.1e}", device.info().name);
            assert!(worst <= 2e-4, "{}: attention is off by {worst}", device.info().name);
        }
    }

    #[test]
    fn a_decoder_whose_encoder_has_not_run_is_refused() {
        for device in every_device() {
            let (model, resident) = block_on(open_t5(&device, &PLAIN_T5));
            let mut decode = block_on(compile(&resident, model.decode()));
            let mut refused = |memory: u32, said: &str| {
                let error = decode.step(&StepParams { memory, ..StepParams::default() }, &["logits"]).err();
                let error = error.expect("refused");
                assert_eq!(error.code(), ErrorCode::BadArgument);
                assert!(error.to_string().contains(said), "{error}");
            };
            refused(3, "memory.k.0 holds 0; run what stores them first");
            let mut encoder = block_on(compile(&resident, model.read(3)));
            encoder.write_input("ids", &[5, 6, 1]).expect("ids");
            encoder.write_input("lengths", &[3]).expect("a length");
            block_on(step(&mut encoder, StepParams::default(), &["hidden"]));
            refused(0, "0 stored keys are to be seen");
            refused(4, "memory.k.0 holds 3");
            block_on(step(&mut decode, StepParams { memory: 3, ..StepParams::default() }, &["logits"]));
            for rows in [0, 65] {
                let error = model.read(rows).expect_err("refused");
                assert!(error.code() == ErrorCode::ContextOverflow && error.to_string().contains("1 to 64"), "{error}");
            }
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let file = block_on(BERT.file());
        let model = Encoder::from_hugging_face(BERT.config, &file, Storage::default()).expect("a BERT");
        let graph = model.graph(Task::Embed(Pooling::Mean), 2, 6).expect("a graph");
        for device in every_device() {
            let resident = block_on(load(&device, &file, &graph, model.recipes()));
            let mut plan = block_on(resident.compile(&graph)).expect("a plan");
            for (lie, said) in [([6, 7], "member 1 counts 7 rows"), ([0, 6], "member 0 counts 0 rows")] {
                let error = plan.write_input("lengths", &lie).expect_err("refused");
                assert!(error.code() == ErrorCode::BadArgument && error.to_string().contains(said), "{error}");
            }
        }
        let error = model.graph(Task::Embed(Pooling::Mean), 1, 41).expect_err("refused");
        assert!(error.code() == ErrorCode::BadArgument && error.to_string().contains("1 to 40"), "{error}");
    }

    /// A base model saved with what stands on it, and with the names of the first files, is found too.
    #[test]
    fn bert_is_found_below_its_prefix_and_under_old_names() {
        let tensors = candle_core::safetensors::load_buffer(BERT.weights, &CandleDevice::Cpu).expect("tensors");
        let old = |(name, tensor): (String, Tensor)| {
            let name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
            (format!("bert.{name}"), tensor)
        };
        let tensors: HashMap<String, Tensor> =
            tensors.into_iter().filter(|(name, _)| !name.starts_with("pooler")).map(old).collect();
        let file = file_of(&tensors);
        let model = Encoder::from_hugging_face(BERT.config, &file, Storage::default()).expect("a BERT");
        let outputs: Vec<String> = model
            .graph(Task::Embed(Pooling::Mean), 1, 4)
            .expect("a graph")
            .outputs
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(outputs, ["hidden", "pooled"]);
    }

    /// A configuration that is another model's names what does not fit.
    #[test]
    fn configurations_that_do_not_fit_are_refused_in_words() {
        let file = block_on(PLAIN_T5.file());
        let t5 = |from: &str, to: &str| {
            let config = serde_json::from_str(&PLAIN_T5.config.replace(from, to)).expect("JSON");
            EncoderDecoder::find(&config, &file, Storage::default()).expect_err("refused")
        };
        let refused = [
            (t5("\"relu\"", "\"gated-relu6\""), "gated-relu6"),
            // Each layer of it has distances of its own.
            (
                t5("\"model_type\": \"t5\"", "\"model_type\": \"umt5\""),
                "block.1.layer.0.SelfAttention.relative_attention_bias",
            ),
            (t5("\"decoder_start_token_id\": 0", "\"decoder_start_token_id\": 96"), "96 is none"),
            (t5("_num_buckets\": 8", "_num_buckets\": 3"), "3 buckets"),
            (t5("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false"), "lm_head.weight"),
            (t5("\"num_layers\": 2", "\"num_layers\": 3"), "encoder.block.2.layer.0"),
        ];
        for (error, said) in refused {
            assert!(error.to_string().contains(said), "{error} does not say {said}");
        }
        let error =
            EncoderConfig::from_hugging_face(&BERT.config.replace("absolute", "relative_key")).expect_err("refused");
        assert_eq!(error.code(), ErrorCode::UnsupportedModel);
    }
}

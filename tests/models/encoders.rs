//! Encoders of every family from text to embedding, filled mask and label, against transformers (`training/make_encoder_fixtures.py`).

use std::{fs, path::Path, rc::Rc};

use pollster::block_on;
use serde_json::Value;
use vitrine::{
    Cancel, ErrorCode,
    backend::Device,
    text::{EmbedOptions, Encoder, Input, PoolingName},
    weights::{MemorySource, PathSource, SharedSource, Storage, WeightFile},
};

use crate::common::{cosine, fixture, ids_in, json, numbers_in, on_cpu, on_gpu, opened, proofs::RANDOM, proved};

const FAMILIES: [&str; 5] = ["bert", "distilbert", "roberta", "nomic_bert", "modernbert"];

fn answers() -> Value {
    json("encoders/answers.json")
}

/// All files of a folder, named from it on.
fn folder(name: &str) -> WeightFile {
    fn collect(from: &Path, below: &str, sources: &mut Vec<SharedSource>) {
        for entry in fs::read_dir(from).expect("a folder") {
            let path = entry.expect("a file").path();
            let name = format!("{below}{}", path.file_name().expect("a name").to_string_lossy());
            match path.is_dir() {
                true => collect(&path, &format!("{name}/"), sources),
                false => sources.push(Rc::new(PathSource::open(&path).expect("a file").named(name))),
            }
        }
    }
    let mut sources = vec![];
    collect(&fixture(&format!("encoders/{name}")), "", &mut sources);
    block_on(WeightFile::open_parts(sources)).expect("files")
}

fn load(file: &WeightFile, device: &Device, storage: Storage) -> Encoder {
    assert!(Encoder::is_one(file));
    block_on(Encoder::load(file, device, storage, &mut |_, _| (), &Cancel::new())).expect("an encoder")
}

fn open(name: &str, device: &Device) -> Encoder {
    load(&folder(name), device, Storage::default())
}

/// The CPU, and the GPU as it is; the paths of hardware are taken in `spine.rs`.
fn every_device() -> [Device; 2] {
    [on_cpu(), on_gpu()]
}

fn texts(answers: &Value) -> Vec<Input> {
    let texts = answers["texts"].as_array().expect("texts");
    texts.iter().map(|text| Input::Text(text.as_str().expect("a text").into())).collect()
}

#[track_caller]
fn near(what: &str, got: &[f32], wanted: &[f32]) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    let off = got.iter().zip(wanted).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(off < 2e-4 && cosine(got, wanted) > 0.9999, "{what}: off by {off}");
}

fn embed(model: &Encoder, texts: &[Input], options: EmbedOptions) -> Vec<Vec<f32>> {
    block_on(model.embed(texts, options, &Cancel::new())).expect("embeddings")
}

#[test]
fn every_family_embeds_as_transformers_does() {
    let answers = answers();
    for device in every_device() {
        for family in FAMILIES {
            let model = open(&format!("{family}/embed"), &device);
            let info = model.info();
            assert!(info.architecture == family && info.normalize && !info.fills && info.labels.is_none(), "{info:?}");
            let first = if family == "roberta" { PoolingName::First } else { PoolingName::Mean };
            assert_eq!(info.pooling, first, "{family}");
            let raw =
                |pooling| EmbedOptions { pooling: Some(pooling), normalize: Some(false), ..EmbedOptions::default() };
            for (what, options) in
                [("embed", EmbedOptions::default()), ("max", raw(PoolingName::Max)), ("last", raw(PoolingName::Last))]
            {
                for (i, got) in embed(&model, &texts(&answers), options).iter().enumerate() {
                    near(&format!("{family}, {what} of text {i}"), got, &numbers_in(&answers[family][what][i]));
                }
            }
            // By ids, and fewer numbers.
            let ids = Input::Ids(ids_in(&answers["ids"][1]));
            let whole = numbers_in(&answers[family]["embed"][1]);
            near(family, &embed(&model, std::slice::from_ref(&ids), EmbedOptions::default())[0], &whole);
            let short = &embed(&model, &[ids], EmbedOptions { dimensions: Some(8), ..EmbedOptions::default() })[0];
            let length = whole[..8].iter().map(|v| v * v).sum::<f32>().sqrt();
            near(family, short, &whole[..8].iter().map(|v| v / length).collect::<Vec<_>>());
            proved(family, "safetensors", &device, RANDOM);
        }
    }
}

#[test]
fn encoders_in_gguf_embed_as_transformers_does() {
    let answers = answers();
    let ids: Vec<Input> = (0..3).map(|i| Input::Ids(ids_in(&answers["ids"][i]))).collect();
    for device in every_device() {
        for family in ["bert", "nomic_bert", "modernbert"] {
            let file = opened(&[fixture(&format!("encoders/{family}.gguf"))]);
            let model = load(&file, &device, Storage::default());
            for (i, got) in embed(&model, &ids, EmbedOptions::default()).iter().enumerate() {
                near(&format!("{family}.gguf, text {i}"), got, &numbers_in(&answers[family]["embed"][i]));
            }
            proved(family, "GGUF", &device, RANDOM);
        }
    }
}

#[test]
fn every_family_fills_masks_as_transformers_does() {
    let answers = answers();
    let masked = answers["masked"].as_str().expect("a text");
    for device in every_device() {
        for family in FAMILIES {
            let model = open(&format!("{family}/fill"), &device);
            assert_eq!(model.info().mask.as_deref(), Some("[MASK]"));
            for text in [Input::Text(masked.into()), Input::Ids(ids_in(&answers["masked_ids"]))] {
                let filled = block_on(model.fill(&text, 5, &Cancel::new())).expect("words");
                assert_eq!(filled.len(), 2, "{family}");
                for (got, wanted) in filled.iter().zip(answers[family]["fill"].as_array().expect("masks")) {
                    let tokens: Vec<u32> = got.iter().map(|candidate| candidate.token).collect();
                    assert_eq!(tokens, ids_in(&wanted["tokens"]), "{family}");
                    let logprobs: Vec<f32> = got.iter().map(|candidate| candidate.logprob).collect();
                    near(family, &logprobs, &numbers_in(&wanted["logprobs"]));
                }
            }
        }
    }
}

#[test]
fn every_family_labels_texts_and_tokens_as_transformers_does() {
    let answers = answers();
    let labels: Vec<&str> = answers["labels"].as_array().expect("labels").iter().filter_map(Value::as_str).collect();
    for device in every_device() {
        for family in FAMILIES {
            let model = open(&format!("{family}/classify"), &device);
            for (i, text) in texts(&answers).iter().enumerate() {
                let got = block_on(model.classify(text, None, false, &Cancel::new())).expect("labels");
                assert!(got.is_sorted_by(|a, b| a.probability >= b.probability));
                let wanted = numbers_in(&answers[family]["classify"][i]);
                for (label, wanted) in labels.iter().zip(wanted) {
                    let found = got.iter().find(|each| each.label == *label).expect("the label");
                    assert!((found.probability - wanted).abs() < 2e-4, "{family}, {label}: {found:?}, not {wanted}");
                }
            }
            let model = open(&format!("{family}/tokens"), &device);
            let got = block_on(model.classify(&texts(&answers)[1], None, false, &Cancel::new())).expect("labels");
            let wanted: Vec<&str> = answers[family]["tokens"]["labels"]
                .as_array()
                .expect("labels")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            assert_eq!(got.iter().map(|each| each.label.as_str()).collect::<Vec<_>>(), wanted, "{family}");
            let probabilities: Vec<f32> = got.iter().map(|each| each.probability).collect();
            near(family, &probabilities, &numbers_in(&answers[family]["tokens"]["probabilities"]));
        }
    }
}

#[test]
fn a_table_of_tokens_embeds_as_model2vec_does() {
    let answers = &answers()["model2vec"];
    for device in every_device() {
        let model = open("model2vec", &device);
        assert!(model.info().architecture == "static" && model.info().normalize);
        let raw = EmbedOptions { normalize: Some(false), ..EmbedOptions::default() };
        for (what, options) in [("embed", EmbedOptions::default()), ("raw", raw)] {
            for (i, got) in embed(&model, &texts(answers), options).iter().enumerate() {
                near(&format!("{what} of text {i}"), got, &numbers_in(&answers[what][i]));
            }
        }
        proved("model2vec", "safetensors", &device, RANDOM);
    }
}

#[test]
fn tables_with_weights_with_shared_rows_and_of_bytes_embed_as_model2vec_does() {
    let answers = &answers()["shrunk"];
    for device in every_device() {
        for (name, answers) in answers.as_object().expect("tables") {
            let model = open(&format!("model2vec-{name}"), &device);
            assert_eq!(model.info().vocabulary, model.tokenizer().vocabulary_size(), "{name}");
            let raw = EmbedOptions { normalize: Some(false), ..EmbedOptions::default() };
            for (what, options) in [("embed", EmbedOptions::default()), ("raw", raw)] {
                for (i, got) in embed(&model, &texts(answers), options).iter().enumerate() {
                    let wanted = numbers_in(&answers[what][i]);
                    // Of eight bits the numbers are a hundred times as large, and model2vec's own sums are of 16 bits where the table is.
                    let largest = wanted.iter().fold(1f32, |most, v| most.max(v.abs()));
                    let off = got.iter().zip(&wanted).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
                    assert!(got.len() == wanted.len() && off < 1e-3 * largest, "{name}, {what} {i}: off by {off}");
                    assert!(cosine(got, &wanted) > 0.99999, "{name}, {what} of text {i}");
                }
            }
        }
        proved("model2vec-shrunk", "safetensors", &device, RANDOM);
    }
}

/// A safetensors file of one table `embeddings` [3, 2] in F32, and of other parts.
fn table(parts: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
    let numbers: Vec<u8> = (0..6u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    let all = [&[("embeddings", "F32", [3, 2].as_slice(), numbers)], parts].concat();
    let (mut entries, mut data) = (vec![], vec![]);
    for (name, kind, shape, bytes) in all {
        let start = data.len();
        data.extend(bytes);
        entries.push(format!(
            r#""{name}":{{"dtype":"{kind}","shape":{shape:?},"data_offsets":[{start},{}]}}"#,
            data.len()
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes(), &data].concat()
}

#[test]
fn a_table_whose_parts_do_not_fit_is_refused() {
    let open =
        |bytes| block_on(WeightFile::open(Rc::new(MemorySource::new("model.safetensors", bytes)) as SharedSource));
    let places = |places: &[i32]| places.iter().flat_map(|place| place.to_le_bytes()).collect::<Vec<u8>>();
    let mapped = |places_of: &[i32]| table(&[("mapping", "I32", &[places_of.len()], places(places_of))]);
    let file = open(mapped(&[2, 0, 2, 1])).expect("a table");
    assert_eq!(block_on(file.read_f32("embeddings")).expect("rows"), [4.0, 5.0, 0.0, 1.0, 4.0, 5.0, 2.0, 3.0]);
    for wrong in [3, -1, i32::MAX] {
        let file = open(mapped(&[0, wrong])).expect("a header");
        let error = block_on(file.read_f32("embeddings")).expect_err("refused");
        assert!(
            error.code() == ErrorCode::CorruptFile && error.to_string().contains(&format!("row {wrong}")),
            "{error}"
        );
    }
    for parts in [
        ("weights", "F32", [4].as_slice(), vec![0; 16]),
        ("weights", "I64", &[3], vec![0; 24]),
        ("mapping", "F32", &[2], vec![0; 8]),
        ("mapping", "I32", &[1 << 40], vec![0; 8]),
        ("weights", "F64", &[3, 1], vec![0; 24]),
    ] {
        let error = open(table(&[parts])).err().expect("refused");
        assert!(error.code() == ErrorCode::CorruptFile && error.to_string().contains("do not fit"), "{error}");
    }
}

/// A GGUF's head for labels of texts.
fn labels_from_gguf(name: &str, device: &Device, beside: bool) -> Encoder {
    let mut paths = vec![fixture(&format!("encoders/{name}-classify.gguf"))];
    paths.extend(beside.then(|| fixture(&format!("encoders/{name}/classify/tokenizer.json"))));
    load(&opened(&paths), device, Storage::default())
}

#[test]
fn heads_for_labels_in_gguf_say_what_transformers_says() {
    let answers = answers();
    let labels: Vec<&str> = answers["labels"].as_array().expect("labels").iter().filter_map(Value::as_str).collect();
    for device in every_device() {
        for family in ["bert", "distilbert", "roberta", "modernbert"] {
            // RoBERTa's frames texts and pairs by itself.
            let model = labels_from_gguf(family, &device, family != "roberta");
            assert_eq!(model.info().labels.as_deref().expect("labels"), labels, "{family}");
            let check = |text: &Input, pair: Option<&str>, wanted: &Value| {
                let got = block_on(model.classify(text, pair, false, &Cancel::new())).expect("labels");
                for (label, wanted) in labels.iter().zip(numbers_in(wanted)) {
                    let found = got.iter().find(|each| each.label == *label).expect("the label");
                    assert!((found.probability - wanted).abs() < 2e-4, "{family}, {label}: {found:?}, not {wanted}");
                }
            };
            for (i, text) in texts(&answers).iter().enumerate() {
                check(text, None, &answers[family]["classify"][i]);
            }
            for (i, pair) in answers["pairs"].as_array().expect("pairs").iter().enumerate() {
                let [first, second] = [0, 1].map(|at| pair[at].as_str().expect("a text"));
                check(&Input::Text(first.into()), Some(second), &answers[family]["pairs"][i]);
            }
            let name = if family == "bert" { "bert-classify" } else { family };
            proved(name, "GGUF", &device, RANDOM);
        }
    }
}

#[test]
fn a_gguf_of_a_bert_that_lost_the_layer_before_its_labels_embeds_and_says_so() {
    let mut bytes = fs::read(fixture("encoders/bert-classify.gguf")).expect("a file");
    for name in ["cls.weight", "cls.bias"] {
        let at = bytes.windows(name.len()).position(|part| part == name.as_bytes()).expect("a name");
        bytes[at] = b'x';
    }
    let source = Rc::new(MemorySource::new("bert.gguf", bytes)) as SharedSource;
    let model = load(&block_on(WeightFile::open(source)).expect("a file"), &on_cpu(), Storage::default());
    assert!(model.info().labels.is_none());
    let ids = Input::Ids(ids_in(&answers()["ids"][0]));
    assert_eq!(embed(&model, std::slice::from_ref(&ids), EmbedOptions::default()).len(), 1);
    let error = block_on(model.classify(&ids, None, false, &Cancel::new())).expect_err("refused");
    assert!(error.code() == ErrorCode::BadArgument && error.to_string().contains("cls.weight"), "{error}");
}

#[test]
fn the_encoder_of_a_t5_in_gguf_embeds_as_transformers_does() {
    let answers = answers();
    for device in every_device() {
        for name in ["t5encoder", "umt5encoder"] {
            let model = load(&opened(&[fixture(&format!("encoders/{name}.gguf"))]), &device, Storage::default());
            assert_eq!(model.info().architecture, "t5encoder");
            let told = &answers[name];
            let last =
                EmbedOptions { pooling: Some(PoolingName::Last), normalize: Some(false), ..EmbedOptions::default() };
            for (what, options) in [("embed", EmbedOptions::default()), ("last", last)] {
                for (i, got) in embed(&model, &texts(&answers), options).iter().enumerate() {
                    near(&format!("{name}, {what} of text {i}"), got, &numbers_in(&told[what][i]));
                }
            }
            proved("t5encoder", "GGUF", &device, RANDOM);
        }
    }
}

#[test]
fn two_texts_are_labelled_together_as_transformers_does() {
    let answers = answers();
    let labels: Vec<&str> = answers["labels"].as_array().expect("labels").iter().filter_map(Value::as_str).collect();
    for device in every_device() {
        for family in FAMILIES {
            let model = open(&format!("{family}/classify"), &device);
            for (i, pair) in answers["pairs"].as_array().expect("pairs").iter().enumerate() {
                let [first, second] = [0, 1].map(|at| pair[at].as_str().expect("a text"));
                let first = Input::Text(first.into());
                let got = block_on(model.classify(&first, Some(second), false, &Cancel::new())).expect("labels");
                let alone = block_on(model.classify(&first, None, false, &Cancel::new())).expect("labels");
                assert_ne!(got, alone);
                let wanted = numbers_in(&answers[family]["pairs"][i]);
                for (label, wanted) in labels.iter().zip(wanted) {
                    let found = got.iter().find(|each| each.label == *label).expect("the label");
                    assert!((found.probability - wanted).abs() < 2e-4, "{family}, {label}: {found:?}, not {wanted}");
                }
            }
        }
    }
}

#[test]
fn of_two_texts_that_are_too_long_the_longer_one_is_cut() {
    let model = open("bert/classify", &on_cpu());
    let classify = |first: &str, second: &str, truncate| {
        block_on(model.classify(&Input::Text(first.into()), Some(second), truncate, &Cancel::new()))
    };
    let long = "fox ".repeat(40);
    let error = classify("a fox", &long, false).expect_err("refused");
    assert_eq!(error.code(), ErrorCode::ContextOverflow, "{error}");
    // 90 tokens, of which three are marks and five the first text's.
    let cut = classify("a fox", &long, true).expect("labels");
    assert_eq!(cut, classify("a fox", &long[..82], false).expect("labels"));
    assert_eq!(
        classify(&long, &long, true).expect("labels"),
        classify(&long[..43], &long[..44], false).expect("labels")
    );
    let error =
        block_on(model.classify(&Input::Ids(vec![2, 6, 3]), Some("a"), false, &Cancel::new())).expect_err("refused");
    assert!(error.code() == ErrorCode::BadArgument && error.to_string().contains("given as text"), "{error}");
}

#[test]
fn encoders_are_quantised_while_they_load() {
    let answers = answers();
    let file = folder("distilbert/embed");
    let wanted = numbers_in(&answers["distilbert"]["embed"][1]);
    for (storage, least) in [(Storage::Q8_0, 0.999), (Storage::Q4_0, 0.85)] {
        let model = load(&file, &on_cpu(), storage);
        let got = &embed(&model, &texts(&answers)[1..2], EmbedOptions::default())[0];
        assert!(cosine(got, &wanted) > least, "{storage:?}: {}", cosine(got, &wanted));
    }
}

#[test]
fn what_an_encoder_cannot_do_is_refused_in_words() {
    let model = open("bert/embed", &on_cpu());
    let refused = |error: Option<vitrine::Error>, code: ErrorCode, said: &str| {
        let error = error.expect("refused");
        assert!(error.code() == code && error.to_string().contains(said), "{error} does not say {said}");
    };
    let text = |text: &str| Input::Text(text.into());
    let cancel = Cancel::new();
    refused(block_on(model.fill(&text("a [MASK]"), 3, &cancel)).err(), ErrorCode::BadArgument, "fills no masks");
    refused(block_on(model.classify(&text("a"), None, false, &cancel)).err(), ErrorCode::BadArgument, "no labels");
    let long = text(&"fox ".repeat(40));
    let try_embed = |text: Input, options| block_on(model.embed(&[text], options, &cancel));
    refused(try_embed(long.clone(), EmbedOptions::default()).err(), ErrorCode::ContextOverflow, "truncate");
    assert!(try_embed(long, EmbedOptions { truncate: true, ..EmbedOptions::default() }).is_ok());
    refused(
        try_embed(Input::Ids(vec![2, 40, 3]), EmbedOptions::default()).err(),
        ErrorCode::BadArgument,
        "token id 40",
    );
    refused(try_embed(Input::Ids(vec![]), EmbedOptions::default()).err(), ErrorCode::BadArgument, "nothing to read");
    let options = EmbedOptions { dimensions: Some(37), ..EmbedOptions::default() };
    refused(try_embed(text("a"), options).err(), ErrorCode::BadArgument, "dimensions is 37");
    let fills = open("bert/fill", &on_cpu());
    refused(block_on(fills.fill(&text("a fox"), 3, &cancel)).err(), ErrorCode::BadArgument, "no [MASK]");
    refused(block_on(fills.fill(&text("a [MASK]"), 0, &cancel)).err(), ErrorCode::BadArgument, "k is 0");
    // A mark in a reader's words is no mark.
    let plain = embed(&model, &[text("a [SEP]")], EmbedOptions::default());
    let marked = embed(&model, &[Input::Ids(vec![2, 6, 5, 3, 3])], EmbedOptions::default());
    assert!(cosine(&plain[0], &marked[0]) < 0.9999);
    model.close();
    refused(try_embed(text("a"), EmbedOptions::default()).err(), ErrorCode::Closed, "unloaded");
}

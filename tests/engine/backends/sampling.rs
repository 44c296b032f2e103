//! Samplers against llama.cpp's: what each chain leaves of some logits, and with which probabilities (`training/make_sampling_fixtures.py`).

use serde_json::Value;
use vitrine::graph::{Choice, SampleParams, trace};

use crate::common::json;

fn floats(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

/// Sets what a case names; a name that no number has fails.
fn params(case: &Value) -> SampleParams {
    let mut params = SampleParams { temperature: 1.0, ..SampleParams::default() };
    for (name, value) in case.as_object().unwrap() {
        let x = value.as_f64().unwrap_or(f64::NAN) as f32;
        match name.as_str() {
            "temperature" => params.temperature = x,
            "dynamic_range" => params.dynamic_range = x,
            "dynamic_exponent" => params.dynamic_exponent = x,
            "top_n_sigma" => params.top_n_sigma = x,
            "top_k" => params.top_k = x as u32,
            "typical_p" => params.typical_p = x,
            "top_p" => params.top_p = x,
            "min_p" => params.min_p = x,
            "xtc_probability" => params.xtc_probability = x,
            "xtc_threshold" => params.xtc_threshold = x,
            "mirostat_mu" => params.mirostat_mu = x,
            "repetition_penalty" => params.repetition_penalty = x,
            "presence_penalty" => params.presence_penalty = x,
            "frequency_penalty" => params.frequency_penalty = x,
            "logits" | "left" | "window" | "bias" | "dry" => {}
            other => panic!("{other} is no number of a choice"),
        }
    }
    params
}

#[test]
fn every_chain_leaves_what_llama_cpp_leaves() {
    let fixture = json("sampling.json");
    let history: Vec<usize> = floats(&fixture["history"]).iter().map(|id| *id as usize).collect();
    let mut compared = 0;
    for case in fixture["cases"].as_array().unwrap().iter().filter(|case| case["dry"].is_null()) {
        let logits = floats(&fixture["logits"][case["logits"].as_u64().unwrap() as usize]);
        let mut seen = vec![0; logits.len()];
        let window = case["window"].as_u64().map_or(history.len(), |window| window as usize);
        history[history.len() - window..].iter().for_each(|id| seen[*id] += 1);
        let mut bias = vec![0.0; logits.len()];
        for (id, value) in case["bias"].as_object().into_iter().flatten() {
            bias[id.parse::<usize>().unwrap()] = value.as_f64().unwrap() as f32;
        }
        let ids: Vec<u32> = (0..logits.len() as u32).collect();
        let choice = Choice { logits: &logits, seen: &seen, bias: &bias };
        let (fates, _) = trace(&params(case), choice, &ids);
        for (id, fate) in ids.iter().zip(&fates) {
            let left = case["left"].get(id.to_string()).map(|p| p.as_f64().unwrap());
            assert_eq!(left.is_some(), fate.dropped_by.is_none(), "token {id} is {fate:?} of {case}");
            let (p, expected) = (f64::from(fate.probability), left.unwrap_or(0.0));
            assert!((p - expected).abs() < 1e-5, "token {id} has {p}, of llama.cpp {expected}: {case}");
        }
        compared += 1;
    }
    assert!(compared > 40, "{compared}");
}

//! Trained weights, and small weights with PyTorch's answers beside them.

use std::path::Path;

use super::{Running, agrees_with_candle};
use crate::common::{cosine, fixture, ids_in, json, numbers_in, on_cpu, proofs::RANDOM, proved, reference, spelled};

#[test]
fn stories260k_tells_what_llama2c_tells_for_200_greedy_steps() {
    let Some(path) = reference("llm/stories260K/stories260K-f32.gguf") else { return };
    let Some(expected) = reference("llm/stories260K/greedy200.txt") else { return };
    let expected = std::fs::read_to_string(expected).expect("a text");
    let mut model = Running::open(&[&path]);
    let tokens = model.greedy(&[1], 200);
    let told = spelled(&model.file, &tokens);
    // The piece after the beginning of the text carries a space that is no part of it.
    assert_eq!(told.trim_start().trim_end_matches('\n'), expected.trim_end_matches('\n'));
}

#[test]
fn quantised_stories260k_agrees_with_candle() {
    let prompt = [1, 403, 407, 261, 378, 432, 438, 285, 310, 320, 301, 420, 411];
    for kind in ["q8_0", "q4_0", "f32"] {
        let Some(path) = reference(&format!("llm/stories260K/stories260K-{kind}.gguf")) else { return };
        agrees_with_candle(&path, &prompt, 0.999);
    }
}

/// PyTorch's tokens, 64 of them for most, and its logits after the prompt and after the last of them, as a fixture has them.
pub fn goes_on_as_pytorch_does(model: &mut Running, fixture: &str) {
    let answers = json(fixture);
    let prompt = ids_in(&answers["prompt_ids"]);
    let (first, logits) = model.prefill(&prompt);
    for (got, want) in logits.iter().zip(numbers_in(&answers["logits_after_prompt"])) {
        assert!((got - want).abs() < 1e-3, "a logit is {got}, PyTorch's is {want}");
    }
    let mut tokens = vec![first];
    let mut logits = logits;
    let greedy = ids_in(&answers["greedy"]);
    while tokens.len() < greedy.len() {
        let (token, next) = model.decode();
        tokens.push(token);
        logits = next;
    }
    assert_eq!(tokens, greedy, "{fixture}");
    let got = cosine(&logits, &numbers_in(&answers["logits_last"]));
    assert!(got > 0.999_99, "{fixture}: cosine {got}");
}

fn tiny_llama_from(paths: &[&Path]) {
    goes_on_as_pytorch_does(&mut Running::open(paths), "tiny_llama.json");
}

#[test]
fn a_tiny_llama_from_a_gguf_gives_pytorchs_64_tokens() {
    tiny_llama_from(&[&fixture("tiny_llama.gguf")]);
    proved("llama", "GGUF", &on_cpu(), RANDOM);
}

#[test]
fn a_tiny_llama_from_safetensors_gives_pytorchs_64_tokens() {
    tiny_llama_from(&[&fixture("tiny_llama/model.safetensors"), &fixture("tiny_llama/config.json")]);
    proved("llama", "safetensors", &on_cpu(), RANDOM);
}

#[test]
fn a_prefill_in_chunks_a_token_at_a_time_and_a_score_agree() {
    let answers = json("tiny_llama.json");
    let prompt: Vec<u32> =
        ids_in(&answers["prompt_ids"]).into_iter().chain(ids_in(&answers["greedy"])).take(45).collect();
    let path = fixture("tiny_llama.gguf");
    let whole = Running::open(&[&path]).prefill(&prompt).1;
    for chunk in [1, 2, 3, 7, 16] {
        let mut model = Running::open(&[&path]);
        let last = prompt.chunks(chunk).map(|ids| model.prefill(ids).1).last().expect("a chunk");
        assert!(cosine(&last, &whole) > 0.999_999, "in chunks of {chunk}: {}", cosine(&last, &whole));
    }
    let scored = Running::open(&[&path]).score(&prompt);
    assert_eq!(scored.len(), prompt.len());
    assert!(cosine(&scored[44], &whole) > 0.999_999);
    let mut model = Running::open(&[&path]);
    for (i, id) in prompt.iter().enumerate() {
        let logits = model.prefill(&[*id]).1;
        assert!(cosine(&logits, &scored[i]) > 0.999_999, "row {i}");
    }
}

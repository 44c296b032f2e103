//! What tests prove of models, as lines that `cargo xtask test` reads and docs/models.md shows.

use vitrine::backend::Device;

/// The model is a small one of random numbers, and PyTorch's library says what it should give.
pub const RANDOM: &str = "random weights";

/// Kind and name of a family, by what the fixtures call it.
const FAMILIES: &[(&str, [&str; 2])] = &[
    ("llama", ["Language models", "Llama"]),
    ("mistral", ["Language models", "Mistral"]),
    ("qwen2", ["Language models", "Qwen 2"]),
    ("qwen3", ["Language models", "Qwen 3"]),
    ("smollm3", ["Language models", "SmolLM3"]),
    ("granite", ["Language models", "Granite"]),
    ("phi3", ["Language models", "Phi-3"]),
    ("olmo2", ["Language models", "OLMo 2"]),
    ("gemma2", ["Language models", "Gemma 2"]),
    ("gemma3", ["Language models", "Gemma 3"]),
    ("stablelm", ["Language models", "StableLM"]),
    ("stablelm_apart", ["Language models", "StableLM 2 12B's layout"]),
    ("gpt_neox", ["Language models", "GPT-NeoX"]),
    ("lfm2", ["Language models", "LFM2"]),
    ("mamba", ["Language models", "Mamba"]),
    ("falcon_mamba", ["Language models", "Falcon Mamba"]),
    ("rwkv7", ["Language models", "RWKV-7"]),
    ("gpt2", ["Language models", "GPT-2"]),
    ("opt", ["Language models", "OPT"]),
    ("opt_behind", ["Language models", "OPT 350M's layout"]),
    ("t5", ["Encoder-decoders and recurrent models", "T5"]),
    ("umt5", ["Encoder-decoders and recurrent models", "umT5"]),
    ("mt5", ["Encoder-decoders and recurrent models", "mT5"]),
    ("bart", ["Encoder-decoders and recurrent models", "BART"]),
    ("marian", ["Encoder-decoders and recurrent models", "Marian"]),
    ("marian-apart", ["Encoder-decoders and recurrent models", "Marian, a vocabulary a side"]),
    ("pegasus", ["Encoder-decoders and recurrent models", "Pegasus"]),
    ("gru", ["Encoder-decoders and recurrent models", "GRU of characters"]),
    ("lstm-one-hot", ["Encoder-decoders and recurrent models", "LSTM of characters"]),
    ("lstm-tensorflow", ["Encoder-decoders and recurrent models", "LSTM of characters"]),
    ("rnn-tanh", ["Encoder-decoders and recurrent models", "tanh cells of characters"]),
    ("g2p", ["Encoder-decoders and recurrent models", "GRU encoder-decoder (g2p-en)"]),
    ("bert", ["Encoders", "BERT"]),
    ("bert-classify", ["Encoders", "BERT, labels"]),
    ("roberta", ["Encoders", "RoBERTa"]),
    ("distilbert", ["Encoders", "DistilBERT"]),
    ("nomic_bert", ["Encoders", "Nomic BERT"]),
    ("modernbert", ["Encoders", "ModernBERT"]),
    ("model2vec", ["Encoders", "model2vec"]),
    ("model2vec-shrunk", ["Encoders", "model2vec, shrunk"]),
    ("t5encoder", ["Encoders", "T5, the encoder alone"]),
    ("wordllama", ["Encoders", "WordLlama"]),
    ("stable-diffusion", ["Pictures", "Stable Diffusion"]),
    ("pruned", ["Pictures", "Stable Diffusion, pruned (BK-SDM, tiny-sd)"]),
    ("sdxl", ["Pictures", "Stable Diffusion XL"]),
    ("sdxl-turbo", ["Pictures", "Stable Diffusion XL, Turbo"]),
    ("sdxl-lcm", ["Pictures", "Stable Diffusion XL, LCM"]),
    ("sdxl-inpainting", ["Pictures", "Stable Diffusion XL for filling in"]),
    ("inpainting", ["Pictures", "Stable Diffusion for filling in"]),
    ("illustrator", ["Pictures", "the illustrator"]),
    ("autoencoder_kl", ["Pictures", "AutoencoderKL"]),
    ("autoencoder_tiny", ["Pictures", "AutoencoderTiny"]),
    ("taef2", ["Pictures", "TAEF2"]),
    ("dcgan", ["Pictures", "DCGAN and kin"]),
    ("conv-vae", ["Pictures", "convolutional VAEs"]),
    ("dense", ["Pictures", "fully connected generators and VAEs"]),
    ("faces", ["Pictures", "the models of faces"]),
];

/// Says that a family was held, out of such files and on such a device, to what `to` says. Called once that was seen.
#[track_caller]
pub fn proved(family: &str, format: &str, device: &Device, to: &str) {
    let known = FAMILIES.iter().find(|(id, _)| *id == family);
    let (_, [kind, name]) = known.unwrap_or_else(|| panic!("{family} has no name for docs/models.md"));
    let device = if device.info().kind == "cpu" { "cpu" } else { "gpu" };
    println!("proved: {kind} | {name} | {format} | native {device} | {to}");
}

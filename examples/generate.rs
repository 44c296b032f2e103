//! Goes on with a text: `cargo run --release --example generate -- models/storyteller/storyteller-q8_0.gguf "One day a fox"`

#[cfg(not(target_arch = "wasm32"))]
fn main() -> vitrine::Result<()> {
    use vitrine::{backend, cancel::Cancel, text, weights};
    let mut words = std::env::args().skip(1);
    let (Some(path), Some(prompt)) = (words.next(), words.next()) else {
        return Err(vitrine::Error::bad_argument("usage: generate MODEL.gguf PROMPT"));
    };
    pollster::block_on(async {
        let file = weights::WeightFile::open(std::rc::Rc::new(weights::PathSource::open(path)?)).await?;
        let device = backend::Device::Cpu(backend::cpu::Device::new("an example"));
        let (options, cancel) = (text::LoadOptions::default(), Cancel::new());
        let model = text::TextModel::load(&file, &device, options, &mut |_, _| {}, &cancel).await?;
        let mut generation = model.generate(&prompt, text::GenerateOptions::default(), cancel)?;
        while let Some(event) = generation.next().await? {
            print!("{}", event.text);
        }
        Ok(())
    })
}

#[cfg(target_arch = "wasm32")]
fn main() {}

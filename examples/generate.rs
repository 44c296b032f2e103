//! Goes on with a text, natively: `cargo run --example generate -- MODEL.gguf "Once upon a time" [--gpu] [--tokens 100] [--greedy]`.
//! Prints the text as it comes, and what it took.

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    native::main()
}

#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::{io::Write, path::PathBuf, process::ExitCode, rc::Rc};

    use vitrine::{
        Error, Result,
        backend::{Device, cpu, gpu},
        cancel::Cancel,
        text::{GenerateOptions, LoadOptions, TextModel},
        weights::{PathSource, WeightFile},
    };

    struct Arguments {
        model: PathBuf,
        prompt: String,
        gpu: bool,
        options: GenerateOptions,
    }

    fn arguments() -> Result<Arguments> {
        let usage = || Error::bad_argument("usage: generate MODEL.gguf PROMPT [--gpu] [--tokens N] [--greedy]");
        let mut words = vec![];
        let mut options = GenerateOptions::default();
        let mut gpu = false;
        let mut given = std::env::args().skip(1);
        while let Some(word) = given.next() {
            match word.as_str() {
                "--gpu" => gpu = true,
                "--greedy" => options.temperature = 0.0,
                "--tokens" => options.max_tokens = given.next().and_then(|n| n.parse().ok()).ok_or_else(usage)?,
                _ => words.push(word),
            }
        }
        let [model, prompt] = words.try_into().map_err(|_| usage())?;
        Ok(Arguments { model: model.into(), prompt, gpu, options })
    }

    async fn run() -> Result<()> {
        let Arguments { model, prompt, gpu, options } = arguments()?;
        let device = if gpu {
            let opened = gpu::Device::open(gpu::Preference::Any).await;
            Device::Gpu(opened.map_err(|none| Error::bad_argument(none.reason))?)
        } else {
            Device::Cpu(cpu::Device::new("the GPU was not asked for"))
        };
        let file = WeightFile::open(Rc::new(PathSource::open(model)?)).await?;
        let cancel = Cancel::new();
        let model = TextModel::load(&file, &device, LoadOptions::default(), &mut |_, _| {}, &cancel).await?;
        let mut generation = model.generate(&prompt, options, cancel)?;
        let mut output = std::io::stdout();
        // A reader who closed the pipe has read enough.
        if write!(output, "{prompt}").is_err() {
            return Ok(());
        }
        while let Some(event) = generation.next().await? {
            if write!(output, "{}", event.text).and_then(|()| output.flush()).is_err() {
                return Ok(());
            }
        }
        // The same reader misses nothing here.
        let _ = writeln!(output, "\n{:#?}\n{:#?}", generation.end_reason(), model.stats());
        Ok(())
    }

    pub fn main() -> ExitCode {
        match pollster::block_on(run()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error}", error.code());
                ExitCode::FAILURE
            }
        }
    }
}

//! The GPU in a real browser's dedicated worker: every kernel compiles there, and a model computes what the CPU computes.

#![cfg(target_arch = "wasm32")]

/// Of what native tests share, what knows neither files nor drivers.
#[allow(dead_code)]
mod common {
    mod numbers;
    mod tokens;

    pub use numbers::{cosine, floats, numbers_in};
    pub use tokens::ids_in;
}
#[path = "models/spine.rs"]
mod spine;

use std::{collections::VecDeque, rc::Rc};

use vitrine::{
    Cancel,
    backend::{
        Device, cpu,
        gpu::{self, features::Features},
    },
    graph::{Sampled, StepParams},
    models::LanguageModel,
    weights::{MemorySource, SharedSource, Storage, WeightFile},
};
use wasm_bindgen_test::{console_log, wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

const MODEL: &[u8] = include_bytes!("fixtures/tiny_llama.gguf");

/// The GPU; none, told in the console, in a browser that has none to give. Chromium always has: the software adapter that
/// `webdriver.json` asks for.
async fn gpu_device() -> Option<gpu::Device> {
    let agent = js_sys::Function::new_no_args("return navigator.userAgent").call0(&wasm_bindgen::JsValue::UNDEFINED);
    let agent = agent.unwrap().as_string().expect("a name");
    match gpu::Device::open(gpu::Preference::Any).await {
        Err(none) if !agent.contains("Chrome") => {
            console_log!("needs-adapter: {}", none.reason);
            None
        }
        opened => Some(opened.unwrap()),
    }
}

/// `count` greedy tokens after a prompt, several steps in flight where the device takes them.
async fn greedy(device: &Device, count: usize) -> Vec<u32> {
    let source = Rc::new(MemorySource::new("tiny_llama.gguf", MODEL.to_vec())) as SharedSource;
    let file = WeightFile::open_parts(vec![source]).await.unwrap();
    let model = LanguageModel::from_gguf(&file.metadata, &file, Storage::Keep).unwrap();
    let graph = model.decode().unwrap();
    let mut loader = device.begin(&graph).await.unwrap();
    file.stream_with(&graph, model.recipes(), &mut loader, &mut |_, _| (), &Cancel::new()).await.unwrap();
    let resident = loader.finish().await.unwrap();
    let prompt = [1, 2, 3, 4, 5];
    let mut prefill = resident.compile(&model.prefill(prompt.len()).unwrap()).await.unwrap();
    let mut decode = resident.compile(&graph).await.unwrap();
    prefill.write_input("ids", &prompt).unwrap();
    let params = StepParams { row: 4, ..Default::default() };
    let mut flying = VecDeque::from([prefill.step(&params, &["sampled"]).unwrap()]);
    let mut tokens = vec![];
    for i in 1..count as u32 {
        let params = StepParams { position: 4 + i, ..Default::default() };
        flying.push_back(decode.step(&params, &["sampled"]).unwrap());
        if flying.len() > device.steps_in_flight() {
            let outputs = flying.pop_front().unwrap().await.unwrap();
            tokens.push(Sampled::from_words(&outputs[0]).unwrap().token);
        }
    }
    for pending in flying {
        tokens.push(Sampled::from_words(&pending.await.unwrap()[0]).unwrap().token);
    }
    tokens
}

#[wasm_bindgen_test]
async fn every_kernel_of_every_adapter_compiles_in_this_browser() {
    let Some(device) = gpu_device().await else { return };
    let names = gpu::kernels::compile_all(&device).await.unwrap();
    let every = gpu::kernels::every_variant().unwrap().len();
    assert!(names.len() == every && every > 200, "{} of {every} were tried", names.len());
    assert!(names.iter().any(|name| name.starts_with("matvec") && name.contains(" ALONE")), "{names:?}");
}

/// What `GPUAdapterInfo` says, without wgpu between.
async fn sizes_by_the_browser() -> (u32, u32) {
    let ask = js_sys::Function::new_no_args(
        "return navigator.gpu.requestAdapter().then(({ info }) => [info.subgroupMinSize, info.subgroupMaxSize]);",
    );
    let asked = js_sys::Promise::from(ask.call0(&wasm_bindgen::JsValue::UNDEFINED).unwrap());
    let sizes = js_sys::Array::from(&wasm_bindgen_futures::JsFuture::from(asked).await.unwrap());
    let size = |at: u32| sizes.get(at).as_f64().expect("a size") as u32;
    (size(0), size(1))
}

#[wasm_bindgen_test]
async fn wgpu_knows_the_sizes_of_subgroups_that_the_browser_tells() {
    let Some(device) = gpu_device().await else { return };
    let features = device.context().features();
    let sizes = sizes_by_the_browser().await;
    assert!(features.subgroups && sizes.0 >= 4 && sizes.0 <= sizes.1, "{features:?}, {sizes:?}");
    assert_eq!(features.subgroup_sizes, sizes);
}

#[wasm_bindgen_test]
async fn the_kernels_of_hardware_write_the_cpus_tokens_with_subgroups_and_without() {
    let Some(device) = gpu_device().await else { return };
    let on_cpu = greedy(&Device::Cpu(cpu::Device::new("the oracle")), 16).await;
    let features = Features { software: false, ..device.context().features() };
    for features in [features, features.without_subgroups()] {
        assert_eq!(greedy(&Device::Gpu(device.used_as(features)), 16).await, on_cpu, "{features:?}");
    }
}

#[wasm_bindgen_test]
async fn a_model_writes_the_same_tokens_on_the_gpu_and_on_the_cpu() {
    let Some(device) = gpu_device().await else { return };
    let on_gpu = greedy(&Device::Gpu(device), 16).await;
    let on_cpu = greedy(&Device::Cpu(cpu::Device::new("the oracle")), 16).await;
    assert_eq!(on_gpu, on_cpu);
}

/// The CPU and, in a browser that has one, the GPU.
async fn devices() -> impl Iterator<Item = Device> {
    let cpu = Device::Cpu(cpu::Device::new("the oracle"));
    [cpu].into_iter().chain(gpu_device().await.map(Device::Gpu))
}

#[wasm_bindgen_test]
async fn a_gated_t5_writes_what_it_writes_in_pytorch() {
    for device in devices().await {
        spine::t5_writes_what_it_writes_in_pytorch(&device, &spine::GATED_T5).await;
    }
}

#[wasm_bindgen_test]
async fn a_plain_t5_writes_what_it_writes_in_pytorch() {
    for device in devices().await {
        spine::t5_writes_what_it_writes_in_pytorch(&device, &spine::PLAIN_T5).await;
    }
}

#[wasm_bindgen_test]
async fn a_padded_batch_through_bert_is_pytorchs() {
    for device in devices().await {
        spine::bert_reads_a_padded_batch_as_pytorch_does(&device).await;
    }
}

#[wasm_bindgen_test]
async fn a_char_lstm_writes_what_it_writes_in_pytorch() {
    for device in devices().await {
        spine::a_char_lstm_writes_what_it_writes_in_pytorch(&device).await;
    }
}

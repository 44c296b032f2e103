//! Weights and inputs that follow from their names, as training/hashed_weights.py makes them.

use vitrine::{
    Result,
    backend::{Device, Resident},
    graph::{DType, Graph, WeightId, WeightSpec},
};

/// `count` numbers of −1 … 1: the upper 24 bits of splitmix64 of the name's FNV-1a hash.
pub fn uniform(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let hash = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
    (1..=count as u64).map(move |i| {
        let x = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 40) as f64 / 8_388_608.0 - 1.0
    })
}

/// An input of about unit variance.
pub fn rows(name: &str, count: usize) -> Vec<f32> {
    uniform(name, count).map(|u| (u * 3f64.sqrt()) as f32).collect()
}

/// The numbers of a weight.
pub fn weight(spec: &WeightSpec) -> Vec<f32> {
    let count = spec.shape.iter().product();
    let (scale, middle) = match spec.shape[..] {
        [_, columns] => ((3.0 / columns as f64).sqrt(), 0.0),
        _ => (0.1, if spec.name.ends_with("weight") { 1.0 } else { 0.0 }),
    };
    uniform(&spec.name, count).map(|u| (u * scale + middle) as f32).collect()
}

/// A model on `device` with the weights that its names give it.
pub async fn resident(device: &Device, graph: &Graph) -> Result<Resident> {
    let mut loader = device.begin(graph).await?;
    for (i, spec) in graph.weights.iter().enumerate() {
        assert_eq!(spec.dtype, DType::F32);
        loader.put(WeightId(i as u32), 0, bytemuck::cast_slice(&weight(spec)))?;
        loader.settle().await?;
    }
    loader.finish().await
}

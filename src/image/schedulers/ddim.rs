//! DDIM: the same pictures as DDPM's, without chance and in fewer steps (arXiv 2010.02502, eta = 0).

use super::{
    ladder::Ladder,
    prediction::{Prediction, clip, mix},
    scheduler::{Draw, Scheduler, Stepped},
    setup::Setup,
};

#[derive(Debug, Clone)]
pub struct Ddim {
    ladder: Ladder,
    /// The alpha that each step goes to.
    next: Vec<f64>,
    prediction: Prediction,
    clip: Option<f32>,
}

impl Ddim {
    pub fn new(setup: &Setup) -> Self {
        let timesteps = setup.spacing("leading").timesteps(setup.steps, true);
        let all = setup.alphas();
        let stride = setup.file.train_steps() / setup.steps;
        let before = |t: usize| t.checked_sub(stride).map_or(setup.final_alpha(&all, true), |t| all[t]);
        let next = timesteps.iter().map(|t| before(*t as usize)).collect();
        let alphas: Vec<f64> = timesteps.iter().map(|t| all[*t as usize]).collect();
        let (prediction, clip) = (setup.file.prediction(), setup.file.clip(true));
        Self { ladder: Ladder::of_alphas(timesteps, alphas.into_iter()), next, prediction, clip }
    }
}

impl Scheduler for Ddim {
    fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], _: Draw) -> Stepped {
        let (shares, next) = (self.ladder.levels[i], self.next[i]);
        // The noise is the denoiser's own, whatever is clipped off the picture.
        let noise = self.prediction.noise(shares, prediction, latent);
        let clean = clip(self.prediction.clean(shares, prediction, latent), self.clip);
        Stepped { latent: mix(&[(next.sqrt(), &clean), ((1.0 - next).sqrt(), &noise)]), clean }
    }
}

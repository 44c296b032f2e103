//! DPM-Solver and DPM-Solver++ of orders 1 to 3 (arXiv 2206.00927, 2211.01095), and DEIS (arXiv 2204.13902), which is the same with a polynomial of
//! the noise that bends as it should: a step looks back on what the steps before predicted (2M), or takes two or three from one latent (2S).

use super::{
    config::is,
    euler::edm_ladder,
    ladder::Ladder,
    names::SchedulerName,
    prediction::{Reading, mix, shares},
    scheduler::{Draw, Scheduler, Stepped},
    setup::Setup,
    solver::{Algorithm, Leap},
};

#[derive(Debug, Clone)]
pub struct DpmSolver {
    ladder: Ladder,
    /// Of each step, and behind the last.
    sigmas: Vec<f64>,
    reading: Reading,
    algorithm: Algorithm,
    deis: bool,
    /// How an order above 1 reckons with slopes: their own integral, or half the constant's.
    heun: bool,
    /// The order of each step where all goes well.
    orders: Vec<usize>,
    /// Whether steps of an order begin together, at the latent of the first.
    single: bool,
    /// What earlier steps predicted, the latest first.
    before: Vec<Vec<f32>>,
    /// The latent that a group of steps began with.
    held: Vec<f32>,
}

impl DpmSolver {
    pub fn new(setup: &Setup) -> Self {
        let (file, name) = (setup.file, setup.class.name);
        let deis = name == SchedulerName::Deis;
        let algorithm = match file.algorithm_type.as_deref() {
            _ if deis => Algorithm::Noise,
            Some("dpmsolver") => Algorithm::Noise,
            Some("sde-dpmsolver") => Algorithm::NoiseSde,
            Some("sde-dpmsolver++") => Algorithm::PictureSde,
            _ => Algorithm::Picture,
        };
        let (ladder, sigmas, reading) = if name == SchedulerName::EdmDpmSolver {
            let (timesteps, sigmas, reading) = setup.edm();
            (edm_ladder(timesteps, &sigmas, &reading), sigmas, reading)
        } else {
            let (timesteps, sigmas) = setup.solved();
            let levels = sigmas.iter().map(|sigma| shares(*sigma)).collect();
            (Ladder::of_shares(timesteps, levels), sigmas, setup.reading())
        };
        let (steps, order) = (ladder.steps, file.solver_order.unwrap_or(2).min(3));
        let single = name == SchedulerName::DpmSolverSingle;
        let orders = if single {
            let to_zero = !setup.ends_at_least();
            let lower = is(file.lower_order_final) || !steps.is_multiple_of(order) || to_zero;
            grouped(steps, order, lower, to_zero)
        } else {
            let short = file.lower_order_final.unwrap_or(true) && steps < 15;
            let first = short || (!deis && (is(file.euler_at_final) || !setup.ends_at_least()));
            let left = |i: usize| match steps - i {
                1 if first => 1,
                2 if short => 2,
                _ => 3,
            };
            (0..steps).map(|i| order.min(left(i))).collect()
        };
        let heun = deis || file.solver_type.as_deref() == Some("heun");
        Self { ladder, sigmas, reading, algorithm, deis, heun, orders, single, before: vec![], held: vec![] }
    }

    /// How far back in lambda the sigma of `to` lies from that of `from`, in steps of length `h`.
    fn ratio(&self, from: usize, to: usize, h: f64) -> f64 {
        (self.sigmas[from].ln() - self.sigmas[to].ln()) / h
    }

    /// What each of the latest predictions counts in a step that looks back, the latest first.
    fn looking_back(&self, i: usize, order: usize, leap: &Leap) -> [f64; 3] {
        let constant = leap.constant();
        if order == 1 || leap.h == 0.0 {
            return [constant, 0.0, 0.0];
        }
        let r0 = self.ratio(i - 1, i, leap.h);
        if order == 2 {
            let slope = if self.heun { leap.slope() } else { 0.5 * constant };
            return [constant + slope / r0, -slope / r0, 0.0];
        }
        let r1 = self.ratio(i - 2, i - 1, leap.h);
        // diffusers' DPM-Solver counts half of the second derivative, DEIS all of it.
        let bend = leap.bend() * if self.deis { 2.0 } else { 1.0 } / (r0 + r1);
        let share = r0 / (r0 + r1);
        let (near, far) = ((1.0 + share) * leap.slope() + bend, -share * leap.slope() - bend);
        [constant + near / r0, far / r1 - near / r0, -far / r1]
    }

    /// The same in a group of steps from one latent.
    fn one_evaluation(&self, i: usize, order: usize, leap: &Leap) -> [f64; 3] {
        let constant = leap.constant();
        let begin = i + 1 - order;
        let r0 = self.ratio(begin, i, leap.h);
        match order {
            1 => [constant, 0.0, 0.0],
            2 => {
                let slope = if self.heun { leap.slope() } else { 0.5 * constant };
                [slope / r0, constant - slope / r0, 0.0]
            }
            _ => {
                let r1 = self.ratio(begin, i - 1, leap.h);
                let (mut latest, mut middle) = (leap.slope(), 0.0);
                if self.heun {
                    let bend = 2.0 * leap.bend() / (r0 - r1);
                    middle = r0 / (r0 - r1) * leap.slope() - bend;
                    latest = -r1 / (r0 - r1) * leap.slope() + bend;
                }
                let (latest, middle) = (latest / r0, middle / r1);
                [latest, middle, constant - latest - middle]
            }
        }
    }
}

/// The orders of steps that are taken in groups: 1, 2, 3, 1, 2, 3 …
fn grouped(steps: usize, order: usize, lower: bool, to_zero: bool) -> Vec<usize> {
    let mut orders: Vec<usize> = (0..steps).map(|i| i % order + 1).collect();
    if lower && steps.is_multiple_of(order) {
        // The last group is one lower, and a step of order 1 is left.
        orders[steps - 1] = 1;
    }
    if to_zero {
        orders[steps - 1] = 1;
    }
    orders
}

impl Scheduler for DpmSolver {
    fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    fn step(&mut self, i: usize, prediction: &[f32], latent: &[f32], draw: Draw) -> Stepped {
        let (now, next) = (self.sigmas[i], self.sigmas[i + 1]);
        let beside = self.reading.edm.is_some();
        let (clean, seen) = if beside {
            let clean = self.reading.clean(now, prediction, latent);
            (clean.clone(), clean)
        } else {
            let clean = self.reading.prediction.clean(shares(now), prediction, latent);
            let noise = self.algorithm.of_noise();
            let seen =
                if noise { self.reading.prediction.noise(shares(now), prediction, latent) } else { clean.clone() };
            (clean, seen)
        };
        self.before.insert(0, seen);
        self.before.truncate(3);
        let order = self.orders[i].min(self.before.len());
        if order == 1 || !self.single {
            self.held = latent.to_vec();
        }
        let from = if self.single { self.sigmas[i + 1 - order] } else { now };
        let leap = Leap::new(self.algorithm, from, next, beside);
        let weights =
            if self.single { self.one_evaluation(i, order, &leap) } else { self.looking_back(i, order, &leap) };
        let mut terms = vec![(leap.kept, self.held.as_slice())];
        terms.extend(weights.iter().zip(&self.before).take(order).map(|(weight, seen)| (*weight, seen.as_slice())));
        let noise = if leap.fresh > 0.0 { draw() } else { vec![] };
        if leap.fresh > 0.0 {
            terms.push((leap.fresh, &noise));
        }
        Stepped { latent: mix(&terms), clean }
    }
}

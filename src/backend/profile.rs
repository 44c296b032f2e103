//! Where the time of a step goes, part by part. A mode for measuring only: nobody runs a step this way to get its numbers.

use serde::Serialize;

/// One kernel or operation of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// What ran, and where in the model: `matvec @ layer 3 attention`.
    pub label: String,
    pub milliseconds: f64,
}

/// What runs alike in every layer, taken together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// What runs, and in which part of the model: `"matvec @ attention"`.
    pub part: String,
    /// How often a step runs it.
    pub runs: usize,
    /// Milliseconds that all of its runs in one step take.
    pub ms: f64,
}

/// The timings of `steps` steps by part, the longest first, each for one step.
pub fn by_part(timings: &[Timing], steps: usize) -> Vec<Part> {
    let steps = steps.max(1);
    let mut parts: Vec<Part> = vec![];
    for timing in timings {
        let part = part_of(&timing.label);
        match parts.iter_mut().find(|known| known.part == part) {
            Some(known) => {
                known.runs += 1;
                known.ms += timing.milliseconds;
            }
            None => parts.push(Part { part, runs: 1, ms: timing.milliseconds }),
        }
    }
    for part in &mut parts {
        part.runs = part.runs.div_ceil(steps);
        part.ms /= steps as f64;
    }
    parts.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    parts
}

/// A label without the number of its layer.
fn part_of(label: &str) -> String {
    let Some((before, after)) = label.split_once("layer ") else { return label.to_owned() };
    format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start())
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    #[test]
    fn layers_are_summed_and_steps_are_averaged() {
        let timing = |label: &str, milliseconds| Timing { label: label.into(), milliseconds };
        let step = [
            timing("matvec @ layer 0 attention", 1.0),
            timing("matvec @ layer 11 attention", 2.0),
            timing("sample @ output", 0.5),
        ];
        let parts = by_part(&[step.clone(), step].concat(), 2);
        assert_eq!(
            parts,
            [
                Part { part: "matvec @ attention".into(), runs: 2, ms: 3.0 },
                Part { part: "sample @ output".into(), runs: 1, ms: 0.5 }
            ]
        );
    }
}

//! What only some aggregators need to know of a bucket, and what takes more than a few words.

use super::sum::Sum;
use super::values::Values;
use super::{Needs, Sample};

/// All of it. What is not needed stays empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Details {
    /// Which values there are, for percentiles, `mode` and `distinct`.
    pub(super) values: Values,
    /// What a counter has counted from the first to the last sample.
    pub(super) increase: Sum,
    /// For each value of [`Needs::held`] how long it held from the first to the last sample, in
    /// milliseconds.
    pub(super) held_ms: Vec<i64>,
}

impl Details {
    /// What there is to know of samples in order of time, none of which is NaN.
    fn of(needs: &Needs, times: &[i64], values: &[f64]) -> Self {
        let mut details = Self::default();
        if needs.values {
            details.values = Values::of(values);
        }
        if needs.increase {
            for (&old, &new) in values.iter().zip(values.iter().skip(1)) {
                details.increase += Sum::of_one(counted(old, new));
            }
        }
        let held_ms = |&value| held_ms(times, values, value);
        details.held_ms = needs.held.iter().map(held_ms).collect();
        details
    }

    /// [`Details::of`], apart from the code that most queries run.
    #[cold]
    #[inline(never)]
    pub(super) fn boxed(needs: &Needs, times: &[i64], values: &[f64]) -> Box<Self> {
        Box::new(Self::of(needs, times, values))
    }

    /// Takes in what is known of later samples, given those on both sides of the seam.
    #[cold]
    #[inline(never)]
    pub(super) fn append(&mut self, needs: &Needs, seam: (Sample, Sample), later: Self) {
        let (last, first) = seam;
        if needs.values {
            self.values.merge(later.values);
        }
        if needs.increase {
            self.increase += Sum::of_one(counted(last.value, first.value));
            self.increase += later.increase;
        }
        for ((total_ms, later_ms), &value) in
            self.held_ms.iter_mut().zip(later.held_ms).zip(&needs.held)
        {
            *total_ms += later_ms;
            if last.value == value {
                *total_ms += first.time_ms - last.time_ms;
            }
        }
    }
}

/// What a counter has counted between two readings: one that is less began anew at 0.
fn counted(old: f64, new: f64) -> f64 {
    if new < old { new } else { new - old }
}

/// How long the signal is `value`, each sample holding until the next.
fn held_ms(times: &[i64], values: &[f64], value: f64) -> i64 {
    let steps = times.iter().zip(times.iter().skip(1)).zip(values);
    steps
        .filter(|(_, held)| **held == value)
        .map(|((from_ms, to_ms), _)| to_ms - from_ms)
        .sum()
}

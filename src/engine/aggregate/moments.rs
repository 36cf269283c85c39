//! Variance that is right for a large mean and a small spread.
//!
//! `E[x²] - E[x]²` subtracts two nearly equal numbers and can come out negative. Here each slice
//! is passed twice, first for its mean and then for the squared distances from it, and slices are
//! merged by Chan, Golub, `LeVeque`, "Updating formulae and a pairwise algorithm for computing
//! sample variances", 1979.

use super::sum::Sum;

/// Count, mean and sum of squared distances from the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// The moments of `values`, none of which is NaN.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a slice has far fewer than 2^53 values"
    )]
    pub(super) fn of(values: &[f64]) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        let count = values.len() as f64;
        let mean = Sum::map(values, |value| value).mean(count);
        let squares = Sum::map(values, |value| (value - mean) * (value - mean)).total();
        Self {
            count,
            mean,
            squares,
        }
    }

    /// Takes in the moments of other values.
    pub(super) fn merge(&mut self, other: Self) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = other;
            return;
        }
        let count = self.count + other.count;
        let distance = other.mean - self.mean;
        let share = other.count / count;
        self.squares += other.squares + distance * distance * self.count * share;
        self.mean += distance * share;
        self.count = count;
    }

    /// Variance of the values as the whole population. NaN without values.
    pub(super) fn population_variance(self) -> f64 {
        self.squares / self.count
    }

    /// Variance of what the values are a sample of; 0 for a single value. NaN without values.
    pub(super) fn sample_variance(self) -> f64 {
        if self.count == 1.0 {
            0.0
        } else {
            self.squares / (self.count - 1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_mean_does_not_drown_a_small_spread() {
        let values: Vec<f64> = (0..1000).map(|i| 1e12 + f64::from(i % 2)).collect();
        assert_eq!(Moments::of(&values).population_variance(), 0.25);
        let (left, right) = values.split_at(333);
        let mut merged = Moments::of(left);
        merged.merge(Moments::of(right));
        assert!((merged.population_variance() - 0.25).abs() < 1e-6);
    }

    #[test]
    fn one_value_has_no_spread_and_none_has_no_variance() {
        assert_eq!(Moments::of(&[5.0]).sample_variance(), 0.0);
        assert_eq!(Moments::of(&[5.0]).population_variance(), 0.0);
        assert!(Moments::default().population_variance().is_nan());
    }
}

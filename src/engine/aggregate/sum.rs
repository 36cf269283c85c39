//! Sums that do not drift.
//!
//! A plain sum of ten million readings around 1e6 is wrong from the tenth digit on. This one keeps
//! beside the sum the rounding errors of all its additions (`TwoSum`: Knuth, TAOCP vol. 2, 4.2.2;
//! its use for sums: Ogita, Rump, Oishi, "Accurate sum and dot product", SIAM 2005), which makes
//! the result as if summed in twice the precision. Four sums run side by side, so that the
//! compiler can use vector registers: the six operations cost less than waiting for one addition.

use std::ops::AddAssign;

/// How far a sum that overflows is scaled down: a power of two, so nothing else is lost.
const SCALE: f64 = 1.0 / 18_446_744_073_709_551_616.0;
const LANES: usize = 4;

/// A compensated sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    high: f64,
    low: f64,
    /// Whether both parts are scaled down by [`SCALE`], since they would overflow.
    scaled: bool,
}

impl Sum {
    /// The sum of `values`.
    pub fn of(values: &[f64]) -> Self {
        Self::map(values, |value| if value.is_nan() { 0.0 } else { value })
    }

    /// The sum of one value, which is not NaN.
    #[inline]
    pub fn of_one(value: f64) -> Self {
        if value.is_finite() {
            Self {
                high: value,
                ..Self::default()
            }
        } else {
            Self::of(&[value])
        }
    }

    /// The sum of `term` of each value, none of which is NaN.
    pub fn map(values: &[f64], term: impl Fn(f64) -> f64) -> Self {
        let sum = add_up(values, &term);
        if sum.high.is_finite() {
            return sum;
        }
        let scaled = add_up(values, &|value| term(value) * SCALE);
        Self {
            scaled: true,
            ..scaled
        }
    }

    /// The sum as a number; infinite where it overflows.
    pub fn total(self) -> f64 {
        if self.scaled {
            self.parts() / SCALE
        } else {
            self.parts()
        }
    }

    /// The sum divided by `count`; finite for finite terms, even where the sum is not.
    pub fn mean(self, count: f64) -> f64 {
        let mean = self.parts() / count;
        if self.scaled { mean / SCALE } else { mean }
    }

    fn parts(self) -> f64 {
        // After an infinity the errors are NaN and say nothing.
        if self.high.is_finite() {
            self.high + self.low
        } else {
            self.high
        }
    }

    #[inline]
    fn add(&mut self, term: f64) {
        let (sum, error) = two_sum(self.high, term);
        self.high = sum;
        self.low += error;
    }

    fn scale_down(self) -> Self {
        if self.scaled {
            return self;
        }
        Self {
            high: self.high * SCALE,
            low: self.low * SCALE,
            scaled: true,
        }
    }
}

impl AddAssign for Sum {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        let (mut left, mut right) = (*self, other);
        if left.scaled || right.scaled || !(left.high + right.high).is_finite() {
            left = left.scale_down();
            right = right.scale_down();
        }
        left.add(right.high);
        left.low += right.low;
        *self = left;
    }
}

/// The sum of two numbers and the error of rounding it, exactly.
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

fn add_up(values: &[f64], term: &impl Fn(f64) -> f64) -> Sum {
    let (mut high, mut low) = ([0.0; LANES], [0.0; LANES]);
    let mut add = |lane: usize, value: f64| {
        let (sum, error) = two_sum(high[lane], term(value));
        high[lane] = sum;
        low[lane] += error;
    };
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in chunk.iter().enumerate() {
            add(lane, value);
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        add(lane, value);
    }
    // Halves onto each other, so that a short slice need not wait for one lane after the other.
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            let (sum, error) = two_sum(high[lane], high[lane + width]);
            high[lane] = sum;
            low[lane] += low[lane + width] + error;
        }
        width /= 2;
    }
    Sum {
        high: high[0],
        low: low[0],
        scaled: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_terms_survive_beside_large_ones() {
        let values: Vec<f64> = (0..10_000).flat_map(|_| [1e16, 1.0, -1e16]).collect();
        assert_eq!(Sum::of(&values).total(), 10_000.0);
    }

    #[test]
    fn nan_is_left_out_and_infinity_stays() {
        assert_eq!(Sum::of(&[1.0, f64::NAN, 2.0]).total(), 3.0);
        assert_eq!(Sum::of(&[1.0, f64::INFINITY, 2.0]).total(), f64::INFINITY);
        assert!(
            Sum::of(&[f64::INFINITY, f64::NEG_INFINITY])
                .total()
                .is_nan()
        );
    }

    #[test]
    fn a_mean_is_finite_where_the_sum_is_not() {
        let mut sum = Sum::of(&[1e308, 1.5e308, 0.5e308]);
        assert_eq!(sum.total(), f64::INFINITY);
        assert_eq!(sum.mean(3.0), 1e308);
        sum += Sum::of(&[1e308; 5]);
        assert_eq!(sum.mean(8.0), 1e308);
        let mut halves = Sum::of(&[1.7e308]);
        halves += Sum::of(&[1.7e308]);
        assert_eq!(halves.mean(2.0), 1.7e308);
    }
}

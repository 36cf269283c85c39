//! Which values there are and how often, in bounded memory: for percentiles, `mode` and `distinct`.
//!
//! Values are counted in bins, of which each holds one value as long as there are no more than
//! [`MAX_BINS`] of them. Sensors give few values, so a bucket of any number of samples is mostly
//! exact. Where there are more values, pairs of neighbouring bins become one until the bins are few
//! enough:
//!
//! ```text
//! bits of a value, in an order in which they compare as the values do
//!     | sign 1 | exponent 11 | fraction 52 - shift | shift |
//!     |<----------------- bin ------------------->|
//! ```
//!
//! Bins of a power of two are so many of equal width, and the middle of a bin is off by no more than
//! a share of 2^(shift - 53) of any value in it. Values over `k` powers of two, those of both signs
//! counted, fill at most `k * 2^(52 - shift)` bins, so the share is less than `k / MAX_BINS`: 0.4 %
//! for values from 1e-9 to 1e9, and 0.006 % for those between 16 and 32.
//!
//! This is the sketch of Masson, Rim, Lee, "`DDSketch`: a fast and fully-mergeable quantile sketch with
//! relative-error guarantees", VLDB 2019, with bins that are linear within a power of two, and with
//! the collapse of Epicoco et al., "`UDDSketch`: accurate tracking of quantiles in data streams", 2020.
//! The shift is the least with which all values fit, and counts add up, so that the order in which
//! values come does not matter: either direction gives the same bits.

use super::distinct::Distinct;

/// Most bins, and most values that are told apart exactly.
pub const MAX_BINS: usize = 1 << 14;
/// Values that wait to be put into bins together.
const MAX_WAITING: usize = MAX_BINS;
/// Bins so wide are few enough whatever the values, and narrower than a power of two, so that an
/// infinity stays alone in its own.
const MAX_SHIFT: u32 = 50;

/// The values of a bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    /// Keys that are not yet in `bins`.
    waiting: Vec<u64>,
    /// Key without its last `shift` bits, and how many values have it; in order.
    bins: Vec<(u64, u64)>,
    shift: u32,
    /// All values, from when bins hold more than one.
    distinct: Option<Box<Distinct>>,
}

/// The bits of a value, in an order in which they compare as the values do. Both zeros are one.
fn key_of(value: f64) -> u64 {
    const SIGN: u64 = 1 << 63;
    let bits = (value + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn value_of(key: u64) -> f64 {
    const SIGN: u64 = 1 << 63;
    f64::from_bits(if key & SIGN == 0 { !key } else { key & !SIGN })
}

impl Values {
    /// Some values, none of which is NaN.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut all = Self::default();
        for piece in values.chunks(MAX_WAITING) {
            all.waiting.extend(piece.iter().copied().map(key_of));
            all.settle_when_full();
        }
        all
    }

    /// Takes in other values, whether they came before or after.
    pub(super) fn merge(&mut self, mut other: Self) {
        if (other.bins.len(), other.waiting.len()) > (self.bins.len(), self.waiting.len()) {
            std::mem::swap(self, &mut other);
        }
        if !other.bins.is_empty() {
            self.settle();
            other.settle();
            self.coarsen_to(other.shift);
            other.coarsen_to(self.shift);
            if let (Some(distinct), Some(others)) = (&mut self.distinct, &other.distinct) {
                distinct.merge(others);
            }
            self.bins = merged(&self.bins, &other.bins);
            self.coarsen();
        }
        for piece in other.waiting.chunks(MAX_WAITING) {
            self.waiting.extend_from_slice(piece);
            self.settle_when_full();
        }
    }

    fn settle_when_full(&mut self) {
        if self.waiting.len() >= MAX_WAITING {
            self.settle();
        }
    }

    /// Puts all values into bins. The results below count what is in bins.
    pub(super) fn settle(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_unstable();
        if let Some(distinct) = &mut self.distinct {
            distinct.extend(waiting.iter().copied());
        }
        let mut fresh: Vec<(u64, u64)> = Vec::new();
        for key in waiting.iter().map(|key| key >> self.shift) {
            count(&mut fresh, (key, 1));
        }
        self.bins = if self.bins.is_empty() {
            fresh
        } else {
            merged(&self.bins, &fresh)
        };
        self.coarsen();
        waiting.clear();
        self.waiting = waiting;
    }

    /// Makes bins wider until they are few enough.
    fn coarsen(&mut self) {
        while self.bins.len() > MAX_BINS && self.shift < MAX_SHIFT {
            self.coarsen_to(self.shift + 1);
        }
    }

    fn coarsen_to(&mut self, shift: u32) {
        if shift <= self.shift {
            return;
        }
        if self.shift == 0 {
            let mut distinct = Box::<Distinct>::default();
            distinct.extend(self.bins.iter().map(|bin| bin.0));
            self.distinct = Some(distinct);
        }
        let by = shift - self.shift;
        let mut wider: Vec<(u64, u64)> = Vec::with_capacity(self.bins.len());
        for &(key, times) in &self.bins {
            count(&mut wider, (key >> by, times));
        }
        (self.bins, self.shift) = (wider, shift);
    }

    /// The value that stands for a bin: the only one, or the one in the middle.
    fn middle(&self, bin: u64) -> f64 {
        if self.shift == 0 {
            return value_of(bin);
        }
        let first = bin << self.shift;
        let (low, high) = (value_of(first), value_of(first | ((1 << self.shift) - 1)));
        if low <= 0.0 && 0.0 <= high {
            0.0
        } else if low.is_nan() {
            high // Minus infinity, and what is no number.
        } else if high.is_nan() {
            low // Infinity, likewise.
        } else {
            low / 2.0 + high / 2.0
        }
    }

    /// The value below which a share of the others lies, linear between two ranks: the seventh
    /// definition of Hyndman, Fan, "Sample quantiles in statistical packages", 1996. `extremes` are
    /// the smallest and the largest value.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks stay far below 2^53 and are not negative"
    )]
    pub(super) fn quantile(&self, share: f64, extremes: (f64, f64)) -> f64 {
        let len: u64 = self.bins.iter().map(|bin| bin.1).sum();
        let Some(last) = len.checked_sub(1) else {
            return f64::NAN;
        };
        let rank = share * last as f64;
        let (below, part) = ((rank.floor() as u64).min(last), rank.fract());
        let low = self.at_rank(below, last, extremes);
        if part == 0.0 {
            return low;
        }
        let high = self.at_rank(below + 1, last, extremes);
        if low == high {
            return low;
        }
        low * (1.0 - part) + high * part
    }

    fn at_rank(&self, rank: u64, last: u64, (min, max): (f64, f64)) -> f64 {
        if rank == 0 {
            return min;
        }
        if rank >= last {
            return max;
        }
        let mut before = 0;
        for &(bin, times) in &self.bins {
            before += times;
            if rank < before {
                return self.middle(bin).clamp(min, max);
            }
        }
        max
    }

    /// The most frequent value, and the smallest of several. NaN without values.
    pub(super) fn mode(&self) -> f64 {
        let mut best = None;
        for &(bin, times) in &self.bins {
            if best.is_none_or(|(_, most)| times > most) {
                best = Some((bin, times));
            }
        }
        best.map_or(f64::NAN, |(bin, _)| self.middle(bin))
    }

    /// How many different values there are.
    #[expect(clippy::cast_precision_loss, reason = "there are few bins")]
    pub(super) fn distinct(&self) -> f64 {
        match &self.distinct {
            None => self.bins.len() as f64,
            Some(distinct) => distinct.estimate(),
        }
    }
}

/// Adds to the last bin, or begins the next.
fn count(bins: &mut Vec<(u64, u64)>, (key, times): (u64, u64)) {
    match bins.last_mut() {
        Some(last) if last.0 == key => last.1 += times,
        _ => bins.push((key, times)),
    }
}

/// The bins of both, in order.
fn merged(left: &[(u64, u64)], right: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut all = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left, right);
    while let ([one, rest @ ..], [other, other_rest @ ..]) = (left, right) {
        if one.0 <= other.0 {
            count(&mut all, *one);
            left = rest;
        } else {
            count(&mut all, *other);
            right = other_rest;
        }
    }
    for &bin in left.iter().chain(right) {
        count(&mut all, bin);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(values: &[f64]) -> Values {
        let mut all = Values::of(values);
        all.settle();
        all
    }

    fn extremes(values: &[f64]) -> (f64, f64) {
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        (
            min,
            values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        )
    }

    /// Values without order, over many powers of two and of both signs.
    fn many(count: u32) -> Vec<f64> {
        let mut seed = 7u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            f64::from(u32::try_from(seed >> 32).unwrap())
        };
        (0..count)
            .map(|at| (next() - 2e9) / 10f64.powi(i32::try_from(at % 12).unwrap()))
            .collect()
    }

    #[test]
    fn few_values_are_exact_whatever_their_number() {
        let values: Vec<f64> = (0..100_000)
            .map(|at| f64::from(at % 1000) - 500.0)
            .collect();
        let all = settled(&values);
        assert_eq!(all.quantile(0.5, extremes(&values)), -0.5);
        assert_eq!(all.quantile(0.0, extremes(&values)), -500.0);
        assert_eq!(all.quantile(1.0, extremes(&values)), 499.0);
        assert_eq!(all.distinct(), 1000.0);
        assert_eq!(all.mode(), -500.0);
        assert_eq!(settled(&[0.0, -0.0, 3.0]).distinct(), 2.0);
        assert_eq!(
            settled(&[1.0, 4.0, 2.0, 3.0]).quantile(0.5, (1.0, 4.0)),
            2.5
        );
    }

    #[test]
    fn many_values_are_off_by_a_small_share() {
        let mut values = many(200_000);
        let all = settled(&values);
        assert!(all.shift > 0 && all.bins.len() <= MAX_BINS);
        let ends = extremes(&values);
        values.sort_by(f64::total_cmp);
        for percent in 0u32..=100 {
            let at = percent as usize * (values.len() - 1) / 100;
            let share = f64::from(percent) / 100.0;
            let (exact, ours) = (values[at], all.quantile(share, ends));
            // The rank lies between two values, and is rounded.
            let slack = (values[(at + 1).min(values.len() - 1)] - exact).abs();
            assert!(
                (ours - exact).abs() <= exact.abs() * 0.008 + slack,
                "{ours} {exact}"
            );
        }
        let exact = 200_000.0;
        assert!(
            (all.distinct() - exact).abs() < 0.04 * exact,
            "{}",
            all.distinct()
        );
    }

    #[test]
    fn the_order_does_not_matter() {
        let values = many(60_000);
        let whole = settled(&values);
        for piece in [512, 7_000, 40_000] {
            let (mut forwards, mut backwards) = (Values::default(), Values::default());
            for piece in values.chunks(piece) {
                forwards.merge(Values::of(piece));
            }
            for piece in values.rchunks(piece) {
                let mut first = Values::of(piece);
                first.merge(backwards);
                backwards = first;
            }
            for mut all in [forwards, backwards] {
                all.settle();
                assert_eq!((&all.bins, all.shift), (&whole.bins, whole.shift));
                assert_eq!(all.distinct(), whole.distinct());
            }
        }
    }

    #[test]
    fn infinities_and_zero_keep_to_themselves() {
        let mut values = many(50_000);
        values.extend(vec![f64::INFINITY; 60_000]);
        values.extend(vec![f64::NEG_INFINITY; 70_000]);
        let all = settled(&values);
        let ends = extremes(&values);
        assert_eq!(all.quantile(0.2, ends), f64::NEG_INFINITY);
        assert_eq!(all.quantile(0.8, ends), f64::INFINITY);
        assert_eq!(all.mode(), f64::NEG_INFINITY);
        values.extend(vec![0.0; 80_000]);
        assert_eq!(settled(&values).mode(), 0.0);
        assert!(settled(&[]).quantile(0.5, ends).is_nan());
        let mut widest: Vec<f64> = (0..=u16::MAX)
            .map(|high| f64::from_bits(u64::from(high) << 48 | 1))
            .filter(|value| !value.is_nan())
            .collect();
        widest.extend_from_within(..);
        let all = settled(&widest);
        assert!(all.bins.len() <= MAX_BINS);
    }
}

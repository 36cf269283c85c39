//! Aggregators: many samples in, one number out.
//!
//! A [`Partial`] is what is known of the samples of one bucket so far. Slices of samples are
//! folded into it, and two partials of neighbouring times merge into one, so that buckets may be
//! put together from blocks in any direction, and later from summaries and threads. All aggregators
//! of a query share it: only what one of them needs is computed, and once.
//!
//! NaN means "measured, but no number": every aggregator leaves it out, except `countnan` and
//! `countall`, which count it.

mod aggregator;
mod area;
mod details;
mod distinct;
mod moments;
mod sum;
mod values;

use super::Sample;
use super::series::block::Block;
pub use aggregator::{Aggregator, MAX_AGGREGATORS, Needs};
pub use area::Edges;
use area::area;
use details::Details;
use moments::Moments;
pub use sum::Sum;
pub use values::MAX_BINS;

const MS_A_SECOND: f64 = 1000.0;

/// What is known of the samples of one bucket.
#[derive(Clone, Debug, Default)]
pub struct Partial {
    /// Number of samples that are not NaN.
    count: u64,
    /// Number of samples that are.
    nan_count: u64,
    /// Oldest and newest sample that is not NaN, where there is one.
    ends: Option<(Sample, Sample)>,
    sum: Sum,
    /// Smallest and largest value; meaningless without one.
    extremes: (f64, f64),
    moments: Moments,
    /// Area under the signal from the first to the last of `ends`, in value x milliseconds.
    area: Sum,
    /// Where they are needed and there is a number. A partial is moved a lot, so they are elsewhere.
    details: Option<Box<Details>>,
}

impl Partial {
    /// Folds samples in order of time.
    pub fn of(needs: &Needs, times: &[i64], values: &[f64]) -> Self {
        let nan_count = values.iter().filter(|value| value.is_nan()).count();
        if nan_count == 0 {
            return Self::of_numbers(needs, times, values);
        }
        let kept = times
            .iter()
            .zip(values)
            .filter(|(_, value)| !value.is_nan());
        let (times, values): (Vec<_>, Vec<_>) = kept.unzip();
        let numbers = Self::of_numbers(needs, &times, &values);
        Self {
            nan_count: nan_count as u64,
            ..numbers
        }
    }

    fn of_numbers(needs: &Needs, times: &[i64], values: &[f64]) -> Self {
        let ([first_ms, ..], [first, ..]) = (times, values) else {
            return Self::default();
        };
        let ([.., last_ms], [.., last]) = (times, values) else {
            return Self::default();
        };
        let ends = (Sample::new(*first_ms, *first), Sample::new(*last_ms, *last));
        // Each part once: a partial is larger than what is cheap to fill with zeros first.
        Self {
            count: values.len() as u64,
            nan_count: 0,
            ends: Some(ends),
            sum: if needs.sum {
                Sum::map(values, |value| value)
            } else {
                Sum::default()
            },
            extremes: if needs.extremes {
                extremes(values)
            } else {
                Default::default()
            },
            moments: if needs.moments {
                Moments::of(values)
            } else {
                Moments::default()
            },
            area: if needs.area {
                area(times, values)
            } else {
                Sum::default()
            },
            details: if needs.details {
                Some(Details::boxed(needs, times, values))
            } else {
                None
            },
        }
    }

    /// What a block's descriptor tells: all that is needed where [`Needs::are_told_by`] says so.
    pub fn of_block(needs: &Needs, block: &Block) -> Option<Self> {
        let first = if needs.first {
            block.first()?
        } else {
            Sample::new(block.first_ms(), f64::NAN)
        };
        Some(Self {
            count: block.len() as u64,
            ends: Some((first, block.last())),
            sum: block.sum(),
            extremes: block.extremes(),
            ..Self::default()
        })
    }

    /// Takes in a block of later samples by its descriptor: [`Partial::of_block`], in place. Some
    /// number came before.
    #[inline]
    pub fn append_block(&mut self, block: &Block) {
        let Some((_, last)) = &mut self.ends else {
            return;
        };
        *last = block.last();
        self.count += block.len() as u64;
        self.sum += block.sum();
        self.extremes = wider(self.extremes, block.extremes());
    }

    /// Takes in what is known of later samples.
    #[inline]
    pub fn append(&mut self, needs: &Needs, later: Self) {
        self.nan_count += later.nan_count;
        let Some((later_first, later_last)) = later.ends else {
            return;
        };
        let Some((first, last)) = self.ends else {
            *self = Self {
                nan_count: self.nan_count,
                ..later
            };
            return;
        };
        self.count += later.count;
        self.ends = Some((first, later_last));
        self.sum += later.sum;
        self.extremes = wider(self.extremes, later.extremes);
        if needs.moments {
            self.moments.merge(later.moments);
        }
        if needs.area {
            self.area += area(
                &[last.time_ms, later_first.time_ms],
                &[last.value, later_first.value],
            );
            self.area += later.area;
        }
        if let (Some(details), Some(later)) = (&mut self.details, later.details) {
            details.append(needs, (last, later_first), *later);
        }
    }

    /// Makes ready for [`Partial::result`], when no more samples come.
    #[inline]
    pub fn settle(&mut self) {
        if let Some(details) = &mut self.details {
            details.values.settle();
        }
    }

    /// Oldest and newest sample that is not NaN.
    pub fn ends(&self) -> Option<(Sample, Sample)> {
        self.ends
    }

    /// The result of one aggregator, which is among those of `needs`. `edges` is what lies around
    /// the bucket, for `twa` and `timein`.
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn result(&self, needs: &Needs, aggregator: Aggregator, edges: &Edges) -> f64 {
        let Some((first, last)) = self.ends else {
            return self.result_of_nothing(aggregator, edges);
        };
        match aggregator {
            Aggregator::Avg => self.sum.mean(self.count as f64),
            Aggregator::Sum => self.sum.total(),
            Aggregator::Min => self.extremes.0,
            Aggregator::Max => self.extremes.1,
            Aggregator::Range => self.extremes.1 - self.extremes.0,
            Aggregator::Count => self.count as f64,
            Aggregator::First => first.value,
            Aggregator::Last => last.value,
            Aggregator::StdP => self.moments.population_variance().sqrt(),
            Aggregator::StdS => self.moments.sample_variance().sqrt(),
            Aggregator::VarP => self.moments.population_variance(),
            Aggregator::VarS => self.moments.sample_variance(),
            Aggregator::Twa => edges.average(self.area, first, last),
            Aggregator::CountNan => self.nan_count as f64,
            Aggregator::CountAll => (self.count + self.nan_count) as f64,
            Aggregator::Delta => last.value - first.value,
            Aggregator::Integral => self.area.total() / MS_A_SECOND,
            _ => match &self.details {
                None => f64::NAN,
                Some(details) => self.detail(needs, details, aggregator, edges, (first, last)),
            },
        }
    }

    /// The result of an aggregator that needs details; apart, so that the others stay short.
    #[cold]
    #[inline(never)]
    #[expect(clippy::cast_precision_loss, reason = "2^53 ms are 285,000 years")]
    fn detail(
        &self,
        needs: &Needs,
        details: &Details,
        aggregator: Aggregator,
        edges: &Edges,
        (first, last): (Sample, Sample),
    ) -> f64 {
        match aggregator {
            Aggregator::Median => details.values.quantile(0.5, self.extremes),
            Aggregator::Percentile(percent) => {
                details.values.quantile(percent / 100.0, self.extremes)
            }
            Aggregator::Distinct => details.values.distinct(),
            Aggregator::Mode => details.values.mode(),
            Aggregator::Increase => details.increase.total(),
            Aggregator::Rate => {
                let span_ms = last.time_ms - first.time_ms;
                details.increase.mean(span_ms as f64 / MS_A_SECOND)
            }
            Aggregator::TimeIn(value) => {
                let at = needs.held.iter().position(|held| *held == value);
                let within_ms = at.and_then(|at| details.held_ms.get(at));
                let within_ms = within_ms.copied().unwrap_or_default();
                (within_ms + edges.held_ms(value, first, last)) as f64
            }
            _ => f64::NAN,
        }
    }

    /// The result where no sample, or only NaN, is in the bucket: what `EMPTY` fills in.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn result_of_nothing(&self, aggregator: Aggregator, edges: &Edges) -> f64 {
        match aggregator {
            Aggregator::Sum | Aggregator::Count | Aggregator::Distinct => 0.0,
            Aggregator::TimeIn(value) => edges.held_ms_of_nothing(value) as f64,
            Aggregator::CountNan | Aggregator::CountAll => self.nan_count as f64,
            Aggregator::Last => edges.before.map_or(f64::NAN, |sample| sample.value),
            Aggregator::Twa => edges.average_of_nothing(),
            _ => f64::NAN,
        }
    }
}

/// The extremes of two sets of values, none of which is NaN.
#[inline]
fn wider((min, max): (f64, f64), (other_min, other_max): (f64, f64)) -> (f64, f64) {
    (
        if other_min < min { other_min } else { min },
        if other_max > max { other_max } else { max },
    )
}

fn extremes(values: &[f64]) -> (f64, f64) {
    // Comparisons and not `f64::min`, which must mind NaN; there is none, and this vectorises.
    values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |extremes, &value| {
            wider(extremes, (value, value))
        })
}

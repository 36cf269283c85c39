//! Aggregators: many samples in, one number out.
//!
//! A [`Partial`] is what is known of the samples of one bucket so far. Slices of samples are
//! folded into it, and two partials of neighbouring times merge into one, so that buckets may be
//! put together from blocks in any direction, and later from summaries and threads. All aggregators
//! of a query share it: only what one of them needs is computed, and once.
//!
//! NaN means "measured, but no number": every aggregator leaves it out, except `countnan` and
//! `countall`, which count it.

mod area;
mod moments;
mod sum;

use super::Sample;
use super::series::block::Block;
pub use area::Edges;
use area::area;
use moments::Moments;
pub use sum::Sum;

/// How the samples of a bucket become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregator {
    /// Arithmetic mean.
    Avg,
    /// Sum.
    Sum,
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
    /// Difference of the largest and the smallest value.
    Range,
    /// Number of values.
    Count,
    /// Oldest value.
    First,
    /// Newest value.
    Last,
    /// Standard deviation of the population.
    StdP,
    /// Standard deviation of the sample.
    StdS,
    /// Variance of the population.
    VarP,
    /// Variance of the sample.
    VarS,
    /// Average weighted by time, the signal being linear between samples.
    Twa,
    /// Number of NaN.
    CountNan,
    /// Number of values and NaN.
    CountAll,
}

/// Most aggregators of one query.
pub const MAX_AGGREGATORS: usize = 15;

impl Aggregator {
    /// Every aggregator.
    pub const ALL: [Self; 15] = [
        Self::Avg,
        Self::Sum,
        Self::Min,
        Self::Max,
        Self::Range,
        Self::Count,
        Self::First,
        Self::Last,
        Self::StdP,
        Self::StdS,
        Self::VarP,
        Self::VarS,
        Self::Twa,
        Self::CountNan,
        Self::CountAll,
    ];

    /// Its name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Range => "range",
            Self::Count => "count",
            Self::First => "first",
            Self::Last => "last",
            Self::StdP => "std.p",
            Self::StdS => "std.s",
            Self::VarP => "var.p",
            Self::VarS => "var.s",
            Self::Twa => "twa",
            Self::CountNan => "countnan",
            Self::CountAll => "countall",
        }
    }

    /// Finds an aggregator by its name, in any case.
    pub fn by_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|one| name.eq_ignore_ascii_case(one.name().as_bytes()))
    }

    /// Whether a bucket that holds nothing but NaN has a result.
    pub const fn counts_nan(self) -> bool {
        matches!(self, Self::CountNan | Self::CountAll)
    }

    /// Whether it can put together values of one time: those that depend on an order of time cannot.
    pub const fn is_reducer(self) -> bool {
        !matches!(self, Self::First | Self::Last | Self::Twa)
    }

    const fn needs(self) -> Needs {
        let mut needs = Needs::NONE;
        match self {
            Self::Avg | Self::Sum => needs.sum = true,
            Self::Min | Self::Max | Self::Range => needs.extremes = true,
            Self::StdP | Self::StdS | Self::VarP | Self::VarS => needs.moments = true,
            Self::Twa => needs.area = true,
            Self::First => needs.first = true,
            Self::Count | Self::Last | Self::CountNan | Self::CountAll => {}
        }
        needs
    }
}

/// What must be computed; the counts and the samples at both ends cost next to nothing and are
/// always there, but for the first value of a whole block, which its descriptor does not have.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a set of five")]
pub struct Needs {
    /// The first value; where it is not needed, NaN may stand for it.
    pub first: bool,
    sum: bool,
    extremes: bool,
    moments: bool,
    area: bool,
}

impl Needs {
    const NONE: Self = Self {
        first: false,
        sum: false,
        extremes: false,
        moments: false,
        area: false,
    };

    /// Whether a block's descriptor tells all of it.
    pub fn are_told_by(self, block: &Block) -> bool {
        !(self.moments || self.area || block.has_nan())
    }

    /// What any of `aggregators` needs.
    pub fn of(aggregators: &[Aggregator]) -> Self {
        aggregators
            .iter()
            .map(|one| one.needs())
            .fold(Self::NONE, |a, b| Self {
                first: a.first || b.first,
                sum: a.sum || b.sum,
                extremes: a.extremes || b.extremes,
                moments: a.moments || b.moments,
                area: a.area || b.area,
            })
    }
}

/// What is known of the samples of one bucket.
#[derive(Clone, Copy, Debug, Default)]
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
}

impl Partial {
    /// Folds samples in order of time.
    pub fn of(needs: Needs, times: &[i64], values: &[f64]) -> Self {
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

    fn of_numbers(needs: Needs, times: &[i64], values: &[f64]) -> Self {
        let ([first_ms, ..], [first, ..]) = (times, values) else {
            return Self::default();
        };
        let ([.., last_ms], [.., last]) = (times, values) else {
            return Self::default();
        };
        let ends = (Sample::new(*first_ms, *first), Sample::new(*last_ms, *last));
        let mut partial = Self {
            count: values.len() as u64,
            ends: Some(ends),
            ..Self::default()
        };
        if needs.sum {
            partial.sum = Sum::map(values, |value| value);
        }
        if needs.extremes {
            partial.extremes = extremes(values);
        }
        if needs.moments {
            partial.moments = Moments::of(values);
        }
        if needs.area {
            partial.area = area(times, values);
        }
        partial
    }

    /// What a block's descriptor tells: all that is needed where [`Needs::are_told_by`] says so.
    pub fn of_block(needs: Needs, block: &Block) -> Option<Self> {
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

    /// These samples and then `later` ones.
    #[must_use]
    pub fn followed_by(mut self, needs: Needs, later: Self) -> Self {
        self.append(needs, &later);
        self
    }

    /// Takes in what is known of later samples.
    #[inline]
    pub fn append(&mut self, needs: Needs, later: &Self) {
        self.nan_count += later.nan_count;
        let Some((later_first, later_last)) = later.ends else {
            return;
        };
        let Some((first, last)) = self.ends else {
            *self = Self {
                nan_count: self.nan_count,
                ..*later
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
    }

    /// Oldest and newest sample that is not NaN.
    pub fn ends(&self) -> Option<(Sample, Sample)> {
        self.ends
    }

    /// The result of one aggregator. `edges` is what lies around the bucket, for `twa`.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn result(&self, aggregator: Aggregator, edges: &Edges) -> f64 {
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
        }
    }

    /// The result where no sample, or only NaN, is in the bucket: what `EMPTY` fills in.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn result_of_nothing(&self, aggregator: Aggregator, edges: &Edges) -> f64 {
        match aggregator {
            Aggregator::Sum | Aggregator::Count => 0.0,
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

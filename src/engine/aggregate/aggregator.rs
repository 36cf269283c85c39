//! The aggregators, and what each needs to know of a bucket.

use std::fmt;

use crate::engine::series::block::Block;

/// How the samples of a bucket become one number.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// Value in the middle.
    Median,
    /// Value below which so many percent of the others lie.
    Percentile(f64),
    /// What a counter counted from the first to the last sample; one that falls began anew at 0.
    Increase,
    /// [`Aggregator::Increase`] a second.
    Rate,
    /// Difference of the newest and the oldest value.
    Delta,
    /// Area under the signal from the first to the last sample, in value x seconds, the signal
    /// being linear between samples.
    Integral,
    /// Number of different values.
    Distinct,
    /// Most frequent value; the smallest of several.
    Mode,
    /// Milliseconds for which the signal is this value, each sample holding until the next.
    TimeIn(f64),
}

/// Most aggregators of one query.
pub const MAX_AGGREGATORS: usize = 15;

impl Aggregator {
    /// Every aggregator that takes no number, by its name.
    pub const NAMED: [(&'static str, Self); 22] = [
        ("avg", Self::Avg),
        ("sum", Self::Sum),
        ("min", Self::Min),
        ("max", Self::Max),
        ("range", Self::Range),
        ("count", Self::Count),
        ("first", Self::First),
        ("last", Self::Last),
        ("std.p", Self::StdP),
        ("std.s", Self::StdS),
        ("var.p", Self::VarP),
        ("var.s", Self::VarS),
        ("twa", Self::Twa),
        ("countnan", Self::CountNan),
        ("countall", Self::CountAll),
        ("median", Self::Median),
        ("increase", Self::Increase),
        ("rate", Self::Rate),
        ("delta", Self::Delta),
        ("integral", Self::Integral),
        ("distinct", Self::Distinct),
        ("mode", Self::Mode),
    ];

    /// Finds an aggregator that takes no number by its name, in any case.
    pub fn by_name(name: &[u8]) -> Option<Self> {
        let found = Self::NAMED
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        found.map(|&(_, aggregator)| aggregator)
    }

    /// Whether a bucket that holds nothing but NaN has a result.
    pub const fn counts_nan(self) -> bool {
        matches!(self, Self::CountNan | Self::CountAll)
    }

    /// Whether the numbers around a bucket matter.
    pub(in crate::engine) const fn looks_around(self) -> bool {
        matches!(self, Self::Twa | Self::TimeIn(_))
    }

    /// Whether it can put together values of one time: those that depend on an order of time cannot.
    pub const fn is_reducer(self) -> bool {
        !matches!(
            self,
            Self::First
                | Self::Last
                | Self::Twa
                | Self::Increase
                | Self::Rate
                | Self::Delta
                | Self::Integral
                | Self::TimeIn(_)
        )
    }

    fn add_needs(self, needs: &mut Needs) {
        match self {
            Self::Avg | Self::Sum => needs.sum = true,
            Self::Min | Self::Max | Self::Range => needs.extremes = true,
            Self::StdP | Self::StdS | Self::VarP | Self::VarS => needs.moments = true,
            Self::Twa | Self::Integral => needs.area = true,
            Self::First | Self::Delta => needs.first = true,
            Self::Median | Self::Percentile(_) => {
                needs.values = true;
                needs.extremes = true;
            }
            Self::Distinct | Self::Mode => needs.values = true,
            Self::Increase | Self::Rate => needs.increase = true,
            Self::TimeIn(value) => needs.held.push(value),
            Self::Count | Self::Last | Self::CountNan | Self::CountAll => {}
        }
    }
}

impl fmt::Display for Aggregator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percent) => write!(f, "p{percent}"),
            Self::TimeIn(value) => write!(f, "timein({value})"),
            _ => {
                let known = Self::NAMED.iter().find(|(_, known)| known == self);
                f.write_str(known.map_or("", |(name, _)| name))
            }
        }
    }
}

/// What must be computed; the counts and the samples at both ends cost next to nothing and are
/// always there, but for the first value of a whole block, which its descriptor does not have.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a set")]
pub struct Needs {
    /// The first value; where it is not needed, NaN may stand for it.
    pub first: bool,
    pub(super) sum: bool,
    pub(super) extremes: bool,
    pub(super) moments: bool,
    pub(super) area: bool,
    /// Any of those that follow.
    pub(super) details: bool,
    /// Which values there are.
    pub(super) values: bool,
    pub(super) increase: bool,
    /// The values of which it must be known how long they held.
    pub(super) held: Vec<f64>,
}

impl Needs {
    /// What any of `aggregators` needs.
    pub fn of(aggregators: &[Aggregator]) -> Self {
        let mut needs = Self::default();
        for one in aggregators {
            one.add_needs(&mut needs);
        }
        needs.details = needs.values || needs.increase || !needs.held.is_empty();
        needs
    }

    /// Whether a block's descriptor tells all of it.
    pub fn are_told_by(&self, block: &Block) -> bool {
        !(self.moments || self.area || self.details || block.has_nan())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_again() {
        for (name, aggregator) in Aggregator::NAMED {
            let upper = name.to_ascii_uppercase();
            assert_eq!(Aggregator::by_name(upper.as_bytes()), Some(aggregator));
            assert_eq!(aggregator.to_string(), name);
        }
        assert_eq!(Aggregator::by_name(b""), None);
        assert_eq!(Aggregator::Percentile(99.9).to_string(), "p99.9");
        assert_eq!(Aggregator::TimeIn(-1.5).to_string(), "timein(-1.5)");
    }
}

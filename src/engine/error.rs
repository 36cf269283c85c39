//! What the engine refuses, as data; the text of each refusal stands here and nowhere else.

use std::fmt;

/// A refusal by the engine. Nothing has changed when one is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Stored or received bytes are not what their format says.
    Corrupt {
        /// Which part of the format was violated.
        what: &'static str,
    },
    /// A sample lies before the retention window of its series.
    OlderThanRetention,
    /// A sample exists at this time and the policy is `BLOCK`.
    Duplicate,
    /// `MIN`, `MAX` or `SUM` would combine a number with NaN.
    NotANumber,
    /// An increment's time lies before the newest sample.
    BackInTime,
    /// The newest sample is NaN, so there is nothing to increment.
    IncrementOfNan,
    /// A part of a day by the local clock that does not divide it.
    UnevenDay,
    /// A size that a client can grow went over its limit.
    Limit {
        /// What there was too much of.
        what: &'static str,
        /// The most there may be.
        max: u64,
    },
    /// A pattern of a filter that cannot be used.
    Pattern {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A policy that makes no sense.
    Policy {
        /// Why.
        what: &'static str,
    },
    /// A filter that matches more series than one may.
    TooManySeries {
        /// How many match.
        series: u64,
        /// The setting.
        max: u64,
    },
}

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt { what } => write!(f, "corrupt data: {what}"),
            Self::OlderThanRetention => f.write_str("Timestamp is older than retention"),
            Self::Duplicate => f.write_str(
                "Error at upsert, update is not supported when DUPLICATE_POLICY is set to BLOCK mode",
            ),
            Self::NotANumber => f.write_str(
                "Error at upsert, either current or new value is NaN and DUPLICATE_POLICY is MAX/MIN/SUM",
            ),
            Self::BackInTime => f.write_str(
                "timestamp must be equal to or higher than the maximum existing timestamp",
            ),
            Self::IncrementOfNan => f.write_str("cannot increment/decrement NaN value"),
            Self::UnevenDay => {
                f.write_str("bucketDuration with TZ must be whole days or divide a day evenly")
            }
            Self::Limit { what, max } => write!(f, "too many {what}: the limit is {max}"),
            Self::Pattern { what } | Self::Policy { what } => f.write_str(what),
            Self::TooManySeries { series, max } => write!(
                f,
                "the filter matches {series} series, more than redis-iot.max-series {max}"
            ),
        }
    }
}

impl std::error::Error for Error {}

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
    /// A fence that makes no sense.
    Fence {
        /// Why.
        what: &'static str,
    },
    /// A schedule that cannot be read.
    Schedule {
        /// What is wrong with it.
        what: &'static str,
        /// At which byte, counted from 1.
        at: usize,
    },
    /// A polygon that is none.
    Shape {
        /// What is wrong with it.
        what: &'static str,
        /// The polygon, counted from 0.
        polygon: u32,
        /// The ring of the polygon; 0 is the outer one.
        ring: u32,
        /// The vertex of the ring, as it was given.
        vertex: u32,
    },
    /// A circle, box or corridor that is none.
    Geometry {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A text that is not JSON, or its values no GeoJSON.
    Json {
        /// What it is instead.
        what: &'static str,
        /// The line, counted from 1.
        line: u32,
        /// The byte in the line.
        column: u32,
    },
    /// A coordinate out of its range.
    Degrees {
        /// Longitude or latitude.
        axis: &'static str,
        /// What was given.
        degrees: Number,
        /// The polygon, counted from 0.
        polygon: u32,
        /// The ring of the polygon.
        ring: u32,
        /// The vertex of the ring.
        vertex: u32,
    },
    /// A text that is not the GeoJSON of a shape.
    GeoJson {
        /// What is wrong with it.
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

/// A number as it was given. It is equal to one with the same bits, so that errors can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(u64);

impl Number {
    /// A number to show.
    pub const fn new(value: f64) -> Self {
        Self(value.to_bits())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f64::from_bits(self.0).fmt(f)
    }
}

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// More of something than there may be.
    pub const fn limit(what: &'static str, max: usize) -> Self {
        let max = max as u64;
        Self::Limit { what, max }
    }

    /// Refuses more of something than there may be.
    ///
    /// # Errors
    /// `Limit`.
    pub const fn within(count: usize, what: &'static str, max: usize) -> Result<()> {
        if count > max {
            return Err(Self::limit(what, max));
        }
        Ok(())
    }
}

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
            Self::Pattern { what } | Self::Policy { what } | Self::Fence { what } => {
                f.write_str(what)
            }
            Self::Schedule { what, at } => write!(f, "{what}, at byte {at} of the schedule"),
            Self::Shape {
                what,
                polygon,
                ring,
                vertex,
            } => write!(
                f,
                "{what} at polygon {polygon}, ring {ring}, vertex {vertex}"
            ),
            Self::Geometry { what } => f.write_str(what),
            Self::Json { what, line, column } => {
                write!(f, "GeoJSON: {what} at line {line}, column {column}")
            }
            Self::Degrees {
                axis,
                degrees,
                polygon,
                ring,
                vertex,
            } => write!(
                f,
                "GeoJSON: {axis} {degrees} is out of range at polygon {polygon}, ring {ring}, vertex {vertex}"
            ),
            Self::GeoJson { what } => write!(f, "GeoJSON: {what}"),
            Self::TooManySeries { series, max } => write!(
                f,
                "the filter matches {series} series, more than redis-iot.max-series {max}"
            ),
        }
    }
}

impl std::error::Error for Error {}

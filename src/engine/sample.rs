//! The nouns of time: a sample and an inclusive range of times.

/// Milliseconds since 1970-01-01 UTC by convention; the engine only needs them ordered.
/// Series accept `0..=i64::MAX`.
pub type Timestamp = i64;

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it was measured, in milliseconds.
    pub time_ms: Timestamp,
    /// What was measured. Any bit pattern is kept; NaN stands for "measured, but no number".
    pub value: f64,
}

impl Sample {
    /// A sample of `value` at `time_ms`.
    pub const fn new(time_ms: Timestamp, value: f64) -> Self {
        Self { time_ms, value }
    }
}

/// The times from `from` to `to`, both inclusive; empty where `from > to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// The first time inside.
    pub from: Timestamp,
    /// The last time inside.
    pub to: Timestamp,
}

impl TimeRange {
    /// Every time a series can hold.
    pub const ALL: Self = Self {
        from: 0,
        to: Timestamp::MAX,
    };

    /// The range from `from` to `to`, both inclusive.
    pub const fn new(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to }
    }

    /// Whether no time is inside.
    pub const fn is_empty(self) -> bool {
        self.from > self.to
    }

    /// Whether `time_ms` is inside.
    pub const fn contains(self, time_ms: Timestamp) -> bool {
        self.from <= time_ms && time_ms <= self.to
    }

    /// Whether all of `first..=last` is inside.
    pub const fn covers(self, first: Timestamp, last: Timestamp) -> bool {
        self.from <= first && last <= self.to
    }
}

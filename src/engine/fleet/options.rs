//! What a fleet takes, and what it keeps.

use super::trail::MAX_TRAIL_LEN;
use crate::engine::{Error, Result};

/// What becomes of a position older than the one a device has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Late {
    /// It goes to the trail, at its time.
    #[default]
    Trail,
    /// It is dropped.
    Drop,
}

/// The options of a fleet. A number that is 0 switches off what it stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Positions of a trail, the present one included.
    pub trail_len: u32,
    /// How far a trail goes back from the present position, in milliseconds.
    pub retention_ms: i64,
    /// A position that is nearer than this to the one before is not taken, in metres.
    pub min_distance_m: f64,
    /// One that is less than this after the one before is not taken, in milliseconds.
    pub min_time_ms: i64,
    /// One that can be reached only at a greater speed is not taken, in metres a second.
    pub max_speed_mps: f64,
    /// One that is known to be less accurate is not taken, in metres.
    pub max_accuracy_m: f64,
    /// Whether one is not taken that is nearer to the one before than the sum of the accuracies.
    pub jitter: bool,
    /// What becomes of late ones.
    pub late: Late,
    /// Silence after which a device is removed, in milliseconds.
    pub expire_ms: i64,
}

impl Options {
    /// Checks that no number is negative or no number, and the trail within [`MAX_TRAIL_LEN`].
    ///
    /// # Errors
    /// `Limit` for the trail, `Corrupt` for what no command lets through.
    pub fn validate(&self) -> Result<()> {
        if self.trail_len > MAX_TRAIL_LEN {
            return Err(Error::Limit {
                what: "positions of a trail",
                max: MAX_TRAIL_LEN.into(),
            });
        }
        let times = [self.retention_ms, self.min_time_ms, self.expire_ms];
        let numbers = [self.min_distance_m, self.max_speed_mps, self.max_accuracy_m];
        let is_sound = |number: &f64| number.is_finite() && *number >= 0.0;
        if times.iter().all(|&time_ms| time_ms >= 0) && numbers.iter().all(is_sound) {
            Ok(())
        } else {
            Err(Error::Corrupt {
                what: "options of a fleet",
            })
        }
    }
}

impl Options {
    /// Whether any filter may hold a position back.
    pub fn has_filters(&self) -> bool {
        self.min_distance_m > 0.0
            || self.min_time_ms > 0
            || self.max_speed_mps > 0.0
            || self.max_accuracy_m > 0.0
            || self.jitter
            || self.expire_ms > 0
    }
}

/// Why a position was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// It is not accurate enough.
    Accuracy,
    /// It comes too soon.
    Time,
    /// It is too near.
    Distance,
    /// It is too far to be true.
    Speed,
    /// The device may not have moved at all.
    Jitter,
}

impl Filter {
    /// All, in the order in which [`Counters`] has them.
    pub const ALL: [Self; 5] = [
        Self::Accuracy,
        Self::Time,
        Self::Distance,
        Self::Speed,
        Self::Jitter,
    ];
}

/// What came in so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Positions that became the present one of a device.
    pub updates: u64,
    /// Positions older than that, in the trail or dropped.
    pub late: u64,
    /// Positions that a filter held back, by [`Filter`].
    pub filtered: [u64; Filter::ALL.len()],
}

impl Filter {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Time => "time",
            Self::Distance => "distance",
            Self::Speed => "speed",
            Self::Jitter => "jitter",
        }
    }
}

impl Counters {
    pub(super) fn count(&mut self, filter: Filter) {
        self.filtered[filter as usize] += 1;
    }
}

//! What happens at a time that already has a sample.

use crate::engine::options::{DuplicatePolicy, Ignore};
use crate::engine::{Error, Result, Sample};

/// The rules a write goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Upsert {
    /// A client's sample.
    Client {
        /// What happens at a time that already has a sample.
        policy: DuplicatePolicy,
        /// Which samples say nothing new; counts only with policy `LAST`.
        ignore: Ignore,
    },
    /// An effect that was decided before, on a master or before a restart: it is stored as it is,
    /// over whatever there was.
    Replay,
}

impl Upsert {
    /// The rules most tests of writes go by.
    #[cfg(test)]
    pub(super) const KEEP_LAST: Self = Self::Client {
        policy: DuplicatePolicy::Last,
        ignore: Ignore {
            max_time_diff_ms: 0,
            max_value_diff: 0.0,
        },
    };

    /// Whether `sample` says nothing new after `newest`.
    #[inline]
    pub fn ignores(&self, newest: Sample, sample: Sample) -> bool {
        let Self::Client {
            policy: DuplicatePolicy::Last,
            ignore,
        } = self
        else {
            return false;
        };
        sample.time_ms >= newest.time_ms
            && sample.time_ms - newest.time_ms <= ignore.max_time_diff_ms
            && (sample.value - newest.value).abs() <= ignore.max_value_diff
    }

    /// What comes of a sample whose time has one already, and the value that is to stand.
    ///
    /// # Errors
    /// As [`resolve`].
    pub(super) fn outcome(&self, old: f64, new: f64) -> Result<Added> {
        let value = match *self {
            Self::Client { policy, .. } => resolve(policy, old, new)?,
            Self::Replay => new,
        };
        let same = value.to_bits() == old.to_bits();
        Ok(if same {
            Added::Unchanged
        } else {
            Added::Updated(value)
        })
    }
}

/// The value that stays of two at the same time.
///
/// A number is never lost to NaN: `FIRST` and `LAST` keep it whichever came first, the policies
/// that combine refuse, and two NaN are simply NaN.
///
/// # Errors
/// `Duplicate` with policy `BLOCK`, `NotANumber` where a number would be combined with NaN.
fn resolve(policy: DuplicatePolicy, old: f64, new: f64) -> Result<f64> {
    if policy == DuplicatePolicy::Block {
        return Err(Error::Duplicate);
    }
    match (old.is_nan(), new.is_nan(), policy) {
        (true, true, _) => Ok(old),
        (true, false, DuplicatePolicy::First | DuplicatePolicy::Last) => Ok(new),
        (false, true, DuplicatePolicy::First | DuplicatePolicy::Last) => Ok(old),
        (true, false, _) | (false, true, _) => Err(Error::NotANumber),
        (false, false, DuplicatePolicy::Block | DuplicatePolicy::First) => Ok(old),
        (false, false, DuplicatePolicy::Last) => Ok(new),
        (false, false, DuplicatePolicy::Min) => Ok(old.min(new)),
        (false, false, DuplicatePolicy::Max) => Ok(old.max(new)),
        (false, false, DuplicatePolicy::Sum) => Ok(old + new),
    }
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Added {
    /// There was none at its time: it is stored.
    Stored,
    /// There was one at its time, whose value is now this.
    Updated(f64),
    /// There was one at its time, which stays.
    Unchanged,
    /// It said nothing new.
    Ignored,
}

impl Added {
    /// Whether the series is not what it was.
    pub const fn is_change(self) -> bool {
        matches!(self, Self::Stored | Self::Updated(_))
    }
}

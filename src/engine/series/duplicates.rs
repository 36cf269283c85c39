//! What happens at a time that already has a sample.

use crate::engine::options::{DuplicatePolicy, Ignore};
use crate::engine::{Error, Result, Sample};

/// The rules a write goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Upsert {
    /// What happens at a time that already has a sample.
    pub policy: DuplicatePolicy,
    /// Which samples say nothing new; counts only with policy `LAST`.
    pub ignore: Ignore,
}

impl Upsert {
    /// Takes every sample as it is, over any other: for effects that were decided before.
    pub const REPLAY: Self = Self {
        policy: DuplicatePolicy::Last,
        ignore: Ignore::NONE,
    };

    /// Whether `sample` says nothing new after `newest`.
    #[inline]
    pub(super) fn ignores(&self, newest: Sample, sample: Sample) -> bool {
        self.policy == DuplicatePolicy::Last
            && sample.time_ms >= newest.time_ms
            && sample.time_ms - newest.time_ms <= self.ignore.max_time_diff_ms
            && (sample.value - newest.value).abs() <= self.ignore.max_value_diff
    }
}

/// The value that stays of two at the same time.
///
/// A number is never lost to NaN: `FIRST` and `LAST` keep it whichever came first, the policies
/// that combine refuse, and two NaN are simply NaN.
///
/// # Errors
/// `Duplicate` with policy `BLOCK`, `NotANumber` where a number would be combined with NaN.
pub(super) fn resolve(policy: DuplicatePolicy, old: f64, new: f64) -> Result<f64> {
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

/// What resolving a duplicate came to, and the value that is to stand.
pub(super) fn outcome(policy: DuplicatePolicy, old: f64, new: f64) -> Result<Added> {
    let value = resolve(policy, old, new)?;
    let same = value.to_bits() == old.to_bits();
    Ok(if same {
        Added::Unchanged
    } else {
        Added::Updated(value)
    })
}

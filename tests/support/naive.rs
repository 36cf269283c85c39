//! The model of a series: a sorted map and the rules of the contract in their simplest form.

use std::collections::BTreeMap;

/// What happens to a sample at a time that has one already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Block,
    First,
    Last,
    Min,
    Max,
    Sum,
}

impl Policy {
    /// Every policy with its name.
    pub(crate) const ALL: [(Self, &str); 6] = [
        (Self::Block, "BLOCK"),
        (Self::First, "FIRST"),
        (Self::Last, "LAST"),
        (Self::Min, "MIN"),
        (Self::Max, "MAX"),
        (Self::Sum, "SUM"),
    ];

    /// The value that stays, or `None` where the new sample is refused. A number beats NaN with
    /// FIRST and LAST; the other policies cannot combine the two.
    fn combine(self, old: f64, new: f64) -> Option<f64> {
        match self {
            Self::Block => None,
            Self::First => Some(if old.is_nan() && !new.is_nan() {
                new
            } else {
                old
            }),
            Self::Last => Some(if new.is_nan() { old } else { new }),
            Self::Min | Self::Max | Self::Sum if old.is_nan() && new.is_nan() => Some(old),
            Self::Min | Self::Max | Self::Sum if old.is_nan() || new.is_nan() => None,
            Self::Min => Some(old.min(new)),
            Self::Max => Some(old.max(new)),
            Self::Sum => Some(old + new),
        }
    }
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It is stored at a new time.
    Added,
    /// There was a sample at its time, and the policy decided which value stays.
    Merged,
    /// It says nothing new.
    Ignored,
    /// It must not be stored.
    Refused,
}

/// A series.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// Its samples by time.
    pub(crate) samples: BTreeMap<i64, f64>,
    /// 0 keeps all.
    pub(crate) retention_ms: i64,
    /// The policy of the series, or the server's.
    pub(crate) policy: Policy,
    /// Largest distances in time and value of a sample that says nothing new.
    pub(crate) ignore: (i64, f64),
}

impl Series {
    /// An empty series.
    pub(crate) fn new(retention_ms: i64, policy: Policy, ignore: (i64, f64)) -> Self {
        Self {
            samples: BTreeMap::new(),
            retention_ms,
            policy,
            ignore,
        }
    }

    /// The newest sample.
    pub(crate) fn newest(&self) -> Option<(i64, f64)> {
        self.samples
            .last_key_value()
            .map(|(&time, &value)| (time, value))
    }

    /// Stores a sample.
    pub(crate) fn add(&mut self, time: i64, value: f64, override_with: Option<Policy>) -> Outcome {
        let policy = override_with.unwrap_or(self.policy);
        if let Some((newest, newest_value)) = self.newest() {
            if self.retention_ms > 0 && time < newest - self.retention_ms {
                return Outcome::Refused;
            }
            if policy == Policy::Last
                && time >= newest
                && time - newest <= self.ignore.0
                && (value - newest_value).abs() <= self.ignore.1
            {
                return Outcome::Ignored;
            }
        }
        match self.samples.get(&time) {
            None => {
                self.samples.insert(time, value);
                self.trim();
                Outcome::Added
            }
            Some(&old) => match policy.combine(old, value) {
                None => Outcome::Refused,
                Some(stays) => {
                    self.samples.insert(time, stays);
                    Outcome::Merged
                }
            },
        }
    }

    /// Adds to the newest value; returns the time that is replied, or `None` for a refusal.
    pub(crate) fn increment(&mut self, by: f64, time: i64) -> Option<i64> {
        let (newest, base) = self.newest().unwrap_or((0, 0.0));
        if time < newest || base.is_nan() {
            return None;
        }
        match self.add(time, base + by, Some(Policy::Last)) {
            Outcome::Ignored => Some(newest),
            Outcome::Refused => None,
            Outcome::Added | Outcome::Merged => Some(time),
        }
    }

    /// Deletes the samples from `from` to `to`; returns how many there were.
    pub(crate) fn delete(&mut self, from: i64, to: i64) -> usize {
        let before = self.samples.len();
        self.samples.retain(|&time, _| time < from || time > to);
        before - self.samples.len()
    }

    /// Changes the retention.
    pub(crate) fn retain(&mut self, retention_ms: i64) {
        self.retention_ms = retention_ms;
        self.trim();
    }

    /// All samples in the order of time.
    pub(crate) fn all(&self) -> Vec<(i64, f64)> {
        self.samples
            .iter()
            .map(|(&time, &value)| (time, value))
            .collect()
    }

    fn trim(&mut self) {
        if let Some((newest, _)) = self.newest()
            && self.retention_ms > 0
        {
            let oldest = newest - self.retention_ms;
            self.samples.retain(|&time, _| time >= oldest);
        }
    }
}

//! Buckets: time cut into pieces of equal width.
//!
//! ```text
//! align - width      align        align + width   align + 2 width
//!      [ ............... )[ ............... )[ ............... )
//! ```

use crate::engine::{TimeRange, Timestamp};

/// Buckets of `width_ms`, one of which begins at `align_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    width_ms: i64,
    align_ms: Timestamp,
}

impl Buckets {
    /// Buckets of a width of at least 1 ms. `align_ms` is not negative.
    pub const fn new(width_ms: i64, align_ms: Timestamp) -> Self {
        assert!(width_ms > 0 && align_ms >= 0, "BUG: buckets without width");
        Self { width_ms, align_ms }
    }

    /// Start of the bucket that holds `time_ms`. May be negative, for the bucket that holds 0.
    pub const fn start_of(self, time_ms: Timestamp) -> Timestamp {
        // Both times are at least minus one width, so neither subtraction overflows.
        time_ms.saturating_sub((time_ms - self.align_ms).rem_euclid(self.width_ms))
    }

    /// As [`Buckets::start_of`], without a division for a time in the bucket that starts at `near_ms`
    /// or in the next. `near_ms` is the start of a bucket.
    #[inline]
    pub const fn start_near(self, near_ms: Timestamp, time_ms: Timestamp) -> Timestamp {
        let distance = time_ms.saturating_sub(near_ms);
        if distance < 0 {
            return self.start_of(time_ms);
        }
        if distance < self.width_ms {
            near_ms
        } else if distance - self.width_ms < self.width_ms {
            near_ms + self.width_ms
        } else {
            self.start_of(time_ms)
        }
    }

    /// First time behind the bucket that starts at `start_ms`.
    pub const fn end_of(self, start_ms: Timestamp) -> Timestamp {
        start_ms.saturating_add(self.width_ms)
    }

    /// The bucket before.
    pub const fn before(self, start_ms: Timestamp) -> Timestamp {
        start_ms.saturating_sub(self.width_ms)
    }

    /// The time in the middle of a bucket.
    pub const fn middle_of(self, start_ms: Timestamp) -> Timestamp {
        start_ms.saturating_add(self.width_ms / 2)
    }

    /// Number of buckets that touch `range`.
    pub const fn count_in(self, range: TimeRange) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let span = self.start_of(range.to).abs_diff(self.start_of(range.from));
        span / self.width_ms.unsigned_abs() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_lies_between_their_edges() {
        let buckets = Buckets::new(10, 3);
        assert_eq!(
            [2, 3, 12, 13].map(|time| buckets.start_of(time)),
            [-7, 3, 3, 13]
        );
        for (near, time) in [
            (3, 2),
            (3, 3),
            (3, 12),
            (3, 13),
            (3, 23),
            (-7, 0),
            (13, i64::MAX),
        ] {
            assert_eq!(buckets.start_near(near, time), buckets.start_of(time));
        }
        assert_eq!(buckets.middle_of(3), 8);
        assert_eq!(buckets.count_in(TimeRange::new(2, 13)), 3);
        assert_eq!(buckets.count_in(TimeRange::new(2, 1)), 0);
        assert_eq!(Buckets::new(i64::MAX, i64::MAX).start_of(0), 0);
        assert_eq!(Buckets::new(7, i64::MAX).end_of(i64::MAX), i64::MAX);
    }
}

//! Buckets: time cut into pieces, of equal width or by a calendar.
//!
//! ```text
//! align - width      align        align + width   align + 2 width
//!      [ ............... )[ ............... )[ ............... )
//! ```

use super::Calendar;
use crate::engine::{TimeRange, Timestamp};

/// One bucket: from its start on, to its end, exclusive.
///
/// The last one ends at the end of time, which it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its first time; may be negative, for the bucket that holds 0.
    pub start_ms: Timestamp,
    /// The first time behind it.
    pub end_ms: Timestamp,
}

impl Bucket {
    #[inline]
    const fn holds(self, time_ms: Timestamp) -> bool {
        self.start_ms <= time_ms && time_ms < self.end_ms
    }

    /// The time in its middle.
    pub const fn middle_ms(self) -> Timestamp {
        self.start_ms
            .saturating_add(self.end_ms.saturating_sub(self.start_ms) / 2)
    }
}

/// How time is cut into buckets.
#[derive(Clone, Debug)]
pub enum Buckets {
    /// Into pieces of one width.
    Equal(Width),
    /// By a calendar.
    Calendar(Calendar),
}

/// Buckets of one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width {
    width_ms: i64,
    align_ms: Timestamp,
}

impl Buckets {
    /// Buckets of a width of at least 1 ms, one of which begins at `align_ms`, which is not
    /// negative.
    pub const fn new(width_ms: i64, align_ms: Timestamp) -> Self {
        assert!(width_ms > 0 && align_ms >= 0, "BUG: buckets without width");
        Self::Equal(Width { width_ms, align_ms })
    }

    /// The bucket that holds a time.
    pub fn of(&self, time_ms: Timestamp) -> Bucket {
        match self {
            Self::Equal(width) => width.of(time_ms),
            Self::Calendar(calendar) => calendar.of(time_ms),
        }
    }

    /// As [`Buckets::of`], but cheap for a time in the bucket `near`, and for buckets of equal
    /// width also for a time in the next or in the one before.
    #[inline]
    pub fn of_near(&self, near: Bucket, time_ms: Timestamp) -> Bucket {
        if near.holds(time_ms) {
            return near;
        }
        if let Self::Equal(width) = self {
            let neighbour = if time_ms < near.start_ms {
                width.ending_at(near.start_ms)
            } else {
                width.starting_at(near.end_ms)
            };
            if neighbour.holds(time_ms) {
                return neighbour;
            }
        }
        self.of(time_ms)
    }

    /// The next bucket; at the end of time there may be none, and it is the same.
    pub fn after(&self, bucket: Bucket) -> Bucket {
        match self {
            Self::Equal(width) => width.starting_at(bucket.end_ms),
            Self::Calendar(calendar) => calendar.of(bucket.end_ms),
        }
    }

    /// The bucket before.
    pub fn before(&self, bucket: Bucket) -> Bucket {
        match self {
            Self::Equal(width) => width.ending_at(bucket.start_ms),
            Self::Calendar(calendar) => calendar.of(bucket.start_ms.saturating_sub(1)),
        }
    }

    /// Number of buckets that touch `range`; a few more than there are for parts of a day by the
    /// clock of a place.
    pub fn count_in(&self, range: TimeRange) -> u64 {
        if range.is_empty() {
            return 0;
        }
        match self {
            Self::Equal(width) => {
                let (first, last) = (width.of(range.from), width.of(range.to));
                last.start_ms.abs_diff(first.start_ms) / width.width_ms.unsigned_abs() + 1
            }
            Self::Calendar(calendar) => calendar.count_between(range.from, range.to),
        }
    }
}

impl Width {
    const fn of(self, time_ms: Timestamp) -> Bucket {
        let width_ms = self.width_ms;
        let passed_ms = if let Some(distance_ms) = time_ms.checked_sub(self.align_ms) {
            distance_ms.rem_euclid(width_ms)
        } else {
            // The end of a range, which lies anywhere. Remainders are too small to overflow.
            let parts = (
                time_ms.rem_euclid(width_ms),
                self.align_ms.rem_euclid(width_ms),
            );
            (parts.0 - parts.1).rem_euclid(width_ms)
        };
        self.starting_at(time_ms.saturating_sub(passed_ms))
    }

    #[inline]
    const fn starting_at(self, start_ms: Timestamp) -> Bucket {
        Bucket {
            start_ms,
            end_ms: start_ms.saturating_add(self.width_ms),
        }
    }

    #[inline]
    const fn ending_at(self, end_ms: Timestamp) -> Bucket {
        Bucket {
            start_ms: end_ms.saturating_sub(self.width_ms),
            end_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_time_are_in_a_bucket() {
        let buckets = Buckets::new(10, 3);
        for time_ms in [i64::MIN, i64::MIN + 1, i64::MAX - 1] {
            assert!(buckets.of(time_ms).holds(time_ms), "{time_ms}");
        }
        // The last one has no end to lie before.
        assert!(buckets.of(i64::MAX).start_ms <= i64::MAX - 3);
    }

    #[test]
    fn buckets_hold_what_lies_between_their_edges() {
        let buckets = Buckets::new(10, 3);
        let start_of = |time_ms| buckets.of(time_ms).start_ms;
        assert_eq!([2, 3, 12, 13].map(start_of), [-7, 3, 3, 13]);
        for (near, time) in [
            (3, 2),
            (3, 3),
            (3, 12),
            (3, 13),
            (3, 23),
            (-7, 0),
            (23, 3),
            (23, 14),
            (13, i64::MAX),
        ] {
            let near = buckets.of(near);
            assert_eq!(buckets.of_near(near, time), buckets.of(time));
        }
        assert_eq!(buckets.of(3).middle_ms(), 8);
        assert_eq!(buckets.count_in(TimeRange::new(2, 13)), 3);
        assert_eq!(buckets.count_in(TimeRange::new(2, 1)), 0);
        let widest = Buckets::new(i64::MAX, i64::MAX);
        assert_eq!(widest.of(0).start_ms, 0);
        let last = Buckets::new(7, i64::MAX).of(i64::MAX);
        assert_eq!((last.start_ms, last.end_ms), (i64::MAX, i64::MAX));
    }

    #[test]
    fn the_bucket_before_ends_where_the_next_begins() {
        let buckets = Buckets::new(10, 3);
        let bucket = buckets.of(5);
        assert_eq!(buckets.after(buckets.before(bucket)), bucket);
        assert_eq!(buckets.before(bucket).end_ms, bucket.start_ms);
    }
}

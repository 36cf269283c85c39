//! Buckets by the calendar and the clock of a place.
//!
//! Whole days, weeks (from Monday, ISO 8601), months and years begin the first time that the local
//! clock shows their midnight or, where it leaps over that, something later. A day at which the
//! clock is changed has 23 or 25 hours, or whatever it has.
//!
//! Parts of a day are cut where the local clock shows a multiple of their width since midnight, and
//! where it leaps into another part. So parts of an hour before and after the clock is put back are
//! buckets of their own, though the clock shows the same:
//!
//! ```text
//! local clock    01:00        02:00        02:00        03:00        04:00
//! 1h               [ ......... )[ ......... )[ ......... )[ ......... )
//! 4h     [ ............................ 5 hours ...................... )[
//! ```

use super::{Bucket, Span, Zone};
use crate::engine::{Error, Result, Timestamp};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The local clock is never further from UTC.
const MAX_OFFSET_MS: i64 = 26 * 60 * 60 * 1000;
/// The Monday of the week that holds 1970-01-01, counted from that day.
const FIRST_MONDAY: i64 = -3;
/// Most months in a bucket: ten thousand years.
const MAX_MONTHS: i64 = 120_000;

/// Buckets by the calendar of a place.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: Zone,
    step: Step,
}

/// What a bucket is by the local clock. Counts are at least 1.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many milliseconds, which divide a day.
    Part(i64),
    /// So many days, counted from 1970-01-01.
    Days(i64),
    /// So many weeks, counted from the one that holds 1970-01-01.
    Weeks(i64),
    /// So many months, counted from January of the year 0.
    Months(i64),
}

impl Calendar {
    /// Buckets of a length by the clock of a zone.
    ///
    /// # Errors
    /// `UnevenDay` for milliseconds that neither divide a day nor are whole days, `Limit` for more
    /// than 10,000 years.
    pub fn new(span: Span, zone: Zone) -> Result<Self> {
        let step = match span {
            Span::Weeks(weeks @ 1..) if span.milliseconds().is_some() => Step::Weeks(weeks),
            Span::Months(months @ 1..=MAX_MONTHS) => Step::Months(months),
            Span::Months(months) if months > MAX_MONTHS => {
                return Err(Error::Limit {
                    what: "months in a bucket",
                    max: MAX_MONTHS.unsigned_abs(),
                });
            }
            Span::Milliseconds(ms @ 1..) if ms % DAY_MS == 0 => Step::Days(ms / DAY_MS),
            Span::Milliseconds(ms @ 1..) if DAY_MS % ms == 0 => Step::Part(ms),
            _ => return Err(Error::UnevenDay),
        };
        Ok(Self { zone, step })
    }

    /// The bucket that holds a time.
    pub(super) fn of(&self, time_ms: Timestamp) -> Bucket {
        match self.step {
            Step::Part(width_ms) => Bucket {
                start_ms: self.part_start(width_ms, time_ms),
                end_ms: self.part_end(width_ms, time_ms),
            },
            Step::Days(_) | Step::Weeks(_) | Step::Months(_) => self.whole_days(time_ms),
        }
    }

    /// No fewer buckets than there are between two times, both included.
    pub(super) fn count_between(&self, from_ms: Timestamp, to_ms: Timestamp) -> u64 {
        if let Step::Part(width_ms) = self.step {
            // A change of the clock cuts a part of a day in two at most, and is rarer than a day.
            let span_ms = to_ms.abs_diff(from_ms);
            return span_ms / width_ms.unsigned_abs() + span_ms / DAY_MS.unsigned_abs() + 2;
        }
        // A day that the clock leaps over is none.
        let index = |time_ms| self.index_of(self.local(time_ms));
        index(to_ms).abs_diff(index(from_ms)) + 1
    }

    /// What the local clock shows, as if it were UTC.
    fn local(&self, time_ms: Timestamp) -> i64 {
        time_ms.saturating_add(self.zone.offset_ms(time_ms))
    }

    fn whole_days(&self, time_ms: Timestamp) -> Bucket {
        let mut index = self.index_of(self.local(time_ms));
        let mut start_ms = self.start_at(index);
        loop {
            let end_ms = self.start_at(index + 1);
            // The clock shows yesterday where it was put back over midnight; and a day may be none.
            if time_ms < end_ms || end_ms == Timestamp::MAX {
                return Bucket { start_ms, end_ms };
            }
            (start_ms, index) = (end_ms, index + 1);
        }
    }

    /// The number of the bucket whose days the local clock shows.
    fn index_of(&self, local_ms: i64) -> i64 {
        let day = local_ms.div_euclid(DAY_MS);
        match self.step {
            Step::Part(width_ms) => local_ms.div_euclid(width_ms),
            Step::Days(days) => day.div_euclid(days),
            Step::Weeks(weeks) => (day - FIRST_MONDAY).div_euclid(7 * weeks),
            Step::Months(months) => month_of_day(day).div_euclid(months),
        }
    }

    /// The time from which on a bucket of whole days counts; the end of time where it is beyond.
    fn start_at(&self, index: i64) -> Timestamp {
        let day = match self.step {
            Step::Part(_) | Step::Days(1) => index,
            Step::Days(days) => index.saturating_mul(days),
            Step::Weeks(weeks) => index.saturating_mul(7 * weeks).saturating_add(FIRST_MONDAY),
            Step::Months(months) => first_day_of_month(index * months),
        };
        day.checked_mul(DAY_MS)
            .map_or(Timestamp::MAX, |local_ms| self.first_time_at(local_ms))
    }

    /// The first time at which the local clock shows `local_ms` or later.
    fn first_time_at(&self, local_ms: i64) -> Timestamp {
        let mut from_ms = local_ms.saturating_sub(MAX_OFFSET_MS);
        let mut offset_ms = self.zone.offset_ms(from_ms);
        loop {
            let time_ms = local_ms.saturating_sub(offset_ms).max(from_ms);
            match self.zone.next_change(from_ms) {
                Some(change) if change.at_ms <= time_ms => {
                    (from_ms, offset_ms) = (change.at_ms, change.offset_ms);
                }
                _ => return time_ms,
            }
        }
    }

    /// How much of a part of the day has passed on the local clock. No sum overflows.
    fn passed_ms(&self, width_ms: i64, time_ms: Timestamp) -> i64 {
        (time_ms.rem_euclid(width_ms) + self.zone.offset_ms(time_ms)).rem_euclid(width_ms)
    }

    fn part_start(&self, width_ms: i64, time_ms: Timestamp) -> Timestamp {
        let mut time_ms = time_ms;
        loop {
            let start_ms = time_ms.saturating_sub(self.passed_ms(width_ms, time_ms));
            match self.zone.last_change_ms(time_ms) {
                Some(change_ms) if start_ms < change_ms => {
                    let offset_ms = self.zone.offset_ms(change_ms);
                    if self.cuts(width_ms, change_ms, offset_ms) {
                        return change_ms;
                    }
                    time_ms = change_ms - 1;
                }
                _ => return start_ms,
            }
        }
    }

    fn part_end(&self, width_ms: i64, time_ms: Timestamp) -> Timestamp {
        let mut time_ms = time_ms;
        loop {
            let left_ms = width_ms - self.passed_ms(width_ms, time_ms);
            let end_ms = time_ms.saturating_add(left_ms);
            match self.zone.next_change(time_ms) {
                Some(change) if change.at_ms < end_ms => {
                    if self.cuts(width_ms, change.at_ms, change.offset_ms) {
                        return change.at_ms;
                    }
                    time_ms = change.at_ms;
                }
                _ => return end_ms,
            }
        }
    }

    /// Whether a change of the clock begins another part of the day, or the same one again.
    fn cuts(&self, width_ms: i64, change_ms: Timestamp, offset_ms: i64) -> bool {
        let after_ms = change_ms + offset_ms;
        let before_ms = self.local(change_ms - 1);
        after_ms.rem_euclid(width_ms) == 0
            || after_ms.div_euclid(width_ms) != before_ms.div_euclid(width_ms)
    }
}

/// Days in 400 years of the Gregorian calendar.
const ERA_DAYS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// The month that holds a day, counted from January of the year 0. The day is counted from
/// 1970-01-01, by Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2021: years begin
/// in March, so that a leap day is the last of one.
fn month_of_day(day: i64) -> i64 {
    let day = day + EPOCH_DAYS;
    let (era, day) = (day.div_euclid(ERA_DAYS), day.rem_euclid(ERA_DAYS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    12 * (400 * era + year) + month_from_march + 2
}

/// The first day of a month; the inverse of [`month_of_day`].
fn first_day_of_month(month: i64) -> i64 {
    let from_march = month - 2;
    let (year, month) = (from_march.div_euclid(12), from_march.rem_euclid(12));
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5;
    era * ERA_DAYS + 365 * year + year / 4 - year / 100 + day_of_year - EPOCH_DAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_where_the_gregorian_calendar_says() {
        for (month, day) in [
            (12 * 1970, 0),
            (12 * 1970 + 1, 31),
            (12 * 1972 + 2, 790),
            (12 * 2000 + 2, 11_017),
            (12 * 2024 + 2, 19_783),
            (12 * 2100 + 2, 47_541),
        ] {
            assert_eq!(first_day_of_month(month), day);
        }
        for day in -800_000..800_000 {
            let month = month_of_day(day);
            assert!(first_day_of_month(month) <= day && day < first_day_of_month(month + 1));
        }
    }

    #[test]
    fn what_no_calendar_has_is_refused() {
        let new = |span| Calendar::new(span, Zone::UTC).map(|_| ());
        assert_eq!(new(Span::Milliseconds(7 * 60_000)), Err(Error::UnevenDay));
        assert_eq!(new(Span::Milliseconds(DAY_MS + 1)), Err(Error::UnevenDay));
        assert!(matches!(
            new(Span::Months(120_001)),
            Err(Error::Limit { .. })
        ));
        assert_eq!(new(Span::Months(120_000)), Ok(()));
        assert_eq!(new(Span::Weeks(1)), Ok(()));
        assert_eq!(new(Span::Milliseconds(15 * 60_000)), Ok(()));
    }
}

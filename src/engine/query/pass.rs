//! One pass of an aggregation over the blocks.
//!
//! Blocks are folded run by run, a run being the samples of a block that fall into one bucket.
//! A bucket is finished when the first sample beyond it is seen, since `twa` and `EMPTY` depend on
//! the nearest numbers on both sides of a bucket:
//!
//! ```text
//!     behind            bucket            ahead            (ascending; descending mirrors it)
//! ......x    [ x  x   x  x ]    ---gap---   x ....
//!       |          |                |       |
//!       +--- seen before            |       +--- just seen, or looked up
//!                  +--- partial     +--- filled with EMPTY: a number on either side
//! ```

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::fill::Filler;
use super::watch::{End, Watch};
use super::{Aggregation, Bucket, Selection};
use crate::engine::aggregate::{Edges, Needs, Partial};
use crate::engine::codec::Columns;
use crate::engine::series::Order;
use crate::engine::series::block::Block;
use crate::engine::{Sample, Series, TimeRange, Timestamp};

/// How far a pass has come: on, or to its end.
type Step<T = ()> = Result<T, End>;

/// One pass over the blocks.
pub(super) struct Pass<'a, W, G> {
    aggregation: &'a Aggregation,
    series: &'a Series,
    selection: &'a Selection,
    watch: &'a W,
    needs: Needs,
    /// Whether the numbers around a bucket matter.
    looks_around: bool,
    /// The bucket being folded.
    bucket: Option<(Bucket, Partial)>,
    /// The nearest number on the side we come from.
    behind: Option<Sample>,
    /// What was found when the nearest number on the other side was looked up.
    #[allow(
        clippy::option_option,
        reason = "not looked up, nothing there, a number"
    )]
    looked_up: Option<Option<Sample>>,
    row: Vec<f64>,
    filler: Option<Filler<'a>>,
    /// Rows that were given.
    given: usize,
    give: G,
}

/// Rows between two looks at the time: making so many takes a millisecond at most.
const ROWS_A_LOOK: usize = 1 << 12;

impl<'a, W: Watch, G: FnMut(Timestamp, &[f64]) -> ControlFlow<()>> Pass<'a, W, G> {
    pub(super) fn new(
        aggregation: &'a Aggregation,
        series: &'a Series,
        selection: &'a Selection,
        watch: &'a W,
        give: G,
    ) -> Self {
        let aggregators = &aggregation.aggregators;
        let looks_around = aggregation.looks_around();
        let mut needs = Needs::of(aggregators);
        // The number ahead of a bucket may be the first of the next.
        needs.first |= looks_around;
        Self {
            aggregation,
            series,
            selection,
            watch,
            needs,
            looks_around,
            bucket: None,
            behind: None,
            looked_up: None,
            row: Vec::with_capacity(aggregators.len()),
            filler: Filler::of(aggregation, selection.order),
            given: 0,
            give,
        }
    }

    pub(super) fn run(&mut self, range: TimeRange) -> Step {
        let order = self.selection.order;
        if self.looks_around {
            self.behind = match order {
                Order::Ascending => self.neighbour(self.selection.range.from, Order::Descending)?,
                Order::Descending => self.neighbour(self.selection.range.to, Order::Ascending)?,
            };
        }
        let mut columns = Columns::default();
        for part in self.series.parts(range, order) {
            let near = self.near();
            let told = self
                .aggregation
                .summarised(&self.needs, self.selection, part, range, near);
            if let Some((bucket, block)) = told
                && self.take_block(bucket, block)?
            {
                continue;
            }
            if self.selection.read(part, range, self.watch, &mut columns)? {
                self.fold(&columns.times, &columns.values)?;
            }
        }
        self.finish()
    }

    /// A bucket, most likely one near the next.
    #[inline]
    fn near(&self) -> Bucket {
        match &self.bucket {
            Some((bucket, _)) => *bucket,
            None => self.aggregation.buckets.of(self.selection.range.from),
        }
    }

    /// Takes a block into its bucket by its descriptor. Returns whether that was possible.
    #[inline]
    fn take_block(&mut self, bucket: Bucket, block: &Block) -> Step<bool> {
        if let Some((open, partial)) = &mut self.bucket
            && open.start_ms == bucket.start_ms
            && self.selection.order == Order::Ascending
            && partial.ends().is_some()
        {
            partial.append_block(block);
            self.looked_up = None;
            return Ok(true);
        }
        match Partial::of_block(&self.needs, block) {
            None => Ok(false),
            Some(partial) => self.take(bucket, partial).map(|()| true),
        }
    }

    /// Cuts a block into runs.
    fn fold(&mut self, times: &[i64], values: &[f64]) -> Step {
        let (mut times, mut values) = (times, values);
        let mut near = self.near();
        while let ([first_ms, ..], [.., last_ms]) = (times, times) {
            let buckets = &self.aggregation.buckets;
            match self.selection.order {
                Order::Ascending => {
                    near = buckets.of_near(near, *first_ms);
                    // At least one: the bucket at the end of time has no first time behind it.
                    let len = run_len(times, near.end_ms).max(1);
                    let run = Partial::of(&self.needs, &times[..len], &values[..len]);
                    self.take(near, run)?;
                    (times, values) = (&times[len..], &values[len..]);
                }
                Order::Descending => {
                    near = buckets.of_near(near, *last_ms);
                    let at = times.partition_point(|&time_ms| time_ms < near.start_ms);
                    let run = Partial::of(&self.needs, &times[at..], &values[at..]);
                    self.take(near, run)?;
                    (times, values) = (&times[..at], &values[..at]);
                }
            }
        }
        Ok(())
    }

    /// Takes a run into its bucket; finishes the bucket before, if it is another.
    #[inline]
    fn take(&mut self, bucket: Bucket, run: Partial) -> Step {
        let order = self.selection.order;
        if let Some((open, partial)) = &mut self.bucket
            && open.start_ms == bucket.start_ms
        {
            if run.ends().is_some() {
                // We have come to what was looked up, or past it.
                self.looked_up = None;
            }
            match order {
                Order::Ascending => partial.append(&self.needs, run),
                Order::Descending => {
                    let later = std::mem::replace(partial, run);
                    partial.append(&self.needs, later);
                }
            }
            return Ok(());
        }
        let ahead = if self.looks_around {
            self.ahead_of(bucket, &run)?
        } else {
            None
        };
        let gap_from = self.finish_bucket(ahead)?;
        self.fill(gap_from, bucket, ahead)?;
        self.bucket = Some((bucket, run));
        Ok(())
    }

    /// Finishes the last bucket and the gap behind it.
    fn finish(&mut self) -> Step {
        let range = self.selection.range;
        let ahead = if self.looks_around {
            match self.selection.order {
                Order::Ascending => self.neighbour(range.to, Order::Ascending)?,
                Order::Descending => self.neighbour(range.from, Order::Descending)?,
            }
        } else {
            None
        };
        let gap_from = self.finish_bucket(ahead)?;
        let end_ms = match self.selection.order {
            Order::Ascending => range.to,
            Order::Descending => range.from,
        };
        let last = self.aggregation.buckets.of(end_ms);
        let beyond = self.aggregation.next(self.selection.order, last);
        self.fill(gap_from, beyond, ahead)
    }

    /// The nearest number at or beyond the bucket of a run that was just seen.
    fn ahead_of(&mut self, bucket: Bucket, run: &Partial) -> Step<Option<Sample>> {
        if let Some((first, last)) = run.ends() {
            self.looked_up = None;
            return Ok(Some(match self.selection.order {
                Order::Ascending => first,
                Order::Descending => last,
            }));
        }
        // Nothing but NaN. Looked up once for a whole stretch of such buckets.
        if self.looked_up.is_none() {
            let (window, order) = (self.window(bucket), self.selection.order);
            let found = match order {
                Order::Ascending => self.neighbour(window.from - 1, order)?,
                Order::Descending => self.neighbour(window.to.saturating_add(1), order)?,
            };
            self.looked_up = Some(found);
        }
        Ok(self.looked_up.flatten())
    }

    fn neighbour(&self, time_ms: Timestamp, side: Order) -> Step<Option<Sample>> {
        Ok(self
            .selection
            .neighbour(self.series, time_ms, side, self.watch)?)
    }

    /// Gives the bucket being folded; returns where the gap after it begins.
    fn finish_bucket(&mut self, ahead: Option<Sample>) -> Step<Bucket> {
        let order = self.selection.order;
        let Some((bucket, mut partial)) = self.bucket.take() else {
            let from_ms = match order {
                Order::Ascending => self.selection.range.from,
                Order::Descending => self.selection.range.to.min(self.series.visible().to),
            };
            return Ok(self.aggregation.buckets.of(from_ms));
        };
        partial.settle();
        let only_nan = partial.ends().is_none();
        let counts_nan = self
            .aggregation
            .aggregators
            .iter()
            .any(|one| one.counts_nan());
        let filled = self.aggregation.empty && self.behind.is_some() && ahead.is_some();
        if !only_nan || counts_nan || filled {
            self.give_row(bucket, &partial, ahead)?;
        }
        if let Some((first, last)) = partial.ends() {
            self.behind = Some(if order == Order::Ascending {
                last
            } else {
                first
            });
        }
        Ok(self.aggregation.next(order, bucket))
    }

    /// Gives the empty buckets from one on up to another, exclusive.
    fn fill(&mut self, from: Bucket, to: Bucket, ahead: Option<Sample>) -> Step {
        if !self.aggregation.empty || self.behind.is_none() || ahead.is_none() {
            return Ok(());
        }
        let before_end = match self.selection.order {
            Order::Ascending => Ordering::Less,
            Order::Descending => Ordering::Greater,
        };
        let mut bucket = from;
        while bucket.start_ms.cmp(&to.start_ms) == before_end {
            self.give_row(bucket, &Partial::default(), ahead)?;
            let next = self.aggregation.next(self.selection.order, bucket);
            if next.start_ms == bucket.start_ms {
                break;
            }
            bucket = next;
        }
        Ok(())
    }

    /// The times of a bucket that are asked for.
    fn window(&self, bucket: Bucket) -> TimeRange {
        let range = self.selection.range;
        TimeRange::new(
            bucket.start_ms.max(range.from),
            range.to.min(bucket.end_ms - 1),
        )
    }

    fn give_row(&mut self, bucket: Bucket, partial: &Partial, ahead: Option<Sample>) -> Step {
        // A bucket of NaN alone, there because they are counted, is not filled in without EMPTY.
        let filled = self.aggregation.empty && self.behind.is_some() && ahead.is_some();
        let (before, after) = match self.selection.order {
            _ if partial.ends().is_none() && !filled => (None, None),
            Order::Ascending => (self.behind, ahead),
            Order::Descending => (ahead, self.behind),
        };
        let window = self.window(bucket);
        let edges = Edges {
            start_ms: window.from,
            end_ms: window.to.saturating_add(1),
            before,
            after,
        };
        self.row.clear();
        self.row.extend(
            self.aggregation
                .aggregators
                .iter()
                .map(|&one| partial.result(&self.needs, one, &edges)),
        );
        let mut give = |time_ms, row: &[f64]| {
            self.given += 1;
            if self.given.is_multiple_of(ROWS_A_LOOK) && !self.watch.has_time() {
                return Err(End::Halted);
            }
            match (self.give)(time_ms, row) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(End::Enough),
            }
        };
        if let Some(filler) = &mut self.filler {
            filler.fill_up_to(bucket, &self.row, &mut give)?;
        }
        give(self.aggregation.stamp_ms(bucket), &self.row)
    }
}

/// Number of leading times before `end_ms`. Runs are short beside a block or all of it.
fn run_len(times: &[i64], end_ms: Timestamp) -> usize {
    let mut bound = 1;
    while times.get(bound).is_some_and(|&time_ms| time_ms < end_ms) {
        bound *= 2;
    }
    let start = bound / 2;
    let window = &times[start..times.len().min(bound)];
    start + window.partition_point(|&time_ms| time_ms < end_ms)
}

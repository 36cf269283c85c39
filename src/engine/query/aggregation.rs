//! Aggregation into buckets, in either direction.

use std::ops::ControlFlow;

use super::pass::Pass;
use super::watch::{Halted, Watch, outcome};
use super::{Bucket, Buckets, Fill, Selection};
use crate::engine::aggregate::{Aggregator, Needs};
use crate::engine::series::block::Block;
use crate::engine::series::{Order, Part};
use crate::engine::{Error, Result, Series, TimeRange, Timestamp};

/// Most buckets that `EMPTY` or `FILL` may span.
pub const MAX_BUCKETS: u64 = 1 << 22;

/// The time by which a bucket is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// Its first time.
    #[default]
    Start,
    /// The time in its middle.
    Middle,
    /// The first time of the next bucket.
    End,
}

/// How samples are aggregated.
#[derive(Clone, Debug)]
pub struct Aggregation {
    /// One result of each for every bucket.
    pub aggregators: Vec<Aggregator>,
    /// The buckets.
    pub buckets: Buckets,
    /// The time by which a bucket is reported.
    pub stamp: Stamp,
    /// Whether buckets without samples between others are reported.
    pub empty: bool,
    /// How buckets without a result between others are filled; not together with `empty`.
    pub fill: Option<Fill>,
}

/// Whether so many buckets may be filled in for one answer.
///
/// # Errors
/// `Limit` over [`MAX_BUCKETS`].
pub fn check_filled(buckets: u64) -> Result<()> {
    if buckets > MAX_BUCKETS {
        return Err(Error::Limit {
            what: "buckets with EMPTY or FILL",
            max: MAX_BUCKETS,
        });
    }
    Ok(())
}

impl Aggregation {
    /// Whether there may be results of buckets that no sample stands behind.
    pub(super) const fn adds_buckets(&self) -> bool {
        self.empty || self.fill.is_some()
    }

    /// Gives the buckets of a selection in its order, until told to stop: a time, and a result of
    /// each aggregator.
    ///
    /// # Errors
    /// `Halted` where the watch says so.
    pub fn for_each(
        &self,
        series: &Series,
        selection: &Selection,
        watch: &impl Watch,
        give: impl FnMut(Timestamp, &[f64]) -> ControlFlow<()>,
    ) -> Result<(), Halted> {
        if selection.range.is_empty() {
            return Ok(());
        }
        let range = selection.visible_range(series);
        let mut pass = Pass::new(self, series, selection, watch, give);
        outcome(pass.run(range))
    }

    /// Whether the numbers around a bucket matter, be they outside the range.
    pub(in crate::engine) fn looks_around(&self) -> bool {
        self.empty || self.aggregators.iter().any(|one| one.looks_around())
    }

    /// The bucket whose share a block's descriptor tells, and that block: it is sealed, lies inside
    /// one bucket, and every sample of it counts. Cheap where the bucket is `near`, or the next.
    #[inline]
    pub(super) fn summarised<'s>(
        &self,
        needs: &Needs,
        selection: &Selection,
        part: Part<'s>,
        range: TimeRange,
        near: Bucket,
    ) -> Option<(Bucket, &'s Block)> {
        let block = part.sealed()?;
        if !selection.filter.is_none()
            || !range.covers(block.first_ms(), block.last_ms())
            || !needs.are_told_by(block)
        {
            return None;
        }
        let bucket = self.buckets.of_near(near, block.first_ms());
        (block.last_ms() < bucket.end_ms).then_some((bucket, block))
    }

    pub(super) fn stamp_ms(&self, bucket: Bucket) -> Timestamp {
        let stamp_ms = match self.stamp {
            Stamp::Start => bucket.start_ms,
            Stamp::Middle => bucket.middle_ms(),
            Stamp::End => bucket.end_ms,
        };
        stamp_ms.max(0)
    }

    /// The next bucket in an order; at the end of time it may be the same.
    pub(super) fn next(&self, order: Order, bucket: Bucket) -> Bucket {
        match order {
            Order::Ascending => self.buckets.after(bucket),
            Order::Descending => self.buckets.before(bucket),
        }
    }
}

//! A range query: a selection, aggregated or not, and how much of the result is wanted.

use std::ops::AddAssign;

use super::aggregation::check_filled;
use super::{Aggregation, Halted, Rows, Selection, Watch};
use crate::engine::aggregate::Needs;
use crate::engine::series::block::SPLIT_SAMPLES;
use crate::engine::series::{Order, Part};
use crate::engine::{Result, Series, TimeRange, Timestamp};

/// A query over one series whose answer is rows.
#[derive(Clone, Debug)]
pub struct RangeQuery {
    /// Which samples count.
    pub selection: Selection,
    /// How they are put together; every one is a row otherwise.
    pub aggregation: Option<Aggregation>,
    /// Most rows wanted.
    pub limit: u64,
}

/// What a query has to go through, as far as can be told without decoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Samples in the blocks that have to be decoded.
    pub samples: u64,
    /// Blocks that are looked at, decoded or not.
    pub blocks: u64,
    /// Results that no sample may stand behind, of `EMPTY` and `FILL`.
    pub filled: u64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.samples += other.samples;
        self.blocks += other.blocks;
        self.filled += other.filled;
    }
}

/// Samples that are decoded in the time that looking at one descriptor takes.
const SAMPLES_A_BLOCK: u64 = 4;

impl Cost {
    /// The whole cost in samples.
    pub const fn total(self) -> u64 {
        self.samples + SAMPLES_A_BLOCK * self.blocks + self.filled
    }
}

impl RangeQuery {
    /// Whether the answer is bounded, before any of it is made.
    ///
    /// # Errors
    /// `Limit`: see [`check_filled`].
    pub fn check(&self, series: &Series) -> Result<()> {
        check_filled(self.filled_buckets(series))
    }

    /// How many rows there may be that no sample stands behind, at most.
    pub fn filled_buckets(&self, series: &Series) -> u64 {
        let range = self.selection.visible_range(series);
        match &self.aggregation {
            Some(aggregation) if aggregation.adds_buckets() => {
                aggregation.buckets.count_in(range).min(self.limit)
            }
            _ => 0,
        }
    }

    /// What there is to do, counted no further than the first block with which the total is above
    /// `enough`. It is an upper bound, but for samples that are looked up outside the range. O(blocks).
    pub fn cost(&self, series: &Series, enough: u64) -> Cost {
        let range = self.selection.visible_range(series);
        let aggregation = self.aggregation.as_ref();
        let aggregation = aggregation.map(|one| (one, Needs::of(&one.aggregators)));
        let width = aggregation
            .as_ref()
            .map_or(0, |(one, _)| one.aggregators.len());
        let mut cost = Cost {
            filled: self.filled_buckets(series).saturating_mul(width as u64),
            ..Cost::default()
        };
        let mut near = aggregation
            .as_ref()
            .map(|(one, _)| one.buckets.of(range.from));
        for part in series.parts(range, self.selection.order) {
            if cost.total() > enough || self.has_all_after(cost.samples) {
                break;
            }
            cost.blocks += 1;
            let told = aggregation
                .as_ref()
                .zip(near)
                .and_then(|((one, needs), near)| {
                    one.summarised(needs, &self.selection, part, range, near)
                });
            if let Some((bucket, _)) = told {
                near = Some(bucket);
            } else if self.selection.filter.may_match(part) {
                cost.samples += part.sample_count() as u64;
            }
        }
        cost
    }

    /// Whether the limit is reached with so many samples, whatever they are. The first block may
    /// have one sample inside the range and the rest outside, so it does not count.
    fn has_all_after(&self, samples: u64) -> bool {
        self.aggregation.is_none()
            && self.selection.filter.is_none()
            && samples.saturating_sub(SPLIT_SAMPLES as u64) >= self.limit
    }

    /// The rows of the answer.
    ///
    /// # Errors
    /// `Halted` where the watch says so.
    pub fn rows(&self, series: &Series, watch: &impl Watch) -> Result<Rows, Halted> {
        let Some(aggregation) = &self.aggregation else {
            let mut rows = Rows::new(1, self.limit);
            let order = self.selection.order;
            self.selection
                .for_each_batch(series, watch, |times, values| {
                    rows.extend(times, values, order)
                })?;
            return Ok(rows);
        };
        let mut rows = Rows::new(aggregation.aggregators.len(), self.limit);
        aggregation.for_each(series, &self.selection, watch, |time_ms, values| {
            rows.push(time_ms, values)
        })?;
        Ok(rows)
    }

    /// Queries over about equal numbers of blocks whose rows, put behind each other, are the rows
    /// of this one. No bucket is cut in two, so not a bit of a result differs. At most `count`,
    /// and one where the number of rows is limited or gaps are filled: then it matters where the
    /// others end.
    pub fn split(&self, series: &Series, count: usize) -> Vec<Self> {
        let fills = self
            .aggregation
            .as_ref()
            .is_some_and(|one| one.fill.is_some());
        if count < 2 || self.limit != u64::MAX || fills {
            return vec![self.clone()];
        }
        let range = self.selection.range;
        let mut pieces = Vec::with_capacity(count);
        let mut from = range.from;
        for cut_ms in self.cuts(series, count) {
            if from < cut_ms && cut_ms <= range.to {
                pieces.push(self.within(TimeRange::new(from, cut_ms - 1)));
                from = cut_ms;
            }
        }
        pieces.push(self.within(TimeRange::new(from, range.to)));
        if self.selection.order == Order::Descending {
            pieces.reverse();
        }
        pieces
    }

    /// Times that part the blocks into about equal numbers, each the first of a bucket.
    fn cuts(&self, series: &Series, count: usize) -> impl Iterator<Item = Timestamp> {
        let visible = self.selection.visible_range(series);
        let starts: Vec<Timestamp> = series
            .parts(visible, Order::Ascending)
            .map(Part::first_ms)
            .collect();
        (1..count)
            .filter_map(move |at| starts.get(at * starts.len() / count).copied())
            .map(|start_ms| match &self.aggregation {
                None => start_ms,
                Some(aggregation) => aggregation.buckets.of(start_ms).start_ms,
            })
    }

    fn within(&self, range: TimeRange) -> Self {
        let mut piece = self.clone();
        piece.selection.range = range;
        piece
    }
}

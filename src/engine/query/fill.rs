//! Filling the buckets that have no result, between two that have one.
//!
//! ```text
//!  older              gap             newer
//! [  3  )[      )[      )[      )[  7  )
//!           3       3       3              PREV
//!           4       5       6              LINEAR
//!           7       7       7              NEXT
//! ```

use std::cmp::Ordering;

use super::{Aggregation, Bucket};
use crate::engine::Timestamp;
use crate::engine::series::Order;

/// How gaps are filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fill {
    /// With what.
    pub with: Filling,
    /// The longest gap that is filled, from the end of one bucket to the start of the other, in
    /// milliseconds.
    pub max_gap_ms: i64,
}

/// What a bucket of a gap gets for each aggregator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Filling {
    /// The result of the bucket before the gap.
    Previous,
    /// A result on the line between those on both sides, by the times that stand for the buckets.
    Linear,
    /// The result of the bucket behind the gap.
    Next,
    /// A number.
    Value(f64),
}

/// What has to be remembered to fill the next gap.
#[derive(Debug)]
pub(super) struct Filler<'a> {
    aggregation: &'a Aggregation,
    fill: Fill,
    order: Order,
    last: Option<Bucket>,
    last_row: Vec<f64>,
    row: Vec<f64>,
}

/// The results on both sides of a gap.
struct Sides<'r> {
    older: (Timestamp, &'r [f64]),
    newer: (Timestamp, &'r [f64]),
}

impl<'a> Filler<'a> {
    /// The filler of a query, if it has one.
    pub(super) fn of(aggregation: &'a Aggregation, order: Order) -> Option<Self> {
        aggregation.fill.map(|fill| Self {
            aggregation,
            fill,
            order,
            last: None,
            last_row: Vec::new(),
            row: Vec::new(),
        })
    }

    /// Gives what belongs between the last result and this one.
    pub(super) fn fill_up_to<E>(
        &mut self,
        bucket: Bucket,
        row: &[f64],
        mut give: impl FnMut(Timestamp, &[f64]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(last) = self.last.replace(bucket) else {
            self.last_row.extend_from_slice(row);
            return Ok(());
        };
        let (gap_ms, before_end) = match self.order {
            Order::Ascending => (bucket.start_ms.saturating_sub(last.end_ms), Ordering::Less),
            Order::Descending => (
                last.start_ms.saturating_sub(bucket.end_ms),
                Ordering::Greater,
            ),
        };
        if 0 < gap_ms && gap_ms <= self.fill.max_gap_ms {
            let stamp_ms = |bucket| self.aggregation.stamp_ms(bucket);
            let (mut older, mut newer) = (
                (stamp_ms(last), &self.last_row[..]),
                (stamp_ms(bucket), row),
            );
            if self.order == Order::Descending {
                std::mem::swap(&mut older, &mut newer);
            }
            let sides = Sides { older, newer };
            let mut between = self.aggregation.next(self.order, last);
            while between.start_ms.cmp(&bucket.start_ms) == before_end {
                let time_ms = stamp_ms(between);
                self.row.clear();
                let cells = (0..row.len()).map(|at| sides.cell(self.fill.with, time_ms, at));
                self.row.extend(cells);
                give(time_ms, &self.row)?;
                between = self.aggregation.next(self.order, between);
            }
        }
        self.last_row.clear();
        self.last_row.extend_from_slice(row);
        Ok(())
    }
}

impl Sides<'_> {
    #[expect(clippy::cast_precision_loss, reason = "2^53 ms are 285,000 years")]
    fn cell(&self, with: Filling, time_ms: Timestamp, at: usize) -> f64 {
        let (older, newer) = (self.older.1[at], self.newer.1[at]);
        match with {
            Filling::Previous => older,
            Filling::Next => newer,
            Filling::Value(value) => value,
            Filling::Linear => {
                let passed_ms = (time_ms - self.older.0) as f64;
                let share = passed_ms / (self.newer.0 - self.older.0) as f64;
                older * (1.0 - share) + newer * share
            }
        }
    }
}

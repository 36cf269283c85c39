//! Queries over one series.
//!
//! A query works in columns: a block is decoded into two reused buffers, filtered in place, and
//! handed on as slices. Nothing here is done sample by sample through a trait object, and what is
//! held is the answer and one block of samples.

mod aggregation;
mod bucket;
mod calendar;
mod fill;
mod filter;
mod join;
mod pass;
mod range;
mod reduce;
mod rows;
mod span;
mod watch;
mod zone;

use std::ops::ControlFlow;

use super::codec::Columns;
use super::series::{Order, Part};
use super::{Sample, Series, TimeRange, Timestamp};
pub use aggregation::{Aggregation, MAX_BUCKETS, Stamp, check_filled};
pub use bucket::{Bucket, Buckets, Width};
pub use calendar::Calendar;
pub use fill::{Fill, Filling};
pub use filter::Filter;
pub use join::Join;
pub use range::{Cost, RangeQuery};
pub use reduce::{reduce, summary};
pub use rows::{Piece, Rows};
pub use span::Span;
pub use watch::{Budget, Halted, Unwatched, Watch};
pub use zone::Zone;

/// Which samples of a series, and in which order.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The times asked for; retention cuts them further.
    pub range: TimeRange,
    /// The order of the result.
    pub order: Order,
    /// Which of them count.
    pub filter: Filter,
}

impl Selection {
    /// Gives the selected samples, block by block: each slice is in order of time, the blocks
    /// are in the order of the selection.
    ///
    /// # Errors
    /// `Halted` where the watch says so.
    pub fn for_each_batch(
        &self,
        series: &Series,
        watch: &impl Watch,
        mut give: impl FnMut(&[i64], &[f64]) -> ControlFlow<()>,
    ) -> Result<(), Halted> {
        let range = self.visible_range(series);
        let mut columns = Columns::default();
        for part in series.parts(range, self.order) {
            if self.read(part, range, watch, &mut columns)?
                && give(&columns.times, &columns.values).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    /// Gives the selected samples one by one, in the order of the selection.
    ///
    /// # Errors
    /// `Halted` where the watch says so.
    pub fn for_each(
        &self,
        series: &Series,
        watch: &impl Watch,
        mut give: impl FnMut(Sample) -> ControlFlow<()>,
    ) -> Result<(), Halted> {
        self.for_each_batch(series, watch, |times, values| {
            let samples = times
                .iter()
                .zip(values)
                .map(|(&time, &value)| Sample::new(time, value));
            match self.order {
                Order::Ascending => samples.into_iter().try_for_each(&mut give),
                Order::Descending => samples.into_iter().rev().try_for_each(&mut give),
            }
        })
    }

    /// The part of the range that the series lets see.
    fn visible_range(&self, series: &Series) -> TimeRange {
        let visible = series.visible();
        TimeRange::new(
            self.range.from.max(visible.from),
            self.range.to.min(visible.to),
        )
    }

    /// Decodes what is selected of a block; returns whether there is any.
    fn read(
        &self,
        part: Part<'_>,
        range: TimeRange,
        watch: &impl Watch,
        columns: &mut Columns,
    ) -> Result<bool, Halted> {
        if !self.filter.may_match(part) {
            return Ok(false);
        }
        if !watch.permits(part.sample_count()) {
            return Err(Halted);
        }
        part.read(range, columns);
        self.filter.apply(columns);
        Ok(!columns.is_empty())
    }

    /// The number nearest to `time_ms` on one side of it, exclusive, inside or outside the range:
    /// the newest before with [`Order::Descending`], the oldest after with [`Order::Ascending`].
    /// It passes the filter and is not NaN.
    pub(in crate::engine) fn neighbour(
        &self,
        series: &Series,
        time_ms: Timestamp,
        side: Order,
        watch: &impl Watch,
    ) -> Result<Option<Sample>, Halted> {
        let visible = series.visible();
        let beyond = match side {
            Order::Descending => time_ms.checked_sub(1).map(|to| (visible.from, to)),
            Order::Ascending => time_ms
                .checked_add(1)
                .map(|from| (from.max(visible.from), visible.to)),
        };
        let Some((from, to)) = beyond else {
            return Ok(None);
        };
        let beyond = Self {
            range: TimeRange::new(from, to),
            order: side,
            filter: self.filter.clone(),
        };
        let mut found = None;
        beyond.for_each(series, watch, |sample| {
            if sample.value.is_nan() {
                return ControlFlow::Continue(());
            }
            found = Some(sample);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }
}

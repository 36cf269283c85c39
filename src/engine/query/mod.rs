//! Queries over one series.
//!
//! A query works in columns: a block is decoded into two reused buffers, filtered in place, and
//! handed on as slices. Nothing here is done sample by sample through a trait object, and no range
//! is ever materialised as a whole.

mod aggregation;
mod bucket;
mod filter;

use std::ops::ControlFlow;

use super::codec::Columns;
use super::series::{Order, Part};
use super::{Sample, Series, TimeRange, Timestamp};
pub use aggregation::{Aggregation, MAX_BUCKETS, Stamp};
pub use bucket::Buckets;
pub use filter::Filter;

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
    pub fn for_each_batch(
        &self,
        series: &Series,
        mut give: impl FnMut(&[i64], &[f64]) -> ControlFlow<()>,
    ) {
        let range = self.visible_range(series);
        let mut columns = Columns::default();
        for part in series.parts(range, self.order) {
            if self.read(part, range, &mut columns)
                && give(&columns.times, &columns.values).is_break()
            {
                return;
            }
        }
    }

    /// Gives the selected samples one by one, in the order of the selection.
    pub fn for_each(&self, series: &Series, mut give: impl FnMut(Sample) -> ControlFlow<()>) {
        self.for_each_batch(series, |times, values| {
            let samples = times
                .iter()
                .zip(values)
                .map(|(&time, &value)| Sample::new(time, value));
            match self.order {
                Order::Ascending => samples.into_iter().try_for_each(&mut give),
                Order::Descending => samples.into_iter().rev().try_for_each(&mut give),
            }
        });
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
    fn read(&self, part: Part<'_>, range: TimeRange, columns: &mut Columns) -> bool {
        if !self.filter.may_match(part) {
            return false;
        }
        part.read(range, columns);
        self.filter.apply(columns);
        !columns.is_empty()
    }

    /// The number nearest to `time_ms` on one side of it, exclusive, inside or outside the range:
    /// the newest before with [`Order::Descending`], the oldest after with [`Order::Ascending`].
    /// It passes the filter and is not NaN.
    fn neighbour(&self, series: &Series, time_ms: Timestamp, side: Order) -> Option<Sample> {
        let visible = series.visible();
        let range = match side {
            Order::Descending => TimeRange::new(visible.from, time_ms.checked_sub(1)?),
            Order::Ascending => {
                TimeRange::new(time_ms.checked_add(1)?.max(visible.from), visible.to)
            }
        };
        let beyond = Self {
            range,
            order: side,
            filter: self.filter.clone(),
        };
        let mut found = None;
        beyond.for_each(series, |sample| {
            if sample.value.is_nan() {
                return ControlFlow::Continue(());
            }
            found = Some(sample);
            ControlFlow::Break(())
        });
        found
    }
}

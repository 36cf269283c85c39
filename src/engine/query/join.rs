//! Rows of several series side by side, one time a line.
//!
//! ```text
//! rows of a   10:1      20:2              10: 1  5
//! rows of b   10:5               30:6     20: 2  NaN
//!                                         30: NaN  6
//! ```
//!
//! The lines are made one by one, so what is held is the rows of the series and one line.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Rows;
use super::rows::Piece;
use crate::engine::Timestamp;
use crate::engine::series::Order;

/// Rows of series, each in the same order of time.
#[derive(Debug)]
pub struct Join<'r> {
    series: &'r [Rows],
    order: Order,
}

impl<'r> Join<'r> {
    /// Puts rows side by side.
    pub const fn new(series: &'r [Rows], order: Order) -> Self {
        Self { series, order }
    }

    /// Number of values in a line.
    pub fn width(&self) -> usize {
        self.series.iter().map(Rows::width).sum()
    }

    /// Number of lines. O(rows * log series).
    pub fn len(&self) -> u64 {
        let mut len = 0;
        self.for_each_time(|_, _| len += 1);
        len
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.series.iter().all(Rows::is_empty)
    }

    /// Gives the first `limit` lines: a time, and the values of all series, NaN where there is none.
    pub fn for_each(&self, limit: u64, mut give: impl FnMut(Timestamp, &[f64])) {
        let mut line = vec![f64::NAN; self.width()];
        let mut left = limit;
        self.for_each_time(|time_ms, cells| {
            if left == 0 {
                return;
            }
            left -= 1;
            line.fill(f64::NAN);
            for (start, values) in cells {
                line[*start..*start + values.len()].copy_from_slice(values);
            }
            give(time_ms, &line);
        });
    }

    /// Gives each time with what stands there: where it begins in the line, and the values.
    fn for_each_time(&self, mut give: impl FnMut(Timestamp, &[(usize, &'r [f64])])) {
        // Turned over, so that the newest is the least where the newest comes first.
        let rank = |time_ms: Timestamp| match self.order {
            Order::Ascending => time_ms,
            Order::Descending => !time_ms,
        };
        let mut start = 0;
        let mut sources = Vec::with_capacity(self.series.len());
        let mut next = BinaryHeap::with_capacity(self.series.len());
        for (at, rows) in self.series.iter().enumerate() {
            let mut rest = rows.pieces().flat_map(Piece::rows);
            if let Some((time_ms, values)) = rest.next() {
                next.push(Reverse((rank(time_ms), at)));
                sources.push((start, values, rest));
            } else {
                sources.push((start, &[][..], rest));
            }
            start += rows.width();
        }
        let mut cells: Vec<(usize, &'r [f64])> = Vec::new();
        while let Some(&Reverse((first, _))) = next.peek() {
            cells.clear();
            while let Some(&Reverse((time, at))) = next.peek()
                && time == first
            {
                next.pop();
                let (start, values, rest) = &mut sources[at];
                cells.push((*start, values));
                if let Some((time_ms, following)) = rest.next() {
                    *values = following;
                    next.push(Reverse((rank(time_ms), at)));
                }
            }
            give(rank(first), &cells);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(i64, &[f64])]) -> Rows {
        let mut all = Rows::new(rows[0].1.len(), u64::MAX);
        for &(time_ms, values) in rows {
            assert!(all.push(time_ms, values).is_continue());
        }
        all
    }

    #[test]
    fn lines_have_a_cell_for_every_series() {
        let series = [
            rows(&[(10, &[1.0]), (20, &[2.0])]),
            Rows::new(1, 9),
            rows(&[(10, &[5.0, 6.0]), (30, &[7.0, 8.0])]),
        ];
        let join = Join::new(&series, Order::Ascending);
        assert_eq!((join.width(), join.len()), (4, 3));
        let mut lines = Vec::new();
        join.for_each(2, |time_ms, values| {
            lines.push((time_ms, format!("{values:?}")));
        });
        let line = |time_ms, text: &str| (time_ms, text.to_string());
        assert_eq!(
            lines,
            [
                line(10, "[1.0, NaN, 5.0, 6.0]"),
                line(20, "[2.0, NaN, NaN, NaN]")
            ]
        );
    }

    #[test]
    fn descending_rows_stay_descending() {
        let series = [rows(&[(30, &[1.0]), (0, &[1.0])]), rows(&[(20, &[2.0])])];
        let mut times = Vec::new();
        Join::new(&series, Order::Descending).for_each(9, |time_ms, _| times.push(time_ms));
        assert_eq!(times, [30, 20, 0]);
    }
}

//! Putting the rows of several series together, time by time.
//!
//! ```text
//! rows of a   10:1.0        20:2.0   30:NaN            reduced by max
//! rows of b   10:5.0                 30:NaN  40:4.0    10:5.0  20:2.0  30:NaN  40:4.0
//! ```
//!
//! The values of one time are folded in the order of the series, so a result does not depend on
//! threads. NaN is "no data", as for buckets.

use std::ops::ControlFlow;

use super::Rows;
use super::rows::Piece;
use crate::engine::Timestamp;
use crate::engine::aggregate::{Aggregator, Edges, Needs, Partial};
use crate::engine::series::Order;

/// Reduces rows of one value each, which are in an order of time, to at most `limit` rows in the
/// same order. O(n log s), where n is the number of rows and s that of the series.
pub fn reduce(series: Vec<Rows>, reducer: Aggregator, order: Order, limit: u64) -> Rows {
    let needs = Needs::of(&[reducer]);
    let mut result = Rows::new(1, limit);
    let all = merged(series, order);
    for same_time in all.chunk_by(|(one, _), (other, _)| one == other) {
        let (times, values): (Vec<i64>, Vec<f64>) = same_time.iter().copied().unzip();
        let value = number(Partial::of(&needs, &times, &values), &needs, reducer);
        if result.push(times[0], &[value]) == ControlFlow::Break(()) {
            break;
        }
    }
    result
}

/// All rows in order of time, and those of one time in the order of their series.
fn merged(series: Vec<Rows>, order: Order) -> Vec<(Timestamp, f64)> {
    let mut all = Vec::with_capacity(series.iter().map(Rows::len).sum());
    for rows in series {
        for piece in rows.into_pieces() {
            all.extend(piece.rows().map(|(time_ms, values)| (time_ms, values[0])));
        }
    }
    // A stable sort of sorted runs is a merge.
    match order {
        Order::Ascending => all.sort_by_key(|(time_ms, _)| *time_ms),
        Order::Descending => all.sort_by_key(|(time_ms, _)| std::cmp::Reverse(*time_ms)),
    }
    all
}

/// One number for rows of one value each, which are in an order of time: what `aggregator` says of
/// all their values. The first of them is the oldest, in either order.
pub fn summary(rows: &Rows, aggregator: Aggregator, order: Order) -> f64 {
    let needs = Needs::of(&[aggregator]);
    let mut whole = Partial::default();
    for piece in rows.pieces() {
        let (times, values) = Piece::columns(piece);
        match order {
            Order::Ascending => whole.append(&needs, Partial::of(&needs, times, values)),
            Order::Descending => {
                let times: Vec<i64> = times.iter().rev().copied().collect();
                let values: Vec<f64> = values.iter().rev().copied().collect();
                let newer = std::mem::replace(&mut whole, Partial::of(&needs, &times, &values));
                whole.append(&needs, newer);
            }
        }
    }
    number(whole, &needs, aggregator)
}

/// The result. A sum of no number is none: 0 would stand among sums that were measured.
fn number(mut partial: Partial, needs: &Needs, aggregator: Aggregator) -> f64 {
    if aggregator == Aggregator::Sum && partial.ends().is_none() {
        return f64::NAN;
    }
    partial.settle();
    partial.result(needs, aggregator, &Edges::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(i64, f64)]) -> Rows {
        let mut all = Rows::new(1, u64::MAX);
        for &(time_ms, value) in rows {
            assert!(all.push(time_ms, &[value]).is_continue());
        }
        all
    }

    fn listed(rows: Rows) -> Vec<(i64, f64)> {
        let mut all = Vec::new();
        for piece in rows.into_pieces() {
            all.extend(piece.rows().map(|(time_ms, values)| (time_ms, values[0])));
        }
        all
    }

    #[test]
    fn rows_of_one_time_become_one_and_nan_is_no_data() {
        let a = [(10, 1.0), (20, 2.0), (30, f64::NAN)];
        let b = [(10, 5.0), (30, f64::NAN), (40, 4.0)];
        let reduced = |reducer, limit| {
            listed(reduce(
                vec![rows(&a), rows(&b)],
                reducer,
                Order::Ascending,
                limit,
            ))
        };
        let max = reduced(Aggregator::Max, u64::MAX);
        assert_eq!(max[..2], [(10, 5.0), (20, 2.0)]);
        assert!(max[2].0 == 30 && max[2].1.is_nan());
        assert_eq!(max[3], (40, 4.0));
        let counts = reduced(Aggregator::Count, 3);
        assert_eq!(counts, [(10, 2.0), (20, 1.0), (30, 0.0)]);
        assert_eq!(reduced(Aggregator::CountNan, 9)[2], (30, 2.0));
        let sums = reduced(Aggregator::Sum, u64::MAX);
        assert!(sums[2].0 == 30 && sums[2].1.is_nan());
    }

    #[test]
    fn descending_rows_stay_descending() {
        let a = rows(&[(30, 1.0), (10, 1.0)]);
        let b = rows(&[(20, 1.0), (10, 2.0)]);
        let reduced = reduce(vec![a, b], Aggregator::Sum, Order::Descending, 9);
        assert_eq!(listed(reduced), [(30, 1.0), (20, 1.0), (10, 3.0)]);
    }

    #[test]
    fn a_summary_is_over_all_values_whatever_their_order() {
        let mut samples = [(1, 3.0), (2, f64::NAN), (5, 5.0)];
        for order in [Order::Ascending, Order::Descending] {
            let rows = rows(&samples);
            assert_eq!(summary(&rows, Aggregator::Avg, order), 4.0);
            assert_eq!(summary(&rows, Aggregator::First, order), 3.0);
            assert_eq!(summary(&rows, Aggregator::Last, order), 5.0);
            assert_eq!(summary(&rows, Aggregator::Twa, order), 4.0);
            samples.reverse();
        }
        assert!(summary(&rows(&[]), Aggregator::Sum, Order::Ascending).is_nan());
    }
}

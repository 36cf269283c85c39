//! The area under a signal that is linear between its samples, for the time-weighted average.

use super::sum::Sum;
use crate::engine::{Sample, Timestamp};

/// Pieces that are added up at once.
const PIECES: usize = 32;

/// Area from the first to the last sample by the trapezoidal rule, in value x milliseconds. No
/// value is NaN.
#[expect(
    clippy::cast_precision_loss,
    reason = "a step of 2^53 ms is 285,000 years"
)]
pub(super) fn area(times: &[i64], values: &[f64]) -> Sum {
    let steps = times.len().saturating_sub(1);
    let lefts = times.iter().zip(values).take(steps);
    let rights = times.iter().zip(values).skip(1);
    let mut pairs = lefts.zip(rights);
    let mut pieces = [0.0; PIECES];
    let mut total = Sum::default();
    loop {
        let mut len = 0;
        for (piece, ((from, left), (to, right))) in pieces.iter_mut().zip(&mut pairs) {
            // Halved before they are added: the sum of two large values would overflow.
            *piece = (left / 2.0 + right / 2.0) * (to - from) as f64;
            len += 1;
        }
        total += Sum::map(&pieces[..len], |piece| piece);
        if len < PIECES {
            return total;
        }
    }
}

/// What lies around a bucket: the window whose average is asked, and the nearest samples outside
/// the bucket on both sides, NaN left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edges {
    /// First time of the window.
    pub start_ms: Timestamp,
    /// First time behind the window.
    pub end_ms: Timestamp,
    /// The newest sample before the window.
    pub before: Option<Sample>,
    /// The oldest sample at or after its end.
    pub after: Option<Sample>,
}

impl Edges {
    /// The average over the window, given the area between the first and the last sample in it.
    ///
    /// The signal is extended to the window's edges where there is a sample beyond; where there
    /// is none, the window begins or ends with the samples it has.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a window of 2^53 ms is 285,000 years"
    )]
    pub(super) fn average(&self, area: Sum, first: Sample, last: Sample) -> f64 {
        let (mut area, mut from_ms, mut to_ms) = (area, first.time_ms, last.time_ms);
        if let Some(before) = self.before {
            let edge = interpolate(before, first, self.start_ms);
            area += self::area(&[self.start_ms, first.time_ms], &[edge, first.value]);
            from_ms = self.start_ms;
        }
        if let Some(after) = self.after {
            let edge = interpolate(last, after, self.end_ms);
            area += self::area(&[last.time_ms, self.end_ms], &[last.value, edge]);
            to_ms = self.end_ms;
        }
        if from_ms == to_ms {
            first.value
        } else {
            area.mean((to_ms - from_ms) as f64)
        }
    }

    /// How long the signal is `value` from the window's start to the first sample in it and from
    /// the last one to its end, in milliseconds: each sample holds until the next.
    pub(super) fn held_ms(&self, value: f64, first: Sample, last: Sample) -> i64 {
        let mut total_ms = 0;
        if self.holds_at_start(value) {
            total_ms += first.time_ms - self.start_ms;
        }
        if last.value == value {
            total_ms += self.end_ms - last.time_ms;
        }
        total_ms
    }

    /// How long the signal is `value` in a window without samples.
    pub(super) fn held_ms_of_nothing(&self, value: f64) -> i64 {
        if self.holds_at_start(value) {
            self.end_ms.saturating_sub(self.start_ms)
        } else {
            0
        }
    }

    fn holds_at_start(&self, value: f64) -> bool {
        self.before.is_some_and(|before| before.value == value)
    }

    /// The average over a window without samples: the signal's value in its middle.
    pub(super) fn average_of_nothing(&self) -> f64 {
        let (Some(before), Some(after)) = (self.before, self.after) else {
            return f64::NAN;
        };
        let left = interpolate(before, after, self.start_ms);
        let right = interpolate(before, after, self.end_ms);
        left / 2.0 + right / 2.0
    }
}

/// The signal's value at a time between two samples.
#[expect(
    clippy::cast_precision_loss,
    reason = "a step of 2^53 ms is 285,000 years"
)]
fn interpolate(left: Sample, right: Sample, time_ms: Timestamp) -> f64 {
    let share = (time_ms - left.time_ms) as f64 / (right.time_ms - left.time_ms) as f64;
    // Exact at both ends, and no overflow for values of opposite sign.
    left.value * (1.0 - share) + right.value * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_extended_to_the_edges_where_it_goes_on() {
        let (first, last) = (Sample::new(12, 2.0), Sample::new(18, 8.0));
        let area = area(&[12, 18], &[2.0, 8.0]);
        let alone = Edges {
            start_ms: 10,
            end_ms: 20,
            before: None,
            after: None,
        };
        assert_eq!(alone.average(area, first, last), 5.0);
        let before = Some(Sample::new(8, -2.0));
        let after = Some(Sample::new(22, 12.0));
        let within = Edges {
            before,
            after,
            ..alone
        };
        assert_eq!(within.average(area, first, last), 5.0);
        let right = Edges {
            after: Some(Sample::new(20, 0.0)),
            ..alone
        };
        assert_eq!(right.average(area, first, last), (30.0 + 8.0) / 8.0);
    }

    #[test]
    fn a_window_without_samples_takes_the_signal_in_its_middle() {
        let (before, after) = (Some(Sample::new(0, 0.0)), Some(Sample::new(100, 10.0)));
        let edges = Edges {
            start_ms: 40,
            end_ms: 50,
            before,
            after,
        };
        assert_eq!(edges.average_of_nothing(), 4.5);
    }
}

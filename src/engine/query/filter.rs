//! Filters by time and by value.

use crate::engine::codec::Columns;
use crate::engine::series::Part;

/// Which samples count. All of them by default.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    times: Option<Box<[i64]>>,
    values: Option<(f64, f64)>,
}

impl Filter {
    /// A filter by exact times and by an inclusive range of values, either of which may be absent.
    /// NaN is in no range.
    pub fn new(times: Option<Vec<i64>>, values: Option<(f64, f64)>) -> Self {
        let times = times.map(|mut times| {
            times.sort_unstable();
            times.dedup();
            times.into_boxed_slice()
        });
        Self { times, values }
    }

    /// Whether everything passes.
    pub fn is_none(&self) -> bool {
        self.times.is_none() && self.values.is_none()
    }

    /// Whether a block may hold a sample that passes, as far as can be told without decoding.
    pub(super) fn may_match(&self, part: Part<'_>) -> bool {
        let in_time = self.times.as_ref().is_none_or(|times| {
            let next = times.partition_point(|&time_ms| time_ms < part.first_ms());
            times
                .get(next)
                .is_some_and(|&time_ms| time_ms <= part.last_ms())
        });
        let in_values = match (self.values, part.sealed()) {
            (Some((min, max)), Some(block)) => block.may_hold(min, max),
            _ => true,
        };
        in_time && in_values
    }

    /// Keeps what passes.
    pub(super) fn apply(&self, columns: &mut Columns) {
        if let Some(times) = &self.times {
            let mut wanted = &times[..];
            keep(columns, |time_ms, _| {
                while wanted.first().is_some_and(|&next| next < time_ms) {
                    wanted = &wanted[1..];
                }
                wanted.first() == Some(&time_ms)
            });
        }
        if let Some((min, max)) = self.values {
            keep(columns, |_, value| min <= value && value <= max);
        }
    }
}

/// Moves what passes to the front, without branching on it, and cuts off the rest.
fn keep(columns: &mut Columns, mut passes: impl FnMut(i64, f64) -> bool) {
    let mut kept = 0;
    for at in 0..columns.len() {
        let (time_ms, value) = (columns.times[at], columns.values[at]);
        columns.times[kept] = time_ms;
        columns.values[kept] = value;
        kept += usize::from(passes(time_ms, value));
    }
    columns.truncate(kept);
}

//! The model of a query: filters and aggregation over a plain list of samples.

/// A sample: time in milliseconds, and value.
pub(crate) type Sample = (i64, f64);

/// The names of all aggregators.
pub(crate) const AGGREGATORS: [&str; 15] = [
    "avg", "sum", "min", "max", "range", "count", "first", "last", "std.p", "std.s", "var.p",
    "var.s", "twa", "countnan", "countall",
];

/// Which time stands for a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    Start,
    Mid,
    End,
}

/// How samples are gathered in buckets.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    /// One name of [`AGGREGATORS`] a column.
    pub(crate) aggregators: Vec<&'static str>,
    pub(crate) duration: i64,
    /// A time at which a bucket starts.
    pub(crate) align: i64,
    pub(crate) stamp: Stamp,
    /// Whether gaps are filled.
    pub(crate) empty: bool,
}

/// A query over one series.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// The only times that count.
    pub(crate) times: Option<Vec<i64>>,
    /// Smallest and largest value that counts.
    pub(crate) values: Option<(f64, f64)>,
    pub(crate) buckets: Option<Buckets>,
    pub(crate) count: Option<usize>,
    pub(crate) reverse: bool,
}

/// The query as a client writes it, from the range on.
pub(crate) fn text(query: &Query) -> String {
    let mut line = vec![format!("{} {}", query.from, query.to)];
    if let Some(times) = &query.times {
        line.push(" FILTER_BY_TS".into());
        for time in times {
            line.push(format!(" {time}"));
        }
    }
    if let Some((min, max)) = query.values {
        line.push(format!(" FILTER_BY_VALUE {min} {max}"));
    }
    if let Some(count) = query.count {
        line.push(format!(" COUNT {count}"));
    }
    if let Some(buckets) = &query.buckets {
        let stamp = match buckets.stamp {
            Stamp::Start => "-",
            Stamp::Mid => "~",
            Stamp::End => "+",
        };
        line.push(format!(
            " ALIGN {} AGGREGATION {} {} BUCKETTIMESTAMP {stamp}",
            buckets.align,
            buckets.aggregators.join(","),
            buckets.duration
        ));
        if buckets.empty {
            line.push(" EMPTY".into());
        }
    }
    line.concat()
}

/// The rows of the reply: a time and a value for each column.
pub(crate) fn rows(samples: &[Sample], query: &Query) -> Vec<(i64, Vec<f64>)> {
    if query.from > query.to {
        return Vec::new();
    }
    let kept: Vec<Sample> = samples
        .iter()
        .copied()
        .filter(|(time, _)| {
            query
                .times
                .as_ref()
                .is_none_or(|times| times.contains(time))
        })
        .filter(|(_, value)| {
            query
                .values
                .is_none_or(|(min, max)| min <= *value && *value <= max)
        })
        .collect();
    let mut rows = match &query.buckets {
        None => kept
            .iter()
            .filter(|(time, _)| (query.from..=query.to).contains(time))
            .map(|&(time, value)| (time, vec![value]))
            .collect(),
        Some(buckets) => bucket_rows(&kept, query, buckets),
    };
    if query.reverse {
        rows.reverse();
    }
    rows.truncate(query.count.unwrap_or(usize::MAX));
    rows
}

fn bucket_rows(kept: &[Sample], query: &Query, buckets: &Buckets) -> Vec<(i64, Vec<f64>)> {
    let numbers: Vec<Sample> = kept
        .iter()
        .copied()
        .filter(|(_, value)| !value.is_nan())
        .collect();
    // Only buckets that have a sample, or lie between two, can appear.
    let (Some(&(oldest, _)), Some(&(newest, _))) = (kept.first(), kept.last()) else {
        return Vec::new();
    };
    let start_of = |time: i64| time - (time - buckets.align).rem_euclid(buckets.duration);
    let mut rows = Vec::new();
    let mut start = start_of(oldest.max(query.from));
    while start <= newest.min(query.to) {
        let window = (
            start.max(query.from),
            (start + buckets.duration).min(query.to.saturating_add(1)),
        );
        if let Some(values) = row(kept, &numbers, window, buckets) {
            let time = match buckets.stamp {
                Stamp::Start => start,
                Stamp::Mid => start + buckets.duration / 2,
                Stamp::End => start + buckets.duration,
            };
            rows.push((time.max(0), values));
        }
        start += buckets.duration;
    }
    rows
}

/// The values of one bucket, cut to the range: `window` is its first time and the first after it.
fn row(
    kept: &[Sample],
    numbers: &[Sample],
    window: (i64, i64),
    buckets: &Buckets,
) -> Option<Vec<f64>> {
    let inside = |sample: &&Sample| window.0 <= sample.0 && sample.0 < window.1;
    let all: Vec<Sample> = kept.iter().filter(inside).copied().collect();
    let values: Vec<f64> = numbers
        .iter()
        .filter(inside)
        .map(|sample| sample.1)
        .collect();
    let is_gap = numbers.iter().any(|sample| sample.0 < window.0)
        && numbers.iter().any(|sample| sample.0 >= window.1);
    // Only EMPTY fills in, and only between two numbers.
    let is_filled = buckets.empty && is_gap;
    let counts_nan = |name: &&str| matches!(*name, "countnan" | "countall");
    let shown = !values.is_empty()
        || (!all.is_empty() && buckets.aggregators.iter().any(counts_nan))
        || is_filled;
    let column = |name: &&str| match *name {
        "twa" if values.is_empty() && !is_filled => f64::NAN,
        "twa" => time_weighted(numbers, window),
        "countall" => number(all.len()),
        "countnan" => number(all.len() - values.len()),
        "last" if values.is_empty() && is_filled => {
            let older = numbers.iter().rev().find(|sample| sample.0 < window.0);
            older.unwrap().1
        }
        name => fold(name, &values),
    };
    shown.then(|| buckets.aggregators.iter().map(column).collect())
}

/// One number for values of several rows, in order of time: without any number there is no sum.
pub(crate) fn reduced(name: &str, values: &[f64]) -> f64 {
    let numbers = values.iter().copied().filter(|value| !value.is_nan());
    let numbers: Vec<f64> = numbers.collect();
    match name {
        "countall" => number(values.len()),
        "countnan" => number(values.len() - numbers.len()),
        "sum" if numbers.is_empty() => f64::NAN,
        name => fold(name, &numbers),
    }
}

/// An aggregate of the values of a bucket in the order of time.
fn fold(name: &str, values: &[f64]) -> f64 {
    let n = number(values.len());
    let sum: f64 = values.iter().sum();
    match name {
        "sum" => return sum,
        "count" => return n,
        _ if values.is_empty() => return f64::NAN,
        _ => {}
    }
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = sum / n;
    let squares: f64 = values
        .iter()
        .map(|value| (value - mean) * (value - mean))
        .sum();
    let of_sample = if values.len() == 1 {
        0.0
    } else {
        squares / (n - 1.0)
    };
    match name {
        "avg" => mean,
        "min" => min,
        "max" => max,
        "range" => max - min,
        "first" => values[0],
        "last" => values[values.len() - 1],
        "var.p" => squares / n,
        "std.p" => (squares / n).sqrt(),
        "var.s" => of_sample,
        "std.s" => of_sample.sqrt(),
        other => panic!("{other} is no aggregator"),
    }
}

/// The mean over time of the line through all samples, as far as the window and the line reach.
fn time_weighted(numbers: &[Sample], window: (i64, i64)) -> f64 {
    let mut area = 0.0;
    let mut width = 0.0;
    for pair in numbers.windows(2) {
        let (left, right) = (pair[0].0.max(window.0), pair[1].0.min(window.1));
        if left < right {
            let at = |time: i64| {
                let share = number64(time - pair[0].0) / number64(pair[1].0 - pair[0].0);
                pair[0].1 + (pair[1].1 - pair[0].1) * share
            };
            area += f64::midpoint(at(left), at(right)) * number64(right - left);
            width += number64(right - left);
        }
    }
    if width > 0.0 {
        return area / width;
    }
    // A line of one point only.
    numbers
        .iter()
        .find(|sample| window.0 <= sample.0 && sample.0 < window.1)
        .map_or(f64::NAN, |sample| sample.1)
}

fn number(count: usize) -> f64 {
    number64(i64::try_from(count).unwrap())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the numbers of the tests are far below 2^53"
)]
fn number64(count: i64) -> f64 {
    count as f64
}

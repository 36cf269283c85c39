//! The model of a query: filters and aggregation over a plain list of samples.

/// A sample: time in milliseconds, and value.
pub(crate) type Sample = (i64, f64);

/// The names of all aggregators, some with a number.
pub(crate) const AGGREGATORS: [&str; 27] = [
    "avg",
    "sum",
    "min",
    "max",
    "range",
    "count",
    "first",
    "last",
    "std.p",
    "std.s",
    "var.p",
    "var.s",
    "twa",
    "countnan",
    "countall",
    "median",
    "p0",
    "p25",
    "p99.9",
    "increase",
    "rate",
    "delta",
    "integral",
    "distinct",
    "mode",
    "timein(1)",
    "timein(-2.5)",
];

/// Which time stands for a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stamp {
    #[default]
    Start,
    Mid,
    End,
}

/// What fills a gap between two rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Filling {
    Prev,
    Linear,
    Next,
    Value(f64),
}

/// How samples are gathered in buckets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buckets {
    /// One name of [`AGGREGATORS`] a column.
    pub(crate) aggregators: Vec<&'static str>,
    pub(crate) duration: i64,
    /// A time at which a bucket starts.
    pub(crate) align: i64,
    /// The starts of all buckets that matter, and that of the next, where they are not of one width.
    pub(crate) edges: Vec<i64>,
    pub(crate) stamp: Stamp,
    /// Whether gaps are filled with the results of nothing.
    pub(crate) empty: bool,
    /// What gaps are filled with instead, and how long they may be.
    pub(crate) fill: Option<(Filling, i64)>,
}

impl Buckets {
    fn start_of(&self, time: i64) -> i64 {
        if self.edges.is_empty() {
            return time - (time - self.align).rem_euclid(self.duration);
        }
        self.edges[self.edges.partition_point(|&edge| edge <= time) - 1]
    }

    fn stamp_of(&self, start: i64) -> i64 {
        let end = self.end_of(start);
        let time = match self.stamp {
            Stamp::Start => start,
            Stamp::Mid => start + (end - start) / 2,
            Stamp::End => end,
        };
        time.max(0)
    }

    fn end_of(&self, start: i64) -> i64 {
        if self.edges.is_empty() {
            return start + self.duration;
        }
        let next = self.edges.partition_point(|&edge| edge <= start);
        self.edges.get(next).copied().unwrap_or(i64::MAX)
    }
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
        if let Some((filling, max_gap)) = buckets.fill {
            let with = match filling {
                Filling::Prev => "PREV".into(),
                Filling::Linear => "LINEAR".into(),
                Filling::Next => "NEXT".into(),
                Filling::Value(value) => format!("VALUE {value}"),
            };
            line.push(format!(" FILL {with} MAXGAP {max_gap}ms"));
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
    let mut rows = Vec::new();
    let mut start = buckets.start_of(oldest.max(query.from));
    while start <= newest.min(query.to) {
        let end = buckets.end_of(start);
        let window = (start.max(query.from), end.min(query.to.saturating_add(1)));
        if let Some(values) = row(kept, &numbers, window, buckets) {
            rows.push((start, values));
        }
        start = end;
    }
    let rows = filled(rows, buckets);
    let stamped = |(start, values)| (buckets.stamp_of(start), values);
    rows.into_iter().map(stamped).collect()
}

/// The rows and those of the gaps between them, by the starts of their buckets.
fn filled(rows: Vec<(i64, Vec<f64>)>, buckets: &Buckets) -> Vec<(i64, Vec<f64>)> {
    let Some((filling, max_gap)) = buckets.fill else {
        return rows;
    };
    let mut all = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        all.push(row.clone());
        let Some(next) = rows.get(at + 1) else {
            break;
        };
        let mut start = buckets.end_of(row.0);
        if next.0 - start > max_gap {
            continue;
        }
        while start < next.0 {
            let time = |start| number64(buckets.stamp_of(start));
            let share = (time(start) - time(row.0)) / (time(next.0) - time(row.0));
            let between = |(old, new): (&f64, &f64)| match filling {
                Filling::Prev => *old,
                Filling::Linear => old + (new - old) * share,
                Filling::Next => *new,
                Filling::Value(value) => value,
            };
            all.push((start, row.1.iter().zip(&next.1).map(between).collect()));
            start = buckets.end_of(start);
        }
    }
    all
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
    let within: Vec<Sample> = numbers.iter().filter(inside).copied().collect();
    let values: Vec<f64> = within.iter().map(|sample| sample.1).collect();
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
        name if name.starts_with("timein") => {
            let value: f64 = name["timein(".len()..name.len() - 1].parse().unwrap();
            if values.is_empty() && !is_filled {
                0.0
            } else {
                number64(time_in(value, numbers, window))
            }
        }
        "increase" | "rate" | "delta" | "integral" => change(name, &within),
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
        "distinct" => return number(ordered(values).chunk_by(|a, b| a == b).count()),
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
        "median" => quantile(0.5, &ordered(values)),
        "mode" => ordered(values)
            .chunk_by(|a, b| a == b)
            .rev()
            .max_by_key(|same| same.len())
            .unwrap()[0],
        other => match other.strip_prefix('p').map(str::parse::<f64>) {
            Some(Ok(percent)) => quantile(percent / 100.0, &ordered(values)),
            _ => panic!("{other} is no aggregator"),
        },
    }
}

fn ordered(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values
}

/// Linear between the two values around the rank.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank is an index"
)]
fn quantile(share: f64, ordered: &[f64]) -> f64 {
    let rank = share * number(ordered.len() - 1);
    let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
    ordered[low] + (ordered[high] - ordered[low]) * (rank - rank.floor())
}

/// What is said of a counter, or of the line through samples.
fn change(name: &str, samples: &[Sample]) -> f64 {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return f64::NAN;
    };
    let seconds = |pair: &[Sample]| number64(pair[1].0 - pair[0].0) / 1000.0;
    let counted = |pair: &[Sample]| match pair[1].1 - pair[0].1 {
        less if less < 0.0 => pair[1].1,
        more => more,
    };
    let increase: f64 = samples.windows(2).map(counted).sum();
    match name {
        "increase" => increase,
        "rate" => increase / seconds(&[*first, *last]),
        "delta" => last.1 - first.1,
        _ => samples
            .windows(2)
            .map(|pair| f64::midpoint(pair[0].1, pair[1].1) * seconds(pair))
            .sum(),
    }
}

/// How many milliseconds of a window have the value, each sample holding until the next.
fn time_in(value: f64, numbers: &[Sample], window: (i64, i64)) -> i64 {
    let mut total = 0;
    for (at, sample) in numbers.iter().enumerate() {
        let until = numbers.get(at + 1).map_or(window.1, |next| next.0);
        let held = until.min(window.1) - sample.0.max(window.0);
        if sample.1 == value && held > 0 {
            total += held;
        }
    }
    total
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

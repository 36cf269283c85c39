//! The engine against naive models: random operations on a series, and random queries over it.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/aggregation.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod aggregation;
#[path = "support/naive.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod naive;
#[path = "support/seeds.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod seeds;

use std::cell::Cell;
use std::ops::ControlFlow;

use naive::{Outcome, Policy};
use redis_iot::engine::aggregate::Aggregator;
use redis_iot::engine::options::{DuplicatePolicy, Encoding, Ignore, Options};
use redis_iot::engine::persist::{Buffer, VERSION, read_series, write_series};
use redis_iot::engine::query::{
    Aggregation, Buckets, Fill, Filling, Filter, Halted, RangeQuery, Selection, Stamp, Unwatched,
    Watch,
};
use redis_iot::engine::series::{Added, Order, Upsert};
use redis_iot::engine::{Sample, Series, TimeRange, Timestamp};
use seeds::Random;

/// The seed of the write mixes.
const WRITES_SEED: u64 = 0x10D5_0010;
/// The seed of the queries.
const QUERIES_SEED: u64 = 0x10D5_0011;
/// The seed of the queries that are cut in pieces.
const PIECES_SEED: u64 = 0x10D5_0012;

/// A series and its model.
struct Pair {
    series: Series,
    model: naive::Series,
}

impl Pair {
    fn new(random: &mut Random) -> Self {
        let retention_ms = if random.chance(50) {
            random.within(1..20_000)
        } else {
            0
        };
        let policy = random.index(6);
        let ignore = if random.chance(30) {
            (random.within(0..50), 0.5)
        } else {
            (0, 0.0)
        };
        let options = Options {
            retention_ms,
            chunk_bytes: [48, 128, 512, 4096][random.index(4)],
            encoding: Encoding::ALL[random.index(3)],
            duplicate_policy: Some(DuplicatePolicy::ALL[policy]),
            ignore: Ignore {
                max_time_diff_ms: ignore.0,
                max_value_diff: ignore.1,
            },
            ..Options::default()
        };
        let model = naive::Series::new(retention_ms, Policy::ALL[policy].0, ignore);
        Self {
            series: Series::new(options),
            model,
        }
    }

    fn upsert(&self, policy: usize) -> Upsert {
        let ignore = self.series.options().ignore;
        Upsert::Client {
            policy: DuplicatePolicy::ALL[policy],
            ignore,
        }
    }

    /// A time near the end, now and then far back.
    fn time(&self, random: &mut Random) -> i64 {
        let newest = self.model.newest().map_or(0, |newest| newest.0);
        match random.index(10) {
            0 => newest,
            1 => random.within(0..newest + 1),
            2 => (newest - random.within(0..500)).max(0),
            _ => newest + random.within(1..30),
        }
    }

    fn add(&mut self, random: &mut Random) {
        let policy = random.index(6);
        let len = if random.chance(5) {
            random.index(300)
        } else {
            1
        };
        let samples: Vec<Sample> = (0..len)
            .map(|_| Sample::new(self.time(random), random.any_value()))
            .collect();
        let upsert = self.upsert(policy);
        let mut outcomes = Vec::new();
        if let [sample] = samples[..] {
            outcomes.push(self.series.add(sample, &upsert));
        } else {
            self.series
                .add_all(&samples, &upsert, &mut |_, outcome| outcomes.push(outcome));
        }
        assert_eq!(outcomes.len(), samples.len());
        for (sample, outcome) in samples.iter().zip(outcomes) {
            let expected =
                self.model
                    .add(sample.time_ms, sample.value, Some(Policy::ALL[policy].0));
            let same = match outcome {
                Ok(Added::Stored) => expected == Outcome::Added,
                Ok(Added::Updated(_) | Added::Unchanged) => expected == Outcome::Merged,
                Ok(Added::Ignored) => expected == Outcome::Ignored,
                Err(_) => expected == Outcome::Refused,
            };
            assert!(same, "{sample:?}: {outcome:?}, expected {expected:?}");
        }
    }

    fn step(&mut self, random: &mut Random) {
        match random.index(100) {
            0 => {
                let (from, to) = (self.time(random), self.time(random));
                let deleted = self.series.delete(TimeRange::new(from, to));
                assert_eq!(deleted, self.model.delete(from, to) as u64);
            }
            1 if random.chance(30) => {
                let retention_ms = random.within(0..30_000);
                self.series
                    .alter(|options| options.retention_ms = retention_ms);
                self.model.retain(retention_ms);
            }
            2 => self.series = reloaded(&self.series),
            3..6 => {
                let (amount, time) = (random.reading(), self.time(random));
                let raised = self.series.increment(time, amount, &self.upsert(2));
                assert_eq!(raised.is_ok(), self.model.increment(amount, time).is_some());
            }
            6 => self.series.settle(),
            7..10 => {
                self.series.visit();
            }
            _ => self.add(random),
        }
    }

    fn check(&self) {
        self.series.validate().unwrap();
        let expected = self.model.all();
        let newest = self
            .series
            .newest()
            .map(|one| (one.time_ms, one.value.to_bits()));
        assert_eq!(newest, expected.last().map(|one| (one.0, one.1.to_bits())));
        assert_eq!(self.series.len(), expected.len() as u64);
        assert_eq!(
            self.series.oldest().map(|one| one.time_ms),
            expected.first().map(|one| one.0)
        );
        let stored = read_all(&self.series, Order::Ascending);
        let expected: Vec<_> = expected
            .iter()
            .map(|one| (one.0, one.1.to_bits()))
            .collect();
        let at = stored.iter().zip(&expected).position(|(a, b)| a != b);
        assert!(
            stored == expected,
            "samples differ at {at:?} of {}/{}: {:?}",
            stored.len(),
            expected.len(),
            at.map(|at| (stored[at], expected[at]))
        );
        let mut backwards = read_all(&self.series, Order::Descending);
        backwards.reverse();
        assert!(backwards == expected, "samples differ backwards");
    }
}

fn read_all(series: &Series, order: Order) -> Vec<(Timestamp, u64)> {
    let selection = Selection {
        range: TimeRange::ALL,
        order,
        filter: Filter::default(),
    };
    let mut all = Vec::new();
    let done = selection.for_each(series, &Unwatched, |sample| {
        all.push((sample.time_ms, sample.value.to_bits()));
        ControlFlow::Continue(())
    });
    assert_eq!(done, Ok(()));
    all
}

fn reloaded(series: &Series) -> Series {
    let mut buffer = Buffer::default();
    write_series(series, &mut buffer);
    let mut bytes = &buffer.bytes[..];
    let again = read_series(&mut bytes, VERSION).unwrap();
    assert!(bytes.is_empty());
    assert_eq!(digest(series), digest(&again));
    again
}

fn digest(series: &Series) -> Vec<u8> {
    let mut digest = Vec::new();
    series.digest(&mut |piece| digest.extend_from_slice(piece));
    digest
}

#[test]
fn any_mix_of_writes_leaves_what_the_model_has() {
    let mut random = Random::new(WRITES_SEED);
    for _ in 0..60 {
        let mut pair = Pair::new(&mut random);
        for step in 0..2_000 {
            pair.step(&mut random);
            if step % 50 == 0 {
                pair.check();
            }
        }
        pair.check();
    }
}

/// A reading, one of a few values, or NaN.
fn value(random: &mut Random, nan_percent: u64) -> f64 {
    match random.index(3) {
        _ if random.chance(nan_percent) => f64::NAN,
        0 => [1.0, -2.5, 0.0, 7.0][random.index(4)],
        _ => random.reading(),
    }
}

/// The aggregator of a name.
fn aggregator(name: &str) -> Aggregator {
    let number = |prefix| {
        name.strip_prefix(prefix)?
            .trim_end_matches(')')
            .parse()
            .ok()
    };
    Aggregator::by_name(name.as_bytes())
        .or_else(|| number("p").map(Aggregator::Percentile))
        .or_else(|| number("timein(").map(Aggregator::TimeIn))
        .unwrap()
}

/// What fills gaps, for the engine and for the model.
fn fill(random: &mut Random) -> (Fill, (aggregation::Filling, i64)) {
    let (with, model) = [
        (Filling::Previous, aggregation::Filling::Prev),
        (Filling::Linear, aggregation::Filling::Linear),
        (Filling::Next, aggregation::Filling::Next),
        (Filling::Value(-3.5), aggregation::Filling::Value(-3.5)),
    ][random.index(4)];
    let max_gap_ms = if random.chance(50) {
        random.within(0..2_000)
    } else {
        i64::MAX
    };
    (Fill { with, max_gap_ms }, (model, max_gap_ms))
}

/// A query for the engine and the same for the model.
struct Question {
    selection: Selection,
    aggregation: Option<Aggregation>,
    model: aggregation::Query,
}

impl Question {
    fn new(random: &mut Random, newest: i64) -> Self {
        let (from, to) = match random.index(4) {
            0 => (0, i64::MAX),
            _ => (random.within(0..newest + 10), random.within(0..newest + 10)),
        };
        let order = [Order::Ascending, Order::Descending][random.index(2)];
        let times = random.chance(10).then(|| {
            (0..random.index(200))
                .map(|_| random.within(0..newest + 10))
                .collect()
        });
        let times: Option<Vec<i64>> = times;
        let values = random
            .chance(20)
            .then(|| (random.reading(), random.reading()));
        let aggregation = random.chance(80).then(|| Self::aggregation(random));
        let model = aggregation::Query {
            from,
            to,
            times: times.clone(),
            values,
            buckets: aggregation.as_ref().map(|one| one.1.clone()),
            count: None,
            reverse: order == Order::Descending,
        };
        let filter = Filter::new(times, values);
        let range = TimeRange::new(from, to);
        let selection = Selection {
            range,
            order,
            filter,
        };
        Self {
            selection,
            aggregation: aggregation.map(|one| one.0),
            model,
        }
    }

    fn aggregation(random: &mut Random) -> (Aggregation, aggregation::Buckets) {
        let all = aggregation::AGGREGATORS;
        let chosen: Vec<&str> = (0..=random.index(3))
            .map(|_| all[random.index(all.len())])
            .collect();
        let duration = [1, 7, 100, 1_000, 30_000][random.index(5)];
        let align = random.within(0..5_000);
        let stamp = random.index(3);
        let empty = random.chance(50) && duration > 1;
        let fill = (!empty && duration > 1 && random.chance(50)).then(|| fill(random));
        let engine = Aggregation {
            aggregators: chosen.iter().map(|name| aggregator(name)).collect(),
            buckets: Buckets::new(duration, align),
            stamp: [Stamp::Start, Stamp::Middle, Stamp::End][stamp],
            empty,
            fill: fill.map(|one| one.0),
        };
        let model = aggregation::Buckets {
            aggregators: chosen,
            duration,
            align,
            edges: Vec::new(),
            stamp: [
                aggregation::Stamp::Start,
                aggregation::Stamp::Mid,
                aggregation::Stamp::End,
            ][stamp],
            empty,
            fill: fill.map(|one| one.1),
        };
        (engine, model)
    }

    fn query(&self, limit: u64) -> RangeQuery {
        RangeQuery {
            selection: self.selection.clone(),
            aggregation: self.aggregation.clone(),
            limit,
        }
    }
}

fn rows(query: &RangeQuery, series: &Series) -> Vec<(i64, Vec<f64>)> {
    let rows = query.rows(series, &Unwatched).unwrap();
    let len = rows.len();
    let pieces: Vec<_> = rows.into_pieces().collect();
    let all = pieces
        .iter()
        .flat_map(|piece| piece.rows().map(|(time, values)| (time, values.to_vec())));
    let all: Vec<_> = all.collect();
    assert_eq!(all.len(), len);
    all
}

/// Rows in a form in which NaN equals NaN.
fn bits(rows: &[(i64, Vec<f64>)]) -> Vec<(i64, Vec<u64>)> {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect();
    rows.iter()
        .map(|(time, values)| (*time, bits(values)))
        .collect()
}

fn assert_rows_agree(ours: &[(i64, Vec<f64>)], theirs: &[(i64, Vec<f64>)], question: &Question) {
    let context = || format!("{:?}\nours {ours:?}\nmodel {theirs:?}", question.model);
    assert_eq!(ours.len(), theirs.len(), "{}", context());
    for (our_row, their_row) in ours.iter().zip(theirs) {
        assert_eq!(our_row.0, their_row.0, "{}", context());
        for (ours_at, theirs_at) in our_row.1.iter().zip(&their_row.1) {
            let close = (ours_at - theirs_at).abs() <= 1e-9 * theirs_at.abs().max(1e3);
            let same = ours_at == theirs_at || (ours_at.is_nan() && theirs_at.is_nan());
            assert!(close || same, "{ours_at} {theirs_at} {}", context());
        }
    }
}

#[test]
fn any_query_gives_what_the_model_gives() {
    let mut random = Random::new(QUERIES_SEED);
    for _ in 0..40 {
        let mut pair = Pair::new(&mut random);
        let nan_percent = [0, 5, 60][random.index(3)];
        for _ in 0..random.index(2_500) {
            let time = pair.time(&mut random);
            let value = value(&mut random, nan_percent);
            let upsert = pair.upsert(2);
            let _refused_or_not = pair.series.add(Sample::new(time, value), &upsert);
            pair.model.add(time, value, Some(Policy::Last));
        }
        let samples = pair.model.all();
        let newest = samples.last().map_or(0, |one| one.0);
        for _ in 0..100 {
            let question = Question::new(&mut random, newest);
            let theirs = aggregation::rows(&samples, &question.model);
            let ours = rows(&question.query(u64::MAX), &pair.series);
            assert_rows_agree(&ours, &theirs, &question);
        }
    }
}

/// Counts what is decoded, and stops when it is more than there may be.
struct Counting {
    seen: Cell<u64>,
    max: u64,
}

impl Watch for Counting {
    fn permits(&self, samples: usize) -> bool {
        self.seen.set(self.seen.get() + samples as u64);
        self.seen.get() <= self.max
    }
}

#[test]
fn a_query_in_pieces_or_over_a_snapshot_has_the_same_answer_to_the_bit() {
    let mut random = Random::new(PIECES_SEED);
    for _ in 0..25 {
        let mut pair = Pair::new(&mut random);
        let nan_percent = [0, 5, 60][random.index(3)];
        let mut time = 0;
        for _ in 0..random.index(6_000) {
            time += 1 + random.within(0..20);
            let value = value(&mut random, nan_percent);
            let upsert = pair.upsert(2);
            let _refused_or_not = pair.series.add(Sample::new(time, value), &upsert);
        }
        for _ in 0..60 {
            let question = Question::new(&mut random, time);
            let query = question.query(u64::MAX);
            let whole = bits(&rows(&query, &pair.series));
            let series = pair.series.clone();
            // What happens to the series meanwhile is not seen in the snapshot.
            for _ in 0..20 {
                let upsert = pair.upsert(2);
                let sample = Sample::new(random.within(0..time + 200), random.reading());
                let _refused_or_not = pair.series.add(sample, &upsert);
            }
            let from = random.within(0..time + 1);
            pair.series.delete(TimeRange::new(from, from + 50));
            assert!(whole == bits(&rows(&query, &series)), "{query:?}");
            let mut joined = Vec::new();
            for piece in query.split(&series, 1 + random.index(6)) {
                joined.extend(rows(&piece, &series));
            }
            assert!(whole == bits(&joined), "{query:?}");

            let limit = random.within(1..40).unsigned_abs();
            let limited = question.query(limit);
            let first: Vec<_> = whole
                .iter()
                .take(usize::try_from(limit).unwrap())
                .cloned()
                .collect();
            assert!(first == bits(&rows(&limited, &series)), "{limited:?}");
            assert_eq!(limited.split(&series, 4).len(), 1);
        }
    }
}

#[test]
fn a_query_decodes_no_more_than_it_said_and_stops_when_told_to() {
    let mut random = Random::new(PIECES_SEED);
    let mut series = Series::new(Options::default());
    let upsert = Upsert::Client {
        policy: DuplicatePolicy::Last,
        ignore: Ignore::default(),
    };
    for time in 0..20_000 {
        series
            .add(Sample::new(time, random.reading()), &upsert)
            .unwrap();
    }
    for _ in 0..300 {
        let question = Question::new(&mut random, 20_000);
        let limit = [u64::MAX, 1, 100, 5_000][random.index(4)];
        let query = question.query(limit);
        let cost = query.cost(&series, u64::MAX);
        assert!(query.cost(&series, 1).total() <= cost.total());
        let watch = Counting {
            seen: Cell::new(0),
            // Two blocks beside the range may be decoded for the numbers in them.
            max: cost.samples + 2 * 640,
        };
        if !query.selection.filter.is_none() {
            continue; // Those numbers may be far away then.
        }
        assert!(query.rows(&series, &watch).is_ok(), "{query:?} {cost:?}");
        let seen = watch.seen.get();
        if seen > 0 {
            let watch = Counting {
                seen: Cell::new(0),
                max: seen - 1,
            };
            assert_eq!(query.rows(&series, &watch).err(), Some(Halted));
        }
    }
}

#[test]
fn the_end_of_time_has_its_bucket() {
    let mut series = Series::new(Options::default());
    let upsert = Upsert::Client {
        policy: DuplicatePolicy::Last,
        ignore: Ignore::default(),
    };
    for time_ms in [0, i64::MAX - 1, i64::MAX] {
        series.add(Sample::new(time_ms, 1.0), &upsert).unwrap();
    }
    for order in [Order::Ascending, Order::Descending] {
        let aggregation = Aggregation {
            aggregators: vec![Aggregator::Count, Aggregator::Twa],
            buckets: Buckets::new(10, 0),
            stamp: Stamp::End,
            empty: false,
            fill: None,
        };
        let selection = Selection {
            range: TimeRange::ALL,
            order,
            filter: Filter::default(),
        };
        let mut rows = Vec::new();
        let done = aggregation.for_each(&series, &selection, &Unwatched, |time_ms, values| {
            rows.push((time_ms, values.to_vec()));
            ControlFlow::Continue(())
        });
        assert_eq!(done, Ok(()));
        if order == Order::Descending {
            rows.reverse();
        }
        assert_eq!(rows, [(10, vec![1.0, 1.0]), (i64::MAX, vec![2.0, 1.0])]);
    }
}

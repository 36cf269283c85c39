//! Speed of a series: append, late samples, reads and aggregation, in the engine alone.
//!
//! `cargo bench --bench series`. Each figure of criterion is for all samples of one generated
//! series, so its throughput is in samples; the server adds its own cost to each command, which
//! `--bench server` shows.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use redis_iot::engine::aggregate::Aggregator;
use redis_iot::engine::options::{DuplicatePolicy, Encoding, Ignore, Options};
use redis_iot::engine::query::{Aggregation, Buckets, Filter, Selection, Stamp, Unwatched};
use redis_iot::engine::series::{Order, Upsert};
use redis_iot::engine::{Sample, Series, TimeRange};

#[path = "../tests/support/series_data.rs"]
#[allow(dead_code, reason = "shared with other benches and tests")]
mod series_data;
use series_data::{Recording, SplitMix64};

const SEED: u64 = 0x6c61_7465;
/// One sample in so many comes late.
const LATE_EVERY: usize = 10;
/// How many samples later it comes, at most.
const LATE_BY: u64 = 600;

const KEEP_LAST: Upsert = Upsert::Client {
    policy: DuplicatePolicy::Last,
    ignore: Ignore {
        max_time_diff_ms: 0,
        max_value_diff: 0.0,
    },
};

fn options(encoding: Encoding) -> Options {
    Options {
        encoding,
        ..Options::default()
    }
}

fn samples(recording: &Recording) -> Vec<Sample> {
    let columns = recording.times.iter().zip(&recording.values);
    columns
        .map(|(&time_ms, &value)| Sample::new(time_ms, value))
        .collect()
}

/// The same samples, a tenth of them some hundred places too late.
fn partly_late(recording: &Recording) -> Vec<Sample> {
    let mut random = SplitMix64::new(SEED);
    let mut places: Vec<(u64, Sample)> = (0..)
        .zip(samples(recording))
        .map(|(at, sample)| {
            let late = random.below(LATE_EVERY as u64) == 0;
            (at + if late { random.below(LATE_BY) } else { 0 }, sample)
        })
        .collect();
    places.sort_by_key(|&(place, _)| place);
    places.into_iter().map(|(_, sample)| sample).collect()
}

fn filled(encoding: Encoding, samples: &[Sample]) -> Series {
    let mut series = Series::new(options(encoding));
    for &sample in samples {
        series.add(sample, &KEEP_LAST).unwrap();
    }
    series
}

fn everything() -> Selection {
    Selection {
        range: TimeRange::ALL,
        order: Order::Ascending,
        filter: Filter::default(),
    }
}

fn writes(criterion: &mut Criterion, recording: &Recording) {
    let mut group = criterion.benchmark_group(&recording.name);
    group.throughput(Throughput::Elements(recording.times.len() as u64));
    for (name, samples) in [
        ("in order", samples(recording)),
        ("10 % late", partly_late(recording)),
    ] {
        for encoding in [
            Encoding::Compressed,
            Encoding::Gorilla,
            Encoding::Uncompressed,
        ] {
            group.bench_function(BenchmarkId::new(name, encoding.name()), |bencher| {
                bencher.iter_with_large_drop(|| filled(encoding, &samples));
            });
        }
    }
    group.finish();
}

fn reads(criterion: &mut Criterion, recording: &Recording) {
    let mut group = criterion.benchmark_group(&recording.name);
    group.throughput(Throughput::Elements(recording.times.len() as u64));
    let series = filled(Encoding::Compressed, &samples(recording));
    let selection = everything();
    group.bench_function("read all", |bencher| {
        bencher.iter(|| {
            selection.for_each_batch(&series, &Unwatched, |times, values| {
                black_box((times, values));
                ControlFlow::Continue(())
            })
        });
    });
    let span = recording.times[recording.times.len() - 1] - recording.times[0];
    for (name, buckets) in [("8 buckets", 8), ("800 buckets", 800)] {
        for aggregator in [
            Aggregator::Avg,
            Aggregator::Max,
            Aggregator::StdP,
            Aggregator::Twa,
        ] {
            let aggregation = Aggregation {
                aggregators: vec![aggregator],
                buckets: Buckets::new(span / buckets, 0),
                stamp: Stamp::Start,
                empty: false,
                fill: None,
            };
            group.bench_function(BenchmarkId::new(name, aggregator), |bencher| {
                bencher.iter(|| {
                    aggregation.for_each(&series, &selection, &Unwatched, |time, row| {
                        black_box((time, row));
                        ControlFlow::Continue(())
                    })
                });
            });
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .configure_from_args();
    for recording in &series_data::generated() {
        writes(&mut criterion, recording);
        reads(&mut criterion, recording);
    }
    criterion.final_summary();
}

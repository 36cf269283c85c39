//! Percentiles, `distinct` and `mode` over buckets of so many values that they are no longer exact.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/seeds.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod seeds;

use redis_iot::engine::aggregate::{Aggregator, MAX_BINS};
use redis_iot::engine::options::{DuplicatePolicy, Ignore, Options};
use redis_iot::engine::query::{
    Aggregation, Buckets, Filter, RangeQuery, Selection, Stamp, Unwatched,
};
use redis_iot::engine::series::{Order, Upsert};
use redis_iot::engine::{Sample, Series, TimeRange};
use seeds::Random;

const SEED: u64 = 0x10D5_0030;
const PERCENTS: [f64; 7] = [0.0, 1.0, 25.0, 50.0, 90.0, 99.9, 100.0];

fn aggregators() -> Vec<Aggregator> {
    let percentiles = PERCENTS.map(Aggregator::Percentile);
    let others = [Aggregator::Distinct, Aggregator::Mode];
    percentiles.into_iter().chain(others).collect()
}

/// The results over all values as one bucket.
fn results(series: &Series, order: Order) -> Vec<f64> {
    let query = RangeQuery {
        selection: Selection {
            range: TimeRange::ALL,
            order,
            filter: Filter::default(),
        },
        aggregation: Some(Aggregation {
            aggregators: aggregators(),
            buckets: Buckets::new(i64::MAX, 0),
            stamp: Stamp::Start,
            empty: false,
            fill: None,
        }),
        limit: u64::MAX,
    };
    let rows = query.rows(series, &Unwatched).unwrap();
    assert_eq!(rows.len(), 1);
    let piece = rows.into_pieces().next().unwrap();
    let mut rows = piece.rows();
    rows.next().unwrap().1.to_vec()
}

/// Checks percentiles to a share of the value, and `distinct` to four standard errors.
fn check(values: &[f64], share: f64) {
    let mut series = Series::new(Options::default());
    let upsert = Upsert::Client {
        policy: DuplicatePolicy::Last,
        ignore: Ignore::default(),
    };
    for (time, &value) in (0..).zip(values) {
        series.add(Sample::new(time, value), &upsert).unwrap();
    }
    let ours = results(&series, Order::Ascending);
    let backwards = results(&series, Order::Descending);
    let bits = |row: &[f64]| row.iter().map(|one| one.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&ours), bits(&backwards));

    let mut ordered = values.to_vec();
    ordered.sort_by(f64::total_cmp);
    for (percent, ours) in PERCENTS.iter().zip(&ours) {
        let (low, high) = around(&ordered, *percent);
        let slack = share * low.abs().max(high.abs());
        assert!(
            low - slack <= *ours && *ours <= high + slack,
            "{percent}: {ours} {low} {high}"
        );
    }
    ordered.dedup();
    let distinct = f64::from(u32::try_from(ordered.len()).unwrap());
    let error = if ordered.len() > MAX_BINS { 0.033 } else { 0.0 };
    let ours = ours[PERCENTS.len()];
    assert!(
        (ours - distinct).abs() <= error * distinct,
        "{ours} {distinct}"
    );
}

/// A number from 0 to 1.
fn fraction(random: &mut Random) -> f64 {
    f64::from(u32::try_from(random.bits() >> 32).unwrap()) / f64::from(u32::MAX)
}

/// The values on both sides of a rank.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank is an index"
)]
fn around(ordered: &[f64], percent: f64) -> (f64, f64) {
    let last = ordered.len() - 1;
    let rank = percent / 100.0 * last as f64;
    // A rounded product may lie beside the rank that is meant.
    let (low, high) = ((rank - 1e-6).floor().max(0.0), (rank + 1e-6).ceil());
    (ordered[low as usize], ordered[(high as usize).min(last)])
}

#[test]
fn few_values_are_exact_in_any_number() {
    let mut random = Random::new(SEED);
    let values: Vec<f64> = (0..100_000)
        .map(|_| f64::from(u32::try_from(random.index(MAX_BINS)).unwrap()) / 100.0 - 50.0)
        .collect();
    check(&values, 1e-12);
}

#[test]
fn values_between_two_powers_of_two_are_nearly_exact() {
    let mut random = Random::new(SEED + 1);
    let values: Vec<f64> = (0..150_000)
        .map(|_| 16.0 + 16.0 * fraction(&mut random))
        .collect();
    check(&values, 1.0 / 16_384.0);
}

#[test]
fn values_of_both_signs_over_many_powers_of_ten_are_off_by_less_than_a_hundredth() {
    let mut random = Random::new(SEED + 2);
    let values: Vec<f64> = (0..150_000)
        .map(|_| {
            let power = i32::try_from(random.within(-9..10)).unwrap();
            let sign = if random.chance(50) { 1.0 } else { -1.0 };
            sign * (1.0 + 9.0 * fraction(&mut random)) * 10f64.powi(power)
        })
        .collect();
    check(&values, 0.008);
}

#[test]
fn infinities_and_zeros_stay_what_they_are() {
    let mut random = Random::new(SEED + 3);
    let values: Vec<f64> = (0..100_000)
        .map(|_| match random.index(4) {
            0 => f64::INFINITY,
            1 => f64::NEG_INFINITY,
            2 => 0.0,
            _ => 1e6 * fraction(&mut random) + 1.0,
        })
        .collect();
    let mut series = Series::new(Options::default());
    let upsert = Upsert::Replay;
    for (time, &value) in (0..).zip(&values) {
        series.add(Sample::new(time, value), &upsert).unwrap();
    }
    let row = results(&series, Order::Ascending);
    assert_eq!(row[0], f64::NEG_INFINITY);
    assert_eq!(row[1], f64::NEG_INFINITY);
    assert_eq!(row[4], f64::INFINITY);
}

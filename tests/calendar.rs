//! Calendar buckets against instants that were listed elsewhere, and against a walk by day or minute.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/aggregation.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod aggregation;
#[path = "support/calendar.rs"]
mod calendar;
#[path = "support/seeds.rs"]
#[allow(dead_code, reason = "shared with tests that use all of it")]
mod seeds;

use calendar::Unit;
use redis_iot::engine::aggregate::Aggregator;
use redis_iot::engine::options::{DuplicatePolicy, Ignore, Options};
use redis_iot::engine::query::{
    Aggregation, Buckets, Calendar, Fill, Filling, Filter, RangeQuery, Selection, Span, Stamp,
    Unwatched, Zone,
};
use redis_iot::engine::series::{Order, Upsert};
use redis_iot::engine::{Sample, Series, TimeRange};
use seeds::Random;

/// The seed of the queries.
const QUERIES_SEED: u64 = 0x10D5_0020;
const DAY_MS: i64 = 86_400_000;
const DAY: Span = Span::Milliseconds(DAY_MS);
const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "America/Havana",
    "UTC",
];
/// Times near which one of the clocks is changed, in seconds: in 2024, and in those years in which
/// Sao Paulo changed at midnight and Apia left out a day.
const CHANGES: [i64; 10] = [
    1_711_846_800,
    1_729_990_800,
    1_710_054_000,
    1_730_613_600,
    1_712_415_600,
    1_728_142_200,
    1_541_300_400,
    1_550_368_800,
    1_325_239_200,
    0,
];

fn buckets(zone: &str, span: Span) -> Buckets {
    let zone = Zone::by_name(zone.as_bytes()).unwrap();
    Buckets::Calendar(Calendar::new(span, zone).unwrap())
}

/// Checks the buckets that follow each other from the first of some starts, in seconds.
#[track_caller]
fn assert_starts(zone: &str, span: Span, starts: &[i64]) {
    let buckets = buckets(zone, span);
    let mut bucket = buckets.of(starts[0] * 1000);
    for pair in starts.windows(2) {
        let expected = (pair[0] * 1000, pair[1] * 1000);
        assert_eq!(
            (bucket.start_ms, bucket.end_ms),
            expected,
            "{zone} {span:?}"
        );
        for time_ms in [expected.0, expected.0 + 1, expected.1 - 1] {
            assert_eq!(buckets.of(time_ms), bucket, "{zone} {span:?} {time_ms}");
        }
        bucket = buckets.after(bucket);
        assert_eq!(buckets.before(bucket).start_ms, expected.0);
    }
}

#[test]
fn days_have_23_and_25_hours_where_the_clock_is_changed() {
    for (zone, starts) in [
        (
            "Europe/Berlin",
            [1_711_753_200, 1_711_839_600, 1_711_922_400, 1_712_008_800],
        ),
        (
            "Europe/Berlin",
            [1_729_893_600, 1_729_980_000, 1_730_070_000, 1_730_156_400],
        ),
        (
            "America/New_York",
            [1_709_960_400, 1_710_046_800, 1_710_129_600, 1_710_216_000],
        ),
        (
            "America/New_York",
            [1_730_520_000, 1_730_606_400, 1_730_696_400, 1_730_782_800],
        ),
        (
            "Australia/Lord_Howe",
            [1_712_322_000, 1_712_408_400, 1_712_496_600, 1_712_583_000],
        ),
        (
            "Australia/Lord_Howe",
            [1_728_048_600, 1_728_135_000, 1_728_219_600, 1_728_306_000],
        ),
        (
            "Asia/Kolkata",
            [1_711_737_000, 1_711_823_400, 1_711_909_800, 1_711_996_200],
        ),
    ] {
        assert_starts(zone, DAY, &starts);
    }
}

#[test]
fn a_day_begins_after_the_midnight_that_there_is_not_and_at_the_first_of_two() {
    assert_starts(
        "America/Sao_Paulo",
        DAY,
        &[1_541_214_000, 1_541_300_400, 1_541_383_200],
    );
    assert_starts(
        "Pacific/Apia",
        DAY,
        &[1_325_152_800, 1_325_239_200, 1_325_325_600],
    );
    assert_starts(
        "America/Havana",
        DAY,
        &[1_730_520_000, 1_730_606_400, 1_730_696_400],
    );
}

#[test]
fn weeks_begin_on_monday_and_months_and_years_with_their_first_day() {
    for (zone, weeks, months, years) in [
        (
            "Europe/Berlin",
            [1_711_321_200, 1_711_922_400, 1_712_527_200],
            [1_704_063_600, 1_706_742_000, 1_709_247_600, 1_711_922_400],
            [1_672_527_600, 1_704_063_600, 1_735_686_000],
        ),
        (
            "America/New_York",
            [1_711_339_200, 1_711_944_000, 1_712_548_800],
            [1_704_085_200, 1_706_763_600, 1_709_269_200, 1_711_944_000],
            [1_672_549_200, 1_704_085_200, 1_735_707_600],
        ),
        (
            "Australia/Lord_Howe",
            [1_711_285_200, 1_711_890_000, 1_712_496_600],
            [1_704_027_600, 1_706_706_000, 1_709_211_600, 1_711_890_000],
            [1_672_491_600, 1_704_027_600, 1_735_650_000],
        ),
        (
            "Asia/Kolkata",
            [1_711_305_000, 1_711_909_800, 1_712_514_600],
            [1_704_047_400, 1_706_725_800, 1_709_231_400, 1_711_909_800],
            [1_672_511_400, 1_704_047_400, 1_735_669_800],
        ),
    ] {
        assert_starts(zone, Span::Weeks(1), &weeks);
        assert_starts(zone, Span::Months(1), &months);
        assert_starts(zone, Span::Months(3), &[months[0], months[3]]);
        assert_starts(zone, Span::Months(12), &years);
    }
}

#[test]
fn an_hour_that_the_clock_shows_twice_is_two_buckets() {
    let hours = [
        1_729_983_600,
        1_729_987_200,
        1_729_990_800,
        1_729_994_400,
        1_729_998_000,
    ];
    assert_starts("Europe/Berlin", Span::Milliseconds(3_600_000), &hours);
    let four_hours = [1_729_980_000, 1_729_998_000, 1_730_012_400];
    assert_starts("Europe/Berlin", Span::Milliseconds(14_400_000), &four_hours);
}

fn span(unit: Unit) -> Span {
    match unit {
        Unit::Minutes(minutes) => Span::Milliseconds(minutes * 60_000),
        Unit::Days(days) => Span::Milliseconds(days * DAY_MS),
        Unit::Weeks(weeks) => Span::Weeks(weeks),
        Unit::Months(months) => Span::Months(months),
    }
}

fn any_unit(random: &mut Random) -> Unit {
    match random.index(4) {
        0 => Unit::Minutes([15, 20, 30, 60, 120, 240, 720][random.index(7)]),
        1 => Unit::Days([1, 2, 5][random.index(3)]),
        2 => Unit::Weeks([1, 2][random.index(2)]),
        _ => Unit::Months([1, 3, 12, 120][random.index(4)]),
    }
}

#[test]
fn every_time_is_in_one_bucket_which_is_that_of_the_model() {
    let mut random = Random::new(QUERIES_SEED);
    for _ in 0..120 {
        let (zone, unit) = (ZONES[random.index(8)], any_unit(&mut random));
        let from_ms = (CHANGES[random.index(10)] * 1000 - random.within(0..2 * DAY_MS)).max(0);
        let to_ms = from_ms + 3 * DAY_MS;
        let edges = calendar::edges(zone, unit, from_ms, to_ms);
        let buckets = buckets(zone, span(unit));
        assert!(buckets.count_in(TimeRange::new(from_ms, to_ms)) >= edges.len() as u64 - 1);
        let mut near = buckets.of(from_ms);
        for pair in edges.windows(2) {
            for time_ms in [pair[0], random.within(pair[0]..pair[1]), pair[1] - 1] {
                let context = format!("{zone} {unit:?} {time_ms}");
                near = buckets.of_near(near, time_ms);
                assert_eq!(
                    (near.start_ms, near.end_ms),
                    (pair[0], pair[1]),
                    "{context}"
                );
                assert_eq!(buckets.of(time_ms), near, "{context}");
            }
            assert_eq!(buckets.before(near).end_ms, near.start_ms);
            assert_eq!(buckets.after(near).start_ms, near.end_ms);
        }
        for pair in edges.windows(2).rev() {
            near = buckets.of_near(near, pair[1] - 1);
            assert_eq!(
                (near.start_ms, near.end_ms),
                (pair[0], pair[1]),
                "{zone} {unit:?}"
            );
            assert_eq!(buckets.before(near), buckets.of(pair[0] - 1));
            assert_eq!(buckets.after(near), buckets.of(pair[1]));
        }
    }
}

#[test]
fn the_end_of_time_has_its_bucket() {
    for zone in ZONES {
        for unit in [
            Unit::Minutes(15),
            Unit::Days(3),
            Unit::Weeks(1),
            Unit::Months(120),
        ] {
            let buckets = buckets(zone, span(unit));
            let last = buckets.of(i64::MAX);
            assert!(last.start_ms <= last.end_ms && last.end_ms > i64::MAX - 4_000 * DAY_MS);
            assert_eq!(buckets.of(last.start_ms), last);
            let before = buckets.before(last);
            assert_eq!(before.end_ms, last.start_ms);
            assert!(buckets.of(0).start_ms <= 0 && buckets.of(0).end_ms > 0);
        }
    }
}

/// A series around a change of the clock, and its samples.
fn series_around(random: &mut Random) -> (Series, Vec<(i64, f64)>) {
    let mut series = Series::new(Options::default());
    let upsert = Upsert::Client {
        policy: DuplicatePolicy::Last,
        ignore: Ignore::default(),
    };
    let change_ms = CHANGES[random.index(9)] * 1000;
    let mut time_ms = change_ms - random.within(0..4 * DAY_MS);
    let mut samples = Vec::new();
    for _ in 0..random.index(1_500) {
        time_ms += if random.chance(1) {
            random.within(1..2 * DAY_MS)
        } else {
            random.within(1..1_200_000)
        };
        let value = random.reading();
        series.add(Sample::new(time_ms, value), &upsert).unwrap();
        samples.push((time_ms, value));
    }
    (series, samples)
}

/// The rows of a query that is done in some pieces.
fn rows(query: &RangeQuery, series: &Series, pieces: usize) -> Vec<(i64, Vec<f64>)> {
    let mut all = Vec::new();
    for piece in query.split(series, pieces) {
        for rows in piece.rows(series, &Unwatched).unwrap().into_pieces() {
            all.extend(rows.rows().map(|(time, values)| (time, values.to_vec())));
        }
    }
    all
}

#[test]
fn any_query_by_the_calendar_gives_what_the_model_gives() {
    let mut random = Random::new(QUERIES_SEED);
    for _ in 0..150 {
        let (series, samples) = series_around(&mut random);
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            continue;
        };
        let (zone, unit) = (ZONES[random.index(8)], any_unit(&mut random));
        let from = random.within(first.0 - 1000..last.0 + 2);
        let to = from + random.within(0..last.0 - first.0 + 2);
        let (stamp, model_stamp) = [
            (Stamp::Start, aggregation::Stamp::Start),
            (Stamp::Middle, aggregation::Stamp::Mid),
            (Stamp::End, aggregation::Stamp::End),
        ][random.index(3)];
        let (order, empty) = (
            [Order::Ascending, Order::Descending][random.index(2)],
            random.chance(50),
        );
        let max_gap_ms = [i64::MAX, 4 * 3_600_000][random.index(2)];
        let fill = (!empty && random.chance(50)).then_some((
            Fill {
                with: Filling::Linear,
                max_gap_ms,
            },
            (aggregation::Filling::Linear, max_gap_ms),
        ));
        let query = RangeQuery {
            selection: Selection {
                range: TimeRange::new(from, to),
                order,
                filter: Filter::default(),
            },
            aggregation: Some(Aggregation {
                aggregators: vec![Aggregator::Sum, Aggregator::Count, Aggregator::Twa],
                buckets: buckets(zone, span(unit)),
                stamp,
                empty,
                fill: fill.map(|one| one.0),
            }),
            limit: u64::MAX,
        };
        let model = aggregation::Query {
            from,
            to,
            times: None,
            values: None,
            buckets: Some(aggregation::Buckets {
                aggregators: vec!["sum", "count", "twa"],
                edges: calendar::edges(zone, unit, first.0.min(from), last.0.max(to)),
                stamp: model_stamp,
                empty,
                fill: fill.map(|one| one.1),
                ..aggregation::Buckets::default()
            }),
            count: None,
            reverse: order == Order::Descending,
        };
        let theirs = aggregation::rows(&samples, &model);
        for pieces in [1, 4] {
            let ours = rows(&query, &series, pieces);
            assert_eq!(ours.len(), theirs.len(), "{model:?} {zone} {unit:?}");
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours.0, theirs.0, "{model:?} {zone} {unit:?}");
                for (ours, theirs) in ours.1.iter().zip(&theirs.1) {
                    let close = (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1e3);
                    assert!(close, "{ours} {theirs} {model:?} {zone} {unit:?}");
                }
            }
        }
    }
}

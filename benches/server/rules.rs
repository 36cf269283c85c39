//! What rules cost: writes to series with ten rules beside series with none.

use super::{Bench, OPERATIONS, START_MS, header, reading, row, single, words};

const SERIES: usize = 20;

const RULES: [(&str, &str); 10] = [
    ("avg", "1m"),
    ("min", "1m"),
    ("max", "1m"),
    ("sum", "1m"),
    ("count", "1m"),
    ("last", "5m"),
    ("avg", "15m"),
    ("max", "15m"),
    ("avg", "1h"),
    ("std.p", "1h"),
];

pub(crate) fn rules(bench: &mut Bench) {
    header("writes of 1 s data to 20 series: theirs has no rules, ours ten each");
    for series in 0..SERIES {
        bench.client.call(&["IOT.CREATE", &format!("r{series}")]);
        for (at, (aggregator, width)) in RULES.iter().enumerate() {
            let line = format!(
                "IOT.CREATERULE r{series} r{series}:{at} AGGREGATION {aggregator} {width} CREATE"
            );
            bench.client.call(&words(&line));
        }
    }
    let add = |prefix: &'static str| {
        single(64, OPERATIONS, move |n| {
            let time = START_MS + i64::try_from(n / SERIES).unwrap() * 1000;
            format!("IOT.ADD {prefix}{} {time} {}", n % SERIES, reading(n))
        })
    };
    row("IOT.ADD, pipeline 64", bench.compare(add("p"), add("r")));
    bench.flush();
    late(bench);
}

/// A late sample, in a short series and in a long one.
fn late(bench: &mut Bench) {
    header("late samples with a rule an hour: theirs falls into 20 k samples, ours into 2 M");
    for (prefix, samples) in [("short", 20_000), ("long", 2_000_000)] {
        let blob: Vec<u8> = (0..samples)
            .flat_map(|number| {
                let value: f64 = reading(number).parse().unwrap();
                let time = START_MS + i64::try_from(number).unwrap() * 1000;
                [time.to_le_bytes(), value.to_le_bytes()].concat()
            })
            .collect();
        for part in blob.chunks(16 * 100_000) {
            bench
                .client
                .call(&[b"IOT.ADDBULK", prefix.as_bytes(), b"PACKED", part]);
        }
        let line = format!("IOT.CREATERULE {prefix} {prefix}:h AGGREGATION avg 1h BACKFILL CREATE");
        bench.client.call(&words(&line));
    }
    let late = |prefix: &'static str, samples: usize| {
        single(16, 20_000, move |n| {
            // Half a second off the grid, each at another place.
            let at = i64::try_from((n * 7_919) % samples).unwrap();
            let time = START_MS + at * 1000 + 500;
            format!(
                "IOT.ADD {prefix} {time} {} ON_DUPLICATE LAST",
                reading(n + 1)
            )
        })
    };
    row(
        "IOT.ADD of a late sample",
        bench.compare(late("short", 20_000), late("long", 2_000_000)),
    );
    bench.flush();
}

//! A real server under load: ours beside the server's own commands, as ratios from one run.
//!
//! `cargo bench --bench server` starts a server with the release build of the module. Every figure
//! is the best of several interleaved rounds, since machines are noisy; rates are seen by the
//! clients, `cpu` is the server's processor time an operation, and a ratio above 1 is in our favour.
//! `cargo bench --bench server -- writes late` runs only the named parts.
#![allow(clippy::unwrap_used, reason = "a bench may stop at the first surprise")]

mod geo;
mod labels;
mod load;
mod others;
mod rules;
#[path = "../../tests/support/series_data.rs"]
#[allow(dead_code, reason = "shared with other benches and tests")]
mod series_data;
#[path = "../../tests/support/mod.rs"]
mod support;

use load::{Batch, Cost};
use redis::Value;
use series_data::Recording;
use support::client::{Client, Protocol};
use support::server::Server;

const ROUNDS: usize = 5;
const CLIENTS: usize = 4;
const OPERATIONS: usize = 200_000;
const START_MS: i64 = 1_700_000_000_000;

fn main() {
    let server = Server::start();
    let bench = Bench {
        client: server.connect(Protocol::Resp2),
        server,
    };
    bench.run();
}

struct Bench {
    server: Server,
    client: Client,
}

impl Bench {
    fn run(mut self) {
        let parts: [Part; 10] = [
            ("writes", writes),
            ("bulk", bulk),
            ("late", late),
            ("small-reads", small_reads),
            ("big-reads", big_reads),
            ("others", others::others),
            ("labels", labels::labels),
            ("rules", rules::rules),
            ("geo", geo::fleet),
            ("memory", memory),
        ];
        // Cargo adds `--bench` of its own.
        let chosen: Vec<String> = std::env::args()
            .skip(1)
            .filter(|arg| !arg.starts_with('-'))
            .collect();
        for (name, part) in parts {
            if chosen.is_empty() || chosen.iter().any(|wanted| wanted == name) {
                part(&mut self);
            }
        }
    }

    /// Runs two loads in turn; returns the best of each.
    fn compare(&mut self, mut theirs: Load<'_>, mut ours: Load<'_>) -> (Cost, Cost) {
        let mut best: Option<(Cost, Cost)> = None;
        for round in 0..ROUNDS {
            let pair = (
                self.measure(&mut theirs, round),
                self.measure(&mut ours, round),
            );
            best = Some(best.map_or(pair, |(a, b)| (a.best(pair.0), b.best(pair.1))));
        }
        best.unwrap()
    }

    fn measure(&mut self, load: &mut Load<'_>, round: usize) -> Cost {
        let clients: Vec<_> = (0..CLIENTS).map(|client| load(round, client)).collect();
        load::run(self.server.port(), self.server.pid(), &clients)
    }

    fn flush(&mut self) {
        self.client.call(&["FLUSHALL", "SYNC"]);
    }
}

/// A part of the bench and its name on the command line.
type Part = (&'static str, fn(&mut Bench));
/// The batches of one client in one round.
type Load<'a> = Box<dyn FnMut(usize, usize) -> Vec<Batch> + 'a>;

/// A load of single requests: `request` makes the one with a number, unique over rounds and clients.
fn single<'a>(depth: usize, count: usize, request: impl Fn(usize) -> String + 'a) -> Load<'a> {
    let share = count / CLIENTS;
    Box::new(move |round, client| {
        let numbers = (0..share).map(|at| (round * share + at) * CLIENTS + client);
        Batch::pipeline(depth, numbers.map(|number| words(&request(number))))
    })
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn header(title: &str) {
    println!(
        "\n{title:<56} {:>11} {:>8} {:>11} {:>8} {:>7} {:>7}",
        "theirs /s", "cpu us", "ours /s", "cpu us", "rate", "cpu"
    );
}

fn row(what: &str, (theirs, ours): (Cost, Cost)) {
    println!(
        "{what:<56} {:>11.0} {:>8.3} {:>11.0} {:>8.3} {:>6.2}x {:>6.2}x",
        theirs.per_second,
        theirs.cpu_us,
        ours.per_second,
        ours.cpu_us,
        ours.per_second / theirs.per_second,
        theirs.cpu_us / ours.cpu_us,
    );
}

/// A reading of a temperature sensor, one decimal.
fn reading(number: usize) -> String {
    let tenths = 200 + (number * 7919) % 37;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn time_ms(number: usize) -> i64 {
    START_MS + i64::try_from(number).unwrap() * 10
}

fn writes(bench: &mut Bench) {
    header("writes: theirs is SET, or MSET an item");
    for (depth, series, count) in [
        (64, CLIENTS, OPERATIONS),
        (64, 10_000, OPERATIONS),
        (1, 10_000, 40_000),
    ] {
        let set = single(depth, count, move |n| {
            format!("SET s{} {}", n % series, reading(n))
        });
        let add = single(depth, count, move |n| {
            format!("IOT.ADD t{} {} {}", n % series, time_ms(n), reading(n))
        });
        row(
            &format!("IOT.ADD, pipeline {depth}, {series} series"),
            bench.compare(set, add),
        );
        bench.flush();
    }
    let set = single(64, OPERATIONS, |n| {
        format!("SET s{} {}", n % 10_000, reading(n))
    });
    let stamped = single(64, OPERATIONS, |n| {
        format!("IOT.ADD t{} * {} ON_DUPLICATE LAST", n % 10_000, reading(n))
    });
    row(
        "IOT.ADD at the server's time, 10000 series",
        bench.compare(set, stamped),
    );
    bench.flush();
    for items in [10, 100] {
        many(bench, items);
        bench.flush();
    }
}

/// `MADD` of one sample for each of `items` series a call, beside `MSET`.
fn many(bench: &mut Bench, items: usize) {
    for series in 0..CLIENTS * items {
        bench.client.call(&["IOT.CREATE", &format!("m{series}")]);
    }
    let calls = OPERATIONS / items / CLIENTS;
    let load = |verb: &'static str, reply_lines: usize| -> Load<'static> {
        Box::new(move |round, client| {
            let mut batches = vec![Batch::default(); calls / 16];
            for (at, batch) in batches.iter_mut().enumerate() {
                for call in 0..16 {
                    let mut request = vec![verb.to_owned()];
                    for item in 0..items {
                        request.push(format!("m{}", client * items + item));
                        if verb == "IOT.MADD" {
                            request.push(time_ms((round * calls + at * 16) + call).to_string());
                        } else {
                            request.last_mut().unwrap().insert(0, 's');
                        }
                        request.push(reading(at + item));
                    }
                    batch.push(&request, reply_lines);
                }
            }
            batches
        })
    };
    let (theirs, ours) = bench.compare(load("MSET", 1), load("IOT.MADD", 1 + items));
    let items_u32 = u32::try_from(items).unwrap();
    row(
        &format!("IOT.MADD of {items} series, an item"),
        (theirs.each(items_u32), ours.each(items_u32)),
    );
}

fn bulk(bench: &mut Bench) {
    const SAMPLES: usize = 10_000;
    let packed: Load<'_> = Box::new(|round, client| {
        let calls = if client == 0 { 100 } else { 0 };
        (0..calls)
            .map(|call| {
                let first = (round * calls + call) * SAMPLES;
                let blob = (first..first + SAMPLES).flat_map(|number| {
                    let value: f64 = reading(number).parse().unwrap();
                    [time_ms(number).to_le_bytes(), value.to_le_bytes()].concat()
                });
                let mut batch = Batch::default();
                // A map of four in RESP2: nine lines, and one more for each of four names.
                batch.push(
                    &[
                        b"IOT.ADDBULK",
                        &b"bulk"[..],
                        b"PACKED",
                        &blob.collect::<Vec<_>>(),
                    ],
                    13,
                );
                batch
            })
            .collect()
    });
    let set = single(64, OPERATIONS, |n| {
        format!("SET s{} {}", n % 10_000, reading(n))
    });
    let (theirs, ours) = bench.compare(set, packed);
    let ours = ours.each(u32::try_from(SAMPLES).unwrap());
    row("IOT.ADDBULK PACKED, a sample", (theirs, ours));
    bench.flush();
}

fn late(bench: &mut Bench) {
    header("late samples, 100 series of 1 s data: theirs is in order");
    let add = |prefix: &'static str, late_percent: usize| {
        single(64, OPERATIONS, move |n| {
            let (series, step) = (n % 100, i64::try_from(n / 100).unwrap());
            // Half a second off the grid and up to 10 minutes late.
            let late = (n * 7919) % 100 < late_percent && step > 600;
            let back_ms = i64::try_from((n * 104_729) % 600).unwrap() * 1000 + 500;
            let time = START_MS + step * 1000 - if late { back_ms } else { 0 };
            format!(
                "IOT.ADD {prefix}{series} {time} {} ON_DUPLICATE LAST",
                reading(n)
            )
        })
    };
    row(
        "10 % of ADD up to 10 min late",
        bench.compare(add("o", 0), add("l", 10)),
    );
    for series in 0..100 {
        let create = format!("IOT.CREATE e{series} RETENTION 600000");
        bench.client.call(&words(&create));
    }
    row(
        "IOT.ADD where retention drops as much as comes",
        bench.compare(add("u", 0), add("e", 0)),
    );
    let overwrite = single(64, OPERATIONS, |n| {
        format!("IOT.INCRBY o{} 1 TIMESTAMP {}", n % 100, i64::MAX)
    });
    row(
        "IOT.INCRBY of the newest sample",
        bench.compare(add("p", 0), overwrite),
    );
    bench.flush();
}

fn small_reads(bench: &mut Bench) {
    header("small reads, pipeline 64: theirs is GET");
    let hour: Vec<String> = (0..3_600)
        .flat_map(|second| {
            [
                (START_MS + second * 1000).to_string(),
                reading(usize::try_from(second).unwrap()),
            ]
        })
        .collect();
    for series in 0..1_000 {
        let mut request = vec![
            "IOT.ADDBULK".to_owned(),
            format!("r{series}"),
            "SAMPLES".to_owned(),
        ];
        request.extend_from_slice(&hour);
        bench.client.call(&request);
        bench
            .client
            .call(&["SET".to_owned(), format!("k{series}"), reading(series)]);
    }
    let get = || -> Load<'static> { lines(2, |n| format!("GET k{}", n % 1_000)) };
    let last = START_MS + 3_599_000;
    row(
        "IOT.GET",
        bench.compare(get(), lines(3, |n| format!("IOT.GET r{}", n % 1_000))),
    );
    let minute = lines(1 + 3 * 60, move |n| {
        format!("IOT.RANGE r{} {} +", n % 1_000, last - 59_000)
    });
    row("IOT.RANGE of the last 60 s", bench.compare(get(), minute));
    let newest = lines(4, |n| format!("IOT.REVRANGE r{} - + COUNT 1", n % 1_000));
    row("IOT.REVRANGE COUNT 1", bench.compare(get(), newest));
    bench.flush();
}

/// A load of reads whose replies have `reply_lines` lines in RESP2.
fn lines(reply_lines: usize, request: impl Fn(usize) -> String + 'static) -> Load<'static> {
    Box::new(move |_, client| {
        let mut batches = vec![Batch::default(); 20_000 / CLIENTS / 64];
        for (at, batch) in batches.iter_mut().enumerate() {
            for call in 0..64 {
                batch.push(
                    &words(&request((at * 64 + call) * CLIENTS + client)),
                    reply_lines,
                );
            }
        }
        batches
    })
}

/// Adds samples of one second to the series `big`, numbered from `first` on.
fn fill_big(bench: &mut Bench, first: usize, count: usize) {
    const CALL: usize = 100_000;
    // As many as `reading` has.
    let readings: Vec<f64> = (0..37).map(|n| reading(n).parse().unwrap()).collect();
    for start in (first..first + count).step_by(CALL) {
        let blob: Vec<u8> = (start..start + CALL)
            .flat_map(|number| {
                let value = readings[number % readings.len()];
                let time = START_MS + i64::try_from(number).unwrap() * 1000;
                [time.to_le_bytes(), value.to_le_bytes()].concat()
            })
            .collect();
        bench
            .client
            .call(&[b"IOT.ADDBULK", &b"big"[..], b"PACKED", &blob]);
    }
}

fn big_reads(bench: &mut Bench) {
    fill_big(bench, 0, 10_000_000);
    let element = format!("{START_MS}:{}", reading(1));
    let elements: Vec<String> = (0..10_000).map(|_| element.clone()).collect();
    for _ in 0..100 {
        let mut request = vec!["RPUSH".to_owned(), "list".to_owned()];
        request.extend_from_slice(&elements);
        bench.client.call(&request);
    }
    println!(
        "\n{:<60} {:>10} {:>12}",
        "one reader, 10 M samples of 1 s", "ms", "bytes"
    );
    let million = (START_MS + 999_999_000).to_string();
    let ask = |what: &str, line: &str| {
        let (time, bytes) = (0..ROUNDS)
            .map(|_| load::time_one(bench.server.port(), &words(line)))
            .min()
            .unwrap();
        println!("{what:<60} {:>10.2} {bytes:>12}", time.as_secs_f64() * 1e3);
    };
    ask("LRANGE of 1 M elements", "LRANGE list 0 -1");
    ask(
        "IOT.RANGE of 1 M raw samples",
        &format!("IOT.RANGE big - {million}"),
    );
    ask(
        "IOT.RANGE avg a minute, 10 M",
        "IOT.RANGE big - + AGGREGATION avg 60000",
    );
    ask(
        "IOT.RANGE avg an hour, 10 M",
        "IOT.RANGE big - + AGGREGATION avg 3600000",
    );
    ask(
        "IOT.RANGE avg a day, 10 M",
        "IOT.RANGE big - + AGGREGATION avg 86400000",
    );
    ask(
        "IOT.RANGE avg of the whole, 10 M",
        "IOT.RANGE big - + AGGREGATION avg 1000000000000000",
    );
    ask(
        "IOT.RANGE std.p an hour, 10 M",
        "IOT.RANGE big - + AGGREGATION std.p 3600000",
    );
    ask(
        "IOT.RANGE twa an hour, 10 M",
        "IOT.RANGE big - + AGGREGATION twa 3600000",
    );
    ask(
        "IOT.RANGE FILTER_BY_VALUE that matches nothing, 10 M",
        "IOT.RANGE big - + FILTER_BY_VALUE 900 999",
    );
    bench.flush();
}

fn memory(bench: &mut Bench) {
    println!(
        "\n{:<46} {:>12} {:>14}",
        "memory, all included (MEMORY USAGE)", "samples", "bytes/sample"
    );
    let mut recordings = series_data::generated();
    match series_data::recorded().unwrap() {
        Some((_, recorded)) => recordings.extend(recorded),
        None => println!("(no recorded series found: generated ones only)"),
    }
    let mut logarithms = 0.0;
    for recording in &recordings {
        let per_sample = bytes_per_sample(bench, recording);
        logarithms += per_sample.ln();
        println!(
            "{:<46} {:>12} {per_sample:>14.2}",
            recording.name,
            recording.times.len()
        );
    }
    let mean = (logarithms / f64::from(u32::try_from(recordings.len()).unwrap())).exp();
    println!("{:<46} {:>12} {mean:>14.2}", "geometric mean", "");
    let create = "IOT.CREATE small LABELS site berlin room 12 type temp";
    bench.client.call(&words(create));
    for number in 0..12 {
        bench.client.call(&words(&format!(
            "IOT.ADD small {} {}",
            time_ms(number * 1000),
            reading(number)
        )));
    }
    println!(
        "{:<46} {:>12} {:>14}",
        "a series with 12 samples and 3 labels, bytes",
        12,
        usage(bench, "small")
    );
    many_small(bench);
}

/// What quiet series cost the whole server: keys, tables and all.
fn many_small(bench: &mut Bench) {
    const SERIES: usize = 100_000;
    let used = |bench: &mut Bench| {
        let info = bench.client.text("INFO memory");
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        line.unwrap().parse::<f64>().unwrap()
    };
    bench.flush();
    let before = used(bench);
    let mut fill: Load<'_> = Box::new(|_, client| {
        let series = (0..SERIES / CLIENTS).map(|at| at * CLIENTS + client);
        Batch::pipeline(
            64,
            series.flat_map(|number| {
                let add = (0..12).map(move |sample| {
                    let time = time_ms(number + sample * 1_000);
                    let value = reading(number + sample);
                    let labels = "LABELS site berlin room 12 type temp";
                    words(&format!("IOT.ADD sensor:{number} {time} {value} {labels}"))
                });
                add.collect::<Vec<_>>()
            }),
        )
    });
    bench.measure(&mut fill, 0);
    let each = (used(bench) - before) / f64::from(u32::try_from(SERIES).unwrap());
    println!(
        "{:<46} {SERIES:>12} {each:>14.0}",
        "the same, many: server memory a series, with key"
    );
    bench.flush();
}

fn bytes_per_sample(bench: &mut Bench, recording: &Recording) -> f64 {
    let samples = recording.times.iter().zip(&recording.values);
    let blob: Vec<u8> = samples
        .flat_map(|(time, value)| [time.to_le_bytes(), value.to_le_bytes()].concat())
        .collect();
    let key = recording.name.as_bytes();
    bench.client.call(&[b"IOT.ADDBULK", key, b"PACKED", &blob]);
    let samples = f64::from(u32::try_from(recording.times.len()).unwrap());
    usage(bench, &recording.name) / samples
}

fn usage(bench: &mut Bench, key: &str) -> f64 {
    match bench.client.call(&["MEMORY", "USAGE", key, "SAMPLES", "0"]) {
        Value::Int(bytes) => f64::from(u32::try_from(bytes).unwrap()),
        other => panic!("MEMORY USAGE: {other:?}"),
    }
}

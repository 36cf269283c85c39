//! What a series costs, and that `MEMORY USAGE` says so.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]

mod support;

use std::time::Instant;

use redis::Value;
use support::client::{Client, Protocol};
use support::notation::{packed, words};
use support::seeds::{PERSISTENCE_SEED, Random};
use support::server::{PATIENCE, Server, await_that};

/// What may be spent on a series of a dozen samples and three labels, beside the name of its key.
const SMALL_SERIES_BYTES: f64 = 700.0;
/// What a series may take in the index of labels, its name there included.
const INDEX_BYTES: usize = 120;
/// What the server itself allocates more or less from one moment to another, for each key.
const SLACK_BYTES: f64 = 16.0;

fn used_memory(client: &mut Client) -> i64 {
    let memory = client.text("INFO memory");
    let line = memory
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    line.unwrap().parse().unwrap()
}

/// Bytes of the index of labels, which belongs to no key.
fn index_memory(client: &mut Client) -> i64 {
    match client.run("IOT.DEBUG INDEX") {
        Value::Array(fields) => match fields[5] {
            Value::Int(bytes) => bytes,
            _ => panic!("no bytes: {fields:?}"),
        },
        other => panic!("no report: {other:?}"),
    }
}

/// Keys made by `command` with the key's name in it, and how much memory each took: by the
/// growth of the server without the index of labels, and by `MEMORY USAGE`.
fn cost(server: &Server, keys: usize, command: &dyn Fn(&str) -> Vec<Vec<u8>>) -> (f64, f64) {
    let mut meter = server.connect(Protocol::Resp2);
    meter.expect("FLUSHALL SYNC", "+OK");
    // The first key brings tables into being that stay.
    meter.call(&command("key:000000"));
    let before = used_memory(&mut meter) - index_memory(&mut meter);
    {
        let mut loader = server.connect(Protocol::Resp2);
        for first in (1..=keys).step_by(100) {
            let batch: Vec<_> = (first..(first + 100).min(keys + 1))
                .map(|index| command(&format!("key:{index:06}")))
                .collect();
            for reply in loader.pipeline(&batch).unwrap() {
                assert!(!matches!(reply, Value::ServerError(_)), "{reply:?}");
            }
        }
    }
    await_that("the loader is gone", || {
        meter.text("CLIENT LIST").lines().count() == 1
    });
    let indexed = index_memory(&mut meter);
    assert!(
        indexed <= i64::try_from(keys * INDEX_BYTES).unwrap() + 100_000,
        "{indexed} bytes of index for {keys} keys"
    );
    let grown = used_memory(&mut meter) - indexed - before;
    let said = meter.integer("MEMORY USAGE key:000001 SAMPLES 0");
    (grown as f64 / keys as f64, said as f64)
}

/// Compares `MEMORY USAGE` with the truth, after both are freed of what the table of keys takes.
/// Returns the cost of one series without its key, by both.
#[track_caller]
fn check(name: &str, keys: usize, command: &dyn Fn(&str) -> Vec<Vec<u8>>) -> (f64, f64) {
    let server = Server::start_with(&["--activedefrag", "no", "--hz", "1"]);
    let plain = |key: &str| words(&format!("SET {key} \"\""));
    let (plain_grown, plain_said) = cost(&server, keys, &plain);
    let (grown, said) = cost(&server, keys, command);
    let table = plain_grown - plain_said;
    let truth = grown - table;
    assert!(
        (said - truth).abs() <= 0.05 * truth + SLACK_BYTES,
        "{name}: MEMORY USAGE says {said}, the server grew by {truth} a key"
    );
    (truth - plain_said, said - plain_said)
}

fn bulk(key: &str, options: &str, samples: impl Iterator<Item = (i64, f64)>) -> Vec<Vec<u8>> {
    let mut line = words(&format!("IOT.ADDBULK {key} {options} PACKED"));
    line.push(packed(samples));
    line
}

#[test]
fn a_series_of_twelve_samples_and_three_labels_is_small() {
    let twelve = |key: &str| {
        let samples = (0..12).map(|index| {
            (
                1_700_000_000_000 + index * 60_000,
                21.5 + index as f64 / 10.0,
            )
        });
        bulk(key, "LABELS room 12 floor 3 kind temperature", samples)
    };
    let (truth, said) = check("twelve samples", 10_000, &twelve);
    assert!(
        truth <= SMALL_SERIES_BYTES,
        "{truth} bytes by the server's growth"
    );
    assert!(said <= SMALL_SERIES_BYTES, "{said} bytes by MEMORY USAGE");
}

#[test]
fn memory_usage_is_true_for_empty_series() {
    check("empty", 10_000, &|key| words(&format!("IOT.CREATE {key}")));
}

#[test]
fn memory_usage_is_true_for_series_filled_one_by_one() {
    let script = "for i = 1, 40 do redis.call('IOT.ADD', KEYS[1], i * 1000, 20 + i % 7) end";
    check("one by one", 5_000, &|key| {
        words(&format!("EVAL \"{script}\" 1 {key}"))
    });
}

#[test]
fn memory_usage_is_true_for_series_of_many_blocks() {
    for encoding in ["COMPRESSED", "GORILLA", "UNCOMPRESSED"] {
        let options = format!("ENCODING {encoding} CHUNK_SIZE 1024");
        check(encoding, 1_000, &|key| {
            let mut random = Random::new(PERSISTENCE_SEED);
            let samples = (0..1_500).map(|index| (index * 1_000, random.reading()));
            bulk(key, &options, samples)
        });
    }
}

#[test]
fn memory_of_unlinked_and_flushed_series_comes_back() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let fill = |client: &mut Client| {
        let mut random = Random::new(PERSISTENCE_SEED);
        for key in 0..40 {
            let samples: Vec<_> = (0..10_000).map(|time| (time, random.any_value())).collect();
            // More blocks than the server would free on the spot.
            let line = bulk(&format!("key:{key}"), "CHUNK_SIZE 512", samples.into_iter());
            client.call(&line);
        }
    };
    let before = used_memory(&mut client);
    fill(&mut client);
    let grown = used_memory(&mut client) - before;
    assert!(grown > 40 * 10_000, "{grown} bytes of random values");
    let keys: Vec<String> = (0..40).map(|key| format!("key:{key}")).collect();
    client.expect(&format!("UNLINK {}", keys.join(" ")), "40");
    server.await_info("memory", "lazyfreed_objects:40");
    assert!(used_memory(&mut client) - before < grown / 10, "unlinked");
    fill(&mut client);
    client.expect("FLUSHALL ASYNC", "+OK");
    server.await_info("memory", "lazyfreed_objects:80");
    assert!(used_memory(&mut client) - before < grown / 10, "flushed");
}

/// Series of the world, of some 160 MB: the code of a server and of a module is 10 MB, which the doctor
/// takes for waste where it is more than a tenth.
const SERIES: u32 = 1_000;

/// Lines that make keys of each type.
fn world() -> Vec<Vec<Vec<u8>>> {
    let mut random = Random::new(PERSISTENCE_SEED);
    let values = (0..10_000).map(|at| (at * 1_000, random.any_value()));
    let samples: Vec<_> = values.collect();
    let mut lines = Vec::new();
    for key in 0..SERIES {
        let options = format!("ENCODING UNCOMPRESSED LABELS kind temp room {}", key % 50);
        let samples = samples.iter().copied();
        lines.push(bulk(&format!("series:{key}"), &options, samples));
    }
    lines.push(words("IOT.FLEET CREATE fleet TRAIL 20"));
    lines.push(words(
        "IOT.FENCE BIND fleet fences STREAM events MAXLEN 100",
    ));
    for at in 0..20_000 {
        let (x, y) = (random.index(90), random.index(80));
        let (device, time) = (at % 5_000, at * 10);
        lines.push(words(&format!(
            "IOT.FENCE ADD fences f{at} BBOX {x}.1 {y}.1 {x}.2 {y}.2"
        )));
        lines.push(words(&format!(
            "IOT.TRACK fleet van{device} {x}.15 {y}.15 TS {time} SPEED 9"
        )));
    }
    lines
}

#[test]
fn the_doctor_finds_nothing_and_the_parts_of_memory_are_told() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for lines in world().chunks(20) {
        let replies = client.pipeline(lines).unwrap();
        let error = replies
            .iter()
            .find(|one| matches!(one, Value::ServerError(_)));
        assert_eq!(error, None);
    }
    // The server looks at its memory ten times a second, and sees it as it was until then.
    let mut report = String::new();
    let begun = Instant::now();
    await_that("the doctor finds nothing", || {
        report = client.text("MEMORY DOCTOR");
        report.contains("can't find any memory issue") || begun.elapsed() > PATIENCE / 6
    });
    assert!(report.starts_with("Hi Sam, I can't find"), "{report}");
    let stats = support::stats::map(&client.run("MEMORY STATS"));
    let stat = |name: &str| match stats.iter().find(|(have, _)| have == name) {
        Some((_, Value::Int(bytes))) => *bytes,
        other => panic!("no {name}: {other:?}"),
    };
    assert_eq!(stat("keys.count"), i64::from(SERIES) + 3);
    let said =
        ["fleet", "fences", "events"].map(|key| client.integer(&format!("MEMORY USAGE {key}")));
    let series: i64 = (0..SERIES)
        .map(|key| client.integer(&format!("MEMORY USAGE series:{key}")))
        .sum();
    // What the keys say is what the server counts as data, but for tables and the index of labels.
    let (said, dataset) = (said.iter().sum::<i64>() + series, stat("dataset.bytes"));
    let index = index_memory(&mut client);
    let difference = (dataset - index - said).abs() as f64 / dataset as f64;
    assert!(
        difference < 0.1,
        "{said} bytes in keys, {index} in the index, {dataset} in all"
    );
    assert!(client.info("memory", "used_memory_dataset") > 0);
}

//! Dump files of earlier builds load, and what this build writes is what it wrote before.
//!
//! `tests/golden` has one dump file for each stored form there ever was, all of the same series. A
//! change of the form adds a file and never replaces one: `IOT_WRITE_GOLDEN=name cargo test --test
//! server_golden` writes `tests/golden/name.rdb`, and [`CURRENT`] then names it. Those with downsampling
//! rules are in `tests/golden/rules`, and `IOT_WRITE_GOLDEN_RULES` writes them.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/series_data.rs"]
#[allow(dead_code, reason = "shared with benches and other tests")]
mod series_data;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::aggregation::AGGREGATORS;
use support::client::{Client, Protocol};
use support::notation::{packed, render, words};
use support::server::Server;

/// The dump file that this build would write.
const CURRENT: &str = "4-rules.rdb";
/// Samples of each series: more than one sealed block, and an open one.
const SAMPLES: usize = 600;
/// Values that a careless codec or a careless conversion would not give back.
const HARD_VALUES: &str =
    "0 -0 1 nan 2 5e-324 3 1.7976931348623157e308 4 -0.1 9223372036854775807 1";

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Writes the series that every golden file holds.
fn fill(client: &mut Client) {
    for encoding in ["COMPRESSED", "GORILLA", "UNCOMPRESSED"] {
        for recording in series_data::generated() {
            if !["temperature", "walk", "sparse"].contains(&recording.name.as_str()) {
                continue;
            }
            let mut request = words(&format!(
                "IOT.ADDBULK {}:{encoding} RETENTION 9999999999 ENCODING {encoding} CHUNK_SIZE 1024 \
                 DUPLICATE_POLICY MAX IGNORE 5 0.5 LABELS kind {} \"\\x00\" \"\\xff \" PACKED",
                recording.name, recording.name
            ));
            let samples = recording.times.into_iter().zip(recording.values);
            request.push(packed(samples.take(SAMPLES)));
            client.call(&request);
        }
        client.run(&format!("IOT.CREATE empty:{encoding} ENCODING {encoding}"));
        client.run(&format!(
            "IOT.ADDBULK hard:{encoding} ENCODING {encoding} SAMPLES {HARD_VALUES}"
        ));
    }
    assert_eq!(client.integer("DBSIZE"), 15);
}

/// Keys that rules tie.
const TIED: [&str; 4] = ["source", "empty", "sum:10", "last:1d"];

/// Writes series with rules of every kind, chains among them.
fn fill_rules(client: &mut Client) {
    client.run("IOT.ADDBULK source RETENTION 99999999999 SAMPLES 0 1 5 2 1000000 3");
    client.run("IOT.CREATE empty");
    for (number, aggregator) in AGGREGATORS.iter().enumerate() {
        let cut = [
            "10",
            "1h 7 DELAY 5m",
            "1d TZ Europe/Berlin",
            "1w TZ UTC",
            "1mo",
            "1y TZ America/New_York DELAY 1d",
        ][number % 6];
        for source in ["source", "empty"] {
            let begin = ["", "BACKFILL", "BACKFILL FROM 500000"][number % 3];
            client.expect(
                &format!(
                    "IOT.CREATERULE {source} {source}:{number} AGGREGATION {aggregator} {cut} {begin} CREATE"
                ),
                "+OK",
            );
        }
    }
    for line in [
        "IOT.CREATERULE source sum:10 AGGREGATION sum 10 BACKFILL CREATE RETENTION 1d",
        "IOT.CREATERULE sum:10 max:1h AGGREGATION max 1h BACKFILL CREATE",
        "IOT.CREATERULE max:1h last:1d AGGREGATION last 1d TZ Asia/Tokyo BACKFILL CREATE",
        "IOT.CREATERULE last:1d \"\\x00 \\xff\" AGGREGATION p99.9 1mo CREATE",
    ] {
        client.expect(line, "+OK");
    }
    client.expect("IOT.ADDBULK source SAMPLES 90000000 1 400000000 2", "_");
}

/// The golden files of a folder, oldest first.
fn golden_files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rdb"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are golden files");
    files
}

fn load(server: &Server, file: &Path) -> Client {
    fs::copy(file, server.folder().join("dump.rdb")).unwrap();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("DEBUG RELOAD NOSAVE", "+OK");
    client
}

#[test]
fn every_dump_file_ever_written_loads() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    fill(&mut client);
    if let Some(name) = std::env::var_os("IOT_WRITE_GOLDEN") {
        client.expect("SAVE", "+OK");
        let file = golden_folder().join(name).with_extension("rdb");
        fs::copy(server.folder().join("dump.rdb"), file).unwrap();
    }
    let written = client.digest();
    for file in golden_files(&golden_folder()) {
        let loaded = load(&server, &file).digest();
        assert_eq!(loaded, written, "{}", file.display());
    }
}

/// Policies of all forms; `IOT_WRITE_GOLDEN_POLICIES=1` writes the file that a new form needs.
const POLICIES: [&str; 2] = [
    "IOT.POLICY SET plain FILTER kind=temp RULES avg 1h RETENTION 30d",
    "IOT.POLICY SET odd FILTER kind!=temp \"(a=1 OR b!=)\" RULES p99.5 1d TZ Europe/Berlin \
     timein(2) 90001 ALIGN 5 last 1mo RETENTION 365d first 1w DESTINATION \"{agg} {bucket}:{key}\"",
];

#[test]
fn every_policy_ever_written_loads_and_is_written_so_now() {
    let (server, before) = (Server::start(), Server::start());
    let mut client = server.connect(Protocol::Resp2);
    for policy in POLICIES {
        client.run(policy);
    }
    let folder = golden_folder().join("policies");
    if std::env::var_os("IOT_WRITE_GOLDEN_POLICIES").is_some() {
        client.expect("SAVE", "+OK");
        fs::copy(
            server.folder().join("dump.rdb"),
            folder.join("1-policies.rdb"),
        )
        .unwrap();
    }
    let mut loaded = load(&before, &folder.join("1-policies.rdb"));
    assert_eq!(loaded.digest(), client.digest());
    for name in ["plain", "odd"] {
        for line in ["DUMP", "IOT.POLICY GET"].map(|what| format!("{what} {name}")) {
            assert_eq!(render(&loaded.run(&line)), render(&client.run(&line)));
        }
    }
}

#[test]
fn what_is_written_now_is_what_was_written_before() {
    let (now, before) = (Server::start(), Server::start());
    let mut written = now.connect(Protocol::Resp2);
    fill(&mut written);
    let mut loaded = load(&before, &golden_folder().join(CURRENT));
    for kind in ["temperature", "walk", "sparse", "empty", "hard"] {
        for encoding in ["COMPRESSED", "GORILLA", "UNCOMPRESSED"] {
            let dump = format!("DUMP {kind}:{encoding}");
            let (new, old) = (written.run(&dump), loaded.run(&dump));
            assert!(
                render(&new) == render(&old),
                "{kind}:{encoding} is stored otherwise"
            );
        }
    }
}

#[test]
fn rules_of_every_kind_load() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    fill_rules(&mut client);
    let folder = golden_folder().join("rules");
    if let Some(name) = std::env::var_os("IOT_WRITE_GOLDEN_RULES") {
        client.expect("SAVE", "+OK");
        let file = folder.join(name).with_extension("rdb");
        fs::copy(server.folder().join("dump.rdb"), file).unwrap();
    }
    let written = client.digest();
    for file in golden_files(&folder) {
        let mut loaded = load(&server, &file);
        assert_eq!(loaded.digest(), written, "{}", file.display());
        // And they go on.
        loaded.expect("IOT.ADD source 90000005 8", "90000005");
        loaded.expect("IOT.RANGE sum:10 90000000 90000000", "[[90000000, #9]]");
        loaded.expect("IOT.RANGE max:1h 90000000 +", "[]");
    }
}

#[test]
fn rules_are_written_as_they_were_before() {
    let (now, before) = (Server::start(), Server::start());
    let mut written = now.connect(Protocol::Resp2);
    fill_rules(&mut written);
    let mut loaded = load(&before, &golden_folder().join("rules").join(CURRENT));
    for key in TIED {
        let dump = format!("DUMP {key}");
        let (new, old) = (written.run(&dump), loaded.run(&dump));
        assert!(render(&new) == render(&old), "{key} is stored otherwise");
    }
}

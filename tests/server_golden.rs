//! Dump files of earlier builds load, and what this build writes is what it wrote before.
//!
//! `tests/golden` has one dump file for each stored form there ever was, all of the same series. A
//! change of the form adds a file and never replaces one: `IOT_WRITE_GOLDEN=name cargo test --test
//! server_golden` writes `tests/golden/name.rdb`, and [`CURRENT`] then names it. Those with downsampling
//! rules are in `tests/golden/rules`, and `IOT_WRITE_GOLDEN_RULES` writes them; those with fleets and
//! fences in `tests/golden/fences`, by `IOT_WRITE_GOLDEN_FENCES`; append-only files with all of it in
//! `tests/golden/aof`, by `IOT_WRITE_GOLDEN_AOF`.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/series_data.rs"]
#[allow(dead_code, reason = "shared with benches and other tests")]
mod series_data;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::aggregation::AGGREGATORS;
use support::client::{Client, Protocol};
use support::notation::{packed, quoted, render, words};
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
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "rdb" || extension == "aof")
        })
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

/// The dump file with fleets and fences that this build would write.
const CURRENT_FENCES: &str = "1-fences.rdb";

/// Writes fleets and fences with everything that they can have, and nothing that depends on the clock.
fn fill_fences(client: &mut Client) {
    for line in [
        "IOT.FENCE ADD zones circle CIRCLE 179.99 0 5000.25 META 2 \"\\x00\" \"\\xff\" kind depot",
        "IOT.FENCE ADD zones pole CIRCLE 0 -90 500000 GROUPS 2 cold \"\\x00\"",
        "IOT.FENCE ADD zones box BBOX 179 -1 -179 1 DEVICES 2 a \"\\xfe\" EXPIREAT 99999999999999",
        "IOT.FENCE ADD zones area POLYGON 4 0 0 9 0 9 9 0 9 HOLE 4 1 1 8 1 8 8 1 8 \
         POLYGON 3 2 2 3 2 2 3 DETECT enter exit cross inside outside overspeed DWELL 1h BUFFER 20.5 \
         MINFIXES 3 SPEEDLIMIT 13.9",
        "IOT.FENCE ADD zones far POLYGON 3 179 5 -179 5 180 6",
        "IOT.FENCE ADD zones way CORRIDOR 300.5 3 0 0 1 1 2 0 \
         SCHEDULE \"mon-fri 08:00-18:00\" TZ Europe/Berlin",
        "IOT.FENCE ADD zones \"\\x00 \\xff\" CIRCLE 1 1 1",
        "IOT.FENCE ADD zones \"\" BBOX 0 0 0 0",
        "IOT.FENCE ADD areas hall BBOX 13 52 14 53",
        "IOT.FLEET CREATE rich TRAIL 100 RETENTION 1d MINDIST 1 MINTIME 1 MAXSPEED 1000000 \
         MAXACC 500 JITTER yes LATE DROP",
        "IOT.FENCE BIND rich zones DETECT enter exit PUBLISH news",
        "IOT.FENCE BIND rich areas GROUP red OUTSIDE 7 PUBLISH news STREAM events MAXLEN 100",
        "IOT.FENCE BIND plain areas STREAM events MAXLEN 5",
        "IOT.FENCE UNBIND plain areas",
        "IOT.FENCE BIND plain zones PUBLISH \"\\x00\"",
        "IOT.FENCE BIND plain areas PUBLISH news",
        "IOT.ROAM BIND rich plain RADIUS 500.5 PUBLISH \"\\x00\"",
        "IOT.ROAM BIND rich rich RADIUS 5 STREAM events",
        "IOT.TRACK plain a -180 0 TS 1000 EXPIREAT 99999999999999",
        "IOT.TRACK plain b 180 -90 TS 0",
        "IOT.TRACK plain c 13.5 52.5 TS 1000",
        "IOT.TRACK plain \"\\x00\\xff\" 1 1 TS 9223372036854775807",
        "IOT.TRACK rich a 5 0.5 TS 1000",
        "IOT.TRACK rich a 5 0.5001 TS 2000",
        "IOT.TRACK rich a 5 0.5002 TS 3000 ALT -1.5 SPEED 0 HEADING 360 ACC 0",
        "IOT.TRACK rich a 20 20 TS 99000 FIELDS 3 load 5.25 name \"\\x00\\xff\" none \"\"",
    ] {
        let reply = client.run(line);
        assert!(
            !matches!(reply, redis::Value::ServerError(_)),
            "{line}: {}",
            render(&reply)
        );
    }
    for step in 0..300 {
        let (lon, time) = (20.0 + f64::from(step) / 1000.0, 100_000 + step * 1_000);
        client.run(&format!("IOT.TRACK rich a {lon} 20 TS {time}"));
    }
}

#[test]
fn fleets_and_fences_ever_written_load_and_are_written_so_now() {
    let (now, before) = (Server::start(), Server::start());
    let mut written = now.connect(Protocol::Resp2);
    fill_fences(&mut written);
    let folder = golden_folder().join("fences");
    if let Some(name) = std::env::var_os("IOT_WRITE_GOLDEN_FENCES") {
        written.expect("SAVE", "+OK");
        let file = folder.join(name).with_extension("rdb");
        fs::copy(now.folder().join("dump.rdb"), file).unwrap();
    }
    for file in golden_files(&folder) {
        let mut loaded = load(&before, &file);
        for key in ["zones", "areas", "plain", "rich"] {
            let digest = loaded.digest_of(key);
            assert_eq!(digest, written.digest_of(key), "{key} {}", file.display());
            if file.ends_with(CURRENT_FENCES) {
                let dump = format!("DUMP {key}");
                let (new, old) = (written.run(&dump), loaded.run(&dump));
                assert!(render(&new) == render(&old), "{key} is stored otherwise");
            }
        }
        // And they go on.
        let fences = |client: &mut Client| render(&client.run("IOT.POSITION plain a c"));
        let inside = fences(&mut loaded);
        assert!(inside.contains("[\"circle\", \"box\"]"), "{inside}");
        assert!(inside.contains("[\"hall\"]"), "{inside}");
        loaded.expect("IOT.MTRACK plain a 0.5 0.5 2000 c 0.5 8.5 2000", "[1, 1]");
        let outside = fences(&mut loaded);
        assert_eq!(outside, fences_after(&mut written), "{outside}");
    }
}

/// Where the same devices are in a server that has loaded nothing.
fn fences_after(client: &mut Client) -> String {
    client.run("IOT.MTRACK plain a 0.5 0.5 2000 c 0.5 8.5 2000");
    render(&client.run("IOT.POSITION plain a c"))
}

/// A server whose append-only file, once rewritten, consists of commands.
fn appending() -> Server {
    Server::start_with(&["--appendonly", "yes", "--aof-use-rdb-preamble", "no"])
}

/// The digests of everything that the `fill` functions write, in the databases where [`fill_all`] does.
fn digests(client: &mut Client) -> Vec<String> {
    let mut digests = Vec::new();
    for database in 0..3 {
        client.expect(&format!("SELECT {database}"), "+OK");
        let keys: Vec<Vec<u8>> = redis::from_redis_value(client.run("KEYS *")).unwrap();
        for key in keys.iter().filter(|key| *key != b"events") {
            let key = quoted(key);
            digests.push(format!("{database} {key} {}", client.digest_of(&key)));
        }
    }
    digests.sort();
    digests
}

/// Everything that is stored, in three databases, since some of the names are the same.
fn fill_all(client: &mut Client) {
    fill(client);
    fill_rules(client);
    client.expect("SELECT 1", "+OK");
    for policy in POLICIES {
        client.run(policy);
    }
    client.expect("SELECT 2", "+OK");
    fill_fences(client);
}

#[test]
fn every_append_only_file_ever_written_replays() {
    let (now, before) = (appending(), appending());
    let mut written = now.connect(Protocol::Resp2);
    fill_all(&mut written);
    let folder = golden_folder().join("aof");
    if let Some(name) = std::env::var_os("IOT_WRITE_GOLDEN_AOF") {
        written.run("BGREWRITEAOF");
        for line in ["aof_rewrite_scheduled:0", "aof_rewrite_in_progress:0"] {
            now.await_info("persistence", line);
        }
        let file = folder.join(name).with_extension("aof");
        fs::write(file, &now.append_only_files(".base.")[0]).unwrap();
    }
    let expected = digests(&mut written);
    for file in golden_files(&folder) {
        let base = "appendonlydir/appendonly.aof.1.base.aof";
        fs::copy(&file, before.folder().join(base)).unwrap();
        let mut replayed = before.connect(Protocol::Resp2);
        replayed.expect("DEBUG LOADAOF", "+OK");
        assert_eq!(digests(&mut replayed), expected, "{}", file.display());
    }
}

//! Series that are not written: they are packed, and nobody can tell but by their size; those with an
//! `IDLE_TTL` are removed.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::notation::{packed, render, words};
use support::server::{Server, await_that};

/// Readings of a sensor with one decimal, each ten seconds.
fn readings(count: i32) -> impl Iterator<Item = (i64, f64)> {
    (0..count).map(|step| {
        let value = f64::from(200 + (step * 7_919) % 31) / 10.0;
        (i64::from(step) * 10_000, value)
    })
}

fn fill(client: &mut Client, key: &str, options: &str, count: i32) {
    let mut line = words(&format!("IOT.ADDBULK {key} {options} PACKED"));
    line.push(packed(readings(count)));
    client.call(&line);
}

fn memory(client: &mut Client, key: &str) -> i64 {
    client.integer(&format!("MEMORY USAGE {key}"))
}

/// Waits until a key takes less than `most` bytes, and checks that it is the same as before.
#[track_caller]
fn await_packed(client: &mut Client, key: &str, most: i64) {
    let before = client.digest_of(key);
    await_that(&format!("{key} takes less than {most}"), || {
        memory(client, key) < most
    });
    assert_eq!(client.digest_of(key), before, "{key}");
}

#[test]
fn a_series_that_rests_is_packed_and_stays_the_same() {
    let server = Server::start_with(&["--redis-iot.idle-seal", "0"]);
    let mut client = server.connect(Protocol::Resp2);
    fill(&mut client, "open", "", 400);
    fill(&mut client, "late", "DUPLICATE_POLICY LAST", 1_600);
    for late in ["15990005", "14000005", "9000005"] {
        client.expect(&format!("IOT.ADD late {late} 0.5"), late);
    }
    client.expect("SELECT 9", "+OK");
    fill(&mut client, "elsewhere", "", 400);
    client.expect("SET foreign 1", "+OK");
    client.expect("SELECT 0", "+OK");
    let (open, late) = (memory(&mut client, "open"), memory(&mut client, "late"));
    let all = client.digest();
    client.expect("CONFIG SET redis-iot.idle-seal 1", "+OK");
    await_packed(&mut client, "open", open / 2);
    await_packed(&mut client, "late", late / 4);
    client.expect("SELECT 9", "+OK");
    await_packed(&mut client, "elsewhere", open / 2);
    client.expect("SELECT 0", "+OK");
    assert_eq!(client.digest(), all);
    client.expect("IOT.GET open", "[3990000, #20.6]");
    client.expect("DEBUG RELOAD", "+OK");
    assert_eq!(client.digest(), all);
}

#[test]
fn a_packed_series_is_written_as_before_and_packed_again() {
    let server = Server::start_with(&["--redis-iot.idle-seal", "1"]);
    let mut client = server.connect(Protocol::Resp2);
    let samples: Vec<_> = readings(450).collect();
    for burst in samples.chunks(150) {
        let mut line = words("IOT.ADDBULK bursts PACKED");
        line.push(packed(burst.iter().copied()));
        client.call(&line);
        await_that("there is one block, and the newest sample", || {
            let info = render(&client.run("IOT.INFO bursts DEBUG"));
            info.matches("startTimestamp").count() == 2 && info.contains(r#""samples", 1, "#)
        });
    }
    let mut line = words("IOT.ADDBULK at-once PACKED");
    line.push(packed(samples.iter().copied()));
    client.call(&line);
    assert_eq!(client.digest_of("bursts"), client.digest_of("at-once"));
}

#[test]
fn a_replica_packs_for_itself_and_nothing_is_replicated() {
    let (master, replica) = (Server::start(), Server::start());
    let mut client = master.connect(Protocol::Resp2);
    replica.replica_of(&master);
    fill(&mut client, "series", "", 400);
    let mut there = replica.connect(Protocol::Resp2);
    await_that("the series is there", || there.integer("DBSIZE") == 1);
    let unpacked = memory(&mut there, "series");
    let same = client.digest_of("series");
    client.expect("CONFIG SET redis-iot.idle-seal 1", "+OK");
    await_packed(&mut client, "series", unpacked / 2);
    assert_eq!(memory(&mut there, "series"), unpacked);
    there.expect("CONFIG SET redis-iot.idle-seal 1", "+OK");
    await_packed(&mut there, "series", unpacked / 2);
    assert_eq!(there.digest_of("series"), same);
}

/// Sets what is left of a key's time to live to next to nothing, as the clock would.
fn age(client: &mut Client, key: &str) {
    client.expect(&format!("PEXPIRE {key} 5000"), "1");
}

fn has_whole_ttl(client: &mut Client, key: &str) -> bool {
    (3_500_000..=3_600_000).contains(&client.integer(&format!("PTTL {key}")))
}

#[test]
fn a_series_that_is_not_written_is_removed() {
    let server = Server::start();
    let replica = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    replica.replica_of(&server);
    client.expect("IOT.ADD stays 1 1", "1");
    client.expect("IOT.ADD goes 1 1 IDLE_TTL 50", "1");
    client.expect("IOT.CREATE goes-too IDLE_TTL 50", "+OK");
    let mut there = replica.connect(Protocol::Resp2);
    await_that("the series is gone", || client.integer("DBSIZE") == 1);
    await_that("the series is gone there", || there.integer("DBSIZE") == 1);
    client.expect("EXISTS stays", "1");
    assert_eq!(client.digest(), there.digest());
    assert!(client.info("stats", "expired_keys") == 2);
}

#[test]
fn every_write_that_changes_a_series_and_no_other_begins_its_time_anew() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.ADD t 100 1 IDLE_TTL 3600000 IGNORE 5 5", "100");
    assert!(has_whole_ttl(&mut client, "t"));
    for write in [
        "IOT.ADD t 200 1",
        "IOT.ADD t 200 20 ON_DUPLICATE LAST",
        "IOT.ADD t * 2",
        "IOT.MADD t 150 1",
        "IOT.INGEST ITEMS t 160 1",
        "IOT.ADDBULK t SAMPLES 170 1 180 2",
        "IOT.INCRBY t 100",
        "IOT.DEL t 170 180",
        "IOT.ALTER t LABELS a b",
    ] {
        age(&mut client, "t");
        client.run(write);
        assert!(has_whole_ttl(&mut client, "t"), "{write}");
    }
    for other in [
        "IOT.GET t",
        "IOT.RANGE t - +",
        "IOT.INFO t",
        "IOT.ADD t 100 2",
        "IOT.ADD t 100 1 ON_DUPLICATE LAST",
        "IOT.ADDBULK t SAMPLES 100 7",
        "IOT.DEL t 1 2",
        "IOT.ADD t x 1",
    ] {
        age(&mut client, "t");
        client.run(other);
        assert!(client.integer("PTTL t") <= 5_000, "{other}");
    }
    client.expect(
        "IOT.ADD quiet 100 1 IDLE_TTL 3600000 DUPLICATE_POLICY LAST IGNORE 50 5",
        "100",
    );
    age(&mut client, "quiet");
    client.expect("IOT.ADD quiet 110 2", "100");
    assert!(client.integer("PTTL quiet") <= 5_000, "an ignored sample");
    client.expect("IOT.ALTER t IDLE_TTL 0", "+OK");
    client.expect("PTTL t", "-1");
    client.expect("EXPIRE t 1000", "1");
    client.expect("IOT.ADD t 300 1", "300");
    assert!(
        client.integer("PTTL t") <= 1_000_000,
        "a time of others stays"
    );
    client.expect("IOT.ALTER t IDLE_TTL 3600000", "+OK");
    assert!(has_whole_ttl(&mut client, "t"));
}

#[test]
fn the_time_survives_whatever_keeps_the_series() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--aof-use-rdb-preamble", "no"]);
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.ADD t 100 1 IDLE_TTL 3600000", "100");
    client.expect("COPY t copy", "1");
    client.expect("RENAME t renamed", "+OK");
    client.expect("DEBUG RELOAD", "+OK");
    client.expect("IOT.ADD late 1 1 IDLE_TTL 3600000", "1");
    for key in ["copy", "renamed", "late"] {
        assert!(has_whole_ttl(&mut client, key), "{key}");
    }
    let digest = client.digest();
    server.restart();
    let mut client = server.connect(Protocol::Resp2);
    for key in ["copy", "renamed", "late"] {
        assert!(has_whole_ttl(&mut client, key), "{key} from the commands");
    }
    assert_eq!(client.digest(), digest);
    age(&mut client, "copy");
    client.expect("PEXPIRE copy 1000000", "1");
    client.expect("PERSIST late", "1");
    let digest = client.digest();
    client.run("BGREWRITEAOF");
    server.await_info("persistence", "aof_rewrite_in_progress:0");
    server.restart();
    let mut client = server.connect(Protocol::Resp2);
    assert!(client.integer("PTTL copy") <= 1_000_000);
    assert!(has_whole_ttl(&mut client, "renamed"), "from the rewrite");
    client.expect("PTTL late", "-1");
    assert_eq!(client.digest(), digest);
    client.expect("IOT.ADD late 2 1", "2");
    assert!(
        has_whole_ttl(&mut client, "late"),
        "the option is still there"
    );
}

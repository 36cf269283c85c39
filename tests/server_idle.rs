//! Series that rest: they are packed, and nobody can tell but by their size.

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

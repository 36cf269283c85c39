//! A destination that is filled in beside the main thread, while its source changes.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::notation::{packed, render, words};
use support::queries::stat;
use support::server::{Server, await_that};

/// More than are filled in at once.
const SAMPLES: i64 = 400_000;

fn fill(client: &mut Client, key: &str) {
    for first in (0..SAMPLES).step_by(100_000) {
        let mut line = words(&format!("IOT.ADDBULK {key} PACKED"));
        let value = |time: i64| f64::from(i32::try_from(time % 997).unwrap()) / 4.0;
        line.push(packed(
            (first..first + 100_000).map(|time| (time * 1_000, value(time))),
        ));
        client.call(&line);
    }
}

/// The destination holds what the aggregation over the source gives, but for the open bucket.
#[track_caller]
fn obeys_the_law(client: &mut Client, source: &str, destination: &str) {
    let kept = render(&client.run(&format!("IOT.RANGE {destination} - +")));
    let newest = client.run(&format!("IOT.GET {source}"));
    let newest = render(&newest);
    let newest: i64 = newest[1..newest.find(',').unwrap()].parse().unwrap();
    let closed = newest / 60_000 * 60_000 - 1;
    let asked = render(&client.run(&format!(
        "IOT.RANGE {source} - {closed} AGGREGATION sum 60000"
    )));
    assert!(
        kept == asked,
        "{} and {} characters",
        kept.len(),
        asked.len()
    );
}

const RULE: &str = "IOT.CREATERULE s d AGGREGATION sum 1m BACKFILL CREATE";

#[test]
fn what_changes_meanwhile_is_in_the_destination() {
    let server = Server::start();
    let mut writer = server.connect(Protocol::Resp2);
    fill(&mut writer, "s");
    let mut maker = server.connect(Protocol::Resp2);
    maker.send(RULE);
    // In whatever order the two come to pass.
    for at in 0..50 {
        let late = 7_000 * at * 1_000 + 500;
        writer.expect(&format!("IOT.ADD s {late} 1000"), &late.to_string());
        writer.run(&format!("IOT.DEL s {} {}", late + 60_000, late + 300_000));
        let newest = (SAMPLES + 30 * at) * 1_000;
        writer.expect(&format!("IOT.ADD s {newest} 1"), &newest.to_string());
    }
    assert_eq!(render(&maker.receive().unwrap()), "+OK");
    obeys_the_law(&mut writer, "s", "d");
    writer.expect("IOT.DEL s 0 100000000", "_");
    obeys_the_law(&mut writer, "s", "d");
}

#[test]
fn what_has_become_impossible_meanwhile_is_refused() {
    for (change, refusal) in [
        ("DEL s", "-\"ERR the key does not exist"),
        ("SET s text", "-\"WRONGTYPE"),
        ("SET d text", "-\"WRONGTYPE"),
        (
            "IOT.CREATERULE o d AGGREGATION avg 1m CREATE",
            "-\"ERR the destination key already",
        ),
        ("FLUSHALL", "-\"ERR the key does not exist"),
    ] {
        let server = Server::start();
        let mut writer = server.connect(Protocol::Resp2);
        writer.expect("IOT.CREATE o", "+OK");
        fill(&mut writer, "s");
        // With one thread, which has something else to do first.
        writer.expect("CONFIG SET redis-iot.threads 1", "+OK");
        writer.expect("CONFIG SET redis-iot.inline-samples 0", "+OK");
        let mut other = server.connect(Protocol::Resp2);
        other.send("IOT.RANGE s - + AGGREGATION std.p 1");
        let mut maker = server.connect(Protocol::Resp2);
        maker.send(RULE);
        await_that("the work waits or runs", || {
            stat(&mut writer, "queries_waiting") + stat(&mut writer, "queries_running") > 0
                || stat(&mut writer, "queries_ended") > 0
        });
        writer.run(change);
        let reply = render(&maker.receive().unwrap());
        // It may have been faster.
        assert!(
            reply == "+OK" || reply.starts_with(refusal),
            "{change}: {reply}"
        );
        if reply != "+OK" && change.starts_with("DEL") {
            writer.expect("EXISTS d", "0");
        }
    }
}

#[test]
fn a_client_that_goes_leaves_no_rule_or_a_whole_one() {
    let server = Server::start();
    let mut writer = server.connect(Protocol::Resp2);
    fill(&mut writer, "s");
    for _ in 0..5 {
        let mut maker = server.connect(Protocol::Resp2);
        maker.send(RULE);
        drop(maker);
        await_that("the client is gone", || {
            writer.info("clients", "blocked_clients") == 0
        });
        if writer.integer("EXISTS d") == 1 {
            obeys_the_law(&mut writer, "s", "d");
            writer.expect("IOT.DELETERULE s d", "+OK");
            writer.expect("DEL d", "1");
        }
    }
    writer.expect(RULE, "+OK");
    obeys_the_law(&mut writer, "s", "d");
}

#[test]
fn in_a_transaction_and_a_script_it_is_done_at_once() {
    let server = Server::start();
    let replica = Server::start();
    replica.replica_of(&server);
    let mut writer = server.connect(Protocol::Resp2);
    fill(&mut writer, "s");
    for line in ["MULTI", RULE, "IOT.RANGE d - + COUNT 1"] {
        writer.run(line);
    }
    let reply = render(&writer.run("EXEC"));
    assert!(reply.starts_with("[+OK, [[0, #"), "{reply}");
    obeys_the_law(&mut writer, "s", "d");
    writer.run("EVAL \"return redis.call('IOT.CREATERULE', 's', 'e', 'AGGREGATION', 'sum', '1m', 'BACKFILL', 'CREATE')\" 0");
    obeys_the_law(&mut writer, "s", "e");
    writer.expect("WAIT 1 60000", "1");
    assert_eq!(
        replica.connect(Protocol::Resp2).digest(),
        writer.digest(),
        "the replica has the same"
    );
}

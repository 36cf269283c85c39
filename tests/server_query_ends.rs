//! How a long query ends when it does not end by its answer: its client goes, or a limit is reached.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::notation;
use support::queries::{SLOW, add, during, make_slow, stat};
use support::server::{Server, await_that};

/// The text of the reply that another client waits for.
fn received(client: &mut Client) -> String {
    notation::render(&client.receive().unwrap())
}

#[test]
fn a_client_that_goes_takes_its_query_along() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    make_slow(&mut client, 1 << 20);
    client.expect("CONFIG SET redis-iot.inline-samples 0", "+OK");
    // The last to be asked is the last to run, so most of these go while they wait.
    for goner in (1..=20).map(|_| server.connect(Protocol::Resp2)) {
        let mut goner = goner;
        goner.send(SLOW);
    }
    await_that("all queries end", || {
        stat(&mut client, "queries_ended") == 20
    });
    assert!(stat(&mut client, "queries_cancelled") >= 10);
    assert_eq!(stat(&mut client, "queries_waiting"), 0);
    assert_eq!(stat(&mut client, "queries_running"), 0);
    client.run(SLOW);
}

#[test]
fn a_client_that_is_killed_takes_its_query_along() {
    let server = Server::start();
    let (mut waiting, _) = during(&server, |client| {
        client.expect("CLIENT KILL TYPE normal SKIPME yes", "1");
    });
    assert!(waiting.receive().is_err());
    let mut client = server.connect(Protocol::Resp2);
    await_that("the query is cancelled", || {
        stat(&mut client, "queries_cancelled") == 1
    });
}

#[test]
fn a_server_that_becomes_a_replica_sends_its_clients_away() {
    let master = Server::start();
    let server = Server::start();
    let (mut waiting, _) = during(&server, |client| {
        client.expect(&format!("REPLICAOF 127.0.0.1 {}", master.port()), "+OK");
        await_that("the query is cancelled", || {
            stat(client, "queries_cancelled") == 1
        });
    });
    assert!(received(&mut waiting).starts_with("-\"UNBLOCKED"));
    server.await_info("replication", "master_link_status:up");
}

#[test]
fn a_replica_answers_beside_its_main_thread_too() {
    let master = Server::start();
    let replica = Server::start();
    let mut writer = master.connect(Protocol::Resp2);
    add(&mut writer, "t", 0, (0..20_000).map(f64::from));
    replica.replica_of(&master);
    let query = "IOT.RANGE t - + AGGREGATION sum 1000";
    let mut reader = replica.connect(Protocol::Resp2);
    assert!(writer.run(query) == reader.run(query));
    assert_eq!(stat(&mut reader, "queries_ended"), 1);
}

#[test]
fn a_query_scans_no_more_samples_than_permitted() {
    let server = Server::start();
    for (inline, max, text) in [
        (
            0,
            19_999,
            "-ERR the query would scan 20000 samples, more than redis-iot.max-samples 19999",
        ),
        (
            1_000_000,
            100,
            "-ERR the query would scan 20000 samples, more than redis-iot.max-samples 100",
        ),
        (0, 20_000, "_"),
        (1_000_000, 20_000, "_"),
        (0, 0, "_"),
    ] {
        let mut client = server.connect(Protocol::Resp2);
        client.run("FLUSHALL");
        add(&mut client, "t", 0, (0..20_000).map(f64::from));
        client.expect(
            &format!("CONFIG SET redis-iot.inline-samples {inline}"),
            "+OK",
        );
        client.expect(&format!("CONFIG SET redis-iot.max-samples {max}"), "+OK");
        client.expect("IOT.RANGE t - +", text);
        client.expect("IOT.RANGE t - + AGGREGATION twa 1", text);
        // What the descriptors tell, or a limit spares, is not scanned.
        client.expect(
            "IOT.RANGE t - + COUNT 1",
            if max == 100 { "-ERR *" } else { "[[0, #0]]" },
        );
        client.expect("IOT.RANGE t - + FILTER_BY_VALUE -2 -1", "[]");
    }
}

#[test]
fn numbers_that_are_looked_up_far_away_count_as_scanned() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    // The nearest number after the first sample is very far.
    make_slow(&mut client, 1 << 17);
    client.expect("CONFIG SET redis-iot.max-samples 10000", "+OK");
    for inline in [0, 1_000_000] {
        client.expect(
            &format!("CONFIG SET redis-iot.inline-samples {inline}"),
            "+OK",
        );
        client.expect(
            "IOT.RANGE slow 0 100 AGGREGATION twa 1",
            "-ERR the query would scan * samples, more than redis-iot.max-samples 10000",
        );
    }
}

#[test]
fn a_query_takes_no_longer_than_permitted() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    make_slow(&mut client, 1 << 20);
    client.expect("CONFIG SET redis-iot.query-timeout 1", "+OK");
    let error = "-ERR the query took longer than redis-iot.query-timeout 1 ms";
    for inline in [0, 1_000_000_000] {
        client.expect(
            &format!("CONFIG SET redis-iot.inline-samples {inline}"),
            "+OK",
        );
        client.expect(SLOW, error);
        client.expect("IOT.RANGE slow - +", error);
    }
    client.expect("MULTI", "+OK");
    client.expect(SLOW, "+QUEUED");
    client.expect(
        "EXEC",
        "[-\"ERR the query took longer than redis-iot.query-timeout 1 ms\"]",
    );
    assert_eq!(stat(&mut client, "queries_timed_out"), 2);
    client.expect("CONFIG SET redis-iot.query-timeout 0", "+OK");
    client.expect(SLOW, "[[0, #*], [1048575, #*]]".replace("#*", "_").as_str());
}

#[test]
fn queries_at_once_are_limited() {
    let server = Server::start();
    let (mut waiting, expected) = during(&server, |client| {
        client.expect("CONFIG SET redis-iot.max-queries 1", "+OK");
        client.expect(
            SLOW,
            "-ERR too many queries at once: redis-iot.max-queries is 1",
        );
        client.expect("IOT.RANGE slow - + COUNT 1", "[[0, #1]]");
    });
    assert_eq!(waiting.receive(), Ok(expected.clone()));
    let mut client = server.connect(Protocol::Resp2);
    assert_eq!(stat(&mut client, "queries_refused"), 1);
    assert!(client.run(SLOW) == expected);
}

#[test]
fn a_huge_query_is_shared_between_idle_threads() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for piece in 0..5 {
        let first = piece * 1_000_000;
        add(
            &mut client,
            "t",
            first,
            (0..1_000_000).map(|at| f64::from(at % 1_013) / 10.0),
        );
    }
    let query = "IOT.REVRANGE t - + AGGREGATION avg,twa,std.s,last 100003 EMPTY";
    client.expect("CONFIG SET redis-iot.threads 1", "+OK");
    let alone = client.run(query);
    assert_eq!(stat(&mut client, "query_helpers"), 0);
    client.expect("CONFIG SET redis-iot.threads 4", "+OK");
    let together = client.run(query);
    // Three, unless a thread is still busy with letting go of a snapshot.
    assert!((1..=3).contains(&stat(&mut client, "query_helpers")));
    assert!(alone == together);
    // Fewer threads again: those too many end when they notice.
    for _ in 0..8 {
        let mut other = server.connect(Protocol::Resp2);
        other.send(query);
    }
    client.expect("CONFIG SET redis-iot.threads 1", "+OK");
    await_that("one thread is left", || {
        client.run("IOT.RANGE t 0 10000");
        stat(&mut client, "query_threads") == 1
    });
    assert!(client.run(query) == alone);
}

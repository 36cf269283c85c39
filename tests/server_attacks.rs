//! Attacks on the time of the server, as counts: what one command does is bounded, whatever was stored before.
//! How long it takes, `cargo bench --bench attacks` shows.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::notation::{error_text, render, words};
use support::server::{Server, await_that};

/// Most fences that a device is in.
const MOST_VISITS: i64 = 1_024;
/// Most that one command sends.
const MOST_SENT: i64 = 50_000;
/// Sinks of a binding, as many as there may be.
const SINKS: i64 = 16;

/// So many fences over one place, and a fleet that is bound to them with so many streams.
fn pile(client: &mut Client, fences: i64, sinks: i64) {
    let fences: Vec<_> = (0..fences)
        .map(|number| words(&format!("IOT.FENCE ADD z a{number} CIRCLE 10 50 1000")))
        .collect();
    client.pipeline(&fences).unwrap();
    client.expect("IOT.TRACK f far 0 0 TS 1", "1");
    let sinks: Vec<String> = (0..sinks).map(|sink| format!("STREAM x{sink}")).collect();
    client.expect(&format!("IOT.FENCE BIND f z {}", sinks.join(" ")), "+OK");
}

#[test]
fn a_device_enters_no_more_fences_than_it_may_be_in() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp3);
    pile(&mut client, MOST_VISITS + 100, 1);
    client.expect("IOT.TRACK f d 10 50 TS 1", "1");
    assert_eq!(client.integer("XLEN x0"), MOST_VISITS);
    // It stays in those, and enters others as it leaves some.
    client.expect("IOT.TRACK f d 10.001 50 TS 2", "1");
    assert_eq!(client.integer("XLEN x0"), MOST_VISITS);
    client.expect("IOT.FENCE DEL z a0 a1 a2", "3");
    let exits = MOST_VISITS + 3;
    await_that("three have left", || client.integer("XLEN x0") >= exits);
    client.expect("IOT.TRACK f d 10 50 TS 3", "1");
    assert_eq!(client.integer("XLEN x0"), MOST_VISITS + 6);
    client.expect("IOT.TRACK f d 0 0 TS 4", "1");
    assert_eq!(client.integer("XLEN x0"), 2 * MOST_VISITS + 6);
    client.expect("DEBUG RELOAD", "+OK");
    client.expect("IOT.TRACK f d 10 50 TS 5", "1");
    assert_eq!(client.integer("XLEN x0"), 3 * MOST_VISITS + 6);
}

#[test]
fn one_command_sends_no_more_events_than_it_may() {
    const DEVICES: i64 = 100;
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    pile(&mut client, 500, SINKS);
    let mut line = words("IOT.MTRACK f");
    for device in 0..DEVICES {
        line.extend(words(&format!("d{device} 10 50 1")));
    }
    let Value::Array(replies) = client.call(&line) else {
        panic!("a reply for each");
    };
    // Each has 500 events for 16 sinks; the one that goes over is the last.
    let taken = usize::try_from(MOST_SENT / (500 * SINKS) + 1).unwrap();
    for (at, reply) in replies.iter().enumerate() {
        if at < taken {
            assert_eq!(reply, &Value::Int(1), "{at}");
        } else {
            let wanted = "ERR too many events of one command: the limit is 50000";
            assert_eq!(error_text(reply), wanted, "{at}");
        }
    }
    // Those that were refused are nowhere, and may be sent again.
    client.expect("IOT.POSITION f d99", "[nil]");
    client.expect("IOT.MTRACK f d99 10 50 1", "[1]");
    let sent = i64::try_from(taken + 1).unwrap() * 500;
    assert_eq!(client.integer("XLEN x0"), sent);
    // Whoever is let go of leaves, as far as events of one command reach.
    client.expect("IOT.FENCE UNBIND f z", "1");
    let exits = client.integer("XLEN x0") - sent;
    assert!((1..=sent).contains(&exits), "{exits}");
    assert!((exits - 500) * SINKS <= MOST_SENT, "{exits}");
    client.expect("IOT.FENCE BINDINGS f", "[]");
}

#[test]
fn devices_that_go_together_send_no_more_events_than_one_command_may() {
    const DEVICES: i64 = 20;
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    pile(&mut client, 500, SINKS);
    for device in 0..DEVICES {
        client.expect(&format!("IOT.TRACK f d{device} 10 50"), "1");
    }
    let sent = client.integer("XLEN x0");
    assert_eq!(sent, 500 * DEVICES);
    let all: Vec<String> = (0..DEVICES).map(|device| format!("d{device}")).collect();
    let line = format!("IOT.UNTRACK f {}", all.join(" "));
    assert_eq!(client.integer(&line), DEVICES);
    let exits = client.integer("XLEN x0") - sent;
    assert!((1..500 * DEVICES).contains(&exits), "{exits}");
    assert!((exits - 500) * SINKS <= MOST_SENT, "{exits}");
    client.expect("IOT.FLEET LIST f", "[0, [\"far\"]]");
}

#[test]
fn buckets_that_no_sample_stands_behind_do_not_hold_the_server() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.ADDBULK t SAMPLES 0 1 999999 1", "_");
    let ended = |client: &mut Client| client.info("redis-iot_queries", "redis-iot_queries_ended");
    for (count, gaps) in [(1, "EMPTY"), (2, "FILL LINEAR")] {
        let query = format!("IOT.RANGE t - + AGGREGATION count 1 {gaps}");
        client.run(&query);
        assert_eq!(
            ended(&mut client),
            count,
            "{gaps} runs beside the main thread"
        );
    }
    client.expect("IOT.RANGE t - + AGGREGATION count 100000 EMPTY", "_");
    assert_eq!(ended(&mut client), 2, "a few do not");
}

#[test]
fn a_query_that_cannot_wait_has_a_time_of_its_own() {
    let server = Server::start_with(&["--redis-iot.inline-timeout", "1"]);
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.ADDBULK t SAMPLES 0 1 3999999 1", "_");
    let query = "IOT.RANGE t - + AGGREGATION count 1 EMPTY";
    let error = "ERR the query took longer than redis-iot.inline-timeout 1 ms";
    let in_transaction = |client: &mut Client, query: &str| {
        client.expect("MULTI", "+OK");
        client.expect(query, "+QUEUED");
        client.run("EXEC")
    };
    let reply = render(&in_transaction(&mut client, query));
    assert_eq!(reply, format!("[-\"{error}\"]"));
    let script = format!(
        "EVAL \"return redis.call('{}')\" 0",
        query.replace(' ', "','")
    );
    let reply = client.run(&script);
    assert!(error_text(&reply).contains(error), "{}", render(&reply));
    // Whoever can wait has all the time of queries, and a short one is one anywhere.
    assert!(matches!(client.run(query), Value::Array(rows) if rows.len() == 4_000_000));
    let reply = in_transaction(&mut client, "IOT.RANGE t - +");
    assert!(matches!(&reply, Value::Array(replies) if matches!(replies[0], Value::Array(_))));
    // The shorter of the two times counts, and 0 is none.
    client.expect("CONFIG SET redis-iot.inline-timeout 0", "+OK");
    client.expect("CONFIG SET redis-iot.query-timeout 1", "+OK");
    let reply = render(&in_transaction(&mut client, query));
    assert!(reply.contains("redis-iot.query-timeout 1 ms"), "{reply}");
}

#[test]
fn a_key_that_is_waited_for_many_times_wakes_once() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.CREATE k", "+OK");
    let mut waiter = server.connect(Protocol::Resp2);
    let mut line = words("IOT.MREAD 1024");
    line.extend(vec![b"k".to_vec(); 1_024]);
    line.extend(vec![b"-".to_vec(); 1_024]);
    line.extend(words("BLOCK 0 1024"));
    waiter.send_all(&[line]).unwrap();
    server.await_info("clients", "blocked_clients:1");
    client.expect("IOT.ADD k 1 1", "1");
    let reply = waiter.receive().unwrap();
    assert!(
        matches!(&reply, Value::Array(all) if all.len() == 2_048),
        "{:.200}",
        render(&reply)
    );
    waiter.expect("PING", "+PONG");
}

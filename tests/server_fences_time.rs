//! What time brings: dwells, the expiry of devices and fences, schedules.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::events::{Events, STREAM, show};
use support::server::Server;

const REASONS: [&str; 4] = ["event", "device", "fence", "reason"];

/// A server with a fleet `f` that is bound to the set `z` of these fences.
fn start(fences: &[&str]) -> (Server, Client, Events) {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for fence in fences {
        client.expect(&format!("IOT.FENCE ADD z {fence}"), "1");
    }
    client.expect(&format!("IOT.FENCE BIND f z STREAM {STREAM}"), "+OK");
    let events = Events::of(&server);
    (server, client, events)
}

/// Waits for an event and compares it.
#[track_caller]
fn expect_next(events: &mut Events, fields: &[&str], wanted: &str) {
    let event = events.next();
    assert_eq!(show(&event, fields), wanted);
}

#[test]
fn who_stays_in_silence_dwells_by_the_clock_of_the_server() {
    let fields = ["event", "ts", "enter_ts", "dwell_ms"];
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000 DWELL 200"]);
    // By the clock of the device it is another time.
    client.expect("IOT.TRACK f d 0 0 TS 5000", "1");
    expect_next(&mut events, &fields, "enter 5000 5000 -");
    expect_next(&mut events, &fields, "dwell 5200 5000 200");
    // Once.
    client.expect("IOT.TRACK f d 0 0 TS 9000", "1");
    events.expect(&fields, &[]);
    client.expect("IOT.TRACK f d 1 0 TS 9500", "1");
    client.expect("IOT.TRACK f d 0 0 TS 10000", "1");
    expect_next(&mut events, &fields, "exit 9500 5000 4500");
    expect_next(&mut events, &fields, "enter 10000 10000 -");
    expect_next(&mut events, &fields, "dwell 10200 10000 200");
}

#[test]
fn a_fix_ends_a_dwell_that_the_clock_of_the_server_does_not() {
    let fields = ["event", "ts", "enter_ts", "dwell_ms"];
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000 DWELL 1h"]);
    client.expect("IOT.TRACK f d 0 0 TS 0", "1");
    client.expect("IOT.TRACK f d 0 0 TS 3599999", "1");
    events.expect(&fields, &["enter 0 0 -"]);
    client.expect("IOT.TRACK f d 0 0 TS 3600000", "1");
    events.expect(&fields, &["dwell 3600000 0 3600000"]);
    client.expect("IOT.TRACK f d 0 0 TS 9900000", "1");
    events.expect(&fields, &[]);
    // Who leaves has not dwelt, however late that is known.
    client.expect("IOT.TRACK f d 1 0 TS 9900001", "1");
    client.expect("IOT.TRACK f d 0 0 TS 10000000", "1");
    client.expect("IOT.TRACK f d 1 0 TS 20000000", "1");
    events.expect(&["event"], &["exit", "enter", "exit"]);
}

#[test]
fn who_leaves_before_does_not_dwell() {
    let (_server, mut client, mut events) =
        start(&["a CIRCLE 0 0 1000 DWELL 300", "b CIRCLE 5 0 1000 DWELL 400"]);
    client.expect("IOT.TRACK f d 0 0 TS 1000", "1");
    client.expect("IOT.TRACK f d 1 0 TS 1001", "1");
    client.expect("IOT.TRACK f e 5 0 TS 1000", "1");
    for wanted in ["enter a", "exit a", "enter b", "dwell b"] {
        expect_next(&mut events, &["event", "fence"], wanted);
    }
    events.expect(&REASONS, &[]);
}

#[test]
fn a_dwell_is_due_for_whom_the_timer_has_found() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.TRACK f d 0 0 TS 1000", "1");
    client.expect("IOT.FENCE ADD z a CIRCLE 0 0 1000 DWELL 100", "1");
    client.expect("IOT.FENCE BIND f z STREAM events", "+OK");
    let mut events = Events::of(&server);
    expect_next(&mut events, &REASONS, "enter d a -");
    expect_next(&mut events, &REASONS, "dwell d a -");
    // And for whom a new fence has.
    client.expect("IOT.FENCE ADD z b CIRCLE 0 0 1000 DWELL 100", "1");
    expect_next(&mut events, &REASONS, "enter d b -");
    expect_next(&mut events, &REASONS, "dwell d b -");
}

#[test]
fn many_dwells_at_once_all_come() {
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000 DWELL 100 DETECT dwell"]);
    let items: Vec<String> = (0..350).map(|at| format!("d{at} 0 0 1000")).collect();
    client.run(&format!("IOT.MTRACK f {}", items.join(" ")));
    let mut devices: Vec<String> = (0..350)
        .map(|_| events.next().remove("device").unwrap())
        .collect();
    devices.sort();
    devices.dedup();
    assert_eq!(devices.len(), 350);
}

#[test]
fn a_dwell_that_became_due_while_the_server_was_down_comes_after() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.FENCE ADD z a CIRCLE 0 0 1000 DWELL 300", "1");
    client.expect("IOT.FENCE BIND f z STREAM events", "+OK");
    client.expect("IOT.TRACK f d 0 0 TS 1000 EXPIRE 400", "1");
    server.restart();
    let mut client = server.connect(Protocol::Resp2);
    // The stream has what came before the restart too, wherever that was.
    let mut seen = Vec::new();
    support::server::await_that("the device expires", || {
        seen = match client.run("XRANGE events - +") {
            redis::Value::Array(entries) => entries,
            other => panic!("{other:?}"),
        };
        seen.len() == 3
    });
    client.expect("EXISTS f", "1");
    client.expect("IOT.POSITION f d", "[nil]");
}

#[test]
fn a_silent_device_expires_and_leaves() {
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000"]);
    client.expect("IOT.TRACK f d 0 0 TS 1000 EXPIRE 100", "1");
    client.expect("IOT.TRACK f e 5 5 TS 1000 EXPIRE 100", "1");
    client.expect("IOT.TRACK f g 0 0 TS 1000", "1");
    events.expect(&REASONS, &["enter d a -", "enter g a -"]);
    let event = events.next();
    assert_eq!(show(&event, &REASONS), "exit d a expired");
    // That is by the clock of the server.
    let now: i64 = event["ts"].parse().unwrap();
    let dwell: i64 = event["dwell_ms"].parse().unwrap();
    assert!(now > 1_600_000_000_000 && dwell == now - 1000, "{event:?}");
    support::server::await_that("both are gone", || {
        client.integer("XLEN events") == 3
            && support::notation::render(&client.run("IOT.FLEET LIST f")) == r#"[0, ["g"]]"#
    });
}

#[test]
fn a_fleet_says_how_long_devices_may_be_silent() {
    let (_server, mut client, mut events) = start(&["a CIRCLE 0 0 1000"]);
    client.expect("IOT.FLEET ALTER f EXPIRE 100 MINDIST 10", "+OK");
    client.expect("IOT.TRACK f d 0 0 TS 1000", "1");
    client.expect("IOT.TRACK f e 0 0 TS 1000 EXPIREAT 0", "1");
    for wanted in ["enter d a -", "enter e a -", "exit d a expired"] {
        expect_next(&mut events, &REASONS, wanted);
    }
    client.expect("IOT.FLEET LIST f", r#"[0, ["e"]]"#);
}

#[test]
fn a_fleet_goes_with_its_last_device_that_expires() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.TRACK f d 0 0 EXPIRE 50", "1");
    support::server::await_that("the fleet is gone", || client.integer("EXISTS f") == 0);
}

#[test]
fn a_fence_that_expires_is_left() {
    let (_server, mut client, mut events) = start(&["b CIRCLE 0 0 1000"]);
    client.expect("IOT.FENCE ADD z a CIRCLE 0 0 1000 EXPIRE 100", "1");
    client.expect("IOT.TRACK f d 0 0 TS 1000", "1");
    let mut entered: Vec<String> = [events.next(), events.next()]
        .iter()
        .map(|event| show(event, &REASONS))
        .collect();
    entered.sort();
    assert_eq!(entered, ["enter d a -", "enter d b -"]);
    expect_next(&mut events, &REASONS, "exit d a fence removed");
    client.expect("IOT.FENCE LIST z", r#"[0, ["b"]]"#);
    // Put off, it does not.
    client.expect("IOT.FENCE ADD z b CIRCLE 0 0 1000 EXPIRE 100", "0");
    client.expect("IOT.FENCE ADD z b CIRCLE 0 0 1000", "0");
    client.expect("IOT.FENCE ADD z c CIRCLE 0 0 1000 EXPIRE 300", "1");
    expect_next(&mut events, &REASONS, "enter d c -");
    expect_next(&mut events, &REASONS, "exit d c fence removed");
    // A set goes with its last fence.
    client.expect("IOT.FENCE ADD z b CIRCLE 0 0 1000 EXPIREAT 1", "0");
    expect_next(&mut events, &REASONS, "exit d b fence removed");
    client.expect("EXISTS z", "0");
}

#[test]
fn expiry_reaches_replicas() {
    let master = Server::start();
    let replica = Server::start();
    replica.replica_of(&master);
    let mut client = master.connect(Protocol::Resp2);
    client.expect("IOT.FENCE ADD z a CIRCLE 0 0 1000 EXPIRE 100", "1");
    client.expect("IOT.FENCE ADD z b CIRCLE 1 0 1000 DWELL 100", "1");
    client.expect("IOT.FENCE BIND f z STREAM events", "+OK");
    client.expect("IOT.TRACK f d 0 0 EXPIRE 300", "1");
    client.expect("IOT.TRACK f e 1 0", "1");
    client.expect("IOT.FENCE ADD y c CIRCLE 0 0 1000", "1");
    client.expect("IOT.TRACK g d 0 0", "1");
    client.expect("IOT.FENCE BIND g y STREAM events", "+OK");
    // Three enter, one leaves, one dwells; and one is gone.
    support::server::await_that("all has happened", || {
        client.integer("XLEN events") == 5
            && support::notation::render(&client.run("IOT.FLEET LIST f")) == r#"[0, ["e"]]"#
    });
    client.expect("WAIT 1 30000", "1");
    let mut copy = replica.connect(Protocol::Resp2);
    for key in ["f", "z", "g", "events"] {
        assert_eq!(copy.digest_of(key), client.digest_of(key), "{key}");
    }
    copy.expect("IOT.FLEET LIST f", r#"[0, ["e"]]"#);
    copy.expect("IOT.FENCE LIST z", r#"[0, ["b"]]"#);
}

#[test]
fn a_fence_is_there_when_its_schedule_says_so_by_the_time_of_the_fix() {
    let (_server, mut client, mut events) =
        start(&["a CIRCLE 0 0 1000 SCHEDULE \"thu 08:00-09:00\""]);
    // The epoch was a Thursday.
    let fields = ["event", "ts", "reason"];
    client.expect("IOT.TRACK f d 0 0 TS 28799999", "1");
    events.expect(&fields, &[]);
    client.expect("IOT.TRACK f d 0 0 TS 28800000", "1");
    events.expect(&fields, &["enter 28800000 -"]);
    client.expect("IOT.TRACK f d 0 0 TS 32399999", "1");
    events.expect(&fields, &[]);
    client.expect("IOT.TRACK f d 0 0 TS 32400000", "1");
    events.expect(&fields, &["exit 32400000 schedule"]);
    // A day later it is closed, a week later it is open.
    client.expect("IOT.TRACK f d 0 0 TS 115200000", "1");
    events.expect(&fields, &[]);
    client.expect("IOT.TRACK f d 0 0 TS 633600000", "1");
    events.expect(&fields, &["enter 633600000 -"]);
    client.expect("IOT.TRACK f d 1 0 TS 633600001", "1");
    events.expect(&fields, &["exit 633600001 moved"]);
}

#[test]
fn a_schedule_follows_the_local_clock_when_it_is_changed() {
    // In Berlin, the hour from two does not come on 31 March 2024, and comes twice on 27 October.
    const SPRING_S: i64 = 1_711_846_800; // 01:00 UTC, when 02:00 became 03:00
    const AUTUMN_S: i64 = 1_729_990_800; // 01:00 UTC, when 03:00 became 02:00
    let (_server, mut client, mut events) = start(&[
        "gap CIRCLE 0 0 1000 SCHEDULE \"daily 02:00-03:00\" TZ Europe/Berlin",
        "day CIRCLE 0 0 1000 SCHEDULE \"daily 01:30-03:30\" TZ Europe/Berlin",
        "utc CIRCLE 0 0 1000 SCHEDULE \"daily 01:00-02:00\"",
    ]);
    let minutes = |begin_s: i64, minutes: i64| (begin_s + minutes * 60) * 1000;
    let cases: [(i64, i64, &[&str]); 16] = [
        // 01:29, 01:30, 01:59 of the winter; 03:00, 03:29, 03:30 of the summer.
        (SPRING_S, -31, &[]),
        (SPRING_S, -30, &["enter day"]),
        (SPRING_S, -1, &[]),
        (SPRING_S, 0, &["enter utc"]),
        (SPRING_S, 29, &[]),
        (SPRING_S, 30, &["exit day"]),
        (SPRING_S, 60, &["exit utc"]),
        // 01:29, 01:30, 02:00, 02:59 of the summer; 02:00, 02:59, 03:00, 03:30 of the winter.
        (AUTUMN_S, -91, &[]),
        (AUTUMN_S, -90, &["enter day"]),
        (AUTUMN_S, -60, &["enter gap"]),
        (AUTUMN_S, -1, &[]),
        (AUTUMN_S, 0, &["enter utc"]),
        (AUTUMN_S, 59, &[]),
        (AUTUMN_S, 60, &["exit gap", "exit utc"]),
        (AUTUMN_S, 89, &[]),
        (AUTUMN_S, 90, &["exit day"]),
    ];
    for (begin_s, minute, wanted) in cases {
        let ts = minutes(begin_s, minute);
        client.expect(&format!("IOT.TRACK f d 0 0 TS {ts}"), "1");
        let mut seen: Vec<String> = events
            .all()
            .iter()
            .map(|event| show(event, &["event", "fence"]))
            .collect();
        seen.sort();
        assert_eq!(seen, wanted, "minute {minute} after {begin_s}");
    }
}

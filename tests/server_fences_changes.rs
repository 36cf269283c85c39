//! Fences, bindings and devices that change or go while devices are inside.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::events::{Events, await_sweep, expect_next, inside, inside_of, show};
use support::notation::render;
use support::server::{Server, await_that};

const FIELDS: [&str; 3] = ["event", "device", "fence"];
const REASONS: [&str; 4] = ["event", "device", "fence", "reason"];

#[test]
fn a_device_that_is_removed_leaves() {
    let (_server, mut client, mut events) = inside();
    client.expect("IOT.UNTRACK f d", "1");
    events.expect(&REASONS, &["exit d a deleted"]);
    client.expect("IOT.TRACK f d 0 0 TS 2000", "1");
    events.expect(&FIELDS, &["enter d a"]);
}

#[test]
fn a_fence_that_is_removed_is_left_in_the_same_command() {
    for end in ["IOT.FENCE DEL z a", "IOT.FENCE DEL z b a"] {
        let (_server, mut client, mut events) = inside();
        client.expect("IOT.FENCE ADD z c CIRCLE 50 50 1", "1");
        client.expect(end, "1");
        events.expect(&REASONS, &["exit d a fence removed"]);
        client.expect("IOT.TRACK f d 0 0 TS 2000", "1");
        client.expect("IOT.TRACK f d 1 0 TS 3000", "1");
        events.expect(&FIELDS, &[]);
    }
}

#[test]
fn the_last_fence_of_a_set_goes_with_its_key() {
    let (_server, mut client, mut events) = inside();
    client.expect("IOT.FENCE DEL z a", "1");
    client.expect("EXISTS z", "0");
    events.expect(&REASONS, &["exit d a fence removed"]);
    await_sweep(&mut client, &mut events);
    // The binding waits for another set.
    client.expect("IOT.FENCE ADD z a CIRCLE 0 0 1000", "1");
    events.expect(&FIELDS, &["enter d a"]);
}

#[test]
fn a_fence_that_comes_around_a_device_is_entered_in_the_same_command() {
    let (_server, mut client, mut events) = inside();
    client.expect("IOT.FENCE ADD z b BBOX -1 -1 1 1", "1");
    // When it has come around the device, not when that was there.
    let entered = events.next();
    assert_eq!(show(&entered, &FIELDS), "enter d b");
    assert!(entered["ts"].parse::<i64>().unwrap() > 1_600_000_000_000);
    assert_eq!(entered["ts"], entered["enter_ts"]);
    client.expect("IOT.FENCE ADD z c BBOX 5 5 6 6", "1");
    // It counts fixes, of which there is none yet.
    client.expect("IOT.FENCE ADD z m BBOX -1 -1 1 1 MINFIXES 2", "1");
    events.expect(&FIELDS, &[]);
    client.expect("IOT.TRACK f d 0 0 TS 2000", "1");
    client.expect("IOT.TRACK f d 0 0 TS 3000", "1");
    events.expect(&FIELDS, &["enter d m"]);
}

#[test]
fn a_fence_that_moves_away_or_is_for_others_is_left() {
    for change in [
        "CIRCLE 5 5 1000",
        "CIRCLE 0 0 1000 DEVICES 1 other",
        "CIRCLE 0.1 0 1000 BUFFER 500",
    ] {
        let (_server, mut client, mut events) = inside();
        client.expect(&format!("IOT.FENCE ADD z a {change}"), "0");
        events.expect(&REASONS, &["exit d a fence changed"]);
        client.expect("IOT.FENCE ADD z a CIRCLE 0 0 1000", "0");
        events.expect(&FIELDS, &["enter d a"]);
    }
}

#[test]
fn a_fence_that_changes_around_a_device_is_not_left() {
    for change in [
        "CIRCLE 0 0 1000",
        "CIRCLE 0 0 2000 META 1 a b DEVICES 1 d",
        "BBOX -1 -1 1 1 GROUPS 1 g",
        "POLYGON 4 -1 -1 1 -1 1 1 -1 1",
        "CIRCLE 0.01 0 1000 BUFFER 500",
    ] {
        let (_server, mut client, mut events) = inside();
        client.expect(&format!("IOT.FENCE ADD z a {change}"), "0");
        events.expect(&FIELDS, &[]);
        client.expect("IOT.TRACK f d 5 5 TS 2500", "1");
        events.expect(&["event", "enter_ts", "dwell_ms"], &["exit 1000 1500"]);
    }
}

#[test]
fn a_binding_that_ends_is_left() {
    let (_server, mut client, mut events) = inside();
    client.expect("IOT.TRACK f e 5 5 TS 1000", "1");
    client.expect("IOT.FENCE UNBIND f z", "1");
    events.expect(&REASONS, &["exit d a unbound"]);
    client.expect("IOT.TRACK f d 1 0 TS 2000", "1");
    client.expect("IOT.TRACK f d 0 0 TS 3000", "1");
    events.expect(&FIELDS, &[]);
    // Bound again, whoever is inside is found without a fix.
    client.expect("IOT.FENCE BIND f z STREAM events", "+OK");
    expect_next(&mut events, &FIELDS, "enter d a");
    await_sweep(&mut client, &mut events);
}

#[test]
fn a_binding_that_changes_is_not_left() {
    let (_server, mut client, mut events) = inside();
    client.expect("IOT.FENCE BIND f z STREAM events PUBLISH c", "+OK");
    await_sweep(&mut client, &mut events);
    client.expect("IOT.TRACK f d 1 0 TS 2000", "1");
    events.expect(&FIELDS, &["exit d a"]);
}

#[test]
fn devices_that_are_there_before_a_binding_enter_by_the_timer() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.FENCE ADD z a CIRCLE 0 0 1000", "1");
    let items: Vec<String> = (0..1500)
        .map(|at| format!("d{at} {} 0 1000", at % 3))
        .collect();
    client.run(&format!("IOT.MTRACK f {}", items.join(" ")));
    client.expect("IOT.FENCE BIND f z STREAM events", "+OK");
    await_that("all are found", || client.integer("XLEN events") >= 500);
    client.expect("XLEN events", "500");
}

#[test]
fn a_set_whose_key_goes_is_left_by_the_timer() {
    for end in [
        "DEL z",
        "UNLINK z",
        "RENAME z elsewhere",
        "SET z text",
        "MOVE z 3",
        "PEXPIRE z 1",
        "PEXPIREAT z 1",
    ] {
        let (_server, mut client, mut events) = inside();
        client.run(end);
        expect_next(&mut events, &REASONS, "exit d a fence removed");
        client.expect("IOT.TRACK f d 1 0 TS 2000", "1");
        await_sweep(&mut client, &mut events);
    }
}

#[test]
fn a_set_that_is_replaced_as_a_whole_is_not_left_where_it_is_the_same() {
    for how in ["RENAME new z", "COPY new z REPLACE"] {
        let (_server, mut client, mut events) = inside();
        client.expect("IOT.FENCE ADD z b CIRCLE 0 0 2000", "1");
        events.expect(&FIELDS, &["enter d b"]);
        client.expect("IOT.FENCE ADD new c CIRCLE 50 50 1000", "1");
        client.expect("IOT.FENCE ADD new d CIRCLE 0 0 3000", "1");
        client.expect("IOT.FENCE ADD new a BBOX -1 -1 1 1", "1");
        client.run(how);
        // Neither `a`, which is another fence of the same name around the device.
        expect_next(&mut events, &REASONS, "exit d b fence removed");
        let entered = events.next();
        assert_eq!(show(&entered, &FIELDS), "enter d d");
        await_sweep(&mut client, &mut events);
        client.expect("IOT.TRACK f d 5 5 TS 2000", "1");
        let since = &entered["enter_ts"];
        let left = ["exit a 1000".to_owned(), format!("exit d {since}")];
        let mut all: Vec<String> = events
            .all()
            .iter()
            .map(|event| show(event, &["event", "fence", "enter_ts"]))
            .collect();
        all.sort();
        assert_eq!(all, left, "{how}");
    }
}

#[test]
fn a_set_that_is_replaced_is_used_at_once() {
    let (_server, mut client, mut events) = inside();
    client.expect("IOT.FENCE ADD new a CIRCLE 0 0 1000", "1");
    client.expect("IOT.FENCE ADD new b CIRCLE 5 5 1000", "1");
    for line in ["MULTI", "RENAME new z", "IOT.TRACK f d 5 5 TS 2000"] {
        client.run(line);
    }
    client.expect("EXEC", "[+OK, 1]");
    events.expect(&REASONS, &["exit d a moved", "enter d b -"]);
    await_sweep(&mut client, &mut events);
}

#[test]
fn a_binding_for_another_group_is_left_where_the_fence_is_not_in_it() {
    let (_server, mut client, mut events) = inside();
    client.expect("IOT.FENCE ADD z b CIRCLE 0 0 1000 GROUPS 1 g", "1");
    events.expect(&FIELDS, &["enter d b"]);
    client.expect("IOT.FENCE BIND f z GROUP g STREAM events", "+OK");
    expect_next(&mut events, &REASONS, "exit d a fence changed");
    client.expect("IOT.FENCE ADD z b CIRCLE 0 0 1000", "0");
    events.expect(&REASONS, &["exit d b fence changed"]);
    client.expect("IOT.FENCE BIND f z STREAM events", "+OK");
    expect_next(&mut events, &FIELDS, "enter d a");
    expect_next(&mut events, &FIELDS, "enter d b");
    await_sweep(&mut client, &mut events);
}

#[test]
fn what_one_transaction_binds_counts_within_it() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let mut events = Events::of(&server);
    for line in [
        "MULTI",
        "IOT.FENCE BIND f z STREAM events",
        "IOT.FENCE ADD z a CIRCLE 0 0 1000",
        "IOT.TRACK f d 0 0 TS 1000",
        "IOT.FENCE UNBIND f z",
        "IOT.TRACK f d 1 0 TS 2000",
    ] {
        client.run(line);
    }
    client.expect("EXEC", "[+OK, 1, 1, 1, 1]");
    events.expect(&REASONS, &["enter d a -", "exit d a unbound"]);
    await_sweep(&mut client, &mut events);
}

#[test]
fn more_devices_than_one_command_looks_at_are_found_by_the_timer() {
    const DEVICES: usize = 12_000;
    let (_server, mut client, _events) = inside();
    for first in (0..DEVICES).step_by(1_000) {
        let items: Vec<String> = (first..first + 1_000)
            .map(|at| format!("d{at} 50 50 1000"))
            .collect();
        client.run(&format!("IOT.MTRACK f {}", items.join(" ")));
    }
    client.expect("XLEN events", "1");
    client.expect("IOT.FENCE ADD z b CIRCLE 50 50 1000", "1");
    let wanted = i64::try_from(DEVICES + 1).unwrap();
    await_that("all have entered", || {
        client.integer("XLEN events") >= wanted
    });
    client.expect("IOT.FENCE DEL z b", "1");
    let wanted = i64::try_from(2 * DEVICES + 1).unwrap();
    await_that("all have left", || client.integer("XLEN events") >= wanted);
    client.expect("XLEN events", &wanted.to_string());
}

#[test]
fn a_fleet_is_bound_to_so_many_sets_and_no_more() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for at in 0..64 {
        client.expect(&format!("IOT.FENCE BIND f z{at} STREAM events"), "+OK");
    }
    for at in 0..16 {
        client.expect(
            &format!("IOT.ROAM BIND f g{at} RADIUS 5 STREAM events"),
            "+OK",
        );
    }
    client.expect(
        "IOT.FENCE BIND f more STREAM events",
        "-ERR too many bindings of a fleet: the limit is 64",
    );
    client.expect(
        "IOT.ROAM BIND f more RADIUS 5 STREAM events",
        "-ERR too many fleets that a fleet roams among: the limit is 16",
    );
    client.expect("IOT.FENCE BIND f z63 PUBLISH c", "+OK");
    client.expect("IOT.FENCE UNBIND f z5", "1");
    client.expect("IOT.FENCE BIND f more STREAM events", "+OK");
    client.expect("IOT.FENCE ADD more a CIRCLE 0 0 1000", "1");
    client.expect("IOT.FENCE ADD z63 b CIRCLE 0 0 1000", "1");
    client.expect("IOT.TRACK f d 0 0", "1");
    client.expect("XLEN events", "1");
    let digest = client.digest();
    client.expect("DEBUG RELOAD", "+OK");
    assert_eq!(client.digest(), digest);
}

#[test]
fn a_server_without_memory_takes_no_positions_and_lets_devices_go() {
    let (_server, mut client, mut events) = inside();
    client.expect("IOT.FENCE ADD z short CIRCLE 0 0 1000 DWELL 300", "1");
    events.expect(&FIELDS, &["enter d short"]);
    client.expect("CONFIG SET maxmemory 1", "+OK");
    for line in [
        "IOT.TRACK f d 1 0",
        "IOT.MTRACK f d 1 0 5",
        "IOT.FENCE ADD z b CIRCLE 0 0 1",
        "IOT.FENCE BIND f y STREAM events",
        "IOT.FLEET ALTER f TRAIL 5",
    ] {
        client.expect(line, "-OOM *");
    }
    expect_next(&mut events, &FIELDS, "dwell d short");
    client.expect("IOT.FENCE DEL z short", "1");
    client.expect("IOT.UNTRACK f d", "1");
    events.expect(
        &REASONS,
        &["exit d short fence removed", "exit d a deleted"],
    );
}

#[test]
fn subscribers_of_a_replica_hear_of_events() {
    let master = Server::start();
    let replica = Server::start();
    replica.replica_of(&master);
    let mut listener = replica.connect(Protocol::Resp2);
    listener.expect("SUBSCRIBE news", r#"["subscribe", "news", 1]"#);
    let (_master, mut client, _events) = inside_of(master);
    client.expect("IOT.FENCE BIND f z PUBLISH news STREAM events", "+OK");
    client.expect("IOT.TRACK f d 1 0 TS 2000", "1");
    let message = render(&listener.receive().unwrap());
    assert!(message.contains(r#"\"event\":\"exit\""#), "{message}");
    client.expect("IOT.TRACK f d 0 0 TS 3000", "1");
    let message = render(&listener.receive().unwrap());
    assert!(message.contains(r#"\"event\":\"enter\""#), "{message}");
}

#[test]
fn who_watches_a_fleet_is_told_that_devices_of_it_have_moved() {
    for change in [
        "IOT.TRACK f d 1 0",
        "IOT.UNTRACK f d",
        "IOT.FENCE DEL z a",
        "IOT.FENCE ADD z a CIRCLE 5 5 1",
        "IOT.FENCE BIND f y STREAM events",
    ] {
        let (server, mut client, _events) = inside();
        let mut other = server.connect(Protocol::Resp2);
        other.expect("WATCH f", "+OK");
        client.run(change);
        other.expect("MULTI", "+OK");
        other.expect("PING", "+QUEUED");
        other.expect("EXEC", "nil");
    }
    // What changes nothing is no change.
    let (server, mut client, _events) = inside();
    let mut other = server.connect(Protocol::Resp2);
    other.expect("WATCH f", "+OK");
    client.expect("IOT.TRACK f d 1 0 TS 500", "0");
    client.expect("IOT.UNTRACK f nobody", "0");
    client.expect("IOT.POSITION f d", "_");
    client.expect("IOT.FENCE ADD z far CIRCLE 50 50 1", "1");
    other.expect("MULTI", "+OK");
    other.expect("PING", "+QUEUED");
    other.expect("EXEC", "[+PONG]");
}

#[test]
fn what_the_timer_finds_is_a_change_for_who_watches() {
    let (server, mut client, mut events) = inside();
    let mut other = server.connect(Protocol::Resp2);
    other.expect("WATCH f", "+OK");
    client.expect("DEL z", "1");
    expect_next(&mut events, &FIELDS, "exit d a");
    other.expect("MULTI", "+OK");
    other.expect("PING", "+QUEUED");
    other.expect("EXEC", "nil");
}

#[test]
fn in_a_cluster_all_keys_lie_beside_the_fleet() {
    let bus = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = bus.local_addr().unwrap().port().to_string();
    drop(bus);
    let server = Server::start_with(&["--cluster-enabled", "yes", "--cluster-port", &port]);
    let mut client = server.connect(Protocol::Resp2);
    client.expect("CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    await_that("the cluster is up", || {
        client.text("CLUSTER INFO").contains("cluster_state:ok")
    });
    for (line, reply) in [
        ("IOT.FENCE ADD {a}z a CIRCLE 0 0 1000", "1"),
        ("IOT.FENCE BIND {a}f z STREAM {a}events", "-CROSSSLOT *"),
        // The server sees one stream alone, or none.
        ("IOT.FENCE BIND {a}f {a}z STREAM events", "-*"),
        (
            "IOT.FENCE BIND {a}f {a}z STREAM {a}events STREAM events",
            "-ERR in a cluster, *",
        ),
        (
            "IOT.ROAM BIND {a}f g RADIUS 5 STREAM {a}events",
            "-CROSSSLOT *",
        ),
        (
            "IOT.ROAM BIND {a}f {a}g RADIUS 5 STREAM {a}events STREAM events",
            "-ERR in a cluster, *",
        ),
        ("EXISTS {a}f", "0"),
        (
            "IOT.FENCE BIND {a}f {a}z PUBLISH anywhere STREAM {a}events STREAM {a}more",
            "+OK",
        ),
        ("IOT.TRACK {a}f d 0 0", "1"),
        ("XLEN {a}events", "1"),
        ("XLEN {a}more", "1"),
    ] {
        client.expect(line, reply);
    }
}

#[test]
fn what_no_fix_brings_about_happens_by_the_clock_of_the_server() {
    for (change, reason) in [
        ("IOT.FENCE DEL z a", "fence removed"),
        ("IOT.FENCE ADD z a CIRCLE 5 5 1000", "fence changed"),
        ("IOT.UNTRACK f d", "deleted"),
        ("IOT.FENCE UNBIND f z", "unbound"),
    ] {
        let (_server, mut client, mut events) = inside();
        let before_ms = now_ms(&mut client);
        client.run(change);
        let after_ms = now_ms(&mut client);
        let event = events.next();
        assert_eq!(event["reason"], reason);
        let ts: i64 = event["ts"].parse().unwrap();
        assert!((before_ms..=after_ms).contains(&ts), "{change}: {event:?}");
        assert_eq!(event["dwell_ms"], (ts - 1000).to_string(), "{change}");
        // A device whose clock is ahead leaves no earlier than it was seen.
        let (_server, mut client, mut events) = inside();
        client.expect("IOT.TRACK f d 0 0 TS 9000000000000", "1");
        client.run(change);
        assert_eq!(events.next()["ts"], "9000000000000", "{change}");
    }
}

/// The time of the server, in milliseconds.
fn now_ms(client: &mut Client) -> i64 {
    match client.run("TIME") {
        redis::Value::Array(parts) => {
            let number =
                |part: &redis::Value| -> i64 { render(part).replace('"', "").parse().unwrap() };
            number(&parts[0]) * 1000 + number(&parts[1]) / 1000
        }
        other => panic!("{}", render(&other)),
    }
}

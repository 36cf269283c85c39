//! Keys of fleets and fences that are renamed, copied, emptied, reloaded and replicated while devices are
//! inside.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::Protocol;
use support::events::{Events, await_sweep, inside, inside_of};
use support::notation::render;
use support::server::{Server, await_that};

const FIELDS: [&str; 3] = ["event", "device", "fence"];

#[test]
fn a_fleet_of_another_name_goes_on() {
    let (_server, mut client, mut events) = inside();
    client.expect("RENAME f g", "+OK");
    await_sweep(&mut client, &mut events);
    client.expect("IOT.TRACK g d 1 0 TS 2000", "1");
    events.expect(&["event", "fleet", "fence"], &["exit g a"]);
    client.expect("IOT.FENCE ADD z b CIRCLE 1 0 1000", "1");
    events.expect(&["event", "fleet", "fence"], &["enter g b"]);
}

#[test]
fn a_copy_of_a_fleet_is_bound_as_it_is() {
    let (_server, mut client, mut events) = inside();
    client.expect("COPY f g", "1");
    await_sweep(&mut client, &mut events);
    client.expect("IOT.FENCE DEL z a", "1");
    events.expect(&["event", "fleet", "fence"], &["exit f a", "exit g a"]);
}

#[test]
fn a_fleet_that_comes_back_from_its_dump_goes_on() {
    let (server, mut client, mut events) = inside();
    let dump = match client.run("DUMP f") {
        redis::Value::BulkString(dump) => dump,
        other => panic!("{}", render(&other)),
    };
    client.expect("DEL f", "1");
    client.call(&[b"RESTORE", &b"f"[..], b"0", &dump]);
    await_sweep(&mut client, &mut events);
    client.expect("IOT.TRACK f d 1 0 TS 2000", "1");
    events.expect(&["event", "enter_ts", "dwell_ms"], &["exit 1000 1000"]);
    drop(server);
}

#[test]
fn an_emptied_server_tells_nothing_and_goes_on() {
    for empty in ["FLUSHALL", "FLUSHALL ASYNC", "FLUSHDB", "FLUSHDB SYNC"] {
        let (_server, mut client, _events) = inside();
        for at in 0..200 {
            client.expect(&format!("IOT.FENCE ADD z{at} a CIRCLE 0 0 1000"), "1");
            client.expect(&format!("IOT.FENCE BIND f{at} z{at} STREAM events"), "+OK");
            client.expect(&format!("IOT.TRACK f{at} d 0 0 TS 1 EXPIRE 5"), "1");
        }
        client.expect(empty, "+OK");
        client.expect("DBSIZE", "0");
        client.expect("IOT.FENCE ADD z a CIRCLE 0 0 1000", "1");
        client.expect(
            "IOT.FENCE INFO z",
            r#"{"fences": 1, "cells": _, "bytes": _, "indexBytes": _, "groups": {}, "fleets": []}"#,
        );
        client.expect("IOT.TRACK f d 0 0 TS 1", "1");
        client.expect("IOT.FENCE BIND f z STREAM events", "+OK");
        await_that("the device is found", || client.integer("XLEN events") == 1);
    }
}

#[test]
fn databases_that_change_places_take_their_fleets_along() {
    let (_server, mut client, mut events) = inside();
    client.expect("SELECT 1", "+OK");
    client.expect("IOT.FENCE ADD z other CIRCLE 0 0 1000", "1");
    client.expect("IOT.FENCE BIND f z STREAM events", "+OK");
    client.expect("SWAPDB 0 1", "+OK");
    // The fleet with the device is here now, and its stream.
    client.expect("IOT.TRACK f d 1 0 TS 2000", "1");
    client.expect("XLEN events", "2");
    client.expect("IOT.FENCE ADD z b CIRCLE 1 0 1000", "1");
    client.expect("XLEN events", "3");
    client.expect("IOT.TRACK f d 1 0 TS 3000 EXPIRE 1", "1");
    await_that("it expires", || client.integer("XLEN events") == 4);
    client.expect("SELECT 0", "+OK");
    client.expect(
        "IOT.FENCE INFO z",
        r#"{"fences": 1, "cells": _, "bytes": _, "indexBytes": _, "groups": {}, "fleets": ["f"]}"#,
    );
    events.expect(&FIELDS, &[]);
}

#[test]
fn who_was_inside_is_inside_after_a_restart() {
    for (how, args) in [
        (
            "file",
            &["--appendonly", "yes", "--appendfsync", "always"][..],
        ),
        (
            "file of commands",
            &[
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--aof-use-rdb-preamble",
                "no",
            ],
        ),
        ("snapshot", &[]),
    ] {
        let (mut server, mut client, mut events) = inside_of(Server::start_with(args));
        client.expect(
            "IOT.FENCE ADD z b CIRCLE 0 0 1000 EXPIRE 1d GROUPS 2 EXPIRE x",
            "1",
        );
        let since = events.next()["enter_ts"].clone();
        client.expect("IOT.FENCE ADD z m CIRCLE 0 0 1000 MINFIXES 3", "1");
        client.expect(
            "IOT.TRACK f d 0 0 TS 2000 FIELDS 1 EXPIRE 5 EXPIRE 86400000",
            "1",
        );
        client.expect("IOT.TRACK f d 0 0 TS 3000", "1");
        if how == "file of commands" {
            client.expect("BGREWRITEAOF", "_");
            server.await_info("persistence", "aof_rewrite_in_progress:0");
            server.await_info("persistence", "aof_rewrite_scheduled:0");
            client.expect("IOT.TRACK f e 0 0 TS 1000", "1");
        }
        let digest = client.digest();
        if how == "snapshot" {
            client.expect("SAVE", "+OK");
        }
        server.restart();
        let mut client = server.connect(Protocol::Resp2);
        assert_eq!(client.digest(), digest, "{how}");
        let mut events = Events::of(&server);
        await_sweep(&mut client, &mut events);
        client.expect("IOT.TRACK f d 0 0 TS 4000", "1");
        events.expect(&FIELDS, &["enter d m"]);
        client.expect("IOT.TRACK f d 1 0 TS 5000", "1");
        events.expect(
            &["event", "fence", "enter_ts"],
            &["exit a 1000", &format!("exit b {since}")],
        );
    }
}

#[test]
fn a_replica_is_told_what_happened_and_takes_over() {
    let master = Server::start();
    let replica = Server::start();
    replica.replica_of(&master);
    let (master, mut client, mut events) = inside_of(master);
    client.expect(
        "IOT.FENCE ADD z b CIRCLE 0 0 1000 EXPIRE 1d GROUPS 2 EXPIRE x",
        "1",
    );
    client.expect("IOT.FENCE ADD z m CIRCLE 0 0 1000 MINFIXES 3", "1");
    client.expect("IOT.FLEET ALTER f TRAIL 10 MINDIST 5 EXPIRE 1h", "+OK");
    client.expect("IOT.TRACK f d 0 0.001 TS 2000", "1");
    client.expect("IOT.TRACK f d 0 0.001 TS 3000", "0");
    client.expect(
        "IOT.MTRACK f d 0 0.002 * e 0 0 * e 0 0 500 x 0 99 1",
        "[1, 1, 0, -\"ERR *\"]",
    );
    client.expect("IOT.ROAM BIND f f RADIUS 100 STREAM events", "+OK");
    client.expect("IOT.TRACK f e 0 0.002 TS 9000000000000 EXPIRE 100000", "1");
    client.expect("IOT.UNTRACK f nobody", "0");
    let mut copy = replica.connect(Protocol::Resp2);
    client.expect("WAIT 1 30000", "1");
    for key in ["f", "z", "events"] {
        assert_eq!(copy.digest_of(key), client.digest_of(key), "{key}");
    }
    copy.expect("IOT.TRACK f d 1 1", "-READONLY*");
    let seen = events.all();
    assert_eq!(seen.last().unwrap()["event"], "nearby");
    drop(master);
    copy.expect("REPLICAOF NO ONE", "+OK");
    let mut events = Events::of(&replica);
    await_sweep(&mut copy, &mut events);
    copy.expect("IOT.TRACK f d 1 0 TS 9000000000000", "1");
    events.expect(&["event", "fence"], &["exit a", "exit b", "faraway -"]);
}

#[test]
fn an_empty_fleet_that_nobody_has_described_stays_where_it_is_at_a_replica_too() {
    let master = Server::start();
    let replica = Server::start();
    replica.replica_of(&master);
    let mut client = master.connect(Protocol::Resp2);
    client.expect("IOT.FLEET CREATE f", "+OK");
    client.expect(
        "IOT.MTRACK f d 0 99 1",
        "[_]".replace('_', "-\"ERR *\"").as_str(),
    );
    client.expect("IOT.ROAM UNBIND f f", "0");
    client.expect("WAIT 1 30000", "1");
    assert_eq!(replica.connect(Protocol::Resp2).digest(), client.digest());
    client.expect("EXISTS f", "1");
}

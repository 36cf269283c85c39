//! What `INFO` and `IOT.STATS` tell is what there is and what has happened.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::collections::BTreeSet;

use redis::Value;
use support::client::{Client, Protocol};
use support::notation::words;
use support::queries::add;
use support::server::{Server, await_that};
use support::stats::{Figures, figure, figures, map, pairs, scanned};

/// The sections of INFO.
const SECTIONS: [&str; 6] = ["series", "ingest", "queries", "rules", "geo", "timers"];

/// The figures that a scan finds too.
#[track_caller]
fn held(client: &mut Client, of: &Figures) -> Figures {
    let mut held = figures(client);
    held.retain(|name, _| of.contains_key(name));
    held
}

/// Compares what is held with a scan, once the server has freed what it frees on another thread.
#[track_caller]
fn check_held(client: &mut Client, after: &str) {
    await_that("everything is free", || {
        client.info("memory", "lazyfree_pending_objects") == 0
    });
    let scan = scanned(client);
    assert_eq!(held(client, &scan), scan, "after {after}");
}

/// Series of several sizes and forms, rules, a policy, a fleet and fences.
fn fill(client: &mut Client) {
    client.expect("FLUSHALL SYNC", "+OK");
    let wave = |at: u32| f64::from(at % 97) / 10.0;
    add(client, "small", 0, (0..5).map(wave));
    add(client, "large", 0, (0..100_000).map(wave));
    client.run("IOT.CREATE raw ENCODING UNCOMPRESSED");
    add(client, "raw", 0, (0..3_000).map(wave));
    client.run("IOT.CREATE kept RETENTION 700");
    add(client, "kept", 0, (0..5_000).map(wave));
    client.expect(
        "IOT.CREATERULE small mean AGGREGATION avg 2 BACKFILL CREATE",
        "+OK",
    );
    client.run("IOT.POLICY SET mean-of-temp FILTER kind=temp RULES avg 1h");
    client.run("IOT.ADD hall 1 1 LABELS kind temp");
    client.run("IOT.FENCE ADD zones depot CIRCLE 10 50 100");
    client.run("IOT.FENCE ADD zones yard CIRCLE 11 50 100");
    client.run("IOT.TRACK cars van7 10 50 TS 1");
    client.run("IOT.TRACK cars van8 12 50 TS 1");
    let before = figure(client, "events_published");
    client.expect("IOT.FENCE BIND cars zones PUBLISH events", "+OK");
    // So that no timer counts anything between two looks.
    await_that("the device that was there already has entered", || {
        figure(client, "events_published") > before
    });
}

/// A line, and which figures grow by it, by how much.
type Step = (&'static str, &'static [(&'static str, u32)]);

/// Plays lines to a server and compares all figures whose name begins so after each.
#[track_caller]
fn check_steps(prefix: &str, steps: &[Step]) {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let mut expected = figures(&mut client);
    for (line, changes) in steps {
        client.run(line);
        for &(name, by) in *changes {
            *expected.get_mut(name).unwrap() += f64::from(by);
            if name.starts_with("samples_rejected_") {
                *expected.get_mut("samples_rejected").unwrap() += f64::from(by);
            }
        }
        for (name, value) in figures(&mut client) {
            let is_one = name.starts_with(prefix);
            assert!(
                !is_one || same(value, expected[&name]),
                "{line}: {name} {value}"
            );
        }
    }
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

#[test]
fn totals_are_those_of_a_scan_whatever_happens_to_keys() {
    let server = Server::start_with(&["--redis-iot.idle-seal", "0"]);
    let mut client = server.connect(Protocol::Resp2);
    let changes = [
        "IOT.ADD large 50 7 ON_DUPLICATE LAST",
        "IOT.ADDBULK large SAMPLES 70000 5 70001 5 70002 5",
        "IOT.ADDBULK large SAMPLES 99999 5 99998 5 200000 5",
        "IOT.DEL large 100 60000",
        "IOT.DEL large - +",
        "IOT.ALTER large RETENTION 1000",
        "IOT.ALTER large RETENTION 1",
        "IOT.ADD kept 900000 1",
        "IOT.ADD kept 4999 1 ON_DUPLICATE SUM",
        "IOT.INCRBY small 5 TIMESTAMP 9",
        "IOT.DELETERULE small mean",
        "DEL mean",
        "IOT.POLICY DEL mean-of-temp",
        "COPY large copy",
        "COPY large large DB 1",
        "RENAME small large",
        "RENAME large other",
        "RENAME mean moved",
        "MOVE large 1",
        "SWAPDB 0 1",
        "SET large x",
        "DEL large raw",
        "UNLINK large",
        "UNLINK cars",
        "DEL zones",
        "IOT.FENCE DEL zones yard",
        "IOT.UNTRACK cars van8",
        "IOT.TRACK cars van9 10 50 TS 2",
        "IOT.FENCE UNBIND cars zones",
        "COPY cars trucks",
        "COPY zones areas DB 1",
        "RENAME cars zones",
        "PEXPIREAT large 1",
        "FLUSHDB",
        "FLUSHDB ASYNC",
        "FLUSHALL",
        "FLUSHALL ASYNC",
        "DEBUG RELOAD",
        "BGSAVE",
        "MEMORY USAGE large",
    ];
    fill(&mut client);
    check_held(&mut client, "filling");
    let all = scanned(&mut client);
    assert!(all.values().all(|value| *value > 0.0), "{all:?}");
    for change in changes {
        fill(&mut client);
        client.run("COPY small small DB 1");
        let reply = client.run(change);
        assert!(
            !matches!(reply, Value::ServerError(_)),
            "{change}: {reply:?}"
        );
        check_held(&mut client, change);
        client.run("SWAPDB 0 1");
        client.run("FLUSHDB");
        check_held(&mut client, change);
    }
}

#[test]
fn totals_are_those_of_a_scan_after_dump_and_restore() {
    let server = Server::start_with(&["--redis-iot.idle-seal", "0"]);
    let mut client = server.connect(Protocol::Resp2);
    fill(&mut client);
    for key in ["large", "kept", "cars", "zones", "mean-of-temp"] {
        let Value::BulkString(dump) = client.run(&format!("DUMP {key}")) else {
            panic!("no dump of {key}");
        };
        for target in ["fresh", "small", key] {
            let mut restore = words(&format!("RESTORE {target} 0"));
            restore.extend([dump.clone(), b"REPLACE".to_vec()]);
            assert_eq!(client.call(&restore), Value::Okay);
            check_held(&mut client, &format!("RESTORE of {key} to {target}"));
        }
        // One that is cut is read to its end, or not at all.
        let mut restore = words("RESTORE cut 0");
        restore.push(dump[..dump.len() / 2].to_vec());
        client.call(&restore);
        check_held(&mut client, "a dump that is cut");
    }
}

#[test]
fn totals_are_those_of_a_scan_on_a_replica_and_after_restarts() {
    let append = ["--appendonly", "yes", "--redis-iot.idle-seal", "0"];
    let mut master = Server::start_with(&append);
    let replica = Server::start_with(&append);
    let mut client = master.connect(Protocol::Resp2);
    fill(&mut client);
    replica.connect(Protocol::Resp2).run("IOT.ADD old 1 1");
    replica.replica_of(&master);
    client.run("IOT.DEL large 100 60000");
    client.run("DEL raw");
    client.run("COPY large copy");
    client.run("WAIT 1 60000");
    check_held(&mut replica.connect(Protocol::Resp2), "replication");
    let expected = scanned(&mut client);
    for how in ["the file", "its rewrite"] {
        master.restart();
        let mut client = master.connect(Protocol::Resp2);
        check_held(&mut client, how);
        assert_eq!(scanned(&mut client)["samples"], expected["samples"]);
        client.run("BGREWRITEAOF");
        master.await_info("persistence", "aof_rewrite_in_progress:0");
    }
}

#[test]
fn packing_series_that_rest_is_counted() {
    let server = Server::start_with(&["--redis-iot.idle-seal", "1"]);
    let mut client = server.connect(Protocol::Resp2);
    fill(&mut client);
    await_that("the series are packed", || {
        figure(&mut client, "idle_packed") >= 5
    });
    await_that("nothing is packed any more", || {
        let before = figure(&mut client, "idle_packed");
        let rounds = figure(&mut client, "idle_rounds");
        await_that("a round ends", || {
            figure(&mut client, "idle_rounds") > rounds + 2
        });
        figure(&mut client, "idle_packed") == before
    });
    check_held(&mut client, "packing");
}

/// Lines, and which figures of samples grow by them, by how much. What is rejected for a cause grows
/// `samples_rejected` too.
const SAMPLES: [Step; 35] = [
    ("IOT.ADD t 100 1", &[("samples_added", 1)]),
    ("IOT.ADD t 200 1", &[("samples_added", 1)]),
    (
        "IOT.ADD t 150 1",
        &[("samples_added", 1), ("samples_late", 1)],
    ),
    (
        "IOT.ADD t 150 2 ON_DUPLICATE LAST",
        &[("samples_updated", 1)],
    ),
    (
        "IOT.ADD t 150 2 ON_DUPLICATE LAST",
        &[("samples_unchanged", 1)],
    ),
    ("IOT.ADD t 150 3", &[("samples_rejected_duplicate", 1)]),
    ("IOT.ADD t 1 x", &[("samples_rejected_invalid", 1)]),
    (
        "IOT.ADD t 1 1 IGNORE -1 5",
        &[("samples_rejected_invalid", 1)],
    ),
    ("IOT.ADD t nan 1", &[("samples_rejected_invalid", 1)]),
    ("SET s x", &[]),
    ("IOT.ADD s 1 1", &[("samples_rejected_wrong_type", 1)]),
    ("IOT.MADD gone 1 1", &[("samples_rejected_no_series", 1)]),
    ("IOT.ADD r 1000 1 RETENTION 10", &[("samples_added", 1)]),
    ("IOT.ADD r 1 1", &[("samples_rejected_old", 1)]),
    ("IOT.INCRBY t 1 TIMESTAMP 5", &[("samples_rejected_old", 1)]),
    ("IOT.INCRBY t 1 TIMESTAMP 200", &[("samples_updated", 1)]),
    ("IOT.INCRBY t 1 TIMESTAMP 250", &[("samples_added", 1)]),
    ("IOT.DECRBY new 1 TIMESTAMP 250", &[("samples_added", 1)]),
    ("IOT.ADD n 1 nan", &[("samples_added", 1)]),
    (
        "IOT.ADD n 1 1 ON_DUPLICATE SUM",
        &[("samples_rejected_nan", 1)],
    ),
    ("IOT.INCRBY n 1", &[("samples_rejected_nan", 1)]),
    ("IOT.CREATE i IGNORE 10 10 DUPLICATE_POLICY LAST", &[]),
    ("IOT.ADD i 1 1", &[("samples_added", 1)]),
    ("IOT.ADD i 2 1", &[("samples_ignored", 1)]),
    (
        "IOT.ADDBULK b SAMPLES 1 1 5 1 x 1",
        &[("samples_rejected_invalid", 1)],
    ),
    (
        "IOT.ADDBULK b SAMPLES 1 1 5 1 3 1 9 1 9 1",
        &[
            ("samples_added", 4),
            ("samples_late", 1),
            ("samples_rejected_duplicate", 1),
        ],
    ),
    (
        "IOT.INGEST ITEMS b 10 1 b 4 1 c 1 1 s 1 1",
        &[
            ("samples_added", 3),
            ("samples_late", 1),
            ("samples_rejected_wrong_type", 1),
        ],
    ),
    ("IOT.CREATERULE b d AGGREGATION sum 5 CREATE", &[]),
    ("IOT.ADD d 1 1", &[("samples_rejected_destination", 1)]),
    (
        "IOT.ADD b 21 1",
        &[("samples_added", 1), ("samples_derived", 1)],
    ),
    (
        "IOT.ADD b 26 1",
        &[("samples_added", 1), ("samples_derived", 1)],
    ),
    ("IOT.DEL t 100 150", &[("samples_deleted", 2)]),
    ("IOT.DEL t 100 150", &[]),
    ("IOT.CREATE m LABELS a b", &[]),
    ("IOT.MDEL FILTER a=b", &[]),
];

#[test]
fn what_came_of_samples_is_counted_by_cause() {
    check_steps("samples_", &SAMPLES);
}

/// The same for fixes and events.
const FIXES: [Step; 10] = [
    ("IOT.FLEET CREATE cars MINDIST 10", &[]),
    ("IOT.FENCE ADD zones depot CIRCLE 10 50 100", &[]),
    (
        "IOT.FENCE BIND cars zones DETECT enter PUBLISH events STREAM log",
        &[],
    ),
    ("IOT.TRACK cars van7 20 50 TS 100", &[("fixes_taken", 1)]),
    ("IOT.TRACK cars van7 20 50 TS 50", &[("fixes_late", 1)]),
    ("IOT.TRACK cars van7 20 50 TS 150", &[("fixes_filtered", 1)]),
    ("IOT.TRACK cars van7 x 50", &[("fixes_rejected", 1)]),
    ("IOT.TRACK cars van7 10 50 TS 200", &[("fixes_taken", 1)]),
    ("SET text x", &[]),
    (
        "IOT.MTRACK text van7 10 50 1 van8 10 50 1",
        &[("fixes_rejected", 2)],
    ),
];

#[test]
fn what_came_of_fixes_is_counted() {
    check_steps("fixes_", &FIXES);
}

/// The same for events.
const EVENTS: [Step; 8] = [
    ("IOT.FENCE ADD zones depot CIRCLE 10 50 100", &[]),
    ("IOT.TRACK cars van7 20 50 TS 100", &[]),
    (
        "IOT.FENCE BIND cars zones DETECT enter PUBLISH events STREAM log",
        &[],
    ),
    (
        "IOT.TRACK cars van7 10 50 TS 200",
        &[("events_published", 1), ("events_appended", 1)],
    ),
    ("SET log x", &[]),
    ("IOT.TRACK cars van7 20 50 TS 300", &[]),
    (
        "IOT.TRACK cars van7 10 50 TS 400",
        &[("events_published", 1), ("events_dropped", 1)],
    ),
    ("IOT.TRACK cars van7 10 50 TS 500", &[]),
];

#[test]
fn events_are_counted_by_their_way_out() {
    check_steps("events_", &EVENTS);
}

#[test]
fn info_scripts_and_transactions_tell_the_same() {
    let server = Server::start_with(&["--redis-iot.idle-seal", "0"]);
    for protocol in Protocol::BOTH {
        let mut client = server.connect(protocol);
        fill(&mut client);
        let plain = figures(&mut client);
        let moves = |name: &str| name.starts_with("agenda") || name.starts_with("idle");
        let mut told = BTreeSet::new();
        for section in SECTIONS {
            let text = client.text(&format!("INFO redis-iot_{section}"));
            let prefix = "redis-iot_";
            for line in text.lines().filter_map(|line| line.strip_prefix(prefix)) {
                let (name, value) = line.split_once(':').unwrap();
                told.insert(name.to_string());
                let value: f64 = value.parse().unwrap();
                let is_same = same(plain[name], value);
                assert!(moves(name) || is_same, "{name}: {value}, {}", plain[name]);
            }
        }
        let names: BTreeSet<String> = plain.keys().cloned().collect();
        assert_eq!(told, names);
        let everything = client.text("INFO everything");
        assert!(everything.contains("redis-iot_samples_added:"));

        client.expect("MULTI", "+OK");
        client.expect("IOT.STATS", "+QUEUED");
        let Value::Array(replies) = client.run("EXEC") else {
            panic!("no replies");
        };
        let script = client.call(&words(
            "EVAL_RO \"local all = redis.call('IOT.STATS') \
             for at = 1, #all do all[at] = tostring(all[at]) end return all\" 0",
        ));
        for reply in [&replies[0], &script] {
            let mut have = pairs(reply);
            have.retain(|name, _| !moves(name));
            let mut expected = plain.clone();
            expected.retain(|name, _| !moves(name));
            assert_eq!(have, expected);
        }
        client.expect("IOT.STATS x", "-ERR wrong number of arguments*");
    }
}

#[test]
fn timers_tell_how_late_they_are_and_the_monitor_what_took_long() {
    let server = Server::start_with(&["--latency-monitor-threshold", "1"]);
    let mut client = server.connect(Protocol::Resp2);
    await_that("the timers fire", || {
        figure(&mut client, "agenda_ticks") > 2 && figure(&mut client, "idle_ticks") > 2
    });
    client.expect("DEBUG SLEEP 0.5", "+OK");
    await_that("the timers are late", || {
        figure(&mut client, "agenda_lag_ms") >= 350 && figure(&mut client, "idle_lag_ms") >= 350
    });
    assert!(figure(&mut client, "agenda_longest_lag_ms") >= 350);
    client.expect("CONFIG SET redis-iot.inline-samples 100000000", "+OK");
    add(&mut client, "t", 0, (0..1_000_000).map(f64::from));
    client.run("IOT.RANGE t - + AGGREGATION std.p,median 1000");
    assert_eq!(figure(&mut client, "queries_inline"), 1);
    let latest = support::notation::render(&client.run("LATENCY LATEST"));
    assert!(latest.contains("iot-query"), "{latest}");
}

/// Waits until the latency monitor knows an event.
fn await_latency(client: &mut Client, event: &str) {
    await_that(event, || {
        support::notation::render(&client.run("LATENCY LATEST")).contains(event)
    });
}

#[test]
fn the_monitor_knows_timers_that_have_much_to_do() {
    let server = Server::start_with(&["--latency-monitor-threshold", "1"]);
    let mut client = server.connect(Protocol::Resp2);
    client.expect("CONFIG SET redis-iot.idle-seal 1", "+OK");
    let series = (0..20_000).map(|number| words(&format!("IOT.ADD i{number} 1 1")));
    client.pipeline(&series.collect::<Vec<_>>()).unwrap();
    await_latency(&mut client, "iot-idle");
    let fixes = (0..20_000).map(|number| words(&format!("IOT.TRACK cars d{number} 0.5 0.5")));
    client.pipeline(&fixes.collect::<Vec<_>>()).unwrap();
    client.expect("IOT.FENCE ADD zones z BBOX 0 0 1 1", "1");
    // All devices are compared with the fence.
    client.expect("IOT.FENCE BIND cars zones STREAM events", "+OK");
    await_latency(&mut client, "iot-agenda");
}

#[test]
fn replies_are_maps_where_there_are_maps() {
    let server = Server::start();
    let reply = server.connect(Protocol::Resp3).run("IOT.STATS");
    assert!(matches!(reply, Value::Map(_)));
    let reply = server.connect(Protocol::Resp2).run("IOT.STATS");
    assert!(matches!(reply, Value::Array(_)));
    let names: Vec<_> = map(&reply).into_iter().map(|(name, _)| name).collect();
    let unique: BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
}

//! A server whose disk is full takes nothing that it could not keep, goes on when there is room again, and
//! has lost nothing. `IOT_SOAK=n` fills the disk n times as often.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::collections::BTreeSet;

use support::client::{Client, Protocol};
use support::faults::clients::{Clients, Progress};
use support::faults::disk;
use support::faults::tally::{Tally, rounds};
use support::fences_events::events;
use support::seeds::FAULTS_SEED;
use support::server::{Server, await_that};

/// Clients at once.
const CLIENTS: usize = 4;
/// Steps that are acknowledged between two things that happen.
const STEPS: usize = 60;
/// Bytes that still have room, in the middle of a request.
const ROOM: u64 = 3_000;

const ALWAYS: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];
const EVERY_SECOND: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "everysec"];

/// Writes are refused and reads are not.
#[track_caller]
fn refuses_writes(server: &Server) {
    let mut client = server.connect(Protocol::Resp2);
    for line in [
        "IOT.ADD other 1 1",
        "IOT.TRACK other d 1 1",
        "IOT.FENCE ADD others z CIRCLE 1 1 1000",
        "IOT.MDEL FILTER c=c0",
        "IOT.POLICY SET other FILTER c=none RULES avg 1h",
    ] {
        client.expect(line, "-MISCONF*");
    }
    client.expect("IOT.RANGE c0:s0 - + COUNT 1", "_");
    client.expect("IOT.QUERYINDEX c=c0 role=plain", "_");
}

/// Fills the disk while clients send, lets something happen, starts the server again, and compares.
#[track_caller]
fn check(mut tally: Tally, seed: u64, args: &[&str], happen: fn(&mut Server, Progress<'_>)) {
    let Some(mut server) = disk::start(args) else {
        return;
    };
    let mut clients = Clients::new(&server, FAULTS_SEED + seed, CLIENTS);
    for _ in 0..rounds(3) {
        clients.during(&[server.port()], |progress| {
            progress.await_more(STEPS);
            disk::fill(&server, ROOM);
            happen(&mut server, progress);
        });
        server.restart();
        tally.tried();
        clients.settle(&server, &mut tally);
    }
    tally.end();
}

#[test]
fn a_file_that_cannot_grow_stops_writes_until_it_can() {
    let tally = Tally::new("disk full, appendfsync everysec: room again, kill -9");
    check(tally, 1_000, &EVERY_SECOND, |server, progress| {
        server.await_info("persistence", "aof_last_write_status:err");
        refuses_writes(server);
        disk::free(server);
        server.await_info("persistence", "aof_last_write_status:ok");
        progress.await_more(STEPS);
        server.kill9();
    });
}

#[test]
fn a_server_that_is_killed_while_its_disk_is_full_has_a_beginning_of_what_was_sent() {
    let tally = Tally::that_may_lose("disk full, appendfsync everysec: kill -9");
    check(tally, 1_100, &EVERY_SECOND, |server, _| {
        server.await_info("persistence", "aof_last_write_status:err");
        server.kill9();
    });
}

#[test]
fn a_server_that_must_write_always_ends_when_it_cannot() {
    let tally = Tally::new("disk full, appendfsync always: the server ends");
    check(tally, 1_200, &ALWAYS, |server, _| {
        assert_eq!(server.end().code(), Some(1), "{}", server.last_words());
    });
}

#[test]
fn a_rewrite_without_room_leaves_the_file_as_it_is() {
    for (seed, preamble) in [(1_300, "yes"), (1_400, "no")] {
        let args = [
            &ALWAYS[..],
            &["--aof-use-rdb-preamble", preamble, "--rdbcompression", "no"],
        ]
        .concat();
        let Some(mut server) = disk::start(&args) else {
            return;
        };
        let mut tally = Tally::new(if preamble == "yes" {
            "disk full during BGREWRITEAOF, appendfsync always: kill -9"
        } else {
            "disk full during BGREWRITEAOF without preamble, appendfsync always: kill -9"
        });
        let mut clients = Clients::new(&server, FAULTS_SEED + seed, CLIENTS);
        server.rewrite();
        for _ in 0..rounds(2) {
            clients.during(&[server.port()], |progress| {
                progress.await_more(STEPS);
                disk::limit(&server, disk::NARROW);
                server.connect(Protocol::Resp2).run("BGREWRITEAOF");
                server.await_info("persistence", "aof_last_bgrewrite_status:err");
                disk::free(&server);
                progress.await_more(STEPS);
                server.kill9();
            });
            server.restart();
            tally.tried();
            clients.settle(&server, &mut tally);
            server.rewrite();
        }
        tally.end();
    }
}

#[test]
fn a_snapshot_without_room_stops_writes_and_leaves_the_last_one() {
    let Some(mut server) = disk::start(&["--save", "3600 1000000", "--rdbcompression", "no"])
    else {
        return;
    };
    let mut tally = Tally::new("disk full during BGSAVE, dump file only: kill -9 after a SAVE");
    let mut clients = Clients::new(&server, FAULTS_SEED + 1_500, CLIENTS);
    for _ in 0..rounds(3) {
        clients.during(&[server.port()], |progress| {
            progress.await_more(STEPS);
            fail_to_save(&server);
            refuses_writes(&server);
            disk::free(&server);
            server.connect(Protocol::Resp2).expect("SAVE", "+OK");
            progress.await_more(STEPS);
        });
        tally.tried();
        server.connect(Protocol::Resp2).expect("SAVE", "+OK");
        fail_to_save(&server);
        server.kill9();
        server.restart();
        clients.settle(&server, &mut tally);
    }
    tally.end();
}

fn fail_to_save(server: &Server) {
    disk::limit(server, disk::NARROW);
    server.connect(Protocol::Resp2).run("BGSAVE");
    server.await_info("persistence", "rdb_last_bgsave_status:err");
}

/// A fleet whose events are due while the disk is full, and a series whose time is up.
fn prepare(client: &mut Client) {
    for line in [
        "IOT.FENCE ADD zones z CIRCLE 1 1 1000 DETECT enter exit dwell DWELL 300",
        "IOT.FENCE ADD zones short CIRCLE 1 1 1000 EXPIRE 300",
        "IOT.FENCE BIND cars zones STREAM told",
        "IOT.TRACK cars a 1 1 EXPIRE 600",
        "IOT.ADD idle 1 1 IDLE_TTL 300",
    ] {
        client.expect(line, "_");
    }
}

/// What of them is told: an enter, a dwell and an exit of each fence, the last one of a device that has expired.
const DUE: [&str; 5] = ["dwell z", "enter short", "enter z", "exit short", "exit z"];

/// Kinds and fences of the events so far, and their ids.
fn told(client: &mut Client) -> (Vec<String>, BTreeSet<String>) {
    let told = events(client, "told");
    let mut kinds: Vec<String> = told
        .iter()
        .map(|event| format!("{} {}", event.get("event"), event.get("fence")))
        .collect();
    kinds.sort();
    let ids = told.iter().map(|event| event.get("id").to_owned());
    (kinds, ids.collect())
}

/// Waits until all that is due is told, and the series is gone.
#[track_caller]
fn await_due(client: &mut Client) -> (Vec<String>, BTreeSet<String>) {
    await_that("all that is due is told", || {
        told(client).0.len() >= DUE.len()
    });
    await_that("the series is gone", || client.integer("EXISTS idle") == 0);
    let told = told(client);
    assert_eq!(told.0, DUE);
    told
}

/// A server whose disk is full while much is due.
fn full_while_due() -> Option<Server> {
    let server = disk::start(&EVERY_SECOND)?;
    prepare(&mut server.connect(Protocol::Resp2));
    server.await_info("persistence", "aof_buffer_length:0");
    disk::fill(&server, 0);
    server.await_info("persistence", "aof_last_write_status:err");
    Some(server)
}

#[test]
fn what_is_due_while_the_disk_is_full_comes_once() {
    let Some(mut server) = full_while_due() else {
        return;
    };
    let mut client = server.connect(Protocol::Resp2);
    let before = await_due(&mut client);
    disk::free(&server);
    server.await_info("persistence", "aof_last_write_status:ok");
    let digest = client.digest();
    server.kill9();
    server.restart();
    let mut client = server.connect(Protocol::Resp2);
    assert_eq!(client.digest(), digest);
    assert_eq!(told(&mut client), before);
    server.assert_no_panic();
}

#[test]
fn what_was_due_while_the_disk_was_full_comes_again_where_it_is_lost() {
    let Some(mut server) = full_while_due() else {
        return;
    };
    let before = await_due(&mut server.connect(Protocol::Resp2));
    server.kill9();
    server.restart();
    assert_eq!(await_due(&mut server.connect(Protocol::Resp2)), before);
    server.assert_no_panic();
}

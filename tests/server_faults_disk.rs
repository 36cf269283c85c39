//! A server whose disk is full takes nothing that it could not keep, goes on when there is room again, and
//! has lost nothing. `IOT_SOAK=n` fills the disk n times as often.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::faults::clients::Clients;
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

#[test]
fn a_file_that_cannot_grow_stops_writes_until_it_can() {
    let Some(mut server) = disk::start(&EVERY_SECOND) else {
        return;
    };
    let mut tally = Tally::new(
        "disk full at the append-only file, then room, then kill -9, appendfsync everysec",
    );
    let mut clients = Clients::new(&server, FAULTS_SEED + 1_000, CLIENTS);
    for _ in 0..rounds(3) {
        clients.during(&[server.port()], |progress| {
            progress.await_more(STEPS);
            disk::fill(&server, ROOM);
            server.await_info("persistence", "aof_last_write_status:err");
            refuses_writes(&server);
            disk::free(&server);
            server.await_info("persistence", "aof_last_write_status:ok");
            progress.await_more(STEPS);
            server.kill9();
        });
        server.restart();
        tally.tried();
        clients.settle(&server, &mut tally);
    }
    tally.end();
}

#[test]
fn a_server_that_is_killed_while_its_disk_is_full_has_a_beginning_of_what_was_sent() {
    let Some(mut server) = disk::start(&EVERY_SECOND) else {
        return;
    };
    let mut tally = Tally::that_may_lose(
        "disk full at the append-only file, then kill -9, appendfsync everysec",
    );
    let mut clients = Clients::new(&server, FAULTS_SEED + 1_100, CLIENTS);
    for _ in 0..rounds(3) {
        clients.during(&[server.port()], |progress| {
            progress.await_more(STEPS);
            disk::fill(&server, ROOM);
            server.await_info("persistence", "aof_last_write_status:err");
            server.kill9();
        });
        server.restart();
        tally.tried();
        clients.settle(&server, &mut tally);
    }
    tally.end();
}

#[test]
fn a_server_that_must_write_always_ends_when_it_cannot() {
    let Some(mut server) = disk::start(&ALWAYS) else {
        return;
    };
    let mut tally =
        Tally::new("disk full at the append-only file, appendfsync always: the server ends");
    let mut clients = Clients::new(&server, FAULTS_SEED + 1_200, CLIENTS);
    for _ in 0..rounds(3) {
        clients.during(&[server.port()], |progress| {
            progress.await_more(STEPS);
            disk::fill(&server, ROOM);
            assert_eq!(server.end().code(), Some(1), "{}", server.last_words());
        });
        server.restart();
        tally.tried();
        clients.settle(&server, &mut tally);
    }
    tally.end();
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
            "disk full during BGREWRITEAOF, then kill -9, appendfsync always"
        } else {
            "the same without preamble"
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
    let mut tally = Tally::new("disk full during BGSAVE, then kill -9 behind a snapshot");
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

#[test]
fn what_is_due_while_the_disk_is_full_comes_once() {
    let Some(mut server) = disk::start(&EVERY_SECOND) else {
        return;
    };
    let mut client = server.connect(Protocol::Resp2);
    prepare(&mut client);
    disk::fill(&server, 0);
    server.await_info("persistence", "aof_last_write_status:err");
    // An enter, a dwell, an exit of each fence: the last of them is that of a device that has expired.
    let kinds = |client: &mut Client| {
        let told = events(client, "told");
        let mut kinds: Vec<String> = told
            .iter()
            .map(|event| format!("{} {}", event.get("event"), event.get("fence")))
            .collect();
        kinds.sort();
        kinds
    };
    let wanted = ["dwell z", "enter short", "enter z", "exit short", "exit z"];
    await_that("all that is due is told", || {
        kinds(&mut client).len() >= wanted.len()
    });
    await_that("the series is gone", || client.integer("EXISTS idle") == 0);
    assert_eq!(kinds(&mut client), wanted);
    disk::free(&server);
    server.await_info("persistence", "aof_last_write_status:ok");
    let before = client.digest();
    server.kill9();
    server.restart();
    let mut client = server.connect(Protocol::Resp2);
    assert_eq!(client.digest(), before);
    assert_eq!(kinds(&mut client), wanted);
    server.assert_no_panic();
}

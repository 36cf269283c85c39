//! Users of fleets and fences: who may write, who may read, and where they may send events.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::notation::render;
use support::server::Server;

/// A server with a fleet and a set of fences.
fn server() -> (Server, Client) {
    let server = Server::start();
    let mut admin = server.connect(Protocol::Resp2);
    admin.expect("IOT.FLEET CREATE fleet TRAIL 10", "+OK");
    admin.expect("IOT.TRACK fleet d 0 0 TS 1", "1");
    admin.expect("IOT.FENCE ADD fences a CIRCLE 0 0 1000", "1");
    (server, admin)
}

/// A client that acts for a user with all commands and these rights.
fn user(server: &Server, admin: &mut Client, rights: &str) -> Client {
    let line = format!("ACL SETUSER someone reset on >word +@all {rights}");
    admin.expect(&line, "+OK");
    let mut client = server.connect(Protocol::Resp2);
    client.expect("AUTH someone word", "+OK");
    client
}

/// What changes a fleet and replies with nothing of it.
const FLEET_WRITES: [&str; 5] = [
    "IOT.TRACK fleet e 0 0",
    "IOT.MTRACK fleet e 0 0 5",
    "IOT.UNTRACK fleet e",
    "IOT.FLEET CREATE fleet2",
    "IOT.FLEET ALTER fleet TRAIL 10",
];
/// What reads a fleet.
const FLEET_READS: [&str; 8] = [
    "IOT.POSITION fleet d",
    "IOT.NEARBY fleet 0 0",
    "IOT.NEARBY fleet FROM d",
    "IOT.WITHIN fleet BBOX 0 0 1 1",
    "IOT.TRAIL fleet d - +",
    "IOT.FLEET INFO fleet",
    "IOT.FLEET LIST fleet",
    "IOT.FENCE BINDINGS fleet",
];
/// What changes a set of fences.
const FENCE_WRITES: [&str; 2] = [
    "IOT.FENCE ADD fences b CIRCLE 0 0 1",
    "IOT.FENCE DEL fences b",
];
/// What reads a set of fences.
const FENCE_READS: [&str; 7] = [
    "IOT.FENCE GET fences a",
    "IOT.FENCE LIST fences",
    "IOT.FENCE COUNT fences",
    "IOT.FENCE AT fences 0 0",
    "IOT.FENCE NEAR fences 0 0",
    "IOT.FENCE INFO fences",
    "IOT.INTERSECTS fences BBOX 0 0 1 1",
];

#[track_caller]
fn expect_all(client: &mut Client, lines: &[&str], allowed: bool) {
    for line in lines {
        let reply = render(&client.run(line));
        assert_eq!(!reply.starts_with("-\"NOPERM"), allowed, "{line}: {reply}");
        if allowed {
            assert!(!reply.starts_with('-'), "{line}: {reply}");
        }
    }
}

#[test]
fn who_may_write_tracks_and_sees_nothing() {
    let (server, mut admin) = server();
    let mut client = user(&server, &mut admin, "%W~*");
    expect_all(&mut client, &FLEET_WRITES, true);
    expect_all(&mut client, &FENCE_WRITES, true);
    expect_all(&mut client, &FLEET_READS, false);
    expect_all(&mut client, &FENCE_READS, false);
    expect_all(&mut client, &["IOT.WITHIN fleet FENCE fences a"], false);
}

#[test]
fn who_may_read_sees_all_and_changes_nothing() {
    let (server, mut admin) = server();
    let mut client = user(&server, &mut admin, "%R~*");
    let before = admin.digest();
    expect_all(&mut client, &FLEET_READS, true);
    expect_all(&mut client, &FENCE_READS, true);
    expect_all(&mut client, &["IOT.WITHIN fleet FENCE fences a"], true);
    expect_all(&mut client, &FLEET_WRITES, false);
    expect_all(&mut client, &FENCE_WRITES, false);
    for line in [
        "IOT.FENCE BIND fleet fences STREAM events",
        "IOT.FENCE UNBIND fleet fences",
        "IOT.ROAM BIND fleet fleet RADIUS 5 STREAM events",
        "IOT.ROAM UNBIND fleet fleet",
        "IOT.FLEET VISITS fleet d x",
        "IOT.FLEET RESTORE other x",
        "IOT.FENCE RESTORE other x",
    ] {
        expect_all(&mut client, &[line], false);
    }
    assert_eq!(admin.digest(), before);
}

#[test]
fn who_may_one_key_may_not_the_other() {
    let (server, mut admin) = server();
    let mut client = user(&server, &mut admin, "~fleet ~fleet2");
    expect_all(&mut client, &FLEET_WRITES, true);
    expect_all(&mut client, &FLEET_READS, true);
    expect_all(&mut client, &FENCE_READS, false);
    expect_all(&mut client, &FENCE_WRITES, false);
    expect_all(
        &mut client,
        &[
            "IOT.WITHIN fleet FENCE fences a",
            "IOT.WITHIN fleet fence fences a",
        ],
        false,
    );
}

#[test]
fn to_bind_one_updates_the_fleet_reads_the_fences_and_writes_where_events_go() {
    let (server, mut admin) = server();
    let lines = [
        "IOT.FENCE BIND fleet fences STREAM events",
        "IOT.FENCE BIND fleet fences DETECT enter STREAM events MAXLEN 5 STREAM events2 PUBLISH news",
        "IOT.FENCE BIND fleet fences PUBLISH news",
        "IOT.ROAM BIND fleet others RADIUS 5 STREAM events PUBLISH news",
    ];
    let rights = "%W~fleet %R~fences %R~others %W~events %W~events2 &news";
    let mut client = user(&server, &mut admin, rights);
    expect_all(&mut client, &lines, true);
    // Each right less.
    for (less, refused) in [
        (
            "%R~fleet %R~fences %R~others %W~events %W~events2 &news",
            [true; 4],
        ),
        (
            "%W~fleet %W~fences %W~others %W~events %W~events2 &news",
            [true; 4],
        ),
        (
            "%W~fleet %R~fences %R~others %R~events %R~events2 &news",
            [true, true, false, true],
        ),
        (
            "%W~fleet %R~fences %R~others %W~events2 &news",
            [true, true, false, true],
        ),
        (
            "%W~fleet %R~fences %R~others %W~events &news",
            [false, true, false, false],
        ),
        (
            "%W~fleet %R~fences %R~others %W~events %W~events2 resetchannels &other",
            [false, true, true, true],
        ),
    ] {
        let mut client = user(&server, &mut admin, less);
        for (line, refused) in lines.iter().zip(refused) {
            let before = admin.digest_of("fleet");
            expect_all(&mut client, &[line], !refused);
            if refused {
                assert_eq!(admin.digest_of("fleet"), before, "{less}: {line}");
            }
        }
    }
}

#[test]
fn a_group_like_a_keyword_does_not_hide_a_stream() {
    let (server, mut admin) = server();
    let mut client = user(&server, &mut admin, "%W~fleet %R~fences ~STREAM ~stream &*");
    for line in [
        "IOT.FENCE BIND fleet fences GROUP STREAM STREAM events",
        "IOT.FENCE BIND fleet fences PUBLISH stream STREAM events",
        "IOT.FENCE BIND fleet fences STREAM STREAM STREAM events",
    ] {
        expect_all(&mut client, &[line], false);
    }
    admin.expect("IOT.FENCE BINDINGS fleet", "[]");
}

#[test]
fn what_somebody_has_bound_goes_on_for_all_who_track() {
    let (server, mut admin) = server();
    admin.expect(
        "IOT.FENCE BIND fleet fences STREAM events PUBLISH news",
        "+OK",
    );
    admin.expect("IOT.ROAM BIND fleet others RADIUS 100 STREAM events", "+OK");
    admin.expect("IOT.TRACK others o 0 0", "1");
    let mut client = user(&server, &mut admin, "%W~fleet resetchannels");
    client.expect("IOT.TRACK fleet e 0 0", "1");
    let seen = admin.integer("XLEN events");
    client.expect("IOT.TRACK fleet e 1 0 TS 9000000000000", "1");
    assert!(seen >= 2, "{seen} events");
    assert_eq!(admin.integer("XLEN events"), seen + 2);
    // And for the one who changes fences.
    let mut client = user(&server, &mut admin, "%W~fences resetchannels");
    client.expect("IOT.FENCE ADD fences b CIRCLE 1 0 10", "1");
    assert_eq!(admin.integer("XLEN events"), seen + 3);
}

#[test]
fn who_lacks_a_subcommand_lacks_it_alone() {
    let (server, mut admin) = server();
    let mut client = user(
        &server,
        &mut admin,
        "-@all +iot.fence|at +iot.fence|add +iot.track ~*",
    );
    client.expect("IOT.FENCE AT fences 0 0", r#"["a"]"#);
    client.expect("IOT.FENCE ADD fences b CIRCLE 9 9 1", "1");
    client.expect("IOT.FENCE DEL fences b", "-NOPERM*");
    client.expect("IOT.FENCE GET fences a", "-NOPERM*");
    client.expect("IOT.TRACK fleet d 1 1", "1");
    client.expect("IOT.POSITION fleet d", "-NOPERM*");
}

//! The users that docs/operations.md shows may do what they are for, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::manual;
use support::notation::{error_text, render};
use support::server::{Server, await_that};

/// What is there before any user comes.
const WORLD: [&str; 6] = [
    "IOT.ADD temp:1 1000 21 LABELS site hq",
    "IOT.ADD hq:temp 1000 21 LABELS site hq tenant hq",
    "IOT.ADD lab:temp 1000 21 LABELS site lab",
    "IOT.FENCE ADD zones depot CIRCLE 13.4 52.5 200",
    "IOT.TRACK vans van1 13.4 52.5 TS 1000",
    "IOT.FENCE BIND vans zones STREAM events",
];
/// A user, what it may, and what it may not.
const USERS: [(&str, &[&str], &[&str]); 5] = [
    (
        "gateway",
        &[
            "PING",
            "CLIENT SETNAME gateway",
            "IOT.ADD temp:1 2000 22",
            "IOT.MADD temp:1 3000 22",
            "IOT.INGEST LABELS site hq ITEMS temp:2 1000 1",
            "IOT.ADDBULK temp:3 SAMPLES 1 1 2 2",
            "IOT.INCRBY temp:4 1",
            "IOT.TRACK vans van2 13.4 52.5",
            "IOT.MTRACK vans van2 13.4 52.5 9999999999999",
        ],
        &[
            "IOT.GET temp:1",
            "IOT.RANGE temp:1 - +",
            "IOT.MGET FILTER site=hq",
            "IOT.ADD other 1 1",
            "IOT.DEL temp:1 0 1",
            "IOT.ALTER temp:1 RETENTION 1",
            "IOT.POSITION vans van1",
            "IOT.UNTRACK vans van1",
            "IOT.FENCE ADD zones mine CIRCLE 1 1 1",
            "DEL temp:1",
            "CLIENT LIST",
            "CONFIG GET *",
        ],
    ),
    (
        "dashboard",
        &[
            "IOT.GET temp:1",
            "IOT.MRANGE - + FILTER site=(hq,lab)",
            "IOT.QUERYLABELS LABELS",
            "IOT.INFO temp:1",
            "IOT.POSITION vans van1",
            "IOT.NEARBY vans 13.4 52.5",
            "IOT.FENCE GET zones depot",
            "IOT.FENCE BINDINGS vans",
            "XRANGE events - +",
            "XREAD STREAMS events 0",
            "SUBSCRIBE alarms",
        ],
        &[
            "IOT.ADD temp:1 5000 1",
            "IOT.MDEL FILTER site=hq",
            "IOT.FENCE ADD zones mine CIRCLE 1 1 1",
            "IOT.FENCE DEL zones depot",
            "IOT.FENCE UNBIND vans zones",
            "IOT.POLICY SET all FILTER site=hq RULES avg 1h",
            "IOT.FLEET ALTER vans TRAIL 1",
            "KEYS *",
            "FLUSHALL",
            "PUBLISH alarms x",
            "SUBSCRIBE other",
        ],
    ),
    (
        "hq",
        &[
            "IOT.RANGE hq:temp - +",
            "IOT.MGET FILTER tenant=hq",
            "IOT.QUERYINDEX site!=",
        ],
        &[
            "IOT.RANGE lab:temp - +",
            "IOT.MGET FILTER site!=",
            "IOT.CARD FILTER site!=",
            "IOT.ADD hq:temp 5000 1",
            "IOT.POSITION vans van1",
        ],
    ),
    (
        "dispatcher",
        &[
            "IOT.FENCE ADD zones mine CIRCLE 13.4 52.5 100",
            "IOT.FENCE GET zones mine",
            "IOT.FENCE LIST zones",
            "IOT.FENCE AT zones 13.4 52.5",
            "IOT.FENCE NEAR zones 13.4 52.5",
            "IOT.FENCE DEL zones mine",
            "IOT.INTERSECTS zones BBOX 13 52 14 53",
        ],
        &[
            "IOT.FENCE ADD others mine CIRCLE 1 1 1",
            "IOT.FENCE BIND vans zones STREAM events",
            "IOT.FENCE UNBIND vans zones",
            "IOT.FENCE BINDINGS vans",
            "IOT.FENCE RESTORE zones x",
            "IOT.POSITION vans van1",
            "IOT.TRACK vans van1 1 1",
            "DEL zones",
        ],
    ),
    (
        "integrator",
        &[
            "IOT.FENCE BIND vans zones STREAM events PUBLISH alarms",
            "IOT.FENCE BINDINGS vans",
            "IOT.ROAM BIND vans vans RADIUS 50 STREAM events",
            "IOT.ROAM UNBIND vans vans",
            "IOT.FENCE UNBIND vans zones",
        ],
        &[
            "IOT.FENCE BIND vans zones STREAM other",
            "IOT.FENCE BIND vans zones PUBLISH other",
            "IOT.FENCE BIND other zones STREAM events",
            "IOT.FENCE ADD zones mine CIRCLE 1 1 1",
            "IOT.FENCE DEL zones depot",
            "IOT.TRACK vans van1 1 1",
            "IOT.GET temp:1",
        ],
    ),
];

/// A server with all that, and the client that made it.
fn world() -> (Server, Client) {
    let server = Server::start();
    let mut admin = server.connect(Protocol::Resp2);
    for line in WORLD {
        admin.expect(line, "_");
    }
    // The van was in the depot before the two were bound: the timer finds it.
    await_that("it has entered", || admin.integer("XLEN events") == 1);
    (server, admin)
}

/// The lines of the manual that make users.
fn recipes(text: &str) -> Vec<&str> {
    let blocks = manual::blocks(text);
    let lines = blocks.into_iter().flat_map(|(_, lines)| lines);
    lines
        .filter(|line| line.starts_with("ACL SETUSER"))
        .collect()
}

fn is_refused(client: &mut Client, line: &str) -> bool {
    match client.run(line) {
        reply @ Value::ServerError(_) => {
            let error = error_text(&reply);
            assert!(error.starts_with("NOPERM"), "{line}: {error}");
            true
        }
        _ => false,
    }
}

#[test]
fn the_users_of_the_manual_may_what_they_are_for() {
    let text = manual::text("docs/operations.md");
    let recipes = recipes(&text);
    assert_eq!(recipes.len(), USERS.len(), "{recipes:?}");
    for (name, allowed, denied) in USERS {
        let (server, mut admin) = world();
        let recipe = recipes
            .iter()
            .find(|line| line.split(' ').nth(2) == Some(name));
        admin.expect(recipe.unwrap(), "+OK");
        let digest = admin.digest();
        let mut client = server.connect(Protocol::Resp2);
        let login = client.run(&format!("AUTH {name} change-me"));
        assert_eq!(login, Value::Okay, "{}", render(&login));
        for line in denied {
            assert!(is_refused(&mut client, line), "{name} may {line}");
        }
        assert_eq!(admin.digest(), digest, "{name}");
        for line in allowed {
            assert!(!is_refused(&mut client, line), "{name} may not {line}");
        }
    }
}

#[test]
fn who_sees_one_site_is_shown_its_series_alone() {
    let text = manual::text("docs/operations.md");
    let (server, mut admin) = world();
    let recipe = recipes(&text)
        .into_iter()
        .find(|line| line.contains(" hq "));
    admin.expect(recipe.unwrap(), "+OK");
    let mut client = server.connect(Protocol::Resp2);
    client.expect("AUTH hq change-me", "+OK");
    client.expect("IOT.QUERYINDEX site!=", "[\"hq:temp\"]");
    client.expect("IOT.QUERYLABELS VALUES site", "[\"hq\"]");
}

#[test]
fn a_dump_file_that_is_put_in_place_is_all_there_is() {
    let (source, mut client) = world();
    client.expect(
        "IOT.CREATERULE temp:1 temp:max AGGREGATION max 1h CREATE",
        "+OK",
    );
    client.expect("SAVE", "+OK");
    let digest = client.digest();

    let mut restored = Server::start();
    restored.kill9();
    std::fs::copy(
        source.folder().join("dump.rdb"),
        restored.folder().join("dump.rdb"),
    )
    .unwrap();
    restored.restart_with(&["--appendonly", "no"]);
    let mut client = restored.connect(Protocol::Resp2);
    assert_eq!(client.digest(), digest);
    client.expect("CONFIG SET appendonly yes", "+OK");
    restored.await_info("persistence", "aof_rewrite_in_progress:0");
    restored.await_info("persistence", "aof_last_bgrewrite_status:ok");
    restored.restart_with(&["--appendonly", "yes"]);
    let mut client = restored.connect(Protocol::Resp2);
    assert_eq!(client.digest(), digest);
    client.expect("IOT.ADD temp:1 3600000 1", "3600000");
    client.expect("IOT.RANGE temp:max - +", "[[0, #21]]");
}

#[test]
fn a_start_with_an_append_only_file_to_come_ignores_the_dump_file() {
    let mut server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.ADD temp:1 1 1", "1");
    client.expect("SAVE", "+OK");
    server.restart_with(&["--appendonly", "yes"]);
    server.connect(Protocol::Resp2).expect("DBSIZE", "0");
}

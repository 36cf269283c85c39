//! What becomes of a downsampling rule when the keys that it ties change: one test a row of the table
//! in `docs/rules.md`.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::notation::{render, words};
use support::server::{Server, await_that};

/// A master and a replica, which must come to the same ties.
struct Pair {
    master: Server,
    replica: Server,
}

impl Pair {
    fn start() -> Self {
        let (master, replica) = (Server::start(), Server::start());
        replica.replica_of(&master);
        Self { master, replica }
    }

    /// An emptied server with a rule from `src` to `dst` that has closed a bucket.
    fn tied(&self) -> Client {
        let mut client = self.master.connect(Protocol::Resp2);
        client.expect("FLUSHALL", "+OK");
        tie(&mut client);
        client
    }

    #[track_caller]
    fn check_replica(&self, client: &mut Client) {
        client.expect("WAIT 1 30000", "1");
        let mut replica = self.replica.connect(Protocol::Resp2);
        assert_eq!(client.digest(), replica.digest(), "the replica");
    }
}

fn tie(client: &mut Client) {
    client.expect("IOT.ADD src 10 1", "10");
    client.expect("IOT.CREATERULE src dst AGGREGATION sum 100 CREATE", "+OK");
    client.expect("IOT.MADD src 20 2 src 110 3", "[20, 110]");
    client.expect("IOT.RANGE dst - +", "[[0, #3]]");
}

/// What `IOT.INFO` says in a field.
fn field(client: &mut Client, key: &str, name: &str) -> String {
    let Value::Array(fields) = client.run(&format!("IOT.INFO {key}")) else {
        panic!("{key} has no fields");
    };
    let wanted = Value::BulkString(name.into());
    let mut pairs = fields.chunks(2).map(|pair| (&pair[0], &pair[1]));
    render(pairs.find(|(field, _)| **field == wanted).unwrap().1)
}

/// The rule goes on from one key to another.
#[track_caller]
fn check_lives(client: &mut Client, source: &str, destination: &str) {
    let rule = format!(r#"[["{destination}", 100, "SUM", 0]]"#);
    assert_eq!(field(client, source, "rules"), rule);
    assert_eq!(
        field(client, destination, "sourceKey"),
        format!("\"{source}\"")
    );
    client.expect(&format!("IOT.ADD {destination} 5 5"), "-ERR *destination*");
    client.expect(&format!("IOT.ADD {source} 30 7"), "30");
    client.expect(&format!("IOT.ADD {source} 250 7"), "250");
    client.expect(
        &format!("IOT.RANGE {destination} - +"),
        "[[0, #10], [100, #3]]",
    );
}

/// The destination is a series like any other.
#[track_caller]
fn check_free(client: &mut Client, destination: &str) {
    assert_eq!(field(client, destination, "sourceKey"), "nil");
    client.expect(&format!("IOT.ADD {destination} 7777 5"), "7777");
}

/// The rule ends when its next bucket is to be stored, and what is at the key is not touched.
#[track_caller]
fn check_ends(client: &mut Client) {
    let before = client.digest_of("dst");
    assert_ne!(field(client, "src", "rules"), "[]");
    client.expect("IOT.ADD src 120 1", "120");
    assert_ne!(field(client, "src", "rules"), "[]");
    client.expect("IOT.ADD src 1000 1", "1000");
    assert_eq!(field(client, "src", "rules"), "[]");
    assert_eq!(client.digest_of("dst"), before, "what is at the key");
    client.expect("IOT.ADD src 2000 1", "2000");
    assert_eq!(client.digest_of("dst"), before, "what is at the key");
}

#[test]
fn a_rename_of_either_end_or_both_is_followed() {
    let pair = Pair::start();
    let mut client = pair.tied();
    client.expect("RENAME src from", "+OK");
    check_lives(&mut client, "from", "dst");
    pair.check_replica(&mut client);

    let mut client = pair.tied();
    client.expect("RENAME dst to", "+OK");
    check_lives(&mut client, "src", "to");
    pair.check_replica(&mut client);

    let mut client = pair.tied();
    client.expect("MULTI", "+OK");
    client.expect("RENAMENX dst to", "+QUEUED");
    client.expect("RENAME src dst", "+QUEUED");
    client.expect("EXEC", "[1, +OK]");
    check_lives(&mut client, "dst", "to");
    pair.check_replica(&mut client);
}

#[test]
fn a_rename_onto_a_key_ends_the_ties_of_that_key() {
    let pair = Pair::start();
    // Onto a source, whose destination is free then.
    let mut client = pair.tied();
    client.expect("IOT.CREATE other", "+OK");
    client.expect("IOT.CREATERULE other its AGGREGATION sum 100 CREATE", "+OK");
    client.expect("RENAME src other", "+OK");
    check_lives(&mut client, "other", "dst");
    check_free(&mut client, "its");
    pair.check_replica(&mut client);
    // Onto a destination, whose rule ends.
    let mut client = pair.tied();
    client.expect("IOT.ADD other 1 1", "1");
    client.expect("RENAME other dst", "+OK");
    check_ends(&mut client);
    pair.check_replica(&mut client);
    // One destination onto another: one rule is left.
    let mut client = pair.tied();
    client.expect("IOT.CREATERULE src two AGGREGATION max 100 CREATE", "+OK");
    client.expect("RENAME dst two", "+OK");
    check_lives(&mut client, "src", "two");
    pair.check_replica(&mut client);
    // The ends onto each other: nothing is left to tie.
    let mut client = pair.tied();
    client.expect("RENAME src dst", "+OK");
    assert_eq!(field(&mut client, "dst", "rules"), "[]");
    check_free(&mut client, "dst");
    pair.check_replica(&mut client);
    let mut client = pair.tied();
    client.expect("RENAME dst src", "+OK");
    check_free(&mut client, "src");
    pair.check_replica(&mut client);
}

#[test]
fn a_rename_revives_no_tie_whose_other_end_is_gone() {
    let pair = Pair::start();
    // `src` had a rule to `dst`, and another series has one to the new `dst`.
    let mut client = pair.tied();
    client.expect("DEL dst", "1");
    client.expect("IOT.CREATE other", "+OK");
    client.expect("IOT.CREATERULE other dst AGGREGATION max 100 CREATE", "+OK");
    client.expect("RENAME src other", "+OK");
    check_free(&mut client, "dst");
    pair.check_replica(&mut client);
    // `dst` had a source, and a new series of that name has a rule to `gone`.
    let mut client = pair.tied();
    client.expect("DEL src", "1");
    client.expect("IOT.CREATE src", "+OK");
    client.expect("IOT.CREATERULE src gone AGGREGATION max 100 CREATE", "+OK");
    client.expect("DEL gone", "1");
    client.expect("RENAME dst gone", "+OK");
    check_free(&mut client, "gone");
    pair.check_replica(&mut client);
}

#[test]
fn a_name_too_long_to_be_stored_cuts_the_tie() {
    let pair = Pair::start();
    for (end, other) in [("src", "dst"), ("dst", "src")] {
        let mut client = pair.tied();
        let long = "x".repeat(65_536);
        client.expect(&format!("RENAME {end} {long}"), "+OK");
        client.expect("IOT.ADD src 2000 1", "2000");
        client.expect("DEBUG RELOAD", "+OK");
        client.expect(&format!("IOT.ADD {other} 3000 1"), "3000");
        client.expect(&format!("RENAME {long} short"), "+OK");
        client.expect("IOT.ADD short 4000 1", "4000");
        pair.check_replica(&mut client);
    }
}

/// Ways in which a series goes away from `KEY`; the last ones leave something else there.
const ENDS: [&str; 8] = [
    "DEL KEY",
    "UNLINK KEY",
    "PEXPIREAT KEY 1",
    "MOVE KEY 5",
    "RENAME KEY elsewhere:1",
    "SET KEY text",
    "SORT list BY nosort STORE KEY",
    "COPY plain KEY REPLACE",
];

#[test]
fn without_a_source_the_destination_is_a_series_like_any_other() {
    let pair = Pair::start();
    for end in ENDS.iter().filter(|end| !end.starts_with("RENAME")) {
        let mut client = pair.tied();
        client.expect("RPUSH list 1", "1");
        client.expect("IOT.ADD plain 1 1", "1");
        client.run(&end.replace("KEY", "src"));
        check_free(&mut client, "dst");
        client.run("DEL src");
        client.expect("IOT.ADD src 10 1", "10");
        client.expect("IOT.ADD src 999 1", "999");
        client.expect("IOT.RANGE dst - +", "[[0, #3], [7777, #5]]");
        client.expect("IOT.CREATE fresh", "+OK");
        client.expect(
            "IOT.CREATERULE fresh dst AGGREGATION sum 100 BACKFILL",
            "+OK",
        );
        pair.check_replica(&mut client);
    }
}

#[test]
fn without_a_destination_the_rule_ends_when_a_bucket_is_to_be_stored() {
    let pair = Pair::start();
    for end in ENDS.iter().filter(|end| !end.starts_with("RENAME")) {
        let mut client = pair.tied();
        client.expect("RPUSH list 1", "1");
        client.expect("IOT.ADD plain 1 1", "1");
        client.run(&end.replace("KEY", "dst"));
        check_ends(&mut client);
        pair.check_replica(&mut client);
        // A key that is made anew under the name is nobody's destination.
        let mut client = pair.tied();
        client.run("DEL dst");
        client.expect("IOT.ADD dst 5 5", "5");
        check_ends(&mut client);
        client.expect("IOT.ADD dst 7 7", "7");
        pair.check_replica(&mut client);
    }
}

#[test]
fn expiry_and_eviction_end_a_tie() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    tie(&mut client);
    client.expect("PEXPIRE dst 1", "1");
    await_that("dst expires", || client.integer("EXISTS dst") == 0);
    client.expect("IOT.ADD src 1000 1", "1000");
    assert_eq!(field(&mut client, "src", "rules"), "[]");
    client.expect("FLUSHALL", "+OK");
    tie(&mut client);
    client.expect("EXPIRE src 100000", "1");
    client.expect("CONFIG SET maxmemory-policy volatile-ttl", "+OK");
    client.expect("CONFIG SET maxmemory 1", "+OK");
    await_that("src is evicted", || client.integer("EXISTS src") == 0);
    client.expect("CONFIG SET maxmemory 0", "+OK");
    check_free(&mut client, "dst");
}

#[test]
fn a_copy_has_no_ties() {
    let pair = Pair::start();
    let mut client = pair.tied();
    client.expect("COPY src from", "1");
    client.expect("COPY dst to", "1");
    assert_eq!(field(&mut client, "from", "rules"), "[]");
    check_free(&mut client, "to");
    client.expect("IOT.ADD from 999 1", "999");
    check_lives(&mut client, "src", "dst");
    pair.check_replica(&mut client);
}

#[test]
fn what_is_moved_or_restored_has_no_ties() {
    let pair = Pair::start();
    for key in ["src", "dst"] {
        let mut client = pair.tied();
        let Value::BulkString(dump) = client.run(&format!("DUMP {key}")) else {
            panic!("no dump");
        };
        for end in ["", " REPLACE"] {
            let name = if end.is_empty() { "new" } else { key };
            let mut line = words(&format!("RESTORE {name} 0"));
            line.push(dump.clone());
            line.extend(words(end));
            client.expect(&format!("IOT.INFO {key}"), "_");
            assert_eq!(client.call(&line), Value::Okay);
            assert_eq!(field(&mut client, name, "rules"), "[]");
            assert_eq!(field(&mut client, name, "sourceKey"), "nil");
        }
        if key == "dst" {
            check_ends(&mut client);
        } else {
            check_free(&mut client, "dst");
        }
        pair.check_replica(&mut client);

        let mut client = pair.tied();
        client.expect(&format!("MOVE {key} 3"), "1");
        client.expect("SELECT 3", "+OK");
        assert_eq!(field(&mut client, key, "rules"), "[]");
        client.expect(&format!("IOT.ADD {key} 5000 1"), "5000");
        client.expect(&format!("MOVE {key} 0"), "1");
        client.expect("SELECT 0", "+OK");
        assert_eq!(field(&mut client, key, "rules"), "[]");
        client.expect(&format!("IOT.ADD {key} 6000 1"), "6000");
        pair.check_replica(&mut client);
    }
}

#[test]
fn databases_have_rules_of_their_own() {
    let pair = Pair::start();
    let mut client = pair.tied();
    client.expect("SELECT 7", "+OK");
    tie(&mut client);
    client.expect("SWAPDB 7 2", "+OK");
    client.expect("SELECT 2", "+OK");
    check_lives(&mut client, "src", "dst");
    client.expect("SELECT 0", "+OK");
    client.expect("IOT.RANGE dst - +", "[[0, #3]]");
    client.expect("FLUSHDB", "+OK");
    client.expect("SELECT 2", "+OK");
    client.expect("DEBUG RELOAD", "+OK");
    client.expect("SELECT 2", "+OK");
    client.expect("IOT.ADD src 500 1", "500");
    client.expect("IOT.RANGE dst 200 +", "[[200, #7]]");
    pair.check_replica(&mut client);
}

#[test]
fn a_user_who_may_not_touch_the_destination_moves_it_all_the_same() {
    let server = Server::start();
    let mut admin = server.connect(Protocol::Resp2);
    tie(&mut admin);
    admin.expect(
        "ACL SETUSER writer reset on >word +@all ~src ~mine %R~seen",
        "+OK",
    );
    admin.expect("IOT.CREATE seen", "+OK");
    let mut client = server.connect(Protocol::Resp2);
    client.expect("AUTH writer word", "+OK");
    client.expect("IOT.ADD src 200 1", "200");
    client.expect("IOT.RANGE dst - +", "-NOPERM *");
    client.expect("IOT.DELETERULE src dst", "-NOPERM *");
    client.expect(
        "IOT.CREATERULE src seen AGGREGATION sum 100 BACKFILL",
        "-NOPERM *",
    );
    client.expect(
        "IOT.CREATERULE seen mine AGGREGATION sum 100 CREATE",
        "-NOPERM *",
    );
    client.expect("IOT.CREATERULE src mine AGGREGATION sum 100 CREATE", "+OK");
    admin.expect("IOT.RANGE dst - +", "[[0, #3], [100, #3]]");
}

#[test]
fn a_chain_and_the_rules_of_a_series_are_limited() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.CREATE src", "+OK");
    for number in 0..64 {
        let line = format!("IOT.CREATERULE src dst:{number} AGGREGATION sum 100 CREATE");
        client.expect(&line, "+OK");
    }
    client.expect(
        "IOT.CREATERULE src more AGGREGATION sum 100 CREATE",
        "-ERR *64*",
    );
    client.expect("EXISTS more", "0");
    client.expect("IOT.MADD src 1 1 src 101 1", "[1, 101]");
    client.expect("IOT.RANGE dst:63 - +", "[[0, #1]]");

    // At the end, at the beginning, and in the middle.
    client.expect("FLUSHALL", "+OK");
    client.expect("IOT.CREATE 0", "+OK");
    for number in 0..64 {
        let next = number + 1;
        let line = format!("IOT.CREATERULE {number} {next} AGGREGATION sum 1 CREATE");
        client.expect(&line, "+OK");
    }
    client.expect("IOT.CREATERULE 64 65 AGGREGATION sum 1 CREATE", "-ERR *64*");
    client.expect("IOT.CREATE top", "+OK");
    client.expect("IOT.CREATERULE top 0 AGGREGATION sum 1", "-ERR *64*");
    client.expect("IOT.DELETERULE 30 31", "+OK");
    client.expect("IOT.CREATERULE top 0 AGGREGATION sum 1", "+OK");
    client.expect("IOT.CREATERULE 30 31 AGGREGATION sum 1", "-ERR *64*");
    client.expect("IOT.DELETERULE top 0", "+OK");
    client.expect("IOT.CREATERULE 30 31 AGGREGATION sum 1", "+OK");
    client.expect("IOT.ADDBULK 0 SAMPLES 1 1 100 2 200 3", "_");
    client.expect("IOT.RANGE 1 - +", "[[1, #1], [100, #2]]");
    client.expect("IOT.RANGE 2 - +", "[[1, #1]]");
}

#[test]
fn a_circle_is_refused_where_it_would_live_only() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    tie(&mut client);
    client.expect(
        "IOT.CREATERULE dst src AGGREGATION sum 100 BACKFILL",
        "-ERR the rule would close a circle: dst -> src -> dst",
    );
    // The rule of `src` has lost its destination; the new key of that name is another's.
    client.expect("DEL dst", "1");
    client.expect("IOT.ADD dst 1 1", "1");
    client.expect("IOT.CREATERULE dst src AGGREGATION sum 100 BACKFILL", "+OK");
    client.expect("IOT.ADDBULK dst SAMPLES 100 1 200 2 300 3", "_");
    client.expect("IOT.RANGE src - +", "[[0, #1], [100, #1], [200, #2]]");
    client.expect(
        "IOT.RANGE dst - +",
        "[[1, #1], [100, #1], [200, #2], [300, #3]]",
    );
    assert_eq!(field(&mut client, "src", "rules"), "[]");
}

#[test]
fn info_tells_of_rules_in_both_protocols() {
    let server = Server::start();
    for protocol in Protocol::BOTH {
        let mut client = server.connect(protocol);
        client.expect("FLUSHALL", "+OK");
        client.expect("IOT.CREATE src", "+OK");
        for line in [
            "IOT.CREATERULE src a AGGREGATION avg 1m 7 CREATE LABELS kind x",
            "IOT.CREATERULE src b AGGREGATION p99.9 1mo TZ Europe/Berlin CREATE",
            "IOT.CREATERULE src c AGGREGATION timein(-2.5) 1d TZ UTC CREATE",
        ] {
            client.expect(line, "+OK");
        }
        let source = render(&client.run("IOT.INFO src"));
        let destination = render(&client.run("IOT.INFO a"));
        let rules = match protocol {
            Protocol::Resp2 => {
                r#""rules", [["a", 60000, "AVG", 7], ["b", "1mo", "P99.9", 0], ["c", 86400000, "TIMEIN(-2.5)", 0]]"#
            }
            Protocol::Resp3 => {
                r#""rules": {"a": [60000, "AVG", 7], "b": ["1mo", "P99.9", 0], "c": [86400000, "TIMEIN(-2.5)", 0]}"#
            }
        };
        assert!(source.contains(rules), "{source}");
        let tie = match protocol {
            Protocol::Resp2 => r#""sourceKey", "src""#,
            Protocol::Resp3 => r#""sourceKey": "src""#,
        };
        assert!(destination.contains(tie), "{destination}");
        client.expect("IOT.DELETERULE src a", "+OK");
        let destination = render(&client.run("IOT.INFO a"));
        assert!(!destination.contains(tie), "{destination}");
    }
}

#[test]
fn latest_shows_open_buckets_of_many_series() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.CREATE src LABELS kind sum", "+OK");
    client.expect(
        "IOT.CREATERULE src dst AGGREGATION sum 100 DELAY 100 CREATE LABELS kind sum",
        "+OK",
    );
    client.expect("IOT.ADDBULK src SAMPLES 10 1 110 2 120 3 210 4", "_");
    for (line, reply) in [
        (
            "IOT.MGET FILTER kind=sum",
            r#"[["dst", [], [0, #1]], ["src", [], [210, #4]]]"#,
        ),
        (
            "IOT.MGET LATEST FILTER kind=sum",
            r#"[["dst", [], [200, #4]], ["src", [], [210, #4]]]"#,
        ),
        (
            "IOT.MRANGE 100 + LATEST FILTER kind=sum",
            r#"[["dst", [], [[100, #5], [200, #4]]], ["src", [], [[110, #2], [120, #3], [210, #4]]]]"#,
        ),
        (
            "IOT.MREVRANGE 100 + LATEST COUNT 1 FILTER kind=sum",
            r#"[["dst", [], [[200, #4]]], ["src", [], [[210, #4]]]]"#,
        ),
        (
            "IOT.NREVRANGE 2 src dst 200 + LATEST",
            "[[210, [#4, #NaN]], [200, [#NaN, #4]]]",
        ),
    ] {
        client.expect(line, reply);
    }
}

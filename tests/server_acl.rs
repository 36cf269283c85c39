//! Commands that find series by a filter show and change nothing that the user may not.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::notation::{error_text, render, words};
use support::server::Server;

/// What each command shows of many series.
const READS: [&str; 4] = [
    "IOT.MGET FILTER kind=temp",
    "IOT.MRANGE - + FILTER kind=temp",
    "IOT.MREVRANGE - + FILTER kind=temp",
    "IOT.MRANGE - + FILTER kind=temp LIMIT 0 1",
];
/// What changes many series.
const WRITES: [&str; 5] = [
    "IOT.MDEL FILTER kind=temp",
    "IOT.MDEL 0 1 FILTER kind=temp",
    "IOT.MDEL FILTER kind=temp DRYRUN",
    "IOT.MALTER FILTER kind=temp SET LABELS kind other",
    "IOT.MALTER FILTER kind=temp DRYRUN SET RETENTION 1",
];
/// Numbers of series: from 512 on rights are asked for in another way.
const SIZES: [usize; 2] = [2, 600];

/// A server with this many series, one of which is secret, and the client that may do everything.
fn server(size: usize) -> (Server, Client) {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    fill(&mut client, size);
    (server, client)
}

fn fill(client: &mut Client, size: usize) {
    client.expect("FLUSHALL", "+OK");
    for at in 1..size {
        client.expect(
            &format!("IOT.ADD open:{at} 1 1 LABELS kind temp room {at}"),
            "1",
        );
    }
    client.expect(
        "IOT.ADD secret:1 1 1 LABELS kind temp room hidden vault 1",
        "1",
    );
}

/// A client that acts for a user with these rights.
fn user(server: &Server, admin: &mut Client, rights: &str, protocol: Protocol) -> Client {
    admin.expect(
        &format!("ACL SETUSER someone reset on >word {rights}"),
        "+OK",
    );
    let mut client = server.connect(protocol);
    client.expect("AUTH someone word", "+OK");
    client
}

/// The reply to a line as a command, in a transaction and in a script.
fn everywhere(client: &mut Client, line: &str) -> [String; 3] {
    let plain = render(&client.run(line));
    client.expect("MULTI", "+OK");
    client.expect(line, "+QUEUED");
    let in_transaction = match client.run("EXEC") {
        redis::Value::Array(replies) => render(&replies[0]),
        other => panic!("EXEC replied {}", render(&other)),
    };
    let mut script = words("EVAL \"return redis.pcall(unpack(ARGV))\" 0");
    script.extend(words(line));
    [plain, in_transaction, render(&client.call(&script))]
}

#[track_caller]
fn expect_refused(client: &mut Client, line: &str) {
    for reply in everywhere(client, line) {
        assert!(reply.starts_with("-\"NOPERM"), "{line}: {reply}");
    }
}

#[track_caller]
fn expect_allowed(client: &mut Client, line: &str) {
    for reply in everywhere(client, line) {
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
}

#[test]
fn nobody_reads_a_series_that_is_not_theirs() {
    for size in SIZES {
        let (server, mut admin) = server(size);
        for protocol in Protocol::BOTH {
            for rights in [
                "+@all ~open:*",
                "+@all ~open:* %W~secret:*",
                "+@all %R~open:*",
                "+@all ~open:* (+@all ~other)",
            ] {
                let mut client = user(&server, &mut admin, rights, protocol);
                for line in READS {
                    expect_refused(&mut client, line);
                    expect_allowed(&mut client, &line.replace("kind=temp", "kind=temp vault="));
                }
                for reply in everywhere(&mut client, "IOT.QUERYINDEX kind=temp") {
                    assert!(
                        reply.contains("open:1") && !reply.contains("secret"),
                        "{reply}"
                    );
                }
                for reply in everywhere(&mut client, "IOT.QUERYLABELS LABELS") {
                    assert_eq!(reply, r#"["kind", "room"]"#);
                }
                for line in [
                    "VALUES room",
                    "VALUES room FILTER kind=temp",
                    "VALUES vault",
                ] {
                    for reply in everywhere(&mut client, &format!("IOT.QUERYLABELS {line}")) {
                        assert!(
                            !reply.contains("hidden") && !reply.contains("vault"),
                            "{reply}"
                        );
                        assert_eq!(reply.contains("\"1\""), line.contains("room"), "{reply}");
                    }
                }
                client.expect("IOT.CARD FILTER kind=temp", &size.to_string());
            }
        }
    }
}

#[test]
fn nobody_changes_a_series_that_they_may_only_read() {
    for size in SIZES {
        let (server, mut admin) = server(size);
        for rights in [
            "+@all %R~*",
            "+@all ~open:*",
            "+@all ~open:* %R~secret:*",
            "+@all ~open:* (+@all %R~*)",
        ] {
            let mut client = user(&server, &mut admin, rights, Protocol::Resp2);
            let before = admin.digest();
            for line in WRITES {
                expect_refused(&mut client, line);
                assert_eq!(admin.digest(), before, "{rights}: {line}");
            }
            if rights.contains("%R") {
                for line in READS {
                    expect_allowed(&mut client, line);
                }
            }
            // What they may change is theirs to change.
            if rights.contains("~open:*") {
                for line in WRITES {
                    expect_allowed(&mut client, &line.replace("kind=temp", "kind=temp vault="));
                }
                assert_ne!(admin.digest(), before);
                fill(&mut admin, size);
            }
        }
    }
}

#[test]
fn users_who_may_do_everything_do() {
    for size in SIZES {
        let (server, mut admin) = server(size);
        for rights in [
            "+@all ~*",
            "+@all allkeys",
            "+@all %RW~*",
            "+@all %R~* %W~*",
            "+@all ~open:* ~secret:*",
            "+@all ~open:* (+@all ~secret:*)",
            "+@all (+@all ~*)",
        ] {
            for protocol in Protocol::BOTH {
                let mut client = user(&server, &mut admin, rights, protocol);
                for line in READS.iter().chain(&WRITES) {
                    expect_allowed(&mut client, line);
                    fill(&mut admin, size);
                }
                let reply = render(&client.run("IOT.QUERYLABELS VALUES vault"));
                assert_eq!(reply, r#"["1"]"#, "{rights}");
                let reply = render(&client.run("IOT.QUERYINDEX kind=temp"));
                assert!(reply.contains("secret:1"), "{rights}");
            }
        }
    }
}

#[test]
fn rights_that_change_count_at_once() {
    let (server, mut admin) = server(600);
    let mut client = user(&server, &mut admin, "+@all ~*", Protocol::Resp3);
    expect_allowed(&mut client, READS[0]);
    admin.expect("ACL SETUSER someone resetkeys ~open:*", "+OK");
    expect_refused(&mut client, READS[0]);
    expect_refused(&mut client, WRITES[0]);
    // They need no right to other commands, those that the module asks the server with included.
    admin.expect("ACL SETUSER someone -@all +iot.mget +iot.queryindex", "+OK");
    let reply = client.run(READS[0]);
    assert!(
        error_text(&reply).starts_with("NOPERM"),
        "{}",
        render(&reply)
    );
    admin.expect("ACL SETUSER someone ~*", "+OK");
    let reply = render(&client.run("IOT.QUERYINDEX vault=1"));
    assert_eq!(reply, r#"["secret:1"]"#);
    assert!(!render(&client.run(READS[0])).starts_with('-'));
}

#[test]
fn what_a_user_changed_reaches_the_replica_and_the_file() {
    let mut master = Server::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let replica = Server::start();
    replica.replica_of(&master);
    let mut admin = master.connect(Protocol::Resp2);
    fill(&mut admin, 600);
    let mut client = user(&master, &mut admin, "+@all ~open:*", Protocol::Resp2);
    client.expect(
        "IOT.MDEL FILTER room<50",
        "[\"series\", 49, \"samples\", 49]",
    );
    client.expect("IOT.MALTER FILTER room>=50 SET LABELS kind other", "550");
    admin.expect("WAIT 1 30000", "1");
    let digest = admin.digest();
    assert_eq!(replica.connect(Protocol::Resp2).digest(), digest);
    master.kill9();
    master.restart();
    assert_eq!(master.connect(Protocol::Resp2).digest(), digest);
}

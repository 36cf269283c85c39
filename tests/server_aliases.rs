//! The commands under their other names, `TS.*`: only where they are wanted, and only to clients;
//! replicas and the append-only file get `IOT.*`, so neither has to know the other names.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::notation::render;
use support::server::Server;

const WANTED: [&str; 2] = ["TS-ALIASES", "yes"];

/// What both names have.
const SHARED: [&str; 17] = [
    "ADD",
    "ALTER",
    "CREATE",
    "DECRBY",
    "DEL",
    "GET",
    "INCRBY",
    "INFO",
    "MADD",
    "MGET",
    "MRANGE",
    "MREVRANGE",
    "QUERYINDEX",
    "QUERYLABELS",
    "RANGE",
    "READ",
    "REVRANGE",
];

/// What has another name as soon as there is a command of ours.
const LATER: [&str; 4] = ["CREATERULE", "DELETERULE", "NRANGE", "NREVRANGE"];

/// Writes of every kind, in several spellings; those with `*` would differ if they were repeated.
const WRITES: [&str; 19] = [
    "TS.CREATE a RETENTION 9000000 DUPLICATE_POLICY LAST LABELS kind x",
    "ts.create b ENCODING UNCOMPRESSED LABELS kind y",
    "TS.ADD b 1000 1.5",
    "ts.add b 2000 2 LABELS room 1 ON_DUPLICATE SUM",
    "Ts.Add new * 2 LABELS kind y",
    "TS.MADD a * 1 b 3000 3 b 4000 4",
    "ts.madd a * 2 b * 5",
    "TS.INCRBY n 2 TIMESTAMP 500",
    "TS.INCRBY n 2",
    "ts.incrby n 0.5 TIMESTAMP *",
    "TS.DECRBY n 1.25 LABELS kind n",
    "TS.DEL b 0 1000",
    "ts.del b 3000 +",
    "TS.ALTER new LABELS kind z room 2",
    "ts.alter b RETENTION 5000 CHUNK_SIZE 128 IGNORE 5 0.5",
    "EVAL \"redis.call('TS.CREATE', 's', 'LABELS', 'a', 'b') return redis.call('ts.add', 's', '*', 1)\" 1 s",
    "EVAL \"return redis.call('Ts.IncrBy', 's', 1)\" 1 s",
    "TS.CREATE gone",
    "DEL gone",
];

/// Writes that are refused, wholly or in one item.
const REFUSED: [&str; 5] = [
    "TS.CREATE a",
    "TS.ADD b x 1",
    "TS.DEL none 0 1",
    "TS.ALTER none RETENTION 1",
    "TS.INCRBY n 1 TIMESTAMP 1",
];

#[track_caller]
fn write_everything(client: &mut Client) {
    for line in WRITES {
        let reply = client.run(line);
        assert!(
            !matches!(reply, Value::ServerError(_)),
            "{line}: {}",
            render(&reply)
        );
    }
    for line in REFUSED {
        client.expect(line, "-ERR*");
    }
    client.expect("TS.MADD none 1 1 a * 7", "[-\"ERR *\", int]");
    client.expect("MULTI", "+OK");
    client.expect("TS.ADD m * 1", "+QUEUED");
    client.expect("TS.ADD m 5 1", "+QUEUED");
    client.expect("EXEC", "[int, int]");
}

#[test]
fn nobody_has_the_other_names_unasked() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.expect(
        "CONFIG GET redis-iot.ts-aliases",
        "[\"redis-iot.ts-aliases\", \"no\"]",
    );
    for name in SHARED {
        client.expect(&format!("TS.{name} t 1 1"), "-ERR unknown command*");
        client.expect(&format!("COMMAND INFO TS.{name}"), "[nil]");
    }
}

#[test]
fn all_of_them_are_there_when_they_are_wanted() {
    for wanted in [&WANTED[..], &["--redis-iot.ts-aliases", "yes"]] {
        let server = Server::start_with(wanted);
        let mut client = server.connect(Protocol::Resp2);
        let commands = client.module_commands();
        for name in SHARED {
            for name in [format!("IOT.{name}"), format!("TS.{name}")] {
                assert!(commands.contains(&name), "{name} is missing: {commands:?}");
            }
        }
        for name in LATER {
            let [ours, theirs] =
                ["IOT", "TS"].map(|prefix| commands.contains(&format!("{prefix}.{name}")));
            assert_eq!(ours, theirs, "{name} has no other name");
        }
        client.expect("TS.ADD t 1 1", "1");
        client.expect("IOT.GET t", "[1, #1]");
        client.expect("TS.INGEST ITEMS t 1 1", "-ERR unknown command*");
        client.expect("CONFIG SET redis-iot.ts-aliases no", "-ERR*");
    }
}

#[test]
fn a_name_that_is_taken_is_left_or_stops_the_start() {
    // As good as another module that has the name: a command of the server is called so.
    let taken = ["--rename-command", "ECHO", "TS.ADD"];
    let log = Server::refusal_of(&[&WANTED[..], &taken].concat());
    assert!(
        log.contains("TS.ADD: is another module using the name?"),
        "{log}"
    );
    let server = Server::start_with(&[&["TS-ALIASES", "auto"][..], &taken].concat());
    let mut client = server.connect(Protocol::Resp2);
    client.expect("TS.ADD hello", "\"hello\"");
    client.expect("TS.CREATE t", "+OK");
    client.expect("IOT.ADD t 1 1", "1");
    client.expect("TS.GET t", "[1, #1]");
}

#[test]
fn a_replica_need_not_know_them() {
    let master = Server::start_with(&[&WANTED[..], &["--appendonly", "yes"]].concat());
    let replica = Server::start();
    replica.replica_of(&master);
    let mut client = master.connect(Protocol::Resp2);
    write_everything(&mut client);
    client.expect("WAIT 1 30000", "1");
    let mut replica = replica.connect(Protocol::Resp2);
    for key in ["a", "b", "new", "n", "s", "m"] {
        assert_eq!(client.digest_of(key), replica.digest_of(key), "{key}");
    }
    assert_eq!(client.digest(), replica.digest());
}

#[test]
fn the_append_only_file_does_not_have_them() {
    let mut server = Server::start_with(&[&WANTED[..], &["--appendonly", "yes"]].concat());
    let mut client = server.connect(Protocol::Resp2);
    write_everything(&mut client);
    let (digest, size) = (client.digest(), client.integer("DBSIZE"));
    let file = server.append_only_files("incr").concat();
    let text = String::from_utf8_lossy(&file);
    // All writes travel as some of these.
    for name in ["CREATE", "ALTER", "ADD", "ADDBULK", "DEL"] {
        assert!(
            text.contains(&format!("\nIOT.{name}\r\n")),
            "{name}\n{text}"
        );
    }
    assert!(!text.to_uppercase().contains("\nTS."), "{text}");

    server.restart_with(&["--appendonly", "yes"]);
    let mut client = server.connect(Protocol::Resp2);
    client.expect("TS.GET a", "-ERR unknown command*");
    assert_eq!((client.digest(), client.integer("DBSIZE")), (digest, size));
}

#[test]
fn access_is_granted_by_each_name() {
    let server = Server::start_with(&WANTED);
    let mut admin = server.connect(Protocol::Resp2);
    admin.expect("TS.ADD b 1 1 LABELS kind x", "1");
    let as_user = |rules: &str, lines: &[(&str, &str)]| {
        let mut admin = server.connect(Protocol::Resp2);
        admin.expect(&format!("ACL SETUSER user reset on nopass {rules}"), "+OK");
        let mut client = server.connect(Protocol::Resp2);
        client.expect("AUTH user any", "+OK");
        for (line, expected) in lines {
            client.expect(line, expected);
        }
    };
    let denied = "-NOPERM*";
    as_user(
        "~a* +ts.add +ts.mget +ts.queryindex",
        &[
            ("TS.ADD a 1 1 LABELS kind y", "1"),
            ("TS.ADD b 2 1", denied),
            ("IOT.ADD a 2 1", denied),
            ("TS.GET a", denied),
            ("TS.MGET FILTER kind=y", "[[\"a\", [], [1, #1]]]"),
            ("TS.MGET FILTER kind=x", denied),
            ("TS.QUERYINDEX kind!=", "[\"a\"]"),
        ],
    );
    as_user(
        "%R~a %W~b +@all",
        &[
            ("TS.GET a", "[1, #1]"),
            ("TS.ADD a 3 1", denied),
            ("TS.DEL a 0 1", denied),
            ("TS.ADD b 3 1", "3"),
            ("TS.GET b", denied),
            ("TS.MADD a 4 1 b 4 1", denied),
        ],
    );
    as_user(
        "~* +@all -ts.add",
        &[("TS.ADD a 3 1", denied), ("IOT.ADD a 3 1", "3")],
    );
    // Only some servers let modules name categories.
    let categories: Vec<String> = redis::from_redis_value(admin.run("ACL CAT")).unwrap();
    if categories.iter().any(|name| name == "iot") {
        as_user(
            "~* +@iot -@write",
            &[("TS.GET b", "[3, #1]"), ("TS.ADD a 9 1", denied)],
        );
    }
}

#[test]
fn the_server_describes_them() {
    let server = Server::start_with(&WANTED);
    let mut client = server.connect(Protocol::Resp2);
    for name in SHARED {
        let [theirs, ours] = ["TS", "IOT"].map(|prefix| {
            let reply = client.run(&format!("COMMAND DOCS {prefix}.{name}"));
            let text = render(&reply);
            assert!(text.contains("summary"), "{prefix}.{name}: {text}");
            text.to_uppercase().replace(&format!("{prefix}.{name}"), "")
        });
        assert_eq!(theirs, ours, "{name}");
    }
    client.expect("COMMAND GETKEYS TS.MADD a 1 1 b 2 2", "[\"a\", \"b\"]");
    client.expect("COMMAND GETKEYS ts.range a - +", "[\"a\"]");
}

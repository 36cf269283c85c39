//! Hostile bytes: mutated payloads with a correct checksum. The server refuses them or takes them,
//! and goes on.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::aof::rewritten;
use support::client::{Client, Protocol};
use support::crc64::{crc64, seal};
use support::mutants::{FOOTER_BYTES, MODULE_HEADER_BYTES, mutate};
use support::notation::{packed, quoted, render, words};
use support::seeds::{FUZZ_SEED, Random};
use support::server::Server;

/// The words of a command.
type Line = Vec<Vec<u8>>;

/// Mutants of each payload.
const MUTANTS: usize = 1_500;
/// Mutants that are accepted before all of them are stored and loaded.
const ACCEPTED_BEFORE_RELOAD: usize = 50;

/// Series of all encodings, with blocks of all kinds.
fn fill(client: &mut Client) -> Vec<String> {
    let mut random = Random::new(FUZZ_SEED);
    let mut keys = vec!["empty".to_string()];
    client.expect("IOT.CREATE empty", "+OK");
    for encoding in ["COMPRESSED", "GORILLA", "UNCOMPRESSED"] {
        for len in [3_i64, 200] {
            let key = format!("{encoding}:{len}");
            let samples = (0..len).map(|index| {
                let value = if index % 3 == 0 {
                    random.any_value()
                } else {
                    random.reading()
                };
                (index * 1_000, value)
            });
            let mut bulk = words(&format!(
                "IOT.ADDBULK {key} ENCODING {encoding} CHUNK_SIZE 128 RETENTION 10000000 \
                 DUPLICATE_POLICY SUM IGNORE 1 1 LABELS room 12 kind temperature PACKED"
            ));
            bulk.push(packed(samples));
            client.call(&bulk);
            keys.push(key);
        }
    }
    client.run("IOT.ADDBULK ruled SAMPLES 0 1 100 2 200 3");
    for (rule, destination) in [
        ("ruled plain AGGREGATION sum 10", "plain"),
        (
            "ruled days AGGREGATION p99 1d TZ Europe/Berlin DELAY 1h",
            "days",
        ),
        ("plain months AGGREGATION timein(2) 1mo", "months"),
    ] {
        client.expect(&format!("IOT.CREATERULE {rule} BACKFILL CREATE"), "+OK");
        keys.push(destination.into());
    }
    keys.push("ruled".into());
    keys
}

/// Reads everything of a key that took a mutated payload.
fn read_fully(client: &mut Client, key: &str) {
    for line in [
        "IOT.INFO KEY DEBUG",
        "IOT.GET KEY",
        "MEMORY USAGE KEY",
        "DUMP KEY",
    ] {
        let reply = client.run(&line.replace("KEY", key));
        assert!(
            !matches!(reply, Value::ServerError(_)),
            "{line}: {}",
            render(&reply)
        );
    }
    let Value::Array(rows) = client.run(&format!("IOT.RANGE {key} - +")) else {
        panic!("an accepted series has a range");
    };
    let times: Vec<&Value> = rows
        .iter()
        .map(|row| match row {
            Value::Array(row) => &row[0],
            other => panic!("no row: {}", render(other)),
        })
        .collect();
    let in_order = times.windows(2).all(|pair| match (pair[0], pair[1]) {
        (Value::Int(a), Value::Int(b)) => a < b,
        _ => false,
    });
    assert!(in_order, "times rise: {times:?}");
    // A span of absurd times may be too much for the query, but not for the server.
    client.run(&format!(
        "IOT.RANGE {key} - + AGGREGATION avg,twa,std.s 1000 EMPTY"
    ));
    let Value::Array(reverse) = client.run(&format!("IOT.REVRANGE {key} - +")) else {
        panic!("an accepted series has a range backwards");
    };
    assert_eq!(reverse.len(), rows.len());
    // A mutant may be one that goes away by itself.
    client.expect(&format!("IOT.ALTER {key} IDLE_TTL 0"), "+OK");
    client.run(&format!("IOT.ADD {key} 150500 1 ON_DUPLICATE LAST"));
}

/// Gives mutants of `payload` to `command` and lets the server prove what it accepted.
fn check_mutants(
    server: &mut Server,
    mutant_of: &mut dyn FnMut() -> Vec<u8>,
    command: &dyn Fn(&str, Vec<u8>) -> Line,
) {
    let mut client = server.connect(Protocol::Resp2);
    client.expect("FLUSHALL", "+OK");
    let mut accepted = 0;
    for mutant in 0..MUTANTS {
        let key = format!("mutant:{mutant}");
        let line = command(&key, mutant_of());
        let text = || quoted(line.last().unwrap());
        let reply = client
            .try_call(&line)
            .unwrap_or_else(|lost| panic!("{}: {}\n{}", text(), lost.0, server.last_words()));
        match reply {
            Value::Okay => {
                accepted += 1;
                read_fully(&mut client, &key);
            }
            Value::ServerError(_) => {}
            other => panic!("{} replied {}", text(), render(&other)),
        }
        if accepted % ACCEPTED_BEFORE_RELOAD == 1 || mutant == MUTANTS - 1 {
            let before = client.digest();
            client.expect("DEBUG RELOAD", "+OK");
            assert_eq!(client.digest(), before, "what was accepted can be stored");
        }
    }
    server.assert_alive(&|| "the mutants".into());
}

#[test]
fn the_checksum_of_the_check_string_is_the_published_one() {
    assert_eq!(crc64(b"123456789"), 0xE9C6_D914_C4B8_D9CA);
}

#[test]
fn mutated_dumps_are_refused_or_whole() {
    let mut server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let keys = fill(&mut client);
    let payloads: Vec<Vec<u8>> = keys
        .iter()
        .map(|key| match client.run(&format!("DUMP {key}")) {
            Value::BulkString(payload) => payload,
            other => panic!("no payload: {}", render(&other)),
        })
        .collect();
    let restore = |key: &str, payload: Vec<u8>| {
        let mut line = words(&format!("RESTORE {key} 0"));
        line.push(payload);
        line
    };
    // The checksum is ours, so what is refused is refused by the module.
    assert_eq!(
        client.call(&restore("intact", seal(payloads[1].clone()))),
        Value::Okay
    );
    let mut random = Random::new(FUZZ_SEED + 1);
    for payload in payloads {
        let mut mutant = || {
            seal(mutate(
                &payload,
                MODULE_HEADER_BYTES,
                FOOTER_BYTES,
                &mut random,
            ))
        };
        check_mutants(&mut server, &mut mutant, &restore);
    }
}

#[test]
fn mutated_dumps_of_policies_are_refused_or_whole() {
    let mut server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    client.run(
        "IOT.POLICY SET p FILTER kind=temp \"(a=(1,2) OR b~=\\\"x|y\\\")\" c!= RULES avg 1h RETENTION 30d \
         p99.9 1500 ALIGN 5 max 1d TZ Europe/Berlin timein(2.5) 1mo DESTINATION {key}/{agg}/{bucket}",
    );
    let Value::BulkString(payload) = client.run("DUMP p") else {
        panic!("no payload");
    };
    let mut random = Random::new(FUZZ_SEED + 5);
    let mut accepted = 0;
    for index in 0..MUTANTS {
        let mutant = seal(mutate(
            &payload,
            MODULE_HEADER_BYTES,
            FOOTER_BYTES,
            &mut random,
        ));
        let mut line = words("RESTORE mutant 0");
        line.push(mutant.clone());
        line.push(b"REPLACE".to_vec());
        let reply = client
            .try_call(&line)
            .unwrap_or_else(|lost| panic!("{}: {}", quoted(&mutant), lost.0));
        if reply != Value::Okay {
            continue;
        }
        accepted += 1;
        // What was accepted says something, makes something, and can be stored.
        let said = render(&client.run("IOT.POLICY GET mutant"));
        client.run("IOT.CREATE t LABELS kind temp a 1 c 1");
        client.run("IOT.ADD t 1000 1");
        client.run("IOT.ADD t 99000000000 1");
        client.run("DEL t");
        if index % 8 == 0 {
            client.expect("DEBUG RELOAD", "+OK");
            assert_eq!(render(&client.run("IOT.POLICY GET mutant")), said);
        }
    }
    assert!(accepted > 0, "some mutants differ in what may differ");
    server.assert_alive(&|| "the mutants".into());
}

#[test]
fn a_circle_of_rules_that_forged_bytes_tie_comes_to_an_end() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--aof-use-rdb-preamble", "no"]);
    let mut client = server.connect(Protocol::Resp2);
    let mut forged = Vec::new();
    for (key, other, rule) in [("a", "b", "sum 10"), ("b", "a", "sum 10 5")] {
        client.expect("FLUSHALL", "+OK");
        client.expect("IOT.CREATE x", "+OK");
        client.expect(
            &format!("IOT.CREATERULE x {key} AGGREGATION last 1 CREATE"),
            "+OK",
        );
        client.expect(
            &format!("IOT.CREATERULE {key} {other} AGGREGATION {rule} CREATE"),
            "+OK",
        );
        let all = rewritten(&server, &mut client, "IOT.RESTORE");
        let mut line = all
            .into_iter()
            .find(|line| line[1] == key.as_bytes())
            .unwrap();
        let at = line[2]
            .windows(3)
            .position(|part| part == b"\x01\x00x")
            .unwrap();
        line[2][at + 2] = other.as_bytes()[0];
        forged.push(line);
    }
    client.expect("FLUSHALL", "+OK");
    for line in &forged {
        assert_eq!(client.call(line), Value::Okay);
    }
    for time in [1, 12, 33, 100, 27, 5_000] {
        for key in ["a", "b"] {
            client.run(&format!("IOT.ADD {key} {time} 1"));
        }
    }
    client.expect("DEL x", "0");
    client.expect("IOT.CREATERULE a c AGGREGATION sum 1 CREATE", "-ERR *");
    client.expect("IOT.CREATE y", "+OK");
    client.run("IOT.CREATERULE y a AGGREGATION sum 1 BACKFILL");
    server.assert_alive(&|| "a circle".into());
}

#[test]
fn mutated_payloads_of_restore_are_refused_or_whole() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--aof-use-rdb-preamble", "no"]);
    let mut client = server.connect(Protocol::Resp2);
    let keys = fill(&mut client);
    let commands = rewritten(&server, &mut client, "IOT.RESTORE");
    assert_eq!(commands.len(), keys.len());
    client.expect("CONFIG SET appendonly no", "+OK");

    let digest = client.digest_of("GORILLA:200");
    let restore = commands
        .iter()
        .find(|args| args[1] == b"GORILLA:200")
        .unwrap();
    client.expect("DEL GORILLA:200", "1");
    assert_eq!(client.call(restore), Value::Okay);
    assert_eq!(client.digest_of("GORILLA:200"), digest);

    let mut random = Random::new(FUZZ_SEED + 2);
    for args in &commands {
        for cut in 0..args[2].len().min(300) {
            let mut line = words("IOT.RESTORE cut");
            line.push(args[2][..cut].to_vec());
            let reply = client.call(&line);
            assert!(
                matches!(reply, Value::ServerError(_)),
                "cut at {cut}: {}",
                render(&reply)
            );
        }
        let mut mutant = || mutate(&args[2], 0, 0, &mut random);
        check_mutants(&mut server, &mut mutant, &|key, payload| {
            let mut line = words(&format!("IOT.RESTORE {key}"));
            line.push(payload);
            line
        });
    }
}

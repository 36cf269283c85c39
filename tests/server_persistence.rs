//! What is written stays: through every way the server stores, copies and loads a key, and when
//! the server is killed.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::notation::{number, packed, render, same_number, words};
use support::seeds::{PERSISTENCE_SEED, Random};
use support::server::Server;
use support::traffic::Traffic;

/// Random commands before each comparison.
const COMMANDS: usize = 1_500;
/// Samples that are read back to the bit.
const BIT_EXACT_SAMPLES: usize = 20_000;

/// A server that appends every write to its file before it replies.
fn durable(preamble: &str) -> Server {
    Server::start_with(&[
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--aof-use-rdb-preamble",
        preamble,
    ])
}

/// Fills two databases with everything a series can be.
fn fill(server: &Server, seed: u64) {
    let mut client = server.connect(Protocol::Resp2);
    for (database, seed) in [(0, seed), (3, seed + 1)] {
        client.expect(&format!("SELECT {database}"), "+OK");
        let mut traffic = Traffic::new(seed, 12);
        for _ in 0..COMMANDS {
            client.call(&traffic.command());
        }
        fill_encodings(&mut client, &mut traffic.random);
    }
    assert!(client.integer("DBSIZE") >= 12, "the traffic leaves keys");
}

fn fill_encodings(client: &mut Client, random: &mut Random) {
    for encoding in ["COMPRESSED", "GORILLA", "UNCOMPRESSED"] {
        let create = format!(
            "IOT.CREATE {encoding} ENCODING {encoding} CHUNK_SIZE 512 DUPLICATE_POLICY SUM \
             IGNORE 3 0.25 RETENTION 99999999 LABELS \"a\\x00b\" \"\\xff \" room 12"
        );
        client.expect(&create, "+OK");
        let samples = (0..3_000).map(|index| (index * 1_000, random.any_value()));
        let mut bulk = words(&format!("IOT.ADDBULK {encoding} PACKED"));
        bulk.push(packed(samples));
        client.call(&bulk);
        client.expect(&format!("IOT.DEL {encoding} 500500 700700"), "200");
        client.expect(
            &format!("IOT.CREATE empty:{encoding} ENCODING {encoding}"),
            "+OK",
        );
    }
}

/// Fills the server, lets it store and load everything by `reload`, and compares.
#[track_caller]
fn check_reload(server: &mut Server, seed: u64, reload: impl Fn(&mut Server)) {
    fill(server, seed);
    let before = server.connect(Protocol::Resp2).digest();
    assert_ne!(before, "0".repeat(40));
    reload(server);
    assert_eq!(server.connect(Protocol::Resp2).digest(), before);
    // What was loaded takes writes like what was stored.
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.ADD COMPRESSED 5000000000 1", "5000000000");
    client.expect("IOT.GET COMPRESSED", "[5000000000, #1]");
}

#[test]
fn a_dump_file_holds_everything() {
    check_reload(&mut Server::start(), PERSISTENCE_SEED, |server| {
        server
            .connect(Protocol::Resp2)
            .expect("DEBUG RELOAD", "+OK");
    });
}

#[test]
fn a_server_starts_again_from_its_dump_file() {
    let mut server = Server::start();
    check_reload(&mut server, PERSISTENCE_SEED + 10, |server| {
        server.shut_down("SAVE");
        server.restart();
    });
}

#[test]
fn the_append_only_file_replays_every_write() {
    check_reload(&mut durable("yes"), PERSISTENCE_SEED + 20, |server| {
        server
            .connect(Protocol::Resp2)
            .expect("DEBUG LOADAOF", "+OK");
    });
}

#[test]
fn a_rewritten_append_only_file_holds_everything() {
    for (seed, preamble) in [(30, "yes"), (40, "no")] {
        let mut server = durable(preamble);
        check_reload(&mut server, PERSISTENCE_SEED + seed, |server| {
            server.rewrite();
            server
                .connect(Protocol::Resp2)
                .expect("DEBUG LOADAOF", "+OK");
        });
        server.rewrite();
        let bases: Vec<Vec<u8>> = server.append_only_files(".base.");
        assert_eq!(bases.len(), 1);
        let commands = bases[0]
            .windows(11)
            .filter(|word| word == b"IOT.RESTORE")
            .count();
        assert_eq!(
            commands > 0,
            preamble == "no",
            "{commands} with preamble {preamble}"
        );
        let before = server.connect(Protocol::Resp2).digest();
        server.restart();
        assert_eq!(server.connect(Protocol::Resp2).digest(), before);
    }
}

#[test]
fn copies_are_equal_and_independent() {
    let server = Server::start();
    fill(&server, PERSISTENCE_SEED + 50);
    let mut client = server.connect(Protocol::Resp2);
    for key in ["COMPRESSED", "GORILLA", "UNCOMPRESSED", "empty:GORILLA"] {
        let digest = client.digest_of(key);
        client.expect(&format!("COPY {key} copy"), "1");
        assert_eq!(client.digest_of("copy"), digest, "COPY {key}");
        client.run("IOT.ADD copy 4000000 7");
        assert_ne!(client.digest_of("copy"), digest, "a copy can change");
        assert_eq!(client.digest_of(key), digest, "its original does not");
        client.run("DEL copy");

        let Value::BulkString(payload) = client.run(&format!("DUMP {key}")) else {
            panic!("DUMP {key} is no string");
        };
        let restore = [
            b"RESTORE".to_vec(),
            b"restored".to_vec(),
            b"0".to_vec(),
            payload,
        ];
        assert_eq!(client.call(&restore), Value::Okay);
        assert_eq!(client.digest_of("restored"), digest, "RESTORE {key}");
        client.run("DEL restored");

        client.expect(&format!("RENAME {key} renamed"), "+OK");
        assert_eq!(client.digest_of("renamed"), digest, "RENAME {key}");
        client.expect("MOVE renamed 7", "1");
        client.expect("SELECT 7", "+OK");
        assert_eq!(client.digest_of("renamed"), digest, "MOVE {key}");
        client.expect("COPY renamed back DB 0", "1");
        client.expect("DEL renamed", "1");
        client.expect("SELECT 0", "+OK");
        assert_eq!(
            client.digest_of("back"),
            digest,
            "COPY {key} to another database"
        );
        client.run("DEL back");
    }
}

#[test]
fn a_digest_sees_options_labels_and_every_bit_of_a_value() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let lines = [
        "IOT.ADDBULK KEY PACKED packed:1=1",
        "IOT.ADDBULK KEY PACKED packed:2=1",
        "IOT.ADDBULK KEY PACKED packed:1=0",
        "IOT.ADDBULK KEY PACKED packed:1=-0",
        "IOT.ADDBULK KEY PACKED packed:1=nan",
        "IOT.ADDBULK KEY PACKED packed:1=1,2=1",
        "IOT.ADDBULK KEY RETENTION 5 PACKED packed:1=1",
        "IOT.ADDBULK KEY DUPLICATE_POLICY BLOCK PACKED packed:1=1",
        "IOT.ADDBULK KEY IGNORE 1 0 PACKED packed:1=1",
        "IOT.ADDBULK KEY LABELS a b PACKED packed:1=1",
        "IOT.ADDBULK KEY LABELS a bc PACKED packed:1=1",
        "IOT.CREATE KEY",
    ];
    let mut digests = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        client.run(&line.replace("KEY", &format!("k{index}")));
        digests.push(client.digest_of(&format!("k{index}")));
    }
    let other_nan = f64::from_bits(f64::NAN.to_bits() ^ 1);
    let mut bulk = words("IOT.ADDBULK nan PACKED");
    bulk.push(packed([(1, other_nan)]));
    client.call(&bulk);
    digests.push(client.digest_of("nan"));
    for (index, digest) in digests.iter().enumerate() {
        let first = digests.iter().position(|other| other == digest);
        assert_eq!(first, Some(index), "a digest of its own");
    }
    // The way the samples came in, and the blocks they lie in, make no difference.
    client.run("IOT.ADDBULK one CHUNK_SIZE 48 SAMPLES 1 1 2 2 3 3 4 4 5 5 6 6 7 7 8 8 9 9");
    for time in [9, 3, 1, 2, 8, 4, 7, 5, 6] {
        client.run(&format!("IOT.ADD two {time} {time} CHUNK_SIZE 48"));
    }
    assert_eq!(client.digest_of("one"), client.digest_of("two"));
}

#[test]
fn any_bits_come_back_as_they_were_also_after_a_restart() {
    let mut random = Random::new(PERSISTENCE_SEED + 60);
    let mut now = 0;
    let samples: Vec<(i64, f64)> = (0..BIT_EXACT_SAMPLES)
        .map(|_| {
            now += if random.chance(5) {
                random.within(1..1 << 40)
            } else {
                1_000
            };
            (now, random.any_value())
        })
        .collect();
    let mut server = durable("yes");
    let mut client = server.connect(Protocol::Resp2);
    for encoding in ["COMPRESSED", "GORILLA", "UNCOMPRESSED"] {
        client.expect(&format!("IOT.CREATE {encoding} ENCODING {encoding}"), "+OK");
        for part in samples.chunks(7_000) {
            let mut bulk = words(&format!("IOT.ADDBULK {encoding} PACKED"));
            bulk.push(packed(part.iter().copied()));
            let reply = render(&client.call(&bulk));
            assert!(reply.contains(&format!(" {},", part.len())), "{reply}");
        }
    }
    check_samples(&server, &samples);
    let digest = client.digest();
    server.kill9();
    server.restart();
    check_samples(&server, &samples);
    server.rewrite();
    server.kill9();
    server.restart();
    check_samples(&server, &samples);
    assert_eq!(server.connect(Protocol::Resp2).digest(), digest);
}

#[track_caller]
fn check_samples(server: &Server, samples: &[(i64, f64)]) {
    for protocol in Protocol::BOTH {
        let mut client = server.connect(protocol);
        for key in ["COMPRESSED", "GORILLA", "UNCOMPRESSED"] {
            let Value::Array(rows) = client.run(&format!("IOT.RANGE {key} - +")) else {
                panic!("no array");
            };
            assert_eq!(rows.len(), samples.len());
            for (row, (time, value)) in rows.iter().zip(samples) {
                let Value::Array(row) = row else {
                    panic!("no row");
                };
                assert_eq!(row[0], Value::Int(*time));
                let have = number(&row[1], protocol).unwrap();
                assert!(
                    same_number(have, *value),
                    "{key} at {time}: {have:?}, not {value:?}"
                );
            }
        }
    }
}

//! Hostile bytes for fleets and sets of fences: mutated payloads with a correct checksum. The server
//! refuses them or takes them, and goes on.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::crc64::seal;
use support::mutants::{FOOTER_BYTES, MODULE_HEADER_BYTES, mutate};
use support::notation::{quoted, render, words};
use support::seeds::{FUZZ_SEED, Random};
use support::server::Server;

/// Mutants of each payload.
const MUTANTS: usize = 2_000;

/// Fleets and sets with everything that they can have.
const FILL: [&str; 16] = [
    "IOT.FLEET CREATE f TRAIL 100 RETENTION 1d MINDIST 1 MAXSPEED 1000000 EXPIRE 1h",
    "IOT.FENCE ADD z a CIRCLE 0 0 1000 META 2 kind depot name x GROUPS 2 g h DEVICES 2 d e DWELL 1h",
    "IOT.FENCE ADD z b BBOX -1 -1 1 1 SCHEDULE \"mon-fri 08:00-18:00; sat 10:00-12:00\" TZ Europe/Berlin BUFFER 5",
    "IOT.FENCE ADD z c POLYGON 4 -1 -1 1 -1 1 1 -1 1 HOLE 3 0.5 0.5 0.6 0.5 0.6 0.6 MINFIXES 3 EXPIRE 1d",
    "IOT.FENCE ADD z p POLYGON 4 0 80 90 80 180 80 -90 80",
    "IOT.FENCE ADD z e CORRIDOR 100 3 0 0 1 1 2 1 DETECT enter exit cross SPEEDLIMIT 5",
    "IOT.FENCE BIND f z DETECT enter exit dwell OUTSIDE 5 STREAM x MAXLEN 100 PUBLISH c",
    "IOT.FENCE BIND f y GROUP g STREAM x MAXLEN 100",
    "IOT.ROAM BIND f f RADIUS 100 STREAM x MAXLEN 100",
    "IOT.ROAM BIND f g RADIUS 100 PUBLISH c",
    "IOT.TRACK f d 0 0 TS 1000 SPEED 9 ALT 5 HEADING 3 ACC 4 FIELDS 2 fuel 0.5 plate B",
    "IOT.TRACK f d 0 0.001 TS 2000 SPEED 9",
    "IOT.TRACK f d 0 0.0005 TS 1500",
    "IOT.TRACK f d 0 0.002 TS 3000 SPEED 1 EXPIRE 100000",
    "IOT.MTRACK f e 0 0 1000 g 50 50 1000 h 180 90 1000",
    "IOT.MTRACK g e 0 0 1000 e 1 1 2000",
];

fn fill(client: &mut Client) {
    for line in FILL {
        let reply = render(&client.run(line));
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
}

/// Uses a key that took a mutated payload for all that it can be used for.
fn use_fully(client: &mut Client) {
    for line in [
        "IOT.FLEET INFO mutant",
        "IOT.FLEET LIST mutant",
        "IOT.POSITION mutant d e g h",
        "IOT.TRAIL mutant d - + SIMPLIFY 1",
        "IOT.NEARBY mutant 0 0 COUNT 100",
        "IOT.WITHIN mutant BBOX -180 -90 180 90",
        "IOT.FENCE BINDINGS mutant",
        "IOT.FENCE INFO mutant",
        "IOT.FENCE LIST mutant",
        "IOT.FENCE AT mutant 0 0",
        "IOT.FENCE NEAR mutant 0 0 COUNT 100 WITHDIST",
        "IOT.INTERSECTS mutant BBOX -180 -90 180 90",
        "IOT.FENCE GET mutant a",
        "IOT.FENCE GET mutant b",
        "IOT.FENCE GET mutant e",
        "MEMORY USAGE mutant",
        "COPY mutant copy REPLACE",
        // A fleet: it is compared; a set: others are compared with it.
        "IOT.TRACK mutant d 0 0.003 TS 9000000000000",
        "IOT.TRACK mutant d 5 5 TS 9000000000100",
        "IOT.TRACK mutant new 0 0",
        "IOT.FENCE ADD z q CIRCLE 5 5 1000",
        "IOT.FENCE DEL z q",
        "IOT.FENCE BIND user mutant STREAM x MAXLEN 100",
        "IOT.TRACK user d 0 0",
        "IOT.TRACK user d 90 85",
        "IOT.FENCE ADD mutant q CIRCLE 5 5 1000",
        "IOT.FENCE DEL mutant a b c e p q",
        "IOT.UNTRACK mutant d",
        "IOT.FENCE UNBIND mutant z",
        "IOT.FENCE UNBIND user mutant",
        "DEL user",
    ] {
        client.run(line);
    }
}

/// Gives mutants of a payload to a command, and uses what the server took.
fn check_mutants(payload: &[u8], ends: (usize, usize), command: &str, is_sealed: bool, seed: u64) {
    let mut server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    fill(&mut client);
    let mut random = Random::new(FUZZ_SEED + seed);
    let mut accepted = 0;
    for _ in 0..MUTANTS {
        let mut mutant = mutate(payload, ends.0, ends.1, &mut random);
        if is_sealed {
            mutant = seal(mutant);
        }
        let mut line = words(command);
        line.push(mutant.clone());
        let reply = client.try_call(&line).unwrap_or_else(|lost| {
            panic!("{}: {}\n{}", quoted(&mutant), lost.0, server.last_words())
        });
        match reply {
            Value::Okay => accepted += 1,
            Value::ServerError(_) => continue,
            other => panic!("{} replied {}", quoted(&mutant), render(&other)),
        }
        let digest = client.digest_of("mutant");
        if accepted % 16 == 1 {
            client.expect("DEBUG RELOAD", "+OK");
            // What expires may be gone.
            if client.integer("EXISTS mutant") == 1 {
                let after = client.digest_of("mutant");
                let fleet = render(&client.run("IOT.FLEET INFO mutant"));
                let may_expire = !fleet.contains("\"due\", nil") || fleet.starts_with('-');
                assert!(after == digest || may_expire, "{}", quoted(&mutant));
            }
        }
        use_fully(&mut client);
        let alive = client.try_call(&["PING"]);
        assert!(
            alive.is_ok(),
            "{}\n{}",
            quoted(&mutant),
            server.last_words()
        );
        client.run("DEL mutant copy");
    }
    eprintln!("ACCEPTED {accepted}");
    assert!(accepted > 0, "some mutants differ in what may differ");
    server.assert_no_panic();
    server.assert_alive(&|| "the mutants".into());
}

fn dump(key: &str) -> Vec<u8> {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    fill(&mut client);
    match client.run(&format!("DUMP {key}")) {
        Value::BulkString(payload) => payload,
        other => panic!("no payload: {}", render(&other)),
    }
}

#[test]
fn mutated_dumps_of_fleets_are_refused_or_whole() {
    let ends = (MODULE_HEADER_BYTES, FOOTER_BYTES);
    check_mutants(&dump("f"), ends, "RESTORE mutant 0", true, 20);
}

#[test]
fn mutated_dumps_of_fences_are_refused_or_whole() {
    let ends = (MODULE_HEADER_BYTES, FOOTER_BYTES);
    check_mutants(&dump("z"), ends, "RESTORE mutant 0", true, 21);
}

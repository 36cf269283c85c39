//! Fleets and fences through every way the server stores, copies and loads a key.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::crc64::seal;
use support::events::await_timer;
use support::fences_events::{events, items_of};
use support::fences_mix::Mix;
use support::notation::{render, words};
use support::seeds::{FENCES_SEED, Random};
use support::server::{Server, await_that};

/// Commands of the mix.
const STEPS: usize = 400;
/// Mutants of each payload.
const MUTANTS: usize = 1_500;
/// Keys that are stored.
const KEYS: [&str; 4] = ["cars", "areas", "rich", "everywhere"];

/// Fills a server with fleets and fences that have everything that any can have. Nothing is due soon.
fn fill(client: &mut Client, seed: u64) {
    let mut mix = Mix::new(seed, client);
    for _ in 0..STEPS {
        mix.step(client);
    }
    mix.settle(client);
    for line in [
        "DEL zones spare",
        "IOT.FENCE UNBIND cars zones",
        "IOT.FLEET CREATE rich TRAIL 100 RETENTION 1d MINDIST 1 MINTIME 1 MAXSPEED 1000000 MAXACC 500 \
         JITTER yes LATE TRAIL EXPIRE 1d",
        "IOT.FENCE ADD everywhere circle CIRCLE 179.99 0 5000 META 2 \"\\x00\" \"\\xff\" kind depot",
        "IOT.FENCE ADD everywhere pole CIRCLE 0 90 500000 GROUPS 2 cold \"\\x00\"",
        "IOT.FENCE ADD everywhere box BBOX 179 -1 -179 1 DEVICES 2 a \"\\xfe\" EXPIRE 1d",
        "IOT.FENCE ADD everywhere area POLYGON 4 0 0 9 0 9 9 0 9 HOLE 4 1 1 8 1 8 8 1 8 \
         POLYGON 3 2 2 3 2 2 3 DETECT enter exit cross dwell inside outside overspeed DWELL 1h \
         BUFFER 20 MINFIXES 3 SPEEDLIMIT 13.9",
        "IOT.FENCE ADD everywhere way CORRIDOR 300 3 0 0 1 1 2 0 \
         SCHEDULE \"mon-fri 08:00-18:00\" TZ Europe/Berlin",
        "IOT.FENCE ADD everywhere \"\\x00 \\xff\" CIRCLE 1 1 1",
        "IOT.FENCE BIND rich everywhere DETECT enter exit dwell STREAM events MAXLEN 100 PUBLISH news",
        "IOT.FENCE BIND rich areas GROUP red STREAM events",
        "IOT.ROAM BIND rich cars RADIUS 500 STREAM events PUBLISH \"\\x00\"",
        "IOT.ROAM BIND rich rich RADIUS 5.5 STREAM events",
    ] {
        let reply = client.run(line);
        assert!(
            !matches!(reply, Value::ServerError(_)),
            "{line}: {}",
            render(&reply)
        );
    }
    let mut random = Random::new(seed);
    for number in 0..300 {
        let (x, y) = (random.within(0..9_000_000), random.within(0..9_000_000));
        let (device, time) = (random.index(20), 1_000_000 + number * 60_000);
        let line = format!(
            "IOT.TRACK rich d{device} {} {} TS {time} ALT 1.5 SPEED 20 HEADING 359 ACC 3 \
             FIELDS 2 load {x} name \"\\x00\\xff\"",
            format_degrees(x),
            format_degrees(y),
        );
        client.run(&line);
    }
}

/// Millionths of a degree, as degrees.
fn format_degrees(millionths: i64) -> String {
    format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}

/// Waits until nothing is due and all sweeps have ended, and says what there is then.
fn digest(client: &mut Client) -> String {
    await_that("nothing is due", || {
        let is_idle = render(&client.run("IOT.FLEET INFO cars")).contains("\"due\", nil");
        let lasts = |number| {
            let fence = render(&client.run(&format!("IOT.FENCE GET areas a{number}")));
            fence == "nil" || fence.contains("\"expires\", nil")
        };
        is_idle && (0..8).all(lasts)
    });
    await_timer(client);
    client.digest()
}

fn reload(server: &mut Server, how: &str) {
    let mut client = server.connect(Protocol::Resp2);
    match how {
        "dump file" => client.expect("DEBUG RELOAD", "+OK"),
        "append-only file" => client.expect("DEBUG LOADAOF", "+OK"),
        "rewritten file" => {
            client.run("BGREWRITEAOF");
            server.await_info("persistence", "aof_rewrite_scheduled:0");
            server.await_info("persistence", "aof_rewrite_in_progress:0");
            server.await_info("persistence", "aof_last_bgrewrite_status:ok");
            client.expect("DEBUG LOADAOF", "+OK");
        }
        _ => server.restart(),
    }
}

#[test]
fn what_is_stored_is_what_is_loaded() {
    for preamble in ["yes", "no"] {
        let mut server = Server::start_with(&[
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--aof-use-rdb-preamble",
            preamble,
        ]);
        let mut client = server.connect(Protocol::Resp2);
        fill(&mut client, FENCES_SEED + 20_000);
        let before = digest(&mut client);
        let told = events(&mut client, "events");
        for how in [
            "append-only file",
            "dump file",
            "restart",
            "rewritten file",
            "restart",
        ] {
            reload(&mut server, how);
            let mut client = server.connect(Protocol::Resp2);
            assert_eq!(digest(&mut client), before, "{how}, preamble {preamble}");
            assert_eq!(events(&mut client, "events"), told, "{how}");
        }
        let bases = server.append_only_files(".base.");
        let count = |word: &[u8]| {
            bases[0]
                .windows(word.len())
                .filter(|one| *one == word)
                .count()
        };
        assert_eq!(count(b"RESTORE") > 0, preamble == "no");
    }
}

fn payload_of(client: &mut Client, key: &str) -> Vec<u8> {
    match client.run(&format!("DUMP {key}")) {
        Value::BulkString(payload) => payload,
        other => panic!("DUMP {key} replied {}", render(&other)),
    }
}

fn restore(client: &mut Client, key: &str, payload: Vec<u8>) -> Value {
    let mut line = words(&format!("RESTORE {key} 0"));
    line.push(payload);
    client.call(&line)
}

#[test]
fn copies_are_equal_and_independent() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    fill(&mut client, FENCES_SEED + 20_100);
    digest(&mut client);
    for key in KEYS {
        let original = client.digest_of(key);
        client.expect(&format!("COPY {key} copy"), "1");
        assert_eq!(client.digest_of("copy"), original, "COPY {key}");
        let change = if ["cars", "rich"].contains(&key) {
            "IOT.TRACK copy new 80 80"
        } else {
            "IOT.FENCE ADD copy new CIRCLE 80 80 5"
        };
        client.expect(change, "1");
        assert_ne!(client.digest_of("copy"), original);
        client.expect("DEL copy", "1");
        let payload = payload_of(&mut client, key);
        assert_eq!(restore(&mut client, "copy", payload), Value::Okay);
        assert_eq!(client.digest_of("copy"), original, "RESTORE {key}");
        client.expect(change, "1");
        assert_ne!(client.digest_of("copy"), original);
        assert_eq!(client.digest_of(key), original, "the original stays");
        client.expect("DEL copy", "1");
        client.expect(&format!("MOVE {key} 7"), "1");
        client.expect("SELECT 7", "+OK");
        client.expect(&format!("RENAME {key} moved"), "+OK");
        client.expect(&format!("COPY moved {key} DB 0"), "1");
        client.expect("DEL moved", "1");
        client.expect("SELECT 0", "+OK");
    }
    for line in ["SWAPDB 0 3", "SWAPDB 3 0"] {
        client.expect(line, "+OK");
    }
    // What has come back to its key works as before.
    client.expect("IOT.UNTRACK rich d0", "1");
}

#[test]
fn a_digest_sees_everything_that_is_told() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let lines = [
        "IOT.TRACK KEY a 1 1 TS 1",
        "IOT.TRACK KEY a 1 1 TS 2",
        "IOT.TRACK KEY a 1 1.0000001 TS 1",
        "IOT.TRACK KEY a 1.0000001 1 TS 1",
        "IOT.TRACK KEY b 1 1 TS 1",
        "IOT.TRACK KEY a 1 1 TS 1 ALT 0",
        "IOT.TRACK KEY a 1 1 TS 1 SPEED 0",
        "IOT.TRACK KEY a 1 1 TS 1 HEADING 0",
        "IOT.TRACK KEY a 1 1 TS 1 ACC 0",
        "IOT.TRACK KEY a 1 1 TS 1 FIELDS 1 x 1",
        "IOT.TRACK KEY a 1 1 TS 1 FIELDS 1 x 2",
        "IOT.TRACK KEY a 1 1 TS 1 EXPIRE 1d",
        "IOT.TRACK KEY a 1 1 TS 1 EXPIRE 86400000",
        "IOT.FLEET CREATE KEY",
        "IOT.FLEET CREATE KEY TRAIL 5",
        "IOT.FENCE BIND KEY z STREAM s",
        "IOT.FENCE BIND KEY z STREAM t",
        "IOT.FENCE BIND KEY z STREAM s MAXLEN 5",
        "IOT.FENCE BIND KEY z PUBLISH s",
        "IOT.FENCE BIND KEY z GROUP s PUBLISH s",
        "IOT.FENCE BIND KEY z DETECT enter PUBLISH s",
        "IOT.ROAM BIND KEY z RADIUS 5 PUBLISH s",
        "IOT.ROAM BIND KEY z RADIUS 6 PUBLISH s",
        "IOT.FENCE ADD KEY a CIRCLE 1 1 5",
        "IOT.FENCE ADD KEY b CIRCLE 1 1 5",
        "IOT.FENCE ADD KEY a CIRCLE 1 1 5.5",
        "IOT.FENCE ADD KEY a BBOX 1 1 5 5",
        "IOT.FENCE ADD KEY a CORRIDOR 5 2 1 1 5 5",
        "IOT.FENCE ADD KEY a POLYGON 3 1 1 5 1 5 5",
        "IOT.FENCE ADD KEY a CIRCLE 1 1 5 META 1 a b",
        "IOT.FENCE ADD KEY a CIRCLE 1 1 5 GROUPS 1 a",
        "IOT.FENCE ADD KEY a CIRCLE 1 1 5 DEVICES 1 a",
        "IOT.FENCE ADD KEY a CIRCLE 1 1 5 DETECT enter",
        "IOT.FENCE ADD KEY a CIRCLE 1 1 5 DWELL 5",
        "IOT.FENCE ADD KEY a CIRCLE 1 1 5 BUFFER 5",
        "IOT.FENCE ADD KEY a CIRCLE 1 1 5 MINFIXES 5",
        "IOT.FENCE ADD KEY a CIRCLE 1 1 5 SPEEDLIMIT 5",
        "IOT.FENCE ADD KEY a CIRCLE 1 1 5 SCHEDULE \"mon 08:00-09:00\"",
        "IOT.FENCE ADD KEY a CIRCLE 1 1 5 SCHEDULE \"mon 08:00-09:00\" TZ Asia/Tokyo",
        "IOT.FENCE ADD KEY a CIRCLE 1 1 5 EXPIREAT 99999999999999",
    ];
    let mut digests: Vec<(String, &str)> = Vec::new();
    for line in lines {
        client.run("DEL k");
        let reply = client.run(&line.replace("KEY", "k"));
        if line.contains("EXPIRE 1d") {
            assert!(matches!(reply, Value::ServerError(_)), "a time is in ms");
            continue;
        }
        assert!(
            !matches!(reply, Value::ServerError(_)),
            "{line}: {}",
            render(&reply)
        );
        digests.push((client.digest_of("k"), line));
    }
    for (number, (digest, line)) in digests.iter().enumerate() {
        let twin = digests[..number].iter().find(|(other, _)| other == digest);
        assert_eq!(twin, None, "{line} has the digest of another");
    }
}

/// Cuts a payload, or flips some of its bits, and seals it again.
fn mutant(payload: &[u8], random: &mut Random) -> Vec<u8> {
    let mut mutant = payload.to_vec();
    // The last ten bytes are the version and the checksum of the server.
    let body = mutant.len() - 10;
    if random.chance(20) {
        let cut = random.index(body);
        mutant.drain(cut..body);
    } else {
        for _ in 0..=random.index(3) {
            // Few bytes have the structure, and most of those are at the beginning.
            let is_early = random.chance(50);
            let place = random.index(if is_early { body.min(200) } else { body });
            mutant[place] = match random.index(4) {
                0 => 0xFF,
                1 => 0,
                _ => mutant[place] ^ (1 << random.index(8)),
            };
        }
    }
    seal(mutant)
}

#[test]
fn payloads_that_were_changed_are_refused_or_are_values() {
    let mut server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    fill(&mut client, FENCES_SEED + 20_200);
    let payloads = KEYS.map(|key| payload_of(&mut client, key));
    let mut random = Random::new(FENCES_SEED);
    let (mut refused, mut taken) = (0, 0);
    for (key, payload) in KEYS.iter().zip(&payloads) {
        for number in 0..MUTANTS {
            let mutant = mutant(payload, &mut random);
            let reply = restore(&mut client, "mutant", mutant.clone());
            if reply != Value::Okay {
                refused += 1;
                continue;
            }
            taken += 1;
            // Whatever it says, it can be used, and stored.
            for line in [
                "IOT.FLEET INFO mutant",
                "IOT.FLEET LIST mutant",
                "IOT.FENCE INFO mutant",
                "IOT.FENCE LIST mutant",
                "IOT.FENCE AT mutant 13.2 52.2",
                "IOT.FENCE BINDINGS mutant",
                "IOT.POSITION mutant d0 d1 d2",
                "IOT.NEARBY mutant 1 1 RADIUS 1000000",
                "IOT.TRAIL mutant d1 - +",
                "IOT.TRACK mutant d1 13.2 52.2",
                "IOT.UNTRACK mutant d2",
                "IOT.FENCE ADD mutant new CIRCLE 13.2 52.2 5000",
                "DEBUG DIGEST-VALUE mutant",
                "MEMORY USAGE mutant",
            ] {
                client.run(line);
            }
            let stored = payload_of(&mut client, "mutant");
            assert_eq!(
                restore(&mut client, "again", stored),
                Value::Okay,
                "{key}: mutant {number} cannot be stored: {mutant:02x?}"
            );
            client.expect("DEL mutant again", "2");
        }
        server.assert_alive(&|| format!("mutants of {key}"));
    }
    assert!(refused > MUTANTS / 2 && taken > 10, "{refused} {taken}");
}

#[test]
fn payloads_of_our_own_commands_that_were_changed_are_refused_or_are_values() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--aof-use-rdb-preamble", "no"]);
    let mut client = server.connect(Protocol::Resp2);
    fill(&mut client, FENCES_SEED + 20_300);
    client.run("BGREWRITEAOF");
    server.await_info("persistence", "aof_rewrite_scheduled:0");
    server.await_info("persistence", "aof_rewrite_in_progress:0");
    let commands = restores_in(&server.append_only_files(".base.")[0]);
    assert_eq!(commands.len(), KEYS.len());
    let mut random = Random::new(FENCES_SEED);
    for (name, payload) in &commands {
        client.expect("DEL k", "int");
        let call = |client: &mut Client, payload: Vec<u8>| {
            let mut line = words(&format!("{name} RESTORE k"));
            line.push(payload);
            client.call(&line)
        };
        assert_eq!(call(&mut client, payload.clone()), Value::Okay);
        client.expect("DEL k", "1");
        for cut in (0..payload.len()).step_by(1 + payload.len() / 400) {
            let reply = call(&mut client, payload[..cut].to_vec());
            assert!(matches!(reply, Value::ServerError(_)), "cut at {cut}");
        }
        for _ in 0..MUTANTS {
            let mut mutant = payload.clone();
            let place = random.index(mutant.len());
            mutant[place] ^= 1 << random.index(8);
            if call(&mut client, mutant) == Value::Okay {
                client.run("IOT.TRACK k d1 13.2 52.2");
                client.run("DEL k");
            }
        }
        server.assert_alive(&|| format!("mutants of {name}"));
    }
    let refused = client.run("IOT.FLEET VISITS cars d1 \"\\x00\\x00\"");
    assert!(
        matches!(refused, Value::ServerError(_)),
        "only a master says so"
    );
}

/// The commands of a file that restore one of our values: their names and payloads.
fn restores_in(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut commands = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let count = number_behind(&mut rest, b'*');
        let args: Vec<Vec<u8>> = (0..count)
            .map(|_| {
                let len = number_behind(&mut rest, b'$');
                let (arg, behind) = rest.split_at(len);
                rest = &behind[2..];
                arg.to_vec()
            })
            .collect();
        if args.len() == 4 && args[1] == b"RESTORE" {
            let name = String::from_utf8(args[0].clone()).unwrap();
            commands.push((name, args[3].clone()));
        }
    }
    commands
}

fn number_behind(rest: &mut &[u8], sign: u8) -> usize {
    assert_eq!(rest[0], sign);
    let end = rest.iter().position(|byte| *byte == b'\r').unwrap();
    let number = std::str::from_utf8(&rest[1..end]).unwrap().parse().unwrap();
    *rest = &rest[end + 2..];
    number
}

#[test]
fn visits_go_with_a_key_that_gets_another_name() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for line in [
        "IOT.FENCE ADD zones z CIRCLE 1 1 1000",
        "IOT.FENCE BIND cars zones STREAM events",
        "IOT.TRACK cars a 1 1 TS 1000",
        "RENAME cars vans",
        "IOT.TRACK vans a 2 2 TS 2000",
    ] {
        client.expect(line, "_");
    }
    let told = events(&mut client, "events");
    let told: Vec<_> = told.iter().map(|one| one.get("id")).collect();
    assert_eq!(told, ["cars:a:z:1000", "vans:a:z:1000"]);
    let reply = client.run("IOT.POSITION cars a");
    assert_eq!(items_of(&reply), [Value::Nil]);
}

//! Random commands of every kind from many connections: the server goes on, answers in time, and has its
//! memory back when everything is deleted.
//!
//! `IOT_HOSTILE=1000000` chooses how many commands; with it times count as well, so the module should be the
//! release build: `make hostile`. `IOT_HOSTILE_SEED=7` chooses others.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::aof::rewritten;
use support::client::{Client, Protocol};
use support::hostile::crowd::Crowd;
use support::hostile::health::{self, ARGUMENTS, Removal};
use support::hostile::values::Payloads;
use support::notation::render;
use support::seeds::HOSTILE_SEED;
use support::server::Server;

/// Commands where nobody says how many.
const COMMANDS: usize = 20_000;
/// Least part of them after which memory is measured first: what the server and the module make once and
/// keep, such as threads for queries, is there then.
const LEAST_FIRST: usize = 10_000;
/// Longest time of one command where times count, in microseconds.
const MOST_US: i64 = 1_000_000;
/// Growth of memory that is permitted, in a hundredth.
const MOST_GROWTH_PERCENT: u64 = 1;
/// What the server may keep and does not count as a client's: three more of the clients that it has in store
/// for modules that answer later, each with a reply buffer. A hundredth of an empty server is less than one.
const KEPT_BYTES: u64 = 3 * (16 << 10);
/// Least share of the calls of a command that have no error: else the run would not reach far.
const LEAST_SOUND_PERCENT: u64 = 20;
/// Commands that clients are always refused, or nearly.
const REFUSED: [&str; 1] = ["IOT.FLEET|VISITS"];

/// Values with everything that they can have, whose stored forms are attacked.
const FILL: [&str; 22] = [
    "IOT.CREATE empty",
    "IOT.ADDBULK plain LABELS room 12 kind temp SAMPLES 0 1 100 2 200 nan 300 4",
    "IOT.ADDBULK gorilla ENCODING GORILLA CHUNK_SIZE 48 DUPLICATE_POLICY SUM IGNORE 1 1 SAMPLES 0 1 1 2 2 3 3 5 4 8 5 1e300 6 -0.1",
    "IOT.ADDBULK raw ENCODING UNCOMPRESSED RETENTION 100000 IDLE_TTL 100000000 SAMPLES 0 0.1 1000 0.2",
    "IOT.CREATERULE plain sums AGGREGATION sum 10 CREATE BACKFILL",
    "IOT.CREATERULE plain days AGGREGATION p99 1d TZ Europe/Berlin DELAY 1h CREATE BACKFILL",
    "IOT.CREATERULE sums months AGGREGATION timein(2) 1mo CREATE",
    "IOT.POLICY SET policy FILTER kind=temp \"(a=(1,2) OR b~=\\\"x|y\\\")\" c!= RULES avg 1h RETENTION 30d p99.9 1500 ALIGN 5 max 1d TZ Europe/Berlin",
    "IOT.FLEET CREATE fleet TRAIL 100 RETENTION 1d MINDIST 1 MAXSPEED 1000000",
    "IOT.FLEET CREATE small",
    "IOT.FENCE ADD zones a CIRCLE 0 0 1000 META 2 kind depot name x GROUPS 2 g h DEVICES 2 d e DWELL 1h",
    "IOT.FENCE ADD zones b BBOX -1 -1 1 1 SCHEDULE \"mon-fri 08:00-18:00; sat 10:00-12:00\" TZ Europe/Berlin BUFFER 5",
    "IOT.FENCE ADD zones c POLYGON 4 -1 -1 1 -1 1 1 -1 1 HOLE 3 0.5 0.5 0.6 0.5 0.6 0.6 MINFIXES 3",
    "IOT.FENCE ADD zones e CORRIDOR 100 3 0 0 1 1 2 1 DETECT enter exit cross SPEEDLIMIT 5",
    "IOT.FENCE ADD one a CIRCLE 0 0 1000",
    "IOT.FENCE BIND fleet zones DETECT enter exit dwell OUTSIDE 5 STREAM x:0 MAXLEN 100 PUBLISH c",
    "IOT.ROAM BIND fleet small RADIUS 100 STREAM x:0 MAXLEN 100",
    "IOT.TRACK fleet d 0 0 TS 1000 SPEED 9 ALT 5 HEADING 3 ACC 4 FIELDS 2 fuel 0.5 plate B",
    "IOT.TRACK fleet d 0 0.001 TS 2000 SPEED 9",
    "IOT.TRACK fleet d 0 0.0005 TS 1500",
    "IOT.MTRACK fleet e 0 0 1000 g 50 50 1000 h 180 90 1000",
    "IOT.MTRACK small e 0 0 1000 e 1 1 2000",
];

/// The stored forms of values of every kind.
fn payloads() -> Payloads {
    let server = Server::start_with(&["--appendonly", "yes", "--aof-use-rdb-preamble", "no"]);
    let mut client = server.connect(Protocol::Resp2);
    for line in FILL {
        let reply = render(&client.run(line));
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    }
    let mut last_words = |name: &str| -> Vec<Vec<u8>> {
        let commands = rewritten(&server, &mut client, name);
        commands
            .into_iter()
            .map(|words| words.last().unwrap().clone())
            .collect()
    };
    let series = last_words("IOT.RESTORE");
    let subcommands = |name: &str, words: Vec<Vec<Vec<u8>>>| -> Vec<Vec<u8>> {
        let commands = words
            .into_iter()
            .filter(|words| words[1].eq_ignore_ascii_case(name.as_bytes()));
        commands
            .map(|words| words.last().unwrap().clone())
            .collect()
    };
    let fleets = subcommands("RESTORE", rewritten(&server, &mut client, "IOT.FLEET"));
    let fences = subcommands("RESTORE", rewritten(&server, &mut client, "IOT.FENCE"));
    let keys = [
        "empty", "plain", "gorilla", "raw", "sums", "days", "policy", "fleet", "small", "zones",
        "one",
    ];
    let dumps = keys.map(|key| match client.run(&format!("DUMP {key}")) {
        Value::BulkString(payload) => payload,
        other => panic!("no payload of {key}: {}", render(&other)),
    });
    let payloads = Payloads {
        series,
        fleets,
        fences,
        dumps: dumps.into(),
    };
    assert!(payloads.series.len() >= 6 && payloads.fleets.len() == 2 && payloads.fences.len() == 2);
    payloads
}

/// A number from the environment.
fn chosen(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {text}")),
    )
}

/// Compares what every command replied with what a run must have reached.
fn check_reach(client: &mut Client, commands: &[String], sent: usize) {
    let all = health::calls(client);
    let least = u64::try_from(sent / commands.len() / 4).unwrap();
    let (mut executed, mut failed, mut missed) = (0, 0, Vec::new());
    for name in commands {
        let calls = all.get(name).copied().unwrap_or_default();
        let sound_percent = calls.sound_percent();
        println!(
            "{name:<22} {:>8} calls {:>8} refused {sound_percent:>3} % sound",
            calls.executed,
            calls.failed + calls.rejected,
        );
        let is_refused = REFUSED.contains(&name.as_str());
        if calls.executed < least || !is_refused && sound_percent < LEAST_SOUND_PERCENT {
            missed.push(format!("{name}: {calls:?}"));
        }
        executed += calls.executed;
        failed += calls.failed;
    }
    println!(
        "{executed} calls, {} % of them with an error",
        failed * 100 / executed
    );
    assert!(
        missed.is_empty(),
        "not reached as it should be: {missed:#?}"
    );
}

/// Shows what was slowest; where times count, nothing of ours may have held the server too long.
fn check_times(client: &mut Client, times_count: bool) {
    let slow = health::slow(client);
    let is_ours = |line: &str| line.to_uppercase().starts_with("\"IOT.");
    for slow in slow.iter().take(10) {
        println!("{:>9} us {:.300}", slow.us, slow.line);
    }
    let latencies = health::latencies(client);
    println!("longest of each kind, ms: {latencies:?}");
    if !times_count {
        return;
    }
    // The slow log counts what ran beside the main thread, too; the latency of commands does not.
    let held_us = latencies.get("command").map_or(0, |ms| (ms + 1) * 1_000);
    for slow in slow.iter().filter(|slow| is_ours(&slow.line)) {
        assert!(
            slow.us.min(held_us) <= MOST_US,
            "{} us: {}",
            slow.us,
            slow.line
        );
    }
    for (event, ms) in latencies
        .iter()
        .filter(|(event, _)| event.starts_with("iot-"))
    {
        assert!(ms * 1_000 <= MOST_US, "{event} took {ms} ms");
    }
}

#[test]
fn random_commands_neither_hold_the_server_nor_leave_memory_behind() {
    let commands = chosen("IOT_HOSTILE");
    let times_count = commands.is_some();
    let commands = commands.map_or(COMMANDS, |commands| usize::try_from(commands).unwrap());
    let seed = chosen("IOT_HOSTILE_SEED").unwrap_or(HOSTILE_SEED);
    let mut server = Server::start_with(&ARGUMENTS);
    let mut crowd = Crowd::new(&mut server, seed, payloads());
    let names = crowd.commands();

    // What the server makes once and keeps is there after the first part.
    let first = (commands / 5).max(LEAST_FIRST);
    let mut before = None;
    let mut left = Vec::new();
    for (tenths, removal) in [
        (0, Removal::Del),
        (2, Removal::Unlink),
        (4, Removal::FlushAll),
        (6, Removal::Del),
        (8, Removal::Unlink),
        (10, Removal::Del),
    ] {
        crowd.attack(first + commands.saturating_sub(first) * tenths / 10);
        let server = crowd.server();
        server.assert_alive(&|| format!("seed {seed:#x}"));
        server.assert_no_panic();
        let mut client = server.connect(Protocol::Resp2);
        if tenths == 10 {
            check_reach(&mut client, &names, commands);
        }
        check_times(&mut client, times_count);
        health::clear(&mut client, removal);
        drop(client);
        let Some(before) = before else {
            before = Some(health::settled(server));
            continue;
        };
        let most = before + (before * MOST_GROWTH_PERCENT / 100).max(KEPT_BYTES);
        let after = health::comes_down_to(server, most);
        println!(
            "{before} bytes after the first part, {after:?} after {tenths} tenths, by {removal:?}"
        );
        left.push(after);
    }
    assert!(
        left.iter().all(Result::is_ok),
        "seed {seed:#x}: {before:?} bytes, then {left:?}\n{}",
        health::memory(crowd.server())
    );
}

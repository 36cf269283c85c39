//! A server that is killed loses no event and doubles none: what a device is in, and the events of it in
//! a stream, are one.
//!
//! Several clients move devices along ways that are known in advance, each fix with a time of its own. So
//! the time of a device's position says how many of its fixes the server has, and these say which
//! entries the stream must have.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::Value;
use support::client::{Client, Protocol};
use support::fences_events::{events, fences_of, items_of};
use support::notation::{render, words};
use support::seeds::{FENCES_SEED, Random};
use support::server::{Server, await_that};

/// How often the server is killed.
const KILLS: usize = 20;
/// Clients that send at the same time.
const CLIENTS: usize = 4;
/// Devices of each.
const DEVICES: usize = 3;
/// Fixes that are acknowledged before the next kill, at least and at most.
const FIXES: std::ops::Range<i64> = 150..600;
/// Requests on their way at once.
const BATCH: usize = 16;
/// Fences, each a strip a degree wide; each strip but the last is in the next one with its eastern half.
const STRIPS: i64 = 8;

/// Where a device is at a step of its way, in hundredths of a degree: between the strips, too.
fn place(device: usize, step: i64) -> i64 {
    let seed = FENCES_SEED + u64::try_from(step).unwrap() * 1_000;
    let mut random = Random::new(seed + u64::try_from(device).unwrap());
    random.within(0..STRIPS * 100)
}

/// The strips of a place.
fn strips(place: i64) -> BTreeSet<String> {
    let is_in = |strip: &i64| (strip * 100..=strip * 100 + 60).contains(&place);
    let overlaps = |strip: &i64| (strip * 100 + 30..=strip * 100 + 80).contains(&place);
    let first = (0..STRIPS).filter(is_in).map(|strip| format!("a{strip}"));
    let second = (0..STRIPS)
        .filter(overlaps)
        .map(|strip| format!("b{strip}"));
    first.chain(second).collect()
}

fn degrees(hundredths: i64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn prepare(client: &mut Client) {
    for strip in 0..STRIPS {
        for (name, from, to) in [("a", 0, 60), ("b", 30, 80)] {
            let [west, east] = [from, to].map(|place| degrees(strip * 100 + place));
            let line = format!("IOT.FENCE ADD zones {name}{strip} BBOX {west} 0 {east} 1");
            client.expect(&line, "1");
        }
    }
    client.expect("IOT.FENCE BIND cars zones STREAM events", "+OK");
}

/// The entries that the first fixes of a device bring: those of one fix in no order.
fn expected(device: usize, fixes: i64) -> Vec<BTreeSet<(String, String)>> {
    let mut inside = BTreeSet::new();
    let mut all = Vec::new();
    for step in 1..=fixes {
        let now = strips(place(device, step));
        let left = inside
            .difference(&now)
            .map(|fence: &String| ("exit".to_owned(), fence.clone()));
        let entered = now
            .difference(&inside)
            .map(|fence| ("enter".to_owned(), fence.clone()));
        let changes: BTreeSet<_> = left.chain(entered).collect();
        all.push(changes);
        inside = now;
    }
    all
}

/// What a client knows of each of its devices: fixes acknowledged, and fixes sent.
type Known = BTreeMap<usize, (i64, i64)>;

/// Sends fixes until the server is gone.
fn send(port: u16, known: &mut Known, random: &mut Random, acknowledged: &AtomicUsize) {
    let Ok(mut client) = Client::connect(port, Protocol::Resp2) else {
        return;
    };
    // What was sent and not acknowledged is sent again.
    let mut next: BTreeMap<usize, i64> =
        known.iter().map(|(device, one)| (*device, one.0)).collect();
    loop {
        let mut commands = Vec::new();
        let mut moved: Vec<Vec<usize>> = Vec::new();
        for _ in 0..BATCH {
            let several = random.chance(20);
            let devices: Vec<usize> = if several {
                let all: Vec<usize> = known.keys().copied().collect();
                (0..5).map(|_| all[random.index(all.len())]).collect()
            } else {
                let all: Vec<usize> = known.keys().copied().collect();
                vec![all[random.index(all.len())]]
            };
            let mut line = words(if several {
                "IOT.MTRACK cars"
            } else {
                "IOT.TRACK cars"
            });
            for &device in &devices {
                let step = next.get_mut(&device).unwrap();
                *step += 1;
                let sent = &mut known.get_mut(&device).unwrap().1;
                *sent = (*sent).max(*step);
                let ts = if several { "" } else { "TS " };
                let x = degrees(place(device, *step));
                line.extend(words(&format!("d{device} {x} 0.5 {ts}{step}")));
            }
            commands.push(line);
            moved.push(devices);
        }
        // The connection may be gone at any moment, with some of the replies.
        let Ok(()) = client.send_all(&commands) else {
            return;
        };
        for devices in moved {
            let Ok(reply) = client.receive() else { return };
            assert!(
                !matches!(reply, Value::ServerError(_)),
                "{}",
                render(&reply)
            );
            for device in devices {
                known.get_mut(&device).unwrap().0 += 1;
            }
            acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Lets all clients send, and kills the server in the middle of it.
fn run(server: &mut Server, known: &mut [Known], randoms: &mut [Random], fixes: usize) {
    let port = server.port();
    let acknowledged = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for (known, random) in known.iter_mut().zip(randoms) {
            let acknowledged = &acknowledged;
            scope.spawn(move || send(port, known, random, acknowledged));
        }
        await_that("fixes are acknowledged", || {
            acknowledged.load(Ordering::Relaxed) >= fixes
        });
        server.kill9();
    });
}

/// Has the server write its file anew. Redis 7.0 at least leaves the beginning of a transaction in a file
/// that ends in the middle of one, and takes what it writes next for a part of it when it loads the file
/// again: what was not there after the first start is there after the second.
fn mend(server: &Server) {
    server.connect(Protocol::Resp2).run("BGREWRITEAOF");
    for line in [
        "aof_rewrite_scheduled:0",
        "aof_rewrite_in_progress:0",
        "aof_last_bgrewrite_status:ok",
    ] {
        server.await_info("persistence", line);
    }
}

/// How often the server has found that its file ended in the middle of a request.
fn short_reads(server: &Server) -> usize {
    let log = fs::read_to_string(server.folder().join("log")).unwrap();
    log.matches("short read while loading the AOF").count()
}

/// Compares positions, states and the stream. Takes what the server has as acknowledged.
#[track_caller]
fn check(client: &mut Client, known: &mut [Known], may_lose: bool) -> usize {
    let mut told: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let stream = events(client, "events");
    for event in &stream {
        let change = (event.get("event").to_owned(), event.get("fence").to_owned());
        told.entry(event.get("device").to_owned())
            .or_default()
            .push(change);
    }
    for (&device, (acknowledged, sent)) in known.iter_mut().flatten() {
        let name = format!("d{device}");
        let reply = client.run(&format!("IOT.POSITION cars {name}"));
        let position = &items_of(&reply)[0];
        let has = match position {
            Value::Nil => 0,
            position => match items_of(position)[5] {
                Value::Int(step) => step,
                _ => panic!("no time: {}", render(position)),
            },
        };
        assert!(
            (has >= *acknowledged || may_lose) && has <= *sent,
            "{name}: {acknowledged} acknowledged, {sent} sent, {has} stored"
        );
        let inside = if has > 0 {
            strips(place(device, has))
        } else {
            BTreeSet::new()
        };
        assert_eq!(
            fences_of(position).unwrap_or_default(),
            inside,
            "{name} after {has}"
        );
        let told = told.remove(&name).unwrap_or_default();
        let mut rest = &told[..];
        for (step, changes) in (1..).zip(expected(device, has)) {
            let (now, behind) = rest.split_at(changes.len().min(rest.len()));
            let now: BTreeSet<_> = now.iter().cloned().collect();
            assert_eq!(now, changes, "{name} at step {step} of {has}");
            rest = behind;
        }
        assert_eq!(rest, [], "{name} has events of fixes that it does not have");
        // The client asks, and goes on from there, or again from what it knows.
        if may_lose {
            (*acknowledged, *sent) = (has, has);
        }
    }
    stream.len()
}

fn begin() -> (Vec<Known>, Vec<Random>) {
    let known = (0..CLIENTS).map(|number| {
        let devices = number * DEVICES..(number + 1) * DEVICES;
        devices.map(|device| (device, (0, 0))).collect()
    });
    let randoms = (0..CLIENTS).map(|number| Random::new(FENCES_SEED + number as u64));
    (known.collect(), randoms.collect())
}

#[test]
fn a_killed_server_loses_no_event_and_doubles_none() {
    let args = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut server = Server::start_with(&args);
    prepare(&mut server.connect(Protocol::Resp2));
    let (mut known, mut randoms) = begin();
    let mut random = Random::new(FENCES_SEED);
    let mut stored = 0;
    for _ in 0..KILLS {
        let fixes = usize::try_from(random.within(FIXES)).unwrap();
        run(&mut server, &mut known, &mut randoms, fixes);
        let before = short_reads(&server);
        server.restart();
        stored = check(&mut server.connect(Protocol::Resp2), &mut known, false);
        if short_reads(&server) > before {
            mend(&server);
        }
    }
    println!("{} short reads", short_reads(&server));
    assert!(stored > KILLS * 100, "{stored} events");
}

#[test]
fn a_file_that_has_lost_its_end_has_the_events_of_the_fixes_that_it_has() {
    for preamble in ["yes", "no"] {
        let mut server = Server::start_with(&[
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--aof-use-rdb-preamble",
            preamble,
        ]);
        prepare(&mut server.connect(Protocol::Resp2));
        let (mut known, mut randoms) = begin();
        let mut random = Random::new(FENCES_SEED + 1);
        for _ in 0..KILLS / 2 {
            let fixes = usize::try_from(random.within(FIXES)).unwrap();
            run(&mut server, &mut known, &mut randoms, fixes);
            let lost = cut(&server, &mut random);
            server.restart();
            let stored = check(&mut server.connect(Protocol::Resp2), &mut known, true);
            assert!(stored > 0 && lost > 0);
            mend(&server);
        }
    }
}

/// Cuts the end of the file off, as a power failure would: as much as the system had not written.
fn cut(server: &Server, random: &mut Random) -> u64 {
    let files = fs::read_dir(server.folder().join("appendonlydir")).unwrap();
    let mut files: Vec<_> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".incr."))
        .collect();
    files.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
    let file = fs::OpenOptions::new()
        .write(true)
        .open(files.last().unwrap())
        .unwrap();
    let len = file.metadata().unwrap().len();
    let lost = u64::try_from(random.within(1..8_000)).unwrap().min(len / 2);
    file.set_len(len - lost).unwrap();
    lost
}

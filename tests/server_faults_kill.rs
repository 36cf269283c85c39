//! A server that is killed has what it had acknowledged, as far as its settings promise that, and of what
//! each client has sent the beginning and nothing else. `IOT_SOAK=n` kills n times as often.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::fs;

use support::client::Protocol;
use support::faults::clients::{Clients, Progress};
use support::faults::disk::newest_file;
use support::faults::load::Load;
use support::faults::tally::{Tally, rounds};
use support::notation::render;
use support::seeds::{FAULTS_SEED, Random};
use support::server::Server;

/// Clients at once.
const CLIENTS: usize = 5;
/// Steps that are acknowledged before the server is killed, at least and at most.
const STEPS: std::ops::Range<i64> = 50..500;
/// A pause behind each key that a forked child writes, in microseconds, so that it is killed at work.
const SLOW_CHILD: [&str; 2] = ["--rdb-key-save-delay", "1000"];

/// What happens to the server while the clients send, but for the kill.
type Before = fn(&Server, Progress<'_>);

/// Lets clients send, kills the server in the middle of it, starts it again, and compares.
#[track_caller]
fn check(
    mut tally: Tally,
    seed: u64,
    times: usize,
    args: &[&str],
    before: Before,
    after: fn(&Server, &mut Random),
) {
    let mut server = Server::start_with(args);
    let mut clients = Clients::new(&server, FAULTS_SEED + seed, CLIENTS);
    let mut random = Random::new(FAULTS_SEED + seed);
    for _ in 0..rounds(times) {
        let steps = usize::try_from(random.within(STEPS)).unwrap();
        if args.first() == Some(&SAVED[0]) {
            // What the oracle was left with is what a snapshot has.
            server.connect(Protocol::Resp2).expect("SAVE", "+OK");
        }
        clients.during(&[server.port()], |progress| {
            before(&server, progress);
            progress.await_more(steps);
            server.kill9();
        });
        after(&server, &mut random);
        let short_reads = short_reads(&server);
        server.restart();
        tally.tried();
        clients.settle(&server, &mut tally);
        if self::short_reads(&server) > short_reads {
            // What Redis 7.0 leaves of a transaction that was cut, it takes what follows for a part of.
            server.rewrite();
        }
    }
    tally.end();
}

/// How often the server has found that its file ended in the middle of a request.
fn short_reads(server: &Server) -> usize {
    server
        .log()
        .matches("short read while loading the AOF")
        .count()
}

fn nothing(_: &Server, _: Progress<'_>) {}

fn left_alone(_: &Server, _: &mut Random) {}

const ALWAYS: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];
const EVERY_SECOND: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "everysec"];
const SAVED: [&str; 2] = ["--dbfilename", "dump.rdb"];

#[test]
fn always_loses_nothing() {
    let tally = Tally::new("kill -9, appendfsync always");
    check(tally, 0, 8, &ALWAYS, nothing, left_alone);
}

/// Kills a server that writes its file anew.
#[track_caller]
fn check_rewrite(tally: Tally, seed: u64, preamble: &str) {
    let args = [
        &ALWAYS[..],
        &SLOW_CHILD,
        &["--aof-use-rdb-preamble", preamble],
    ]
    .concat();
    check(tally, seed, 4, &args, rewrite, left_alone);
}

fn rewrite(server: &Server, progress: Progress<'_>) {
    progress.await_more(50);
    let mut client = server.connect(Protocol::Resp2);
    let reply = client.text("BGREWRITEAOF");
    assert_eq!(reply, "Background append only file rewriting started");
}

#[test]
fn always_loses_nothing_while_the_file_is_rewritten() {
    check_rewrite(
        Tally::new("kill -9, appendfsync always, during BGREWRITEAOF"),
        10,
        "yes",
    );
}

#[test]
fn always_loses_nothing_while_the_file_is_rewritten_as_commands() {
    let fault = "kill -9, appendfsync always, during BGREWRITEAOF without preamble";
    check_rewrite(Tally::new(fault), 20, "no");
}

#[test]
fn always_loses_nothing_after_rewrites_as_commands() {
    let args = [&ALWAYS[..], &["--aof-use-rdb-preamble", "no"]].concat();
    let tally = Tally::new("kill -9, appendfsync always, after BGREWRITEAOF without preamble");
    let before: Before = |server, progress| {
        progress.await_more(50);
        server.rewrite();
    };
    check(tally, 30, 4, &args, before, left_alone);
}

#[test]
fn always_loses_nothing_during_a_snapshot() {
    let args = [&ALWAYS[..], &SLOW_CHILD].concat();
    let tally = Tally::new("kill -9, appendfsync always, during BGSAVE");
    check(tally, 40, 4, &args, snapshot, left_alone);
}

fn snapshot(server: &Server, progress: Progress<'_>) {
    progress.await_more(50);
    let mut client = server.connect(Protocol::Resp2);
    assert_eq!(client.text("BGSAVE"), "Background saving started");
}

#[test]
fn every_second_loses_no_more_than_the_latest() {
    let tally = Tally::that_may_lose("kill -9, appendfsync everysec");
    check(tally, 50, 6, &EVERY_SECOND, nothing, left_alone);
}

#[test]
fn a_file_that_has_lost_its_end_has_a_beginning_of_what_was_sent() {
    for (seed, preamble, fault) in [
        (
            60,
            "yes",
            "kill -9, appendfsync everysec, end of the file cut off",
        ),
        (
            70,
            "no",
            "kill -9, appendfsync everysec, end of a file without preamble cut off",
        ),
    ] {
        let args = [&EVERY_SECOND[..], &["--aof-use-rdb-preamble", preamble]].concat();
        check(Tally::that_may_lose(fault), seed, 4, &args, nothing, cut);
    }
}

/// Cuts the end of the file off: as much as the system had not written.
fn cut(server: &Server, random: &mut Random) {
    let file = fs::OpenOptions::new()
        .write(true)
        .open(newest_file(server))
        .unwrap();
    let len = file.metadata().unwrap().len();
    let lost = u64::try_from(random.within(1..8_000)).unwrap().min(len / 2);
    file.set_len(len - lost).unwrap();
}

#[test]
fn a_dump_file_has_what_was_there_when_it_was_written() {
    let args = [&SAVED[..], &SLOW_CHILD].concat();
    let tally = Tally::that_may_lose("kill -9, dump file only");
    let before: Before = |server, progress| {
        snapshot(server, progress);
        server.await_info("persistence", "rdb_bgsave_in_progress:0");
    };
    check(tally, 80, 4, &args, before, left_alone);
}

/// What only a master, a rewrite of the append-only file or a dump sends; kills and replicas see to it.
const OF_SERVERS: [&str; 4] = [
    "IOT.RESTORE",
    "IOT.FLEET RESTORE",
    "IOT.FLEET VISITS",
    "IOT.FENCE RESTORE",
];

#[test]
fn clients_send_every_command_that_writes() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    let mut load = Load::new(FAULTS_SEED, 0);
    let mut steps = load.beginning();
    steps.extend((0..5_000).map(|_| load.step()));
    let sent: Vec<String> = steps
        .iter()
        .map(|step| format!("{:?}", step.lines()))
        .collect();
    let mut found = 0;
    for name in client.module_commands() {
        let flags = render(&client.run(&format!("COMMAND INFO {name}")));
        let line = name.replace('|', " ");
        if flags.contains("+write") && !OF_SERVERS.contains(&line.as_str()) {
            let is_sent = sent.iter().any(|step| step.contains(&line));
            assert!(is_sent, "{line} is not sent");
            found += 1;
        }
    }
    assert!(found > 20, "{found} commands write");
}

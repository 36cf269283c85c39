//! A replica that has old data and gets its master's: while that goes on the old data answers, what ends in
//! the middle leaves the old data and all that belongs to it, and afterwards there is nothing of it left.
//! `IOT_SOAK=n` tries n times as often.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::faults::clients::Clients;
use support::faults::tally::{Tally, rounds};
use support::notation::render;
use support::seeds::FAULTS_SEED;
use support::server::{Server, await_that};

/// Clients at once.
const CLIENTS: usize = 3;
/// Steps that the data comes from.
const STEPS: usize = 600;
/// A master that sends its data slowly, so that it can be killed meanwhile: a pause behind each key, in
/// microseconds.
const SLOW_MASTER: [&str; 2] = ["--rdb-key-save-delay", "10000"];
/// A replica that loads what comes as it comes, and serves clients meanwhile.
const EMPTY_REPLICA: [&str; 4] = [
    "--repl-diskless-load",
    "on-empty-db",
    "--loading-process-events-interval-bytes",
    "1024",
];
/// Of keys that make the transfer larger than what the server sends at once.
const KEYS: usize = 400;

/// A server with data of clients.
fn filled(args: &[&str], seed: u64) -> (Server, Clients) {
    let server = Server::start_with(args);
    let mut clients = Clients::new(&server, FAULTS_SEED + seed, CLIENTS);
    clients.during(&[server.port()], |progress| progress.await_more(STEPS));
    (server, clients)
}

/// A master whose data takes long to send.
fn slow_master(seed: u64) -> Server {
    let (server, _) = filled(&SLOW_MASTER, seed);
    let mut client = server.connect(Protocol::Resp2);
    for number in 0..KEYS {
        let value = vec![b'.'; 4_000];
        client.call(&[b"SET", format!("filler:{number}").as_bytes(), &value]);
    }
    server
}

/// Makes a replica follow `master` by one connection: by two, Redis 8 lets a forked child send the data, which
/// goes on when its master is gone. Other servers have no such setting.
fn follow(client: &mut Client, master: &Server) {
    client.run("CONFIG SET repl-rdb-channel no");
    client.expect(&format!("REPLICAOF 127.0.0.1 {}", master.port()), "+OK");
}

/// Makes a replica follow `master` and waits until some of the data has come.
fn begin(client: &mut Client, master: &Server) {
    follow(client, master);
    await_that("data comes", || {
        let text = client.text("INFO replication");
        text.contains("master_sync_in_progress:1") && !text.contains("master_sync_read_bytes:0")
    });
}

/// What the old data answers: the same before the transfer, during it, and when it has ended too early.
fn answers(client: &mut Client) -> Vec<String> {
    let lines = [
        "IOT.RANGE c0:s0 - +",
        "IOT.MRANGE - + AGGREGATION count 10s FILTER role=source",
        "IOT.QUERYINDEX role=plain",
        "IOT.CARD FILTER c!=",
        "IOT.QUERYLABELS LABELS FILTER c!=",
        "IOT.POLICY LIST",
        "IOT.INFO c1:s0",
        "IOT.POSITION c0:fleet d0 d1 d2 d3 d4",
        "IOT.FENCE BINDINGS c0:fleet",
        "IOT.FENCE LIST c0:zones",
    ];
    let answers = lines.map(|line| render(&client.run(line)));
    assert!(
        answers.iter().all(|answer| !answer.starts_with('-')),
        "{answers:?}"
    );
    answers.into()
}

#[test]
fn a_transfer_that_is_cut_off_leaves_the_old_data() {
    for (seed, loading, fault) in [
        (0, "disabled", "full sync over old data cut off"),
        (
            1,
            "swapdb",
            "full sync over old data cut off, repl-diskless-load swapdb",
        ),
        (
            2,
            "on-empty-db",
            "full sync over old data cut off, repl-diskless-load on-empty-db",
        ),
    ] {
        let mut tally = Tally::new(fault);
        let args = ["--repl-diskless-load", loading];
        let (replica, mut clients) = filled(&args, 3_000 + 10 * seed);
        for round in 0..rounds(1) {
            let mut master = slow_master(3_500 + 10 * seed + round as u64);
            let mut client = replica.connect(Protocol::Resp2);
            client.expect("CONFIG SET replica-read-only yes", "+OK");
            // What the clock brings has come, and nothing more comes on a replica.
            clients.settle(&replica, &mut tally);
            begin(&mut client, &master);
            let before = (client.digest(), answers(&mut client));
            master.kill9();
            await_that("the transfer has ended", || {
                let text = client.text("INFO replication");
                text.contains("master_sync_in_progress:0")
                    && text.contains("master_link_status:down")
            });
            assert_eq!((client.digest(), answers(&mut client)), before);
            client.expect("REPLICAOF NO ONE", "+OK");
            // A server takes it for the other where a module does not follow a load beside the data.
            let is_skipped = replica.log().contains("Skipping diskless-load");
            assert_eq!(is_skipped, loading == "swapdb");
            tally.tried();
            clients.settle(&replica, &mut tally);
            clients.during(&[replica.port()], |progress| progress.await_more(STEPS / 4));
            clients.settle(&replica, &mut tally);
        }
        tally.end();
    }
}

#[test]
fn a_transfer_that_comes_to_its_end_leaves_nothing_of_the_old_data() {
    for (seed, loading, fault) in [
        (0, "disabled", "full sync over old data"),
        (
            1,
            "swapdb",
            "full sync over old data, repl-diskless-load swapdb",
        ),
        (
            2,
            "on-empty-db",
            "full sync over old data, repl-diskless-load on-empty-db",
        ),
    ] {
        let mut tally = Tally::new(fault);
        let args = ["--repl-diskless-load", loading];
        for round in 0..rounds(1) {
            let round = round as u64;
            let (replica, _) = filled(&args, 4_000 + 100 * seed + round);
            let (master, mut clients) = filled(&[], 4_500 + 100 * seed + round);
            // A key of the old data alone, which nothing may find any more.
            let mut client = replica.connect(Protocol::Resp2);
            client.expect("IOT.ADD old 1 1 LABELS kind old", "1");
            replica.replica_of(&master);
            tally.tried();
            clients.settle(&master, &mut tally);
            clients.compare(&master, &[&replica], &mut tally);
            client.expect("IOT.QUERYINDEX kind=old", "[]");
            client.expect("REPLICAOF NO ONE", "+OK");
            clients.settle(&replica, &mut tally);
        }
        tally.end();
    }
}

#[test]
fn a_transfer_into_an_empty_replica_that_is_cut_off_leaves_it_empty() {
    let mut tally =
        Tally::new("full sync into an empty replica cut off, repl-diskless-load on-empty-db");
    for round in 0..rounds(2) {
        let mut master = slow_master(5_000 + round as u64);
        let replica = Server::start_with(&EMPTY_REPLICA);
        let mut client = replica.connect(Protocol::Resp2);
        follow(&mut client, &master);
        await_that("data is loaded", || {
            client.text("INFO persistence").contains("\nloading:1")
        });
        master.kill9();
        await_that("the load has ended", || {
            client.text("INFO persistence").contains("\nloading:0")
        });
        tally.tried();
        client.expect("REPLICAOF NO ONE", "+OK");
        client.expect("DBSIZE", "0");
        client.expect("IOT.CARD FILTER c!=", "0");
        client.expect("IOT.POLICY LIST", "[]");
        // It takes the data of another.
        let (master, mut clients) = filled(&[], 5_500 + round as u64);
        replica.replica_of(&master);
        clients.settle(&master, &mut tally);
        clients.compare(&master, &[&replica], &mut tally);
    }
    tally.end();
}

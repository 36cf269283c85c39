//! A thousand clients at once, of which each gets its replies; and one that reads slowly, which holds up
//! nobody else. `IOT_SOAK=n` sends n times as much.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::process::Command;
use std::sync::atomic::AtomicUsize;

use redis::Value;
use support::client::{Client, Protocol};
use support::faults::account::{Account, Stop};
use support::faults::clients::Clients;
use support::faults::tally::{Tally, rounds};
use support::notation::{render, words};
use support::queries::{add, stat};
use support::seeds::FAULTS_SEED;
use support::server::{Server, await_that};

/// Clients that write, each to keys of its own.
const WRITERS: usize = 100;
/// Clients that ask for what stays as it is.
const READERS: usize = 800;
/// Clients that wait for a sample.
const WAITING: usize = 100;
/// Threads of the test that drive them.
const THREADS: usize = 4;
/// Files that the test has open at most.
const FILES: usize = 4_000;
/// Samples of the series that readers ask for: few, that are read at once, and many.
const SAMPLES: u32 = 20_000;

/// Lets this process open as many files as it has clients. Says whether it may.
fn may_open_files() -> bool {
    let pid = format!("--pid={}", std::process::id());
    let limit = format!("--nofile={FILES}:");
    let set = Command::new("prlimit").args([pid, limit]).status();
    let is_set = set.is_ok_and(|status| status.success());
    if !is_set {
        println!("LEFT OUT: no thousand clients, which need a limit of {FILES} open files");
    }
    is_set
}

/// What a reader asks, and what it is told.
type Question = (Vec<Vec<u8>>, Value);

/// Questions about series that nobody writes to, short and long.
fn questions(client: &mut Client) -> Vec<Question> {
    add(
        client,
        "still",
        0,
        (0..SAMPLES).map(|at| f64::from(at) / 4.0),
    );
    client.expect("IOT.ALTER still LABELS kind still", "+OK");
    client.expect("IOT.FENCE ADD stills z CIRCLE 1 1 1000", "1");
    client.expect("IOT.TRACK cars d 1 1 TS 5", "1");
    let lines = [
        "IOT.GET still",
        "IOT.RANGE still 100 200",
        "IOT.RANGE still - + AGGREGATION sum,twa 10",
        "IOT.REVRANGE still - + AGGREGATION avg 1000",
        "IOT.MRANGE - + AGGREGATION max 7 FILTER kind=still",
        "IOT.MGET FILTER kind=still",
        "IOT.NEARBY cars 1 1 RADIUS 1000",
        "IOT.FENCE AT stills 1 1",
        "IOT.READ still 19990",
    ];
    lines
        .map(|line| (words(line), client.run(line)))
        .into_iter()
        .collect()
}

/// The clients that one thread drives.
struct Crew<'a> {
    writers: Vec<(&'a mut Account, Client)>,
    readers: Vec<Client>,
}

impl Crew<'_> {
    /// Lets all of them send before any of them reads. Says what was replied wrongly.
    fn go(&mut self, questions: &[Question], acknowledged: &AtomicUsize) -> Vec<String> {
        let mut broken = Vec::new();
        for (account, client) in &mut self.writers {
            if account.send(client) != Stop::Told {
                broken.push("a writer cannot send".into());
            }
        }
        for (number, client) in self.readers.iter_mut().enumerate() {
            let (question, _) = &questions[number % questions.len()];
            client.send_all(std::slice::from_ref(question)).unwrap();
        }
        for (account, client) in &mut self.writers {
            if account.receive(client, acknowledged) != Stop::Told {
                broken.push("a writer has no reply".into());
            }
        }
        for (number, client) in self.readers.iter_mut().enumerate() {
            let (question, answer) = &questions[number % questions.len()];
            if client.receive().as_ref() != Ok(answer) {
                broken.push(format!("another answer to {question:?}"));
            }
        }
        broken
    }
}

#[test]
fn a_thousand_clients_get_their_replies() {
    if !may_open_files() {
        return;
    }
    let server = Server::start();
    let mut tally = Tally::new("1,000 clients at once: writes, reads, long queries, waiting reads");
    let mut clients = Clients::new(&server, FAULTS_SEED + 7_000, WRITERS);
    let mut client = server.connect(Protocol::Resp2);
    let questions = questions(&mut client);
    client.expect("CONFIG SET redis-iot.inline-samples 100", "+OK");
    client.expect("CONFIG SET redis-iot.max-queries 10000", "+OK");
    let connect = || server.connect(Protocol::Resp2);
    for _ in 0..rounds(1) {
        let mut waiting: Vec<Client> = (0..WAITING).map(|_| connect()).collect();
        for (number, waiting) in waiting.iter_mut().enumerate() {
            client.run(&format!("DEL wait:{number}"));
            client.expect(&format!("IOT.CREATE wait:{number}"), "+OK");
            waiting.send(&format!("IOT.READ wait:{number} - BLOCK 0 1"));
        }
        server.await_info("clients", &format!("blocked_clients:{WAITING}"));
        tally.broken(exchange(&mut clients, &questions, &connect));
        for (number, mut waiting) in waiting.into_iter().enumerate() {
            client.expect(&format!("IOT.ADD wait:{number} 1 {number}"), "1");
            assert_eq!(
                render(&waiting.receive().unwrap()),
                format!("[[1, #{number}]]")
            );
        }
        tally.tried();
        server.await_info("clients", "blocked_clients:0");
        // The one that asks and ours.
        await_that("clients are gone", || {
            client.info("clients", "connected_clients") == 1
        });
        assert_eq!(stat(&mut client, "queries_running"), 0);
        assert_eq!(stat(&mut client, "queries_waiting"), 0);
    }
    clients.settle(&server, &mut tally);
    tally.end();
}

/// Connects writers and readers, and lets them send and read several times.
fn exchange(
    clients: &mut Clients,
    questions: &[Question],
    connect: &(impl Fn() -> Client + Sync),
) -> Vec<String> {
    let crews = clients.accounts().chunks_mut(WRITERS / THREADS);
    let mut crews: Vec<Crew<'_>> = crews
        .map(|accounts| Crew {
            writers: accounts
                .iter_mut()
                .map(|account| (account, connect()))
                .collect(),
            readers: (0..READERS / THREADS).map(|_| connect()).collect(),
        })
        .collect();
    let connected = connect().info("clients", "connected_clients");
    assert!(
        connected >= (WRITERS + READERS + WAITING) as u64,
        "{connected} clients"
    );
    let acknowledged = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let crews: Vec<_> = crews
            .iter_mut()
            .map(|crew| {
                let acknowledged = &acknowledged;
                scope.spawn(move || {
                    let broken = (0..5).map(|_| crew.go(questions, acknowledged));
                    broken.flatten().collect::<Vec<_>>()
                })
            })
            .collect();
        crews
            .into_iter()
            .flat_map(|crew| crew.join().unwrap())
            .collect()
    })
}

/// A query with a reply of some 30 MB.
const HUGE: &str = "IOT.RANGE huge - +";
/// How often the slow client asks for it.
const REPLIES: usize = 3;
/// Bytes that the slow client may have waiting for it, where there is a limit.
const LIMIT: u64 = 8 << 20;

/// A server with a series for huge replies, and what a long query of others replies.
fn with_huge() -> (Server, Client, Value) {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    add(
        &mut client,
        "huge",
        0,
        (0..1_000_000).map(|at| f64::from(at % 1_000) / 8.0),
    );
    add(
        &mut client,
        "other",
        0,
        (0..SAMPLES).map(|at| f64::from(at) / 4.0),
    );
    let answer = client.run(OTHER);
    (server, client, answer)
}

/// What others ask meanwhile, beside the main thread.
const OTHER: &str = "IOT.RANGE other - + AGGREGATION avg 10";

/// A client that asks and does not read.
fn slow(server: &Server) -> Client {
    let mut slow = server.connect(Protocol::Resp2);
    slow.run("CLIENT SETNAME slow");
    slow.send_all(&vec![words(HUGE); REPLIES]).unwrap();
    slow
}

/// The bytes that wait for the slow client; `None` where it is gone.
fn waiting_bytes(client: &mut Client) -> Option<u64> {
    let list = client.text("CLIENT LIST");
    let line = list.lines().find(|line| line.contains(" name=slow "))?;
    let bytes = line
        .split(' ')
        .find_map(|field| field.strip_prefix("omem="));
    Some(bytes.unwrap().parse().unwrap())
}

#[test]
fn a_client_that_reads_slowly_is_cut_off_at_its_limit() {
    let mut tally = Tally::new("client that does not read huge replies, with an output limit");
    let (server, mut client, answer) = with_huge();
    client.expect(
        &format!("CONFIG SET client-output-buffer-limit \"normal {LIMIT} 0 0\""),
        "+OK",
    );
    for _ in 0..rounds(2) {
        let before = client.info("memory", "used_memory");
        let mut slow = slow(&server);
        await_that("the slow client is gone", || {
            // Others get their answers meanwhile.
            assert!(client.run(OTHER) == answer);
            waiting_bytes(&mut client).is_none()
        });
        await_that("its memory is back", || {
            client.info("memory", "used_memory") < before + LIMIT
        });
        assert!(
            (0..=REPLIES).any(|_| slow.receive().is_err()),
            "the connection is closed"
        );
        assert_eq!(stat(&mut client, "queries_running"), 0);
        tally.tried();
    }
    tally.broken(server.complaint().into_iter().collect());
    tally.end();
}

#[test]
fn a_client_that_reads_slowly_holds_up_nobody() {
    let mut tally = Tally::new("client that reads huge replies late, without a limit");
    let (server, mut client, answer) = with_huge();
    let huge = client.run(HUGE);
    for _ in 0..rounds(2) {
        let mut slow = slow(&server);
        await_that("replies wait for the slow client", || {
            assert!(client.run(OTHER) == answer);
            waiting_bytes(&mut client).unwrap() > LIMIT
        });
        // No thread waits with it.
        for _ in 0..20 {
            assert!(client.run(OTHER) == answer);
        }
        for _ in 0..REPLIES {
            assert!(slow.receive().as_ref() == Ok(&huge), "another reply");
        }
        tally.tried();
    }
    tally.broken(server.complaint().into_iter().collect());
    tally.end();
}

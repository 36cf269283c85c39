//! A server that is told to end, and one that is told to unload the module, while queries run beside its
//! main thread and clients write. `IOT_SOAK=n` tries n times as often.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::client::{Client, Protocol};
use support::faults::clients::Clients;
use support::faults::tally::{Tally, rounds};
use support::queries::{SLOW, make_slow, stat};
use support::seeds::FAULTS_SEED;
use support::server::{Server, await_that};

/// Clients that write.
const CLIENTS: usize = 3;
/// Clients that wait for a query: many more than there are threads, so that none comes to its end by chance.
const QUERIES: usize = 12;
/// Steps that are acknowledged before anything happens.
const STEPS: usize = 100;

const EVERY_SECOND: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "everysec"];

/// What a client waits for.
struct Waiting {
    client: Client,
    /// Its reply, if there will be one.
    answer: Option<Value>,
}

/// Lets clients wait: for long queries, and for a sample that never comes.
fn wait(server: &Server) -> Vec<Waiting> {
    let mut client = server.connect(Protocol::Resp2);
    make_slow(&mut client, 1 << 20);
    let answer = client.run(SLOW);
    client.expect("CONFIG SET redis-iot.inline-samples 0", "+OK");
    let mut all: Vec<Waiting> = (0..=QUERIES)
        .map(|number| {
            let mut client = server.connect(Protocol::Resp2);
            let is_read = number == QUERIES;
            client.send(if is_read {
                "IOT.READ slow $ BLOCK 0 1"
            } else {
                SLOW
            });
            Waiting {
                client,
                answer: (!is_read).then(|| answer.clone()),
            }
        })
        .collect();
    await_that("queries run and wait", || {
        stat(&mut client, "queries_running") > 0 && stat(&mut client, "queries_waiting") > 0
    });
    all.rotate_left(1);
    all
}

/// Each client has got what it waited for, or an error, or the end of its connection. Says how many waited
/// in vain.
#[track_caller]
fn check_waiting(waiting: Vec<Waiting>) -> usize {
    let mut in_vain = 0;
    for Waiting { mut client, answer } in waiting {
        match client.receive() {
            Ok(Value::ServerError(_)) | Err(_) => in_vain += 1,
            Ok(reply) => assert!(Some(&reply) == answer.as_ref(), "another answer"),
        }
    }
    in_vain
}

/// Ends the server by `end` while queries run and clients write, and starts it again.
#[track_caller]
fn check(fault: &'static str, seed: u64, end: fn(&Server)) {
    let mut server = Server::start_with(&EVERY_SECOND);
    let mut tally = Tally::new(fault);
    let mut clients = Clients::new(&server, FAULTS_SEED + seed, CLIENTS);
    for _ in 0..rounds(1) {
        let waiting = clients.during(&[server.port()], |progress| {
            progress.await_more(STEPS);
            let waiting = wait(&server);
            end(&server);
            assert_eq!(server.end().code(), Some(0), "{}", server.last_words());
            waiting
        });
        assert!(
            check_waiting(waiting) > 1,
            "queries ran when the server ended"
        );
        assert_eq!(server.complaint(), None);
        tally.tried();
        server.restart();
        clients.settle(&server, &mut tally);
    }
    tally.end();
}

#[test]
fn a_server_shuts_down_while_queries_run() {
    check("SHUTDOWN while queries run", 6_000, |server| {
        server.connect(Protocol::Resp2).shut_down("");
    });
}

#[test]
fn a_server_shuts_down_without_saving_while_queries_run() {
    check("SHUTDOWN NOSAVE while queries run", 6_100, |server| {
        server.connect(Protocol::Resp2).shut_down("NOSAVE");
    });
}

#[test]
fn a_server_saves_and_shuts_down_while_queries_run() {
    check("SHUTDOWN SAVE while queries run", 6_200, |server| {
        server.connect(Protocol::Resp2).shut_down("SAVE");
    });
}

#[test]
fn a_server_that_gets_a_signal_ends_while_queries_run() {
    check("SIGTERM while queries run", 6_300, |server| {
        server.signal("TERM");
    });
}

#[test]
fn the_module_is_not_unloaded() {
    let server = Server::start();
    let mut tally = Tally::new("MODULE UNLOAD while queries run");
    let mut clients = Clients::new(&server, FAULTS_SEED + 6_400, CLIENTS);
    for _ in 0..rounds(1) {
        let waiting = clients.during(&[server.port()], |progress| {
            progress.await_more(STEPS);
            let waiting = wait(&server);
            let refusal = "-ERR Error unloading module: the module exports one or more module-side data types, *";
            server.connect(Protocol::Resp2).expect("MODULE UNLOAD redis-iot", refusal);
            progress.await_more(STEPS);
            waiting
        });
        let mut client = server.connect(Protocol::Resp2);
        client.expect("CLIENT UNBLOCK 0", "0");
        client.expect("IOT.ADD slow 99999999 1", "99999999");
        let mut read = waiting;
        // All have their answers; the one that waited for a sample has got it.
        let at = read.iter().position(|one| one.answer.is_none()).unwrap();
        let mut reader = read.swap_remove(at).client;
        assert_eq!(
            support::notation::render(&reader.receive().unwrap()),
            "[[99999999, #1]]"
        );
        assert_eq!(check_waiting(read), 0);
        tally.tried();
        clients.settle(&server, &mut tally);
    }
    tally.end();
}

//! Replicas that lose their master, for a moment or for good, under a mix of all writes. `IOT_SOAK=n` cuts
//! links and changes masters n times as often.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::Protocol;
use support::faults::clients::Clients;
use support::faults::tally::{Tally, rounds};
use support::seeds::FAULTS_SEED;
use support::server::{Server, await_that};

/// Clients at once.
const CLIENTS: usize = 4;
/// Steps that are acknowledged between two things that happen.
const STEPS: usize = 60;
/// A backlog as small as the server takes.
const SMALL_BACKLOG: [&str; 2] = ["--repl-backlog-size", "16kb"];

/// A counter of `INFO stats`.
fn stat(server: &Server, name: &str) -> u64 {
    server.connect(Protocol::Resp2).info("stats", name)
}

fn chain(args: &[&str]) -> [Server; 3] {
    let servers = [(); 3].map(|()| Server::start_with(args));
    servers[1].replica_of(&servers[0]);
    servers[2].replica_of(&servers[1]);
    servers
}

#[test]
fn links_that_are_cut_are_taken_up_where_they_were() {
    let servers = chain(&[]);
    let mut tally = Tally::new("replica loses its link, chain of three servers: partial sync");
    let mut clients = Clients::new(&servers[0], FAULTS_SEED + 2_000, CLIENTS);
    let full = servers.each_ref().map(|server| stat(server, "sync_full"));
    for round in 0..rounds(4) {
        clients.during(&[servers[0].port()], |progress| {
            for (master, replica) in servers.iter().zip(&servers[1..]) {
                progress.await_more(STEPS);
                let before = stat(master, "sync_partial_ok");
                // From one end and from the other.
                let (end, kind) = if round % 2 == 0 {
                    (master, "replica")
                } else {
                    (replica, "master")
                };
                let mut client = end.connect(Protocol::Resp2);
                client.expect(&format!("CLIENT KILL TYPE {kind}"), "1");
                await_that("the replica goes on", || {
                    stat(master, "sync_partial_ok") > before
                });
                tally.tried();
            }
        });
        clients.settle(&servers[0], &mut tally);
        clients.compare(&servers[0], &[&servers[1], &servers[2]], &mut tally);
    }
    assert_eq!(
        servers.each_ref().map(|server| stat(server, "sync_full")),
        full
    );
    tally.end();
}

#[test]
fn a_replica_that_was_away_for_too_long_gets_everything_anew() {
    let servers = chain(&SMALL_BACKLOG);
    let mut tally = Tally::new(
        "replica stopped for longer than the backlog, chain of three servers: full sync",
    );
    let mut clients = Clients::new(&servers[0], FAULTS_SEED + 2_100, CLIENTS);
    for _ in 0..rounds(2) {
        clients.during(&[servers[0].port()], |progress| {
            progress.await_more(STEPS);
            let mut client = servers[0].connect(Protocol::Resp2);
            let full = stat(&servers[0], "sync_full");
            servers[1].signal("STOP");
            client.expect("CLIENT KILL TYPE replica", "1");
            let offset = client.info("replication", "master_repl_offset");
            await_that("the backlog has forgotten", || {
                client.info("replication", "master_repl_offset") > offset + (1 << 18)
            });
            servers[1].signal("CONT");
            await_that("the replica comes back", || {
                stat(&servers[0], "sync_full") > full
            });
            progress.await_more(STEPS);
        });
        tally.tried();
        servers[1].await_info("replication", "master_link_status:up");
        servers[2].await_info("replication", "master_link_status:up");
        clients.settle(&servers[0], &mut tally);
        clients.compare(&servers[0], &[&servers[1], &servers[2]], &mut tally);
    }
    tally.end();
}

/// Waits until the replica has what the master has. It is sent nothing behind a full sync until it has said
/// that it has that.
fn catch_up(master: &Server) {
    let mut client = master.connect(Protocol::Resp2);
    client.expect("SET caught-up yes", "+OK");
    client.expect("WAIT 1 30000", "1");
}

/// A master and its replica.
fn pair(args: &[&str]) -> [Server; 2] {
    let servers = [(); 2].map(|()| Server::start_with(args));
    servers[1].replica_of(&servers[0]);
    servers
}

#[test]
fn a_failover_under_load_loses_nothing() {
    let servers = pair(&[]);
    let ports = servers.each_ref().map(Server::port);
    let mut tally = Tally::new("failover under load: FAILOVER");
    let mut clients = Clients::new(&servers[0], FAULTS_SEED + 2_200, CLIENTS);
    for round in 0..rounds(6) {
        let [old, new] = [round % 2, (round + 1) % 2].map(|at| &servers[at]);
        clients.during(&ports, |progress| {
            progress.await_more(STEPS);
            old.connect(Protocol::Resp2).expect("FAILOVER", "+OK");
            new.await_info("replication", "role:master");
            progress.await_more(STEPS);
        });
        tally.tried();
        old.await_info("replication", "master_link_status:up");
        clients.settle(new, &mut tally);
        clients.compare(new, &[old], &mut tally);
    }
    tally.end();
}

#[test]
fn a_replica_that_has_everything_can_take_over() {
    let servers = pair(&[]);
    let mut tally = Tally::new("failover: replica that has caught up");
    let mut clients = Clients::new(&servers[0], FAULTS_SEED + 2_300, CLIENTS);
    for round in 0..rounds(4) {
        let [old, new] = [round % 2, (round + 1) % 2].map(|at| &servers[at]);
        clients.during(&[old.port()], |progress| progress.await_more(STEPS * 2));
        catch_up(old);
        new.connect(Protocol::Resp2)
            .expect("REPLICAOF NO ONE", "+OK");
        tally.tried();
        clients.settle(new, &mut tally);
        old.replica_of(new);
        clients.compare(new, &[old], &mut tally);
    }
    tally.end();
}

#[test]
fn a_replica_whose_master_is_killed_has_a_beginning_of_what_was_sent() {
    let mut servers = pair(&[]);
    let mut tally = Tally::that_may_lose("failover under load: kill -9 of the master");
    let mut clients = Clients::new(&servers[0], FAULTS_SEED + 2_400, CLIENTS);
    catch_up(&servers[0]);
    for round in 0..rounds(4) {
        let [one, two] = &mut servers;
        let (old, new) = if round % 2 == 0 {
            (one, two)
        } else {
            (two, one)
        };
        clients.during(&[old.port()], |progress| {
            progress.await_more(STEPS * 2);
            old.kill9();
        });
        new.connect(Protocol::Resp2)
            .expect("REPLICAOF NO ONE", "+OK");
        tally.tried();
        clients.settle(new, &mut tally);
        old.restart();
        old.replica_of(new);
        clients.compare(new, &[old], &mut tally);
        catch_up(new);
    }
    tally.end();
}

//! The law of enter and exit: for each device and fence they take turns, whatever becomes of either, and
//! what a device is in is at any time what its events say. `IOT_SOAK=seeds` runs so many more mixes.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::fences_mix::{Mix, check_equal};
use support::seeds::FENCES_SEED;
use support::server::Server;

/// Commands of each mix.
const STEPS: usize = 700;
/// Commands between two comparisons.
const STEPS_BETWEEN_CHECKS: usize = 7;
/// Events that a mix must have, to be worth anything.
const FEWEST_EVENTS: usize = 200;

fn seeds(first: u64, count: u64) -> impl Iterator<Item = u64> {
    let soak = std::env::var("IOT_SOAK").map_or(0, |text| text.parse().unwrap());
    (0..count + soak).map(move |number| FENCES_SEED + first + number)
}

fn run(mix: &mut Mix, client: &mut Client, steps: usize) {
    for step in 1..=steps {
        mix.step(client);
        if step % STEPS_BETWEEN_CHECKS == 0 {
            mix.check(client);
        }
    }
    mix.settle(client);
}

fn finish(mut mix: Mix, client: &mut Client) {
    mix.end(client);
    assert!(mix.law.seen >= FEWEST_EVENTS, "{} events", mix.law.seen);
}

#[test]
fn enter_and_exit_take_turns() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for seed in seeds(0, 4) {
        client.expect("FLUSHALL", "+OK");
        let mut mix = Mix::new(seed, &mut client);
        run(&mut mix, &mut client, STEPS);
        finish(mix, &mut client);
    }
}

#[test]
fn they_take_turns_across_reloads() {
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for seed in seeds(1_000, 2) {
        client.expect("FLUSHALL", "+OK");
        let mut mix = Mix::new(seed, &mut client);
        for _ in 0..8 {
            run(&mut mix, &mut client, STEPS / 8);
            mix.log.push("DEBUG RELOAD".into());
            client.expect("DEBUG RELOAD", "+OK");
            mix.check(&mut client);
        }
        finish(mix, &mut client);
    }
}

#[test]
fn they_take_turns_across_restarts() {
    for (seed, preamble) in seeds(2_000, 2).zip(["no", "yes"].into_iter().cycle()) {
        let args = ["--appendonly", "yes", "--appendfsync", "always"];
        let args = [&args[..], &["--aof-use-rdb-preamble", preamble]].concat();
        let mut server = Server::start_with(&args);
        let mut client = server.connect(Protocol::Resp2);
        let mut mix = Mix::new(seed, &mut client);
        for round in 0..6 {
            run(&mut mix, &mut client, STEPS / 6);
            if round % 2 == 1 {
                client.run("BGREWRITEAOF");
                server.await_info("persistence", "aof_rewrite_scheduled:0");
                server.await_info("persistence", "aof_rewrite_in_progress:0");
                server.await_info("persistence", "aof_last_bgrewrite_status:ok");
            }
            mix.log.push("restart".into());
            server.restart();
            client = server.connect(Protocol::Resp2);
            mix.check(&mut client);
        }
        finish(mix, &mut client);
    }
}

#[test]
fn they_take_turns_across_failovers_and_replicas_are_equal() {
    for seed in seeds(3_000, 2) {
        let servers = [Server::start(), Server::start()];
        let (mut master, mut replica) = (&servers[0], &servers[1]);
        replica.replica_of(master);
        let mut client = master.connect(Protocol::Resp2);
        let mut mix = Mix::new(seed, &mut client);
        for round in 0..6 {
            let mut other = replica.connect(Protocol::Resp2);
            for _ in 0..5 {
                run(&mut mix, &mut client, STEPS / 30);
                check_equal(&mix, &mut client, &mut [&mut other]);
            }
            if round % 2 == 1 {
                mix.log.push("DEBUG RELOAD".into());
                client.expect("DEBUG RELOAD", "+OK");
                replica.await_info("replication", "master_link_status:up");
                check_equal(&mix, &mut client, &mut [&mut other]);
            }
            mix.log.push("failover".into());
            client.expect("WAIT 1 30000", "1");
            other.expect("REPLICAOF NO ONE", "+OK");
            std::mem::swap(&mut master, &mut replica);
            client = other;
            mix.check(&mut client);
            run(&mut mix, &mut client, STEPS / 30);
            replica.replica_of(master);
        }
        finish(mix, &mut client);
    }
}

//! Downsampling rules on replicas, in append-only and dump files, and after a failover.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use support::client::{Client, Protocol};
use support::notation::render;
use support::rules::Mix;
use support::rules_cut::Scale;
use support::seeds::RULES_SEED;
use support::server::Server;

/// Commands of each mix.
const STEPS: usize = 600;
/// Commands between two comparisons.
const STEPS_BETWEEN_CHECKS: usize = 40;

/// Compares all keys; says which are not the same.
#[track_caller]
fn check_equal(mix: &Mix, one: &mut Client, other: &mut Client) {
    if one.digest() == other.digest() {
        return;
    }
    let mut differences = Vec::new();
    for key in mix.series.keys() {
        if one.digest_of(key) != other.digest_of(key) {
            let shown = [&mut *one, &mut *other].map(|client| {
                let lines = [
                    format!("IOT.INFO {key}"),
                    format!("IOT.REVRANGE {key} - + COUNT 20"),
                ];
                lines.map(|line| render(&client.run(&line)))
            });
            differences.push(format!("{key}: {shown:#?}"));
        }
    }
    let from = mix.log.len().saturating_sub(STEPS_BETWEEN_CHECKS);
    panic!("{}\n{}", differences.join("\n"), mix.log[from..].join("\n"));
}

fn scale(number: u64) -> Scale {
    if number.is_multiple_of(2) {
        Scale::Short
    } else {
        Scale::Calendar
    }
}

#[test]
fn a_replica_has_the_same_bits_and_goes_on_after_a_failover() {
    let (master, replica) = (Server::start(), Server::start());
    replica.replica_of(&master);
    let servers = [&master, &replica];
    for number in 0..10 {
        let [mut writer, mut reader] = servers.map(|server| server.connect(Protocol::Resp2));
        if number % 2 == 1 {
            std::mem::swap(&mut writer, &mut reader);
        }
        writer.expect("FLUSHALL", "+OK");
        let mut mix = Mix::new(RULES_SEED + 1_000 + number, scale(number), &mut writer);
        for step in 1..=STEPS {
            mix.step(&mut writer);
            if step % STEPS_BETWEEN_CHECKS == 0 {
                writer.expect("WAIT 1 30000", "1");
                check_equal(&mix, &mut writer, &mut reader);
            }
        }
        // The replica becomes the master, and goes on from what it has.
        reader.expect("REPLICAOF NO ONE", "+OK");
        let (old, new) = (number % 2, (number + 1) % 2);
        let [old, new] = [old, new].map(|at| servers[usize::try_from(at).unwrap()]);
        for step in 1..=STEPS {
            mix.step(&mut reader);
            if step % STEPS_BETWEEN_CHECKS == 0 {
                mix.check(&mut reader);
            }
            if step == STEPS / 3 {
                old.replica_of(new);
            }
        }
        reader.expect("WAIT 1 30000", "1");
        check_equal(&mix, &mut reader, &mut writer);
    }
}

fn check_restarts(number: u64, args: &[&str], rewrites: bool, saves: bool) {
    let mut server = Server::start_with(args);
    let mut client = server.connect(Protocol::Resp2);
    let mut mix = Mix::new(RULES_SEED + 2_000 + number, scale(number), &mut client);
    for step in 1..=STEPS {
        mix.step(&mut client);
        if step == STEPS / 5 && rewrites {
            client.run("BGREWRITEAOF");
            server.await_info("persistence", "aof_rewrite_scheduled:0");
            server.await_info("persistence", "aof_rewrite_in_progress:0");
        }
        if step % (STEPS / 4) == 0 {
            if saves {
                client.expect("SAVE", "+OK");
            }
            let before = client.digest();
            server.kill9();
            server.restart();
            client = server.connect(Protocol::Resp2);
            assert_eq!(client.digest(), before, "after a restart with {args:?}");
            mix.check(&mut client);
        }
    }
}

#[test]
fn an_append_only_file_brings_rules_and_destinations_back() {
    for (number, preamble, rewrites) in [(0, "no", false), (1, "no", true), (2, "yes", true)] {
        let args = ["--appendonly", "yes", "--appendfsync", "always"];
        let args = [&args[..], &["--aof-use-rdb-preamble", preamble]].concat();
        check_restarts(number, &args, rewrites, false);
    }
}

#[test]
fn a_dump_file_brings_rules_and_destinations_back() {
    for number in 3..5 {
        check_restarts(number, &[], false, true);
    }
}

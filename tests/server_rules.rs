//! Downsampling rules: the law, after every command of a random mix. `IOT_SOAK=seeds` runs so many
//! more mixes.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use support::client::Protocol;
use support::rules::Mix;
use support::rules_cut::Scale;
use support::seeds::RULES_SEED;
use support::server::Server;

/// Mixes of each scale.
const MIXES: u64 = 30;
/// Commands of each mix.
const STEPS: usize = 480;
/// Commands between two comparisons.
const STEPS_BETWEEN_CHECKS: usize = 6;

fn run(scale: Scale, seed: u64) {
    let soak = std::env::var("IOT_SOAK").map_or(0, |text| text.parse().unwrap());
    let server = Server::start();
    let mut compared = 0;
    for number in 0..MIXES + soak {
        let protocol = Protocol::BOTH[usize::from(number % 2 == 1)];
        let mut client = server.connect(protocol);
        client.expect("FLUSHALL", "+OK");
        let mut mix = Mix::new(RULES_SEED + seed + 100 * number, scale, &mut client);
        for step in 0..STEPS {
            mix.step(&mut client);
            if step % STEPS_BETWEEN_CHECKS == 0 {
                mix.check(&mut client);
            }
        }
        mix.check(&mut client);
        compared += mix.compared;
    }
    assert!(compared > 50_000, "only {compared} samples");
}

#[test]
fn destinations_hold_what_the_aggregation_gives_by_the_millisecond() {
    run(Scale::Short, 1);
}

#[test]
fn destinations_hold_what_the_aggregation_gives_by_the_calendar() {
    run(Scale::Calendar, 2);
}

#[test]
fn destinations_hold_what_the_aggregation_gives_by_the_clock_of_the_server() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    run(Scale::Now(now.as_millis().try_into().unwrap()), 3);
}

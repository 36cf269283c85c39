//! Moves through fences of all shapes, and the events of them, against a model of brute force: other
//! geometry, no index, sets of names for a state. `IOT_SOAK=seeds` runs so many more.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;
use support::client::{Client, Protocol};
use support::fences_events::{events_of, items_of};
use support::fences_oracle::{Oracle, Place, SITES, Shape, any, written};
use support::notation::{render, words};
use support::seeds::{FENCES_SEED, Random};
use support::server::Server;

/// Fences of each site.
const FENCES: usize = 40;
/// Devices of each seed.
const DEVICES: usize = 25;
/// Moves of each seed.
const MOVES: usize = 4_000;
/// Moves that are sent at once.
const BATCH: usize = 500;

/// One fix, and what it must bring.
struct Fix {
    device: usize,
    place: Place,
    entered: BTreeSet<String>,
    left: BTreeSet<String>,
}

/// Adds random fences to the server and the model.
fn fill(client: &mut Client, random: &mut Random) -> Oracle {
    let mut oracle = Oracle::default();
    let mut refused = 0;
    for number in 0..FENCES * SITES.len() {
        let shape = Shape::random(random, SITES[number % SITES.len()]);
        let name = format!("f{number}");
        match client.run(&format!("IOT.FENCE ADD zones {name} {}", shape.words())) {
            Value::Int(1) => oracle.fences.push((name, shape)),
            // Stars of small steps may meet themselves.
            Value::ServerError(_) if matches!(shape, Shape::Area(_)) => refused += 1,
            other => panic!("{} replied {}", shape.words(), render(&other)),
        }
    }
    assert!(refused < FENCES, "{refused} areas were refused");
    oracle
}

/// A place of which the model knows the fences.
fn place(random: &mut Random, oracle: &Oracle) -> (Place, BTreeSet<String>) {
    loop {
        let place = if random.chance(50) {
            let (_, shape) = &oracle.fences[random.index(oracle.fences.len())];
            shape.telling(random)
        } else {
            let site = SITES[random.index(SITES.len())];
            any(random, site)
        };
        if let Some(inside) = oracle.at(place) {
            return (place, inside);
        }
    }
}

/// Sends fixes, and compares what the stream says of each.
#[track_caller]
fn check(client: &mut Client, oracle: &Oracle, fixes: &[Fix], first: usize) {
    let mut commands: Vec<Vec<Vec<u8>>> = (first..)
        .zip(fixes)
        .map(|(time, fix)| {
            let place = written(fix.place);
            words(&format!("IOT.TRACK cars d{} {place} TS {time}", fix.device))
        })
        .collect();
    commands.push(words("XRANGE events - +"));
    commands.push(words("DEL events"));
    let replies = client.pipeline(&commands).unwrap();
    assert!(
        replies[..fixes.len()]
            .iter()
            .all(|reply| *reply == Value::Int(1))
    );
    let mut told: BTreeMap<usize, [BTreeSet<String>; 2]> = BTreeMap::new();
    for event in events_of(&replies[fixes.len()]) {
        let kind = ["enter", "exit"]
            .iter()
            .position(|kind| *kind == event.get("event"));
        let time = usize::try_from(event.number("ts")).unwrap();
        let sets = told.entry(time).or_default();
        let fence = event.get("fence").to_owned();
        assert!(sets[kind.unwrap()].insert(fence), "twice: {event:?}");
    }
    for (time, fix) in (first..).zip(fixes) {
        let [entered, left] = told.remove(&time).unwrap_or_default();
        if (&entered, &left) == (&fix.entered, &fix.left) {
            continue;
        }
        let of = |name: &&String| oracle.fences.iter().find(|(one, _)| one == *name).unwrap();
        let wrong = entered.symmetric_difference(&fix.entered);
        let wrong: Vec<_> = wrong.chain(left.symmetric_difference(&fix.left)).collect();
        let shapes: Vec<_> = wrong.iter().map(|name| of(name).1.words()).collect();
        let at = written(fix.place);
        let says = render(&client.run(&format!("IOT.FENCE AT zones {at}")));
        panic!(
            "d{} at {at}: {wrong:?}\n{}\nAT says {says}",
            fix.device,
            shapes.join("\n")
        );
    }
    assert!(told.is_empty(), "events of no fix: {told:?}");
}

#[test]
fn events_are_those_of_a_model_of_brute_force() {
    let soak = std::env::var("IOT_SOAK").map_or(0, |text| text.parse().unwrap());
    let server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for seed in 0..2 + soak {
        client.expect("FLUSHALL", "+OK");
        let mut random = Random::new(FENCES_SEED + 30_000 + seed);
        let oracle = fill(&mut client, &mut random);
        client.expect("IOT.FENCE BIND cars zones STREAM events", "+OK");
        let mut state: Vec<BTreeSet<String>> = vec![BTreeSet::new(); DEVICES];
        let mut changes = 0;
        for first in (1..=MOVES).step_by(BATCH) {
            let fixes: Vec<Fix> = (0..BATCH)
                .map(|_| {
                    let device = random.index(DEVICES);
                    let (place, inside) = place(&mut random, &oracle);
                    let before = std::mem::replace(&mut state[device], inside.clone());
                    Fix {
                        device,
                        place,
                        entered: inside.difference(&before).cloned().collect(),
                        left: before.difference(&inside).cloned().collect(),
                    }
                })
                .collect();
            changes += fixes.iter().map(|fix| fix.entered.len()).sum::<usize>();
            check(&mut client, &oracle, &fixes, first);
        }
        assert!(changes > MOVES, "{changes} enters are few");
        check_state(&mut client, &state);
    }
}

/// Compares the state at the end.
#[track_caller]
fn check_state(client: &mut Client, state: &[BTreeSet<String>]) {
    for (device, inside) in state.iter().enumerate() {
        let reply = client.run(&format!("IOT.POSITION cars d{device}"));
        let fences = support::fences_events::fences_of(&items_of(&reply)[0]);
        assert_eq!(fences.unwrap_or_default(), *inside, "d{device}");
    }
}

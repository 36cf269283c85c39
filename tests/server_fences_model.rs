//! Random fixes, fences and bindings: whatever happens in which order, enter and exit take turns, and in
//! the end devices are in the fences that are around them.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;
use support::client::{Client, Protocol};
use support::events::{Event, Events, show};
use support::notation::render;
use support::seeds::{FLEETS_SEED, Random};
use support::server::{Server, await_that};

/// Random commands before each comparison.
const COMMANDS: usize = 150;
/// Comparisons.
const ROUNDS: usize = 25;

const FLEETS: [&str; 2] = ["f", "g"];
const SETS: [&str; 3] = ["x", "y", "z"];

/// Degrees in steps of a half, as text.
fn degrees(random: &mut Random) -> String {
    let halves = random.within(-4..5);
    format!("{}.{}", halves / 2, 5 * (halves % 2).abs())
        .replace("0.5", if halves < 0 { "-0.5" } else { "0.5" })
}

fn place(random: &mut Random) -> String {
    format!("{} {}", degrees(random), degrees(random))
}

fn shape(random: &mut Random) -> String {
    let place = place(random);
    match random.index(4) {
        0 => format!("CIRCLE {place} {}", random.within(1..150_000)),
        1 => "BBOX -1 -1 0.5 1.5".into(),
        2 => format!("CORRIDOR {} 2 {place} 2 2.5", random.within(1..200_000)),
        _ => "POLYGON 4 -2 -2 2 -2 2 2 0 1 HOLE 3 0.2 -0.7 1.7 -0.7 1.7 0.2".into(),
    }
}

struct Traffic {
    random: Random,
    time_ms: i64,
}

impl Traffic {
    fn command(&mut self) -> String {
        let random = &mut self.random;
        let (fleet, set) = (random.pick(&FLEETS), random.pick(&SETS));
        let (fence, device) = (random.index(5), random.index(8));
        self.time_ms += 1;
        let ts = self.time_ms - random.within(0..3);
        match random.index(40) {
            0..=17 => format!("IOT.TRACK {fleet} d{device} {} TS {ts}", place(random)),
            18..=22 => {
                let items: Vec<String> = (0..4)
                    .map(|_| format!("d{} {} {ts}", random.index(8), place(random)))
                    .collect();
                format!("IOT.MTRACK {fleet} {}", items.join(" "))
            }
            23..=24 => format!("IOT.UNTRACK {fleet} d{device} d{}", random.index(8)),
            25..=30 => {
                let options = random.pick(&["", "", "", "GROUPS 1 some", "DEVICES 3 d0 d1 d2"]);
                format!(
                    "IOT.FENCE ADD {set} {set}{fence} {} {options}",
                    shape(random)
                )
            }
            31..=33 => format!("IOT.FENCE DEL {set} {set}{fence}"),
            34..=35 => {
                let how = random.pick(&["", "", "GROUP some"]);
                format!("IOT.FENCE BIND {fleet} {set} {how} STREAM events")
            }
            36 => format!("IOT.FENCE UNBIND {fleet} {set}"),
            37 => format!("DEL {set}"),
            38 => {
                // A whole set in the place of another.
                "MULTI".into()
            }
            _ => format!(
                "IOT.TRACK {fleet} d{device} {} TS {ts} EXPIRE 5",
                place(random)
            ),
        }
    }
}

/// Puts a whole set in the place of another.
fn swap_set(client: &mut Client, random: &mut Random) {
    let set = random.pick(&SETS);
    for fence in 0..3 {
        client.run(&format!("IOT.FENCE ADD new {set}{fence} {}", shape(random)));
    }
    client.expect(&format!("RENAME new {set}"), "+OK");
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::BulkString(text) => String::from_utf8(text.clone()).unwrap(),
                other => panic!("{}", render(other)),
            })
            .collect(),
        other => panic!("{}", render(other)),
    }
}

/// The value of a name in a flat map.
fn field<'v>(map: &'v Value, name: &str) -> &'v Value {
    let Value::Array(flat) = map else {
        panic!("{}", render(map));
    };
    let mut pairs = flat.chunks(2);
    let wanted = Value::BulkString(name.into());
    &pairs.find(|pair| pair[0] == wanted).unwrap()[1]
}

/// What each device is in, as the server says it and as it should be, by fleet and device.
type Inside = BTreeMap<(String, String), Vec<String>>;

fn inside(client: &mut Client) -> (Inside, Inside) {
    let (mut said, mut right) = (Inside::new(), Inside::new());
    for fleet in FLEETS {
        let Value::Array(list) = client.run(&format!("IOT.FLEET LIST {fleet}")) else {
            panic!("no list");
        };
        let bindings = match client.run(&format!("IOT.FENCE BINDINGS {fleet}")) {
            Value::Array(bindings) => bindings,
            other => panic!("{}", render(&other)),
        };
        for device in texts(&list[1]) {
            let Value::Array(positions) = client.run(&format!("IOT.POSITION {fleet} {device}"))
            else {
                panic!("no position");
            };
            if positions[0] == Value::Nil {
                continue;
            }
            let number = |name| render(field(&positions[0], name)).replace('#', "");
            let (lon, lat) = (number("lon"), number("lat"));
            let mut have = texts(field(&positions[0], "fences"));
            let mut want = Vec::new();
            for binding in &bindings {
                let Value::BulkString(set) = field(binding, "fences") else {
                    panic!("no name");
                };
                let set = String::from_utf8(set.clone()).unwrap();
                let group = match field(binding, "group") {
                    Value::Nil => "",
                    _ => "GROUP some",
                };
                for fence in texts(&client.run(&format!("IOT.FENCE AT {set} {lon} {lat} {group}")))
                {
                    let fence_of = client.run(&format!("IOT.FENCE GET {set} {fence}"));
                    let devices = texts(field(&fence_of, "devices"));
                    if devices.is_empty() || devices.contains(&device) {
                        want.push(fence);
                    }
                }
            }
            have.sort();
            want.sort();
            let name = (fleet.to_string(), device);
            said.insert(name.clone(), have);
            right.insert(name, want);
        }
    }
    (said, right)
}

/// Goes through events, which must take turns.
fn follow(events: Vec<Event>, state: &mut BTreeSet<String>) {
    for event in events {
        let visit = show(&event, &["fleet", "device", "fence"]);
        match event["event"].as_str() {
            "enter" => assert!(state.insert(visit.clone()), "{visit} enters twice"),
            "exit" => assert!(state.remove(&visit), "{visit} leaves twice: {event:?}"),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn enter_and_exit_take_turns_whatever_happens() {
    let mut server = Server::start();
    let mut client = server.connect(Protocol::Resp2);
    for fleet in FLEETS {
        // So that it stays.
        client.expect(&format!("IOT.FLEET CREATE {fleet} TRAIL 5"), "+OK");
        for set in SETS {
            client.expect(
                &format!("IOT.FENCE BIND {fleet} {set} STREAM events"),
                "+OK",
            );
        }
    }
    let mut events = Events::of(&server);
    let mut traffic = Traffic {
        random: Random::new(FLEETS_SEED),
        time_ms: 1_000_000,
    };
    let mut state = BTreeSet::new();
    let mut most = 0;
    for round in 0..ROUNDS {
        for _ in 0..COMMANDS {
            let line = traffic.command();
            if line == "MULTI" {
                swap_set(&mut client, &mut traffic.random);
                continue;
            }
            let reply = render(&client.run(&line));
            assert!(!reply.contains("-\""), "{line}: {reply}");
        }
        await_that("devices are in the fences around them", || {
            let (said, right) = inside(&mut client);
            said == right
        });
        follow(events.all(), &mut state);
        let (said, _) = inside(&mut client);
        let named = said.into_iter().flat_map(|((fleet, device), fences)| {
            fences
                .into_iter()
                .map(move |fence| format!("{fleet} {device} {fence}"))
        });
        let said: BTreeSet<String> = named.collect();
        // A device may have expired meanwhile.
        follow(events.all(), &mut state);
        await_that(
            &format!("the events of round {round} are all there"),
            || {
                follow(events.all(), &mut state);
                said.is_superset(&state)
            },
        );
        most = most.max(state.len());
        if round % 8 == 7 {
            client.expect("DEBUG RELOAD", "+OK");
        }
    }
    assert!(most > 20, "devices are in fences at times: {most}");
    server.assert_alive(&|| "random traffic".into());
    server.assert_no_panic();
}

//! The server that is never disturbed, and how two servers are compared.

use std::collections::BTreeMap;

use redis::Value;

use super::load::{DEVICES, Kind, Step};
use crate::support::client::{Client, Protocol};
use crate::support::fences_events::{events_of, fences_of, items_of, text_of};
use crate::support::notation::{render, words};
use crate::support::server::Server;

/// Keys whose bits depend on the server's clock or its timer.
const BY_THE_CLOCK: [&str; 8] = [
    "clock", "count", "loose", "areas", "spare", "later", "meet", "told",
];

/// The server that is never disturbed.
#[derive(Debug)]
pub(crate) struct Oracle {
    server: Server,
}

impl Oracle {
    /// One with nothing in it.
    pub(crate) fn start() -> Self {
        Self {
            server: Server::start(),
        }
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> Client {
        self.server.connect(Protocol::Resp2)
    }

    /// Takes over what a server has: behind a fault that may lose something, the oracle has been told of
    /// more than that.
    pub(crate) fn become_copy_of(&self, server: &Server) {
        self.server.replica_of(server);
        self.connect().expect("REPLICAOF NO ONE", "+OK");
    }
}

/// Replies as they are compared.
pub(crate) fn shown(step: &Step, replies: &[Value]) -> Vec<String> {
    let show = |reply: &Value| {
        if step.kind != Kind::Search {
            return render(reply);
        }
        let mut leaves = Vec::new();
        take_leaves(reply, &mut leaves);
        leaves.sort();
        leaves.join(" ")
    };
    replies.iter().map(show).collect()
}

fn take_leaves(reply: &Value, leaves: &mut Vec<String>) {
    match reply {
        Value::Array(items) => items.iter().for_each(|item| take_leaves(item, leaves)),
        other => leaves.push(render(other)),
    }
}

/// What a server has of a client's, line by line: equal for two servers that got the same.
pub(crate) type Portrait = BTreeMap<String, String>;

/// Looks at everything of a client that depends on nothing but what it has sent.
#[track_caller]
pub(crate) fn portrait(client: &mut Client, prefix: &str) -> Portrait {
    let keys: Vec<String> =
        redis::from_redis_value(client.run(&format!("KEYS {prefix}*"))).unwrap();
    let is_certain = |key: &&String| !BY_THE_CLOCK.contains(&&key[prefix.len()..]);
    let mut lines: Vec<String> = keys
        .iter()
        .filter(is_certain)
        // When a device came to be in a fence may be a matter of the clock.
        .filter(|key| **key != format!("{prefix}fleet"))
        .map(|key| format!("DEBUG DIGEST-VALUE {key}"))
        .collect();
    let devices: Vec<String> = (0..DEVICES).map(|number| format!("d{number}")).collect();
    let label = prefix.trim_end_matches(':');
    lines.extend([
        format!("PEXPIRETIME {prefix}e"),
        format!("IOT.RANGE {prefix}clock - + AGGREGATION sum 1000000w"),
        format!("IOT.FLEET INFO {prefix}fleet"),
        format!("IOT.FENCE BINDINGS {prefix}fleet"),
        format!("IOT.QUERYINDEX c={label}"),
        format!("IOT.GET {prefix}count"),
        format!("IOT.POSITION {prefix}fleet {}", devices.join(" ")),
        format!("XRANGE {prefix}told - +"),
    ]);
    lines.extend(
        devices
            .iter()
            .map(|device| format!("IOT.TRAIL {prefix}fleet {device} - +")),
    );
    let requests: Vec<_> = lines.iter().map(|line| words(line)).collect();
    let replies = client.pipeline(&requests).unwrap();
    let drawn = lines.into_iter().zip(replies).map(|(line, reply)| {
        let drawn = draw(&line, &reply);
        (line, drawn)
    });
    drawn.collect()
}

/// A reply without what depends on the clock, and in an order that depends on nothing.
fn draw(line: &str, reply: &Value) -> String {
    let sorted = |items: Vec<String>| {
        let mut items = items;
        items.sort();
        items.join(" ")
    };
    match (line.split(' ').next().unwrap(), reply) {
        (_, Value::ServerError(_)) => render(reply),
        ("IOT.QUERYINDEX", Value::Array(keys)) => sorted(keys.iter().map(text_of).collect()),
        // Its options; the rest counts what has come in since the start.
        ("IOT.FLEET", Value::Array(fields)) => render(&Value::Array(fields[4..22].to_vec())),
        ("IOT.GET", Value::Array(sample)) => render(&sample[sample.len() - 1]),
        ("IOT.POSITION", Value::Array(positions)) => {
            let position = |position: &Value| match fences_of(position) {
                None => "nil".to_owned(),
                Some(fences) => {
                    let fields = Value::Array(items_of(position)[..18].to_vec());
                    format!("{} in {fences:?}", render(&fields))
                }
            };
            positions
                .iter()
                .map(position)
                .collect::<Vec<_>>()
                .join("\n")
        }
        ("XRANGE", _) => told(reply),
        _ => render(reply),
    }
}

/// What the events of each device and fence were, in their order.
fn told(reply: &Value) -> String {
    let mut told: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for event in events_of(reply) {
        let what = format!("{} {}", event.get("event"), event.get("reason"));
        told.entry(event.who()).or_default().push(what);
    }
    format!("{told:?}")
}

/// The lines in which two portraits differ.
pub(crate) fn differences(wanted: &Portrait, have: &Portrait) -> String {
    let mut lines: Vec<&String> = wanted.keys().chain(have.keys()).collect();
    lines.sort();
    lines.dedup();
    let differs = |line: &&&String| wanted.get(**line) != have.get(**line);
    let show = |line: &String| {
        let [wanted, have] = [wanted, have].map(|one| one.get(line).map_or("-", String::as_str));
        format!("{line}\n  wanted {wanted}\n  has    {have}")
    };
    lines
        .iter()
        .filter(differs)
        .map(|line| show(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The samples of series whose digests differ, as far as they do, at the oracle and at the server.
pub(crate) fn samples(wanted: &Portrait, have: &Portrait, mut ends: [&mut Client; 2]) -> String {
    let mut text = String::new();
    for line in wanted
        .keys()
        .filter(|line| wanted.get(*line) != have.get(*line))
    {
        let Some(key) = line.strip_prefix("DEBUG DIGEST-VALUE ") else {
            continue;
        };
        let rows = ends
            .each_mut()
            .map(|end| match end.run(&format!("IOT.RANGE {key} - +")) {
                Value::Array(rows) => rows.iter().map(render).collect(),
                other => vec![render(&other)],
            });
        for (side, own, other) in [("wanted", 0, 1), ("has", 1, 0)] {
            let only: Vec<&String> = rows[own]
                .iter()
                .filter(|row| !rows[other].contains(row))
                .collect();
            let info = render(&ends[own].run(&format!("IOT.INFO {key}")));
            text = format!("{text}{key} {side} {only:?} {info}\n");
        }
    }
    text
}

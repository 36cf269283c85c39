//! What holds of a server at any time, whatever it has lost.

use std::collections::BTreeSet;
use std::time::Instant;

use redis::Value;

use super::load::{DEVICES, RULES};
use crate::support::client::{Client, Protocol};
use crate::support::fences_events::{Law, check_state, events, fences_of, items_of, text_of};
use crate::support::notation::render;
use crate::support::server::{PATIENCE, Server, await_that};

/// How long the destination with a delay waits: nothing that the server tells says so.
const DELAYED: (&str, i64) = ("s2:delayed", 3_000);

/// Checks all of it, for clients whose keys begin with these. Says what does not hold.
pub(crate) fn check(server: &Server, prefixes: &[String]) -> Vec<String> {
    let mut client = server.connect(Protocol::Resp2);
    let mut broken = Vec::new();
    broken.extend(index_is_false(&mut client));
    for prefix in prefixes {
        broken.extend(rules_broken(&mut client, prefix));
        broken.extend(states_broken(&mut client, prefix));
        broken.extend(told_twice(&mut client, prefix));
    }
    broken.extend(reload_changes(&mut client));
    broken.extend(index_is_false(&mut client));
    broken.extend(server.complaint());
    broken
}

/// The index of labels is what a scan of the keys finds.
pub(crate) fn index_is_false(client: &mut Client) -> Option<String> {
    let reply = client.run("IOT.DEBUG INDEX");
    let fields = items_of(&reply);
    let is_true = fields[1] == fields[3] && fields[7] == Value::Nil;
    (!is_true).then(|| format!("the index is not what is there: {}", render(&reply)))
}

/// A destination has what the aggregation over its source gives for each closed bucket, and no more.
fn rules_broken(client: &mut Client, prefix: &str) -> Vec<String> {
    let keys: Vec<String> =
        redis::from_redis_value(client.run(&format!("KEYS {prefix}*"))).unwrap();
    let mut broken = Vec::new();
    for source in keys {
        let Value::Array(info) = client.run(&format!("IOT.INFO {source}")) else {
            continue;
        };
        let at = info
            .iter()
            .position(|field| *field == Value::BulkString(b"rules".into()));
        for rule in items_of(&info[at.expect("rules") + 1]) {
            broken.extend(rule_broken(client, &source, items_of(rule)));
        }
    }
    broken
}

fn rule_broken(client: &mut Client, source: &str, rule: &[Value]) -> Option<String> {
    let [
        destination,
        Value::Int(width),
        aggregator,
        Value::Int(align),
        ..,
    ] = rule
    else {
        panic!("no rule: {}", render(&Value::Array(rule.to_vec())));
    };
    let destination = text_of(destination);
    // A rule of a policy begins at the bucket that was open; that it does is what the oracle says.
    if !RULES
        .iter()
        .any(|rule| destination.ends_with(&format!(":{}", rule.1)))
    {
        return None;
    }
    // One that is gone, or that is another's by now, ends when its next bucket is to be stored.
    let info = client.run(&format!("IOT.INFO {destination}"));
    let Value::Array(info) = info else {
        return None;
    };
    let at = info
        .iter()
        .position(|field| *field == Value::BulkString(b"sourceKey".into()));
    if info[at.expect("its source") + 1] != Value::BulkString(source.into()) {
        return None;
    }
    let delay = if destination.ends_with(DELAYED.0) {
        DELAYED.1
    } else {
        0
    };
    let newest = match client.run(&format!("IOT.GET {source}")) {
        Value::Array(sample) if !sample.is_empty() => i64_of(&sample[0]),
        _ => -1,
    };
    let passed = newest - delay;
    let closed = passed - (passed - align).rem_euclid(*width);
    let wanted = if passed < 0 || closed <= 0 {
        Value::Array(Vec::new())
    } else {
        client.run(&format!(
            "IOT.RANGE {source} - {} ALIGN {align} AGGREGATION {} {width}",
            closed - 1,
            text_of(aggregator)
        ))
    };
    let have = client.run(&format!("IOT.RANGE {destination} - +"));
    (wanted != have).then(|| {
        format!(
            "{source} gives {}, and {destination} has {}",
            render(&wanted),
            render(&have)
        )
    })
}

fn i64_of(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        other => panic!("no number: {}", render(other)),
    }
}

/// A device is in the fences that lie around it, and its events say the same.
fn states_broken(client: &mut Client, prefix: &str) -> Vec<String> {
    let devices: Vec<String> = (0..DEVICES).map(|number| format!("d{number}")).collect();
    let mut broken = Vec::new();
    for (fleet, fences, stream, is_prompt) in [
        ("fleet", "zones", "told", true),
        ("loose", "areas", "later", false),
    ] {
        let [fleet, fences, stream] = [fleet, fences, stream].map(|key| format!("{prefix}{key}"));
        let mut difference = None;
        let begun = Instant::now();
        // What the timer has a part in comes soon.
        await_that("states are settled", || {
            difference = unsettled(client, &fleet, &fences, &devices);
            difference.is_none() || is_prompt || begun.elapsed() > PATIENCE / 3
        });
        broken.extend(difference);
        let mut law = Law::default();
        if let Err(difference) = check_state(client, &mut law, (&fleet, &stream), &devices) {
            broken.push(format!("{stream}: {difference}"));
        }
    }
    broken
}

fn unsettled(client: &mut Client, fleet: &str, fences: &str, devices: &[String]) -> Option<String> {
    for device in devices {
        for line in [
            "MULTI".into(),
            format!("IOT.POSITION {fleet} {device}"),
            format!("IOT.FENCE BINDINGS {fleet}"),
        ] {
            client.run(&line);
        }
        let reply = client.run("EXEC");
        let position = &items_of(&items_of(&reply)[0])[0];
        let Some(inside) = fences_of(position) else {
            continue;
        };
        let fields = items_of(position);
        let (lon, lat) = (text_of(&fields[1]), text_of(&fields[3]));
        let is_bound = render(&reply).contains(&format!("\"{fences}\""));
        let around = match client.run(&format!("IOT.FENCE AT {fences} {lon} {lat}")) {
            Value::Array(around) if is_bound => around.iter().map(text_of).collect(),
            _ => BTreeSet::new(),
        };
        if inside != around {
            return Some(format!(
                "{fleet} {device} at {lon} {lat} is in {inside:?}, not in {around:?}"
            ));
        }
    }
    None
}

/// A visit has one dwell, and two devices meet once at a time.
fn told_twice(client: &mut Client, prefix: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let mut seen = BTreeSet::new();
    for event in events(client, &format!("{prefix}later")) {
        if event.get("event") == "dwell" && !seen.insert(event.get("id").to_owned()) {
            broken.push(format!("twice: {event:?}"));
        }
    }
    let mut seen = BTreeSet::new();
    for event in events(client, &format!("{prefix}meet")) {
        let what = ["event", "device", "other", "ts"].map(|field| event.get(field).to_owned());
        if !seen.insert(what) {
            broken.push(format!("twice: {event:?}"));
        }
    }
    broken
}

/// What is stored and loaded again is the same. Nothing expires and no timer tells anything meanwhile.
fn reload_changes(client: &mut Client) -> Option<String> {
    client.expect("CLIENT PAUSE 600000 WRITE", "+OK");
    let before = client.digest();
    client.expect("DEBUG RELOAD", "+OK");
    let after = client.digest();
    client.expect("CLIENT UNPAUSE", "+OK");
    (before != after).then(|| "DEBUG RELOAD brings another digest".into())
}

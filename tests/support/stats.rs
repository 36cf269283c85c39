//! The figures of `IOT.STATS`, and the same from a scan of all keys.

use std::collections::BTreeMap;

use redis::Value;

use super::client::Client;
use super::notation::render;

/// Figures by their names.
pub(crate) type Figures = BTreeMap<String, f64>;

/// All figures.
#[track_caller]
pub(crate) fn figures(client: &mut Client) -> Figures {
    pairs(&client.run("IOT.STATS"))
}

/// One figure.
#[track_caller]
pub(crate) fn figure(client: &mut Client, name: &str) -> u64 {
    let figures = figures(client);
    let value = figures.get(name);
    let value = value.unwrap_or_else(|| panic!("no {name} in {figures:?}"));
    value.to_string().parse().unwrap()
}

/// A map of numbers, or a flat array in its place.
#[track_caller]
pub(crate) fn pairs(reply: &Value) -> Figures {
    let pairs = map(reply).into_iter();
    pairs.map(|(name, value)| (name, number(&value))).collect()
}

/// A map, or a flat array in its place.
#[track_caller]
pub(crate) fn map(reply: &Value) -> Vec<(String, Value)> {
    match reply {
        Value::Map(pairs) => pairs
            .iter()
            .map(|(name, value)| (text(name), value.clone()))
            .collect(),
        Value::Array(flat) => flat
            .chunks(2)
            .map(|pair| (text(&pair[0]), pair[1].clone()))
            .collect(),
        other => panic!("no map: {}", render(other)),
    }
}

#[track_caller]
fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        Value::SimpleString(text) => text.clone(),
        other => panic!("no text: {}", render(other)),
    }
}

#[track_caller]
#[expect(clippy::cast_precision_loss, reason = "figures of a test are small")]
fn number(value: &Value) -> f64 {
    match value {
        Value::Int(number) => *number as f64,
        other => text(other).parse().unwrap(),
    }
}

/// What is held, by a scan of the first two databases.
#[track_caller]
pub(crate) fn scanned(client: &mut Client) -> Figures {
    let names = [
        "series",
        "samples",
        "sample_bytes",
        "blocks",
        "rules",
        "policies",
        "fleets",
        "devices",
        "fence_bindings",
        "fence_sets",
        "fences",
    ];
    let mut found: Figures = names.iter().map(|name| ((*name).into(), 0.0)).collect();
    for database in 0..2 {
        client.expect(&format!("SELECT {database}"), "+OK");
        let keys: Vec<String> = redis::from_redis_value(client.run("KEYS *")).unwrap();
        for key in keys {
            let kind = client.text(&format!("TYPE {key}"));
            for (name, by) in held(client, &key, &kind) {
                *found.get_mut(name).unwrap() += by;
            }
        }
    }
    client.expect("SELECT 0", "+OK");
    found
}

/// What one key adds to which figures.
fn held(client: &mut Client, key: &str, kind: &str) -> Vec<(&'static str, f64)> {
    match kind {
        "iotseries" => series(client, key),
        "iotpolicy" => vec![("policies", 1.0)],
        "iotfleets" => {
            let info = map(&client.run(&format!("IOT.FLEET INFO {key}")));
            let devices = info.iter().find(|(name, _)| name == "devices");
            let bindings = match client.run(&format!("IOT.FENCE BINDINGS {key}")) {
                Value::Array(bindings) => bindings.len(),
                other => panic!("no bindings: {}", render(&other)),
            };
            vec![
                ("fleets", 1.0),
                ("devices", number(&devices.unwrap().1)),
                ("fence_bindings", len(bindings)),
            ]
        }
        "iotfences" => {
            let count = client.run(&format!("IOT.FENCE COUNT {key}"));
            vec![("fence_sets", 1.0), ("fences", number(&count))]
        }
        _ => Vec::new(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures of a test are small")]
fn len(len: usize) -> f64 {
    len as f64
}

fn series(client: &mut Client, key: &str) -> Vec<(&'static str, f64)> {
    let info = map(&client.run(&format!("IOT.INFO {key} DEBUG")));
    let items = |name: &str| match info.iter().find(|(field, _)| field == name) {
        Some((_, Value::Array(items))) => items.clone(),
        other => panic!("no {name}: {other:?}"),
    };
    let blocks = items("Chunks");
    let sum = |name: &str| {
        let of = |block: &Value| pairs(block)[name];
        blocks.iter().map(of).sum::<f64>()
    };
    vec![
        ("series", 1.0),
        ("samples", sum("samples")),
        ("sample_bytes", sum("size")),
        ("blocks", len(blocks.len())),
        ("rules", len(items("rules").len())),
    ]
}

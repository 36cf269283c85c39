//! Replies that say something of commands: maps and lists of texts, in either protocol.

use std::collections::BTreeMap;

use redis::Value;

use super::notation::render;

/// A map, or a flat array in its place, by the text of its keys.
#[track_caller]
pub(crate) fn map_of(value: &Value) -> BTreeMap<String, Value> {
    let pairs: Vec<(Value, Value)> = match value {
        Value::Map(pairs) => pairs.clone(),
        Value::Array(flat) => flat
            .chunks(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect(),
        other => panic!("no map: {}", render(other)),
    };
    pairs
        .into_iter()
        .map(|(key, value)| (text_of(&key), value))
        .collect()
}

/// A text of any kind.
#[track_caller]
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::BulkString(text) => String::from_utf8_lossy(text).into_owned(),
        Value::SimpleString(text) => text.clone(),
        other => panic!("no text: {}", render(other)),
    }
}

/// A list of texts.
#[track_caller]
pub(crate) fn texts_of(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) | Value::Set(items) => items.iter().map(text_of).collect(),
        other => panic!("no list: {}", render(other)),
    }
}

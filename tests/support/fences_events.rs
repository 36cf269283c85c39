//! Events of fences as a stream has them, and the law that they keep.

use std::collections::{BTreeMap, BTreeSet};

use redis::Value;

use super::client::Client;
use super::notation::render;

/// An entry of a stream of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its id in the stream.
    pub(crate) entry: String,
    fields: BTreeMap<String, String>,
}

impl Event {
    /// What a field says; nothing where it is not there.
    pub(crate) fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    /// The device and the fence.
    pub(crate) fn who(&self) -> (String, String) {
        (self.get("device").into(), self.get("fence").into())
    }

    /// The number in a field.
    #[track_caller]
    pub(crate) fn number(&self, field: &str) -> i64 {
        self.get(field).parse().unwrap()
    }
}

/// The text of a reply that is one.
#[track_caller]
pub(crate) fn text_of(reply: &Value) -> String {
    match reply {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        other => panic!("no text: {}", render(other)),
    }
}

/// The items of a reply that is an array.
#[track_caller]
pub(crate) fn items_of(reply: &Value) -> &[Value] {
    match reply {
        Value::Array(items) => items,
        other => panic!("no array: {}", render(other)),
    }
}

/// The entries in the reply of `XRANGE`, in RESP2.
#[track_caller]
pub(crate) fn events_of(reply: &Value) -> Vec<Event> {
    let event = |reply: &Value| {
        let [entry, fields] = items_of(reply) else {
            panic!("no entry: {}", render(reply));
        };
        let pairs = items_of(fields).chunks_exact(2);
        Event {
            entry: text_of(entry),
            fields: pairs
                .map(|pair| (text_of(&pair[0]), text_of(&pair[1])))
                .collect(),
        }
    };
    items_of(reply).iter().map(event).collect()
}

/// All entries of a stream.
#[track_caller]
pub(crate) fn events(client: &mut Client, stream: &str) -> Vec<Event> {
    events_of(&client.run(&format!("XRANGE {stream} - +")))
}

/// The fences that a device is in, as `IOT.POSITION` replies in RESP2; `None` for a device that is
/// not known.
#[track_caller]
pub(crate) fn fences_of(position: &Value) -> Option<BTreeSet<String>> {
    if *position == Value::Nil {
        return None;
    }
    let fields = items_of(position);
    assert_eq!(text_of(&fields[18]), "fences");
    let fences = items_of(&fields[19]);
    let unique: BTreeSet<String> = fences.iter().map(text_of).collect();
    assert_eq!(unique.len(), fences.len(), "a device is in a fence once");
    Some(unique)
}

/// The law of enter and exit: they take turns for each device and fence, and an enter is the first; an
/// exit has the id of its enter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Law {
    /// The ids of the enters that have no exit yet.
    open: BTreeMap<(String, String), String>,
    /// The last entry that was seen.
    last: String,
    /// How many enters and exits there were.
    pub(crate) seen: usize,
}

impl Law {
    /// Takes the events that are new since the last time.
    ///
    /// # Errors
    /// The event that breaks the law.
    pub(crate) fn take(&mut self, events: &[Event]) -> Result<(), String> {
        for event in events {
            let kind = event.get("event");
            if kind != "enter" && kind != "exit" {
                continue;
            }
            self.seen += 1;
            let id = event.get("id").to_owned();
            let own = format!(
                "{}:{}:{}:{}",
                event.get("fleet"),
                event.get("device"),
                event.get("fence"),
                event.get("enter_ts")
            );
            if id != own {
                return Err(format!("the id is not {own}: {event:?}"));
            }
            let before = if kind == "enter" {
                self.open.insert(event.who(), id.clone())
            } else {
                self.open.remove(&event.who())
            };
            match (kind, before) {
                ("enter", None) => {}
                ("exit", Some(entered)) if entered == id => {}
                (_, before) => return Err(format!("after {before:?} came {event:?}")),
            }
        }
        if let Some(last) = events.last() {
            self.last.clone_from(&last.entry);
        }
        Ok(())
    }

    /// Where the events begin that were not seen yet, for `XRANGE`.
    pub(crate) fn from(&self) -> String {
        if self.last.is_empty() {
            "-".into()
        } else {
            format!("({}", self.last)
        }
    }

    /// The fences that a device is in by its events.
    pub(crate) fn inside(&self, device: &str) -> BTreeSet<String> {
        let open = self.open.keys().filter(|(one, _)| one == device);
        open.map(|(_, fence)| fence.clone()).collect()
    }

    /// Enters without an exit.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }
}

/// Takes what is new in a stream and compares the state of devices with it, both read at once: what a
/// device is in is what its events say, at any time.
#[track_caller]
pub(crate) fn check_state(
    client: &mut Client,
    law: &mut Law,
    (fleet, stream): (&str, &str),
    devices: &[String],
) -> Result<(), String> {
    let lines = [
        "MULTI".to_owned(),
        format!("XRANGE {stream} {} +", law.from()),
        format!("IOT.POSITION {fleet} {}", devices.join(" ")),
        "EXEC".to_owned(),
    ];
    let mut reply = Value::Nil;
    for line in lines {
        reply = client.run(&line);
    }
    let [entries, positions] = items_of(&reply) else {
        panic!("EXEC replied {}", render(&reply));
    };
    law.take(&events_of(entries))?;
    for (device, position) in devices.iter().zip(items_of(positions)) {
        let (is, said) = (fences_of(position).unwrap_or_default(), law.inside(device));
        if is != said {
            return Err(format!("{device} is in {is:?}, its events say {said:?}"));
        }
    }
    Ok(())
}

//! Events of fleets and fences, as they come out of a stream.

use std::collections::BTreeMap;

use redis::Value;

use super::client::{Client, Protocol};
use super::notation::render;
use super::server::Server;

/// The stream that [`Events`] reads.
pub(crate) const STREAM: &str = "events";

/// One event: its fields by name.
pub(crate) type Event = BTreeMap<String, String>;

/// A reader of a stream of events, in order.
pub(crate) struct Events {
    client: Client,
    last: String,
}

impl Events {
    /// A reader of the events that come from now on.
    pub(crate) fn of(server: &Server) -> Self {
        let mut client = server.connect(Protocol::Resp2);
        let last = match client.run(&format!("XREVRANGE {STREAM} + - COUNT 1")) {
            Value::Array(entries) => entries.first().map(|entry| parse(entry).0),
            other => panic!("{}", render(&other)),
        };
        Self {
            client,
            last: last.unwrap_or_else(|| "0-0".into()),
        }
    }

    /// The next event, for which it waits.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Event {
        let line = format!("XREAD COUNT 1 BLOCK 50000 STREAMS {STREAM} {}", self.last);
        let mut entries = entries(&self.client.run(&line));
        assert_eq!(entries.len(), 1, "an event comes");
        let (id, event) = entries.remove(0);
        self.last = id;
        event
    }

    /// All events that are there and were not read yet.
    #[track_caller]
    pub(crate) fn all(&mut self) -> Vec<Event> {
        let line = format!("XREAD STREAMS {STREAM} {}", self.last);
        let entries = entries(&self.client.run(&line));
        if let Some((id, _)) = entries.last() {
            self.last.clone_from(id);
        }
        entries.into_iter().map(|(_, event)| event).collect()
    }

    /// Checks which events are there: `event device fence`, or with more fields behind them.
    #[track_caller]
    pub(crate) fn expect(&mut self, fields: &[&str], wanted: &[&str]) {
        let all = self.all();
        let shown: Vec<String> = all.iter().map(|event| show(event, fields)).collect();
        assert_eq!(shown, wanted);
    }
}

/// Some fields of an event, one behind the other; `-` for one that it does not have.
pub(crate) fn show(event: &Event, fields: &[&str]) -> String {
    let texts = fields
        .iter()
        .map(|field| event.get(*field).map_or("-", String::as_str));
    texts.collect::<Vec<_>>().join(" ")
}

fn entries(reply: &Value) -> Vec<(String, Event)> {
    match reply {
        Value::Nil => Vec::new(),
        Value::Array(streams) => match &streams[0] {
            Value::Array(stream) => match &stream[1] {
                Value::Array(entries) => entries.iter().map(parse).collect(),
                other => panic!("{}", render(other)),
            },
            other => panic!("{}", render(other)),
        },
        other => panic!("{}", render(other)),
    }
}

fn parse(entry: &Value) -> (String, Event) {
    let Value::Array(entry) = entry else {
        panic!("no entry: {}", render(entry));
    };
    let (id, fields) = (text(&entry[0]), &entry[1]);
    let Value::Array(fields) = fields else {
        panic!("no fields: {}", render(fields));
    };
    let pairs = fields.chunks(2);
    let event = pairs.map(|pair| (text(&pair[0]), text(&pair[1])));
    (id, event.collect())
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        other => panic!("no text: {}", render(other)),
    }
}

/// A server with the fleet `f`, bound to the set `z` with the fence `a` around 0 0, and a device `d`
/// that has entered it.
pub(crate) fn inside() -> (Server, Client, Events) {
    inside_of(Server::start())
}

pub(crate) fn inside_of(server: Server) -> (Server, Client, Events) {
    let mut client = server.connect(Protocol::Resp2);
    client.expect("IOT.FENCE ADD z a CIRCLE 0 0 1000", "1");
    client.expect(&format!("IOT.FENCE BIND f z STREAM {STREAM}"), "+OK");
    client.expect("IOT.TRACK f d 0 0 TS 1000", "1");
    let mut events = Events::of(&server);
    client.expect("XLEN events", "1");
    // So that nothing is found by what the binding has begun.
    await_sweep(&mut client, &mut events);
    (server, client, events)
}

/// Waits for an event and compares it.
#[track_caller]
pub(crate) fn expect_next(events: &mut Events, fields: &[&str], wanted: &str) {
    let event = events.next();
    assert_eq!(show(&event, fields), wanted);
}

/// Waits until the timer has gone through all that was there to do, and nothing came of it.
#[track_caller]
pub(crate) fn await_sweep(client: &mut Client, events: &mut Events) {
    let before = client.integer("XLEN events");
    await_timer(client);
    client.expect("XLEN events", &before.to_string());
    events.expect(&["event"], &[]);
}

/// Waits until the timer has gone through all fleets of up to 500 devices that there are.
#[track_caller]
pub(crate) fn await_timer(client: &mut Client) {
    client.expect("IOT.FENCE ADD ~probe:z p CIRCLE 50 50 10", "1");
    client.expect("IOT.TRACK ~probe:f p 50 50 TS 1", "1");
    client.expect(
        "IOT.FENCE BIND ~probe:f ~probe:z STREAM ~probe:events",
        "+OK",
    );
    // A fleet of a later name is swept later.
    client.expect("XREAD BLOCK 50000 STREAMS ~probe:events 0", "_");
    client.expect("DEL ~probe:f ~probe:z ~probe:events", "3");
}

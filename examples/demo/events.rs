//! Reads events from the stream, prints a line of each, and passes them on to the pages.

use std::io::{self, IsTerminal, Write};

use redis::{Connection, Value as Reply, cmd};
use serde_json::{Value, json};

use crate::Failure;
use crate::broadcast::{Broadcast, Meaning};
use crate::seen::{EVENTS, field, text};

/// How long a read waits for events before it looks whether the demo has been stopped.
const WAIT_MS: usize = 300;
const DAY_MS: i64 = 86_400_000;

/// An event as people read it.
#[derive(Debug)]
struct Event {
    kind: String,
    time_ms: i64,
    vehicle: String,
    fence: String,
    /// The name of the fence, which stands in its `META`.
    place: String,
    /// What there is to say beside that.
    detail: String,
}

/// Reads, prints and passes on until the demo is stopped, or nobody reads what it prints. Returns how many there were.
pub(crate) fn follow(
    mut connection: Connection,
    broadcast: &Broadcast,
    prints: bool,
) -> Result<usize, Failure> {
    let mut last = "0".to_owned();
    let mut count = 0;
    let is_coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    while !broadcast.is_stopped() {
        let reply: Reply = cmd("XREAD")
            .arg(&["COUNT", "100", "BLOCK"])
            .arg(WAIT_MS)
            .arg(&["STREAMS", EVENTS, &last])
            .query(&mut connection)?;
        for (id, record) in records(&reply) {
            last = id;
            let Some(event) = Event::read(record) else {
                continue;
            };
            count += 1;
            broadcast.send("event", Meaning::Event, &event.json());
            if prints && writeln!(io::stdout(), "{}", event.line(is_coloured)).is_err() {
                // Nobody reads on, as behind `| head`.
                return Ok(count);
            }
        }
    }
    Ok(count)
}

/// The ids and fields of the entries of one stream: `[[key, [[id, fields] ...]]]`.
fn records(reply: &Reply) -> impl Iterator<Item = (String, &Reply)> {
    let entries = match reply {
        Reply::Array(streams) => match streams.first() {
            Some(Reply::Array(stream)) => stream.get(1),
            _ => None,
        },
        _ => None,
    };
    let entries = match entries {
        Some(Reply::Array(entries)) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().filter_map(|entry| match entry {
        Reply::Array(parts) => Some((text(parts.first()?)?, parts.get(1)?)),
        _ => None,
    })
}

impl Event {
    fn read(record: &Reply) -> Option<Self> {
        let said = |name| field(record, name).and_then(text);
        let number = |name| said(name).and_then(|text| text.parse::<f64>().ok());
        let duration = |name| said(name).and_then(|text| Some(duration(text.parse().ok()?)));
        let kind = said("event")?;
        let fence = said("fence")?;
        let meta: Option<Value> = said("meta").and_then(|meta| serde_json::from_str(&meta).ok());
        let name = meta.as_ref().and_then(|meta| meta.get("name")?.as_str());
        let detail = match kind.as_str() {
            "exit" => duration("dwell_ms").map(|dwelled| format!("after {dwelled}")),
            "dwell" => duration("dwell_ms").map(|dwelled| format!("for {dwelled}")),
            "overspeed" => number("speed")
                .zip(number("limit"))
                .map(|(speed, limit)| format!("{:.0} km/h, not {:.0}", speed * 3.6, limit * 3.6)),
            _ => None,
        };
        Some(Self {
            time_ms: said("ts")?.parse().ok()?,
            vehicle: said("device")?,
            place: name.map_or_else(|| fence.clone(), str::to_owned),
            detail: detail.unwrap_or_default(),
            kind,
            fence,
        })
    }

    fn json(&self) -> Value {
        json!({
            "kind": self.kind,
            "time": self.time_ms,
            "vehicle": self.vehicle,
            "fence": self.fence,
            "place": self.place,
            "detail": self.detail,
        })
    }

    fn line(&self, is_coloured: bool) -> String {
        let Self {
            kind,
            vehicle,
            place,
            detail,
            ..
        } = self;
        let time = clock(self.time_ms);
        let (colour, plain) = if is_coloured {
            (colour_of(kind), "\x1b[0m")
        } else {
            ("", "")
        };
        let line = format!("{time} {vehicle:<7} {colour}{kind:<9}{plain}  {place:<16}  {detail}");
        line.trim_end().to_owned()
    }
}

fn colour_of(kind: &str) -> &'static str {
    match kind {
        "enter" => "\x1b[32m",
        "exit" => "\x1b[36m",
        "dwell" => "\x1b[34m",
        _ => "\x1b[31m",
    }
}

/// The time of day.
fn clock(time_ms: i64) -> String {
    let of_day_s = time_ms.rem_euclid(DAY_MS) / 1_000;
    let (hours, minutes, seconds) = (of_day_s / 3_600, of_day_s / 60 % 60, of_day_s % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}")
}

/// `45s`, `2m`, `2m10s`, `1h02m`.
fn duration(duration_ms: i64) -> String {
    let seconds = duration_ms / 1_000;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

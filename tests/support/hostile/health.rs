//! What the server says of itself.

use std::collections::BTreeMap;

use redis::Value;

use super::crowd::shown;
use crate::support::client::{Client, Protocol};
use crate::support::notation::render;
use crate::support::server::{PATIENCE, Server, await_that};

/// Arguments of a server that is watched: it keeps slow commands, and no histograms of its own, which are
/// memory that grows with the variety of commands.
pub(crate) const ARGUMENTS: [&str; 10] = [
    "--latency-tracking",
    "no",
    "--slowlog-log-slower-than",
    "50000",
    "--slowlog-max-len",
    "4096",
    "--latency-monitor-threshold",
    "50",
    "--proto-max-bulk-len",
    "64mb",
];

/// How often a command was called, and with what end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calls {
    /// Those that were executed.
    pub(crate) executed: u64,
    /// Those of them that replied an error.
    pub(crate) failed: u64,
    /// Those that the server refused itself, for the number of arguments.
    pub(crate) rejected: u64,
}

impl Calls {
    /// Per cent of the calls that had no error.
    pub(crate) fn sound_percent(self) -> u64 {
        (self.executed - self.failed) * 100 / (self.executed + self.rejected).max(1)
    }
}

/// The calls of each command by its name in upper case, as `INFO commandstats` has them.
pub(crate) fn calls(client: &mut Client) -> BTreeMap<String, Calls> {
    let text = client.text("INFO commandstats");
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_"));
    let calls = lines.map(|line| {
        let (name, fields) = line.split_once(':').unwrap();
        let field = |wanted: &str| {
            let mut fields = fields.split(',').filter_map(|field| field.split_once('='));
            let value = fields.find(|(name, _)| *name == wanted).unwrap().1;
            value.parse().unwrap()
        };
        let calls = Calls {
            executed: field("calls"),
            failed: field("failed_calls"),
            rejected: field("rejected_calls"),
        };
        (name.to_uppercase(), calls)
    });
    calls.collect()
}

/// A command that took long on the main thread.
#[derive(Clone, Debug)]
pub(crate) struct Slow {
    /// How long, in microseconds.
    pub(crate) us: i64,
    /// What it was, cut.
    pub(crate) line: String,
}

/// The commands of the slow log, the slowest first.
pub(crate) fn slow(client: &mut Client) -> Vec<Slow> {
    let Value::Array(entries) = client.run("SLOWLOG GET -1") else {
        panic!("the slow log is a list");
    };
    let entry = |entry: &Value| match entry {
        Value::Array(fields) => match (&fields[2], &fields[3]) {
            (Value::Int(us), Value::Array(words)) => {
                let words = words.iter().map(|word| match word {
                    Value::BulkString(word) => word.clone(),
                    other => render(other).into(),
                });
                let line = shown(&words.collect::<Vec<_>>());
                Slow { us: *us, line }
            }
            _ => panic!("no entry: {}", render(entry)),
        },
        other => panic!("no entry: {}", render(other)),
    };
    let mut slow: Vec<Slow> = entries.iter().map(entry).collect();
    slow.sort_by_key(|slow| std::cmp::Reverse(slow.us));
    slow
}

/// The longest time of each kind of work that the server watches, in milliseconds.
pub(crate) fn latencies(client: &mut Client) -> BTreeMap<String, i64> {
    let Value::Array(events) = client.run("LATENCY LATEST") else {
        panic!("latencies are a list");
    };
    let event = |event: &Value| match event {
        Value::Array(fields) => match (&fields[0], &fields[3]) {
            (Value::BulkString(name), Value::Int(ms)) => {
                (String::from_utf8_lossy(name).into_owned(), *ms)
            }
            _ => panic!("no event: {}", render(event)),
        },
        other => panic!("no event: {}", render(other)),
    };
    events.iter().map(event).collect()
}

/// How all keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// Each by `DEL`.
    Del,
    /// Each by `UNLINK`.
    Unlink,
    /// All at once.
    FlushAll,
}

/// Removes every key of the database that is selected.
fn remove_keys(client: &mut Client, command: &str) {
    let Value::Array(keys) = client.run("KEYS *") else {
        panic!("keys are a list");
    };
    for key in keys {
        let Value::BulkString(key) = key else {
            panic!("a key is a text");
        };
        client.call(&[command.as_bytes(), &key]);
    }
}

/// Removes every key of every database, and what the server keeps of those who were here.
pub(crate) fn clear(client: &mut Client, removal: Removal) {
    for database in 0..16 {
        client.expect(&format!("SELECT {database}"), "+OK");
        let command = match removal {
            Removal::Del => "DEL",
            Removal::Unlink => "UNLINK",
            Removal::FlushAll => break,
        };
        // Keys whose time is over are not listed, and go by themselves; a timer that fires meanwhile may send
        // an event to a stream.
        await_that("no key is left", || {
            remove_keys(client, command);
            client.integer("DBSIZE") == 0
        });
    }
    if removal == Removal::FlushAll {
        client.expect("FLUSHALL", "+OK");
    }
    client.expect("SELECT 0", "+OK");
    client.expect("SCRIPT FLUSH SYNC", "+OK");
    client.expect("SLOWLOG RESET", "_");
    client.expect("LATENCY RESET", "_");
    client.run("MEMORY PURGE");
}

/// What the server says of its memory, for whoever looks for what was left behind.
pub(crate) fn memory(server: &Server) -> String {
    let mut client = server.connect(Protocol::Resp2);
    let stats = render(&client.run("MEMORY STATS"));
    let sections = ["memory", "redis-iot"].map(|section| client.text(&format!("INFO {section}")));
    format!("{stats}\n{}", sections.join("\n"))
}

/// Bytes in use, without the buffers of connections, which come and go. The least that is seen in a while:
/// tables shrink step by step.
fn used(client: &mut Client) -> u64 {
    client.info("memory", "used_memory") - client.info("memory", "mem_clients_normal")
}

/// Bytes in use when they do not become less any more.
pub(crate) fn settled(server: &Server) -> u64 {
    const LOOKS: usize = 60;
    let mut client = server.connect(Protocol::Resp2);
    await_that("all is freed", || {
        client.info("memory", "lazyfree_pending_objects") == 0
    });
    let (mut least, mut looks) = (used(&mut client), 0);
    await_that("memory is at rest", || {
        let now = used(&mut client);
        looks = if now < least { 0 } else { looks + 1 };
        least = least.min(now);
        looks == LOOKS
    });
    least
}

/// Waits until no more than `most` bytes are in use; says how many there are where that never comes.
pub(crate) fn comes_down_to(server: &Server, most: u64) -> Result<u64, u64> {
    let mut client = server.connect(Protocol::Resp2);
    let begun = std::time::Instant::now();
    loop {
        let now = used(&mut client);
        if now <= most {
            return Ok(now);
        }
        if begun.elapsed() > PATIENCE / 4 {
            return Err(now);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

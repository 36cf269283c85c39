//! Lines of the server's own commands, which do with our values what they do with any.

use super::values::{DESTINATIONS, FENCES, FLEETS, POLICIES, Payloads, SERIES, STREAMS, Values};
use super::{Line, spoil};
use crate::support::client::Client;
use crate::support::docs::map_of;
use crate::support::docs::text_of;
use crate::support::notation::words;
use crate::support::seeds::Random;

/// Databases that are used.
const DATABASES: usize = 3;

/// The module's settings and their values at the start.
#[derive(Debug)]
pub(crate) struct Settings(Vec<(String, String)>);

impl Settings {
    /// All settings that can be changed while the server runs.
    pub(crate) fn all(client: &mut Client) -> Self {
        const FIXED: [&str; 2] = ["redis-iot.ts-aliases", "redis-iot.compaction-policy"];
        let all = map_of(&client.run("CONFIG GET redis-iot.*"));
        let all = all
            .into_iter()
            .filter(|(name, _)| !FIXED.contains(&name.as_str()));
        Self(all.map(|(name, value)| (name, text_of(&value))).collect())
    }

    /// A line that changes one, mostly to something permitted.
    pub(super) fn change(&self, random: &mut Random) -> Line {
        let (name, default) = &self.0[random.index(self.0.len())];
        let is_number = default.parse::<f64>().is_ok();
        let value = match random.index(6) {
            _ if !is_number => {
                random.pick(&["compressed", "gorilla", "uncompressed", "last", "sum"])
            }
            0 => "0",
            1 => "1",
            2 => "1000",
            3 => "104",
            4 => "9223372036854775807",
            _ => random.pick(&["-1", "inf", "x", "64"]),
        };
        words(&format!("CONFIG SET {name} {value}"))
    }

    /// Lines that bring all back to what they were.
    pub(super) fn restore(&self) -> Vec<Line> {
        let lines = self.0.iter().map(|(name, value)| {
            let mut line = words(&format!("CONFIG SET {name}"));
            line.push(value.clone().into());
            line
        });
        lines.collect()
    }
}

/// A line of the server about one of the keys, or all.
pub(super) fn line(values: &mut Values) -> Line {
    let (key, other) = (values.any_key(), values.any_key());
    let database = values.random.index(DATABASES);
    let random = &mut values.random;
    let line: Vec<&str> = match random.index(400) {
        0 => {
            return words(random.pick(&["FLUSHDB", "FLUSHDB ASYNC", "FLUSHALL", "FLUSHALL ASYNC"]));
        }
        1 => vec!["DEBUG", "RELOAD"],
        2 => return words(random.pick(&["SWAPDB 0 1", "SWAPDB 1 2", "SWAPDB 2 2"])),
        3..=7 => vec!["DEBUG", "DIGEST"],
        8..=39 => vec!["SET", "KEY", "text"],
        40..=59 => vec!["LPUSH", "list", "a"],
        60..=79 => vec!["HSET", "hash", "a", "b"],
        80..=99 => vec!["XADD", "KEY", "*", "a", "b"],
        100..=119 => vec!["RENAME", "KEY", "OTHER"],
        120..=139 => vec!["COPY", "KEY", "OTHER", "DB", "N", "REPLACE"],
        140..=159 => vec!["COPY", "KEY", "OTHER", "REPLACE"],
        160..=174 => vec!["DEL", "KEY"],
        175..=189 => vec!["UNLINK", "KEY", "OTHER"],
        190..=199 => vec!["PEXPIRE", "KEY", "20"],
        200..=209 => vec!["PERSIST", "KEY"],
        210..=214 => vec!["MOVE", "KEY", "N"],
        215..=229 => vec!["MEMORY", "USAGE", "KEY"],
        230..=249 => vec!["DUMP", "KEY"],
        250..=269 => vec!["OBJECT", "ENCODING", "KEY"],
        270..=279 => vec!["DEBUG", "DIGEST-VALUE", "KEY", "OTHER"],
        280..=284 => vec!["SCAN", "0", "COUNT", "50"],
        285..=289 => vec!["INFO", "everything"],
        _ => return restore(values, key),
    };
    let of = |word: &&str| match *word {
        "KEY" => key.clone(),
        "OTHER" => other.clone(),
        "N" => database.to_string().into(),
        word => word.into(),
    };
    line.iter().map(of).collect()
}

/// Lines that make one of the keys anew as what it should be, whatever it has become.
pub(super) fn home(random: &mut Random) -> Vec<Line> {
    let (key, line) = match random.index(6) {
        0 => (random.pick(&DESTINATIONS), "IOT.CREATE KEY"),
        1 => (random.pick(&FLEETS), "IOT.FLEET CREATE KEY TRAIL 20"),
        2 => (
            random.pick(&FENCES),
            "IOT.FENCE ADD KEY a0 CIRCLE 9.5 49.5 50000 GROUPS 1 g",
        ),
        3 => (
            random.pick(&POLICIES),
            "IOT.POLICY SET KEY FILTER kind=temp room=12 RULES avg 1m",
        ),
        4 => (random.pick(&STREAMS), "XADD KEY * a b"),
        _ => (
            random.pick(&SERIES),
            "IOT.CREATE KEY LABELS kind temp room 3",
        ),
    };
    let with_key = |word: Vec<u8>| match &*word {
        b"KEY" => key.into(),
        _ => word,
    };
    let line = words(line).into_iter().map(with_key).collect();
    vec![vec![b"UNLINK".to_vec(), key.into()], line]
}

/// A `RESTORE` of a payload that was taken, which mostly has a fault.
fn restore(values: &mut Values, key: Vec<u8>) -> Line {
    let Payloads { dumps, .. } = &values.payloads;
    let dump = dumps[values.random.index(dumps.len())].clone();
    let dump = match values.random.index(5) {
        0 => dump,
        _ => spoil::dump(&dump, &mut values.random),
    };
    vec![
        b"RESTORE".to_vec(),
        key,
        b"0".to_vec(),
        dump,
        b"REPLACE".to_vec(),
    ]
}

/// Lines after which a line of the module's commands has a chance: what it creates is not there, and what it
/// is about is.
pub(super) fn before(line: &[Vec<u8>]) -> Vec<Line> {
    let word = |at: usize| line.get(at).map_or(&b""[..], |word| &word[..]);
    let unlink = |key: &[u8]| vec![b"UNLINK".to_vec(), key.to_vec()];
    let create = |key: &[u8]| vec![b"IOT.CREATE".to_vec(), key.to_vec()];
    let (source, destination) = (word(1), word(2));
    match (word(0), word(1)) {
        (b"IOT.CREATE" | b"IOT.RESTORE", key) => vec![unlink(key)],
        (b"IOT.FLEET" | b"IOT.FENCE", b"CREATE" | b"RESTORE") => vec![unlink(word(2))],
        (b"IOT.CREATERULE", _) => vec![create(source), unlink(destination), create(destination)],
        (b"IOT.DELETERULE", _) => {
            let mut rule = words("IOT.CREATERULE");
            rule.extend([source.to_vec(), destination.to_vec()]);
            rule.extend(words("AGGREGATION last 1000 CREATE"));
            vec![create(source), unlink(destination), rule]
        }
        _ => Vec::new(),
    }
}

/// The database that a connection goes on with.
pub(super) fn select(random: &mut Random) -> Line {
    let database = if random.chance(60) {
        0
    } else {
        random.index(DATABASES)
    };
    words(&format!("SELECT {database}"))
}

//! What stands in the place of an argument: chosen by its name, from a world that is small enough for
//! commands to meet in it.

use super::texts;
use super::{Line, spoil};
use crate::support::seeds::Random;

/// Keys that hold series, and may hold anything after a while.
pub(crate) const SERIES: [&str; 8] = [
    "s:0",
    "s:1",
    "s:2",
    "s:3",
    "s:4",
    "s:5",
    "{s}:6",
    "s:\0\u{ff}",
];
/// Keys of series that rules write.
pub(crate) const DESTINATIONS: [&str; 4] = ["s:d0", "s:d1", "s:d2", "s:d3"];
/// Keys of fleets.
pub(crate) const FLEETS: [&str; 3] = ["f:0", "f:1", "f:2"];
/// Keys of sets of fences.
pub(crate) const FENCES: [&str; 3] = ["z:0", "z:1", "z:2"];
/// Keys of policies.
pub(crate) const POLICIES: [&str; 3] = ["p:0", "p:1", "p:2"];
/// Keys of streams, which events go to.
pub(crate) const STREAMS: [&str; 2] = ["x:0", "x:1"];
/// Keys of other types, or of none.
pub(crate) const OTHERS: [&str; 5] = ["text", "list", "hash", "none:0", "none:1"];

/// Most that a count is in one line of many.
const MANY: usize = 70;

/// How sound the values of a line are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// All of them are what belongs there.
    Sound,
    /// Some are at the edge of what is permitted, or just beyond.
    Edge,
    /// Some are nothing that belongs anywhere.
    Absurd,
}

/// Stored forms that were valid when they were taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payloads {
    /// Of series, fleets and sets of fences, as the append-only file has them.
    pub(crate) series: Vec<Vec<u8>>,
    pub(crate) fleets: Vec<Vec<u8>>,
    pub(crate) fences: Vec<Vec<u8>>,
    /// As `DUMP` has them.
    pub(crate) dumps: Vec<Vec<u8>>,
}

/// The source of values.
#[derive(Debug)]
pub(crate) struct Values {
    pub(crate) random: Random,
    pub(crate) payloads: Payloads,
    command: String,
    mood: Mood,
    last_count: usize,
    last_source: usize,
}

impl Values {
    pub(crate) fn new(random: Random, payloads: Payloads) -> Self {
        Self {
            random,
            payloads,
            command: String::new(),
            mood: Mood::Sound,
            last_count: 1,
            last_source: 0,
        }
    }

    /// Begins a line.
    pub(super) fn begin(&mut self, command: &str, mood: Mood) {
        command.clone_into(&mut self.command);
        self.mood = mood;
        self.last_count = 1;
    }

    /// Whether an option is there.
    pub(super) fn takes_option(&mut self) -> bool {
        self.random.chance(25)
    }

    /// Whether a shape is made in one piece: one of random points hardly ever is sound.
    pub(super) fn takes_whole_shape(&mut self) -> bool {
        self.mood == Mood::Sound || self.random.chance(60)
    }

    /// How often something that may be repeated is.
    pub(super) fn times(&mut self) -> usize {
        if self.command.contains("NRANGE") && self.random.chance(90) {
            // A list of aggregators for each key.
            return self.last_count;
        }
        match self.random.index(100) {
            0 => self.random.index(MANY) + 1,
            1 if self.mood == Mood::Absurd => 1_100,
            _ => self.random.index(3) + 1,
        }
    }

    /// How many of something follow.
    pub(super) fn count_of(&mut self, name: &str) -> usize {
        let least = if name == "vertices" { 3 } else { 1 };
        self.last_count = match self.random.index(60) {
            0 => self.random.index(MANY) + least,
            _ => self.random.index(3) + least,
        };
        self.last_count
    }

    /// What the line says of how many follow.
    pub(super) fn shown_count(&mut self, count: usize) -> Vec<u8> {
        if self.mood != Mood::Sound && self.random.chance(15) {
            return self.edge_number();
        }
        count.to_string().into()
    }

    /// One of several parts; the server's list of them.
    pub(super) fn one_of<'a, T>(&mut self, parts: &'a [T]) -> &'a T {
        &parts[self.random.index(parts.len())]
    }

    /// A whole shape.
    pub(super) fn shape(&mut self, line: &mut Line) {
        texts::shape(&mut self.random, line);
    }

    /// The value of an argument.
    pub(super) fn push(&mut self, name: &str, kind: &str, line: &mut Line) {
        let value = match self.mood {
            Mood::Edge if self.random.chance(25) => self.edge(kind),
            Mood::Absurd if self.random.chance(40) => spoil::word(&mut self.random),
            _ if kind == "key" => self.key(name),
            _ => self.sound(name, kind),
        };
        line.push(value);
    }

    /// A key that suits, or sometimes any.
    fn key(&mut self, name: &str) -> Vec<u8> {
        if self.random.chance(4) {
            return self.any_key();
        }
        let random = &mut self.random;
        let key = match name {
            "key" if self.command.ends_with("RESTORE") || self.command == "IOT.CREATE" => {
                return format!("none:{}", random.index(40)).into();
            }
            "fleet" if self.command == "IOT.FLEET|CREATE" => {
                return format!("none:{}", random.index(40)).into();
            }
            "fleet" | "others" => random.pick(&FLEETS),
            "fences" => random.pick(&FENCES),
            "stream" => random.pick(&STREAMS),
            "name" => random.pick(&POLICIES),
            "source-key" => {
                self.last_source = random.index(DESTINATIONS.len());
                SERIES[self.last_source]
            }
            // Mostly that of the source, so that there is a rule to be deleted.
            "destination-key" if random.chance(80) => DESTINATIONS[self.last_source],
            "destination-key" => random.pick(&SERIES),
            _ => random.pick(&SERIES),
        };
        key.into()
    }

    /// Any key of the pool.
    pub(crate) fn any_key(&mut self) -> Vec<u8> {
        let all: [&[&str]; 6] = [&SERIES, &FLEETS, &FENCES, &POLICIES, &STREAMS, &OTHERS];
        let some = all[self.random.index(all.len())];
        self.random.pick(some).into()
    }

    /// A value that belongs to an argument.
    fn sound(&mut self, name: &str, kind: &str) -> Vec<u8> {
        let random = &mut self.random;
        match (name, kind) {
            ("payload", _) => return self.payload(),
            ("record", _) => return vec![1, 0],
            ("blob", _) => return texts::blob(random),
            ("geojson", _) => return texts::geojson(random).into(),
            _ => {}
        }
        let text: String = match (name, kind) {
            ("longitude" | "west", _) => texts::degrees(random, 9, 179),
            ("east", _) => texts::degrees(random, 11, 180),
            ("latitude" | "south", _) => texts::degrees(random, 49, 88),
            ("north", _) => texts::degrees(random, 51, 90),
            ("timestamp" | "from-timestamp" | "to-timestamp" | "from" | "to" | "expire-at", _) => {
                texts::time(random, name)
            }
            ("filter", _) => texts::filter(random),
            ("aggregator" | "aggregators" | "reducer", _) => texts::aggregators(random, name),
            ("schedule", _) => texts::schedule(random),
            ("value", "string") => random.pick(&["temp", "hum", "12", "0.5", "x", "ok"]).into(),
            _ => texts::plain(random, name),
        };
        text.into()
    }

    /// A stored form for the command, sometimes with a fault.
    fn payload(&mut self) -> Vec<u8> {
        let all = match self.command.as_str() {
            "IOT.FLEET|RESTORE" => &self.payloads.fleets,
            "IOT.FENCE|RESTORE" => &self.payloads.fences,
            _ => &self.payloads.series,
        };
        let payload = all[self.random.index(all.len())].clone();
        if self.random.chance(60) {
            return payload;
        }
        spoil::payload(&payload, (0, 0), &mut self.random)
    }

    /// A value at the edge of what its kind may be.
    fn edge(&mut self, kind: &str) -> Vec<u8> {
        match kind {
            "key" => self.any_key(),
            "integer" | "double" => self.edge_number(),
            _ if self.random.chance(50) => self.edge_number(),
            _ => texts::edge(&mut self.random),
        }
    }

    fn edge_number(&mut self) -> Vec<u8> {
        const NUMBERS: [&str; 24] = [
            "0",
            "-0",
            "-1",
            "1",
            "2",
            "63",
            "64",
            "65",
            "1023",
            "1025",
            "65536",
            "1048576",
            "1048577",
            "2147483648",
            "4294967296",
            "9007199254740993",
            "9223372036854775807",
            "9223372036854775808",
            "-9223372036854775808",
            "inf",
            "-inf",
            "nan",
            "1e308",
            "1e-320",
        ];
        self.random.pick(&NUMBERS).into()
    }
}

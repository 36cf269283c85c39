//! A random mix of all commands that write: in order, late, twice, refused, ignored, with times of
//! the client and of the server.

use super::notation::{packed, words};
use super::seeds::Random;

/// Times start here, so that late samples stay positive.
const START_MS: i64 = 1_700_000_000_000;
/// Words that stand for policies; `BLOCK` more often, since it refuses.
const POLICIES: [&str; 7] = ["BLOCK", "FIRST", "LAST", "MIN", "MAX", "SUM", "BLOCK"];

/// The mix.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// Where the randomness comes from.
    pub(crate) random: Random,
    keys: usize,
    now_ms: i64,
}

impl Traffic {
    /// A mix over `keys` keys.
    pub(crate) fn new(seed: u64, keys: usize) -> Self {
        Self {
            random: Random::new(seed),
            keys,
            now_ms: START_MS,
        }
    }

    /// The next command. Some are refused.
    pub(crate) fn command(&mut self) -> Vec<Vec<u8>> {
        self.now_ms += self.random.within(0..1_000);
        let key = self.key();
        let line = match self.random.index(20) {
            0 => format!("IOT.CREATE {key}{}", self.options()),
            1 => format!("IOT.ALTER {key} RETENTION {}", self.retention()),
            2 => format!("IOT.ALTER {key}{}", self.options()).replace("ENCODING GORILLA", ""),
            3 => self.increment(&key),
            4 => self.delete(&key),
            5 => return self.packed(&key),
            6 => self.samples(&key),
            7..=9 => format!("IOT.MADD{}", self.items()),
            10..=12 => format!("IOT.INGEST{} ITEMS{}", self.options(), self.items()),
            13 => format!("DEL {key}"),
            14 => format!("COPY {key} {} REPLACE", self.key()),
            15 => format!("RENAME {key} {}", self.key()),
            _ => self.add(&key),
        };
        words(&line)
    }

    /// A time near the mix's own, or the server's.
    fn time(&mut self) -> String {
        match self.random.index(10) {
            0 => "*".into(),
            1 => self.random.pick(&["x", "-1", "0", "5"]).into(),
            2..=4 => (self.now_ms - self.random.within(0..600_000)).to_string(),
            5 => (self.now_ms / 1_000 * 1_000).to_string(),
            _ => self.now_ms.to_string(),
        }
    }

    fn value(&mut self) -> String {
        match self.random.index(10) {
            0 => "nan".into(),
            1 => self.random.pick(&["x", "inf", "-0", "1e300"]).into(),
            2..=4 => self.random.within(20..23).to_string(),
            _ => self.random.reading().to_string(),
        }
    }

    fn key(&mut self) -> String {
        format!("key:{}", self.random.index(self.keys))
    }

    fn retention(&mut self) -> i64 {
        [0, 1_000, 300_000, 3_600_000][self.random.index(4)]
    }

    fn options(&mut self) -> String {
        let mut options = Vec::new();
        let chances: [bool; 6] = std::array::from_fn(|_| self.random.chance(30));
        if chances[0] {
            options.push(format!(" RETENTION {}", self.retention()));
        }
        if chances[1] {
            options.push(format!(
                " CHUNK_SIZE {}",
                [48, 128, 4096][self.random.index(3)]
            ));
        }
        if chances[2] {
            options.push(format!(" DUPLICATE_POLICY {}", self.random.pick(&POLICIES)));
        }
        if chances[3] {
            options.push(format!(" IGNORE {} 0.5", self.random.within(0..2_000)));
        }
        if chances[4] {
            options.push(" ENCODING GORILLA".into());
        }
        if chances[5] {
            options.push(format!(" LABELS room {} site north", self.random.index(5)));
        }
        options.concat()
    }

    fn add(&mut self, key: &str) -> String {
        let mut line = format!("IOT.ADD {key} {} {}", self.time(), self.value());
        if self.random.chance(30) {
            line += &self.options();
        }
        if self.random.chance(20) {
            line = format!("{line} ON_DUPLICATE {}", self.random.pick(&POLICIES));
        }
        line
    }

    fn items(&mut self) -> String {
        (0..=self.random.index(6))
            .map(|_| format!(" {} {} {}", self.key(), self.time(), self.value()))
            .collect::<Vec<_>>()
            .concat()
    }

    fn increment(&mut self, key: &str) -> String {
        let name = self.random.pick(&["INCRBY", "DECRBY"]);
        let mut line = format!("IOT.{name} {key} {}", self.value());
        if self.random.chance(70) {
            line = format!("{line} TIMESTAMP {}", self.time());
        }
        line
    }

    fn delete(&mut self, key: &str) -> String {
        let to = self.now_ms - self.random.within(-1_000..600_000);
        let from = to - self.random.within(0..30_000);
        match self.random.index(10) {
            0 => format!("IOT.DEL {key} - {from}"),
            1 => format!("IOT.DEL {key} {from} +"),
            _ => format!("IOT.DEL {key} {from} {to}"),
        }
    }

    fn samples(&mut self, key: &str) -> String {
        let options = self.options();
        let samples: Vec<String> = (0..=self.random.index(50))
            .map(|_| {
                self.now_ms += 100;
                let time = self.now_ms - self.random.within(0..2_000);
                format!(" {time} {}", self.random.reading())
            })
            .collect();
        format!("IOT.ADDBULK {key}{options} SAMPLES{}", samples.concat())
    }

    fn packed(&mut self, key: &str) -> Vec<Vec<u8>> {
        let mut line = words(&format!("IOT.ADDBULK {key}{} PACKED", self.options()));
        let samples: Vec<_> = (0..=self.random.index(700))
            .map(|_| {
                self.now_ms += 100;
                let late = if self.random.chance(10) { 5_000 } else { 0 };
                (self.now_ms - late, self.random.any_value())
            })
            .collect();
        line.push(packed(samples));
        line
    }
}

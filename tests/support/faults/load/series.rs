//! Steps that write to series, change them and their rules, and read.

use super::{Kind, Load, Step};
use crate::support::notation::packed;

/// Duplicate policies that a step may name.
const POLICIES: [&str; 6] = ["BLOCK", "FIRST", "LAST", "MIN", "MAX", "SUM"];
/// Rules that come and go: source, destination, and what stands behind `AGGREGATION`. All are filled in.
pub(crate) const RULES: [(&str, &str, &str); 4] = [
    ("s0", "s0:avg", "avg 1s"),
    ("s0:avg", "s0:avg:max", "max 5s"),
    ("s1", "s1:last", "last 2s 300"),
    ("s2", "s2:delayed", "sum 1s DELAY 3s"),
];

impl Load {
    fn series(&mut self) -> &'static str {
        self.random
            .pick(&["s0", "s0", "s1", "s1", "s2", "p0", "p1"])
    }

    /// Mostly newer than all before; sometimes the same, or late.
    pub(super) fn time(&mut self) -> i64 {
        match self.random.index(10) {
            0 => self.now_ms,
            1 => self.now_ms - self.random.within(0..8_000),
            _ => {
                self.now_ms += self.random.within(1..300);
                self.now_ms
            }
        }
    }

    /// Quarters, whose sums are exact in any order: where blocks of a series end is another matter on a
    /// server that has loaded it.
    fn value(&mut self) -> f64 {
        if self.random.chance(5) {
            return f64::NAN;
        }
        f64::from(i16::try_from(self.random.within(-4_000..4_000)).unwrap()) / 4.0
    }

    pub(super) fn write(&mut self) -> String {
        let (key, time, value) = (self.series(), self.time(), self.value());
        match self.random.index(16) {
            0..=5 => format!("IOT.ADD @{key} {time} {value}"),
            6 => {
                let policy = self.random.pick(&POLICIES);
                format!("IOT.ADD @{key} {time} {value} ON_DUPLICATE {policy}")
            }
            7 | 8 => format!(
                "IOT.MADD @{key} {time} {value} @{} {} 1.5 @s0 {} 2",
                self.series(),
                self.time(),
                self.time()
            ),
            9 => format!("IOT.INGEST ITEMS @p1 {time} {value} @s1 {} 3", self.time()),
            10 => format!("IOT.INCRBY @{key} 1.5 TIMESTAMP {time}"),
            11 => format!("IOT.DECRBY @{key} 2 TIMESTAMP {time}"),
            12 | 13 => {
                let from = time - self.random.within(0..6_000);
                format!("IOT.DEL @{key} {from} {time}")
            }
            14 => format!("IOT.MDEL {} {time} FILTER c=@ role=plain", time - 3_000),
            _ => format!(
                "IOT.ADDBULK @{key} SAMPLES {time} {value} {} 7",
                self.time()
            ),
        }
    }

    pub(super) fn bulk(&mut self) -> Step {
        let key = self.series();
        let mut samples = Vec::new();
        for _ in 0..=self.random.index(60) {
            samples.push((self.time(), self.value()));
        }
        let mut step = self.certain(&format!("IOT.ADDBULK @{key} PACKED"));
        step.requests[0].push(packed(samples));
        step
    }

    /// What changes series, rules and policies, and what may happen to any key.
    pub(super) fn administer(&mut self) -> String {
        let (source, destination, what) = RULES[self.random.index(RULES.len())];
        let policy = self.random.pick(&POLICIES);
        let retention = self.random.within(1_000..90_000);
        match self.random.index(20) {
            0..=3 => format!(
                "IOT.CREATERULE @{source} @{destination} AGGREGATION {what} BACKFILL CREATE \
                 LABELS c @ role destination"
            ),
            4 | 5 => format!("IOT.DELETERULE @{source} @{destination}"),
            6 => "IOT.POLICY SET @pol FILTER c=@ role=source RULES count 2s min 4s BACKFILL".into(),
            7 => "IOT.POLICY DEL @pol".into(),
            8 => format!("IOT.MALTER FILTER c=@ role=plain SET RETENTION {retention}"),
            9 => format!("IOT.ALTER @p1 DUPLICATE_POLICY {policy} IGNORE 50 0.5 IDLE_TTL 1d"),
            10 => format!("IOT.ALTER @s1 LABELS c @ role source n {retention}"),
            11 => format!("IOT.CREATE @p0 RETENTION {retention} LABELS c @ role plain"),
            12 => format!("IOT.ADD @e {} 1 LABELS c @ role plain", self.now_ms),
            13 => format!("PEXPIREAT @e {}", 90_000_000_000_000 + self.now_ms),
            14 => self
                .random
                .pick(&["DEL @p0", "UNLINK @p1", "PEXPIREAT @p0 1"])
                .into(),
            15 => self
                .random
                .pick(&["COPY @p0 @copy REPLACE", "COPY @s0 @copy REPLACE"])
                .into(),
            16 => self
                .random
                .pick(&["RENAME @copy @p1", "RENAME @p1 @p0"])
                .into(),
            17 => self
                .random
                .pick(&["RENAME @s1 @t1", "RENAME @t1 @s1"])
                .into(),
            18 => self
                .random
                .pick(&["DEL @s2", "DEL @s0:avg", "SET @copy 1"])
                .into(),
            _ => "IOT.CREATE @s2 DUPLICATE_POLICY SUM LABELS c @ role source n 2".into(),
        }
    }

    /// By the server's clock: how much was added is certain, and when is not.
    pub(super) fn by_the_clock(&mut self) -> Step {
        let line = self.random.pick(&[
            "IOT.ADD @clock * 1",
            "IOT.MADD @clock * 1",
            "IOT.INCRBY @count 1 LABELS c @ role clock",
            "IOT.DECRBY @count 3 LABELS c @ role clock",
        ]);
        let mut step = self.certain(line);
        step.kind = Kind::Clock;
        step
    }

    pub(super) fn read(&mut self) -> Step {
        let line = self.random.pick(&[
            "IOT.RANGE @s0 - + AGGREGATION avg,max 1s",
            "IOT.REVRANGE @s1 - + COUNT 5",
            "IOT.GET @s2 LATEST",
            "IOT.MRANGE - + AGGREGATION sum 10s FILTER c=@ role=source",
            "IOT.MREVRANGE - + COUNT 2 FILTER c=@ role=source",
            "IOT.MGET FILTER c=@ role=plain",
            "IOT.NRANGE 2 @s0 @s1 - + AGGREGATION last 5s",
            "IOT.NREVRANGE 2 @s0 @s2 - + COUNT 3",
            "IOT.READ @s0 0 BLOCK 1 1 MAX_COUNT 3",
            "IOT.CARD FILTER c=@",
            "IOT.QUERYLABELS VALUES role FILTER c=@",
            "IOT.NEARBY @fleet 13.15 52.15 RADIUS 9000",
            "IOT.WITHIN @fleet BBOX 13 52 13.2 52.2",
            "IOT.FENCE AT @zones 13.15 52.15",
            "IOT.FENCE COUNT @zones",
            "IOT.TRAIL @fleet d0 - +",
        ]);
        let mut step = self.certain(line);
        let is_search = ["NEARBY", "WITHIN", "FENCE"]
            .iter()
            .any(|name| line.contains(name));
        step.kind = if is_search { Kind::Search } else { Kind::Read };
        step
    }
}

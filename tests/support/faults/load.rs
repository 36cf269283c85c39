//! What one client sends: every command that writes, to keys that are its own, with ordinary commands
//! around them and reads between them.
//!
//! ```text
//! s0 s1 s2     sources of rules, which come and go; pol is a policy for them
//! p0 p1 copy   series with retention, duplicate policies, IGNORE, IDLE_TTL
//! clock count  series by the server's clock
//! e            a series that expires one day
//! fleet        --> zones           --> told     what a fix does, it does at once
//! loose        --> areas           --> later    fences and devices that expire, dwell, bindings that
//!                                               come and go: told by the clock and the timer
//! loose        --> loose (ROAM)    --> meet
//! ```
//!
//! What the first of each kind does depends on what the client has sent and on nothing else, so another
//! server that gets the same must have the same and reply the same.

use crate::support::notation::{packed, words};
use crate::support::seeds::Random;

/// Devices of each fleet.
pub(crate) const DEVICES: usize = 5;
/// Times begin here.
const START_MS: i64 = 1_700_000_000_000;
/// Fences lie on a grid of so many lines, a hundredth of a degree apart.
const GRID: i64 = 30;
/// How many steps there are to a mark, at most.
const STEPS_TO_MARK: usize = 8;
/// Duplicate policies that a step may name.
const POLICIES: [&str; 6] = ["BLOCK", "FIRST", "LAST", "MIN", "MAX", "SUM"];
/// Rules that come and go: source, destination, and what stands behind `AGGREGATION`. All are filled in.
pub(crate) const RULES: [(&str, &str, &str); 4] = [
    ("s0", "s0:avg", "avg 1s"),
    ("s0:avg", "s0:avg:max", "max 5s"),
    ("s1", "s1:last", "last 2s 300"),
    ("s2", "s2:delayed", "sum 1s DELAY 3s"),
];

/// A request or a transaction: what is there as a whole or not at all.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The requests of it.
    pub(crate) requests: Vec<Vec<Vec<u8>>>,
    /// What it may depend on.
    pub(crate) kind: Kind,
    /// The number that it marks, if it is a mark.
    pub(crate) mark: Option<usize>,
}

/// What a step and its replies depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// On what the client has sent before.
    Certain,
    /// The same, and it changes nothing.
    Read,
    /// The same, and what is found comes in any order.
    Search,
    /// On the server's clock, but for how much is added.
    Clock,
    /// On the server's clock and its timer.
    Loose,
}

/// The stream of steps of one client.
#[derive(Debug)]
pub(crate) struct Load {
    /// What the names of its keys begin with.
    pub(crate) prefix: String,
    random: Random,
    now_ms: i64,
    steps: usize,
}

impl Load {
    /// The stream of a client with a number of its own.
    pub(crate) fn new(seed: u64, number: usize) -> Self {
        Self {
            prefix: format!("c{number}:"),
            random: Random::new(seed + number as u64),
            now_ms: START_MS,
            steps: 0,
        }
    }

    /// What comes before all else.
    pub(crate) fn beginning(&self) -> Vec<Step> {
        let lines = [
            "IOT.CREATE @s0 LABELS c @ role source n 0",
            "IOT.CREATE @s1 CHUNK_SIZE 128 LABELS c @ role source n 1",
            "IOT.CREATE @s2 DUPLICATE_POLICY SUM LABELS c @ role source n 2",
            "IOT.CREATE @p0 RETENTION 60s LABELS c @ role plain",
            "IOT.CREATE @clock DUPLICATE_POLICY SUM LABELS c @ role clock",
            "IOT.FLEET CREATE @fleet TRAIL 5",
            "IOT.FENCE BIND @fleet @zones STREAM @told",
            "IOT.FENCE BIND @loose @areas STREAM @later",
            "IOT.ROAM BIND @loose @loose RADIUS 900 STREAM @meet",
        ];
        lines.map(|line| self.certain(line)).into()
    }

    /// The next step.
    pub(crate) fn step(&mut self) -> Step {
        self.steps += 1;
        if self.steps.is_multiple_of(STEPS_TO_MARK) {
            let mut step = self.certain(&format!("SET @mark {}", self.steps));
            step.mark = Some(self.steps);
            return step;
        }
        self.now_ms += self.random.within(1..400);
        match self.random.index(100) {
            0..=7 => self.together(),
            8..=11 => self.script(),
            12..=27 => self.loose(),
            28..=33 => self.by_the_clock(),
            34..=41 => self.read(),
            42..=45 => self.bulk(),
            46..=64 => self.one(Self::fleet),
            65..=74 => self.one(Self::administer),
            _ => self.one(Self::write),
        }
    }

    /// A line in which `@` stands for what the names of the client begin with, or for its number.
    fn certain(&self, line: &str) -> Step {
        Step {
            requests: vec![words(&self.own(line))],
            kind: Kind::Certain,
            mark: None,
        }
    }

    fn own(&self, line: &str) -> String {
        let number = self.prefix.trim_end_matches(':');
        line.replace("c @", &format!("c {number}"))
            .replace("c=@", &format!("c={number}"))
            .replace('@', &self.prefix)
    }

    fn one(&mut self, line: fn(&mut Self) -> String) -> Step {
        let line = line(self);
        self.certain(&line)
    }

    fn together(&mut self) -> Step {
        let lines = [
            "MULTI".into(),
            self.write(),
            self.fleet(),
            self.administer(),
            self.write(),
            "EXEC".into(),
        ];
        let mut step = self.certain("");
        step.requests = lines.iter().map(|line| words(&self.own(line))).collect();
        step
    }

    /// Two requests in a script.
    fn script(&mut self) -> Step {
        let (one, other) = (self.write(), self.fleet());
        let one = words(&self.own(&one));
        let script = "local n = tonumber(ARGV[1]) \
                      local one = redis.pcall(unpack(ARGV, 2, n + 1)) \
                      local two = redis.pcall(unpack(ARGV, n + 2)) return {one, two}";
        let mut step = self.certain("");
        let mut request = vec![b"EVAL".to_vec(), script.into(), b"0".to_vec()];
        request.push(one.len().to_string().into());
        request.extend(one);
        request.extend(words(&self.own(&other)));
        step.requests = vec![request];
        step
    }
}

/// Series.
impl Load {
    fn series(&mut self) -> &'static str {
        self.random
            .pick(&["s0", "s0", "s1", "s1", "s2", "p0", "p1"])
    }

    /// Mostly newer than all before; sometimes the same, or late.
    fn time(&mut self) -> i64 {
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

    fn write(&mut self) -> String {
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

    fn bulk(&mut self) -> Step {
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
    fn administer(&mut self) -> String {
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
    fn by_the_clock(&mut self) -> Step {
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

    fn read(&mut self) -> Step {
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

/// Fleets and fences.
impl Load {
    fn device(&mut self) -> String {
        format!("d{}", self.random.index(DEVICES))
    }

    fn point(&mut self) -> String {
        let (x, y) = (self.random.within(0..GRID), self.random.within(0..GRID));
        format!("13.{x:02} 52.{y:02}")
    }

    fn shape(&mut self) -> String {
        let (x, y) = (self.random.within(0..GRID), self.random.within(0..GRID));
        let (east, north) = (
            self.random.within(x + 1..GRID + 1),
            self.random.within(y + 1..GRID + 1),
        );
        match self.random.index(3) {
            0 => format!(
                "CIRCLE 13.{x:02} 52.{y:02} {}",
                self.random.within(100..9_000)
            ),
            1 => format!(
                "POLYGON 3 13.{x:02} 52.{y:02} 13.{east:02} 52.{y:02} 13.{x:02} 52.{north:02}"
            ),
            _ => format!("BBOX 13.{x:02} 52.{y:02} 13.{east:02} 52.{north:02}"),
        }
    }

    fn fleet(&mut self) -> String {
        let (device, point, time) = (self.device(), self.point(), self.time());
        match self.random.index(20) {
            0..=8 => format!("IOT.TRACK @fleet {device} {point} TS {time}"),
            9 => {
                format!("IOT.TRACK @fleet {device} {point} TS {time} IFNEWER SPEED 20 FIELDS 1 a 5")
            }
            10..=13 => format!(
                "IOT.MTRACK @fleet {device} {point} {time} {} {} {}",
                self.device(),
                self.point(),
                self.time()
            ),
            14 => format!("IOT.UNTRACK @fleet {device} {}", self.device()),
            15..=17 => format!(
                "IOT.FENCE ADD @zones z{} {}",
                self.random.index(8),
                self.shape()
            ),
            18 => format!(
                "IOT.FENCE DEL @zones z{} z{}",
                self.random.index(8),
                self.random.index(8)
            ),
            _ => format!("IOT.FLEET ALTER @fleet TRAIL {}", self.random.within(0..9)),
        }
    }

    /// What the clock and the timer have a part in. Times are those of fixes, and only grow.
    fn loose(&mut self) -> Step {
        self.now_ms += self.random.within(1..2_000);
        let (device, point, time) = (self.device(), self.point(), self.now_ms);
        let fence = self.random.index(6);
        let lines = match self.random.index(20) {
            0..=6 => vec![format!("IOT.TRACK @loose {device} {point} TS {time}")],
            7 | 8 => vec![format!(
                "IOT.TRACK @loose {device} {point} TS {time} EXPIRE 40"
            )],
            9 | 10 => vec![format!(
                "IOT.MTRACK @loose d0 {point} {time} d1 {point} {time}"
            )],
            11 => vec![format!("IOT.UNTRACK @loose {device}")],
            12 | 13 => vec![format!(
                "IOT.FENCE ADD @areas a{fence} {} DETECT enter exit dwell DWELL 20",
                self.shape()
            )],
            14 => vec![format!(
                "IOT.FENCE ADD @areas a{fence} {} EXPIRE 50",
                self.shape()
            )],
            15 => vec![format!("IOT.FENCE DEL @areas a{fence}")],
            16 => vec!["IOT.FENCE UNBIND @loose @areas".into()],
            17 => vec!["IOT.FENCE BIND @loose @areas STREAM @later".into()],
            18 => vec!["RENAME @areas @spare".into(), "RENAME @spare @areas".into()],
            _ => vec![
                "IOT.ROAM UNBIND @loose @loose".into(),
                "IOT.ROAM BIND @loose @loose RADIUS 900 STREAM @meet".into(),
            ],
        };
        let mut step = self.certain("");
        step.requests = lines.iter().map(|line| words(&self.own(line))).collect();
        if step.requests.len() > 1 {
            step.requests.insert(0, words("MULTI"));
            step.requests.push(words("EXEC"));
        }
        step.kind = Kind::Loose;
        step
    }
}

impl Step {
    /// Whether it may change anything.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self.kind, Kind::Read | Kind::Search)
    }
}

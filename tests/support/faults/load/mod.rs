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

mod fleets;
mod series;

pub(crate) use fleets::DEVICES;
pub(crate) use series::RULES;

use crate::support::notation::words;
use crate::support::seeds::Random;

/// Times begin here.
const START_MS: i64 = 1_700_000_000_000;
/// How many steps there are to a mark, at most.
const STEPS_TO_MARK: usize = 8;

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

impl Step {
    /// Its requests as text.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text =
            |request: &Vec<Vec<u8>>| String::from_utf8_lossy(&request.join(&b' ')).into_owned();
        self.requests.iter().map(text).collect()
    }

    /// Whether it may change anything.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self.kind, Kind::Read | Kind::Search)
    }
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

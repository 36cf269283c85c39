//! A random mix of all commands that write, to series with downsampling rules, and what is known of
//! these rules beside the server.

use std::collections::BTreeMap;

use redis::Value;

use super::aggregation::AGGREGATORS;
use super::client::Client;
use super::notation::{error_text, packed, quoted, render, words};
use super::rules_cut::{Cut, HOUR_MS, Scale};
use super::seeds::Random;

/// Most rules at a time.
const MOST_RULES: usize = 14;
/// Most series that clients write to.
const MOST_SOURCES: usize = 4;
const POLICIES: [&str; 6] = ["BLOCK", "FIRST", "LAST", "MIN", "MAX", "SUM"];

/// What is known of a series.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) retention: i64,
    /// No sample was ever newer.
    pub(crate) high: i64,
    /// Samples before this time may have left by retention.
    pub(crate) lost: i64,
}

/// A rule that the server has accepted.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) aggregator: &'static str,
    pub(crate) cut: Cut,
    pub(crate) delay: i64,
    /// Where its first bucket begins.
    pub(crate) since: i64,
}

/// The mix.
#[derive(Debug)]
pub(crate) struct Mix {
    pub(crate) random: Random,
    pub(crate) scale: Scale,
    pub(crate) series: BTreeMap<String, Kept>,
    pub(crate) rules: Vec<Rule>,
    /// What was sent.
    pub(crate) log: Vec<String>,
    /// Samples of destinations that were compared.
    pub(crate) compared: usize,
    names: usize,
    now: i64,
}

impl Mix {
    /// A mix, and its first series.
    pub(crate) fn new(seed: u64, scale: Scale, client: &mut Client) -> Self {
        let mut mix = Self {
            random: Random::new(seed),
            scale,
            series: BTreeMap::new(),
            rules: Vec::new(),
            log: Vec::new(),
            compared: 0,
            names: 0,
            now: scale.start(),
        };
        for _ in 0..3 {
            mix.create(client);
        }
        for _ in 0..6 {
            mix.create_rule(client);
        }
        mix
    }

    /// Sends a command, and some that belong to it.
    pub(crate) fn step(&mut self, client: &mut Client) {
        match self.random.index(32) {
            0 | 1 => self.create_rule(client),
            2 => self.delete_rule(client),
            3 => self.rename(client),
            4 => {
                client.expect("MULTI", "+OK");
                for _ in 0..4 {
                    let command = self.write();
                    self.send(client, &command);
                }
                self.send(client, &words("EXEC"));
            }
            5 => {
                let script = "EVAL \"for _ = 1, 2 do redis.pcall(unpack(ARGV)) end\" 0";
                let command = [words(script), self.write()].concat();
                self.send(client, &command);
            }
            6 if self.random.chance(20) => {
                self.send(client, &words("DEBUG RELOAD"));
            }
            7 => self.write_to_destination(client),
            8 => self.alter(client),
            9 if self.random.chance(40) => self.drop_key(client),
            10 if self.random.chance(50) => self.create(client),
            _ => {
                let command = self.write();
                self.send(client, &command);
            }
        }
        self.note_lost();
    }

    fn send(&mut self, client: &mut Client, command: &[Vec<u8>]) -> Value {
        let shown: Vec<String> = command
            .iter()
            .map(|arg| {
                let is_word = arg.iter().all(u8::is_ascii_graphic);
                if is_word {
                    String::from_utf8_lossy(arg).into_owned()
                } else {
                    quoted(arg)
                }
            })
            .collect();
        let reply = client.call(command);
        let mut outcome = render(&reply);
        outcome.truncate(80);
        self.log.push(format!("{}  -> {outcome}", shown.join(" ")));
        reply
    }

    /// Series that no rule writes to.
    fn sources(&self) -> Vec<String> {
        let is_free = |key: &&String| self.rules.iter().all(|rule| rule.destination != **key);
        self.series.keys().filter(is_free).cloned().collect()
    }

    fn any_of(&mut self, keys: &[String]) -> String {
        keys[self.random.index(keys.len())].clone()
    }

    fn source(&mut self) -> String {
        let keys = self.sources();
        self.any_of(&keys)
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("s:{}", self.names)
    }

    /// None, or one that most rules can live with.
    fn retention(&mut self) -> i64 {
        let step = self.scale.step();
        let scaled = [0, 0, 3, 10, 48, 300][self.random.index(6)] * step;
        // Just what the narrowest rule needs.
        if self.random.chance(20) {
            self.scale.cuts()[self.random.index(3)].width
        } else {
            scaled
        }
    }

    fn keep(&mut self, key: String, retention: i64) {
        let (high, lost) = (0, 0);
        self.series.insert(
            key,
            Kept {
                retention,
                high,
                lost,
            },
        );
    }

    fn create(&mut self, client: &mut Client) {
        if self.sources().len() >= MOST_SOURCES {
            return;
        }
        let (key, retention) = (self.name(), self.retention());
        let ignore = if self.random.chance(30) {
            format!(" IGNORE {} 30", self.scale.step())
        } else {
            String::new()
        };
        let policy = self.random.pick(&POLICIES);
        let chunk = [48, 128, 4096][self.random.index(3)];
        let line = format!(
            "IOT.CREATE {key} RETENTION {retention} CHUNK_SIZE {chunk} DUPLICATE_POLICY {policy}{ignore} \
             LABELS kind mix"
        );
        assert_eq!(self.send(client, &words(&line)), Value::Okay);
        self.keep(key, retention);
    }

    fn create_rule(&mut self, client: &mut Client) {
        if self.rules.len() >= MOST_RULES {
            return;
        }
        let keys: Vec<String> = self.series.keys().cloned().collect();
        let source = self.any_of(&keys);
        let destination = if self.random.chance(70) {
            self.name()
        } else {
            self.any_of(&keys)
        };
        let aggregator = match self.random.index(AGGREGATORS.len() + 1) {
            0 => "p95",
            index => AGGREGATORS[index - 1],
        };
        let cuts = self.scale.cuts();
        let cut = cuts[self.random.index(cuts.len())].clone();
        let delay = [0, 0, 1, 40][self.random.index(4)] * self.scale.step();
        let newest = newest(client, &source);
        let (begin, since) = match self.random.index(3) {
            0 => (" BACKFILL".into(), 0),
            1 => {
                let from = (self.now - self.random.within(0..60) * self.scale.step()).max(0);
                (format!(" BACKFILL FROM {from}"), from)
            }
            _ => (
                String::new(),
                newest.map_or(0, |newest| (newest - delay).max(0)),
            ),
        };
        let retention = if self.random.chance(25) {
            self.retention()
        } else {
            0
        };
        let align = if cut.align == 0 {
            String::new()
        } else {
            format!(" {}", cut.align)
        };
        let text = cut.text;
        let (span, zone) = text.split_once(' ').unwrap_or((text, ""));
        let line = format!(
            "IOT.CREATERULE {source} {destination} AGGREGATION {aggregator} {span}{align} {zone} \
             DELAY {delay}{begin} CREATE RETENTION {retention} CHUNK_SIZE 128 LABELS kind destination"
        );
        let reply = self.send(client, &words(&line));
        if reply != Value::Okay {
            let known = ["retention", "destination", "different", "circle"];
            let text = error_text(&reply);
            assert!(
                known.iter().any(|part| text.contains(part)),
                "{line}: {text}"
            );
            return;
        }
        if !self.series.contains_key(&destination) {
            self.keep(destination.clone(), retention);
        }
        let since = cut.start(since);
        self.rules.push(Rule {
            source,
            destination,
            aggregator,
            cut,
            delay,
            since,
        });
    }

    fn delete_rule(&mut self, client: &mut Client) {
        if self.rules.len() < 4 {
            return;
        }
        let rule = self.rules.swap_remove(self.random.index(self.rules.len()));
        let line = format!("IOT.DELETERULE {} {}", rule.source, rule.destination);
        assert_eq!(self.send(client, &words(&line)), Value::Okay);
    }

    fn rename(&mut self, client: &mut Client) {
        let keys: Vec<String> = self.series.keys().cloned().collect();
        let (old, new) = (self.any_of(&keys), self.name());
        assert_eq!(
            self.send(client, &words(&format!("RENAME {old} {new}"))),
            Value::Okay
        );
        let kept = self.series.remove(&old).unwrap();
        self.series.insert(new.clone(), kept);
        for rule in &mut self.rules {
            for end in [&mut rule.source, &mut rule.destination] {
                if *end == old {
                    end.clone_from(&new);
                }
            }
        }
    }

    fn drop_key(&mut self, client: &mut Client) {
        let keys: Vec<String> = self.series.keys().cloned().collect();
        let key = self.any_of(&keys);
        if self.sources() == [key.clone()] {
            return;
        }
        let name = self.random.pick(&["DEL", "UNLINK"]);
        self.send(client, &words(&format!("{name} {key}")));
        self.series.remove(&key);
        self.rules
            .retain(|rule| rule.source != key && rule.destination != key);
    }

    fn write_to_destination(&mut self, client: &mut Client) {
        let destinations = self.rules.iter().map(|rule| rule.destination.clone());
        let destinations: Vec<String> = destinations.collect();
        if destinations.is_empty() {
            return;
        }
        let key = self.any_of(&destinations);
        let now = self.now;
        let line = match self.random.index(4) {
            0 => format!("IOT.ADD {key} {now} 1"),
            1 => format!("IOT.INCRBY {key} 1 TIMESTAMP {now}"),
            2 => format!("IOT.DEL {key} - +"),
            _ => format!("IOT.ADDBULK {key} SAMPLES {now} 1"),
        };
        let reply = self.send(client, &words(&line));
        assert!(error_text(&reply).contains("destination"), "{line}");
    }

    fn alter(&mut self, client: &mut Client) {
        let retention = self.retention();
        let keys: Vec<String> = self.series.keys().cloned().collect();
        let key = self.any_of(&keys);
        if self.random.chance(70) {
            let line = format!("IOT.ALTER {key} RETENTION {retention}");
            if self.send(client, &words(&line)) == Value::Okay {
                self.series.get_mut(&key).unwrap().retention = retention;
            }
            return;
        }
        let found = client.run("IOT.QUERYINDEX kind=mix");
        let found: Vec<String> = redis::from_redis_value(found).unwrap();
        let line = format!("IOT.MALTER FILTER kind=mix SET RETENTION {retention}");
        if matches!(self.send(client, &words(&line)), Value::Int(_)) {
            for key in found {
                self.series.get_mut(&key).unwrap().retention = retention;
            }
        }
    }

    /// What may have left by retention since.
    fn note_lost(&mut self) {
        // Chains from their beginning on: at most as long as there are rules.
        for _ in 0..self.rules.len() {
            for rule in &self.rules {
                let high = self.series[&rule.source].high;
                let kept = self.series.get_mut(&rule.destination).unwrap();
                kept.high = kept.high.max(rule.cut.start((high - rule.delay).max(0)));
            }
        }
        for kept in self.series.values_mut().filter(|kept| kept.retention > 0) {
            kept.lost = kept.lost.max(kept.high - kept.retention);
        }
    }
}

/// What clients write.
impl Mix {
    /// A command that changes samples.
    fn write(&mut self) -> Vec<Vec<u8>> {
        let key = self.source();
        let line = match self.random.index(24) {
            0 | 1 => return self.packed(&key),
            2 | 3 => self.listed(&key),
            4 | 5 => self.delete(&key),
            6 if self.random.chance(30) => self.delete("MDEL"),
            7 | 8 => self.increment(&key),
            9 | 10 => format!("IOT.MADD{}", self.items()),
            11 | 12 => format!("IOT.INGEST ITEMS{}", self.items()),
            13 => {
                self.now += self.random.within(0..150) * self.scale.step();
                self.add(&key)
            }
            _ => self.add(&key),
        };
        words(&line)
    }

    /// In order, or late, or at a time that is likely to be taken.
    fn time(&mut self, key: &str) -> i64 {
        let step = self.scale.step();
        let time = match self.random.index(12) {
            0 => self.now - self.random.within(0..200 * step),
            1 | 2 => self.now - step * self.random.within(0..40),
            3 => self.now,
            4 => self.scale.cuts()[0].start(self.now),
            _ => {
                self.now += self.random.within(1..3) * step / 2;
                self.now
            }
        };
        let time = time.max(self.scale.start() - 30 * step);
        let kept = self.series.get_mut(key).unwrap();
        kept.high = kept.high.max(time);
        time
    }

    fn value(&mut self) -> f64 {
        match self.random.index(12) {
            0 => f64::NAN,
            1..=4 => [1.0, -2.5, 20.0][self.random.index(3)],
            _ => self.random.reading(),
        }
    }

    fn add(&mut self, key: &str) -> String {
        let (time, value) = (self.time(key), self.value());
        let time = match self.scale {
            Scale::Now(_) if self.random.chance(10) => {
                // The clock goes on by itself, but not by an hour.
                let kept = self.series.get_mut(key).unwrap();
                kept.high = kept.high.max(self.scale.start() + HOUR_MS);
                "*".into()
            }
            _ => time.to_string(),
        };
        let over = if self.random.chance(30) {
            format!(" ON_DUPLICATE {}", self.random.pick(&POLICIES))
        } else {
            String::new()
        };
        format!("IOT.ADD {key} {time} {value}{over}")
    }

    fn items(&mut self) -> String {
        let item = |_| {
            let key = self.source();
            format!(" {key} {} {}", self.time(&key), self.value())
        };
        (0..4).map(item).collect()
    }

    fn increment(&mut self, key: &str) -> String {
        let name = self.random.pick(&["INCRBY", "DECRBY"]);
        let (time, value) = (self.time(key), self.random.reading());
        format!("IOT.{name} {key} {value} TIMESTAMP {time}")
    }

    fn delete(&mut self, key: &str) -> String {
        let step = self.scale.step();
        let to = self.now - self.random.within(-20..120) * step;
        let from = (to - self.random.within(0..30) * step).max(0);
        let range = match self.random.index(12) {
            0 => "- +".into(),
            1 => format!("- {from}"),
            2 | 3 => format!("{from} +"),
            _ => format!("{from} {}", to.max(0)),
        };
        if key == "MDEL" {
            return format!("IOT.MDEL {range} FILTER kind=mix");
        }
        format!("IOT.DEL {key} {range}")
    }

    /// Runs in order, late ones, and leaps.
    fn samples(&mut self, key: &str, most: usize) -> Vec<(i64, f64)> {
        let mut samples = Vec::new();
        for _ in 0..=self.random.index(most) {
            if self.random.chance(3) {
                self.now += self.random.within(0..200) * self.scale.step();
            }
            samples.push((self.time(key), self.value()));
        }
        samples
    }

    fn listed(&mut self, key: &str) -> String {
        let samples = self.samples(key, 20).into_iter();
        let text = samples.map(|(time, value)| format!(" {time} {value}"));
        format!("IOT.ADDBULK {key} SAMPLES{}", text.collect::<String>())
    }

    fn packed(&mut self, key: &str) -> Vec<Vec<u8>> {
        let mut line = words(&format!("IOT.ADDBULK {key} PACKED"));
        line.push(packed(self.samples(key, 80)));
        line
    }
}

/// The time of the newest sample.
pub(crate) fn newest(client: &mut Client, key: &str) -> Option<i64> {
    match client.run(&format!("IOT.GET {key}")) {
        Value::Array(sample) => match sample.first() {
            Some(Value::Int(time)) => Some(*time),
            _ => None,
        },
        other => panic!("{key}: {}", render(&other)),
    }
}

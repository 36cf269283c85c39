//! What has left the retention window of a source stays in the destinations: random writes to a
//! server and to a model that forgets nothing.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::collections::BTreeMap;

use support::client::{Client, Protocol};
use support::naive::{Outcome, Policy, Series};
use support::notation::{near, render};
use support::seeds::{RULES_SEED, Random};
use support::server::Server;

/// Mixes, and commands of each.
const MIXES: u64 = 60;
const STEPS: usize = 120;
const AGGREGATORS: [&str; 3] = ["sum", "count", "max"];

/// A rule as the documentation has it.
struct Rule {
    aggregator: &'static str,
    width: i64,
    delay: i64,
}

impl Rule {
    fn start(&self, time: i64) -> i64 {
        time - time.rem_euclid(self.width)
    }

    fn value(&self, values: &[f64]) -> f64 {
        match self.aggregator {
            "sum" => values.iter().sum(),
            "max" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            _ => values.iter().map(|_| 1.0).sum(),
        }
    }
}

struct Mix {
    client: Client,
    random: Random,
    model: Series,
    /// For each rule all samples that its buckets were computed from.
    rules: Vec<(Rule, BTreeMap<i64, f64>)>,
    /// Samples before this time have left.
    lost: i64,
    now: i64,
    log: Vec<String>,
}

impl Mix {
    fn new(seed: u64, mut client: Client) -> Self {
        let mut random = Random::new(seed);
        let retention = random.within(150..600);
        let ignore = [(0, 0.0), (60, 1.0)][random.index(2)];
        client.expect("FLUSHALL", "+OK");
        let line = format!(
            "IOT.CREATE src RETENTION {retention} CHUNK_SIZE 48 DUPLICATE_POLICY LAST IGNORE {} {}",
            ignore.0, ignore.1
        );
        client.expect(&line, "+OK");
        let mut rules = Vec::new();
        for (number, aggregator) in AGGREGATORS.into_iter().enumerate() {
            let width = [50, 100, retention][random.index(3)];
            let delay = [0, (retention - width).min(40)][random.index(2)];
            client.expect(
                &format!(
                    "IOT.CREATERULE src dst:{number} AGGREGATION {aggregator} {width} DELAY {delay} CREATE"
                ),
                "+OK",
            );
            let rule = Rule {
                aggregator,
                width,
                delay,
            };
            rules.push((rule, BTreeMap::new()));
        }
        Self {
            client,
            random,
            model: Series::new(retention, Policy::Last, ignore),
            rules,
            lost: 0,
            now: 1_000,
            log: vec![line],
        }
    }

    fn send(&mut self, line: String) {
        self.client.run(&line);
        self.log.push(line);
    }

    fn step(&mut self) {
        match self.random.index(10) {
            0 => self.delete(),
            1 => self.alter(),
            2 | 3 => {
                let count = self.random.within(1..60);
                let samples: Vec<String> = (0..count).map(|_| self.sample()).collect();
                self.send(format!("IOT.ADDBULK src SAMPLES {}", samples.join(" ")));
            }
            4 => {
                let samples = [self.sample(), self.sample(), self.sample()];
                self.send(format!("IOT.MADD src {}", samples.join(" src ")));
            }
            _ => {
                let sample = self.sample();
                self.send(format!("IOT.ADD src {sample}"));
            }
        }
    }

    /// The next sample as text; the model has it then.
    fn sample(&mut self) -> String {
        let time = match self.random.index(12) {
            0 | 1 => self.now - self.random.within(0..700),
            2 => {
                self.now += self.random.within(0..900);
                self.now
            }
            _ => {
                self.now += self.random.within(0..30);
                self.now
            }
        };
        let (time, value) = (time.max(0), [1.0, 1.5, 8.0, -30.0][self.random.index(4)]);
        if matches!(
            self.model.add(time, value, None),
            Outcome::Added | Outcome::Merged
        ) {
            for (rule, samples) in &mut self.rules {
                if rule.start(time) >= self.lost {
                    samples.insert(time, value);
                }
            }
            self.note_lost();
        }
        format!("{time} {value}")
    }

    fn note_lost(&mut self) {
        if self.model.retention_ms > 0 {
            let newest = self.model.newest().unwrap().0;
            self.lost = self.lost.max(newest - self.model.retention_ms);
        }
    }

    fn delete(&mut self) {
        let Some((newest, _)) = self.model.newest() else {
            return;
        };
        let to = newest - self.random.within(-50..500);
        let from = to - self.random.within(0..200);
        // One sample stays at least: a series without any begins anew.
        if to < 0
            || self
                .model
                .samples
                .keys()
                .all(|time| (from..=to).contains(time))
        {
            return;
        }
        let from = from.max(0);
        self.model.delete(from, to);
        for (rule, samples) in &mut self.rules {
            let is_gone = |time: &i64| (from..=to).contains(time) && rule.start(*time) >= self.lost;
            samples.retain(|time, _| !is_gone(time));
        }
        self.send(format!("IOT.DEL src {from} {to}"));
    }

    fn alter(&mut self) {
        let widths = self.rules.iter().map(|(rule, _)| rule.width + rule.delay);
        let least = widths.max().unwrap();
        let retention = match self.random.index(4) {
            0 => 0,
            1 => least,
            _ => least + self.random.within(0..800),
        };
        self.model.retain(retention);
        if self.model.newest().is_some() {
            self.note_lost();
        }
        self.send(format!("IOT.ALTER src RETENTION {retention}"));
    }

    #[track_caller]
    fn check(&mut self) {
        let newest = self.model.newest().map_or(-1, |newest| newest.0);
        for (number, (rule, samples)) in self.rules.iter().enumerate() {
            let closed = if newest < rule.delay {
                0
            } else {
                rule.start(newest - rule.delay)
            };
            let mut buckets: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
            for (&time, &value) in samples {
                let start = rule.start(time);
                if start < closed.max(self.lost) {
                    buckets.entry(start).or_default().push(value);
                }
            }
            let wanted: Vec<(i64, f64)> = buckets
                .iter()
                .map(|(&start, values)| (start, rule.value(values)))
                .collect();
            let reply = self.client.run(&format!("IOT.RANGE dst:{number} - +"));
            let stored: Vec<(i64, f64)> = redis::from_redis_value(reply.clone()).unwrap();
            let is_same = wanted.len() == stored.len()
                && wanted
                    .iter()
                    .zip(&stored)
                    .all(|(want, have)| want.0 == have.0 && near(want.1, have.1, 1e-9));
            let from = self.log.len().saturating_sub(12);
            assert!(
                is_same,
                "{} by {} with delay {}, lost {}, newest {newest}\nwanted {wanted:?}\nstored {}\n{}\n{}",
                rule.aggregator,
                rule.width,
                rule.delay,
                self.lost,
                render(&reply),
                self.log[0],
                self.log[from..].join("\n")
            );
        }
    }
}

#[test]
fn what_leaves_the_source_stays_in_the_destinations() {
    let server = Server::start();
    for number in 0..MIXES {
        let client = server.connect(Protocol::Resp2);
        let mut mix = Mix::new(RULES_SEED + 5_000 + number, client);
        for _ in 0..STEPS {
            mix.step();
            mix.check();
        }
    }
}

//! A real server against the naive model: the same random commands to both, the same answers.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use redis::Value;
use support::aggregation::{self, AGGREGATORS, Buckets, Filling, Query, Stamp};
use support::client::{Client, Protocol};
use support::naive::{Outcome, Policy, Series};
use support::notation::{TOLERANCE, near, number, packed, render, words};
use support::seeds::{MODEL_SEED, Random};
use support::server::Server;

/// Commands to each series.
const STEPS: usize = 2_500;
/// Commands between two comparisons of everything.
const STEPS_BETWEEN_CHECKS: usize = 25;
/// The first time; larger than every bucket, so that none starts before zero.
const START_MS: i64 = 1_000_000;
/// A series in the server and its model.
struct Pair {
    client: Client,
    model: Series,
    random: Random,
    /// The time that the next sample in order has.
    now_ms: i64,
    log: Vec<String>,
}

impl Pair {
    fn new(server: &Server, protocol: Protocol, seed: u64, encoding: &str, chunk: u32) -> Self {
        let mut random = Random::new(seed);
        let (policy, name) = Policy::ALL[random.index(6)];
        let retention_ms = if random.chance(50) { 0 } else { 60_000 };
        let ignore = if random.chance(50) {
            (0, 0.0)
        } else {
            (150, 0.5)
        };
        let mut client = server.connect(protocol);
        client.expect("FLUSHALL", "+OK");
        client.expect(
            &format!(
                "IOT.CREATE t RETENTION {retention_ms} ENCODING {encoding} CHUNK_SIZE {chunk} \
                 DUPLICATE_POLICY {name} IGNORE {} {}",
                ignore.0, ignore.1
            ),
            "+OK",
        );
        Self {
            client,
            model: Series::new(retention_ms, policy, ignore),
            random,
            now_ms: START_MS,
            log: vec![format!(
                "{encoding} {chunk} {name} {retention_ms} {ignore:?}"
            )],
        }
    }

    /// Runs the random commands and compares all replies.
    fn run(mut self) {
        for step in 1..=STEPS {
            match self.random.index(20) {
                0 => self.delete(),
                1 => self.alter(),
                2 | 3 => self.increment(),
                4..=6 => self.bulk(),
                7..=9 => self.list(),
                _ => self.add(),
            }
            if step % STEPS_BETWEEN_CHECKS == 0 {
                self.compare_reads();
            }
        }
    }

    #[track_caller]
    fn send(&mut self, line: &str) -> Value {
        self.log.push(line.into());
        self.client.run(line)
    }

    #[track_caller]
    fn fail(&self, difference: &str) -> ! {
        let from = self.log.len().saturating_sub(60);
        panic!(
            "{difference}\nseries: {}\nlast commands:\n{}",
            self.log[0],
            self.log[from..].join("\n")
        );
    }

    /// In order, or late, or at a time that is likely to be taken.
    fn time(&mut self) -> i64 {
        match self.random.index(10) {
            0 => (self.now_ms - self.random.within(0..80_000)).max(START_MS),
            1 => self.now_ms,
            2 => (self.now_ms - 100 * self.random.within(0..20)).max(START_MS),
            _ => {
                self.now_ms += 100 * self.random.within(1..3);
                self.now_ms
            }
        }
    }

    fn value(&mut self) -> f64 {
        match self.random.index(12) {
            0 => f64::NAN,
            1..=5 => [20.0, 20.25, 20.5][self.random.index(3)],
            _ => self.random.reading(),
        }
    }

    fn add(&mut self) {
        let (time, value) = (self.time(), self.value());
        let over = self
            .random
            .chance(20)
            .then(|| Policy::ALL[self.random.index(6)]);
        let option = over.map_or(String::new(), |(_, name)| format!(" ON_DUPLICATE {name}"));
        let reply = self.send(&format!("IOT.ADD t {time} {value}{option}"));
        let want = self.reply_to(time, value, over.map(|(policy, _)| policy));
        self.check_item(&reply, want);
    }

    fn list(&mut self) {
        let items: Vec<(i64, f64)> = (0..3).map(|_| (self.time(), self.value())).collect();
        let name = self.random.pick(&["MADD", "INGEST ITEMS"]);
        let text: Vec<String> = items
            .iter()
            .map(|(time, value)| format!(" t {time} {value}"))
            .collect();
        let Value::Array(replies) = self.send(&format!("IOT.{name}{}", text.concat())) else {
            self.fail("no array");
        };
        assert_eq!(replies.len(), items.len());
        for (reply, (time, value)) in replies.iter().zip(items) {
            let want = self.reply_to(time, value, None);
            self.check_item(reply, want);
        }
    }

    /// What the model replies to a sample: a time, or nothing for a refusal.
    fn reply_to(&mut self, time: i64, value: f64, over: Option<Policy>) -> Option<i64> {
        match self.model.add(time, value, over) {
            Outcome::Added | Outcome::Merged => Some(time),
            Outcome::Ignored => self.model.newest().map(|newest| newest.0),
            Outcome::Refused => None,
        }
    }

    fn check_item(&self, reply: &Value, want: Option<i64>) {
        let have = match reply {
            Value::Int(time) => Some(*time),
            Value::ServerError(_) => None,
            other => self.fail(&format!("no item: {}", render(other))),
        };
        if have != want {
            self.fail(&format!(
                "the model replies {want:?}, the server {}",
                render(reply)
            ));
        }
    }

    fn bulk(&mut self) {
        let len = 1 + self.random.index(60);
        let samples: Vec<(i64, f64)> = (0..len).map(|_| (self.time(), self.value())).collect();
        let reply = if self.random.chance(50) {
            self.log.push(format!("ADDBULK PACKED {samples:?}"));
            let mut args = words("IOT.ADDBULK t PACKED");
            args.push(packed(samples.iter().copied()));
            self.client.call(&args)
        } else {
            let text: Vec<String> = samples
                .iter()
                .map(|(time, value)| format!(" {time} {value}"))
                .collect();
            self.send(&format!("IOT.ADDBULK t SAMPLES{}", text.concat()))
        };
        let mut counts = [0; 3];
        for (time, value) in samples {
            let place = match self.model.add(time, value, None) {
                Outcome::Added => 0,
                Outcome::Merged | Outcome::Ignored => 1,
                Outcome::Refused => 2,
            };
            counts[place] += 1;
        }
        let have = counts_of(&reply);
        if have != counts {
            self.fail(&format!(
                "the model counts {counts:?}, the server {}",
                render(&reply)
            ));
        }
    }

    fn increment(&mut self) {
        let by = self.random.reading();
        let time = self.time();
        let reply = self.send(&format!("IOT.INCRBY t {by} TIMESTAMP {time}"));
        let want = self.model.increment(by, time);
        self.check_item(&reply, want);
    }

    fn delete(&mut self) {
        let from = self.time() - self.random.within(0..5_000);
        let to = from + self.random.within(-10..4_000);
        let reply = self.send(&format!("IOT.DEL t {from} {to}"));
        let want = i64::try_from(self.model.delete(from, to)).unwrap();
        if reply != Value::Int(want) {
            self.fail(&format!(
                "the model deletes {want}, the server {}",
                render(&reply)
            ));
        }
    }

    /// What was hidden once stays hidden, also when the retention grows.
    fn alter(&mut self) {
        let new = [0, 5_000, 20_000, 60_000][self.random.index(4)];
        let reply = self.send(&format!("IOT.ALTER t RETENTION {new}"));
        assert_eq!(reply, Value::Okay);
        self.model.retain(new);
        let chunk = 48 + 8 * self.random.within(0..20);
        let reply = self.send(&format!("IOT.ALTER t CHUNK_SIZE {chunk}"));
        assert_eq!(reply, Value::Okay);
    }

    fn compare_reads(&mut self) {
        let all = self.model.all();
        self.compare_query(&plain(0, i64::MAX), &all);
        self.compare_query(
            &Query {
                reverse: true,
                ..plain(0, i64::MAX)
            },
            &all,
        );
        for _ in 0..12 {
            let query = self.query();
            self.compare_query(&query, &all);
        }
        let newest = self.model.newest();
        let reply = self.send("IOT.GET t");
        let have = rows_of(&reply, self.client.protocol, 0);
        let want: Vec<_> = newest
            .map(|(time, value)| (time, vec![value]))
            .into_iter()
            .collect();
        if !same_rows(&want, &have, 0.0) {
            self.fail(&format!(
                "the model's newest is {want:?}, the server's {}",
                render(&reply)
            ));
        }
        self.compare_info();
    }

    fn compare_info(&mut self) {
        let reply = self.send("IOT.INFO t");
        let fields = match &reply {
            Value::Map(pairs) => pairs.clone(),
            Value::Array(flat) => flat
                .chunks(2)
                .map(|pair| (pair[0].clone(), pair[1].clone()))
                .collect(),
            other => self.fail(&format!("no map: {}", render(other))),
        };
        let wanted = [
            (
                "totalSamples",
                i64::try_from(self.model.samples.len()).unwrap(),
            ),
            (
                "firstTimestamp",
                *self.model.samples.keys().next().unwrap_or(&0),
            ),
            (
                "lastTimestamp",
                self.model.newest().map_or(0, |newest| newest.0),
            ),
            ("retentionTime", self.model.retention_ms),
        ];
        for (name, want) in wanted {
            let field = fields
                .iter()
                .find(|(key, _)| render(key).trim_matches(['"', '+']) == name);
            if field.map(|(_, value)| value) != Some(&Value::Int(want)) {
                self.fail(&format!("{name} should be {want}: {}", render(&reply)));
            }
        }
    }

    fn compare_query(&mut self, query: &Query, all: &[(i64, f64)]) {
        let line = line_of(query);
        let reply = self.send(&line);
        let depth = if query.buckets.is_some() {
            TOLERANCE
        } else {
            0.0
        };
        let have = rows_of(&reply, self.client.protocol, 1);
        let want = aggregation::rows(all, query);
        if !same_rows(&want, &have, depth) {
            self.fail(&format!(
                "{line}\nmodel:  {want:?}\nserver: {have:?}\nsamples: {:?}",
                all.iter()
                    .filter(
                        |(time, _)| (query.from - 20_000..=query.to.saturating_add(20_000))
                            .contains(time)
                    )
                    .collect::<Vec<_>>()
            ));
        }
    }

    fn query(&mut self) -> Query {
        let span = self.now_ms - START_MS + 10_000;
        let from = START_MS + self.random.within(-5_000..span);
        let to = from + self.random.within(-10..span);
        let times = self.random.chance(15).then(|| {
            let all = self.model.all();
            (0..20)
                .map(|_| match all.len() {
                    0 => from,
                    len => all[self.random.index(len)].0,
                })
                .collect()
        });
        let values = self.random.chance(25).then(|| {
            let min = self.random.reading();
            (min, min + self.random.reading().abs())
        });
        let buckets = self.random.chance(80).then(|| self.buckets());
        Query {
            from,
            to,
            times,
            values,
            buckets,
            count: self.random.chance(20).then(|| 1 + self.random.index(10)),
            reverse: self.random.chance(50),
        }
    }

    fn buckets(&mut self) -> Buckets {
        let len = if self.random.chance(50) {
            1
        } else {
            1 + self.random.index(4)
        };
        let aggregators = (0..len)
            .map(|_| AGGREGATORS[self.random.index(AGGREGATORS.len())])
            .collect();
        let stamps = [Stamp::Start, Stamp::Mid, Stamp::End];
        let empty = self.random.chance(50);
        let fillings = [
            Filling::Prev,
            Filling::Linear,
            Filling::Next,
            Filling::Value(0.5),
        ];
        let filling = fillings[self.random.index(4)];
        let max_gap = self.random.within(0..100_000);
        let fill = (!empty && self.random.chance(50)).then_some((filling, max_gap));
        Buckets {
            aggregators,
            duration: [100, 250, 1_000, 7_777, 60_000][self.random.index(5)],
            align: if self.random.chance(50) {
                0
            } else {
                self.random.within(0..100_000)
            },
            stamp: stamps[self.random.index(3)],
            edges: Vec::new(),
            empty,
            fill,
        }
    }
}

fn plain(from: i64, to: i64) -> Query {
    Query {
        from,
        to,
        times: None,
        values: None,
        buckets: None,
        count: None,
        reverse: false,
    }
}

/// The query as a command.
fn line_of(query: &Query) -> String {
    let name = if query.reverse {
        "IOT.REVRANGE"
    } else {
        "IOT.RANGE"
    };
    format!("{name} t {}", aggregation::text(query))
}

/// The rows of a reply, which is a list of them (`depth` 1) or at most one (`depth` 0).
#[track_caller]
fn rows_of(reply: &Value, protocol: Protocol, depth: usize) -> Vec<(i64, Vec<f64>)> {
    let Value::Array(rows) = reply else {
        panic!("no array: {}", render(reply));
    };
    if depth == 0 {
        return if rows.is_empty() {
            Vec::new()
        } else {
            vec![row_of(rows, protocol)]
        };
    }
    rows.iter()
        .map(|row| match row {
            Value::Array(row) => row_of(row, protocol),
            other => panic!("no row: {}", render(other)),
        })
        .collect()
}

#[track_caller]
fn row_of(row: &[Value], protocol: Protocol) -> (i64, Vec<f64>) {
    let Some((Value::Int(time), values)) = row.split_first() else {
        panic!("no time: {row:?}");
    };
    let values = values
        .iter()
        .map(|value| number(value, protocol).expect("a number"))
        .collect();
    (*time, values)
}

fn same_rows(want: &[(i64, Vec<f64>)], have: &[(i64, Vec<f64>)], tolerance: f64) -> bool {
    want.len() == have.len()
        && want.iter().zip(have).all(|(want, have)| {
            want.0 == have.0
                && want.1.len() == have.1.len()
                && want
                    .1
                    .iter()
                    .zip(&have.1)
                    .all(|(a, b)| near(*a, *b, tolerance))
        })
}

/// Added, updated or ignored, rejected.
fn counts_of(reply: &Value) -> [i64; 3] {
    let flat: Vec<Value> = match reply {
        Value::Map(pairs) => pairs
            .iter()
            .flat_map(|(k, v)| [k.clone(), v.clone()])
            .collect(),
        Value::Array(flat) => flat.clone(),
        other => panic!("no map: {}", render(other)),
    };
    let counts: Vec<i64> = flat
        .iter()
        .filter_map(|value| match value {
            Value::Int(count) => Some(*count),
            _ => None,
        })
        .collect();
    assert_eq!(counts.len(), 4, "{}", render(reply));
    [counts[0], counts[1] + counts[2], counts[3]]
}

/// Runs several series of one encoding, with small blocks and large ones.
fn check(encoding: &str, seed: u64) {
    // Series are packed again and again between commands.
    let server = Server::start_with(&["--redis-iot.idle-seal", "1"]);
    for (round, chunk) in (0..).zip([48, 64, 256, 4096]) {
        for protocol in Protocol::BOTH {
            let seed = seed + 10 * round + u64::from(protocol == Protocol::Resp3);
            Pair::new(&server, protocol, seed, encoding, chunk).run();
        }
    }
}

#[test]
fn compressed_series_answer_as_the_model_does() {
    check("COMPRESSED", MODEL_SEED);
}

#[test]
fn gorilla_series_answer_as_the_model_does() {
    check("GORILLA", MODEL_SEED + 1_000);
}

#[test]
fn uncompressed_series_answer_as_the_model_does() {
    check("UNCOMPRESSED", MODEL_SEED + 2_000);
}
